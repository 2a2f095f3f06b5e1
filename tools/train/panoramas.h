/* Panoramas with captions for each view: what `vbg-train caa` learns from.
 *
 *     DIR/x.jpg + DIR/x.txt      equirectangular (twice as wide as high); the text has
 *                                one line for the whole, and 8 further lines for the
 *                                views at yaw 0, 45 .. 315, or none
 *     DIR/train.npy, test.npy    the Matterport3D skyboxes as MVDiffusion lays them out:
 *                                (N,6) paths <scene>/matterport_skybox_images/
 *                                <pano>_skybox<k>_*.jpg, captions in
 *                                <scene>/blip3/<pano>_<degrees>.txt
 *
 * A view looks at a yaw in degrees, 90 degrees wide, level; its caption is that of the
 * nearest multiple of 45 degrees (half to even, as the original rounds). */
#ifndef VBG_TOOLS_TRAIN_PANORAMAS_H
#define VBG_TOOLS_TRAIN_PANORAMAS_H

#include "tools/train/data.h"

enum { VBG_PANO_VIEWS = 8 };

typedef struct vbg_pano_item {
    char *name;                    /* of the picture or of the first face */
    char *face[6];                 /* Matterport: up, 270, 0, 90, 180, down; else [0] */
    char *caption[VBG_PANO_VIEWS]; /* at 45-degree steps */
    char *whole;                   /* of all views at once; NULL: those are it */
    bool broken;                   /* found out while decoding */
} vbg_pano_item;

typedef struct vbg_panos {
    vbg_pano_item *item;
    size_t count, room;
    bool skybox;
    vbg_tally tally;
} vbg_panos;

typedef struct vbg_panos_opt {
    bool strict;
    bool test; /* Matterport: test.npy instead of train.npy */
} vbg_panos_opt;

/* Lists the panoramas below dir.  Errors: VBG_EIO, VBG_EFORMAT, VBG_ENOMEM. */
vbg_status vbg_panos_open(vbg_panos *out, const char *dir, const vbg_panos_opt *opt,
                          vbg_err *err);
void vbg_panos_free(vbg_panos *p); /* accepts NULL; zeroes *p */

/* Panorama i as 8 RGB views (new pictures, the caller frees them) of size x size at yaw
 * start_deg + 45 k, and their captions (owned by p).  Skyboxes are warped and added as
 * MVDiffusion's data set does (video/compat.h); equirectangular pictures are reduced to
 * about the views' resolution first.  Broken pictures are replaced by the next whole
 * ones and counted: *used (may be NULL) says which it became.
 * Thread-safe.  Errors: VBG_EFORMAT (strict, or nothing whole at all), VBG_ENOMEM. */
typedef struct vbg_pano_views {
    vbg_picture view[VBG_PANO_VIEWS];
    const char *caption[VBG_PANO_VIEWS];
} vbg_pano_views;
vbg_status vbg_panos_views(vbg_panos *p, size_t i, int size, double start_deg,
                           vbg_pano_views *out, size_t *used, vbg_err *err);
void vbg_pano_views_free(vbg_pano_views *v); /* accepts NULL; frees the pictures */

#endif
