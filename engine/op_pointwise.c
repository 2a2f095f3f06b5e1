/* Elementwise ops, concatenation, copies and conversions. */
#include "engine/op_util.h"
#include "engine/ops.h"

#include <string.h>

typedef struct map_job {
    const vbg_kernels *k;
    const vbg_tensor *x, *b;
    vbg_tensor *y;
    vbg_act act;
    float scale, shift;
    bool multiply;
} map_job;

static vbg_tensor *like(vbg_ctx *c, const vbg_tensor *x)
{
    VBG_CHECK(vbg_is_float_act(x), "op on %s", vbg_dtype_name(x->dtype));
    return vbg_new_typed(c, x->dtype, x->n, x->h, x->w, x->c);
}

static void activate_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const map_job *j = arg;
    vbg_row_io io = vbg_io_of(j->y, j->x, r0, r1);

    (void)thread;
    j->k->pointwise.act(&io, j->act);
}

vbg_tensor *vbg_activate(vbg_ctx *c, const vbg_tensor *x, vbg_act act)
{
    map_job j = { .k = vbg_ctx_kernels(c), .x = x, .y = like(c, x), .act = act };

    if (!vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(x), (size_t)x->c, activate_rows, &j);
    return j.y;
}

/* One run of rows of a with b: row by row where b is broadcast over pixels. */
static void combine(const map_job *j, const vbg_row_io *io, const void *b, size_t ldb)
{
    if (j->multiply)
        j->k->pointwise.mul(io, b, ldb);
    else
        j->k->pointwise.add(io, b, ldb, j->act);
}

static void combine_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const map_job *j = arg;
    size_t pixels = (size_t)j->x->h * (size_t)j->x->w;
    bool whole = j->b->n == j->x->n && (size_t)j->b->h * (size_t)j->b->w == pixels;

    (void)thread;
    while (r0 < r1) {
        size_t image = r0 / pixels, end = whole ? r1 : (image + 1) * pixels;
        if (end > r1)
            end = r1;
        vbg_row_io io = vbg_io_of(j->y, j->x, r0, end);
        size_t at = whole ? r0 : j->b->n == 1 ? 0 : image;
        combine(j, &io, vbg_row_at(j->b, at), whole ? j->b->ld : 0);
        r0 = end;
    }
}

static vbg_tensor *binary(vbg_ctx *c, map_job j)
{
    const vbg_tensor *a = j.x, *b = j.b;
    bool same = a->n == b->n && a->h * a->w == b->h * b->w;
    bool spread = b->h == 1 && b->w == 1 && (b->n == a->n || b->n == 1);

    VBG_CHECK(a->c == b->c && a->dtype == b->dtype && (same || spread),
              "%s: [%d,%d,%d,%d] %s and [%d,%d,%d,%d] %s", j.multiply ? "mul" : "add",
              a->n, a->h, a->w, a->c, vbg_dtype_name(a->dtype), b->n, b->h, b->w, b->c,
              vbg_dtype_name(b->dtype));
    j.k = vbg_ctx_kernels(c);
    j.y = like(c, a);
    if (!vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(a), (size_t)a->c, combine_rows, &j);
    return j.y;
}

vbg_tensor *vbg_add(vbg_ctx *c, const vbg_tensor *a, const vbg_tensor *b, vbg_act act)
{
    return binary(c, (map_job){ .x = a, .b = b, .act = act });
}

void vbg_add_to(vbg_ctx *c, vbg_tensor *y, const vbg_tensor *x)
{
    map_job j = { .k = vbg_ctx_kernels(c), .x = y, .b = x, .y = y };

    VBG_CHECK(vbg_rows(x) == vbg_rows(y) && x->n == y->n && x->c == y->c &&
                  x->dtype == y->dtype && vbg_is_float_act(x),
              "add [%d,%d,%d,%d] %s to [%d,%d,%d,%d] %s", x->n, x->h, x->w, x->c,
              vbg_dtype_name(x->dtype), y->n, y->h, y->w, y->c, vbg_dtype_name(y->dtype));
    if (!vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(y), (size_t)y->c, combine_rows, &j);
}

vbg_tensor *vbg_mul(vbg_ctx *c, const vbg_tensor *a, const vbg_tensor *b)
{
    return binary(c, (map_job){ .x = a, .b = b, .multiply = true });
}

static void affine_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const map_job *j = arg;
    vbg_row_io io = vbg_io_of(j->y, j->x, r0, r1);

    (void)thread;
    j->k->pointwise.affine(&io, j->scale, j->shift);
}

vbg_tensor *vbg_affine(vbg_ctx *c, const vbg_tensor *x, float scale, float shift)
{
    map_job j = {
        .k = vbg_ctx_kernels(c), .x = x, .y = like(c, x), .scale = scale, .shift = shift
    };

    if (!vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(x), (size_t)x->c, affine_rows, &j);
    return j.y;
}

static void geglu_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const map_job *j = arg;
    vbg_row_io io = vbg_io_of(j->y, j->x, r0, r1);

    (void)thread;
    j->k->pointwise.geglu(&io);
}

vbg_tensor *vbg_geglu(vbg_ctx *c, const vbg_tensor *x)
{
    VBG_CHECK(vbg_is_float_act(x) && x->c % 2 == 0, "geglu of [%d,%d,%d,%d] %s", x->n,
              x->h, x->w, x->c, vbg_dtype_name(x->dtype));
    map_job j = { .k = vbg_ctx_kernels(c),
                  .x = x,
                  .y = vbg_new_typed(c, x->dtype, x->n, x->h, x->w, x->c / 2) };

    if (!vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(x), (size_t)x->c, geglu_rows, &j);
    return j.y;
}

/* Copies rows, converting where the types differ. */
static void copy_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const map_job *j = arg;
    size_t count = (size_t)j->x->c;

    (void)thread;
    if (vbg_contiguous(j->x) && vbg_contiguous(j->y)) {
        count *= r1 - r0;
        r1 = r0 + 1;
    }
    for (size_t r = r0; r < r1; r++) {
        void *y = vbg_row_at(j->y, r);
        const void *x = vbg_row_at(j->x, r);
        if (j->y->dtype == j->x->dtype)
            memcpy(y, x, count * vbg_dtype_size(j->x->dtype));
        else
            j->k->pointwise.convert(y, j->y->dtype, x, j->x->dtype, count);
    }
}

/* x into the tensor y of the same number of pixels and channels. */
static void copy_into(vbg_ctx *c, vbg_tensor *y, const vbg_tensor *x)
{
    map_job j = { .k = vbg_ctx_kernels(c), .x = x, .y = y };

    if (!vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(x), (size_t)x->c, copy_rows, &j);
}

vbg_tensor *vbg_concat(vbg_ctx *c, const vbg_tensor *a, const vbg_tensor *b)
{
    VBG_CHECK(a->n == b->n && a->h == b->h && a->w == b->w && a->dtype == b->dtype,
              "concat: [%d,%d,%d,%d] %s and [%d,%d,%d,%d] %s", a->n, a->h, a->w, a->c,
              vbg_dtype_name(a->dtype), b->n, b->h, b->w, b->c, vbg_dtype_name(b->dtype));
    vbg_tensor *y = vbg_new_typed(c, a->dtype, a->n, a->h, a->w, a->c + b->c);
    vbg_tensor left = *y, right = *y;

    left.c = a->c;
    right.c = b->c;
    if (!vbg_planning(c))
        right.data = (char *)y->data + (size_t)a->c * vbg_dtype_size(a->dtype);
    copy_into(c, &left, a);
    copy_into(c, &right, b);
    return y;
}

vbg_tensor *vbg_stack(vbg_ctx *c, const vbg_tensor *a, const vbg_tensor *b)
{
    VBG_CHECK(a->h == b->h && a->w == b->w && a->c == b->c && a->dtype == b->dtype,
              "stack: [%d,%d,%d,%d] %s and [%d,%d,%d,%d] %s", a->n, a->h, a->w, a->c,
              vbg_dtype_name(a->dtype), b->n, b->h, b->w, b->c, vbg_dtype_name(b->dtype));
    vbg_tensor *y = vbg_new_typed(c, a->dtype, a->n + b->n, a->h, a->w, a->c);
    vbg_tensor low = *y;

    if (!vbg_planning(c))
        low.data = vbg_row_at(y, vbg_rows(a));
    copy_into(c, y, a);
    copy_into(c, &low, b);
    return y;
}

vbg_tensor *vbg_cast(vbg_ctx *c, const vbg_tensor *x, vbg_dtype t)
{
    vbg_tensor *y = vbg_new_typed(c, t, x->n, x->h, x->w, x->c);

    VBG_CHECK(t == x->dtype || t == VBG_F32 || t == VBG_BF16 || t == VBG_F16,
              "cast from %s to %s", vbg_dtype_name(x->dtype), vbg_dtype_name(t));
    copy_into(c, y, x);
    return y;
}

void vbg_copy_out(vbg_ctx *c, void *dst, vbg_dtype t, const vbg_tensor *x)
{
    vbg_tensor y = { .data = dst,
                     .dtype = t,
                     .n = x->n,
                     .h = x->h,
                     .w = x->w,
                     .c = x->c,
                     .ld = (size_t)x->c };

    copy_into(c, &y, x);
}
