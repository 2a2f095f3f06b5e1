/* The multi-view UNet: the UNet of Stable Diffusion with a correspondence-aware
 * attention block at every level of the encoder, in the middle and at every level of
 * the decoder.  Any number of views from two on; any sizes the UNet takes.
 *
 *     vbg_rig_open       cameras -> geometry of every level
 *     vbg_rig_tables     encodings and their projections (needs the weights)
 *     vbg_unet_forward   with vbg_mvunet_couple as hook
 *
 * Source: Tang et al. 2023 (MVDiffusion), panorama generation. */
#ifndef VBG_MODELS_MVUNET_H
#define VBG_MODELS_MVUNET_H

#include "models/caa.h"
#include "models/unet.h"

enum { VBG_MV_PLACES = 2 * VBG_UNET_LEVELS + 1 };

typedef struct vbg_mvunet {
    vbg_unet unet;
    int places; /* 2*levels + 1; 0: no CAA */
    vbg_caa_block caa[VBG_MV_PLACES];
} vbg_mvunet;

/* Binds the UNet and, when the file has the component `caa`, its blocks.  m borrows
 * from w.  Errors: VBG_EFORMAT naming all missing and misshapen tensors. */
vbg_status vbg_mvunet_bind(vbg_mvunet *m, const vbg_unet_config *cfg,
                           const vbg_weights *w, const char *unet, const char *caa,
                           vbg_err *err);

/* The blocks alone, from another file; m->unet is bound already. */
vbg_status vbg_mvunet_bind_caa(vbg_mvunet *m, const vbg_weights *w, const char *caa,
                               vbg_err *err);

typedef struct vbg_rig vbg_rig;

/* Geometry for pictures of picture_w x picture_h and latents of w x h.  m must
 * outlive the rig.  Errors: VBG_ENOMEM, VBG_EUSAGE. */
vbg_status vbg_rig_open(vbg_rig **out, const vbg_mvunet *m, const vbg_camera *cam,
                        int views, int picture_w, int picture_h, int w, int h,
                        vbg_err *err);
void vbg_rig_close(vbg_rig *r); /* accepts NULL */
/* Level i of the UNet, for oracles that put in recorded geometry. */
vbg_caa_level *vbg_rig_level(vbg_rig *r, int i);
/* Makes the tables of one place; call for every place in order.  Errors: VBG_ENOMEM. */
vbg_status vbg_rig_tables(vbg_rig *r, vbg_ctx *c, int place, vbg_err *err);
/* Tables of all places for training, see vbg_caa_tables_train.  Errors: VBG_ENOMEM. */
vbg_status vbg_rig_train(vbg_rig *r, vbg_ctx *c, vbg_err *err);
/* Puts in empty tables, enough to plan a forward pass.  Errors: VBG_ENOMEM. */
vbg_status vbg_rig_shapes(vbg_rig *r, vbg_dtype t, vbg_err *err);
/* Bytes of all tables in a context of activation type t. */
size_t vbg_rig_bytes(const vbg_rig *r, vbg_dtype t);

/* vbg_unet_hooks.couple; arg is a vbg_rig with all tables made. */
vbg_tensor *vbg_mvunet_couple(void *arg, vbg_ctx *c, int place, const vbg_tensor *x);

/* Multiply-adds of the blocks for one view of h x w latents (about). */
double vbg_mvunet_caa_macs(const vbg_mvunet *m, int h, int w);

#endif
