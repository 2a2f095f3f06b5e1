/* vbg-eval: how good a model is.  iou: a segmenter against photos with masks. */
#define _GNU_SOURCE
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/picture_io.h"
#include "engine/picture_resize.h"
#include "models/segmenter.h"
#include "tools/options.h"

static const vbg_option options[] = {
    { "segmenter", 's', VBG_OPT_STRING, "FILE", NULL, NULL, "the .vbg file to measure",
      "model", VBG_OPT_COMMON },
    { "size", 0, VBG_OPT_SIZE, "WxH", NULL, "32..4096",
      "input of networks of free size (default 512x512)", "model", VBG_OPT_COMMON },
    { "precision", 0, VBG_OPT_CHOICE, "TYPE", "bf16", "bf16|f32", "arithmetic", "model",
      VBG_OPT_COMMON },
    { "threshold", 0, VBG_OPT_REAL, "T", "0.5", "0..1", "alpha that counts as person",
      "measure", VBG_OPT_COMMON },
    { "repeat", 0, VBG_OPT_INT, "N", "1", "1..1000", "runs of each picture, for timing",
      "measure", VBG_OPT_COMMON },
    { 0 }
};

static const vbg_program program = {
    .name = "vbg-eval",
    .purpose = "measures models",
    .usage = "vbg-eval iou --segmenter FILE.vbg DIR",
    .examples = { "vbg-eval iou --segmenter selfie.vbg photos/" },
    .extra =
        "iou: DIR holds NAME.jpg or NAME.png with NAME.mask.png beside it (white: "
        "person).\nPrints the mean over photos of intersection over union.  -v: each "
        "photo.\n",
    .options = options,
    .max_positional = 2,
};

/* Alpha at photo position i of n, bilinear with half-pixel centres: two rows or columns
 * and the weight of the second. */
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

/* Intersection over union of alpha (mw x mh, stretched) and a mask; 1 when both are
 * empty. */
static double iou_of(const float *alpha, int mw, int mh, const vbg_picture *mask,
                     float threshold)
{
    int64_t both = 0, either = 0;

    for (int y = 0; y < mask->h; y++) {
        spot v = spot_of(y, mask->h, mh);
        const float *r0 = alpha + (size_t)v.i0 * (size_t)mw;
        const float *r1 = alpha + (size_t)v.i1 * (size_t)mw;
        const uint8_t *truth = mask->data + (size_t)y * mask->stride;
        for (int x = 0; x < mask->w; x++) {
            spot h = spot_of(x, mask->w, mw);
            float top = r0[h.i0] + (r0[h.i1] - r0[h.i0]) * h.f;
            float low = r1[h.i0] + (r1[h.i1] - r1[h.i0]) * h.f;
            bool person = top + (low - top) * v.f > threshold, is = truth[x] > 127;
            both += person && is;
            either += person || is;
        }
    }
    return either ? (double)both / (double)either : 1;
}

typedef struct measure {
    vbg_segmenter *s;
    vbg_picture input;
    float *alpha;
    float threshold;
    int repeat;
    double sum, worst;
    int photos;
    double *ms; /* of every run */
    size_t runs, room;
} measure;

static vbg_status note_time(measure *m, double ms, vbg_err *err)
{
    if (m->runs == m->room) {
        size_t room = m->room ? 2 * m->room : 256;
        double *more = realloc(m->ms, room * sizeof *more);
        if (!more)
            return vbg_fail(err, VBG_ENOMEM, "not enough memory");
        m->ms = more;
        m->room = room;
    }
    m->ms[m->runs++] = ms;
    return VBG_OK;
}

static vbg_status one_photo(measure *m, const char *photo, const char *mask_path,
                            vbg_err *err)
{
    vbg_picture rgb = { 0 }, mask = { 0 };
    int mw, mh;
    vbg_status st = vbg_picture_load(&rgb, NULL, photo, 3, err);

    if (st == VBG_OK)
        st = vbg_picture_load(&mask, NULL, mask_path, 1, err);
    if (st == VBG_OK)
        st = vbg_picture_resample(&m->input, &rgb, VBG_FILTER_BILINEAR, err);
    for (int i = 0; i < m->repeat && st == VBG_OK; i++) {
        double start = vbg_now();
        st = vbg_segmenter_run(m->s, &m->input, m->alpha, err);
        if (st == VBG_OK)
            st = note_time(m, (vbg_now() - start) * 1e3, err);
    }
    if (st == VBG_OK) {
        vbg_segmenter_mask_size(m->s, &mw, &mh);
        double iou = iou_of(m->alpha, mw, mh, &mask, m->threshold);
        m->sum += iou;
        m->worst = m->photos == 0 || iou < m->worst ? iou : m->worst;
        m->photos++;
        vbg_detail("%s %.4f", photo, iou);
    }
    vbg_picture_free(&rgb);
    vbg_picture_free(&mask);
    return st;
}

/* A photo whose mask stands beside it. */
static int has_mask(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    bool picture = n > 4 && (strcmp(e->d_name + n - 4, ".jpg") == 0 ||
                             strcmp(e->d_name + n - 4, ".png") == 0);
    return picture && !strstr(e->d_name, ".mask.");
}

static vbg_status all_photos(measure *m, const char *dir, vbg_err *err)
{
    struct dirent **entry;
    int n = scandir(dir, &entry, has_mask, alphasort);
    vbg_status st = VBG_OK;

    if (n < 0)
        return vbg_fail(err, VBG_EIO, "%s: cannot be listed", dir);
    for (int i = 0; i < n; i++) {
        char photo[2048], mask[2048];
        const char *name = entry[i]->d_name;
        snprintf(photo, sizeof photo, "%s/%s", dir, name);
        snprintf(mask, sizeof mask, "%s/%.*s.mask.png", dir, (int)strlen(name) - 4, name);
        if (st == VBG_OK && vbg_stop_signal())
            st = vbg_fail(err, VBG_ECANCEL, "stopped");
        if (st == VBG_OK)
            st = one_photo(m, photo, mask, err);
        free(entry[i]);
    }
    free(entry);
    if (st == VBG_OK && m->photos == 0)
        st = vbg_fail(err, VBG_EUSAGE,
                      "%s: no photo with a mask (NAME.jpg, NAME.mask.png)", dir);
    return st;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static vbg_status iou(const vbg_values *v, const char *dir, vbg_err *err)
{
    bool f32 = strcmp(vbg_value(v, "precision"), "f32") == 0;
    vbg_ctx_opt opt = vbg_value_ctx(v, f32 ? VBG_F32 : VBG_BF16);
    measure m = { .threshold = (float)vbg_value_real(v, "threshold"),
                  .repeat = (int)vbg_value_int(v, "repeat") };
    int w = 0, h = 0, mw, mh;

    if (!vbg_value(v, "segmenter"))
        return vbg_fail(err, VBG_EUSAGE, "no model: give --segmenter FILE.vbg");
    if (vbg_value_given(v, "size"))
        vbg_value_size(v, "size", &w, &h);
    vbg_status st = vbg_segmenter_open(&m.s, vbg_value(v, "segmenter"), &opt, w, h, err);
    if (st != VBG_OK)
        return st;
    vbg_segmenter_size(m.s, &w, &h);
    vbg_segmenter_mask_size(m.s, &mw, &mh);
    m.alpha = malloc((size_t)mw * (size_t)mh * sizeof *m.alpha);
    if (!m.alpha)
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory");
    if (st == VBG_OK)
        st = vbg_picture_new(&m.input, w, h, 3, err);
    if (st == VBG_OK)
        st = all_photos(&m, dir, err);
    if (st == VBG_OK) {
        qsort(m.ms, m.runs, sizeof *m.ms, by_value);
        printf("%s %dx%d: mean IoU %.4f over %d photos (worst %.4f), median %.2f ms, "
               "fastest %.2f ms, %.1f MB\n",
               vbg_segmenter_arch(m.s), w, h, m.sum / m.photos, m.photos, m.worst,
               m.ms[m.runs / 2], m.ms[0], (double)vbg_segmenter_bytes(m.s) / 1e6);
    }
    free(m.ms);
    free(m.alpha);
    vbg_picture_free(&m.input);
    vbg_segmenter_close(m.s);
    return st;
}

int main(int argc, char **argv)
{
    vbg_values *v;
    vbg_err err = { "" };
    int code = vbg_options_start(&v, &program, argc, argv);

    if (code >= 0)
        return code;
    vbg_message_setup(v);
    vbg_signals_setup();
    vbg_status st;
    if (vbg_positionals(v) < 2 || strcmp(vbg_positional(v, 0), "iou") != 0)
        st = vbg_fail(&err, VBG_EUSAGE, "want: vbg-eval iou --segmenter FILE.vbg DIR");
    else
        st = iou(v, vbg_positional(v, 1), &err);
    code = vbg_finish_output(vbg_exit_code(st, &err));
    vbg_values_free(v);
    return code;
}
