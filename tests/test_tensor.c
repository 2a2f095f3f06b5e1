/* The context: planning and running agree, scopes give memory back, views keep it,
 * broken contracts abort; and base.c: conversions, checked sizes. */
#include "engine/ops.h"

#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <string.h>

/* AddressSanitizer ends the program where malloc would return NULL, unless told. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static vbg_ctx *open_ctx(int threads)
{
    vbg_ctx *c;
    vbg_ctx_opt opt = { .threads = threads, .isa = VBG_ISA_REF, .precision = VBG_F32 };

    cr_assert(vbg_ctx_new(&c, &opt, NULL) == VBG_OK);
    return c;
}

/* Places of a few tensors in both passes; they must not overlap while alive. */
typedef struct trace {
    int calls;
    size_t live[2];
} trace;

static void fill(vbg_tensor *t, float v)
{
    for (size_t i = 0; t->data && i < vbg_rows(t) * (size_t)t->c; i++)
        ((float *)t->data)[i] = v;
}

static void expect_all(const vbg_tensor *t, float v)
{
    for (size_t i = 0; t->data && i < vbg_rows(t) * (size_t)t->c; i++)
        cr_assert(((const float *)t->data)[i] == v);
}

static vbg_tensor *block(vbg_ctx *c, float v)
{
    vbg_scope_open(c);
    vbg_tensor *a = vbg_new(c, 1, 7, 5, 33), *b = vbg_new(c, 1, 3, 3, 3);
    vbg_tensor *y = vbg_new(c, 2, 5, 5, 16);
    fill(a, 1);
    fill(b, 2);
    fill(y, v);
    expect_all(a, 1);
    expect_all(b, 2);
    return vbg_scope_close(c, y);
}

static vbg_status scopes_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    trace *t = arg;
    vbg_tensor *kept[10];

    (void)err;
    cr_assert(vbg_planning(c) == (t->calls == 0));
    t->calls++;
    for (int i = 0; i < 10; i++) {
        kept[i] = block(c, (float)i);
        cr_assert((kept[i]->data == NULL) == vbg_planning(c));
        cr_assert((uintptr_t)kept[i]->data % 64 == 0);
    }
    for (int i = 0; i < 10; i++)
        expect_all(kept[i], (float)i);
    for (int i = 0; i < 9; i++)
        vbg_drop(c, kept[i]);
    vbg_tensor *big = vbg_new(c, 1, 40, 40, 16); /* fits into what was dropped? */
    fill(big, -1);
    expect_all(kept[9], 9);
    return VBG_OK;
}

Test(tensor, plan_equals_run)
{
    vbg_ctx *c = open_ctx(1);
    trace t = { 0 };
    size_t planned;

    cr_assert(vbg_plan(c, scopes_job, &t, &planned, NULL) == VBG_OK);
    cr_assert(t.calls == 1);
    t.calls = 0;
    cr_assert(vbg_run(c, scopes_job, &t, NULL) == VBG_OK);
    cr_assert(t.calls == 2);
    cr_assert(vbg_ctx_slab_bytes(c) == planned, "%zu, planned %zu", vbg_ctx_slab_bytes(c),
              planned);
    vbg_ctx_free(c);
}

/* A thousand blocks need no more memory than two. */
static vbg_status reuse_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    (void)err;
    for (int i = 0; i < *(const int *)arg; i++) {
        vbg_scope_open(c);
        block(c, (float)i);
        block(c, (float)i);
        vbg_scope_close(c, NULL);
    }
    return VBG_OK;
}

Test(tensor, scopes_give_memory_back)
{
    vbg_ctx *c = open_ctx(1);
    size_t few, many;
    int two = 2, thousand = 1000;

    cr_assert(vbg_plan(c, reuse_job, &two, &few, NULL) == VBG_OK);
    cr_assert(vbg_plan(c, reuse_job, &thousand, &many, NULL) == VBG_OK);
    cr_assert(few == many);
    cr_assert(vbg_run(c, reuse_job, &thousand, NULL) == VBG_OK);
    vbg_ctx_free(c);
}

/* A view outlives its owner's scope and keeps the memory. */
static vbg_status views_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    (void)arg;
    (void)err;
    vbg_scope_open(c);
    vbg_tensor *x = vbg_new(c, 2, 2, 3, 8);
    fill(x, 5);
    vbg_tensor *cols = vbg_columns(c, vbg_images(c, x, 1, 1), 2, 4);
    vbg_scope_close(c, cols);
    vbg_tensor *other = vbg_new(c, 2, 2, 3, 8); /* must not land on x */
    fill(other, 6);
    cr_assert(cols->n == 1 && cols->c == 4 && cols->ld == 8);
    for (size_t r = 0; cols->data && r < vbg_rows(cols); r++)
        for (size_t j = 0; j < 4; j++)
            cr_assert(((const float *)cols->data)[r * cols->ld + j] == 5);
    vbg_tensor *flat = vbg_view(c, other, 1, 1, 12, 8);
    cr_assert(flat->data == other->data && flat->w == 12);
    vbg_tensor *wide = vbg_view(c, other, 1, 2, 2, 24);
    cr_assert(wide->ld == 24);
    vbg_drop(c, other); /* flat and wide still show it */
    vbg_tensor *third = vbg_new(c, 2, 2, 3, 8);
    fill(third, 7);
    expect_all(flat, 6);
    static float outside[6] = { 1, 2, 3, 4, 5, 6 };
    vbg_tensor *w = vbg_wrap(c, outside, VBG_F32, 1, 1, 2, 3);
    cr_assert(vbg_planning(c) ? w->data == NULL : w->data == outside);
    return VBG_OK;
}

Test(tensor, views_keep_memory)
{
    vbg_ctx *c = open_ctx(1);

    for (int i = 0; i < 3; i++)
        cr_assert(vbg_run(c, views_job, NULL, NULL) == VBG_OK);
    vbg_ctx_free(c);
}

static vbg_status failing_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    vbg_scope_open(c);
    vbg_scope_open(c);
    vbg_new(c, 1, 100, 100, 100);
    if (vbg_planning(c) == *(const bool *)arg)
        return vbg_fail(err, VBG_EFORMAT, "no");
    vbg_scope_close(c, NULL);
    vbg_scope_close(c, NULL);
    return VBG_OK;
}

Test(tensor, failing_job_leaves_a_usable_context)
{
    vbg_ctx *c = open_ctx(1);

    for (int i = 0; i < 2; i++) {
        bool planning = i == 0;
        vbg_err err = { { 0 } };
        cr_assert(vbg_run(c, failing_job, &planning, &err) == VBG_EFORMAT);
        cr_assert(strcmp(err.text, "no") == 0);
        cr_assert(vbg_run(c, views_job, NULL, NULL) == VBG_OK);
    }
    vbg_ctx_free(c);
    vbg_ctx_free(NULL);
}

static vbg_status huge_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    (void)arg;
    (void)err;
    vbg_new(c, 4096, 1 << 16, 1 << 16, 4); /* 256 TB, more than a process can address */
    return VBG_OK;
}

Test(tensor, too_much_memory_is_reported)
{
    vbg_ctx *c = open_ctx(1);
    vbg_err err = { { 0 } };

    cr_assert(vbg_run(c, huge_job, NULL, &err) == VBG_ENOMEM);
    cr_assert(strstr(err.text, "MB") != NULL, "%s", err.text);
    cr_assert(vbg_run(c, views_job, NULL, NULL) == VBG_OK);
    vbg_ctx_free(c);
}

static vbg_status overflow_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    (void)arg;
    (void)err;
    vbg_new(c, 1 << 30, 1 << 30, 1 << 30, 1 << 30);
    return VBG_OK;
}

Test(tensor, overflowing_shape_aborts, .signal = SIGABRT)
{
    vbg_run(open_ctx(1), overflow_job, NULL, NULL);
}

static vbg_status empty_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    (void)arg;
    (void)err;
    vbg_new(c, 1, 0, 1, 1);
    return VBG_OK;
}

Test(tensor, empty_shape_aborts, .signal = SIGABRT)
{
    vbg_run(open_ctx(1), empty_job, NULL, NULL);
}

static vbg_status unplanned_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    (void)arg;
    (void)err;
    vbg_new(c, 1, 1, 1, vbg_planning(c) ? 100 : 10000);
    return VBG_OK;
}

Test(tensor, more_than_planned_aborts, .signal = SIGABRT)
{
    vbg_run(open_ctx(1), unplanned_job, NULL, NULL);
}

typedef struct count_job {
    int hits[1000];
    bool bad_thread;
    int threads;
} count_job;

static void count_task(void *arg, size_t index, int thread)
{
    count_job *j = arg;
    j->hits[index]++;
    if (thread < 0 || thread >= j->threads)
        j->bad_thread = true;
}

Test(tensor, parallel_visits_each_index_once)
{
    for (int threads = 1; threads <= 5; threads++) {
        vbg_ctx *c = open_ctx(threads);
        count_job j = { .threads = threads };
        cr_assert(vbg_ctx_threads(c) == threads);
        vbg_parallel(c, 1000, count_task, &j);
        vbg_parallel(c, 0, count_task, &j);
        cr_assert(!j.bad_thread);
        for (int i = 0; i < 1000; i++)
            cr_assert(j.hits[i] == 1);
        vbg_ctx_free(c);
    }
}

/* ---- base.c ---- */

Test(base, every_half_there_and_back)
{
    for (unsigned i = 0; i < 65536; i++) {
        uint16_t h = (uint16_t)i;
        float b = vbg_bf16_to_f32(h), f = vbg_f16_to_f32(h);
        uint16_t back = vbg_f32_to_bf16(b);
        cr_assert(isnan(b) ? isnan(vbg_bf16_to_f32(back)) : back == h, "bf16 %04x", i);
        back = vbg_f32_to_f16(f);
        cr_assert(isnan(f) ? isnan(vbg_f16_to_f32(back)) : back == h, "f16 %04x", i);
        if (!isnan(f)) { /* the value itself, from its fields */
            int e = (int)(i >> 10 & 31), m = (int)(i & 1023);
            double v = e == 31 ? INFINITY : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
            cr_assert((double)f == (i & 0x8000 ? -v : v), "f16 %04x is %g", i, (double)f);
        }
    }
}

/* Between each pair of neighbours: below, at and above the middle, ties to even. */
Test(base, rounding_to_nearest_even)
{
    for (unsigned i = 0; i < 0x7c00 - 1; i++) {
        float a = vbg_f16_to_f32((uint16_t)i), b = vbg_f16_to_f32((uint16_t)(i + 1));
        float mid = a + (b - a) / 2;
        cr_assert(vbg_f32_to_f16(nextafterf(mid, a)) == i, "%04x", i);
        cr_assert(vbg_f32_to_f16(nextafterf(mid, b)) == i + 1, "%04x", i);
        cr_assert(vbg_f32_to_f16(mid) == (i & 1 ? i + 1 : i), "%04x", i);
    }
    for (unsigned i = 0x80; i < 0x7f7f; i++) {
        float a = vbg_bf16_to_f32((uint16_t)i), b = vbg_bf16_to_f32((uint16_t)(i + 1));
        float mid = a + (b - a) / 2;
        cr_assert(vbg_f32_to_bf16(nextafterf(mid, a)) == i, "%04x", i);
        cr_assert(vbg_f32_to_bf16(nextafterf(mid, b)) == i + 1, "%04x", i);
        cr_assert(vbg_f32_to_bf16(mid) == (i & 1 ? i + 1 : i), "%04x", i);
    }
    cr_assert(vbg_f32_to_f16(65519.996f) == 0x7bff && vbg_f32_to_f16(65520) == 0x7c00);
    cr_assert(vbg_f32_to_f16(1e30f) == 0x7c00 && vbg_f32_to_f16(-1e30f) == 0xfc00);
    cr_assert(vbg_f32_to_bf16(3.4e38f) == 0x7f80);
}

Test(base, checked_sizes)
{
    size_t out = 7;

    cr_assert(vbg_mul_size(&out, 6, 7) && out == 42);
    cr_assert(!vbg_mul_size(&out, SIZE_MAX / 2, 3) && out == 42);
    cr_assert(vbg_mul_size(&out, SIZE_MAX, 1) && out == SIZE_MAX);
    cr_assert(vbg_add_size(&out, SIZE_MAX - 1, 1) && out == SIZE_MAX);
    out = 42;
    cr_assert(!vbg_add_size(&out, SIZE_MAX, 1) && out == 42);
    cr_assert(vbg_align_up(&out, 65, 64) && out == 128);
    cr_assert(vbg_align_up(&out, 0, 64) && out == 0);
    cr_assert(vbg_align_up(&out, 128, 64) && out == 128);
    cr_assert(!vbg_align_up(&out, SIZE_MAX - 3, 64) && out == 128);
    cr_assert(vbg_alloc(SIZE_MAX - 8) == NULL);
}

Test(base, errors)
{
    vbg_err err = { { 0 } };

    cr_assert(vbg_fail(&err, VBG_EIO, "a\tb %d\x1b[m", 5) == VBG_EIO);
    cr_assert(strcmp(err.text, "a\\x09b 5\\x1b[m") == 0, "%s", err.text);
    cr_assert(vbg_fail(&err, VBG_EUSAGE, "second") == VBG_EUSAGE);
    cr_assert(strstr(err.text, "second") == NULL);
    cr_assert(vbg_fail(NULL, VBG_EIO, "x") == VBG_EIO);
    char *p = vbg_alloc(100);
    for (int i = 0; i < 164; i++)
        cr_assert(p[i] == 0);
    cr_assert((uintptr_t)p % 64 == 0);
    vbg_free_mem(p);
    vbg_free_mem(NULL);
}
