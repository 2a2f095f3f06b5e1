/* The training loop; see tools/train/loop.h. */
#include "tools/train/loop.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/tape.h"
#include "tools/train/lock.h"
#include "tools/train/loop_state.h"

/* Steps of rising rate after a start without moments. */
enum { REWARM_STEPS = 100 };

void vbg_measure_set(vbg_measure *m, const char *name, double value)
{
    int i = 0;

    while (i < m->count && strcmp(m->value[i].name, name) != 0)
        i++;
    VBG_CHECK(i < VBG_LOOP_VALUES, "too many measures");
    if (i == m->count) {
        snprintf(m->value[i].name, sizeof m->value[i].name, "%s", name);
        m->count++;
    }
    m->value[i].value = value;
}

double vbg_loop_progress(const vbg_loop *l, uint64_t job)
{
    return l->jobs > 0 ? fmin((double)job / l->jobs, 1) : 0;
}

/* sum += m */
static void add_measure(vbg_measure *sum, const vbg_measure *m, double share)
{
    sum->loss += share * m->loss;
    for (int i = 0; i < m->count; i++) {
        double was = 0;
        for (int k = 0; k < sum->count; k++)
            if (strcmp(sum->value[k].name, m->value[i].name) == 0)
                was = sum->value[k].value;
        vbg_measure_set(sum, m->value[i].name, was + share * m->value[i].value);
    }
}

static double rate_at(const vbg_course *c)
{
    const vbg_loop_opt *o = &c->l->opt;
    double i = (double)c->step;
    double factor;

    if (o->per_epoch)
        i = floor(i * (double)vbg_course_jobs(c) / (double)c->l->jobs_per_epoch);
    factor = vbg_schedule_at(&o->schedule, i);
    if (c->rewarm >= 0 && c->step < c->rewarm + REWARM_STEPS)
        factor *= (double)(c->step - c->rewarm + 1) / REWARM_STEPS;
    return o->lr * factor;
}

/* ---- a step ---- */

/* Not a number: everything stays as it was at the last checkpoint. */
static vbg_status refuse(vbg_course *c, const char *what, uint64_t job, int slot,
                         vbg_err *err)
{
    char samples[400] = "", good[4300];
    json_t *e = vbg_log_event("train", c->step + 1);

    if (c->l->calls->describe && slot >= 0)
        c->l->calls->describe(c->l->arg, job, slot, samples, sizeof samples);
    vbg_log_number(e, "loss", NAN);
    vbg_log_write(c->log, e);
    vbg_log_warn(c->log, c->step + 1, "%s is not a number at step %ld%s%s", what,
                 c->step + 1, samples[0] ? ", samples: " : "", samples);
    vbg_course_last_good(c, good, sizeof good);
    return vbg_fail(err, VBG_EFORMAT, "%s is not a number at step %ld%s%s%s; %s", what,
                    c->step + 1, samples[0] ? " (" : "", samples, samples[0] ? ")" : "",
                    good);
}

/* Ranks take the jobs in turn. */
static uint64_t own_job(const vbg_course *c, uint64_t job)
{
    return job * (uint64_t)c->ranks.count + (uint64_t)c->ranks.rank;
}

static vbg_status load_own(void *arg, uint64_t job, int slot, vbg_err *err)
{
    const vbg_course *c = arg;

    return c->l->calls->load(c->l->arg, own_job(c, job), slot, err);
}

/* st, or what the other ranks met: the first of those that failed says why and ends all.
 */
static vbg_status all_well(vbg_course *c, vbg_status st, vbg_err *err)
{
    const double own = st != VBG_OK ? c->ranks.count - c->ranks.rank : 0;
    double most = own;

    vbg_ranks_max(&c->ranks, &most, 1);
    c->silent = most > own;
    return c->silent ? vbg_fail(err, VBG_EIO, "another process failed") : st;
}

/* One micro-batch. */
static vbg_status micro_batch(vbg_course *c, vbg_measure *mean, vbg_err *err)
{
    const vbg_loop *l = c->l;
    vbg_measure m = { 0 };
    double before = vbg_now();
    uint64_t job = 0;
    int slot = -1;
    vbg_status st = vbg_prefetch_next(c->prefetch, &job, &slot, err);

    st = all_well(c, st, err); /* steps that share sums begin together or not */
    if (st != VBG_OK)
        return st;
    c->data_s += vbg_now() - before;
    job = own_job(c, job);
    st = l->calls->step(l->arg, job, slot, &m, err);
    if (st == VBG_OK && !isfinite(m.loss))
        st = refuse(c, "the loss", job, slot, err);
    vbg_prefetch_done(c->prefetch, slot);
    add_measure(mean, &m, 1.0 / l->opt.accumulate);
    return st;
}

/* What the ranks found becomes one: gradients, statistics, measures, failures. */
static vbg_status join(vbg_course *c, vbg_measure *mean, vbg_status st, vbg_err *err)
{
    double v[1 + VBG_LOOP_VALUES] = { mean->loss };

    st = all_well(c, st, err);
    if (st != VBG_OK || c->ranks.count == 1)
        return st;
    vbg_ranks_sum_gradients(&c->ranks, c->l->params);
    vbg_ranks_mean_buffers(&c->ranks, c->l->params);
    for (int i = 0; i < mean->count; i++)
        v[1 + i] = mean->value[i].value;
    vbg_ranks_sum(&c->ranks, v, 1 + mean->count);
    mean->loss = v[0] / c->ranks.count;
    for (int i = 0; i < mean->count; i++)
        mean->value[i].value = v[1 + i] / c->ranks.count;
    return VBG_OK;
}

static vbg_status one_step(vbg_course *c, vbg_err *err)
{
    vbg_loop *l = c->l;
    vbg_measure mean = { 0 };
    double before = vbg_now();
    vbg_status st = VBG_OK;

    for (int k = 0; k < l->opt.accumulate && st == VBG_OK; k++)
        st = micro_batch(c, &mean, err);
    st = join(c, &mean, st, err);
    if (st != VBG_OK)
        return st;
    c->lr = rate_at(c);
    double norm =
        vbg_optim_step(l->optim, l->ctx, c->lr, 1.0 / (double)vbg_course_jobs(c));
    if (!isfinite(norm))
        return refuse(c, "the gradient", 0, -1, err);
    vbg_params_refresh(l->params, l->ctx);
    c->step++;
    add_measure(&c->sum, &mean, 1);
    c->summed++;
    c->norm_sum += norm;
    double took = vbg_now() - before;
    c->step_s = c->step == c->first + 1 ? took : 0.95 * c->step_s + 0.05 * took;
    return VBG_OK;
}

/* ---- between steps ---- */

static bool better(const vbg_course *c, const vbg_measure *m, double *value)
{
    bool loss = !c->l->best || strcmp(c->l->best, "loss") == 0;

    *value = m->loss;
    for (int i = 0; !loss && i < m->count; i++)
        if (strcmp(m->value[i].name, c->l->best) == 0)
            *value = m->value[i].value;
    if (!isfinite(*value))
        return false;
    return !isfinite(c->best) || (loss ? *value < c->best : *value > c->best);
}

static vbg_status validate(vbg_course *c, vbg_err *err)
{
    vbg_measure m = { 0 };
    double value;

    vbg_course_averages(c);
    vbg_status st = c->l->calls->validate(c->l->arg, &m, err);
    vbg_course_averages(c);
    if (st != VBG_OK)
        return st;
    vbg_course_log_validation(c, &m);
    if (better(c, &m, &value)) {
        c->best = value;
        vbg_course_save_best(c);
    }
    return VBG_OK;
}

static void sample(vbg_course *c)
{
    char path[4200];
    vbg_err err = { 0 };

    vbg_course_path(c, path, sizeof path, "samples/%07ld.png", c->step);
    vbg_course_averages(c);
    vbg_status st = c->l->calls->sample(c->l->arg, path, &err);
    vbg_course_averages(c);
    if (st != VBG_OK) {
        vbg_log_warn(c->log, c->step, "no samples: %s", err.text);
        return;
    }
    json_t *e = vbg_log_event("sample", c->step);
    json_object_set_new(e, "path", json_string(path));
    vbg_log_write(c->log, e);
}

static bool due(const vbg_course *c, long every, bool last)
{
    return last || c->step % every == 0;
}

/* Whatever is due after a step; last: the training ends here. */
static vbg_status between(vbg_course *c, bool last, bool cut_short, vbg_err *err)
{
    const vbg_loop *l = c->l;
    vbg_status st = VBG_OK;

    if (c->ranks.rank > 0)
        return VBG_OK;
    if (l->calls->validate && !cut_short && due(c, l->opt.val_every, last))
        st = validate(c, err);
    if (st == VBG_OK && l->calls->sample && !cut_short &&
        due(c, l->opt.sample_every, last))
        sample(c);
    bool keep = l->opt.keep_every > 0 && c->step % l->opt.keep_every == 0;
    if (st == VBG_OK && (keep || due(c, l->opt.save_every, last)))
        vbg_course_save(c, last);
    return st;
}

/* Why the training ends now, for all ranks, or NULL. */
static const char *ending(const vbg_course *c)
{
    double limit = c->l->opt.max_seconds, why = 0;

    if (c->step >= c->steps)
        return "steps";
    if (limit > 0 && vbg_now() - c->start >= limit)
        why = 1;
    if (vbg_stop_signal())
        why = 2;
    vbg_ranks_max(&c->ranks, &why, 1);
    return why > 1 ? "signal" : why > 0 ? "clock" : NULL;
}

static vbg_status run_steps(vbg_course *c, vbg_err *err)
{
    const char *end = ending(c);
    vbg_status st = VBG_OK;

    while (!end && st == VBG_OK) {
        st = one_step(c, err);
        if (st != VBG_OK)
            break;
        vbg_course_report(c);
        vbg_course_fit(c);
        end = ending(c);
        st = between(c, end != NULL, end && strcmp(end, "signal") == 0, err);
    }
    vbg_status_clear();
    if (st != VBG_OK) {
        vbg_course_log_end(c, "error");
        return st;
    }
    vbg_course_log_end(c, end);
    if (c->save_failed)
        return vbg_fail(err, VBG_EIO, "the end of the training could not be saved");
    vbg_note("%ld steps done (%s), %s", c->step, end, c->l->opt.out);
    if (strcmp(end, "signal") == 0)
        return vbg_fail(err, VBG_ECANCEL, "stopped; --resume goes on");
    return VBG_OK;
}

static void share_sums(void *arg, double *v, int n)
{
    const vbg_course *c = arg;

    vbg_ranks_sum(&c->ranks, v, n);
}

static vbg_status begin(vbg_course *c, vbg_err *err)
{
    vbg_loop *l = c->l;
    const vbg_loop_opt *o = &l->opt;
    vbg_status st = vbg_course_open(c, err);

    if (st != VBG_OK)
        return st;
    c->wanted = o->steps ? o->steps
                         : (long)ceil(o->epochs * (double)l->jobs_per_epoch /
                                      (double)vbg_course_jobs(c));
    vbg_course_set_steps(c, c->last ? c->last : c->wanted);
    c->first = c->step;
    if (l->tape && c->ranks.count > 1)
        vbg_tape_share(l->tape, c->ranks.count, share_sums, c);
    st = vbg_course_plan(c, err);
    if (st != VBG_OK)
        return st;
    vbg_course_log_start(c);
    c->since = c->begun = vbg_now();
    return vbg_prefetch_new(&c->prefetch, o->loaders, l->depth,
                            (uint64_t)c->step * (uint64_t)o->accumulate, load_own, c,
                            err);
}

/* One of those that are left speaks: whoever holds the folder. */
static void lost(void *arg, int rank)
{
    vbg_course *c = arg;
    vbg_err err = { "" };
    char good[4300];

    vbg_course_last_good(c, good, sizeof good);
    if (c->ranks.rank == 0 || vbg_lock_take(&c->lock, c->l->opt.out, &err) == VBG_OK)
        vbg_error("process %d of %d died at step %ld; %s", rank, c->ranks.count,
                  c->step + 1, good);
}

vbg_status vbg_loop_run(vbg_loop *l, vbg_err *err)
{
    vbg_course c = { .l = l, .lock = -1, .best = NAN, .rewarm = -1, .start = vbg_now() };

    vbg_signals_setup();
    vbg_status st = vbg_ranks_start(&c.ranks, err);
    if (st != VBG_OK)
        return st;
    c.ranks.lost = lost;
    c.ranks.arg = &c;
    if (c.ranks.rank > 0)
        vbg_message_quiet();
    st = begin(&c, err);
    if (st == VBG_OK)
        st = run_steps(&c, err);
    vbg_course_close(&c);
    if (st != VBG_OK && st != VBG_ECANCEL && c.ranks.count > 1) {
        if (c.silent)
            sleep(5); /* until the one that failed has spoken and ended all */
        else
            vbg_error("%s", err->text);
    }
    vbg_ranks_end(&c.ranks, st == VBG_OK || st == VBG_ECANCEL);
    return st;
}
