/* Text to pictures: the whole chain of a Stable Diffusion package, with or without
 * the correspondence-aware attention (CAA) that couples the views of a panorama.
 *
 *     prompts -> tokenizer -> text tower -> [UNet (+ CAA), guidance, sampler] x calls
 *             -> latents -> VAE (or TAESD) -> one RGB picture per view
 *
 * Nothing is printed; progress goes to a callback, intermediate arrays to another.
 * A generator is used by one thread at a time; it runs on the context's threads.
 *
 * Noise: Philox4x32-10 and Box-Muller in double (models/rng.h), view-major: the
 * starting latents of view v are the values v*c*h*w ... of the stream (seed, 0) in
 * [channel][row][column] order; the ancestral noise of call i is the same of the
 * stream (seed, 1+i).  Equal seed and ISA give equal bytes for any thread count.
 * Sources: Rombach et al. 2022; Tang et al. 2023 (MVDiffusion); Ho and Salimans
 * 2022 (guidance). */
#ifndef VBG_MODELS_GENERATE_H
#define VBG_MODELS_GENERATE_H

#include "engine/picture.h"
#include "engine/tensor.h"
#include "models/sampler.h"

typedef struct vbg_generator vbg_generator;

enum {
    VBG_GEN_MAX_VIEWS = 32,
    VBG_GEN_MIN_SIDE = 64, /* pixels of a view */
    VBG_GEN_MAX_SIDE = 2048,
    VBG_GEN_MODEL = -1 /* what the package's metadata recommends */
};

/* Opens a package (.vbg, model.arch `sd`) and binds text tower, UNet, VAE and, when
 * it has one, CAA.  Missing, misshapen and unknown-shaped weights are reported all
 * at once.  opt: threads, isa, precision (see vbg_ctx_opt); borrowed for the call.
 * *out is closed by the caller.
 * Errors: those of vbg_weights_open; VBG_EFORMAT (tensors, configs; a package of
 * another architecture), VBG_EUNSUPPORTED, VBG_ENOMEM. */
vbg_status vbg_generator_open(vbg_generator **out, const char *path,
                              const vbg_ctx_opt *opt, vbg_err *err);
void vbg_generator_close(vbg_generator *g); /* accepts NULL */

/* What the package is; strings live as long as the generator and are never NULL. */
typedef struct vbg_generator_info {
    const char *name;            /* model.name, else the file name without .vbg */
    const char *hash;            /* model.hash (10 hex digits) or "" */
    const char *about;           /* model.about: what it can draw, or "" */
    bool has_caa;                /* may make panoramas */
    bool has_vae;                /* else the tiny decoder (TAESD) is used */
    int in_channels;             /* 4; 9: inpainting, everything is then generated */
    int latent_channels;         /* 4 */
    int default_side;            /* pixels of a view the model was made for (512, 768) */
    int factor;                  /* pixels per latent: 8 */
    vbg_noise_schedule schedule; /* schedule.kind: the sampler the package names */
    vbg_isa isa;                 /* level in use */
    vbg_dtype compute;           /* type of activations in use: VBG_F32 or VBG_BF16 */
    int threads;
} vbg_generator_info;
void vbg_generator_get_info(const vbg_generator *g, vbg_generator_info *info);

/* What to make.  Start from vbg_gen_request_default(). */
typedef struct vbg_gen_request {
    int views;                 /* panorama: usually 8, at least 3; flat: pictures, 1 */
    bool flat;                 /* no CAA: every view for itself */
    const char *const *prompt; /* [views] or [1] UTF-8 */
    int prompts;               /* 1 (for all views) or views */
    const char *negative;      /* "" or NULL: the empty prompt */
    int width, height;         /* pixels of a view, multiples of 8; a panorama is square.
                                  0: the model's, or what latents say */
    int steps;                 /* 20 */
    double guidance;           /* VBG_GEN_MODEL: the package's own, else 7.5;
                                  <= 1: no negative pass */
    uint64_t seed;             /* 42 */
    vbg_sampler_kind sampler;  /* VBG_SAMPLER_MODEL: the package's */
    double hfov_deg;           /* panorama: field of view of each view, 90 */
    const double *yaw_deg;     /* [views], NULL: 360 v / views */
    const double *pitch_deg;   /* [views], NULL: 0 */
    const float *latents;      /* NULL, or [views][c][lh][lw] before init sigma */
    int latent_c, latent_h, latent_w; /* of latents */
    bool tiny_decoder;                /* TAESD when the package has it */
} vbg_gen_request;
vbg_gen_request vbg_gen_request_default(void);

/* Checks a request against the package and says what it costs, running nothing.
 * Errors: VBG_EUSAGE with one line naming the field (no CAA in the package and not
 * flat, sizes, steps, blank prompt, invalid UTF-8, ...), VBG_ELIMIT. */
typedef struct vbg_gen_plan {
    int width, height, views, steps;
    int calls; /* network calls (batches of all views) */
    int batch; /* images of one call: views, twice with guidance */
    vbg_sampler_kind sampler;
    double guidance;     /* the one that will be used */
    size_t weight_bytes; /* mapped from the file */
    size_t work_bytes;   /* slab, tables and buffers of this request */
    double macs;         /* multiply-adds of the whole request, about */
} vbg_gen_plan;
vbg_status vbg_generator_plan(vbg_generator *g, const vbg_gen_request *r,
                              vbg_gen_plan *plan, vbg_err *err);

typedef enum vbg_gen_stage {
    VBG_GEN_TEXT,   /* i of 1: prompts */
    VBG_GEN_TABLES, /* i of CAA blocks: tables of the rig, once per rig and size */
    VBG_GEN_SAMPLE, /* i of calls done */
    VBG_GEN_DECODE  /* i of views done */
} vbg_gen_stage;

/* Callbacks, all optional, called from the thread of vbg_generate. */
typedef struct vbg_gen_hooks {
    void *arg;
    /* After each piece of work (and with done 0 at the start of a stage); seconds:
     * spent in this stage so far.  Nonzero return: stop with VBG_ECANCEL. */
    int (*progress)(void *arg, vbg_gen_stage stage, int done, int total, double seconds);
    /* Arrays for oracles and research, f32 in PyTorch order; data is valid during
     * the call.  Names:
     *   text          [texts][77][width]  negative first (when guided), then prompts
     *   latents.<i>   [views][c][lh][lw]  after call i
     *   prediction.<i> [batch][c][lh][lw] raw network output, negative half first
     *   views         [views][3][h][w]    0..1
     * Return other than VBG_OK stops with that status (err set by the hook). */
    vbg_status (*dump)(void *arg, const char *name, const float *data, int rank,
                       const int64_t *dim, vbg_err *err);
    bool dump_steps; /* also call dump for latents.<i> and prediction.<i> */
} vbg_gen_hooks;

/* Makes the views: view[0..views-1] are new RGB pictures, freed by the caller with
 * vbg_picture_free (on failure none is left).  hooks may be NULL.
 * Errors: those of vbg_generator_plan, VBG_ECANCEL, VBG_ENOMEM; VBG_EFORMAT when the
 * network produces NaN or infinity (damaged weights), naming the call. */
vbg_status vbg_generate(vbg_generator *g, const vbg_gen_request *r,
                        const vbg_gen_hooks *hooks, vbg_picture *view, vbg_err *err);

/* The words of a prompt that the package never learned (metadata model.words, see
 * models/known_words.h) into out as 'one', 'two'; returns how many, 0 when the package
 * does not say.  size >= 1. */
int vbg_generator_unknown_words(const vbg_generator *g, const char *prompt, char *out,
                                size_t size);

/* Number of prompt tokens beyond the 75 that fit, 0 when all fit, for a warning. */
int vbg_generator_tokens_cut(const vbg_generator *g, const char *prompt);

#endif
