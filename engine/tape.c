/* Recording and the way back; see engine/tape.h. */
#include "engine/tape.h"

#include <stdlib.h>
#include <string.h>

#include "engine/ops.h"
#include "engine/tensor_internal.h"

enum { ARENA = 1 << 16 };

typedef struct entry {
    vbg_backward_fn *fn;
    void *saved;
    int var;
    int n, h, w, c; /* shape of y */
    size_t hold;    /* first of its kept tensors */
} entry;

/* Blocks of saved state, used again from step to step. */
typedef struct arena {
    struct arena *next;
    size_t used, size;
    max_align_t data[];
} arena;

typedef struct cached {
    const void *key;
    void *data;
} cached;

struct vbg_tape {
    vbg_ctx *c;
    vbg_params *params;
    bool on, training;
    int dry; /* depth of segments whose insides are not kept */

    entry *entries;
    size_t count, cap;
    const vbg_tensor **holds; /* kept tensors, those of an entry in a row */
    size_t nhold, cap_hold;
    vbg_tensor **grad; /* [var], NULL: none yet */
    int vars;
    size_t cap_vars;
    arena *arenas, *at;

    cached *cache;
    size_t ncache, cap_cache;

    int sharers; /* 0: nothing is shared */
    vbg_share_fn *share;
    void *share_arg;
};

/* Room for one more; bookkeeping is small and must not fail in the middle of a pass. */
static void *room(void *p, size_t *cap, size_t count, size_t size)
{
    if (count < *cap)
        return p;
    *cap = *cap ? 2 * *cap : 256;
    p = realloc(p, *cap * size);
    VBG_CHECK(p, "out of memory for %zu entries of the tape", *cap);
    return p;
}

vbg_status vbg_tape_new(vbg_tape **out, vbg_ctx *c, vbg_params *params, vbg_err *err)
{
    vbg_tape *t = calloc(1, sizeof *t);

    if (!t)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a tape");
    VBG_CHECK(!vbg_ctx_tape(c), "a second tape for one context");
    t->c = c;
    t->params = params;
    vbg_ctx_set_tape(c, t);
    *out = t;
    return VBG_OK;
}

void vbg_tape_free(vbg_tape *t)
{
    if (!t)
        return;
    vbg_ctx_set_tape(t->c, NULL);
    for (arena *a = t->arenas, *next; a; a = next) {
        next = a->next;
        free(a);
    }
    for (size_t i = 0; i < t->ncache; i++)
        vbg_free_mem(t->cache[i].data);
    free(t->cache);
    free(t->entries);
    free(t->holds);
    free(t->grad);
    free(t);
}

void vbg_tape_share(vbg_tape *t, int count, vbg_share_fn *fn, void *arg)
{
    t->sharers = count;
    t->share = fn;
    t->share_arg = arg;
}

int vbg_sharers(const vbg_ctx *c)
{
    const vbg_tape *t = vbg_ctx_tape(c);

    return t && t->sharers > 1 ? t->sharers : 1;
}

void vbg_share(vbg_ctx *c, double *v, int n)
{
    vbg_tape *t = vbg_ctx_tape(c);

    if (vbg_sharers(c) > 1 && !vbg_planning(c))
        t->share(t->share_arg, v, n);
}

void vbg_share_mean(vbg_ctx *c, double *v, int n)
{
    const int count = vbg_sharers(c);

    if (count == 1 || !vbg_recording(c))
        return;
    vbg_share(c, v, n);
    for (int i = 0; i < n; i++)
        v[i] /= count;
}

/* Zeroed, aligned for anything. */
static void *take(vbg_tape *t, size_t bytes)
{
    bytes = vbg_round_up(bytes ? bytes : 1, sizeof(max_align_t));
    while (t->at && t->at->used + bytes > t->at->size)
        t->at = t->at->next;
    if (!t->at) {
        size_t size = bytes > ARENA ? bytes : ARENA;
        arena *a = malloc(sizeof *a + size);
        VBG_CHECK(a, "out of memory for the tape");
        *a = (arena){ .next = t->arenas, .size = size };
        t->arenas = t->at = a;
    }
    void *p = (char *)t->at->data + t->at->used;
    t->at->used += bytes;
    return memset(p, 0, bytes);
}

void vbg_tape_start(vbg_tape *t, bool training)
{
    t->count = t->nhold = 0;
    t->dry = 0;
    t->vars = 1; /* 0 means none */
    t->grad = room(t->grad, &t->cap_vars, 1, sizeof *t->grad);
    for (arena *a = t->arenas; a; a = a->next)
        a->used = 0;
    t->at = t->arenas;
    t->on = true;
    t->training = training;
}

static void drop_grad(vbg_tape *t, int var)
{
    if (t->grad[var])
        vbg_release(t->c, t->grad[var]);
    t->grad[var] = NULL;
}

/* Lets go of what entries from first on keep. */
static void let_go(vbg_tape *t, size_t first)
{
    size_t hold = first < t->count ? t->entries[first].hold : t->nhold;

    while (t->nhold > hold)
        vbg_release(t->c, t->holds[--t->nhold]);
    t->count = first;
}

void vbg_tape_stop(vbg_tape *t)
{
    let_go(t, 0);
    for (int i = 1; i < t->vars; i++)
        drop_grad(t, i);
    t->vars = 1;
    t->on = t->training = false;
}

/* ---- recording ---- */

bool vbg_recording(const vbg_ctx *c)
{
    const vbg_tape *t = vbg_ctx_tape(c);

    return t && t->on;
}

bool vbg_training(const vbg_ctx *c)
{
    const vbg_tape *t = vbg_ctx_tape(c);

    return t && t->training;
}

bool vbg_updates_statistics(const vbg_ctx *c)
{
    const vbg_tape *t = vbg_ctx_tape(c);

    return t && t->training && !t->dry && !vbg_planning(c);
}

bool vbg_needs_grad(const vbg_ctx *c, const vbg_tensor *x)
{
    const vbg_tape *t = vbg_ctx_tape(c);

    /* in the backward recording is off, but the numbers stay */
    return t && x->var > 0 && t->vars > x->var;
}

vbg_param *vbg_trainable(const vbg_ctx *c, const void *data)
{
    const vbg_tape *t = vbg_ctx_tape(c);

    if (!t || !t->params || !data)
        return NULL;
    vbg_param *p = vbg_params_by_data(t->params, data);
    return p && p->grad ? p : NULL;
}

static int new_var(vbg_tape *t)
{
    t->grad = room(t->grad, &t->cap_vars, (size_t)t->vars, sizeof *t->grad);
    t->grad[t->vars] = NULL;
    return t->vars++;
}

void vbg_require_grad(vbg_ctx *c, vbg_tensor *x)
{
    vbg_tape *t = vbg_ctx_tape(c);

    VBG_CHECK(t && t->on && !x->var, "gradient of a tensor outside the tape");
    x->var = new_var(t);
}

void *vbg_record(vbg_ctx *c, vbg_tensor *y, vbg_backward_fn *fn, size_t bytes)
{
    vbg_tape *t = vbg_ctx_tape(c);

    if (!t || !t->on)
        return NULL;
    VBG_CHECK(!y->var, "a tensor recorded twice");
    y->var = new_var(t);
    if (t->dry)
        return NULL;
    t->entries = room(t->entries, &t->cap, t->count, sizeof *t->entries);
    entry *e = &t->entries[t->count++];
    *e = (entry){ .fn = fn,
                  .saved = take(t, bytes),
                  .var = y->var,
                  .n = y->n,
                  .h = y->h,
                  .w = y->w,
                  .c = y->c,
                  .hold = t->nhold };
    return e->saved;
}

vbg_tensor *vbg_save(vbg_ctx *c, const vbg_tensor *x)
{
    vbg_tape *t = vbg_ctx_tape(c);

    VBG_CHECK(t && t->on && t->count > 0 && !t->dry, "saved outside a recorded op");
    t->holds = room(t->holds, &t->cap_hold, t->nhold, sizeof *t->holds);
    t->holds[t->nhold++] = x;
    vbg_hold(x);
    return (vbg_tensor *)(uintptr_t)x;
}

/* ---- gradients ---- */

const vbg_tensor *vbg_grad(const vbg_ctx *c, const vbg_tensor *x)
{
    const vbg_tape *t = vbg_ctx_tape(c);

    return vbg_needs_grad(c, x) ? t->grad[x->var] : NULL;
}

/* Makes g the gradient number var. */
static void adopt(vbg_tape *t, int var, const vbg_tensor *g)
{
    vbg_hold(g);
    t->grad[var] = (vbg_tensor *)(uintptr_t)g;
}

/* g as a contiguous tensor of x's type and shape. */
static const vbg_tensor *fitting(vbg_ctx *c, const vbg_tensor *x, const vbg_tensor *g)
{
    VBG_CHECK(vbg_rows(g) * (size_t)g->c == vbg_rows(x) * (size_t)x->c,
              "gradient [%d,%d,%d,%d] of [%d,%d,%d,%d]", g->n, g->h, g->w, g->c, x->n,
              x->h, x->w, x->c);
    if (g->dtype != x->dtype || !vbg_contiguous(g))
        g = vbg_cast(c, g, x->dtype);
    bool same = g->n == x->n && g->h == x->h && g->w == x->w && g->c == x->c;
    return same ? g : vbg_view(c, g, x->n, x->h, x->w, x->c);
}

/* to += g, both contiguous and of one type. */
static void add_into(vbg_ctx *c, vbg_tensor *to, const vbg_tensor *g)
{
    vbg_scope_open(c);
    vbg_tensor *dst = vbg_view(c, to, g->n, g->h, g->w, g->c);
    vbg_add_to(c, dst, g);
    vbg_scope_close(c, NULL);
}

void vbg_grad_add(vbg_ctx *c, const vbg_tensor *x, const vbg_tensor *g)
{
    vbg_tape *t = vbg_ctx_tape(c);

    if (!vbg_needs_grad(c, x))
        return;
    g = fitting(c, x, g);
    vbg_tensor *old = t->grad[x->var];
    if (!old) {
        adopt(t, x->var, g);
    } else if (vbg_sole(old)) {
        add_into(c, old, g);
    } else {
        g = vbg_add(c, vbg_view(c, old, x->n, x->h, x->w, x->c), g, VBG_ACT_NONE);
        g = fitting(c, x, g);
        vbg_release(c, old);
        adopt(t, x->var, g);
    }
}

const vbg_tensor *vbg_grad_so_far(const vbg_ctx *c, const vbg_tensor *x)
{
    const vbg_tensor *g = vbg_grad(c, x);

    return g && g->dtype == x->dtype ? g : NULL;
}

void vbg_grad_replace(vbg_ctx *c, const vbg_tensor *x, const vbg_tensor *g)
{
    vbg_tape *t = vbg_ctx_tape(c);

    if (!vbg_needs_grad(c, x))
        return;
    g = fitting(c, x, g);
    drop_grad(t, x->var);
    adopt(t, x->var, g);
}

/* A new zero tensor like x. */
static vbg_tensor *zeros(vbg_ctx *c, const vbg_tensor *x)
{
    vbg_tensor *z = vbg_new_typed(c, x->dtype, x->n, x->h, x->w, x->c);

    if (!vbg_planning(c))
        memset(z->data, 0, vbg_rows(z) * (size_t)z->c * vbg_dtype_size(z->dtype));
    return z;
}

vbg_tensor *vbg_grad_full(vbg_ctx *c, const vbg_tensor *x)
{
    vbg_tape *t = vbg_ctx_tape(c);
    vbg_tensor *old = t->grad[x->var];

    if (!old) {
        adopt(t, x->var, zeros(c, x));
    } else if (!vbg_sole(old)) {
        adopt(t, x->var, vbg_cast(c, old, x->dtype));
        vbg_release(c, old);
    }
    return vbg_view(c, t->grad[x->var], x->n, x->h, x->w, x->c);
}

/* Runs and forgets the entries from base on, the last first. */
static void run_back(vbg_tape *t, size_t base)
{
    vbg_ctx *c = t->c;

    while (t->count > base) {
        entry e = t->entries[t->count - 1];
        if (t->grad[e.var]) {
            vbg_scope_open(c);
            /* a gradient that came through a view of y has the view's shape */
            e.fn(c, vbg_view(c, t->grad[e.var], e.n, e.h, e.w, e.c), e.saved);
            vbg_scope_close(c, NULL);
        }
        let_go(t, t->count - 1);
        drop_grad(t, e.var);
    }
}

size_t vbg_tape_mark(const vbg_ctx *c)
{
    const vbg_tape *t = vbg_ctx_tape(c);

    return t ? t->count : 0;
}

void vbg_backward_to(vbg_ctx *c, const vbg_tensor *y, vbg_tensor *dy, size_t mark)
{
    vbg_tape *t = vbg_ctx_tape(c);

    VBG_CHECK(t && t->on && !t->dry, "backward without a tape");
    if (!vbg_needs_grad(c, y))
        return;
    t->on = false;
    vbg_scope_open(c);
    vbg_grad_add(c, y, dy);
    vbg_scope_close(c, NULL);
    run_back(t, mark);
    t->on = true;
}

void vbg_backward_from(vbg_ctx *c, const vbg_tensor *y, vbg_tensor *dy)
{
    vbg_backward_to(c, y, dy, 0);
}

void vbg_backward(vbg_ctx *c, const vbg_tensor *loss)
{
    VBG_CHECK(loss->dtype == VBG_F32 && vbg_rows(loss) == 1 && loss->c == 1,
              "a loss is one f32 value");
    vbg_tensor *one = vbg_new_typed(c, VBG_F32, 1, 1, 1, 1);
    if (!vbg_planning(c))
        *(float *)one->data = 1;
    vbg_backward_from(c, loss, one);
    vbg_drop(c, one);
}

/* ---- parts of tensors ---- */

typedef struct part {
    vbg_tensor *of;
    int channel, image;
} part;

static void part_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    part *p = arg;
    vbg_tensor *full = vbg_grad_full(c, p->of);
    vbg_tensor *to =
        vbg_columns(c, vbg_images(c, full, p->image, dy->n), p->channel, dy->c);

    vbg_add_to(c, to, dy);
}

void vbg_record_part(vbg_ctx *c, const vbg_tensor *of, vbg_tensor *y, int channel,
                     int image)
{
    y->var = 0;
    if (!vbg_needs_grad(c, of))
        return;
    part *p = vbg_record(c, y, part_back, sizeof *p);
    if (p)
        *p = (part){ .of = vbg_save(c, of), .channel = channel, .image = image };
}

vbg_tensor *vbg_detach(vbg_ctx *c, const vbg_tensor *x)
{
    vbg_tensor *y = vbg_view(c, x, x->n, x->h, x->w, x->c);

    y->var = 0;
    return y;
}

/* ---- segments computed twice ---- */

typedef struct segment {
    vbg_segment *fn;
    size_t bytes;
    max_align_t arg[];
} segment;

static void segment_back(vbg_ctx *c, const vbg_tensor *dy, void *saved)
{
    vbg_tape *t = vbg_ctx_tape(c);
    segment *s = saved;
    size_t base = t->count; /* above this segment's own entry, which still stands */

    t->on = true;
    vbg_tensor *y = s->fn(c, s->arg);
    t->on = false;
    VBG_CHECK(vbg_needs_grad(c, y), "a segment that was recorded wants no gradient");
    vbg_grad_add(c, y, dy);
    run_back(t, base);
}

vbg_tensor *vbg_checkpoint(vbg_ctx *c, vbg_segment *fn, const void *arg, size_t bytes,
                           const vbg_tensor *const *in, int n)
{
    vbg_tape *t = vbg_ctx_tape(c);
    max_align_t copy[64];

    VBG_CHECK(bytes <= sizeof copy, "segment argument of %zu bytes", bytes);
    memcpy(copy, arg, bytes);
    vbg_scope_open(c);
    if (!t || !t->on)
        return vbg_scope_close(c, fn(c, copy));
    t->dry++;
    vbg_tensor *y = vbg_scope_close(c, fn(c, copy));
    t->dry--;
    if (!y->var)
        return y;
    y->var = 0;
    segment *s = vbg_record(c, y, segment_back, sizeof *s + bytes);
    if (s) {
        s->fn = fn;
        s->bytes = bytes;
        memcpy(s->arg, arg, bytes);
        for (int i = 0; i < n; i++)
            vbg_save(c, in[i]);
    }
    return y;
}

void *vbg_tape_cache(vbg_ctx *c, const void *key, size_t bytes, bool *made)
{
    vbg_tape *t = vbg_ctx_tape(c);

    *made = false;
    for (size_t i = 0; i < t->ncache; i++)
        if (t->cache[i].key == key)
            return t->cache[i].data;
    void *data = vbg_alloc(bytes);
    if (!data)
        return NULL;
    t->cache = room(t->cache, &t->cap_cache, t->ncache, sizeof *t->cache);
    t->cache[t->ncache++] = (cached){ key, data };
    *made = true;
    return data;
}
