/* Rendered rooms with their truth, as the views that `vbg-train judge` learns from.
 *
 *     DIR/x.jpg          an equirectangular panorama
 *     DIR/x.label.png    8 bits: number of the thing (tools/rooms/things.h)
 *     DIR/x.json         facts
 *
 * A training view is level, 90 degrees wide, at a random yaw, mirrored half the time, and
 * changed as generated pictures differ from renders: softer, noisier, other light. */
#ifndef VBG_TOOLS_TRAIN_JUDGE_DATA_H
#define VBG_TOOLS_TRAIN_JUDGE_DATA_H

#include "tools/judge/facts.h"
#include "tools/judge/views.h"
#include "tools/train/data.h"

typedef struct vbg_judge_room {
    char *picture, *label;
    vbg_facts facts;
    int kind;
    bool broken; /* found out while decoding */
} vbg_judge_room;

typedef struct vbg_judge_data {
    vbg_judge_room *room;
    size_t count, room_for;
    vbg_tally tally;
    int side, cells, sub; /* places of the label map; samples across a place */
    float (*ray)[2];      /* [cells * sub][cells * sub]: where a view at yaw 0 looks, as
                             shares of a panorama's width and height */
} vbg_judge_data;

/* Lists the rooms below dir for views of side x side.
 * Errors: VBG_EIO, VBG_EFORMAT (no whole room), VBG_ENOMEM. */
vbg_status vbg_judge_data_open(vbg_judge_data *d, const char *dir, int side, bool strict,
                               vbg_err *err);
void vbg_judge_data_close(vbg_judge_data *d); /* accepts zeroed */

/* How much is to be seen of each label, into share[labels] that sum to 1: over all rooms,
 * the share of the view that shows most of it. */
void vbg_judge_data_shares(const vbg_judge_data *d, double *share, int labels);

/* count views of room i: x [count][side][side][3] f32 in -1..1, label
 * [count][cells][cells], kind [count].  A broken room is replaced by the next whole one.
 * Thread-safe.  Errors: VBG_EFORMAT, VBG_ENOMEM. */
typedef struct vbg_judge_batch {
    float *x;
    uint8_t *label, *kind;
} vbg_judge_batch;
vbg_status vbg_judge_data_views(vbg_judge_data *d, size_t i, int count, vbg_dice *dice,
                                const vbg_judge_batch *out, vbg_err *err);

#endif
