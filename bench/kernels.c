/* vbg-bench kernels: the operations at the shapes of SD2 with 8 views, through
 * the ops and threads that the models use. */
#include "bench/bench.h"
#include "bench/blas.h"
#include "engine/ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef enum bench_kind {
    GEMM,
    GEGLU,
    CONV,
    UPCONV,
    STRIDED,
    DEPTHWISE,
    ATTENTION
} bench_kind;

typedef struct bench_case {
    bench_kind kind;
    int n, size, c, oc; /* conv: n maps of size x size; gemm: n*size*size rows */
    int k;              /* conv: kernel; attention: tokens of k and v */
} bench_case;

static const bench_case cases[] = {
    { GEMM, 8, 64, 320, 320, 1 }, /* UNet projections, level by level */
    { GEMM, 8, 32, 640, 640, 1 },
    { GEMM, 8, 16, 1280, 1280, 1 },
    { GEMM, 8, 64, 1280, 320, 1 }, /* feed-forward, second half */
    { GEMM, 8, 32, 2560, 640, 1 },
    { GEMM, 8, 16, 5120, 1280, 1 },
    { GEGLU, 8, 64, 320, 2560, 1 }, /* feed-forward, first half */
    { GEGLU, 8, 32, 640, 5120, 1 },
    { GEGLU, 8, 16, 1280, 10240, 1 },
    { GEMM, 1, 16, 1024, 1024, 1 }, /* 256 rows */
    { GEMM, 1, 1, 1280, 1280, 1 },  /* one row: time embedding */
    { GEMM, 1, 128, 64, 64, 1 },    /* training: pixels times 64 channels */
    { GEMM, 1, 8, 16416, 64, 1 },   /* weight gradients: channels times pixels, with */
    { GEMM, 5, 8, 4128, 320, 1 },   /* the pitch that engine/op_gemm_wgrad.c gives */
    { GEMM, 5, 16, 4128, 1280, 1 },
    { CONV, 8, 64, 320, 320, 3 }, /* UNet blocks */
    { CONV, 8, 32, 640, 640, 3 },
    { CONV, 8, 32, 1920, 640, 3 },
    { CONV, 8, 16, 1280, 1280, 3 },
    { CONV, 8, 16, 2560, 1280, 3 },
    { CONV, 8, 8, 1280, 1280, 3 },
    { STRIDED, 8, 64, 320, 320, 3 },
    { UPCONV, 8, 32, 640, 640, 3 },
    { CONV, 1, 64, 512, 512, 3 }, /* VAE decoder, one view */
    { CONV, 1, 256, 256, 256, 3 },
    { CONV, 1, 512, 128, 128, 3 },
    { CONV, 1, 512, 128, 3, 3 },
    { UPCONV, 1, 256, 256, 256, 3 },
    { CONV, 1, 128, 64, 64, 3 }, /* segmenters */
    { STRIDED, 1, 512, 3, 64, 7 },
    { DEPTHWISE, 1, 64, 72, 72, 5 },
    { ATTENTION, 8, 64, 320, 5, 4096 },
    { ATTENTION, 8, 32, 640, 10, 1024 },
    { ATTENTION, 8, 64, 320, 5, 77 },
};

/* One case with its operands. */
typedef struct kernel_run {
    const bench_case *t;
    vbg_ctx *c;
    vbg_dtype type;
    void *x, *w, *y; /* y: second operand of attention, output of the peer */
    float *bias, *plain;
    vbg_weight weight;
} kernel_run;

static const char *const kind_names[] = { "gemm",   "geglu",  "conv", "upconv",
                                          "conv/2", "dwconv", "attn" };

static void describe(const bench_case *t, bench_row *r)
{
    const int rows = t->n * t->size * t->size;
    double out = (double)rows;

    snprintf(r->name, sizeof r->name, "%s", kind_names[t->kind]);
    if (t->kind == GEMM || t->kind == GEGLU) {
        snprintf(r->shape, sizeof r->shape, "%dx%dx%d", rows, t->oc, t->c);
        r->gflop = 2e-9 * out * t->oc * t->c;
    } else if (t->kind == ATTENTION) {
        snprintf(r->shape, sizeof r->shape, "%dx%dx%d", t->n * t->oc, t->size * t->size,
                 t->k);
        r->gflop = 4e-9 * out * t->c * t->k;
    } else {
        snprintf(r->name, sizeof r->name, "%s%d", kind_names[t->kind], t->k);
        snprintf(r->shape, sizeof r->shape, "%dx%dx%dx%d", t->n, t->size, t->c, t->oc);
        if (t->kind == STRIDED)
            out /= 4;
        if (t->kind == UPCONV)
            out *= 4;
        r->gflop = 2e-9 * out * t->k * t->k * t->oc * (t->kind == DEPTHWISE ? 1 : t->c);
    }
}

static vbg_status job(vbg_ctx *c, void *arg, vbg_err *err)
{
    const kernel_run *k = arg;
    const bench_case *t = k->t;
    vbg_tensor *x = vbg_wrap(c, k->x, k->type, t->n, t->size, t->size, t->c);
    vbg_conv_opt opt = { .pad = t->k / 2,
                         .stride = t->kind == STRIDED ? 2 : 1,
                         .upsample2 = t->kind == UPCONV };

    (void)err;
    if (t->kind == GEMM) {
        vbg_linear(c, x, &k->weight);
    } else if (t->kind == GEGLU) {
        vbg_linear_geglu(c, x, &k->weight);
    } else if (t->kind == ATTENTION) {
        vbg_tensor *kv = vbg_wrap(c, k->y, k->type, t->n, 1, t->k, t->c);
        vbg_attention(c, x, kv, kv, t->oc, false);
    } else {
        vbg_conv2d(c, x, &k->weight, opt);
    }
    return VBG_OK;
}

static void once(void *arg)
{
    kernel_run *k = arg;
    vbg_run(k->c, job, k, NULL);
}

static void once_blas(void *arg)
{
    const kernel_run *k = arg;
    bench_blas_gemm(k->y, k->x, k->plain, k->t->n * k->t->size * k->t->size, k->t->oc,
                    k->t->c);
}

/* Small pseudo-random values, as f32 or bf16. */
static void *values(size_t count, vbg_dtype t)
{
    char *p = vbg_alloc(count * vbg_dtype_size(t));
    uint32_t s = 1;

    for (size_t i = 0; p && i < count; i++) {
        s = s * 1664525u + 1013904223u;
        float v = (float)(int32_t)s * 0x1p-33f;
        if (t == VBG_F32)
            ((float *)(void *)p)[i] = v;
        else
            ((uint16_t *)(void *)p)[i] = vbg_f32_to_bf16(v);
    }
    return p;
}

static void kernel_run_free(kernel_run *k)
{
    vbg_ctx_free(k->c);
    vbg_free_mem(k->x);
    vbg_free_mem(k->w);
    vbg_free_mem(k->y);
    vbg_free_mem(k->bias);
    vbg_free_mem(k->plain);
}

static void make_weight(kernel_run *k)
{
    const bench_case *t = k->t;
    const size_t taps = (size_t)(t->k * t->k), c = (size_t)t->c, oc = (size_t)t->oc;
    const vbg_dtype wt = t->kind == DEPTHWISE ? VBG_F32 : k->type;

    k->bias = values(oc, VBG_F32);
    if (t->kind == DEPTHWISE) {
        k->w = values(taps * oc, VBG_F32);
    } else {
        k->plain = values(oc * c * taps, VBG_F32);
        k->w = vbg_alloc(vbg_pack_bytes(wt, oc, c, taps));
        if (k->w && k->plain)
            vbg_pack(k->w, wt, k->plain, oc, c, (size_t)t->k, (size_t)t->k);
    }
    k->weight = (vbg_weight){ .data = k->w,
                              .dtype = wt,
                              .oc = t->oc,
                              .c = t->kind == DEPTHWISE ? 1 : t->c,
                              .kh = t->k,
                              .kw = t->k,
                              .groups = t->kind == DEPTHWISE ? t->oc : 1,
                              .bias = k->bias };
}

static int run_case(bench *b, const bench_case *t, vbg_dtype type, bool blas)
{
    bench_row r = { .threads = b->threads };
    vbg_ctx_opt opt = { .threads = b->threads, .isa = b->isa, .precision = type };
    kernel_run k = { .t = t, .type = type };
    const size_t rows = (size_t)t->n * (size_t)t->size * (size_t)t->size;
    vbg_err err = { 0 };

    describe(t, &r);
    snprintf(r.dtype, sizeof r.dtype, "%s", vbg_dtype_name(type));
    if (!bench_wanted(b, r.name, r.shape))
        return 0;
    if (vbg_ctx_new(&k.c, &opt, &err) != VBG_OK)
        return vbg_exit_code(VBG_ENOMEM, &err);
    r.isa = type == VBG_F32 && b->isa > VBG_ISA_AVX512 ? VBG_ISA_AVX512 : b->isa;
    k.x = values(rows * (size_t)t->c, type);
    if (t->kind == ATTENTION)
        k.y = values((size_t)t->n * (size_t)t->k * (size_t)t->c, type);
    else
        make_weight(&k);
    r.peak = bench_peak(b, r.isa, type);
    bench_measure(b, &r, once, &k);
    r.peak = bench_peak(b, r.isa, type);
    if (blas && t->kind == GEMM && type == VBG_F32) {
        k.y = values(rows * (size_t)t->oc, VBG_F32);
        snprintf(r.peer, sizeof r.peer, "OpenBLAS");
        r.peer_ms = bench_median_ms(b, once_blas, &k);
    }
    bench_add(b, &r);
    kernel_run_free(&k);
    return 0;
}

/* Every shape in f32, then in bf16 where the CPU multiplies it. */
int bench_kernels(bench *b)
{
    const char *want = vbg_value(b->values, "dtype");
    const bool blas = (!want || want[0] == 'f') && bench_blas_open(b->threads);
    int code = 0;

    for (int pass = 0; pass < 2; pass++) {
        vbg_dtype type = pass ? VBG_BF16 : VBG_F32;
        if (pass && b->isa < VBG_ISA_AVX512_BF16)
            break;
        if (want && (want[0] == 'b') != pass)
            continue;
        for (size_t i = 0; i < sizeof cases / sizeof *cases && code == 0; i++)
            if (!vbg_stop_signal())
                code = run_case(b, &cases[i], type, blas);
        if (code == 0)
            code = bench_memory(b, type);
    }
    /* The peak is the best of the whole run, for every row alike. */
    for (size_t i = 0; i < b->count; i++)
        b->rows[i].peak = b->peak[b->rows[i].isa][b->rows[i].dtype[0] == 'b'];
    return code;
}
