/* --segmenter auto: which of the networks at hand is good and fast enough here. */
#include <stdio.h>
#include <string.h>

#include "tools/model_path.h"
#include "tools/run.h"

enum { TRIES = 3 };

/* Better ones first: what they reach on photos (vbg-eval iou). */
static const char *const names[] = { "selfie", "deeplab", "person", "bodypix",
                                     "bisenet" };
enum { NAMES = sizeof names / sizeof *names };

int vbg_pick_by_speed(const double *seconds, int n, double budget_s)
{
    int least = 0;

    for (int i = 0; i < n; i++) {
        if (seconds[i] <= budget_s)
            return i;
        if (seconds[i] < seconds[least])
            least = i;
    }
    return least;
}

/* The best of a few runs on a gray picture; what it costs does not depend on it. */
static vbg_status measure(vbg_segmenter *s, double *seconds, vbg_err *err)
{
    vbg_picture p = { 0 };
    int w, h, mw, mh;
    vbg_status st;

    vbg_segmenter_size(s, &w, &h);
    vbg_segmenter_mask_size(s, &mw, &mh);
    float *alpha = vbg_alloc((size_t)mw * (size_t)mh * sizeof *alpha);
    st = alpha ? vbg_picture_new(&p, w, h, 3, err)
               : vbg_fail(err, VBG_ENOMEM, "out of memory");
    *seconds = 1e9;
    for (int i = 0; i <= TRIES && st == VBG_OK; i++) {
        const double start = vbg_now();
        st = vbg_segmenter_run(s, &p, alpha, err);
        const double took = vbg_now() - start;
        if (i > 0 && took < *seconds) /* the first one warms up */
            *seconds = took;
    }
    vbg_picture_free(&p);
    vbg_free_mem(alpha);
    return st;
}

vbg_status vbg_run_auto_segmenter(vbg_segmenter **out, const vbg_ctx_opt *opt, int w,
                                  int h, double budget_s, vbg_err *err)
{
    vbg_segmenter *found[NAMES] = { NULL };
    const char *name[NAMES];
    double seconds[NAMES];
    char path[4096];
    vbg_err why = { "" };
    int n = 0;

    *out = NULL;
    for (int i = 0; i < NAMES; i++) {
        if (vbg_model_find(path, sizeof path, names[i], &why) != VBG_OK)
            continue;
        vbg_status st = vbg_segmenter_open(&found[n], path, opt, w, h, &why);
        if (st == VBG_OK)
            st = measure(found[n], &seconds[n], &why);
        if (st != VBG_OK) {
            vbg_warning("%s", why.text);
            vbg_segmenter_close(found[n]);
            found[n] = NULL;
            continue;
        }
        vbg_detail("segmenter %s: %.1f ms", names[i], 1e3 * seconds[n]);
        name[n++] = names[i];
    }
    if (n == 0)
        return vbg_fail(err, VBG_EIO,
                        "--segmenter auto finds no network (bisenet, person, selfie, "
                        "deeplab or bodypix, made by vbg-convert): %s",
                        why.text);
    const int best = vbg_pick_by_speed(seconds, n, budget_s);
    vbg_detail("segmenter auto: %s", name[best]);
    for (int i = 0; i < n; i++)
        if (i != best)
            vbg_segmenter_close(found[i]);
    *out = found[best];
    return VBG_OK;
}
