/* How long a training takes: a step tried before the first, and --fit, which ends the
 * training and the decay of its rate by the clock.
 *
 * --fit chooses the number of steps from the measured speed: for the first time after
 * TRIAL steps, then before each checkpoint, which keeps it.  A continued training goes on
 * with the number it finds, so between two choices it repeats an undisturbed one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/train/loop_state.h"

enum { TRIAL = 20, WORTH_A_TRIAL = 200 /* steps */ };

static const double MARGIN = 0.97; /* share of the time that steps may take */

/* ---- a step tried ---- */

static size_t buffer_values(const vbg_params *p)
{
    size_t n = 0;

    for (size_t i = 0; i < vbg_params_count(p); i++)
        n += vbg_params_at(p, i)->buffer ? vbg_params_at(p, i)->count : 0;
    return n;
}

/* Running statistics into kept, or back. */
static void keep_buffers(const vbg_params *p, float *kept, bool back)
{
    for (size_t i = 0; i < vbg_params_count(p); i++) {
        vbg_param *m = vbg_params_at(p, i);
        if (!m->buffer)
            continue;
        memcpy(back ? m->value : kept, back ? kept : m->value, m->count * sizeof(float));
        kept += m->count;
    }
}

double vbg_course_trial(vbg_course *c)
{
    const vbg_loop *l = c->l;
    const uint64_t job =
        ((uint64_t)c->step * (uint64_t)l->opt.accumulate) * (uint64_t)c->ranks.count +
        (uint64_t)c->ranks.rank;
    vbg_measure m = { 0 };
    vbg_err err = { "" };

    if (c->steps - c->step < WORTH_A_TRIAL || c->ranks.count > 1)
        return 0;
    float *kept = malloc((buffer_values(l->params) + 1) * sizeof *kept);
    if (!kept)
        return 0;
    keep_buffers(l->params, kept, false);
    vbg_status st = l->calls->load(l->arg, job, 0, &err);
    const double before = vbg_now();
    if (st == VBG_OK)
        st = l->calls->step(l->arg, job, 0, &m, &err);
    const double took = vbg_now() - before;
    keep_buffers(l->params, kept, true);
    vbg_params_zero_grad(l->params, l->ctx);
    free(kept);
    return st == VBG_OK ? took * l->opt.accumulate : 0;
}

/* ---- the number of steps ---- */

void vbg_course_set_steps(vbg_course *c, long steps)
{
    vbg_loop *l = c->l;
    const double jobs = (double)steps * (double)vbg_course_jobs(c);

    c->steps = steps;
    l->jobs = jobs;
    l->opt.schedule.total =
        l->opt.per_epoch ? ceil(jobs / (double)l->jobs_per_epoch) : (double)steps;
}

void vbg_course_fit(vbg_course *c)
{
    const vbg_loop_opt *o = &c->l->opt;
    const long done = c->step - c->first;

    if (!o->fit || done < TRIAL || (done > TRIAL && c->step % o->save_every != 0))
        return;
    const double now = vbg_now(), left = MARGIN * o->max_seconds - (now - c->start);
    /* ranks agree on the fewest */
    double steps = -floor(fmax(left, 0) * (double)done / (now - c->begun));
    vbg_ranks_max(&c->ranks, &steps, 1);
    long all = c->step + (long)fmin(-steps, 1e9);
    all = all < c->wanted ? all : c->wanted;
    if (labs(all - c->steps) <= c->steps / 100 && all >= c->steps)
        return;
    if (c->ranks.rank == 0 && done == TRIAL)
        vbg_note("--fit: %ld steps", all);
    vbg_course_set_steps(c, all);
    c->last = all;
}
