/* The multi-view UNet as a whole: identity at initialisation, thread independence,
 * instruction sets, bf16 error, broken weights. */
#include "models/generate.h"
#include "tests/small_model.h"

enum { VIEWS = 3, SIDE = 9, COUNT = VIEWS * SIDE * SIDE * 4 };

static double distance(const float *a, const float *b)
{
    double d = 0, n = 0;

    for (size_t i = 0; i < COUNT; i++) {
        d += pow((double)a[i] - (double)b[i], 2);
        n += pow((double)b[i], 2);
    }
    return sqrt(d / n);
}

static float *forward(const vbg_weights *w, vbg_isa isa, vbg_dtype t, int threads,
                      bool coupled)
{
    float *y = calloc(COUNT, sizeof *y);

    small_forward(w, isa, t, threads, VIEWS, SIDE, coupled, y);
    return y;
}

/* Blocks whose output layers are zero add nothing, to the last bit. */
Test(models, zero_caa_is_identity)
{
    for (int t = 0; t < 2; t++) {
        vbg_dtype type = t ? VBG_BF16 : VBG_F32;
        vbg_weights *w = small_weights(type, true, NULL);
        for (vbg_isa isa = VBG_ISA_REF; isa < VBG_ISA_COUNT; isa++) {
            float *a = forward(w, isa, type, 2, false),
                  *b = forward(w, isa, type, 2, true);
            cr_assert_arr_eq(a, b, COUNT * sizeof *a, "%s %s", vbg_isa_name(isa),
                             vbg_dtype_name(type));
            free(a);
            free(b);
        }
        vbg_weights_close(w);
    }
}

/* With real output layers the coupling is far from dead. */
Test(models, caa_couples)
{
    vbg_weights *w = small_weights(VBG_F32, false, NULL);
    float *a = forward(w, VBG_ISA_BEST, VBG_F32, 2, false);
    float *b = forward(w, VBG_ISA_BEST, VBG_F32, 2, true);

    cr_assert_gt(distance(b, a), 0.05);
    free(a);
    free(b);
    vbg_weights_close(w);
}

Test(models, threads_do_not_matter)
{
    for (int t = 0; t < 2; t++) {
        vbg_dtype type = t ? VBG_BF16 : VBG_F32;
        vbg_weights *w = small_weights(type, false, NULL);
        float *one = forward(w, VBG_ISA_BEST, type, 1, true);
        for (int threads = 2; threads <= 5; threads += 3) {
            float *y = forward(w, VBG_ISA_BEST, type, threads, true);
            cr_assert_arr_eq(y, one, COUNT * sizeof *y, "%d threads", threads);
            free(y);
        }
        free(one);
        vbg_weights_close(w);
    }
}

/* f32 agrees on every ISA: about 60 layers of relative rounding 2^-24 each, in random
 * directions, times a condition of a few: below 1e-5, the limit of the oracles. */
Test(models, every_isa_agrees)
{
    vbg_weights *w = small_weights(VBG_F32, false, NULL);
    float *ref = forward(w, VBG_ISA_REF, VBG_F32, 2, true);

    for (vbg_isa isa = VBG_ISA_AVX2; isa < VBG_ISA_COUNT; isa++) {
        float *y = forward(w, isa, VBG_F32, 2, true);
        cr_assert_lt(distance(y, ref), 1e-5, "%s: %g", vbg_isa_name(isa),
                     distance(y, ref));
        free(y);
    }
    free(ref);
    vbg_weights_close(w);
}

/* bf16 rounds every activation and weight to 2^-9; 60 layers in random directions give
 * about 2^-9 sqrt(60) = 1.5 %, the coupling's encoding and norms a little more. */
Test(models, bf16_error_is_bounded)
{
    vbg_weights *w = small_weights(VBG_F32, false, NULL);
    vbg_weights *h = small_weights(VBG_BF16, false, NULL);
    float *ref = forward(w, VBG_ISA_BEST, VBG_F32, 2, true);
    float *y = forward(h, VBG_ISA_BEST, VBG_BF16, 2, true);
    double error = distance(y, ref);

    cr_log_info("bf16 against f32: relative L2 %.4f\n", error);
    cr_assert_lt(error, 0.04, "%g", error);
    free(ref);
    free(y);
    vbg_weights_close(w);
    vbg_weights_close(h);
}

/* Missing tensors are all named in one line. */
Test(models, missing_weights_are_named)
{
    vbg_weights *w = small_weights(VBG_F32, false, NULL);
    vbg_unet_config cfg;
    vbg_unet *m = calloc(1, sizeof *m);
    vbg_err err = { 0 };

    cr_assert_eq(vbg_unet_config_read(&cfg, small_config, &err), VBG_OK);
    cfg.context = 24;
    cr_assert_eq(vbg_unet_bind(m, &cfg, w, "unet", &err), VBG_EFORMAT);
    cr_assert(strstr(err.text, "attn2.to_k"), "%s", err.text);
    free(m);
    vbg_weights_close(w);
}

Test(models, configs_are_checked)
{
    static const char *const bad[] = {
        "[]",
        "{",
        "{\"block_out_channels\":[]}",
        "{\"block_out_channels\":\"x\"}",
        "{\"block_out_channels\":[32,33]}",
        "{\"block_out_channels\":[-1]}",
        "{\"block_out_channels\":[32,64],\"act_fn\":\"gelu\"}",
        "{\"block_out_channels\":[32],\"norm_num_groups\":0}",
        "{\"block_out_channels\":[32,32,32,32,32,32,32,32]}",
        "{}"
    };
    vbg_unet_config cfg;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vbg_err err = { 0 };
        cr_assert_neq(vbg_unet_config_read(&cfg, bad[i], &err), VBG_OK, "%s", bad[i]);
        cr_assert_neq(err.text[0], 0, "%s", bad[i]);
    }
}

/* A UNet alone is no generator; the message says what is missing. */
Test(models, incomplete_package)
{
    const vbg_ctx_opt opt = { .threads = 1, .isa = VBG_ISA_BEST, .precision = VBG_F32 };
    char path[96];
    vbg_writer *w = NULL;
    vbg_generator *g = NULL;
    vbg_err err = { 0 };
    const int64_t dim[1] = { 4 };
    const float four[4] = { 0 };

    snprintf(path, sizeof path, "/tmp/vbg-part-%ld.vbg", (long)getpid());
    cr_assert_eq(vbg_writer_new(&w, path, &err), VBG_OK);
    vbg_writer_string(w, "model.arch", "sd", &err);
    vbg_writer_declare(w, "unet", "conv_in.bias", VBG_F32, VBG_LAYOUT_PLAIN, 1, dim,
                       &err);
    vbg_writer_data(w, "unet", "conv_in.bias", four, &err);
    cr_assert_eq(vbg_writer_finish(w, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_generator_open(&g, path, &opt, &err), VBG_EFORMAT);
    cr_assert(strstr(err.text, "text tower"), "%s", err.text);
    unlink(path);
}
