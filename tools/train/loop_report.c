/* What a training says: plan, progress line, log lines. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/tensor.h"
#include "tools/message_state.h"
#include "tools/train/loop_state.h"

static double resident_mb(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (!f)
        return 0;
    if (fscanf(f, "%*s %ld", &pages) != 1)
        pages = 0;
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1048576;
}

/* "1:05:09" or "5:09" */
static const char *clock_text(char *text, size_t size, double seconds)
{
    long s = seconds > 0 && seconds < 1e9 ? (long)(seconds + 0.5) : 0;

    if (s >= 3600)
        snprintf(text, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, size, "%ld:%02ld", s / 60, s % 60);
    return text;
}

static long images_a_step(const vbg_course *c)
{
    return (long)c->l->samples_per_job * vbg_course_jobs(c);
}

/* Copies of the parameters in memory: value, gradient, slots, packed form. */
static double state_bytes(const vbg_course *c)
{
    double bytes = 0;

    for (size_t i = 0; i < vbg_params_count(c->l->params); i++) {
        const vbg_param *m = vbg_params_at(c->l->params, i);
        double copies = m->packed == m->value ? 2 : 3;
        for (int k = 0; k < VBG_OPTIM_SLOTS; k++)
            copies += vbg_optim_slot(c->l->optim, i, k) != NULL;
        bytes += copies * 4 * (double)m->count;
    }
    return bytes;
}

static double remaining(const vbg_course *c)
{
    double by_steps = (double)(c->steps - c->step) * c->step_s, by_clock;

    if (c->l->opt.max_seconds <= 0)
        return by_steps;
    by_clock = c->l->opt.max_seconds - (vbg_now() - c->start);
    return fmax(0, fmin(by_steps, by_clock));
}

vbg_status vbg_course_plan(vbg_course *c, vbg_err *err)
{
    const vbg_loop *l = c->l;
    size_t slab = 0;

    if (l->calls->plan) {
        vbg_status st = l->calls->plan(l->arg, &slab, err);
        if (st != VBG_OK)
            return st;
    }
    vbg_note("%.2f M parameters in training; memory: %.2f GB values and moments, %.2f GB "
             "for a step",
             (double)vbg_params_values(l->params) / 1e6, state_bytes(c) / 1e9,
             (double)slab / 1e9);
    vbg_note("%ld steps of %ld samples, %.2f epochs", c->steps - c->step,
             images_a_step(c),
             (double)(c->steps - c->step) * (double)vbg_course_jobs(c) /
                 (double)(l->jobs_per_epoch ? l->jobs_per_epoch : 1));
    const double step_s = vbg_course_trial(c);
    if (step_s > 0) {
        char left[32];
        c->step_s = step_s;
        vbg_note("about %.2f s a step, %s to go", step_s,
                 clock_text(left, sizeof left, remaining(c)));
    }
    return VBG_OK;
}

/* "step    120/1000  loss 0.1342  lr 2.0e-04  5.2/s  1.54 s/step  1:28:30 left  2.9 GB"
 */
static void show(vbg_course *c, double loss)
{
    char text[256], left[32];
    double now = vbg_now();
    bool redraw = vbg_voice_progress();

    if (now - c->shown < (redraw ? 0.1 : 30) && c->step > c->first + 1 &&
        c->step < c->steps)
        return;
    c->shown = now;
    snprintf(text, sizeof text,
             "step %ld/%ld  loss %.4g  lr %.1e  %.3g/s  %.2f s/step  %s left  %.1f GB",
             c->step, c->steps, loss, c->lr, (double)images_a_step(c) / c->step_s,
             c->step_s, clock_text(left, sizeof left, remaining(c)),
             resident_mb() / 1024);
    if (redraw)
        vbg_status_line("%s", text);
    else
        vbg_note("%s", text);
}

static double epoch_of(const vbg_course *c)
{
    return c->l->jobs_per_epoch ? (double)c->step * (double)vbg_course_jobs(c) /
                                      (double)c->l->jobs_per_epoch
                                : 0;
}

void vbg_course_report(vbg_course *c)
{
    double n = (double)c->summed;
    json_t *e;

    show(c, c->sum.loss / n);
    if (c->step == c->first + 1 && c->steps > c->step + 1) {
        char left[32];
        vbg_note("first step %.2f s; about %s to go", c->step_s,
                 clock_text(left, sizeof left, remaining(c)));
    }
    if (c->step % c->l->opt.log_every != 0 && c->step != c->steps)
        return;
    e = vbg_log_event("train", c->step);
    json_object_set_new(e, "epoch", json_integer((json_int_t)epoch_of(c)));
    vbg_log_number(e, "loss", c->sum.loss / n);
    vbg_log_number(e, "lr", c->lr);
    vbg_log_number(e, "grad_norm", c->norm_sum / n);
    for (int i = 0; i < c->sum.count; i++)
        vbg_log_number(e, c->sum.value[i].name, c->sum.value[i].value / n);
    double each = (vbg_now() - c->since) / n;
    vbg_log_number(e, "images_per_s", (double)images_a_step(c) / each);
    vbg_log_number(e, "step_s", each);
    vbg_log_number(e, "data_s", c->data_s / n);
    vbg_log_number(e, "eta_s", floor(remaining(c)));
    vbg_log_number(e, "rss_mb", floor(resident_mb()));
    vbg_log_write(c->log, e);
    c->sum = (vbg_measure){ 0 };
    c->summed = 0;
    c->norm_sum = c->data_s = 0;
    c->since = vbg_now();
}

void vbg_course_log_validation(vbg_course *c, const vbg_measure *m)
{
    char name[64], text[512];
    json_t *e = vbg_log_event("val", c->step);
    size_t at = (size_t)snprintf(text, sizeof text, "step %ld: held-out loss %.5g",
                                 c->step, m->loss);

    json_object_set_new(e, "epoch", json_integer((json_int_t)epoch_of(c)));
    vbg_log_number(e, "val/loss", m->loss);
    for (int i = 0; i < m->count; i++) {
        snprintf(name, sizeof name, "val/%s", m->value[i].name);
        vbg_log_number(e, name, m->value[i].value);
        if (at < sizeof text)
            at += (size_t)snprintf(text + at, sizeof text - at, ", %s %.5g",
                                   m->value[i].name, m->value[i].value);
    }
    vbg_note("%s", text);
    vbg_log_write(c->log, e);
}

void vbg_course_log_start(vbg_course *c)
{
    json_t *e = vbg_log_event("start", c->step), *argv = json_array();

    for (char **a = c->l->argv; a && *a; a++)
        json_array_append_new(argv, json_string(*a));
    json_object_set_new(e, "version", json_string(VBG_VERSION));
    json_object_set_new(e, "argv", argv);
    json_object_set(e, "config", c->l->config);
    json_object_set_new(e, "params",
                        json_integer((json_int_t)vbg_params_values(c->l->params)));
    vbg_log_write(c->log, e);
}

void vbg_course_log_end(vbg_course *c, const char *why)
{
    json_t *e = vbg_log_event("end", c->step);

    json_object_set_new(e, "reason", json_string(why));
    vbg_log_number(e, "seconds", vbg_now() - c->start);
    vbg_log_write(c->log, e);
}
