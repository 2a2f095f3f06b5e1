/* A two-tower model (CLIP and its kin): pictures and texts to one space. */
#ifndef VBG_TOOLS_EVAL_TOWERS_H
#define VBG_TOOLS_EVAL_TOWERS_H

#include "engine/picture.h"
#include "engine/tensor.h"

typedef struct vbg_towers vbg_towers;

/* Opens a .vbg with the component vision (and text, and the tokenizer: may be missing
 * until a text is asked for).  Errors: those of vbg_weights_open, VBG_EUNSUPPORTED. */
vbg_status vbg_towers_open(vbg_towers **out, const char *path, const vbg_ctx_opt *opt,
                           vbg_err *err);
void vbg_towers_close(vbg_towers *t); /* accepts NULL */
/* Values of an embedding. */
size_t vbg_towers_width(const vbg_towers *t);
/* out [width]: the projected embedding.  Errors: VBG_ENOMEM; picture of 3 channels. */
vbg_status vbg_towers_picture(vbg_towers *t, const vbg_picture *p, float *out,
                              vbg_err *err);
vbg_status vbg_towers_text(vbg_towers *t, const char *text, float *out, vbg_err *err);

#endif
