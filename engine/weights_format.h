/* The byte layout of .vbg files, shared by reader and writer.  All little-endian.
 *
 *     header (64 bytes)
 *       0  char[8] "vbgmodel"      8  u32 version        12  u32 flags, 0
 *      16  u64 meta offset = 64   24  u64 meta bytes
 *      32  u64 index offset       40  u64 index bytes    (offset: end of meta)
 *      48  u64 data offset        56  u64 XXH3 of header (field 0), meta, index
 *
 *     metadata: u64 count, then per key, sorted by key:
 *       u32 key bytes, u32 type, u64 value bytes, key, NUL, value, NUL,
 *       zeros to a multiple of 8.  Types: vbg_meta_type.
 *
 *     index: u64 count, then per tensor, sorted by (component, name):
 *       u32 component bytes, u32 name bytes, u8 dtype, u8 layout, u8 rank, u8 0,
 *       u32 0, i64 dim[rank], u64 offset, u64 bytes, u64 XXH3 of the data,
 *       component, NUL, name, NUL, zeros to a multiple of 8
 *
 *     data: starts at the next multiple of 64 behind the index; each tensor starts
 *       at the next multiple of 64 behind the one before it; the file ends 64 zero
 *       bytes after the last tensor's end rounded up to 64, so that vector loads may
 *       run past a tensor.  Every byte between tensors is zero. */
#ifndef VBG_ENGINE_WEIGHTS_FORMAT_H
#define VBG_ENGINE_WEIGHTS_FORMAT_H

#include "engine/io.h"
#include "engine/weights.h"

#define VBG_FILE_MAGIC "vbgmodel"

enum {
    VBG_FILE_VERSION = 1,
    VBG_FILE_HEADER = 64,
    VBG_FILE_ALIGN = 64,
    VBG_FILE_TAIL = 64,
    VBG_MAX_TENSORS = 65536,
    VBG_MAX_COMPONENTS = 64,
    VBG_MAX_NAME = 1024,
    VBG_MAX_META = 4096,
    VBG_MAX_META_KEY = 256,
    VBG_MAX_META_VALUE = 16 << 20
};

/* Limits of every model file, of whatever format. */
#define VBG_MAX_MODEL_BYTES ((uint64_t)64 << 30)
#define VBG_MAX_TENSOR_BYTES ((uint64_t)1 << 40)
#define VBG_MAX_DIM ((int64_t)0x7fffffff)

typedef enum vbg_meta_type {
    VBG_META_STRING = 1, /* UTF-8, no NUL inside */
    VBG_META_INT = 2,    /* i64 */
    VBG_META_REAL = 3,   /* f64, finite */
    VBG_META_BYTES = 4
} vbg_meta_type;

/* Elements and stored bytes of a tensor: false when a dim, the product or the bytes
 * break the limits, or when dtype, layout and dims do not fit together. */
bool vbg_layout_bytes(size_t *bytes, vbg_dtype dtype, vbg_layout layout, int rank,
                      const int64_t *dim);

/* Product of dims with the limits of all model files (dims 0..2^31-1, larger ones only
 * in an empty tensor; product of the non-zero dims <= 2^40).  A zero dim never skips
 * the checks of the others. */
bool vbg_dims_count(size_t *count, int rank, const int64_t *dim);

/* Opens bytes that are already mapped (taken over in every case) and counts lookups. */

vbg_status vbg_weights_open_preview(vbg_weights **out, vbg_map *map, vbg_err *err);

/* values, f32 in PyTorch order, rounded to t and put in the form of layout: dst has
 * vbg_layout_bytes. */
void vbg_layout_pack(void *dst, vbg_dtype t, vbg_layout layout, int rank,
                     const int64_t *dim, const float *values);

/* Layers of 8 bits (dtype i8, layout pack16): bytes in the file; values f32 in PyTorch
 * order to the file's form, |error| <= scale/2 with scale = largest |value| of the output
 * channel / 127; and that form to packed bf16 (vbg_pack_bytes). */
size_t vbg_int8_bytes(size_t oc, size_t c, size_t taps);
void vbg_int8_pack(void *dst, const float *w, size_t oc, size_t c, size_t taps);
void vbg_int8_widen(uint16_t *dst, const void *src, size_t oc, size_t c, size_t taps);

/* Name of a layout for listings. */
const char *vbg_layout_name(vbg_layout layout);

#endif
