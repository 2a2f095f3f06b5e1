/* New segmentation networks; see tools/train/segment_new.h.
 * Sources of the widths: the published networks (spec of each project: Yu et al. 2018 and
 * 2020 as CoinCheung and noisrucer wrote them down, Selfie's file). */
#include "tools/train/segment_new.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/tflite_plans.h"
#include "models/rng.h"

static const char COMPONENT[] = "segmenter";

/* A file being announced; the first problem stays in st. */
typedef struct maker {
    vbg_writer *w;
    double width;
    vbg_err *err;
    vbg_status st;
} maker;

/* Channels of a layer that has n in the published network. */
static int scaled(const maker *m, int n)
{
    return vbg_max_int((int)lrint(n * m->width / 8) * 8, 8);
}

static void tensor(maker *m, const char *name, vbg_layout layout, int rank,
                   const int64_t *dim)
{
    if (m->st == VBG_OK)
        m->st =
            vbg_writer_declare(m->w, COMPONENT, name, VBG_F32, layout, rank, dim, m->err);
}

static void vector(maker *m, const char *prefix, const char *suffix, int n)
{
    char name[160];

    snprintf(name, sizeof name, "%.120s%s", prefix, suffix);
    tensor(m, name, VBG_LAYOUT_PLAIN, 1, (int64_t[]){ n });
}

static void norm(maker *m, const char *prefix, int n)
{
    vector(m, prefix, ".weight", n);
    vector(m, prefix, ".bias", n);
    vector(m, prefix, ".running_mean", n);
    vector(m, prefix, ".running_var", n);
}

/* PREFIX.weight, oc x c x k x k. */
static void conv(maker *m, const char *prefix, int oc, int c, int k)
{
    char name[160];

    snprintf(name, sizeof name, "%.120s.weight", prefix);
    tensor(m, name, VBG_LAYOUT_PACK16, 4, (int64_t[]){ oc, c, k, k });
}

static void conv_bias(maker *m, const char *prefix, int oc, int c, int k)
{
    conv(m, prefix, oc, c, k);
    vector(m, prefix, ".bias", oc);
}

static void depthwise(maker *m, const char *prefix, int c, int k)
{
    char name[160];

    snprintf(name, sizeof name, "%.120s.weight", prefix);
    tensor(m, name, VBG_LAYOUT_DEPTHWISE, 4, (int64_t[]){ c, 1, k, k });
}

/* PREFIX + conv and PREFIX + bn. */
static void conv_norm(maker *m, const char *prefix, const char *layer, const char *bn,
                      int oc, int c, int k)
{
    char name[160];

    snprintf(name, sizeof name, "%.120s%s", prefix, layer);
    conv(m, name, oc, c, k);
    snprintf(name, sizeof name, "%.120s%s", prefix, bn);
    norm(m, name, oc);
}

/* "ConvBNReLU" of CoinCheung. */
static void cbr(maker *m, const char *prefix, int oc, int c, int k)
{
    conv_norm(m, prefix, ".conv", ".bn", oc, c, k);
}

/* ---- Selfie ---- */

static void selfie_layer(maker *m, const char *name, int oc, int c, int k)
{
    conv_norm(m, name, "", ".bn", oc, c, k);
}

static void selfie_depthwise(maker *m, const char *name, int c, int k)
{
    char bn[160];

    depthwise(m, name, c, k);
    snprintf(bn, sizeof bn, "%s.bn", name);
    norm(m, bn, c);
}

static int selfie_block(maker *m, int i, int c)
{
    static const int mid[VBG_SELFIE_BLOCKS] = { 16, 72, 88, 96, 128, 128, 96, 96 };
    static const int out[VBG_SELFIE_BLOCKS] = { 16, 24, 24, 32, 32, 32, 32, 32 };
    static const int squeeze[VBG_SELFIE_BLOCKS] = { 8, 0, 0, 24, 32, 32, 24, 24 };
    const vbg_selfie_plan p = vbg_selfie_block_plan(i);
    const int wide = scaled(m, mid[i]), oc = scaled(m, out[i]);
    char name[64];

    snprintf(name, sizeof name, "block%d.expand", i + 1);
    selfie_layer(m, name, wide, c, 1);
    snprintf(name, sizeof name, "block%d.depthwise", i + 1);
    selfie_depthwise(m, name, wide, p.k);
    if (p.se) {
        snprintf(name, sizeof name, "block%d.se1", i + 1);
        conv_bias(m, name, scaled(m, squeeze[i]), wide, 1);
        snprintf(name, sizeof name, "block%d.se2", i + 1);
        conv_bias(m, name, wide, scaled(m, squeeze[i]), 1);
    }
    snprintf(name, sizeof name, "block%d.project", i + 1);
    selfie_layer(m, name, oc, wide, 1);
    return oc;
}

static void selfie_up(maker *m, int i, int c, int below)
{
    char name[64];

    snprintf(name, sizeof name, "up%d.gate1", i);
    conv_bias(m, name, c, c, 1);
    snprintf(name, sizeof name, "up%d.gate2", i);
    conv_bias(m, name, c, c, 1);
    snprintf(name, sizeof name, "up%d.conv", i);
    selfie_layer(m, name, c, c, 1);
    snprintf(name, sizeof name, "up%d.depthwise", i);
    selfie_depthwise(m, name, c, 3);
    snprintf(name, sizeof name, "up%d.project", i);
    if (below)
        selfie_layer(m, name, below, c, 1);
}

static void new_selfie(maker *m, const vbg_segment_shape *s)
{
    const int a = scaled(m, 16), head = scaled(m, 128);
    int c = a, at_b = 0, at_c = 0;

    (void)s;
    selfie_layer(m, "stem", a, 3, 3);
    for (int i = 0; i < VBG_SELFIE_BLOCKS; i++) {
        c = selfie_block(m, i, c);
        at_b = i == VBG_SELFIE_BLOCK_B ? c : at_b;
        at_c = i == VBG_SELFIE_BLOCK_C ? c : at_c;
    }
    selfie_layer(m, "head", head, c, 1);
    conv_bias(m, "head_gate", head, c, 1);
    selfie_layer(m, "head_project", at_c, head, 1);
    selfie_up(m, 0, at_c, at_b);
    selfie_up(m, 1, at_b, a);
    selfie_up(m, 2, a, 0);
    tensor(m, "out.weight", VBG_LAYOUT_TRANSPOSED, 4, (int64_t[]){ a, 1, 2, 2 });
    vector(m, "out", ".bias", 1);
}

/* ---- BiSeNet ---- */

/* ResNet-18 behind its stem; widths of its last two maps in out. */
static void new_resnet(maker *m, const char *prefix, const char *stem, const char *bn,
                       int out[2])
{
    static const int width[4] = { 64, 128, 256, 512 };
    int c = scaled(m, 64);
    char p[96];

    conv_norm(m, prefix, stem, bn, c, 3, 7);
    for (int l = 0; l < 4; l++)
        for (int i = 0; i < 2; i++) {
            const int oc = scaled(m, width[l]);
            snprintf(p, sizeof p, "%s.layer%d.%d", prefix, l + 1, i);
            conv_norm(m, p, ".conv1", ".bn1", oc, c, 3);
            conv_norm(m, p, ".conv2", ".bn2", oc, oc, 3);
            if (l > 0 && i == 0)
                conv_norm(m, p, ".downsample.0", ".downsample.1", oc, c, 1);
            c = oc;
            if (l >= 2)
                out[l - 2] = oc;
        }
}

static void new_noisrucer(maker *m, const vbg_segment_shape *s)
{
    static const char *const arm[2] = { "attention_refinement_module_16x",
                                        "attention_refinement_module_32x" };
    static const char *const aux[2] = { "aux_conv_16x", "aux_conv_32x" };
    static const int spatial[3] = { 64, 128, 256 };
    int c = 3, deep[2] = { 0 };
    char p[96];

    for (int i = 0; i < 3; i++) {
        const int oc = scaled(m, spatial[i]);
        snprintf(p, sizeof p, "spatial_path.%d", i);
        conv_norm(m, p, ".0", ".1", oc, c, 3);
        vector(m, p, ".0.bias", oc);
        c = oc;
    }
    new_resnet(m, "context_path", ".conv_block.0", ".conv_block.1", deep);
    for (int i = 0; i < 2; i++) {
        conv_norm(m, arm[i], ".conv_1x1", ".batch_norm", deep[i], deep[i], 1);
        vector(m, arm[i], ".conv_1x1.bias", deep[i]);
        conv_bias(m, aux[i], s->classes, deep[i], 1); /* never trained, as there */
    }
    snprintf(p, sizeof p, "feature_fusion_module");
    conv_norm(m, p, ".conv_block.0", ".conv_block.1", s->classes, c + deep[0] + deep[1],
              3);
    vector(m, p, ".conv_block.0.bias", s->classes);
    conv_bias(m, "feature_fusion_module.conv_1x1", s->classes, s->classes, 1);
    conv_bias(m, "final_conv", s->classes, s->classes, 1);
}

static void new_bisenet1(maker *m, const vbg_segment_shape *s)
{
    const int c64 = scaled(m, 64), c128 = scaled(m, 128), c256 = scaled(m, 256);
    const int head = s->head ? s->head : c256;
    int deep[2] = { 0 };

    cbr(m, "sp.conv1", c64, 3, 7);
    cbr(m, "sp.conv2", c64, c64, 3);
    cbr(m, "sp.conv3", c64, c64, 3);
    cbr(m, "sp.conv_out", c128, c64, 1);
    new_resnet(m, "cp.resnet", ".conv1", ".bn1", deep);
    cbr(m, "cp.arm16.conv", c128, deep[0], 3);
    conv_norm(m, "cp.arm16", ".conv_atten", ".bn_atten", c128, c128, 1);
    cbr(m, "cp.arm32.conv", c128, deep[1], 3);
    conv_norm(m, "cp.arm32", ".conv_atten", ".bn_atten", c128, c128, 1);
    cbr(m, "cp.conv_head32", c128, c128, 3);
    cbr(m, "cp.conv_head16", c128, c128, 3);
    cbr(m, "cp.conv_avg", c128, deep[1], 1);
    cbr(m, "ffm.convblk", c256, 2 * c128, 1);
    conv_norm(m, "ffm", ".conv", ".bn", c256, c256, 1);
    cbr(m, "conv_out.conv", head, c256, 3);
    conv_bias(m, "conv_out.conv_out", s->classes, head, 1);
    for (int i = 0; s->aux && i < 2; i++) {
        cbr(m, i ? "conv_out32.conv" : "conv_out16.conv", c64, c128, 3);
        conv_bias(m, i ? "conv_out32.conv_out" : "conv_out16.conv_out", s->classes, c64,
                  1);
    }
}

/* PREFIX.i and PREFIX.i+1 of a Sequential, depthwise. */
static void pair_depthwise(maker *m, const char *prefix, int c)
{
    char name[160];

    snprintf(name, sizeof name, "%.120s.0", prefix);
    depthwise(m, name, c, 3);
    snprintf(name, sizeof name, "%.120s.1", prefix);
    norm(m, name, c);
}

/* Gather-and-expansion layer; stride2 has a second depthwise layer and a skip. */
static void expansion(maker *m, const char *prefix, int oc, int c, bool stride2)
{
    const int wide = 6 * c;
    char p[96];

    snprintf(p, sizeof p, "%.64s.conv1", prefix);
    cbr(m, p, c, c, 3);
    snprintf(p, sizeof p, stride2 ? "%.64s.dwconv1" : "%.64s.dwconv", prefix);
    pair_depthwise(m, p, wide);
    snprintf(p, sizeof p, "%.64s.conv2", prefix);
    conv_norm(m, p, ".0", ".1", oc, wide, 1);
    if (!stride2)
        return;
    snprintf(p, sizeof p, "%.64s.dwconv2", prefix);
    pair_depthwise(m, p, wide);
    snprintf(p, sizeof p, "%.64s.shortcut", prefix);
    pair_depthwise(m, p, c);
    conv_norm(m, p, ".2", ".3", oc, c, 1);
}

/* Auxiliary heads, a half and an eighth as wide as published: they are thrown away. */
static void new_aux2(maker *m, const vbg_segment_shape *s)
{
    static const char *const name[4] = { "aux2", "aux3", "aux4", "aux5_4" };
    static const int from[4] = { 16, 32, 64, 128 };
    const int wide = scaled(m, 64), narrow = scaled(m, 16);
    char p[32];

    for (int i = 0; i < 4; i++) {
        snprintf(p, sizeof p, "%s.conv", name[i]);
        cbr(m, p, wide, scaled(m, from[i]), 3);
        snprintf(p, sizeof p, "%s.conv_out.0.1", name[i]);
        cbr(m, p, narrow, wide, 3);
        snprintf(p, sizeof p, "%s.conv_out.1", name[i]);
        conv_bias(m, p, s->classes, narrow, 1);
    }
}

static void new_bisenet2(maker *m, const vbg_segment_shape *s)
{
    static const char *const detail[8] = { "S1.0", "S1.1", "S2.0", "S2.1",
                                           "S2.2", "S3.0", "S3.1", "S3.2" };
    static const char *const layer[8] = { "S3.0",   "S3.1",   "S4.0",   "S4.1",
                                          "S5_4.0", "S5_4.1", "S5_4.2", "S5_4.3" };
    static const int width[8] = { 32, 32, 64, 64, 128, 128, 128, 128 };
    const int c16 = scaled(m, 16), c8 = scaled(m, 8), last = scaled(m, 128);
    int c = 3;
    char p[96];

    for (int i = 0; i < 8; i++) {
        const int oc = scaled(m, i < 5 ? 64 : 128);
        snprintf(p, sizeof p, "detail.%s", detail[i]);
        cbr(m, p, oc, c, 3);
        c = oc;
    }
    cbr(m, "segment.S1S2.conv", c16, 3, 3);
    cbr(m, "segment.S1S2.left.0", c8, c16, 1);
    cbr(m, "segment.S1S2.left.1", c16, c8, 3);
    cbr(m, "segment.S1S2.fuse", c16, 2 * c16, 3);
    c = c16;
    for (int i = 0; i < 8; i++) {
        snprintf(p, sizeof p, "segment.%s", layer[i]);
        expansion(m, p, scaled(m, width[i]), c, i == 0 || i == 2 || i == 4);
        c = scaled(m, width[i]);
    }
    norm(m, "segment.S5_5.bn", last);
    cbr(m, "segment.S5_5.conv_gap", last, last, 1);
    cbr(m, "segment.S5_5.conv_last", last, last, 3);
    pair_depthwise(m, "bga.left1", last);
    conv(m, "bga.left1.2", last, last, 1);
    conv_norm(m, "bga.left2", ".0", ".1", last, last, 3);
    conv_norm(m, "bga.right1", ".0", ".1", last, last, 3);
    pair_depthwise(m, "bga.right2", last);
    conv(m, "bga.right2.2", last, last, 1);
    conv_norm(m, "bga.conv", ".0", ".1", last, last, 3);
    const int head = s->head ? s->head : scaled(m, 1024);
    cbr(m, "head.conv", head, last, 3);
    conv_bias(m, "head.conv_out.1", s->classes, head, 1);
    if (s->aux)
        new_aux2(m, s);
}

bool vbg_segment_is_aux(const char *name)
{
    static const char *const head[] = { "conv_out16.", "conv_out32.", "aux2.",
                                        "aux3.",       "aux4.",       "aux5_4." };

    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        if (strncmp(name, head[i], strlen(head[i])) == 0)
            return true;
    return false;
}

/* ---- files ---- */

static const struct {
    const char *arch;
    void (*make)(maker *m, const vbg_segment_shape *s);
} makers[] = {
    { "selfie", new_selfie },
    { "bisenet-noisrucer", new_noisrucer },
    { "bisenetv1", new_bisenet1 },
    { "bisenetv2", new_bisenet2 },
};

vbg_status vbg_segment_new(vbg_weights **out, const vbg_segment_shape *shape,
                           vbg_err *err)
{
    maker m = { .width = shape->width, .err = err };
    size_t i = 0;

    while (i < sizeof makers / sizeof *makers && strcmp(makers[i].arch, shape->arch) != 0)
        i++;
    if (i == sizeof makers / sizeof *makers)
        return vbg_fail(err, VBG_EUSAGE, "no new network of kind %s", shape->arch);
    m.st = vbg_writer_new_preview(&m.w, err);
    if (m.st != VBG_OK)
        return m.st;
    m.st = vbg_writer_string(m.w, "model.arch", shape->arch, err);
    if (m.st == VBG_OK)
        m.st = vbg_writer_int(m.w, "segmenter.width", shape->w, err);
    if (m.st == VBG_OK)
        m.st = vbg_writer_int(m.w, "segmenter.height", shape->h, err);
    makers[i].make(&m, shape);
    if (m.st == VBG_OK)
        m.st = vbg_writer_preview(m.w, out, err);
    vbg_writer_abort(m.w);
    return m.st;
}

/* FNV-1a, for a random stream of each tensor's own. */
static uint64_t hash_of(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return h;
}

static bool ends(const char *s, const char *tail)
{
    const size_t n = strlen(s), k = strlen(tail);
    return n >= k && strcmp(s + n - k, tail) == 0;
}

static void fill(vbg_param *m, float v)
{
    for (size_t i = 0; i < m->count; i++)
        m->value[i] = v;
}

/* Layers whose result no norm rescales: the gates and the last ones. */
static double gain_of(const char *name)
{
    if (strncmp(name, "out.", 4) == 0 || strstr(name, "conv_out"))
        return 0.5; /* logits begin near zero */
    return strstr(name, "gate") || strstr(name, ".se2") ? 1 : sqrt(2);
}

void vbg_segment_init(vbg_params *p, uint64_t seed)
{
    for (size_t i = 0; i < vbg_params_count(p); i++) {
        vbg_param *m = vbg_params_at(p, i);
        const vbg_entry *e = &m->entry;
        if (e->rank >= 2) {
            const bool turned = e->layout == VBG_LAYOUT_TRANSPOSED; /* k x k apart */
            const double fan =
                turned ? (double)e->dim[0] : (double)(m->count / (size_t)e->dim[0]);
            const float s = (float)(gain_of(e->name) / sqrt(fan));
            vbg_normal(m->value, m->count, seed, hash_of(e->name), 0);
            for (size_t k = 0; k < m->count; k++)
                m->value[k] *= s;
            if (strcmp(e->name, "final_conv.weight") == 0 && m->count == 1)
                m->value[0] = 1; /* noisrucer's one channel is never negative */
        } else {
            fill(m, ends(e->name, ".weight") || ends(e->name, ".running_var") ? 1 : 0);
        }
        vbg_param_changed(m);
    }
}
