/* FlatBuffers reader; see convert/flatbuffer.h. */
#include "convert/flatbuffer.h"

#include "engine/io.h"

#include <string.h>

enum { MAX_TABLES = 100000, MAX_VTABLE = 512, MAX_STRING = 1024 };

void vbg_fb_defect(vbg_fb *f, size_t where, const char *cause)
{
    if (!f->cause) {
        f->cause = cause;
        f->where = where;
    }
}

static bool inside(const vbg_fb *f, size_t at, size_t bytes)
{
    return at <= f->bytes && bytes <= f->bytes - at;
}

/* Little-endian values of bytes that are known to be inside. */
static unsigned load16(const vbg_fb *f, size_t at)
{
    return f->data[at] | (unsigned)f->data[at + 1] << 8;
}

static uint32_t load32(const vbg_fb *f, size_t at)
{
    return load16(f, at) | (uint32_t)load16(f, at + 2) << 16;
}

static bool check_fields(vbg_fb *f, const vbg_fb_table *t)
{
    for (size_t i = 0; i < t->fields; i++) {
        unsigned o = load16(f, t->vtable + 4 + 2 * i);
        if (o != 0 && (o < 4 || o >= t->bytes)) {
            vbg_fb_defect(f, t->vtable + 4 + 2 * i, "a field lies outside its table");
            return false;
        }
    }
    return true;
}

static vbg_fb_table open_table(vbg_fb *f, size_t at)
{
    const vbg_fb_table none = { 0 };

    if (f->cause)
        return none;
    if (++f->tables > MAX_TABLES) {
        vbg_fb_defect(f, at, "more than 100000 tables");
        return none;
    }
    if (at % 4 != 0 || !inside(f, at, 4)) {
        vbg_fb_defect(f, at, "a table is unaligned or beyond the end");
        return none;
    }
    int64_t v = (int64_t)at - (int32_t)load32(f, at);
    if (v < 0 || v % 2 != 0 || !inside(f, (size_t)v, 4)) {
        vbg_fb_defect(f, at, "a vtable is unaligned or outside the file");
        return none;
    }
    vbg_fb_table t = { .at = at, .vtable = (size_t)v };
    size_t size = load16(f, t.vtable);
    t.bytes = load16(f, t.vtable + 2);
    if (size < 4 || size > MAX_VTABLE || size % 2 || !inside(f, t.vtable, size)) {
        vbg_fb_defect(f, t.vtable, "a vtable has an impossible size");
        return none;
    }
    if (t.bytes < 4 || !inside(f, at, t.bytes)) {
        vbg_fb_defect(f, t.vtable + 2, "a table has an impossible size");
        return none;
    }
    t.fields = (size - 4) / 2;
    return check_fields(f, &t) ? t : none;
}

/* Byte of a field of width bytes; 0 when absent or wrong. */
static size_t field_at(vbg_fb *f, vbg_fb_table t, size_t field, size_t width)
{
    if (f->cause || !t.at || field >= t.fields)
        return 0;
    size_t o = load16(f, t.vtable + 4 + 2 * field);
    if (o == 0)
        return 0;
    if (o + width > t.bytes || (t.at + o) % width != 0) {
        vbg_fb_defect(f, t.vtable + 4 + 2 * field, "a field is unaligned or too long");
        return 0;
    }
    return t.at + o;
}

/* Follows the u32 offset at `at`; 0 when wrong. */
static size_t follow(vbg_fb *f, size_t at)
{
    size_t to = at + load32(f, at);

    if (to == at || to % 4 != 0 || !inside(f, to, 4)) {
        vbg_fb_defect(f, at, "an offset is zero, unaligned or leads beyond the end");
        return 0;
    }
    return to;
}

vbg_fb_table vbg_fb_root(vbg_fb *f, const char identifier[4])
{
    const vbg_fb_table none = { 0 };

    if (f->bytes < 8) {
        vbg_fb_defect(f, 0, "too short to be one");
        return none;
    }
    if (memcmp(f->data + 4, identifier, 4) != 0) {
        vbg_fb_defect(f, 4, "the identifier is another one");
        return none;
    }
    size_t to = follow(f, 0);
    return to ? open_table(f, to) : none;
}

bool vbg_fb_has(const vbg_fb *f, vbg_fb_table t, size_t field)
{
    return t.at && field < t.fields && load16(f, t.vtable + 4 + 2 * field) != 0;
}

int64_t vbg_fb_i32(vbg_fb *f, vbg_fb_table t, size_t field, int32_t otherwise)
{
    size_t at = field_at(f, t, field, 4);
    return at ? (int32_t)load32(f, at) : otherwise;
}

int64_t vbg_fb_u32(vbg_fb *f, vbg_fb_table t, size_t field, uint32_t otherwise)
{
    size_t at = field_at(f, t, field, 4);
    return at ? load32(f, at) : otherwise;
}

int vbg_fb_i8(vbg_fb *f, vbg_fb_table t, size_t field, int8_t otherwise)
{
    size_t at = field_at(f, t, field, 1);
    return at ? (int8_t)f->data[at] : otherwise;
}

int vbg_fb_u8(vbg_fb *f, vbg_fb_table t, size_t field, uint8_t otherwise)
{
    size_t at = field_at(f, t, field, 1);
    return at ? f->data[at] : otherwise;
}

vbg_fb_table vbg_fb_sub(vbg_fb *f, vbg_fb_table t, size_t field)
{
    size_t at = field_at(f, t, field, 4);
    size_t to = at ? follow(f, at) : 0;
    return to ? open_table(f, to) : (vbg_fb_table){ 0 };
}

vbg_fb_vector vbg_fb_vec(vbg_fb *f, vbg_fb_table t, size_t field, size_t size)
{
    size_t at = field_at(f, t, field, 4);
    size_t to = at ? follow(f, at) : 0;

    if (!to)
        return (vbg_fb_vector){ 0 };
    size_t count = load32(f, to);
    if (count > (f->bytes - to - 4) / size) {
        vbg_fb_defect(f, to, "a vector is longer than the file");
        return (vbg_fb_vector){ 0 };
    }
    return (vbg_fb_vector){ .at = to + 4, .count = count, .present = true };
}

vbg_fb_table vbg_fb_table_at(vbg_fb *f, vbg_fb_vector v, size_t i)
{
    size_t to = !f->cause && i < v.count ? follow(f, v.at + 4 * i) : 0;
    return to ? open_table(f, to) : (vbg_fb_table){ 0 };
}

int32_t vbg_fb_i32_at(vbg_fb *f, vbg_fb_vector v, size_t i)
{
    return !f->cause && i < v.count ? (int32_t)load32(f, v.at + 4 * i) : 0;
}

float vbg_fb_f32_at(vbg_fb *f, vbg_fb_vector v, size_t i)
{
    uint32_t bits = !f->cause && i < v.count ? load32(f, v.at + 4 * i) : 0;
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

const char *vbg_fb_string(vbg_fb *f, vbg_fb_table t, size_t field)
{
    vbg_fb_vector v = vbg_fb_vec(f, t, field, 1);

    if (f->cause || v.count == 0)
        return "";
    if (!inside(f, v.at + v.count, 1) || f->data[v.at + v.count] != 0) {
        vbg_fb_defect(f, v.at, "a string is not ended by a zero");
        return "";
    }
    const char *s = (const char *)f->data + v.at;
    if (!vbg_name_ok(s, v.count, MAX_STRING)) {
        vbg_fb_defect(f, v.at, "a name is too long, not UTF-8 or has control characters");
        return "";
    }
    return s;
}
