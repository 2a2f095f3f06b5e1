/* ResNet backbones; see models/resnet.h. */
#include "models/resnet.h"

/* One block; the first of a layer may have a 1x1 convolution in its skip. */
static void bind_block(vbg_bind *b, vbg_pool_mem *pool, vbg_resnet_block *r,
                       const char *prefix, int layer, int i)
{
    bool bottleneck =
        vbg_bind_maybe(b, "%s.layer%d.%d.conv3.weight", prefix, layer, i) != NULL;
    bool down =
        vbg_bind_maybe(b, "%s.layer%d.%d.downsample.0.weight", prefix, layer, i) != NULL;

    *r = (vbg_resnet_block){ 0 };
    vbg_bind_conv_bn(
        b, pool, &r->conv1,
        (vbg_conv_bn){ .conv = "conv1", .bn = "bn1", .k = bottleneck ? 1 : 3 },
        "%s.layer%d.%d.", prefix, layer, i);
    vbg_bind_conv_bn(
        b, pool, &r->conv2,
        (vbg_conv_bn){ .conv = "conv2", .bn = "bn2", .c = r->conv1.oc, .k = 3 },
        "%s.layer%d.%d.", prefix, layer, i);
    if (bottleneck)
        vbg_bind_conv_bn(
            b, pool, &r->conv3,
            (vbg_conv_bn){ .conv = "conv3", .bn = "bn3", .c = r->conv2.oc, .k = 1 },
            "%s.layer%d.%d.", prefix, layer, i);
    if (down)
        vbg_bind_conv_bn(b, pool, &r->down,
                         (vbg_conv_bn){ .conv = "downsample.0",
                                        .bn = "downsample.1",
                                        .oc = bottleneck ? r->conv3.oc : r->conv2.oc,
                                        .c = r->conv1.c,
                                        .k = 1 },
                         "%s.layer%d.%d.", prefix, layer, i);
}

/* The chain must fit: what a block takes is what the one before gives. */
static void check_chain(vbg_bind *b, const vbg_resnet *m, const char *prefix)
{
    int width = m->stem.oc;

    for (int l = 0; l < 4; l++)
        for (int i = 0; i < m->blocks[l]; i++) {
            const vbg_resnet_block *r = &m->block[l][i];
            int out = r->conv3.data ? r->conv3.oc : r->conv2.oc;
            if (r->conv1.c != width || (!r->down.data && out != width))
                vbg_bind_problem(b, "%s.layer%d.%d: %d channels in, %d out, after %d",
                                 prefix, l + 1, i, r->conv1.c, out, width);
            width = out;
        }
}

void vbg_resnet_bind(vbg_bind *b, vbg_pool_mem *pool, vbg_resnet *m, const char *prefix,
                     const char *stem_conv, const char *stem_bn, bool dilated)
{
    *m = (vbg_resnet){ .dilated = dilated };
    vbg_bind_conv_bn(b, pool, &m->stem,
                     (vbg_conv_bn){ .conv = stem_conv, .bn = stem_bn, .c = 3, .k = 7 },
                     "%s", prefix);
    for (int l = 0; l < 4; l++) {
        int n = 1; /* block 0 must exist: its absence is reported by name */
        while (n < VBG_RESNET_MAX_BLOCKS &&
               vbg_bind_maybe(b, "%s.layer%d.%d.conv1.weight", prefix, l + 1, n))
            n++;
        m->block[l] = vbg_pool_take(pool, (size_t)n * sizeof *m->block[l]);
        if (!m->block[l]) {
            vbg_bind_problem(b, "not enough memory");
            return;
        }
        m->blocks[l] = n;
        for (int i = 0; i < n; i++)
            bind_block(b, pool, &m->block[l][i], prefix, l + 1, i);
    }
    if (b->problems == 0)
        check_chain(b, m, prefix);
}

int vbg_resnet_width(const vbg_resnet *m, int i)
{
    const vbg_resnet_block *r = m->block[i];
    return !r ? 0 : r->conv3.data ? r->conv3.oc : r->conv2.oc;
}

vbg_tensor *vbg_resnet_stem(vbg_ctx *c, const vbg_resnet *m, const vbg_tensor *x)
{
    const vbg_conv_opt k7 = { .stride = 2, .pad = 3, .act = VBG_ACT_RELU };
    const vbg_pool_opt pool = { .k_y = 3, .k_x = 3, .stride = 2, .pad = 1, .max = true };

    vbg_scope_open(c);
    return vbg_scope_close(c, vbg_pool(c, vbg_conv2d(c, x, &m->stem, k7), pool));
}

/* relu(skip(x) + residual(x)); the first convolution wider than 1x1 has the stride. */
static vbg_tensor *block(vbg_ctx *c, const vbg_resnet_block *r, const vbg_tensor *x,
                         int stride, int dilation)
{
    const vbg_tensor *skip = x;
    vbg_tensor *y;

    vbg_scope_open(c);
    if (r->down.data)
        skip = vbg_conv2d(c, x, &r->down, (vbg_conv_opt){ .stride = stride });
    if (r->conv3.data) {
        y = vbg_conv2d(c, x, &r->conv1, (vbg_conv_opt){ .act = VBG_ACT_RELU });
        y = vbg_conv2d(c, y, &r->conv2,
                       (vbg_conv_opt){ .stride = stride,
                                       .dilation = dilation,
                                       .pad = dilation,
                                       .act = VBG_ACT_RELU });
        y = vbg_conv2d(c, y, &r->conv3,
                       (vbg_conv_opt){ .residual = skip, .act = VBG_ACT_RELU });
    } else {
        y = vbg_conv2d(c, x, &r->conv1,
                       (vbg_conv_opt){ .stride = stride, .pad = 1, .act = VBG_ACT_RELU });
        y = vbg_conv2d(c, y, &r->conv2,
                       (vbg_conv_opt){ .pad = 1, .residual = skip, .act = VBG_ACT_RELU });
    }
    return vbg_scope_close(c, y);
}

vbg_tensor *vbg_resnet_layer(vbg_ctx *c, const vbg_resnet *m, const vbg_tensor *x, int i)
{
    const bool stays = i == 0 || (m->dilated && i >= 2);
    const int before = m->dilated && i == 3 ? 2 : 1; /* dilation of the layer before */
    const int dilation = m->dilated && i >= 2 ? 2 * before : 1;
    vbg_tensor *y = NULL;

    vbg_scope_open(c);
    for (int k = 0; k < m->blocks[i]; k++) {
        vbg_tensor *next = block(c, &m->block[i][k], x, stays || k > 0 ? 1 : 2,
                                 k > 0 ? dilation : before);
        if (y)
            vbg_drop(c, y);
        x = y = next;
    }
    return vbg_scope_close(c, y);
}
