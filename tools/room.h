/* A sentence to a panorama: what vbg-gen and vbg-run share. */
#ifndef VBG_TOOLS_ROOM_H
#define VBG_TOOLS_ROOM_H

#include "engine/picture.h"
#include "models/generate.h"
#include "tools/options.h"

/* Everything that decides how a room looks; also what its metadata holds. */
typedef struct vbg_room_spec {
    char *prompt[VBG_GEN_MAX_VIEWS]; /* owned; 1 or views of them */
    int prompts;
    char *negative;
    char *model; /* path of the .vbg */
    uint64_t seed;
    int steps, views;
    double guidance; /* VBG_GEN_MODEL: the model's own */
    vbg_sampler_kind sampler;
    int view_side;     /* pixels of a view, 0: the model's */
    int width, height; /* of the panorama */
    bool flat, tiny_decoder;
    vbg_dtype precision;
    float *latents; /* owned, NULL: drawn from the seed */
    int latent_c, latent_h, latent_w;
    const char *dump; /* path for the intermediate arrays or NULL */
} vbg_room_spec;

void vbg_room_spec_free(vbg_room_spec *s); /* accepts zeroed */

typedef struct vbg_room {
    vbg_picture panorama; /* the flat picture when spec.flat */
    vbg_picture view[VBG_GEN_MAX_VIEWS];
    int views, view_w, view_h;
    char model_name[128], model_hash[64];
    vbg_sampler_kind sampler; /* the one used */
    double guidance;          /* the one used */
    vbg_isa isa;
    vbg_dtype compute;
    double seconds;
} vbg_room;

/* Opens the model, prints the plan, shows progress, makes views and panorama.
 * Errors: those of models/generate.h; VBG_ECANCEL after a signal. */
vbg_status vbg_room_make(vbg_room *out, const vbg_room_spec *spec, const vbg_values *v,
                         vbg_err *err);
void vbg_room_free(vbg_room *r); /* accepts zeroed */

/* The same through the cache ($XDG_CACHE_HOME/vbg/rooms): an earlier room of the same
 * model, sentence and settings is read instead.  path gets the cached PNG's name. */
vbg_status vbg_room_cached(char *path, size_t size, const vbg_room_spec *spec,
                           const vbg_values *v, vbg_err *err);

/* Writes the room's panorama (or flat picture) with its metadata; metadata false
 * leaves all but GPano out.  Errors: those of vbg_picture_save. */
vbg_status vbg_room_save(const char *path, const vbg_room *r, const vbg_room_spec *s,
                         bool metadata, int quality, vbg_err *err);

/* ---- metadata (tools/room_meta.c) ---- */

/* The A1111 "parameters" text and the `vbg` JSON of a room; malloc'd, NULL when
 * memory ran out. */
char *vbg_room_parameters(const vbg_room_spec *s, const vbg_room *r);
char *vbg_room_json(const vbg_room_spec *s, const vbg_room *r);
/* Fills a spec from a `vbg` JSON text (--replay).  model_hash gets the recorded
 * hash, isa the recorded level.  Errors: VBG_EFORMAT. */
vbg_status vbg_room_from_json(vbg_room_spec *s, char model_hash[64], char isa[32],
                              const char *json, vbg_err *err);

#endif
