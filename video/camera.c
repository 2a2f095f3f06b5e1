/* The camera: open, stream, next. */
#define _GNU_SOURCE
#include "video/camera.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include "video/camera_pixels.h"

enum {
    BUFFERS = 4,
    MOST_BUFFERS = 32,
    MOST_BYTES = 256 << 20,
    BAD_IN_A_ROW = 30 /* then the format is taken for changed */
};

typedef struct mapping {
    void *data;
    size_t bytes;
    bool queued;
} mapping;

struct vbg_camera {
    const vbg_device *d;
    int fd;
    vbg_camera_info info;
    vbg_camera_layout layout;
    vbg_camera_decoder *decoder;
    mapping buffer[MOST_BUFFERS];
    int buffers;
    size_t frame_bytes; /* sizeimage */
    bool streaming;
    int bad;
    char path[64];
};

static int control(vbg_camera *c, unsigned long request, void *arg)
{
    return vbg_device_ioctl(c->d, c->fd, request, arg);
}

vbg_status vbg_camera_explain(const char *path, int why, vbg_err *err)
{
    if (why == EBUSY)
        return vbg_fail(err, VBG_EIO,
                        "%s: another program holds the camera; close it (fuser %s)", path,
                        path);
    if (why == EACCES || why == EPERM)
        return vbg_fail(err, VBG_EIO,
                        "%s: no permission; sudo usermod -aG video $USER, then log in "
                        "again",
                        path);
    if (why == ENOENT || why == ENODEV || why == ENXIO)
        return vbg_fail(err, VBG_EIO, "%s: no such camera; vbg-run --list-cameras", path);
    return vbg_fail(err, VBG_EIO, "%s: %s", path, strerror(why));
}

/* ---- opening ---- */

static vbg_status no_known_format(const vbg_camera *c, const vbg_camera_mode *modes,
                                  int n, vbg_err *err)
{
    char list[80] = "";
    size_t used = 0;
    uint32_t last = 0;

    for (int i = 0; i < n && used + 8 < sizeof list; i++) {
        char text[5];
        if (modes[i].fourcc == last)
            continue;
        last = modes[i].fourcc;
        used += (size_t)snprintf(list + used, sizeof list - used, " %s",
                                 vbg_fourcc_text(text, last));
    }
    return vbg_fail(err, VBG_EUNSUPPORTED,
                    "%s: offers%s, but MJPG, YUYV, NV12 or YU12 are wanted; use another "
                    "camera or --input-format",
                    c->path, list[0] ? list : " no format");
}

/* Asks for the mode and takes what the driver gives back. */
static vbg_status set_format(vbg_camera *c, const vbg_camera_mode *m, vbg_err *err)
{
    struct v4l2_format f = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };
    struct v4l2_pix_format *p = &f.fmt.pix;

    p->pixelformat = m->fourcc;
    p->width = m->w ? (uint32_t)m->w : 1280;
    p->height = m->h ? (uint32_t)m->h : 720;
    p->field = V4L2_FIELD_NONE;
    if (control(c, VIDIOC_S_FMT, &f) != 0)
        return vbg_camera_explain(c->path, errno, err);
    char text[5];
    if (!vbg_camera_format_known(p->pixelformat))
        return vbg_fail(err, VBG_EUNSUPPORTED, "%s: gives %s instead of what it offered",
                        c->path, vbg_fourcc_text(text, p->pixelformat));
    if (p->width < 16 || p->height < 16 || p->width > VBG_VIDEO_MAX_SIDE ||
        p->height > VBG_VIDEO_MAX_SIDE ||
        (uint64_t)p->width * p->height > VBG_VIDEO_MAX_PIXELS)
        return vbg_fail(err, VBG_EUNSUPPORTED, "%s: gives frames of %ux%u", c->path,
                        p->width, p->height);
    c->info.mode.fourcc = p->pixelformat;
    c->info.mode.w = (int)p->width;
    c->info.mode.h = (int)p->height;
    const uint32_t least = p->pixelformat == V4L2_PIX_FMT_YUYV ? 2 * p->width : p->width;
    const bool jpeg =
        p->pixelformat == V4L2_PIX_FMT_MJPEG || p->pixelformat == V4L2_PIX_FMT_JPEG;
    c->layout = (vbg_camera_layout){
        .fourcc = p->pixelformat,
        .w = (int)p->width,
        .h = (int)p->height,
        .stride = p->bytesperline ? p->bytesperline : least,
        .full_range = p->quantization == V4L2_QUANTIZATION_FULL_RANGE ||
                      p->colorspace == V4L2_COLORSPACE_JPEG,
    };
    c->frame_bytes = p->sizeimage;
    if (!jpeg && (c->layout.stride < least || c->layout.stride > 16 * (size_t)least))
        return vbg_fail(err, VBG_EUNSUPPORTED,
                        "%s: gives rows of %zu bytes for %u pixels", c->path,
                        c->layout.stride, p->width);
    if (c->frame_bytes > MOST_BYTES)
        return vbg_fail(err, VBG_EUNSUPPORTED, "%s: gives frames of %zu bytes", c->path,
                        c->frame_bytes);
    return vbg_camera_decoder_new(&c->decoder, &c->layout, err);
}

/* The rate is a wish; what the driver answers counts. */
static void set_rate(vbg_camera *c, double fps)
{
    struct v4l2_streamparm s = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };
    struct v4l2_fract *t = &s.parm.capture.timeperframe;
    vbg_camera_mode *m = &c->info.mode;

    if (fps > 0 && (m->rate_num == 0 || fps < (double)m->rate_num / m->rate_den)) {
        t->numerator = 1000;
        t->denominator = (uint32_t)(fps * 1000 + 0.5);
    } else {
        t->numerator = (uint32_t)m->rate_den;
        t->denominator = (uint32_t)m->rate_num;
    }
    if (t->denominator == 0)
        return;
    if (control(c, VIDIOC_S_PARM, &s) == 0 && t->numerator > 0 && t->denominator > 0 &&
        t->numerator < 1000000000 && t->denominator < 1000000000) {
        m->rate_num = (int)t->denominator;
        m->rate_den = (int)t->numerator;
    }
}

static vbg_status map_buffers(vbg_camera *c, vbg_err *err)
{
    struct v4l2_requestbuffers r = { .count = BUFFERS,
                                     .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
                                     .memory = V4L2_MEMORY_MMAP };

    if (control(c, VIDIOC_REQBUFS, &r) != 0)
        return vbg_camera_explain(c->path, errno, err);
    if (r.count < 2 || r.count > MOST_BUFFERS)
        return vbg_fail(err, VBG_EIO, "%s: grants %u buffers", c->path, r.count);
    for (uint32_t i = 0; i < r.count; i++) {
        struct v4l2_buffer b = { .index = i,
                                 .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
                                 .memory = V4L2_MEMORY_MMAP };
        if (control(c, VIDIOC_QUERYBUF, &b) != 0)
            return vbg_camera_explain(c->path, errno, err);
        if (b.length == 0 || b.length > MOST_BYTES ||
            b.length < vbg_camera_frame_bytes(&c->layout))
            return vbg_fail(err, VBG_EIO, "%s: a buffer of %u bytes", c->path, b.length);
        void *p = c->d->mmap(c->d->u, b.length, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd,
                             (int64_t)b.m.offset);
        if (p == MAP_FAILED)
            return vbg_camera_explain(c->path, errno, err);
        c->buffer[c->buffers++] = (mapping){ .data = p, .bytes = b.length };
    }
    return VBG_OK;
}

static bool queue(vbg_camera *c, uint32_t index)
{
    struct v4l2_buffer b = { .index = index,
                             .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
                             .memory = V4L2_MEMORY_MMAP };

    c->buffer[index].queued = control(c, VIDIOC_QBUF, &b) == 0;
    return c->buffer[index].queued;
}

static vbg_status start(vbg_camera *c, vbg_err *err)
{
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;

    for (int i = 0; i < c->buffers; i++)
        if (!queue(c, (uint32_t)i))
            return vbg_camera_explain(c->path, errno, err);
    if (control(c, VIDIOC_STREAMON, &type) != 0)
        return vbg_camera_explain(c->path, errno, err);
    c->streaming = true;
    return VBG_OK;
}

static vbg_status choose(vbg_camera *c, const vbg_camera_want *want, vbg_err *err)
{
    vbg_camera_mode *modes = vbg_alloc(VBG_CAMERA_MODES * sizeof *modes);
    vbg_status st = VBG_OK;

    if (!modes)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    const int n = vbg_camera_modes(modes, c->d, c->fd);
    const int best = vbg_camera_choose(modes, n, want, c->info.why, sizeof c->info.why);
    if (best < 0) {
        st = no_known_format(c, modes, n, err);
    } else {
        c->info.mode = modes[best];
        if (c->info.mode.w == 0) { /* the driver names no sizes */
            c->info.mode.w = want->w ? want->w : 1280;
            c->info.mode.h = want->h ? want->h : 720;
        }
    }
    vbg_free_mem(modes);
    return st;
}

/* Opened and its mode chosen. */
static vbg_status take_node(vbg_camera *c, const vbg_device *d, const char *path,
                            const vbg_camera_want *want, vbg_err *err)
{
    c->d = d;
    snprintf(c->path, sizeof c->path, "%s", path);
    c->fd = d->open(d->u, path, O_RDWR | O_NONBLOCK);
    if (c->fd < 0)
        return vbg_camera_explain(path, errno, err);
    if (!vbg_camera_query(&c->info.name, d, c->fd))
        return vbg_fail(err, VBG_EUSAGE, "%s: is no video device", path);
    if (!c->info.name.capture || !c->info.name.streaming)
        return vbg_fail(err, VBG_EUSAGE,
                        "%s: this node of '%s' gives no pictures; vbg-run "
                        "--list-cameras shows those that do",
                        path, c->info.name.card);
    return choose(c, want, err);
}

vbg_status vbg_camera_probe(vbg_camera_info *info, const vbg_device *d, const char *path,
                            const vbg_camera_want *want, vbg_err *err)
{
    vbg_camera c = { .fd = -1 };
    vbg_status st = take_node(&c, d, path, want, err);

    if (c.fd >= 0)
        d->close(d->u, c.fd);
    *info = c.info;
    return st;
}

vbg_status vbg_camera_open(vbg_camera **out, const vbg_device *d, const char *path,
                           const vbg_camera_want *want, vbg_err *err)
{
    vbg_camera *c = vbg_alloc(sizeof *c);
    vbg_status st;

    *out = NULL;
    if (!c)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    st = take_node(c, d, path, want, err);
    if (st == VBG_OK) {
        const vbg_camera_mode m = c->info.mode;
        st = set_format(c, &m, err);
    }
    if (st == VBG_OK) {
        set_rate(c, want->fps);
        st = map_buffers(c, err);
    }
    if (st == VBG_OK)
        st = start(c, err);
    if (st == VBG_OK)
        *out = c;
    else
        vbg_camera_close(c);
    return st;
}

void vbg_camera_close(vbg_camera *c)
{
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;

    if (!c)
        return;
    if (c->streaming)
        control(c, VIDIOC_STREAMOFF, &type);
    for (int i = 0; i < c->buffers; i++)
        c->d->munmap(c->d->u, c->buffer[i].data, c->buffer[i].bytes);
    if (c->fd >= 0)
        c->d->close(c->d->u, c->fd);
    vbg_camera_decoder_free(c->decoder);
    vbg_free_mem(c);
}

void vbg_camera_get_info(const vbg_camera *c, vbg_camera_info *info)
{
    *info = c->info;
}

/* ---- frames ---- */

static vbg_camera_event gone(const vbg_camera *c, vbg_err *err, const char *what)
{
    vbg_fail(err, VBG_EIO, "%s: %s", c->path, what);
    return VBG_CAMERA_GONE;
}

/* A lost frame; too many in a row, and the camera is something else by now. */
static vbg_camera_event lost(vbg_camera *c, vbg_err *err)
{
    return ++c->bad > BAD_IN_A_ROW ? gone(c, err, "sends nothing that can be read")
                                   : VBG_CAMERA_DAMAGED;
}

static vbg_camera_event take(vbg_camera *c, const vbg_kernels *k,
                             const struct v4l2_buffer *b, vbg_frame *f, vbg_err *err)
{
    const mapping *m = &c->buffer[b->index];

    if (b->flags & V4L2_BUF_FLAG_ERROR) {
        vbg_fail(err, VBG_EIO, "%s: the driver marks a frame as damaged", c->path);
        return lost(c, err);
    }
    if (b->bytesused == 0 || b->bytesused > m->bytes) {
        vbg_fail(err, VBG_EIO, "%s: a frame of %u bytes", c->path, b->bytesused);
        return lost(c, err);
    }
    if (vbg_camera_decode(c->decoder, k, f, m->data, b->bytesused, err) != VBG_OK)
        return lost(c, err);
    c->bad = 0;
    return VBG_CAMERA_FRAME;
}

vbg_camera_event vbg_camera_next(vbg_camera *c, const vbg_kernels *k, vbg_frame *f,
                                 int timeout_ms, vbg_err *err)
{
    struct v4l2_buffer b = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
                             .memory = V4L2_MEMORY_MMAP };
    short events = 0;
    const int ready = c->d->poll(c->d->u, c->fd, POLLIN, &events, timeout_ms);

    if (ready < 0)
        return errno == EINTR ? VBG_CAMERA_NOTHING : gone(c, err, strerror(errno));
    if (ready == 0)
        return VBG_CAMERA_NOTHING;
    if (control(c, VIDIOC_DQBUF, &b) != 0) {
        if (errno == EAGAIN)
            return events & POLLERR ? gone(c, err, "stopped") : VBG_CAMERA_NOTHING;
        if (errno != EIO)
            return gone(c, err, strerror(errno));
        vbg_fail(err, VBG_EIO, "%s: %s", c->path, strerror(EIO));
        return lost(c, err); /* a passing disturbance; the driver keeps the buffer */
    }
    const double now = vbg_now();
    if (b.index >= (uint32_t)c->buffers || !c->buffer[b.index].queued)
        return gone(c, err, "the driver hands out a buffer that it does not hold");
    c->buffer[b.index].queued = false;
    vbg_camera_event e = take(c, k, &b, f, err);
    f->time_s = now;
    if (!queue(c, b.index))
        return gone(c, err, strerror(errno));
    return e;
}

/* ---- names ---- */

vbg_status vbg_camera_find(char path[64], const vbg_device *d, const char *text,
                           vbg_err *err)
{
    char all[64][64], shown[200] = "";
    size_t used = 0;
    const int n = d->list(d->u, all, 64);

    if (text[0] == '/') {
        if ((size_t)snprintf(path, 64, "%s", text) >= 64)
            return vbg_fail(err, VBG_EUSAGE, "%.80s: no such camera", text);
        return VBG_OK;
    }
    if (*text && strlen(text) < 4 && strspn(text, "0123456789") == strlen(text)) {
        snprintf(path, 64, "/dev/video%s", text);
        return VBG_OK;
    }
    for (int i = 0; i < n; i++) {
        vbg_camera_name name;
        const int fd = d->open(d->u, all[i], O_RDWR | O_NONBLOCK);
        const bool ok = fd >= 0 && vbg_camera_query(&name, d, fd) && name.capture;
        if (fd >= 0)
            d->close(d->u, fd);
        if (!ok)
            continue;
        if (*text && strcasestr(name.card, text)) {
            memcpy(path, all[i], 64);
            return VBG_OK;
        }
        if (used + 64 < sizeof shown)
            used += (size_t)snprintf(shown + used, sizeof shown - used, "%s'%.40s'",
                                     used ? ", " : "", name.card);
    }
    return vbg_fail(err, VBG_EUSAGE, "no camera is called '%.60s'; there %s %s", text,
                    used ? "are" : "is", used ? shown : "none");
}
