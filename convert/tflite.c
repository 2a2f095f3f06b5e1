/* Reader of TFLite models: tables to structs, wiring.  Operators' options and shapes
 * are checked in tflite_ops.c.
 *
 * Fields used (number in the table):
 *   Model        0 version, 1 operator_codes, 2 subgraphs, 3 description, 4 buffers
 *   OperatorCode 0 deprecated code i8, 1 custom name, 3 code i32: the larger counts
 *   SubGraph     0 tensors, 1 inputs, 2 outputs, 3 operators
 *   Tensor       0 shape, 1 type, 2 buffer, 3 name, 4 quantization, 5 is_variable,
 *                6 sparsity
 *   Buffer       0 data, 1 and 2: place outside the buffer (refused)
 *   Operator     0 opcode_index, 1 inputs, 2 outputs, 3 options type, 4 options,
 *                5 custom_options
 *   Quantization 2 scale f32, 3 zero_point i64, 6 dimension */
#include "convert/tflite_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ITEMS = 65536, MAX_MB = 256, VERSION = 3 };

static const char CUSTOM_NAME[] = "Convolution2DTransposeBias";

/* What the sticky reader has found wrong, with the place. */
static vbg_status fb_status(const vbg_tflite *m, vbg_err *err)
{
    if (!m->fb.cause)
        return VBG_OK;
    return vbg_fail(err, VBG_EFORMAT, "%s: not a TFLite model: %s (byte %zu)", m->path,
                    m->fb.cause, m->fb.where);
}

vbg_status vbg_tfl_fail_op(const vbg_tflite *m, int i, vbg_err *err, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return vbg_fail(err, VBG_EFORMAT, "%s: operator %d (%s): %s", m->path, i,
                    vbg_tflite_op_name(m, i), text);
}

static vbg_status fail_tensor(const vbg_tflite *m, int i, vbg_err *err, const char *cause)
{
    return vbg_fail(err, VBG_EFORMAT, "%s: tensor %d (%.200s): %s", m->path, i,
                    m->tensor[i].name, cause);
}

/* ---- tensors ---- */

static bool tensor_type(vbg_dtype *out, int type)
{
    switch (type) {
    case 0:
        *out = VBG_F32;
        return true;
    case 1:
        *out = VBG_F16;
        return true;
    case 2:
        *out = VBG_I32;
        return true;
    case 3:
        *out = VBG_U8;
        return true;
    case 4:
        *out = VBG_I64;
        return true;
    case 9:
        *out = VBG_I8;
        return true;
    default:
        return false;
    }
}

static vbg_status read_shape(vbg_tflite *m, int i, vbg_fb_vector shape, vbg_err *err)
{
    vbg_tfl_tensor *t = &m->tensor[i];
    size_t count = 1;

    if (shape.count > VBG_TFL_MAX_RANK)
        return fail_tensor(m, i, err, "more than 6 dimensions");
    t->rank = (int)shape.count;
    for (size_t k = 0; k < shape.count; k++) {
        int32_t d = vbg_fb_i32_at(&m->fb, shape, k);
        if (d <= 0)
            return fail_tensor(m, i, err, "a dimension is not positive");
        t->dim[k] = d;
        if (!vbg_mul_size(&count, count, (size_t)d) || count > (size_t)1 << 40)
            return fail_tensor(m, i, err, "more than 2^40 elements");
    }
    t->count = count;
    t->bytes = count * vbg_dtype_size(t->dtype);
    return VBG_OK;
}

/* Scales of quantised tensors: one, or one per slice of a dimension. */
static vbg_status read_quantisation(vbg_tflite *m, int i, vbg_fb_table table,
                                    vbg_err *err)
{
    vbg_tfl_tensor *t = &m->tensor[i];
    vbg_fb_table q = vbg_fb_sub(&m->fb, table, 4);
    vbg_fb_vector scale = vbg_fb_vec(&m->fb, q, 2, 4);
    vbg_fb_vector zero = vbg_fb_vec(&m->fb, q, 3, 8);
    int64_t d = vbg_fb_i32(&m->fb, q, 6, 0);

    if (m->fb.cause || scale.count == 0)
        return fb_status(m, err);
    if (scale.count > 1 && (d < 0 || d >= t->rank || (size_t)t->dim[d] != scale.count))
        return fail_tensor(m, i, err, "as many scales as no dimension has");
    if (zero.count != scale.count)
        return fail_tensor(m, i, err, "scales and zero points differ in number");
    for (size_t k = 0; k < scale.count; k++) {
        float s = vbg_fb_f32_at(&m->fb, scale, k);
        if (!(s > 0) || !isfinite(s))
            return fail_tensor(m, i, err, "a scale is not a positive number");
    }
    t->quantised = true;
    return VBG_OK;
}

static vbg_status read_tensor(vbg_tflite *m, int i, vbg_fb_table table,
                              vbg_fb_vector buffers, vbg_err *err)
{
    vbg_tfl_tensor *t = &m->tensor[i];
    vbg_fb *f = &m->fb;
    int64_t buffer = vbg_fb_u32(f, table, 2, 0);

    *t = (vbg_tfl_tensor){ .name = vbg_fb_string(f, table, 3), .writer = -1 };
    int type = vbg_fb_i8(f, table, 1, 0);
    bool known = tensor_type(&t->dtype, type);
    vbg_fb_vector shape = vbg_fb_vec(f, table, 0, 4);
    if (f->cause)
        return fb_status(m, err);
    if (!known)
        return vbg_fail(err, VBG_EUNSUPPORTED,
                        "%s: tensor %d (%.200s) has unknown type %d", m->path, i, t->name,
                        type);
    if (vbg_fb_u8(f, table, 5, 0) != 0 || vbg_fb_has(f, table, 6))
        return fail_tensor(m, i, err, "variables and sparse tensors are not supported");
    vbg_status st = read_shape(m, i, shape, err);
    if (st != VBG_OK)
        return st;
    if ((size_t)buffer >= buffers.count)
        return fail_tensor(m, i, err, "its buffer does not exist");
    vbg_fb_table b = vbg_fb_table_at(f, buffers, (size_t)buffer);
    if (vbg_fb_has(f, b, 1) || vbg_fb_has(f, b, 2))
        return fail_tensor(m, i, err, "its data lies outside the model");
    vbg_fb_vector data = vbg_fb_vec(f, b, 0, 1);
    if (f->cause)
        return fb_status(m, err);
    if (data.count != 0 && data.count != t->bytes)
        return fail_tensor(m, i, err, "its shape and its data differ in size");
    t->data = data.count ? f->data + data.at : NULL; /* NULL: an activation */
    return read_quantisation(m, i, table, err);
}

/* ---- operators ---- */

/* Code number of entry `index` of operator_codes; custom ones by name. */
static vbg_status read_code(vbg_tflite *m, int i, vbg_fb_vector codes, size_t index,
                            vbg_err *err)
{
    vbg_fb_table t = vbg_fb_table_at(&m->fb, codes, index);
    int64_t old = vbg_fb_i8(&m->fb, t, 0, 0), code = vbg_fb_i32(&m->fb, t, 3, 0);
    const char *custom = vbg_fb_string(&m->fb, t, 1);

    if (m->fb.cause)
        return fb_status(m, err);
    code = code > old ? code : old;
    if (old < 0 || code > 0xffff)
        return vbg_fail(err, VBG_EFORMAT, "%s: operator %d has code %lld", m->path, i,
                        (long long)(old < 0 ? old : code));
    m->op[i].code = (int)code;
    if (code == VBG_TFL_CUSTOM && strcmp(custom, CUSTOM_NAME) != 0)
        return vbg_fail(err, VBG_EUNSUPPORTED, "%s: operator %d is the custom %.200s",
                        m->path, i, *custom ? custom : "(no name)");
    if (!vbg_tfl_code_name((int)code))
        return vbg_fail(err, VBG_EUNSUPPORTED, "%s: operator %d has code %lld, not known",
                        m->path, i, (long long)code);
    return VBG_OK;
}

/* Least and most inputs of an operator; those from `optional` on may be -1. */
typedef struct arity {
    size_t least, most, optional;
} arity;

static arity arity_of(int code)
{
    switch (code) {
    case VBG_TFL_CONV:
    case VBG_TFL_DEPTHWISE_CONV:
        return (arity){ 2, 3, 2 };
    case VBG_TFL_TRANSPOSE_CONV:
        return (arity){ 3, 4, 3 };
    case VBG_TFL_CUSTOM:
        return (arity){ 3, 3, 3 };
    case VBG_TFL_STRIDED_SLICE:
        return (arity){ 4, 4, 4 };
    case VBG_TFL_CONCATENATION:
        return (arity){ 1, VBG_TFL_MAX_INPUTS, 16 };
    case VBG_TFL_ADD:
    case VBG_TFL_MUL:
    case VBG_TFL_RESIZE_BILINEAR:
    case VBG_TFL_PAD:
    case VBG_TFL_MEAN:
    case VBG_TFL_RESHAPE:
    case VBG_TFL_PRELU:
        return (arity){ 2, 2, 2 };
    default:
        return (arity){ 1, 1, 1 };
    }
}

/* Inputs exist and are known by now; the output exists and nobody else writes it. */
static vbg_status read_wiring(vbg_tflite *m, int i, vbg_fb_table table, vbg_err *err)
{
    vbg_tfl_op *op = &m->op[i];
    vbg_fb_vector in = vbg_fb_vec(&m->fb, table, 1, 4);
    vbg_fb_vector out = vbg_fb_vec(&m->fb, table, 2, 4);
    arity a = arity_of(op->code);

    if (m->fb.cause)
        return fb_status(m, err);
    if (in.count < a.least || in.count > a.most || out.count != 1)
        return vbg_tfl_fail_op(m, i, err, "%zu inputs and %zu outputs", in.count,
                               out.count);
    op->inputs = (int)in.count;
    for (size_t k = 0; k < in.count; k++) {
        int t = op->in[k] = vbg_fb_i32_at(&m->fb, in, k);
        if (t == -1 && k >= a.optional)
            continue;
        if (t < 0 || t >= m->tensors)
            return vbg_tfl_fail_op(m, i, err, "input %d of %d tensors", t, m->tensors);
        if (!m->tensor[t].data && !m->is_input[t] && m->tensor[t].writer < 0)
            return vbg_tfl_fail_op(m, i, err, "reads tensor %d before it is written", t);
    }
    int y = op->out = vbg_fb_i32_at(&m->fb, out, 0);
    if (y < 0 || y >= m->tensors)
        return vbg_tfl_fail_op(m, i, err, "output %d of %d tensors", y, m->tensors);
    if (m->tensor[y].data || m->is_input[y] || m->tensor[y].writer >= 0)
        return vbg_tfl_fail_op(m, i, err,
                               "writes tensor %d, which is an input, a constant or "
                               "already written",
                               y);
    m->tensor[y].writer = i;
    return VBG_OK;
}

static vbg_status read_op(vbg_tflite *m, int i, vbg_fb_table table, vbg_fb_vector codes,
                          vbg_err *err)
{
    int64_t index = vbg_fb_u32(&m->fb, table, 0, 0);
    vbg_status st = fb_status(m, err);

    if (st == VBG_OK && (size_t)index >= codes.count)
        return vbg_fail(err, VBG_EFORMAT, "%s: operator %d has operator code %lld of %zu",
                        m->path, i, (long long)index, codes.count);
    if (st == VBG_OK)
        st = read_code(m, i, codes, (size_t)index, err);
    if (st == VBG_OK)
        st = read_wiring(m, i, table, err);
    if (st != VBG_OK)
        return st;
    int tag = vbg_fb_u8(&m->fb, table, 3, 0);
    vbg_fb_table options = vbg_fb_sub(&m->fb, table, 4);
    vbg_fb_vector custom = vbg_fb_vec(&m->fb, table, 5, 1);
    st = fb_status(m, err);
    if (st == VBG_OK)
        st = vbg_tfl_options(m, i, tag, options, custom, err);
    if (st == VBG_OK)
        st = fb_status(m, err);
    return st == VBG_OK ? vbg_tfl_check_shapes(m, i, err) : st;
}

/* ---- the graph ---- */

/* Numbers of graph inputs or outputs into a new array. */
static vbg_status read_ports(vbg_tflite *m, vbg_fb_vector v, int **out, int *count,
                             const char *what, vbg_err *err)
{
    if (v.count == 0 || v.count > (size_t)m->tensors)
        return vbg_fail(err, VBG_EFORMAT, "%s: %zu graph %s", m->path, v.count, what);
    *out = calloc(v.count, sizeof **out);
    if (!*out)
        return vbg_fail(err, VBG_ENOMEM, "%s: not enough memory", m->path);
    *count = (int)v.count;
    for (size_t i = 0; i < v.count; i++) {
        (*out)[i] = vbg_fb_i32_at(&m->fb, v, i);
        if ((*out)[i] < 0 || (*out)[i] >= m->tensors)
            return vbg_fail(err, VBG_EFORMAT, "%s: graph %s %d of %d tensors", m->path,
                            what, (*out)[i], m->tensors);
    }
    return VBG_OK;
}

static vbg_status allocate(vbg_tflite *m, size_t tensors, size_t ops, vbg_err *err)
{
    if (tensors == 0 || tensors > MAX_ITEMS || ops == 0 || ops > MAX_ITEMS)
        return vbg_fail(err, VBG_ELIMIT,
                        "%s: %zu tensors and %zu operators (1 to %d each)", m->path,
                        tensors, ops, MAX_ITEMS);
    m->tensor = calloc(tensors, sizeof *m->tensor);
    m->is_input = calloc(tensors, sizeof *m->is_input);
    m->op = calloc(ops, sizeof *m->op);
    if (!m->tensor || !m->is_input || !m->op)
        return vbg_fail(err, VBG_ENOMEM, "%s: not enough memory", m->path);
    m->tensors = (int)tensors;
    m->ops = (int)ops;
    return VBG_OK;
}

static vbg_status read_graph(vbg_tflite *m, vbg_fb_table graph, vbg_fb_vector codes,
                             vbg_fb_vector buffers, vbg_err *err)
{
    vbg_fb *f = &m->fb;
    vbg_fb_vector tensors = vbg_fb_vec(f, graph, 0, 4), ops = vbg_fb_vec(f, graph, 3, 4);
    vbg_fb_vector in = vbg_fb_vec(f, graph, 1, 4), out = vbg_fb_vec(f, graph, 2, 4);
    vbg_status st = fb_status(m, err);

    if (st == VBG_OK)
        st = allocate(m, tensors.count, ops.count, err);
    for (int i = 0; st == VBG_OK && i < m->tensors; i++)
        st = read_tensor(m, i, vbg_fb_table_at(f, tensors, (size_t)i), buffers, err);
    if (st == VBG_OK)
        st = read_ports(m, in, &m->input, &m->inputs, "inputs", err);
    for (int i = 0; st == VBG_OK && i < m->inputs; i++) {
        if (m->tensor[m->input[i]].data || m->is_input[m->input[i]])
            st = fail_tensor(m, m->input[i], err,
                             "a graph input that is a constant or twice");
        m->is_input[m->input[i]] = true;
    }
    for (int i = 0; st == VBG_OK && i < m->ops; i++)
        st = read_op(m, i, vbg_fb_table_at(f, ops, (size_t)i), codes, err);
    if (st == VBG_OK)
        st = read_ports(m, out, &m->output, &m->outputs, "outputs", err);
    for (int i = 0; st == VBG_OK && i < m->outputs; i++)
        if (m->tensor[m->output[i]].writer < 0)
            st = fail_tensor(m, m->output[i], err, "a graph output that nobody writes");
    return st;
}

static vbg_status read_model(vbg_tflite *m, vbg_err *err)
{
    vbg_fb *f = &m->fb;
    vbg_fb_table root = vbg_fb_root(f, "TFL3");
    int64_t version = vbg_fb_u32(f, root, 0, 0);
    vbg_fb_vector codes = vbg_fb_vec(f, root, 1, 4), graphs = vbg_fb_vec(f, root, 2, 4);
    vbg_fb_vector buffers = vbg_fb_vec(f, root, 4, 4);

    m->description = vbg_fb_string(f, root, 3);
    if (f->cause)
        return fb_status(m, err);
    if (version != VERSION)
        return vbg_fail(err, VBG_EFORMAT,
                        "%s: TFLite schema version %lld (only version 3 is supported)",
                        m->path, (long long)version);
    if (graphs.count != 1)
        return vbg_fail(err, VBG_EFORMAT, "%s: %zu subgraphs (only 1 is supported)",
                        m->path, graphs.count);
    return read_graph(m, vbg_fb_table_at(f, graphs, 0), codes, buffers, err);
}

static vbg_status start(vbg_tflite **out, const char *name, vbg_err *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return vbg_fail(err, VBG_ENOMEM, "%s: not enough memory", name);
    (*out)->path = name;
    (*out)->description = "";
    return VBG_OK;
}

vbg_status vbg_tflite_parse(vbg_tflite **out, const void *data, size_t bytes,
                            const char *name, vbg_err *err)
{
    vbg_tflite *m = NULL;
    vbg_status st = start(&m, name, err);

    if (st == VBG_OK) {
        m->fb = (vbg_fb){ .data = data, .bytes = bytes };
        st = read_model(m, err);
    }
    if (st == VBG_OK) {
        *out = m;
        m = NULL;
    }
    vbg_tflite_close(m);
    return st;
}

vbg_status vbg_tflite_open(vbg_tflite **out, const char *path, vbg_err *err)
{
    vbg_tflite *m = NULL;
    vbg_status st = start(&m, path, err);

    if (st == VBG_OK)
        st = vbg_map_open(&m->map, path, (uint64_t)MAX_MB << 20, err);
    if (st == VBG_OK) {
        m->fb = (vbg_fb){ .data = m->map.data, .bytes = m->map.bytes };
        st = read_model(m, err);
    }
    if (st == VBG_OK) {
        *out = m;
        m = NULL;
    }
    vbg_tflite_close(m);
    return st;
}

void vbg_tflite_close(vbg_tflite *m)
{
    if (!m)
        return;
    free(m->tensor);
    free(m->is_input);
    free(m->op);
    free(m->input);
    free(m->output);
    vbg_map_close(&m->map);
    free(m);
}

/* ---- what is inside ---- */

const char *vbg_tflite_description(const vbg_tflite *m)
{
    return m->description;
}

int vbg_tflite_tensors(const vbg_tflite *m)
{
    return m->tensors;
}

const vbg_tfl_tensor *vbg_tflite_tensor(const vbg_tflite *m, int i)
{
    return &m->tensor[i];
}

int vbg_tflite_ops(const vbg_tflite *m)
{
    return m->ops;
}

const vbg_tfl_op *vbg_tflite_op(const vbg_tflite *m, int i)
{
    return &m->op[i];
}

const char *vbg_tflite_op_name(const vbg_tflite *m, int i)
{
    return m->op[i].code == VBG_TFL_CUSTOM ? CUSTOM_NAME
                                           : vbg_tfl_code_name(m->op[i].code);
}

int vbg_tflite_input(const vbg_tflite *m)
{
    return m->input[0];
}

int vbg_tflite_output(const vbg_tflite *m)
{
    return m->output[0];
}

const vbg_tfl_tensor *vbg_tflite_constant(const vbg_tflite *m, int i)
{
    if (i < 0)
        return NULL;
    const vbg_tfl_tensor *t = &m->tensor[i];
    if (t->data)
        return t;
    if (t->writer < 0 || m->op[t->writer].code != VBG_TFL_DEQUANTIZE)
        return NULL;
    t = &m->tensor[m->op[t->writer].in[0]];
    return t->data ? t : NULL;
}

void vbg_tflite_to_f32(float *dst, const vbg_tfl_tensor *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->dtype == VBG_F32) {
            memcpy(&dst[i], t->data + 4 * i, sizeof *dst);
        } else {
            uint16_t half;
            memcpy(&half, t->data + 2 * i, sizeof half);
            dst[i] = vbg_f16_to_f32(half);
        }
    }
}
