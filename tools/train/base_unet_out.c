/* The package that `vbg-train base text+unet` writes, and pictures made with it. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/known_words.h"
#include "tools/train/base_unet.h"
#include "tools/train/export.h"
#include "tools/train/show.h"

enum { SAMPLES = 8, STEPS = 16, SEEN = 8 /* times, for a word to be known */ };

static vbg_status put_json(vbg_export *e, const char *key, const json_t *o, vbg_err *err)
{
    char *text = json_dumps(o, JSON_COMPACT);
    vbg_status st = text ? vbg_writer_string(e->w, key, text, err)
                         : vbg_fail(err, VBG_ENOMEM, "not enough memory");

    free(text);
    return st;
}

static vbg_status put_meta(vbg_base *b, vbg_export *e, vbg_err *err)
{
    static const char *const parts[][2] = { { "unet.config", "unet" },
                                            { "text.config", "text" },
                                            { "scheduler.config", "scheduler" },
                                            { "tokenizer.config", "tokenizer" } };
    const char *vae = NULL;
    vbg_status st = vbg_writer_string(e->w, "model.arch", "sd", err);

    for (int i = 0; i < 4 && st == VBG_OK; i++)
        st = put_json(e, parts[i][0], json_object_get(b->config, parts[i][1]), err);
    if (st == VBG_OK && vbg_weights_string(b->vae_file, "vae.config", &vae))
        st = vbg_writer_string(e->w, "vae.config", vae, err);
    if (st == VBG_OK)
        st =
            vbg_writer_bytes(e->w, "tokenizer.merges", b->merges, strlen(b->merges), err);
    return st;
}

/* What a user should know of the model: its words, what it draws, how to sample it. */
static vbg_status put_advice(vbg_base *b, vbg_export *e, vbg_err *err)
{
    static const char *const numbers[][2] = {
        { "model.guidance", "guidance" }, { "model.guidance_rescale", "guidance_rescale" }
    };
    const char *about = vbg_value(b->v, "about");
    const char **text = malloc((b->train + 1) * sizeof *text);
    char *words = NULL;
    vbg_status st = VBG_OK;

    for (size_t i = 0; text && i < b->train; i++)
        text[i] = vbg_samples_text(&b->list, i);
    st = text ? vbg_known_words(&words, text, b->train, SEEN, err)
              : vbg_fail(err, VBG_ENOMEM, "not enough memory for words");
    if (st == VBG_OK)
        st = vbg_writer_string(e->w, "model.words", words, err);
    if (!about)
        vbg_weights_string(b->file, "model.about", &about);
    if (st == VBG_OK && about)
        st = vbg_writer_string(e->w, "model.about", about, err);
    for (int i = 0; i < 2 && st == VBG_OK; i++) {
        const json_t *x = json_object_get(b->config, numbers[i][1]);
        if (json_is_number(x))
            st = vbg_writer_real(e->w, numbers[i][0], json_number_value(x), err);
    }
    free(words);
    free(text);
    return st;
}

vbg_status vbg_base_export(void *arg, const char *path, vbg_err *err)
{
    vbg_base *b = arg;
    const struct {
        const vbg_params *p;
        const char *component;
    } parts[] = { { b->loop.params, "unet" },
                  { b->loop.params, "text" },
                  { b->vae_params, "vae" } };
    vbg_export e;
    vbg_status st = vbg_export_new(&e, path, VBG_BF16, err);

    if (st != VBG_OK)
        return st;
    st = put_meta(b, &e, err);
    if (st == VBG_OK)
        st = put_advice(b, &e, err);
    for (int i = 0; i < 3 && st == VBG_OK; i++)
        st = vbg_export_declare(&e, parts[i].p, parts[i].component, err);
    for (int i = 0; i < 3 && st == VBG_OK; i++)
        st = vbg_export_put_all(&e, parts[i].p, parts[i].component, NULL, err);
    return vbg_export_end(&e, st, err);
}

/* The package is written, opened and used as vbg-gen would: what is seen is what
 * others will get. */
vbg_status vbg_base_sample(void *arg, const char *path, vbg_err *err)
{
    vbg_base *b = arg;
    vbg_gen_request r = vbg_gen_request_default();
    char model[4200];

    snprintf(model, sizeof model, "%s.vbg", path);
    r.flat = true;
    r.views = r.prompts = SAMPLES;
    r.prompt = b->prompt;
    r.steps = STEPS;
    vbg_status st = vbg_base_export(b, model, err);
    if (st == VBG_OK)
        st = vbg_show_package(b->loop.ctx, model, &r, path, err);
    unlink(model);
    return st;
}
