/* Norms, see norm_tmpl.h. */
#include "kernels/norm.h"
#include "kernels/x86/simd.h"
#include "kernels/x86/norm_tmpl.h"

void vbg_norm_init_avx512_bf16(vbg_norm_kernels *k)
{
    fill(k);
}
