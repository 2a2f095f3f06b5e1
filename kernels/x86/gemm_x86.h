/* What the fast matrix products lend each other: the f32 versions also serve
 * operands that a bf16 version does not take (f32 or f16 weights, f32 input). */
#ifndef VBG_KERNELS_X86_GEMM_X86_H
#define VBG_KERNELS_X86_GEMM_X86_H

#include "kernels/gemm.h"

void vbg_gemm_avx512(const vbg_gemm_args *a, size_t r0, size_t r1, size_t b0, size_t b1,
                     void *scratch);
size_t vbg_gemm_scratch_avx512(const vbg_gemm_args *a);
void vbg_conv_avx512(const vbg_conv_args *a, size_t r0, size_t r1, size_t b0, size_t b1,
                     void *scratch);
size_t vbg_conv_scratch_avx512(const vbg_conv_args *a);

#endif
