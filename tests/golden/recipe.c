/* The generator: splitmix64 of (FNV-1a of the name) xor (seed * golden ratio).
 * Element i depends on i alone, so the array is cut into pieces for the threads. */
#include "tests/golden/recipe.h"

#include <zlib.h>

static const uint64_t GOLDEN = 0x9E3779B97F4A7C15u;

enum { PIECE = 1 << 20 }; /* values per task */

static uint64_t fnv1a64(const char *s)
{
    uint64_t h = 0xCBF29CE484222325u;

    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001B3u;
    return h;
}

static void fill_piece(float *dst, size_t first, size_t last, uint64_t s, double range,
                       float offset)
{
    for (size_t i = first; i < last; i++) {
        uint64_t z = s + (uint64_t)(i + 1) * GOLDEN;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        z ^= z >> 31;
        int32_t odd = (int32_t)(2 * (z >> 40)) + 1 - (1 << 24);
        dst[i] = (float)((double)odd / (double)(1 << 24) * range);
    }
    if (offset != 0)
        for (size_t i = first; i < last; i++)
            dst[i] = offset + dst[i];
}

void recipe_fill(float *dst, size_t count, const char *name, uint64_t seed, double range,
                 double offset)
{
    uint64_t s = fnv1a64(name) ^ seed * GOLDEN;
    size_t pieces = (count + PIECE - 1) / PIECE;

#pragma omp parallel for schedule(static)
    for (size_t p = 0; p < pieces; p++) {
        size_t last = (p + 1) * PIECE < count ? (p + 1) * PIECE : count;
        fill_piece(dst, p * PIECE, last, s, range, (float)offset);
    }
}

uint32_t recipe_crc32(const float *v, size_t count)
{
    enum { HALVES = 4 };
    uLong part[HALVES];
    size_t cut[HALVES + 1];

    for (int i = 0; i <= HALVES; i++)
        cut[i] = count / HALVES * (size_t)i;
    cut[HALVES] = count;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < HALVES; i++)
        part[i] = crc32_z(0, (const Bytef *)(v + cut[i]), 4 * (cut[i + 1] - cut[i]));
    uLong crc = part[0];
    for (int i = 1; i < HALVES; i++)
        crc = crc32_combine(crc, part[i], (z_off_t)(4 * (cut[i + 1] - cut[i])));
    return (uint32_t)crc;
}

size_t recipe_shape(const json_t *entry, int64_t dim[8], int *rank)
{
    const json_t *shape = json_object_get(entry, "shape");
    size_t count = 1, n = json_array_size(shape);

    VBG_CHECK(n <= 8, "recipe of rank %zu", n);
    for (size_t i = 0; i < n; i++) {
        dim[i] = json_integer_value(json_array_get(shape, i));
        count *= (size_t)dim[i];
    }
    *rank = (int)n;
    return count;
}

bool recipe_entry(float *dst, const char *name, const json_t *entry, uint64_t seed,
                  vbg_err *err)
{
    int64_t dim[8];
    int rank;
    size_t count = recipe_shape(entry, dim, &rank);
    const json_t *crc = json_object_get(entry, "crc32");

    recipe_fill(dst, count, name, seed,
                json_number_value(json_object_get(entry, "range")),
                json_number_value(json_object_get(entry, "offset")));
    uint32_t got = recipe_crc32(dst, count);
    if (crc && (json_int_t)got != json_integer_value(crc)) {
        vbg_fail(err, VBG_EFORMAT, "%s: recipe gives crc32 %u", name, got);
        return false;
    }
    return true;
}
