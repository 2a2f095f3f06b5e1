/* Options and shapes of TFLite operators.  A file's declared shapes are compared with
 * those that its operators compute, so that nothing later can read or write beyond a
 * map. */
#include "convert/tflite_internal.h"

#include <string.h>

enum { MAX_STEP = 64, MAX_POOL = 4096 };

/* code, tag of its options in the union (0: none), name */
static const struct {
    int code, tag;
    const char *name;
} known[] = {
    { VBG_TFL_ADD, 11, "ADD" },
    { VBG_TFL_AVERAGE_POOL, 5, "AVERAGE_POOL_2D" },
    { VBG_TFL_CONCATENATION, 10, "CONCATENATION" },
    { VBG_TFL_CONV, 1, "CONV_2D" },
    { VBG_TFL_DEPTHWISE_CONV, 2, "DEPTHWISE_CONV_2D" },
    { VBG_TFL_DEQUANTIZE, 0, "DEQUANTIZE" },
    { VBG_TFL_LOGISTIC, 0, "LOGISTIC" },
    { VBG_TFL_MAX_POOL, 5, "MAX_POOL_2D" },
    { VBG_TFL_MUL, 21, "MUL" },
    { VBG_TFL_RELU, 0, "RELU" },
    { VBG_TFL_RESHAPE, 17, "RESHAPE" },
    { VBG_TFL_RESIZE_BILINEAR, 15, "RESIZE_BILINEAR" },
    { VBG_TFL_SOFTMAX, 9, "SOFTMAX" },
    { VBG_TFL_CUSTOM, 0, "CUSTOM" },
    { VBG_TFL_PAD, 22, "PAD" },
    { VBG_TFL_MEAN, 27, "MEAN" },
    { VBG_TFL_STRIDED_SLICE, 32, "STRIDED_SLICE" },
    { VBG_TFL_PRELU, 0, "PRELU" },
    { VBG_TFL_TRANSPOSE_CONV, 49, "TRANSPOSE_CONV" },
    { VBG_TFL_HARD_SWISH, 0, "HARD_SWISH" },
};

static size_t find_code(int code)
{
    size_t i = 0;
    while (i < sizeof known / sizeof *known && known[i].code != code)
        i++;
    return i;
}

const char *vbg_tfl_code_name(int code)
{
    size_t i = find_code(code);
    return i < sizeof known / sizeof *known ? known[i].name : NULL;
}

int vbg_tfl_code_tag(int code)
{
    size_t i = find_code(code);
    return i < sizeof known / sizeof *known ? known[i].tag : 0;
}

/* ---- options ---- */

/* A field that must lie in 1..most. */
static int step_field(vbg_tflite *m, vbg_fb_table t, size_t field, int32_t otherwise,
                      int most, bool *ok)
{
    int64_t v = vbg_fb_i32(&m->fb, t, field, otherwise);
    *ok = *ok && v >= 1 && v <= most;
    return *ok ? (int)v : 1;
}

static bool read_padding(vbg_tflite *m, vbg_tfl_op *op, vbg_fb_table t, size_t field)
{
    int padding = vbg_fb_i8(&m->fb, t, field, 0);
    op->same = padding == 0;
    return padding == 0 || padding == 1;
}

static bool read_activation(vbg_tflite *m, vbg_tfl_op *op, vbg_fb_table t, size_t field)
{
    op->activation = vbg_fb_i8(&m->fb, t, field, 0);
    return op->activation == VBG_TFL_NONE || op->activation == VBG_TFL_FUSED_RELU ||
           op->activation == VBG_TFL_FUSED_RELU6;
}

/* Twelve raw bytes: padding (1 SAME, 2 VALID), stride_w, stride_h. */
static bool read_custom(vbg_tflite *m, vbg_tfl_op *op, vbg_fb_vector v)
{
    int32_t value[3];

    if (v.count != 12)
        return false;
    for (int k = 0; k < 3; k++) {
        const uint8_t *p = m->fb.data + v.at + 4 * k;
        value[k] = (int32_t)(p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                             (uint32_t)p[3] << 24);
    }
    op->same = value[0] == 1;
    op->stride_w = value[1];
    op->stride_h = value[2];
    return (value[0] == 1 || value[0] == 2) && value[1] >= 1 && value[1] <= MAX_STEP &&
           value[2] >= 1 && value[2] <= MAX_STEP;
}

static bool read_fields(vbg_tflite *m, vbg_tfl_op *op, vbg_fb_table t)
{
    bool ok = true;

    switch (op->code) {
    case VBG_TFL_CONV:
        ok = read_padding(m, op, t, 0) && read_activation(m, op, t, 3);
        op->stride_w = step_field(m, t, 1, 0, MAX_STEP, &ok);
        op->stride_h = step_field(m, t, 2, 0, MAX_STEP, &ok);
        op->dilation_w = step_field(m, t, 4, 1, MAX_STEP, &ok);
        op->dilation_h = step_field(m, t, 5, 1, MAX_STEP, &ok);
        return ok;
    case VBG_TFL_DEPTHWISE_CONV:
        ok = read_padding(m, op, t, 0) && read_activation(m, op, t, 4);
        op->stride_w = step_field(m, t, 1, 0, MAX_STEP, &ok);
        op->stride_h = step_field(m, t, 2, 0, MAX_STEP, &ok);
        op->multiplier = (int)vbg_fb_i32(&m->fb, t, 3, 0);
        op->dilation_w = step_field(m, t, 5, 1, MAX_STEP, &ok);
        op->dilation_h = step_field(m, t, 6, 1, MAX_STEP, &ok);
        return ok;
    case VBG_TFL_AVERAGE_POOL:
    case VBG_TFL_MAX_POOL:
        ok = read_padding(m, op, t, 0) && read_activation(m, op, t, 5);
        op->stride_w = step_field(m, t, 1, 0, MAX_POOL, &ok);
        op->stride_h = step_field(m, t, 2, 0, MAX_POOL, &ok);
        op->filter_w = step_field(m, t, 3, 0, MAX_POOL, &ok);
        op->filter_h = step_field(m, t, 4, 0, MAX_POOL, &ok);
        return ok;
    case VBG_TFL_TRANSPOSE_CONV:
        ok = read_padding(m, op, t, 0);
        op->stride_w = step_field(m, t, 1, 0, MAX_STEP, &ok);
        op->stride_h = step_field(m, t, 2, 0, MAX_STEP, &ok);
        return ok;
    case VBG_TFL_ADD:
    case VBG_TFL_MUL:
        return read_activation(m, op, t, 0);
    case VBG_TFL_CONCATENATION:
        op->axis = (int)vbg_fb_i32(&m->fb, t, 0, 0);
        return read_activation(m, op, t, 1);
    case VBG_TFL_RESIZE_BILINEAR:
        op->align_corners = vbg_fb_u8(&m->fb, t, 2, 0) != 0;
        op->half_pixel = vbg_fb_u8(&m->fb, t, 3, 0) != 0;
        return !(op->align_corners && op->half_pixel);
    case VBG_TFL_MEAN:
        op->keep_dims = vbg_fb_u8(&m->fb, t, 0, 0) != 0;
        return true;
    default:
        return true;
    }
}

vbg_status vbg_tfl_options(vbg_tflite *m, int i, int tag, vbg_fb_table options,
                           vbg_fb_vector custom, vbg_err *err)
{
    vbg_tfl_op *op = &m->op[i];
    int want = vbg_tfl_code_tag(op->code);

    if (want && !options.at)
        return vbg_tfl_fail_op(m, i, err, "its options are missing");
    if (tag != want)
        return vbg_tfl_fail_op(m, i, err, "options of type %d instead of %d", tag, want);
    if (op->code == VBG_TFL_CUSTOM ? !read_custom(m, op, custom)
                                   : !read_fields(m, op, options))
        return vbg_tfl_fail_op(m, i, err,
                               "padding, stride, dilation, filter or activation is "
                               "outside its limits");
    return VBG_OK;
}

/* ---- shapes ---- */

int32_t vbg_tfl_int(const vbg_tfl_tensor *t, size_t i)
{
    const uint8_t *p = t->data + 4 * i;
    return (int32_t)(p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                     (uint32_t)p[3] << 24);
}

static bool same_shape(const vbg_tfl_tensor *a, const vbg_tfl_tensor *b)
{
    return a->rank == b->rank &&
           memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim) == 0;
}

/* Output size of a window; 0 when it does not fit. */
static int64_t window(int64_t in, int64_t k, int64_t stride, int64_t dilation, bool same)
{
    int64_t reach = (k - 1) * dilation + 1;
    return same ? (in + stride - 1) / stride : in < reach ? 0 : (in - reach) / stride + 1;
}

static bool shape4(const vbg_tfl_tensor *t, int64_t n, int64_t h, int64_t w, int64_t c)
{
    return t->rank == 4 && t->dim[0] == n && t->dim[1] == h && t->dim[2] == w &&
           t->dim[3] == c;
}

/* Inputs of an operator, NULL where absent. */
typedef struct operands {
    const vbg_tfl_tensor *in[VBG_TFL_MAX_INPUTS], *y;
} operands;

/* x [n,h,w,c], kernel [oc,kh,kw,c] or depthwise [1,kh,kw,oc], bias [oc]. */
static bool conv_fits(const vbg_tfl_op *op, const operands *o)
{
    const vbg_tfl_tensor *x = o->in[0], *k = o->in[1],
                         *b = op->inputs > 2 ? o->in[2] : NULL;
    const bool depthwise = op->code == VBG_TFL_DEPTHWISE_CONV;

    if (x->rank != 4 || k->rank != 4)
        return false;
    int64_t oc = depthwise ? k->dim[3] : k->dim[0];
    bool ok = depthwise ? k->dim[0] == 1 && op->multiplier > 0 &&
                              oc == (int64_t)x->dim[3] * op->multiplier
                        : k->dim[3] == x->dim[3];
    ok = ok && k->dim[1] <= MAX_STEP && k->dim[2] <= MAX_STEP;
    ok = ok && (!b || b->count == (size_t)oc);
    return ok &&
           shape4(o->y, x->dim[0],
                  window(x->dim[1], k->dim[1], op->stride_h, op->dilation_h, op->same),
                  window(x->dim[2], k->dim[2], op->stride_w, op->dilation_w, op->same),
                  oc);
}

static bool pool_fits(const vbg_tfl_op *op, const operands *o)
{
    const vbg_tfl_tensor *x = o->in[0];
    return x->rank == 4 &&
           shape4(o->y, x->dim[0],
                  window(x->dim[1], op->filter_h, op->stride_h, 1, op->same),
                  window(x->dim[2], op->filter_w, op->stride_w, 1, op->same), x->dim[3]);
}

/* The smaller map of a transposed convolution follows from the larger as in the
 * convolution that it reverses. */
static bool transpose_fits(const vbg_tfl_op *op, const operands *o, bool custom)
{
    const vbg_tfl_tensor *x = o->in[custom ? 0 : 2], *k = o->in[1], *y = o->y;
    const vbg_tfl_tensor *b = custom ? o->in[2] : op->inputs > 3 ? o->in[3] : NULL;

    if (x->rank != 4 || k->rank != 4 || y->rank != 4 || k->dim[3] != x->dim[3] ||
        k->dim[0] != y->dim[3] || x->dim[0] != y->dim[0] || k->dim[1] > MAX_STEP ||
        k->dim[2] > MAX_STEP || (b && b->count != (size_t)y->dim[3]))
        return false;
    for (int d = 1; d <= 2; d++) {
        int64_t stride = d == 1 ? op->stride_h : op->stride_w;
        if (window(y->dim[d], k->dim[d], stride, 1, op->same) != x->dim[d])
            return false;
        if (custom && (op->same ? x->dim[d] * stride
                                : (x->dim[d] - 1) * stride + k->dim[d]) != y->dim[d])
            return false;
    }
    if (custom)
        return true;
    const vbg_tfl_tensor *s = o->in[0];
    if (!s->data || s->dtype != VBG_I32 || s->count != 4)
        return false;
    for (size_t d = 0; d < 4; d++)
        if (vbg_tfl_int(s, d) != y->dim[d])
            return false;
    return true;
}

/* Each dimension of both is the output's or 1 (shorter shapes count from the end). */
static bool broadcast_fits(const operands *o)
{
    for (int i = 0; i < o->y->rank; i++) {
        int at[2], most = 1;
        for (int k = 0; k < 2; k++) {
            int d = i - (o->y->rank - o->in[k]->rank);
            at[k] = d < 0 ? 1 : o->in[k]->dim[d];
            most = at[k] > most ? at[k] : most;
        }
        if ((at[0] != 1 && at[0] != most) || (at[1] != 1 && at[1] != most) ||
            o->y->dim[i] != most)
            return false;
    }
    return o->in[0]->rank <= o->y->rank && o->in[1]->rank <= o->y->rank;
}

static bool concat_fits(const vbg_tfl_op *op, const operands *o)
{
    const int rank = o->y->rank, axis = op->axis < 0 ? op->axis + rank : op->axis;
    int64_t sum = 0;

    if (axis < 0 || axis >= rank)
        return false;
    for (int k = 0; k < op->inputs; k++) {
        if (o->in[k]->rank != rank)
            return false;
        for (int d = 0; d < rank; d++)
            if (d != axis && o->in[k]->dim[d] != o->y->dim[d])
                return false;
        sum += o->in[k]->dim[axis];
    }
    return sum == o->y->dim[axis];
}

static bool resize_fits(const operands *o)
{
    const vbg_tfl_tensor *x = o->in[0], *s = o->in[1];
    return x->rank == 4 && s->data && s->dtype == VBG_I32 && s->count == 2 &&
           shape4(o->y, x->dim[0], vbg_tfl_int(s, 0), vbg_tfl_int(s, 1), x->dim[3]);
}

/* Mean over h and w of [n,h,w,c]: the only axes that a network here uses. */
static bool mean_fits(const vbg_tfl_op *op, const operands *o)
{
    const vbg_tfl_tensor *x = o->in[0], *axes = o->in[1];

    if (x->rank != 4 || !op->keep_dims || !axes->data || axes->dtype != VBG_I32 ||
        axes->count != 2)
        return false;
    int32_t a = vbg_tfl_int(axes, 0), b = vbg_tfl_int(axes, 1);
    bool hw = (a == 1 && b == 2) || (a == 2 && b == 1);
    return hw && shape4(o->y, x->dim[0], 1, 1, x->dim[3]);
}

static bool pad_fits(const operands *o)
{
    const vbg_tfl_tensor *x = o->in[0], *p = o->in[1];

    if (!p->data || p->dtype != VBG_I32 || p->count != 2 * (size_t)x->rank ||
        o->y->rank != x->rank)
        return false;
    for (int d = 0; d < x->rank; d++) {
        int64_t a = vbg_tfl_int(p, 2 * (size_t)d), b = vbg_tfl_int(p, 2 * (size_t)d + 1);
        if (a < 0 || b < 0 || x->dim[d] + a + b != o->y->dim[d])
            return false;
    }
    return true;
}

/* Activations of one operator share a type; half floats are only constants. */
static bool types_fit(const vbg_tfl_op *op, const operands *o)
{
    const vbg_dtype t = o->in[op->code == VBG_TFL_TRANSPOSE_CONV ? 2 : 0]->dtype;

    if (op->code == VBG_TFL_DEQUANTIZE)
        return o->y->dtype == VBG_F32 &&
               (t == VBG_F16 || ((t == VBG_I8 || t == VBG_U8) && o->in[0]->quantised));
    if (o->y->dtype != t || (t != VBG_F32 && !o->in[0]->quantised))
        return false;
    if (op->code == VBG_TFL_CONV || op->code == VBG_TFL_DEPTHWISE_CONV)
        return o->in[1]->dtype == t &&
               (op->inputs < 3 || !o->in[2] ||
                o->in[2]->dtype == (t == VBG_F32 ? VBG_F32 : VBG_I32));
    if (op->code == VBG_TFL_ADD || op->code == VBG_TFL_MUL || op->code == VBG_TFL_PRELU)
        return o->in[1]->dtype == t;
    for (int k = 1; op->code == VBG_TFL_CONCATENATION && k < op->inputs; k++)
        if (o->in[k]->dtype != t)
            return false;
    return true;
}

static bool shapes_fit(const vbg_tfl_op *op, const operands *o)
{
    switch (op->code) {
    case VBG_TFL_CONV:
    case VBG_TFL_DEPTHWISE_CONV:
        return conv_fits(op, o);
    case VBG_TFL_AVERAGE_POOL:
    case VBG_TFL_MAX_POOL:
        return pool_fits(op, o);
    case VBG_TFL_TRANSPOSE_CONV:
        return transpose_fits(op, o, false);
    case VBG_TFL_CUSTOM:
        return transpose_fits(op, o, true);
    case VBG_TFL_ADD:
    case VBG_TFL_MUL:
    case VBG_TFL_PRELU:
        return broadcast_fits(o);
    case VBG_TFL_CONCATENATION:
        return concat_fits(op, o);
    case VBG_TFL_RESIZE_BILINEAR:
        return resize_fits(o);
    case VBG_TFL_MEAN:
        return mean_fits(op, o);
    case VBG_TFL_PAD:
        return pad_fits(o);
    case VBG_TFL_RESHAPE:
        return o->y->count == o->in[0]->count;
    case VBG_TFL_STRIDED_SLICE:
        return o->y->count <= o->in[0]->count;
    default:
        return same_shape(o->in[0], o->y);
    }
}

vbg_status vbg_tfl_check_shapes(vbg_tflite *m, int i, vbg_err *err)
{
    const vbg_tfl_op *op = &m->op[i];
    operands o = { .y = &m->tensor[op->out] };

    for (int k = 0; k < op->inputs; k++)
        o.in[k] = op->in[k] < 0 ? NULL : &m->tensor[op->in[k]];
    if (!types_fit(op, &o))
        return vbg_tfl_fail_op(m, i, err,
                               "types of inputs and output do not fit together");
    if (!shapes_fit(op, &o))
        return vbg_tfl_fail_op(m, i, err,
                               "shapes of inputs and output do not fit together");
    return VBG_OK;
}
