/* vbg-run's two ways: videos (run_video.c) and pictures (run_stills.c). */
#ifndef VBG_TOOLS_RUN_H
#define VBG_TOOLS_RUN_H

#include "engine/tensor.h"
#include "tools/options.h"
#include "video/background.h"
#include "video/mask.h"

/* What both need, read from the options. */
typedef struct vbg_run_setup {
    const vbg_values *v;
    const char *input, *output, *mask, *mask_out, *motion_log;
    char background[4096]; /* as given, or the cached room's path */
    vbg_ctx_opt ctx_opt;
    vbg_ctx *ctx;
    vbg_segmenter *segmenter;    /* NULL: chroma or given masks */
    vbg_mask_opt mask_opt;       /* without sizes */
    vbg_background_opt back_opt; /* without sizes and colours */
    bool flip_h, flip_v;
} vbg_run_setup;

/* The whole job; prints notes and the summary.  *code: the exit code when the status is
 * VBG_OK (a signal, failed frames). */
vbg_status vbg_run_video(const vbg_run_setup *s, int *code, vbg_err *err);
/* folder: every picture of a folder into another one. */
vbg_status vbg_run_stills(const vbg_run_setup *s, bool folder, int *code, vbg_err *err);

#endif
