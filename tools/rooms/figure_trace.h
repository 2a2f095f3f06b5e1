/* Pictures of a figure: colour and the exact share of every pixel that it covers. */
#ifndef VBG_ROOMS_FIGURE_TRACE_H
#define VBG_ROOMS_FIGURE_TRACE_H

#include "engine/base.h"
#include "tools/rooms/figure_light.h"
#include "tools/rooms/scene.h"

enum { SHUTTER = 8 /* instants of one exposure */ };

/* What is to be seen during one exposure.  The mesh moves from open (4 floats a vertex)
 * to shut, in a straight line; the camera stands at each instant as given. */
typedef struct figure_shot {
    const scene *s;
    const float *open, *shut; /* NULL: it stands still as in s */
    const figure_light *light;
    frame camera[SHUTTER]; /* x right, y up, z to the viewer; o its place */
    float focal;           /* pixels */
    int w, h;
    int inside, edge; /* samples of a pixel, and how many more at the outline */
    uint32_t seed;
} figure_shot;

typedef struct figure_tracer figure_tracer;

/* Errors: VBG_ENOMEM. */
vbg_status vr_tracer_new(figure_tracer **out, vbg_err *err);
void vr_tracer_free(figure_tracer *t); /* accepts NULL */
/* rgba [h][w][4]: linear colour times alpha, alpha.  One thread.  Errors: VBG_ENOMEM. */
vbg_status vr_trace_figure(figure_tracer *t, const figure_shot *k, float *rgba,
                           vbg_err *err);

#endif
