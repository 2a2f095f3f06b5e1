/* Writing to a v4l2loopback node. */
#define _GNU_SOURCE
#include "video/loopback.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "video/frame_scale.h"

/* v4l2loopback.h, 0.13 and newer: a private event with the number of readers. */
#define EVENT_CLIENT_USAGE (V4L2_EVENT_PRIVATE_START + 0x08E00000 + 1)

struct vbg_loopback {
    const vbg_device *d;
    int fd;
    char path[64];
    vbg_loopback_info info;
    size_t stride, bytes; /* of what is written */
    uint8_t *packed;
    vbg_frame scaled;
    vbg_frame_scaler *scaler;
    bool streaming, tells, known;
    int readers;
    int watch;  /* -1: the driver tells, or nothing does */
    double due; /* when to look who holds it; 0: when something stirs */
};

/* Who only asks what a device can do has closed it again by then; who stays is a reader
 * and is looked at again now and then, should a close be missed. */
static const double probe_s = 0.15, again_s = 2;

static int control(vbg_loopback *l, unsigned long request, void *arg)
{
    return vbg_device_ioctl(l->d, l->fd, request, arg);
}

static vbg_status explain(const char *path, int why, vbg_err *err)
{
    if (why == ENOENT || why == ENODEV || why == ENXIO)
        return vbg_fail(
            err, VBG_EIO,
            "%s: no such device; load the virtual camera: " VBG_LOOPBACK_MODPROBE, path);
    if (why == EACCES || why == EPERM)
        return vbg_fail(err, VBG_EIO,
                        "%s: no permission; sudo usermod -aG video $USER, then log in "
                        "again",
                        path);
    if (why == EBUSY)
        return vbg_fail(err, VBG_EIO,
                        "%s: another program writes to it; close that one (fuser %s)",
                        path, path);
    return vbg_fail(err, VBG_EIO, "%s: %s", path, strerror(why));
}

/* Is it one at all, and free? */
static vbg_status check_node(vbg_loopback *l, vbg_err *err)
{
    vbg_camera_name name;

    if (!vbg_camera_query(&name, l->d, l->fd))
        return vbg_fail(err, VBG_EUSAGE,
                        "%s: is no video device; make one: " VBG_LOOPBACK_MODPROBE,
                        l->path);
    snprintf(l->info.card, sizeof l->info.card, "%s", name.card);
    if (name.output)
        return VBG_OK;
    if (strcmp(name.driver, "v4l2 loopback") != 0)
        return vbg_fail(err, VBG_EUSAGE,
                        "%s: '%s' is a real camera, not a virtual one; make "
                        "one: " VBG_LOOPBACK_MODPROBE,
                        l->path, name.card);
    return vbg_fail(
        err, VBG_EIO,
        "%s: another program writes to it, or it is stuck; close that "
        "program, or: sudo modprobe -r v4l2loopback && " VBG_LOOPBACK_MODPROBE,
        l->path);
}

/* The bytes that one written frame has. */
static void lay_out(vbg_loopback *l, uint32_t bytesperline)
{
    const size_t w = (size_t)l->info.w, h = (size_t)l->info.h, ch = (h + 1) / 2;

    if (l->info.fourcc == V4L2_PIX_FMT_YUYV) {
        l->stride = bytesperline >= 2 * w ? bytesperline : (w + 1) / 2 * 4;
        l->bytes = l->stride * h;
    } else {
        l->stride = bytesperline >= w ? bytesperline : w;
        l->bytes = l->stride * h + 2 * ((l->stride + 1) / 2) * ch;
    }
}

/* Reads the answer of S_FMT: the driver may have kept what a reader holds. */
static vbg_status set_format(vbg_loopback *l, int w, int h, vbg_err *err)
{
    struct v4l2_format f = { .type = V4L2_BUF_TYPE_VIDEO_OUTPUT };
    struct v4l2_pix_format *p = &f.fmt.pix;
    char text[5];

    p->width = (uint32_t)w;
    p->height = (uint32_t)h;
    p->pixelformat = V4L2_PIX_FMT_YUYV;
    p->field = V4L2_FIELD_NONE;
    p->bytesperline = 2 * (uint32_t)w;
    p->sizeimage = 2 * (uint32_t)w * (uint32_t)h;
    p->colorspace = V4L2_COLORSPACE_SRGB;
    if (control(l, VIDIOC_S_FMT, &f) != 0) {
        const int why = errno;
        f = (struct v4l2_format){ .type = V4L2_BUF_TYPE_VIDEO_OUTPUT };
        if (control(l, VIDIOC_G_FMT, &f) != 0)
            return explain(l->path, why, err);
    }
    if ((p->pixelformat != V4L2_PIX_FMT_YUYV && p->pixelformat != V4L2_PIX_FMT_YUV420 &&
         p->pixelformat != V4L2_PIX_FMT_NV12) ||
        p->width < 16 || p->height < 16 || p->width > VBG_VIDEO_MAX_SIDE ||
        p->height > VBG_VIDEO_MAX_SIDE)
        return vbg_fail(err, VBG_EUNSUPPORTED,
                        "%s: a reader holds it at %s %ux%u; close the program that reads "
                        "it (fuser %s)",
                        l->path, vbg_fourcc_text(text, p->pixelformat), p->width,
                        p->height, l->path);
    l->info.kept = p->pixelformat != V4L2_PIX_FMT_YUYV || p->width != (uint32_t)w ||
                   p->height != (uint32_t)h;
    l->info.fourcc = p->pixelformat;
    l->info.w = (int)p->width;
    l->info.h = (int)p->height;
    lay_out(l, p->bytesperline);
    return VBG_OK;
}

static void set_rate(vbg_loopback *l, double fps)
{
    struct v4l2_streamparm s = { .type = V4L2_BUF_TYPE_VIDEO_OUTPUT };

    if (!(fps > 0))
        return;
    s.parm.output.timeperframe.numerator = 1000;
    s.parm.output.timeperframe.denominator = (uint32_t)(fps * 1000 + 0.5);
    control(l, VIDIOC_S_PARM, &s); /* a hint for readers */
}

static void subscribe(vbg_loopback *l)
{
    struct v4l2_event_subscription s = { .type = EVENT_CLIENT_USAGE,
                                         .flags = V4L2_EVENT_SUB_FL_SEND_INITIAL };

    l->tells = control(l, VIDIOC_SUBSCRIBE_EVENT, &s) == 0;
    if (!l->tells) {
        l->watch = l->d->watch(l->d->u, l->path);
        l->due = vbg_now();
    }
}

vbg_status vbg_loopback_open(vbg_loopback **out, const vbg_device *d, const char *path,
                             int w, int h, double fps, vbg_err *err)
{
    vbg_loopback *l = vbg_alloc(sizeof *l);
    int type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
    vbg_status st = VBG_OK;

    *out = NULL;
    if (!l)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    l->d = d;
    l->watch = -1;
    snprintf(l->path, sizeof l->path, "%s", path);
    l->fd = d->open(d->u, path, O_RDWR | O_NONBLOCK);
    if (l->fd < 0)
        st = explain(path, errno, err);
    if (st == VBG_OK)
        st = check_node(l, err);
    if (st == VBG_OK) {
        set_rate(l, fps);
        st = set_format(l, w & ~1, h & ~1, err);
    }
    if (st == VBG_OK)
        st = vbg_frame_new(&l->scaled, l->info.w, l->info.h, err);
    if (st == VBG_OK)
        st = vbg_frame_scaler_new(&l->scaler, err);
    if (st == VBG_OK && !(l->packed = vbg_alloc(l->bytes + 64)))
        st = vbg_fail(err, VBG_ENOMEM, "out of memory");
    if (st == VBG_OK) {
        /* EINVAL is 0.15's answer and harmless; 0.12 needs it before the first write */
        l->streaming = control(l, VIDIOC_STREAMON, &type) == 0;
        if (!l->streaming && errno != EINVAL)
            st = explain(path, errno, err);
    }
    if (st == VBG_OK) {
        subscribe(l);
        *out = l;
    } else {
        vbg_loopback_close(l);
    }
    return st;
}

void vbg_loopback_close(vbg_loopback *l)
{
    int type = V4L2_BUF_TYPE_VIDEO_OUTPUT;

    if (!l)
        return;
    if (l->streaming)
        control(l, VIDIOC_STREAMOFF, &type);
    if (l->fd >= 0)
        l->d->close(l->d->u, l->fd);
    if (l->watch >= 0)
        l->d->close(l->d->u, l->watch);
    vbg_frame_free(&l->scaled);
    vbg_frame_scaler_free(l->scaler);
    vbg_free_mem(l->packed);
    vbg_free_mem(l);
}

void vbg_loopback_get_info(const vbg_loopback *l, vbg_loopback_info *info)
{
    *info = l->info;
}

/* ---- frames ---- */

static void pack_yuyv(vbg_loopback *l, const vbg_light_kernels *k, const vbg_yuv *f)
{
    const int pairs = (f->w + 1) / 2; /* of an odd last column: padding */

    for (int y = 0; y < f->h; y++) {
        const uint8_t *s = f->plane[0] + (size_t)y * f->stride[0];
        const uint8_t *u = f->plane[1] + (size_t)(y / 2) * f->stride[1];
        const uint8_t *v = f->plane[2] + (size_t)(y / 2) * f->stride[2];
        k->yuyv(l->packed + (size_t)y * l->stride, s, u, v, (size_t)pairs);
    }
}

static void pack_planar(vbg_loopback *l, const vbg_yuv *f)
{
    const int cw = (f->w + 1) / 2, ch = (f->h + 1) / 2;
    const size_t half = (l->stride + 1) / 2;
    uint8_t *chroma = l->packed + l->stride * (size_t)f->h;

    for (int y = 0; y < f->h; y++)
        memcpy(l->packed + (size_t)y * l->stride, f->plane[0] + (size_t)y * f->stride[0],
               (size_t)f->w);
    for (int y = 0; y < ch; y++) {
        const uint8_t *u = f->plane[1] + (size_t)y * f->stride[1];
        const uint8_t *v = f->plane[2] + (size_t)y * f->stride[2];
        if (l->info.fourcc == V4L2_PIX_FMT_YUV420) {
            memcpy(chroma + (size_t)y * half, u, (size_t)cw);
            memcpy(chroma + (size_t)(ch + y) * half, v, (size_t)cw);
        } else {
            uint8_t *d = chroma + (size_t)y * 2 * half;
            for (int x = 0; x < cw; x++) {
                d[2 * x] = u[x];
                d[2 * x + 1] = v[x];
            }
        }
    }
}

vbg_status vbg_loopback_write(vbg_loopback *l, const vbg_kernels *k,
                              const vbg_out_frame *f, bool *dropped, vbg_err *err)
{
    const vbg_frame *p = vbg_out_frame_pixels(f);

    *dropped = false;
    if (p->yuv.w != l->info.w || p->yuv.h != l->info.h) {
        vbg_status st = vbg_frame_scale(l->scaler, k, &l->scaled, p, err);
        if (st != VBG_OK)
            return st;
        p = &l->scaled;
    }
    if (l->info.fourcc == V4L2_PIX_FMT_YUYV)
        pack_yuyv(l, &k->light, &p->yuv);
    else
        pack_planar(l, &p->yuv);
    for (int tries = 0; tries < 3; tries++) {
        const ssize_t n = l->d->write(l->d->u, l->fd, l->packed, l->bytes);
        if (n >=
            0) { /* a short write is a short frame for the reader: lost, not mended */
            *dropped = (size_t)n != l->bytes;
            return VBG_OK;
        }
        if (errno == EAGAIN) {
            *dropped = true;
            return VBG_OK;
        }
        if (errno != EINTR)
            return explain(l->path, errno, err);
    }
    *dropped = true;
    return VBG_OK;
}

/* For drivers that do not tell. */
static void look_who_holds(vbg_loopback *l)
{
    const double now = vbg_now();

    if (l->d->stirred(l->d->u, l->watch))
        l->due = now + probe_s;
    if (l->due == 0 || now < l->due)
        return;
    l->readers = l->d->holders(l->d->u, l->path);
    l->known = true;
    l->due = l->readers ? now + again_s : 0;
}

bool vbg_loopback_readers(vbg_loopback *l, int *readers)
{
    struct v4l2_event e = { .type = 0 };
    short events = 0;

    while (l->tells && l->d->poll(l->d->u, l->fd, POLLPRI, &events, 0) > 0 &&
           events & POLLPRI && control(l, VIDIOC_DQEVENT, &e) == 0)
        if (e.type == EVENT_CLIENT_USAGE) {
            uint32_t n;
            memcpy(&n, &e.u, sizeof n);
            l->readers = (int)(n & 0xffff);
            l->known = true;
        }
    if (l->watch >= 0)
        look_who_holds(l);
    *readers = l->readers;
    return l->known;
}
