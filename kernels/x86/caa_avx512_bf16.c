/* Correspondence-aware attention, see caa_tmpl.h. */
#include "kernels/caa.h"
#include "kernels/x86/simd.h"
#include "kernels/x86/caa_tmpl.h"

void vbg_caa_init_avx512_bf16(vbg_caa_kernels *k)
{
    k->run = run;
}
