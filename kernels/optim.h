/* Parameter updates: one pass over values, gradient, moments and average. */
#ifndef VBG_KERNELS_OPTIM_H
#define VBG_KERNELS_OPTIM_H

#include <stdbool.h>
#include <stddef.h>

/* count values of each array; arrays that a rule does not need may be NULL.  The gradient
 * g = grad * grad_scale + decay * value is zero in memory afterwards. */
typedef struct vbg_update {
    float *value, *grad;
    float *m;    /* momentum; SGD, RMSprop: NULL without */
    float *v;    /* mean square */
    float *vmax; /* AMSGrad's maximum of v, or NULL */
    float *ema;  /* or NULL */
    size_t count;
    float grad_scale;
    float decay;      /* added to the gradient */
    float shrink;     /* value is multiplied by it first (AdamW); 1 elsewhere */
    float lr;         /* Adam: lr / (1 - beta1^t) */
    float beta1;      /* momentum of SGD and RMSprop */
    float beta1_rest; /* factor of g in m: 1 - beta1; SGD: 1 */
    float beta2, beta2_rest;
    float root_scale; /* Adam: 1 / sqrt(1 - beta2^t) */
    float eps;
    float ema_decay, ema_rest; /* their sum is 1 */
    bool nesterov;
} vbg_update;

typedef struct vbg_optim_kernels {
    /* m = beta1 m + beta1_rest g;  value -= lr (nesterov ? g + beta1 m : m) */
    void (*sgd)(const vbg_update *u);
    /* m, v moving averages of g and g^2; value = value shrink
     * - lr m / (sqrt(vmax or v) root_scale + eps) */
    void (*adam)(const vbg_update *u);
    /* v average of g^2; s = g / (sqrt(v) + eps); m = beta1 m + s;  value -= lr (m or s)
     */
    void (*rmsprop)(const vbg_update *u);
    /* Sum of squares: f32 over at most 256 values, f64 beyond. */
    double (*squares)(const float *x, size_t count);
} vbg_optim_kernels;

void vbg_optim_init_ref(vbg_optim_kernels *k);
void vbg_optim_init_avx2(vbg_optim_kernels *k);
void vbg_optim_init_avx512(vbg_optim_kernels *k);

#endif
