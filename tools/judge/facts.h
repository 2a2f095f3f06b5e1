/* What the renderer wrote of a scene (x.json), as far as it is judged. */
#ifndef VBG_TOOLS_JUDGE_FACTS_H
#define VBG_TOOLS_JUDGE_FACTS_H

#include "engine/base.h"

typedef enum vbg_region {
    VBG_REGION_WALL,
    VBG_REGION_FLOOR, /* outdoors the ground */
    VBG_REGION_CEILING,
    VBG_REGION_SKY,
    VBG_REGIONS
} vbg_region;

/* "wall", "floor" or "ground", "ceiling", "sky"; -1: none of them. */
int vbg_region_find(const char *name);
/* "wall", "floor", "ceiling", "sky" */
const char *vbg_region_name(int region);
/* Palette colours (tools/rooms/palette.h) by their words; -1: unknown. */
int vbg_colour_find(const char *word);
const char *vbg_colour_word(int colour);

enum { VBG_FACT_NAME = 48, VBG_FACT_THINGS = 128 };

typedef struct vbg_facts {
    char kind[VBG_FACT_NAME];
    int colour[VBG_REGIONS];  /* that the region is named with, or -1 */
    char main[VBG_FACT_NAME]; /* main thing, "" without one */
    struct {
        char name[VBG_FACT_NAME];
        double share; /* of the one of the eight level views that shows most of it */
    } thing[VBG_FACT_THINGS];
    int things;
} vbg_facts;

/* Errors: VBG_EIO, VBG_EFORMAT (no facts of a scene). */
vbg_status vbg_facts_read(vbg_facts *f, const char *path, vbg_err *err);
/* Largest share of a view that the thing fills, 0 when it is not there. */
double vbg_facts_share(const vbg_facts *f, const char *thing);

#endif
