/* The PipeWire source.
 *
 * The stream is a driver: every written frame starts one cycle of the graph.  All calls
 * and callbacks are under the thread loop's lock.  Facts: a stream goes from paused to
 * streaming when a consumer is linked and back when it leaves. */
#define _GNU_SOURCE
#include "video/pipewire.h"

#include <string.h>

#ifdef VBG_HAVE_PIPEWIRE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The headers' macros are GNU C. */
#pragma GCC diagnostic ignored "-Wpedantic"
#include <pipewire/pipewire.h>
#include <spa/param/video/format-utils.h>

enum { CONNECT_S = 3 };

typedef struct functions {
    void (*init)(int *, char ***);
    void (*log_level)(enum spa_log_level);
    struct pw_thread_loop *(*loop_new)(const char *, const struct spa_dict *);
    void (*loop_destroy)(struct pw_thread_loop *);
    struct pw_loop *(*loop_get)(struct pw_thread_loop *);
    int (*loop_start)(struct pw_thread_loop *);
    void (*loop_stop)(struct pw_thread_loop *);
    void (*lock)(struct pw_thread_loop *);
    void (*unlock)(struct pw_thread_loop *);
    int (*wait)(struct pw_thread_loop *, int);
    void (*signal)(struct pw_thread_loop *, bool);
    struct pw_properties *(*properties)(const char *, ...);
    struct pw_stream *(*stream_new)(struct pw_loop *, const char *,
                                    struct pw_properties *,
                                    const struct pw_stream_events *, void *);
    void (*stream_destroy)(struct pw_stream *);
    int (*connect)(struct pw_stream *, enum pw_direction, uint32_t, enum pw_stream_flags,
                   const struct spa_pod **, uint32_t);
    int (*update)(struct pw_stream *, const struct spa_pod **, uint32_t);
    struct pw_buffer *(*dequeue)(struct pw_stream *);
    int (*queue)(struct pw_stream *, struct pw_buffer *);
    int (*trigger)(struct pw_stream *);
} functions;

typedef struct source {
    vbg_sink base;
    void *library;
    functions f;
    char name[64];
    int w, h;
    double fps;
    struct pw_thread_loop *loop;
    struct pw_stream *stream;
    /* under the loop's lock */
    enum pw_stream_state state;
    uint32_t format;      /* SPA_VIDEO_FORMAT_I420 or YUY2; 0: not agreed */
    const vbg_yuv *shown; /* during a cycle: what the buffer gets */
    bool failed;
    char why[160];
} source;

/* Every function or none.  (A function pointer comes out of dlsym as an object's.) */
static bool bind(source *s)
{
    functions *f = &s->f;
    const struct {
        const char *name;
        void *to;
    } names[] = { { "pw_init", &f->init },
                  { "pw_log_set_level", &f->log_level },
                  { "pw_thread_loop_new", &f->loop_new },
                  { "pw_thread_loop_destroy", &f->loop_destroy },
                  { "pw_thread_loop_get_loop", &f->loop_get },
                  { "pw_thread_loop_start", &f->loop_start },
                  { "pw_thread_loop_stop", &f->loop_stop },
                  { "pw_thread_loop_lock", &f->lock },
                  { "pw_thread_loop_unlock", &f->unlock },
                  { "pw_thread_loop_timed_wait", &f->wait },
                  { "pw_thread_loop_signal", &f->signal },
                  { "pw_properties_new", &f->properties },
                  { "pw_stream_new_simple", &f->stream_new },
                  { "pw_stream_destroy", &f->stream_destroy },
                  { "pw_stream_connect", &f->connect },
                  { "pw_stream_update_params", &f->update },
                  { "pw_stream_dequeue_buffer", &f->dequeue },
                  { "pw_stream_queue_buffer", &f->queue },
                  { "pw_stream_trigger_process", &f->trigger } };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *p = dlsym(s->library, names[i].name);
        if (!p)
            return false;
        memcpy(names[i].to, &p, sizeof p);
    }
    return true;
}

static size_t stride_of(const source *s)
{
    return (size_t)s->w * (s->format == SPA_VIDEO_FORMAT_YUY2 ? 2 : 1);
}

static size_t bytes_of(const source *s)
{
    const size_t pixels = (size_t)s->w * (size_t)s->h;

    return s->format == SPA_VIDEO_FORMAT_YUY2 ? 2 * pixels : pixels * 3 / 2;
}

/* ---- callbacks, under the lock ---- */

static void on_state(void *arg, enum pw_stream_state old, enum pw_stream_state state,
                     const char *error)
{
    source *s = arg;

    (void)old;
    s->state = state;
    if (state == PW_STREAM_STATE_ERROR || state == PW_STREAM_STATE_UNCONNECTED) {
        s->failed = true;
        snprintf(s->why, sizeof s->why, "%s", error ? error : "the daemon is gone");
    }
    s->f.signal(s->loop, false);
}

/* The consumer has chosen: tell the buffers that go with it. */
static void on_param(void *arg, uint32_t id, const struct spa_pod *param)
{
    source *s = arg;
    struct spa_video_info_raw info = { 0 };
    uint8_t memory[512];
    struct spa_pod_builder b = SPA_POD_BUILDER_INIT(memory, sizeof memory);
    const struct spa_pod *params[1];

    if (id != SPA_PARAM_Format)
        return;
    s->format = 0;
    if (!param || spa_format_video_raw_parse(param, &info) < 0 ||
        (info.format != SPA_VIDEO_FORMAT_I420 && info.format != SPA_VIDEO_FORMAT_YUY2))
        return;
    s->format = info.format;
    params[0] = spa_pod_builder_add_object(
        &b, SPA_TYPE_OBJECT_ParamBuffers, SPA_PARAM_Buffers, SPA_PARAM_BUFFERS_buffers,
        SPA_POD_CHOICE_RANGE_Int(4, 2, 8), SPA_PARAM_BUFFERS_blocks, SPA_POD_Int(1),
        SPA_PARAM_BUFFERS_size, SPA_POD_Int((int)bytes_of(s)), SPA_PARAM_BUFFERS_stride,
        SPA_POD_Int((int)stride_of(s)));
    s->f.update(s->stream, params, 1);
}

static uint8_t *put_plane(uint8_t *d, const vbg_yuv *v, int p)
{
    const size_t w = (size_t)(p ? v->w / 2 : v->w);

    for (int y = 0; y < (p ? v->h / 2 : v->h); y++, d += w)
        memcpy(d, v->plane[p] + (size_t)y * v->stride[p], w);
    return d;
}

static void put_yuyv(uint8_t *d, const vbg_yuv *v)
{
    for (int y = 0; y < v->h; y++, d += 2 * v->w) {
        const uint8_t *l = v->plane[0] + (size_t)y * v->stride[0];
        const uint8_t *a = v->plane[1] + (size_t)(y / 2) * v->stride[1];
        const uint8_t *b = v->plane[2] + (size_t)(y / 2) * v->stride[2];
        for (int x = 0; x < v->w / 2; x++) {
            d[4 * x] = l[2 * x];
            d[4 * x + 1] = a[x];
            d[4 * x + 2] = l[2 * x + 1];
            d[4 * x + 3] = b[x];
        }
    }
}

/* One cycle: the frame that is being written goes out. */
static void fill(source *s)
{
    struct pw_buffer *b = s->f.dequeue(s->stream);

    if (!b)
        return;
    struct spa_data *d = &b->buffer->datas[0];
    d->chunk->offset = 0;
    d->chunk->stride = (int32_t)stride_of(s);
    d->chunk->size = 0;
    if (d->data && d->maxsize >= bytes_of(s)) {
        uint8_t *to = d->data;
        if (s->format == SPA_VIDEO_FORMAT_YUY2)
            put_yuyv(to, s->shown);
        for (int p = 0; s->format == SPA_VIDEO_FORMAT_I420 && p < 3; p++)
            to = put_plane(to, s->shown, p);
        d->chunk->size = (uint32_t)bytes_of(s);
    }
    s->f.queue(s->stream, b);
}

/* ---- the sink ---- */

static void let_go(source *s)
{
    if (s->loop)
        s->f.loop_stop(s->loop);
    if (s->stream)
        s->f.stream_destroy(s->stream);
    if (s->loop)
        s->f.loop_destroy(s->loop);
    s->stream = NULL;
    s->loop = NULL;
}

static int offer(source *s)
{
    uint8_t memory[1024];
    struct spa_pod_builder b = SPA_POD_BUILDER_INIT(memory, sizeof memory);
    const struct spa_rectangle size = SPA_RECTANGLE((uint32_t)s->w, (uint32_t)s->h);
    const struct spa_fraction rate = SPA_FRACTION((uint32_t)(s->fps * 1000 + 0.5), 1000);
    const struct spa_pod *params[1] = { spa_pod_builder_add_object(
        &b, SPA_TYPE_OBJECT_Format, SPA_PARAM_EnumFormat, SPA_FORMAT_mediaType,
        SPA_POD_Id(SPA_MEDIA_TYPE_video), SPA_FORMAT_mediaSubtype,
        SPA_POD_Id(SPA_MEDIA_SUBTYPE_raw), SPA_FORMAT_VIDEO_format,
        SPA_POD_CHOICE_ENUM_Id(3, SPA_VIDEO_FORMAT_I420, SPA_VIDEO_FORMAT_I420,
                               SPA_VIDEO_FORMAT_YUY2),
        SPA_FORMAT_VIDEO_size, SPA_POD_Rectangle(&size), SPA_FORMAT_VIDEO_framerate,
        SPA_POD_Fraction(&rate)) };

    return s->f.connect(s->stream, PW_DIRECTION_OUTPUT, PW_ID_ANY,
                        PW_STREAM_FLAG_DRIVER | PW_STREAM_FLAG_MAP_BUFFERS, params, 1);
}

static vbg_status no_daemon(const char *why, vbg_err *err)
{
    return vbg_fail(err, VBG_EIO,
                    "PipeWire: %s; is it running (systemctl --user start pipewire)?",
                    why);
}

/* Makes the node; waits until the daemon has taken it. */
static vbg_status join(source *s, vbg_err *err)
{
    static const struct pw_stream_events events = { PW_VERSION_STREAM_EVENTS,
                                                    .state_changed = on_state,
                                                    .param_changed = on_param };
    int code = -EIO;

    s->state = PW_STREAM_STATE_UNCONNECTED;
    s->format = 0;
    s->failed = false;
    s->loop = s->f.loop_new("vbg", NULL);
    if (!s->loop || s->f.loop_start(s->loop) != 0)
        return vbg_fail(err, VBG_ENOMEM, "PipeWire: no thread");
    s->f.lock(s->loop);
    struct pw_properties *p = s->f.properties(
        PW_KEY_MEDIA_TYPE, "Video", PW_KEY_MEDIA_CLASS, "Video/Source", PW_KEY_MEDIA_ROLE,
        "Camera", PW_KEY_NODE_NAME, s->name, PW_KEY_NODE_DESCRIPTION, s->name, NULL);
    s->stream = s->f.stream_new(s->f.loop_get(s->loop), s->name, p, &events, s);
    if (s->stream)
        code = offer(s);
    const double end = vbg_now() + CONNECT_S;
    while (code >= 0 && !s->failed && s->state != PW_STREAM_STATE_PAUSED &&
           s->state != PW_STREAM_STATE_STREAMING && vbg_now() < end)
        s->f.wait(s->loop, 1);
    const bool there =
        code >= 0 && !s->failed &&
        (s->state == PW_STREAM_STATE_PAUSED || s->state == PW_STREAM_STATE_STREAMING);
    s->f.unlock(s->loop);
    return there ? VBG_OK : no_daemon(s->failed ? s->why : "no daemon answers", err);
}

static vbg_status source_write(vbg_sink *b, const vbg_kernels *k, const vbg_out_frame *f,
                               bool *dropped, vbg_err *err)
{
    source *s = (source *)b;
    const vbg_yuv *v = &vbg_out_frame_pixels(f)->yuv;
    vbg_status st = VBG_OK;

    (void)k;
    *dropped = false;
    s->f.lock(s->loop);
    if (s->failed) {
        st = no_daemon(s->why, err);
    } else if (s->state == PW_STREAM_STATE_STREAMING && s->format && v->w == s->w &&
               v->h == s->h) {
        s->shown = v;
        fill(s);
        s->shown = NULL;
        s->f.trigger(s->stream);
    }
    s->f.unlock(s->loop);
    return st;
}

static vbg_status source_reopen(vbg_sink *b, vbg_err *err)
{
    source *s = (source *)b;

    let_go(s);
    return join(s, err);
}

static bool source_readers(vbg_sink *b, int *n)
{
    source *s = (source *)b;

    *n = 0;
    if (!s->loop)
        return true;
    s->f.lock(s->loop);
    *n = s->state == PW_STREAM_STATE_STREAMING;
    s->f.unlock(s->loop);
    return true;
}

static void source_close(vbg_sink *b)
{
    source *s = (source *)b;

    let_go(s); /* the library stays: its threads' destructors may still run */
    vbg_free_mem(s);
}

vbg_status vbg_sink_pipewire(vbg_sink **out, const char *name, int w, int h, double fps,
                             vbg_err *err)
{
    static const vbg_sink_class class = { .write = source_write,
                                          .reopen = source_reopen,
                                          .readers = source_readers,
                                          .close = source_close };
    source *s = vbg_alloc(sizeof *s);

    *out = NULL;
    if (!s)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    *s = (source){
        .base = { .class = &class, .name = "PipeWire" }, .w = w, .h = h, .fps = fps
    };
    snprintf(s->name, sizeof s->name, "%s", name);
    s->library = dlopen("libpipewire-0.3.so.0", RTLD_NOW | RTLD_LOCAL);
    vbg_status st = s->library && bind(s)
                        ? VBG_OK
                        : vbg_fail(err, VBG_EUNSUPPORTED,
                                   "PipeWire: libpipewire-0.3 is not there (Debian: "
                                   "apt install libpipewire-0.3-0)");
    if (st == VBG_OK) {
        s->f.init(NULL, NULL);
        if (!getenv("PIPEWIRE_DEBUG")) /* what is wrong is told in our own words */
            s->f.log_level(SPA_LOG_LEVEL_NONE);
        st = join(s, err);
    }
    if (st == VBG_OK) {
        *out = &s->base;
        return st;
    }
    if (s->library && s->f.loop_stop)
        let_go(s);
    vbg_free_mem(s);
    return st;
}

#else

vbg_status vbg_sink_pipewire(vbg_sink **out, const char *name, int w, int h, double fps,
                             vbg_err *err)
{
    (void)name;
    (void)w;
    (void)h;
    (void)fps;
    *out = NULL;
    return vbg_fail(err, VBG_EUNSUPPORTED,
                    "this build knows no PipeWire (Debian: libpipewire-0.3-dev)");
}

#endif
