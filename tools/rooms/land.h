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

#endif
