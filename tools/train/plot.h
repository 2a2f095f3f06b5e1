/* Plots: of training logs (tools/train/log.h), and of what vbg-eval found. */
#ifndef VBG_TOOLS_TRAIN_PLOT_H
#define VBG_TOOLS_TRAIN_PLOT_H

#include "engine/io.h"

/* Values of one name over steps. */
typedef struct vbg_curve {
    char name[40]; /* "loss", "val/miou" */
    double *x, *y;
    size_t count, room;
} vbg_curve;

typedef struct vbg_history {
    char label[80];
    vbg_curve *curve;
    size_t count;
} vbg_history;

enum { VBG_PLOT_LOGS = 8, VBG_PLOT_PANELS = 12 };

/* Panels of a name each, with its "val/" curves; every history has a colour. */
typedef struct vbg_plot {
    vbg_history run[VBG_PLOT_LOGS];
    int runs, panels;
    char panel[VBG_PLOT_PANELS][40];
    double smooth; /* share of a curve that one smoothed point looks back, 0: none */
    const char *across, *note; /* what x is, and a line of explanation; NULL: as for logs */
} vbg_plot;

/* Reads logs (files, or folders that hold log.jsonl): of equal steps the later line
 * counts, damaged lines are passed over.  only: names of panels, with commas, or NULL for
 * all that change.  Errors: VBG_EIO, VBG_ENOMEM, VBG_ELIMIT, VBG_EFORMAT (nothing to
 * plot). */
vbg_status vbg_plot_read(vbg_plot *p, const char *const *log, int count, const char *only,
                         vbg_err *err);
void vbg_plot_free(vbg_plot *p); /* accepts zeroed */

/* Whether path ends in .png or .svg. */
bool vbg_plot_suffix(const char *path);

/* Draws it into a .png or .svg file.  Errors: VBG_EUSAGE (suffix), VBG_EIO,
 * VBG_EUNSUPPORTED (a build without cairo). */
vbg_status vbg_plot_write(const vbg_plot *p, const char *path, vbg_err *err);

/* Both, for a training's own log; a build without cairo does nothing. */
vbg_status vbg_plot_training(const char *folder, vbg_err *err);

#endif
