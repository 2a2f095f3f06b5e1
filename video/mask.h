/* Masks for frames: from a network, from a colour, or given; then the clean-up.
 *
 *   network probability (its size) -> steadied over time -> threshold -> patches that
 * stand apart dropped -> edge-aware widening to frame size
 *       -> close -> grow -> feather                                  (alpha, 8 bits)
 */
#ifndef VBG_VIDEO_MASK_H
#define VBG_VIDEO_MASK_H

#include "models/segmenter.h"
#include "video/compose.h"
#include "video/image.h"

/* Whatever else can tell a person: fills prob (w x h, one channel, 0..1). */
typedef struct vbg_mask_source {
    vbg_status (*find)(void *arg, const vbg_raw_frame *raw, vbg_image *prob,
                       vbg_err *err); /* NULL: none */
    void *arg;
    int w, h;
} vbg_mask_source;

typedef struct vbg_mask_opt {
    int w, h;                 /* of the frames                                      */
    vbg_segmenter *segmenter; /* borrowed; NULL: chroma or given masks              */
    vbg_mask_source source;   /* in place of the segmenter                          */
    double max_cover; /* a mask (not a given one) of more of the picture is a failure;
                       * 0: no limit                                        */
    int max_age;      /* goes into the masks                                */
    bool chroma;      /* key colour below                                   */
    uint8_t key[3];   /* RGB                                                */
    double threshold; /* 0..1: a steep cut there; negative: as it comes     */
    int close, grow;  /* pixels of the frame; grow below 0 shrinks          */
    double feather;   /* width of the soft edge in pixels, 0: none          */
    double smooth;    /* 0..1: help from the mask before, see video/steady.h   */
    double islands;   /* a network's patches of a smaller share of the largest
                       * are dropped, see video/islands.h; 0: none             */
    bool plain;       /* no edge-aware refinement                           */
} vbg_mask_opt;

typedef struct vbg_masker vbg_masker;

/* All memory for one size.  Errors: VBG_ENOMEM, VBG_EUSAGE. */
vbg_status vbg_masker_new(vbg_masker **out, const vbg_mask_opt *opt, vbg_err *err);
void vbg_masker_free(vbg_masker *m); /* accepts NULL */
/* Takes over smooth, islands, threshold, close, grow and feather.  Errors: VBG_ENOMEM
 * (nothing changed).
 */
vbg_status vbg_masker_set(vbg_masker *m, const vbg_mask_opt *opt, vbg_err *err);

/* Fills mask (alpha of the frame's size, made by the caller) for raw.  given: a gray
 * frame whose luma is the alpha, any size, when neither network nor colour is used.
 * On failure mask->valid is false.  Errors: those of the segmenter, VBG_ENOMEM. */
vbg_status vbg_masker_run(vbg_masker *m, vbg_ctx *c, const vbg_raw_frame *raw,
                          const vbg_frame *given, vbg_mask *mask, vbg_err *err);
/* Luma of the frame of the last run at half the size (floor), means of 2 x 2; NULL where
 * none was needed.  Until the next run. */
const vbg_picture *vbg_masker_half(const vbg_masker *m);

#endif
