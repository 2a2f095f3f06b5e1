/* Panorama geometry as MVDiffusion's own tools have it, for comparing with their output:
 * views shifted by half a pixel, the meridian at the left and right edge stored twice,
 * white where nothing is covered.  The product uses panorama.h and stitch.h.
 * Source: the rules in MVDiffusion's published panorama tools. */
#ifndef VBG_VIDEO_COMPAT_H
#define VBG_VIDEO_COMPAT_H

#include "engine/picture.h"

/* n square RGB views of one field of view, each looking at yaw_deg[i] on the horizon. */
typedef struct vbg_compat_ring {
    const vbg_picture *views;
    const double *yaw_deg;
    int n;
    double fov_deg;
} vbg_compat_ring;

/* Stitches them to pano f32 [h, w, 3] in
 * levels; weight_sum f32 [h, w].  Errors: VBG_ENOMEM, VBG_EUSAGE. */
vbg_status vbg_compat_stitch(float *pano, float *weight_sum, int w, int h,
                             const vbg_compat_ring *ring, vbg_err *err);

/* One view on the panorama: image f32 [h, w, 3] (0 outside), mask u8 [h, w]. */
void vbg_compat_project(float *image, uint8_t *mask, int w, int h,
                        const vbg_picture *view, double yaw_deg, double fov_deg);

/* A perspective crop of an RGB panorama into out (size and channels given by out):
 * bicubic, wrapping in both directions. */
void vbg_compat_crop(vbg_picture *out, const vbg_picture *pano, double fov_deg,
                     double yaw_deg, double pitch_deg);

/* A 90-degree view at yaw_deg from six square RGB faces (up, yaw 270, 0, 90, 180, down),
 * all of out's size: faces are warped (bilinear, black outside) and added. */
void vbg_compat_skybox(vbg_picture *out, const vbg_picture faces[6], double yaw_deg);

#endif
