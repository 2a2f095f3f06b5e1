/* What the files of `vbg-train base text+unet` share. */
#ifndef VBG_TOOLS_TRAIN_BASE_UNET_H
#define VBG_TOOLS_TRAIN_BASE_UNET_H

#include <pthread.h>

#include "engine/tape.h"
#include "models/clip.h"
#include "models/sampler.h"
#include "models/tokenizer.h"
#include "models/unet.h"
#include "tools/train/latents.h"
#include "tools/train/loop.h"

enum { VBG_BASE_DEPTH = 3, VBG_BASE_HELD_OUT = 16, VBG_BASE_TIMES = 8 };

/* A micro-batch: n noisy latents, what the network is to say, captions, times. */
typedef struct vbg_base_batch {
    float *x, *target, *weight; /* weight [n] */
    uint8_t *label;             /* [n] maps of regions and of log(metres), for the head */
    float *depth;               /* that only training has */
    float *coarse; /* [n][...] clean latents in blocks, for the text's head */
    double *time;  /* [n] */
    int *ids;      /* [n][77] */
    size_t first;  /* picture of the first, for messages */
} vbg_base_batch;

typedef struct vbg_base {
    vbg_loop loop;
    vbg_values *v;
    json_t *config; /* "unet", "text", "scheduler", "merges", "tokenizer" */

    vbg_weights *vae_file, *file; /* file: nothing, or --model (own_file) */
    bool own_file;
    vbg_params *vae_params; /* holds the VAE for the export */
    vbg_vae vae;
    vbg_unet unet;
    vbg_clip_text text;
    vbg_tape *tape;

    vbg_samples list;
    size_t count, train; /* samples; behind those to train on, the held-out ones */
    char *merges;        /* text of merges.txt */
    int merge_count;
    vbg_tokenizer *tokenizer;
    vbg_latents latents;
    vbg_noise_schedule schedule;
    vbg_sampler *tables; /* for its cumulative products alone */

    int batch;
    double dropout, whole, gamma, aux; /* gamma 0: all times weigh the same */
    double text_share;                 /* of the text's head */
    vbg_weight head;                   /* of regions and depths; data NULL: none */
    vbg_weight text_head;              /* of coarse latents; data NULL: none */
    vbg_base_batch slots[VBG_BASE_DEPTH], held_out;
    pthread_mutex_t lock; /* of order */
    uint32_t *order;
    uint64_t order_epoch;
    const char *prompt[8];
} vbg_base;

/* ---- base_unet_model.c ---- */

/* Opens --model, or nothing; sizes from there, or from --config over the usual ones
 * (latent channels and side from the VAE). */
vbg_status vbg_base_config(vbg_base *b, vbg_err *err);
/* Tokenizer, tower and UNet from config or --model, optimiser, tape. */
vbg_status vbg_base_model(vbg_base *b, vbg_err *err);

/* ---- base_unet_aux.c ---- */

/* Makes b->head where --aux asks for it and the data has regions; after bind of the UNet.
 * Errors: VBG_EFORMAT. */
vbg_status vbg_base_aux_bind(vbg_base *b, vbg_err *err);
/* Regions and depths of sample i of s, a picture at time s->time[i]; nothing without a
 * head. */
void vbg_base_aux_fill(const vbg_base *b, vbg_base_batch *s, size_t i, size_t picture,
                       bool mirrored);
/* Hooks for one forward pass over s: the head's losses are found in *a afterwards, and
 * their gradients on the tape, times b->aux.  *a must live until the way back is over. */
typedef struct vbg_base_aux {
    const vbg_base *base;
    const vbg_base_batch *batch;
    double regions, depth; /* mean cross entropy; mean smooth L1 of log(metres) */
} vbg_base_aux;
vbg_unet_hooks vbg_base_aux_hooks(vbg_base_aux *a, const vbg_base *b,
                                  const vbg_base_batch *s);

/* ---- base_unet_text.c ---- */

/* Makes b->text_head where --text-head asks for it; after bind of the tower. */
vbg_status vbg_base_text_bind(vbg_base *b, vbg_err *err);
/* Values of a sample that the head is to say: clean [side][side][channels] averaged. */
int vbg_base_coarse_count(const vbg_base *b);
void vbg_base_coarse(const vbg_base *b, float *coarse, const float *clean);
/* The head's mean square error; its gradient, times b->text_share, goes to the tape.
 * state [n][77][width], ids [n][77], coarse [n][...].  0 without a head. */
double vbg_base_text_loss(vbg_ctx *c, const vbg_base *b, const vbg_tensor *state,
                          const int *ids, const float *coarse);

/* ---- base_unet_step.c ---- */

/* Weight of a time whose cumulative product is alpha: min(SNR, gamma), divided by what
 * the prediction's own error brings along, and with a floor of 0.2 for the SNR. */
double vbg_base_weight(vbg_prediction p, double alpha, double gamma);

vbg_status vbg_base_batch_new(vbg_base_batch *out, const vbg_base *b, int n,
                              vbg_err *err);
void vbg_base_batch_free(vbg_base_batch *s);
vbg_status vbg_base_load(void *arg, uint64_t job, int slot, vbg_err *err);
vbg_status vbg_base_step(void *arg, uint64_t job, int slot, vbg_measure *m, vbg_err *err);
vbg_status vbg_base_plan(void *arg, size_t *bytes, vbg_err *err);
void vbg_base_describe(void *arg, uint64_t job, int slot, char *text, size_t size);
vbg_status vbg_base_validate(void *arg, vbg_measure *m, vbg_err *err);

/* ---- base_unet_out.c ---- */

vbg_status vbg_base_export(void *arg, const char *path, vbg_err *err);
vbg_status vbg_base_sample(void *arg, const char *path, vbg_err *err);

#endif
