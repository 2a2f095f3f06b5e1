/* What the losses share.  Private to engine/. */
#ifndef VBG_ENGINE_LOSS_INTERNAL_H
#define VBG_ENGINE_LOSS_INTERNAL_H

#include "engine/tensor.h"

/* Element of a f32 or bf16 tensor. */
double vbg_loss_get(const vbg_tensor *t, size_t row, size_t col);
void vbg_loss_put(const vbg_tensor *t, size_t row, size_t col, double v);
/* *value (not read while planning) as a loss. */
vbg_tensor *vbg_loss_value(vbg_ctx *c, const double *value);

#endif
