/* The context: slab, free list, scopes, threads.
 *
 * The free list and the list of live blocks are small arrays (a UNet keeps
 * about a hundred tensors alive), so first fit by linear search is nothing
 * beside the work of one op. */
#define _GNU_SOURCE
#include "engine/tensor.h"
#include "engine/map_guard.h"
#include "engine/team.h"
#include "engine/tensor_internal.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGN = 64, SLACK = 64, HUGE_PAGE = 2 << 20 };

typedef struct span {
    size_t at, bytes;
} span;

/* A header with its bookkeeping; tensor must stay first. */
typedef struct node {
    vbg_tensor tensor;
    struct node *owner; /* whose memory a view shows, NULL for none */
    struct node *next_free;
    size_t at, bytes; /* place in the slab, 0 bytes for views and wraps */
    int refs;         /* 1 for itself plus one for each live view */
    int scope;        /* depth it belongs to, -1 when dropped */
} node;

enum { CHUNK = 256 };

typedef struct chunk {
    struct chunk *next;
    node nodes[CHUNK];
} chunk;

struct vbg_ctx {
    vbg_kernels kernels;
    vbg_team *team;
    int threads;
    vbg_dtype act;
    bool planning;

    char *slab;
    size_t slab_bytes, need; /* capacity; high-water mark of this run */
    double macs;

    span *free;
    size_t nfree, cap_free;

    node **live; /* in order of creation, dropped ones compacted on close */
    size_t nlive, cap_live;
    chunk *chunks;
    node *spare;
    int depth;

    size_t scratch_bytes, scratch_need;
    char **scratch;

    struct vbg_tape *tape; /* NULL: none */
};

static int usable_cores(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    return 1;
}

vbg_status vbg_ctx_new(vbg_ctx **out, const vbg_ctx_opt *opt, vbg_err *err)
{
    vbg_ctx *c = calloc(1, sizeof *c);

    if (c) {
        c->threads = opt->threads > 0 ? opt->threads : usable_cores();
        c->scratch = calloc((size_t)c->threads, sizeof *c->scratch);
    }
    if (!c || !c->scratch) {
        free(c);
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a context");
    }
    vbg_status st = vbg_team_new(&c->team, c->threads, err);
    if (st != VBG_OK) {
        vbg_ctx_free(c);
        return st;
    }
    vbg_kernels_init(&c->kernels, opt->isa);
    c->act = opt->precision == VBG_BF16 && c->kernels.isa >= VBG_ISA_AVX512_BF16
                 ? VBG_BF16
                 : VBG_F32;
    *out = c;
    return VBG_OK;
}

void vbg_ctx_free(vbg_ctx *c)
{
    if (!c)
        return;
    vbg_team_free(c->team);
    for (int i = 0; i < c->threads; i++)
        vbg_free_mem(c->scratch[i]);
    while (c->chunks) {
        chunk *next = c->chunks->next;
        free(c->chunks);
        c->chunks = next;
    }
    free(c->scratch);
    free(c->free);
    free(c->live);
    vbg_free_mem(c->slab);
    free(c);
}

const vbg_kernels *vbg_ctx_kernels(const vbg_ctx *c)
{
    return &c->kernels;
}

int vbg_ctx_threads(const vbg_ctx *c)
{
    return c->threads;
}

vbg_dtype vbg_ctx_act(const vbg_ctx *c)
{
    return c->act;
}

bool vbg_planning(const vbg_ctx *c)
{
    return c->planning;
}

size_t vbg_ctx_slab_bytes(const vbg_ctx *c)
{
    return c->slab_bytes;
}

double vbg_ctx_macs(const vbg_ctx *c)
{
    return c->macs;
}

void vbg_count_macs(vbg_ctx *c, double macs)
{
    if (c->planning)
        c->macs += macs;
}

/* Grows an array by doubling; planning is the only time this allocates much. */
static void *grow(void *p, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return p;
    *cap = need * 2;
    p = realloc(p, *cap * size);
    VBG_CHECK(p, "out of memory for %zu bookkeeping entries", *cap);
    return p;
}

static void free_insert(vbg_ctx *c, span s)
{
    size_t i = 0;

    while (i < c->nfree && c->free[i].at < s.at)
        i++;
    bool left = i > 0 && c->free[i - 1].at + c->free[i - 1].bytes == s.at;
    bool right = i < c->nfree && s.at + s.bytes == c->free[i].at;
    if (left && right) {
        c->free[i - 1].bytes += s.bytes + c->free[i].bytes;
        memmove(c->free + i, c->free + i + 1, (c->nfree - i - 1) * sizeof(span));
        c->nfree--;
    } else if (left) {
        c->free[i - 1].bytes += s.bytes;
    } else if (right) {
        c->free[i].at = s.at;
        c->free[i].bytes += s.bytes;
    } else {
        c->free = grow(c->free, &c->cap_free, c->nfree + 1, sizeof(span));
        memmove(c->free + i + 1, c->free + i, (c->nfree - i) * sizeof(span));
        c->free[i] = s;
        c->nfree++;
    }
}

/* First fit.  The list always ends with one span of unlimited size. */
static size_t take(vbg_ctx *c, size_t bytes)
{
    size_t i = 0;

    while (c->free[i].bytes < bytes)
        i++;
    size_t at = c->free[i].at;
    c->free[i].at += bytes;
    c->free[i].bytes -= bytes;
    if (c->free[i].bytes == 0) {
        memmove(c->free + i, c->free + i + 1, (c->nfree - i - 1) * sizeof(span));
        c->nfree--;
    }
    if (at + bytes > c->need)
        c->need = at + bytes;
    return at;
}

static node *node_new(vbg_ctx *c)
{
    if (!c->spare) {
        chunk *k = calloc(1, sizeof *k);
        VBG_CHECK(k, "out of memory for tensor headers");
        k->next = c->chunks;
        c->chunks = k;
        for (int i = CHUNK - 1; i >= 0; i--) {
            k->nodes[i].next_free = c->spare;
            c->spare = &k->nodes[i];
        }
    }
    node *t = c->spare;
    c->spare = t->next_free;
    *t = (node){ .refs = 1, .scope = c->depth };
    c->live = grow(c->live, &c->cap_live, c->nlive + 1, sizeof(node *));
    c->live[c->nlive++] = t;
    return t;
}

static void unref(vbg_ctx *c, node *t)
{
    if (--t->refs > 0)
        return;
    if (t->bytes)
        free_insert(c, (span){ t->at, t->bytes });
    if (t->owner)
        unref(c, t->owner);
    t->next_free = c->spare;
    c->spare = t;
}

struct vbg_tape *vbg_ctx_tape(const vbg_ctx *c)
{
    return c->tape;
}

void vbg_ctx_set_tape(vbg_ctx *c, struct vbg_tape *tape)
{
    c->tape = tape;
}

void vbg_hold(const vbg_tensor *t)
{
    ((node *)(uintptr_t)t)->refs++;
}

void vbg_release(vbg_ctx *c, const vbg_tensor *t)
{
    unref(c, (node *)(uintptr_t)t);
}

bool vbg_sole(const vbg_tensor *t)
{
    const node *k = (const node *)(uintptr_t)t;

    return k->refs == 1 && (k->owner ? vbg_sole(&k->owner->tensor) : k->bytes > 0);
}

vbg_tensor *vbg_new_typed(vbg_ctx *c, vbg_dtype dtype, int n, int h, int w, int ch)
{
    VBG_CHECK(n > 0 && h > 0 && w > 0 && ch > 0, "tensor [%d,%d,%d,%d]", n, h, w, ch);
    size_t count = (size_t)n, bytes;
    bool fits = vbg_mul_size(&count, count, (size_t)h) &&
                vbg_mul_size(&count, count, (size_t)w) &&
                vbg_mul_size(&count, count, (size_t)ch) &&
                vbg_mul_size(&bytes, count, vbg_dtype_size(dtype)) &&
                bytes < SIZE_MAX / 4;
    VBG_CHECK(fits, "tensor [%d,%d,%d,%d] is too large", n, h, w, ch);

    node *t = node_new(c);
    t->bytes = vbg_round_up(bytes + SLACK, ALIGN);
    t->at = take(c, t->bytes);
    if (!c->planning) {
        VBG_CHECK(t->at + t->bytes <= c->slab_bytes,
                  "job allocates more than it planned");
        t->tensor.data = c->slab + t->at;
    }
    t->tensor.dtype = dtype;
    t->tensor.n = n;
    t->tensor.h = h;
    t->tensor.w = w;
    t->tensor.c = ch;
    t->tensor.ld = (size_t)ch;
    return &t->tensor;
}

vbg_tensor *vbg_new(vbg_ctx *c, int n, int h, int w, int ch)
{
    return vbg_new_typed(c, c->act, n, h, w, ch);
}

vbg_tensor *vbg_wrap(vbg_ctx *c, const void *data, vbg_dtype dtype, int n, int h, int w,
                     int ch)
{
    node *t = node_new(c);

    t->tensor = (vbg_tensor){ .data = c->planning ? NULL : (void *)(uintptr_t)data,
                              .dtype = dtype,
                              .n = n,
                              .h = h,
                              .w = w,
                              .c = ch,
                              .ld = (size_t)ch };
    return &t->tensor;
}

static vbg_tensor *share(vbg_ctx *c, const vbg_tensor *of, size_t offset)
{
    node *o = (node *)(uintptr_t)of;
    node *t = node_new(c);

    o->refs++;
    t->owner = o;
    t->tensor = *of;
    if (of->data)
        t->tensor.data = (char *)of->data + offset * vbg_dtype_size(of->dtype);
    return &t->tensor;
}

vbg_tensor *vbg_view(vbg_ctx *c, const vbg_tensor *of, int n, int h, int w, int ch)
{
    size_t want = (size_t)n * (size_t)h * (size_t)w;
    bool same = ch == of->c && want == vbg_rows(of);
    bool flat = vbg_contiguous(of) && want * (size_t)ch == vbg_rows(of) * (size_t)of->c;

    VBG_CHECK(same || flat, "view [%d,%d,%d,%d] of [%d,%d,%d,%d] ld %zu", n, h, w, ch,
              of->n, of->h, of->w, of->c, of->ld);
    vbg_tensor *t = share(c, of, 0);
    t->n = n;
    t->h = h;
    t->w = w;
    if (!same)
        t->ld = (size_t)ch;
    t->c = ch;
    return t;
}

vbg_tensor *vbg_columns(vbg_ctx *c, const vbg_tensor *of, int first, int ch)
{
    VBG_CHECK(first >= 0 && ch > 0 && first + ch <= of->c, "columns %d+%d of %d", first,
              ch, of->c);
    vbg_tensor *t = share(c, of, (size_t)first);
    t->c = ch;
    vbg_record_part(c, of, t, first, 0);
    return t;
}

vbg_tensor *vbg_images(vbg_ctx *c, const vbg_tensor *of, int first, int n)
{
    VBG_CHECK(first >= 0 && n > 0 && first + n <= of->n, "images %d+%d of %d", first, n,
              of->n);
    vbg_tensor *t = share(c, of, (size_t)first * (size_t)of->h * (size_t)of->w * of->ld);
    t->n = n;
    vbg_record_part(c, of, t, 0, first);
    return t;
}

void vbg_scope_open(vbg_ctx *c)
{
    c->depth++;
}

void vbg_keep(vbg_ctx *c, vbg_tensor *t)
{
    (void)c;
    node *k = (node *)t;
    if (k->scope > 0)
        k->scope--;
}

vbg_tensor *vbg_scope_close(vbg_ctx *c, vbg_tensor *keep)
{
    size_t kept = 0;

    VBG_CHECK(c->depth > 0, "scope closed that was never opened");
    if (keep && ((node *)keep)->scope == c->depth)
        ((node *)keep)->scope--;
    for (size_t i = 0; i < c->nlive; i++) {
        node *t = c->live[i];
        if (t->scope == c->depth) {
            t->scope = -1;
            unref(c, t);
        } else if (t->scope >= 0) {
            c->live[kept++] = t;
        }
    }
    c->nlive = kept;
    c->depth--;
    return keep;
}

void vbg_drop(vbg_ctx *c, vbg_tensor *t)
{
    for (size_t i = c->nlive; i-- > 0;) {
        if (&c->live[i]->tensor == t) {
            node *d = c->live[i];
            memmove(c->live + i, c->live + i + 1, (c->nlive - i - 1) * sizeof(node *));
            c->nlive--;
            d->scope = -1;
            unref(c, d);
            return;
        }
    }
    VBG_CHECK(false, "dropped a tensor that is not alive");
}

static vbg_status pass(vbg_ctx *c, vbg_job *job, void *arg, vbg_err *err)
{
    c->nfree = 0;
    c->need = 0;
    c->nlive = 0;
    c->depth = 0;
    free_insert(c, (span){ 0, SIZE_MAX / 2 });
    vbg_scope_open(c);
    vbg_status st = job(c, arg, err);
    while (c->depth > 0) /* a job that fails may leave scopes open */
        vbg_scope_close(c, NULL);
    return st;
}

vbg_status vbg_plan(vbg_ctx *c, vbg_job *job, void *arg, size_t *bytes, vbg_err *err)
{
    c->planning = true;
    c->scratch_need = 0;
    c->macs = 0;
    vbg_status st = pass(c, job, arg, err);
    c->planning = false;
    if (bytes)
        *bytes = c->need + c->scratch_need * (size_t)c->threads;
    return st;
}

static vbg_status reserve(vbg_ctx *c, vbg_err *err)
{
    if (c->need > c->slab_bytes) {
        vbg_free_mem(c->slab);
        c->slab_bytes = 0;
        c->slab_bytes = 0;
        size_t unit = c->need < HUGE_PAGE ? ALIGN : HUGE_PAGE;
        size_t bytes = vbg_round_up(c->need, unit);
        c->slab = aligned_alloc(unit, bytes);
        if (!c->slab)
            return vbg_fail(err, VBG_ENOMEM, "this job needs %zu MB of memory",
                            c->need >> 20);
        if (unit == HUGE_PAGE) /* fewer faults, fewer misses of strided tile loads */
            madvise(c->slab, bytes, MADV_HUGEPAGE);
        c->slab_bytes = bytes;
    }
    if (c->scratch_need > c->scratch_bytes) {
        c->scratch_bytes = 0;
        for (int i = 0; i < c->threads; i++) {
            vbg_free_mem(c->scratch[i]);
            c->scratch[i] = vbg_alloc(c->scratch_need);
            if (!c->scratch[i])
                return vbg_fail(err, VBG_ENOMEM, "this job needs %zu MB of scratch",
                                c->scratch_need >> 20);
        }
        c->scratch_bytes = c->scratch_need;
    }
    return VBG_OK;
}

vbg_status vbg_run(vbg_ctx *c, vbg_job *job, void *arg, vbg_err *err)
{
    vbg_status st = vbg_plan(c, job, arg, NULL, err);

    if (st == VBG_OK)
        st = reserve(c, err);
    if (st == VBG_OK)
        st = pass(c, job, arg, err);
    return st == VBG_OK ? vbg_map_guard_check(err) : st;
}

void vbg_parallel(vbg_ctx *c, size_t count, vbg_task *fn, void *arg)
{
    vbg_team_run(c->team, count, fn, arg);
}

void vbg_scratch_reserve(vbg_ctx *c, size_t bytes)
{
    if (bytes > c->scratch_need)
        c->scratch_need = vbg_round_up(bytes, ALIGN);
    VBG_CHECK(c->planning || bytes <= c->scratch_bytes, "scratch was not planned");
}

void *vbg_scratch(vbg_ctx *c, int thread)
{
    return c->scratch[thread];
}
