/* Recipe weights of the full-size oracles: computed bit for bit from a name, a
 * seed and a range instead of stored (golden/seg/README.md, "Recipe weights"). */
#ifndef VBG_TESTS_RECIPE_H
#define VBG_TESTS_RECIPE_H

#include <jansson.h>

#include "engine/base.h"

/* dst[i] = float32(offset) + float32(recipe value i * range) for i in 0..count-1, on
 * all cores; the addition is left out when offset is 0. */
void recipe_fill(float *dst, size_t count, const char *name, uint64_t seed, double range,
                 double offset);

/* zlib's crc32 of the float32 bytes, computed in parallel and combined. */
uint32_t recipe_crc32(const float *v, size_t count);

/* Number of elements of an entry {"shape": [...], ...} and its dims (at most 8). */
size_t recipe_shape(const json_t *entry, int64_t dim[8], int *rank);

/* Fills dst (recipe_shape values) from a JSON entry {"shape", "range", ["offset"],
 * "crc32"}; false with the text in err when the checksum differs. */
bool recipe_entry(float *dst, const char *name, const json_t *entry, uint64_t seed,
                  vbg_err *err);

#endif
