/* Small readers of JSON configs that come from files: a wrong type or range is an
 * error, absence and null keep the default.  Private to models/. */
#ifndef VBG_MODELS_JSON_FIELD_H
#define VBG_MODELS_JSON_FIELD_H

#include <jansson.h>

#include "engine/base.h"

/* A document being read; the first problem stays in st and err. */
typedef struct vbg_fields {
    const char *what; /* "unet config" */
    json_t *root;
    vbg_status st;
    vbg_err *err;
} vbg_fields;

/* Parses text (NULL or "": an empty object).  False with f->st set when it is not a
 * JSON object.  Always followed by vbg_fields_close. */
bool vbg_fields_open(vbg_fields *f, const char *what, const char *text, vbg_err *err);
vbg_status vbg_fields_close(vbg_fields *f);

/* Numbers within [min, max], strings, booleans. */
void vbg_field_int(vbg_fields *f, const char *key, int *v, int min, int max);
void vbg_field_real(vbg_fields *f, const char *key, double *v, double min, double max);
void vbg_field_bool(vbg_fields *f, const char *key, bool *v);
/* NULL when absent; owned by f. */
const char *vbg_field_text(vbg_fields *f, const char *key);
/* A list of integers, or one integer for all `count` places; *count is set from a
 * list when it was 0, else must match.  Absent: untouched. */
void vbg_field_ints(vbg_fields *f, const char *key, int *v, int *count, int cap, int min,
                    int max);

#endif
