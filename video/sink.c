/* Sinks: virtual camera, stream, function. */
#define _GNU_SOURCE
#include "video/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "video/loopback.h"
#include "video/y4m.h"

void vbg_sink_close(vbg_sink *s)
{
    if (s)
        s->class->close(s);
}

/* ---- virtual camera ---- */

typedef struct loopback_sink {
    vbg_sink base;
    const vbg_device *d;
    vbg_loopback *node;
    char path[64];
    int w, h;
    double fps;
} loopback_sink;

static vbg_status loopback_write(vbg_sink *s, const vbg_kernels *k,
                                 const vbg_out_frame *f, bool *dropped, vbg_err *err)
{
    loopback_sink *l = (loopback_sink *)s;
    vbg_status st = vbg_loopback_write(l->node, k, f, dropped, err);

    if (st != VBG_OK) {
        vbg_loopback_close(l->node);
        l->node = NULL;
    }
    return st;
}

static vbg_status loopback_reopen(vbg_sink *s, vbg_err *err)
{
    loopback_sink *l = (loopback_sink *)s;

    return vbg_loopback_open(&l->node, l->d, l->path, l->w, l->h, l->fps, err);
}

static bool loopback_readers(vbg_sink *s, int *n)
{
    loopback_sink *l = (loopback_sink *)s;

    return l->node && vbg_loopback_readers(l->node, n);
}

static void loopback_close(vbg_sink *s)
{
    loopback_sink *l = (loopback_sink *)s;

    vbg_loopback_close(l->node);
    vbg_free_mem(l);
}

vbg_status vbg_sink_loopback(vbg_sink **out, const vbg_device *d, const char *path, int w,
                             int h, double fps, vbg_err *err)
{
    static const vbg_sink_class class = { .write = loopback_write,
                                          .reopen = loopback_reopen,
                                          .readers = loopback_readers,
                                          .close = loopback_close };
    loopback_sink *l = vbg_alloc(sizeof *l);

    *out = NULL;
    if (!l)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    *l = (loopback_sink){
        .base = { .class = &class }, .d = d, .w = w, .h = h, .fps = fps
    };
    snprintf(l->path, sizeof l->path, "%s", path);
    l->base.name = l->path;
    vbg_status st = loopback_reopen(&l->base, err);
    if (st == VBG_OK)
        *out = &l->base;
    else
        loopback_close(&l->base);
    return st;
}

/* ---- stream ---- */

typedef struct stream_sink {
    vbg_sink base;
    int fd, flags;
    uint8_t *data; /* one frame as it is written */
    size_t head, bytes, left;
    char header[128];
    size_t header_left;
} stream_sink;

/* Whatever the reader takes now; *stuck: it takes nothing within the time. */
static vbg_status push(stream_sink *s, const uint8_t *data, size_t n, size_t *done,
                       int timeout_ms, vbg_err *err)
{
    *done = 0;
    while (*done < n) {
        const ssize_t r = write(s->fd, data + *done, n - *done);
        if (r > 0) {
            *done += (size_t)r;
        } else if (r < 0 && errno == EAGAIN) {
            struct pollfd p = { .fd = s->fd, .events = POLLOUT };
            if (poll(&p, 1, timeout_ms) == 0)
                return VBG_OK;
        } else if (r < 0 && errno == EPIPE) {
            return vbg_fail(err, VBG_ECANCEL, "standard output: the reader is gone");
        } else if (r < 0 && errno != EINTR) {
            return vbg_fail(err, VBG_EIO, "standard output: %s", strerror(errno));
        }
    }
    return VBG_OK;
}

static uint8_t *put_plane(uint8_t *d, const vbg_yuv *v, int p)
{
    const int w = p ? (v->w + 1) / 2 : v->w, h = p ? (v->h + 1) / 2 : v->h;

    for (int y = 0; y < h; y++, d += w)
        memcpy(d, v->plane[p] + (size_t)y * v->stride[p], (size_t)w);
    return d;
}

/* Y U V A, all of full size. */
static void put_wide(uint8_t *d, const vbg_yuv *v, const vbg_picture *alpha)
{
    for (int p = 0; p < 3; p++)
        for (int y = 0; y < v->h; y++, d += v->w)
            vbg_y4m_wide_row(d, v, p, y);
    for (int y = 0; y < v->h; y++, d += v->w)
        memcpy(d, vbg_picture_row(alpha, y), (size_t)v->w);
}

/* A frame that was begun is finished before the next one starts: the stream never loses
 * its step.  A slow reader makes whole frames be dropped. */
static vbg_status stream_write(vbg_sink *b, const vbg_kernels *k, const vbg_out_frame *f,
                               bool *dropped, vbg_err *err)
{
    stream_sink *s = (stream_sink *)b;
    const vbg_yuv *v = &vbg_out_frame_pixels(f)->yuv;
    vbg_status st = VBG_OK;
    size_t done;

    (void)k;
    *dropped = false;
    if (s->header_left) {
        st = push(s, (uint8_t *)s->header + strlen(s->header) - s->header_left,
                  s->header_left, &done, 1000, err);
        s->header_left -= done;
    }
    if (st == VBG_OK && s->left) { /* of the frame before */
        st = push(s, s->data + s->bytes - s->left, s->left, &done, 100, err);
        s->left -= done;
    }
    if (st != VBG_OK || s->left || s->header_left) {
        *dropped = true;
        return st;
    }
    uint8_t *d = s->data + s->head;
    const vbg_picture *alpha = vbg_out_frame_alpha(f);
    if (alpha)
        put_wide(d, v, alpha);
    for (int p = 0; p < 3 && !alpha; p++)
        d = put_plane(d, v, p);
    s->left = s->bytes;
    st = push(s, s->data, s->bytes, &done, 100, err);
    s->left -= done;
    return st;
}

static void stream_close(vbg_sink *b)
{
    stream_sink *s = (stream_sink *)b;
    size_t done;

    if (s->left) /* finish what was begun */
        push(s, s->data + s->bytes - s->left, s->left, &done, 500, NULL);
    fcntl(s->fd, F_SETFL, s->flags);
    vbg_free_mem(s->data);
    vbg_free_mem(s);
}

vbg_status vbg_sink_stream(vbg_sink **out, int fd, vbg_stream_format format,
                           const vbg_video_opt *opt, vbg_err *err)
{
    const size_t w = (size_t)opt->w, h = (size_t)opt->h;
    static const vbg_sink_class class = { .write = stream_write, .close = stream_close };
    stream_sink *s = vbg_alloc(sizeof *s);

    *out = NULL;
    if (!s)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    *s =
        (stream_sink){ .base = { .class = &class, .name = "standard output" }, .fd = fd };
    s->head = format == VBG_STREAM_Y4M ? strlen("FRAME\n") : 0;
    s->bytes =
        s->head + (opt->alpha ? 4 * w * h : w * h + 2 * ((w + 1) / 2) * ((h + 1) / 2));
    s->data = vbg_alloc(s->bytes);
    if (!s->data) {
        vbg_free_mem(s);
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    }
    if (s->head) {
        memcpy(s->data, "FRAME\n", s->head);
        vbg_y4m_header(s->header, sizeof s->header, opt);
        s->header_left = strlen(s->header);
    }
    s->flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, s->flags | O_NONBLOCK);
    *out = &s->base;
    return VBG_OK;
}

/* ---- function ---- */

typedef struct call_sink {
    vbg_sink base;
    vbg_sink_fn *fn;
    void *arg;
} call_sink;

static vbg_status call_write(vbg_sink *b, const vbg_kernels *k, const vbg_out_frame *f,
                             bool *dropped, vbg_err *err)
{
    call_sink *s = (call_sink *)b;

    (void)k;
    (void)err;
    *dropped = false;
    s->fn(s->arg, f);
    return VBG_OK;
}

static void call_close(vbg_sink *b)
{
    vbg_free_mem(b);
}

vbg_status vbg_sink_call(vbg_sink **out, vbg_sink_fn *fn, void *arg, vbg_err *err)
{
    static const vbg_sink_class class = { .write = call_write, .close = call_close };
    call_sink *s = vbg_alloc(sizeof *s);

    *out = NULL;
    if (!s)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    *s = (call_sink){ .base = { .class = &class, .name = "function" },
                      .fn = fn,
                      .arg = arg };
    *out = &s->base;
    return VBG_OK;
}
