/* Files that are cut short while they are mapped.
 *
 * Reading a mapped page that lies beyond the end of its file raises SIGBUS.  Guarded
 * mappings survive it: the handler puts zeros in place of the rest of the mapping and
 * marks it as lost; whoever has read from mappings asks afterwards, before anything is
 * done with the result.  vbg_run, vbg_weights_open, vbg_weights_verify, vbg_picture_load
 * and vbg_writer_finish ask by themselves.
 *
 * The table of mappings is the one mutable global of the engine: a signal handler has
 * nothing else to look into.  vbg_map_open puts every file's mapping into it. */
#ifndef VBG_ENGINE_MAP_GUARD_H
#define VBG_ENGINE_MAP_GUARD_H

#include "engine/base.h"

/* Installs the handler of SIGBUS, for the whole process; programs do it at their start.
 * Without it the signal ends the process, as it does for addresses in no guarded mapping
 * and for mappings beyond VBG_GUARDS. */
void vbg_map_guard_install(void);

enum { VBG_GUARDS = 256 };

/* Enters a mapping, name for messages; thread-safe.  Returns its place, -1: no room. */
int vbg_map_guard_add(const void *data, size_t bytes, const char *name);
void vbg_map_guard_remove(int place); /* before munmap; accepts -1 */

/* VBG_EIO naming a mapped file that has lost its end, if there is one. */
vbg_status vbg_map_guard_check(vbg_err *err);

#endif
