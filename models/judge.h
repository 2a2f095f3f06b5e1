/* The judge of rooms: a small residual network that says of a view which surface or thing
 * each place shows and what kind of scene it is.  vbg-eval measures with it whether
 * generated pictures show what their sentences say; its pooled features serve for
 * distances between sets of pictures.
 *
 *     x [n,s,s,3] -> stem (1/2) -> 4 stages (1/4 .. 1/32), 3x3 convolutions with group
 *                    norm -> the last three joined top down at 1/8
 *     labels   [n,s/8,s/8,labels]   surfaces (wall, floor, sky, ...) and things (sofa
 * ...) kinds    [n,1,1,kinds]        of the mean of the last stage features [n,1,1,160]
 * that mean
 *
 * What the outputs are called stands in the file: metadata judge.labels and judge.kinds,
 * JSON arrays of names; label 0 is what has no name.  judge.side: pixels of a view.
 * Component "judge", model.arch "judge".
 * Sources: He et al. 2015 (residual blocks), Wu and He 2018 (group norm), Lin et al. 2017
 * (top-down joining). */
#ifndef VBG_MODELS_JUDGE_H
#define VBG_MODELS_JUDGE_H

#include "engine/ops.h"
#include "engine/picture.h"
#include "engine/weights.h"

enum {
    VBG_JUDGE_STAGES = 4,
    VBG_JUDGE_BLOCKS = 2, /* at most, of a stage */
    VBG_JUDGE_FEATURES = 256,
    VBG_JUDGE_CELL = 8,  /* pixels of a place in the label map */
    VBG_JUDGE_STEP = 32, /* sides of views are multiples of this */
    VBG_JUDGE_MAX_NAMES = 255
};

typedef struct vbg_judge_conv {
    vbg_weight conv;
    vbg_norm_w norm;
} vbg_judge_conv;

typedef struct vbg_judge_net {
    int labels, kinds;
    vbg_judge_conv stem, down[VBG_JUDGE_STAGES];
    vbg_judge_conv block[VBG_JUDGE_STAGES][VBG_JUDGE_BLOCKS][2];
    vbg_weight side[VBG_JUDGE_STAGES]; /* 1x1, of the stages that are joined */
    vbg_judge_conv join;
    vbg_weight label_head, kind_head;
} vbg_judge_net;

/* Binds component "judge" of w for so many outputs; with parameters attached that declare
 * (engine/param.h) the file may be empty.  Errors: VBG_EFORMAT. */
vbg_status vbg_judge_bind(vbg_judge_net *m, const vbg_weights *w, int labels, int kinds,
                          vbg_err *err);

typedef struct vbg_judge_out {
    vbg_tensor *labels, *kinds; /* logits, f32 */
    vbg_tensor *features;       /* of the activation type */
} vbg_judge_out;

/* x [n,s,s,3] of the activation type, levels as v / 127.5 - 1; s a multiple of
 * VBG_JUDGE_STEP.  The tensors belong to the current scope. */
vbg_judge_out vbg_judge_forward(vbg_ctx *c, const vbg_judge_net *m, const vbg_tensor *x);

/* What the network says of one view. */
typedef struct vbg_judge_view {
    int side, cells; /* cells = side / VBG_JUDGE_CELL */
    vbg_picture rgb; /* the view, side x side */
    float *label;    /* [cells][cells][labels] probabilities */
    float *kind;     /* [kinds] logarithms of probabilities */
    float *feature;  /* [VBG_JUDGE_FEATURES] */
} vbg_judge_view;
void vbg_judge_view_free(vbg_judge_view *v); /* accepts NULL and zeroed */

/* Looks at a square RGB picture of any size, shrunk (antialiased) or enlarged to side;
 * out is new.  Errors: VBG_EUSAGE (not square, not RGB), VBG_ENOMEM. */
vbg_status vbg_judge_look(vbg_ctx *c, const vbg_judge_net *m, const vbg_picture *p,
                          int side, vbg_judge_view *out, vbg_err *err);

/* ---- a judge's file ---- */

typedef struct vbg_judge vbg_judge;

/* Errors: those of vbg_weights_open; VBG_EUNSUPPORTED (no judge), VBG_EFORMAT (names or
 * tensors), VBG_ENOMEM. */
vbg_status vbg_judge_open(vbg_judge **out, const char *path, const vbg_ctx_opt *opt,
                          vbg_err *err);
void vbg_judge_close(vbg_judge *j); /* accepts NULL */

/* Names, owned by j; NULL past the end. */
const char *vbg_judge_label(const vbg_judge *j, int i);
const char *vbg_judge_kind(const vbg_judge *j, int i);
int vbg_judge_labels(const vbg_judge *j);
int vbg_judge_kinds(const vbg_judge *j);
/* Pixels of a view. */
int vbg_judge_side(const vbg_judge *j);
/* As above, by the file's network and side. */
vbg_status vbg_judge_see(vbg_judge *j, const vbg_picture *p, vbg_judge_view *out,
                         vbg_err *err);

#endif
