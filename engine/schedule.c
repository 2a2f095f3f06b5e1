/* Learning-rate schedules; see engine/schedule.h. */
#include "engine/schedule.h"

#include <math.h>

static double warmup_at(const vbg_schedule *s, double i)
{
    double u = i / s->warmup;

    if (s->warmup_exp)
        return pow(s->warmup_from, 1 - u);
    return s->warmup_from + (1 - s->warmup_from) * u;
}

double vbg_schedule_at(const vbg_schedule *s, double i)
{
    const double pi = 3.14159265358979323846;

    if (i < s->warmup)
        return warmup_at(s, i);
    double rest = s->total - s->warmup, start = s->hold * rest, at = i - s->warmup;
    double u = rest > start && at > start ? (at - start) / (rest - start) : 0;
    double left = u < 1 ? 1 - u : 0;
    switch (s->decay) {
    case VBG_DECAY_COSINE:
        return s->min + (1 - s->min) * (1 + cos(pi * u)) / 2;
    case VBG_DECAY_STEP:
        return pow(s->gamma, floor(at / s->every));
    case VBG_DECAY_POLY:
        return fmax(pow(left, s->power), s->min);
    case VBG_DECAY_LINEAR:
        return fmax(left, s->min);
    case VBG_DECAY_CONSTANT:
        break;
    }
    return 1;
}
