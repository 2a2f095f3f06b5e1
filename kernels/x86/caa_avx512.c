/* Correspondence-aware attention, see caa_tmpl.h. */
#include "kernels/caa.h"
#include "kernels/x86/simd.h"
#include "kernels/x86/caa_tmpl.h"
#include "kernels/x86/caa_back_tmpl.h"

void vbg_caa_init_avx512(vbg_caa_kernels *k)
{
    k->run = run;
    k->back = back;
    k->scatter = scatter;
}
