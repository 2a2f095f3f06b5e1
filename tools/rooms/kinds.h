/* One function per kind of scene: builds it, sets the eye, the light and the facts. */
#ifndef VBG_ROOMS_KINDS_H
#define VBG_ROOMS_KINDS_H

#include "engine/base.h"
#include "tools/rooms/room.h"

/* Whether scenes of this kind can be made. */
bool vr_kind_built(int kind);

/* The kinds that list names, with commas between (NULL: all that can be made), into kinds
 * (room for KINDS).  Errors: VBG_EUSAGE. */
vbg_status vr_kinds_of(const char *list, int *kinds, int *count, vbg_err *err);

/* Builds kind (a scene_kind) from seed into a reset scene. */
void vr_build(scene *s, int kind);

/* Time of day, sky and lamps for a room; also the mood. */
void vr_room_light(room *m);
/* Windows on up to two walls; at least one when must is set. */
void vr_room_windows(room *m, float sill_lo, float sill_hi, bool must);
/* Ceiling lamps on a grid, power shared. */
void vr_room_lamps(room *m, int nx, int nz, int style, float power);
void vr_room_pictures(room *m, int n);

void vr_kind_living(scene *s);
void vr_kind_bedroom(scene *s);
void vr_kind_kitchen(scene *s);
void vr_kind_bathroom(scene *s);
void vr_kind_attic(scene *s);
void vr_kind_office(scene *s);
void vr_kind_lecture(scene *s);
void vr_kind_library(scene *s);
void vr_kind_arcade(scene *s);
void vr_kind_corridor(scene *s);
void vr_kind_gallery(scene *s);
void vr_kind_spaceship(scene *s);
void vr_kind_underwater(scene *s);
void vr_kind_land(scene *s, int kind); /* beach ... snow but the city */
void vr_kind_city(scene *s);
void vr_kind_rooftop(scene *s);
void vr_kind_garden(scene *s);

#endif
