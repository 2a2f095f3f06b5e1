/* Where models lie. */
#ifndef VBG_TOOLS_MODEL_PATH_H
#define VBG_TOOLS_MODEL_PATH_H

#include "engine/base.h"

/* Finds a model by path, or by name (with or without .vbg) in $VBG_MODEL_PATH (folders
 * separated by ':'), $XDG_DATA_HOME/vbg/models, PREFIX/share/vbg/models beside the
 * program, and weights/ of the clone it was built in.
 * A model that ships with vbg (room, person, bisenet) and lies in one of those places is
 * compared with its checksums.
 * Errors: VBG_EIO with the places searched; VBG_EFORMAT (a damaged or too new model that
 * ships with vbg); both say how to restore those that ship. */
vbg_status vbg_model_find(char *path, size_t size, const char *name, vbg_err *err);

/* $XDG_CACHE_HOME/vbg/rooms (made when missing), else ~/.cache/vbg/rooms; false when
 * neither exists. */
bool vbg_cache_dir(char *path, size_t size);

#endif
