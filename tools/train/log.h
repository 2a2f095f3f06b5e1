/* The training log: one JSON object a line, appended and flushed at once.
 *
 *     {"event":"train","step":1200,"epoch":3,"time":1795251234.512,"loss":0.1342,...}
 *
 * A number that is not finite becomes null. */
#ifndef VBG_TOOLS_TRAIN_LOG_H
#define VBG_TOOLS_TRAIN_LOG_H

#include <jansson.h>

#include "engine/base.h"

typedef struct vbg_log vbg_log;

/* Opens path for appending (a line that a crash left unfinished is ended first); fresh:
 * empties it.  Errors: VBG_EIO, VBG_ENOMEM. */
vbg_status vbg_log_open(vbg_log **out, const char *path, bool fresh, vbg_err *err);
void vbg_log_close(vbg_log *l); /* accepts NULL */

/* A new event with its name, step and time. */
json_t *vbg_log_event(const char *event, long step);
void vbg_log_number(json_t *event, const char *name, double v);
/* Writes the event and frees it.  The first failure (full disk) is warned about, the
 * training goes on. */
void vbg_log_write(vbg_log *l, json_t *event);
/* A warn event that is also shown. */
void vbg_log_warn(vbg_log *l, long step, const char *fmt, ...) VBG_PRINTF(3, 4);

#endif
