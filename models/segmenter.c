/* One face for all segmentation networks; see models/segmenter.h. */
#include "models/segmenter.h"

#include "models/bisenet.h"
#include "models/bodypix.h"
#include "models/deeplab.h"
#include "models/deeplab_tflite.h"
#include "models/selfie.h"

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

typedef union networks {
    vbg_selfie selfie;
    vbg_bodypix bodypix;
    vbg_deeplab_tflite deeplab_tflite;
    vbg_bisenet bisenet;
    vbg_bisenet1 bisenet1;
    vbg_bisenet2 bisenet2;
    vbg_deeplab deeplab;
    vbg_lraspp lraspp;
} networks;

/* A network behind one signature; x to logits at mask size. */
typedef struct kind {
    const char *arch;
    vbg_status (*bind)(vbg_segmenter *s, vbg_err *err);
    vbg_tensor *(*forward)(vbg_ctx *c, const vbg_segmenter *s, const vbg_tensor *x);
    vbg_input_norm (*norm)(void);
    int step;   /* the input's sides are multiples of it */
    bool fixed; /* the input's size stands in the file */
} kind;

struct vbg_segmenter {
    vbg_weights *file;
    vbg_pool_mem *pool;
    vbg_ctx *ctx;
    const kind *kind;
    networks net;
    int w, h, mask_w, mask_h, classes;
    int first, count; /* classes that are the person */
    size_t bytes;
};

static const char COMPONENT[] = "segmenter";

/* ---- the networks ---- */

static vbg_status bind_selfie(vbg_segmenter *s, vbg_err *err)
{
    return vbg_selfie_bind(&s->net.selfie, s->file, COMPONENT, err);
}

static vbg_tensor *run_selfie(vbg_ctx *c, const vbg_segmenter *s, const vbg_tensor *x)
{
    return vbg_selfie_forward(c, &s->net.selfie, x, NULL);
}

static vbg_status bind_bodypix(vbg_segmenter *s, vbg_err *err)
{
    int64_t stride = 0;

    vbg_weights_int(s->file, "segmenter.stride", &stride);
    return vbg_bodypix_bind(&s->net.bodypix, s->file, COMPONENT,
                            stride == 8 || stride == 16 ? (int)stride : 0, err);
}

static vbg_tensor *run_bodypix(vbg_ctx *c, const vbg_segmenter *s, const vbg_tensor *x)
{
    const vbg_tensor *y = vbg_bodypix_forward(c, &s->net.bodypix, x);
    return vbg_resize(c, y, x->h, x->w, VBG_RESIZE_BILINEAR_ALIGN);
}

static vbg_status bind_deeplab_tflite(vbg_segmenter *s, vbg_err *err)
{
    return vbg_deeplab_tflite_bind(&s->net.deeplab_tflite, s->file, COMPONENT, err);
}

static vbg_tensor *run_deeplab_tflite(vbg_ctx *c, const vbg_segmenter *s,
                                      const vbg_tensor *x)
{
    const vbg_tensor *y = vbg_deeplab_tflite_forward(c, &s->net.deeplab_tflite, x);
    return vbg_resize(c, y, x->h, x->w, VBG_RESIZE_BILINEAR_ALIGN);
}

static vbg_status bind_bisenet(vbg_segmenter *s, vbg_err *err)
{
    return vbg_bisenet_bind(&s->net.bisenet, s->pool, s->file, COMPONENT, err);
}

static vbg_tensor *run_bisenet(vbg_ctx *c, const vbg_segmenter *s, const vbg_tensor *x)
{
    return vbg_bisenet_forward(c, &s->net.bisenet, x, NULL);
}

static vbg_status bind_bisenet1(vbg_segmenter *s, vbg_err *err)
{
    return vbg_bisenet1_bind(&s->net.bisenet1, s->pool, s->file, COMPONENT, err);
}

static vbg_tensor *run_bisenet1(vbg_ctx *c, const vbg_segmenter *s, const vbg_tensor *x)
{
    return vbg_bisenet1_forward(c, &s->net.bisenet1, x, NULL);
}

static vbg_status bind_bisenet2(vbg_segmenter *s, vbg_err *err)
{
    return vbg_bisenet2_bind(&s->net.bisenet2, s->pool, s->file, COMPONENT, err);
}

static vbg_tensor *run_bisenet2(vbg_ctx *c, const vbg_segmenter *s, const vbg_tensor *x)
{
    return vbg_bisenet2_forward(c, &s->net.bisenet2, x, NULL);
}

static vbg_status bind_deeplab(vbg_segmenter *s, vbg_err *err)
{
    return vbg_deeplab_bind(&s->net.deeplab, s->pool, s->file, COMPONENT, err);
}

static vbg_tensor *run_deeplab(vbg_ctx *c, const vbg_segmenter *s, const vbg_tensor *x)
{
    return vbg_deeplab_forward(c, &s->net.deeplab, x, NULL);
}

static vbg_status bind_lraspp(vbg_segmenter *s, vbg_err *err)
{
    return vbg_lraspp_bind(&s->net.lraspp, s->pool, s->file, COMPONENT, err);
}

static vbg_tensor *run_lraspp(vbg_ctx *c, const vbg_segmenter *s, const vbg_tensor *x)
{
    return vbg_lraspp_forward(c, &s->net.lraspp, x, NULL);
}

static const kind kinds[] = {
    { "selfie", bind_selfie, run_selfie, vbg_norm_unit, 16, true },
    { "bodypix-mobilenet", bind_bodypix, run_bodypix, vbg_norm_signed, 1, true },
    { "deeplab-tflite", bind_deeplab_tflite, run_deeplab_tflite, vbg_norm_signed, 1,
      true },
    { "bisenet-noisrucer", bind_bisenet, run_bisenet, vbg_norm_imagenet, 8, false },
    { "bisenetv1", bind_bisenet1, run_bisenet1, vbg_norm_imagenet, 32, false },
    { "bisenetv2", bind_bisenet2, run_bisenet2, vbg_norm_imagenet, 32, false },
    { "deeplabv3-resnet50", bind_deeplab, run_deeplab, vbg_norm_imagenet, 8, false },
    { "deeplabv3-resnet101", bind_deeplab, run_deeplab, vbg_norm_imagenet, 8, false },
    { "deeplabv3-mobilenetv3", bind_deeplab, run_deeplab, vbg_norm_imagenet, 8, false },
    { "lraspp-mobilenetv3", bind_lraspp, run_lraspp, vbg_norm_imagenet, 8, false },
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
    const vbg_tensor *x = vbg_picture_input(c, f->rgb, s->kind->norm());
    const vbg_tensor *y = s->kind->forward(c, s, x);
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

static vbg_status find_kind(vbg_segmenter *s, const char *path, vbg_err *err)
{
    const char *arch = "";

    vbg_weights_string(s->file, "model.arch", &arch);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(arch, kinds[i].arch) == 0) {
            s->kind = &kinds[i];
            return VBG_OK;
        }
    return vbg_fail(err, VBG_EUNSUPPORTED,
                    "%s: holds %s%s, not a person segmenter (see vbg-convert --list)",
                    path, *arch ? "a model of kind " : "no model", arch);
}

static int fit_side(int want, int step)
{
    int side = want > 0 ? want : DEFAULT_SIDE;
    side = vbg_max_int(vbg_min_int(side, MAX_SIDE), MIN_SIDE);
    return (side + step - 1) / step * step;
}

static vbg_status choose_size(vbg_segmenter *s, const char *path, int want_w, int want_h,
                              vbg_err *err)
{
    int64_t w = 0, h = 0;

    if (!s->kind->fixed) {
        s->w = fit_side(want_w, s->kind->step);
        s->h = fit_side(want_h, s->kind->step);
        return VBG_OK;
    }
    vbg_weights_int(s->file, "segmenter.width", &w);
    vbg_weights_int(s->file, "segmenter.height", &h);
    if (w < MIN_SIDE || w > MAX_SIDE || h < MIN_SIDE || h > MAX_SIDE ||
        w % s->kind->step || h % s->kind->step)
        return vbg_fail(
            err, VBG_EFORMAT,
            "%s: segmenter.width and segmenter.height are %lldx%lld (sides of "
            "%d to %d in steps of %d)",
            path, (long long)w, (long long)h, MIN_SIDE, MAX_SIDE, s->kind->step);
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
        st = find_kind(s, path, err);
    if (st == VBG_OK)
        st = choose_size(s, path, want_w, want_h, err);
    if (st == VBG_OK)
        st = s->kind->bind(s, err);
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
        s->pool = vbg_pool_new();
    if (s && s->pool)
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
    vbg_pool_free(s->pool);
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
    return s->kind->arch;
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
