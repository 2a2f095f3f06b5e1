/* A picture of a room as the level views that a judge looks at. */
#ifndef VBG_TOOLS_JUDGE_VIEWS_H
#define VBG_TOOLS_JUDGE_VIEWS_H

#include "engine/picture.h"

enum { VBG_ROOM_VIEWS = 8 };

typedef struct vbg_look {
    int side, count; /* pixels of a view; 1..VBG_ROOM_VIEWS views */
    double start_deg;
} vbg_look;

/* An equirectangular picture (twice as wide as high) as look.count level views, 90
 * degrees wide, at yaw start + 360 k / count; a square picture as it is (then one view).
 * Larger panoramas are shrunk (antialiased) to about the views' resolution first.
 * view[0..*made-1] are new RGB pictures.
 * Errors: VBG_EUSAGE (neither; name is for the message), VBG_ENOMEM. */
vbg_status vbg_room_views(vbg_picture view[VBG_ROOM_VIEWS], int *made,
                          const vbg_picture *p, vbg_look look, const char *name,
                          vbg_err *err);
/* The same of a file, or of a folder with 0.png, 1.png, ... (of these every
 * (found / count)-th; start is not theirs). */
vbg_status vbg_room_load(vbg_picture view[VBG_ROOM_VIEWS], int *made, const char *path,
                         vbg_look look, vbg_err *err);
/* Accepts zeroed pictures. */
void vbg_room_views_free(vbg_picture view[VBG_ROOM_VIEWS]);

#endif
