/* The .vbg weights file: one model package per file, opened with one mmap.
 *
 *     0    header, 64 bytes: magic "vbgmodel", u32 version, u32 flags,
 *          u64 meta offset, u64 meta bytes, u64 index offset, u64 index bytes,
 *          u64 data offset, u64 XXH3 of header (this field 0), meta and index
 *     ...  metadata: sorted (key, type, value); types: string, i64, f64, bytes
 *     ...  index: sorted by (component, name); per tensor dtype, layout, rank,
 *          dims (PyTorch order), offset, bytes, XXH3 of the data
 *     ...  data: every tensor 64-byte aligned, gaps zero, in index order; layers may
 *          be stored in 8 bits (engine/weights_int8.c), they are widened at opening
 *
 * Little-endian.  The exact byte layout stands in engine/weights.c beside the
 * code that checks it.  Open validates header, metadata and index completely
 * before any pointer leaves the reader; data checksums are compared on demand
 * (vbg_weights_verify, or when a component is bound with verify set).
 * Limits: reliability rules of docs (components <= 64, tensors <= 65,536, ...). */
#ifndef VBG_ENGINE_WEIGHTS_H
#define VBG_ENGINE_WEIGHTS_H

#include "engine/base.h"

typedef enum vbg_layout {
    VBG_LAYOUT_PLAIN,     /* row-major, dims as stored                       */
    VBG_LAYOUT_PACK16,    /* kernels/gemm.h; dims are [oc][c][kh][kw] or [oc][c] */
    VBG_LAYOUT_DEPTHWISE, /* f32 [kh*kw][c]; dims are [c][1][kh][kw]         */
    VBG_LAYOUT_TRANSPOSED /* f32 [kh*kw][oc][c]; dims are [c][oc][kh][kw]    */
} vbg_layout;

enum { VBG_MAX_RANK = 8 };

typedef struct vbg_entry {
    const char *component, *name;
    vbg_dtype dtype;
    vbg_layout layout;
    int rank;
    int64_t dim[VBG_MAX_RANK];
    const void *data; /* mapped, 64-byte aligned */
    size_t bytes;
    uint64_t checksum;
    vbg_dtype stored; /* in the file: VBG_I8 for layers that were widened to bf16 */
    const void *file; /* what the checksum is of */
    size_t file_bytes;
} vbg_entry;

typedef struct vbg_weights vbg_weights;
struct vbg_params;

/* Errors: VBG_EIO, VBG_EFORMAT, VBG_ELIMIT, VBG_ENOMEM. */
vbg_status vbg_weights_open(vbg_weights **out, const char *path, vbg_err *err);
void vbg_weights_close(vbg_weights *w); /* accepts NULL */

/* NULL when there is none. */
const vbg_entry *vbg_weights_find(const vbg_weights *w, const char *component,
                                  const char *name);
size_t vbg_weights_count(const vbg_weights *w);
const vbg_entry *vbg_weights_at(const vbg_weights *w, size_t i);
bool vbg_weights_has_component(const vbg_weights *w, const char *component);

/* Values of a floating-point tensor of any layout as f32 in PyTorch order; dst holds the
 * product of its dims.  False: not floats. */
bool vbg_entry_values(float *dst, const vbg_entry *e);

/* Metadata by key: false when absent or of another type. */
bool vbg_weights_string(const vbg_weights *w, const char *key, const char **value);
bool vbg_weights_int(const vbg_weights *w, const char *key, int64_t *value);
bool vbg_weights_real(const vbg_weights *w, const char *key, double *value);
bool vbg_weights_bytes(const vbg_weights *w, const char *key, const void **data,
                       size_t *bytes);
/* The i-th key of all, sorted; NULL after the last. */
const char *vbg_weights_key(const vbg_weights *w, size_t i);

/* A file without metadata and tensors, for models that are made from nothing
 * (engine/param.h).  Errors: VBG_ENOMEM. */
vbg_status vbg_weights_empty(vbg_weights **out, vbg_err *err);
/* Parameters that stand in for the file's tensors (vbg_params_attach); NULL: none. */
void vbg_weights_set_params(vbg_weights *w, struct vbg_params *p);
struct vbg_params *vbg_weights_params(const vbg_weights *w);

/* Key i of the metadata: its type (engine/weights_format.h), value and bytes. */
size_t vbg_weights_meta_count(const vbg_weights *w);
const char *vbg_weights_meta_at(const vbg_weights *w, size_t i, int *type,
                                const void **value, size_t *bytes);

/* Compares every data checksum; names the first wrong tensor. */
vbg_status vbg_weights_verify(const vbg_weights *w, vbg_err *err);

/* ---- writing ---- */

typedef struct vbg_writer vbg_writer;

/* Announce everything first (metadata and tensors, any order), then write each
 * tensor's data once, in any order, then finish: header and index go in last and
 * the temporary file is fsynced and renamed.  abort removes the temporary file. */
vbg_status vbg_writer_new(vbg_writer **out, const char *path, vbg_err *err);
void vbg_writer_abort(vbg_writer *w); /* accepts NULL */
vbg_status vbg_writer_string(vbg_writer *w, const char *key, const char *value,
                             vbg_err *err);
vbg_status vbg_writer_int(vbg_writer *w, const char *key, int64_t value, vbg_err *err);
vbg_status vbg_writer_real(vbg_writer *w, const char *key, double value, vbg_err *err);
vbg_status vbg_writer_bytes(vbg_writer *w, const char *key, const void *data,
                            size_t bytes, vbg_err *err);
/* All metadata of an open file but keys that were given already. */
vbg_status vbg_writer_copy_meta(vbg_writer *w, const vbg_weights *from, vbg_err *err);
/* dims in PyTorch order; bytes follow from dtype, layout and dims. */
vbg_status vbg_writer_declare(vbg_writer *w, const char *component, const char *name,
                              vbg_dtype dtype, vbg_layout layout, int rank,
                              const int64_t *dim, vbg_err *err);
/* A writer without a file, only for vbg_writer_preview; abort frees it. */
vbg_status vbg_writer_new_preview(vbg_writer **out, vbg_err *err);
/* The file as it will be, with every value zero: names, shapes and metadata can be
 * bound before any data is there.  vbg_weights_asked tells what was looked up. */
vbg_status vbg_writer_preview(vbg_writer *w, vbg_weights **out, vbg_err *err);
/* Whether vbg_weights_find ever returned entry i (previews only). */
bool vbg_weights_asked(const vbg_weights *w, size_t i);
/* values: f32 in PyTorch order for float dtypes (rounded and packed here), raw
 * elements otherwise. */
vbg_status vbg_writer_data(vbg_writer *w, const char *component, const char *name,
                           const void *values, vbg_err *err);
vbg_status vbg_writer_finish(vbg_writer *w, vbg_err *err); /* frees w on success */

#endif
