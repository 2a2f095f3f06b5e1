/* What vbg-eval found: named figures and, under each, rows of single samples.  Printed as
 * an aligned table or as one JSON value. */
#ifndef VBG_TOOLS_EVAL_REPORT_H
#define VBG_TOOLS_EVAL_REPORT_H

#include "engine/base.h"

typedef struct vbg_report vbg_report;

/* Errors: VBG_ENOMEM. */
vbg_status vbg_report_new(vbg_report **out, const char *what, vbg_err *err);
void vbg_report_free(vbg_report *r); /* accepts NULL */
/* A figure in order; decimals only for the table. */
void vbg_report_real(vbg_report *r, const char *name, double value, int decimals);
void vbg_report_int(vbg_report *r, const char *name, int64_t value);
void vbg_report_text(vbg_report *r, const char *name, const char *value);
/* One sample's value, e.g. a photo's IoU. */
void vbg_report_sample(vbg_report *r, const char *sample, double value);
/* To stdout.  samples: the table lists them too (JSON always does). */
vbg_status vbg_report_print(const vbg_report *r, bool json, bool samples, vbg_err *err);
/* The samples' values from the lowest to the highest as a .png or .svg file.  Errors:
 * VBG_EUSAGE (suffix, or a measurement without samples), VBG_EIO, VBG_ENOMEM,
 * VBG_EUNSUPPORTED (a build without cairo). */
vbg_status vbg_report_plot(const vbg_report *r, const char *path, vbg_err *err);

#endif
