/* The measurements of vbg-eval: each reads its positionals and fills a report. */
#ifndef VBG_TOOLS_EVAL_COMMANDS_H
#define VBG_TOOLS_EVAL_COMMANDS_H

#include "tools/eval/report.h"
#include "tools/options.h"

typedef struct vbg_measurement {
    const char *name, *arguments, *purpose;
    size_t least; /* positionals behind the name */
    vbg_status (*run)(const vbg_values *v, vbg_report *r, vbg_err *err);
} vbg_measurement;

/* In the order of --help; the last has no name. */
extern const vbg_measurement vbg_measurements[];

vbg_status vbg_eval_segment(const vbg_values *v, vbg_report *r, vbg_err *err);
vbg_status vbg_eval_flicker(const vbg_values *v, vbg_report *r, vbg_err *err);
vbg_status vbg_eval_matting(const vbg_values *v, vbg_report *r, vbg_err *err);
vbg_status vbg_eval_overlap(const vbg_values *v, vbg_report *r, vbg_err *err);
vbg_status vbg_eval_seam(const vbg_values *v, vbg_report *r, vbg_err *err);
vbg_status vbg_eval_fid(const vbg_values *v, vbg_report *r, vbg_err *err);
vbg_status vbg_eval_is(const vbg_values *v, vbg_report *r, vbg_err *err);
vbg_status vbg_eval_adherence(const vbg_values *v, vbg_report *r, vbg_err *err);
vbg_status vbg_eval_variety(const vbg_values *v, vbg_report *r, vbg_err *err);
vbg_status vbg_eval_nearest(const vbg_values *v, vbg_report *r, vbg_err *err);
vbg_status vbg_eval_clip(const vbg_values *v, vbg_report *r, vbg_err *err);

/* ---- tools/eval/files.c ---- */

/* Sorted names in a folder for which keep holds. */
typedef struct vbg_names {
    char **name;
    size_t count;
} vbg_names;
/* Errors: VBG_EIO, VBG_ENOMEM. */
vbg_status vbg_names_list(vbg_names *out, const char *dir, bool (*keep)(const char *name),
                          vbg_err *err);
/* Names of pictures (vbg_is_picture_name) and, with folders, of folders of views 0.png,
 * 1.png, ... */
vbg_status vbg_names_rooms(vbg_names *out, const char *dir, bool folders, vbg_err *err);
void vbg_names_free(vbg_names *n);
/* The same sample below another folder: truth, then the last part of dir's path. */
void vbg_truth_path(char *path, size_t size, const char *truth, const char *dir);
/* .jpg, .jpeg, .png or .webp, no mask and no helper file of the trainer. */
bool vbg_is_picture_name(const char *name);
/* As above but masks count too. */
bool vbg_is_any_picture_name(const char *name);

#endif
