/* The folder of a training: lock, log, checkpoints, exported models. */
#define _GNU_SOURCE
#include <errno.h>
#include <glob.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/train/lock.h"
#include "tools/train/loop_state.h"
#include "tools/train/plot.h"

void vbg_course_path(const vbg_course *c, char *path, size_t size, const char *fmt, ...)
{
    va_list ap;
    size_t n = (size_t)snprintf(path, size, "%s/", c->l->opt.out);

    va_start(ap, fmt);
    if (n < size)
        vsnprintf(path + n, size - n, fmt, ap);
    va_end(ap);
}

/* ---- beginning ---- */

/* An earlier training in the folder goes, but for its pictures. */
static void clear_folder(const vbg_course *c)
{
    static const char *const what[] = { "last.vbg",  "best.vbg",    "step-*.vbg",
                                        "model.vbg", "model-*.vbg", "loss.png" };
    char path[4200];

    for (size_t i = 0; i < sizeof what / sizeof *what; i++) {
        glob_t found;
        vbg_course_path(c, path, sizeof path, "%s", what[i]);
        if (glob(path, 0, NULL, &found) != 0)
            continue;
        for (size_t k = 0; k < found.gl_pathc; k++)
            unlink(found.gl_pathv[k]);
        globfree(&found);
    }
}

/* Options that differ between checkpoint and command line. */
static void warn_config(const vbg_course *c, const char *stored)
{
    json_error_t why;
    json_t *old = json_loads(stored, 0, &why), *now = c->l->config, *value;
    const char *key;

    json_object_foreach(now, key, value)
    {
        const json_t *was = json_object_get(old, key);
        if (was && !json_equal(was, value))
            vbg_warning("--%s was %s when this training began, now %s", key,
                        json_string_value(was), json_string_value(value));
    }
    json_decref(old);
}

static vbg_status load(vbg_course *c, const char *path, vbg_err *err)
{
    vbg_loop *l = c->l;
    vbg_train_state s = { .kind = l->kind };
    vbg_status st = vbg_train_load(path, l->params, l->optim, &s, err);

    if (st != VBG_OK)
        return st;
    vbg_params_refresh(l->params, l->ctx);
    warn_config(c, s.config);
    l->opt.seed = s.seed;
    c->step = s.step;
    c->best = s.best;
    c->rewarm = s.rewarm;
    c->last = l->opt.fit && s.last > s.step ? s.last : 0;
    vbg_note("going on from step %ld of %s%s", s.step, path,
             s.compact ? ", with fresh moments" : "");
    vbg_train_state_free(&s);
    return VBG_OK;
}

vbg_status vbg_course_open(vbg_course *c, vbg_err *err)
{
    const vbg_loop_opt *o = &c->l->opt;
    char path[4200];
    bool there;

    vbg_course_path(c, path, sizeof path, "samples");
    vbg_status st = vbg_make_folder(path, err);
    const bool first = c->ranks.rank == 0; /* the others only read */
    if (st == VBG_OK && first)
        st = vbg_lock_take(&c->lock, o->out, err);
    vbg_course_path(c, path, sizeof path, "last.vbg");
    there = st == VBG_OK && access(path, F_OK) == 0;
    if (there && !o->resume && !o->fresh)
        st = vbg_fail(
            err, VBG_EUSAGE,
            "%s holds a training: --resume goes on with it, --fresh begins anew", o->out);
    if (st == VBG_OK && o->fresh && first)
        clear_folder(c);
    there = there && o->resume;
    if (st == VBG_OK && (there || o->from))
        st = load(c, there ? path : o->from, err);
    c->config = json_dumps(c->l->config, JSON_COMPACT | JSON_SORT_KEYS);
    if (st == VBG_OK && !c->config)
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory");
    vbg_course_path(c, path, sizeof path, "log.jsonl");
    if (st == VBG_OK)
        st = vbg_log_open(&c->log, first ? path : "/dev/null", first && !there, err);
    return st;
}

void vbg_course_close(vbg_course *c)
{
    vbg_prefetch_free(c->prefetch);
    vbg_log_close(c->log);
    vbg_lock_release(c->lock);
    free(c->config);
}

/* ---- checkpoints ---- */

void vbg_course_last_good(const vbg_course *c, char *text, size_t size)
{
    char path[4200];

    vbg_course_path(c, path, sizeof path, "last.vbg");
    if (access(path, F_OK) == 0)
        snprintf(text, size, "the last good state is %s", path);
    else
        snprintf(text, size, "there is no checkpoint yet");
}

void vbg_course_averages(vbg_course *c)
{
    if (c->l->opt.optim.ema > 0)
        vbg_optim_swap_ema(c->l->optim, c->l->ctx, 0);
}

static bool checkpoint(vbg_course *c, const char *path, bool compact)
{
    vbg_loop *l = c->l;
    vbg_err err = { 0 };
    vbg_train_state s = { .kind = l->kind,
                          .config = c->config,
                          .seed = l->opt.seed,
                          .step = c->step,
                          .best = c->best,
                          .rewarm = c->rewarm,
                          .last = c->last,
                          .compact = compact };

    if (vbg_train_save(path, l->params, l->optim, &s, &err) == VBG_OK)
        return true;
    vbg_log_warn(c->log, c->step, "no checkpoint: %s", err.text);
    c->save_failed = true;
    return false;
}

/* The model as it stands now to DIR/name. */
static void export_to(vbg_course *c, const char *name)
{
    char path[4200];
    vbg_err err = { 0 };

    if (!c->l->calls->export_model)
        return;
    vbg_course_path(c, path, sizeof path, "%s", name);
    if (c->l->calls->export_model(c->l->arg, path, &err) != VBG_OK) {
        vbg_log_warn(c->log, c->step, "no model: %s", err.text);
        c->save_failed = true;
    }
}

static void export_averages(vbg_course *c, const char *name)
{
    vbg_course_averages(c);
    export_to(c, name);
    vbg_course_averages(c);
}

/* What the second averages make. */
static void export_second(vbg_course *c)
{
    if (c->l->opt.optim.ema2 <= 0)
        return;
    vbg_optim_swap_ema(c->l->optim, c->l->ctx, 1);
    export_to(c, "model-ema2.vbg");
    vbg_optim_swap_ema(c->l->optim, c->l->ctx, 1);
}

static void log_checkpoint(vbg_course *c, const char *path)
{
    json_t *e = vbg_log_event("checkpoint", c->step);

    json_object_set_new(e, "path", json_string(path));
    vbg_log_write(c->log, e);
}

void vbg_course_save(vbg_course *c, bool last)
{
    const vbg_loop_opt *o = &c->l->opt;
    char path[4200];

    c->save_failed = false;
    vbg_course_path(c, path, sizeof path, "last.vbg");
    if (checkpoint(c, path, false))
        log_checkpoint(c, path);
    if (o->keep_every > 0 && c->step % o->keep_every == 0) {
        vbg_course_path(c, path, sizeof path, "step-%07ld.vbg", c->step);
        checkpoint(c, path, false);
    }
    if (o->compact)
        checkpoint(c, o->compact, true);
    if (last || !c->l->rare_exports) {
        export_averages(c, "model.vbg");
        export_second(c);
    }
    vbg_err err = { "" };
    if (vbg_plot_training(o->out, &err) != VBG_OK)
        vbg_log_warn(c->log, c->step, "no plot: %s", err.text);
}

void vbg_course_save_best(vbg_course *c)
{
    char path[4200];

    vbg_course_path(c, path, sizeof path, "best.vbg");
    if (checkpoint(c, path, false))
        log_checkpoint(c, path);
    export_averages(c, "model-best.vbg");
}
