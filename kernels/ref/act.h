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
    case VBG_ACT_GELU_TANH:
        return v / (1 + exp(-1.5957691216057308 * (v + 0.044715 * v * v * v)));
    case VBG_ACT_LEAKY_RELU:
        return v < 0 ? 0.1 * v : v;
    case VBG_ACT_ELU:
        return v < 0 ? expm1(v) : v;
    case VBG_ACT_SOFTPLUS:
        return (v > 0 ? v : 0) + log1p(exp(-fabs(v)));
    case VBG_ACT_EXP:
        return exp(v);
    }
    return v;
}

/* s(x) + x s'(x) for x times the logistic function s of f(x), whose slope is df. */
static inline double vbg_gated_slope_ref(double x, double f, double df)
{
    double s = 1 / (1 + exp(-f)), rest = 1 / (1 + exp(f));

    return s + (s * rest > 0 ? x * df * s * rest : 0);
}

/* The derivative of vbg_act_ref; at kinks as PyTorch has it. */
static inline double vbg_act_slope_ref(double v, vbg_act act)
{
    const double k = 1.5957691216057308, q = 0.044715;
    double s = 1 / (1 + exp(-v));

    switch (act) {
    case VBG_ACT_NONE:
        return 1;
    case VBG_ACT_RELU:
        return v <= 0 ? 0 : 1;
    case VBG_ACT_RELU6:
        return v <= 0 || v >= 6 ? 0 : 1;
    case VBG_ACT_SILU:
        return vbg_gated_slope_ref(v, v, 1);
    case VBG_ACT_GELU: {
        double bell = exp(-0.5 * v * v);
        return 0.5 * (1 + erf(v * 0.70710678118654752440)) +
               (bell > 0 ? v * bell * 0.39894228040143267794 : 0);
    }
    case VBG_ACT_QUICK_GELU:
        return vbg_gated_slope_ref(v, 1.702 * v, 1.702);
    case VBG_ACT_HSWISH:
        return v < -3 ? 0 : v >= 3 ? 1 : v / 3 + 0.5;
    case VBG_ACT_HSIGMOID:
        return v <= -3 || v >= 3 ? 0 : 1.0 / 6;
    case VBG_ACT_SIGMOID:
        return s / (1 + exp(v));
    case VBG_ACT_TANH:
        return 1 - tanh(v) * tanh(v);
    case VBG_ACT_GELU_TANH:
        return vbg_gated_slope_ref(v, k * (v + q * v * v * v), k * (1 + 3 * q * v * v));
    case VBG_ACT_LEAKY_RELU:
        return v > 0 ? 1 : 0.1;
    case VBG_ACT_ELU:
        return v > 0 ? 1 : exp(v);
    case VBG_ACT_SOFTPLUS:
        return s;
    case VBG_ACT_EXP:
        return exp(v);
    }
    return 1;
}

#endif
