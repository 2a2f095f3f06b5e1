/* One face for all segmentation networks; see models/segmenter.h. */
#include "models/segmenter.h"

#include "models/segnet.h"

#include <stdlib.h>
#include <string.h>

enum { MIN_SIDE = 32, MAX_SIDE = 4096, DEFAULT_SIDE = 512 };

/* Person classes of label sets, by the number of classes. */
enum {
    VOC_CLASSES = 21,
    VOC_PERSON = 15,
    CITY_CLASSES = 19,
    CITY_PERSON = 11 /* 12 is the rider */
};

struct vbg_segmenter {
    vbg_weights *file;
    vbg_ctx *ctx;
    vbg_segnet *net;
    int w, h, mask_w, mask_h, classes;
    int first, count; /* classes that are the person */
    size_t bytes;
};

/* ---- one picture ---- */

typedef struct frame {
    vbg_segmenter *s;
    const vbg_picture *rgb;
    float *alpha;
} frame;

/* NaN fails both comparisons and becomes 0. */
static float within_unit(float v)
{
    return v >= 1 ? 1 : v > 0 ? v : 0;
}

static vbg_status segment(vbg_ctx *c, void *arg, vbg_err *err)
{
    const frame *f = arg;
    vbg_segmenter *s = f->s;

    (void)err;
    const vbg_tensor *x = vbg_picture_input(c, f->rgb, vbg_segnet_norm(s->net));
    const vbg_tensor *y = vbg_segnet_forward(c, s->net, x);
    y = y->c == 1 ? vbg_activate(c, y, VBG_ACT_SIGMOID) : vbg_softmax(c, y);
    y = vbg_cast(c, y, VBG_F32);
    if (vbg_planning(c)) {
        s->mask_w = y->w;
        s->mask_h = y->h;
        s->classes = y->c;
        return VBG_OK;
    }
    const float *p = y->data;
    for (size_t i = 0; i < vbg_rows(y); i++) {
        float sum = 0;
        for (int k = 0; k < s->count; k++)
            sum += p[i * y->ld + (size_t)(s->first + k)];
        f->alpha[i] = within_unit(sum);
    }
    return VBG_OK;
}

/* ---- opening ---- */

static int fit_side(int want, int step)
{
    int side = want > 0 ? want : DEFAULT_SIDE;
    side = vbg_max_int(vbg_min_int(side, MAX_SIDE), MIN_SIDE);
    return (side + step - 1) / step * step;
}

static vbg_status choose_size(vbg_segmenter *s, const char *path, int want_w, int want_h,
                              vbg_err *err)
{
    const int step = vbg_segnet_step(s->net);
    int64_t w = 0, h = 0;

    if (!vbg_segnet_fixed(s->net)) {
        s->w = fit_side(want_w, step);
        s->h = fit_side(want_h, step);
        return VBG_OK;
    }
    vbg_weights_int(s->file, "segmenter.width", &w);
    vbg_weights_int(s->file, "segmenter.height", &h);
    if (w < MIN_SIDE || w > MAX_SIDE || h < MIN_SIDE || h > MAX_SIDE || w % step ||
        h % step)
        return vbg_fail(
            err, VBG_EFORMAT,
            "%s: segmenter.width and segmenter.height are %lldx%lld (sides of "
            "%d to %d in steps of %d)",
            path, (long long)w, (long long)h, MIN_SIDE, MAX_SIDE, step);
    s->w = (int)w;
    s->h = (int)h;
    return VBG_OK;
}

static vbg_status choose_person(vbg_segmenter *s, const char *path, vbg_err *err)
{
    int64_t person = -1;

    s->count = 1;
    if (vbg_weights_int(s->file, "segmenter.person", &person)) {
        if (person < 0 || person >= s->classes)
            return vbg_fail(err, VBG_EFORMAT,
                            "%s: segmenter.person is %lld of %d classes", path,
                            (long long)person, s->classes);
        s->first = (int)person;
    } else if (s->classes <= 2) {
        s->first = s->classes - 1;
    } else if (s->classes == VOC_CLASSES) {
        s->first = VOC_PERSON;
    } else if (s->classes == CITY_CLASSES) {
        s->first = CITY_PERSON;
        s->count = 2;
    } else {
        return vbg_fail(err, VBG_EUNSUPPORTED,
                        "%s: a network of %d classes without segmenter.person", path,
                        s->classes);
    }
    return VBG_OK;
}

static vbg_status prepare(vbg_segmenter *s, const char *path, const vbg_ctx_opt *opt,
                          int want_w, int want_h, vbg_err *err)
{
    vbg_status st = vbg_weights_open(&s->file, path, err);

    if (st == VBG_OK)
        st = vbg_segnet_open(&s->net, s->file, path, err);
    if (st == VBG_OK)
        st = choose_size(s, path, want_w, want_h, err);
    if (st == VBG_OK)
        st = vbg_ctx_new(&s->ctx, opt, err);
    if (st == VBG_OK) {
        const vbg_picture shape = { .w = s->w, .h = s->h, .channels = 3 };
        frame f = { .s = s, .rgb = &shape };
        st = vbg_plan(s->ctx, segment, &f, &s->bytes, err);
    }
    return st == VBG_OK ? choose_person(s, path, err) : st;
}

vbg_status vbg_segmenter_open(vbg_segmenter **out, const char *path,
                              const vbg_ctx_opt *opt, int want_w, int want_h,
                              vbg_err *err)
{
    vbg_segmenter *s = calloc(1, sizeof *s);
    vbg_status st = VBG_ENOMEM;

    if (s)
        st = prepare(s, path, opt, want_w, want_h, err);
    else
        vbg_fail(err, st, "%s: not enough memory", path);
    if (st == VBG_OK) {
        *out = s;
        s = NULL;
    }
    vbg_segmenter_close(s);
    return st;
}

void vbg_segmenter_close(vbg_segmenter *s)
{
    if (!s)
        return;
    vbg_ctx_free(s->ctx);
    vbg_segnet_close(s->net);
    vbg_weights_close(s->file);
    free(s);
}

void vbg_segmenter_size(const vbg_segmenter *s, int *w, int *h)
{
    *w = s->w;
    *h = s->h;
}

void vbg_segmenter_mask_size(const vbg_segmenter *s, int *w, int *h)
{
    *w = s->mask_w;
    *h = s->mask_h;
}

const char *vbg_segmenter_arch(const vbg_segmenter *s)
{
    return vbg_segnet_arch(s->net);
}

size_t vbg_segmenter_bytes(const vbg_segmenter *s)
{
    return s->bytes;
}

vbg_status vbg_segmenter_run(vbg_segmenter *s, const vbg_picture *rgb, float *alpha,
                             vbg_err *err)
{
    if (rgb->w != s->w || rgb->h != s->h || rgb->channels != 3)
        return vbg_fail(err, VBG_EUSAGE, "segmenter: picture of %dx%dx%d, not %dx%dx3",
                        rgb->w, rgb->h, rgb->channels, s->w, s->h);
    frame f = { .s = s, .rgb = rgb, .alpha = alpha };
    return vbg_run(s->ctx, segment, &f, err);
}
