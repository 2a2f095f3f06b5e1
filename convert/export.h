/* From .vbg files back to safetensors with the names that the Python projects load.
 *
 *     noisrucer, coincheung  one file, the state dict of the BiSeNet project
 *     caa                    one file, MVDiffusion's mv_base_model.cp_blocks_...
 *     diffusers              a folder: unet, vae, text_encoder, tokenizer, scheduler,
 *                            model_index.json
 *     plain                  one file, names as they are (other networks)
 *
 * Values are unpacked to PyTorch's order.  Reading the result again gives the same .vbg
 * tensors bit for bit when the type holds them. */
#ifndef VBG_CONVERT_EXPORT_H
#define VBG_CONVERT_EXPORT_H

#include "engine/weights.h"

typedef struct vbg_export_opt {
    const char *layout; /* one of the names above, NULL: by model.arch */
    vbg_dtype dtype;    /* VBG_F32, VBG_F16 or VBG_BF16 */
} vbg_export_opt;

typedef struct vbg_export_result {
    const char *layout;    /* static */
    size_t tensors, added; /* written; of them made up (counters, unused heads) */
    uint64_t parameters;
} vbg_export_result;

/* Writes the .vbg file in to out (a file, or a new or empty folder for diffusers).
 * result may be NULL.  Errors: those of vbg_weights_open; VBG_EUSAGE (the layout is not
 * for this model; out is in); VBG_EUNSUPPORTED (a tensor of a type without values);
 * VBG_EIO, VBG_ENOMEM. */
vbg_status vbg_export(const char *in, const char *out, const vbg_export_opt *opt,
                      vbg_export_result *result, vbg_err *err);

/* ---- the parts (export.c, export_tokenizer.c) ---- */

/* vocab.json, merges.txt, tokenizer_config.json and special_tokens_map.json in folder,
 * from metadata tokenizer.merges and tokenizer.config; nothing when the file has none.
 * Errors: VBG_EFORMAT, VBG_EIO, VBG_ENOMEM. */
vbg_status vbg_export_tokenizer(const vbg_weights *w, const char *folder, vbg_err *err);
/* A whole file of text, atomically. */
vbg_status vbg_export_text(const char *path, const char *text, size_t bytes,
                           vbg_err *err);

#endif
