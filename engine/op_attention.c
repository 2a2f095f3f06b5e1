/* Attention: (image, head, run of queries) in parallel; backwards (image, head, run of
 * keys). */
#include "engine/op_util.h"
#include "engine/ops.h"
#include "engine/tape.h"
#include "engine/tensor_internal.h"

#include <math.h>

/* A run of queries shares what the kernel repacks of K and V, so it is as long as the
 * number of threads allows: 3 % of the time at 1024 of 4096.  A query's result does
 * not depend on the cut. */
enum { LONGEST_RUN = 2048, SHORTEST_RUN = 512, RUNS_PER_THREAD = 4 };

typedef struct attention_job {
    const vbg_kernels *k;
    const vbg_tensor *q, *key, *v;
    vbg_tensor *y, *stats;    /* stats: f32 [n,heads,2,tq], top and rsum, or NULL */
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

/* Where the statistics of a head of all heads lie. */
static void set_stats(vbg_attention_args *a, const vbg_tensor *stats, size_t head)
{
    if (!stats)
        return;
    a->top = (float *)stats->data + head * 2 * (size_t)a->tq;
    a->rsum = a->top + a->tq;
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
    set_stats(&a, j->stats, n * heads + head);
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

/* ---- backwards ---- */

/* Keys of a run: enough runs to keep some threads busy, by the shape only. */
enum { SHORTEST_KEY_RUN = 512, WANTED_TASKS = 16 };

typedef struct attention_saved {
    const vbg_tensor *q, *k, *v;
    vbg_tensor *y, *stats;
    int heads;
    bool causal;
} attention_saved;

typedef struct back_job {
    vbg_ctx *c;
    const attention_saved *s;
    const vbg_tensor *dy;
    vbg_tensor *dq, *dk, *dv; /* dq [runs*n,...]; dk, dv [n,...] or NULL */
    vbg_attention_back b;     /* of image 0, head 0 */
    size_t runs, keys;
} back_job;

static void back_task(void *arg, size_t index, int thread)
{
    const back_job *j = arg;
    const attention_saved *s = j->s;
    const size_t heads = (size_t)s->heads, images = (size_t)s->q->n;
    const size_t run = index % j->runs, head = index / j->runs % heads;
    const size_t n = index / j->runs / heads, column = head * (size_t)j->b.of.d;
    const size_t tq = (size_t)j->b.of.tq, tk = (size_t)j->b.of.tk;
    vbg_attention_back b = j->b;

    set_stats(&b.of, s->stats, n * heads + head);
    b.of.q = head_of(s->q, n, column);
    b.of.k = head_of(s->k, n, column);
    b.of.v = head_of(s->v, n, column);
    b.of.y = (char *)vbg_row_at(s->y, n * tq) + column * vbg_dtype_size(s->y->dtype);
    b.dy = (char *)vbg_row_at(j->dy, n * tq) + column * vbg_dtype_size(j->dy->dtype);
    b.dq = (char *)vbg_row_at(j->dq, (run * images + n) * tq) +
           column * vbg_dtype_size(b.dqt);
    if (j->dk) {
        b.dk = (char *)vbg_row_at(j->dk, n * tk) + column * vbg_dtype_size(b.dkt);
        b.dv = (char *)vbg_row_at(j->dv, n * tk) + column * vbg_dtype_size(b.dkt);
    }
    const size_t end = (run + 1) * j->keys;
    vbg_ctx_kernels(j->c)->attention.back(
        &b, (int)(run * j->keys), (int)(end < tk ? end : tk), vbg_scratch(j->c, thread));
}

/* The sum of the parts' images [0, n), [n, 2n), ... */
static vbg_tensor *sum_parts(vbg_ctx *c, vbg_tensor *x, int n)
{
    vbg_tensor *sum = vbg_images(c, x, 0, n);

    for (int i = n; i < x->n; i += n)
        vbg_add_to(c, sum, vbg_images(c, x, i, n));
    return sum;
}

static vbg_attention_args args_of(const attention_saved *s)
{
    const int d = s->q->c / s->heads;

    return (vbg_attention_args){ .ldq = s->q->ld,
                                 .ldk = s->k->ld,
                                 .ldv = s->v->ld,
                                 .ldy = s->y->ld,
                                 .tq = s->q->h * s->q->w,
                                 .tk = s->k->h * s->k->w,
                                 .d = d,
                                 .t = s->q->dtype,
                                 .scale = (float)(1 / sqrt((double)d)),
                                 .causal = s->causal };
}

/* Multiply-adds of q times k. */
static double products_of(const vbg_tensor *q, const vbg_tensor *k)
{
    return (double)q->n * q->h * q->w * k->h * k->w * q->c;
}

static void attention_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const attention_saved *s = arg;
    const vbg_tensor *q = s->q, *k = s->k;
    const bool kv = vbg_needs_grad(c, k) || vbg_needs_grad(c, s->v);
    const size_t tk = (size_t)k->h * (size_t)k->w,
                 heads = (size_t)q->n * (size_t)s->heads;
    back_job j = { .c = c, .s = s, .dy = dy };

    j.runs = heads < WANTED_TASKS ? (WANTED_TASKS + heads - 1) / heads : 1;
    j.keys = vbg_round_up((tk + j.runs - 1) / j.runs, SHORTEST_KEY_RUN);
    j.runs = (tk + j.keys - 1) / j.keys;
    j.b = (vbg_attention_back){ .of = args_of(s),
                                .lddy = dy->ld,
                                .lddq = (size_t)q->c,
                                .lddk = (size_t)q->c,
                                .lddv = (size_t)q->c,
                                .dqt = j.runs > 1 ? VBG_F32 : q->dtype,
                                .dkt = k->n < q->n ? VBG_F32 : k->dtype };
    j.dq = vbg_new_typed(c, j.b.dqt, q->n * (int)j.runs, q->h, q->w, q->c);
    if (kv) {
        j.dk = vbg_new_typed(c, j.b.dkt, q->n, k->h, k->w, k->c);
        j.dv = vbg_new_typed(c, j.b.dkt, q->n, k->h, k->w, k->c);
    }
    vbg_scratch_reserve(c, vbg_ctx_kernels(c)->attention.back_scratch(&j.b));
    vbg_count_macs(c, 5 * products_of(q, k)); /* the scores again */
    if (!vbg_planning(c))
        vbg_parallel(c, heads * j.runs, back_task, &j);
    vbg_grad_add(c, q, sum_parts(c, j.dq, q->n));
    if (kv) {
        vbg_grad_add(c, k, sum_parts(c, j.dk, k->n));
        vbg_grad_add(c, s->v, sum_parts(c, j.dv, k->n));
    }
}

static void record(vbg_ctx *c, const attention_saved *keep)
{
    attention_saved *s = vbg_record(c, keep->y, attention_back, sizeof *s);

    if (!s)
        return;
    *s = *keep;
    vbg_save(c, s->q);
    vbg_save(c, s->k);
    vbg_save(c, s->v);
    vbg_save(c, s->y);
    vbg_save(c, s->stats);
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
    vbg_scope_open(c);
    vbg_tensor *y = vbg_new_typed(c, q->dtype, q->n, q->h, q->w, q->c);
    const bool back =
        vbg_needs_grad(c, q) || vbg_needs_grad(c, k) || vbg_needs_grad(c, v);
    attention_saved keep = { q, k, v, y, NULL, heads, causal };
    attention_job j = {
        .k = vbg_ctx_kernels(c), .q = q, .key = k, .v = v, .y = y, .heads = heads
    };
    if (back)
        keep.stats = j.stats = vbg_new_typed(c, VBG_F32, q->n, heads, 2, tq);
    j.a = args_of(&keep);
    cut(&j, vbg_ctx_threads(c));
    vbg_scratch_reserve(c, j.k->attention.scratch(&j.a));
    vbg_count_macs(c, 2 * products_of(q, k));
    with_ctx w = { c, &j };
    if (!vbg_planning(c))
        vbg_parallel(c, (size_t)q->n * (size_t)heads * (size_t)j.runs, attend_task, &w);
    if (back)
        record(c, &keep);
    return vbg_scope_close(c, y);
}
