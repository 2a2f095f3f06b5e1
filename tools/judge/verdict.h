/* What the views of a room say together: colours of its surfaces, kind, things. */
#ifndef VBG_TOOLS_JUDGE_VERDICT_H
#define VBG_TOOLS_JUDGE_VERDICT_H

#include "models/judge.h"
#include "tools/judge/facts.h"

/* What a judge's outputs are called; borrowed. */
typedef struct vbg_judge_names {
    const char *label[VBG_JUDGE_MAX_NAMES], *kind[VBG_JUDGE_MAX_NAMES];
    int labels, kinds;
} vbg_judge_names;
void vbg_judge_names_of(vbg_judge_names *n, const vbg_judge *j);
/* Numbers by name; -1: the judge does not know it. */
int vbg_judge_find_label(const vbg_judge_names *n, const char *name);
int vbg_judge_find_kind(const vbg_judge_names *n, const char *name);

/* Start from a zeroed one. */
typedef struct vbg_verdict {
    double light[VBG_REGIONS][3]; /* linear, weighted by solid angle */
    double weight[VBG_REGIONS];
    double luminance, total;
    double kind[VBG_JUDGE_MAX_NAMES];  /* sums of logarithms */
    double share[VBG_JUDGE_MAX_NAMES]; /* of the view that shows most of a label */
    int views;
} vbg_verdict;

void vbg_verdict_add(vbg_verdict *v, const vbg_judge_names *n,
                     const vbg_judge_view *seen);

/* The palette colour nearest in Lab to the region's mean colour after the room's mean
 * luminance is divided out (tools/rooms/palette.h); -1: the region is not to be seen. */
int vbg_verdict_colour(const vbg_verdict *v, int region);
/* Number of the most likely kind. */
int vbg_verdict_kind(const vbg_verdict *v, const vbg_judge_names *n);
/* Whether a label fills enough of some view to be named: VBG_VERDICT_SHARE. */
bool vbg_verdict_has(const vbg_verdict *v, int label);
extern const double VBG_VERDICT_SHARE;

/* ---- how often the judge is right on true renders ---- */

/* Counts of right answers and of questions. */
typedef struct vbg_score {
    long colour, colours;   /* regions named with a colour */
    long kind, kinds;       /* scenes */
    long found, mains;      /* main things that are there */
    long refused, absences; /* main things of other scenes that are not there */
} vbg_score;

/* main[n_main]: labels that are the main thing of some scene; those the scene does not
 * have are the ones that must be refused. */
void vbg_score_add(vbg_score *s, const vbg_verdict *v, const vbg_judge_names *n,
                   const vbg_facts *f, const int *main, int n_main);
/* Shares right; NaN where nothing was asked.  Things: mean of the shares found and
 * refused, so that neither saying always yes nor always no helps. */
double vbg_score_colour(const vbg_score *s);
double vbg_score_kind(const vbg_score *s);
double vbg_score_things(const vbg_score *s);

#endif
