#define _POSIX_C_SOURCE 200809L
#include "bench/blas.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* The C interface of BLAS with its standard constants. */
enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };
typedef void sgemm_fn(int order, int ta, int tb, int m, int n, int k, float alpha,
                      const float *a, int lda, const float *b, int ldb, float beta,
                      float *c, int ldc);
typedef void set_threads_fn(int);

static sgemm_fn *sgemm; /* set once by bench_blas_open */

bool bench_blas_open(int threads)
{
    /* Its idle threads spin for a while (2^n cycles), which would disturb the rows
     * measured after it. */
    setenv("OPENBLAS_THREAD_TIMEOUT", "10", 0);
    void *lib = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    set_threads_fn *set;

    if (!lib)
        return false;
    /* ISO C has no conversion from object to function pointers: copy the bits. */
    void *a = dlsym(lib, "cblas_sgemm"), *b = dlsym(lib, "openblas_set_num_threads");
    memcpy(&sgemm, &a, sizeof a);
    memcpy(&set, &b, sizeof b);
    if (!sgemm || !set)
        return false;
    set(threads);
    return true;
}

void bench_blas_gemm(float *y, const float *x, const float *w, int m, int n, int k)
{
    sgemm(ROW_MAJOR, NO_TRANS, TRANS, m, n, k, 1, x, k, w, k, 0, y, n);
}
