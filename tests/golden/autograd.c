/* seg/autograd: single operators with an upstream gradient.
 *
 * A case is a folder of tensors NAME/in.KEY.  What has a NAME/grad.KEY wants a gradient:
 * weights, biases and tables become parameters, everything else leaves of the tape. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/loss.h"
#include "engine/ops.h"
#include "engine/tape.h"
#include "tests/golden/golden.h"

/* How a stored tensor lies in one of ours. */
typedef enum order {
    NCHW,  /* [n,c,h,w], [n,h,w] without channels */
    FLAT,  /* channels last: [n,t,c], [t,c], [c], a grid [n,h,w,2] */
    HEADS, /* [n,heads,t,d] as [n,1,t,heads*d] */
    WHOLE  /* a scalar */
} order;

enum { LEAVES = 3 };

typedef struct leaf {
    const char *key;
    order o;
    int n, h, w, c;
    float *value, *grad;
    vbg_tensor *t; /* while the job runs */
} leaf;

typedef struct cell {
    golden *g;
    const char *name;
    json_t *spec;
    vbg_params *params;
    vbg_tape *tape;
    leaf in[LEAVES];
    int leaves;
    const struct op *op;
    float *out, *gout;
    int n, h, w, c; /* of the result */
    int heads;
    float *running[2]; /* of a batch norm: mean and variance */
    bool made;
} cell;

typedef vbg_tensor *build_fn(vbg_ctx *c, cell *k);

typedef struct op {
    const char *prefix; /* of the case's name */
    build_fn *build;
    order in, out;
    bool training;
} op;

static const vbg_st_tensor *stored(const cell *k, const char *what, const char *key)
{
    char name[160];

    snprintf(name, sizeof name, "%s/%s%s", k->name, what, key);
    return vbg_st_find(golden_data(k->g), name);
}

static float *values(const cell *k, const char *what, const char *key)
{
    return golden_in_f32(k->g, "%s/%s%s", k->name, what, key);
}

static int number(const cell *k, const char *key, int otherwise)
{
    const json_t *v = json_object_get(k->spec, key);

    return json_is_integer(v) ? (int)json_integer_value(v) : otherwise;
}

static const char *text(const cell *k, const char *key)
{
    const char *s = json_string_value(json_object_get(k->spec, key));

    return s ? s : "";
}

/* ---- between the stored order and ours ---- */

static void shape_of(leaf *l, const vbg_st_tensor *t)
{
    int d[4] = { 1, 1, 1, 1 };

    for (int i = 0; i < t->rank && i < 4; i++)
        d[4 - t->rank + i] = (int)t->dim[i];
    if (l->o == NCHW && t->rank == 3) /* [n,h,w] */
        *l = (leaf){ l->key, l->o, d[1], d[2], d[3], 1, NULL, NULL, NULL };
    else if (l->o == NCHW)
        *l = (leaf){ l->key, l->o, d[0], d[2], d[3], d[1], NULL, NULL, NULL };
    else if (l->o == HEADS)
        *l = (leaf){ l->key, l->o, d[0], 1, d[2], d[1] * d[3], NULL, NULL, NULL };
    else if (t->rank == 3)
        *l = (leaf){ l->key, l->o, d[1], 1, d[2], d[3], NULL, NULL, NULL };
    else
        *l = (leaf){ l->key, l->o, d[0], d[1], d[2], d[3], NULL, NULL, NULL };
}

/* Place in the stored tensor of element (n, pixel, channel). */
static size_t place(const leaf *l, int heads, size_t n, size_t p, size_t ch)
{
    size_t pixels = (size_t)l->h * (size_t)l->w, c = (size_t)l->c;
    size_t d = c / (size_t)heads;

    if (l->o == NCHW)
        return (n * c + ch) * pixels + p;
    if (l->o == HEADS)
        return ((n * (size_t)heads + ch / d) * pixels + p) * d + ch % d;
    return (n * pixels + p) * c + ch;
}

static float *reorder(const cell *k, const leaf *l, const float *from, bool to_ours)
{
    size_t pixels = (size_t)l->h * (size_t)l->w, c = (size_t)l->c, at = 0;
    float *to = golden_alloc(k->g, (size_t)l->n * pixels * c * sizeof *to);

    for (size_t n = 0; n < (size_t)l->n; n++)
        for (size_t p = 0; p < pixels; p++)
            for (size_t ch = 0; ch < c; ch++, at++) {
                size_t there = place(l, k->heads, n, p, ch);
                to[to_ours ? at : there] = from[to_ours ? there : at];
            }
    return to;
}

/* ---- inputs ---- */

static bool is_parameter(const char *key)
{
    return !strcmp(key, "weight") || !strcmp(key, "bias") || !strcmp(key, "table");
}

/* Depthwise: one input channel for each group. */
static vbg_layout layout_of(const cell *k, const vbg_st_tensor *t)
{
    if (t->rank < 2 || stored(k, "in.", "table"))
        return VBG_LAYOUT_PLAIN;
    if (strstr(k->name, "transpose"))
        return VBG_LAYOUT_TRANSPOSED;
    return t->rank == 4 && t->dim[1] == 1 && number(k, "groups", 1) > 1
               ? VBG_LAYOUT_DEPTHWISE
               : VBG_LAYOUT_PACK16;
}

static void add_parameter(cell *k, const char *key, const vbg_st_tensor *t)
{
    vbg_entry shape = {
        .component = "m", .name = key, .layout = layout_of(k, t), .rank = t->rank
    };

    memcpy(shape.dim, t->dim, sizeof shape.dim);
    vbg_param *m = vbg_params_take(k->params, NULL, &shape, VBG_INIT_ZERO, 0);
    VBG_CHECK(m && m->count == t->count, "parameter %s of %s", key, k->name);
    vbg_st_to_f32(m->value, t);
    vbg_param_changed(m);
}

static void add_leaf(cell *k, const char *key, const vbg_st_tensor *t)
{
    leaf *l = &k->in[k->leaves++];

    l->key = key;
    l->o = !strcmp(key, "grid") ? FLAT : k->op->in;
    shape_of(l, t);
    if (l->o == HEADS)
        k->heads = (int)t->dim[1];
    l->value = reorder(k, l, values(k, "in.", key), true);
    l->grad = golden_alloc(k->g, t->count * sizeof *l->grad);
}

static void add_inputs(cell *k)
{
    static const char *const keys[] = { "x",      "q",    "k",      "v",    "input",
                                        "logits", "grid", "weight", "bias", "table" };

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const vbg_st_tensor *t = stored(k, "in.", keys[i]);
        if (!t || !stored(k, "grad.", keys[i]))
            continue;
        if (is_parameter(keys[i]))
            add_parameter(k, keys[i], t);
        else if (k->leaves < LEAVES)
            add_leaf(k, keys[i], t);
    }
}

/* ---- what the operators are made of ---- */

static vbg_param *parameter(const cell *k, const char *key)
{
    return vbg_params_find(k->params, "m", key);
}

static vbg_weight weight(const cell *k)
{
    const vbg_param *m = parameter(k, "weight"), *b = parameter(k, "bias");
    const bool swap = m->entry.layout == VBG_LAYOUT_TRANSPOSED;
    int d[4] = { 1, 1, 1, 1 };

    for (int i = 0; i < m->entry.rank; i++)
        d[i] = (int)m->entry.dim[i];
    return (vbg_weight){ .data = m->packed,
                         .dtype = m->dtype,
                         .oc = d[swap],
                         .c = d[!swap],
                         .kh = d[2],
                         .kw = d[3],
                         .groups = m->entry.layout == VBG_LAYOUT_DEPTHWISE
                                       ? d[0]
                                       : number(k, "groups", 1),
                         .transposed = swap,
                         .bias = b ? b->value : NULL };
}

static vbg_norm_w norm_weight(const cell *k)
{
    const vbg_param *m = parameter(k, "weight"), *b = parameter(k, "bias");

    return (vbg_norm_w){ .gamma = m->value, .beta = b->value, .c = (int)m->count };
}

static float eps_of(const cell *k)
{
    const json_t *eps = json_object_get(k->spec, "eps");

    return eps ? (float)json_number_value(eps) : 1e-5f; /* PyTorch's default */
}

/* ---- layers ---- */

/* Every step-th row. */
static vbg_tensor *some_rows(vbg_ctx *c, cell *k, vbg_tensor *x, int step)
{
    int h = (x->h + step - 1) / step, w = x->w;
    int *index = golden_alloc(k->g, (size_t)h * (size_t)w * sizeof *index);
    float *one = golden_alloc(k->g, (size_t)h * (size_t)w * sizeof *one);

    for (int i = 0; i < h * w; i++) {
        index[i] = i / w * step * w + i % w;
        one[i] = 1;
    }
    return vbg_gather(c, x, index, one, 1, h, w);
}

static vbg_tensor *conv(vbg_ctx *c, cell *k)
{
    const json_t *stride = json_object_get(k->spec, "stride");
    const json_t *pad = json_object_get(k->spec, "padding");
    vbg_weight w = weight(k);
    vbg_conv_opt o = { .stride = number(k, "stride", 1),
                       .dilation = number(k, "dilation", 1),
                       .pad = number(k, "padding", 0) };

    if (strstr(text(k, "op"), "right and bottom")) {
        o.pad_right = o.pad_bottom = 1;
        o.stride = 2;
    }
    if (json_is_array(pad)) {
        o.pad_top = o.pad_bottom = (int)json_integer_value(json_array_get(pad, 0));
        o.pad_left = o.pad_right = (int)json_integer_value(json_array_get(pad, 1));
    }
    vbg_tensor *y = vbg_conv2d(c, k->in[0].t, &w, o);
    if (json_is_array(stride)) /* only rows are ever skipped alone */
        y = some_rows(c, k, y, (int)json_integer_value(json_array_get(stride, 0)));
    return y;
}

static vbg_tensor *conv_transpose(vbg_ctx *c, cell *k)
{
    vbg_weight w = weight(k);

    return vbg_conv_transpose2d(c, k->in[0].t, &w, number(k, "stride", 1),
                                number(k, "padding", 0), number(k, "output_padding", 0),
                                VBG_ACT_NONE);
}

static vbg_tensor *linear(vbg_ctx *c, cell *k)
{
    vbg_weight w = weight(k);

    return vbg_linear(c, k->in[0].t, &w);
}

static vbg_tensor *geglu(vbg_ctx *c, cell *k)
{
    return vbg_geglu(c, linear(c, k));
}

static vbg_tensor *group_norm(vbg_ctx *c, cell *k)
{
    vbg_norm_w w = norm_weight(k);

    return vbg_group_norm(c, k->in[0].t, &w, number(k, "groups", 1), eps_of(k),
                          VBG_ACT_NONE);
}

static vbg_tensor *layer_norm(vbg_ctx *c, cell *k)
{
    vbg_norm_w w = norm_weight(k);

    return vbg_layer_norm(c, k->in[0].t, &w, eps_of(k));
}

static vbg_tensor *batch_norm(vbg_ctx *c, cell *k)
{
    vbg_norm_w w = norm_weight(k);
    vbg_batch_norm_w bn = { .gamma = w.gamma,
                            .beta = w.beta,
                            .mean = k->running[0],
                            .var = k->running[1],
                            .c = w.c,
                            .eps = eps_of(k),
                            .momentum = 0.1f };

    return vbg_batch_norm(c, k->in[0].t, &bn, NULL, VBG_ACT_NONE);
}

/* What a batch norm starts from: recorded, or 0 and 1. */
static void load_running(cell *k)
{
    static const char *const key[2] = { "mean", "var" };
    int n = k->in[0].c;

    for (int i = 0; i < 2; i++) {
        k->running[i] = golden_alloc(k->g, (size_t)n * sizeof(float));
        for (int j = 0; j < n; j++)
            k->running[i][j] = (float)i;
        if (stored(k, "in.", key[i]))
            k->running[i] = values(k, "in.", key[i]);
        else if (stored(k, "running_before.", key[i]))
            k->running[i] = values(k, "running_before.", key[i]);
    }
}

static void report_running(cell *k)
{
    static const char *const key[2] = { "mean", "var" };
    char name[160];

    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s/running_after.%s", k->name, key[i]);
        if (stored(k, "running_after.", key[i]))
            golden_out_f32(k->g, name, k->running[i], (size_t)k->in[0].c);
    }
}

static vbg_tensor *unit_vectors(vbg_ctx *c, cell *k)
{
    return vbg_unit_vectors(c, k->in[0].t);
}

static vbg_tensor *softmax(vbg_ctx *c, cell *k)
{
    return vbg_softmax(c, k->in[0].t);
}

static vbg_tensor *log_softmax(vbg_ctx *c, cell *k)
{
    return vbg_log_softmax(c, k->in[0].t);
}

static vbg_tensor *attention(vbg_ctx *c, cell *k)
{
    return vbg_attention(c, k->in[0].t, k->in[1].t, k->in[2].t, k->heads,
                         strstr(k->name, "causal") != NULL);
}

static vbg_tensor *activation(vbg_ctx *c, cell *k)
{
    static const char *const names[VBG_ACTS] = {
        [VBG_ACT_RELU] = "relu",
        [VBG_ACT_RELU6] = "relu6",
        [VBG_ACT_SILU] = "silu",
        [VBG_ACT_GELU] = "gelu_erf",
        [VBG_ACT_QUICK_GELU] = "quick_gelu",
        [VBG_ACT_HSWISH] = "hardswish",
        [VBG_ACT_HSIGMOID] = "hardsigmoid",
        [VBG_ACT_SIGMOID] = "sigmoid",
        [VBG_ACT_TANH] = "tanh",
        [VBG_ACT_GELU_TANH] = "gelu_tanh",
        [VBG_ACT_LEAKY_RELU] = "leaky_relu_0.1",
        [VBG_ACT_ELU] = "elu",
        [VBG_ACT_SOFTPLUS] = "softplus",
        [VBG_ACT_EXP] = "exp",
    };

    for (int i = 1; i < VBG_ACTS; i++)
        if (!strcmp(names[i], text(k, "op")))
            return vbg_activate(c, k->in[0].t, (vbg_act)i);
    golden_fail(k->g, "%s: no such activation", k->name);
    return NULL;
}

/* ---- resampling ---- */

static vbg_tensor *grid_sample(vbg_ctx *c, cell *k)
{
    const json_t *align = json_object_get(k->spec, "align_corners");
    vbg_grid_opt o = { .border = !strcmp(text(k, "padding"), "border"),
                       .align = json_is_true(align) };

    return vbg_grid_sample(c, k->in[0].t, k->in[1].t, o);
}

static vbg_tensor *resize(vbg_ctx *c, cell *k)
{
    const json_t *size = json_object_get(k->spec, "size");
    const char *mode = text(k, "mode");
    int by = number(k, "scale_factor", 1);
    vbg_tensor *x = k->in[0].t;
    int h = size ? (int)json_integer_value(json_array_get(size, 0)) : x->h * by;
    int w = size ? (int)json_integer_value(json_array_get(size, 1)) : x->w * by;
    vbg_resize_mode m = VBG_RESIZE_BILINEAR;

    if (!strcmp(mode, "nearest"))
        m = VBG_RESIZE_NEAREST;
    else if (!strcmp(mode, "area"))
        m = VBG_RESIZE_AREA;
    else if (!strcmp(mode, "bicubic"))
        m = VBG_RESIZE_CUBIC;
    else if (json_is_true(json_object_get(k->spec, "antialias")))
        m = VBG_RESIZE_ANTIALIAS;
    else if (json_is_true(json_object_get(k->spec, "align_corners")))
        m = VBG_RESIZE_BILINEAR_ALIGN;
    return vbg_resize(c, x, h, w, m);
}

static vbg_tensor *pixel_shuffle(vbg_ctx *c, cell *k)
{
    int r = 2;

    sscanf(text(k, "op"), "pixel_shuffle %d", &r);
    return vbg_pixel_shuffle(c, k->in[0].t, r);
}

/* "pad left 2, right 1, top 1, bottom 3, reflect ..."; the other case says "same". */
static vbg_tensor *pad(vbg_ctx *c, cell *k)
{
    const json_t *cases = json_object_get(golden_json(k->g), "cases");
    const json_t *spec = json_object_get(cases, "pad.reflect");
    const char *how = json_string_value(json_object_get(spec, "op"));
    vbg_pad_opt o = { .mode = strstr(k->name, "reflect") ? VBG_PAD_REFLECT
                                                         : VBG_PAD_REPLICATE };

    if (!how || sscanf(how, "pad left %d, right %d, top %d, bottom %d", &o.left, &o.right,
                       &o.top, &o.bottom) != 4)
        golden_fail(k->g, "%s: sizes of the frame", k->name);
    return vbg_pad(c, k->in[0].t, o);
}

/* "max3x3_s2_p1", "avg2x2", "adaptive_avg_3x2", "max2x2_ceil", "... include_pad" */
static vbg_tensor *pool(vbg_ctx *c, cell *k)
{
    const char *name = k->name + strlen("pool."), *s = strstr(name, "_s"),
               *p = strstr(name, "_p");
    vbg_pool_opt o = { .max = !strncmp(name, "max", 3) };
    int h, w;

    if (!strcmp(name, "adaptive_avg_1"))
        return vbg_global_mean(c, k->in[0].t);
    if (sscanf(name, "adaptive_avg_%dx%d", &h, &w) == 2)
        return vbg_resize(c, k->in[0].t, h, w, VBG_RESIZE_AREA);
    if (sscanf(name + 3, "%dx%d", &o.k_y, &o.k_x) != 2)
        o.k_y = o.k_x = 2; /* max_ties: "max 2x2 on equal values" */
    o.stride = o.k_y;
    if (s)
        sscanf(s, "_s%d", &o.stride);
    if (p)
        sscanf(p, "_p%d", &o.pad);
    o.ceil_mode = strstr(name, "ceil") != NULL;
    o.count_padding = strstr(name, "include_pad") != NULL;
    return vbg_pool(c, k->in[0].t, o);
}

static int *integers(const cell *k, const char *key, size_t *count)
{
    const vbg_st_tensor *t = golden_in(k->g, "%s/in.%s", k->name, key);
    int *v = golden_alloc(k->g, t->count * sizeof *v);

    for (size_t i = 0; i < t->count; i++) {
        int64_t one;
        memcpy(&one, (const char *)t->data + i * sizeof one, sizeof one);
        v[i] = (int)one;
    }
    *count = t->count;
    return v;
}

static vbg_tensor *embedding(vbg_ctx *c, cell *k)
{
    const vbg_param *m = parameter(k, "table");
    const vbg_st_tensor *t = golden_in(k->g, "%s/in.idx", k->name);
    size_t count;
    const int *ids = integers(k, "idx", &count);

    return vbg_embed(c, m->packed, VBG_F32, (int)m->entry.dim[0], (int)m->entry.dim[1],
                     ids, (int)t->dim[0], (int)t->dim[1]);
}

/* ---- losses ---- */

static vbg_tensor *target(vbg_ctx *c, const cell *k)
{
    leaf l = { .o = k->op->in };

    shape_of(&l, stored(k, "in.", "target"));
    float *v = reorder(k, &l, values(k, "in.", "target"), true);
    return vbg_wrap(c, v, VBG_F32, l.n, l.h, l.w, l.c);
}

static vbg_tensor *pair_loss(vbg_ctx *c, cell *k)
{
    vbg_tensor *x = k->in[0].t, *t = target(c, k);

    if (strstr(k->name, ".mse"))
        return vbg_loss_mse(c, x, t);
    return strstr(k->name, "smooth") ? vbg_loss_smooth_l1(c, x, t) : vbg_loss_l1(c, x, t);
}

static vbg_tensor *mask_loss(vbg_ctx *c, cell *k)
{
    vbg_tensor *x = k->in[0].t, *t = target(c, k);

    if (strstr(k->name, ".bce"))
        return vbg_loss_bce(c, x, t);
    if (strstr(k->name, ".dice"))
        return vbg_loss_dice(c, x, t);
    float weight_of[2] = { 0 };
    if (sscanf(text(k, "op"), "%f dice + %f bce", &weight_of[0], &weight_of[1]) != 2)
        golden_fail(k->g, "%s: weights of the sum", k->name);
    vbg_tensor *terms[] = { vbg_loss_dice(c, x, t), vbg_loss_bce(c, x, t) };
    return vbg_loss_sum(c, terms, weight_of, 2);
}

static vbg_tensor *class_loss(vbg_ctx *c, cell *k)
{
    const json_t *threshold = json_object_get(k->spec, "threshold");
    const vbg_tensor *x = k->in[0].t;
    int ignore = number(k, "ignore_index", 255);
    size_t count;
    const int *v = integers(k, "target", &count);
    const vbg_tensor *labels = vbg_wrap(c, v, VBG_I32, x->n, x->h, x->w, 1);

    if (threshold)
        return vbg_loss_ohem(
            c, x, labels,
            (vbg_ohem_opt){ .ignore = ignore,
                            .threshold = (float)json_number_value(threshold) });
    const float *by_class =
        stored(k, "in.", "weight") ? values(k, "in.", "weight") : NULL;
    vbg_cross_entropy_opt o = { .ignore = ignore, .weight = by_class };
    return vbg_loss_cross_entropy(c, x, labels, o);
}

/* The first prefix that fits decides. */
static const op ops[] = {
    { "conv2d.", conv, NCHW, NCHW, false },
    { "conv_transpose2d.", conv_transpose, NCHW, NCHW, false },
    { "linear", linear, FLAT, FLAT, false },
    { "groupnorm.", group_norm, NCHW, NCHW, false },
    { "layernorm", layer_norm, FLAT, FLAT, false },
    { "batchnorm.train", batch_norm, NCHW, NCHW, true },
    { "batchnorm.eval", batch_norm, NCHW, NCHW, false },
    { "l2norm_channels", unit_vectors, NCHW, NCHW, false },
    { "act.", activation, FLAT, FLAT, false },
    { "geglu", geglu, FLAT, FLAT, false },
    { "softmax", softmax, FLAT, FLAT, false },
    { "log_softmax_axis1", log_softmax, NCHW, NCHW, false },
    { "attention.", attention, HEADS, HEADS, false },
    { "grid_sample.", grid_sample, NCHW, NCHW, false },
    { "resize.", resize, NCHW, NCHW, false },
    { "pixel_shuffle", pixel_shuffle, NCHW, NCHW, false },
    { "pad.", pad, NCHW, NCHW, false },
    { "pool.", pool, NCHW, NCHW, false },
    { "loss.mse", pair_loss, FLAT, WHOLE, false },
    { "loss.l1", pair_loss, FLAT, WHOLE, false },
    { "loss.smooth_l1", pair_loss, FLAT, WHOLE, false },
    { "loss.cross_entropy", class_loss, NCHW, WHOLE, false },
    { "loss.ohem", class_loss, NCHW, WHOLE, false },
    { "loss.", mask_loss, NCHW, WHOLE, false },
    { "embedding", embedding, FLAT, FLAT, false },
};

/* ---- one case ---- */

static vbg_status job(vbg_ctx *c, void *arg, vbg_err *err)
{
    cell *k = arg;

    (void)err;
    vbg_tape_start(k->tape, k->op->training);
    for (int i = 0; i < k->leaves; i++) {
        leaf *l = &k->in[i];
        l->t = vbg_wrap(c, l->value, VBG_F32, l->n, l->h, l->w, l->c);
        vbg_require_grad(c, l->t);
    }
    vbg_tensor *y = k->op->build(c, k);
    if (!y || !vbg_needs_grad(c, y)) {
        golden_fail(k->g, "%s: nothing was recorded", k->name);
        vbg_tape_stop(k->tape);
        return VBG_OK;
    }
    leaf out = { .o = k->op->out, .n = y->n, .h = y->h, .w = y->w, .c = y->c };
    if (!k->made) {
        const vbg_st_tensor *gout = stored(k, "gout", "");
        k->made = true;
        k->out = golden_alloc(k->g, vbg_rows(y) * (size_t)y->c * sizeof *k->out);
        k->gout = golden_alloc(k->g, vbg_rows(y) * (size_t)y->c * sizeof *k->gout);
        *k->gout = 1;
        if (gout && gout->count == vbg_rows(y) * (size_t)y->c)
            k->gout = reorder(k, &out, values(k, "gout", ""), true);
        else if (gout)
            golden_fail(k->g, "%s: %zu values come out", k->name, vbg_rows(y));
    }
    k->n = y->n;
    k->h = y->h;
    k->w = y->w;
    k->c = y->c;
    vbg_copy_out(c, k->out, VBG_F32, y);
    vbg_backward_from(c, y, vbg_wrap(c, k->gout, VBG_F32, y->n, y->h, y->w, y->c));
    for (int i = 0; i < k->leaves; i++) {
        const vbg_tensor *d = vbg_grad(c, k->in[i].t);
        if (d)
            vbg_copy_out(c, k->in[i].grad, VBG_F32, d);
    }
    vbg_tape_stop(k->tape);
    return VBG_OK;
}

static void report(cell *k)
{
    leaf out = { .o = k->op->out, .n = k->n, .h = k->h, .w = k->w, .c = k->c };
    size_t count = (size_t)k->n * (size_t)k->h * (size_t)k->w * (size_t)k->c;
    char name[160];

    snprintf(name, sizeof name, "%s/out", k->name);
    golden_out_f32(k->g, name, reorder(k, &out, k->out, false), count);
    for (int i = 0; i < k->leaves; i++) {
        leaf *l = &k->in[i];
        count = (size_t)l->n * (size_t)l->h * (size_t)l->w * (size_t)l->c;
        snprintf(name, sizeof name, "%s/grad.%s", k->name, l->key);
        golden_out_f32(k->g, name, reorder(k, l, l->grad, false), count);
    }
    for (size_t i = 0; i < vbg_params_count(k->params); i++) {
        const vbg_param *m = vbg_params_at(k->params, i);
        snprintf(name, sizeof name, "%s/grad.%s", k->name, m->entry.name);
        golden_out_f32(k->g, name, m->grad, m->count);
    }
    if (k->running[0])
        report_running(k);
}

static void run_case(golden *g, const char *name, json_t *spec)
{
    cell k = { .g = g, .name = name, .spec = spec, .heads = 1 };
    vbg_err err = { 0 };

    for (size_t i = 0; i < sizeof ops / sizeof *ops && !k.op; i++)
        if (!strncmp(name, ops[i].prefix, strlen(ops[i].prefix)))
            k.op = &ops[i];
    if (!k.op) {
        golden_fail(g, "%s: no such operator", name);
        return;
    }
    vbg_ctx *c = golden_ctx(g);
    if (vbg_params_new(&k.params, vbg_ctx_act(c), &err) != VBG_OK ||
        vbg_tape_new(&k.tape, c, k.params, &err) != VBG_OK) {
        golden_fail(g, "%s", err.text);
        vbg_params_free(k.params);
        return;
    }
    vbg_params_select(k.params, "m", "*", true);
    vbg_params_declare(k.params, 0);
    add_inputs(&k);
    if (strstr(name, "batchnorm"))
        load_running(&k);
    vbg_params_refresh(k.params, c);
    if (vbg_run(c, job, &k, &err) == VBG_OK && k.out)
        report(&k);
    else
        golden_fail(g, "%s: %s", name, err.text);
    vbg_tape_free(k.tape);
    vbg_params_free(k.params);
}

static void run_autograd(golden *g)
{
    json_t *cases = json_object_get(golden_json(g), "cases"), *spec;
    const char *name;

    json_object_foreach(cases, name, spec) run_case(g, name, spec);
}

const golden_family golden_families_train[] = {
    { "seg/autograd", run_autograd },
    { NULL, NULL },
};
