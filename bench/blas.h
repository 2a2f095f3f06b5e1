/* OpenBLAS as the peer of the f32 matrix product.  It is opened at run time, so
 * neither the build nor the program needs it. */
#ifndef VBG_BENCH_BLAS_H
#define VBG_BENCH_BLAS_H

#include <stdbool.h>

/* False when there is no library. */
bool bench_blas_open(int threads);
/* y [m][n] = x [m][k] times the transpose of w [n][k]; after a successful open. */
void bench_blas_gemm(float *y, const float *x, const float *w, int m, int n, int k);

#endif
