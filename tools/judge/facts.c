/* Facts of scenes; see tools/judge/facts.h. */
#include "tools/judge/facts.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/io.h"
#include "tools/rooms/things.h"

enum { VIEWS = 8 };

static const char *const region_names[VBG_REGIONS] = { "wall", "floor", "ceiling",
                                                       "sky" };

int vbg_region_find(const char *name)
{
    if (strcmp(name, "ground") == 0)
        return VBG_REGION_FLOOR;
    for (int i = 0; i < VBG_REGIONS; i++)
        if (strcmp(name, region_names[i]) == 0)
            return i;
    return -1;
}

const char *vbg_region_name(int region)
{
    return region_names[region];
}

int vbg_colour_find(const char *word)
{
    for (int i = 0; i < COLOURS; i++)
        if (strcmp(word, vr_colour_word(i)) == 0)
            return i;
    return -1;
}

const char *vbg_colour_word(int colour)
{
    return vr_colour_word(colour);
}

/* The string of o[key] into text; false: none, or too long. */
static bool take_text(char text[VBG_FACT_NAME], const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    if (!s || strlen(s) >= VBG_FACT_NAME)
        return false;
    snprintf(text, VBG_FACT_NAME, "%s", s);
    return true;
}

/* One object: its share of every view is added to those of the same name. */
static void add_object(vbg_facts *f, double shares[][VIEWS], const json_t *o)
{
    const json_t *views = json_object_get(o, "view_share");
    char name[VBG_FACT_NAME];
    int i = 0;

    if (!take_text(name, o, "thing"))
        return;
    while (i < f->things && strcmp(f->thing[i].name, name) != 0)
        i++;
    if (i == VBG_FACT_THINGS)
        return;
    if (i == f->things) {
        snprintf(f->thing[i].name, VBG_FACT_NAME, "%s", name);
        f->things++;
    }
    for (size_t k = 0; k < VIEWS; k++) {
        shares[i][k] += json_number_value(json_array_get(views, k));
        f->thing[i].share = fmax(f->thing[i].share, shares[i][k]);
    }
}

static bool fill(vbg_facts *f, const json_t *root)
{
    double shares[VBG_FACT_THINGS][VIEWS] = { { 0 } };
    const char *key;
    json_t *value, *objects = json_object_get(root, "objects");
    size_t i;

    *f = (vbg_facts){ .colour = { -1, -1, -1, -1 } };
    if (!take_text(f->kind, root, "kind") || !json_is_array(objects))
        return false;
    take_text(f->main, root, "main");
    json_object_foreach((json_t *)(uintptr_t)root, key, value)
    {
        const char *word = json_string_value(json_object_get(value, "name"));
        const int region = vbg_region_find(key);
        if (region >= 0 && word)
            f->colour[region] = vbg_colour_find(word);
    }
    json_array_foreach(objects, i, value) add_object(f, shares, value);
    return true;
}

vbg_status vbg_facts_read(vbg_facts *f, const char *path, vbg_err *err)
{
    vbg_map m;
    vbg_status st = vbg_map_open(&m, path, 1 << 22, err);

    if (st != VBG_OK)
        return st;
    json_t *root = json_loadb(m.data ? (const char *)m.data : "", m.bytes, 0, NULL);
    if (!json_is_object(root) || !fill(f, root))
        st = vbg_fail(err, VBG_EFORMAT, "%s: no facts of a rendered scene", path);
    json_decref(root);
    vbg_map_close(&m);
    return st;
}

double vbg_facts_share(const vbg_facts *f, const char *thing)
{
    for (int i = 0; i < f->things; i++)
        if (strcmp(f->thing[i].name, thing) == 0)
            return f->thing[i].share;
    return 0;
}
