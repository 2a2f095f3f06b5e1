/* Trained parameters as a .vbg component. */
#ifndef VBG_TOOLS_TRAIN_EXPORT_H
#define VBG_TOOLS_TRAIN_EXPORT_H

#include "engine/param.h"
#include "engine/weights.h"

/* A file being written: everything is declared first, then put. */
typedef struct vbg_export {
    vbg_writer *w;
    vbg_dtype layers; /* type of packed layers; everything else is f32 */
} vbg_export;

/* layers: VBG_BF16 or VBG_F32.  Errors: those of vbg_writer_new. */
vbg_status vbg_export_new(vbg_export *e, const char *path, vbg_dtype layers,
                          vbg_err *err);
/* Everything of a package but one component: its metadata and the shapes of its tensors,
 * and, when all is declared, their values.  Errors: also VBG_EUNSUPPORTED (layouts that
 * no Stable Diffusion package has). */
vbg_status vbg_export_declare_file(vbg_export *e, const vbg_weights *w,
                                   const char *without, vbg_err *err);
vbg_status vbg_export_put_file(vbg_export *e, const vbg_weights *w, const char *without,
                               vbg_err *err);
/* All parameters of a component of p. */
vbg_status vbg_export_declare(vbg_export *e, const vbg_params *p, const char *component,
                              vbg_err *err);
/* Values of one parameter other than its own: v [count], PyTorch order. */
vbg_status vbg_export_put(vbg_export *e, const vbg_param *m, const float *v,
                          vbg_err *err);
/* Their values; those of names (ended by NULL, may be NULL) are left to
 * vbg_export_put. */
vbg_status vbg_export_put_all(vbg_export *e, const vbg_params *p, const char *component,
                              const char *const *without, vbg_err *err);
/* Ends the file when st is VBG_OK, else removes it; returns what went wrong. */
vbg_status vbg_export_end(vbg_export *e, vbg_status st, vbg_err *err);

#endif
