/* Picture rows, see picture_tmpl.h. */
#include "kernels/picture.h"
#include "kernels/x86/simd.h"
#include "kernels/x86/picture_tmpl.h"

void vbg_picture_init_avx512(vbg_picture_kernels *k)
{
    fill(k);
}
