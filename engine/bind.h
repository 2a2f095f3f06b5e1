/* Binds the weights of a network to a component of a .vbg file.
 *
 * A model's bind function asks for each tensor by name; what is missing or has
 * another shape is collected and reported all at once by vbg_bind_finish.
 *
 *     vbg_bind b;
 *     vbg_bind_start(&b, weights, "unet");
 *     vbg_bind_layer(&b, &m->conv_in, 320, 4, 3, 3, VBG_BIND_BIAS, "conv_in");
 *     vbg_bind_norm(&b, &m->norm_out, 320, "conv_norm_out");
 *     return vbg_bind_finish(&b, err);
 *
 * Names are printf formats: PREFIX gives PREFIX.weight and PREFIX.bias.
 *
 * With parameters attached to the file (engine/param.h) the selected tensors are bound to
 * them; those that the file lacks are declared when their sizes are all stated. */
#ifndef VBG_ENGINE_BIND_H
#define VBG_ENGINE_BIND_H

#include "engine/ops.h"
#include "engine/param.h"
#include "engine/weights.h"

typedef struct vbg_bind {
    const vbg_weights *file;
    vbg_params *params; /* what stands in for tensors of file, or NULL */
    const char *component;
    int problems;
    size_t used;      /* characters in report */
    char report[768]; /* names of missing and misshapen tensors */
} vbg_bind;

enum {                          /* flags of vbg_bind_layer */
       VBG_BIND_BIAS = 1,       /* PREFIX.bias must exist                    */
       VBG_BIND_MAYBE_BIAS = 2, /* bound when present                        */
       VBG_BIND_OPTIONAL = 4,   /* absent weight: out->data stays NULL       */
       VBG_BIND_TRANSPOSED = 8, /* transposed convolution, dims [c][oc][kh][kw] */
       VBG_BIND_DEPTHWISE = 16  /* groups == oc, c == 1                      */
};

void vbg_bind_start(vbg_bind *b, const vbg_weights *w, const char *component);

/* A linear or convolution layer.  A size of 0 accepts what the file has.
 * Linear layers stored with rank 4 (1x1) and the reverse are both accepted.
 * Returns false (and notes it) when missing or misshapen. */
bool vbg_bind_layer(vbg_bind *b, vbg_weight *out, int oc, int c, int kh, int kw,
                    int flags, const char *prefix, ...) VBG_PRINTF(8, 9);
/* gamma = PREFIX.weight, beta = PREFIX.bias, f32. */
bool vbg_bind_norm(vbg_bind *b, vbg_norm_w *out, int c, const char *prefix, ...)
    VBG_PRINTF(4, 5);
/* A plain f32 vector of count values (0: any; *count_out gets it, may be NULL). */
const float *vbg_bind_vector(vbg_bind *b, size_t count, size_t *count_out,
                             const char *name, ...) VBG_PRINTF(4, 5);
/* A plain tensor as it is; NULL and noted when missing. */
const vbg_entry *vbg_bind_entry(vbg_bind *b, const char *name, ...) VBG_PRINTF(2, 3);
/* As vbg_bind_entry, but absence is no problem. */
const vbg_entry *vbg_bind_maybe(vbg_bind *b, const char *name, ...) VBG_PRINTF(2, 3);
/* Notes a problem of the model's own finding. */
void vbg_bind_problem(vbg_bind *b, const char *fmt, ...) VBG_PRINTF(2, 3);
/* VBG_OK, or VBG_EFORMAT with all problems in one line. */
vbg_status vbg_bind_finish(const vbg_bind *b, vbg_err *err);

/* Batch norm of a layer.  Trained (its tensors are parameters): layer->bn is set and
 * vbg_conv2d and vbg_linear apply it.  Otherwise folded into scale and bias:
 *   scale = gamma / sqrt(var + eps), bias = beta - mean * scale (+ conv bias * scale)
 * read from PREFIX.{weight,bias,running_mean,running_var}.  The arrays are taken
 * from pool, which the model frees with vbg_pool_free. */
typedef struct vbg_pool_mem vbg_pool_mem;
vbg_pool_mem *vbg_pool_new(void);                   /* NULL: no memory */
void vbg_pool_free(vbg_pool_mem *p);                /* accepts NULL */
void *vbg_pool_take(vbg_pool_mem *p, size_t bytes); /* zeroed, 64-byte aligned, or NULL */
bool vbg_bind_batch_norm(vbg_bind *b, vbg_pool_mem *pool, vbg_weight *layer, float eps,
                         const char *prefix, ...) VBG_PRINTF(5, 6);

#endif
