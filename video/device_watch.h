/* Who holds a device open: for drivers that do not tell how many read.  Linux: inotify
 * for that something happened, /proc for what holds. */
#ifndef VBG_VIDEO_DEVICE_WATCH_H
#define VBG_VIDEO_DEVICE_WATCH_H

#include "engine/base.h"

/* A descriptor that tells of opens and closes of path, or -1. */
int vbg_watch_open(const char *path);
/* True when somebody opened or closed it since the last call.  Never waits. */
bool vbg_watch_stirred(int fd);
/* How many other processes of this user hold path open.  No memory is asked for. */
int vbg_watch_holders(const char *path);

#endif
