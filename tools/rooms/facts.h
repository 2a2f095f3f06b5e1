/* What is in the finished picture: measured colours, areas and directions of objects,
 * and the sentences that say so. */
#ifndef VBG_ROOMS_FACTS_H
#define VBG_ROOMS_FACTS_H

#include "tools/rooms/render.h"
#include "tools/rooms/things.h"

enum { CAPTION_BYTES = 600, VIEWS = 8 };

/* Object that a pixel shows: s->objs index, or -1. */
int vr_pixel_object(const scene *s, const canvas *c, size_t i);

/* Fills the measured fields of s->objs from the picture.  A colour word that the picture
 * does not bear out is taken back (colour becomes NO_COLOUR). */
void vr_measure(scene *s, const canvas *c);

/* lines[0] the whole, lines[1 + k] the view at 45k degrees.  Needs vr_measure; all
 * choices come from seed. */
void vr_captions(const scene *s, uint64_t seed, char lines[1 + VIEWS][CAPTION_BYTES]);

/* The facts as JSON text (malloc'd, freed by the caller), NULL when out of memory. */
char *vr_facts_json(const scene *s, char lines[1 + VIEWS][CAPTION_BYTES],
                    const render_stats *st);

/* True when the combination kind, colour, main thing is kept out of training: one in
 * twelve, by FNV-1a of "kind|colour|thing" and a number of the kind's.  The colour is the
 * main thing's or, indoors, that of the walls. */
bool vr_triple_held_out(int kind, int colour, int what);
/* The same for all combinations that a built scene stands for. */
bool vr_scene_held_out(const scene *s);

#endif
