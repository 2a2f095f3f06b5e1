/* From a scene to pixels: Embree rays, light, denoising, tone.
 *
 * A canvas keeps everything between the steps as planes of floats.  One primary ray per
 * pixel at its centre fixes the guide (albedo, normal, point, part); light is sampled
 * from there and denoised without texture; at the end pixels on edges are traced again
 * with several rays, each taking the light of the neighbour that lies on its surface. */
#ifndef VBG_ROOMS_RENDER_H
#define VBG_ROOMS_RENDER_H

#include "engine/base.h"
#include "tools/rooms/scene.h"

typedef enum plane_name {
    P_AR,
    P_AG,
    P_AB, /* albedo */
    P_ER,
    P_EG,
    P_EB, /* what shines by itself: lamps, sky */
    P_NX,
    P_NY,
    P_NZ, /* normal, zero where the ray met nothing */
    P_PX,
    P_PY,
    P_PZ, /* point */
    P_IR,
    P_IG,
    P_IB, /* irradiance / pi */
    P_SR,
    P_SG,
    P_SB, /* mirrored light */
    P_TR,
    P_TG,
    P_TB, /* scratch of the filter */
    P_D,  /* distance; 0: nothing met */
    P_Q,  /* inverse width of the plane test */
    P_L,  /* luminance of the plane being filtered */
    PLANES
} plane_name;

enum {
    CAMERA_EQUIRECT,
    CAMERA_VIEWS
}; /* views: 8 squares of w pixels, one below the other */
enum { VR_NO_PART = -1 };

typedef struct canvas {
    int w, h, camera;
    float *p[PLANES];
    uint32_t *part; /* material << 16 | object, VR_NO_PART: sky */
    uint8_t *gloss; /* 0: none, 1: mirror, 2: rough highlight */
    uint8_t *rgb;   /* the finished picture, sRGB */
    float *bloom;   /* quarter size, 3 floats per pixel */
    void *memory;
} canvas;

typedef struct render_opt {
    int spp_band, spp_pole; /* light samples within 47 degrees of the horizon, beyond */
    int aa;                 /* rays per pixel on edges, 0: none */
    int bounces;            /* 1, or 0 for the preview */
    int threads;
} render_opt;

typedef struct render_stats {
    uint64_t rays;
    double build_s, trace_s, filter_s, finish_s;
    float mean_luminance, clipped; /* of the finished picture, 0..1 */
} render_stats;

typedef struct renderer renderer;

/* Errors: VBG_ENOMEM, VBG_EUNSUPPORTED (built without Embree). */
vbg_status vr_renderer_new(renderer **out, vbg_err *err);
void vr_renderer_free(renderer *r); /* accepts NULL */

vbg_status vr_canvas_new(canvas *c, int w, int h, int camera, vbg_err *err);
void vr_canvas_free(canvas *c); /* accepts a zeroed canvas */

/* Renders s into c->rgb and the planes.  Same bits for every number of threads.
 * Errors: VBG_ENOMEM. */
vbg_status vr_render(renderer *r, scene *s, canvas *c, const render_opt *o,
                     render_stats *st, vbg_err *err);

/* Options of a quality, preview|fast|train|high, threads left 0; NULL: no such quality. */
const render_opt *vr_mode(const char *name);

/* Processors this process may use. */
int vr_default_threads(void);

/* Direction of pixel x, y (may be fractions: pixel centres at .5). */
vec3 vr_direction(const canvas *c, float x, float y);

#endif
