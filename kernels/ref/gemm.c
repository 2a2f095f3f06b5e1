/* Reference matrix products and convolutions: the definition, summed in double,
 * one block of 16 output channels at a time.  Nothing here is tuned. */
#include "kernels/gemm.h"
#include "kernels/ref/act.h"

enum { BLOCK = 16 };

static float load(const void *p, vbg_dtype t, size_t i)
{
    if (t == VBG_F32)
        return ((const float *)p)[i];
    uint16_t v = ((const uint16_t *)p)[i];
    return t == VBG_BF16 ? vbg_bf16_to_f32(v) : vbg_f16_to_f32(v);
}

static void store(void *p, vbg_dtype t, size_t i, double v)
{
    if (t == VBG_F32)
        ((float *)p)[i] = (float)v;
    else
        ((uint16_t *)p)[i] = vbg_f32_to_bf16((float)v);
}

/* One output value through scale, bias, residual and activation. */
static double finish(const vbg_epilogue *e, vbg_dtype yt, size_t pixel, size_t o,
                     double sum)
{
    if (e->scale)
        sum *= (double)e->scale[o];
    if (e->bias)
        sum += (double)e->bias[o];
    if (e->residual)
        sum += (double)load(e->residual, yt, pixel * e->ldr + o);
    return vbg_act_ref(sum, e->act);
}

/* Weight of output channel o at packed position k, kk = packed K. */
static float weight_at(const void *w, vbg_dtype t, size_t kk, size_t o, size_t k)
{
    size_t block = (o / BLOCK) * kk * BLOCK, lane = o % BLOCK;
    if (t == VBG_F32)
        return ((const float *)w)[block + k * BLOCK + lane];
    return load(w, t, block + (k / 2) * 2 * BLOCK + lane * 2 + k % 2);
}

static void gemm(const vbg_gemm_args *a, size_t r0, size_t r1, size_t b0, size_t b1,
                 void *scratch)
{
    const vbg_pack_dims d = vbg_pack_shape(a->wt, a->k, 1);
    const size_t cols = a->geglu ? a->oc / 2 : a->oc;
    vbg_epilogue half = a->ep;

    (void)scratch;
    half.residual = NULL;
    half.act = VBG_ACT_NONE;
    for (size_t r = r0; r < r1; r++)
        for (size_t o = b0 * BLOCK; o < b1 * BLOCK && o < cols; o++) {
            double sum = 0, gate = 0;
            for (size_t k = 0; k < a->k; k++) {
                double v = (double)load(a->x, a->xt, r * a->ldx + k);
                sum += v * (double)weight_at(a->w, a->wt, d.k, o, k);
                if (a->geglu)
                    gate += v * (double)weight_at(a->w, a->wt, d.k, cols + o, k);
            }
            if (a->geglu)
                sum = finish(&half, a->yt, r, o, sum) *
                      vbg_act_ref(finish(&half, a->yt, r, cols + o, gate), VBG_ACT_GELU);
            else
                sum = finish(&a->ep, a->yt, r, o, sum);
            store(a->y, a->yt, r * a->ldy + o, sum);
        }
}

/* Input position of output coordinate o and tap k on one axis, -1 outside. */
static int source(int o, int k, int stride, int dil, int pad, int size, bool upsample2)
{
    int i = o * stride + k * dil - pad;
    if (i < 0 || i >= (upsample2 ? 2 * size : size))
        return -1;
    return upsample2 ? i / 2 : i;
}

/* First element of the input pixel that a tap of an output pixel reads, or
 * SIZE_MAX outside the picture. */
static size_t tap_source(const vbg_conv_args *a, size_t row, int ox, int ky, int kx)
{
    size_t image = row / (size_t)a->oh;
    int oy = (int)(row % (size_t)a->oh);
    int y = source(oy, ky, a->stride_y, a->dil_y, a->pad_top, a->h, a->upsample2);
    int x = source(ox, kx, a->stride_x, a->dil_x, a->pad_left, a->w_in, a->upsample2);

    if (y < 0 || x < 0)
        return SIZE_MAX;
    return ((image * (size_t)a->h + (size_t)y) * (size_t)a->w_in + (size_t)x) * a->ldx;
}

static double conv_sum(const vbg_conv_args *a, size_t row, int ox, size_t o)
{
    const size_t groups = (size_t)a->groups, c = (size_t)a->c / groups;
    const size_t first = o / ((size_t)a->oc / groups) * c;
    const vbg_pack_dims d = vbg_pack_shape(a->wt, c, (size_t)(a->kh * a->kw));
    double sum = 0;

    for (int ky = 0; ky < a->kh; ky++)
        for (int kx = 0; kx < a->kw; kx++) {
            size_t at = tap_source(a, row, ox, ky, kx);
            size_t k = (size_t)(ky * a->kw + kx) * d.cp;
            if (at == SIZE_MAX)
                continue;
            for (size_t i = 0; i < c; i++)
                sum += (double)load(a->x, a->xt, at + first + i) *
                       (double)weight_at(a->w, a->wt, d.k, o, k + i);
        }
    return sum;
}

void vbg_conv_ref(const vbg_conv_args *a, size_t r0, size_t r1, size_t b0, size_t b1,
                  void *scratch)
{
    (void)scratch;
    for (size_t r = r0; r < r1; r++)
        for (int ox = 0; ox < a->ow; ox++)
            for (size_t o = b0 * BLOCK; o < b1 * BLOCK && o < (size_t)a->oc; o++) {
                size_t pixel = r * (size_t)a->ow + (size_t)ox;
                double sum = conv_sum(a, r, ox, o);
                store(a->y, a->yt, pixel * a->ldy + o,
                      finish(&a->ep, a->yt, pixel, o, sum));
            }
}

static void depthwise(const vbg_depthwise_args *a, size_t r0, size_t r1)
{
    const size_t oc = (size_t)a->oc, mult = oc / (size_t)a->c;
    const float *w = a->w;

    for (size_t r = r0; r < r1; r++)
        for (int ox = 0; ox < a->ow; ox++)
            for (size_t o = 0; o < oc; o++) {
                size_t pixel = r * (size_t)a->ow + (size_t)ox;
                double sum = 0;
                for (int ky = 0; ky < a->kh; ky++)
                    for (int kx = 0; kx < a->kw; kx++) {
                        size_t at = tap_source(a, r, ox, ky, kx);
                        if (at != SIZE_MAX)
                            sum += (double)load(a->x, a->xt, at + o / mult) *
                                   (double)w[(size_t)(ky * a->kw + kx) * oc + o];
                    }
                store(a->y, a->yt, pixel * a->ldy + o,
                      finish(&a->ep, a->yt, pixel, o, sum));
            }
}

/* Sum of one output value of a transposed convolution. */
static double transpose_sum(const vbg_transpose_args *a, size_t row, int ox, size_t o)
{
    const size_t image = row / (size_t)a->oh, c = (size_t)a->c;
    const int oy = (int)(row % (size_t)a->oh);
    double sum = 0;

    for (int ky = 0; ky < a->kh; ky++)
        for (int kx = 0; kx < a->kw; kx++) {
            int y = oy + a->pad_top - ky, x = ox + a->pad_left - kx;
            if (y < 0 || x < 0 || y % a->stride_y || x % a->stride_x)
                continue;
            y /= a->stride_y;
            x /= a->stride_x;
            if (y >= a->h || x >= a->w_in)
                continue;
            size_t px = (image * (size_t)a->h + (size_t)y) * (size_t)a->w_in + (size_t)x;
            size_t tap = (size_t)(ky * a->kw + kx);
            const float *w = (const float *)a->w + (tap * (size_t)a->oc + o) * c;
            for (size_t i = 0; i < c; i++)
                sum += (double)load(a->x, a->xt, px * a->ldx + i) * (double)w[i];
        }
    return sum;
}

static void transpose(const vbg_transpose_args *a, size_t r0, size_t r1)
{
    for (size_t r = r0; r < r1; r++)
        for (int ox = 0; ox < a->ow; ox++)
            for (size_t o = 0; o < (size_t)a->oc; o++) {
                size_t pixel = r * (size_t)a->ow + (size_t)ox;
                double sum = transpose_sum(a, r, ox, o);
                store(a->y, a->yt, pixel * a->ldy + o,
                      finish(&a->ep, a->yt, pixel, o, sum));
            }
}

static size_t no_gemm_scratch(const vbg_gemm_args *a)
{
    (void)a;
    return 0;
}

static size_t no_conv_scratch(const vbg_conv_args *a)
{
    (void)a;
    return 0;
}

void vbg_gemm_init_ref(vbg_gemm_kernels *k)
{
    *k = (vbg_gemm_kernels){ .gemm = gemm,
                             .gemm_scratch = no_gemm_scratch,
                             .conv = vbg_conv_ref,
                             .conv_scratch = no_conv_scratch,
                             .depthwise = depthwise,
                             .transpose = transpose };
}
