/* TFLite operator lists against the networks of models/; see tflite_map.h.
 *
 * Each map below reads like the network's forward function: it walks the operators in
 * file order and says what the next one must be.  DEQUANTIZE operators are how half
 * floats are stored and are passed over. */
#include "convert/tflite_map.h"
#include "convert/tflite_plans.h"

#include <stdio.h>
#include <string.h>

/* A walk along the operators; the first thing that does not fit ends it. */
typedef struct walk {
    const vbg_tflite *m;
    vbg_tfl_network *net;
    int next;      /* operator */
    bool departed; /* cause says why, at `next` */
    const char *cause;
} walk;

static void depart(walk *w, const char *cause)
{
    if (!w->departed) {
        w->departed = true;
        w->cause = cause;
    }
}

/* The next operator if it has this code; NULL (departed) otherwise. */
static const vbg_tfl_op *take(walk *w, int code, const char *cause)
{
    while (w->next < vbg_tflite_ops(w->m) &&
           vbg_tflite_op(w->m, w->next)->code == VBG_TFL_DEQUANTIZE)
        w->next++;
    if (w->departed || w->next >= vbg_tflite_ops(w->m) ||
        vbg_tflite_op(w->m, w->next)->code != code) {
        depart(w, cause);
        return NULL;
    }
    return vbg_tflite_op(w->m, w->next++);
}

/* The same, which must read x first. */
static const vbg_tfl_op *take_of(walk *w, int code, int x, const char *cause)
{
    const vbg_tfl_op *op = take(w, code, cause);

    if (op && op->in[0] != x) {
        w->next--;
        depart(w, "reads another tensor");
        return NULL;
    }
    return op;
}

static const vbg_tfl_tensor *tensor(const walk *w, int i)
{
    return vbg_tflite_tensor(w->m, i);
}

/* Notes constant tensor t as weight NAME + ending. */
static void note(walk *w, const char *name, const char *ending, vbg_tfl_kind kind, int t)
{
    const vbg_tfl_tensor *c = vbg_tflite_constant(w->m, t);

    if (!c || (c->dtype != VBG_F32 && c->dtype != VBG_F16)) {
        depart(w, "a weight is not a constant of floats");
        return;
    }
    if (w->net->weights == VBG_TFL_MAX_WEIGHTS) {
        depart(w, "too many weights");
        return;
    }
    vbg_tfl_weight *e = &w->net->weight[w->net->weights++];
    snprintf(e->name, sizeof e->name, "%s%s", name, ending);
    e->kind = kind;
    e->from = c;
}

typedef enum follower { PLAIN, RELU, RELU6, HSWISH, SIGMOID } follower;

/* What comes behind op: fused, or an operator of its own.  Returns the tensor. */
static int activation(walk *w, const vbg_tfl_op *op, follower f)
{
    static const int code[] = { 0, VBG_TFL_RELU, 0, VBG_TFL_HARD_SWISH,
                                VBG_TFL_LOGISTIC };
    int fused = f == RELU ? VBG_TFL_FUSED_RELU : f == RELU6 ? VBG_TFL_FUSED_RELU6 : 0;

    if (op->activation == fused && (f == PLAIN || fused))
        return op->out;
    if (op->activation != VBG_TFL_NONE || !code[f]) {
        w->next--;
        depart(w, "has another activation");
        return -1;
    }
    const vbg_tfl_op *a = take_of(w, code[f], op->out, "another activation is expected");
    return a ? a->out : -1;
}

/* What a convolution must look like. */
typedef struct layer {
    int k, stride, dilation;
    bool depthwise;
    follower act;
} layer;

static bool layer_fits(const walk *w, const vbg_tfl_op *op, layer l)
{
    const vbg_tfl_tensor *kernel = tensor(w, op->in[1]);
    const int stride = l.stride ? l.stride : 1, dilation = l.dilation ? l.dilation : 1;
    const bool padded = l.k > 1 || stride > 1; /* else SAME and VALID are one */

    return kernel->dim[1] == l.k && kernel->dim[2] == l.k && op->stride_w == stride &&
           op->stride_h == stride && op->dilation_w == dilation &&
           op->dilation_h == dilation && (op->same || !padded) &&
           (!l.depthwise || op->multiplier == 1) && op->inputs == 3 && op->in[2] >= 0;
}

/* A convolution of x with bias and activation; returns what it writes. */
static int conv(walk *w, int x, layer l, const char *name)
{
    const vbg_tfl_op *op =
        take_of(w, l.depthwise ? VBG_TFL_DEPTHWISE_CONV : VBG_TFL_CONV, x,
                l.depthwise ? "a depthwise convolution is expected"
                            : "a convolution is expected");

    if (!op)
        return -1;
    if (!layer_fits(w, op, l)) {
        w->next--;
        depart(w, "has another kernel, stride, dilation or padding");
        return -1;
    }
    note(w, name, ".weight", l.depthwise ? VBG_TFL_DEPTHWISE_KERNEL : VBG_TFL_KERNEL,
         op->in[1]);
    note(w, name, ".bias", VBG_TFL_BIAS, op->in[2]);
    return activation(w, op, l.act);
}

/* conv with a name made of two parts, "block4" and ".se1". */
static int conv2(walk *w, int x, layer l, const char *prefix, const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    return conv(w, x, l, full);
}

/* Mean over the whole map, as MEAN or as a pooling of its size. */
static int mean(walk *w, int x)
{
    if (w->departed)
        return -1;
    const vbg_tfl_tensor *t = tensor(w, x);
    int at = w->next;
    while (at < vbg_tflite_ops(w->m) &&
           vbg_tflite_op(w->m, at)->code == VBG_TFL_DEQUANTIZE)
        at++;
    bool is_mean =
        at < vbg_tflite_ops(w->m) && vbg_tflite_op(w->m, at)->code == VBG_TFL_MEAN;
    const vbg_tfl_op *op = take_of(w, is_mean ? VBG_TFL_MEAN : VBG_TFL_AVERAGE_POOL, x,
                                   "a mean is expected");
    if (!op)
        return -1;
    const vbg_tfl_tensor *y = tensor(w, op->out);
    bool whole = is_mean || (op->filter_h == t->dim[1] && op->filter_w == t->dim[2] &&
                             y->dim[1] == 1 && y->dim[2] == 1);
    if (!whole || op->activation != VBG_TFL_NONE) {
        w->next--;
        depart(w, "is no mean over the whole map");
        return -1;
    }
    return op->out;
}

/* ADD or MUL of two given tensors in either order. */
static int pair(walk *w, int code, int a, int b)
{
    const vbg_tfl_op *op = take(w, code,
                                code == VBG_TFL_ADD ? "an addition is expected"
                                                    : "a multiplication is expected");

    if (!op)
        return -1;
    bool fits = (op->in[0] == a && op->in[1] == b) || (op->in[0] == b && op->in[1] == a);
    if (!fits || op->activation != VBG_TFL_NONE) {
        w->next--;
        depart(w, "combines other tensors");
        return -1;
    }
    return op->out;
}

/* Bilinear resize by a whole factor (0: to any size). */
static int resize(walk *w, int x, int factor, bool align_corners)
{
    const vbg_tfl_op *op =
        take_of(w, VBG_TFL_RESIZE_BILINEAR, x, "a bilinear resize is expected");

    if (!op)
        return -1;
    const vbg_tfl_tensor *in = tensor(w, x), *out = tensor(w, op->out);
    bool fits = op->align_corners == align_corners && op->half_pixel == !align_corners &&
                (!factor || (out->dim[1] == in->dim[1] * factor &&
                             out->dim[2] == in->dim[2] * factor));
    if (!fits) {
        w->next--;
        depart(w, "resizes in another way");
        return -1;
    }
    return op->out;
}

/* sigmoid(w2 relu(w1 x)) of a mean */
static int attention(walk *w, int x, const char *prefix, const char *one, const char *two)
{
    int y = conv2(w, mean(w, x), (layer){ .k = 1, .act = RELU }, prefix, one);
    return conv2(w, y, (layer){ .k = 1, .act = SIGMOID }, prefix, two);
}

/* ---- Selfie: models/selfie.c ---- */

static int selfie_block(walk *w, int x, int i)
{
    const vbg_selfie_plan p = vbg_selfie_block_plan(i);
    const follower act = p.hswish ? HSWISH : RELU;
    char name[24];

    snprintf(name, sizeof name, "block%d", i + 1);
    int y = conv2(w, x, (layer){ .k = 1, .act = act }, name, ".expand");
    y = conv2(w, y,
              (layer){ .k = p.k, .stride = p.stride, .depthwise = true, .act = act },
              name, ".depthwise");
    if (p.se)
        y = pair(w, VBG_TFL_MUL, y, attention(w, y, name, ".se1", ".se2"));
    y = conv2(w, y, (layer){ .k = 1 }, name, ".project");
    return p.skip ? pair(w, VBG_TFL_ADD, y, x) : y;
}

static int selfie_up(walk *w, int skip, int below, int i)
{
    char name[24];

    snprintf(name, sizeof name, "up%d", i);
    int y = pair(w, VBG_TFL_ADD, skip, below);
    y = attention(w, y, name, ".gate1", ".gate2");
    y = pair(w, VBG_TFL_ADD, pair(w, VBG_TFL_MUL, skip, y), below);
    y = conv2(w, y, (layer){ .k = 1, .act = RELU }, name, ".conv");
    int d = conv2(w, y, (layer){ .k = 3, .depthwise = true, .act = RELU }, name,
                  ".depthwise");
    y = pair(w, VBG_TFL_ADD, y, d);
    if (i == VBG_SELFIE_UPS - 1)
        return y;
    return conv2(w, resize(w, y, 2, false), (layer){ .k = 1 }, name, ".project");
}

/* relu(conv x) * sigmoid(conv mean x): the two convolutions stand before the two
 * activations in the file. */
static int selfie_head(walk *w, int x)
{
    int m = mean(w, x);
    int a = conv(w, x, (layer){ .k = 1 }, "head");
    int g = conv(w, m, (layer){ .k = 1 }, "head_gate");
    const vbg_tfl_op *relu = take_of(w, VBG_TFL_RELU, a, "a ReLU is expected");
    const vbg_tfl_op *sigmoid = take_of(w, VBG_TFL_LOGISTIC, g, "a sigmoid is expected");
    int y = relu && sigmoid ? pair(w, VBG_TFL_MUL, relu->out, sigmoid->out) : -1;
    return conv(w, resize(w, y, 2, false), (layer){ .k = 1 }, "head_project");
}

static int map_selfie(walk *w, int x)
{
    int at[VBG_SELFIE_BLOCKS], y;

    int a = y = conv(w, x, (layer){ .k = 3, .stride = 2, .act = HSWISH }, "stem");
    for (int i = 0; i < VBG_SELFIE_BLOCKS; i++)
        at[i] = y = selfie_block(w, y, i);
    y = selfie_head(w, y);
    y = selfie_up(w, at[VBG_SELFIE_BLOCK_C], y, 0);
    y = selfie_up(w, at[VBG_SELFIE_BLOCK_B], y, 1);
    y = selfie_up(w, a, y, 2);
    const vbg_tfl_op *op =
        take_of(w, VBG_TFL_CUSTOM, y, "a transposed convolution is expected");
    if (!op)
        return -1;
    const vbg_tfl_tensor *k = tensor(w, op->in[1]);
    if (k->dim[1] != 2 || k->dim[2] != 2 || op->stride_w != 2 || op->stride_h != 2)
        depart(w, "has another kernel or stride");
    note(w, "out", ".weight", VBG_TFL_TRANSPOSE_KERNEL, op->in[1]);
    note(w, "out", ".bias", VBG_TFL_BIAS, op->in[2]);
    op = take_of(w, VBG_TFL_LOGISTIC, op->out, "a sigmoid is expected");
    return op ? op->out : -1;
}

/* ---- BodyPix: models/bodypix.c ---- */

/* Output stride as the sixth depthwise layer shows it. */
static int bodypix_stride(const vbg_tflite *m)
{
    for (int i = 0, n = 0; i < vbg_tflite_ops(m); i++)
        if (vbg_tflite_op(m, i)->code == VBG_TFL_DEPTHWISE_CONV && ++n == 6)
            return vbg_tflite_op(m, i)->stride_w == 1 ? 8 : 16;
    return 16;
}

static int map_bodypix(walk *w, int x)
{
    char name[24];

    w->net->stride = bodypix_stride(w->m);
    int y = conv(w, x, (layer){ .k = 3, .stride = 2, .act = RELU6 }, "conv0");
    for (int i = 1; i <= VBG_BODYPIX_LAYERS; i++) {
        vbg_stride_plan p = vbg_bodypix_layer_plan(i, w->net->stride);
        snprintf(name, sizeof name, "dw%d", i);
        y = conv(w, y,
                 (layer){ .k = 3,
                          .stride = p.stride,
                          .dilation = p.dilation,
                          .depthwise = true,
                          .act = RELU6 },
                 name);
        snprintf(name, sizeof name, "pw%d", i);
        y = conv(w, y, (layer){ .k = 1, .act = RELU6 }, name);
    }
    return conv(w, y, (layer){ .k = 1 }, "segments");
}

/* ---- DeepLab: models/deeplab_tflite.c ---- */

static int deeplab_block(walk *w, int x, int i)
{
    vbg_stride_plan p = vbg_deeplab_tflite_block_plan(i);
    char name[24];
    int y = x;

    snprintf(name, sizeof name, "block%d", i);
    if (i > 0)
        y = conv2(w, y, (layer){ .k = 1, .act = RELU6 }, name, ".expand");
    y = conv2(w, y,
              (layer){ .k = 3,
                       .stride = p.stride,
                       .dilation = p.dilation,
                       .depthwise = true,
                       .act = RELU6 },
              name, ".depthwise");
    y = conv2(w, y, (layer){ .k = 1 }, name, ".project");
    if (w->departed)
        return -1;
    bool skip = i > 0 && p.stride == 1 && tensor(w, x)->dim[3] == tensor(w, y)->dim[3];
    return skip ? pair(w, VBG_TFL_ADD, y, x) : y;
}

static int map_deeplab(walk *w, int x)
{
    int y = conv(w, x, (layer){ .k = 3, .stride = 2, .act = RELU6 }, "conv0");

    for (int i = 0; i < VBG_DEEPLAB_TFLITE_BLOCKS; i++)
        y = deeplab_block(w, y, i);
    int pool = conv(w, mean(w, y), (layer){ .k = 1, .act = RELU }, "aspp_pool");
    pool = resize(w, pool, 0, true);
    int near = conv(w, y, (layer){ .k = 1, .act = RELU }, "aspp_conv");
    const vbg_tfl_op *cat =
        take_of(w, VBG_TFL_CONCATENATION, pool, "a concatenation is expected");
    if (!cat || cat->inputs != 2 || cat->in[1] != near || cat->axis != 3) {
        depart(w, "concatenates other tensors");
        return -1;
    }
    y = conv(w, cat->out, (layer){ .k = 1, .act = RELU }, "project");
    y = conv(w, y, (layer){ .k = 1 }, "logits");
    y = resize(w, y, 1, true); /* to the same size: nothing */
    return resize(w, y, 0, true);
}

/* ---- recognition ---- */

static const struct {
    const char *arch, *what;
    int (*map)(walk *w, int x);
} networks[] = {
    { "selfie", "Selfie segmentation", map_selfie },
    { "bodypix-mobilenet", "BodyPix MobileNetV1", map_bodypix },
    { "deeplab-tflite", "DeepLabV3 MobileNetV2", map_deeplab },
};

/* The input must be one picture, the output what the map ends with. */
static void try_network(walk *w, int (*map)(walk *w, int x))
{
    const int x = vbg_tflite_input(w->m);
    const vbg_tfl_tensor *in = vbg_tflite_tensor(w->m, x);

    if (in->dtype != VBG_F32 || in->rank != 4 || in->dim[0] != 1 || in->dim[3] != 3) {
        depart(w, "the input is no picture of three floats");
        return;
    }
    w->net->height = in->dim[1];
    w->net->width = in->dim[2];
    int y = map(w, x);
    if (!w->departed && (w->next != vbg_tflite_ops(w->m) || y != vbg_tflite_output(w->m)))
        depart(w, "there is more behind the network");
}

vbg_status vbg_tflite_recognise(vbg_tfl_network *out, const vbg_tflite *m,
                                const char *path, vbg_err *err)
{
    const char *what = NULL, *cause = NULL;
    int farthest = -1;

    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
        *out = (vbg_tfl_network){ .arch = networks[i].arch, .what = networks[i].what };
        walk w = { .m = m, .net = out };
        try_network(&w, networks[i].map);
        if (!w.departed)
            return VBG_OK;
        if (w.next > farthest) {
            farthest = w.next;
            what = networks[i].what;
            cause = w.cause;
        }
    }
    return vbg_fail(err, VBG_EUNSUPPORTED,
                    "%s: none of the TFLite networks that vbg knows (Selfie, BodyPix, "
                    "DeepLab); it departs from %s at operator %d: %s",
                    path, what, farthest, cause);
}

int vbg_tfl_weight_shape(int64_t dim[4], const vbg_tfl_weight *w)
{
    const int *d = w->from->dim;

    switch (w->kind) {
    case VBG_TFL_KERNEL:
        dim[0] = d[0];
        dim[1] = d[3];
        break;
    case VBG_TFL_DEPTHWISE_KERNEL:
        dim[0] = d[3];
        dim[1] = 1;
        break;
    case VBG_TFL_TRANSPOSE_KERNEL:
        dim[0] = d[3];
        dim[1] = d[0];
        break;
    case VBG_TFL_BIAS:
        dim[0] = (int64_t)w->from->count;
        return 1;
    }
    dim[2] = d[1];
    dim[3] = d[2];
    return 4;
}

void vbg_tfl_weight_values(float *dst, const vbg_tfl_weight *w)
{
    const vbg_tfl_tensor *t = w->from;

    if (w->kind == VBG_TFL_BIAS) {
        vbg_tflite_to_f32(dst, t);
        return;
    }
    /* stored [a][tap][b]; wanted with taps innermost, [a][b][tap] or [b][a][tap] */
    const size_t a = (size_t)t->dim[0], b = (size_t)t->dim[3];
    const size_t taps = (size_t)t->dim[1] * (size_t)t->dim[2];
    const bool swap = w->kind != VBG_TFL_KERNEL;
    for (size_t i = 0; i < a; i++)
        for (size_t k = 0; k < taps; k++)
            for (size_t j = 0; j < b; j++) {
                vbg_tfl_tensor one = *t;
                one.data = t->data + ((i * taps + k) * b + j) * vbg_dtype_size(t->dtype);
                one.count = 1;
                vbg_tflite_to_f32(&dst[(swap ? j * a + i : i * b + j) * taps + k], &one);
            }
}
