/* Oracles of the segmentation networks in their projects' own layouts: BiSeNet,
 * DeepLabV3, LR-ASPP. */
#include "models/bisenet.h"
#include "models/deeplab.h"
#include "tests/golden/golden.h"

#include <stdio.h>
#include <string.h>

/* One network behind one signature. */
typedef struct net {
    vbg_bisenet bsn;
    vbg_bisenet1 cc1;
    vbg_bisenet2 cc2;
    vbg_deeplab deeplab;
    vbg_lraspp lraspp;
    vbg_tensor *(*forward)(vbg_ctx *c, const struct net *m, const vbg_tensor *x,
                           const vbg_probe *probe);
} net;

typedef struct seg_run {
    golden *g;
    const net *m;
    const float *x; /* NHWC */
    int h, w;
    float *y; /* logits NHWC */
    int oh, ow, classes;
} seg_run;

/* Classes that an oracle keeps: the numbers behind the name, "out.logits_0_15". */
static void report_classes(golden *g, const char *name, const float *v, int h, int w,
                           int c)
{
    size_t hw = (size_t)h * (size_t)w, used = 0;
    float *kept = golden_alloc(g, hw * (size_t)c * sizeof *kept);
    const char *p = strchr(name, '_');

    while (p) {
        int k = -1;
        if (sscanf(p + 1, "%d", &k) != 1 || k < 0 || k >= c || used >= hw * (size_t)c) {
            golden_fail(g, "%s: class of %d", name, c);
            return;
        }
        for (size_t i = 0; i < hw; i++)
            kept[used++] = v[i * (size_t)c + (size_t)k];
        p = strchr(p + 1, '_');
    }
    golden_out_f32(g, name, kept, used);
}

/* Stored tensors that begin with prefix and whose rest is empty or begins with '_'. */
static void report_stored(golden *g, const char *prefix, const float *v, int h, int w,
                          int c)
{
    const vbg_safetensors *f = golden_data(g);
    size_t n = strlen(prefix);

    for (size_t i = 0; i < vbg_st_count(f); i++) {
        const char *name = vbg_st_at(f, i)->name;
        if (strncmp(name, prefix, n) != 0)
            continue;
        if (name[n] == '_')
            report_classes(g, name, v, h, w, c);
        else if (!name[n])
            golden_out_nhwc(g, name, v, 1, h, w, c, 1);
    }
}

static void see(void *arg, const char *name, const vbg_tensor *t)
{
    golden *g = arg;
    char full[64];

    if (strncmp(name, "aux", 3) == 0) {
        snprintf(full, sizeof full, "out.%s", name);
        report_stored(g, full, t->data, t->h, t->w, t->c);
        return;
    }
    const json_t *all = json_object_get(golden_json(g), "activations");
    const json_t *act = json_object_get(all, name);
    if (!act)
        return;
    snprintf(full, sizeof full, "act.%s", name);
    int step = (int)json_integer_value(json_object_get(act, "channel_step"));
    golden_out_nhwc(g, full, t->data, t->n, t->h, t->w, t->c, step);
}

static vbg_status job(vbg_ctx *c, void *arg, vbg_err *err)
{
    seg_run *r = arg;
    const vbg_probe probe = { .see = see, .arg = r->g };

    (void)err;
    const vbg_tensor *x = vbg_wrap(c, r->x, VBG_F32, 1, r->h, r->w, 3);
    const vbg_tensor *y = r->m->forward(c, r->m, x, &probe);
    if (vbg_planning(c)) {
        r->oh = y->h;
        r->ow = y->w;
        r->classes = y->c;
        r->y = golden_alloc(r->g, vbg_rows(y) * (size_t)y->c * sizeof *r->y);
    }
    vbg_copy_out(c, r->y, VBG_F32, y);
    return VBG_OK;
}

/* First largest class of every pixel; for one class sigmoid > 0.5, that is logit > 0. */
static void report_decision(seg_run *r)
{
    size_t hw = (size_t)r->oh * (size_t)r->ow, n = (size_t)r->classes;
    uint8_t *best = golden_alloc(r->g, hw);

    for (size_t i = 0; i < hw; i++) {
        const float *v = r->y + i * n;
        if (n == 1) {
            best[i] = v[0] > 0;
            continue;
        }
        for (size_t k = 1; k < n; k++)
            if (v[k] > v[best[i]])
                best[i] = (uint8_t)k;
    }
    golden_out_u8(r->g, n == 1 ? "out.mask" : "out.argmax", best, hw);
}

/* The network's input, NHWC: stored, or (the committed subset leaves it out) made from
 * the picture, (v/255 - mean)/std. */
static const float *network_input(golden *g, int *h, int *w)
{
    static const float mean[3] = { 0.485f, 0.456f, 0.406f };
    static const float deviation[3] = { 0.229f, 0.224f, 0.225f };
    const vbg_st_tensor *in = vbg_st_find(golden_data(g), "in.x");
    const vbg_st_tensor *rgb = in ? NULL : golden_in(g, "in.rgb");

    if (!in && !rgb)
        return NULL;
    *h = (int)(in ? in->dim[2] : rgb->dim[0]);
    *w = (int)(in ? in->dim[3] : rgb->dim[1]);
    if (in)
        return golden_in_nhwc(g, "in.x");
    float *x = golden_in_f32(g, "in.rgb");
    for (size_t i = 0; i < rgb->count; i++)
        x[i] = (x[i] / 255.0f - mean[i % 3]) / deviation[i % 3];
    return x;
}

static void run(golden *g, net *m)
{
    vbg_err err = { 0 };
    seg_run r = { .g = g, .m = m };

    r.x = network_input(g, &r.h, &r.w);
    if (!r.x)
        return;
    if (vbg_run(golden_ctx(g), job, &r, &err) != VBG_OK) {
        golden_fail(g, "%s", err.text);
        return;
    }
    report_stored(g, "out.logits", r.y, r.oh, r.ow, r.classes);
    report_decision(&r);
}

/* Binds by bind, which gets the net, and runs. */
typedef vbg_status bind_fn(net *m, vbg_pool_mem *pool, const vbg_weights *w,
                           vbg_err *err);

static void bind_and_run(golden *g, bind_fn *bind)
{
    net *m = golden_alloc(g, sizeof *m);
    vbg_weights *w = golden_weights(g, "segmenter", NULL, NULL);
    vbg_pool_mem *pool = vbg_pool_new();
    vbg_err err = { 0 };

    memset(m, 0, sizeof *m);
    if (w && pool) {
        if (bind(m, pool, w, &err) == VBG_OK)
            run(g, m);
        else
            golden_fail(g, "%s", err.text);
    }
    vbg_pool_free(pool);
    vbg_weights_close(w);
}

static vbg_tensor *forward_bsn(vbg_ctx *c, const net *m, const vbg_tensor *x,
                               const vbg_probe *p)
{
    return vbg_bisenet_forward(c, &m->bsn, x, p);
}

static vbg_status bind_bsn(net *m, vbg_pool_mem *pool, const vbg_weights *w, vbg_err *err)
{
    m->forward = forward_bsn;
    return vbg_bisenet_bind(&m->bsn, pool, w, "segmenter", err);
}

static vbg_tensor *forward_cc1(vbg_ctx *c, const net *m, const vbg_tensor *x,
                               const vbg_probe *p)
{
    return vbg_bisenet1_forward(c, &m->cc1, x, p);
}

static vbg_status bind_cc1(net *m, vbg_pool_mem *pool, const vbg_weights *w, vbg_err *err)
{
    m->forward = forward_cc1;
    return vbg_bisenet1_bind(&m->cc1, pool, w, "segmenter", err);
}

static vbg_tensor *forward_cc2(vbg_ctx *c, const net *m, const vbg_tensor *x,
                               const vbg_probe *p)
{
    return vbg_bisenet2_forward(c, &m->cc2, x, p);
}

static vbg_status bind_cc2(net *m, vbg_pool_mem *pool, const vbg_weights *w, vbg_err *err)
{
    m->forward = forward_cc2;
    return vbg_bisenet2_bind(&m->cc2, pool, w, "segmenter", err);
}

static vbg_tensor *forward_deeplab(vbg_ctx *c, const net *m, const vbg_tensor *x,
                                   const vbg_probe *p)
{
    return vbg_deeplab_forward(c, &m->deeplab, x, p);
}

static vbg_status bind_deeplab(net *m, vbg_pool_mem *pool, const vbg_weights *w,
                               vbg_err *err)
{
    m->forward = forward_deeplab;
    return vbg_deeplab_bind(&m->deeplab, pool, w, "segmenter", err);
}

static vbg_tensor *forward_lraspp(vbg_ctx *c, const net *m, const vbg_tensor *x,
                                  const vbg_probe *p)
{
    return vbg_lraspp_forward(c, &m->lraspp, x, p);
}

static vbg_status bind_lraspp(net *m, vbg_pool_mem *pool, const vbg_weights *w,
                              vbg_err *err)
{
    m->forward = forward_lraspp;
    return vbg_lraspp_bind(&m->lraspp, pool, w, "segmenter", err);
}

static void run_bsn(golden *g)
{
    bind_and_run(g, bind_bsn);
}

static void run_cc1(golden *g)
{
    bind_and_run(g, bind_cc1);
}

static void run_cc2(golden *g)
{
    bind_and_run(g, bind_cc2);
}

static void run_deeplab(golden *g)
{
    bind_and_run(g, bind_deeplab);
}

static void run_lraspp(golden *g)
{
    bind_and_run(g, bind_lraspp);
}

const golden_family golden_families_seg[] = {
    { "seg/bisenet_bsn", run_bsn },       { "seg/bisenet_bsn2", run_bsn },
    { "seg/bisenet_cc1", run_cc1 },       { "seg/bisenet_cc2", run_cc2 },
    { "seg/deeplab_small", run_deeplab }, { "seg/deeplab_r50", run_deeplab },
    { "seg/deeplab_r101", run_deeplab },  { "seg/deeplab_mnv3", run_deeplab },
    { "seg/lraspp_mnv3", run_lraspp },    { NULL, NULL },
};
