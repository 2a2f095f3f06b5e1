/* Instruction-set levels.  Each contains the ones before it: avx512_bf16 takes
 * VNNI along, amx_bf16 the int8 tiles.  The same words end the file names. */
#ifndef VBG_KERNELS_ISA_H
#define VBG_KERNELS_ISA_H

#include <stdbool.h>

typedef enum vbg_isa {
    VBG_ISA_REF,
    VBG_ISA_AVX2,        /* AVX2, FMA, F16C                    */
    VBG_ISA_AVX512,      /* F, BW, DQ, VL                      */
    VBG_ISA_AVX512_BF16, /* + AVX512_BF16, AVX512_VNNI         */
    VBG_ISA_AMX_BF16,    /* + AMX tiles, bf16 and int8; VBMI   */
    VBG_ISA_COUNT,
    VBG_ISA_BEST = VBG_ISA_AMX_BF16
} vbg_isa;

/* "ref", "avx2", "avx512", "avx512_bf16", "amx_bf16". */
const char *vbg_isa_name(vbg_isa isa);
/* False when name is none of the five. */
bool vbg_isa_parse(vbg_isa *out, const char *name);
/* The highest level of this CPU and kernel (AMX is asked for with arch_prctl;
 * once granted, the permission holds for all threads of the process). */
vbg_isa vbg_isa_detect(void);

#endif
