/* Orthogonal directions; see engine/muon.h. */
#include "engine/muon.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/op_util.h"

enum { STEPS = 5, TILE = 32 /* rows and blocks of a task */, SLACK = 64 };

static const float FACTOR[3] = { 3.4445f, -4.7750f, 2.0315f };

struct vbg_muon {
    size_t most, least; /* of the sides */
    float *x, *y;       /* [least][most] */
    float *a, *b;       /* [least][least] */
    float *packed;
    char *scratch; /* of the products, one piece a thread */
    size_t scratch_bytes;
};

void vbg_muon_free(vbg_muon *m)
{
    if (!m)
        return;
    vbg_free_mem(m->x);
    vbg_free_mem(m->y);
    vbg_free_mem(m->a);
    vbg_free_mem(m->b);
    vbg_free_mem(m->packed);
    vbg_free_mem(m->scratch);
    free(m);
}

vbg_status vbg_muon_new(vbg_muon **out, size_t rows, size_t cols, vbg_err *err)
{
    vbg_muon *m = calloc(1, sizeof *m);

    if (m) {
        m->most = rows > cols ? rows : cols;
        m->least = rows > cols ? cols : rows;
        const size_t large = (m->least * m->most + SLACK) * sizeof(float);
        const size_t small = (m->least * m->least + SLACK) * sizeof(float);
        const size_t wide = vbg_pack_bytes(VBG_F32, m->most, m->least, 1);
        const size_t deep = vbg_pack_bytes(VBG_F32, m->least, m->most, 1);
        m->x = vbg_alloc(large);
        m->y = vbg_alloc(large);
        m->a = vbg_alloc(small);
        m->b = vbg_alloc(small);
        m->packed = vbg_alloc(wide > deep ? wide : deep);
    }
    if (!m || !m->x || !m->y || !m->a || !m->b || !m->packed) {
        vbg_muon_free(m);
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for the optimiser");
    }
    *out = m;
    return VBG_OK;
}

/* ---- products ---- */

typedef struct product {
    const vbg_kernels *k;
    vbg_gemm_args g;
    vbg_pack_args pack;
    size_t rows, blocks, row_tasks;
    char *scratch;
    size_t scratch_step;
} product;

static void pack_task(void *arg, size_t i, int thread)
{
    const product *p = arg;
    const size_t end = (i + 1) * TILE;

    (void)thread;
    p->k->train.pack(&p->pack, i * TILE, end < p->blocks ? end : p->blocks);
}

static void tile_task(void *arg, size_t i, int thread)
{
    const product *p = arg;
    const size_t r0 = i % p->row_tasks * TILE, b0 = i / p->row_tasks * TILE;
    const size_t r1 = r0 + TILE, b1 = b0 + TILE;

    p->k->gemm.gemm(&p->g, r0, r1 < p->rows ? r1 : p->rows, b0,
                    b1 < p->blocks ? b1 : p->blocks,
                    p->scratch + (size_t)thread * p->scratch_step);
}

static size_t tiles(size_t n)
{
    return (n + TILE - 1) / TILE;
}

/* Room of one product for each thread. */
static void room(vbg_muon *m, const vbg_ctx *c, product *p)
{
    p->scratch_step = vbg_round_up(p->k->gemm.gemm_scratch(&p->g) + SLACK, SLACK);
    const size_t bytes = p->scratch_step * (size_t)vbg_ctx_threads(c);

    if (bytes > m->scratch_bytes) {
        vbg_free_mem(m->scratch);
        m->scratch = vbg_alloc(bytes);
        VBG_CHECK(m->scratch, "out of memory for a product");
        m->scratch_bytes = bytes;
    }
    p->scratch = m->scratch;
}

/* y[rows][cols] = x[rows][k] W, the element (i, o) of W at w[o * so + i * si]. */
typedef struct operands {
    float *y;
    const float *x, *w;
    size_t rows, cols, k, so, si;
} operands;

static void multiply(vbg_muon *m, vbg_ctx *c, const operands *o)
{
    static const size_t tap[1] = { 0 };
    product p = { .k = vbg_ctx_kernels(c),
                  .rows = o->rows,
                  .blocks = (o->cols + 15) / 16 };

    p.pack = (vbg_pack_args){ .dst = m->packed,
                              .t = VBG_F32,
                              .w = o->w,
                              .oc = o->cols,
                              .c = o->k,
                              .taps = 1,
                              .group = o->cols,
                              .so = o->so,
                              .si = o->si,
                              .tap = tap };
    p.g = (vbg_gemm_args){ .x = o->x,
                           .ldx = o->k,
                           .w = m->packed,
                           .y = o->y,
                           .ldy = o->cols,
                           .k = o->k,
                           .oc = o->cols,
                           .xt = VBG_F32,
                           .wt = VBG_F32,
                           .yt = VBG_F32 };
    p.row_tasks = tiles(o->rows);
    room(m, c, &p);
    vbg_parallel(c, tiles(p.blocks), pack_task, &p);
    vbg_parallel(c, p.row_tasks * tiles(p.blocks), tile_task, &p);
}

/* ---- steps ---- */

/* b = FACTOR[0] I + FACTOR[1] a + FACTOR[2] b */
static void combine(float *b, const float *a, size_t r)
{
    for (size_t i = 0; i < r * r; i++)
        b[i] = FACTOR[1] * a[i] + FACTOR[2] * b[i];
    for (size_t i = 0; i < r; i++)
        b[i * r + i] += FACTOR[0];
}

/* x[r][n] after one step, in y. */
static void one_step(vbg_muon *m, vbg_ctx *c, size_t r, size_t n)
{
    multiply(m, c, &(operands){ m->a, m->x, m->x, r, r, n, n, 1 });
    multiply(m, c, &(operands){ m->b, m->a, m->a, r, r, r, r, 1 });
    combine(m->b, m->a, r);
    multiply(m, c, &(operands){ m->y, m->b, m->x, r, n, r, 1, n });
}

/* to [cols][rows] = from [rows][cols] times factor, or not turned. */
static void carry(float *to, const float *from, size_t rows, size_t cols, bool turn,
                  float factor)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < cols; k++)
            to[turn ? k * rows + i : i * cols + k] = from[i * cols + k] * factor;
}

void vbg_muon_direction(vbg_muon *m, vbg_ctx *c, float *g, size_t rows, size_t cols)
{
    const bool turn = rows > cols;
    const size_t r = turn ? cols : rows, n = turn ? rows : cols;
    const double norm = sqrt(vbg_ctx_kernels(c)->optim.squares(g, rows * cols));

    VBG_CHECK(r <= m->least && n <= m->most, "a matrix of %zux%zu, at most %zux%zu", rows,
              cols, m->least, m->most);
    if (!(norm > 0))
        return;
    carry(m->x, g, rows, cols, turn, (float)(1 / norm));
    for (int i = 0; i < STEPS; i++) {
        one_step(m, c, r, n);
        float *x = m->x;
        m->x = m->y;
        m->y = x;
    }
    carry(g, m->x, turn ? cols : rows, turn ? rows : cols, turn, 1);
}
