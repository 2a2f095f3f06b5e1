/* Optimisers over a set of parameters, with PyTorch's update rules: SGD with momentum and
 * Nesterov, Adam and AMSGrad (weight decay added to the gradient), AdamW (decay apart),
 * RMSprop, and Muon: orthogonal directions (engine/muon.h) for layers, AdamW for the
 * rest; clipping by the global norm, parameter groups and a moving average of the
 * values (EMA) in the same pass.
 *
 *     vbg_optim_opt opt = vbg_optim_defaults(VBG_ADAMW);
 *     opt.weight_decay = 0.01, opt.clip = 1, opt.ema = 0.999;
 *     vbg_optim_new(&o, params, &opt, err);           after the model is bound
 *     for each step:
 *         ... forward and backward: gradients of k micro-batches add up ...
 *         norm = vbg_optim_step(o, c, lr, 1.0 / k);
 *         vbg_params_refresh(params, c);
 *
 * Moments and averages are f32.  Work is cut into fixed chunks and sums are taken in
 * their order, so results do not depend on the number of threads.
 * Sources: Sutskever et al. 2013, Kingma and Ba 2015, Reddi et al. 2018, Loshchilov and
 * Hutter 2019, Tieleman and Hinton 2012; torch.optim for every detail. */
#ifndef VBG_ENGINE_OPTIM_H
#define VBG_ENGINE_OPTIM_H

#include "engine/param.h"

typedef struct vbg_optim vbg_optim;

typedef enum vbg_optim_kind {
    VBG_SGD,
    VBG_ADAM,
    VBG_ADAMW,
    VBG_RMSPROP,
    VBG_MUON
} vbg_optim_kind;

typedef struct vbg_optim_opt {
    vbg_optim_kind kind;
    double momentum;     /* SGD, RMSprop, Muon */
    bool nesterov;       /* SGD */
    double beta1, beta2; /* Adam, AdamW, Muon's rest; beta2 is RMSprop's alpha */
    double eps;          /* added to the root: Adam, AdamW, RMSprop, Muon's rest */
    bool amsgrad;        /* Adam, AdamW */
    double weight_decay;
    bool decay_all;  /* norms and biases too, as PyTorch without groups; false: only
                        tensors of rank 2 and more decay */
    double clip;     /* largest global norm of the gradient, 0: any */
    double ema;      /* decay of the moving average, 0: none is kept */
    double ema2;     /* of a second one beside it, 0: none */
    bool ema_warmup; /* decays of step t (from 0) at most (1 + t) / (10 + t) */
} vbg_optim_opt;

/* PyTorch's defaults of a kind: betas 0.9 and 0.999 (RMSprop's alpha 0.99), eps 1e-8, no
 * momentum, weight decay 0 (AdamW 0.01), no clipping, no average.  Muon: AdamW's, and
 * momentum 0.95. */
vbg_optim_opt vbg_optim_defaults(vbg_optim_kind kind);

/* An optimiser with zero moments and averages equal to the values of the parameters that
 * p has now.  p must outlive it.  Errors: VBG_ENOMEM. */
vbg_status vbg_optim_new(vbg_optim **out, vbg_params *p, const vbg_optim_opt *opt,
                         vbg_err *err);
void vbg_optim_free(vbg_optim *o); /* accepts NULL */
const vbg_optim_opt *vbg_optim_options(const vbg_optim *o);

/* Parameters of component whose names match the glob get another learning rate (times
 * lr_factor) and, unless it is negative, their own weight decay.  The last call that
 * matches decides. */
void vbg_optim_group(vbg_optim *o, const char *component, const char *pattern,
                     double lr_factor, double weight_decay);

/* Muon, for layers of pack16 with both sides (outputs, all else) above 1, kernels of
 * convolutions as [oc][c kh kw]:
 *     m = momentum m + g;  value = value (1 - lr decay)
 *                                - lr 0.2 sqrt(larger side) direction(g + momentum m)
 * whose entries are as large as AdamW's, so that one rate and decay serve both (Liu et
 * al. 2025). */

/* One update with the gradients times grad_scale, which are zero afterwards.  Returns
 * their global norm before clipping; when it is not finite no value has changed. */
double vbg_optim_step(vbg_optim *o, vbg_ctx *c, double lr, double grad_scale);
/* Updates made so far. */
long vbg_optim_steps(const vbg_optim *o);

/* Exchanges values and averages (and packs again), e.g. around a validation; which: 0,
 * or 1 for the second ones.  Needs opt.ema or ema2; buffers have no average and stay. */
void vbg_optim_swap_ema(vbg_optim *o, vbg_ctx *c, int which);
/* Averages start again from the values. */
void vbg_optim_reset_ema(vbg_optim *o);

/* ---- for checkpoints (engine/train_state.h) ---- */

enum { VBG_OPTIM_SLOTS = 5 };
/* "momentum", "square", "square_max", "ema", "ema2" */
const char *vbg_optim_slot_name(int slot);
/* The f32 values of a slot for parameter i of the set, as many as the parameter has;
 * NULL when this optimiser does not keep it or the parameter is a buffer. */
float *vbg_optim_slot(vbg_optim *o, size_t i, int slot);
void vbg_optim_set_steps(vbg_optim *o, long steps);

/* ---- L-BFGS ---- */

/* Limited-memory BFGS over n doubles, torch.optim.LBFGS step by step: first step length
 * min(1, 1 / |g|_1) lr, then lr; strong Wolfe search by cubic interpolation or none. */
typedef struct vbg_lbfgs vbg_lbfgs;

typedef struct vbg_lbfgs_opt {
    double lr;               /* 1 */
    int history;             /* pairs kept: 10 (PyTorch's default is 100) */
    double tolerance_grad;   /* stops when max |g| is not above: 1e-7 */
    double tolerance_change; /* ... or a step changes less: 1e-9 */
    bool strong_wolfe;
    int max_eval; /* evaluations in one call of vbg_lbfgs_run, 0: 1.25 x iterations */
} vbg_lbfgs_opt;

/* Value at x[n] and its gradient into g[n]. */
typedef double vbg_objective(void *arg, const double *x, double *g);

/* Errors: VBG_ENOMEM. */
vbg_status vbg_lbfgs_new(vbg_lbfgs **out, size_t n, const vbg_lbfgs_opt *opt,
                         vbg_err *err);
void vbg_lbfgs_free(vbg_lbfgs *l); /* accepts NULL */
/* At most iterations from x, which is updated in place; history is kept between calls.
 * Returns the value at the x it was called with, as PyTorch's step does.
 * *done (may be NULL): nothing is left to gain. */
double vbg_lbfgs_run(vbg_lbfgs *l, double *x, int iterations, vbg_objective *f, void *arg,
                     bool *done);

#endif
