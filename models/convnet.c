/* Shared parts of the segmentation networks. */
#include "models/convnet.h"

#include <stdarg.h>
#include <stdio.h>

bool vbg_bind_conv_bn(vbg_bind *b, vbg_pool_mem *pool, vbg_weight *out, vbg_conv_bn opt,
                      const char *prefix, ...)
{
    char base[256];
    va_list ap;

    va_start(ap, prefix);
    vsnprintf(base, sizeof base, prefix, ap);
    va_end(ap);
    return vbg_bind_layer(b, out, opt.oc, opt.c, opt.k, opt.k, opt.flags, "%s%s", base,
                          opt.conv) &&
           vbg_bind_batch_norm(b, pool, out, opt.eps > 0 ? opt.eps : 1e-5f, "%s%s", base,
                               opt.bn);
}

void vbg_see(const vbg_ctx *c, const vbg_probe *p, const char *name, const vbg_tensor *t)
{
    if (p && !vbg_planning(c))
        p->see(p->arg, name, t);
}

vbg_input_norm vbg_norm_imagenet(void)
{
    return (vbg_input_norm){ .mean = { 0.485f, 0.456f, 0.406f },
                             .std = { 0.229f, 0.224f, 0.225f } };
}

vbg_input_norm vbg_norm_unit(void)
{
    return (vbg_input_norm){ .std = { 1, 1, 1 } };
}

vbg_input_norm vbg_norm_signed(void)
{
    return (vbg_input_norm){ .mean = { 0.5f, 0.5f, 0.5f }, .std = { 0.5f, 0.5f, 0.5f } };
}

typedef struct input_job {
    const vbg_picture *rgb;
    vbg_tensor *x;
    float f32[256][3]; /* value of each level and channel */
    uint16_t bf16[256][3];
} input_job;

/* One picture row through the tables. */
static void input_row(void *arg, size_t y, int thread)
{
    const input_job *j = arg;
    const uint8_t *from = j->rgb->data + y * j->rgb->stride;
    size_t width = (size_t)j->x->w, at = y * width * 3;

    (void)thread;
    for (size_t i = 0; i < width * 3; i += 3)
        for (size_t k = 0; k < 3; k++) {
            if (j->x->dtype == VBG_F32)
                ((float *)j->x->data)[at + i + k] = j->f32[from[i + k]][k];
            else
                ((uint16_t *)j->x->data)[at + i + k] = j->bf16[from[i + k]][k];
        }
}

vbg_tensor *vbg_picture_input(vbg_ctx *c, const vbg_picture *rgb, vbg_input_norm norm)
{
    VBG_CHECK(rgb->channels == 3, "network input of %d channels", rgb->channels);
    vbg_tensor *x = vbg_new(c, 1, rgb->h, rgb->w, 3);
    if (vbg_planning(c))
        return x;

    input_job j = { .rgb = rgb, .x = x };
    for (int v = 0; v < 256; v++)
        for (int k = 0; k < 3; k++) {
            j.f32[v][k] = ((float)v / 255.0f - norm.mean[k]) / norm.std[k];
            j.bf16[v][k] = vbg_f32_to_bf16(j.f32[v][k]);
        }
    vbg_parallel(c, (size_t)rgb->h, input_row, &j);
    return x;
}

vbg_tensor *vbg_gated(vbg_ctx *c, const vbg_tensor *x, const vbg_tensor *gate)
{
    return vbg_mul(c, x, vbg_activate(c, gate, VBG_ACT_SIGMOID));
}
