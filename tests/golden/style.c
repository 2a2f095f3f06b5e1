/* seg/nst_small, seg/vgg19_full: features, Gram matrices, losses of style transfer and
 * their gradients with respect to the picture; trajectories of optimisers. */
#include <stdio.h>
#include <string.h>

#include "engine/loss.h"
#include "engine/ops.h"
#include "engine/optim.h"
#include "engine/tape.h"
#include "models/vgg.h"
#include "tests/golden/golden.h"

static const char COMPONENT[] = "vgg";
static const char *const tap_name[VBG_VGG_TAPS] = { "relu1_1", "relu2_1", "relu3_1",
                                                    "relu4_1", "relu5_1", "relu4_2" };

/* Losses of a picture, unweighted. */
typedef struct parts {
    float content, style[VBG_VGG_STYLES], tv_abs, tv_sq;
} parts;

/* The share of each in what is differentiated. */
typedef struct shares {
    float content, style, tv_abs, tv_sq;
} shares;

typedef struct transfer {
    golden *g;
    vbg_vgg net;
    vbg_tape *tape;
    int h, w;
    float *content;              /* map of relu4_2 of the content picture */
    float *gram[VBG_VGG_STYLES]; /* of the style picture */
    shares weight;               /* of the whole objective */
    double *log;                 /* rows of total, content, style, tv */
    int rows, max_rows;
} transfer;

/* One pass over a picture. */
typedef struct pass {
    transfer *t;
    const float *x; /* NHWC */
    int h, w;
    const char *act; /* report the maps as "act.*" of this kind, or NULL */
    bool target;     /* the maps become the targets */
    shares share;
    float *dx; /* gradient of the shares' sum, or NULL */
    parts out;
} pass;

static size_t stored_channels(golden *g, const char *name, size_t all)
{
    const vbg_st_tensor *t = vbg_st_find(golden_data(g), name);

    return t && t->rank > 1 ? (size_t)t->dim[1] : all;
}

static void report_maps(const pass *p, vbg_tensor *const tap[], vbg_tensor *const gram[])
{
    golden *g = p->t->g;
    char name[64];

    for (int i = 0; i < VBG_VGG_TAPS && !strcmp(p->act, "gram"); i++) {
        const vbg_tensor *t = tap[i];
        snprintf(name, sizeof name, "act.%s", tap_name[i]);
        golden_out_nhwc(g, name, t->data, 1, t->h, t->w, t->c,
                        t->c / (int)stored_channels(g, name, (size_t)t->c));
    }
    for (int i = 0; i < VBG_VGG_STYLES; i++) {
        const float *v = gram[i]->data;
        size_t c = (size_t)gram[i]->c, used = 0;
        snprintf(name, sizeof name, "act.%s.%s", p->act, tap_name[i]);
        if (!vbg_st_find(golden_data(g), name))
            continue;
        size_t kept = stored_channels(g, name, c), step = c / kept;
        float *some = golden_alloc(g, kept * kept * sizeof *some);
        for (size_t a = 0; a < kept; a++)
            for (size_t b = 0; b < kept; b++)
                some[used++] = v[a * step * c + b * step];
        golden_out_f32(g, name, some, used);
    }
}

static void keep_targets(const pass *p, vbg_tensor *const tap[], vbg_tensor *const gram[])
{
    transfer *t = p->t;
    const vbg_tensor *map = tap[VBG_RELU4_2];
    size_t bytes = vbg_rows(map) * (size_t)map->c * sizeof(float);

    if (!strcmp(p->act, "content")) {
        t->content = golden_alloc(t->g, bytes);
        memcpy(t->content, map->data, bytes);
        return;
    }
    for (int i = 0; i < VBG_VGG_STYLES; i++) {
        bytes = (size_t)gram[i]->c * (size_t)gram[i]->c * sizeof(float);
        t->gram[i] = golden_alloc(t->g, bytes);
        memcpy(t->gram[i], gram[i]->data, bytes);
    }
}

/* The weighted sum; single losses go to p->out. */
static vbg_tensor *losses(vbg_ctx *c, pass *p, const vbg_tensor *x,
                          vbg_tensor *const tap[], vbg_tensor *const gram[])
{
    enum { TERMS = VBG_VGG_STYLES + 3 };
    const transfer *t = p->t;
    const vbg_tensor *map = tap[VBG_RELU4_2];
    vbg_tensor *term[TERMS];
    float weight[TERMS];

    for (int i = 0; i < VBG_VGG_STYLES; i++) {
        int m = gram[i]->c;
        vbg_tensor *want = vbg_wrap(c, t->gram[i], VBG_F32, 1, 1, m, m);
        vbg_tensor *mean = vbg_loss_mse(c, gram[i], want);
        term[i] = vbg_affine(c, mean, (float)m * (float)m, 0);
        weight[i] = p->share.style / VBG_VGG_STYLES;
        vbg_copy_out(c, &p->out.style[i], VBG_F32, term[i]);
    }
    term[TERMS - 3] =
        vbg_loss_mse(c, map, vbg_wrap(c, t->content, VBG_F32, 1, map->h, map->w, map->c));
    term[TERMS - 2] = vbg_loss_variation(c, x, false);
    term[TERMS - 1] = vbg_loss_variation(c, x, true);
    vbg_copy_out(c, &p->out.content, VBG_F32, term[TERMS - 3]);
    vbg_copy_out(c, &p->out.tv_abs, VBG_F32, term[TERMS - 2]);
    vbg_copy_out(c, &p->out.tv_sq, VBG_F32, term[TERMS - 1]);
    weight[TERMS - 3] = p->share.content;
    weight[TERMS - 2] = p->share.tv_abs;
    weight[TERMS - 1] = p->share.tv_sq;
    return vbg_loss_sum(c, term, weight, TERMS);
}

static vbg_status pass_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    pass *p = arg;
    vbg_tensor *tap[VBG_VGG_TAPS], *gram[VBG_VGG_STYLES];

    (void)err;
    if (p->dx)
        vbg_tape_start(p->t->tape, true);
    vbg_tensor *x = vbg_wrap(c, p->x, VBG_F32, 1, p->h, p->w, 3);
    if (p->dx)
        vbg_require_grad(c, x);
    vbg_vgg_forward(c, &p->t->net, x, tap);
    for (int i = 0; i < VBG_VGG_STYLES; i++)
        gram[i] = vbg_gram(c, tap[i]);
    if (p->act && !p->target && !vbg_planning(c))
        report_maps(p, tap, gram);
    if (p->target) {
        if (!vbg_planning(c))
            keep_targets(p, tap, gram);
        if (!vbg_planning(c) && strcmp(p->act, "gram_style") == 0)
            report_maps(p, tap, gram);
        return VBG_OK;
    }
    vbg_tensor *sum = losses(c, p, x, tap, gram);
    if (p->dx) {
        vbg_backward(c, sum);
        vbg_copy_out(c, p->dx, VBG_F32, vbg_grad(c, x));
        vbg_tape_stop(p->t->tape);
    }
    return VBG_OK;
}

static bool run_pass(pass *p)
{
    vbg_err err = { 0 };

    if (vbg_run(golden_ctx(p->t->g), pass_job, p, &err) == VBG_OK)
        return true;
    golden_fail(p->t->g, "%s", err.text);
    return false;
}

/* ---- targets, parts, gradients ---- */

static bool make_target(transfer *t, const char *key, const char *act)
{
    static const float mean[3] = { 123.675f, 116.28f, 103.53f };
    const vbg_st_tensor *rgb = golden_in(t->g, "%s", key);
    float *x = rgb ? golden_in_f32(t->g, "%s", key) : NULL;

    if (!x)
        return false;
    for (size_t i = 0; i < rgb->count; i++)
        x[i] -= mean[i % 3];
    return run_pass(&(pass){ .t = t,
                             .x = x,
                             .h = (int)rgb->dim[0],
                             .w = (int)rgb->dim[1],
                             .act = act,
                             .target = true });
}

static void report_picture(const transfer *t, const char *name, const float *x)
{
    if (vbg_st_find(golden_data(t->g), name))
        golden_out_nhwc(t->g, name, x, 1, t->h, t->w, 3, 1);
}

static void report_gradients(transfer *t, const float *x)
{
    const struct {
        const char *name;
        shares share;
    } kinds[] = { { "grad.content", { .content = 1 } },
                  { "grad.style", { .style = 1 } },
                  { "grad.tv_abs", { .tv_abs = 1 } },
                  { "grad.tv_sq", { .tv_sq = 1 } },
                  { "grad.total", t->weight } };
    float *dx = golden_alloc(t->g, (size_t)t->h * (size_t)t->w * 3 * sizeof *dx);

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!vbg_st_find(golden_data(t->g), kinds[i].name))
            continue;
        pass p = {
            .t = t, .x = x, .h = t->h, .w = t->w, .share = kinds[i].share, .dx = dx
        };
        if (run_pass(&p))
            report_picture(t, kinds[i].name, dx);
    }
}

static void report_parts(transfer *t, const float *x)
{
    const vbg_st_tensor *s = golden_in(t->g, "out.loss_parts");
    pass p = { .t = t, .x = x, .h = t->h, .w = t->w, .act = "gram" };
    double v[VBG_VGG_STYLES + 3];

    if (!s || !run_pass(&p))
        return;
    v[0] = (double)p.out.content;
    for (int i = 0; i < VBG_VGG_STYLES; i++)
        v[1 + i] = (double)p.out.style[i];
    v[VBG_VGG_STYLES + 1] = (double)p.out.tv_abs;
    v[VBG_VGG_STYLES + 2] = (double)p.out.tv_sq;
    golden_out_f64(t->g, "out.loss_parts", v, s->count < 8 ? s->count : 8);
}

/* ---- trajectories ---- */

/* Value of share's objective at x, gradient to dx (may be NULL), a row of the log. */
static double evaluate(transfer *t, const float *x, shares share, float *dx)
{
    pass p = { .t = t, .x = x, .h = t->h, .w = t->w, .share = share, .dx = dx };
    double style = 0;

    run_pass(&p);
    for (int i = 0; i < VBG_VGG_STYLES; i++)
        style += (double)p.out.style[i] / VBG_VGG_STYLES;
    double total = (double)share.content * (double)p.out.content +
                   (double)share.style * style +
                   (double)share.tv_abs * (double)p.out.tv_abs;
    if (t->rows < t->max_rows) {
        double *row = t->log + 4 * t->rows++;
        row[0] = total;
        row[1] = (double)p.out.content;
        row[2] = style;
        row[3] = (double)p.out.tv_abs;
    }
    return total;
}

static void start_log(transfer *t)
{
    t->max_rows = 1000;
    t->log = golden_alloc(t->g, 4 * (size_t)t->max_rows * sizeof *t->log);
    t->rows = 0;
}

static void end_log(transfer *t, const char *name, const float *x, shares share)
{
    evaluate(t, x, share, NULL);
    golden_out_f64(t->g, name, t->log, 4 * (size_t)t->rows);
}

static void run_adam(transfer *t, const float *start, size_t count)
{
    const vbg_entry shape = {
        .component = "picture", .name = "x", .rank = 1, .dim = { (int64_t)count }
    };
    vbg_optim_opt o = vbg_optim_defaults(VBG_ADAM);
    vbg_params *params = NULL;
    vbg_optim *optim = NULL;
    vbg_err err = { 0 };
    char name[32];

    if (vbg_params_new(&params, VBG_F32, &err) != VBG_OK)
        return;
    vbg_params_select(params, "picture", "*", true);
    vbg_params_declare(params, 0);
    vbg_param *m = vbg_params_take(params, NULL, &shape, VBG_INIT_ZERO, 0);
    if (!m || vbg_optim_new(&optim, params, &o, &err) != VBG_OK) {
        golden_fail(t->g, "%s", err.text);
        vbg_params_free(params);
        return;
    }
    memcpy(m->value, start, count * sizeof *start);
    start_log(t);
    for (int i = 1; i <= 20; i++) {
        evaluate(t, m->value, t->weight, m->grad);
        vbg_optim_step(optim, golden_ctx(t->g), 10, 1);
        snprintf(name, sizeof name, "out.adam.image_%d", i);
        report_picture(t, name, m->value);
    }
    end_log(t, "out.adam.log", m->value, t->weight);
    vbg_optim_free(optim);
    vbg_params_free(params);
}

typedef struct descent {
    transfer *t;
    float *x, *dx;
    size_t count;
    shares share;
} descent;

static double objective(void *arg, const double *x, double *g)
{
    descent *d = arg;

    for (size_t i = 0; i < d->count; i++)
        d->x[i] = (float)x[i];
    double v = evaluate(d->t, d->x, d->share, d->dx);
    for (size_t i = 0; i < d->count; i++)
        g[i] = (double)d->dx[i];
    return v;
}

/* From the start; the log when asked for. */
static void descend(transfer *t, const char *name, const float *start, size_t count,
                    bool wolfe, int iterations, bool log)
{
    const vbg_lbfgs_opt o = { .lr = 1,
                              .history = 100,
                              .tolerance_grad = 1e-7,
                              .tolerance_change = 1e-9,
                              .strong_wolfe = wolfe,
                              .max_eval = 200 };
    descent d = { .t = t, .count = count, .share = t->weight };
    double *x = golden_alloc(t->g, count * sizeof *x);
    vbg_lbfgs *l = NULL;
    vbg_err err = { 0 };
    char full[64];

    d.share.tv_abs = 0;
    d.x = golden_alloc(t->g, count * sizeof *d.x);
    d.dx = golden_alloc(t->g, count * sizeof *d.dx);
    for (size_t i = 0; i < count; i++)
        x[i] = (double)start[i];
    if (vbg_lbfgs_new(&l, count, &o, &err) != VBG_OK) {
        golden_fail(t->g, "%s", err.text);
        return;
    }
    start_log(t);
    vbg_lbfgs_run(l, x, iterations, objective, &d, NULL);
    for (size_t i = 0; i < count; i++)
        d.x[i] = (float)x[i];
    snprintf(full, sizeof full, "out.%s.image_%d", name, iterations);
    report_picture(t, full, d.x);
    snprintf(full, sizeof full, "out.%s.log", name);
    if (log)
        end_log(t, full, d.x, d.share);
    vbg_lbfgs_free(l);
}

static void run_trajectories(transfer *t)
{
    static const int stops[] = { 1, 5, 10, 20 };
    const float *start = golden_in_nhwc(t->g, "in.start");
    size_t count = (size_t)t->h * (size_t)t->w * 3;

    if (!start)
        return;
    run_adam(t, start, count);
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        descend(t, "lbfgs_wolfe", start, count, true, stops[i], stops[i] == 20);
        descend(t, "lbfgs_plain", start, count, false, stops[i], stops[i] == 20);
    }
}

static void run_style(golden *g)
{
    transfer t = { .g = g };
    const json_t *w =
        json_object_get(golden_json(g), "loss_weights [content, style, tv]");
    const vbg_st_tensor *image = golden_in(g, "in.image");
    const float *x = golden_in_nhwc(g, "in.image");
    vbg_weights *file = golden_weights(g, COMPONENT, NULL, NULL);
    vbg_err err = { 0 };

    if (!w) /* the larger file has the short name */
        w = json_object_get(golden_json(g), "loss_weights");
    t.weight = (shares){ .content = (float)json_number_value(json_array_get(w, 0)),
                         .style = (float)json_number_value(json_array_get(w, 1)),
                         .tv_abs = (float)json_number_value(json_array_get(w, 2)) };
    if (image && x && file && vbg_vgg_bind(&t.net, file, COMPONENT, &err) == VBG_OK &&
        vbg_tape_new(&t.tape, golden_ctx(g), NULL, &err) == VBG_OK) {
        t.h = (int)image->dim[2];
        t.w = (int)image->dim[3];
        if (make_target(&t, "in.content_rgb", "content") &&
            make_target(&t, "in.style_rgb", "gram_style")) {
            report_parts(&t, x);
            report_gradients(&t, x);
            if (vbg_st_find(golden_data(g), "in.start"))
                run_trajectories(&t);
        }
    } else {
        golden_fail(g, "%s", err.text);
    }
    vbg_tape_free(t.tape);
    vbg_weights_close(file);
}

const golden_family golden_families_style[] = {
    { "seg/nst_small", run_style },
    { "seg/vgg19_full", run_style },
    { NULL, NULL },
};
