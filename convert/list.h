/* What is inside a model file of any readable format (vbg-convert --list). */
#ifndef VBG_CONVERT_LIST_H
#define VBG_CONVERT_LIST_H

#include <jansson.h>

#include "engine/base.h"

/* Reads path completely by the rules of its format and returns
 *   { "file", "format", "arch" (null when unknown), "what", "metadata": {key: value},
 *     "parameters", "bytes",
 *     "tensors": [{ "component", "name", "dtype", "shape", "bytes", "layout" }] }
 * component and layout only where the format has them.  *out belongs to the caller
 * (json_decref).  Errors: those of the format's reader. */
vbg_status vbg_list(json_t **out, const char *path, vbg_err *err);

#endif
