/* What a renderer knows of a picture x.jpg: the region of every pixel (x.label.png, 8
 * bit) and its distance from the camera in millimetres (x.depth.png, 16 bit, 0: none, the
 * sky), as `vbg-train rooms` writes them; reduced to the cells of a coarse map. */
#ifndef VBG_TOOLS_TRAIN_TRUTH_H
#define VBG_TOOLS_TRAIN_TRUTH_H

#include "engine/base.h"

/* Regions are 0..127; of a cell without truth nothing is known. */
enum { VBG_TRUTH_REGIONS = 128, VBG_TRUTH_NONE = 255 };

typedef struct vbg_truth {
    uint8_t *label;  /* [h][w] */
    uint16_t *depth; /* [h][w] */
    int w, h;
} vbg_truth;

/* Whether both files lie beside the picture. */
bool vbg_truth_there(const char *picture);
/* Reads them; regions from 128 on become VBG_TRUTH_NONE.  Errors: VBG_EIO, VBG_EFORMAT
 * (not gray, another size than each other), VBG_ELIMIT, VBG_ENOMEM; then *out is zeroed.
 */
vbg_status vbg_truth_load(vbg_truth *out, const char *picture, vbg_err *err);
void vbg_truth_free(vbg_truth *t); /* accepts NULL and zeroed; zeroes *t */

/* side x side cells of the view at a yaw in degrees (90 degrees wide, level) of an
 * equirectangular picture: the most frequent region of 6 x 6 places in the cell (of
 * equal ones the lowest), and the mean of log(metres) there, not a number where there is
 * none. */
void vbg_truth_view(const vbg_truth *t, double yaw_deg, int side, uint8_t *label,
                    float *depth);
/* The same of the largest square in the middle of a picture. */
void vbg_truth_middle(const vbg_truth *t, int side, uint8_t *label, float *depth);

#endif
