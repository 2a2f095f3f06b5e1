/* Micro-batches for `vbg-train segment`: samples made by augment.h, normalised, with
 * targets that a teacher may have softened. */
#ifndef VBG_TOOLS_TRAIN_SEGMENT_DATA_H
#define VBG_TOOLS_TRAIN_SEGMENT_DATA_H

#include "models/convnet.h"
#include "tools/train/augment.h"

enum { VBG_SEGMENT_SLOTS = 4 };

typedef struct vbg_segment_data_opt {
    const char *data, *val_data; /* val_data NULL: the last part of data */
    double val_share;            /* of data, when val_data is NULL; 0: none */
    const char *backgrounds[4];  /* folders */
    int background_folders;
    const char *teacher; /* .vbg segmenter or NULL */
    double distill;      /* its share of the target, 0..1 */
    vbg_augment_opt augment;
    vbg_input_norm norm;
    int batch, cache_mb;
    int band;   /* half the width of a border, 0: none */
    bool pairs; /* every other sample is the one before it, moved a little, noise apart */
    uint64_t seed;
    bool shuffle, strict;
} vbg_segment_data_opt;

/* What a slot holds. */
typedef struct vbg_segment_batch {
    float *x;       /* [batch, h, w, 3], normalised */
    float *target;  /* [batch, h, w], 0..1 */
    uint8_t *label; /* target > 1/2 */
    uint8_t *band;  /* [batch, h, w]: near the border of the person; NULL unless asked */
    int (*move)[2]; /* [batch]: of odd samples, which are the ones before them moved so
                       far right and down (opt.pairs) */
    char names[512];
} vbg_segment_batch;

typedef struct vbg_segment_data vbg_segment_data;

/* Errors: those of vbg_masks_open, vbg_backgrounds_open and vbg_segmenter_open;
 * VBG_EUSAGE (nothing left to train on). */
vbg_status vbg_segment_data_open(vbg_segment_data **out, const vbg_segment_data_opt *opt,
                                 vbg_err *err);
void vbg_segment_data_close(vbg_segment_data *d); /* accepts NULL */

/* Pairs to train on and to validate with. */
size_t vbg_segment_data_count(const vbg_segment_data *d);
size_t vbg_segment_data_val_count(const vbg_segment_data *d);
/* Micro-batches of an epoch: count / batch, at least 1. */
uint64_t vbg_segment_data_jobs(const vbg_segment_data *d);

/* Makes micro-batch job in slot 0..VBG_SEGMENT_SLOTS-1; each slot has one caller at a
 * time.  Errors: those of vbg_augment. */
vbg_status vbg_segment_data_load(vbg_segment_data *d, uint64_t job, int slot,
                                 vbg_err *err);
const vbg_segment_batch *vbg_segment_data_batch(const vbg_segment_data *d, int slot);

/* Sample i for validation, stretched to the network's size and otherwise as it is, into
 * s; x (may be NULL) [h, w, 3] normalised.  Errors: those of vbg_augment. */
vbg_status vbg_segment_data_val(vbg_segment_data *d, size_t i, vbg_sample *s, float *x,
                                vbg_err *err);

/* A sheet of samples as they will be trained on, to path (.png, .jpg).
 * Errors: those of vbg_augment and vbg_picture_save. */
vbg_status vbg_segment_data_sheet(vbg_segment_data *d, const char *path, vbg_err *err);

#endif
