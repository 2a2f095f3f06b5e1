/* How different the pictures of one sentence are: mean distance of their features, pair
 * by pair, beside that of true renders of the same sentence. */
#include <stdio.h>
#include <stdlib.h>

#include "models/metrics.h"
#include "tools/eval/embed.h"

/* Mean distance of the pictures of one folder. */
static vbg_status spread(double *out, vbg_embedder *e, const char *dir, vbg_err *err)
{
    vbg_feature_set s;
    vbg_status st = vbg_embed_folder(&s, e, dir, err);

    if (st != VBG_OK)
        return st;
    if (s.names.count < 2)
        st = vbg_fail(err, VBG_EUSAGE, "%s: one picture; variety needs at least 2", dir);
    else
        *out = vbg_pair_distance(s.x, s.first, s.names.count, vbg_embedder_width(e));
    vbg_feature_set_free(&s);
    return st;
}

vbg_status vbg_eval_variety(const vbg_values *v, vbg_report *r, vbg_err *err)
{
    const char *truth = vbg_value(v, "truth");
    const size_t folders = vbg_positionals(v) - 1;
    double sum = 0, true_sum = 0;
    vbg_embedder *e = NULL;
    vbg_status st = vbg_embedder_open(&e, v, err);

    for (size_t i = 1; i <= folders && st == VBG_OK; i++) {
        char path[4400];
        double d = 0, true_d = 0;
        st = spread(&d, e, vbg_positional(v, i), err);
        if (st == VBG_OK && truth) {
            vbg_truth_path(path, sizeof path, truth, vbg_positional(v, i));
            st = spread(&true_d, e, path, err);
        }
        if (st == VBG_OK)
            vbg_report_sample(r, vbg_positional(v, i), truth ? d / true_d : d);
        sum += d;
        true_sum += true_d;
    }
    if (st == VBG_OK) {
        vbg_report_int(r, "sentences", (int64_t)folders);
        vbg_report_text(r, "features by", vbg_embedder_file(e));
        vbg_report_real(r, "mean distance", sum / (double)folders, 4);
    }
    if (st == VBG_OK && truth) {
        vbg_report_real(r, "the truth's", true_sum / (double)folders, 4);
        vbg_report_real(r, "ratio", sum / true_sum, 3);
        vbg_report_text(r, "ratio, floor", "0.50");
    }
    vbg_embedder_close(e);
    return st;
}
