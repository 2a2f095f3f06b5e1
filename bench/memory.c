/* Ops that are bound by memory, at the shapes of SD2 with 8 views: what counts is GB/s
 * of all reads and writes (group norm reads its input twice). */
#include "bench/bench.h"
#include "engine/ops.h"

#include <stdio.h>

typedef enum memory_kind {
    GROUP_NORM,
    LAYER_NORM,
    GEGLU,
    ADD,
    CONCAT,
    RESIZE
} memory_kind;

typedef struct memory_case {
    memory_kind kind;
    int n, size, c;
} memory_case;

static const struct {
    const char *name;
    double reads, writes; /* times the elements of x */
} kinds[] = {
    [GROUP_NORM] = { "groupnorm+silu", 2, 1 },
    [LAYER_NORM] = { "layernorm", 1, 1 },
    [GEGLU] = { "geglu", 1, 0.5 },
    [ADD] = { "add", 2, 1 },
    [CONCAT] = { "concat", 2, 2 },
    [RESIZE] = { "bilinear x2", 1, 4 },
};

static const memory_case cases[] = {
    { GROUP_NORM, 8, 64, 320 }, { GROUP_NORM, 8, 16, 1280 }, { GROUP_NORM, 1, 512, 128 },
    { LAYER_NORM, 8, 64, 320 }, { LAYER_NORM, 8, 16, 1280 }, { GEGLU, 8, 64, 2560 },
    { ADD, 8, 64, 320 },        { CONCAT, 8, 64, 320 },      { RESIZE, 1, 64, 128 },
};

typedef struct memory_run {
    const memory_case *t;
    vbg_ctx *c;
    vbg_dtype type;
    void *x;
    float *weight; /* gamma and beta */
} memory_run;

static vbg_status job(vbg_ctx *c, void *arg, vbg_err *err)
{
    const memory_run *m = arg;
    const memory_case *t = m->t;
    vbg_tensor *x = vbg_wrap(c, m->x, m->type, t->n, t->size, t->size, t->c);
    vbg_norm_w w = { .gamma = m->weight, .beta = m->weight, .c = t->c };

    (void)err;
    switch (t->kind) {
    case GROUP_NORM:
        vbg_group_norm(c, x, &w, 32, 1e-5f, VBG_ACT_SILU);
        break;
    case LAYER_NORM:
        vbg_layer_norm(c, x, &w, 1e-5f);
        break;
    case GEGLU:
        vbg_geglu(c, x);
        break;
    case ADD:
        vbg_add(c, x, x, VBG_ACT_NONE);
        break;
    case CONCAT:
        vbg_concat(c, x, x);
        break;
    case RESIZE:
        vbg_resize(c, x, 2 * t->size, 2 * t->size, VBG_RESIZE_BILINEAR);
        break;
    }
    return VBG_OK;
}

static void once(void *arg)
{
    memory_run *m = arg;
    vbg_run(m->c, job, m, NULL);
}

static int run_case(bench *b, const memory_case *t, vbg_dtype type)
{
    const size_t count = (size_t)t->n * (size_t)t->size * (size_t)t->size * (size_t)t->c;
    bench_row r = { .threads = b->threads, .isa = b->isa };
    vbg_ctx_opt opt = { .threads = b->threads, .isa = b->isa, .precision = type };
    memory_run m = { .t = t, .type = type };
    vbg_err err = { 0 };

    snprintf(r.name, sizeof r.name, "%s", kinds[t->kind].name);
    snprintf(r.shape, sizeof r.shape, "%dx%dx%dx%d", t->n, t->size, t->size, t->c);
    snprintf(r.dtype, sizeof r.dtype, "%s", vbg_dtype_name(type));
    if (!bench_wanted(b, r.name, r.shape))
        return 0;
    if (vbg_ctx_new(&m.c, &opt, &err) != VBG_OK)
        return vbg_exit_code(VBG_ENOMEM, &err);
    m.x = vbg_alloc(count * vbg_dtype_size(type));
    m.weight = vbg_alloc((size_t)t->c * sizeof(float));
    for (size_t i = 0; m.x && i < count; i++) {
        float v = (float)(i * 2654435761u % 1000) * 0.004f - 2;
        if (type == VBG_F32)
            ((float *)m.x)[i] = v;
        else
            ((uint16_t *)m.x)[i] = vbg_f32_to_bf16(v);
    }
    if (m.x && m.weight) {
        r.gbyte = 1e-9 * (double)count * (kinds[t->kind].reads + kinds[t->kind].writes) *
                  (double)vbg_dtype_size(type);
        bench_measure(b, &r, once, &m);
        bench_add(b, &r);
    }
    vbg_free_mem(m.x);
    vbg_free_mem(m.weight);
    vbg_ctx_free(m.c);
    return 0;
}

int bench_memory(bench *b, vbg_dtype type)
{
    int code = 0;

    for (size_t i = 0; i < sizeof cases / sizeof *cases && code == 0; i++)
        if (!vbg_stop_signal())
            code = run_case(b, &cases[i], type);
    return code;
}
