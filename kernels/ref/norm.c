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
                        const void *res, size_t ldres, vbg_act act)
{
    for (size_t r = 0; r < io->rows; r++)
        for (size_t j = 0; j < io->cols; j++) {
            double x = (double)vbg_ref_get(io->x, io->xt, r * io->ldx + j);
            double y = x * (double)scale[j] + (double)shift[j];
            y += res ? (double)vbg_ref_get(res, io->yt, r * ldres + j) : 0;
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

/* ---- backwards ---- */

static double back_x(const vbg_norm_back *b, size_t r, size_t j)
{
    return (double)vbg_ref_get(b->x, b->xt, r * b->ldx + j);
}

static double back_dy(const vbg_norm_back *b, size_t r, size_t j)
{
    return (double)vbg_ref_get(b->dy, b->yt, r * b->lddy + j);
}

static double back_dz(const vbg_norm_back *b, size_t r, size_t j)
{
    double dy = back_dy(b, r, j);

    if (b->act == VBG_ACT_NONE)
        return dy;
    double z = back_x(b, r, j) * (double)b->scale[j] + (double)b->shift[j];
    z += b->res ? (double)vbg_ref_get(b->res, b->yt, r * b->ldres + j) : 0;
    return dy * vbg_act_slope_ref(z, b->act);
}

static double off_centre(const vbg_norm_back *b, size_t r, size_t j)
{
    return back_x(b, r, j) - (b->centre ? (double)b->centre[j] : 0);
}

static void back_sums(double *sum, double *sumx, const vbg_norm_back *b, size_t piece)
{
    (void)piece;
    for (size_t r = 0; r < b->rows; r++)
        for (size_t j = 0; j < b->cols; j++) {
            double dz = back_dz(b, r, j);
            sum[j] += dz;
            sumx[j] += dz * off_centre(b, r, j);
        }
}

static double plus(const vbg_norm_back *b, size_t r, size_t j)
{
    return b->plus ? (double)vbg_ref_get(b->plus, b->xt, r * b->ldplus + j) : 0;
}

static void back_map(const vbg_norm_back *b, const float *fz, const float *fx,
                     const float *f1)
{
    for (size_t r = 0; r < b->rows; r++)
        for (size_t j = 0; j < b->cols; j++) {
            double dz = back_dz(b, r, j), dx = (double)fz[j] * dz;
            if (fx)
                dx += (double)fx[j] * off_centre(b, r, j);
            if (f1)
                dx += (double)f1[j];
            if (b->dx)
                vbg_ref_put(b->dx, b->xt, r * b->lddx + j, (float)(dx + plus(b, r, j)));
            if (b->dres)
                vbg_ref_put(b->dres, b->yt, r * b->lddres + j, (float)dz);
        }
}

static void layer_back(const vbg_norm_back *b, const float *gamma, float eps,
                       float *dgamma, float *dbeta)
{
    double n = (double)b->cols;

    for (size_t r = 0; r < b->rows; r++) {
        double mean = 0, var = 0, mg = 0, mgn = 0;
        for (size_t j = 0; j < b->cols; j++)
            mean += back_x(b, r, j) / n;
        for (size_t j = 0; j < b->cols; j++)
            var += (back_x(b, r, j) - mean) * (back_x(b, r, j) - mean) / n;
        double rstd = 1 / sqrt(var + (double)eps);
        for (size_t j = 0; j < b->cols; j++) {
            double g = back_dy(b, r, j) * (gamma ? (double)gamma[j] : 1);
            mg += g / n;
            mgn += g * (back_x(b, r, j) - mean) * rstd / n;
        }
        for (size_t j = 0; j < b->cols; j++) {
            double dy = back_dy(b, r, j), xn = (back_x(b, r, j) - mean) * rstd;
            double g = dy * (gamma ? (double)gamma[j] : 1);
            if (b->dx)
                vbg_ref_put(b->dx, b->xt, r * b->lddx + j,
                            (float)(rstd * (g - mg - xn * mgn) + plus(b, r, j)));
            if (dgamma) {
                dgamma[j] += (float)(dy * xn);
                dbeta[j] += (float)dy;
            }
        }
    }
}

static void softmax_back(const vbg_norm_back *b)
{
    for (size_t r = 0; r < b->rows; r++) {
        double dot = 0;
        for (size_t j = 0; j < b->cols; j++)
            dot += back_dy(b, r, j) * back_x(b, r, j);
        for (size_t j = 0; j < b->cols; j++)
            vbg_ref_put(b->dx, b->xt, r * b->lddx + j,
                        (float)(back_x(b, r, j) * (back_dy(b, r, j) - dot)));
    }
}

void vbg_norm_init_ref(vbg_norm_kernels *k)
{
    *k = (vbg_norm_kernels){ .layer = layer,
                             .channel_sums = channel_sums,
                             .scale_shift = scale_shift,
                             .softmax = softmax,
                             .back_sums = back_sums,
                             .back_map = back_map,
                             .layer_back = layer_back,
                             .softmax_back = softmax_back };
}
