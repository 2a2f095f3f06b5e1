/* A second head that only training has: from the text tower's state at the end token a
 * linear layer says the clean latents, averaged over 4x4 blocks.  Cross-attention learns
 * to listen only to what means something, and the tower learns to mean something only
 * when it is listened to; the head breaks that circle within the first few hundred steps.
 * It is no part of the exported model. */
#include <string.h>

#include "engine/op_util.h"
#include "tools/train/base_unet.h"

enum { GRID = 4 };

int vbg_base_coarse_count(const vbg_base *b)
{
    return GRID * GRID * b->latents.channels;
}

vbg_status vbg_base_text_bind(vbg_base *b, vbg_err *err)
{
    const int width = b->text.tower.width;
    vbg_bind bind;

    if (b->text_share <= 0 || b->latents.side < GRID)
        return VBG_OK;
    vbg_params_select(b->loop.params, "texthead", "*", true);
    vbg_bind_start(&bind, b->file, "texthead");
    vbg_bind_layer(&bind, &b->text_head, vbg_base_coarse_count(b), width, 1, 1,
                   VBG_BIND_BIAS, "head");
    return vbg_bind_finish(&bind, err);
}

void vbg_base_coarse(const vbg_base *b, float *coarse, const float *clean)
{
    const int side = b->latents.side, channels = b->latents.channels;

    for (int i = 0; i < GRID * GRID; i++, coarse += channels) {
        const int y0 = i / GRID * side / GRID, y1 = (i / GRID + 1) * side / GRID;
        const int x0 = i % GRID * side / GRID, x1 = (i % GRID + 1) * side / GRID;
        const float share = 1 / (float)((y1 - y0) * (x1 - x0));
        for (int c = 0; c < channels; c++)
            coarse[c] = 0;
        for (int y = y0; y < y1; y++)
            for (int x = x0; x < x1; x++)
                for (int c = 0; c < channels; c++)
                    coarse[c] += share * clean[(y * side + x) * channels + c];
    }
}

/* Place of the end token: the first of the ids that is the largest. */
static int end_of(const int *ids)
{
    int end = 0;

    for (int i = 1; i < VBG_TOKENS; i++)
        if (ids[i] > ids[end])
            end = i;
    return end;
}

/* Mean square of what the rows at the ends say; its gradient times share to dy. */
static double coarse_loss(const vbg_tensor *y, vbg_tensor *dy, const int *ids,
                          const float *coarse, double share)
{
    const size_t n = (size_t)y->n, each = (size_t)y->c, all = (size_t)(y->h * y->w);
    const double count = (double)(n * each);
    double sum = 0;

    memset(dy->data, 0, n * all * each * sizeof(float));
    for (size_t i = 0; i < n; i++) {
        const size_t row = i * all + (size_t)end_of(ids + i * VBG_TOKENS);
        const float *said = vbg_row_at(y, row);
        float *d = vbg_row_at(dy, row);
        for (size_t k = 0; k < each; k++) {
            const double e = (double)said[k] - (double)coarse[i * each + k];
            sum += e * e;
            d[k] = (float)(2 * share * e / count);
        }
    }
    return sum / count;
}

double vbg_base_text_loss(vbg_ctx *c, const vbg_base *b, const vbg_tensor *state,
                          const int *ids, const float *coarse)
{
    const vbg_linear_opt f32 = { .f32_out = true };
    double loss = 0;

    if (!b->text_head.data)
        return 0;
    vbg_tensor *y = vbg_linear_ex(c, state, &b->text_head, f32);
    vbg_tensor *dy = vbg_new_typed(c, VBG_F32, y->n, y->h, y->w, y->c);
    if (!vbg_planning(c))
        loss = coarse_loss(y, dy, ids, coarse, b->text_share);
    vbg_grad_add(c, y, dy);
    return loss;
}
