/* A new autoencoder says plain colours and where they are before it has learned anything.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "engine/ops.h"
#include "engine/param.h"
#include "models/vae.h"
#include "tools/train/vae_start.h"

enum { SIDE = 64 };

static const char sixteenth[] =
    "{\"latent_channels\":8,\"block_out_channels\":[32,64,96,128,128],"
    "\"layers_per_block\":1,\"norm_num_groups\":8,\"scaling_factor\":1.0,"
    "\"mid_block_add_attention\":false}";
static const char narrow[] = "{\"latent_channels\":4,\"block_out_channels\":[8,8],"
                             "\"layers_per_block\":1,\"norm_num_groups\":4,"
                             "\"mid_block_add_attention\":false}";

typedef struct job {
    const vbg_vae *vae;
    float in[SIDE * SIDE * 3], out[SIDE * SIDE * 3];
    float log_variance;
} job;

static vbg_status there_and_back(vbg_ctx *c, void *arg, vbg_err *err)
{
    job *j = arg;
    vbg_tensor *x = vbg_wrap(c, j->in, VBG_F32, 1, SIDE, SIDE, 3);
    vbg_tensor *m = vbg_vae_encode(c, j->vae, x, NULL);
    vbg_tensor *z = vbg_new_typed(c, VBG_F32, 1, m->h, m->w, m->c / 2);

    (void)err;
    for (int i = 0; i < m->h * m->w && !vbg_planning(c); i++)
        memcpy((float *)z->data + i * z->c, (const float *)m->data + i * m->c,
               (size_t)z->c * sizeof(float));
    vbg_tensor *y = vbg_vae_decode(c, j->vae, z, NULL);
    if (!vbg_planning(c)) {
        j->log_variance = ((const float *)m->data)[m->c - 1];
        vbg_copy_out(c, j->out, VBG_F32, y);
    }
    return VBG_OK;
}

/* The picture: one colour above, another below. */
static float colour(int y, int k)
{
    static const float c[2][3] = { { 0.6f, -0.4f, 0.1f }, { -0.5f, 0.3f, -0.8f } };
    return c[y >= SIDE / 2][k];
}

static void run(job *j, const char *json)
{
    static const vbg_ctx_opt opt = { .threads = 1, .precision = VBG_F32 };
    vbg_vae_config cfg;
    vbg_weights *file;
    vbg_params *p;
    vbg_vae vae;
    vbg_ctx *c;
    vbg_err err = { "" };

    cr_assert_eq(vbg_vae_config_read(&cfg, json, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_weights_empty(&file, &err), VBG_OK);
    cr_assert_eq(vbg_ctx_new(&c, &opt, &err), VBG_OK);
    cr_assert_eq(vbg_params_new(&p, VBG_F32, &err), VBG_OK);
    vbg_params_declare(p, 7);
    vbg_params_select(p, "vae", "*", true);
    vbg_params_attach(p, file);
    cr_assert_eq(vbg_vae_bind(&vae, &cfg, file, "vae", &err), VBG_OK, "%s", err.text);
    vbg_vae_start(p, &cfg);
    vbg_params_refresh(p, c);
    j->vae = &vae;
    for (int i = 0; i < SIDE * SIDE * 3; i++)
        j->in[i] = colour(i / 3 / SIDE, i % 3);
    cr_assert_eq(vbg_run(c, there_and_back, j, &err), VBG_OK, "%s", err.text);
    vbg_params_free(p);
    vbg_ctx_free(c);
    vbg_weights_close(file);
}

Test(vae_start, colours_pass)
{
    static job j;

    run(&j, sixteenth);
    for (int half = 0; half < 2; half++)
        for (int k = 0; k < 3; k++) {
            const int y = half ? SIDE * 3 / 4 : SIDE / 4;
            const float got = j.out[(y * SIDE + SIDE / 2) * 3 + k];
            cr_expect_lt(fabsf(got - colour(y, k)), 0.25f, "half %d, %d: %g, not %g",
                         half, k, (double)got, (double)colour(y, k));
        }
    cr_expect_lt(j.log_variance, -4);
}

/* Too narrow for the lanes: still a network, drawn with little noise. */
Test(vae_start, narrow_ones_stay_random)
{
    static job j;

    run(&j, narrow);
    for (int i = 0; i < SIDE * SIDE * 3; i++)
        cr_assert(isfinite(j.out[i]));
    cr_expect_lt(j.log_variance, -4);
}
