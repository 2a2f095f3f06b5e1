/* Sentences to judge generators with: true captions of scenes that were really built. */
#ifndef VBG_ROOMS_PROMPTS_H
#define VBG_ROOMS_PROMPTS_H

#include <jansson.h>

#include "tools/rooms/facts.h"

typedef struct prompt_opt {
    uint64_t seed;
    int count;
    int kinds[KINDS], n_kinds; /* taken in turn */
    int held;                  /* 0 none held out, 1 only such, 2 any */
    int threads;
} prompt_opt;

/* {"about", "seed", "prompts": [{"name", "prompt", "kind", "region", "colour", "object",
 * "triple", "scene"}, ...]}: each prompt names the colour of a surface (wall, floor,
 * ground, sky) and the main thing, both as measured in a small picture of the scene;
 * triple: the combination kept out of training, or null; scene: the seed of what was
 * built.  Kinds that have no such scene are left out, with a note.  *out is the caller's.
 * Errors: those of vr_render, VBG_ENOMEM, VBG_ECANCEL (signal). */
vbg_status vr_prompts(json_t **out, const prompt_opt *o, vbg_err *err);

/* True when text says "COLOUR [one word] NOUN" for the region's noun ("walls"). */
bool vr_says_colour(const char *text, const char *colour, const char *noun);

#endif
