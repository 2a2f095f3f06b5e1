/* How people move before a camera: talking, gesturing, looking about; and how a hand
 * holds a camera.  Everything is a function of time, so frames can be made in any order.
 */
#ifndef VBG_ROOMS_FIGURE_MOTION_H
#define VBG_ROOMS_FIGURE_MOTION_H

#include "tools/rooms/figure.h"

/* Where a hand may be. */
typedef enum hand_place {
    HAND_DOWN,
    HAND_LAP,
    HAND_FRONT,
    HAND_ASIDE,
    HAND_WAVE,
    HAND_CHIN,
    HAND_EAR,
    HAND_HOLD,
    HAND_FACE,
    HAND_CROSS,
    HAND_PLACES
} hand_place;

/* The pose of figure k at time_s of its act. */
figure_pose vr_act_pose(const figure_look *k, uint64_t act, float time_s);
/* Some moment for a photo: wider turns, more kinds of gestures. */
figure_pose vr_photo_pose(const figure_look *k, uint64_t seed);

typedef struct hand_held {
    uint64_t seed;
    float calm;        /* 1: as people hold a phone */
    float pan, pan_at; /* degrees, seconds: wanted turns */
    float pan_time;
} hand_held;

hand_held vr_hand_held(uint64_t seed, float seconds);
/* Yaw, pitch, roll in degrees, the truth's conventions (right, up, clockwise). */
void vr_hand_held_at(const hand_held *c, float time_s, double angles[3]);

#endif
