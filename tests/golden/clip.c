/* Oracles of the family group "clip": tokenizer, text towers, image tower, score. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "convert/clip_names.h"
#include "models/clip.h"
#include "models/clip_internal.h"
#include "models/metrics.h"
#include "models/tokenizer.h"
#include "tests/golden/golden.h"

/* ---- tokenizer ---- */

static char *read_all(golden *g, const char *path, size_t *bytes)
{
    FILE *f = fopen(path, "rb");

    if (!f) {
        golden_fail(g, "%s cannot be read", path);
        return NULL;
    }
    fseek(f, 0, SEEK_END);
    *bytes = (size_t)ftell(f);
    rewind(f);
    char *text = golden_alloc(g, *bytes + 1);
    *bytes = fread(text, 1, *bytes, f);
    fclose(f);
    return text;
}

/* The bytes of a case: bytes_hex if present, else text. */
static const char *case_bytes(golden *g, const json_t *c, size_t *len)
{
    const json_t *hex = json_object_get(c, "bytes_hex"),
                 *text = json_object_get(c, "text");

    if (!hex) {
        *len = json_string_length(text);
        return json_string_value(text);
    }
    *len = json_string_length(hex) / 2;
    char *out = golden_alloc(g, *len + 1);
    for (size_t i = 0; i < *len; i++) {
        char two[3] = { json_string_value(hex)[2 * i], json_string_value(hex)[2 * i + 1],
                        0 };
        out[i] = (char)strtol(two, NULL, 16);
    }
    return out;
}

static bool same_ids(const json_t *want, const int *ids, size_t count)
{
    if (json_array_size(want) != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (json_integer_value(json_array_get(want, i)) != ids[i])
            return false;
    return true;
}

static void run_tokenizer(golden *g)
{
    enum { CAP = 1 << 16 };
    size_t bytes = 0, wrong = 0, checks = 0;
    const char *merges = read_all(g, golden_path(g, "tokenizer/merges.txt"), &bytes);
    const json_t *cases = json_object_get(golden_json(g), "cases");
    vbg_tokenizer *t[2] = { NULL, NULL };
    vbg_err err = { 0 };
    int *ids = golden_alloc(g, CAP * sizeof *ids);

    if (!merges ||
        vbg_tokenizer_open_merges(&t[0], merges, bytes, VBG_CLIP_MERGES, -1, false,
                                  &err) != VBG_OK ||
        vbg_tokenizer_open_merges(&t[1], merges, bytes, VBG_CLIP_MERGES, 0, true, &err) !=
            VBG_OK) {
        golden_fail(g, "tokenizer: %s", err.text);
        vbg_tokenizer_close(t[0]);
        return;
    }
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        size_t len;
        const char *text = case_bytes(g, c, &len);
        for (int sd = 0; sd < 2; sd++) {
            const json_t *want = sd ? json_object_get(c, "ids_hf_sd2") : NULL;
            if (!want)
                want = json_object_get(c, "ids_hf");
            ptrdiff_t n = vbg_tokenizer_encode(t[sd], text, len, ids, CAP);
            wrong += n < 0 || n > CAP || !same_ids(want, ids, (size_t)n);
            want = json_object_get(c, sd ? "padded77_sd2" : "padded77_sd1");
            vbg_tokenizer_encode77(t[sd], text, len, ids);
            wrong += !same_ids(want, ids, VBG_TOKENS);
            checks += 2;
        }
    }
    if (checks == 0)
        golden_fail(g, "no cases");
    golden_verdict(g, "cases", (double)wrong, 0, wrong == 0);
    vbg_tokenizer_close(t[0]);
    vbg_tokenizer_close(t[1]);
}

/* ---- text towers ---- */

static vbg_clip_opt options(const json_t *config)
{
    const char *act = json_string_value(json_object_get(config, "act"));

    return (vbg_clip_opt){
        .heads = (int)json_integer_value(json_object_get(config, "heads")),
        .act = act && strcmp(act, "gelu") == 0 ? VBG_ACT_GELU : VBG_ACT_QUICK_GELU,
        .eps = (float)json_number_value(json_object_get(config, "eps")),
    };
}

static int *read_ids(golden *g, int *n)
{
    const vbg_st_tensor *t = golden_in(g, "in.ids");

    if (!t)
        return NULL;
    *n = (int)t->dim[0];
    int *ids = golden_alloc(g, t->count * sizeof *ids);
    for (size_t i = 0; i < t->count; i++) {
        int64_t v;
        memcpy(&v, (const char *)t->data + i * sizeof v, sizeof v);
        ids[i] = (int)v;
    }
    return ids;
}

typedef struct text_job {
    vbg_clip_text m;
    const int *ids;
    int n, layers;  /* blocks before the final norm */
    float **hidden; /* [tower.layers + 1] full states or NULL */
    float *last, *pooled, *projected;
} text_job;

static vbg_status run_text_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    text_job *j = arg;
    const vbg_clip_text *m = &j->m;
    vbg_tensor *x = vbg_clip_text_hidden(c, m, j->ids, j->n, 0);

    (void)err;
    for (int i = 0; i <= j->layers; i++) {
        if (i > 0)
            x = vbg_clip_blocks(c, &m->tower, x, i - 1, i, true);
        if (j->hidden && j->hidden[i])
            vbg_copy_out(c, j->hidden[i], VBG_F32, x);
    }
    x = vbg_layer_norm(c, x, &m->final_norm, m->tower.eps);
    if (j->last)
        vbg_copy_out(c, j->last, VBG_F32, x);
    vbg_tensor *p = vbg_clip_text_pool(c, m, x, j->ids);
    if (j->pooled)
        vbg_copy_out(c, j->pooled, VBG_F32, p);
    if (j->projected)
        vbg_copy_out(c, j->projected, VBG_F32, vbg_linear(c, p, &m->projection));
    return VBG_OK;
}

/* Runs a job, reporting failures. */
static bool run_job(golden *g, vbg_job *job, void *arg)
{
    vbg_err err = { 0 };

    if (vbg_run(golden_ctx(g), job, arg, &err) == VBG_OK)
        return true;
    golden_fail(g, "%s", err.text);
    return false;
}

/* Binds the tower of a HF-named oracle; false with the oracle failed. */
static bool bind_text(golden *g, text_job *j, const vbg_weights *w, const char *component,
                      const char *prefix, const json_t *config)
{
    vbg_err err = { 0 };

    j->ids = read_ids(g, &j->n);
    if (!w || !j->ids)
        return false;
    if (vbg_clip_text_bind(&j->m, w, component, prefix, options(config), &err) !=
        VBG_OK) {
        golden_fail(g, "%s", err.text);
        return false;
    }
    j->layers = j->m.tower.layers;
    return true;
}

static void run_text(golden *g)
{
    text_job j = { .n = 0 };
    const json_t *config = json_object_get(golden_json(g), "config");
    vbg_weights *w = golden_weights(g, "model", "text_model.", NULL);

    if (bind_text(g, &j, w, "model", "", config)) {
        size_t width = (size_t)j.m.tower.width, rows = (size_t)(j.n * j.m.positions);
        float *hidden[VBG_CLIP_MAX_LAYERS + 1];
        for (int i = 0; i <= j.layers; i++)
            hidden[i] = golden_alloc(g, rows * width * sizeof(float));
        j.hidden = hidden;
        j.last = golden_alloc(g, rows * width * sizeof(float));
        j.pooled = golden_alloc(g, (size_t)j.n * width * sizeof(float));
        if (run_job(g, run_text_job, &j)) {
            for (int i = 0; i <= j.layers; i++) {
                char name[32];
                snprintf(name, sizeof name, "act.hidden.%d", i);
                golden_out_f32(g, name, hidden[i], rows * width);
            }
            golden_out_f32(g, "out.last_hidden_state", j.last, rows * width);
            golden_out_f32(g, "out.pooled", j.pooled, (size_t)j.n * width);
        }
    }
    vbg_weights_close(w);
}

/* Positions `pick` (a JSON array) of every image of state [n][t][width]. */
static void out_rows(golden *g, const char *name, const float *state, const text_job *j,
                     const json_t *pick)
{
    size_t width = (size_t)j->m.tower.width, t = (size_t)j->m.positions;
    size_t rows = json_array_size(pick), n = (size_t)j->n;
    float *v = golden_alloc(g, n * rows * width * sizeof *v);

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < rows; k++) {
            size_t p = (size_t)json_integer_value(json_array_get(pick, k));
            memcpy(v + (i * rows + k) * width, state + (i * t + p) * width,
                   width * sizeof *v);
        }
    golden_out_f32(g, name, v, n * rows * width);
}

static void out_row_sums(golden *g, const text_job *j)
{
    size_t width = (size_t)j->m.tower.width, rows = (size_t)(j->n * j->m.positions);
    double *l2 = golden_alloc(g, rows * sizeof *l2),
           *sum = golden_alloc(g, rows * sizeof *sum);

    for (size_t i = 0; i < rows; i++) {
        for (size_t k = 0; k < width; k++) {
            double v = (double)j->last[i * width + k];
            sum[i] += v;
            l2[i] += v * v;
        }
        l2[i] = sqrt(l2[i]);
    }
    golden_out_f64(g, "out.row_l2", l2, rows);
    golden_out_f64(g, "out.row_sum", sum, rows);
}

static void run_text_full(golden *g)
{
    text_job j = { .n = 0 };
    const json_t *json = golden_json(g), *layers = json_object_get(json, "hidden_layers");
    vbg_weights *w = golden_weights(g, "model", "text_model.", NULL);

    if (bind_text(g, &j, w, "model", "", json_object_get(json, "config"))) {
        size_t width = (size_t)j.m.tower.width, rows = (size_t)(j.n * j.m.positions);
        float *hidden[VBG_CLIP_MAX_LAYERS + 1] = { NULL };
        for (size_t i = 0; i < json_array_size(layers); i++) {
            json_int_t layer = json_integer_value(json_array_get(layers, i));
            if (layer <= j.layers)
                hidden[layer] = golden_alloc(g, rows * width * sizeof(float));
        }
        j.hidden = hidden;
        j.last = golden_alloc(g, rows * width * sizeof(float));
        j.pooled = golden_alloc(g, (size_t)j.n * width * sizeof(float));
        if (run_job(g, run_text_job, &j)) {
            for (int i = 0; i <= j.layers; i++) {
                char name[40];
                snprintf(name, sizeof name, "act.hidden.%d.rows", i);
                if (hidden[i])
                    out_rows(g, name, hidden[i], &j,
                             json_object_get(json, "hidden_rows"));
            }
            out_rows(g, "out.rows", j.last, &j, json_object_get(json, "rows"));
            golden_out_f32(g, "out.pooled", j.pooled, (size_t)j.n * width);
            out_row_sums(g, &j);
        }
    }
    vbg_weights_close(w);
}

/* ---- OpenCLIP names ---- */

/* Writes one renamed tensor (declare: only announces it). */
static vbg_status write_renamed(golden *g, vbg_writer *w, const vbg_st_tensor *t,
                                const vbg_clip_rename *r, bool declare, vbg_err *err)
{
    const char *component = r->vision ? "vision" : "text";
    int parts = r->change == VBG_CLIP_SPLIT3 ? 3 : 1;
    int64_t dim[VBG_MAX_RANK];
    float *v = NULL;

    memcpy(dim, t->dim, sizeof dim);
    dim[0] /= parts;
    if (r->change == VBG_CLIP_TRANSPOSE) {
        dim[0] = t->dim[1];
        dim[1] = t->dim[0];
    }
    if (!declare) {
        float *raw = golden_in_f32(g, "%s", t->name);
        v = golden_alloc(g, t->count * sizeof *v);
        memcpy(v, raw, t->count * sizeof *v);
        if (r->change == VBG_CLIP_TRANSPOSE)
            for (int64_t i = 0; i < dim[0]; i++)
                for (int64_t k = 0; k < dim[1]; k++)
                    v[i * dim[1] + k] = raw[k * dim[0] + i];
    }
    bool table = strstr(r->name[0], "embedding") && t->rank < 4;
    vbg_layout layout = table || t->rank < 2 ? VBG_LAYOUT_PLAIN : VBG_LAYOUT_PACK16;
    vbg_status st = VBG_OK;
    for (int p = 0; p < parts && st == VBG_OK; p++)
        st = declare ? vbg_writer_declare(w, component, r->name[p], VBG_F32, layout,
                                          t->rank, dim, err)
                     : vbg_writer_data(w, component, r->name[p],
                                       v + (size_t)p * (t->count / (size_t)parts), err);
    return st;
}

/* The OpenCLIP tensors of the oracle as components `text` and `vision`. */
static vbg_weights *renamed_weights(golden *g)
{
    const vbg_safetensors *f = golden_data(g);
    char path[64];
    vbg_writer *w = NULL;
    vbg_weights *out = NULL;
    vbg_err err = { 0 };

    snprintf(path, sizeof path, "/tmp/vbg-openclip-%ld.vbg", (long)getpid());
    vbg_status st = vbg_writer_new(&w, path, &err);
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < vbg_st_count(f) && st == VBG_OK; i++) {
            const vbg_st_tensor *t = vbg_st_at(f, i);
            vbg_clip_rename r;
            if (vbg_clip_openclip_name(&r, t->name) && r.change != VBG_CLIP_LEAVE_OUT &&
                t->rank > 0)
                st = write_renamed(g, w, t, &r, pass == 0, &err);
        }
    if (st == VBG_OK)
        st = vbg_writer_finish(w, &err);
    else
        vbg_writer_abort(w);
    if (st == VBG_OK)
        st = vbg_weights_open(&out, path, &err);
    unlink(path);
    if (st != VBG_OK)
        golden_fail(g, "weights: %s", err.text);
    return out;
}

static void run_text_openclip(golden *g)
{
    text_job j = { .n = 0 };
    const json_t *json = golden_json(g);
    vbg_weights *w = renamed_weights(g);

    if (bind_text(g, &j, w, "text", "", json_object_get(json, "config"))) {
        size_t width = (size_t)j.m.tower.width, rows = (size_t)(j.n * j.m.positions);
        size_t count = (size_t)(j.n * j.m.projection.oc);
        j.last = golden_alloc(g, rows * width * sizeof(float));
        j.layers = (int)json_integer_value(json_object_get(json, "layers_used"));
        if (run_job(g, run_text_job, &j))
            golden_out_f32(g, "out.penultimate_ln_final", j.last, rows * width);
        j.layers = j.m.tower.layers;
        j.last = NULL;
        j.projected = golden_alloc(g, count * sizeof(float));
        if (run_job(g, run_text_job, &j))
            golden_out_f32(g, "out.pooled_projected_all_layers", j.projected, count);
    }
    vbg_weights_close(w);
}

/* ---- image tower and score ---- */

typedef struct image_job {
    vbg_clip_image m;
    const float *pixels;
    int n;
    float *hidden[VBG_CLIP_MAX_LAYERS + 1];
    float *pooled, *projected;
} image_job;

static vbg_status run_image_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    image_job *j = arg;
    const vbg_clip_image *m = &j->m;
    int side = m->image;
    vbg_tensor *x = vbg_wrap(c, j->pixels, VBG_F32, j->n, side, side, 3);

    (void)err;
    x = vbg_clip_image_hidden(c, m, x, 0);
    for (int i = 0; i <= m->tower.layers; i++) {
        if (i > 0)
            x = vbg_clip_blocks(c, &m->tower, x, i - 1, i, false);
        if (j->hidden[i])
            vbg_copy_out(c, j->hidden[i], VBG_F32, x);
    }
    x = vbg_clip_image_pool(c, m, x);
    vbg_copy_out(c, j->pooled, VBG_F32, x);
    vbg_copy_out(c, j->projected, VBG_F32, vbg_linear(c, x, &m->projection));
    return VBG_OK;
}

static bool image_tower(golden *g, image_job *j, const vbg_weights *w,
                        const char *component, const char *prefix, vbg_clip_opt opt)
{
    vbg_err err = { 0 };
    const vbg_st_tensor *pixels = golden_in(g, "in.pixel_values");

    j->pixels = golden_in_nhwc(g, "in.pixel_values");
    if (!w || !j->pixels)
        return false;
    j->n = (int)pixels->dim[0];
    if (vbg_clip_image_bind(&j->m, w, component, prefix, "visual_projection", opt,
                            &err) != VBG_OK) {
        golden_fail(g, "%s", err.text);
        return false;
    }
    size_t n = (size_t)j->n, width = (size_t)j->m.tower.width;
    size_t tokens = (size_t)(j->m.grid * j->m.grid + 1);
    for (int i = 0; i <= j->m.tower.layers; i++)
        j->hidden[i] = golden_alloc(g, n * tokens * width * sizeof(float));
    j->pooled = golden_alloc(g, n * width * sizeof(float));
    j->projected = golden_alloc(g, n * (size_t)j->m.projection.oc * sizeof(float));
    if (!run_job(g, run_image_job, j))
        return false;
    golden_out_f32(g, "out.image_projection", j->projected,
                   n * (size_t)j->m.projection.oc);
    return true;
}

/* Crops, and the samples of the normalised crop; fed with the recorded crop. */
static void run_crops(golden *g)
{
    for (int i = 0; i < 64; i++) {
        char name[64];
        snprintf(name, sizeof name, "in.image%d.rgb", i);
        if (!vbg_st_find(golden_data(g), name))
            break;
        const vbg_st_tensor *t = golden_in(g, "%s", name);
        vbg_picture src = { .data = golden_alloc(g, t->bytes), .channels = 3 };
        vbg_err err = { 0 };
        memcpy(src.data, t->data, t->bytes);
        src.h = (int)t->dim[0];
        src.w = (int)t->dim[1];
        src.stride = 3 * (size_t)src.w;
        for (int hf = 0; hf < 2; hf++) {
            vbg_picture crop = { .data = NULL };
            snprintf(name, sizeof name, "out.image%d.crop224%s", i, hf ? "_hf" : "");
            const vbg_st_tensor *want = vbg_st_find(golden_data(g), name);
            if (!want)
                continue;
            int size = (int)want->dim[0];
            if (vbg_clip_preprocess(&crop, &src, size,
                                    hf ? VBG_CLIP_CROP_FLOOR : VBG_CLIP_CROP_TORCHVISION,
                                    &err) != VBG_OK) {
                golden_fail(g, "%s", err.text);
                continue;
            }
            uint8_t *flat = golden_alloc(g, want->bytes);
            for (int y = 0; y < size; y++)
                memcpy(flat + (size_t)(3 * y * size), crop.data + (size_t)y * crop.stride,
                       3 * (size_t)size);
            golden_out_u8(g, name, flat, want->count);
            vbg_picture_free(&crop);
        }
        snprintf(name, sizeof name, "out.image%d.crop224", i);
        const vbg_st_tensor *crop = vbg_st_find(golden_data(g), name);
        snprintf(name, sizeof name, "out.image%d.pixel_values_samples", i);
        const vbg_st_tensor *want = vbg_st_find(golden_data(g), name);
        if (!crop || !want)
            continue;
        size_t side = (size_t)crop->dim[0], m = (size_t)want->dim[1], step = side / m;
        vbg_picture p = { .data = golden_alloc(g, crop->bytes),
                          .w = (int)side,
                          .h = (int)side,
                          .channels = 3,
                          .stride = 3 * side };
        memcpy(p.data, crop->data, crop->bytes);
        float *x = golden_alloc(g, 3 * side * side * sizeof *x);
        float *v = golden_alloc(g, want->count * sizeof *v);
        vbg_clip_normalise(x, &p);
        for (size_t k = 0; k < 3; k++)
            for (size_t y = 0; y < m; y++)
                for (size_t q = 0; q < m; q++)
                    v[(k * m + y) * m + q] = x[(y * step * side + q * step) * 3 + k];
        golden_out_f32(g, name, v, want->count);
    }
}

/* Embeddings, logits and scores of both projections. */
static void run_scores(golden *g, float *image, float *text, size_t n, size_t c)
{
    const vbg_st_tensor *scale = golden_in(g, "logit_scale");
    double *cosine = golden_alloc(g, n * sizeof *cosine);
    double *score = golden_alloc(g, n * sizeof *score);
    double *matrix = golden_alloc(g, n * n * sizeof *matrix);
    float *logits = golden_alloc(g, n * n * sizeof *logits), s = 0;

    if (!scale)
        return;
    vbg_st_to_f32(&s, scale);
    vbg_clip_unit_rows(image, n, c);
    vbg_clip_unit_rows(text, n, c);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            double cos = vbg_cosine(image + i * c, text + k * c, c);
            logits[i * n + k] = (float)(exp((double)s) * cos);
            matrix[i * n + k] = vbg_clip_score(image + i * c, text + k * c, c);
            if (i == k) {
                cosine[i] = cos;
                score[i] = matrix[i * n + k];
            }
        }
    golden_out_f32(g, "out.image_embeds", image, n * c);
    golden_out_f32(g, "out.text_embeds", text, n * c);
    golden_out_f32(g, "out.logits_per_image", logits, n * n);
    golden_out_f64(g, "out.clip_score", score, n);
    golden_out_f64(g, "out.clip_score_matrix", matrix, n * n);
    golden_out_f64(g, "out.cosine", cosine, n);
}

static void run_clip_vit(golden *g)
{
    const json_t *config = json_object_get(golden_json(g), "config");
    vbg_weights *w = golden_weights(g, "model", NULL, NULL);
    text_job t = { .n = 0 };
    image_job j = { .n = 0 };
    vbg_clip_opt opt = options(json_object_get(config, "vision"));

    run_crops(g);
    if (bind_text(g, &t, w, "model", "text_model.", json_object_get(config, "text")) &&
        image_tower(g, &j, w, "model", "vision_model.", opt)) {
        size_t n = (size_t)j.n, width = (size_t)j.m.tower.width;
        size_t tokens = (size_t)(j.m.grid * j.m.grid + 1);
        size_t proj = (size_t)j.m.projection.oc, tw = (size_t)t.m.tower.width;
        for (int i = 0; i <= j.m.tower.layers; i++) {
            char name[40];
            snprintf(name, sizeof name, "act.vision.hidden.%d", i);
            golden_out_f32(g, name, j.hidden[i], n * tokens * width);
        }
        golden_out_f32(g, "out.vision.pooled", j.pooled, n * width);
        t.pooled = golden_alloc(g, n * tw * sizeof(float));
        t.projected = golden_alloc(g, n * proj * sizeof(float));
        if (run_job(g, run_text_job, &t)) {
            golden_out_f32(g, "out.text.pooled", t.pooled, n * tw);
            golden_out_f32(g, "out.text_projection", t.projected, n * proj);
            run_scores(g, j.projected, t.projected, n, proj);
        }
    }
    vbg_weights_close(w);
}

/* The configuration stands in clip_vit's JSON. */
static void run_clip_vit_openai(golden *g)
{
    json_t *json =
        json_load_file(golden_path(g, "clip_vit_%s.json", golden_suffix(g)), 0, NULL);
    const json_t *config = json_object_get(json_object_get(json, "config"), "vision");
    vbg_weights *w = renamed_weights(g);
    image_job j = { .n = 0 };

    if (!config)
        golden_fail(g, "clip_vit_%s.json cannot be read", golden_suffix(g));
    else
        image_tower(g, &j, w, "vision", "", options(config));
    vbg_weights_close(w);
    json_decref(json);
}

const golden_family golden_families_clip[] = {
    { "clip/tokenizer", run_tokenizer },
    { "clip/text_sd1", run_text },
    { "clip/text_sd2", run_text },
    { "clip/text_openclip", run_text_openclip },
    { "clip/text_full_sd1", run_text_full },
    { "clip/text_full_sd2", run_text_full },
    { "clip/clip_vit", run_clip_vit },
    { "clip/clip_vit_openai", run_clip_vit_openai },
    { NULL, NULL },
};
