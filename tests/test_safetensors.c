/* The safetensors reader: exactly the valid files pass, from memory, without a crash on
 * any prefix or byte change; and what the writer writes comes back. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "convert/json_text.h"
#include "convert/safetensors.h"

/* Length, header text and n zero bytes as a file; owned by the caller. */
static unsigned char *make_file(const char *header, size_t n, size_t *bytes)
{
    uint64_t length = strlen(header);
    unsigned char *p = calloc(1, 8 + (size_t)length + n + 1);

    memcpy(p, &length, 8);
    memcpy(p + 8, header, (size_t)length);
    *bytes = 8 + (size_t)length + n;
    return p;
}

static vbg_status read_text(const char *header, size_t n, vbg_err *err)
{
    size_t bytes;
    vbg_safetensors *f = NULL;
    unsigned char *p = make_file(header, n, &bytes);
    vbg_status st = vbg_st_open_memory(&f, p, bytes, err);

    vbg_st_close(f);
    free(p);
    return st;
}

#define T(name, kind, shape, range)                                                      \
    "\"" name "\":{\"dtype\":\"" kind "\",\"shape\":" shape ",\"data_offsets\":" range "}"

static const struct {
    const char *what, *header;
    size_t data;
    bool good;
} cases[] = {
    { "plain", "{" T("a", "F32", "[2]", "[0,8]") "}", 8, true },
    { "path-like name", "{" T(".", "F32", "[1]", "[0,4]") "}", 4, true },
    { "composed and decomposed twins",
      "{" T("\xc3\xa9", "U8", "[1]", "[0,1]") "," T("e\xcc\x81", "U8", "[1]",
                                                    "[1,2]") "}",
      2, true },
    { "large dim in an empty tensor", "{" T("a", "F32", "[0,8589934592]", "[0,0]") "}", 0,
      true },
    { "eight dims", "{" T("a", "U8", "[1,1,1,1,1,1,1,1]", "[0,1]") "}", 1, true },
    { "unsigned kinds", "{" T("a", "U64", "[1]", "[0,8]") "}", 8, true },
    { "four-bit pairs", "{" T("a", "F4", "[4]", "[0,2]") "}", 2, true },
    { "spaces behind", "{" T("a", "U8", "[1]", "[0,1]") "}      ", 1, true },
    { "byte order mark", "\xef\xbb\xbf{}", 0, false },
    { "metadata twice", "{\"__metadata__\":{},\"__metadata__\":{}}", 0, false },
    { "empty name", "{" T("", "U8", "[1]", "[0,1]") "}", 1, false },
    { "lower-case dtype", "{" T("a", "f32", "[2]", "[0,8]") "}", 8, false },
    { "the same name with another dtype",
      "{" T("a", "F32", "[2]", "[0,8]") "," T("a", "F16", "[4]", "[0,8]") "}", 8, false },
    { "nine dims", "{" T("a", "U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") "}", 1, false },
    { "unknown field",
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1}}", 1,
      false },
    { "dim 2^31", "{" T("a", "U8", "[2147483648]", "[0,0]") "}", 0, false },
    { "product 2^64", "{" T("a", "U8", "[65536,65536,65536,65536]", "[0,0]") "}", 0,
      false },
    { "product wraps to 8 bytes",
      "{" T("a", "F64", "[2147483647,2147483647,5]", "[0,8]") "}", 8, false },
    { "empty tensor that owns bytes", "{" T("a", "F32", "[0]", "[0,4]") "}", 4, false },
    { "negative zero-size", "{" T("a", "F32", "[-0]", "[0,0]") "}", 0, true },
    { "offset 2^63", "{" T("a", "U8", "[1]", "[9223372036854775808,1]") "}", 1, false },
    { "escape character in a name", "{" T("a\\u001b", "U8", "[1]", "[0,1]") "}", 1,
      false },
    { "C1 control in a name", "{" T("a\xc2\x9b", "U8", "[1]", "[0,1]") "}", 1, false },
    { "two values", "{}{}", 0, false },
    { "no JSON", "{]", 0, false },
};

Test(safetensors, table)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vbg_err err = { "" };
        vbg_status st = read_text(cases[i].header, cases[i].data, &err);
        cr_assert_eq(st == VBG_OK, cases[i].good, "%s: %s", cases[i].what, err.text);
        cr_assert_eq(err.text[0] != 0, !cases[i].good, "%s", cases[i].what);
        cr_assert(strlen(err.text) < 300);
    }
}

/* 1,024 bytes of name are fine, 1,025 are not; so are 65,536 and 65,537 tensors. */
Test(safetensors, limits)
{
    char *text = malloc(8u << 20);

    for (int extra = 0; extra < 2; extra++) {
        int n = sprintf(text, "{\"");
        memset(text + n, 'x', 1024 + (size_t)extra);
        sprintf(text + n + 1024 + extra,
                "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}");
        cr_assert_eq(read_text(text, 1, NULL) == VBG_OK, extra == 0);
    }
    for (int extra = 0; extra < 2; extra++) {
        size_t o = (size_t)sprintf(text, "{");
        for (int i = 0; i < 65536 + extra; i++)
            o += (size_t)sprintf(text + o, "%s" T("%d", "U8", "[0]", "[0,0]"),
                                 i ? "," : "", i);
        strcpy(text + o, "}");
        cr_assert_eq(read_text(text, 0, NULL) == VBG_OK, extra == 0);
    }
    free(text);
}

static const char sample[] =
    "{\"__metadata__\":{\"format\":\"pt\"}," T("b", "BF16", "[2,3]", "[4,16]") "," T(
        "a", "F32", "[1]", "[0,4]") "," T("z", "I64", "[0]", "[16,16]") "}";

Test(safetensors, every_prefix_is_refused)
{
    size_t bytes;
    unsigned char *p = make_file(sample, 12 + 4, &bytes);

    for (size_t n = 0; n <= bytes; n++) {
        vbg_safetensors *f = NULL;
        unsigned char *exact = malloc(n + !n); /* its end is watched by ASan */
        memcpy(exact, p, n);
        cr_assert_eq(vbg_st_open_memory(&f, exact, n, NULL) == VBG_OK, n == bytes);
        vbg_st_close(f);
        free(exact);
    }
    free(p);
}

/* No change of one byte crashes; files that still pass are read through. */
Test(safetensors, every_byte_change_is_harmless)
{
    size_t bytes, accepted = 0;
    unsigned char *p = make_file(sample, 12 + 4, &bytes);
    float v[16];

    for (size_t at = 0; at < bytes; at++)
        for (int x = 1; x < 256; x++) {
            vbg_safetensors *f = NULL;
            p[at] ^= (unsigned char)x;
            if (vbg_st_open_memory(&f, p, bytes, NULL) == VBG_OK) {
                accepted++;
                for (size_t i = 0; i < vbg_st_count(f); i++) {
                    const vbg_st_tensor *t = vbg_st_at(f, i);
                    cr_assert(t->count <= 16 && t->offset + t->bytes <= bytes);
                    if (t->dtype < VBG_DTYPES)
                        vbg_st_to_f32(v, t);
                }
            }
            vbg_st_close(f);
            p[at] ^= (unsigned char)x;
        }
    cr_assert(accepted > 0);
    free(p);
}

Test(safetensors, random_damage)
{
    size_t bytes;
    unsigned char *p = make_file(sample, 12 + 4, &bytes), *q = malloc(bytes);
    uint64_t s = 7;

    for (int k = 0; k < 20000; k++) {
        vbg_safetensors *f = NULL;
        memcpy(q, p, bytes);
        for (int i = 0; i < 1 + k % 7; i++) {
            s = s * 6364136223846793005u + 1442695040888963407u;
            q[(s >> 33) % bytes] = (unsigned char)(s >> 20);
        }
        if (vbg_st_open_memory(&f, q, bytes, NULL) == VBG_OK)
            vbg_st_close(f);
    }
    free(p);
    free(q);
}

Test(safetensors, write_and_read)
{
    static const char *const meta[] = { "format", "pt", "note", "x", NULL };
    float f32[6] = { 1, -2, 0.5f, 3, 4, 65504 };
    uint16_t f16[3] = { 0x3c00, 0x0001, 0xfc00 }, bf16[2] = { 0x3f80, 0xc000 };
    int64_t i64[2] = { -7, 12345 };
    int32_t i32[2] = { -1, 99 };
    double f64[1] = { 0.25 };
    uint8_t u8[3] = { 0, 1, 255 };
    int8_t i8[2] = { -128, 127 };
    vbg_st_out out[] = {
        { "z.f32", VBG_F32, 2, { 2, 3 }, f32 }, { "f16", VBG_F16, 1, { 3 }, f16 },
        { "bf16", VBG_BF16, 1, { 2 }, bf16 },   { "i64", VBG_I64, 1, { 2 }, i64 },
        { "i32", VBG_I32, 1, { 2 }, i32 },      { "f64", VBG_F64, 0, { 0 }, f64 },
        { "u8", VBG_U8, 1, { 3 }, u8 },         { "i8", VBG_I8, 1, { 2 }, i8 },
        { "none", VBG_F32, 2, { 0, 5 }, NULL },
    };
    static const struct {
        const char *name;
        float v[6];
    } want[] = {
        { "z.f32", { 1, -2, 0.5f, 3, 4, 65504 } },
        { "f16", { 1, 0x1p-24f, -INFINITY } },
        { "bf16", { 1, -2 } },
        { "i64", { -7, 12345 } },
        { "i32", { -1, 99 } },
        { "f64", { 0.25f } },
        { "u8", { 0, 1, 255 } },
        { "i8", { -128, 127 } },
    };
    char path[200];
    vbg_err err = { "" };
    vbg_safetensors *f = NULL;

    snprintf(path, sizeof path, "/tmp/vbg-test-%ld.safetensors", (long)getpid());
    cr_assert_eq(vbg_st_write(path, out, 9, meta, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_st_open(&f, path, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_st_count(f), 9);
    cr_assert_str_eq(vbg_st_metadata(f, "format"), "pt");
    cr_assert_null(vbg_st_metadata(f, "absent"));
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        float v[6];
        const vbg_st_tensor *t = vbg_st_find(f, want[i].name);
        cr_assert_not_null(t);
        vbg_st_to_f32(v, t);
        cr_assert_eq(memcmp(v, want[i].v, t->count * sizeof *v), 0, "%s", want[i].name);
        vbg_st_release(f, t);
    }
    cr_assert_null(vbg_st_find(f, "z"));
    vbg_st_close(f);
    out[1].name = "z.f32";
    cr_assert_eq(vbg_st_write(path, out, 9, meta, NULL), VBG_EFORMAT, "duplicate name");
    cr_assert_eq(access(path, F_OK), 0, "a failed run keeps the old file");
    unlink(path);
}

Test(json, bounds)
{
    const char *cause;
    static const char *const bad[] = {
        "",    "{",           "{\"a\":1,\"a\":2}", "[[[[[1]]]]]",
        "1 2", "[1,2,3,4]",   "\"\\ud800\"",       "[1e999]",
        "nul", "\"\\u0000\"", "{\"\\u0000\":1}",   "[01]"
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *j = vbg_json_parse(bad[i], strlen(bad[i]), 4, 3, &cause);
        cr_assert_null(j, "%s", bad[i]);
        cr_assert(cause[0], "%s", bad[i]);
    }
    static const char brackets[] = "{\"]]]]]]\\\"{\":[1]}";
    json_t *j = vbg_json_parse(brackets, strlen(brackets), 4, 3, &cause);
    cr_assert_not_null(j, "%s", cause);
    json_decref(j);
}
