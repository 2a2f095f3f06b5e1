/* CLIP: the text towers of Stable Diffusion 1 and 2, the image tower, the score.
 *
 * Both towers are pre-norm transformers, eps 1e-5, heads of width/heads, biases
 * everywhere but in the patch convolution and the projections:
 *
 *     x = x + out(attention(q, k, v of norm1(x)));  x = x + fc2(act(fc1(norm2(x))))
 *
 *     text   tokens + positions -> blocks (causal) -> final norm -> row of the
 *            first end token -> text_projection
 *     image  patches (row-major, class token first) + positions -> pre-norm ->
 *            blocks -> class token -> post-norm -> visual_projection
 *
 * Names are Hugging Face's without `text_model.` / `vision_model.`; other spellings
 * are renamed at conversion (convert/clip_names.h), where SD2's unused last block
 * goes too, so that "penultimate" needs no code here.
 * Source: Radford et al. 2021, section 2.4. */
#ifndef VBG_MODELS_CLIP_H
#define VBG_MODELS_CLIP_H

#include "engine/bind.h"
#include "engine/ops.h"
#include "engine/picture.h"
#include "engine/weights.h"

enum { VBG_CLIP_MAX_LAYERS = 64 };

typedef struct vbg_clip_block {
    vbg_norm_w norm1, norm2;
    vbg_weight q, k, v, out, fc1, fc2;
} vbg_clip_block;

/* What the shapes of the tensors do not say.  heads 0: width / 64. */
typedef struct vbg_clip_opt {
    int heads;
    vbg_act act; /* VBG_ACT_QUICK_GELU (OpenAI) or VBG_ACT_GELU (OpenCLIP) */
    float eps;   /* 0: 1e-5 */
} vbg_clip_opt;

typedef struct vbg_clip_tower {
    int width, heads, layers;
    vbg_act act;
    float eps;
    vbg_clip_block block[VBG_CLIP_MAX_LAYERS];
} vbg_clip_tower;

typedef struct vbg_clip_text {
    vbg_clip_tower tower;
    int vocab, positions;              /* 49408, 77 */
    const vbg_entry *token, *position; /* [vocab][width], [positions][width] plain */
    vbg_norm_w final_norm;
    vbg_weight projection; /* data NULL when the file has none */
} vbg_clip_text;

typedef struct vbg_clip_image {
    vbg_clip_tower tower;
    int image, patch, grid;    /* side in pixels, of a patch, patches per side */
    const float *class_token;  /* [width] */
    const vbg_entry *position; /* [grid*grid + 1][width] plain */
    vbg_weight patches;        /* [width][3][patch][patch], no bias */
    vbg_norm_w pre_norm, post_norm;
    vbg_weight projection;
} vbg_clip_image;

/* Reads heads and act from a diffusers/transformers config.json text
 * (num_attention_heads, hidden_act, layer_norm_eps; a whole CLIPModel config is
 * entered by section, "text_config" or "vision_config"; section may be NULL).
 * NULL or absent fields keep what *opt holds.  Errors: VBG_EFORMAT. */
vbg_status vbg_clip_opt_read(vbg_clip_opt *opt, const char *json, const char *section,
                             vbg_err *err);

/* Binds a text tower to the tensors PREFIXembeddings.token_embedding.weight, ... of
 * a component.  prefix is "" in .vbg files.  m borrows from w.
 * Errors: VBG_EFORMAT naming all missing and misshapen tensors. */
vbg_status vbg_clip_text_bind(vbg_clip_text *m, const vbg_weights *w,
                              const char *component, const char *prefix, vbg_clip_opt opt,
                              vbg_err *err);

/* As above with the options of the package: metadata `text.config`. Component `text`. */
vbg_status vbg_clip_text_open(vbg_clip_text *m, const vbg_weights *w, vbg_err *err);

/* ids [n][77] -> [n, 1, 77, width], the state after the final norm: what the UNet
 * attends to.  ids are read while running only.  Ids outside the vocabulary abort:
 * the tokenizer gives none, check those from elsewhere with vbg_clip_ids_valid. */
vbg_tensor *vbg_clip_text_forward(vbg_ctx *c, const vbg_clip_text *m, const int *ids,
                                  int n);
bool vbg_clip_ids_valid(const vbg_clip_text *m, const int *ids, size_t count);

/* The state after `layers` blocks, before any norm (0: the embeddings), same shape. */
vbg_tensor *vbg_clip_text_hidden(vbg_ctx *c, const vbg_clip_text *m, const int *ids,
                                 int n, int layers);

/* state [n,1,77,width] after the final norm -> [n,1,1,width]: the row of the first
 * end token (the first largest id, as in every implementation). */
vbg_tensor *vbg_clip_text_pool(vbg_ctx *c, const vbg_clip_text *m,
                               const vbg_tensor *state, const int *ids);

/* Binds the image tower: PREFIXembeddings.patch_embedding.weight, ...; projection is
 * the full name of the visual projection or NULL. */
vbg_status vbg_clip_image_bind(vbg_clip_image *m, const vbg_weights *w,
                               const char *component, const char *prefix,
                               const char *projection, vbg_clip_opt opt, vbg_err *err);

/* pixels [n, image, image, 3] normalised -> state after `layers` blocks
 * [n, 1, grid*grid + 1, width]; layers 0 is behind the pre-norm. */
vbg_tensor *vbg_clip_image_hidden(vbg_ctx *c, const vbg_clip_image *m,
                                  const vbg_tensor *pixels, int layers);
/* State after all blocks -> [n,1,1,width]: post-norm of the class token. */
vbg_tensor *vbg_clip_image_pool(vbg_ctx *c, const vbg_clip_image *m,
                                const vbg_tensor *state);

/* Where the centre crop begins when (n - size) is odd. */
typedef enum vbg_clip_crop {
    VBG_CLIP_CROP_TORCHVISION, /* half to even: openai/CLIP */
    VBG_CLIP_CROP_FLOOR        /* transformers */
} vbg_clip_crop;

/* Short side to size (Pillow bicubic), long side int(size*long/short), centre crop.
 * dst is a new size x size RGB picture, owned by the caller; src has 3 channels.
 * Errors: VBG_EUSAGE (channels), VBG_ELIMIT, VBG_ENOMEM. */
vbg_status vbg_clip_preprocess(vbg_picture *dst, const vbg_picture *src, int size,
                               vbg_clip_crop crop, vbg_err *err);
/* x [size*size*3] f32 = (v/255 - mean) / std, CLIP's constants, NHWC. */
void vbg_clip_normalise(float *x, const vbg_picture *rgb);

/* Divides each of n rows of c values by its L2 norm, in place (double inside;
 * a zero row stays zero). */
void vbg_clip_unit_rows(float *x, size_t n, size_t c);

#endif
