/* See tests/golden/checkpoint_run.h. */
#include "tests/golden/checkpoint_run.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "convert/convert.h"
#include "models/generate_internal.h"

vbg_generator *checkpoint_open(golden *g, const char *source, const char *caa,
                               const char *prediction)
{
    const char *shm = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    const vbg_ctx_opt opt = { .isa = vbg_ctx_kernels(golden_ctx(g))->isa,
                              .precision = VBG_F32 };
    vbg_convert_opt how = { .package = { .dtype = VBG_F32, .prediction = prediction } };
    vbg_generator *m = NULL;
    vbg_err err = { 0 };
    char path[128], from[1024];

    snprintf(path, sizeof path, "%s/vbg-checkpoint-%ld.vbg", shm, (long)getpid());
    snprintf(from, sizeof from, "%s", golden_path(g, "%s", source));
    if (caa)
        how.package.caa = golden_path(g, "%s", caa);
    vbg_status st = vbg_convert(from, path, &how, NULL, &err);
    if (st == VBG_OK)
        st = vbg_generator_open(&m, path, &opt, &err);
    unlink(path);
    if (st != VBG_OK)
        golden_fail(g, "%s: %s", source, err.text);
    return m;
}

vbg_weights *checkpoint_weights(golden *g, const char *stem)
{
    const char *shm = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    const vbg_convert_opt how = { .package = { .dtype = VBG_F32 } };
    const char *from = golden_path(g, "%s.safetensors", stem);
    vbg_weights *w = NULL;
    vbg_err err = { 0 };
    char path[128];

    snprintf(path, sizeof path, "%s/vbg-checkpoint-%ld.vbg", shm, (long)getpid());
    vbg_status st = vbg_convert(from, path, &how, NULL, &err);
    if (st == VBG_OK)
        st = vbg_weights_open(&w, path, &err);
    unlink(path);
    if (st != VBG_OK)
        golden_fail(g, "%s: %s", stem, err.text);
    return w;
}

static vbg_status record(void *arg, const char *name, const float *data, int rank,
                         const int64_t *dim, vbg_err *err)
{
    checkpoint_record *r = arg;
    size_t count = 1;
    int i;

    (void)err;
    for (int k = 0; k < rank; k++)
        count *= (size_t)dim[k];
    float *v = golden_alloc(r->g, count * sizeof *v);
    memcpy(v, data, count * sizeof *v);
    if (strcmp(name, "text") == 0) {
        r->text = v;
        r->text_count = count;
    } else if (strcmp(name, "views") == 0) {
        r->views = v;
        r->views_count = count;
    } else if (sscanf(name, "latents.%d", &i) == 1 && i < 64) {
        r->latents[i] = v;
        r->latents_count = count;
        r->calls = i + 1;
    } else if (sscanf(name, "prediction.%d", &i) == 1 && i < 64) {
        r->prediction[i] = v;
        r->prediction_count = count;
    }
    return VBG_OK;
}

bool checkpoint_generate(golden *g, vbg_generator *m, const vbg_gen_request *r,
                         checkpoint_record *out)
{
    const vbg_gen_hooks hooks = { .arg = out, .dump = record, .dump_steps = true };
    vbg_err err = { 0 };

    *out = (checkpoint_record){ .g = g };
    out->picture = golden_alloc(g, VBG_GEN_MAX_VIEWS * sizeof *out->picture);
    if (vbg_generate(m, r, &hooks, out->picture, &err) == VBG_OK)
        return true;
    golden_fail(g, "%s", err.text);
    return false;
}

void checkpoint_check_ids(golden *g, const vbg_generator *m, const char *const *prompt,
                          int count)
{
    const vbg_st_tensor *t = golden_in(g, "in.ids");
    int ids[VBG_TOKENS], wrong = 0;

    if (!t)
        return;
    for (int i = 0; i < count; i++) {
        vbg_tokenizer_encode77(m->tokenizer, prompt[i], strlen(prompt[i]), ids);
        for (int k = 0; k < VBG_TOKENS; k++) {
            int64_t want;
            memcpy(&want, (const char *)t->data + (i * VBG_TOKENS + k) * 8, sizeof want);
            wrong += want != ids[k];
        }
    }
    golden_verdict(g, "in.ids", wrong, 0, wrong == 0 && t->count == (size_t)(count * 77));
}
