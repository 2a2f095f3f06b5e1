/* Reference of the norms: plain loops, double accumulation. */
#include "kernels/norm.h"
#include "kernels/ref/scalar.h"

static void layer(const vbg_row_io *io, const float *gamma, const float *beta, float eps)
{
    double n = (double)io->cols;

    for (size_t r = 0; r < io->rows; r++) {
        double mean = 0, var = 0;
        for (size_t j = 0; j < io->cols; j++)
            mean += (double)vbg_ref_get(io->x, io->xt, r * io->ldx + j) / n;
        for (size_t j = 0; j < io->cols; j++) {
            double d = (double)vbg_ref_get(io->x, io->xt, r * io->ldx + j) - mean;
            var += d * d / n;
        }
        double rstd = 1 / sqrt(var + (double)eps);
        for (size_t j = 0; j < io->cols; j++) {
            double d = (double)vbg_ref_get(io->x, io->xt, r * io->ldx + j) - mean;
            double y =
                d * rstd * (gamma ? (double)gamma[j] : 1) + (beta ? (double)beta[j] : 0);
            vbg_ref_put(io->y, io->yt, r * io->ldy + j, (float)y);
        }
    }
}

/* Double throughout: piece does not matter here. */
static void channel_sums(double *sum, double *sq, const float *shift,
                         const vbg_row_io *io, size_t piece)
{
    (void)piece;
    for (size_t r = 0; r < io->rows; r++)
        for (size_t j = 0; j < io->cols; j++) {
            double d = (double)vbg_ref_get(io->x, io->xt, r * io->ldx + j) -
                       (shift ? (double)shift[j] : 0);
            sum[j] += d;
            if (sq)
                sq[j] += d * d;
        }
}

static void scale_shift(const vbg_row_io *io, const float *scale, const float *shift,
                        vbg_act act)
{
    for (size_t r = 0; r < io->rows; r++)
        for (size_t j = 0; j < io->cols; j++) {
            double x = (double)vbg_ref_get(io->x, io->xt, r * io->ldx + j);
            double y = x * (double)scale[j] + (double)shift[j];
            vbg_ref_put(io->y, io->yt, r * io->ldy + j, (float)vbg_act_ref(y, act));
        }
}

static void softmax(const vbg_row_io *io)
{
    for (size_t r = 0; r < io->rows; r++) {
        float max = -INFINITY;
        double sum = 0;
        for (size_t j = 0; j < io->cols; j++)
            max = fmaxf(max, vbg_ref_get(io->x, io->xt, r * io->ldx + j));
        for (size_t j = 0; j < io->cols; j++)
            sum += exp((double)vbg_ref_get(io->x, io->xt, r * io->ldx + j) - (double)max);
        for (size_t j = 0; j < io->cols; j++) {
            double x = (double)vbg_ref_get(io->x, io->xt, r * io->ldx + j);
            vbg_ref_put(io->y, io->yt, r * io->ldy + j,
                        (float)(exp(x - (double)max) / sum));
        }
    }
}

void vbg_norm_init_ref(vbg_norm_kernels *k)
{
    *k = (vbg_norm_kernels){ .layer = layer,
                             .channel_sums = channel_sums,
                             .scale_shift = scale_shift,
                             .softmax = softmax };
}
