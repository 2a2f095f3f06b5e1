/* Attention, see attention_tmpl.h. */
#include "kernels/attention.h"
#include "kernels/x86/simd.h"
#include "kernels/x86/attention_tmpl.h"
#include "kernels/x86/attention_back_tmpl.h"

void vbg_attention_init_avx512(vbg_attention_kernels *k)
{
    *k = (vbg_attention_kernels){ .run = flash_run,
                                  .scratch = flash_scratch,
                                  .back = flash_back,
                                  .back_scratch = flash_back_scratch };
}
