/* Whether neighbouring views of a room show the same thing, and whether a panorama
 * closes.  Source: MVDiffusion (Tang et al. 2023), "overlapping PSNR". */
#ifndef VBG_MODELS_OVERLAP_H
#define VBG_MODELS_OVERLAP_H

#include "engine/picture.h"

enum { VBG_OVERLAP_SIDE = 1024 }; /* to which views are brought before */

/* PSNR (peak 1, all channels) of view b, yaw_deg to the right of view a, warped into a
 * (bilinear), over the pixels whose four neighbours all lie in b.  Both are square, 3
 * channels, of one size, fov_deg wide; compared at VBG_OVERLAP_SIDE.  *out is infinite
 * for equal ones.  Errors: VBG_EUSAGE (sizes, no overlap), VBG_ENOMEM. */
vbg_status vbg_overlap_psnr(double *out, const vbg_picture *a, const vbg_picture *b,
                            double fov_deg, double yaw_deg, vbg_err *err);

/* Mean |last column - first column| over the mean difference of all neighbouring
 * columns: 1 where nothing shows. */
double vbg_seam_ratio(const vbg_picture *pano);

#endif
