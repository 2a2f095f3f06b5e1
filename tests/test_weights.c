/* .vbg files: what is written comes back, and no damaged file passes.
 *
 * The damage follows ../shared/spec/reliability.md (d): each case edits a valid file,
 * most also repair the header checksum, so that the check behind it has to notice. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "engine/bind.h"
#include "engine/map_guard.h"
#include "engine/tensor.h"
#include "engine/weights_format.h"
#include "kernels/gemm.h"

static const char *temp_path(char *dst, const char *name)
{
    snprintf(dst, 200, "%s/vbg-test-%ld-%s",
             access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (long)getpid(), name);
    return dst;
}

static float value_of(int tensor, size_t i)
{
    return (float)(tensor * 1000 + (int)i % 977) * 0.125f - 60;
}

/* Tensors of the sample, already in file order. */
static const struct {
    const char *component, *name;
    vbg_dtype dtype;
    vbg_layout layout;
    int rank;
    int64_t dim[4];
} sample[] = {
    { "a", "dw.weight", VBG_F32, VBG_LAYOUT_DEPTHWISE, 4, { 5, 1, 3, 3 } },
    { "a", "up.weight", VBG_F32, VBG_LAYOUT_TRANSPOSED, 4, { 3, 4, 2, 2 } },
    { "unet", "conv.bias", VBG_F32, VBG_LAYOUT_PLAIN, 1, { 20 } },
    { "unet", "conv.weight", VBG_BF16, VBG_LAYOUT_PACK16, 4, { 20, 5, 3, 3 } },
    { "unet", "empty", VBG_F32, VBG_LAYOUT_PLAIN, 2, { 0, 7 } },
    { "unet", "linear.weight", VBG_F16, VBG_LAYOUT_PACK16, 2, { 3, 40 } },
    { "unet", "scalar", VBG_F32, VBG_LAYOUT_PLAIN, 0, { 0 } },
    { "unet", "table", VBG_BF16, VBG_LAYOUT_PLAIN, 2, { 6, 9 } },
};
enum { SAMPLE = sizeof sample / sizeof *sample };

static size_t count_of(int k)
{
    size_t n = 1;
    for (int i = 0; i < sample[k].rank; i++)
        n *= (size_t)sample[k].dim[i];
    return n;
}

static void write_sample(const char *path)
{
    vbg_err err = { "" };
    vbg_writer *w = NULL;
    float *v = malloc(4096 * sizeof *v);

    cr_assert_eq(vbg_writer_new(&w, path, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_writer_string(w, "model.arch", "sd", &err), VBG_OK);
    cr_assert_eq(vbg_writer_int(w, "steps", -5, &err), VBG_OK);
    cr_assert_eq(vbg_writer_real(w, "scale", 0.18215, &err), VBG_OK);
    cr_assert_eq(vbg_writer_bytes(w, "blob", "\0x\0", 3, &err), VBG_OK);
    for (int k = SAMPLE - 1; k >= 0; k--) /* any order */
        cr_assert_eq(vbg_writer_declare(w, sample[k].component, sample[k].name,
                                        sample[k].dtype, sample[k].layout, sample[k].rank,
                                        sample[k].dim, &err),
                     VBG_OK, "%s", err.text);
    for (int k = 0; k < SAMPLE; k++) {
        for (size_t i = 0; i < count_of(k); i++)
            v[i] = value_of(k, i);
        cr_assert_eq(vbg_writer_data(w, sample[k].component, sample[k].name, v, &err),
                     VBG_OK, "%s", err.text);
    }
    cr_assert_eq(vbg_writer_finish(w, &err), VBG_OK, "%s", err.text);
    free(v);
}

/* The sample's bytes, owned by the caller. */
static unsigned char *sample_bytes(size_t *bytes)
{
    char path[200];
    struct stat st;

    write_sample(temp_path(path, "sample.vbg"));
    int fd = open(path, O_RDONLY);
    cr_assert(fd >= 0 && fstat(fd, &st) == 0);
    unsigned char *p = malloc((size_t)st.st_size + 4096);
    cr_assert_eq(read(fd, p, (size_t)st.st_size), st.st_size);
    close(fd);
    unlink(path);
    *bytes = (size_t)st.st_size;
    return p;
}

/* ---- what is written comes back ---- */

Test(weights, round_trip)
{
    char path[200];
    vbg_err err = { "" };
    vbg_weights *w = NULL;
    const char *s;
    const void *blob;
    size_t n;
    int64_t i;
    double d;

    write_sample(temp_path(path, "rt.vbg"));
    cr_assert_eq(vbg_weights_open(&w, path, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_weights_verify(w, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_weights_count(w), SAMPLE);
    for (int k = 0; k < SAMPLE; k++) {
        const vbg_entry *e = vbg_weights_at(w, (size_t)k);
        cr_assert_str_eq(e->name, sample[k].name);
        cr_assert_eq(vbg_weights_find(w, sample[k].component, sample[k].name), e);
        cr_assert_eq((uintptr_t)e->data % 64, 0);
        cr_assert_eq(e->rank, sample[k].rank);
    }
    cr_assert(vbg_weights_has_component(w, "a") && vbg_weights_has_component(w, "unet"));
    cr_assert(!vbg_weights_has_component(w, "b") && !vbg_weights_has_component(w, ""));
    cr_assert_null(vbg_weights_find(w, "a", "conv.weight"));
    cr_assert(vbg_weights_string(w, "model.arch", &s) && strcmp(s, "sd") == 0);
    cr_assert(vbg_weights_int(w, "steps", &i) && i == -5);
    cr_assert(vbg_weights_real(w, "scale", &d) && d == 0.18215);
    cr_assert(vbg_weights_bytes(w, "blob", &blob, &n) && n == 3);
    cr_assert(memcmp(blob, "\0x\0", 3) == 0);
    cr_assert(!vbg_weights_int(w, "model.arch", &i), "a string is no number");
    cr_assert(!vbg_weights_string(w, "blob", &s) && !vbg_weights_real(w, "absent", &d));
    vbg_weights_close(w);
    unlink(path);
}

Test(weights, layouts)
{
    char path[200];
    vbg_weights *w = NULL;
    float back[900];

    write_sample(temp_path(path, "layout.vbg"));
    cr_assert_eq(vbg_weights_open(&w, path, NULL), VBG_OK);
    const float *dw = vbg_weights_find(w, "a", "dw.weight")->data;
    for (size_t c = 0; c < 5; c++)
        for (size_t t = 0; t < 9; t++)
            cr_assert_eq(dw[t * 5 + c], value_of(0, c * 9 + t));
    const float *up = vbg_weights_find(w, "a", "up.weight")->data;
    for (size_t c = 0; c < 3; c++)
        for (size_t o = 0; o < 4; o++)
            for (size_t t = 0; t < 4; t++)
                cr_assert_eq(up[(t * 4 + o) * 3 + c], value_of(1, (c * 4 + o) * 4 + t));
    vbg_unpack(back, vbg_weights_find(w, "unet", "conv.weight")->data, VBG_BF16, 20, 5, 3,
               3);
    for (size_t i = 0; i < 900; i++)
        cr_assert_eq(back[i], vbg_bf16_to_f32(vbg_f32_to_bf16(value_of(3, i))));
    const uint16_t *table = vbg_weights_find(w, "unet", "table")->data;
    for (size_t i = 0; i < 54; i++)
        cr_assert_eq(table[i], vbg_f32_to_bf16(value_of(7, i)));
    vbg_weights_close(w);
    unlink(path);
}

Test(weights, layers_of_eight_bits_are_widened)
{
    enum { OC = 20, C = 40, TAPS = 9 };
    const int64_t dim[4] = { OC, C, 3, 3 };
    static float v[OC * C * TAPS], back[OC * C * TAPS];
    char path[200];
    vbg_err err = { "" };
    vbg_writer *w = NULL;
    vbg_weights *f;

    for (size_t i = 0; i < OC * C * TAPS; i++) /* row 3 is zero */
        v[i] = i / (C * TAPS) == 3 ? 0 : value_of((int)(i / (C * TAPS)), i) * 0.01f;
    cr_assert_eq(vbg_writer_new(&w, temp_path(path, "i8.vbg"), &err), VBG_OK);
    cr_assert_eq(vbg_writer_declare(w, "m", "x", VBG_I8, VBG_LAYOUT_PACK16, 4, dim, &err),
                 VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_writer_data(w, "m", "x", v, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_writer_finish(w, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_weights_open(&f, path, &err), VBG_OK, "%s", err.text);
    const vbg_entry *e = vbg_weights_find(f, "m", "x");
    cr_assert(e && e->dtype == VBG_BF16 && e->stored == VBG_I8);
    cr_expect_eq(e->bytes, vbg_pack_bytes(VBG_BF16, OC, C, TAPS));
    cr_expect_eq(vbg_weights_verify(f, &err), VBG_OK, "%s", err.text);
    vbg_unpack(back, e->data, VBG_BF16, OC, C, 3, 3);
    for (size_t o = 0; o < OC; o++) {
        float most = 0;
        for (size_t i = 0; i < C * TAPS; i++)
            most = fmaxf(most, fabsf(v[o * C * TAPS + i]));
        for (size_t i = o * C * TAPS; i < (o + 1) * C * TAPS;
             i++) /* + rounding to bf16 */
            cr_assert(fabsf(back[i] - v[i]) <= most / 254 * 1.01f + fabsf(v[i]) / 256,
                      "%g became %g", (double)v[i], (double)back[i]);
    }
    vbg_weights_close(f);
    unlink(path);
}

Test(weights, writer_leaves_nothing_behind)
{
    char path[200], temp[300];
    vbg_err err = { "" };
    vbg_writer *w = NULL;

    cr_assert_eq(vbg_writer_new(&w, "/nonexistent/x.vbg", &err), VBG_EIO);
    cr_assert(strstr(err.text, "/nonexistent/x.vbg"));
    cr_assert_eq(vbg_writer_new(&w, temp_path(path, "gone.vbg"), NULL), VBG_OK);
    vbg_writer_abort(w);
    snprintf(temp, sizeof temp, "%s.tmp-%ld-0", path, (long)getpid());
    cr_assert_neq(access(path, F_OK), 0);
    cr_assert_neq(access(temp, F_OK), 0);
}

Test(weights, preview)
{
    int64_t dim[4] = { 20, 5, 3, 3 }, one[1] = { 20 };
    vbg_weights *w = NULL;
    vbg_writer *p = NULL;
    vbg_weight layer;
    vbg_bind b;
    vbg_err err = { "" };

    cr_assert_eq(vbg_writer_new_preview(&p, NULL), VBG_OK);
    vbg_writer_declare(p, "unet", "conv.weight", VBG_BF16, VBG_LAYOUT_PACK16, 4, dim,
                       NULL);
    vbg_writer_declare(p, "unet", "conv.bias", VBG_F32, VBG_LAYOUT_PLAIN, 1, one, NULL);
    vbg_writer_declare(p, "unet", "left.over", VBG_F32, VBG_LAYOUT_PLAIN, 1, one, NULL);
    cr_assert_eq(vbg_writer_preview(p, &w, &err), VBG_OK, "%s", err.text);
    vbg_bind_start(&b, w, "unet");
    cr_assert(vbg_bind_layer(&b, &layer, 20, 5, 3, 3, VBG_BIND_BIAS, "conv"));
    cr_assert(!vbg_bind_layer(&b, &layer, 20, 6, 3, 3, 0, "conv"));
    cr_assert(!vbg_bind_layer(&b, &layer, 0, 0, 0, 0, 0, "absent.%d", 7));
    cr_assert_eq(vbg_bind_finish(&b, &err), VBG_EFORMAT);
    cr_assert(strstr(err.text, "absent.7.weight missing") &&
              strstr(err.text, "[20,5,3,3]"));
    cr_assert(vbg_weights_asked(w, 0) && vbg_weights_asked(w, 1));
    cr_assert(!vbg_weights_asked(w, 2), "left.over was never asked for");
    vbg_weights_close(w);
    vbg_writer_abort(p);
}

Test(weights, batch_norm_folding)
{
    static const char *const names[] = { "bn.bias", "bn.running_mean", "bn.running_var",
                                         "bn.weight" };
    float v[4][2] = { { 0.5f, -1 }, { 2, -3 }, { 4, 0.25f }, { 3, -2 } };
    char path[200];
    int64_t two[1] = { 2 };
    vbg_writer *p = NULL;
    vbg_weights *w = NULL;
    vbg_bind b;
    float conv_bias[2] = { 1, 10 };
    vbg_weight layer = { .oc = 2, .bias = conv_bias };
    vbg_pool_mem *pool = vbg_pool_new();

    cr_assert_eq(vbg_writer_new(&p, temp_path(path, "bn.vbg"), NULL), VBG_OK);
    for (int i = 0; i < 4; i++)
        vbg_writer_declare(p, "s", names[i], VBG_F32, VBG_LAYOUT_PLAIN, 1, two, NULL);
    for (int i = 0; i < 4; i++)
        vbg_writer_data(p, "s", names[i], v[i], NULL);
    cr_assert_eq(vbg_writer_finish(p, NULL), VBG_OK);
    cr_assert_eq(vbg_weights_open(&w, path, NULL), VBG_OK);
    vbg_bind_start(&b, w, "s");
    cr_assert(vbg_bind_batch_norm(&b, pool, &layer, 0, "bn"));
    for (int i = 0; i < 2; i++) { /* y = (x + conv_bias - mean) * scale + beta */
        float scale = v[3][i] / (i ? 0.5f : 2);
        cr_assert_float_eq(layer.scale[i], scale, 1e-6);
        cr_assert_float_eq(layer.bias[i], (conv_bias[i] - v[1][i]) * scale + v[0][i],
                           1e-5);
    }
    vbg_weights_close(w);
    vbg_pool_free(pool);
    unlink(path);
}

/* ---- no damaged file passes ---- */

static void store(const char *path, const unsigned char *p, size_t bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);

    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, p, bytes), (ssize_t)bytes);
    close(fd);
}

/* Opens and, when that succeeds, verifies. */
static vbg_status open_verified(const char *path, bool *opened, vbg_err *err)
{
    vbg_weights *w = NULL;
    vbg_status st = vbg_weights_open(&w, path, err);

    *opened = st == VBG_OK;
    if (st == VBG_OK)
        st = vbg_weights_verify(w, err);
    vbg_weights_close(w);
    return st;
}

Test(weights, every_prefix_is_refused)
{
    size_t bytes;
    char path[200];
    unsigned char *p = sample_bytes(&bytes);
    bool opened;

    store(temp_path(path, "prefix.vbg"), p, bytes);
    for (size_t n = bytes; n-- > 0;) {
        vbg_err err = { "" };
        cr_assert_eq(truncate(path, (off_t)n), 0);
        cr_assert_neq(open_verified(path, &opened, &err), VBG_OK, "%zu bytes", n);
        cr_assert(!opened && err.text[0], "%zu bytes", n);
    }
    unlink(path);
    free(p);
}

static uint64_t load64(const unsigned char *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

/* Every change of each byte of header, metadata and index is seen at open; changes of
 * data at the latest by verify.  All 255 changes for the first 128 bytes, 3 elsewhere. */
Test(weights, every_byte_counts)
{
    size_t bytes;
    char path[200];
    unsigned char *p = sample_bytes(&bytes);
    size_t data = load64(p + 48);

    store(temp_path(path, "byte.vbg"), p, bytes);
    int fd = open(path, O_WRONLY);
    for (size_t at = 0; at < bytes; at++)
        for (int x = 1; x < 256; x += at < 128 ? 1 : 85) {
            vbg_err err = { "" };
            bool opened;
            unsigned char ch = p[at] ^ (unsigned char)x;
            cr_assert_eq(pwrite(fd, &ch, 1, (off_t)at), 1);
            cr_assert_neq(open_verified(path, &opened, &err), VBG_OK, "byte %zu", at);
            cr_assert(!opened || at >= data, "byte %zu was not seen at open", at);
            cr_assert_eq(pwrite(fd, p + at, 1, (off_t)at), 1);
        }
    close(fd);
    unlink(path);
    free(p);
}

/* Byte offset of index record k, and inside it of its dims' end (offset, bytes, sum). */
static size_t record_at(const unsigned char *p, int k)
{
    size_t at = load64(p + 32) + 8;

    for (int i = 0; i < k; i++)
        at += vbg_round_up(16 + 8 * (size_t)sample[i].rank + 24 +
                               strlen(sample[i].component) + strlen(sample[i].name) + 2,
                           8);
    return at;
}

static size_t tail_at(const unsigned char *p, int k)
{
    return record_at(p, k) + 16 + 8 * (size_t)sample[k].rank;
}

static void put64(unsigned char *p, uint64_t v)
{
    memcpy(p, &v, 8);
}

static void put32(unsigned char *p, uint32_t v)
{
    memcpy(p, &v, 4);
}

/* Makes header, metadata and index consistent with their checksum again. */
static void seal(unsigned char *p)
{
    size_t n = 64 + load64(p + 24) + load64(p + 40);

    put64(p + 56, 0);
    put64(p + 56, XXH3_64bits(p, n));
}

typedef struct edit {
    const char *what;
    int at;       /* -1: header, k: field of record k, 100 + k: its offset/bytes/sum */
    size_t field; /* bytes into header, record or tail */
    int width;
    uint64_t value;
} edit;

static const edit edits[] = {
    { "version 0", -1, 8, 4, 0 },
    { "version 2", -1, 8, 4, 2 },
    { "version 2^32-1", -1, 8, 4, 0xffffffff },
    { "big-endian version", -1, 8, 4, 0x01000000 },
    { "flags", -1, 12, 4, 1 },
    { "metadata offset", -1, 16, 8, 128 },
    { "metadata size wraps", -1, 24, 8, UINT64_MAX - 8 },
    { "index offset", -1, 32, 8, 64 },
    { "index size past the end", -1, 40, 8, 1u << 20 },
    { "data offset", -1, 48, 8, 64 },
    { "data offset wraps", -1, 48, 8, UINT64_MAX },
    { "component length", 0, 0, 4, 2000 },
    { "name length", 0, 4, 4, 0xffffffff },
    { "name shorter than its text", 0, 4, 4, 3 },
    { "unknown dtype", 3, 8, 1, 200 },
    { "another dtype", 3, 8, 1, VBG_I64 },
    { "unknown layout", 3, 9, 1, 9 },
    { "another layout", 3, 9, 1, VBG_LAYOUT_PLAIN },
    { "depthwise of a full convolution", 3, 9, 1, VBG_LAYOUT_DEPTHWISE },
    { "rank 255", 3, 10, 1, 255 },
    { "rank 9", 3, 10, 1, 9 },
    { "reserved byte", 3, 11, 1, 1 },
    { "reserved word", 3, 12, 4, 1 },
    { "dim changed: padded size disagrees", 3, 16, 8, 400 },
    { "dim 0", 3, 16, 8, 0 },
    { "dim negative", 3, 16, 8, UINT64_MAX },
    { "dim 2^31", 3, 16, 8, (uint64_t)1 << 31 },
    { "dim 2^62", 3, 16, 8, (uint64_t)1 << 62 },
    { "empty with bytes", 104, 8, 8, 4 },
    { "empty tensor made full", 4, 16, 8, 7 },
    { "size 0 with a shape", 103, 8, 8, 0 },
    { "size too small", 103, 8, 8, 64 },
    { "size wraps", 103, 8, 8, UINT64_MAX - 63 },
    { "two at one offset", 103, 0, 8, 0 },
    { "offset wraps", 103, 0, 8, UINT64_MAX - 1 },
    { "offset unaligned", 103, 0, 8, 1 },
    { "offset in the header", 100, 0, 8, 0 },
    { "offset past the end", 107, 0, 8, 1 << 20 },
};

Test(weights, edited_fields_are_refused)
{
    size_t bytes;
    char path[200];
    unsigned char *p = sample_bytes(&bytes), *q = malloc(bytes);

    temp_path(path, "edit.vbg");
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        const edit *e = &edits[i];
        vbg_err err = { "" };
        bool opened;
        size_t base = e->at < 0     ? 0
                      : e->at < 100 ? record_at(p, e->at)
                                    : tail_at(p, e->at - 100);
        memcpy(q, p, bytes);
        uint64_t v = e->value;
        if (strcmp(e->what, "two at one offset") == 0)
            v = load64(p + tail_at(p, e->at - 101));
        if (strcmp(e->what, "offset unaligned") == 0)
            v = load64(p + tail_at(p, e->at - 100)) + 48;
        memcpy(q + base + e->field, &v, (size_t)e->width);
        if (load64(q + 24) + load64(q + 40) < bytes - 64)
            seal(q);
        store(path, q, bytes);
        cr_assert_neq(open_verified(path, &opened, &err), VBG_OK, "%s", e->what);
        cr_assert(!opened && err.text[0], "%s passed the opening", e->what);
        if (strcmp(e->what, "version 2") == 0)
            cr_assert(strstr(err.text, "newer vbg"), "%s", err.text);
    }
    unlink(path);
    free(p);
    free(q);
}

/* Damage that is no single field. */
Test(weights, other_damage_is_refused)
{
    static const char *const what[] = { "gap not zero",    "names swapped",
                                        "same name twice", "trailing bytes",
                                        "sparse 4 GiB",    "wrong data sum",
                                        "key order",       "tail not zero",
                                        "text file" };
    size_t bytes;
    char path[200];
    unsigned char *p = sample_bytes(&bytes), *q = malloc(bytes + 64);

    temp_path(path, "other.vbg");
    for (int i = 0; i < 9; i++) {
        size_t n = bytes;
        bool opened;
        vbg_err err = { "" };
        memcpy(q, p, bytes);
        memset(q + bytes, 0, 64);
        if (i == 0)
            q[load64(p + tail_at(p, 2)) + 81] = 1; /* behind 20 floats */
        if (i == 1)
            memcpy(q + tail_at(p, 6) + 24 + 5, "zzzzzz", 6); /* scalar > table */
        if (i == 2) {
            put32(q + record_at(p, 1) + 4, 9);
            memcpy(q + tail_at(p, 1) + 24 + 2, "dw.weight", 9);
        }
        if (i == 3)
            n += 64;
        if (i == 5)
            q[tail_at(p, 3) + 16] ^= 1;
        if (i == 6)
            q[64 + 8 + 16] = 'z'; /* first key */
        if (i == 7)
            q[bytes - 1] = 1;
        if (i == 8)
            n = (size_t)snprintf((char *)q, bytes, "version https://git-lfs");
        else
            seal(q);
        store(path, q, n);
        if (i == 4)
            cr_assert_eq(truncate(path, (off_t)1 << 32), 0);
        cr_assert_neq(open_verified(path, &opened, &err), VBG_OK, "%s", what[i]);
        cr_assert(opened == (i == 5) && err.text[0], "%s: %s", what[i], err.text);
    }
    unlink(path);
    free(p);
    free(q);
}

Test(weights, not_a_file)
{
    vbg_weights *w = NULL;
    vbg_err err = { "" };
    char path[200];

    cr_assert_eq(vbg_weights_open(&w, "/nonexistent", &err), VBG_EIO);
    cr_assert_neq(vbg_weights_open(&w, "/tmp", NULL), VBG_OK);
    temp_path(path, "fifo");
    cr_assert_eq(mkfifo(path, 0666), 0);
    cr_assert_eq(vbg_weights_open(&w, path, NULL), VBG_EFORMAT, "a fifo must not block");
    unlink(path);
    store(path, (const unsigned char *)"", 0);
    err.text[0] = 0;
    cr_assert_eq(vbg_weights_open(&w, path, &err), VBG_EFORMAT);
    cr_assert(strstr(err.text, "empty"));
    unlink(path);
}

/* Sizes at the edges of the integer types: exact or refused, never wrapped. */
/* ---- a file that is cut short while it is mapped ---- */

static vbg_status add_up(vbg_ctx *c, void *arg, vbg_err *err)
{
    const vbg_entry *e = arg;
    const unsigned char *p = e->data;
    double sum = 0;

    (void)err;
    for (size_t i = 0; i < e->bytes && !vbg_planning(c); i++)
        sum += p[i];
    return isfinite(sum) ? VBG_OK : VBG_EFORMAT;
}

Test(weights, cut_short_while_in_use)
{
    enum { VALUES = 1 << 16 };
    static float values[VALUES];
    const int64_t dim[1] = { VALUES };
    vbg_weights *w = NULL, *other = NULL;
    vbg_writer *out;
    vbg_ctx *c;
    vbg_err err = { "" };
    char path[200], copy[200];

    vbg_map_guard_install();
    for (int i = 0; i < VALUES; i++)
        values[i] = (float)(i % 7);
    cr_assert_eq(vbg_writer_new(&out, temp_path(path, "cut"), &err), VBG_OK);
    cr_assert_eq(
        vbg_writer_declare(out, "a", "x", VBG_F32, VBG_LAYOUT_PLAIN, 1, dim, &err),
        VBG_OK);
    cr_assert_eq(vbg_writer_data(out, "a", "x", values, &err), VBG_OK);
    cr_assert_eq(vbg_writer_finish(out, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_weights_open(&w, path, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_ctx_new(&c, &(vbg_ctx_opt){ .threads = 1 }, &err), VBG_OK);
    const vbg_entry *e = vbg_weights_find(w, "a", "x");
    cr_assert_eq(vbg_run(c, add_up, (void *)(uintptr_t)e, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(truncate(path, 4096), 0);
    cr_assert_eq(vbg_run(c, add_up, (void *)(uintptr_t)e, &err), VBG_EIO);
    cr_assert(strstr(err.text, "cut short") && strstr(err.text, path), "%s", err.text);
    cr_assert_eq(vbg_weights_verify(w, &err), VBG_EIO, "%s", err.text);
    cr_assert_eq(vbg_writer_new(&out, temp_path(copy, "copy"), &err), VBG_OK);
    cr_assert_eq(
        vbg_writer_declare(out, "a", "x", VBG_F32, VBG_LAYOUT_PLAIN, 1, dim, &err),
        VBG_OK);
    cr_assert_eq(vbg_writer_data(out, "a", "x", e->data, &err), VBG_OK);
    cr_assert_eq(vbg_writer_finish(out, &err), VBG_EIO);
    vbg_writer_abort(out);
    cr_assert_neq(access(copy, F_OK), 0);
    vbg_weights_close(w);
    /* gone with its mapping: others are as good as before */
    cr_assert_neq(vbg_weights_open(&other, path, &err), VBG_OK);
    cr_assert_eq(vbg_run(c, add_up, &(vbg_entry){ .data = values, .bytes = 8 }, &err),
                 VBG_OK);
    vbg_ctx_free(c);
    unlink(path);
}

/* Any other SIGBUS still ends the program. */
Test(weights, other_bus_errors_end_the_program, .signal = SIGBUS)
{
    char path[200];
    int fd = open(temp_path(path, "bus"), O_RDWR | O_CREAT | O_TRUNC, 0600);

    vbg_map_guard_install();
    cr_assert(fd >= 0 && ftruncate(fd, 8192) == 0);
    unlink(path);
    volatile char *p = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
    cr_assert(p != MAP_FAILED && ftruncate(fd, 0) == 0);
    cr_assert_eq(p[5000], 1);
}

Test(weights, size_arithmetic)
{
    static const int64_t edge[] = { 0,
                                    1,
                                    32767,
                                    32768,
                                    65535,
                                    65536,
                                    0x7fffffff,
                                    0x80000000,
                                    0xffffffff,
                                    0x100000000,
                                    0x3fffffffffffffff,
                                    INT64_MAX,
                                    -1,
                                    INT64_MIN };
    enum { EDGES = sizeof edge / sizeof *edge };

    for (int a = 0; a < EDGES; a++)
        for (int b = 0; b < EDGES; b++)
            for (int c = 0; c < EDGES; c++) {
                int64_t dim[3] = { edge[a], edge[b], edge[c] };
                size_t n = 77;
                bool empty = !dim[0] || !dim[1] || !dim[2], fine = true;
                long double product = 1;
                for (int i = 0; i < 3; i++) {
                    fine &= dim[i] >= 0 && (empty || dim[i] <= 0x7fffffff);
                    product *= dim[i] ? (long double)dim[i] : 1;
                }
                fine &= product <= 0x1p40L;
                cr_assert_eq(vbg_dims_count(&n, 3, dim), fine);
                if (fine)
                    cr_assert_eq((long double)n, empty ? 0 : product);
            }
    size_t r = 5;
    cr_assert(!vbg_mul_size(&r, SIZE_MAX / 2 + 1, 2) && !vbg_add_size(&r, SIZE_MAX, 1) &&
              !vbg_align_up(&r, SIZE_MAX - 10, 64) && r == 5);
}
