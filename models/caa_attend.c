/* The attention of a CAA block over all images, and its way back; see kernels/caa.h.
 *
 * Backwards in two passes.  First the rows of all images that share a pose, since they
 * add to the same rows of the tables; this leaves two factors per entry and head.  Then
 * every image and head collects from its two neighbours.  Both cut the work by its
 * shape only and add up in a fixed order. */
#include "engine/tape.h"
#include "models/caa_internal.h"

#include <string.h>

static const float EPS = 1e-5f;

enum { TOGETHER = 8 /* images of one task */ };

typedef struct attending {
    const vbg_caa_kernels *kernel;
    vbg_caa_inputs in;
    vbg_tensor *y, *gram; /* gram: NULL, or f32 [n,h,w,VBG_CAA_GRAM] */
} attending;

/* First pixel of image n. */
static void *image(const vbg_tensor *t, size_t n)
{
    size_t pixels = (size_t)t->h * (size_t)t->w;

    return (char *)t->data + n * pixels * t->ld * vbg_dtype_size(t->dtype);
}

/* Neighbour `side` of image n: the view before or after it in its ring. */
static size_t neighbour(const vbg_caa_level *l, size_t n, int side)
{
    const size_t views = (size_t)l->views, view = n % views;

    return n - view + (view + (side ? 1 : views - 1)) % views;
}

/* Without y and gram. */
static vbg_caa_args args_of(const vbg_caa_inputs *in, size_t n)
{
    const vbg_caa_tables *t = in->t;
    const vbg_caa_level *l = t->level;
    const size_t pose = (size_t)l->pose[n % (size_t)l->views];
    vbg_caa_args a = { .q = image(in->q, n),
                       .ldq = in->q->ld,
                       .ldx = in->x->ld,
                       .ldk = in->k->ld,
                       .ldv = in->v->ld,
                       .enc = t->enc,
                       .ek = in->ek->data,
                       .ev = in->ev->data,
                       .k_one = in->k_one->data,
                       .v_one = in->v_one->data,
                       .k_null = in->k_null->data,
                       .v_null = in->v_null->data,
                       .spot = l->spot + pose * (size_t)l->h * (size_t)l->w * 2,
                       .enc_sums = t->sums,
                       .h = l->h,
                       .w = l->w,
                       .c = t->c,
                       .t = t->t,
                       .eps = EPS };

    for (int side = 0; side < 2; side++) {
        const size_t near = neighbour(l, n, side);
        a.x[side] = image(in->x, near);
        a.k[side] = image(in->k, near);
        a.v[side] = image(in->v, near);
    }
    return a;
}

/* Row `row` of pixels of image n. */
static void attend_row(const attending *j, size_t n, size_t row)
{
    const size_t w = (size_t)j->y->w;
    vbg_caa_args a = args_of(&j->in, n);

    a.y = image(j->y, n);
    a.ldy = j->y->ld;
    for (int side = 0; j->gram && side < 2; side++)
        a.gram[side] = image(j->gram, neighbour(j->in.t->level, n, side));
    j->kernel->run(&a, row * w, (row + 1) * w);
}

/* The same row of several images: they share their rows of the tables, which is most of
 * what is read and then stays in L2. */
static void attend_rows(void *arg, size_t index, int thread)
{
    const attending *j = arg;
    const size_t h = (size_t)j->y->h, n0 = index / h * TOGETHER;

    (void)thread;
    for (size_t n = n0; n < (size_t)j->y->n && n < n0 + TOGETHER; n++)
        attend_row(j, n, index % h);
}

/* Row `index` of all rows of all images. */
static void gram_row(void *arg, size_t index, int thread)
{
    const attending *j = arg;
    const vbg_tensor *x = j->in.x;
    const size_t h = (size_t)x->h, n = index / h, y = index % h;

    (void)thread;
    j->kernel->gram((float *)image(j->gram, n) + y * (size_t)x->w * VBG_CAA_GRAM,
                    image(x, n), x->ld, x->h, x->w, x->c, (int)y);
}

/* ---- backwards ---- */

typedef struct back_job {
    vbg_ctx *c;
    const vbg_caa_kernels *kernel;
    const vbg_caa_inputs *in;
    const vbg_tensor *dy;
    vbg_tensor *dq, *dx, *dk, *dv; /* like their tensors */
    vbg_tensor *dek, *dev;         /* f32 [1,1,rows,c] */
    vbg_tensor *coef, *line;       /* f32 [n,1,rows of a pose,...] */
    vbg_tensor *dvec;              /* f32 [tasks,3,1,c] */
} back_job;

/* First row of the tables that belongs to spot `at` of all poses. */
static size_t row_of(const vbg_caa_level *l, size_t at)
{
    const size_t spots = (size_t)l->poses * (size_t)l->h * (size_t)l->w * 2;

    return at < spots ? l->spot[at].row : l->rows;
}

static size_t spots_of_pose(const vbg_caa_level *l)
{
    return (size_t)l->h * (size_t)l->w * 2;
}

/* The most rows that a pose has. */
static size_t pose_rows(const vbg_caa_level *l)
{
    const size_t spots = spots_of_pose(l);
    size_t most = 1;

    for (size_t p = 0; p < (size_t)l->poses; p++) {
        size_t rows = row_of(l, (p + 1) * spots) - row_of(l, p * spots);
        most = rows > most ? rows : most;
    }
    return most;
}

static vbg_caa_back back_of(const back_job *j, size_t n)
{
    const vbg_caa_level *l = j->in->t->level;
    const size_t pose = (size_t)l->pose[n % (size_t)l->views], c = (size_t)j->dq->c;
    const size_t row0 = row_of(l, pose * spots_of_pose(l));

    return (vbg_caa_back){ .of = args_of(j->in, n),
                           .dy = image(j->dy, n),
                           .dq = image(j->dq, n),
                           .lddy = j->dy->ld,
                           .lddq = j->dq->ld,
                           .row0 = (uint32_t)row0,
                           .dek = (float *)j->dek->data + row0 * c,
                           .dev = (float *)j->dev->data + row0 * c,
                           .coef = image(j->coef, n),
                           .line = image(j->line, n) };
}

/* Row of pixels `index` of all poses, every image that has the pose. */
static void back_rows(void *arg, size_t index, int thread)
{
    const back_job *j = arg;
    const vbg_caa_level *l = j->in->t->level;
    const size_t w = (size_t)l->w, c = (size_t)j->dq->c, y = index % (size_t)l->h;
    const size_t first = row_of(l, index * 2 * w), end = row_of(l, (index + 1) * 2 * w);
    float *dvec = (float *)j->dvec->data + index * 3 * c;

    (void)thread;
    memset((float *)j->dek->data + first * c, 0, (end - first) * c * sizeof(float));
    memset((float *)j->dev->data + first * c, 0, (end - first) * c * sizeof(float));
    memset(dvec, 0, 3 * c * sizeof(float));
    for (size_t n = 0; n < (size_t)j->dq->n; n++) {
        if ((size_t)l->pose[n % (size_t)l->views] != index / (size_t)l->h)
            continue;
        vbg_caa_back b = back_of(j, n);
        b.dvec = dvec;
        j->kernel->back(&b, y * w, (y + 1) * w);
    }
}

/* 32 channels from f32 [pixels][32] into image n of t. */
static void put_channels(const back_job *j, vbg_tensor *t, size_t n, size_t c0,
                         const float *from)
{
    const vbg_kernels *k = vbg_ctx_kernels(j->c);
    const size_t pixels = (size_t)t->h * (size_t)t->w, size = vbg_dtype_size(t->dtype);
    char *to = (char *)image(t, n) + c0 * size;

    for (size_t p = 0; p < pixels; p++)
        k->pointwise.convert(to + p * t->ld * size, t->dtype, from + p * VBG_CAA_HEAD,
                             VBG_F32, VBG_CAA_HEAD);
}

/* One image and head: what its two neighbours have for it. */
static void collect(void *arg, size_t index, int thread)
{
    const back_job *j = arg;
    const vbg_caa_level *l = j->in->t->level;
    const size_t heads = (size_t)j->dq->c / VBG_CAA_HEAD;
    const size_t n = index / heads, c0 = index % heads * VBG_CAA_HEAD;
    const size_t count = (size_t)l->h * (size_t)l->w * VBG_CAA_HEAD;
    float *sum = vbg_scratch(j->c, thread);

    memset(sum, 0, 3 * count * sizeof *sum);
    for (int side = 0; side < 2; side++) { /* whose neighbour `side` is n */
        vbg_caa_back b = back_of(j, neighbour(l, n, !side));
        b.dx = sum;
        b.dk = sum + count;
        b.dv = sum + 2 * count;
        j->kernel->scatter(&b, side, c0);
    }
    put_channels(j, j->dx, n, c0, sum);
    put_channels(j, j->dk, n, c0, sum + count);
    put_channels(j, j->dv, n, c0, sum + 2 * count);
}

/* The tasks' vectors into the first of them. */
static void sum_vectors(const back_job *j)
{
    const size_t c = (size_t)j->dvec->c, n = (size_t)j->dvec->n;
    float *v = j->dvec->data;

    for (size_t i = 0; i < 3 * c; i++) {
        double sum = 0;
        for (size_t k = 0; k < n; k++)
            sum += (double)v[k * 3 * c + i];
        v[i] = (float)sum;
    }
}

static vbg_tensor *like(vbg_ctx *c, const vbg_tensor *x)
{
    return vbg_new_typed(c, x->dtype, x->n, x->h, x->w, x->c);
}

static void back_open(vbg_ctx *c, back_job *j)
{
    const vbg_caa_level *l = j->in->t->level;
    const int n = j->in->x->n, ch = j->in->x->c, rows = (int)pose_rows(l);
    const int all = l->rows ? (int)l->rows : 1;

    j->dq = like(c, j->in->q);
    j->dx = like(c, j->in->x);
    j->dk = like(c, j->in->k);
    j->dv = like(c, j->in->v);
    j->dek = vbg_new_typed(c, VBG_F32, 1, 1, all, ch);
    j->dev = vbg_new_typed(c, VBG_F32, 1, 1, all, ch);
    j->coef = vbg_new_typed(c, VBG_F32, n, 1, rows, 2 * ch / VBG_CAA_HEAD);
    j->line = vbg_new_typed(c, VBG_F32, n, 1, rows, 2);
    j->dvec = vbg_new_typed(c, VBG_F32, l->poses * l->h, 3, 1, ch);
    vbg_scratch_reserve(c,
                        3 * (size_t)l->h * (size_t)l->w * VBG_CAA_HEAD * sizeof(float));
}

static void couple_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const vbg_caa_inputs *in = arg;
    const size_t heads = (size_t)in->x->c / VBG_CAA_HEAD;
    back_job j = { .c = c, .kernel = &vbg_ctx_kernels(c)->caa, .in = in, .dy = dy };

    back_open(c, &j);
    if (!vbg_planning(c)) {
        vbg_parallel(c, (size_t)j.dvec->n, back_rows, &j);
        vbg_parallel(c, (size_t)in->x->n * heads, collect, &j);
        sum_vectors(&j);
    }
    vbg_grad_add(c, in->q, j.dq);
    vbg_grad_add(c, in->x, j.dx);
    vbg_grad_add(c, in->k, j.dk);
    vbg_grad_add(c, in->v, j.dv);
    if (in->t->level->rows) {
        vbg_grad_add(c, in->ek, j.dek);
        vbg_grad_add(c, in->ev, j.dev);
    }
    vbg_tensor *vec = vbg_images(c, j.dvec, 0, 1);
    vec = vbg_view(c, vec, 3, 1, 1, in->x->c);
    vbg_grad_add(c, in->k_one, vbg_images(c, vec, 0, 1));
    vbg_grad_add(c, in->v_one, vbg_images(c, vec, 1, 1));
    vbg_grad_add(c, in->v_null, vbg_images(c, vec, 2, 1));
}

static void record(vbg_ctx *c, vbg_tensor *y, const vbg_caa_inputs *in)
{
    const vbg_tensor *const all[] = {
        in->x,  in->q,     in->k,     in->v,      in->ek,
        in->ev, in->k_one, in->v_one, in->k_null, in->v_null
    };
    const size_t count = sizeof all / sizeof all[0];
    bool wanted = false;

    for (size_t i = 0; i < count; i++)
        wanted = wanted || vbg_needs_grad(c, all[i]);
    vbg_caa_inputs *s = wanted ? vbg_record(c, y, couple_back, sizeof *s) : NULL;
    if (!s)
        return;
    *s = *in;
    for (size_t i = 0; i < count; i++)
        vbg_save(c, all[i]);
}

vbg_tensor *vbg_caa_couple(vbg_ctx *c, const vbg_caa_inputs *in)
{
    const vbg_tensor *x = in->x;
    const vbg_caa_tables *t = in->t;
    const vbg_caa_level *l = t->level;

    VBG_CHECK(x->c == t->c && x->h == l->h && x->w == l->w && x->n % l->views == 0 &&
                  x->dtype == t->t,
              "caa: [%d,%d,%d,%d] for %d views of [%d,%d,%d]", x->n, x->h, x->w, x->c,
              l->views, l->h, l->w, t->c);
    vbg_scope_open(c);
    attending j = { .kernel = &vbg_ctx_kernels(c)->caa, .in = *in };
    j.y = vbg_new(c, x->n, x->h, x->w, x->c);
    if (j.kernel->gram && t->t == VBG_BF16)
        j.gram = vbg_new_typed(c, VBG_F32, x->n, x->h, x->w, VBG_CAA_GRAM);
    if (!vbg_planning(c)) {
        if (j.gram)
            vbg_parallel(c, (size_t)x->n * (size_t)x->h, gram_row, &j);
        vbg_parallel(c, ((size_t)x->n + TOGETHER - 1) / TOGETHER * (size_t)x->h,
                     attend_rows, &j);
    }
    record(c, j.y, in);
    return vbg_scope_close(c, j.y);
}
