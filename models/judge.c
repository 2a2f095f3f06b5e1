/* The judge's network; see models/judge.h. */
#include "models/judge.h"

#include <stdio.h>

#include "engine/bind.h"
#include "engine/picture_resize.h"
#include "models/convnet.h"

enum {
    STEM = 32,
    LAST = 160,
    JOINED = VBG_JUDGE_FEATURES - LAST,
    FIRST_JOINED = 1,
    GROUP = 8 /* channels of a group */
};

static const int width[VBG_JUDGE_STAGES] = { 48, 96, 128, LAST };
static const int blocks[VBG_JUDGE_STAGES] = { 1, 1, 2, 1 };

/* ---- binding ---- */

static void bind_conv(vbg_bind *b, vbg_judge_conv *m, int oc, int c, const char *name)
{
    vbg_bind_layer(b, &m->conv, oc, c, 3, 3, 0, "%s.conv", name);
    vbg_bind_norm(b, &m->norm, oc, "%s.norm", name);
}

static void bind_stage(vbg_bind *b, vbg_judge_net *m, int s)
{
    char name[64];

    snprintf(name, sizeof name, "stage.%d.down", s);
    bind_conv(b, &m->down[s], width[s], s ? width[s - 1] : STEM, name);
    for (int i = 0; i < blocks[s]; i++)
        for (int k = 0; k < 2; k++) {
            snprintf(name, sizeof name, "stage.%d.block.%d.%d", s, i, k);
            bind_conv(b, &m->block[s][i][k], width[s], width[s], name);
        }
    if (s >= FIRST_JOINED)
        vbg_bind_layer(b, &m->side[s], JOINED, width[s], 1, 1, VBG_BIND_BIAS, "side.%d",
                       s);
}

vbg_status vbg_judge_bind(vbg_judge_net *m, const vbg_weights *w, int labels, int kinds,
                          vbg_err *err)
{
    vbg_bind b;

    *m = (vbg_judge_net){ .labels = labels, .kinds = kinds };
    vbg_bind_start(&b, w, "judge");
    bind_conv(&b, &m->stem, STEM, 3, "stem");
    for (int s = 0; s < VBG_JUDGE_STAGES; s++)
        bind_stage(&b, m, s);
    bind_conv(&b, &m->join, JOINED, JOINED, "join");
    vbg_bind_layer(&b, &m->label_head, labels, JOINED, 1, 1, VBG_BIND_BIAS, "labels");
    vbg_bind_layer(&b, &m->kind_head, kinds, VBG_JUDGE_FEATURES, 1, 1, VBG_BIND_BIAS,
                   "kinds");
    return vbg_bind_finish(&b, err);
}

/* ---- forward ---- */

static vbg_tensor *conv(vbg_ctx *c, const vbg_judge_conv *m, const vbg_tensor *x,
                        int stride, vbg_act act)
{
    vbg_scope_open(c);
    vbg_tensor *y =
        vbg_conv2d(c, x, &m->conv, (vbg_conv_opt){ .stride = stride, .pad = 1 });
    return vbg_scope_close(c,
                           vbg_group_norm(c, y, &m->norm, m->norm.c / GROUP, 1e-5f, act));
}

static vbg_tensor *stage(vbg_ctx *c, const vbg_judge_net *m, const vbg_tensor *x, int s)
{
    vbg_scope_open(c);
    vbg_tensor *y = conv(c, &m->down[s], x, 2, VBG_ACT_RELU);
    for (int i = 0; i < blocks[s]; i++) {
        vbg_tensor *r = conv(c, &m->block[s][i][0], y, 1, VBG_ACT_RELU);
        r = conv(c, &m->block[s][i][1], r, 1, VBG_ACT_NONE);
        y = vbg_add(c, y, r, VBG_ACT_RELU);
    }
    return vbg_scope_close(c, y);
}

vbg_judge_out vbg_judge_forward(vbg_ctx *c, const vbg_judge_net *m, const vbg_tensor *x)
{
    const vbg_linear_opt plain = { .f32_out = true };
    const vbg_tensor *map[VBG_JUDGE_STAGES];
    vbg_judge_out out;
    vbg_tensor *y = NULL;

    VBG_CHECK(x->h % VBG_JUDGE_STEP == 0 && x->w % VBG_JUDGE_STEP == 0,
              "views of %dx%d, not of multiples of %d", x->w, x->h, VBG_JUDGE_STEP);
    x = conv(c, &m->stem, x, 2, VBG_ACT_RELU);
    for (int s = 0; s < VBG_JUDGE_STAGES; s++)
        x = map[s] = stage(c, m, x, s);
    for (int s = VBG_JUDGE_STAGES - 1; s >= FIRST_JOINED; s--) {
        if (y)
            y = vbg_resize(c, y, map[s]->h, map[s]->w, VBG_RESIZE_BILINEAR);
        y = vbg_linear_ex(c, map[s], &m->side[s], (vbg_linear_opt){ .residual = y });
    }
    y = conv(c, &m->join, y, 1, VBG_ACT_RELU);
    out.labels = vbg_linear_ex(c, y, &m->label_head, plain);
    out.features = vbg_concat(c, vbg_global_mean(c, x), vbg_global_mean(c, y));
    out.kinds = vbg_linear_ex(c, out.features, &m->kind_head, plain);
    return out;
}

/* ---- a view ---- */

void vbg_judge_view_free(vbg_judge_view *v)
{
    if (!v)
        return;
    vbg_picture_free(&v->rgb);
    vbg_free_mem(v->label);
    vbg_free_mem(v->kind);
    vbg_free_mem(v->feature);
    *v = (vbg_judge_view){ 0 };
}

typedef struct look_job {
    const vbg_judge_net *m;
    vbg_judge_view *v;
} look_job;

static vbg_status look(vbg_ctx *c, void *arg, vbg_err *err)
{
    const look_job *j = arg;
    vbg_tensor *x = vbg_picture_input(c, &j->v->rgb, vbg_norm_signed());
    vbg_judge_out y = vbg_judge_forward(c, j->m, x);

    (void)err;
    vbg_copy_out(c, j->v->label, VBG_F32, vbg_softmax(c, y.labels));
    vbg_copy_out(c, j->v->kind, VBG_F32, vbg_log_softmax(c, y.kinds));
    vbg_copy_out(c, j->v->feature, VBG_F32, y.features);
    return VBG_OK;
}

vbg_status vbg_judge_look(vbg_ctx *c, const vbg_judge_net *m, const vbg_picture *p,
                          int side, vbg_judge_view *out, vbg_err *err)
{
    const int cells = side / VBG_JUDGE_CELL;
    vbg_judge_view v = { .side = side, .cells = cells };
    look_job j = { m, &v };

    *out = (vbg_judge_view){ 0 };
    if (p->w != p->h || p->channels != 3)
        return vbg_fail(err, VBG_EUSAGE, "a view of %dx%d is not square", p->w, p->h);
    vbg_status st = vbg_picture_new(&v.rgb, side, side, 3, err);
    if (st == VBG_OK)
        st = vbg_picture_resample(&v.rgb, p, VBG_FILTER_BILINEAR, err);
    v.label =
        vbg_alloc((size_t)cells * (size_t)cells * (size_t)m->labels * sizeof(float));
    v.kind = vbg_alloc((size_t)m->kinds * sizeof(float));
    v.feature = vbg_alloc(VBG_JUDGE_FEATURES * sizeof(float));
    if (st == VBG_OK && (!v.label || !v.kind || !v.feature))
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory for a view");
    if (st == VBG_OK)
        st = vbg_run(c, look, &j, err);
    if (st == VBG_OK)
        *out = v;
    else
        vbg_judge_view_free(&v);
    return st;
}
