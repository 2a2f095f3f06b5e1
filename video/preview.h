/* A preview window: the same picture that the virtual camera gets, through SDL2, which is
 * loaded when it is asked for. */
#ifndef VBG_VIDEO_PREVIEW_H
#define VBG_VIDEO_PREVIEW_H

#include "video/sink.h"

/* Opens with the first frame, on the session's output thread.  Closing the window ends
 * the preview alone.  Errors: VBG_EUNSUPPORTED (built without SDL2, the library is not
 * there, or no display is), VBG_ENOMEM. */
vbg_status vbg_sink_preview(vbg_sink **out, const char *title, vbg_err *err);
/* A key that was pressed there since the last call, 0: none.  From any thread while the
 * sink exists. */
int vbg_preview_key(vbg_sink *s);

#endif
