/* Elementwise kernels, see pointwise_tmpl.h. */
#include "kernels/pointwise.h"
#include "kernels/x86/simd.h"
#include "kernels/x86/pointwise_tmpl.h"

void vbg_pointwise_init_avx2(vbg_pointwise_kernels *k)
{
    fill(k);
}
