/* Learning-rate schedules: the factor on the base rate at step (or epoch) i.
 *
 *     factor
 *       1 |      _________
 *         |    /          \
 *         |   /            \      hold: the part of the rest at 1 before the decay
 *     min |  /              \____
 *         +-----------------------> i
 *           warm-up   hold  decay
 *
 * Pure functions: nothing to save in a checkpoint but i.
 * Sources: Loshchilov and Hutter 2017 (cosine), torch.optim.lr_scheduler, the warm-up and
 * poly rule of the BiSeNet projects. */
#ifndef VBG_ENGINE_SCHEDULE_H
#define VBG_ENGINE_SCHEDULE_H

#include <stdbool.h>

typedef enum vbg_decay {
    VBG_DECAY_CONSTANT,
    VBG_DECAY_COSINE, /* min + (1 - min) (1 + cos(pi u)) / 2; rises again past the end, as
                         PyTorch's does */
    VBG_DECAY_STEP,   /* gamma^floor(i / every) */
    VBG_DECAY_POLY,   /* (1 - u)^power, not below min */
    VBG_DECAY_LINEAR  /* 1 - u, not below min */
} vbg_decay;

typedef struct vbg_schedule {
    vbg_decay decay;
    double total;       /* steps or epochs in all, warm-up included */
    double warmup;      /* of them at rising rate, 0: none */
    double warmup_from; /* factor at i = 0 */
    bool warmup_exp;    /* from^(1 - i / warmup) instead of a straight line */
    double hold;        /* share of what follows the warm-up before the decay, 0..1 */
    double min;         /* factor at the end */
    double gamma;       /* STEP */
    double every;       /* STEP */
    double power;       /* POLY */
} vbg_schedule;

/* The factor at i >= 0; u runs from 0 to 1 between the end of hold and total. */
double vbg_schedule_at(const vbg_schedule *s, double i);

#endif
