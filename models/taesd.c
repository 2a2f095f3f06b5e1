/* TAESD; see models/taesd.h.  The plans are the module lists of the original. */
#include "models/taesd.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 64, LATENT = 4 };

typedef enum kind { CONV, HALVE, UP, BLOCK, CLAMP, RELU } kind;

static const kind encoder_plan[VBG_TAESD_ENCODER] = { CONV,  BLOCK, HALVE, BLOCK, BLOCK,
                                                      BLOCK, HALVE, BLOCK, BLOCK, BLOCK,
                                                      HALVE, BLOCK, BLOCK, BLOCK, CONV };

/* UP is module N (no weights) together with the convolution N + 1. */
static const kind decoder_plan[VBG_TAESD_DECODER] = { CLAMP, CONV, RELU, BLOCK, BLOCK,
                                                      BLOCK, UP,   CONV, BLOCK, BLOCK,
                                                      BLOCK, UP,   CONV, BLOCK, BLOCK,
                                                      BLOCK, UP,   CONV, BLOCK, CONV };

static void bind_half(vbg_bind *b, vbg_taesd_module *m, const kind *plan, int count,
                      const char *half, int in, int out)
{
    for (int i = 0; i < count; i++) {
        bool up = i > 0 && plan[i - 1] == UP;
        int flags = plan[i] == HALVE || up ? 0 : VBG_BIND_BIAS;
        bool first = strcmp(half, "encoder") == 0 ? i == 0 : i == 1;
        if (plan[i] == BLOCK)
            for (int j = 0; j < 3; j++)
                vbg_bind_layer(b, &m[i].layer[j], WIDTH, WIDTH, 3, 3, VBG_BIND_BIAS,
                               "%s.%d.conv.%d", half, i, 2 * j);
        else if (plan[i] == CONV || plan[i] == HALVE)
            vbg_bind_layer(b, &m[i].layer[0], i == count - 1 ? out : WIDTH,
                           first ? in : WIDTH, 3, 3, flags, "%s.%d", half, i);
    }
}

vbg_status vbg_taesd_bind(vbg_taesd *m, const vbg_weights *w, const char *component,
                          vbg_err *err)
{
    vbg_bind b;

    memset(m, 0, sizeof *m);
    m->has_encoder = vbg_weights_find(w, component, "encoder.0.weight") != NULL;
    m->has_decoder = vbg_weights_find(w, component, "decoder.1.weight") != NULL;
    vbg_bind_start(&b, w, component);
    if (m->has_encoder)
        bind_half(&b, m->encoder, encoder_plan, VBG_TAESD_ENCODER, "encoder", 3, LATENT);
    if (m->has_decoder)
        bind_half(&b, m->decoder, decoder_plan, VBG_TAESD_DECODER, "decoder", LATENT, 3);
    if (!m->has_encoder && !m->has_decoder)
        vbg_bind_problem(&b, "neither encoder nor decoder");
    return vbg_bind_finish(&b, err);
}

/* ---- forward ---- */

static vbg_tensor *conv(vbg_ctx *c, const vbg_tensor *x, const vbg_weight *w,
                        vbg_conv_opt o)
{
    o.pad = 1;
    return vbg_conv2d(c, x, w, o);
}

static vbg_tensor *block(vbg_ctx *c, const vbg_tensor *x, const vbg_taesd_module *m)
{
    const vbg_conv_opt relu = { .act = VBG_ACT_RELU };
    const vbg_conv_opt last = { .act = VBG_ACT_RELU, .residual = x };

    vbg_scope_open(c);
    vbg_tensor *h = conv(c, x, &m->layer[0], relu);
    h = conv(c, h, &m->layer[1], relu);
    return vbg_scope_close(c, conv(c, h, &m->layer[2], last));
}

/* 3 tanh(x/3): values beyond 3 are pulled in softly. */
static vbg_tensor *clamp(vbg_ctx *c, const vbg_tensor *x)
{
    vbg_tensor *t = vbg_activate(c, vbg_affine(c, x, 1 / 3.0f, 0), VBG_ACT_TANH);

    return vbg_affine(c, t, 3, 0);
}

static vbg_tensor *module(vbg_ctx *c, const vbg_tensor *x, const vbg_taesd_module *m,
                          kind k, bool up, bool last)
{
    vbg_conv_opt o = { .upsample2 = up, .f32_out = last };

    switch (k) {
    case CLAMP:
        return clamp(c, x);
    case BLOCK:
        return block(c, x, m);
    case RELU:
        return vbg_activate(c, x, VBG_ACT_RELU);
    case HALVE:
        o.stride = 2;
        break;
    case UP:
    case CONV:
        break;
    }
    return conv(c, x, &m->layer[0], o);
}

static vbg_tensor *run(vbg_ctx *c, const vbg_tensor *x, const vbg_taesd_module *m,
                       const kind *plan, int count, vbg_taesd_trace *fn, void *arg)
{
    const char *half = plan == encoder_plan ? "encoder" : "decoder";
    vbg_tensor *h = NULL;
    char name[32];

    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s.%d", half, i);
        if (plan[i] == UP) { /* fused into the next module, made only to be shown */
            vbg_scope_open(c);
            if (fn)
                fn(arg, c, name,
                   vbg_resize(c, h, 2 * h->h, 2 * h->w, VBG_RESIZE_NEAREST));
            vbg_scope_close(c, NULL);
            continue;
        }
        vbg_scope_open(c);
        bool up = i > 0 && plan[i - 1] == UP;
        vbg_tensor *y = module(c, h ? h : x, &m[i], plan[i], up, i == count - 1);
        vbg_scope_close(c, y);
        if (h)
            vbg_drop(c, h);
        h = y;
        if (fn)
            fn(arg, c, name, h);
    }
    return h;
}

vbg_tensor *vbg_taesd_encode(vbg_ctx *c, const vbg_taesd *m, const vbg_tensor *x,
                             vbg_taesd_trace *fn, void *arg)
{
    VBG_CHECK(m->has_encoder && x->c == 3, "taesd encode of %d channels", x->c);
    return run(c, x, m->encoder, encoder_plan, VBG_TAESD_ENCODER, fn, arg);
}

vbg_tensor *vbg_taesd_decode(vbg_ctx *c, const vbg_taesd *m, const vbg_tensor *z,
                             vbg_taesd_trace *fn, void *arg)
{
    VBG_CHECK(m->has_decoder && z->c == LATENT, "taesd decode of %d channels", z->c);
    return run(c, z, m->decoder, decoder_plan, VBG_TAESD_DECODER, fn, arg);
}
