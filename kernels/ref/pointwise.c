/* Reference of the elementwise kernels. */
#include "kernels/pointwise.h"
#include "kernels/ref/scalar.h"

static void act_rows(const vbg_row_io *io, vbg_act act)
{
    for (size_t r = 0; r < io->rows; r++)
        for (size_t j = 0; j < io->cols; j++) {
            double x = (double)vbg_ref_get(io->x, io->xt, r * io->ldx + j);
            vbg_ref_put(io->y, io->yt, r * io->ldy + j, (float)vbg_act_ref(x, act));
        }
}

static void add(const vbg_row_io *io, const void *b, size_t ldb, vbg_act act)
{
    for (size_t r = 0; r < io->rows; r++)
        for (size_t j = 0; j < io->cols; j++) {
            double x = (double)vbg_ref_get(io->x, io->xt, r * io->ldx + j) +
                       (double)vbg_ref_get(b, io->xt, r * ldb + j);
            vbg_ref_put(io->y, io->yt, r * io->ldy + j, (float)vbg_act_ref(x, act));
        }
}

static void mul(const vbg_row_io *io, const void *b, size_t ldb)
{
    for (size_t r = 0; r < io->rows; r++)
        for (size_t j = 0; j < io->cols; j++)
            vbg_ref_put(io->y, io->yt, r * io->ldy + j,
                        vbg_ref_get(io->x, io->xt, r * io->ldx + j) *
                            vbg_ref_get(b, io->xt, r * ldb + j));
}

static void affine(const vbg_row_io *io, float scale, float shift)
{
    for (size_t r = 0; r < io->rows; r++)
        for (size_t j = 0; j < io->cols; j++) {
            double x = (double)vbg_ref_get(io->x, io->xt, r * io->ldx + j);
            vbg_ref_put(io->y, io->yt, r * io->ldy + j,
                        (float)(x * (double)scale + (double)shift));
        }
}

static void geglu(const vbg_row_io *io)
{
    for (size_t r = 0; r < io->rows; r++)
        for (size_t j = 0; j < io->cols; j++) {
            double x = (double)vbg_ref_get(io->x, io->xt, r * io->ldx + j);
            double g = (double)vbg_ref_get(io->x, io->xt, r * io->ldx + io->cols + j);
            vbg_ref_put(io->y, io->yt, r * io->ldy + j,
                        (float)(x * vbg_act_ref(g, VBG_ACT_GELU)));
        }
}

static void act_back(const vbg_row_io *io, const void *dy, size_t lddy, vbg_act act)
{
    for (size_t r = 0; r < io->rows; r++)
        for (size_t j = 0; j < io->cols; j++) {
            double x = (double)vbg_ref_get(io->x, io->xt, r * io->ldx + j);
            double d = (double)vbg_ref_get(dy, io->yt, r * lddy + j);
            vbg_ref_put(io->y, io->yt, r * io->ldy + j,
                        (float)(d * vbg_act_slope_ref(x, act)));
        }
}

static void geglu_back(const vbg_row_io *io, const void *dy, size_t lddy)
{
    for (size_t r = 0; r < io->rows; r++)
        for (size_t j = 0; j < io->cols; j++) {
            double x = (double)vbg_ref_get(io->x, io->xt, r * io->ldx + j);
            double g = (double)vbg_ref_get(io->x, io->xt, r * io->ldx + io->cols + j);
            double d = (double)vbg_ref_get(dy, io->yt, r * lddy + j);
            vbg_ref_put(io->y, io->yt, r * io->ldy + j,
                        (float)(d * vbg_act_ref(g, VBG_ACT_GELU)));
            vbg_ref_put(io->y, io->yt, r * io->ldy + io->cols + j,
                        (float)(d * x * vbg_act_slope_ref(g, VBG_ACT_GELU)));
        }
}

static void dot_columns(float *sum, const vbg_row_io *io, const void *b, size_t ldb)
{
    for (size_t j = 0; j < io->cols; j++) {
        double s = 0;
        for (size_t r = 0; r < io->rows; r++)
            s += (double)vbg_ref_get(io->x, io->xt, r * io->ldx + j) *
                 (b ? (double)vbg_ref_get(b, io->xt, r * ldb + j) : 1);
        sum[j] += (float)s;
    }
}

static void convert(void *y, vbg_dtype yt, const void *x, vbg_dtype xt, size_t count)
{
    for (size_t i = 0; i < count; i++)
        vbg_ref_put(y, yt, i, vbg_ref_get(x, xt, i));
}

void vbg_pointwise_init_ref(vbg_pointwise_kernels *k)
{
    *k = (vbg_pointwise_kernels){ .act = act_rows,
                                  .add = add,
                                  .mul = mul,
                                  .affine = affine,
                                  .geglu = geglu,
                                  .act_back = act_back,
                                  .geglu_back = geglu_back,
                                  .dot_columns = dot_columns,
                                  .convert = convert };
}
