/* Backdrops for figures: pictures of a folder, or rooms rendered for the purpose. */
#ifndef VBG_ROOMS_BACKDROP_H
#define VBG_ROOMS_BACKDROP_H

#include "tools/rooms/figure_film.h"
#include "tools/rooms/render.h"
#include "tools/rooms/things.h"
#include "tools/train/data.h"

/* Makes backdrops, one at a time; one for each thread. */
typedef struct backdrops {
    const vbg_paths *files; /* borrowed; empty: rooms are rendered */
    int kinds[KINDS], n_kinds;
    int w, threads;
    render_opt quality;
    renderer *r;
    canvas c;
    scene s;
} backdrops;

/* b's first members are set by the caller.  Errors: VBG_ENOMEM. */
vbg_status vr_backdrops_open(backdrops *b, vbg_err *err);
void vr_backdrops_close(backdrops *b);
/* The backdrop that seed stands for.  Errors: those of vbg_picture_load, VBG_ENOMEM. */
vbg_status vr_backdrops_make(backdrops *b, uint64_t seed, backdrop *out, vbg_err *err);

#endif
