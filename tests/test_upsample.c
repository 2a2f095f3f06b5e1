/* Upsampling convolutions as four 2x2 convolutions (vbg_weight_phases_make): small
 * whole numbers make every sum exact, so the results must be equal to the last bit. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ops.h"

static const struct {
    int n, h, w, c, oc;
} cases
    [] = { { 1, 4, 16, 32, 16 },  { 2, 3, 16, 64, 24 }, { 1, 9, 32, 32, 48 },
           { 1, 5, 64, 96, 40 },  { 1, 3, 70, 32, 32 }, { 2, 7, 48, 32, 7 },
           { 1, 2, 128, 32, 16 }, { 1, 6, 10, 32, 16 } /* too narrow: the plain way */ };

typedef struct job {
    const uint16_t *x;
    vbg_weight plain, phased;
    uint16_t *want, *got;
    size_t i;
} job;

static uint16_t whole(size_t k, int range)
{
    return vbg_f32_to_bf16(
        (float)((int)(k * 2654435761u >> 16 & 0xff) % (2 * range + 1) - range));
}

static vbg_status run(vbg_ctx *c, void *arg, vbg_err *err)
{
    const job *j = arg;
    const vbg_conv_opt up = { .pad = 1, .upsample2 = true };

    (void)err;
    vbg_tensor *x = vbg_wrap(c, j->x, VBG_BF16, cases[j->i].n, cases[j->i].h,
                             cases[j->i].w, cases[j->i].c);
    vbg_copy_out(c, j->want, VBG_BF16, vbg_conv2d(c, x, &j->plain, up));
    vbg_copy_out(c, j->got, VBG_BF16, vbg_conv2d(c, x, &j->phased, up));
    return VBG_OK;
}

Test(upsample, phases_equal_the_whole)
{
    const vbg_ctx_opt opt = { .threads = 2, .isa = VBG_ISA_BEST, .precision = VBG_BF16 };
    vbg_ctx *c = NULL;
    vbg_err err = { 0 };

    cr_assert_eq(vbg_ctx_new(&c, &opt, &err), VBG_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t ic = (size_t)cases[i].c, oc = (size_t)cases[i].oc;
        size_t px = (size_t)(cases[i].n * cases[i].h * cases[i].w);
        uint16_t *x = calloc(px * ic + 64, 2);
        float *w = calloc(oc * ic * 9, sizeof *w), *bias = calloc(oc, sizeof *bias);
        void *packed = vbg_alloc(vbg_pack_bytes(VBG_BF16, oc, ic, 9));
        job j = { .x = x, .i = i };
        j.want = calloc(px * 4 * oc, 2);
        j.got = calloc(px * 4 * oc, 2);
        for (size_t k = 0; k < px * ic; k++)
            x[k] = whole(k, 3);
        for (size_t k = 0; k < oc * ic * 9; k++)
            w[k] = vbg_bf16_to_f32(whole(k + 77, 2));
        for (size_t k = 0; k < oc; k++)
            bias[k] = (float)k;
        vbg_pack(packed, VBG_BF16, w, oc, ic, 3, 3);
        j.plain = (vbg_weight){ .data = packed,
                                .dtype = VBG_BF16,
                                .oc = (int)oc,
                                .c = (int)ic,
                                .kh = 3,
                                .kw = 3,
                                .groups = 1,
                                .bias = bias };
        j.phased = j.plain;
        size_t bytes = vbg_weight_phases_bytes(c, &j.phased);
        void *phases = bytes ? vbg_alloc(bytes) : NULL; /* 0: not this CPU */
        if (phases)
            vbg_weight_phases_make(&j.phased, phases);
        cr_assert_eq(vbg_run(c, run, &j, &err), VBG_OK, "%s", err.text);
        cr_assert_arr_eq(j.got, j.want, px * 4 * oc * 2, "case %zu", i);
        free(x);
        free(w);
        free(bias);
        free(j.want);
        free(j.got);
        vbg_free_mem(packed);
        vbg_free_mem(phases);
    }
    vbg_ctx_free(c);
}
