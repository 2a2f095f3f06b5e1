/* Matrix products and convolutions with AVX-512 BF16: tiles of 14 x 32 sums, two
 * products per lane and instruction (vdpbf16ps).  Operands that are not bf16 on
 * both sides take the f32 kernels. */
#include "kernels/x86/gemm_x86.h"
#include "kernels/x86/vf_avx512.h"

enum { MR = 14, NB = 2 };
#define DOT_BF16

#include "kernels/x86/store_tmpl.h"
#include "kernels/x86/gemm_tmpl.h"

static bool fits(vbg_dtype xt, vbg_dtype wt)
{
    return xt == VBG_BF16 && wt == VBG_BF16;
}

static void gemm_bf16(const vbg_gemm_args *a, size_t r0, size_t r1, size_t b0, size_t b1,
                      void *scratch)
{
    if (fits(a->xt, a->wt))
        gemm(a, r0, r1, b0, b1, scratch);
    else
        vbg_gemm_avx512(a, r0, r1, b0, b1, scratch);
}

static size_t gemm_bf16_scratch(const vbg_gemm_args *a)
{
    return fits(a->xt, a->wt) ? gemm_scratch(a) : vbg_gemm_scratch_avx512(a);
}

static void conv_bf16(const vbg_conv_args *a, size_t r0, size_t r1, size_t b0, size_t b1,
                      void *scratch)
{
    if (fits(a->xt, a->wt))
        conv(a, r0, r1, b0, b1, scratch);
    else
        vbg_conv_avx512(a, r0, r1, b0, b1, scratch);
}

static size_t conv_bf16_scratch(const vbg_conv_args *a)
{
    return fits(a->xt, a->wt) ? conv_scratch(a) : vbg_conv_scratch_avx512(a);
}

void vbg_gemm_init_avx512_bf16(vbg_gemm_kernels *k)
{
    k->gemm = gemm_bf16;
    k->gemm_scratch = gemm_bf16_scratch;
    k->conv = conv_bf16;
    k->conv_scratch = conv_bf16_scratch;
}
