/* Shared by the three files of the oracle runner. */
#ifndef VBG_TESTS_GOLDEN_INTERNAL_H
#define VBG_TESTS_GOLDEN_INTERNAL_H

#include "tests/golden/golden.h"

typedef struct golden_out_value {
    char *name;
    double *v;
    size_t count;
} golden_out_value;

enum { GOLDEN_NOTES = 12 };

struct golden {
    char dir[512], stem[200], suffix[200];
    vbg_safetensors *data;
    json_t *json;
    json_t *family; /* borrowed from tolerances.json */
    bool own;       /* second run, without feed */
    vbg_isa isa;
    vbg_ctx *ctx;

    void **memory;
    size_t nmemory;
    golden_out_value *outs, *numbers;
    size_t nouts, nnumbers;

    /* the verdict: the worst check by error / limit */
    char worst[192];
    double worst_error, worst_limit, worst_ratio;
    size_t checks;
    bool failed, skipped;
    char skip_reason[200];
    char notes[GOLDEN_NOTES][256];
    int nnotes;
    char left_out[200]; /* names of optional tensors that nothing computed */
    size_t nleft_out;
};

/* '*' matches anything; caught (up to 8 spans) gets what each star matched. */
typedef struct golden_caught {
    int count;
    struct {
        const char *at;
        size_t len;
    } star[8];
} golden_caught;
bool golden_match(const char *glob, const char *name, golden_caught *caught);

/* Compares everything reported with everything stored (compare.c). */
void golden_judge(golden *g);
/* One metric of one check (metrics.c).  x, r: n values of shape dim; false when the
 * metric is unknown.  *error is better when smaller and passes when <= *limit. */
typedef struct golden_pair {
    const double *x, *r;
    size_t nx, nr;
    size_t last; /* length of the last axis of r */
    const json_t *check;
} golden_pair;
bool golden_metric(const golden_pair *p, double *error, double *limit, bool *ok);
/* The rows and columns of o and r (t's values) that check names (select.c); false: all
 * count. */
bool golden_slice(golden *g, const json_t *check, const golden_out_value *o,
                  const vbg_st_tensor *t, const double *r, golden_pair *out);
/* Whether the family's "skip" leaves this tensor (or "json:PATH") out. */
bool golden_skips(const golden *g, const char *name);
void golden_note(golden *g, const char *fmt, ...) VBG_PRINTF(2, 3);
const golden_out_value *golden_find_out(const golden *g, const char *name);

#endif
