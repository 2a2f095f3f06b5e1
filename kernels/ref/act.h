/* The activation functions in double: what every fast version is tested against. */
#ifndef VBG_KERNELS_REF_ACT_H
#define VBG_KERNELS_REF_ACT_H

#include "kernels/gemm.h"

#include <math.h>

static inline double vbg_act_ref(double v, vbg_act act)
{
    switch (act) {
    case VBG_ACT_NONE:
        return v;
    case VBG_ACT_RELU:
        return v < 0 ? 0 : v; /* keeps NaN */
    case VBG_ACT_RELU6:
        return v < 0 ? 0 : v > 6 ? 6 : v;
    case VBG_ACT_SILU:
        return v / (1 + exp(-v));
    case VBG_ACT_GELU:
        return 0.5 * v * (1 + erf(v * 0.70710678118654752440));
    case VBG_ACT_QUICK_GELU:
        return v / (1 + exp(-1.702 * v));
    case VBG_ACT_HSWISH:
        return v * (v < -3 ? 0 : v > 3 ? 6 : v + 3) / 6;
    case VBG_ACT_HSIGMOID:
        return (v < -3 ? 0 : v > 3 ? 6 : v + 3) / 6;
    case VBG_ACT_SIGMOID:
        return 1 / (1 + exp(-v));
    case VBG_ACT_TANH:
        return tanh(v);
    }
    return v;
}

#endif
