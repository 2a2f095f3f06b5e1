/* Ground, trees, rocks: what landscapes are made of. */
#ifndef VBG_ROOMS_LAND_H
#define VBG_ROOMS_LAND_H

#include "tools/rooms/room.h"

typedef enum land_shape {
    LAND_FLAT,
    LAND_ROLLING,
    LAND_PEAKS, /* flat near the eye, mountains around */
    LAND_DUNES,
    LAND_SHORE, /* falls to the sea at z < 0 */
    LAND_CRATERS
} land_shape;

typedef struct land {
    int shape;
    float amp;  /* metres */
    float flat; /* radius around the eye that stays level */
    uint32_t seed;
    float turn; /* direction of ridges or of the shore, radians */
} land;

float vr_land_height(const land *l, float x, float z);
/* Ground mesh out to far metres in rings, in the current material and object. */
void vr_land_mesh(scene *s, const land *l, float far);
/* Sea level 0 from the shore outwards: tex y holds the depth of the ground below. */
void vr_sea_mesh(scene *s, const land *l, float far);

typedef enum tree_kind {
    TREE_BROAD,
    TREE_PINE,
    TREE_BIRCH,
    TREE_PALM,
    TREE_BARE
} tree_kind;
/* A tree at the frame's origin; leaf: material of the crown; cheap: a closed crown. */
void vr_tree(scene *s, rng *r, int kind, float h, int bark, int leaf, bool cheap);
void vr_bush(scene *s, rng *r, float size, int leaf);
void vr_rock(scene *s, rng *r, float size);
void vr_cactus(scene *s, rng *r, float h);
void vr_fern(scene *s, rng *r, float size, int leaf);
void vr_grass_tufts(scene *s, rng *r, const land *l, int n, float reach, int leaf);
void vr_flower_bed(scene *s, rng *r, float w, float d, int colour);
void vr_boat(scene *s, rng *r, int colour);
void vr_parasol(scene *s, rng *r, int colour);
void vr_lounger(scene *s, rng *r, int colour);
void vr_tent(scene *s, rng *r, int colour);
void vr_cabin(scene *s, rng *r, bool snow);
void vr_car(scene *s, rng *r, int colour);
void vr_street_lamp(scene *s, bool on);

/* ---- out of doors (kinds_land.c) ---- */
/* Sky, sun, fog and key for a time of day; names the sky. */
void vr_weather(scene *s, int time, int back);
/* A sky_time, mostly by day. */
int vr_any_time(rng *r);
/* The ground as an object of its own; m.style is a ground_kind. */
void vr_ground(scene *s, const land *l, int colour, int stuff, material m, float far);
/* Onto the ground at distance d and direction a, turned by yaw. */
void vr_stand(scene *s, const land *l, float d, float a, float yaw);
int vr_m_leaf(scene *s, vec3 c, rng *r);
int vr_m_bark(scene *s, vec3 c, int style);
/* The eye h above the ground at the middle. */
void vr_eye_at(scene *s, const land *l, float h);

/* ---- what stands in towns (town_things.c) ---- */
/* A house front at z = 0 looking to +z, w wide, n floors high, deep behind; an object of
 * its own. */
void vr_house(scene *s, rng *r, float w, int floors, float deep);
/* A hedge in the current object, size about the frame's origin at the ground. */
void vr_hedge(scene *s, rng *r, vec3 size, int leaf);
void vr_park_bench(scene *s, rng *r);
void vr_pergola(scene *s, rng *r, float w, float d, int leaf);
void vr_pond(scene *s, rng *r, float radius);
void vr_water_tank(scene *s, rng *r);
void vr_vent(scene *s, rng *r);
/* One leaf: a bent quad of five points. */
void vr_leaf_card(scene *s, vec3 p, vec3 dir, vec3 side, float len, float wide, vec3 n);

#endif
