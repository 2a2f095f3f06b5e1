/* A segmenter being trained: network, tape, losses, validation; the calls of the loop. */
#ifndef VBG_TOOLS_TRAIN_SEGMENT_NET_H
#define VBG_TOOLS_TRAIN_SEGMENT_NET_H

#include "engine/tape.h"
#include "models/segnet.h"
#include "tools/train/loop.h"
#include "tools/train/segment_data.h"
#include "tools/train/segment_new.h"

typedef struct vbg_segment_net_opt {
    const char *path;        /* .vbg file to begin with, or NULL: shape */
    vbg_segment_shape shape; /* w and h always hold */
    vbg_ctx_opt ctx;
    vbg_dtype precision, store;
    double bce, dice, aux, borders, still; /* weights of the losses */
    int batch;
    bool freeze_norms;
    uint64_t seed;
} vbg_segment_net_opt;

typedef struct vbg_learner {
    vbg_segment_net_opt opt;
    vbg_ctx *ctx;
    vbg_weights *file;
    vbg_params *params;
    vbg_segnet *net;
    vbg_tape *tape;
    vbg_optim *optim;
    vbg_segment_data *data; /* set by the command, freed here */
    int classes;
} vbg_learner;

/* Network and tape; *s was zeroed.  Errors: those of vbg_weights_open and
 * vbg_segnet_open; VBG_EUSAGE (size in wrong steps); VBG_ENOMEM. */
vbg_status vbg_learner_open(vbg_learner *s, const vbg_segment_net_opt *opt, vbg_err *err);
/* Frees everything in s. */
void vbg_learner_close(vbg_learner *s);

/* arg is the vbg_learner. */
extern const vbg_loop_calls vbg_segment_calls;

#endif
