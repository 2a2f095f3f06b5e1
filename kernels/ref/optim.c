/* Parameter updates, the reference: every rule as torch.optim writes it. */
#include "kernels/optim.h"

#include <math.h>

/* The gradient that the rules see; its memory is cleared. */
static float take_gradient(const vbg_update *u, size_t i)
{
    float g = u->grad[i] * u->grad_scale + u->decay * u->value[i];

    u->grad[i] = 0;
    return g;
}

static void finish(const vbg_update *u, size_t i, float value)
{
    u->value[i] = value;
    if (u->ema)
        u->ema[i] = u->ema_decay * u->ema[i] + u->ema_rest * value;
}

static void sgd(const vbg_update *u)
{
    for (size_t i = 0; i < u->count; i++) {
        float g = take_gradient(u, i), step = g;
        if (u->m) {
            u->m[i] = u->beta1 * u->m[i] + u->beta1_rest * g;
            step = u->nesterov ? g + u->beta1 * u->m[i] : u->m[i];
        }
        finish(u, i, u->value[i] - u->lr * step);
    }
}

static void adam(const vbg_update *u)
{
    for (size_t i = 0; i < u->count; i++) {
        float g = take_gradient(u, i);
        u->m[i] = u->beta1 * u->m[i] + u->beta1_rest * g;
        u->v[i] = u->beta2 * u->v[i] + u->beta2_rest * (g * g);
        float v = u->v[i];
        if (u->vmax)
            v = u->vmax[i] = fmaxf(u->vmax[i], v);
        float root = sqrtf(v) * u->root_scale + u->eps;
        finish(u, i, u->value[i] * u->shrink - u->lr * (u->m[i] / root));
    }
}

static void rmsprop(const vbg_update *u)
{
    for (size_t i = 0; i < u->count; i++) {
        float g = take_gradient(u, i);
        u->v[i] = u->beta2 * u->v[i] + u->beta2_rest * (g * g);
        float step = g / (sqrtf(u->v[i]) + u->eps);
        if (u->m)
            step = u->m[i] = u->beta1 * u->m[i] + step;
        finish(u, i, u->value[i] - u->lr * step);
    }
}

static double squares(const float *x, size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

void vbg_optim_init_ref(vbg_optim_kernels *k)
{
    *k = (vbg_optim_kernels){
        .sgd = sgd, .adam = adam, .rmsprop = rmsprop, .squares = squares
    };
}
