/* Segmenters: against photos with masks, and from frame to frame. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/picture_io.h"
#include "engine/picture_resize.h"
#include "models/matting.h"
#include "models/segmenter.h"
#include "tools/eval/commands.h"
#include "video/reader.h"

/* An open segmenter with its input and output. */
typedef struct network {
    vbg_segmenter *s;
    vbg_picture input;
    float *alpha;
    int mw, mh;
} network;

static void close_network(network *n)
{
    vbg_segmenter_close(n->s);
    vbg_picture_free(&n->input);
    free(n->alpha);
}

static vbg_status open_network(network *n, const vbg_values *v, vbg_err *err)
{
    bool f32 = strcmp(vbg_value(v, "precision"), "f32") == 0;
    vbg_ctx_opt opt = vbg_value_ctx(v, f32 ? VBG_F32 : VBG_BF16);
    int w = 0, h = 0;

    if (!vbg_value(v, "segmenter"))
        return vbg_fail(err, VBG_EUSAGE, "no model: give --segmenter FILE.vbg");
    if (vbg_value_given(v, "size"))
        vbg_value_size(v, "size", &w, &h);
    vbg_status st = vbg_segmenter_open(&n->s, vbg_value(v, "segmenter"), &opt, w, h, err);
    if (st != VBG_OK)
        return st;
    vbg_segmenter_size(n->s, &w, &h);
    vbg_segmenter_mask_size(n->s, &n->mw, &n->mh);
    n->alpha = malloc((size_t)n->mw * (size_t)n->mh * sizeof *n->alpha);
    if (!n->alpha)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a mask");
    return vbg_picture_new(&n->input, w, h, 3, err);
}

/* Two rows or columns around position i of n when `in` are stretched to n (half-pixel
 * centres), and the weight of the second. */
typedef struct spot {
    int i0, i1;
    float f;
} spot;

static spot spot_of(int i, int n, int in)
{
    float s = ((float)i + 0.5f) * (float)in / (float)n - 0.5f;
    s = s < 0 ? 0 : s;
    int i0 = vbg_min_int((int)s, in - 1);
    return (spot){ i0, vbg_min_int(i0 + 1, in - 1), s - (float)i0 };
}

/* The network's alpha, bilinear, above the threshold, at the mask's size: out[w*h]. */
static void widen(uint8_t *out, const network *n, int w, int h, float threshold)
{
    for (int y = 0; y < h; y++) {
        spot v = spot_of(y, h, n->mh);
        const float *r0 = n->alpha + (size_t)v.i0 * (size_t)n->mw;
        const float *r1 = n->alpha + (size_t)v.i1 * (size_t)n->mw;
        for (int x = 0; x < w; x++) {
            spot s = spot_of(x, w, n->mw);
            float top = r0[s.i0] + (r0[s.i1] - r0[s.i0]) * s.f;
            float low = r1[s.i0] + (r1[s.i1] - r1[s.i0]) * s.f;
            out[(size_t)y * (size_t)w + (size_t)x] = top + (low - top) * v.f > threshold;
        }
    }
}

typedef struct totals {
    double iou, worst, accuracy, f2, f4;
    double *ms; /* of every run */
    size_t runs, room;
    int64_t photos;
    char worst_name[256];
} totals;

static vbg_status note_time(totals *t, double ms, vbg_err *err)
{
    if (t->runs == t->room) {
        size_t room = t->room ? 2 * t->room : 256;
        double *more = realloc(t->ms, room * sizeof *more);
        if (!more)
            return vbg_fail(err, VBG_ENOMEM, "not enough memory");
        t->ms = more;
        t->room = room;
    }
    t->ms[t->runs++] = ms;
    return VBG_OK;
}

/* Adds what mask (0 or 1) is worth against truth; both w*h. */
static vbg_status add_photo(totals *t, vbg_report *r, const char *name,
                            const uint8_t *mask, const uint8_t *truth, int w, int h,
                            vbg_err *err)
{
    const size_t n = (size_t)w * (size_t)h;
    size_t both = 0, either = 0;
    double f2, f4;

    for (size_t i = 0; i < n; i++) {
        both += mask[i] && truth[i];
        either += mask[i] || truth[i];
    }
    double iou = either ? (double)both / (double)either : 1;
    vbg_status st = vbg_boundary_f(&f2, mask, truth, w, h, 2, err);
    if (st == VBG_OK)
        st = vbg_boundary_f(&f4, mask, truth, w, h, 4, err);
    if (st != VBG_OK)
        return st;
    if (t->photos == 0 || iou < t->worst) {
        t->worst = iou;
        snprintf(t->worst_name, sizeof t->worst_name, "%s", name);
    }
    t->iou += iou;
    t->accuracy += 1 - (double)(either - both) / (double)n;
    t->f2 += f2;
    t->f4 += f4;
    t->photos++;
    vbg_report_sample(r, name, iou);
    return VBG_OK;
}

static vbg_status one_photo(totals *t, network *n, const vbg_values *v, vbg_report *r,
                            const char *dir, const char *name, vbg_err *err)
{
    vbg_picture rgb = { 0 }, mask = { 0 };
    char path[4400], mask_path[4400];
    uint8_t *bits = NULL;
    int stem = (int)(strrchr(name, '.') - name);

    snprintf(path, sizeof path, "%.4000s/%s", dir, name);
    snprintf(mask_path, sizeof mask_path, "%.4000s/%.*s.mask.png", dir, stem, name);
    vbg_status st = vbg_picture_load(&rgb, NULL, path, 3, err);
    if (st == VBG_OK)
        st = vbg_picture_load(&mask, NULL, mask_path, 1, err);
    if (st == VBG_OK)
        st = vbg_picture_resample(&n->input, &rgb, VBG_FILTER_BILINEAR, err);
    for (long i = 0; i < vbg_value_int(v, "repeat") && st == VBG_OK; i++) {
        double start = vbg_now();
        st = vbg_segmenter_run(n->s, &n->input, n->alpha, err);
        if (st == VBG_OK)
            st = note_time(t, (vbg_now() - start) * 1e3, err);
    }
    size_t count = (size_t)mask.w * (size_t)mask.h;
    if (st == VBG_OK && !(bits = malloc(2 * count + 1)))
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory");
    if (st == VBG_OK) {
        widen(bits, n, mask.w, mask.h, (float)vbg_value_real(v, "threshold"));
        for (int y = 0; y < mask.h; y++)
            for (int x = 0; x < mask.w; x++)
                bits[count + (size_t)y * (size_t)mask.w + (size_t)x] =
                    mask.data[(size_t)y * mask.stride + (size_t)x] > 127;
        st = add_photo(t, r, name, bits, bits + count, mask.w, mask.h, err);
    }
    free(bits);
    vbg_picture_free(&rgb);
    vbg_picture_free(&mask);
    return st;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(vbg_report *r, const network *n, totals *t)
{
    char size[32];
    const double photos = (double)t->photos;

    snprintf(size, sizeof size, "%dx%d", n->input.w, n->input.h);
    vbg_report_text(r, "network", vbg_segmenter_arch(n->s));
    vbg_report_text(r, "input", size);
    vbg_report_int(r, "photos", t->photos);
    vbg_report_real(r, "mean IoU", t->iou / photos, 4);
    vbg_report_real(r, "worst IoU", t->worst, 4);
    vbg_report_text(r, "worst photo", t->worst_name);
    vbg_report_real(r, "accuracy", t->accuracy / photos, 4);
    vbg_report_real(r, "boundary F, 2 px", t->f2 / photos, 4);
    vbg_report_real(r, "boundary F, 4 px", t->f4 / photos, 4);
    qsort(t->ms, t->runs, sizeof *t->ms, by_value);
    vbg_report_real(r, "median ms", t->ms[t->runs / 2], 2);
    vbg_report_real(r, "fastest ms", t->ms[0], 2);
    vbg_report_real(r, "memory MB", (double)vbg_segmenter_bytes(n->s) / 1e6, 1);
}

/* Whether NAME.mask.png stands beside NAME.jpg. */
static bool has_mask(const char *dir, const char *name)
{
    char path[4400];

    snprintf(path, sizeof path, "%.4000s/%.*s.mask.png", dir,
             (int)(strrchr(name, '.') - name), name);
    return access(path, R_OK) == 0;
}

vbg_status vbg_eval_segment(const vbg_values *v, vbg_report *r, vbg_err *err)
{
    const char *dir = vbg_positional(v, 1);
    network n = { 0 };
    totals t = { 0 };
    vbg_names names = { 0 };
    vbg_status st = open_network(&n, v, err);

    if (st == VBG_OK)
        st = vbg_names_list(&names, dir, vbg_is_picture_name, err);
    for (size_t i = 0; i < names.count && st == VBG_OK; i++) {
        if (vbg_stop_signal())
            st = vbg_fail(err, VBG_ECANCEL, "stopped");
        else if (has_mask(dir, names.name[i]))
            st = one_photo(&t, &n, v, r, dir, names.name[i], err);
    }
    if (st == VBG_OK && t.photos == 0)
        st = vbg_fail(err, VBG_EUSAGE,
                      "%s: no photo with a mask (NAME.jpg, NAME.mask.png)", dir);
    if (st == VBG_OK)
        report(r, &n, &t);
    vbg_names_free(&names);
    free(t.ms);
    close_network(&n);
    return st;
}

/* ---- flicker ---- */

typedef struct clip {
    vbg_reader *reader;
    vbg_reader_info info;
    vbg_frame frame;
    vbg_picture rgb;
    float *last;
    double change;
    int64_t frames;
} clip;

static vbg_status one_frame(clip *k, network *n, const vbg_kernels *kernels, vbg_err *err)
{
    const size_t count = (size_t)n->mw * (size_t)n->mh;

    vbg_yuv_to_rgb(kernels, &k->rgb, &k->frame.yuv, 0, 0);
    vbg_status st = vbg_picture_resample(&n->input, &k->rgb, VBG_FILTER_BILINEAR, err);
    if (st == VBG_OK)
        st = vbg_segmenter_run(n->s, &n->input, n->alpha, err);
    if (st != VBG_OK)
        return st;
    if (k->frames++)
        k->change += vbg_matting_change(k->last, n->alpha, count);
    memcpy(k->last, n->alpha, count * sizeof *k->last);
    return VBG_OK;
}

static vbg_status one_clip(clip *k, network *n, const vbg_values *v, const char *path,
                           vbg_err *err)
{
    vbg_kernels kernels;
    bool end = false;
    vbg_ctx_opt opt = vbg_value_ctx(v, VBG_F32);
    vbg_status st = vbg_reader_open(&k->reader, path, err);

    vbg_kernels_init(&kernels, opt.isa);
    if (st != VBG_OK)
        return st;
    vbg_reader_get_info(k->reader, &k->info);
    st = vbg_frame_new(&k->frame, k->info.w, k->info.h, err);
    if (st == VBG_OK)
        st = vbg_picture_new(&k->rgb, k->info.w, k->info.h, 3, err);
    k->last = calloc((size_t)n->mw * (size_t)n->mh, sizeof *k->last);
    if (st == VBG_OK && !k->last)
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory");
    while (st == VBG_OK && !end) {
        st = vbg_reader_next(k->reader, &k->frame, &end, err);
        if (st == VBG_OK && vbg_stop_signal())
            st = vbg_fail(err, VBG_ECANCEL, "stopped");
        if (st == VBG_OK && !end)
            st = one_frame(k, n, &kernels, err);
    }
    if (st == VBG_OK && k->frames < 2)
        st = vbg_fail(err, VBG_EUSAGE, "%s: fewer than two frames", path);
    return st;
}

static void close_clip(clip *k)
{
    vbg_reader_close(k->reader);
    vbg_frame_free(&k->frame);
    vbg_picture_free(&k->rgb);
    free(k->last);
}

vbg_status vbg_eval_flicker(const vbg_values *v, vbg_report *r, vbg_err *err)
{
    network n = { 0 };
    double sum = 0;
    size_t clips = vbg_positionals(v) - 1;
    vbg_status st = open_network(&n, v, err);

    for (size_t i = 1; i <= clips && st == VBG_OK; i++) {
        clip k = { 0 };
        st = one_clip(&k, &n, v, vbg_positional(v, i), err);
        if (st == VBG_OK) {
            double change = k.change / (double)(k.frames - 1);
            vbg_report_sample(r, vbg_positional(v, i), change);
            sum += change;
        }
        close_clip(&k);
    }
    if (st == VBG_OK) {
        vbg_report_text(r, "network", vbg_segmenter_arch(n.s));
        vbg_report_int(r, "clips", (int64_t)clips);
        vbg_report_real(r, "mean |a_t - a_t-1|", sum / (double)clips, 6);
    }
    close_network(&n);
    return st;
}
