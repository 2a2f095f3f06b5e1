/* Rooms: do neighbouring views agree, does the panorama close? */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/picture_io.h"
#include "models/overlap.h"
#include "tools/eval/commands.h"
#include "tools/gen_files.h"

/* Mean over the pairs i, i+1 of one room. */
static vbg_status room(double *out, const char *dir, double fov_deg, vbg_err *err)
{
    vbg_picture view[VBG_GEN_MAX_VIEWS] = { { 0 } };
    double sum = 0;
    int count;
    vbg_status st = vbg_gen_load_views(view, &count, dir, err);

    for (int i = 0; i < count && st == VBG_OK; i++) {
        double psnr = 0;
        st = vbg_overlap_psnr(&psnr, &view[i], &view[(i + 1) % count], fov_deg,
                              360.0 / count, err);
        sum += psnr;
    }
    if (st == VBG_OK)
        *out = sum / count;
    for (int i = 0; i < VBG_GEN_MAX_VIEWS; i++)
        vbg_picture_free(&view[i]);
    return st;
}

vbg_status vbg_eval_overlap(const vbg_values *v, vbg_report *r, vbg_err *err)
{
    const double fov = vbg_value_real(v, "fov");
    const char *truth = vbg_value(v, "truth");
    const size_t rooms = vbg_positionals(v) - 1;
    double sum = 0, true_sum = 0;
    vbg_status st = VBG_OK;

    for (size_t i = 1; i <= rooms && st == VBG_OK; i++) {
        char path[4400];
        double psnr = 0, true_psnr = 0;
        st = room(&psnr, vbg_positional(v, i), fov, err);
        if (st == VBG_OK && truth) {
            vbg_truth_path(path, sizeof path, truth, vbg_positional(v, i));
            st = room(&true_psnr, path, fov, err);
        }
        if (st == VBG_OK && vbg_stop_signal())
            st = vbg_fail(err, VBG_ECANCEL, "stopped");
        if (st == VBG_OK)
            vbg_report_sample(r, vbg_positional(v, i), psnr);
        sum += psnr;
        true_sum += true_psnr;
    }
    if (st != VBG_OK)
        return st;
    vbg_report_int(r, "rooms", (int64_t)rooms);
    vbg_report_real(r, "overlap PSNR dB", sum / (double)rooms, 2);
    if (truth) {
        vbg_report_real(r, "the truth's dB", true_sum / (double)rooms, 2);
        vbg_report_real(r, "ratio", sum / true_sum, 3);
    }
    return VBG_OK;
}

vbg_status vbg_eval_seam(const vbg_values *v, vbg_report *r, vbg_err *err)
{
    const size_t count = vbg_positionals(v) - 1;
    double sum = 0, worst = 0;
    vbg_status st = VBG_OK;

    for (size_t i = 1; i <= count && st == VBG_OK; i++) {
        vbg_picture p = { 0 };
        st = vbg_picture_load(&p, NULL, vbg_positional(v, i), 3, err);
        if (st == VBG_OK) {
            double ratio = vbg_seam_ratio(&p);
            vbg_report_sample(r, vbg_positional(v, i), ratio);
            sum += ratio;
            worst = fmax(worst, ratio);
        }
        vbg_picture_free(&p);
    }
    if (st != VBG_OK)
        return st;
    vbg_report_int(r, "panoramas", (int64_t)count);
    vbg_report_real(r, "mean seam ratio", sum / (double)count, 3);
    vbg_report_real(r, "worst", worst, 3);
    return VBG_OK;
}
