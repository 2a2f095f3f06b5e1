/* Reference of what training needs of the matrix products; see kernels/train.h. */
#include "kernels/train.h"

#include "kernels/ref/scalar.h"

#include <string.h>

enum { BLOCK = 16 };

static void transpose(void *dst, size_t block, const void *const *px, size_t cols,
                      vbg_dtype t)
{
    const size_t size = vbg_dtype_size(t);

    for (size_t i = 0; i < VBG_TURN; i++)
        for (size_t j = 0; j < cols; j++)
            memcpy((char *)dst + vbg_turned_at(j, i, block) * size,
                   (const char *)px[i] + j * size, size);
}

/* Element index of value k of column j of a block. */
static size_t place(vbg_dtype t, size_t j, size_t k)
{
    return t == VBG_F32 ? k * BLOCK + j : k / 2 * 2 * BLOCK + j * 2 + k % 2;
}

static void interleave(void *dst, size_t block, const void *const *px, size_t cols,
                       vbg_dtype t)
{
    const size_t size = vbg_dtype_size(t);

    for (size_t j = 0; j < vbg_round_up(cols, BLOCK); j++)
        for (size_t i = 0; i < VBG_TURN; i++) {
            char *to = (char *)dst + (j / BLOCK * block + place(t, j % BLOCK, i)) * size;
            if (j < cols)
                memcpy(to, (const char *)px[i] + j * size, size);
            else
                memset(to, 0, size);
        }
}

/* Tap k of the values at w. */
static float weight_of(const vbg_pack_args *a, const float *w, size_t k)
{
    if (!a->until)
        return w[a->tap[k]];
    size_t s = k ? a->until[k - 1] : 0;
    float sum = w[a->tap[s]];
    while (++s < a->until[k])
        sum += w[a->tap[s]];
    return sum;
}

void vbg_pack_blocks_ref(const vbg_pack_args *a, size_t b0, size_t b1)
{
    const vbg_pack_dims d = vbg_pack_shape(a->t, a->c, a->taps);
    const size_t size = vbg_dtype_size(a->t), bytes = d.k * BLOCK * size;

    memset((char *)a->dst + b0 * bytes, 0, (b1 - b0) * bytes);
    for (size_t o = b0 * BLOCK; o < b1 * BLOCK && o < a->oc; o++) {
        char *block = (char *)a->dst + o / BLOCK * bytes;
        const float *w = a->w + o / a->group * a->sg + o % a->group * a->so;
        for (size_t k = 0; k < a->taps; k++)
            for (size_t i = 0; i < a->c; i++) {
                size_t at = place(a->t, o % BLOCK, k * d.cp + i);
                vbg_ref_put(block, a->t, at, weight_of(a, w + i * a->si, k));
            }
    }
}

static void turn_weights(const vbg_turn_args *a, size_t b0, size_t b1)
{
    const uint16_t *src = a->src;
    uint16_t *dst = a->dst;

    for (size_t i = b0 * BLOCK; i < b1 * BLOCK; i++)
        for (size_t k = 0; k < a->taps; k++)
            for (size_t o = 0; o < a->oc; o++) {
                size_t from = o / BLOCK * a->all * a->c * BLOCK;
                size_t to = i / BLOCK * a->taps * a->oc * BLOCK;
                from += place(VBG_BF16, o % BLOCK, a->tap[k] * a->c + i);
                dst[to + place(VBG_BF16, i % BLOCK, k * a->oc + o)] = src[from];
            }
}

/* Sum of one element over all positions. */
static double tap_sum(const vbg_tap_args *a, size_t k, size_t o, size_t i)
{
    double sum = 0;

    for (size_t p = 0; p < a->m; p++) {
        size_t at = i / BLOCK * a->block + place(a->t, i % BLOCK, p);
        sum += (double)vbg_ref_get(a->dy, a->t, vbg_turned_at(o, p, a->dy_block)) *
               (double)vbg_ref_get(a->x[k], a->t, at);
    }
    return sum;
}

void vbg_taps_ref(const vbg_tap_args *a, size_t o0, size_t o1, size_t b0, size_t b1)
{
    for (size_t k = 0; k < a->taps; k++)
        for (size_t o = o0 * BLOCK; o < o1 * BLOCK && o < a->oc; o++)
            for (size_t i = b0 * BLOCK; i < b1 * BLOCK && i < a->c; i++) {
                float *s = a->sum + k * a->tap_sum + o * a->ld_sum + i;
                *s = (float)((a->first ? 0 : (double)*s) + tap_sum(a, k, o, i));
            }
}

static void row_sums(double *sum, const void *rows, size_t block, size_t count, size_t m,
                     vbg_dtype t)
{
    for (size_t o = 0; o < count; o++)
        for (size_t p = 0; p < m; p++)
            sum[o] += (double)vbg_ref_get(rows, t, vbg_turned_at(o, p, block));
}

static void add_taps(const vbg_add_args *a)
{
    for (size_t o = 0; o < a->rows; o++)
        for (size_t i = 0; i < a->cols; i++)
            for (size_t k = 0; k < a->taps; k++)
                a->grad[o * a->run + i * a->taps + k] +=
                    a->sum[a->tap[k] + o * a->row + i * a->col];
}

static void repeat(const vbg_row_io *io, size_t times)
{
    const size_t size = vbg_dtype_size(io->xt);

    for (size_t r = 0; r < io->rows; r++)
        for (size_t i = 0; i < io->cols * times; i++)
            memcpy((char *)io->y + (r * io->ldy + i) * size,
                   (const char *)io->x + (r * io->ldx + i / times) * size, size);
}

void vbg_fold_ref(const vbg_row_io *io, size_t times)
{
    for (size_t r = 0; r < io->rows; r++)
        for (size_t i = 0; i < io->cols; i++) {
            double sum = 0;
            for (size_t q = 0; q < times; q++)
                sum += (double)vbg_ref_get(io->x, io->xt, r * io->ldx + i * times + q);
            vbg_ref_put(io->y, io->yt, r * io->ldy + i, (float)sum);
        }
}

/* Part of row oy of an image for one tap and channel. */
static double tap_row(const vbg_depthwise_grad_args *g, size_t row, size_t tap, size_t o)
{
    const vbg_conv_args *a = g->a;
    const size_t image = row / (size_t)a->oh;
    const int ky = (int)tap / a->kw, kx = (int)tap % a->kw;
    const int y = (int)(row % (size_t)a->oh) * a->stride_y + ky * a->dil_y - a->pad_top;
    double sum = 0;

    if (y < 0 || y >= a->h)
        return 0;
    for (int ox = 0; ox < a->ow; ox++) {
        int x = ox * a->stride_x + kx * a->dil_x - a->pad_left;
        if (x < 0 || x >= a->w_in)
            continue;
        size_t at = (image * (size_t)a->h + (size_t)y) * (size_t)a->w_in + (size_t)x;
        size_t out = row * (size_t)a->ow + (size_t)ox;
        sum += (double)vbg_ref_get(a->x, a->xt, at * a->ldx + o) *
               (double)vbg_ref_get(g->dy, a->xt, out * g->lddy + o);
    }
    return sum;
}

static void depthwise_grad(const vbg_depthwise_grad_args *g, size_t r0, size_t r1)
{
    const size_t oc = (size_t)g->a->oc, taps = (size_t)(g->a->kh * g->a->kw);

    for (size_t tap = 0; tap < taps; tap++)
        for (size_t o = 0; o < oc; o++) {
            double sum = 0;
            for (size_t r = r0; r < r1; r++)
                sum += tap_row(g, r, tap, o);
            g->sum[tap * oc + o] += (float)sum;
        }
}

void vbg_train_init_ref(vbg_train_kernels *k)
{
    *k = (vbg_train_kernels){ .transpose = transpose,
                              .interleave = interleave,
                              .pack = vbg_pack_blocks_ref,
                              .turn_weights = turn_weights,
                              .taps = vbg_taps_ref,
                              .row_sums = row_sums,
                              .add_taps = add_taps,
                              .repeat = repeat,
                              .fold = vbg_fold_ref,
                              .depthwise_grad = depthwise_grad };
}
