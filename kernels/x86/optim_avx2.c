/* Parameter updates, see optim_tmpl.h. */
#include "kernels/optim.h"
#include "kernels/x86/simd.h"
#include "kernels/x86/optim_tmpl.h"

void vbg_optim_init_avx2(vbg_optim_kernels *k)
{
    fill(k);
}
