/* Two-tower models; see tools/eval/towers.h. */
#include "tools/eval/towers.h"

#include <stdlib.h>
#include <string.h>

#include "models/clip.h"
#include "models/tokenizer.h"

struct vbg_towers {
    vbg_weights *w;
    vbg_ctx *c;
    vbg_clip_image image;
    vbg_clip_text text;
    vbg_tokenizer *tokens;
    bool has_text;
    size_t width;
    float *pixels; /* [image][image][3] */
    /* of the call at work */
    int ids[VBG_TOKENS];
    float *out;
};

static vbg_status bind_towers(vbg_towers *t, const char *path, vbg_err *err)
{
    const char *json = NULL;
    vbg_clip_opt opt = { .act = VBG_ACT_QUICK_GELU }, text_opt = opt;

    if (!vbg_weights_has_component(t->w, "vision"))
        return vbg_fail(err, VBG_EUNSUPPORTED, "%s: has no picture tower (vision)", path);
    vbg_status st = VBG_OK;
    if (vbg_weights_string(t->w, "text.config", &json)) {
        st = vbg_clip_opt_read(&text_opt, json, NULL, err);
        opt.act = text_opt.act; /* the towers of one model share it */
    }
    if (st == VBG_OK)
        st = vbg_clip_image_bind(&t->image, t->w, "vision", "", "visual_projection", opt,
                                 err);
    t->has_text = vbg_weights_has_component(t->w, "text");
    if (st == VBG_OK && t->has_text)
        st = vbg_clip_text_bind(&t->text, t->w, "text", "", text_opt, err);
    t->width = (size_t)t->image.projection.oc;
    if (st == VBG_OK && t->has_text &&
        (!t->text.projection.data || (size_t)t->text.projection.oc != t->width))
        return vbg_fail(err, VBG_EUNSUPPORTED, "%s: its towers do not meet in one space",
                        path);
    return st;
}

vbg_status vbg_towers_open(vbg_towers **out, const char *path, const vbg_ctx_opt *opt,
                           vbg_err *err)
{
    vbg_towers *t = calloc(1, sizeof *t);

    if (!t)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a model");
    vbg_status st = vbg_weights_open(&t->w, path, err);
    if (st == VBG_OK)
        st = vbg_ctx_new(&t->c, opt, err);
    if (st == VBG_OK)
        st = bind_towers(t, path, err);
    if (st == VBG_OK) {
        size_t side = (size_t)t->image.image;
        t->pixels = malloc(side * side * 3 * sizeof *t->pixels);
        if (!t->pixels)
            st = vbg_fail(err, VBG_ENOMEM, "not enough memory for a picture");
    }
    if (st == VBG_OK)
        *out = t;
    else
        vbg_towers_close(t);
    return st;
}

void vbg_towers_close(vbg_towers *t)
{
    if (!t)
        return;
    vbg_tokenizer_close(t->tokens);
    vbg_ctx_free(t->c);
    vbg_weights_close(t->w);
    free(t->pixels);
    free(t);
}

size_t vbg_towers_width(const vbg_towers *t)
{
    return t->width;
}

static vbg_status run_picture(vbg_ctx *c, void *arg, vbg_err *err)
{
    vbg_towers *t = arg;
    const vbg_clip_image *m = &t->image;
    vbg_tensor *x = vbg_wrap(c, t->pixels, VBG_F32, 1, m->image, m->image, 3);

    (void)err;
    x = vbg_clip_image_hidden(c, m, vbg_cast(c, x, vbg_ctx_act(c)), m->tower.layers);
    x = vbg_linear(c, vbg_clip_image_pool(c, m, x), &m->projection);
    vbg_copy_out(c, t->out, VBG_F32, x);
    return VBG_OK;
}

vbg_status vbg_towers_picture(vbg_towers *t, const vbg_picture *p, float *out,
                              vbg_err *err)
{
    vbg_picture crop = { 0 };
    vbg_status st =
        vbg_clip_preprocess(&crop, p, t->image.image, VBG_CLIP_CROP_FLOOR, err);

    if (st != VBG_OK)
        return st;
    vbg_clip_normalise(t->pixels, &crop);
    vbg_picture_free(&crop);
    t->out = out;
    return vbg_run(t->c, run_picture, t, err);
}

static vbg_status run_text(vbg_ctx *c, void *arg, vbg_err *err)
{
    vbg_towers *t = arg;
    const vbg_clip_text *m = &t->text;
    vbg_tensor *x = vbg_clip_text_forward(c, m, t->ids, 1);

    (void)err;
    x = vbg_linear(c, vbg_clip_text_pool(c, m, x, t->ids), &m->projection);
    vbg_copy_out(c, t->out, VBG_F32, x);
    return VBG_OK;
}

vbg_status vbg_towers_text(vbg_towers *t, const char *text, float *out, vbg_err *err)
{
    vbg_status st = VBG_OK;

    if (!t->has_text)
        return vbg_fail(err, VBG_EUNSUPPORTED, "the model has no text tower");
    if (!t->tokens)
        st = vbg_tokenizer_open(&t->tokens, t->w, err);
    if (st != VBG_OK)
        return st;
    if (vbg_tokenizer_encode77(t->tokens, text, strlen(text), t->ids) < 0)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a text");
    if (!vbg_clip_ids_valid(&t->text, t->ids, VBG_TOKENS))
        return vbg_fail(err, VBG_EFORMAT, "the tokenizer does not fit the text tower");
    t->out = out;
    return vbg_run(t->c, run_text, t, err);
}
