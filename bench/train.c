/* vbg-bench train: one layer forward and backward, at the widths of small UNets and of
 * SD2: forward, input gradient, weight gradient, packing of changed weights, and the
 * whole step of that layer.  Whole networks: bench/train_nets.c. */
#include "bench/bench.h"
#include "engine/ops.h"
#include "engine/tape.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct train_case {
    const char *name;
    int n, size, c, oc, k, stride;
    bool upsample2, depthwise;
} train_case;

static const train_case cases[] = {
    { "linear", 8, 32, 64, 64, 1, 1, false, false },
    { "linear", 8, 32, 128, 512, 1, 1, false, false },
    { "linear", 8, 64, 320, 320, 1, 1, false, false },
    { "linear", 8, 16, 1280, 1280, 1, 1, false, false },
    { "conv3", 8, 64, 64, 64, 3, 1, false, false },
    { "conv3", 8, 32, 64, 64, 3, 1, false, false },
    { "conv3", 8, 32, 128, 128, 3, 1, false, false },
    { "conv3", 8, 16, 256, 256, 3, 1, false, false },
    { "conv3", 8, 8, 256, 256, 3, 1, false, false },
    { "conv3", 8, 64, 320, 320, 3, 1, false, false },
    { "conv3", 8, 16, 1280, 1280, 3, 1, false, false },
    { "conv3/2", 8, 32, 128, 128, 3, 2, false, false },
    { "upconv3", 8, 16, 128, 128, 3, 1, true, false },
    { "conv7/2", 8, 256, 3, 64, 7, 2, false, false },
    { "dwconv3", 8, 64, 64, 64, 3, 1, false, true },
};

enum { FORWARD, INPUT, WEIGHT, PACK, STEP, PARTS };

static const char *const part_names[] = { "fwd", "dgrad", "wgrad", "pack", "step" };

/* One case with its operands; times of the last run in ms. */
typedef struct train_run {
    const train_case *t;
    vbg_ctx *c;
    vbg_params *params;
    vbg_tape *tape;
    void *x;
    vbg_weight weight;
    bool want_x;
    double forward, backward;
} train_run;

static vbg_status job(vbg_ctx *c, void *arg, vbg_err *err)
{
    train_run *r = arg;
    const train_case *t = r->t;
    const vbg_conv_opt opt = { .pad = t->k / 2,
                               .stride = t->stride,
                               .upsample2 = t->upsample2 };
    vbg_tensor *raw = vbg_wrap(c, r->x, vbg_ctx_act(c), t->n, t->size, t->size, t->c);

    (void)err;
    vbg_tensor *x = vbg_cast(c, raw, raw->dtype); /* among the other tensors */
    vbg_tape_start(r->tape, true);
    if (r->want_x)
        vbg_require_grad(c, x);
    double start = vbg_now();
    vbg_tensor *y = vbg_conv2d(c, x, &r->weight, opt);
    r->forward = 1e3 * (vbg_now() - start);
    vbg_tensor *dy = vbg_cast(c, y, y->dtype);
    start = vbg_now();
    vbg_backward_from(c, y, dy);
    r->backward = 1e3 * (vbg_now() - start);
    vbg_tape_stop(r->tape);
    return VBG_OK;
}

static bool make_weight(train_run *r, bool train)
{
    const train_case *t = r->t;
    vbg_entry e = { .component = "m",
                    .name = "w",
                    .layout = t->depthwise ? VBG_LAYOUT_DEPTHWISE : VBG_LAYOUT_PACK16,
                    .rank = 4,
                    .dim = { t->oc, t->depthwise ? 1 : t->c, t->k, t->k } };

    vbg_params_select(r->params, "m", "*", true);
    vbg_params_declare(r->params, 1);
    vbg_param *m = vbg_params_take(r->params, NULL, &e, VBG_INIT_UNIFORM, 0.1f);
    if (!m)
        return false;
    if (!train)
        vbg_param_is_buffer(m);
    r->weight = (vbg_weight){ .data = m->packed,
                              .dtype = m->dtype,
                              .oc = t->oc,
                              .c = t->depthwise ? 1 : t->c,
                              .kh = t->k,
                              .kw = t->k,
                              .groups = t->depthwise ? t->oc : 1 };
    return true;
}

static bool open_run(train_run *r, const bench *b, vbg_dtype type, bool train)
{
    const train_case *t = r->t;
    const size_t count = (size_t)t->n * (size_t)t->size * (size_t)t->size * (size_t)t->c;
    vbg_ctx_opt opt = { .threads = b->threads, .isa = b->isa, .precision = type };
    uint32_t s = 1;

    if (vbg_ctx_new(&r->c, &opt, NULL) != VBG_OK ||
        vbg_params_new(&r->params, type, NULL) != VBG_OK || !make_weight(r, train) ||
        vbg_tape_new(&r->tape, r->c, r->params, NULL) != VBG_OK)
        return false;
    r->x = vbg_alloc(count * vbg_dtype_size(type));
    for (size_t i = 0; r->x && i < count; i++) {
        s = s * 1664525u + 1013904223u;
        float v = (float)(int32_t)s * 0x1p-31f;
        if (type == VBG_F32)
            ((float *)r->x)[i] = v;
        else
            ((uint16_t *)r->x)[i] = vbg_f32_to_bf16(v);
    }
    return r->x != NULL;
}

static void close_run(train_run *r)
{
    vbg_tape_free(r->tape);
    vbg_params_free(r->params);
    vbg_ctx_free(r->c);
    vbg_free_mem(r->x);
    *r = (train_run){ .t = r->t };
}

/* One step: values changed, packed, forward, backward.  ms[PARTS] of what it shows. */
static void step(train_run *r, bool train, double *ms)
{
    double start = vbg_now();

    for (size_t i = 0; i < vbg_params_count(r->params) && train; i++)
        vbg_param_changed(vbg_params_at(r->params, i));
    vbg_params_refresh(r->params, r->c);
    ms[PACK] = 1e3 * (vbg_now() - start);
    vbg_run(r->c, job, r, NULL);
    ms[STEP] = ms[PACK] + r->forward + r->backward;
    ms[FORWARD] = r->forward;
    ms[train ? WEIGHT : INPUT] = r->backward;
}

/* GFLOP of one product of the case. */
static double gflop_of(const train_case *t)
{
    const int out = t->size / t->stride * (t->upsample2 ? 2 : 1);

    return 2e-9 * t->n * out * out * t->k * t->k * t->oc * (t->depthwise ? 1 : t->c);
}

/* Frozen weights show the input gradient, a constant input the weight gradient. */
static bool measure(bench *b, const train_case *t, vbg_dtype type, bench_row *rows)
{
    static const struct {
        bool train, want_x;
        int first, last; /* parts that this variant shows */
    } variants[] = { { false, true, FORWARD, INPUT },
                     { true, false, WEIGHT, PACK },
                     { true, true, STEP, STEP } };

    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        train_run r = { .t = t, .want_x = variants[v].want_x };
        double ms[PARTS] = { 0 };
        if (!open_run(&r, b, type, variants[v].train)) {
            close_run(&r);
            return false;
        }
        for (int i = -2; i < rows->samples; i++) {
            step(&r, variants[v].train, ms);
            for (int p = variants[v].first; p <= variants[v].last && i >= 0; p++)
                rows[p].sample_ms[i] = ms[p];
        }
        close_run(&r);
    }
    return true;
}

static int run_case(bench *b, const train_case *t, vbg_dtype type)
{
    bench_row rows[PARTS];
    char shape[32];
    bool wanted = false;

    snprintf(shape, sizeof shape, "%dx%dx%dx%d", t->n, t->size, t->c, t->oc);
    for (int p = 0; p < PARTS; p++) {
        bench_row *r = &rows[p];
        *r = (bench_row){ .threads = b->threads, .samples = b->repetitions };
        snprintf(r->name, sizeof r->name, "%s %s", t->name, part_names[p]);
        snprintf(r->shape, sizeof r->shape, "%s", shape);
        snprintf(r->dtype, sizeof r->dtype, "%s", vbg_dtype_name(type));
        r->isa = type == VBG_F32 && b->isa > VBG_ISA_AVX512 ? VBG_ISA_AVX512 : b->isa;
        r->gflop = p == PACK ? 0 : gflop_of(t) * (p == STEP ? 3 : 1);
        if (p == PACK)
            r->gbyte = 1e-9 * t->k * t->k * t->oc * (t->depthwise ? 1 : t->c) *
                       (4 + (double)vbg_dtype_size(type));
        wanted |= bench_wanted(b, r->name, r->shape);
    }
    if (!wanted)
        return 0;
    bench_peak(b, rows->isa, type);
    if (!measure(b, t, type, rows)) {
        vbg_error("not enough memory for %s %s", t->name, shape);
        return 1;
    }
    bench_peak(b, rows->isa, type);
    for (int p = 0; p < PARTS; p++) {
        rows[p].ms = bench_median(rows[p].sample_ms, rows[p].samples);
        if (bench_wanted(b, rows[p].name, rows[p].shape))
            bench_add(b, &rows[p]);
    }
    return 0;
}

int bench_train(bench *b)
{
    const char *want = vbg_value(b->values, "dtype");
    int code = 0;

    for (int pass = 0; pass < 2 && code == 0; pass++) {
        vbg_dtype type = pass ? VBG_BF16 : VBG_F32;
        if ((pass && b->isa < VBG_ISA_AVX512_BF16) || (want && (want[0] == 'b') != pass))
            continue;
        for (size_t i = 0; i < sizeof cases / sizeof *cases && code == 0; i++)
            if (!vbg_stop_signal())
                code = run_case(b, &cases[i], type);
    }
    if (code == 0)
        code = bench_train_nets(b);
    for (size_t i = 0; i < b->count; i++)
        if (b->rows[i].gflop > 0)
            b->rows[i].peak = b->peak[b->rows[i].isa][b->rows[i].dtype[0] == 'b'];
    return code;
}
