/* OpenAI/OpenCLIP tensor names of CLIP towers to the canonical (Hugging Face) ones of
 * .vbg components `text` and `vision`.
 *
 *     transformer.resblocks.3.attn.in_proj_weight   three tensors, q k v, in this order
 *     text_projection, visual.proj                  transposed: [width][projection] ->
 *                                                   [projection][width]
 *     attn_mask, position_ids                       left out
 * SD2 never uses the last text block: the converter drops that layer number. */
#ifndef VBG_CONVERT_CLIP_NAMES_H
#define VBG_CONVERT_CLIP_NAMES_H

#include "engine/base.h"

typedef enum vbg_clip_change {
    VBG_CLIP_COPY,
    VBG_CLIP_SPLIT3,    /* rows in thirds: name[0], name[1], name[2] */
    VBG_CLIP_TRANSPOSE, /* rank 2 */
    VBG_CLIP_LEAVE_OUT
} vbg_clip_change;

typedef struct vbg_clip_rename {
    vbg_clip_change change;
    bool vision; /* component `vision` instead of `text` */
    int layer;   /* block number or -1 */
    char name[3][96];
} vbg_clip_rename;

/* name without any package prefix (LDM files: cut `cond_stage_model.model.` first).
 * False when it is no name of this layout. */
bool vbg_clip_openclip_name(vbg_clip_rename *out, const char *name);

/* A canonical name from a Hugging Face one: cuts `text_model.` or `vision_model.` and
 * says which component; position_ids are left out; `text_projection.weight`,
 * `visual_projection.weight` and `logit_scale` keep their names.  False when the name
 * has none of these forms. */
bool vbg_clip_hf_name(vbg_clip_rename *out, const char *name);

#endif
