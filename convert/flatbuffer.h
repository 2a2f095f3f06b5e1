/* Strict reading of FlatBuffers: every offset, length and vtable is checked before
 * it is followed.
 *
 * Errors are sticky: the first defect is kept in the reader with its place, later
 * calls return zeros and empty vectors, so a caller may read a whole object and ask
 * once.  Offsets lead forward only, so nothing can loop; loops over vectors are
 * bounded by the file's size.
 *
 *     table:  i32 distance back to its vtable, then fields
 *     vtable: u16 own size, u16 size of the table, u16 offset of each field (0: absent)
 *     vector: u32 count, elements; a string is a vector of bytes and a 0 behind it
 *
 * Limits: vtable 4..512 bytes, even; 100,000 tables visited; names as vbg_name_ok. */
#ifndef VBG_CONVERT_FLATBUFFER_H
#define VBG_CONVERT_FLATBUFFER_H

#include "engine/base.h"

typedef struct vbg_fb {
    const uint8_t *data;
    size_t bytes;
    size_t tables;     /* visited so far */
    const char *cause; /* NULL while nothing is wrong */
    size_t where;      /* byte of the first defect */
} vbg_fb;

/* A checked table; at == 0 where there is none. */
typedef struct vbg_fb_table {
    size_t at, bytes, vtable, fields;
} vbg_fb_table;

/* A checked vector; count 0 where there is none. */
typedef struct vbg_fb_vector {
    size_t at, count; /* byte of the first element */
    bool present;
} vbg_fb_vector;

/* Notes a defect; the first one stays. */
void vbg_fb_defect(vbg_fb *f, size_t where, const char *cause);

/* The root table of a buffer with this 4-byte identifier. */
vbg_fb_table vbg_fb_root(vbg_fb *f, const char identifier[4]);
bool vbg_fb_has(const vbg_fb *f, vbg_fb_table t, size_t field);

/* Scalars; absent fields give otherwise. */
int64_t vbg_fb_i32(vbg_fb *f, vbg_fb_table t, size_t field, int32_t otherwise);
int64_t vbg_fb_u32(vbg_fb *f, vbg_fb_table t, size_t field, uint32_t otherwise);
int vbg_fb_i8(vbg_fb *f, vbg_fb_table t, size_t field, int8_t otherwise);
int vbg_fb_u8(vbg_fb *f, vbg_fb_table t, size_t field, uint8_t otherwise);

/* A sub-table; at == 0 when absent. */
vbg_fb_table vbg_fb_sub(vbg_fb *f, vbg_fb_table t, size_t field);
/* A vector of elements of size bytes each. */
vbg_fb_vector vbg_fb_vec(vbg_fb *f, vbg_fb_table t, size_t field, size_t size);
/* Element i of a vector of tables, of i32, of f32. */
vbg_fb_table vbg_fb_table_at(vbg_fb *f, vbg_fb_vector v, size_t i);
int32_t vbg_fb_i32_at(vbg_fb *f, vbg_fb_vector v, size_t i);
float vbg_fb_f32_at(vbg_fb *f, vbg_fb_vector v, size_t i);
/* A string inside the buffer, "" when absent. */
const char *vbg_fb_string(vbg_fb *f, vbg_fb_table t, size_t field);

#endif
