/* The control socket: lines of text to a running vbg-run and back.
 *
 *     set NAME=VALUE [NAME="VALUE WITH SPACES" ...]    all or nothing
 *     get NAME   status   pause   resume   reload   recenter   quit   watch
 *
 * Answers are one line: "ok [NAME=VALUE ...]" or "error: TEXT".  A line that starts with
 * { is taken as mpv's JSON IPC.  Clients are strangers: of the same user only, at most
 * 16, lines of at most 4096 bytes, 100 commands a second each, never waited for. */
#ifndef VBG_TOOLS_CONTROL_H
#define VBG_TOOLS_CONTROL_H

#include "tools/options.h"

enum { VBG_CONTROL_REPLY = 4096 };

typedef struct vbg_control vbg_control;

/* path NULL: $XDG_RUNTIME_DIR/vbg/run.sock; without that variable there is no socket:
 * *out is then NULL and the status good.  A socket whose program is gone is replaced.
 * Errors: VBG_EUSAGE (taken, too long), VBG_EIO. */
vbg_status vbg_control_open(vbg_control **out, const char *path, vbg_err *err);
void vbg_control_close(vbg_control *c); /* removes the socket; accepts NULL */
const char *vbg_control_path(const vbg_control *c);

/* One command (words[0] is its name, the rest its arguments, unquoted).  On success
 * reply may get what stands behind "ok ".  Errors go to the client as text. */
typedef vbg_status vbg_control_fn(void *arg, char **words, int count, char *reply,
                                  size_t size, vbg_err *err);
/* Serves whoever has something to say, at most timeout_ms.  c may be NULL (sleeps). */
void vbg_control_serve(vbg_control *c, int timeout_ms, vbg_control_fn *fn, void *arg);
/* A line to every client that said "watch". */
void vbg_control_tell(vbg_control *c, const char *line);

/* vbg-run ctl WORDS...: sends one command, prints the answer.  Returns the exit code. */
int vbg_control_client(int argc, char **argv);

/* $XDG_RUNTIME_DIR/vbg/run.sock; false when the variable is not set. */
bool vbg_control_default_path(char *path, size_t size);

#endif
