/* Geometry of equirectangular panoramas and pinhole views, in double.
 *
 * Axes x right, y down, z forward.  Pixel centres are at whole numbers; an equirect
 * picture of W x H covers
 *
 *     longitude  (u + 0.5) / W * 360 - 180   0 at +z, growing to the right
 *     latitude   90 - (v + 0.5) / H * 180    90 is up (-y)
 *
 * A view's camera to world rotation is Ry(yaw) Rx(pitch) Rz(roll): positive yaw looks
 * right, positive pitch looks up.  Its focal length is w/2 / tan(fov_x/2), the principal
 * point lies in the middle of the picture, at ((w-1)/2, (h-1)/2).
 * Everything fast (viewport.h, stitch.h) is tested against this file. */
#ifndef VBG_VIDEO_PANORAMA_H
#define VBG_VIDEO_PANORAMA_H

#include "video/image.h"

/* A pinhole camera at the centre of the sphere. */
typedef struct vbg_pinhole {
    int w, h;                /* pixels  */
    double fov_x;            /* radians, horizontal, below pi */
    double yaw, pitch, roll; /* radians */
} vbg_pinhole;

/* How pictures are read between their pixels. */
typedef enum vbg_sphere_filter {
    VBG_SPHERE_BILINEAR,
    VBG_SPHERE_BICUBIC /* cubic convolution, Keys 1981, A = -0.75 */
} vbg_sphere_filter;

/* r (row-major 3x3) = Ry(yaw) Rx(pitch) Rz(roll). */
void vbg_rotation_from_angles(double r[9], double yaw, double pitch, double roll);
/* The inverse: angles[] = yaw, pitch, roll; yaw in -pi..pi, pitch in -pi/2..pi/2. */
void vbg_rotation_angles(double angles[3], const double r[9]);
/* out = a b;  out may not alias.  transpose_a: out = a^T b. */
void vbg_rotation_multiply(double out[9], const double a[9], const double b[9],
                           bool transpose_a);

/* Focal length in pixels. */
double vbg_pinhole_focal(const vbg_pinhole *v);
/* World direction (not normalised) of picture position (x, y). */
void vbg_pinhole_ray(double d[3], const vbg_pinhole *v, double x, double y);
/* Picture position of world direction d; false when it lies behind the camera. */
bool vbg_pinhole_project(double xy[2], const vbg_pinhole *v, const double d[3]);

/* Position (u, v) in a w x h equirect picture of direction d; u in -0.5..w-0.5. */
void vbg_equirect_position(double uv[2], const double d[3], int w, int h);
/* Unit direction of equirect position (u, v). */
void vbg_equirect_direction(double d[3], double u, double v, int w, int h);

/* Weights of the four cubic taps at offsets -1, 0, 1, 2 for fraction t in 0..1. */
void vbg_cubic_weights(double weight[4], double t);

/* Reads pano (at most 4 channels) at (u, v) into out[channels].  Columns wrap; rows
 * beyond a pole continue on the other side of it. */
void vbg_equirect_sample(float *out, const vbg_image *pano, double u, double v,
                         vbg_sphere_filter filter);

#endif
