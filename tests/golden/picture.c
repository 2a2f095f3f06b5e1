/* Oracles of the family group "picture": metrics, resizing, blurring, colour. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/picture_resize.h"
#include "models/metrics.h"
#include "tests/golden/golden.h"
#include "video/blur.h"
#include "video/colour.h"
#include "video/guided.h"
#include "video/morphology.h"
#include "video/resize.h"

/* A stored u8 tensor [h][w] or [h][w][c] as a picture over a copy of it. */
static vbg_picture picture_in(golden *g, const char *name)
{
    const vbg_st_tensor *t = golden_in(g, "%s", name);
    vbg_picture p = { .data = NULL };

    if (!t || t->dtype != VBG_U8 || t->rank < 2)
        return p;
    p.h = (int)t->dim[0];
    p.w = (int)t->dim[1];
    p.channels = t->rank > 2 ? (int)t->dim[2] : 1;
    p.stride = (size_t)(p.w * p.channels);
    p.data = golden_alloc(g, t->bytes);
    memcpy(p.data, t->data, t->bytes);
    return p;
}

static vbg_image image_in(golden *g, const char *name)
{
    const vbg_st_tensor *t = golden_in(g, "%s", name);
    vbg_image p = { .data = NULL };

    if (!t || t->rank < 2)
        return p;
    p.h = (int)t->dim[0];
    p.w = (int)t->dim[1];
    p.channels = t->rank > 2 ? (int)t->dim[2] : 1;
    p.stride = (size_t)(p.w * p.channels);
    p.data = golden_in_f32(g, "%s", name);
    return p;
}

/* Pictures without padding, owned by the oracle: what golden_out_* takes. */
static vbg_picture picture_flat(golden *g, int w, int h, int channels)
{
    size_t stride = (size_t)(w * channels);

    return (vbg_picture){ golden_alloc(g, stride * (size_t)h), w, h, channels, stride };
}

static vbg_image image_flat(golden *g, int w, int h, int channels)
{
    size_t stride = (size_t)(w * channels);
    float *data = golden_alloc(g, stride * (size_t)h * sizeof *data);

    return (vbg_image){ data, w, h, channels, stride };
}

static void out_picture(golden *g, const char *name, const vbg_picture *p)
{
    golden_out_u8(g, name, p->data, p->stride * (size_t)p->h);
}

static void out_image(golden *g, const char *name, const vbg_image *p)
{
    golden_out_f32(g, name, p->data, p->stride * (size_t)p->h);
}

static const vbg_kernels *kernels(golden *g)
{
    return vbg_ctx_kernels(golden_ctx(g));
}

static bool stored(golden *g, const char *name)
{
    return vbg_st_find(golden_data(g), name) != NULL;
}

/* Turns a status into a failed oracle. */
static void need(golden *g, vbg_status st, const vbg_err *err)
{
    if (st != VBG_OK)
        golden_fail(g, "%s", err->text);
}

/* ---- metrics ---- */

static void picture_metrics(golden *g, const char *which)
{
    vbg_picture a = picture_in(g, "in.a");
    char name[64];
    double v;
    vbg_err err = { 0 };

    snprintf(name, sizeof name, "in.%s", which);
    vbg_picture b = picture_in(g, name);
    if (!a.data || !b.data)
        return;
    snprintf(name, sizeof name, "values/psnr.%s", which);
    golden_out_number(g, name, vbg_psnr(&a, &b));
    snprintf(name, sizeof name, "values/mae.%s", which);
    golden_out_number(g, name, vbg_mean_abs_diff(&a, &b));
    snprintf(name, sizeof name, "values/ssim_gauss_gray.%s", which);
    need(g, vbg_ssim(&v, &a, &b, &err), &err);
    golden_out_number(g, name, v);
}

static void mask_metrics(golden *g)
{
    const vbg_st_tensor *want = golden_in(g, "out.confusion");
    vbg_picture truth = picture_in(g, "in.truth"), pred = picture_in(g, "in.pred");
    double iou[64];

    if (!want || !truth.data || !pred.data || want->dim[0] > 64)
        return;
    int classes = (int)want->dim[0];
    int64_t *counts = golden_alloc(g, want->bytes);
    vbg_confusion(counts, truth.data, pred.data, truth.stride * (size_t)truth.h, classes);
    vbg_confusion_iou(iou, counts, classes);
    golden_out_i64(g, "out.confusion", counts, want->count);
    golden_out_f64(g, "out.iou", iou, (size_t)classes);
    golden_out_number(g, "values/accuracy", vbg_confusion_accuracy(counts, classes));
    golden_out_number(g, "values/mean_recall",
                      vbg_confusion_mean_recall(counts, classes));
    golden_out_number(g, "values/miou", vbg_confusion_mean_iou(counts, classes));
}

/* The name of the JSON value that begins with prefix. */
static const char *value_name(golden *g, const char *prefix)
{
    json_t *values = json_object_get(golden_json(g), "values"), *v;
    const char *key;

    json_object_foreach(values, key, v)
    {
        if (strncmp(key, prefix, strlen(prefix)) == 0) {
            char *name = golden_alloc(g, strlen(key) + 8);
            sprintf(name, "values/%s", key);
            return name;
        }
    }
    golden_fail(g, "the JSON has no value %s", prefix);
    return "values/";
}

static void generator_metrics(golden *g)
{
    const vbg_st_tensor *t1 = golden_in(g, "in.features1"),
                        *tl = golden_in(g, "in.logits");
    const vbg_st_tensor *t2 = golden_in(g, "in.features2");
    vbg_err err = { 0 };
    double v = 0, deviation = 0;

    if (!t1 || !t2 || !tl)
        return;
    const float *f1 = golden_in_f32(g, "in.features1"),
                *f2 = golden_in_f32(g, "in.features2");
    size_t n1 = (size_t)t1->dim[0], n2 = (size_t)t2->dim[0], d = (size_t)t1->dim[1];
    need(g, vbg_frechet_distance(&v, f1, n1, f2, n2, d, &err), &err);
    golden_out_number(g, "values/fid", v);
    need(g, vbg_frechet_distance(&v, f1, n1, f1, n1, d, &err), &err);
    golden_out_number(g, "values/fid_self", v);
    need(g, vbg_frechet_distance(&v, f1, d / 2, f2, n2, d, &err), &err);
    golden_out_number(g, value_name(g, "fid_rank_deficient"), v);
    const char *mean_name = value_name(g, "is_mean_");
    int splits = atoi(mean_name + strlen("values/is_mean_"));
    need(g,
         vbg_inception_score(&v, &deviation, golden_in_f32(g, "in.logits"),
                             (size_t)tl->dim[0], (size_t)tl->dim[1], splits, &err),
         &err);
    golden_out_number(g, mean_name, v);
    golden_out_number(g, value_name(g, "is_std_"), deviation);
}

static void run_metrics(golden *g)
{
    const vbg_st_tensor *t = golden_in(g, "in.image_embeddings");
    const float *image = golden_in_f32(g, "in.image_embeddings");
    const float *text = golden_in_f32(g, "in.text_embeddings");

    picture_metrics(g, "b");
    picture_metrics(g, "c");
    mask_metrics(g);
    generator_metrics(g);
    if (!t || !image || !text)
        return;
    size_t n = (size_t)t->dim[0], c = (size_t)t->dim[1];
    double *score = golden_alloc(g, n * sizeof *score);
    for (size_t i = 0; i < n; i++)
        score[i] =
            100 * vbg_cosine(image + i * c, text + i * c, c); /* not clipped here */
    golden_out_f64(g, "out.clip_score", score, n);
}

/* ---- resize ---- */

static void resize_pil(golden *g, const vbg_picture *src, int w, int h)
{
    static const char *const names[] = { "nearest", "box",     "bilinear",
                                         "hamming", "bicubic", "lanczos" };
    for (int f = 0; f < 6; f++) {
        char name[64];
        vbg_err err = { 0 };
        snprintf(name, sizeof name, "pil.%s.%dx%d", names[f], h, w);
        if (!stored(g, name))
            continue;
        vbg_picture dst = picture_flat(g, w, h, src->channels);
        need(g, vbg_picture_resample(&dst, src, (vbg_filter)f, &err), &err);
        out_picture(g, name, &dst);
    }
}

static void resize_cv(golden *g, const vbg_picture *u8, const vbg_image *f32, int w,
                      int h)
{
    static const struct {
        const char *name;
        vbg_interp mode;
    } modes[] = {
        { "nearest", VBG_INTERP_NEAREST },   { "linear", VBG_INTERP_LINEAR },
        { "cubic", VBG_INTERP_CUBIC },       { "area", VBG_INTERP_AREA },
        { "lanczos4", VBG_INTERP_LANCZOS4 },
    };
    const vbg_kernels *k = kernels(g);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        char name[64];
        vbg_err err = { 0 };
        vbg_resizer *r = NULL, *r1 = NULL;
        /* OpenCV's area is a quirk of its own when a side grows: not ours */
        if (modes[i].mode == VBG_INTERP_AREA && (w > u8->w || h > u8->h))
            continue;
        need(g,
             vbg_resizer_new(&r, u8->w, u8->h, w, h, u8->channels, modes[i].mode, &err),
             &err);
        need(g, vbg_resizer_new(&r1, u8->w, u8->h, w, h, 1, modes[i].mode, &err), &err);
        vbg_picture dst = picture_flat(g, w, h, u8->channels);
        vbg_image dst1 = image_flat(g, w, h, 1),
                  exact = image_flat(g, w, h, u8->channels);
        vbg_resizer_u8(r, k, &dst, u8);
        vbg_resizer_f32(r1, k, &dst1, f32);
        vbg_resizer_u8_f32(r, k, &exact, u8);
        snprintf(name, sizeof name, "cv.%s.%dx%d", modes[i].name, h, w);
        if (stored(g, name))
            out_picture(g, name, &dst);
        snprintf(name, sizeof name, "cv.f32.%s.%dx%d", modes[i].name, h, w);
        if (stored(g, name))
            out_image(g, name, &dst1);
        snprintf(name, sizeof name, "own.%s.%dx%d",
                 modes[i].mode == VBG_INTERP_LINEAR ? "bilinear_half" : modes[i].name, h,
                 w);
        if (stored(g, name))
            out_image(g, name, &exact);
        vbg_resizer_free(r);
        vbg_resizer_free(r1);
    }
}

static void run_resize(golden *g)
{
    vbg_picture u8 = picture_in(g, "in.u8");
    vbg_image f32 = image_in(g, "in.f32");
    const json_t *sizes = json_object_get(golden_json(g), "sizes [h,w]");

    if (!u8.data || !f32.data)
        return;
    for (size_t i = 0; i < json_array_size(sizes); i++) {
        const json_t *s = json_array_get(sizes, i);
        int h = (int)json_integer_value(json_array_get(s, 0));
        int w = (int)json_integer_value(json_array_get(s, 1));
        resize_pil(g, &u8, w, h);
        resize_cv(g, &u8, &f32, w, h);
    }
}

/* ---- blur ---- */

/* Every stored tensor of "prefix*", its rest in turn; NULL ends. */
static const char *next_name(golden *g, const char *prefix, size_t *i)
{
    for (; *i < vbg_st_count(golden_data(g)); (*i)++) {
        const char *name = vbg_st_at(golden_data(g), *i)->name;
        if (strncmp(name, prefix, strlen(prefix)) == 0) {
            (*i)++;
            return name;
        }
    }
    return NULL;
}

static void blur_gauss(golden *g, const vbg_picture *u8, const vbg_image *f32)
{
    const char *name;
    vbg_err err = { 0 };
    int taps, used = 0;
    double sigma;

    for (size_t i = 0; (name = next_name(g, "cv.gauss.", &i)) != NULL;) {
        bool bytes = sscanf(name, "cv.gauss.u8.k%d_s%lf%n", &taps, &sigma, &used) == 2;
        if (!bytes &&
            sscanf(name, "cv.gauss.f32.k%d_s%lf%n", &taps, &sigma, &used) != 2) {
            golden_fail(g, "%s: settings not understood", name);
            continue;
        }
        if (bytes) {
            vbg_picture dst = picture_flat(g, u8->w, u8->h, u8->channels);
            need(g, vbg_gauss_u8(kernels(g), &dst, u8, taps, sigma, &err), &err);
            out_picture(g, name, &dst);
        } else {
            vbg_image dst = image_flat(g, f32->w, f32->h, 1);
            need(g, vbg_gauss_f32(kernels(g), &dst, f32, taps, sigma, &err), &err);
            out_image(g, name, &dst);
        }
    }
    for (size_t i = 0; (name = next_name(g, "cv.kernel", &i)) != NULL;) {
        bool bytes = strncmp(name, "cv.kernel_u8", 12) == 0;
        sscanf(strchr(name + 4, '.'), ".k%d_s%lf", &taps, &sigma);
        if (taps == 0)
            taps = vbg_gauss_length(sigma, bytes ? 3 : 4);
        double *w = golden_alloc(g, (size_t)taps * sizeof *w);
        vbg_gauss_kernel(w, taps, sigma);
        golden_out_f64(g, name, w, (size_t)taps);
    }
    for (size_t i = 0; (name = next_name(g, "scipy.gauss.", &i)) != NULL;) {
        vbg_border border =
            strstr(name, ".edge.") ? VBG_BORDER_REPLICATE : VBG_BORDER_REFLECT_101;
        sigma = atof(strrchr(name, 's') + 1);
        int radius = (int)(4 * sigma + 0.5);
        double *exact = golden_alloc(g, (size_t)(2 * radius + 1) * sizeof *exact);
        float *w = golden_alloc(g, (size_t)(2 * radius + 1) * sizeof *w);
        vbg_gauss_kernel(exact, 2 * radius + 1, sigma);
        for (int k = 0; k <= 2 * radius; k++)
            w[k] = (float)exact[k];
        vbg_image dst = image_flat(g, f32->w, f32->h, 1);
        need(g, vbg_filter_f32(kernels(g), &dst, f32, w, 2 * radius + 1, border, &err),
             &err);
        out_image(g, name, &dst);
    }
}

static void blur_box(golden *g, const vbg_picture *u8, const vbg_picture *mask)
{
    const char *name;
    vbg_err err = { 0 };

    for (size_t i = 0; (name = next_name(g, "cv.box", &i)) != NULL;) {
        int size = atoi(name + 6);
        if (strstr(name, ".u8")) {
            vbg_picture dst = picture_flat(g, u8->w, u8->h, u8->channels);
            need(g, vbg_box_u8(&dst, u8, size, &err), &err);
            out_picture(g, name, &dst);
        } else {
            vbg_image dst = image_flat(g, mask->w, mask->h, 1);
            need(g, vbg_box_u8_f32(&dst, mask, size, &err), &err);
            out_image(g, name, &dst);
        }
    }
}

/* cv.{dilate,erode,open,close}[_ellipse]SIZE[xTIMES] and cv.ellipseSIZE */
static void blur_morphology(golden *g, const vbg_picture *mask)
{
    static const char *const words[] = { "dilate", "erode", "open", "close" };
    vbg_err err = { 0 };
    const char *name;

    for (size_t i = 0; (name = next_name(g, "cv.", &i)) != NULL;) {
        int size = 0, times = 1, op = 0;
        char word[32] = "";
        if (sscanf(name, "cv.ellipse%d", &size) == 1) {
            vbg_picture e = picture_flat(g, size, size, 1);
            vbg_ellipse(e.data, size);
            out_picture(g, name, &e);
            continue;
        }
        while (op < 4 && strncmp(name + 3, words[op], strlen(words[op])) != 0)
            op++;
        if (op == 4)
            continue;
        const char *rest = name + 3 + strlen(words[op]);
        bool ellipse = sscanf(rest, "_%31[a-z]%dx%d", word, &size, &times) >= 2;
        if (!ellipse)
            sscanf(rest, "%dx%d", &size, &times);
        vbg_picture dst = picture_flat(g, mask->w, mask->h, 1);
        need(g,
             vbg_morphology(&dst, mask, (vbg_morph)op,
                            ellipse ? VBG_SHAPE_ELLIPSE : VBG_SHAPE_RECT, size, times,
                            &err),
             &err);
        out_picture(g, name, &dst);
    }
}

static void blur_components(golden *g, const vbg_picture *mask)
{
    size_t n = (size_t)mask->w * (size_t)mask->h;
    int32_t *labels = golden_alloc(g, n * sizeof *labels);
    vbg_component *stats = NULL;
    int count = 0;
    vbg_err err = { 0 };

    vbg_status st = vbg_components(labels, &stats, &count, mask, &err);
    need(g, st, &err);
    if (st != VBG_OK)
        return;
    int64_t *wide = golden_alloc(g, n * sizeof *wide);
    int64_t *rows = golden_alloc(g, (size_t)count * 5 * sizeof *rows);
    for (size_t i = 0; i < n; i++)
        wide[i] = labels[i];
    for (int i = 0; i < count; i++) {
        const vbg_component *s = &stats[i];
        const int64_t row[5] = { s->x, s->y, s->w, s->h, s->area };
        memcpy(rows + 5 * i, row, sizeof row);
    }
    golden_out_i64(g, "cv.components", wide, n);
    golden_out_i64(g, "cv.component_stats", rows, (size_t)count * 5);
    free(stats);
}

static void run_blur(golden *g)
{
    vbg_picture u8 = picture_in(g, "in.u8"), mask = picture_in(g, "in.mask");
    vbg_image f32 = image_in(g, "in.f32");
    vbg_err err = { 0 };
    const char *name;

    if (!u8.data || !mask.data || !f32.data)
        return;
    blur_gauss(g, &u8, &f32);
    blur_box(g, &u8, &mask);
    blur_morphology(g, &mask);
    blur_components(g, &mask);
    vbg_image distance = image_flat(g, mask.w, mask.h, 1);
    need(g, vbg_distance(&distance, &mask, &err), &err);
    out_image(g, "scipy.distance", &distance);

    vbg_image p = image_flat(g, mask.w, mask.h, 1);
    for (int i = 0; i < mask.w * mask.h; i++)
        p.data[i] = (float)mask.data[i] / 255.0f;
    /* (r, eps) of the JSON's words: (4, 1e-3) and (9, 1e-4) */
    const char *words = json_string_value(json_object_get(golden_json(g), "guided"));
    for (size_t i = 0; (name = next_name(g, "own.guided.r", &i)) != NULL;) {
        int radius = atoi(name + 12);
        char key[16];
        snprintf(key, sizeof key, "(%d, ", radius);
        const char *at = words ? strstr(words, key) : NULL;
        if (!at) {
            golden_fail(g, "%s: no eps in the JSON", name);
            continue;
        }
        vbg_image dst = image_flat(g, mask.w, mask.h, 1);
        need(g, vbg_guided_filter(&dst, &f32, &p, radius, atof(at + strlen(key)), &err),
             &err);
        out_image(g, name, &dst);
    }
}

/* ---- colour ---- */

/* A frame in a flat buffer in the order of its planes. */
static vbg_yuv frame_over(uint8_t *data, vbg_yuv_layout layout, bool bt709, bool full,
                          int w, int h)
{
    size_t n = (size_t)w * (size_t)h, sw = (size_t)w;
    vbg_yuv f = { .layout = layout, .bt709 = bt709, .full_range = full, .w = w, .h = h };

    f.plane[0] = data;
    f.stride[0] = layout == VBG_YUV_YUYV ? 2 * sw : sw;
    f.plane[1] = data + n;
    f.stride[1] = layout == VBG_YUV_I420 ? sw / 2 : sw;
    f.plane[2] = layout == VBG_YUV_I420 ? data + n + n / 4 : data + 2 * n;
    f.stride[2] = f.stride[1];
    return f;
}

static void colour_codes(golden *g, const vbg_picture *rgb, const char *key, bool bt709,
                         bool full)
{
    static const struct {
        const char *name;
        vbg_yuv_layout layout;
        vbg_chroma chroma;
    } forms[] = {
        { "yuv444", VBG_YUV_444, VBG_CHROMA_MEAN },
        { "yuyv_avg", VBG_YUV_YUYV, VBG_CHROMA_MEAN },
        { "yuyv_even", VBG_YUV_YUYV, VBG_CHROMA_FIRST },
        { "i420", VBG_YUV_I420, VBG_CHROMA_MEAN },
        { "nv12", VBG_YUV_NV12, VBG_CHROMA_MEAN },
    };
    char name[96];
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        snprintf(name, sizeof name, "own.%s.%s", key, forms[i].name);
        const vbg_st_tensor *want = golden_in(g, "%s", name);
        if (!want)
            continue;
        uint8_t *data = golden_alloc(g, 3 * rgb->stride * (size_t)rgb->h);
        vbg_yuv f = frame_over(data, forms[i].layout, bt709, full, rgb->w, rgb->h);
        vbg_yuv_from_rgb(kernels(g), &f, rgb, forms[i].chroma, 0, 0);
        golden_out_u8(g, name, data, want->count);
    }
    snprintf(name, sizeof name, "own.%s.yuyv_avg", key);
    vbg_picture codes = picture_in(g, name);
    snprintf(name, sizeof name, "own.%s.rgb_from_yuyv", key);
    if (codes.data && stored(g, name)) {
        vbg_yuv f =
            frame_over(codes.data, VBG_YUV_YUYV, bt709, full, codes.w / 2, codes.h);
        vbg_picture out = picture_flat(g, f.w, f.h, 3);
        vbg_yuv_to_rgb(kernels(g), &out, &f, 0, 0);
        out_picture(g, name, &out);
    }
    snprintf(name, sizeof name, "own.%s.rgb_from_random", key);
    codes = picture_in(g, "in.yuyv_random");
    if (codes.data && stored(g, name)) {
        vbg_yuv f =
            frame_over(codes.data, VBG_YUV_YUYV, bt709, full, codes.w / 2, codes.h);
        vbg_picture out = picture_flat(g, f.w, f.h, 3);
        vbg_yuv_to_rgb(kernels(g), &out, &f, 0, 0);
        out_picture(g, name, &out);
    }
}

/* What other libraries make of the same picture, where our formulas cover it. */
static void colour_others(golden *g, const vbg_picture *rgb)
{
    size_t n = (size_t)rgb->w * (size_t)rgb->h;
    vbg_picture gray = picture_flat(g, rgb->w, rgb->h, 1);
    vbg_picture hsv = picture_flat(g, rgb->w, rgb->h, 3);
    vbg_picture ycc = picture_flat(g, rgb->w, rgb->h, 3);
    float *lab = golden_alloc(g, 3 * n * sizeof *lab);
    uint8_t *planes = golden_alloc(g, 3 * n);
    vbg_yuv f = frame_over(planes, VBG_YUV_444, false, true, rgb->w, rgb->h);

    vbg_rgb_to_gray(&gray, rgb);
    out_picture(g, "cv.gray", &gray);
    out_picture(g, "pil.gray", &gray);
    vbg_yuv_from_rgb(kernels(g), &f, rgb, VBG_CHROMA_MEAN, 0, 0);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = rgb->data + 3 * i;
        const double unit[3] = { p[0] / 255.0, p[1] / 255.0, p[2] / 255.0 };
        double l[3];
        vbg_rgb_to_hsv(hsv.data + 3 * i, p);
        vbg_rgb_to_lab(l, unit);
        for (size_t c = 0; c < 3; c++) {
            lab[3 * i + c] = (float)l[c];
            ycc.data[3 * i + c] = planes[c * n + i];
        }
    }
    out_picture(g, "pil.ycbcr", &ycc);
    for (size_t i = 0; i < n; i++) { /* OpenCV's order is Y Cr Cb */
        uint8_t cb = ycc.data[3 * i + 1];
        ycc.data[3 * i + 1] = ycc.data[3 * i + 2];
        ycc.data[3 * i + 2] = cb;
    }
    out_picture(g, "cv.ycrcb", &ycc);
    out_picture(g, "cv.hsv", &hsv);
    golden_out_f32(g, "cv.lab_f32", lab, 3 * n);
    f = frame_over(planes, VBG_YUV_I420, false, false, rgb->w, rgb->h);
    vbg_yuv_from_rgb(kernels(g), &f, rgb, VBG_CHROMA_FIRST, 0, 0);
    golden_out_u8(g, "cv.i420_from_rgb", planes, n / 2 * 3);
}

static void colour_mixing(golden *g, const vbg_picture *rgb)
{
    vbg_picture alpha = picture_in(g, "in.alpha");
    vbg_picture back = picture_flat(g, rgb->w, rgb->h, 3);
    vbg_picture out = picture_flat(g, rgb->w, rgb->h, 3);
    size_t n = (size_t)rgb->w * (size_t)rgb->h;

    if (!alpha.data)
        return;
    for (size_t i = 0; i < n; i++) /* the picture turned by 180 degrees */
        memcpy(back.data + 3 * i, rgb->data + 3 * (n - 1 - i), 3);
    vbg_composite(kernels(g), &out, rgb, &back, &alpha, 0, 0);
    out_picture(g, "own.composite", &out);
    vbg_composite_linear(&out, rgb, &back, &alpha);
    out_picture(g, "own.composite_linear_light", &out);
}

static void run_colour(golden *g)
{
    vbg_picture rgb = picture_in(g, "in.rgb");
    double light[256];

    if (!rgb.data)
        return;
    colour_codes(g, &rgb, "bt601.limited", false, false);
    colour_codes(g, &rgb, "bt601.full", false, true);
    colour_codes(g, &rgb, "bt709.limited", true, false);
    colour_codes(g, &rgb, "bt709.full", true, true);
    for (int i = 0; i < 256; i++)
        light[i] = vbg_srgb_to_linear(i / 255.0);
    golden_out_f64(g, "own.srgb_to_linear", light, 256);
    colour_mixing(g, &rgb);
    colour_others(g, &rgb);
}

const golden_family golden_families_picture[] = {
    { "seg/metrics", run_metrics },
    { "seg/resize", run_resize },
    { "seg/blur", run_blur },
    { "seg/colour", run_colour },
    { NULL, NULL },
};
