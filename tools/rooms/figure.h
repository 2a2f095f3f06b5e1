/* A person: how it looks, how it stands, and the mesh of both.
 *
 * Axes of the figure: x to its left (the viewer's right), y up from the floor, z forward.
 * Sizes follow tables of standing adults; skin, clothes and hair are signed distance
 * fields (figure_shape.c) turned into triangles for every pose, so that joints blend as
 * flesh does; hair and lashes are strips on top (figure_hair.c). */
#ifndef VBG_ROOMS_FIGURE_H
#define VBG_ROOMS_FIGURE_H

#include "tools/rooms/scene.h"
#include "tools/rooms/surface_net.h"

typedef enum figure_bone {
    B_PELVIS,
    B_CHEST, /* from the waist upwards */
    B_NECK,
    B_HEAD, /* at the middle between the eyes' sockets and the ears */
    B_UPPER_L,
    B_FORE_L,
    B_HAND_L,
    B_UPPER_R,
    B_FORE_R,
    B_HAND_R,
    B_THIGH_L,
    B_SHANK_L,
    B_THIGH_R,
    B_SHANK_R,
    BONES
} figure_bone;

typedef enum hair_style {
    HAIR_NONE,
    HAIR_BUZZ,
    HAIR_SHORT,
    HAIR_SIDE, /* parted */
    HAIR_CURLY,
    HAIR_AFRO,
    HAIR_BOB,
    HAIR_LONG,
    HAIR_WAVY,
    HAIR_BUN,
    HAIR_TAIL,
    HAIR_STYLES
} hair_style;

typedef enum wear_top {
    TOP_TSHIRT,
    TOP_SWEATER,
    TOP_SHIRT, /* with a collar and buttons */
    TOP_JACKET,
    TOP_HOODIE,
    TOP_BLOUSE,
    TOP_TURTLENECK,
    TOPS
} wear_top;

typedef struct figure_look {
    bool woman;
    float h;     /* stature, metres */
    float girth; /* 1 is slim */
    vec3 skin, lips, hair, brow, iris;
    int hair_style;
    float hair_line; /* metres higher than usual */
    float part;      /* where the hair parts, -1 .. 1 */
    float beard;     /* 0 none, below .4 stubble, to 1 full */
    int top;
    vec3 cloth, cloth2, under, trousers;
    int pattern; /* 0 plain, 1 stripes, 2 check, 3 dots, 4 print, 5 melange */
    bool short_sleeves, tie;
    float loose; /* metres between body and cloth, about .008 */
    int glasses; /* 0 none, 1 round, 2 square, 3 dark */
    int hat;     /* 0 none, 1 knitted, 2 cap */
    bool headset;
    int hold; /* right hand: 0 nothing, 1 mug, 2 telephone */
    vec3 gear;
    /* the face, about 0 with spread 1 */
    float wide, jaw, nose, nose_wide, lips_full, cheek, ears, brow_ridge, eye_size;
    uint64_t seed;
} figure_look;

typedef struct figure_pose {
    float lean, bend, twist; /* chest, degrees: forward, to its left, to its left */
    float nod, turn, tilt;   /* head on chest, degrees: down, to its left, to its left */
    vec3 hand[2];            /* wrists, left and right, figure axes */
    vec3 palm[2];            /* where the palms look */
    vec3 point[2];           /* where the fingers would point if the wrist let them */
    vec3 elbow[2];           /* where the elbows would like to go */
    float curl[2], splay[2]; /* fingers: 0 straight .. 1 fist; 0 closed .. 1 spread */
    float jaw, smile, brows; /* 0 .. 1, -1 .. 1, -1 .. 1 */
    float blink;             /* 0 open .. 1 shut */
    float gaze_x, gaze_y;    /* radians, to its left, up */
    float breath;            /* -1 .. 1 */
    vec3 shift;              /* of the pelvis */
    bool seated;
} figure_pose;

typedef struct figure_bones {
    frame at[BONES], rest[BONES];
    float s;    /* of the body's sizes; 1 for the median man */
    float head; /* of the head's */
    float upper, fore;
} figure_bones;

/* Skinned ranges of vertices move with the same bones. */
typedef enum figure_group {
    G_HEAD,   /* head, face, short hair */
    G_TRAIL,  /* long hair: head and chest */
    G_BODY,   /* clothes and skin below the chin */
    G_HAND_L, /* rigid */
    G_HAND_R,
    GROUPS
} figure_group;

typedef struct figure_range {
    size_t first, last; /* vertices */
    int group;
} figure_range;

enum { FIGURE_RANGES = 64 };

/* Kinds of surfaces: material.kind of figure meshes (figure_shade.c). */
typedef enum figure_surface {
    FS_SKIN, /* style 1: with a face; tex: place on the head, else at rest */
    FS_CLOTH,
    FS_HAIR, /* tex: direction of the strand x (1 + shade) */
    FS_EYE,  /* tex: place on the eyeball, unit; b: iris, c: where it looks */
    FS_HARD,
    FS_CAP /* the skin of hair under the strands */
} figure_surface;

/* A figure in one pose: triangles in scene axes below s->at. */
typedef struct figure {
    figure_look look;
    figure_pose pose;
    figure_bones bones;
    scene *s; /* its solid mesh, materials; borrowed */
    surface_net net;
    figure_range range[FIGURE_RANGES];
    int n_ranges;
    frame root;   /* of the figure in the scene */
    float detail; /* metres that a pixel covers there: finer than that is wasted */
} figure;

/* ---- figure_look.c ---- */
/* A character drawn from seed; about half are women. */
figure_look vr_figure_look(uint64_t seed);

/* ---- figure_body.c ---- */
/* Standing at ease, looking ahead. */
figure_pose vr_figure_rest(const figure_look *k);
void vr_figure_bones(figure_bones *b, const figure_look *k, const figure_pose *p);
/* p (figure axes) in the axes of a bone, and back. */
vec3 vr_bone_local(const frame *f, vec3 p);
/* Where a point of a group that is at p with bones now comes to lie with bones then. */
vec3 vr_figure_carry(const figure_bones *now, const frame then[BONES], int group, vec3 p);

/* ---- figure_mesh.c ---- */
/* Adds the figure's triangles and materials to f->s (reset before by the caller), placed
 * by f->root.  False when out of memory. */
bool vr_figure_build(figure *f, const figure_look *k, const figure_pose *p);
void vr_figure_free(figure *f); /* accepts a zeroed one */

/* ---- figure_shape.c: distances in figure axes ---- */
typedef struct figure_form {
    const figure_look *k;
    const figure_pose *p;
    const figure_bones *b;
    float thick; /* of the clothes here */
    int side;    /* of the hand that is asked for: 0 left, 1 right */
} figure_form;

float vr_form_skull(const figure_form *f, vec3 head); /* head axes, no features */
float vr_form_head(const void *form, vec3 p);         /* with face and neck */
float vr_form_hand(const void *form, vec3 p);
float vr_form_arms(const void *form, vec3 p); /* skin of the arms */
float vr_form_top(const void *form, vec3 p);
float vr_form_legs(const void *form, vec3 p);
float vr_form_cap(const void *form, vec3 p); /* hair as a solid */
float vr_form_hat(const void *form, vec3 p);
/* Height of the hair's edge on the skull at longitude a (0 front, head axes), metres. */
float vr_hair_edge(const figure_look *k, float a);
/* Where the eyes sit in head axes, left (side 0) and right, and their radius. */
vec3 vr_eye_place(const figure_form *f, int side);
float vr_eye_radius(const figure_form *f);

/* ---- parts of vr_figure_build ---- */
void vr_figure_hair(figure *f, const figure_form *form); /* figure_hair.c */
void vr_figure_wear(figure *f, const figure_form *form); /* figure_wear.c */
/* Vertices added from here on belong to group. */
void vr_figure_range(figure *f, int group);
/* The scene frame of a bone. */
frame vr_figure_frame(const figure *f, int bone);

#endif
