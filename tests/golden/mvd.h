/* What the oracles of the diffusion parts share. */
#ifndef VBG_TESTS_GOLDEN_MVD_H
#define VBG_TESTS_GOLDEN_MVD_H

#include "models/mvunet.h"
#include "tests/golden/golden.h"

/* A JSON object of the oracle as text (for the config readers), owned by g. */
const char *mvd_config(golden *g, const char *key);

/* f32 copy of t, owned by g; NULL while planning. */
float *mvd_copy(golden *g, vbg_ctx *c, const vbg_tensor *t);

/* Reports x as PREFIX.name when the oracle stores it and nothing is planned. */
void mvd_report(golden *g, vbg_ctx *c, const char *prefix, const char *name,
                const vbg_tensor *x);
/* vbg_unet_hooks.trace and vbg_vae_trace.fn with arg = g: act.NAME. */
void mvd_trace(void *arg, vbg_ctx *c, const char *name, const vbg_tensor *x);

/* NCHW <-> NHWC copies owned by g. */
float *mvd_to_nhwc(golden *g, const float *x, int n, int c, int h, int w);
float *mvd_to_nchw(golden *g, const float *x, int n, int c, int h, int w);

/* Cameras of the recorded in.K and in.R, first batch item; *views of them. */
vbg_camera *mvd_cameras(golden *g, int *views);
/* Reports own geometry of a level (PREFIX.xy_rel, PREFIX.mask), then puts in the
 * recorded one unless own geometry is under test. */
void mvd_geometry(golden *g, vbg_caa_level *l, const char *prefix);

/* A multi-view UNet with its rig, made of the oracle's weights and cameras. */
typedef struct mvd_model {
    vbg_weights *unet_file, *caa_file;
    vbg_params *params; /* set before opening: trained blocks; not owned */
    vbg_mvunet m;
    vbg_rig *rig;
    int views, w, h; /* latents */
} mvd_model;

/* config: key of the UNet's config in the JSON.  False with the oracle failed. */
bool mvd_model_open(golden *g, mvd_model *m, const char *config, int picture, int w,
                    int h);
void mvd_model_close(mvd_model *m);

/* in.NAME of shape [batch, views, c, h, w] as [batch*views][h][w][c], owned by g. */
float *mvd_in_views(golden *g, const char *name);

/* One call of the multi-view UNet: x [n][h][w][in] f32 -> y [n][h][w][out] f32;
 * couple off: the plain UNet.  False with the oracle failed. */
bool mvd_model_run(golden *g, mvd_model *m, const vbg_unet_text *text, const float *x,
                   int n, const double *time, int times, bool couple, bool trace,
                   float *y);

/* Oracles in their own files. */
void run_caa(golden *g);
void run_mvunet(golden *g);
void run_mvpipe(golden *g);
void run_posenc(golden *g);
void run_schedulers(golden *g);
void run_train(golden *g);

#endif
