/* What training needs of the matrix products, see train_tmpl.h. */
#include "kernels/train.h"
#include "kernels/x86/simd.h"
#include "kernels/x86/train_tmpl.h"

void vbg_train_init_avx512_bf16(vbg_train_kernels *k)
{
    fill(k);
}
