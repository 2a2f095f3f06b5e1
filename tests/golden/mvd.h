/* What the oracles of the diffusion parts share. */
#ifndef VBG_TESTS_GOLDEN_MVD_H
#define VBG_TESTS_GOLDEN_MVD_H

#include "models/unet.h"
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

/* Oracles in their own files. */
void run_caa(golden *g);
void run_mvunet(golden *g);
void run_mvpipe(golden *g);
void run_posenc(golden *g);
void run_schedulers(golden *g);

#endif
