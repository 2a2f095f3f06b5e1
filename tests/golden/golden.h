/* The oracle runner: reads an oracle's safetensors and JSON, hands the inputs to
 * a family's function, compares what it produces by golden/tolerances.json.
 *
 * A family function computes every tensor that tolerances.json lists under
 * "tensors" (and "json") and reports it with golden_out*.  What is never reported
 * fails, unless its check is "optional" or of a later issue.
 *
 *     static void run_posenc(golden *g) { ... golden_out_f32(g, "out.320", y, count); }
 *     const golden_family golden_families_mvd[] = {
 *         { "mvd/posenc", run_posenc }, { NULL, NULL } };
 */
#ifndef VBG_TESTS_GOLDEN_H
#define VBG_TESTS_GOLDEN_H

#include <jansson.h>

#include "convert/safetensors.h"
#include "engine/tensor.h"
#include "engine/weights.h"

typedef struct golden golden;

typedef struct golden_family {
    const char *key; /* as in tolerances.json */
    void (*run)(golden *g);
} golden_family;

/* Arrays ended by a NULL key; tests/golden/main.c lists them. */
extern const golden_family golden_families_mvd[];     /* unet, vae, caa, mv*, ... */
extern const golden_family golden_families_seg[];     /* bisenet, deeplab, ...    */
extern const golden_family golden_families_flow[];    /* flow, motion, track, pano* */
extern const golden_family golden_families_picture[]; /* resize, blur, colour, metrics */
extern const golden_family golden_families_clip[];
extern const golden_family golden_families_checkpoint[]; /* tiny_sd2*, taesd         */
extern const golden_family golden_families_segmenters[];
extern const golden_family golden_families_train[]; /* autograd */
extern const golden_family golden_families_train_seg[];
extern const golden_family golden_families_style[]; /* VGG19 */
extern const golden_family golden_families_files[]; /* malformed                */
extern const golden_family golden_families_optim[]; /* training: optimisers */

/* ---- what the oracle holds ---- */

const vbg_safetensors *
golden_data(const golden *g);               /* NULL when there is no .safetensors */
json_t *golden_json(const golden *g);       /* the JSON beside it or NULL */
const char *golden_dir(const golden *g);    /* folder of the oracle's files */
const char *golden_stem(const golden *g);   /* "unet_sd2_a" */
const char *golden_suffix(const golden *g); /* "a" */
/* path inside the folder of the same set, e.g. "../mvd/unet_sd2_a.safetensors" */
const char *golden_path(golden *g, const char *fmt, ...) VBG_PRINTF(2, 3);
/* A stored tensor; fails the oracle and returns NULL when missing. */
const vbg_st_tensor *golden_in(golden *g, const char *fmt, ...) VBG_PRINTF(2, 3);
/* The same widened to f32, owned by g. */
float *golden_in_f32(golden *g, const char *fmt, ...) VBG_PRINTF(2, 3);
/* A stored [n,c,h,w] (rank 4) or [c,h,w] (rank 3) as NHWC f32, owned by g. */
float *golden_in_nhwc(golden *g, const char *fmt, ...) VBG_PRINTF(2, 3);
/* The family's object in tolerances.json, for checks on files. */
json_t *golden_tolerance(const golden *g);
/* Memory that lives as long as g. */
void *golden_alloc(golden *g, size_t bytes);

/* All tensors of the oracle's "weights" globs (plus recipe weights named in the
 * JSON: "recipe", "recipe_seed") as a .vbg in f32, component "model", converted
 * by rule: rank >= 2 packed for layers, plain when the name contains one of the
 * strings in plain (NULL-terminated, may be NULL); [c][1][kh][kw] depthwise.
 * prefix (may be NULL) is cut off the names; others are left out.  The file is a
 * temporary that is already unlinked. */
vbg_weights *golden_weights(golden *g, const char *component, const char *prefix,
                            const char *const *plain);

/* ---- what the program computed ---- */

/* One value array in the stored tensor's own order; count must match. */
void golden_out_f32(golden *g, const char *name, const float *v, size_t count);
void golden_out_f64(golden *g, const char *name, const double *v, size_t count);
void golden_out_u8(golden *g, const char *name, const uint8_t *v, size_t count);
void golden_out_i64(golden *g, const char *name, const int64_t *v, size_t count);
/* An NHWC tensor compared with a stored NCHW one: n,h,w,c of x.  channel_step s:
 * only channels 0, s, 2s, ... are stored. */
void golden_out_nhwc(golden *g, const char *name, const float *x, int n, int h, int w,
                     int c, int channel_step);
/* A number of the JSON ("pairs/pair0/lk/x/median_err_px"). */
void golden_out_number(golden *g, const char *path, double v);
/* For families with verdicts or files of their own: one line each. */
void golden_verdict(golden *g, const char *what, double error, double limit, bool ok);
void golden_fail(golden *g, const char *fmt, ...) VBG_PRINTF(2, 3);
void golden_skip(golden *g, const char *fmt, ...) VBG_PRINTF(2, 3);

/* True while the second run without "feed" tensors ("own_geometry") is made. */
bool golden_own_geometry(const golden *g);

/* A context of the ISA and precision under test (f32), owned by g. */
vbg_ctx *golden_ctx(golden *g);

#endif
