/* What the files of the generation pipeline share.  Private to models/generate*.c. */
#ifndef VBG_MODELS_GENERATE_INTERNAL_H
#define VBG_MODELS_GENERATE_INTERNAL_H

#include "models/clip.h"
#include "models/generate.h"
#include "models/mvunet.h"
#include "models/taesd.h"
#include "models/tokenizer.h"
#include "models/vae.h"

struct vbg_generator {
    vbg_weights *file;
    vbg_ctx *c;
    vbg_pool_mem *pool; /* prepared weights */
    vbg_tokenizer *tokenizer;
    vbg_clip_text text;
    vbg_mvunet m;
    vbg_vae vae;
    vbg_taesd tiny;
    bool has_vae, has_tiny;
    vbg_noise_schedule schedule;
    vbg_isa isa;
    size_t weight_bytes;
    char name[128];

    vbg_rig *rig; /* kept for the next request with the same cameras and size */
    vbg_camera rig_cam[VBG_GEN_MAX_VIEWS];
    int rig_views, rig_w, rig_h;
};

/* A request that was checked: everything resolved. */
typedef struct vbg_gen_task {
    const vbg_gen_request *r;
    int views, lw, lh;    /* latents of a view */
    int factor, channels; /* pixels per latent; input channels of the UNet */
    int coded;            /* pixels per latent of the pictures it learned from: the
                             cameras of the coupling are theirs */
    int latent;           /* channels of a latent: 4 in Stable Diffusion */
    bool guided, coupled, tiny;
    double guidance, rescale; /* rescale: share of the guided output's spread that is
                                 brought back to the text's own (Lin et al. 2024) */
    int batch;                /* images of one call */
    int texts;                /* prompts, with the negative one first when guided */
    int pick[2 * VBG_GEN_MAX_VIEWS];
    vbg_camera cam[VBG_GEN_MAX_VIEWS];
} vbg_gen_task;

/* Errors: see vbg_generator_plan. */
vbg_status vbg_gen_check(const vbg_generator *g, const vbg_gen_request *r,
                         vbg_gen_task *t, vbg_err *err);

/* One UNet call as a job: in [batch][lh][lw][channels] -> out [batch][lh][lw][latent]. */
typedef struct vbg_gen_call {
    const vbg_generator *g;
    const vbg_gen_task *t;
    const vbg_unet_text *text;
    vbg_rig *rig; /* NULL: views stay apart */
    const float *in;
    float *out;
    double time;
} vbg_gen_call;
vbg_job vbg_gen_call_job;

/* One view: latents z [lh][lw][latent] as the UNet makes them -> picture f32 [h][w][3]
 * (VAE: -1..1, TAESD: 0..1). */
typedef struct vbg_gen_decode {
    const vbg_generator *g;
    const vbg_gen_task *t;
    const float *z;
    float *out;
} vbg_gen_decode;
vbg_job vbg_gen_decode_job;

/* ids [texts][77] -> state [texts][77][width]. */
typedef struct vbg_gen_text {
    const vbg_generator *g;
    const int *ids;
    int texts;
    float *state;
} vbg_gen_text;
vbg_job vbg_gen_text_job;

#endif
