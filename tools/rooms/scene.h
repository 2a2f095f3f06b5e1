/* A scene: one triangle mesh with materials and named objects, lights, and what lies
 * outside.  Builders append to it in the current frame, material and object. */
#ifndef VBG_ROOMS_SCENE_H
#define VBG_ROOMS_SCENE_H

#include <stddef.h>

#include "tools/rooms/vec.h"

/* ---- colours (palette.c) ---- */

typedef enum colour_name {
    WHITE,
    BLACK,
    GREY,
    RED,
    ORANGE,
    YELLOW,
    GREEN,
    BLUE,
    PURPLE,
    PINK,
    BROWN,
    COLOURS,
    NO_COLOUR = -1
} colour_name;

/* ---- materials (material_tmpl.h) ---- */

typedef enum material_kind {
    MAT_PLAIN, /* paint, plastic, paper, metal, lacquer: one colour, slight mottle */
    MAT_WOOD,  /* grain along the longest axis of the part */
    MAT_PLANKS,
    MAT_TILE, /* style 1: checker of a and b, 2: hexagons */
    MAT_BRICK,
    MAT_MARBLE,
    MAT_CARPET, /* style 1: with stars and comets that glow */
    MAT_RUG,    /* style: pattern; tex x, y in 0..1 */
    MAT_FABRIC, /* style 1: stripes, 2: check, 3: dots */
    MAT_LEATHER,
    MAT_LEAF,
    MAT_GROUND, /* style: a ground_kind */
    MAT_WATER,
    MAT_PICTURE, /* tex x, y in 0..1, style: painter */
    MAT_BOOK,    /* tex z along the spine */
    MAT_SCREEN,  /* tex x, y in 0..1, glows */
    MAT_EMIT,
    MAT_FACADE, /* tex x, y in metres on the wall */
    MAT_PANEL,  /* technical panels: seams, bolts, small lights */
    MAT_GLASS,  /* only in the veil */
    MAT_BARK,
    MAT_CONCRETE,
    MAT_WALLPAPER,
    MATS
} material_kind;

typedef enum ground_kind {
    GROUND_GRASS,
    GROUND_SAND,
    GROUND_ROCK, /* rock with grass where it is flat */
    GROUND_SNOW, /* snow with rock where it is steep */
    GROUND_SOIL, /* forest floor */
    GROUND_ASPHALT,
    GROUND_MARS,
    GROUND_BEACH, /* sand, dark where wet near height 0 */
    GROUND_PAVING,
    GROUND_ALPINE /* grass, rock, snow by height and slope */
} ground_kind;

typedef struct material {
    int kind, style;
    vec3 a, b, c; /* linear colours */
    vec3 emit;    /* glow of MAT_EMIT and MAT_SCREEN */
    float scale;  /* metres of the pattern */
    float rough;  /* GGX alpha; below .35 it mirrors */
    float f0;     /* mirror reflection head on; metals: albedo becomes f0 */
    float bump;
    float through; /* share of the light that passes from behind */
    float sheen;
    bool metal;
    uint32_t seed;
    vec3 mean; /* mean albedo for bounced light, set by vr_material */
} material;

/* ---- named things (things.c) ---- */

typedef struct object {
    int what;   /* a thing_kind */
    int colour; /* colour_name or NO_COLOUR */
    int stuff;  /* stuff_word or 0 */
    int count;  /* how many pieces this object stands for */
    bool main;
    vec3 lo, hi; /* bounds */
    /* measured in the finished picture (facts.c) */
    vec3 sum;   /* mean colour, linear display light */
    int seen;   /* colour_name nearest to it */
    float area; /* steradians */
    float azimuth, elevation, distance;
    float shown;        /* share of its extent that nothing hides, about */
    float view_part[8]; /* share of what is seen of it that lies in the view */
    float view_area[8]; /* share of each view's pixels */
    float view_x[8];    /* degrees from the view's middle, right positive */
    float view_near[8];
    int view_seen[8];
} object;

/* ---- light ---- */

typedef enum light_shape { LIGHT_RECT, LIGHT_BALL, LIGHT_PORTAL } light_shape;

typedef struct light {
    int shape;
    vec3 o, u, v, n; /* rect: middle, half edges, direction it shines to */
    float r;         /* ball */
    vec3 emit;       /* radiance; portal: factor on the sky */
    float area;
} light;

typedef enum backdrop_kind {
    BACK_NONE,
    BACK_HILLS,
    BACK_MOUNTAINS,
    BACK_CITY,
    BACK_SEA,
    BACK_FOREST,
    BACK_DUNES,
    BACK_SPACE,
    BACK_UNDERWATER,
    BACK_GARDEN,
    BACK_SNOW
} backdrop_kind;

typedef enum sky_time {
    SKY_DAY,
    SKY_MORNING,
    SKY_EVENING,
    SKY_DUSK,
    SKY_NIGHT,
    SKY_OVERCAST,
    SKY_MARS,
    SKY_SPACE,
    SKY_WATER
} sky_time;

typedef struct sky {
    int time, back;
    vec3 zenith, middle, horizon, ground; /* radiance */
    vec3 sun_dir, sun_colour;             /* sun_colour: irradiance, 0 without sun */
    float sun_size;                       /* radians, half angle */
    float glow, cloud, stars, haze;
    vec3 cloud_light, cloud_dark;
    float eye; /* height of the eye above the ground outside, metres */
    vec3 land; /* colour of land or water outside */
    uint32_t seed;
    bool lit_windows;
    bool trees; /* painted rows of them: before windows, where no real ones stand */
} sky;

/* Radiance from direction d (unit).  fine: clouds, stars and the sun's disc too;
 * px: footprint in radians. */
vec3 vr_sky(const sky *k, vec3 d, bool fine, float px);
/* A sky for a time of day, varied by r. */
sky vr_sky_make(int time, int back, rng *r);

/* ---- the scene ---- */

typedef struct mesh {
    float *pos;     /* 4 per vertex, padded */
    float *nrm;     /* 3 per vertex */
    float *tex;     /* 3 per vertex */
    uint32_t *idx;  /* 3 per triangle */
    uint32_t *part; /* material << 16 | object */
    size_t nv, nt, cap_v, cap_t;
} mesh;

enum { VR_MAX_MATERIALS = 2048, VR_MAX_OBJECTS = 512, VR_MAX_LIGHTS = 24 };

typedef struct scene {
    mesh solid, veil; /* the veil (glass, lamp shades) stops no light */
    mesh *to;
    frame at;
    int mat, obj;
    bool face_uv;   /* boxes: tex x, y in metres on each face */
    uint32_t grain; /* counts primitives: each has its own piece of wood */
    bool failed;    /* out of memory or beyond a limit */
    material *mats;
    int n_mats;
    object *objs;
    int n_objs;
    light lights[VR_MAX_LIGHTS];
    int n_lights;
    vec3 (*windows)[4]; /* corner quads that the sun may pass, or NULL outdoors */
    int window_obj[16];
    int n_windows;
    sky sky;
    bool indoor;
    vec3 room_lo, room_hi; /* beyond them an indoor scene is out of doors; equal: no */
    vec3 eye;
    float fog; /* 1/m */
    vec3 fog_colour;
    float key;       /* mean luminance aimed at */
    float view_gain; /* brightness of what is seen outside */
    vec3 absorb;     /* 1/m per channel, for water */
    float caustics;
    /* what the captions know */
    int kind;
    int time; /* sky_time */
    bool lamps_on;
    int mood;                       /* mood_word, set by vr_measure */
    int floor, wall, ceiling, main; /* objects, -1 when absent */
    int outside;                    /* backdrop named when a window shows it */
    uint64_t seed;
    int hue, accent; /* colour_name: harmony of this scene */
    rng r;
} scene;

/* Empties a scene but keeps its memory; a zeroed scene is fine. */
void vr_scene_reset(scene *s, uint64_t seed);
void vr_scene_free(scene *s); /* accepts a zeroed scene */
/* Adds a material and makes it current; returns its number. */
int vr_material(scene *s, material m);
/* Adds an object and makes it current; returns its number. */
int vr_object(scene *s, int what, int colour, int stuff);
void vr_add_light(scene *s, light l);

/* ---- primitives (mesh.c), all in the current frame ---- */

uint32_t vr_vertex(scene *s, vec3 p, vec3 n, vec3 tex);
void vr_triangle(scene *s, uint32_t a, uint32_t b, uint32_t c);
/* Flat quad o, o+u, o+u+v, o+v with normal u x v; tex x, y in metres along u, v. */
void vr_rect(scene *s, vec3 o, vec3 u, vec3 v);
/* The same with tex x, y in 0..1. */
void vr_card(scene *s, vec3 o, vec3 u, vec3 v);
/* Box with rounded edges of radius r. */
void vr_box(scene *s, vec3 lo, vec3 hi, float r);
/* Box by middle of its base and size. */
void vr_block(scene *s, vec3 base, vec3 size, float r);
/* Soft cushion: a box bulged by puff. */
void vr_cushion(scene *s, vec3 mid, vec3 size, float puff);
void vr_ball(scene *s, vec3 mid, vec3 radii, int seg);
/* Cone or cylinder with caps. */
void vr_rod(scene *s, vec3 a, vec3 b, float ra, float rb, int seg);
/* Turned body: n points (radius, height) about y. */
void vr_lathe(scene *s, const float (*rh)[2], int n, int seg);
/* Tube along n points; radius shrinks to r1. */
void vr_tube(scene *s, const vec3 *p, int n, float r0, float r1, int seg);
/* nu x nv points, row by row (u fastest); normals from the neighbours; wrap_u closes it.
 * tex is the point itself, or 0..1 when card. */
void vr_patch(scene *s, const vec3 *p, int nu, int nv, bool wrap_u, bool card);

#endif
