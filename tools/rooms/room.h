/* A room: its shell with openings, and the rule of where things may stand. */
#ifndef VBG_ROOMS_ROOM_H
#define VBG_ROOMS_ROOM_H

#include "tools/rooms/palette.h"
#include "tools/rooms/scene.h"
#include "tools/rooms/things.h"

enum { MAX_OPENINGS = 12, MAX_TAKEN = 96, BOOK_MATS = 40 };

typedef struct opening {
    int wall;               /* 0 far (-z), 1 right, 2 near, 3 left */
    float x, w, sill, head; /* x: middle along the wall, to its right from inside */
    bool door;
} opening;

typedef struct taken {
    float x0, x1, z0, z1, top; /* footprint and height of what stands there */
} taken;

typedef struct room {
    scene *s;
    rng *r;
    float w, d, h;
    opening open[MAX_OPENINGS];
    int n_open;
    taken took[MAX_TAKEN];
    int n_took;
    vec3 wood, wood2; /* the room's woods */
    int wood_name;
    int wood_mat, wood2_mat, metal_mat, white_mat, dark_mat;
    int book_mats[BOOK_MATS], n_books;
    bool no_skirting, no_crown;
} room;

/* ---- materials by name (stuff.c): each adds one and makes it current ---- */
int vr_m_paint(scene *s, vec3 c, float rough);
int vr_m_wood(scene *s, vec3 c, float rough);
int vr_m_fabric(scene *s, vec3 c, rng *r);
int vr_m_leather(scene *s, vec3 c);
int vr_m_metal(scene *s, int which,
               float rough); /* 0 steel 1 brass 2 copper 3 black 4 gold */
int vr_m_emit(scene *s, vec3 e, bool lit_by_light);
int vr_m_glass(scene *s);
int vr_m_picture(scene *s, rng *r, int style);
/* Any colour; neutrals and the scene's two hues are more likely when shy. */
int vr_pick_colour(scene *s, rng *r, bool shy);

/* ---- shell (room.c) ---- */
void vr_room_start(room *m, scene *s, float w, float d, float h);
/* Frame at the foot of a wall's middle: x along it, z into the room. */
frame vr_wall_frame(const room *m, int wall);
float vr_wall_length(const room *m, int wall);
/* Adds an opening where it fits; false when the wall is full. */
bool vr_room_opening(room *m, int wall, float w, float sill, float head, bool door);
typedef struct shell_style {
    int wall_mat, wall_colour, wall_stuff;
    int floor_mat, floor_colour, floor_stuff;
    int ceiling_mat, ceiling_style; /* 0 flat, 1 beams, 2 panels, 3 coffers */
    int accent_wall, accent_mat;    /* -1: none */
    float dado;                     /* height of tiles or panels below, 0: none */
    int dado_mat;
} shell_style;
/* Walls, floor, ceiling, windows with portals and sun, doors. */
void vr_room_shell(room *m, const shell_style *st);
/* One wall with its openings (those of wall k) in frame f, |x| < half. */
void vr_room_wall(room *m, const shell_style *st, int k, frame f, float half,
                  float height);
/* A usual choice of wall, floor and ceiling. */
shell_style vr_shell_home(room *m);
void vr_curtains(room *m, const opening *o, int colour);

/* ---- places ---- */
/* Free stretch of wall for a piece of size w x d x h with front clearance; the frame's
 * origin is the middle of its back. */
bool vr_place_wall(room *m, float w, float d, float h, float front, frame *f);
bool vr_place_on(room *m, int wall, float w, float d, float h, float front, frame *f);
/* Somewhere in the room, w x d, turned by yaw. */
bool vr_place_free(room *m, float w, float d, float margin, frame *f);
bool vr_place_corner(room *m, float w, float d, float h, frame *f);
/* Marks a rectangle of frame f, |x| < w/2, 0 < z < d. */
void vr_take(room *m, const frame *f, float w, float d, float top);
bool vr_is_free(const room *m, float x0, float x1, float z0, float z1);
/* Where the camera has most room; sets s->eye. */
void vr_room_eye(room *m, float height);
/* Lamp light: ball below a shade, warm or white. */
void vr_lamp_light(scene *s, vec3 at, float r, float power, vec3 tint);

/* ---- parts: furniture in the current frame, back at z = 0, front +z ---- */
int vr_sofa(room *m, float w, int colour);
int vr_armchair(room *m, int colour);
int vr_chair(room *m, int colour, int style);
int vr_office_chair(room *m, int colour);
int vr_stool(room *m, int colour, float h);
int vr_ottoman(room *m, int colour);
int vr_bench(room *m, float w, int colour);
int vr_coffee_table(room *m, float w, float d, int style);
int vr_table(room *m, float w, float d, float h, int style);
int vr_desk(room *m, float w);
int vr_side_table(room *m);
int vr_bed(room *m, float w, int colour);
int vr_wardrobe(room *m, float w, int colour);
int vr_dresser(room *m, float w);
int vr_shelf(room *m, float w, float h, int style);
void vr_book_row(room *m, float w, float h, float depth);
int vr_tv(room *m, float w, bool on);
int vr_fireplace(room *m, bool lit);
int vr_piano(room *m);
int vr_plant(room *m, float h, int style);
int vr_vase(room *m, float h, int colour, bool flowers);
int vr_floor_lamp(room *m, bool on, int colour);
int vr_table_lamp(room *m, bool on, int colour);
int vr_pendant(room *m, float drop, bool on, int style, float power);
int vr_picture(room *m, float w, float h, int style);
int vr_mirror(room *m, float w, float h);
int vr_rug(room *m, float w, float d, int colour);
int vr_computer(room *m);
int vr_clutter(room *m, float w, float d, int n); /* small things on a surface */
int vr_trunk(room *m, int colour);
int vr_box_pile(room *m);
int vr_fridge(room *m, int colour);
int vr_counter(room *m, float w, int colour, int what); /* what: 0 drawers 1 sink 2 hob */
int vr_wall_cupboards(room *m, float w, int colour);
int vr_hood(room *m);
int vr_bathtub(room *m);
int vr_toilet(room *m);
int vr_basin(room *m, int colour);
int vr_shower(room *m);
int vr_towel(room *m, int colour);
int vr_arcade(room *m, int colour);
int vr_pool_table(room *m);
int vr_whiteboard(room *m, float w, float h, bool black);
int vr_projection(room *m, float w);
int vr_lectern(room *m);
int vr_statue(room *m);
int vr_globe(room *m);
int vr_ladder(room *m, float h);

#endif
