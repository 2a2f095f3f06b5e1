/* Trainable parameters: f32 master values with gradients, and the packed copies that
 * the kernels read.
 *
 * A set of parameters is attached to an open weights file (vbg_params_attach).  From then
 * on every tensor that a model binds from that file and that is selected becomes a
 * parameter: the model's pointers (vbg_weight.data, bias, gamma, ...) point into the set
 * instead of into the file.  Models stay as they are; an op asks vbg_trainable (tape.h)
 * with the very pointer it reads.
 *
 *     vbg_params_new(&p, VBG_BF16, err);
 *     vbg_params_select(p, "caa", "*");
 *     vbg_params_attach(p, weights);
 *     ... bind the model from weights ...
 *     vbg_params_refresh(p, ctx);               after every change of values
 */
#ifndef VBG_ENGINE_PARAM_H
#define VBG_ENGINE_PARAM_H

#include "engine/weights.h"
#include "kernels/train.h"

typedef struct vbg_ctx vbg_ctx;
typedef struct vbg_params vbg_params;

typedef struct vbg_param {
    vbg_entry entry; /* name, shape (PyTorch order), layout; for plain tensors data is
                        value, so that models may read it as they read a file's entry */
    size_t count;
    float *value;     /* master, PyTorch order */
    float *grad;      /* the same; NULL for buffers */
    bool buffer;      /* running statistics: kept in checkpoints, not optimised */
    void *packed;     /* value for plain tensors, else the form of entry.layout */
    vbg_dtype dtype;  /* of packed */
    uint64_t version; /* counts the calls of vbg_params_changed */
    uint64_t fresh;   /* version that packed was made from */
    void *back;       /* for the backward of convolutions, owned here, made by it */
    size_t back_bytes;
    uint64_t back_version;
} vbg_param;

/* t: type of packed layers, VBG_F32 or VBG_BF16 (vbg_ctx_act of the context that
 * trains).  Errors: VBG_ENOMEM. */
vbg_status vbg_params_new(vbg_params **out, vbg_dtype t, vbg_err *err);
void vbg_params_free(vbg_params *p); /* accepts NULL; after the models that point here */

/* Tensors of component whose names match the glob pattern become parameters; the last
 * selection that matches decides.  train false: they stay frozen. */
void vbg_params_select(vbg_params *p, const char *component, const char *pattern,
                       bool train);
/* A tensor that the file lacks is created with its usual initial values (as PyTorch's
 * layers do; from seed and its name) when the model states its full shape. */
void vbg_params_declare(vbg_params *p, uint64_t seed);
/* Binds of w's tensors go through p, which must outlive w's models. */
void vbg_params_attach(vbg_params *p, vbg_weights *w);

size_t vbg_params_count(const vbg_params *p);
vbg_param *vbg_params_at(const vbg_params *p, size_t i); /* in order of binding */
vbg_param *vbg_params_find(const vbg_params *p, const char *component, const char *name);
/* The parameter whose packed or value is at data, or NULL. */
vbg_param *vbg_params_by_data(const vbg_params *p, const void *data);
/* Values in all (buffers left out). */
size_t vbg_params_values(const vbg_params *p);

void vbg_params_zero_grad(vbg_params *p, vbg_ctx *c);
/* value was written by the caller. */
void vbg_param_changed(vbg_param *m);
/* The same for a caller that writes value in runs of vbg_param_run values and packs each
 * while it is near: vbg_param_pack for [first, first+count), which are whole runs but for
 * the last, then vbg_param_packed instead of vbg_param_changed.  A run is what packs by
 * itself; 0: this parameter is packed as a whole by vbg_params_refresh. */
size_t vbg_param_run(const vbg_param *m);
void vbg_param_pack(vbg_param *m, const vbg_train_kernels *k, size_t first, size_t count);
void vbg_param_packed(vbg_param *m);
/* Packs again what changed, on the context's threads. */
void vbg_params_refresh(vbg_params *p, vbg_ctx *c);

/* ---- for engine/bind.c ---- */

typedef enum vbg_init { /* of tensors that the file lacks */
                        VBG_INIT_ZERO,
                        VBG_INIT_ONE,
                        VBG_INIT_UNIFORM, /* in +-scale, 1/sqrt(fan in) */
                        VBG_INIT_NORMAL   /* standard deviation scale */
} vbg_init;

/* The parameter for a tensor, made on first use: from e, or (e NULL) declared with the
 * shape and init.  NULL: not selected, or neither is possible, or no memory. */
vbg_param *vbg_params_take(vbg_params *p, const vbg_entry *e, const vbg_entry *shape,
                           vbg_init init, float scale);
bool vbg_params_selected(const vbg_params *p, const char *component, const char *name);
/* Marks running statistics. */
void vbg_param_is_buffer(vbg_param *m);

#endif
