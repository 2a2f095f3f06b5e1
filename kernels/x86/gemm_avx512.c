/* f32 matrix products and convolutions with AVX-512: tiles of 14 x 32 sums. */
#include "kernels/x86/gemm_x86.h"
#include "kernels/x86/vf_avx512.h"

enum { MR = 14, NB = 2 };

#include "kernels/x86/store_tmpl.h"
#include "kernels/x86/gemm_tmpl.h"
#include "kernels/x86/conv_small_tmpl.h"

void vbg_gemm_avx512(const vbg_gemm_args *a, size_t r0, size_t r1, size_t b0, size_t b1,
                     void *scratch)
{
    gemm(a, r0, r1, b0, b1, scratch);
}

size_t vbg_gemm_scratch_avx512(const vbg_gemm_args *a)
{
    return gemm_scratch(a);
}

void vbg_conv_avx512(const vbg_conv_args *a, size_t r0, size_t r1, size_t b0, size_t b1,
                     void *scratch)
{
    conv(a, r0, r1, b0, b1, scratch);
}

size_t vbg_conv_scratch_avx512(const vbg_conv_args *a)
{
    return conv_scratch(a);
}

void vbg_gemm_init_avx512(vbg_gemm_kernels *k)
{
    *k = (vbg_gemm_kernels){ .gemm = gemm,
                             .gemm_scratch = gemm_scratch,
                             .conv = conv,
                             .conv_scratch = conv_scratch,
                             .depthwise = depthwise,
                             .transpose = transpose };
}
