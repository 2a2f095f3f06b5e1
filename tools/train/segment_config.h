/* The JSON configuration of noisrucer/virtual-background, read as it is: its keys become
 * options of `vbg-train segment`; what stands on the command line wins. */
#ifndef VBG_TOOLS_TRAIN_SEGMENT_CONFIG_H
#define VBG_TOOLS_TRAIN_SEGMENT_CONFIG_H

#include "tools/options.h"

/* Sets the options that path states and the user did not.
 * Errors: VBG_EIO, VBG_EFORMAT (not JSON, an unknown key, a value of another type or out
 * of range: the message names key and value), VBG_ELIMIT (beyond 1 MiB, strings beyond
 * 4096 bytes, numbers beyond 64 characters). */
vbg_status vbg_segment_config(vbg_values *v, const char *path, vbg_err *err);

#endif
