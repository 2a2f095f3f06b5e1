/* Initial values of a new autoencoder that let colours through from the first step. */
#ifndef VBG_TOOLS_TRAIN_VAE_START_H
#define VBG_TOOLS_TRAIN_VAE_START_H

#include "engine/param.h"
#include "models/vae.h"

/* Changes the random initial values of a VAE's parameters (component "vae", just bound to
 * cfg) so that the first three latents are the means of red, green and blue over each
 * latent's cell and the decoder shows them smoothly enlarged; everything else stays
 * random and unheard at first.  Latents are drawn with a deviation of 0.05.
 *
 * Why: group norms take out what is the same all over a picture, so a random autoencoder
 * spends its first thousand steps on finding a way to say plain colours.  The way is
 * here: a colour x travels as four channels (x, -x, K, -K) that fill a part of a norm's
 * group: their mean is zero and their spread is nearly that of the constant K; and
 * silu(x) - silu(-x) = x.
 * Nothing is changed but the deviation where groups or widths leave no room for that. */
void vbg_vae_start(vbg_params *p, const vbg_vae_config *cfg);

/* The same for blocks of the decoder that cfg has and file lacks: they pass on what
 * comes, the sampler before them enlarges smoothly, so that the decoder of the file shows
 * its pictures at twice the size from the first step.  The parameters of these blocks
 * must have been declared and bound. */
void vbg_vae_start_grown(vbg_params *p, const vbg_weights *file,
                         const vbg_vae_config *cfg);

#endif
