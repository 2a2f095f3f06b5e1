/* Cameras of a rig of views, and where pixels of one view lie in its neighbours.
 *
 * Camera axes: x right, y down, z forward; r maps camera to world and is
 * R2 R1 with R1 = yaw about y (positive: to the right), R2 = pitch about R1 x
 * (positive: up).  Pixel centres lie at integers:
 *
 *     f = w/2 / tan(fov/2),  K = [f 0 (w-1)/2; 0 f (h-1)/2; 0 0 1]
 *
 * Everything is computed in double, once, and rounded once to f32: the positional
 * encoding multiplies displacements by up to 1e24, so one ulp decides its high
 * frequencies, and views with the same relative pose must share their table.
 * Source: Tang et al. 2023, section 4; conventions of its reference. */
#ifndef VBG_MODELS_CAMERA_H
#define VBG_MODELS_CAMERA_H

#include "engine/base.h"
#include "kernels/caa.h"

typedef struct vbg_camera {
    double k[9], r[9]; /* row-major */
} vbg_camera;

/* A camera by its horizontal field of view, degrees, picture w x h pixels. */
vbg_camera vbg_camera_look(double fov_deg, double yaw_deg, double pitch_deg, int w,
                           int h);

/* Homography that takes pixels of a to pixels of b: Kb Rb^-1 Ra Ka^-1. */
void vbg_camera_homography(double out[9], const vbg_camera *a, const vbg_camera *b);

/* (u, v) through a homography; returns z, which is negative behind the camera. */
double vbg_homography_apply(double out[2], const double m[9], double u, double v);

/* Geometry of one map size.  Neighbour 0 of view i is i-1, neighbour 1 is i+1, both
 * modulo views; entries run dx outer, dy inner from -1 to 1, neighbour 0 first. */
typedef struct vbg_caa_level {
    int views, h, w;    /* of the map */
    int poses;          /* distinct geometries; usually one for a ring */
    int *pose;          /* [views] */
    vbg_caa_spot *spot; /* [poses][h*w][2] */
    float *offset;      /* [poses][h*w][18][2]: displacement (x, y), map pixels */
    size_t rows;        /* in-view entries of all poses = rows of the tables */
} vbg_caa_level;

/* views >= 2 cameras of picture_w x picture_h pixels, a map of w x h.  Views whose
 * poses relative to their neighbours agree to 1e-9 share one geometry.
 * Errors: VBG_ENOMEM, VBG_EUSAGE (singular camera). */
vbg_status vbg_caa_level_new(vbg_caa_level *out, const vbg_camera *cam, int views,
                             int picture_w, int picture_h, int w, int h, vbg_err *err);
void vbg_caa_level_free(vbg_caa_level *l); /* accepts NULL; zeroes *l */

/* Replaces displacements and masks by recorded ones, for oracles:
 * xy [views][18][h][w][2], mask [views][18][h][w].  Errors: VBG_ENOMEM. */
vbg_status vbg_caa_level_feed(vbg_caa_level *l, const float *xy, const uint8_t *mask,
                              vbg_err *err);
/* The same arrays as computed. */
void vbg_caa_level_dump(const vbg_caa_level *l, float *xy, uint8_t *mask);

/* Frequencies of the encoding of c channels: c/4 of them, base^k in f32, base 2 up to
 * 80 frequencies, else 5000^(2.5/n). */
void vbg_encoding_bands(float *freq, int c);
/* y [4 n] = sin(x f), sin(y f), cos(x f), cos(y f) for the n frequencies; the product
 * is rounded to f32 once, sine and cosine are accurate for any argument. */
void vbg_encoding(float *y, const float d[2], const float *freq, int n);

#endif
