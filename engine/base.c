/* Errors, checked sizes, scalar conversions, aligned memory. */
#define _POSIX_C_SOURCE 200809L
#define _GNU_SOURCE
#include "engine/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

/* U+0080..U+009F: terminals obey these too. */
static bool is_c1(const char *s)
{
    return (unsigned char)s[0] == 0xc2 && (unsigned char)s[1] >= 0x80 &&
           (unsigned char)s[1] < 0xa0;
}

void vbg_escape_controls(char *dst, size_t size, const char *src)
{
    size_t o = 0;

    for (; *src && o + 9 < size; src++) {
        unsigned char ch = (unsigned char)*src;
        if (is_c1(src)) {
            o += (size_t)snprintf(dst + o, size - o, "\\x%02x\\x%02x", ch,
                                  (unsigned)(unsigned char)src[1]);
            src++;
        } else if (ch < 0x20 || ch == 0x7f) {
            o += (size_t)snprintf(dst + o, size - o, "\\x%02x", ch);
        } else {
            dst[o++] = *src;
        }
    }
    dst[o] = 0;
}

vbg_status vbg_fail(vbg_err *err, vbg_status st, const char *fmt, ...)
{
    char raw[sizeof err->text];
    va_list ap;

    if (!err || err->text[0])
        return st;
    va_start(ap, fmt);
    vsnprintf(raw, sizeof raw, fmt, ap);
    va_end(ap);
    vbg_escape_controls(err->text, sizeof err->text, raw);
    return st;
}

_Noreturn void vbg_panic(const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "vbg: broken contract at %s:%d: ", file, line);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    abort();
}

bool vbg_mul_size(size_t *out, size_t a, size_t b)
{
    size_t r;
    if (__builtin_mul_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

bool vbg_add_size(size_t *out, size_t a, size_t b)
{
    size_t r;
    if (__builtin_add_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

bool vbg_align_up(size_t *out, size_t a, size_t align)
{
    size_t r;
    if (__builtin_add_overflow(a, align - 1, &r))
        return false;
    *out = r & ~(align - 1);
    return true;
}

static const struct {
    const char *name;
    size_t size;
} dtypes[VBG_DTYPES] = {
    [VBG_F32] = { "f32", 4 }, [VBG_BF16] = { "bf16", 2 }, [VBG_F16] = { "f16", 2 },
    [VBG_I8] = { "i8", 1 },   [VBG_U8] = { "u8", 1 },     [VBG_I32] = { "i32", 4 },
    [VBG_I64] = { "i64", 8 }, [VBG_F64] = { "f64", 8 },   [VBG_BOOL] = { "bool", 1 },
};

size_t vbg_dtype_size(vbg_dtype t)
{
    return dtypes[t].size;
}

const char *vbg_dtype_name(vbg_dtype t)
{
    return dtypes[t].name;
}

static uint32_t bits_of(float v)
{
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}

static float float_of(uint32_t u)
{
    float v;
    memcpy(&v, &u, sizeof v);
    return v;
}

float vbg_bf16_to_f32(uint16_t v)
{
    return float_of((uint32_t)v << 16);
}

uint16_t vbg_f32_to_bf16(float v)
{
    uint32_t u = bits_of(v);

    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((u >> 16) | 0x40); /* quiet NaN */
    return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1)) >> 16);
}

float vbg_f16_to_f32(uint16_t v)
{
    uint32_t sign = (uint32_t)(v & 0x8000u) << 16;
    uint32_t exp = (v >> 10) & 0x1f, man = v & 0x3ffu;

    if (exp == 0x1f)
        return float_of(sign | 0x7f800000u | man << 13);
    if (exp == 0) { /* zero or subnormal: man * 2^-24 is exact in f32 */
        float m = (float)man * 0x1p-24f;
        return float_of(sign | bits_of(m));
    }
    return float_of(sign | (exp + 112) << 23 | man << 13);
}

uint16_t vbg_f32_to_f16(float v)
{
    uint32_t u = bits_of(v);
    uint16_t sign = (uint16_t)((u >> 16) & 0x8000u);
    uint32_t a = u & 0x7fffffffu;

    if (a > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (a >= 0x477ff000u) /* rounds to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (a < 0x38800000u) /* subnormal half: let f32 addition do the rounding */
        return (uint16_t)(sign | (bits_of(float_of(a) + 0.5f) - 0x3f000000u));
    a += 0xfffu + ((a >> 13) & 1);
    return (uint16_t)(sign | ((a - 0x38000000u) >> 13));
}

enum { HUGE_PAGE = 2 << 20 };

void *vbg_alloc(size_t bytes)
{
    size_t total;
    void *p;

    /* large blocks on huge pages: strided tile loads touch many pages at once */
    size_t unit = bytes >= 2 * HUGE_PAGE ? HUGE_PAGE : 64;
    if (!vbg_add_size(&total, bytes, 64) || !vbg_align_up(&total, total, unit))
        return NULL;
    p = aligned_alloc(unit, total);
    if (p && unit == HUGE_PAGE)
        madvise(p, total, MADV_HUGEPAGE);
    if (p)
        memset(p, 0, total);
    return p;
}

void vbg_free_mem(void *p)
{
    free(p);
}

double vbg_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
