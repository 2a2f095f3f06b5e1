/* A camera for programs that ask PipeWire: a Video/Source node, without any kernel
 * module.  libpipewire-0.3 is loaded when it is asked for. */
#ifndef VBG_VIDEO_PIPEWIRE_H
#define VBG_VIDEO_PIPEWIRE_H

#include "video/sink.h"

/* name: how the camera is called in lists.  Frames of w x h (even) are offered as I420
 * and YUY2.  The node rests while nobody is linked to it: readers() tells, and nothing is
 * copied meanwhile.  A daemon that ends is looked for again by reopen().
 * Errors: VBG_EUNSUPPORTED (built without PipeWire, or the library is not there),
 * VBG_EIO (no daemon), VBG_ENOMEM. */
vbg_status vbg_sink_pipewire(vbg_sink **out, const char *name, int w, int h, double fps,
                             vbg_err *err);

#endif
