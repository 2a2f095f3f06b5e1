/* Attention: (image, head, run of queries) in parallel. */
#include "engine/op_util.h"
#include "engine/ops.h"

#include <math.h>

/* A run of queries shares what the kernel repacks of K and V, so it is as long as the
 * number of threads allows: 3 % of the time at 1024 of 4096.  A query's result does
 * not depend on the cut. */
enum { LONGEST_RUN = 2048, SHORTEST_RUN = 512, RUNS_PER_THREAD = 4 };

typedef struct attention_job {
    const vbg_kernels *k;
    const vbg_tensor *q, *key, *v;
    vbg_tensor *y;
    vbg_attention_args a;     /* of image 0, head 0 */
    int heads, runs, queries; /* runs of so many queries */
} attention_job;

/* Image n of t from head's columns on. */
static const void *head_of(const vbg_tensor *t, size_t n, size_t column)
{
    size_t pixels = (size_t)t->h * (size_t)t->w;

    if (t->n == 1)
        n = 0;
    return (const char *)vbg_row_at(t, n * pixels) + column * vbg_dtype_size(t->dtype);
}

static void attend(void *arg, size_t index, int thread, void *scratch)
{
    const attention_job *j = arg;
    size_t runs = (size_t)j->runs, heads = (size_t)j->heads;
    int run = (int)(index % runs);
    size_t head = index / runs % heads, n = index / runs / heads;
    size_t column = head * (size_t)j->a.d;
    vbg_attention_args a = j->a;

    (void)thread;
    a.q = head_of(j->q, n, column);
    a.k = head_of(j->key, n, column);
    a.v = head_of(j->v, n, column);
    a.y =
        (char *)vbg_row_at(j->y, n * (size_t)a.tq) + column * vbg_dtype_size(j->y->dtype);
    j->k->attention.run(&a, run * j->queries, vbg_min_int(a.tq, (run + 1) * j->queries),
                        scratch);
}

/* Chooses the length of a run. */
static void cut(attention_job *j, int threads)
{
    j->queries = LONGEST_RUN;
    for (;; j->queries /= 2) {
        j->runs = (j->a.tq + j->queries - 1) / j->queries;
        long tasks = (long)j->y->n * j->heads * j->runs;
        if (tasks >= (long)RUNS_PER_THREAD * threads || j->queries == SHORTEST_RUN ||
            threads == 1)
            return;
    }
}

typedef struct with_ctx {
    vbg_ctx *c;
    attention_job *j;
} with_ctx;

static void attend_task(void *arg, size_t index, int thread)
{
    const with_ctx *w = arg;
    attend(w->j, index, thread, vbg_scratch(w->c, thread));
}

vbg_tensor *vbg_attention(vbg_ctx *c, const vbg_tensor *q, const vbg_tensor *k,
                          const vbg_tensor *v, int heads, bool causal)
{
    int tq = q->h * q->w, tk = k->h * k->w;

    VBG_CHECK(heads > 0 && q->c % heads == 0 && k->c == q->c && v->c == q->c &&
                  v->h * v->w == tk && k->n == v->n && (k->n == q->n || k->n == 1),
              "attention: q [%d,%d,%d,%d], k [%d,%d,%d,%d], v [%d,%d,%d,%d], %d heads",
              q->n, q->h, q->w, q->c, k->n, k->h, k->w, k->c, v->n, v->h, v->w, v->c,
              heads);
    VBG_CHECK(vbg_is_float_act(q) && q->dtype == k->dtype && q->dtype == v->dtype,
              "attention: types %s, %s, %s", vbg_dtype_name(q->dtype),
              vbg_dtype_name(k->dtype), vbg_dtype_name(v->dtype));
    vbg_tensor *y = vbg_new_typed(c, q->dtype, q->n, q->h, q->w, q->c);
    int d = q->c / heads;
    attention_job j = {
        .k = vbg_ctx_kernels(c), .q = q, .key = k, .v = v, .y = y, .heads = heads
    };
    j.a = (vbg_attention_args){ .ldq = q->ld,
                                .ldk = k->ld,
                                .ldv = v->ld,
                                .ldy = y->ld,
                                .tq = tq,
                                .tk = tk,
                                .d = d,
                                .t = q->dtype,
                                .scale = (float)(1 / sqrt((double)d)),
                                .causal = causal };
    cut(&j, vbg_ctx_threads(c));
    vbg_scratch_reserve(c, j.k->attention.scratch(&j.a));
    with_ctx w = { c, &j };
    if (!vbg_planning(c))
        vbg_parallel(c, (size_t)q->n * (size_t)heads * (size_t)j.runs, attend_task, &w);
    return y;
}
