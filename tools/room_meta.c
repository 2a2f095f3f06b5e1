/* The text that a picture carries about how it was made. */
#define _GNU_SOURCE
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/room.h"

void vbg_room_spec_free(vbg_room_spec *s)
{
    for (int i = 0; i < VBG_GEN_MAX_VIEWS; i++)
        free(s->prompt[i]);
    free(s->negative);
    free(s->model);
    free(s->latents);
    *s = (vbg_room_spec){ 0 };
}

/* A value with comma, colon or newline is written as a JSON string. */
static void put_value(FILE *f, const char *key, const char *value)
{
    fprintf(f, ", %s: ", key);
    if (!strpbrk(value, ",:\n\"")) {
        fputs(value, f);
        return;
    }
    json_t *s = json_string(value);
    char *quoted = json_dumps(s, JSON_ENCODE_ANY);
    fputs(quoted ? quoted : "", f);
    free(quoted);
    json_decref(s);
}

char *vbg_room_parameters(const vbg_room_spec *s, const vbg_room *r)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    const char *label = vbg_sampler_label(r->sampler);
    const char *karras = strstr(label, " Karras");

    if (!f)
        return NULL;
    fprintf(f, "%s\n", s->prompt[0]);
    if (s->negative && *s->negative)
        fprintf(f, "Negative prompt: %s\n", s->negative);
    fprintf(f, "Steps: %d, Sampler: %.*s", s->steps,
            karras ? (int)(karras - label) : (int)strlen(label), label);
    if (karras)
        fputs(", Schedule type: Karras", f);
    fprintf(f, ", CFG scale: %g, Seed: %llu, Size: %dx%d", r->guidance,
            (unsigned long long)s->seed, r->view_w, r->view_h);
    if (*r->model_hash)
        put_value(f, "Model hash", r->model_hash);
    put_value(f, "Model", r->model_name);
    if (!s->flat)
        fprintf(f, ", Views: %d, Panorama size: %dx%d", s->views, s->width, s->height);
    fprintf(f, ", Version: vbg %s", VBG_VERSION);
    return fclose(f) == 0 ? text : NULL;
}

static json_t *cameras(int views)
{
    json_t *list = json_array();

    for (int i = 0; i < views; i++)
        json_array_append_new(list,
                              json_pack("{s:f,s:f,s:f,s:f}", "yaw", 360.0 * i / views,
                                        "pitch", 0.0, "roll", 0.0, "fov", 90.0));
    return list;
}

char *vbg_room_json(const vbg_room_spec *s, const vbg_room *r)
{
    json_t *prompts = json_array();

    for (int i = 0; i < s->views; i++)
        json_array_append_new(prompts,
                              json_string(s->prompt[s->prompts == s->views ? i : 0]));
    json_t *j = json_pack(
        "{s:s,s:s,s:o,s:s,s:I,s:i,s:f,s:s,s:s,s:s,s:{s:s,s:s},s:i,s:[i,i],s:b}",
        "version", VBG_VERSION, "text", s->prompt[0], "view_prompts", prompts, "negative",
        s->negative ? s->negative : "", "seed", (json_int_t)s->seed, "steps", s->steps,
        "guidance", r->guidance, "sampler", vbg_sampler_name(r->sampler), "precision",
        vbg_dtype_name(r->compute), "isa", vbg_isa_name(r->isa), "model", "name",
        r->model_name, "hash", r->model_hash, "views", s->views, "view_size", r->view_w,
        r->view_h, "flat", s->flat);
    if (!j)
        return NULL;
    if (s->tiny_decoder)
        json_object_set_new(j, "tiny_decoder", json_true());
    if (s->latents)
        json_object_set_new(j, "latents", json_true());
    if (!s->flat) {
        json_object_set_new(j, "cameras", cameras(s->views));
        json_object_set_new(
            j, "panorama",
            json_pack("{s:i,s:i,s:i}", "width", s->width, "height", s->height, "top", 0));
    }
    char *text = json_dumps(j, JSON_COMPACT);
    json_decref(j);
    return text;
}

static bool take_int(const json_t *j, const char *key, long lo, long hi, long *out)
{
    const json_t *v = json_object_get(j, key);

    if (!json_is_integer(v) || json_integer_value(v) < lo || json_integer_value(v) > hi)
        return false;
    *out = (long)json_integer_value(v);
    return true;
}

static bool take_prompts(vbg_room_spec *s, const json_t *j)
{
    const json_t *list = json_object_get(j, "view_prompts");

    if (json_array_size(list) != (size_t)s->views)
        return false;
    s->prompts = s->views;
    for (int i = 0; i < s->views; i++) {
        const char *p = json_string_value(json_array_get(list, (size_t)i));
        s->prompt[i] = p ? strdup(p) : NULL;
        if (!s->prompt[i])
            return false;
    }
    return true;
}

static bool take_panorama(vbg_room_spec *s, const json_t *j)
{
    const json_t *pano = json_object_get(j, "panorama");
    const json_t *side = json_object_get(j, "view_size");
    long w = 0, h = 0;

    s->flat = json_is_true(json_object_get(j, "flat"));
    s->view_side = (int)json_integer_value(json_array_get(side, 0));
    if (s->view_side < 8 || s->view_side > VBG_GEN_MAX_SIDE)
        return false;
    if (s->flat)
        return true;
    if (!take_int(pano, "width", 64, 16384, &w) ||
        !take_int(pano, "height", 32, 16384, &h))
        return false;
    s->width = (int)w;
    s->height = (int)h;
    return true;
}

vbg_status vbg_room_from_json(vbg_room_spec *s, char model_hash[64], char isa[32],
                              const char *json, vbg_err *err)
{
    json_t *j = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
    const json_t *model = json_object_get(j, "model");
    const char *sampler = json_string_value(json_object_get(j, "sampler"));
    const char *negative = json_string_value(json_object_get(j, "negative"));
    const char *hash = json_string_value(json_object_get(model, "hash"));
    const char *level = json_string_value(json_object_get(j, "isa"));
    const char *precision = json_string_value(json_object_get(j, "precision"));
    const json_t *guidance = json_object_get(j, "guidance");
    long steps, views, seed;
    bool ok = take_int(j, "steps", 1, 1000, &steps) &&
              take_int(j, "views", 1, VBG_GEN_MAX_VIEWS, &views) &&
              take_int(j, "seed", 0, INT64_MAX, &seed) && sampler && negative && hash &&
              level && json_is_number(guidance) &&
              vbg_sampler_parse(&s->sampler, sampler);

    if (ok) {
        s->steps = (int)steps;
        s->views = (int)views;
        s->seed = (uint64_t)seed;
        s->guidance = json_number_value(guidance);
        s->precision = precision && strcmp(precision, "f32") == 0 ? VBG_F32 : VBG_BF16;
        s->tiny_decoder = json_is_true(json_object_get(j, "tiny_decoder"));
        s->negative = strdup(negative);
        snprintf(model_hash, 64, "%s", hash);
        snprintf(isa, 32, "%s", level);
        ok = s->negative && isfinite(s->guidance) && take_prompts(s, j) &&
             take_panorama(s, j);
    }
    bool given = json_is_true(json_object_get(j, "latents"));
    json_decref(j);
    if (ok && given)
        return vbg_fail(err, VBG_EUNSUPPORTED,
                        "the picture was made from --latents, which "
                        "it does not hold");
    return ok ? VBG_OK
              : vbg_fail(err, VBG_EFORMAT,
                         "the picture's vbg text is damaged or of a "
                         "newer version");
}
