/* Reproducible normal noise: Philox4x32-10 and Box-Muller in double.
 *
 * Counter-based: value i of a stream is a function of (seed, stream, i) alone, so any
 * part can be made in any order on any number of threads.
 * Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"; the
 * rounds are checked against the known answers of its Random123 library. */
#ifndef VBG_MODELS_RNG_H
#define VBG_MODELS_RNG_H

#include "engine/base.h"

/* Ten rounds over one counter: out[4] from counter[4] and key[2]. */
void vbg_philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/* count standard normal values of the stream, from value `first` on.  Block b of four
 * values comes from counter (b, stream) and key seed: two uniforms (r + 1/2) / 2^32
 * give sqrt(-2 ln u) cos(2 pi v) and the same with sin. */
void vbg_normal(float *out, size_t count, uint64_t seed, uint64_t stream, uint64_t first);

#endif
