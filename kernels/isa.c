/* What the CPU can do, and permission for the AMX tile state. */
#define _GNU_SOURCE
#include "kernels/isa.h"

#include <cpuid.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const names[VBG_ISA_COUNT] = { "ref", "avx2", "avx512", "avx512_bf16",
                                                  "amx_bf16" };

const char *vbg_isa_name(vbg_isa isa)
{
    return names[isa];
}

bool vbg_isa_parse(vbg_isa *out, const char *name)
{
    for (int i = 0; i < VBG_ISA_COUNT; i++)
        if (strcmp(names[i], name) == 0) {
            *out = (vbg_isa)i;
            return true;
        }
    return false;
}

/* Linux hands out the 8 KB of tile state only on request. */
static bool ask_for_tiles(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static unsigned long long xcr0(void)
{
    unsigned lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (unsigned long long)hi << 32 | lo;
}

vbg_isa vbg_isa_detect(void)
{
    unsigned a, b, c, d, a1, b1, c1, d1, b7, c7, d7;

    if (!__get_cpuid(1, &a1, &b1, &c1, &d1) || !(c1 & bit_OSXSAVE) || !(c1 & bit_AVX) ||
        !(c1 & bit_FMA) || !(c1 & bit_F16C) || (xcr0() & 6) != 6)
        return VBG_ISA_REF;
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7) || !(b7 & bit_AVX2))
        return VBG_ISA_REF;
    unsigned need = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    if ((b7 & need) != need || (xcr0() & 0xe6) != 0xe6)
        return VBG_ISA_AVX2;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & (1u << 5)) ||
        !(c7 & bit_AVX512VNNI))
        return VBG_ISA_AVX512;
    const unsigned amx_bf16 = 1u << 22, amx_tile = 1u << 24, amx_int8 = 1u << 25;
    const unsigned amx = amx_bf16 | amx_tile | amx_int8;
    if ((d7 & amx) != amx || !(c7 & bit_AVX512VBMI) || !(c7 & bit_AVX512VBMI) ||
        (xcr0() & 0x60000) != 0x60000 || !ask_for_tiles())
        return VBG_ISA_AVX512_BF16;
    return VBG_ISA_AMX_BF16;
}
