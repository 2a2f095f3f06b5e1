/* From the tensor names of the various layouts to the canonical ones of .vbg files.
 *
 * Components and their names: `unet`, `vae` (diffusers names, new attention spelling,
 * attention weights of rank 2), `text`, `vision` (Hugging Face names without
 * text_model. / vision_model.), `caa` (upstream names without mv_base_model.), `taesd`
 * (original names encoder.N, decoder.N), `segmenter` (names of its own project).
 * Source of the tables: ../shared/spec/generation.md section 5, mvdiffusion.md 7. */
#ifndef VBG_CONVERT_NAMES_H
#define VBG_CONVERT_NAMES_H

#include "convert/source.h"

/* How the names of one source are spelt. */
typedef enum vbg_naming {
    VBG_NAMING_UNKNOWN,
    VBG_NAMING_PREFIXED,   /* one file with prefixes: ldm, MVDiffusion, unet. vae. te.  */
    VBG_NAMING_FOLDER,     /* each tensor's part says its component                     */
    VBG_NAMING_UNET,       /* diffusers UNet alone                                      */
    VBG_NAMING_VAE,        /* diffusers VAE alone                                       */
    VBG_NAMING_CAA,        /* with or without mv_base_model.                            */
    VBG_NAMING_TAESD,      /* encoder.N / decoder.N                                     */
    VBG_NAMING_TAESD_TINY, /* encoder.layers.N / decoder.layers.N-1                     */
    VBG_NAMING_CLIP,       /* Hugging Face CLIP                                         */
    VBG_NAMING_OPENCLIP,   /* OpenAI or OpenCLIP                                        */
    VBG_NAMING_SEGMENTER   /* names stay                                                */
} vbg_naming;

typedef enum vbg_change {
    VBG_CHANGE_COPY,
    VBG_CHANGE_SPLIT3,    /* rows in thirds: name, name2, name3 */
    VBG_CHANGE_TRANSPOSE, /* rank 2 */
    VBG_CHANGE_SQUEEZE    /* [a,b,1,1] becomes [a,b] */
} vbg_change;

typedef enum vbg_name_fate {
    VBG_NAME_UNKNOWN,
    VBG_NAME_IGNORED, /* known to be of no use for inference */
    VBG_NAME_MAPPED
} vbg_name_fate;

typedef struct vbg_mapped {
    const char *component;
    vbg_change change;
    int openclip_layer; /* block number of an OpenCLIP text tower, else -1 */
    char name[1040], name2[160], name3[160];
} vbg_mapped;

/* What a source is.  arch: value of model.arch; kind: the same in words. */
typedef struct vbg_detected {
    vbg_naming naming;
    const char *arch, *kind;
} vbg_detected;

/* Looks at names (and shapes) only.  Errors: VBG_EUNSUPPORTED naming what the file
 * seems to be, or what it would need to be. */
vbg_status vbg_detect(vbg_detected *out, const vbg_source *s, vbg_err *err);

/* Maps one tensor of a source of this naming; part as in vbg_source_tensor. */
vbg_name_fate vbg_map_name(vbg_mapped *out, vbg_naming naming, const char *part,
                           const char *name);

/* The single layouts (names_ldm.c): rest is the name behind the prefix.  False when it
 * is no name of this layout. */
bool vbg_ldm_unet_name(char *out, size_t size, const char *rest);
bool vbg_ldm_vae_name(char *out, size_t size, const char *rest);

/* rest of s behind prefix, or NULL. */
const char *vbg_after(const char *s, const char *prefix);

#endif
