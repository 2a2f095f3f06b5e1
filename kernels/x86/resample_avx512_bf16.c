/* Gather, bilinear rows and pooling, see resample_tmpl.h. */
#include "kernels/resample.h"
#include "kernels/x86/simd.h"
#include "kernels/x86/resample_tmpl.h"

void vbg_resample_init_avx512_bf16(vbg_resample_kernels *k)
{
    fill(k);
}
