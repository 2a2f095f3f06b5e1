/* JSON of untrusted files: jansson behind checks that it does not make itself. */
#ifndef VBG_CONVERT_JSON_TEXT_H
#define VBG_CONVERT_JSON_TEXT_H

#include <jansson.h>

#include "engine/base.h"

/* Parses exactly one JSON value (duplicate keys, NUL, trailing text, invalid UTF-8,
 * nesting beyond depth and more than max_values commas and brackets refused).  NULL on
 * failure, *cause then holds a short constant text.  The result belongs to the caller
 * (json_decref). */
json_t *vbg_json_parse(const char *text, size_t bytes, int depth, size_t max_values,
                       const char **cause);

#endif
