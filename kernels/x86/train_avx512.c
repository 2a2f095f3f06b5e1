/* What training needs of the matrix products, see train_tmpl.h. */
#include "kernels/train.h"
#include "kernels/x86/simd.h"
#include "kernels/x86/train_tmpl.h"

void vbg_train_init_avx512(vbg_train_kernels *k)
{
    fill(k);
}

void vbg_taps_avx512(const vbg_tap_args *a, size_t o0, size_t o1, size_t b0, size_t b1)
{
    taps_any(a, o0, o1, b0, b1);
}
