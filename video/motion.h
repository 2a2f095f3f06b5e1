/* Motion models from point matches: closed-form least squares, and robust fits in which
 * a part of the matches may be wrong (RANSAC, least median of squares).
 *
 * A planar model is a row-major 3x3 matrix h with q ~ h p; translation and similarity
 * have the last row 0 0 1.  The random choices come from a fixed seed: same matches,
 * same answer. */
#ifndef VBG_VIDEO_MOTION_H
#define VBG_VIDEO_MOTION_H

#include "video/flow.h"

enum { VBG_MOTION_MAX = 4096 /* matches of one call */ };

typedef enum vbg_motion_model {
    VBG_MOTION_TRANSLATION, /* 1 match per hypothesis   */
    VBG_MOTION_SIMILARITY,  /* rotation, scale, shift: 2 */
    VBG_MOTION_HOMOGRAPHY   /* 4                         */
} vbg_motion_model;

typedef struct vbg_motion_opt {
    vbg_motion_model model;
    bool median;       /* least median of squares: no threshold, < half outliers */
    double threshold;  /* pixels; RANSAC's largest error of an inlier            */
    int iterations;    /* at most                                                */
    double confidence; /* stop early when this sure, e.g. 0.995                  */
} vbg_motion_opt;

/* Least squares of the model over the matches p[i] -> q[i] with use[i] != 0 (use NULL:
 * all).  Homography: normalised linear start, then Gauss-Newton on the distances in q.
 * False when the matches do not determine the model; h is then the identity. */
bool vbg_motion_least_squares(double h[9], vbg_motion_model model, const vbg_point *p,
                              const vbg_point *q, const uint8_t *use, int n);

/* Robust fit over n <= VBG_MOTION_MAX matches: the model of the largest consensus,
 * refined by least squares over its inliers.  inlier[i] (may not be NULL) becomes 0/1.
 * Returns the number of inliers; 0 and the identity when there is no model.
 * Source: Fischler and Bolles 1981; Rousseeuw 1984. */
int vbg_motion_fit(double h[9], const vbg_motion_opt *opt, const vbg_point *p,
                   const vbg_point *q, uint8_t *inlier, int n);

/* A pinhole camera for the rotation fit: focal length and principal point, pixels. */
typedef struct vbg_lens {
    double f, cx, cy;
} vbg_lens;

/* One match of the rotation fit: a world direction (any length) and where it is seen. */
typedef struct vbg_sighting {
    double ray[3];
    double x, y;
} vbg_sighting;

/* The direction of picture position (x, y) for the camera-to-world rotation r. */
void vbg_lens_ray(double ray[3], const vbg_lens *lens, const double r[9], double x,
                  double y);
/* Where ray is seen; false when it lies behind the camera. */
bool vbg_lens_project(double xy[2], const vbg_lens *lens, const double r[9],
                      const double ray[3]);

/* Robust camera-to-world rotation (row-major 3x3) from sightings.
 *
 *   r          first guess on entry (it competes with the random hypotheses)
 *   threshold  pixels, largest distance of an inlier
 *   rounds     number of random two-match hypotheses; 0: only refine the guess
 *   inlier     [n] 0/1
 * Returns the number of inliers; fewer than 3: r is unchanged and 0 is returned.
 * Refinement: Gauss-Newton over the three angles with Tukey weights. */
int vbg_rotation_fit(double r[9], const vbg_lens *lens, const vbg_sighting *s, int n,
                     double threshold, int rounds, uint8_t *inlier);

#endif
