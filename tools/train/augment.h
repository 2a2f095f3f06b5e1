/* Training samples for segmentation, made anew each time they are shown: cut, turned,
 * scaled and mirrored photos, people in front of other backgrounds, other light, noise,
 * blur and JPEG.
 *
 *     photo       the picture as it is or a part of it, also stretched
 *     composite   the person cut out (edge colours freed from the old background), put
 *                 before a background in its light; sometimes two people
 *     empty       a background without anybody
 *
 * Everything about sample i of epoch e follows from (seed, e, i).  Where a person is cut
 * off by the photo's border it is cut off by the frame's border too.
 * Sources: Dwibedi et al. 2017 (paste edges varied, so that they are no cue), Reinhard
 * et al. 2001, Forte 2021. */
#ifndef VBG_TOOLS_TRAIN_AUGMENT_H
#define VBG_TOOLS_TRAIN_AUGMENT_H

#include "tools/train/backgrounds.h"
#include "tools/train/masks.h"

typedef struct vbg_augment_opt {
    int w, h;                      /* of the samples */
    double flip;                   /* chance of mirroring */
    double crop;                   /* chance that a photo is cut and not shown whole */
    double rotate_deg;             /* at most */
    double tone;                   /* 0..1: strength of changes of light and colour */
    double blur, noise, jpeg;      /* chances */
    double replace, empty, second; /* shares: other background, nobody, two people */
} vbg_augment_opt;

/* Nothing but a stretch to w x h. */
vbg_augment_opt vbg_augment_none(int w, int h);
/* What our own models are trained with. */
vbg_augment_opt vbg_augment_usual(int w, int h);

/* What a sample turned out to be. */
typedef enum vbg_sample_kind {
    VBG_SAMPLE_PHOTO,
    VBG_SAMPLE_COMPOSITE,
    VBG_SAMPLE_EMPTY
} vbg_sample_kind;

typedef struct vbg_sample {
    vbg_picture rgb, alpha; /* 3 and 1 channels, w x h */
    vbg_sample_kind kind;
    size_t used; /* the pair it was made of */
} vbg_sample;
void vbg_sample_free(vbg_sample *s); /* accepts NULL and zeroed */

typedef struct vbg_augmenter vbg_augmenter;

/* masks and backgrounds must outlive it; backgrounds may be NULL or empty, then there
 * are neither composites nor empty samples.  Decoded photos are kept, reduced, as long as
 * they take less than cache_mb.  slots: callers at one time.  Errors: VBG_ENOMEM. */
vbg_status vbg_augmenter_new(vbg_augmenter **out, vbg_masks *masks,
                             const vbg_backgrounds *backgrounds, int slots, int cache_mb,
                             vbg_err *err);
void vbg_augmenter_free(vbg_augmenter *a); /* accepts NULL */

/* Sample of pair i; slot 0..slots-1 is the caller's alone.  out's pictures are made when
 * they are not of the wanted size already.
 * Errors: VBG_ENOMEM, VBG_EFORMAT (strict, or no whole pair at all). */
vbg_status vbg_augment(vbg_augmenter *a, const vbg_augment_opt *opt, size_t i,
                       vbg_dice dice, int slot, vbg_sample *out, vbg_err *err);

/* The sample and, beside it, the person cut out on green: a new picture of 2 w x h.
 * Errors: VBG_ENOMEM. */
vbg_status vbg_sample_show(vbg_picture *out, const vbg_sample *s, vbg_err *err);

#endif
