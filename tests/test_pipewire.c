/* The PipeWire camera in a session of its own: a daemon without hardware, a reader that
 * is linked and unlinked.  Skipped, saying so, where PipeWire is not installed. */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#ifdef VBG_HAVE_PIPEWIRE
#include <fcntl.h>
#include <linux/videodev2.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wpedantic"
#include <pipewire/pipewire.h>
#include <spa/param/video/format-utils.h>

#include "tests/fake/device.h"
#include "video/live.h"
#include "video/pipewire.h"

enum { W = 320, H = 180 };

static void rest(double s)
{
    nanosleep(&(struct timespec){ (time_t)s, (long)((s - (double)(time_t)s) * 1e9) },
              NULL);
}

/* ---- the session ---- */

typedef struct session {
    char folder[64];
    pid_t daemon;
} session;

static pid_t run(const char *const *argv)
{
    fflush(NULL);
    const pid_t p = fork();

    if (p == 0) {
        const int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return p;
}

/* False when there is no PipeWire here. */
static bool start_daemon(session *s)
{
    char path[128];

    for (int i = 0; i < 2; i++) {
        const char *const argv[] = { i ? "pw-link" : "pipewire", "--version", NULL };
        int status = 0;
        waitpid(run(argv), &status, 0);
        if (status != 0)
            return false;
    }
    if (!s->folder[0]) {
        snprintf(s->folder, sizeof s->folder, "/tmp/vbg-pipewire-XXXXXX");
        cr_assert(mkdtemp(s->folder) != NULL);
        setenv("XDG_RUNTIME_DIR", s->folder, 1);
        setenv("PIPEWIRE_RUNTIME_DIR", s->folder, 1);
        unsetenv("DBUS_SESSION_BUS_ADDRESS");
    }
    const char *const daemon[] = { "pipewire", NULL };
    s->daemon = run(daemon);
    snprintf(path, sizeof path, "%s/pipewire-0", s->folder);
    for (int i = 0; i < 100 && access(path, F_OK) != 0; i++)
        rest(0.05);
    return access(path, F_OK) == 0;
}

static void stop_daemon(session *s)
{
    kill(s->daemon, SIGTERM);
    waitpid(s->daemon, NULL, 0);
}

static void clean(session *s)
{
    char command[100];
    const char *const argv[] = { "sh", "-c", command, NULL };

    stop_daemon(s);
    snprintf(command, sizeof command, "rm -rf '%s'", s->folder);
    waitpid(run(argv), NULL, 0);
}

/* ---- the reader ---- */

typedef struct reader {
    struct pw_thread_loop *loop;
    struct pw_stream *stream;
    uint32_t format, wanted;
    _Atomic int frames, luma;
    _Atomic double first;
} reader;

static void on_param(void *arg, uint32_t id, const struct spa_pod *param)
{
    reader *r = arg;
    struct spa_video_info_raw info = { 0 };

    if (param && id == SPA_PARAM_Format &&
        spa_format_video_raw_parse(param, &info) >= 0 && info.size.width == W &&
        info.size.height == H)
        r->format = info.format;
}

static void on_process(void *arg)
{
    reader *r = arg;
    struct pw_buffer *b = pw_stream_dequeue_buffer(r->stream);

    if (!b)
        return;
    const struct spa_data *d = &b->buffer->datas[0];
    const uint32_t bytes = r->wanted == SPA_VIDEO_FORMAT_YUY2 ? 2 * W * H : W * H * 3 / 2;
    if (d->data && d->chunk->size == bytes && r->format == r->wanted) {
        if (r->frames == 0)
            r->first = vbg_now();
        r->luma = ((const uint8_t *)d->data)[0];
        r->frames++;
    }
    pw_stream_queue_buffer(r->stream, b);
}

static void reader_start(reader *r, uint32_t format)
{
    static const struct pw_stream_events events = { PW_VERSION_STREAM_EVENTS,
                                                    .param_changed = on_param,
                                                    .process = on_process };
    uint8_t memory[512];
    struct spa_pod_builder b = SPA_POD_BUILDER_INIT(memory, sizeof memory);
    const struct spa_rectangle size = SPA_RECTANGLE(W, H), least = SPA_RECTANGLE(1, 1),
                               most = SPA_RECTANGLE(4096, 4096);
    const struct spa_pod *params[1] = { spa_pod_builder_add_object(
        &b, SPA_TYPE_OBJECT_Format, SPA_PARAM_EnumFormat, SPA_FORMAT_mediaType,
        SPA_POD_Id(SPA_MEDIA_TYPE_video), SPA_FORMAT_mediaSubtype,
        SPA_POD_Id(SPA_MEDIA_SUBTYPE_raw), SPA_FORMAT_VIDEO_format, SPA_POD_Id(format),
        SPA_FORMAT_VIDEO_size, SPA_POD_CHOICE_RANGE_Rectangle(&size, &least, &most)) };

    *r = (reader){ .wanted = format };
    r->loop = pw_thread_loop_new("reader", NULL);
    cr_assert(r->loop && pw_thread_loop_start(r->loop) == 0);
    pw_thread_loop_lock(r->loop);
    r->stream = pw_stream_new_simple(pw_thread_loop_get_loop(r->loop), "reader",
                                     pw_properties_new(PW_KEY_MEDIA_TYPE, "Video",
                                                       PW_KEY_MEDIA_CATEGORY, "Capture",
                                                       PW_KEY_NODE_NAME, "reader", NULL),
                                     &events, r);
    cr_assert(r->stream != NULL);
    pw_stream_connect(r->stream, PW_DIRECTION_INPUT, PW_ID_ANY,
                      PW_STREAM_FLAG_MAP_BUFFERS, params, 1);
    pw_thread_loop_unlock(r->loop);
    const char *const link[] = { "pw-link", "vbg test:out_0", "reader:in_0", NULL };
    for (int i = 0, status = 1; i < 40 && status != 0; i++) {
        waitpid(run(link), &status, 0);
        rest(status ? 0.05 : 0);
    }
}

static void reader_stop(reader *r)
{
    pw_thread_loop_stop(r->loop);
    pw_stream_destroy(r->stream);
    pw_thread_loop_destroy(r->loop);
}

static bool wait_frames(reader *r, int n)
{
    for (int i = 0; i < 200 && r->frames < n; i++)
        rest(0.05);
    return r->frames >= n;
}

/* ---- the live session ---- */

static void paint(void *arg, int64_t n, vbg_frame *f)
{
    (void)arg;
    (void)n;
    for (int p = 0; p < 3; p++)
        for (int y = 0; y < (p ? H / 2 : H); y++)
            memset(f->yuv.plane[p] + (size_t)y * f->yuv.stride[p], p ? 128 : 90,
                   (size_t)(p ? W / 2 : W));
}

static vbg_live *go_live(fake_device *fake, vbg_ctx *ctx, vbg_sink *sink)
{
    const vbg_background_opt back = { .w = W, .h = H, .yuv = true };
    vbg_live_opt opt = {
        .device = &fake->device,
        .camera = "/dev/video0",
        .w = W,
        .h = H,
        .ctx = ctx,
        .ctx_opt = { .threads = 1 },
        .mask = { .threshold = -1, .chroma = true, .key = { 0, 255, 0 } },
        .fov_x = 1.2,
        .on_demand = true
    };
    vbg_live *live;
    vbg_err err = { "" };

    fake_device_init(fake);
    fake->modes[0] = (vbg_camera_mode){ V4L2_PIX_FMT_YUYV, W, H, 30, 1 };
    fake->mode_count = 1;
    fake->fps = 30;
    fake->paint = paint;
    cr_assert_eq(vbg_background_open(&opt.background, "#ff0000", &back, &err), VBG_OK);
    cr_assert_eq(vbg_live_start(&live, &opt, &sink, 1, &err), VBG_OK, "%s", err.text);
    return live;
}

static bool wait_idle(vbg_live *l, bool idle)
{
    vbg_live_status s;

    for (int i = 0; i < 120; i++) {
        vbg_live_get_status(l, &s);
        if (s.idle == idle && s.camera_on == !idle)
            return true;
        rest(0.05);
    }
    return false;
}

Test(pipewire, camera, .timeout = 90)
{
    session s = { .daemon = 0 };
    const vbg_ctx_opt one = { .threads = 1 };
    fake_device fake;
    vbg_ctx *ctx;
    vbg_sink *sink;
    vbg_err err = { "" };
    reader r;

    setenv("XDG_RUNTIME_DIR", "/nowhere", 1);
    cr_expect_eq(vbg_sink_pipewire(&sink, "vbg test", W, H, 30, &err), VBG_EIO);
    cr_expect(strstr(err.text, "systemctl"), "%s", err.text);
    if (!start_daemon(&s)) {
        cr_log_warn("skipped: no PipeWire daemon can be started here");
        return;
    }
    cr_assert_eq(vbg_sink_pipewire(&sink, "vbg test", W, H, 30, &err), VBG_OK, "%s",
                 err.text);
    cr_assert_eq(vbg_ctx_new(&ctx, &one, &err), VBG_OK);
    vbg_live *l = go_live(&fake, ctx, sink);
    cr_expect(wait_idle(l, true), "nobody reads: the camera rests");
    for (int i = 0; i < 2; i++) { /* each format that is offered */
        reader_start(&r, i ? SPA_VIDEO_FORMAT_YUY2 : SPA_VIDEO_FORMAT_I420);
        cr_expect(wait_frames(&r, 10), "format %d: %d frames", i, r.frames);
        cr_expect(wait_idle(l, false), "somebody reads: the camera works");
        cr_expect(abs(r.luma - 90) < 4 || abs(r.luma - 82) < 4, "luma %d", r.luma);
        reader_stop(&r);
        cr_expect(wait_idle(l, true), "he left: the camera rests");
    }
    stop_daemon(&s); /* and comes back */
    rest(0.3);
    cr_assert(start_daemon(&s));
    rest(1.5);
    reader_start(&r, SPA_VIDEO_FORMAT_I420);
    cr_expect(wait_frames(&r, 10), "%d frames after the daemon's restart", r.frames);
    reader_stop(&r);
    cr_expect(vbg_live_stop(l));
    vbg_ctx_free(ctx);
    fake_device_free(&fake);
    clean(&s);
}

#else

Test(pipewire, camera)
{
    cr_log_warn("skipped: built without libpipewire-0.3-dev");
}

#endif
