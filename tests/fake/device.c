/* The scripted devices. */
#define _GNU_SOURCE
#include "tests/fake/device.h"

#include <errno.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <jpeglib.h>

enum { FD_CAMERA = 1000, FD_META = 1001, FD_ODD = 1002, FD_LOOP = 1010, PAD = 64 };
#define EVENT_CLIENT_USAGE (V4L2_EVENT_PRIVATE_START + 0x08E00000 + 1)

static int fail(int why)
{
    errno = why;
    return -1;
}

/* ---- pictures ---- */

/* Without the Huffman tables if asked: most cameras leave them out. */
static size_t copy_jpeg(uint8_t *d, const uint8_t *s, size_t bytes, bool no_tables)
{
    size_t at = 2, used = 2;

    memcpy(d, s, 2);
    while (at + 4 < bytes && s[at] == 0xff && s[at + 1] != 0xda) {
        const size_t n = 2 + (size_t)(s[at + 2] << 8 | s[at + 3]);
        if (!no_tables || s[at + 1] != 0xc4) {
            memcpy(d + used, s + at, n);
            used += n;
        }
        at += n;
    }
    memcpy(d + used, s + at, bytes - at);
    return used + bytes - at;
}

static size_t pack_jpeg(fake_device *f, const vbg_frame *s, uint8_t *d)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr e;
    unsigned char *out = NULL;
    unsigned long bytes = 0;
    const vbg_yuv *v = &s->yuv;
    JSAMPROW rows[3][16];
    JSAMPARRAY planes[3] = { rows[0], rows[1], rows[2] };

    c.err = jpeg_std_error(&e);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &out, &bytes);
    c.image_width = (JDIMENSION)v->w;
    c.image_height = (JDIMENSION)v->h;
    c.input_components = 3;
    c.in_color_space = JCS_YCbCr;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, 90, TRUE);
    c.raw_data_in = TRUE;
    jpeg_start_compress(&c, TRUE);
    for (int y = 0; y < v->h; y += 16) {
        for (int p = 0; p < 3; p++)
            for (int i = 0; i < (p ? 8 : 16); i++) {
                int row = (p ? y / 2 : y) + i, last = (p ? (v->h + 1) / 2 : v->h) - 1;
                rows[p][i] = v->plane[p] + (size_t)vbg_min_int(row, last) * v->stride[p];
            }
        jpeg_write_raw_data(&c, planes, 16);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    const size_t n = copy_jpeg(d, out, bytes, f->no_tables);
    free(out);
    return n;
}

static size_t pack(fake_device *f, const vbg_frame *s, uint8_t *d)
{
    const vbg_yuv *v = &s->yuv;
    const size_t st = f->stride, half = (st + 1) / 2;
    const int w = v->w, h = v->h, cw = (w + 1) / 2, ch = (h + 1) / 2;

    if (f->now.fourcc == V4L2_PIX_FMT_MJPEG)
        return pack_jpeg(f, s, d);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            uint8_t c = v->plane[0][(size_t)y * v->stride[0] + (size_t)x];
            d[(size_t)y * st + (size_t)x * (f->now.fourcc == V4L2_PIX_FMT_YUYV ? 2 : 1)] =
                c;
        }
    for (int y = 0; y < (f->now.fourcc == V4L2_PIX_FMT_YUYV ? h : ch); y++)
        for (int x = 0; x < cw; x++) {
            const size_t at =
                (size_t)(f->now.fourcc == V4L2_PIX_FMT_YUYV ? y / 2 : y) * v->stride[1] +
                (size_t)x;
            const uint8_t cu = v->plane[1][at], cv = v->plane[2][at];
            if (f->now.fourcc == V4L2_PIX_FMT_YUYV) {
                d[(size_t)y * st + 4 * (size_t)x + 1] = cu;
                d[(size_t)y * st + 4 * (size_t)x + 3] = cv;
            } else if (f->now.fourcc == V4L2_PIX_FMT_NV12) {
                d[st * (size_t)(h + y) + 2 * (size_t)x] = cu;
                d[st * (size_t)(h + y) + 2 * (size_t)x + 1] = cv;
            } else {
                d[st * (size_t)h + half * (size_t)y + (size_t)x] = cu;
                d[st * (size_t)h + half * (size_t)(ch + y) + (size_t)x] = cv;
            }
        }
    return f->frame_bytes;
}

static void drop_cycle(fake_device *f)
{
    for (int i = 0; i < FAKE_CYCLE; i++) {
        free(f->cycle[i]);
        f->cycle[i] = NULL;
    }
}

static void make_cycle(fake_device *f)
{
    vbg_frame frame;

    drop_cycle(f);
    if (vbg_frame_new(&frame, f->now.w, f->now.h, NULL) != VBG_OK)
        return;
    for (int i = 0; i < FAKE_CYCLE; i++) {
        f->cycle[i] = calloc(1, f->frame_bytes + 65536);
        if (f->paint)
            f->paint(f->arg, i, &frame);
        f->cycle_bytes[i] = pack(f, &frame, f->cycle[i]);
    }
    vbg_frame_free(&frame);
}

/* ---- camera ---- */

static int enum_format(fake_device *f, struct v4l2_fmtdesc *d)
{
    uint32_t seen[FAKE_MODES];
    uint32_t n = 0;

    for (int i = 0; i < f->mode_count; i++) {
        bool old = false;
        for (uint32_t k = 0; k < n; k++)
            old |= seen[k] == f->modes[i].fourcc;
        if (!old)
            seen[n++] = f->modes[i].fourcc;
    }
    if (d->index >= n)
        return fail(EINVAL);
    d->pixelformat = seen[d->index];
    return 0;
}

static int enum_size(fake_device *f, struct v4l2_frmsizeenum *e)
{
    uint32_t n = 0;

    for (int i = 0; i < f->mode_count; i++)
        if (f->modes[i].fourcc == e->pixel_format && n++ == e->index) {
            e->type = V4L2_FRMSIZE_TYPE_DISCRETE;
            e->discrete.width = (uint32_t)f->modes[i].w;
            e->discrete.height = (uint32_t)f->modes[i].h;
            return 0;
        }
    return fail(EINVAL);
}

static int enum_rate(fake_device *f, struct v4l2_frmivalenum *e)
{
    for (int i = 0; i < f->mode_count; i++)
        if (f->modes[i].fourcc == e->pixel_format && f->modes[i].w == (int)e->width &&
            f->modes[i].h == (int)e->height && e->index == 0) {
            e->type = V4L2_FRMIVAL_TYPE_DISCRETE;
            e->discrete.numerator = (uint32_t)f->modes[i].rate_den;
            e->discrete.denominator = (uint32_t)f->modes[i].rate_num;
            return 0;
        }
    return fail(EINVAL);
}

static int set_format(fake_device *f, struct v4l2_format *s)
{
    struct v4l2_pix_format *p = &s->fmt.pix;
    vbg_camera_mode *m = &f->now;

    if (f->busy)
        return fail(EBUSY);
    *m = (vbg_camera_mode){ .fourcc = p->pixelformat,
                            .w = f->swap_w ? f->swap_w : (int)p->width,
                            .h = f->swap_h ? f->swap_h : (int)p->height };
    const bool yuyv = m->fourcc == V4L2_PIX_FMT_YUYV;
    f->stride = (size_t)(yuyv ? 2 * m->w : m->w) + (f->odd_stride ? PAD : 0);
    f->frame_bytes = f->stride * (size_t)m->h;
    if (!yuyv)
        f->frame_bytes += (f->stride + 1) / 2 * 2 * (size_t)((m->h + 1) / 2);
    p->width = (uint32_t)m->w;
    p->height = (uint32_t)m->h;
    p->bytesperline = m->fourcc == V4L2_PIX_FMT_MJPEG ? 0 : (uint32_t)f->stride;
    p->sizeimage = (uint32_t)f->frame_bytes;
    return 0;
}

static int request(fake_device *f, struct v4l2_requestbuffers *r)
{
    r->count = FAKE_BUFFERS;
    for (int i = 0; i < FAKE_BUFFERS; i++) {
        free(f->buffer[i]);
        f->buffer[i] = calloc(1, f->frame_bytes + 65536);
        f->queued[i] = false;
    }
    return 0;
}

static int dequeue(fake_device *f, struct v4l2_buffer *b)
{
    fake_fault fault = FAKE_NONE;
    int i = 0;

    if (f->fault_count > 0) {
        f->fault_count--;
        fault = f->fault;
    }
    if (fault == FAKE_EIO)
        return fail(EIO);
    if (fault == FAKE_EAGAIN)
        return fail(EAGAIN);
    while (i < FAKE_BUFFERS && !f->queued[i])
        i++;
    if (i == FAKE_BUFFERS || !f->streaming)
        return fail(EAGAIN);
    const int64_t n = f->handed++;
    b->index = (uint32_t)i;
    b->bytesused = (uint32_t)f->cycle_bytes[n % FAKE_CYCLE];
    memcpy(f->buffer[i], f->cycle[n % FAKE_CYCLE], b->bytesused);
    f->queued[i] = false;
    if (fault == FAKE_SHORT)
        b->bytesused /= 2;
    if (fault == FAKE_FLAGGED)
        b->flags |= V4L2_BUF_FLAG_ERROR;
    if (fault == FAKE_EMPTY)
        b->bytesused = 0;
    if (fault == FAKE_TOO_LONG)
        b->bytesused = (uint32_t)f->frame_bytes + 1000000;
    if (fault == FAKE_BAD_INDEX)
        b->index = 77;
    if (fault == FAKE_GARBAGE)
        for (uint32_t k = 8; k < b->bytesused; k++)
            f->buffer[i][k] = (uint8_t)(k * 2654435761u >> 13);
    if (f->fps > 0)
        f->due += 1 / f->fps;
    return 0;
}

static int camera_ioctl(fake_device *f, unsigned long request_code, void *arg)
{
    struct v4l2_buffer *b = arg;
    struct v4l2_capability *c = arg;

    if (!f->present)
        return fail(ENODEV);
    switch (request_code) {
    case VIDIOC_QUERYCAP:
        snprintf((char *)c->driver, sizeof c->driver, "uvcvideo");
        snprintf((char *)c->card, sizeof c->card, "Fake Camera");
        snprintf((char *)c->bus_info, sizeof c->bus_info, "usb-fake-1");
        c->capabilities = V4L2_CAP_DEVICE_CAPS | V4L2_CAP_VIDEO_OUTPUT;
        c->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        return 0;
    case VIDIOC_ENUM_FMT:
        return enum_format(f, arg);
    case VIDIOC_ENUM_FRAMESIZES:
        return enum_size(f, arg);
    case VIDIOC_ENUM_FRAMEINTERVALS:
        return enum_rate(f, arg);
    case VIDIOC_S_FMT:
        return set_format(f, arg);
    case VIDIOC_S_PARM:
        return 0;
    case VIDIOC_REQBUFS:
        return request(f, arg);
    case VIDIOC_QUERYBUF:
        b->length = (uint32_t)f->frame_bytes + 65536;
        b->m.offset = b->index * 4096;
        return 0;
    case VIDIOC_QBUF:
        f->queued[b->index % FAKE_BUFFERS] = true;
        return 0;
    case VIDIOC_STREAMON:
        make_cycle(f);
        f->streaming = true;
        f->due = vbg_now();
        return 0;
    case VIDIOC_STREAMOFF:
        f->streaming = false;
        return 0;
    case VIDIOC_DQBUF:
        return dequeue(f, b);
    default:
        return fail(ENOTTY);
    }
}

/* ---- loopback ---- */

static int loop_format(fake_device *f, struct v4l2_format *s, bool set)
{
    struct v4l2_pix_format *p = &s->fmt.pix;

    if (f->loop_dead)
        return fail(EINVAL);
    if (set && !f->loop_held) {
        f->loop_fourcc = p->pixelformat;
        f->loop_w = (int)p->width;
        f->loop_h = (int)p->height;
    }
    p->pixelformat = f->loop_fourcc;
    p->width = (uint32_t)f->loop_w;
    p->height = (uint32_t)f->loop_h;
    const bool yuyv = f->loop_fourcc == V4L2_PIX_FMT_YUYV;
    p->bytesperline = p->width * (yuyv ? 2 : 1);
    p->sizeimage = p->bytesperline * p->height * (yuyv ? 2 : 3) / 2;
    return 0;
}

static int loop_ioctl(fake_device *f, unsigned long request_code, void *arg)
{
    struct v4l2_capability *c = arg;
    struct v4l2_event *e = arg;

    if (!f->loop_present)
        return fail(ENODEV);
    switch (request_code) {
    case VIDIOC_QUERYCAP:
        snprintf((char *)c->driver, sizeof c->driver, "v4l2 loopback");
        snprintf((char *)c->card, sizeof c->card, "vbg");
        c->capabilities = V4L2_CAP_DEVICE_CAPS;
        c->device_caps = V4L2_CAP_STREAMING | (f->loop_dead      ? 0
                                               : f->loop_capture ? V4L2_CAP_VIDEO_CAPTURE
                                                                 : V4L2_CAP_VIDEO_OUTPUT);
        return 0;
    case VIDIOC_S_PARM:
        return 0;
    case VIDIOC_S_FMT:
        return loop_format(f, arg, true);
    case VIDIOC_G_FMT:
        return loop_format(f, arg, false);
    case VIDIOC_STREAMON:
        f->loop_on = true;
        return f->old_driver ? 0 : fail(EINVAL);
    case VIDIOC_STREAMOFF:
        f->loop_on = false;
        return 0;
    case VIDIOC_SUBSCRIBE_EVENT:
        if (f->old_driver)
            return fail(ENOTTY);
        f->subscribed = true;
        f->told = -1;
        return 0;
    case VIDIOC_DQEVENT:
        if (!f->subscribed || f->told == f->readers)
            return fail(ENOENT);
        e->type = EVENT_CLIENT_USAGE;
        memcpy(&e->u, &f->readers, sizeof(uint32_t));
        f->told = f->readers;
        return 0;
    default:
        return fail(ENOTTY);
    }
}

static ssize_t fake_write(void *u, int fd, const void *data, size_t bytes)
{
    fake_device *f = u;
    ssize_t n = (ssize_t)bytes;

    pthread_mutex_lock(&f->lock);
    const bool yuyv = f->loop_fourcc == V4L2_PIX_FMT_YUYV;
    const size_t want = (size_t)f->loop_w * (size_t)f->loop_h * (yuyv ? 4 : 3) / 2;
    const int why = f->loop_error;
    if (fd != FD_LOOP || !f->loop_present) {
        n = -1;
    } else if (why) {
        n = -1;
    } else {
        if (!f->loop_on && f->old_driver)
            f->loop_dead = true;
        f->written++;
        f->short_written += bytes != want;
        if (f->sink)
            f->sink(f->sink_arg, data, bytes, f->loop_fourcc, f->loop_w, f->loop_h);
    }
    pthread_mutex_unlock(&f->lock);
    errno = why ? why : ENODEV;
    return n;
}

/* ---- the calls ---- */

static int fake_open(void *u, const char *path, int flags)
{
    fake_device *f = u;
    int fd = -1, why = ENOENT;

    (void)flags;
    pthread_mutex_lock(&f->lock);
    if (strcmp(path, "/dev/video0") == 0 && f->present) {
        fd = f->denied ? -1 : FD_CAMERA;
        why = EACCES;
        f->opens += fd >= 0;
        f->open_now += fd >= 0;
    } else if (strcmp(path, "/dev/video1") == 0) {
        fd = FD_META;
    } else if (strcmp(path, "/dev/video2") == 0) {
        fd = FD_ODD;
    } else if (strcmp(path, "/dev/video10") == 0 && f->loop_present) {
        fd = f->loop_open ? -1 : FD_LOOP;
        why = EBUSY;
        f->loop_open |= fd >= 0;
    }
    pthread_mutex_unlock(&f->lock);
    errno = why;
    return fd;
}

static int fake_close(void *u, int fd)
{
    fake_device *f = u;

    pthread_mutex_lock(&f->lock);
    if (fd == FD_CAMERA) {
        f->streaming = false;
        f->open_now--;
    }
    if (fd == FD_LOOP)
        f->loop_open = f->loop_on = f->subscribed = false;
    pthread_mutex_unlock(&f->lock);
    return 0;
}

/* The nodes that are no use. */
static int other_ioctl(int fd, unsigned long request_code, void *arg)
{
    struct v4l2_capability *c = arg;
    struct v4l2_fmtdesc *d = arg;

    if (request_code == VIDIOC_QUERYCAP) {
        snprintf((char *)c->card, sizeof c->card, fd == FD_META ? "Fake Camera" : "Odd");
        c->capabilities = V4L2_CAP_DEVICE_CAPS | V4L2_CAP_VIDEO_CAPTURE;
        c->device_caps = V4L2_CAP_STREAMING |
                         (fd == FD_META ? V4L2_CAP_META_CAPTURE : V4L2_CAP_VIDEO_CAPTURE);
        return 0;
    }
    if (request_code == VIDIOC_ENUM_FMT && fd == FD_ODD && d->index == 0) {
        d->pixelformat = V4L2_PIX_FMT_H264;
        return 0;
    }
    return fail(EINVAL);
}

static int fake_ioctl(void *u, int fd, unsigned long request_code, void *arg)
{
    fake_device *f = u;
    int r;

    pthread_mutex_lock(&f->lock);
    r = fd == FD_CAMERA ? camera_ioctl(f, request_code, arg)
        : fd == FD_LOOP ? loop_ioctl(f, request_code, arg)
                        : other_ioctl(fd, request_code, arg);
    const int why = errno;
    pthread_mutex_unlock(&f->lock);
    errno = why;
    return r;
}

static void *fake_mmap(void *u, size_t bytes, int prot, int flags, int fd, int64_t offset)
{
    fake_device *f = u;

    (void)bytes;
    (void)prot;
    (void)flags;
    (void)fd;
    return f->buffer[offset / 4096 % FAKE_BUFFERS];
}

static int fake_munmap(void *u, void *p, size_t bytes)
{
    (void)u;
    (void)p;
    (void)bytes;
    return 0;
}

static void nap(double seconds)
{
    struct timespec t = { (time_t)seconds,
                          (long)(1e9 * (seconds - (double)(time_t)seconds)) };
    nanosleep(&t, NULL);
}

/* POLLIN when a frame is due; the lock is not held while waiting. */
static int fake_poll(void *u, int fd, short events, short *revents, int timeout_ms)
{
    fake_device *f = u;
    const double end = vbg_now() + timeout_ms / 1000.0;

    for (;;) {
        pthread_mutex_lock(&f->lock);
        const bool camera = fd == FD_CAMERA, gone = camera && !f->present;
        const double due = f->due;
        bool ready =
            camera && f->streaming && !f->stalled && (f->fps <= 0 || due <= vbg_now());
        if (fd == FD_LOOP)
            ready = f->subscribed && f->told != f->readers;
        pthread_mutex_unlock(&f->lock);
        *revents = gone ? POLLERR : ready ? events : 0;
        if (gone || ready)
            return 1;
        const double now = vbg_now();
        if (now >= end)
            return 0;
        double wait = due > now && due < end ? due - now : end - now;
        nap(wait > 0.002 ? (wait < 0.02 ? wait : 0.02) : 0.0005);
    }
}

enum { FD_WATCH = 1020 };

static int fake_watch(void *u, const char *path)
{
    (void)u;
    (void)path;
    return FD_WATCH;
}

static bool fake_stirred(void *u, int watch)
{
    fake_device *f = u;

    (void)watch;
    pthread_mutex_lock(&f->lock);
    const bool any = f->stirs_told != f->stirs;
    f->stirs_told = f->stirs;
    pthread_mutex_unlock(&f->lock);
    return any;
}

static int fake_holders(void *u, const char *path)
{
    fake_device *f = u;

    (void)path;
    pthread_mutex_lock(&f->lock);
    const int n = f->holders;
    pthread_mutex_unlock(&f->lock);
    return n;
}

void fake_device_hold(fake_device *f, int holders)
{
    pthread_mutex_lock(&f->lock);
    f->holders = holders;
    f->stirs++;
    pthread_mutex_unlock(&f->lock);
}

static int fake_list(void *u, char (*path)[64], int cap)
{
    fake_device *f = u;
    int n = 0;

    pthread_mutex_lock(&f->lock);
    if (f->present && n < cap)
        snprintf(path[n++], 64, "/dev/video0");
    if (n < cap)
        snprintf(path[n++], 64, "/dev/video1");
    if (n < cap && !f->no_odd)
        snprintf(path[n++], 64, "/dev/video2");
    if (f->loop_present && n < cap)
        snprintf(path[n++], 64, "/dev/video10");
    pthread_mutex_unlock(&f->lock);
    return n;
}

void fake_device_init(fake_device *f)
{
    *f = (fake_device){
        .device = { .open = fake_open,
                    .close = fake_close,
                    .ioctl = fake_ioctl,
                    .mmap = fake_mmap,
                    .munmap = fake_munmap,
                    .poll = fake_poll,
                    .write = fake_write,
                    .list = fake_list,
                    .watch = fake_watch,
                    .stirred = fake_stirred,
                    .holders = fake_holders,
                    .u = f },
        .modes = { { V4L2_PIX_FMT_YUYV, 640, 480, 30, 1 },
                   { V4L2_PIX_FMT_YUYV, 1280, 720, 10, 1 },
                   { V4L2_PIX_FMT_MJPEG, 640, 480, 30, 1 },
                   { V4L2_PIX_FMT_MJPEG, 1280, 720, 30, 1 } },
        .mode_count = 4,
        .present = true,
        .loop_present = true,
        .old_driver = true,
    };
    pthread_mutex_init(&f->lock, NULL);
}

void fake_device_free(fake_device *f)
{
    drop_cycle(f);
    for (int i = 0; i < FAKE_BUFFERS; i++)
        free(f->buffer[i]);
    pthread_mutex_destroy(&f->lock);
}

void fake_device_break(fake_device *f, fake_fault fault, int count)
{
    pthread_mutex_lock(&f->lock);
    f->fault = fault;
    f->fault_count = count;
    pthread_mutex_unlock(&f->lock);
}

void fake_device_plug(fake_device *f, bool present)
{
    pthread_mutex_lock(&f->lock);
    f->present = present;
    pthread_mutex_unlock(&f->lock);
}

void fake_device_stall(fake_device *f, bool stalled)
{
    pthread_mutex_lock(&f->lock);
    f->stalled = stalled;
    pthread_mutex_unlock(&f->lock);
}
