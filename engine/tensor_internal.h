/* What the tape knows of the context beyond engine/tensor.h.  Private to engine/. */
#ifndef VBG_ENGINE_TENSOR_INTERNAL_H
#define VBG_ENGINE_TENSOR_INTERNAL_H

#include "engine/tensor.h"

struct vbg_tape;
struct vbg_tape *vbg_ctx_tape(const vbg_ctx *c);
void vbg_ctx_set_tape(vbg_ctx *c, struct vbg_tape *tape);

/* One more, one less owner of t's memory, beside its scope. */
void vbg_hold(const vbg_tensor *t);
void vbg_release(vbg_ctx *c, const vbg_tensor *t);
/* Whether nothing else shares t's memory, given that the caller holds t. */
bool vbg_sole(const vbg_tensor *t);

/* Counts products of an op for vbg_ctx_macs, while planning. */
void vbg_count_macs(vbg_ctx *c, double macs);

/* part is of's channels from channel, images from image on: its gradient is added to
 * that part of of's.  (engine/tape.c) */
void vbg_record_part(vbg_ctx *c, const vbg_tensor *of, vbg_tensor *part, int channel,
                     int image);

#endif
