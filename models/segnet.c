/* Segmentation networks behind one signature; see models/segnet.h. */
#include "models/segnet.h"

#include "models/bisenet.h"
#include "models/bodypix.h"
#include "models/deeplab.h"
#include "models/deeplab_tflite.h"
#include "models/selfie.h"

#include <stdlib.h>
#include <string.h>

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
    vbg_status (*bind)(vbg_segnet *s, vbg_err *err);
    vbg_tensor *(*forward)(vbg_ctx *c, const vbg_segnet *s, const vbg_tensor *x);
    vbg_input_norm (*norm)(void);
    int step;   /* the input's sides are multiples of it */
    bool fixed; /* the input's size stands in the file */
} kind;

struct vbg_segnet {
    const vbg_weights *file;
    vbg_pool_mem *pool;
    const kind *kind;
    networks net;
};

static const char COMPONENT[] = "segmenter";

/* ---- the networks ---- */

static vbg_status bind_selfie(vbg_segnet *s, vbg_err *err)
{
    return vbg_selfie_bind(&s->net.selfie, s->pool, s->file, COMPONENT, err);
}

static vbg_tensor *run_selfie(vbg_ctx *c, const vbg_segnet *s, const vbg_tensor *x)
{
    return vbg_selfie_forward(c, &s->net.selfie, x, NULL);
}

static vbg_status bind_bodypix(vbg_segnet *s, vbg_err *err)
{
    int64_t stride = 0;

    vbg_weights_int(s->file, "segmenter.stride", &stride);
    return vbg_bodypix_bind(&s->net.bodypix, s->file, COMPONENT,
                            stride == 8 || stride == 16 ? (int)stride : 0, err);
}

static vbg_tensor *run_bodypix(vbg_ctx *c, const vbg_segnet *s, const vbg_tensor *x)
{
    const vbg_tensor *y = vbg_bodypix_forward(c, &s->net.bodypix, x);
    return vbg_resize(c, y, x->h, x->w, VBG_RESIZE_BILINEAR_ALIGN);
}

static vbg_status bind_deeplab_tflite(vbg_segnet *s, vbg_err *err)
{
    return vbg_deeplab_tflite_bind(&s->net.deeplab_tflite, s->file, COMPONENT, err);
}

static vbg_tensor *run_deeplab_tflite(vbg_ctx *c, const vbg_segnet *s,
                                      const vbg_tensor *x)
{
    const vbg_tensor *y = vbg_deeplab_tflite_forward(c, &s->net.deeplab_tflite, x);
    return vbg_resize(c, y, x->h, x->w, VBG_RESIZE_BILINEAR_ALIGN);
}

static vbg_status bind_bisenet(vbg_segnet *s, vbg_err *err)
{
    return vbg_bisenet_bind(&s->net.bisenet, s->pool, s->file, COMPONENT, err);
}

static vbg_tensor *run_bisenet(vbg_ctx *c, const vbg_segnet *s, const vbg_tensor *x)
{
    return vbg_bisenet_forward(c, &s->net.bisenet, x, NULL);
}

static vbg_status bind_bisenet1(vbg_segnet *s, vbg_err *err)
{
    return vbg_bisenet1_bind(&s->net.bisenet1, s->pool, s->file, COMPONENT, err);
}

static vbg_tensor *run_bisenet1(vbg_ctx *c, const vbg_segnet *s, const vbg_tensor *x)
{
    return vbg_bisenet1_forward(c, &s->net.bisenet1, x, NULL);
}

static vbg_status bind_bisenet2(vbg_segnet *s, vbg_err *err)
{
    return vbg_bisenet2_bind(&s->net.bisenet2, s->pool, s->file, COMPONENT, err);
}

static vbg_tensor *run_bisenet2(vbg_ctx *c, const vbg_segnet *s, const vbg_tensor *x)
{
    return vbg_bisenet2_forward(c, &s->net.bisenet2, x, NULL);
}

static vbg_status bind_deeplab(vbg_segnet *s, vbg_err *err)
{
    return vbg_deeplab_bind(&s->net.deeplab, s->pool, s->file, COMPONENT, err);
}

static vbg_tensor *run_deeplab(vbg_ctx *c, const vbg_segnet *s, const vbg_tensor *x)
{
    return vbg_deeplab_forward(c, &s->net.deeplab, x, NULL);
}

static vbg_status bind_lraspp(vbg_segnet *s, vbg_err *err)
{
    return vbg_lraspp_bind(&s->net.lraspp, s->pool, s->file, COMPONENT, err);
}

static vbg_tensor *run_lraspp(vbg_ctx *c, const vbg_segnet *s, const vbg_tensor *x)
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

static const kind *find_kind(const char *arch)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(arch, kinds[i].arch) == 0)
            return &kinds[i];
    return NULL;
}

bool vbg_segnet_known(const char *arch)
{
    return find_kind(arch) != NULL;
}

vbg_status vbg_segnet_open(vbg_segnet **out, const vbg_weights *w, const char *name,
                           vbg_err *err)
{
    const char *arch = "";

    vbg_weights_string(w, "model.arch", &arch);
    const kind *k = find_kind(arch);
    if (!k)
        return vbg_fail(err, VBG_EUNSUPPORTED,
                        "%s: holds %s%s, not a person segmenter (see vbg-convert --list)",
                        name, *arch ? "a model of kind " : "no model", arch);
    vbg_segnet *s = calloc(1, sizeof *s);
    if (s)
        *s = (vbg_segnet){ .file = w, .pool = vbg_pool_new(), .kind = k };
    vbg_status st = s && s->pool
                        ? k->bind(s, err)
                        : vbg_fail(err, VBG_ENOMEM, "%s: not enough memory", name);
    if (st == VBG_OK)
        *out = s;
    else
        vbg_segnet_close(s);
    return st;
}

void vbg_segnet_close(vbg_segnet *s)
{
    if (s)
        vbg_pool_free(s->pool);
    free(s);
}

const char *vbg_segnet_arch(const vbg_segnet *s)
{
    return s->kind->arch;
}

vbg_input_norm vbg_segnet_norm(const vbg_segnet *s)
{
    return s->kind->norm();
}

int vbg_segnet_step(const vbg_segnet *s)
{
    return s->kind->step;
}

bool vbg_segnet_fixed(const vbg_segnet *s)
{
    return s->kind->fixed;
}

vbg_tensor *vbg_segnet_forward(vbg_ctx *c, const vbg_segnet *s, const vbg_tensor *x)
{
    return s->kind->forward(c, s, x);
}

vbg_tensor *vbg_segnet_train(vbg_ctx *c, const vbg_segnet *s, const vbg_tensor *x,
                             vbg_tensor *aux[VBG_SEGNET_AUX])
{
    for (int i = 0; i < VBG_SEGNET_AUX; i++)
        aux[i] = NULL;
    if (s->kind->forward == run_bisenet1)
        return vbg_bisenet1_train(c, &s->net.bisenet1, x, aux);
    if (s->kind->forward == run_bisenet2)
        return vbg_bisenet2_train(c, &s->net.bisenet2, x, aux);
    return s->kind->forward(c, s, x);
}
