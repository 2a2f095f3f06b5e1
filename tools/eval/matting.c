/* Two folders of mattes, frame by frame in the order of their names. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/picture_io.h"
#include "models/matting.h"
#include "tools/eval/commands.h"

/* One matte and the one before it, f32. */
typedef struct track {
    float *now, *before;
    int w, h;
} track;

/* Reads DIR/name into t->now after moving what was there to t->before. */
static vbg_status read_matte(track *t, const char *dir, const char *name, vbg_err *err)
{
    char path[4400];
    vbg_picture p = { 0 };

    snprintf(path, sizeof path, "%.4000s/%s", dir, name);
    vbg_status st = vbg_picture_load(&p, NULL, path, 1, err);
    if (st != VBG_OK)
        return st;
    size_t n = (size_t)p.w * (size_t)p.h;
    if (!t->now) {
        t->w = p.w;
        t->h = p.h;
        t->now = malloc(n * sizeof *t->now);
        t->before = malloc(n * sizeof *t->before);
    }
    if (!t->now || !t->before)
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory for mattes");
    else if (p.w != t->w || p.h != t->h)
        st = vbg_fail(err, VBG_EFORMAT, "%s: is %dx%d, the others are %dx%d", path, p.w,
                      p.h, t->w, t->h);
    if (st == VBG_OK) {
        float *old = t->before;
        t->before = t->now;
        t->now = old;
        for (int y = 0; y < p.h; y++)
            for (int x = 0; x < p.w; x++)
                t->now[(size_t)y * (size_t)p.w + (size_t)x] =
                    (float)p.data[(size_t)y * p.stride + (size_t)x] / 255;
    }
    vbg_picture_free(&p);
    return st;
}

typedef struct sums {
    vbg_matting_errors e;
    double dtssd, flicker, truth_flicker;
} sums;

static vbg_status one(sums *s, const track *truth, const track *alpha, size_t i,
                      vbg_err *err)
{
    const size_t n = (size_t)truth->w * (size_t)truth->h;
    vbg_matting_errors e;

    if (truth->w != alpha->w || truth->h != alpha->h)
        return vbg_fail(err, VBG_EUSAGE, "mattes of %dx%d against a truth of %dx%d",
                        alpha->w, alpha->h, truth->w, truth->h);
    vbg_status st =
        vbg_matting_compare(&e, alpha->now, truth->now, truth->w, truth->h, err);
    if (st != VBG_OK)
        return st;
    s->e.mad += e.mad;
    s->e.mse += e.mse;
    s->e.grad += e.grad;
    if (i) {
        s->dtssd +=
            vbg_matting_dtssd(alpha->before, alpha->now, truth->before, truth->now, n);
        s->flicker += vbg_matting_change(alpha->before, alpha->now, n);
        s->truth_flicker += vbg_matting_change(truth->before, truth->now, n);
    }
    return VBG_OK;
}

static void report(vbg_report *r, const sums *s, size_t frames)
{
    const double n = (double)frames, pairs = n - 1;

    vbg_report_int(r, "frames", (int64_t)frames);
    vbg_report_real(r, "MAD x 1e3", s->e.mad / n, 3);
    vbg_report_real(r, "MSE x 1e3", s->e.mse / n, 3);
    vbg_report_real(r, "Grad / 1e3", s->e.grad / n, 4);
    if (frames < 2)
        return;
    vbg_report_real(r, "dtSSD x 1e2", s->dtssd / pairs, 3);
    vbg_report_real(r, "mean |a_t - a_t-1|", s->flicker / pairs, 6);
    vbg_report_real(r, "the truth's", s->truth_flicker / pairs, 6);
}

vbg_status vbg_eval_matting(const vbg_values *v, vbg_report *r, vbg_err *err)
{
    vbg_names a = { 0 }, b = { 0 };
    track truth = { 0 }, alpha = { 0 };
    sums s = { 0 };
    vbg_status st =
        vbg_names_list(&a, vbg_positional(v, 1), vbg_is_any_picture_name, err);

    if (st == VBG_OK)
        st = vbg_names_list(&b, vbg_positional(v, 2), vbg_is_any_picture_name, err);
    if (st == VBG_OK && (a.count == 0 || a.count != b.count))
        st = vbg_fail(err, VBG_EUSAGE, "%s has %zu pictures, %s has %zu",
                      vbg_positional(v, 1), a.count, vbg_positional(v, 2), b.count);
    for (size_t i = 0; i < a.count && st == VBG_OK; i++) {
        st = read_matte(&truth, vbg_positional(v, 1), a.name[i], err);
        if (st == VBG_OK)
            st = read_matte(&alpha, vbg_positional(v, 2), b.name[i], err);
        if (st == VBG_OK)
            st = one(&s, &truth, &alpha, i, err);
        if (st == VBG_OK && vbg_stop_signal())
            st = vbg_fail(err, VBG_ECANCEL, "stopped");
    }
    if (st == VBG_OK)
        report(r, &s, a.count);
    vbg_names_free(&a);
    vbg_names_free(&b);
    free(truth.now);
    free(truth.before);
    free(alpha.now);
    free(alpha.before);
    return st;
}
