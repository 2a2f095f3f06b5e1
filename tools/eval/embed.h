/* Pictures as rows of features: by a two-tower model, or by a judge, which looks at a
 * panorama or a folder of views view by view. */
#ifndef VBG_TOOLS_EVAL_EMBED_H
#define VBG_TOOLS_EVAL_EMBED_H

#include "tools/eval/commands.h"
#include "tools/judge/views.h"

typedef struct vbg_embedder vbg_embedder;

/* By --judge or --model.  Errors: VBG_EUSAGE (neither), those of vbg_judge_open and
 * vbg_towers_open. */
vbg_status vbg_embedder_open(vbg_embedder **out, const vbg_values *v, vbg_err *err);
void vbg_embedder_close(vbg_embedder *e); /* accepts NULL */

/* Values of a row. */
size_t vbg_embedder_width(const vbg_embedder *e);
/* The file that it came from. */
const char *vbg_embedder_file(const vbg_embedder *e);
/* The picture (or folder of views, judges only) at path: out has room for
 * VBG_ROOM_VIEWS rows, *rows gets their number. */
vbg_status vbg_embed_picture(vbg_embedder *e, const char *path, float *out, int *rows,
                             vbg_err *err);

/* Features of every picture and folder of views in a folder, in order of their names. */
typedef struct vbg_feature_set {
    float *x; /* [rows][width] */
    size_t rows;
    vbg_names names;
    size_t *first; /* [names.count + 1]: rows of each */
} vbg_feature_set;
/* Errors: VBG_EUSAGE (no pictures), VBG_ECANCEL (signal), VBG_ENOMEM. */
vbg_status vbg_embed_folder(vbg_feature_set *out, vbg_embedder *e, const char *dir,
                            vbg_err *err);
void vbg_feature_set_free(vbg_feature_set *s); /* accepts zeroed */

#endif
