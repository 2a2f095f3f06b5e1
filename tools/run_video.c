/* vbg-run on videos: opens everything, runs the pipeline, finishes or removes. */
#define _POSIX_C_SOURCE 200809L
#include "tools/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/io.h"
#include "video/pipeline.h"

typedef struct session {
    const vbg_run_setup *s;
    vbg_reader *reader, *mask_reader;
    vbg_reader_info info, mask_info;
    vbg_frame first, first_mask;
    vbg_background *background;
    vbg_chain *chain;
    vbg_video_out *writer, *mask_writer;
    vbg_file *log;
    vbg_status log_status;
    vbg_err log_err, mask_err; /* the first failure of each */
    double start, shown, last_time, mask_s, track_s, view_s, compose_s, yaw;
    int64_t done;
    const char *back_name;
} session;

/* Opens a reader and takes its first frame. */
static vbg_status open_source(vbg_reader **r, vbg_reader_info *info, vbg_frame *first,
                              const char *path, vbg_err *err)
{
    bool end = false;
    vbg_status st = vbg_reader_open(r, path, err);

    if (st != VBG_OK)
        return st;
    vbg_reader_get_info(*r, info);
    st = vbg_frame_new(first, info->w, info->h, err);
    if (st == VBG_OK)
        st = vbg_reader_next(*r, first, &end, err);
    if (st == VBG_OK && end)
        return vbg_fail(err, VBG_EFORMAT, "%s: holds no readable frame", path);
    if (st == VBG_OK && info->odd_rate)
        vbg_note("%s: names no sensible frame rate; 25 frames/s assumed", path);
    return st;
}

static vbg_status open_chain(session *o, vbg_err *err)
{
    const vbg_run_setup *s = o->s;
    vbg_background_opt back = s->back_opt;
    vbg_chain_opt chain = { .mask = s->mask_opt,
                            .fov_x = s->back_opt.fov_x,
                            .follow = s->follow,
                            .relight = s->relight };
    vbg_status st;

    back.w = chain.mask.w = o->info.w;
    back.h = chain.mask.h = o->info.h;
    back.yuv = true;
    back.lean = s->follow.mode == VBG_FOLLOW_HEAD;
    back.bt709 = o->first.yuv.bt709;
    back.full_range = o->first.yuv.full_range;
    st = vbg_background_open(&o->background, s->background, &back, err);
    if (st != VBG_OK)
        return st;
    chain.background = o->background;
    chain.track = vbg_background_turns(o->background) || s->motion_log;
    vbg_detail("background: %s", vbg_background_kind(o->background));
    return vbg_chain_new(&o->chain, s->ctx, &chain, err);
}

static vbg_status open_outputs(session *o, vbg_err *err)
{
    const vbg_run_setup *s = o->s;
    const char *format = /* of standard output */
        strcmp(s->output, "-") == 0 ? vbg_value(s->v, "output-format") : "";
    vbg_video_opt opt = { .w = o->info.w,
                          .h = o->info.h,
                          .rate_num = o->info.rate_num,
                          .rate_den = o->info.rate_den,
                          .bt709 = o->first.yuv.bt709,
                          .full_range = o->first.yuv.full_range,
                          .audio_from = o->info.has_audio ? o->reader : NULL,
                          .crf = (int)vbg_value_int(s->v, "crf"),
                          .alpha = s->alpha,
                          .stream = *format == 't' || *format == 'm' ? format : NULL,
                          .fd = STDOUT_FILENO };
    vbg_status st = vbg_video_create(&o->writer, s->output, &opt, err);

    if (st == VBG_OK && s->mask_out) {
        opt.audio_from = NULL;
        opt.alpha = false;
        opt.stream = NULL;
        opt.full_range = true;
        opt.crf = 12;
        st = vbg_video_create(&o->mask_writer, s->mask_out, &opt, err);
    }
    if (st == VBG_OK && s->motion_log) {
        static const char head[] =
            "frame,time_s,yaw_deg,pitch_deg,roll_deg,points,inliers\n";
        st = vbg_file_create(&o->log, s->motion_log, err);
        if (st == VBG_OK)
            st = vbg_file_write(o->log, head, sizeof head - 1, err);
    }
    return st;
}

static void write_log(session *o, const vbg_chain_report *r)
{
    const vbg_tracker_state *m = &r->motion;
    const double deg = 180 / 3.14159265358979323846;
    char line[256];

    if (!o->log || o->log_status != VBG_OK)
        return;
    int n = snprintf(line, sizeof line, "%lld,%.6f,%.5f,%.5f,%.5f,%d,%d\n",
                     (long long)r->index, r->time_s, m->yaw * deg, m->pitch * deg,
                     m->roll * deg, m->points, m->inliers);
    o->log_status = vbg_file_write(o->log, line, (size_t)n, &o->log_err);
}

/* After each frame: log, status line, signals. */
static int on_frame(void *arg, const vbg_chain_report *r)
{
    session *o = arg;
    const double now = vbg_now();

    o->done++;
    o->last_time = r->time_s;
    o->mask_s += r->mask_s;
    o->track_s += r->track_s;
    o->view_s += r->view_s;
    o->compose_s += r->compose_s;
    o->yaw = r->motion.yaw * 180 / 3.14159265358979323846;
    if (!r->person && !o->mask_err.text[0])
        snprintf(o->mask_err.text, sizeof o->mask_err.text, "frame %lld: %.900s",
                 (long long)r->index, r->mask_err.text);
    write_log(o, r);
    if (now - o->shown >= 0.1) {
        const int t = (int)r->time_s;
        const double span = now - o->start;
        o->shown = now;
        vbg_status_line(
            "%d:%02d:%02d  %.1f fps  mask %.1f ms, 0 frames old  yaw %+.1f  %s", t / 3600,
            t / 60 % 60, t % 60, (double)o->done / span, 1e3 * r->mask_s, o->yaw,
            o->back_name);
    }
    return vbg_stop_signal() != 0 || o->log_status != VBG_OK;
}

/* Everything written is finished, or everything is removed. */
static vbg_status finish(session *o, vbg_status st, vbg_err *err)
{
    if (st == VBG_OK && o->log_status != VBG_OK)
        st = vbg_fail(err, o->log_status, "%s", o->log_err.text);
    if (st == VBG_OK) {
        vbg_video_out *w = o->writer;
        o->writer = NULL;
        st = vbg_video_finish(w, err);
    }
    if (st == VBG_OK && o->mask_writer) {
        vbg_video_out *w = o->mask_writer;
        o->mask_writer = NULL;
        st = vbg_video_finish(w, err);
    }
    if (st == VBG_OK && o->log) {
        vbg_file *f = o->log;
        o->log = NULL;
        st = vbg_file_commit(f, err);
    }
    vbg_video_abort(o->writer);
    vbg_video_abort(o->mask_writer);
    vbg_file_abort(o->log);
    return st;
}

static void close_all(session *o)
{
    vbg_chain_free(o->chain);
    vbg_background_close(o->background);
    vbg_frame_free(&o->first);
    vbg_frame_free(&o->first_mask);
    vbg_reader_close(o->reader);
    vbg_reader_close(o->mask_reader);
}

static void summary(const session *o, const vbg_pipeline_result *r)
{
    const double n = r->frames > 0 ? (double)r->frames : 1;

    vbg_status_clear();
    vbg_note("%s: %lld frames of %dx%d in %.1f s (%.1f frames/s)", o->s->output,
             (long long)r->frames, o->info.w, o->info.h, r->seconds,
             r->seconds > 0 ? (double)r->frames / r->seconds : 0.0);
    vbg_detail("a frame: mask %.2f ms, tracking %.2f ms, view %.2f ms, composite %.2f ms",
               1e3 * o->mask_s / n, 1e3 * o->track_s / n, 1e3 * o->view_s / n,
               1e3 * o->compose_s / n);
    if (vbg_reader_skipped(o->reader) > 0)
        vbg_warning("%s: %lld damaged frames were left out", o->s->input,
                    (long long)vbg_reader_skipped(o->reader));
    if (r->masks_missing > 0)
        vbg_warning("%s: no mask for %lld frames; they show the background alone",
                    o->s->mask, (long long)r->masks_missing);
}

vbg_status vbg_run_video(const vbg_run_setup *s, int *code, vbg_err *err)
{
    session o = { .s = s };
    vbg_pipeline_result result = { 0 };
    const char *slash = strrchr(s->background, '/');
    char audio_note[160] = "";
    vbg_status st;

    o.back_name = slash ? slash + 1 : s->background;
    st = open_source(&o.reader, &o.info, &o.first, s->input, err);
    if (st == VBG_OK && s->mask)
        st = open_source(&o.mask_reader, &o.mask_info, &o.first_mask, s->mask, err);
    if (st == VBG_OK)
        st = open_chain(&o, err);
    if (st == VBG_OK)
        st = open_outputs(&o, err);
    if (st == VBG_OK) {
        const vbg_pipeline p = { .reader = o.reader,
                                 .mask_reader = o.mask_reader,
                                 .chain = o.chain,
                                 .writer = o.writer,
                                 .mask_writer = o.mask_writer,
                                 .first = &o.first,
                                 .first_mask = s->mask ? &o.first_mask : NULL,
                                 .flip_h = s->flip_h,
                                 .flip_v = s->flip_v,
                                 .alpha = s->alpha,
                                 .frame = on_frame,
                                 .arg = &o };
        o.start = vbg_now();
        snprintf(audio_note, sizeof audio_note, "%s", vbg_video_audio_note(o.writer));
        st = vbg_pipeline_run(&p, &result, err);
    }
    vbg_status_clear();
    st = finish(&o, st, err);
    if (st == VBG_ECANCEL && strcmp(s->output, "-") == 0 && !vbg_stop_signal()) {
        close_all(&o); /* whoever read our output has seen enough */
        return VBG_OK;
    }
    if (st == VBG_OK) {
        summary(&o, &result);
        if (audio_note[0])
            vbg_warning("%s: the sound was left out: %s", s->output, audio_note);
        if (result.without_person > result.masks_missing) {
            vbg_error("%lld of %lld frames show the background alone: %s",
                      (long long)result.without_person, (long long)result.frames,
                      o.mask_err.text);
            *code = 1;
        }
        if (vbg_stop_signal())
            *code = 128 + vbg_stop_signal();
    }
    close_all(&o);
    return st;
}
