/* Forward pass of the UNet; see models/unet.h. */
#include "models/unet.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tape.h"

static const float TRANSFORMER_EPS = 1e-6f, LAYER_EPS = 1e-5f;

struct vbg_unet_text {
    int n, tokens;
    vbg_dtype dtype;
    size_t *k, *v; /* [transformers] offsets into data */
    char *data;
    const vbg_tensor *state; /* instead of k, v and data: nothing worked out ahead */
};

/* What every block of one call needs. */
typedef struct call {
    vbg_ctx *c;
    const vbg_unet *m;
    vbg_unet_text text; /* by value: the way back comes after the call */
    const vbg_unet_hooks *hooks;
    vbg_tensor *temb; /* silu of the time embedding, f32 [1 or n,1,1,4*width] */
} call;

typedef struct skips {
    vbg_tensor *x[VBG_UNET_SKIPS];
    int count;
} skips;

/* A block that may be computed twice. */
typedef struct segment {
    call k;
    const void *block;
    int place;
    const vbg_tensor *x;
} segment;

static vbg_tensor *run_segment(const call *k, vbg_segment *fn, const void *block,
                               int place, const vbg_tensor *x)
{
    segment s = { .k = *k, .block = block, .place = place, .x = x };

    if (!k->hooks || !k->hooks->checkpoint)
        return fn(k->c, &s);
    const vbg_tensor *const in[] = { x, k->temb, k->text.state };
    return vbg_checkpoint(k->c, fn, &s, sizeof s, in, k->text.state ? 3 : 2);
}

static void trace(const call *k, const vbg_tensor *x, const char *fmt, ...)
    VBG_PRINTF(3, 4);

static void trace(const call *k, const vbg_tensor *x, const char *fmt, ...)
{
    char name[64];
    va_list args;

    if (!k->hooks || !k->hooks->trace)
        return;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    k->hooks->trace(k->hooks->arg, k->c, name, x);
}

/* next, made from old, which is no longer needed. */
static vbg_tensor *after(vbg_ctx *c, vbg_tensor *old, vbg_tensor *next)
{
    vbg_drop(c, old);
    return next;
}

static bool time_is_trained(const call *k, const vbg_resnet *r)
{
    return vbg_needs_grad(k->c, k->temb) || vbg_trainable(k->c, r->temb.data) ||
           vbg_trainable(k->c, r->temb.bias) || vbg_trainable(k->c, r->conv1.bias);
}

/* conv1 with the time embedding added: one time for all images turns into the
 * convolution's bias (unless its gradient is wanted), else it is added per image. */
static vbg_tensor *conv_with_time(const call *k, const vbg_tensor *h, const vbg_resnet *r)
{
    vbg_ctx *c = k->c;
    const vbg_conv_opt k3 = { .pad = 1 };
    vbg_weight w = r->conv1, t = r->temb;
    const vbg_linear_opt f32 = { .f32_out = true };

    vbg_scope_open(c);
    if (k->temb->n == 1 && !time_is_trained(k, r)) {
        vbg_tensor *e = vbg_linear_ex(c, k->temb, &t, f32);
        float *bias = e->data;
        for (int i = 0; bias && w.bias && i < w.oc; i++)
            bias[i] += w.bias[i];
        w.bias = bias;
        return vbg_scope_close(c, vbg_conv2d(c, h, &w, k3));
    }
    vbg_tensor *y = vbg_conv2d(c, h, &w, k3);
    vbg_tensor *e = vbg_linear(c, k->temb, &t);
    return vbg_scope_close(c, vbg_add(c, y, e, VBG_ACT_NONE));
}

/* x [n,h,w,c] -> [n,h,w,oc] */
static vbg_tensor *resnet_now(vbg_ctx *c, void *arg)
{
    const segment *s = arg;
    const call *k = &s->k;
    const vbg_resnet *r = s->block;
    const vbg_tensor *x = s->x;
    const int groups = k->m->cfg.groups;
    const float eps = k->m->cfg.eps;
    const vbg_tensor *skip = x;

    vbg_scope_open(c);
    vbg_tensor *h = vbg_group_norm(c, x, &r->norm1, groups, eps, VBG_ACT_SILU);
    h = after(c, h, conv_with_time(k, h, r));
    h = after(c, h, vbg_group_norm(c, h, &r->norm2, groups, eps, VBG_ACT_SILU));
    if (r->skip.data)
        skip = vbg_linear(c, x, &r->skip);
    vbg_conv_opt k3 = { .pad = 1, .residual = skip };
    return vbg_scope_close(c, vbg_conv2d(c, h, &r->conv2, k3));
}

static vbg_tensor *resnet(const call *k, const vbg_resnet *r, const vbg_tensor *x)
{
    return run_segment(k, resnet_now, r, 0, x);
}

/* Text keys or values of transformer t as a tensor. */
static vbg_tensor *text_of(const call *k, const vbg_transformer *t, bool values)
{
    const vbg_unet_text *s = &k->text;

    if (s->state)
        return vbg_linear(k->c, s->state, values ? &t->cross.v : &t->cross.k);
    const size_t at = (values ? s->v : s->k)[t->index];

    /* only wrapped, not touched, where there are just shapes */
    return vbg_wrap(k->c, s->data + at, s->dtype, s->n, 1, s->tokens, t->cross.k.oc);
}

/* x + out(attention(norm(x))), keys from the text or from x itself; x is dropped. */
static vbg_tensor *attend(const call *k, const vbg_transformer *t, vbg_tensor *x,
                          bool cross)
{
    vbg_ctx *c = k->c;
    const vbg_attn_w *w = cross ? &t->cross : &t->self;
    const vbg_norm_w *norm = cross ? &t->norm2 : &t->norm1;
    vbg_tensor *key, *value;

    vbg_scope_open(c);
    vbg_tensor *h = vbg_layer_norm(c, x, norm, LAYER_EPS);
    vbg_tensor *q = vbg_linear(c, h, &w->q);
    if (cross) {
        key = text_of(k, t, false);
        value = text_of(k, t, true);
    } else {
        key = vbg_linear(c, h, &w->k);
        value = vbg_linear(c, h, &w->v);
    }
    vbg_drop(c, h);
    h = vbg_attention(c, q, key, value, t->heads, false);
    vbg_tensor *y = vbg_linear_ex(c, h, &w->out, (vbg_linear_opt){ .residual = x });
    return after(c, x, vbg_scope_close(c, y));
}

/* x [n,h,w,c] -> the same shape */
static vbg_tensor *transformer_now(vbg_ctx *c, void *arg)
{
    const segment *s = arg;
    const call *k = &s->k;
    const vbg_transformer *t = s->block;
    const vbg_tensor *x = s->x;

    vbg_scope_open(c);
    vbg_tensor *h =
        vbg_group_norm(c, x, &t->norm, k->m->cfg.groups, TRANSFORMER_EPS, VBG_ACT_NONE);
    h = after(c, h, vbg_linear(c, h, &t->proj_in));
    h = attend(k, t, h, false);
    h = attend(k, t, h, true);
    vbg_tensor *f = vbg_layer_norm(c, h, &t->norm3, LAYER_EPS);
    f = after(c, f, vbg_linear_geglu(c, f, &t->ff1));
    h = after(c, h, vbg_linear_ex(c, f, &t->ff2, (vbg_linear_opt){ .residual = h }));
    vbg_drop(c, f);
    h = vbg_linear_ex(c, h, &t->proj_out, (vbg_linear_opt){ .residual = x });
    return vbg_scope_close(c, h);
}

static vbg_tensor *transformer(const call *k, const vbg_transformer *t,
                               const vbg_tensor *x)
{
    return run_segment(k, transformer_now, t, 0, x);
}

static vbg_tensor *couple_now(vbg_ctx *c, void *arg)
{
    const segment *s = arg;

    return s->k.hooks->couple(s->k.hooks->arg, c, s->place, s->x);
}

/* The coupling of views at a place; x is dropped. */
static vbg_tensor *couple(const call *k, int place, vbg_tensor *x)
{
    if (!k->hooks || !k->hooks->couple)
        return x;
    return after(k->c, x, run_segment(k, couple_now, NULL, place, x));
}

static void push(skips *s, vbg_tensor *x)
{
    VBG_CHECK(s->count < VBG_UNET_SKIPS, "more than %d skips", VBG_UNET_SKIPS);
    s->x[s->count++] = x;
}

/* A second handle of x that stays when x is dropped: skips outlive the main path. */
static vbg_tensor *share(vbg_ctx *c, const vbg_tensor *x)
{
    return vbg_view(c, x, x->n, x->h, x->w, x->c);
}

static vbg_tensor *down_block(const call *k, skips *s, int i, vbg_tensor *x)
{
    const vbg_unet_block *b = &k->m->down[i];
    vbg_ctx *c = k->c;

    for (int j = 0; j < b->count; j++) {
        x = after(c, x, resnet(k, &b->resnet[j], x));
        trace(k, x, "down.%d.resnets.%d", i, j);
        if (b->cross) {
            x = after(c, x, transformer(k, &b->attn[j], x));
            trace(k, x, "down.%d.attentions.%d", i, j);
        }
        trace(k, x, "down.%d.skip.%d", i, j);
        push(s, share(c, x));
    }
    x = couple(k, i, x);
    if (b->resample) {
        vbg_conv_opt o = { .stride = 2, .pad = 1 };
        x = after(c, x, vbg_conv2d(c, x, &b->conv, o));
        push(s, share(c, x));
    }
    trace(k, x, "down.%d", i);
    return x;
}

static vbg_tensor *mid_block(const call *k, vbg_tensor *x)
{
    vbg_ctx *c = k->c;

    x = after(c, x, resnet(k, &k->m->mid[0], x));
    x = couple(k, k->m->cfg.levels, x);
    x = after(c, x, transformer(k, &k->m->mid_attn, x));
    x = after(c, x, resnet(k, &k->m->mid[1], x));
    trace(k, x, "mid");
    return x;
}

/* Nearest resize to the next skip's size, then the convolution. */
static vbg_tensor *upsample(const call *k, const vbg_tensor *next, const vbg_weight *w,
                            vbg_tensor *x)
{
    vbg_conv_opt o = { .pad = 1 };
    vbg_ctx *c = k->c;

    if (next->h == 2 * x->h && next->w == 2 * x->w)
        o.upsample2 = true;
    else
        x = after(c, x, vbg_resize(c, x, next->h, next->w, VBG_RESIZE_NEAREST));
    return after(c, x, vbg_conv2d(c, x, w, o));
}

static vbg_tensor *up_block(const call *k, skips *s, int i, vbg_tensor *x)
{
    const vbg_unet_block *b = &k->m->up[i];
    vbg_ctx *c = k->c;

    for (int j = 0; j < b->count; j++) {
        vbg_tensor *skip = s->x[--s->count];
        x = after(c, x, vbg_concat(c, x, skip));
        vbg_drop(c, skip);
        x = after(c, x, resnet(k, &b->resnet[j], x));
        if (b->cross)
            x = after(c, x, transformer(k, &b->attn[j], x));
    }
    x = couple(k, k->m->cfg.levels + 1 + i, x);
    if (b->resample)
        x = upsample(k, s->x[s->count - 1], &b->conv, x);
    trace(k, x, "up.%d", i);
    return x;
}

/* Sinusoids of the timesteps, f32 [times,1,1,width].  The argument is rounded to
 * f32 at every product as the reference does: at t = 999 one rounding is 3e-5. */
static vbg_tensor *sinusoids(const call *k, const double *time, int times)
{
    const vbg_unet_config *g = &k->m->cfg;
    const int half = g->width[0] / 2;
    vbg_tensor *y = vbg_new_typed(k->c, VBG_F32, times, 1, 1, g->width[0]);
    const float span = (float)half - (float)g->freq_shift;
    float *row = y->data;

    for (int n = 0; row && n < times; n++, row += y->c) {
        for (int i = 0; i < half; i++) {
            float exponent = (float)-log(10000.0) * (float)i / span;
            float arg = (float)time[n] * (float)exp((double)exponent);
            row[g->flip_sin_to_cos ? half + i : i] = (float)sin((double)arg);
            row[g->flip_sin_to_cos ? i : half + i] = (float)cos((double)arg);
        }
        if (y->c % 2)
            row[y->c - 1] = 0;
    }
    return y;
}

static void time_embedding(call *k, const double *time, int times)
{
    const vbg_linear_opt silu = { .act = VBG_ACT_SILU, .f32_out = true };
    vbg_ctx *c = k->c;

    vbg_scope_open(c);
    vbg_tensor *t = sinusoids(k, time, times);
    trace(k, t, "time_proj");
    t = vbg_linear_ex(c, t, &k->m->time1, silu);
    t = vbg_linear_ex(c, t, &k->m->time2, (vbg_linear_opt){ .f32_out = true });
    trace(k, t, "time_embedding");
    k->temb = vbg_scope_close(c, vbg_activate(c, t, VBG_ACT_SILU));
}

vbg_tensor *vbg_unet_forward(vbg_ctx *c, const vbg_unet *m, const vbg_tensor *x,
                             const double *time, int times, const vbg_unet_text *text,
                             const vbg_unet_hooks *hooks)
{
    call k = { .c = c, .m = m, .text = *text, .hooks = hooks };
    skips s = { .count = 0 };

    VBG_CHECK(times == 1 || times == x->n, "%d timesteps for %d images", times, x->n);
    VBG_CHECK(text->n == x->n && x->c == m->cfg.in_channels,
              "unet: [%d,%d,%d,%d] with texts of %d images", x->n, x->h, x->w, x->c,
              text->n);
    vbg_scope_open(c);
    time_embedding(&k, time, times);
    vbg_tensor *h = vbg_conv2d(c, x, &m->conv_in, (vbg_conv_opt){ .pad = 1 });
    trace(&k, h, "conv_in");
    push(&s, share(c, h));
    for (int i = 0; i < m->cfg.levels; i++)
        h = down_block(&k, &s, i, h);
    h = mid_block(&k, h);
    for (int i = 0; i < m->cfg.levels; i++)
        h = up_block(&k, &s, i, h);
    h = after(
        c, h,
        vbg_group_norm(c, h, &m->norm_out, m->cfg.groups, m->cfg.eps, VBG_ACT_SILU));
    vbg_conv_opt last = { .pad = 1, .f32_out = true };
    return vbg_scope_close(c, vbg_conv2d(c, h, &m->conv_out, last));
}

vbg_tensor *vbg_unet_forward_state(vbg_ctx *c, const vbg_unet *m, const vbg_tensor *x,
                                   const double *time, int times, const vbg_tensor *state,
                                   const vbg_unet_hooks *hooks)
{
    const vbg_unet_text text = { .n = state->n, .tokens = state->w, .state = state };

    return vbg_unet_forward(c, m, x, time, times, &text, hooks);
}

/* ---- text ---- */

/* Calls fn for every transformer in the order of their index. */
static void each_transformer(const vbg_unet *m,
                             void (*fn)(void *arg, const vbg_transformer *t), void *arg)
{
    for (int i = 0; i < m->cfg.levels; i++)
        for (int j = 0; m->down[i].cross && j < m->down[i].count; j++)
            fn(arg, &m->down[i].attn[j]);
    fn(arg, &m->mid_attn);
    for (int i = 0; i < m->cfg.levels; i++)
        for (int j = 0; m->up[i].cross && j < m->up[i].count; j++)
            fn(arg, &m->up[i].attn[j]);
}

typedef struct text_job {
    vbg_ctx *c;
    const float *state;
    int texts;
    const int *pick;
    vbg_tensor *x;
    vbg_unet_text *t;
    size_t bytes; /* placed so far */
} text_job;

static size_t place(text_job *j, int width)
{
    size_t at = j->bytes;

    j->bytes += vbg_round_up((size_t)j->t->n * (size_t)j->t->tokens * (size_t)width *
                                     vbg_dtype_size(j->t->dtype) +
                                 64,
                             64);
    return at;
}

static void place_text(void *arg, const vbg_transformer *t)
{
    text_job *j = arg;

    if (j->t->k) {
        j->t->k[t->index] = place(j, t->cross.k.oc);
        j->t->v[t->index] = place(j, t->cross.v.oc);
    } else {
        place(j, t->cross.k.oc);
        place(j, t->cross.v.oc);
    }
}

/* One projection of all prompts, dealt out to the images of the batch. */
static void project_text(text_job *j, const vbg_weight *w, size_t at)
{
    vbg_ctx *c = j->c;
    const vbg_unet_text *t = j->t;
    size_t bytes = (size_t)t->tokens * (size_t)w->oc * vbg_dtype_size(t->dtype);

    vbg_scope_open(c);
    vbg_tensor *y = vbg_linear(c, j->x, w);
    for (int i = 0; !vbg_planning(c) && i < t->n; i++)
        memcpy(t->data + at + (size_t)i * bytes,
               (char *)y->data + (size_t)j->pick[i] * bytes, bytes);
    vbg_scope_close(c, NULL);
}

static void project_both(void *arg, const vbg_transformer *t)
{
    text_job *j = arg;

    project_text(j, &t->cross.k, j->t->k[t->index]);
    project_text(j, &t->cross.v, j->t->v[t->index]);
}

typedef struct text_run {
    text_job j;
    const vbg_unet *m;
} text_run;

static vbg_status run_text(vbg_ctx *c, void *arg, vbg_err *err)
{
    text_run *r = arg;
    text_job *j = &r->j;

    (void)err;
    j->c = c;
    vbg_tensor *x =
        vbg_wrap(c, j->state, VBG_F32, j->texts, 1, j->t->tokens, r->m->cfg.context);
    j->x = vbg_cast(c, x, vbg_ctx_act(c));
    each_transformer(r->m, project_both, j);
    return VBG_OK;
}

vbg_status vbg_unet_text_new(vbg_unet_text **out, vbg_ctx *c, const vbg_unet *m,
                             const float *state, int texts, int tokens, const int *pick,
                             int n, vbg_err *err)
{
    vbg_status st = VBG_ENOMEM;
    vbg_unet_text *t = calloc(1, sizeof *t);
    text_run r = { .m = m, .j = { .state = state, .texts = texts, .pick = pick } };

    for (int i = 0; state && i < n; i++)
        VBG_CHECK(pick[i] >= 0 && pick[i] < texts, "prompt %d of %d", pick[i], texts);
    if (t) {
        *t = (vbg_unet_text){ .n = n, .tokens = tokens, .dtype = vbg_ctx_act(c) };
        t->k = calloc((size_t)m->transformers, sizeof *t->k);
        t->v = calloc((size_t)m->transformers, sizeof *t->v);
        r.j.t = t;
        if (t->k && t->v) {
            each_transformer(m, place_text, &r.j);
            t->data = vbg_alloc(state ? r.j.bytes : 64);
        }
    }
    if (t && t->data)
        st = state ? vbg_run(c, run_text, &r, err) : VBG_OK;
    else
        vbg_fail(err, st, "not enough memory for the prompts' keys and values");
    if (st == VBG_OK) {
        *out = t;
        t = NULL;
    }
    vbg_unet_text_free(t);
    return st;
}

size_t vbg_unet_text_bytes(const vbg_unet *m, int tokens, int n, vbg_dtype dtype)
{
    vbg_unet_text t = { .n = n, .tokens = tokens, .dtype = dtype };
    text_job j = { .t = &t };

    each_transformer(m, place_text, &j);
    return j.bytes;
}

void vbg_unet_text_free(vbg_unet_text *t)
{
    if (!t)
        return;
    vbg_free_mem(t->data);
    free(t->k);
    free(t->v);
    free(t);
}

/* ---- cost ---- */

static double conv_macs(const vbg_weight *w)
{
    return w->data ? (double)w->oc * w->c * w->kh * w->kw : 0;
}

static double resnet_macs(const vbg_resnet *r)
{
    return conv_macs(&r->conv1) + conv_macs(&r->conv2) + conv_macs(&r->skip);
}

/* Per pixel of a map of `pixels`. */
static double transformer_macs(const vbg_transformer *t, double pixels, int tokens)
{
    double c = t->proj_in.oc;

    return c * c * (2 + 4 + 2 + 12) + 2 * c * (pixels + tokens);
}

static double block_macs(const vbg_unet_block *b, double pixels, int tokens)
{
    double sum = 0;

    for (int j = 0; j < b->count; j++) {
        sum += resnet_macs(&b->resnet[j]);
        if (b->cross)
            sum += transformer_macs(&b->attn[j], pixels, tokens);
    }
    return sum * pixels;
}

double vbg_unet_macs(const vbg_unet *m, int h, int w, int tokens)
{
    double pixels = (double)h * w, sum = conv_macs(&m->conv_in) + conv_macs(&m->conv_out);
    const int last = m->cfg.levels - 1;

    sum *= pixels;
    for (int i = 0; i <= last; i++) {
        double here = pixels / pow(4, i);
        sum += block_macs(&m->down[i], here, tokens) +
               block_macs(&m->up[last - i], here, tokens);
        sum += conv_macs(&m->down[i].conv) * here / 4 +
               conv_macs(&m->up[last - i].conv) * here * 4;
        if (i == last)
            sum += here * (resnet_macs(&m->mid[0]) + resnet_macs(&m->mid[1]) +
                           transformer_macs(&m->mid_attn, here, tokens));
    }
    return sum;
}
