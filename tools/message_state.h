/* What the progress line needs to know of the programs' voice. */
#ifndef VBG_TOOLS_MESSAGE_STATE_H
#define VBG_TOOLS_MESSAGE_STATE_H

#include <stdbool.h>

/* True when a line may be redrawn in place. */
bool vbg_voice_progress(void);
bool vbg_voice_quiet(void);

#endif
