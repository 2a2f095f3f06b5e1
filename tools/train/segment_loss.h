/* Losses of segmenters beyond those of engine/loss.h: sharp borders and still masks.
 * Logits are f32 [n,h,w,1], alpha = sigmoid(logit); each is one value on the tape. */
#ifndef VBG_TOOLS_TRAIN_SEGMENT_LOSS_H
#define VBG_TOOLS_TRAIN_SEGMENT_LOSS_H

#include "engine/tape.h"

/* Marks pixels at most `radius` rows and columns away from a change of label [h][w]
 * (0, 1).  room: h*w bytes of scratch. */
void vbg_border_band(uint8_t *band, uint8_t *room, const uint8_t *label, int w, int h,
                     int radius);

/* Mean of |D alpha - D target| over the pixels of an image's band, D the differences to
 * the right and to the lower neighbour, 0 where there is no band; then the mean of the
 * images.  target f32, band u8, of the logits' shape.  Here and below |v| is v^2 255/2
 * where it is less than 1/255, and |v| - 1/510 elsewhere. */
vbg_tensor *vbg_loss_borders(vbg_ctx *c, const vbg_tensor *logits, const float *target,
                             const uint8_t *band);

/* Images 2k and 2k+1 show the same, the second moved by move[2k+1] (right, down): mean of
 * |alpha_2k(x) - alpha_2k+1(x + move)| where both are seen, then the mean of the pairs.
 */
vbg_tensor *vbg_loss_still(vbg_ctx *c, const vbg_tensor *logits, const int (*move)[2]);

#endif
