/* f32 matrix products and convolutions with AVX2 and FMA: tiles of 6 x 16 sums. */
#include "kernels/x86/vf_avx2.h"

enum { MR = 6, NB = 1 };

#include "kernels/x86/store_tmpl.h"
#include "kernels/x86/gemm_tmpl.h"
#include "kernels/x86/conv_small_tmpl.h"

void vbg_gemm_init_avx2(vbg_gemm_kernels *k)
{
    *k = (vbg_gemm_kernels){ .gemm = gemm,
                             .gemm_scratch = gemm_scratch,
                             .conv = conv,
                             .conv_scratch = conv_scratch,
                             .depthwise = depthwise,
                             .transpose = transpose };
}
