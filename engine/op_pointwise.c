/* Elementwise ops, concatenation, copies and conversions. */
#include "engine/op_util.h"
#include "engine/ops.h"
#include "engine/tape.h"

#include <string.h>

typedef struct map_job {
    const vbg_kernels *k;
    const vbg_tensor *x, *b; /* b: second operand, or the gradient of the result */
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

/* Rows without gaps are one long row: kernels go through few channels in whole vectors.
 */
static void join_rows(vbg_row_io *io)
{
    if (io->ldx == io->cols && io->ldy == io->cols) {
        io->cols *= io->rows;
        io->rows = 1;
    }
}

static void activate_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const map_job *j = arg;
    vbg_row_io io = vbg_io_of(j->y, j->x, r0, r1);

    (void)thread;
    join_rows(&io);
    j->k->pointwise.act(&io, j->act);
}

static void activate_back_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const map_job *j = arg;
    vbg_row_io io = vbg_io_of(j->y, j->x, r0, r1);

    (void)thread;
    j->k->pointwise.act_back(&io, vbg_row_at(j->b, r0), j->b->ld, j->act);
}

vbg_tensor *vbg_act_back(vbg_ctx *c, const vbg_tensor *dy, const vbg_tensor *x,
                         vbg_act act)
{
    map_job j = {
        .k = vbg_ctx_kernels(c), .x = x, .b = dy, .y = like(c, dy), .act = act
    };

    VBG_CHECK(vbg_rows(dy) == vbg_rows(x) && dy->c == x->c && vbg_is_float_act(x),
              "activation of [%d,%d,%d,%d], gradient [%d,%d,%d,%d]", x->n, x->h, x->w,
              x->c, dy->n, dy->h, dy->w, dy->c);
    if (!vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(x), (size_t)x->c, activate_back_rows, &j);
    return j.y;
}

typedef struct act_saved {
    vbg_tensor x, *at; /* at: where the slope is taken */
    vbg_act act;
} act_saved;

static void activate_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const act_saved *s = arg;

    vbg_grad_add(c, &s->x, vbg_act_back(c, dy, s->at, s->act));
}

vbg_tensor *vbg_activate(vbg_ctx *c, const vbg_tensor *x, vbg_act act)
{
    map_job j = { .k = vbg_ctx_kernels(c), .x = x, .y = like(c, x), .act = act };

    if (!vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(x), (size_t)x->c, activate_rows, &j);
    if (vbg_needs_grad(c, x)) {
        act_saved *s = vbg_record(c, j.y, activate_back, sizeof *s);
        if (s)
            *s = (act_saved){ vbg_outline(x),
                              vbg_save(c, vbg_act_from_result(act) ? j.y : x), act };
    }
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
        if (whole && j->b->ld == (size_t)j->b->c)
            join_rows(&io);
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

/* ---- sums over rows ---- */

enum { SUM_ROWS = 256 }; /* added in f32; these sums then in f64 */

typedef struct sum_job {
    const vbg_kernels *k;
    const vbg_tensor *x, *b;
    float *parts; /* [groups][chunks][c] */
    float *y;     /* [groups][c] */
    size_t rows, chunks;
} sum_job;

static void sum_chunk(void *arg, size_t index, int thread)
{
    const sum_job *j = arg;
    size_t group = index / j->chunks, first = index % j->chunks * SUM_ROWS;
    size_t r0 = group * j->rows + first, r1 = r0 + SUM_ROWS;
    float *part = j->parts + index * (size_t)j->x->c;

    (void)thread;
    if (r1 > (group + 1) * j->rows)
        r1 = (group + 1) * j->rows;
    vbg_row_io io = vbg_io_of(j->x, j->x, r0, r1);
    memset(part, 0, (size_t)j->x->c * sizeof *part);
    j->k->pointwise.dot_columns(part, &io, j->b ? vbg_row_at(j->b, r0) : NULL,
                                j->b ? j->b->ld : 0);
}

static void add_parts(void *arg, size_t group, int thread)
{
    const sum_job *j = arg;
    size_t c = (size_t)j->x->c;
    const float *part = j->parts + group * j->chunks * c;

    (void)thread;
    for (size_t i = 0; i < c; i++) {
        double sum = 0;
        for (size_t k = 0; k < j->chunks; k++)
            sum += (double)part[k * c + i];
        j->y[group * c + i] = (float)sum;
    }
}

vbg_tensor *vbg_sum_rows(vbg_ctx *c, const vbg_tensor *x, const vbg_tensor *b, int groups)
{
    size_t n = (size_t)groups, rows = vbg_rows(x) / n;
    sum_job j = { .k = vbg_ctx_kernels(c), .x = x, .b = b, .rows = rows };

    VBG_CHECK(
        vbg_is_float_act(x) && vbg_rows(x) % n == 0 &&
            (!b || (vbg_rows(b) == vbg_rows(x) && b->c == x->c && b->dtype == x->dtype)),
        "sums of [%d,%d,%d,%d] %s in %d groups", x->n, x->h, x->w, x->c,
        vbg_dtype_name(x->dtype), groups);
    j.chunks = (rows + SUM_ROWS - 1) / SUM_ROWS;
    vbg_tensor *y = vbg_new_typed(c, VBG_F32, groups, 1, 1, x->c);
    vbg_tensor *parts = vbg_new_typed(c, VBG_F32, groups, 1, (int)j.chunks, x->c);
    j.y = y->data;
    j.parts = parts->data;
    if (!vbg_planning(c)) {
        vbg_parallel(c, n * j.chunks, sum_chunk, &j);
        vbg_parallel(c, n, add_parts, &j);
    }
    vbg_drop(c, parts);
    return y;
}

/* ---- sum and product of two tensors ---- */

typedef struct binary_saved {
    vbg_tensor a, b;
    vbg_tensor *keep_a, *keep_b, *y; /* what the backward reads, else NULL */
    vbg_act act;
} binary_saved;

/* Records y of a and b, nothing kept yet. */
static binary_saved *record_pair(vbg_ctx *c, vbg_tensor *y, const vbg_tensor *a,
                                 const vbg_tensor *b, vbg_backward_fn *fn)
{
    if (!vbg_needs_grad(c, a) && !vbg_needs_grad(c, b))
        return NULL;
    binary_saved *s = vbg_record(c, y, fn, sizeof *s);
    if (s)
        *s = (binary_saved){ .a = vbg_outline(a), .b = vbg_outline(b) };
    return s;
}

/* The gradient of b, which may have been spread: of dy, or of dy*with. */
static void spread_back(vbg_ctx *c, const vbg_tensor *b, const vbg_tensor *dy,
                        const vbg_tensor *with)
{
    if (vbg_rows(b) == vbg_rows(dy))
        vbg_grad_add(c, b, with ? vbg_mul(c, dy, with) : dy);
    else
        vbg_grad_add(c, b, vbg_sum_rows(c, dy, with, b->n));
}

static void add_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const binary_saved *s = arg;

    if (s->y)
        dy = vbg_act_back(c, dy, s->y, s->act);
    vbg_grad_add(c, &s->a, dy);
    if (vbg_needs_grad(c, &s->b))
        spread_back(c, &s->b, dy, NULL);
}

vbg_tensor *vbg_add(vbg_ctx *c, const vbg_tensor *a, const vbg_tensor *b, vbg_act act)
{
    bool recorded = vbg_needs_grad(c, a) || vbg_needs_grad(c, b);

    if (recorded && !vbg_act_from_result(act))
        return vbg_activate(c, vbg_add(c, a, b, VBG_ACT_NONE), act);
    vbg_tensor *y = binary(c, (map_job){ .x = a, .b = b, .act = act });
    binary_saved *s = record_pair(c, y, a, b, add_back);
    if (s) {
        s->act = act;
        s->y = act ? vbg_save(c, y) : NULL;
    }
    return y;
}

void vbg_add_to(vbg_ctx *c, vbg_tensor *y, const vbg_tensor *x)
{
    map_job j = { .k = vbg_ctx_kernels(c), .x = y, .b = x, .y = y };

    VBG_CHECK((vbg_rows(x) == vbg_rows(y) || (x->h * x->w == 1)) &&
                  (x->n == y->n || vbg_rows(x) == 1) && x->c == y->c &&
                  x->dtype == y->dtype && vbg_is_float_act(x),
              "add [%d,%d,%d,%d] %s to [%d,%d,%d,%d] %s", x->n, x->h, x->w, x->c,
              vbg_dtype_name(x->dtype), y->n, y->h, y->w, y->c, vbg_dtype_name(y->dtype));
    if (!vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(y), (size_t)y->c, combine_rows, &j);
}

static void mul_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const binary_saved *s = arg;

    if (vbg_needs_grad(c, &s->a))
        vbg_grad_add(c, &s->a, vbg_mul(c, dy, s->keep_b));
    if (vbg_needs_grad(c, &s->b))
        spread_back(c, &s->b, dy, s->keep_a);
}

vbg_tensor *vbg_mul(vbg_ctx *c, const vbg_tensor *a, const vbg_tensor *b)
{
    vbg_tensor *y = binary(c, (map_job){ .x = a, .b = b, .multiply = true });
    binary_saved *s = record_pair(c, y, a, b, mul_back);

    if (s) {
        s->keep_a = vbg_needs_grad(c, b) ? vbg_save(c, a) : NULL;
        s->keep_b = vbg_needs_grad(c, a) ? vbg_save(c, b) : NULL;
    }
    return y;
}

static void affine_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const map_job *j = arg;
    vbg_row_io io = vbg_io_of(j->y, j->x, r0, r1);

    (void)thread;
    j->k->pointwise.affine(&io, j->scale, j->shift);
}

typedef struct affine_saved {
    vbg_tensor x;
    float scale;
} affine_saved;

static void affine_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const affine_saved *s = arg;

    vbg_grad_add(c, &s->x, vbg_affine(c, dy, s->scale, 0));
}

vbg_tensor *vbg_affine(vbg_ctx *c, const vbg_tensor *x, float scale, float shift)
{
    map_job j = {
        .k = vbg_ctx_kernels(c), .x = x, .y = like(c, x), .scale = scale, .shift = shift
    };

    if (!vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(x), (size_t)x->c, affine_rows, &j);
    if (vbg_needs_grad(c, x)) {
        affine_saved *s = vbg_record(c, j.y, affine_back, sizeof *s);
        if (s)
            *s = (affine_saved){ vbg_outline(x), scale };
    }
    return j.y;
}

static void geglu_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const map_job *j = arg;
    vbg_row_io io = vbg_io_of(j->y, j->x, r0, r1);

    (void)thread;
    j->k->pointwise.geglu(&io);
}

static void geglu_back_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const map_job *j = arg;
    vbg_row_io io = vbg_io_of(j->y, j->x, r0, r1);

    (void)thread;
    io.cols /= 2;
    j->k->pointwise.geglu_back(&io, vbg_row_at(j->b, r0), j->b->ld);
}

static void geglu_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    vbg_tensor *x = *(vbg_tensor **)arg;
    map_job j = { .k = vbg_ctx_kernels(c), .x = x, .b = dy, .y = like(c, x) };

    if (!vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(x), (size_t)x->c, geglu_back_rows, &j);
    vbg_grad_add(c, x, j.y);
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
    if (vbg_needs_grad(c, x)) {
        vbg_tensor **s = vbg_record(c, j.y, geglu_back, sizeof *s);
        if (s)
            *s = vbg_save(c, x);
    }
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

static void concat_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const binary_saved *s = arg;

    if (vbg_needs_grad(c, &s->a))
        vbg_grad_add(c, &s->a, vbg_columns(c, dy, 0, s->a.c));
    if (vbg_needs_grad(c, &s->b))
        vbg_grad_add(c, &s->b, vbg_columns(c, dy, s->a.c, s->b.c));
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
    record_pair(c, y, a, b, concat_back);
    return y;
}

static void stack_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const binary_saved *s = arg;

    if (vbg_needs_grad(c, &s->a))
        vbg_grad_add(c, &s->a, vbg_images(c, dy, 0, s->a.n));
    if (vbg_needs_grad(c, &s->b))
        vbg_grad_add(c, &s->b, vbg_images(c, dy, s->a.n, s->b.n));
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
    record_pair(c, y, a, b, stack_back);
    return y;
}

static void cast_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    vbg_grad_add(c, arg, dy);
}

vbg_tensor *vbg_cast(vbg_ctx *c, const vbg_tensor *x, vbg_dtype t)
{
    vbg_tensor *y = vbg_new_typed(c, t, x->n, x->h, x->w, x->c);

    VBG_CHECK(t == x->dtype || t == VBG_F32 || t == VBG_BF16 || t == VBG_F16,
              "cast from %s to %s", vbg_dtype_name(x->dtype), vbg_dtype_name(t));
    copy_into(c, y, x);
    if (vbg_needs_grad(c, x) && vbg_is_float_act(x) && vbg_is_float_act(y)) {
        vbg_tensor *s = vbg_record(c, y, cast_back, sizeof *s);
        if (s)
            *s = vbg_outline(x);
    }
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
