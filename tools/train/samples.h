/* Square pictures with captions, whatever the folder holds: pictures as they are, or the
 * eight views of panoramas. */
#ifndef VBG_TOOLS_TRAIN_SAMPLES_H
#define VBG_TOOLS_TRAIN_SAMPLES_H

#include "tools/train/captions.h"
#include "tools/train/panoramas.h"
#include "tools/train/truth.h"

typedef struct vbg_samples_opt {
    bool strict;
    int starts; /* turns of a panorama, spread evenly over 45 degrees; 0: one */
} vbg_samples_opt;

typedef struct vbg_samples {
    vbg_samples_opt opt;
    bool panoramas;
    vbg_captions list;
    vbg_panos panos;
    vbg_pano_views views; /* of the turn of a panorama read last */
    size_t loaded;        /* which that is, or SIZE_MAX */
    int loaded_side;
    vbg_truth truth; /* read last */
    size_t truth_of; /* which scene's that is, or SIZE_MAX */
} vbg_samples;

/* Lists path: a folder whose first picture is twice as wide as high, or a Matterport
 * folder, holds panoramas.  Errors: those of vbg_captions_open and vbg_panos_open. */
vbg_status vbg_samples_open(vbg_samples *s, const char *path, const vbg_samples_opt *opt,
                            vbg_err *err);
void vbg_samples_close(vbg_samples *s); /* accepts zeroed */

size_t vbg_samples_count(const vbg_samples *s);
/* Samples that show one scene (8 of every turn of a panorama) follow each other. */
size_t vbg_samples_a_scene(const vbg_samples *s);
const char *vbg_samples_name(const vbg_samples *s, size_t i);
/* Of a panorama: the caption of the nearest view that has one. */
const char *vbg_samples_text(const vbg_samples *s, size_t i);
/* What is said of the whole scene of sample i: all views of a panorama share it. */
const char *vbg_samples_whole(const vbg_samples *s, size_t i);
/* The middle of sample i, side x side; new.  False when it cannot be read; not
 * thread-safe. */
bool vbg_samples_picture(vbg_samples *s, size_t i, int side, vbg_picture *out,
                         vbg_err *err);
/* Whether regions and depths lie beside sample i's picture. */
bool vbg_samples_has_truth(const vbg_samples *s, size_t i);
/* Those of sample i in side x side cells (vbg_truth_view).  False when they cannot be
 * read; not thread-safe. */
bool vbg_samples_truth(vbg_samples *s, size_t i, int side, uint8_t *label, float *depth,
                       vbg_err *err);

#endif
