/* Held-out crops, sample pictures and the exported autoencoder of `vbg-train base vae`.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/picture_io.h"
#include "tools/train/base_vae.h"
#include "tools/train/export.h"

enum { SAMPLES = 8 };

/* ---- held-out pictures ---- */

static size_t val_floats(int side)
{
    return 3 * (size_t)side * (size_t)side;
}

vbg_status vbg_vae_load_val(vbg_vae_trainer *t, vbg_err *err)
{
    const int side = t->grow * t->val_side;
    const size_t each = val_floats(side), encoded = val_floats(t->val_side);
    vbg_status st = VBG_OK;

    t->val = vbg_alloc(VBG_VAE_VAL_CROPS * each * sizeof *t->val);
    t->val_x =
        t->grow > 1 ? vbg_alloc(VBG_VAE_VAL_CROPS * encoded * sizeof *t->val_x) : t->val;
    if (!t->val || !t->val_x)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for held-out crops");
    for (size_t i = 0; i < VBG_VAE_VAL_CROPS && st == VBG_OK; i++) {
        vbg_dice d = vbg_dice_for(1, 0, (uint32_t)i, 3);
        size_t n = t->crops.held_out;
        bool again = i >= n; /* few pictures: other places of the same */
        st = vbg_crops_take(&t->crops, i % n, true, side, 1, again ? &d : NULL,
                            t->val + i * each, err);
    }
    if (st == VBG_OK && t->grow > 1)
        st = vbg_vae_shrink(t->val_x, t->val_side, t->val, side, VBG_VAE_VAL_CROPS, err);
    return st;
}

/* One held-out crop to latents and back. */
typedef struct pass_job {
    const vbg_vae_trainer *t;
    size_t crop;
    float *mean; /* [h][w][latent] or NULL */
    float *y;    /* [grow * side][grow * side][3] or NULL */
    vbg_picture_loss loss;
} pass_job;

static vbg_status pass(vbg_ctx *c, void *arg, vbg_err *err)
{
    pass_job *j = arg;
    const vbg_vae_trainer *t = j->t;

    const int side = t->val_side, grown = t->grow * side;
    vbg_tensor *x =
        vbg_wrap(c, t->val_x + j->crop * val_floats(side), VBG_F32, 1, side, side, 3);
    (void)err;
    vbg_tensor *m = vbg_vae_encode(c, &t->vae, x, NULL);
    vbg_tensor *z = vbg_new_typed(c, VBG_F32, m->n, m->h, m->w, m->c / 2);
    if (!vbg_planning(c))
        vbg_vae_moments(&t->vae, m->data, vbg_rows(m), z->data, NULL, NULL);
    vbg_tensor *y = vbg_vae_decode(c, &t->vae, z, NULL);
    x = vbg_wrap(c, t->val + j->crop * val_floats(grown), VBG_F32, 1, grown, grown, 3);
    j->loss = vbg_loss_picture(c, y, x, t->detail, NULL);
    if (!vbg_planning(c) && j->mean)
        memcpy(j->mean, z->data, vbg_rows(z) * (size_t)z->c * sizeof(float));
    if (!vbg_planning(c) && j->y)
        memcpy(j->y, y->data, vbg_rows(y) * 3 * sizeof(float));
    return VBG_OK;
}

vbg_status vbg_vae_validate(void *arg, vbg_measure *m, vbg_err *err)
{
    vbg_vae_trainer *t = arg;
    double l1 = 0, psnr = 0;
    vbg_status st = VBG_OK;

    for (size_t i = 0; i < VBG_VAE_VAL_CROPS && st == VBG_OK; i++) {
        pass_job j = { .t = t, .crop = i };
        st = vbg_run(t->loop.ctx, pass, &j, err);
        m->loss += (j.loss.l1 + t->detail * j.loss.detail) / VBG_VAE_VAL_CROPS;
        l1 += j.loss.l1 / VBG_VAE_VAL_CROPS;
        psnr += -10 * log10(j.loss.mse / 4 + 1e-12) / VBG_VAE_VAL_CROPS;
    }
    vbg_measure_set(m, "l1", l1);
    vbg_measure_set(m, "psnr", psnr);
    return st;
}

/* Above, crops; below, what came back. */
vbg_status vbg_vae_sample(void *arg, const char *path, vbg_err *err)
{
    vbg_vae_trainer *t = arg;
    const int side = t->grow * t->val_side;
    const size_t each = val_floats(side);
    float *x = vbg_alloc(2 * SAMPLES * each * sizeof *x);
    vbg_picture p = { 0 };

    if (!x)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for samples");
    memcpy(x, t->val, SAMPLES * each * sizeof *x);
    vbg_status st = VBG_OK;
    for (size_t i = 0; i < SAMPLES && st == VBG_OK; i++) {
        pass_job j = { .t = t, .crop = i, .y = x + (SAMPLES + i) * each };
        st = vbg_run(t->loop.ctx, pass, &j, err);
    }
    if (st == VBG_OK)
        st = vbg_tiles(&p, x, side, SAMPLES, 2, err);
    if (st == VBG_OK)
        st = vbg_picture_save(path, &p, NULL, 90, err);
    vbg_picture_free(&p);
    vbg_free_mem(x);
    return st;
}

/* ---- export ---- */

typedef struct spread_of {
    double mean[64], std[64];
} spread_of;

/* Mean and deviation of every latent channel on the held-out crops. */
static vbg_status measure(vbg_vae_trainer *t, spread_of *s, vbg_err *err)
{
    const int l = t->vae.cfg.latent, side = t->val_side / t->factor;
    const size_t n = (size_t)side * (size_t)side;
    float *z = vbg_alloc(n * (size_t)l * sizeof *z);
    double square[64] = { 0 };
    vbg_status st = z ? VBG_OK : vbg_fail(err, VBG_ENOMEM, "not enough memory");

    *s = (spread_of){ { 0 }, { 0 } };
    for (size_t i = 0; i < VBG_VAE_VAL_CROPS && st == VBG_OK; i++) {
        pass_job j = { .t = t, .crop = i, .mean = z };
        st = vbg_run(t->loop.ctx, pass, &j, err);
        for (size_t k = 0; k < n * (size_t)l; k++) {
            s->mean[k % (size_t)l] += (double)z[k] / (double)n / VBG_VAE_VAL_CROPS;
            square[k % (size_t)l] +=
                (double)z[k] * (double)z[k] / (double)n / VBG_VAE_VAL_CROPS;
        }
    }
    for (int k = 0; k < l; k++)
        s->std[k] = sqrt(fmax(square[k] - s->mean[k] * s->mean[k], 1e-12));
    vbg_free_mem(z);
    return st;
}

static void as_they_are(spread_of *s)
{
    for (int i = 0; i < 64; i++) {
        s->mean[i] = 0;
        s->std[i] = 1;
    }
}

/* quant_conv: means become (mean - m) / s, log variances lose 2 log s. */
static void fold_quant(float *w, float *b, int l, const spread_of *s)
{
    for (int i = 0; i < l; i++) {
        for (int k = 0; k < 2 * l; k++)
            w[i * 2 * l + k] = (float)((double)w[i * 2 * l + k] / s->std[i]);
        b[i] = (float)(((double)b[i] - s->mean[i]) / s->std[i]);
        b[l + i] = (float)((double)b[l + i] - 2 * log(s->std[i]));
    }
}

/* post_quant_conv takes them back. */
static void fold_post(float *w, float *b, int l, const spread_of *s)
{
    for (int o = 0; o < l; o++)
        for (int i = 0; i < l; i++) {
            double v = (double)w[o * l + i];
            b[o] = (float)((double)b[o] + v * s->mean[i]);
            w[o * l + i] = (float)(v * s->std[i]);
        }
}

static const char *const folded[] = { "quant_conv.weight", "quant_conv.bias",
                                      "post_quant_conv.weight", "post_quant_conv.bias",
                                      NULL };

static vbg_status put_folded(vbg_vae_trainer *t, vbg_export *e, const spread_of *s,
                             vbg_err *err)
{
    vbg_param *p[4];
    float *copy[4];
    vbg_status st = VBG_OK;

    for (int i = 0; i < 4; i++) {
        p[i] = vbg_params_find(t->loop.params, "vae", folded[i]);
        VBG_CHECK(p[i], "no %s", folded[i]);
        copy[i] = vbg_alloc(p[i]->count * sizeof(float));
        if (!copy[i])
            st = vbg_fail(err, VBG_ENOMEM, "not enough memory");
        else
            memcpy(copy[i], p[i]->value, p[i]->count * sizeof(float));
    }
    if (st == VBG_OK) {
        fold_quant(copy[0], copy[1], t->vae.cfg.latent, s);
        fold_post(copy[2], copy[3], t->vae.cfg.latent, s);
    }
    for (int i = 0; i < 4; i++) {
        if (st == VBG_OK)
            st = vbg_export_put(e, p[i], copy[i], err);
        vbg_free_mem(copy[i]);
    }
    return st;
}

/* Config with a scaling of 1, as the folding makes it. */
static char *final_config(const vbg_vae_trainer *t)
{
    json_error_t why;
    json_t *o = json_loads(t->config, 0, &why);

    json_object_set_new(o, "scaling_factor", json_real(1));
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return text;
}

vbg_status vbg_vae_export(void *arg, const char *path, vbg_err *err)
{
    vbg_vae_trainer *t = arg;
    vbg_export e;
    spread_of s;
    char *config = final_config(t);

    vbg_status st = VBG_OK;
    if (t->decoder_only) /* latents stay what networks have learned from */
        as_they_are(&s);
    else
        st = measure(t, &s, err);
    if (st == VBG_OK)
        st = vbg_export_new(&e, path, VBG_BF16, err);
    if (st != VBG_OK) {
        free(config);
        return st;
    }
    st = vbg_writer_string(e.w, "model.arch", "vae", err);
    if (st == VBG_OK && config)
        st = vbg_writer_string(e.w, "vae.config", config, err);
    if (st == VBG_OK)
        st = vbg_export_declare(&e, t->loop.params, "vae", err);
    if (st == VBG_OK)
        st = vbg_export_put_all(&e, t->loop.params, "vae", folded, err);
    if (st == VBG_OK)
        st = put_folded(t, &e, &s, err);
    free(config);
    return vbg_export_end(&e, st, err);
}
