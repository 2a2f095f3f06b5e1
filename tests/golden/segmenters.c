/* Oracles of the real person segmenters in data/weights: converted to
 * f32, run on the stored pictures. */
#define _GNU_SOURCE
#include "convert/convert.h"
#include "models/bodypix.h"
#include "models/deeplab_tflite.h"
#include "models/selfie.h"
#include "tests/golden/golden.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct net {
    vbg_selfie selfie;
    vbg_bodypix bodypix;
    vbg_deeplab_tflite deeplab;
} net;

typedef struct image_run {
    golden *g;
    const net *m;
    const char *image;
    vbg_picture rgb;
} image_run;

/* The .vbg of a TFLite file of data/weights, opened and already unlinked; NULL after
 * golden_skip or golden_fail. */
static vbg_weights *convert_weights(golden *g, const char *file, int64_t *stride)
{
    const char *shm = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    const char *in = golden_path(g, "../../data/weights/%s", file);
    const vbg_convert_opt opt = { .package = { .dtype = VBG_F32 } };
    vbg_weights *w = NULL;
    vbg_err err = { 0 };
    char path[128];

    if (access(in, R_OK) != 0) {
        golden_skip(g, "%s is not there", in);
        return NULL;
    }
    snprintf(path, sizeof path, "%s/vbg-segmenter-%ld.vbg", shm, (long)getpid());
    vbg_status st = vbg_convert(in, path, &opt, NULL, &err);
    if (st == VBG_OK)
        st = vbg_weights_open(&w, path, &err);
    unlink(path);
    if (st != VBG_OK) {
        golden_fail(g, "%s", err.text);
        return NULL;
    }
    if (stride)
        vbg_weights_int(w, "segmenter.stride", stride);
    return w;
}

static const char *json_text(golden *g, const char *key)
{
    const char *s = json_string_value(json_object_get(golden_json(g), key));
    return s ? s : "";
}

/* Runs job on every image of the JSON. */
static void each_image(golden *g, const net *m, vbg_job *job)
{
    json_t *images = json_object_get(golden_json(g), "images"), *value;
    const char *name;
    vbg_err err = { 0 };

    json_object_foreach(images, name, value)
    {
        const vbg_st_tensor *in = golden_in(g, "in.%s.rgb", name);
        if (!in)
            return;
        int h = (int)in->dim[0], w = (int)in->dim[1];
        image_run r = { .g = g, .m = m, .image = name };
        r.rgb = (vbg_picture){ .data = golden_alloc(g, in->bytes),
                               .w = w,
                               .h = h,
                               .channels = 3,
                               .stride = (size_t)w * 3 };
        memcpy(r.rgb.data, in->data, in->bytes);
        if (vbg_run(golden_ctx(g), job, &r, &err) != VBG_OK)
            golden_fail(g, "%s: %s", name, err.text);
    }
}

/* Reports PREFIX.IMAGE.WHAT. */
static void report(const image_run *r, const char *prefix, const char *what,
                   const float *v, size_t count)
{
    char name[96];
    snprintf(name, sizeof name, "%s.%s.%s", prefix, r->image, what);
    golden_out_f32(r->g, name, v, count);
}

/* Stored as HWC of the channels 0, 4, 8, 12. */
static void see_stem(void *arg, const char *name, const vbg_tensor *t)
{
    const image_run *r = arg;
    size_t n = vbg_rows(t), kept = ((size_t)t->c + 3) / 4;
    float *v = golden_alloc(r->g, n * kept * sizeof *v);

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < kept; k++)
            v[i * kept + k] = ((const float *)t->data)[i * t->ld + 4 * k];
    report(r, "act", name, v, n * kept);
}

static vbg_status selfie_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    image_run *r = arg;
    const vbg_probe probe = { .see = see_stem, .arg = r };

    (void)err;
    const vbg_tensor *x = vbg_picture_input(c, &r->rgb, vbg_norm_unit());
    const vbg_tensor *y = vbg_selfie_forward(c, &r->m->selfie, x, &probe);
    const vbg_tensor *p = vbg_activate(c, y, VBG_ACT_SIGMOID);
    if (!vbg_planning(c)) {
        report(r, "act", "logit", y->data, vbg_rows(y));
        report(r, "out", "tflite", p->data, vbg_rows(p));
    }
    return VBG_OK;
}

static void run_selfie(golden *g)
{
    net *m = golden_alloc(g, sizeof *m);
    vbg_weights *w = convert_weights(g, json_text(g, "file_tflite"), NULL);
    vbg_pool_mem *pool = vbg_pool_new();
    vbg_err err = { 0 };

    if (w && pool && vbg_selfie_bind(&m->selfie, pool, w, "segmenter", &err) == VBG_OK)
        each_image(g, m, selfie_job);
    else if (w)
        golden_fail(g, "%s", err.text);
    vbg_pool_free(pool);
    vbg_weights_close(w);
}

static vbg_status bodypix_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    image_run *r = arg;

    (void)err;
    const vbg_tensor *x = vbg_picture_input(c, &r->rgb, vbg_norm_signed());
    const vbg_tensor *y = vbg_bodypix_forward(c, &r->m->bodypix, x);
    if (!vbg_planning(c)) {
        report(r, "out", "segments", y->data, vbg_rows(y));
        report(r, "out", "segments_f64", y->data, vbg_rows(y));
    }
    return VBG_OK;
}

static void run_bodypix(golden *g)
{
    net *m = golden_alloc(g, sizeof *m);
    int64_t stride = 0;
    vbg_weights *w = convert_weights(g, json_text(g, "file"), &stride);
    vbg_err err = { 0 };

    if (w && vbg_bodypix_bind(&m->bodypix, w, "segmenter", (int)stride, &err) == VBG_OK)
        each_image(g, m, bodypix_job);
    else if (w)
        golden_fail(g, "%s", err.text);
    vbg_weights_close(w);
}

static void report_classes(const image_run *r, const vbg_tensor *y)
{
    size_t n = vbg_rows(y), classes = (size_t)y->c;
    float *one[2] = { golden_alloc(r->g, n * sizeof(float)),
                      golden_alloc(r->g, n * sizeof(float)) };
    uint8_t *best = golden_alloc(r->g, n);
    char name[96];

    for (size_t i = 0; i < n; i++) {
        const float *v = (const float *)y->data + i * y->ld;
        size_t k = 0;
        for (size_t j = 1; j < classes; j++)
            k = v[j] > v[k] ? j : k;
        best[i] = (uint8_t)k;
        one[0][i] = v[0];
        one[1][i] = v[15];
    }
    report(r, "out", "class0", one[0], n);
    report(r, "out", "class15", one[1], n);
    snprintf(name, sizeof name, "out.%s.argmax", r->image);
    golden_out_u8(r->g, name, best, n);
}

static vbg_status deeplab_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    image_run *r = arg;

    (void)err;
    const vbg_tensor *x = vbg_picture_input(c, &r->rgb, vbg_norm_signed());
    const vbg_tensor *low = vbg_deeplab_tflite_forward(c, &r->m->deeplab, x);
    const vbg_tensor *y = vbg_resize(c, low, x->h, x->w, VBG_RESIZE_BILINEAR_ALIGN);
    if (!vbg_planning(c)) {
        report(r, "act", "logits33", low->data, vbg_rows(low) * (size_t)low->c);
        report_classes(r, y);
    }
    return VBG_OK;
}

static void run_deeplab(golden *g)
{
    net *m = golden_alloc(g, sizeof *m);
    vbg_weights *w = convert_weights(g, json_text(g, "file"), NULL);
    vbg_err err = { 0 };

    if (w && vbg_deeplab_tflite_bind(&m->deeplab, w, "segmenter", &err) == VBG_OK)
        each_image(g, m, deeplab_job);
    else if (w)
        golden_fail(g, "%s", err.text);
    vbg_weights_close(w);
}

const golden_family golden_families_segmenters[] = {
    { "segmenters/selfie", run_selfie },
    { "segmenters/bodypix_tflite", run_bodypix },
    { "segmenters/deeplab_tflite", run_deeplab },
    { NULL, NULL },
};
