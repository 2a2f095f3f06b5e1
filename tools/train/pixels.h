/* Pixel operations of augmentation, on f32 pictures of levels 0..255. */
#ifndef VBG_TOOLS_TRAIN_PIXELS_H
#define VBG_TOOLS_TRAIN_PIXELS_H

#include "engine/picture.h"
#include "kernels/table.h"
#include "tools/train/data.h"

/* An f32 picture, interleaved, no padding. */
typedef struct vbg_levels {
    int w, h, channels;
    float *v;
} vbg_levels;

/* Zeroed.  Errors: VBG_ENOMEM. */
vbg_status vbg_levels_new(vbg_levels *out, int w, int h, int channels, vbg_err *err);
void vbg_levels_free(vbg_levels *p); /* accepts NULL and zeroed; zeroes *p */
/* Rounded and clipped into an 8-bit picture of the same shape. */
void vbg_levels_store(vbg_picture *dst, const vbg_levels *p);

/* dst at pixel (x, y) is src at (m0 x + m1 y + m2, m3 x + m4 y + m5), bilinear; pixel
 * centres are whole numbers.  Outside src its border is repeated, or, with empty, there
 * is nothing (0).  Channels of dst are those of src. */
void vbg_warp(vbg_levels *dst, const vbg_picture *src, const double m[6], bool empty);

/* Mean over the (2 radius + 1)^2 window, of what lies inside the picture; scratch has p's
 * width and channels and one row more. */
void vbg_box_blur(vbg_levels *p, vbg_levels *scratch, int radius);
/* Gaussian of sigma pixels.  Errors: VBG_ENOMEM. */
vbg_status vbg_gauss_blur(vbg_levels *p, const vbg_kernels *k, double sigma,
                          vbg_err *err);

/* Colours of the person alone, where alpha (one channel, 0..255) mixes them with the old
 * background: two passes of blurred averages, wide and narrow.
 * Source: Forte 2021, "Approximate fast foreground colour estimation" (blur fusion). */
vbg_status vbg_foreground_colours(vbg_levels *rgb, const vbg_levels *alpha, vbg_err *err);

/* Moves mean and deviation of rgb's person (weights alpha) towards those of the
 * background by strength 0..1, channel by channel.  Source: Reinhard et al. 2001. */
void vbg_match_colours(vbg_levels *rgb, const vbg_levels *alpha, const vbg_levels *back,
                       double strength);

/* rgb = gain (level / 255)^gamma 255 + offset per channel, saturation about the luma. */
typedef struct vbg_tone {
    double gain[3], offset, gamma, saturation;
} vbg_tone;
void vbg_apply_tone(vbg_levels *rgb, const vbg_tone *t);

/* A ramp of light: from 1 - depth to 1 + depth across the picture at an angle. */
void vbg_light_ramp(vbg_levels *rgb, double depth, double angle_rad);

/* Sensor noise: sigma levels, of about normal distribution, shared partly by the
 * channels. */
void vbg_add_grain(vbg_levels *rgb, double sigma, vbg_dice *dice);

#endif
