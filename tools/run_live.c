/* vbg-run on a camera: starts the session, then looks after it: status line, notes,
 * signals, control socket. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tools/control.h"
#include "tools/run.h"
#include "video/live.h"
#include "video/pipewire.h"
#include "video/preview.h"

static volatile sig_atomic_t hang_ups, toggles;

typedef struct app {
    vbg_run_setup *s;
    const vbg_device *device;
    vbg_live *live;
    vbg_control *control;
    vbg_sink *preview; /* NULL: none */
    int w, h;
    double fps, start, shown, told;
    int notes;
    bool quit, paused;
    vbg_status record_status; /* of a recording, once it is finished */
    vbg_err record_err;
} app;

static void on_signal(int sig)
{
    if (sig == SIGHUP)
        hang_ups = 1;
    else
        toggles = 1;
}

static void listen_to_signals(void)
{
    struct sigaction a = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

    sigemptyset(&a.sa_mask);
    sigaction(SIGHUP, &a, NULL);
    sigaction(SIGUSR1, &a, NULL);
}

/* ---- settings ---- */

static vbg_status open_background(vbg_background **out, const app *a,
                                  const vbg_run_setup *s, vbg_err *err)
{
    vbg_background_opt opt = s->back_opt;

    opt.w = a->w;
    opt.h = a->h;
    opt.yuv = opt.lean = true;
    return vbg_background_open(out, s->background, &opt, err);
}

static bool differ(const vbg_values *a, const vbg_values *b, const char *name)
{
    const char *x = vbg_value(a, name), *y = vbg_value(b, name);

    return (x == NULL) != (y == NULL) || (x && strcmp(x, y) != 0);
}

/* Makes the session follow new values, or changes nothing at all. */
static vbg_status apply(app *a, vbg_values *now, vbg_err *err)
{
    static const char *const behind[] = {
        "background", "blur", "fit", "background-type", "start-yaw", "slide-time", "text"
    };
    vbg_run_setup next = *a->s;
    vbg_background *b = NULL;
    vbg_camera_want want;
    bool other_background = false;
    vbg_status st = vbg_run_read(&next, now, err);

    for (size_t i = 0; i < sizeof behind / sizeof *behind; i++)
        other_background |= differ(a->s->v, now, behind[i]);
    if (st == VBG_OK && vbg_value(now, "text") && differ(a->s->v, now, "text"))
        st = vbg_fail(err, VBG_EUSAGE, "text: a room is made before the start");
    if (st == VBG_OK && next.alpha != a->s->alpha)
        st = vbg_fail(err, VBG_EUSAGE, "background: alpha is for a whole session");
    const bool other_camera = differ(a->s->v, now, "input");
    if (st == VBG_OK && other_camera)
        st = vbg_camera_find(next.camera, a->device, vbg_value(now, "input"), err);
    if (st == VBG_OK && other_background)
        st = open_background(&b, a, &next, err);
    if (st != VBG_OK)
        return st;
    if (b)
        vbg_live_set_background(a->live, b);
    vbg_run_want(&want, now);
    if (other_camera)
        vbg_live_set_camera(a->live, next.camera, &want);
    vbg_live_set_mask(a->live, &next.mask_opt);
    vbg_live_set_look(a->live, &next.follow, &next.relight);
    vbg_live_set_flip(a->live, next.flip_h, next.flip_v);
    vbg_values_swap(a->s->v, now);
    next.v = a->s->v;
    *a->s = next;
    return VBG_OK;
}

static vbg_status set(app *a, char **words, int count, vbg_err *err)
{
    vbg_values *now;
    vbg_status st = vbg_values_copy(&now, a->s->v, err);

    if (count < 2)
        st = vbg_fail(err, VBG_EUSAGE, "set NAME=VALUE ...");
    for (int i = 1; i < count && st == VBG_OK; i++) {
        char *eq = strchr(words[i], '=');
        if (!eq) {
            st = vbg_fail(err, VBG_EUSAGE, "%.60s: set NAME=VALUE", words[i]);
            break;
        }
        *eq = 0;
        const vbg_option *o = vbg_option_find(vbg_values_program(now), words[i]);
        if (!o)
            st = vbg_fail(err, VBG_EUSAGE, "no such option '%.60s'", words[i]);
        else if (!(o->flags & VBG_OPT_LIVE))
            st = vbg_fail(err, VBG_EUSAGE, "%s cannot change while it runs", o->name);
        else if ((st = vbg_option_check(o, eq + 1, err)) == VBG_OK) {
            vbg_values_clear(now, o->name);
            if (eq[1])
                st = vbg_values_offer(now, o->name, eq + 1, err);
        }
    }
    if (st == VBG_OK)
        st = apply(a, now, err);
    vbg_values_free(now);
    return st;
}

static vbg_status reload(app *a, vbg_err *err)
{
    vbg_values *now = NULL;
    vbg_status st = vbg_run_reread(&now, a->s, err);

    if (st == VBG_OK)
        st = apply(a, now, err);
    vbg_values_free(now);
    return st;
}

static void pause_session(app *a, bool on)
{
    a->paused = on;
    vbg_live_pause(a->live, on);
}

/* ---- what is told ---- */

static void describe(const app *a, char *text, size_t size)
{
    const vbg_live_status *s = &(vbg_live_status){ 0 };
    vbg_live_status now;

    vbg_live_get_status(a->live, &now);
    s = &now;
    snprintf(text, size,
             "frames=%lld fps=%.1f masks_s=%.1f mask_age_ms=%.0f latency_p50_ms=%.1f "
             "latency_p95_ms=%.1f background_frames=%lld skipped=%lld damaged=%lld "
             "dropped=%lld yaw=%.2f camera=%s person=%s paused=%s readers=%d",
             (long long)s->frames, s->frames_s, s->masks_s, s->mask_age_ms,
             s->latency_p50_ms, s->latency_p95_ms, (long long)s->background,
             (long long)s->skipped, (long long)s->damaged, (long long)s->dropped,
             s->view.yaw * 180 / 3.14159265358979323846, s->camera_on ? "on" : "off",
             s->person ? "yes" : "no", s->paused ? "yes" : "no", s->readers);
}

static vbg_status on_command(void *arg, char **words, int count, char *reply, size_t size,
                             vbg_err *err)
{
    app *a = arg;
    const char *c = words[0];

    if (strcmp(c, "set") == 0)
        return set(a, words, count, err);
    if (strcmp(c, "get") == 0 && count == 2) {
        const vbg_option *o = vbg_option_find(vbg_values_program(a->s->v), words[1]);
        if (!o)
            return vbg_fail(err, VBG_EUSAGE, "no such option '%.60s'", words[1]);
        const char *v = vbg_value(a->s->v, o->name);
        snprintf(reply, size, "%s=%s", o->name, v ? v : "");
        return VBG_OK;
    }
    if (count > 1)
        return vbg_fail(err, VBG_EUSAGE, "%.60s takes no argument", c);
    if (strcmp(c, "status") == 0)
        describe(a, reply, size);
    else if (strcmp(c, "pause") == 0)
        pause_session(a, true);
    else if (strcmp(c, "resume") == 0)
        pause_session(a, false);
    else if (strcmp(c, "recenter") == 0)
        vbg_live_recenter(a->live);
    else if (strcmp(c, "reload") == 0)
        return reload(a, err);
    else if (strcmp(c, "quit") == 0)
        a->quit = true;
    else
        return vbg_fail(err, VBG_EUSAGE,
                        "no such command '%.60s'; there are set, get, status, pause, "
                        "resume, recenter, reload, watch, quit",
                        c);
    return VBG_OK;
}

/* "0:12:31  29.9 fps  mask 29.9/s 12 ms old  latency 31/44 ms  yaw -12.4  room.png" */
static void show(app *a)
{
    const double now = vbg_now();
    vbg_live_status s;

    vbg_live_get_status(a->live, &s);
    if (s.notes != a->notes) {
        a->notes = s.notes;
        vbg_note("%s", s.note);
    }
    if (s.ended)
        a->quit = true;
    if (now - a->shown < 0.25)
        return;
    a->shown = now;
    const int t = (int)(now - a->start);
    const char *slash = strrchr(a->s->background, '/');
    const double yaw = s.view.yaw * 180 / 3.14159265358979323846;
    vbg_status_line("%d:%02d:%02d  %.1f fps  mask %.1f/s %.0f ms old  latency %.0f/%.0f "
                    "ms  yaw %+.1f  %s%s",
                    t / 3600, t / 60 % 60, t % 60, s.frames_s, s.masks_s, s.mask_age_ms,
                    s.latency_p50_ms, s.latency_p95_ms, yaw,
                    slash ? slash + 1 : a->s->background,
                    s.paused       ? "  PAUSED"
                    : s.idle       ? "  idle: nobody looks"
                    : !s.camera_on ? "  no camera"
                    : !s.person    ? "  background only"
                                   : "");
    if (now - a->told >= 1) {
        char line[1024];
        a->told = now;
        describe(a, line, sizeof line);
        vbg_control_tell(a->control, line);
    }
}

/* ---- keys ---- */

static void on_key(app *a, int key)
{
    vbg_run_setup *s = a->s;

    if (key == 'q') {
        a->quit = true;
    } else if (key == ' ') {
        pause_session(a, !a->paused);
    } else if (key == 'h' || key == 'v') {
        s->flip_h ^= key == 'h';
        s->flip_v ^= key == 'v';
        vbg_live_set_flip(a->live, s->flip_h, s->flip_v);
    } else if (key == 'r') {
        vbg_live_recenter(a->live);
    } else if (key == 'i') {
        char text[1024];
        describe(a, text, sizeof text);
        vbg_note("%s", text);
    } else if (key == '?') {
        vbg_note("keys: q quit, space pause, h v flip, r re-centre, i statistics%s",
                 a->preview ? ", f full screen" : "");
    }
}

static void take_keys(app *a)
{
    int key;

    while ((key = vbg_run_key()) != 0)
        on_key(a, key);
    while (a->preview && (key = vbg_preview_key(a->preview)) != 0)
        on_key(a, key);
}

/* ---- start ---- */

/* Sizes and rate: as asked, else the camera's, else 720p at 30. */
static vbg_status find_size(app *a, const vbg_camera_want *want, vbg_err *err)
{
    vbg_camera_info info = { .why = "" };
    vbg_err why = { "" };
    const bool wait = vbg_value_flag(a->s->v, "wait");
    vbg_status st = vbg_camera_probe(&info, a->device, a->s->camera, want, &why);

    if (st != VBG_OK && (st != VBG_EIO || !wait))
        return vbg_fail(err, st == VBG_EUNSUPPORTED ? VBG_EIO : st, "%s%s", why.text,
                        st == VBG_EIO ? " (--wait starts without it)" : "");
    if (st != VBG_OK)
        vbg_warning("%s; waiting for it", why.text);
    vbg_value_size(a->s->v, "output-size", &a->w, &a->h);
    if (a->w == 0) {
        a->w = st == VBG_OK ? info.mode.w : want->w ? want->w : 1280;
        a->h = st == VBG_OK ? info.mode.h : want->h ? want->h : 720;
    }
    a->w &= ~1; /* browsers refuse odd sizes */
    a->h &= ~1;
    a->fps = want->fps;
    if (st == VBG_OK && info.mode.rate_num > 0 &&
        (double)info.mode.rate_num / info.mode.rate_den < a->fps)
        a->fps = (double)info.mode.rate_num / info.mode.rate_den;
    return VBG_OK;
}

static vbg_status open_sink(app *a, vbg_sink **sink, vbg_err *err)
{
    const vbg_run_setup *s = a->s;
    const char *format = vbg_value(s->v, "output-format"); /* y4m, raw, ts, mjpeg */
    const int rate = (int)(a->fps * 1000 + 0.5);
    const vbg_video_opt video = { .w = a->w,
                                  .h = a->h,
                                  .rate_num = rate,
                                  .rate_den = 1000,
                                  .crf = (int)vbg_value_int(s->v, "crf"),
                                  .alpha = s->alpha,
                                  .stream = strcmp(s->output, "-") == 0 &&
                                                    (*format == 't' || *format == 'm')
                                                ? format
                                                : NULL,
                                  .fd = STDOUT_FILENO };

    if (vbg_run_is_pipewire(s->output))
        return vbg_sink_pipewire(sink, s->output[8] ? s->output + 9 : "vbg", a->w, a->h,
                                 a->fps, err);
    if (strncmp(s->output, "/dev/", 5) == 0)
        return vbg_sink_loopback(sink, a->device, s->output, a->w, a->h, a->fps, err);
    if (strcmp(s->output, "-") != 0 || video.stream)
        return vbg_sink_file(sink, s->output, &video, &a->record_status, &a->record_err,
                             err);
    return vbg_sink_stream(sink, STDOUT_FILENO,
                           *format == 'r' ? VBG_STREAM_RAW : VBG_STREAM_Y4M, &video, err);
}

static vbg_status start(app *a, vbg_err *err)
{
    vbg_run_setup *s = a->s;
    vbg_live_opt opt = { .device = a->device,
                         .ctx = s->ctx,
                         .ctx_opt = s->ctx_opt,
                         .mask = s->mask_opt,
                         .fov_x = s->back_opt.fov_x,
                         .follow = s->follow,
                         .relight = s->relight,
                         .latest = strcmp(vbg_value(s->v, "mask-mode"), "latest") == 0,
                         .flip_h = s->flip_h,
                         .flip_v = s->flip_v,
                         .alpha = s->alpha,
                         .on_demand = !vbg_value_flag(s->v, "always-on") };
    vbg_sink *sinks[2] = { NULL };
    int n = 0;
    vbg_status st;

    memcpy(opt.camera, s->camera, sizeof opt.camera);
    vbg_run_want(&opt.want, s->v);
    opt.mask.max_age = opt.latest ? (int)vbg_value_int(s->v, "mask-max-age") : 0;
    opt.mask.max_cover = 0.97;
    s->mask_opt = opt.mask;
    st = find_size(a, &opt.want, err);
    if (st == VBG_OK && !vbg_value_flag(s->v, "no-socket"))
        st = vbg_control_open(&a->control, vbg_value(s->v, "socket"), err);
    if (st == VBG_OK)
        st = open_background(&opt.background, a, s, err);
    if (st == VBG_OK && s->output && (st = open_sink(a, &sinks[n], err)) == VBG_OK)
        n++;
    if (st == VBG_OK && vbg_value_flag(s->v, "preview") &&
        (st = vbg_sink_preview(&sinks[n], "vbg-run", err)) == VBG_OK)
        a->preview = sinks[n++];
    if (st != VBG_OK) {
        vbg_sink_close(sinks[0]);
        vbg_background_close(opt.background);
        return st;
    }
    opt.w = a->w;
    opt.h = a->h;
    return vbg_live_start(&a->live, &opt, sinks, n, err);
}

static void summary(const app *a, const vbg_live_status *s)
{
    const double t = vbg_now() - a->start;

    vbg_status_clear();
    vbg_note("%s: %lld frames of %dx%d in %.0f s, %lld of them background alone; latency "
             "%.0f/%.0f ms",
             a->s->output ? a->s->output : "preview", (long long)s->frames, a->w, a->h, t,
             (long long)s->background, s->latency_p50_ms, s->latency_p95_ms);
}

vbg_status vbg_run_live(vbg_run_setup *s, const vbg_device *device, int *code,
                        vbg_err *err)
{
    app a = { .s = s, .device = device, .start = vbg_now() };
    vbg_live_status end = { 0 };

    *code = 0;
    prctl(PR_SET_DUMPABLE, 0); /* frames of the room lie in memory */
    listen_to_signals();
    vbg_status st = start(&a, err);
    if (st != VBG_OK) {
        vbg_control_close(a.control);
        return st;
    }
    if (a.control)
        vbg_detail("control socket: %s", vbg_control_path(a.control));
    vbg_run_keys_start();
    while (!a.quit && !vbg_stop_signal()) {
        vbg_control_serve(a.control, 50, on_command, &a);
        if (hang_ups) {
            vbg_err why = { "" };
            hang_ups = 0;
            if (reload(&a, &why) == VBG_OK)
                vbg_note("configuration read again");
            else
                vbg_error("%s; nothing was changed", why.text);
        }
        if (toggles) {
            toggles = 0;
            pause_session(&a, !a.paused);
        }
        take_keys(&a);
        show(&a);
    }
    vbg_run_keys_stop();
    vbg_live_get_status(a.live, &end);
    s->stuck = !vbg_live_stop(a.live);
    vbg_control_close(a.control);
    summary(&a, &end);
    if (a.record_status != VBG_OK)
        return vbg_fail(err, a.record_status, "%s", a.record_err.text);
    return VBG_OK;
}
