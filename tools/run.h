/* vbg-run's three ways: videos (run_video.c), pictures (run_stills.c) and cameras
 * (run_live.c). */
#ifndef VBG_TOOLS_RUN_H
#define VBG_TOOLS_RUN_H

#include "engine/tensor.h"
#include "tools/options.h"
#include "video/background.h"
#include "video/camera.h"
#include "video/follow.h"
#include "video/mask.h"
#include "video/relight.h"

/* What both need, read from the options. */
typedef struct vbg_run_setup {
    vbg_values *v;
    int argc; /* the command line, to read the configuration again */
    char **argv;
    const char *input, *output, *mask, *mask_out, *motion_log;
    char camera[64];       /* path of the device; "" for clips */
    bool stuck;            /* a thread was left behind: free nothing */
    char background[4096]; /* as given, or the cached room's path */
    vbg_ctx_opt ctx_opt;
    vbg_ctx *ctx;
    vbg_segmenter *segmenter;    /* NULL: chroma or given masks */
    vbg_mask_opt mask_opt;       /* without sizes */
    vbg_background_opt back_opt; /* without sizes and colours */
    vbg_follow_opt follow;
    vbg_relight_opt relight;
    bool flip_h, flip_v;
    bool alpha; /* no background at all: the output carries an alpha */
} vbg_run_setup;

/* What the options say about masks, background and flips.  Errors: VBG_EUSAGE. */
vbg_status vbg_run_read(vbg_run_setup *s, const vbg_values *v, vbg_err *err);
/* The same, then the context, the room of --text and the segmenter. */
vbg_status vbg_run_prepare(vbg_run_setup *s, vbg_err *err);

/* The whole job; prints notes and the summary.  *code: the exit code when the status is
 * VBG_OK (a signal, failed frames). */
vbg_status vbg_run_video(const vbg_run_setup *s, int *code, vbg_err *err);
/* A camera to a virtual camera or stream, until it is stopped.  With s->input a path of
 * device. */
vbg_status vbg_run_live(vbg_run_setup *s, const vbg_device *device, int *code,
                        vbg_err *err);
/* --list-cameras. */
void vbg_run_list_cameras(const vbg_device *device, const vbg_camera_want *want);
/* Keys of the terminal, when standard input is one and belongs to us: 0 is none. */
void vbg_run_keys_start(void);
int vbg_run_key(void);
void vbg_run_keys_stop(void);
/* "pipewire" or "pipewire:NAME". */
bool vbg_run_is_pipewire(const char *output);
/* "alpha" or "transparent". */
bool vbg_run_is_alpha(const char *background);
/* --segmenter auto: the best network at hand that takes at most budget_s a picture, else
 * the fastest.  w, h: as of vbg_segmenter_open.  Errors: VBG_EIO (none is there). */
vbg_status vbg_run_auto_segmenter(vbg_segmenter **out, const vbg_ctx_opt *opt, int w,
                                  int h, double budget_s, vbg_err *err);
/* The first of n times within the budget, else the least. */
int vbg_pick_by_speed(const double *seconds, int n, double budget_s);
/* What is asked of a camera. */
void vbg_run_want(vbg_camera_want *want, const vbg_values *v);
/* vbg-run doctor: what is missing for a virtual camera, and the command that mends it.
 * root: "" or a folder that holds sys/ and proc/ (tests).  Returns the exit code. */
int vbg_run_doctor(const vbg_device *device, const char *root);
/* vbg-run sheet VIDEO -o FILE: argv[0] is skipped.  Returns the exit code. */
int vbg_run_sheet(int argc, char **argv);
/* The whole program but its name: for tests, which bring their own devices. */
int vbg_run_main(int argc, char **argv, const vbg_device *device);

/* Command line, configuration and preset once more (SIGHUP).  Errors: VBG_EUSAGE. */
vbg_status vbg_run_reread(vbg_values **out, const vbg_run_setup *s, vbg_err *err);

/* folder: every picture of a folder into another one. */
vbg_status vbg_run_stills(const vbg_run_setup *s, bool folder, int *code, vbg_err *err);

#endif
