/* One frame through mask, tracker, view and compositor. */
#include "video/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "video/resize.h"

struct vbg_chain {
    vbg_ctx *ctx;
    vbg_chain_opt opt;
    vbg_masker *masker;
    vbg_mask mask;
    vbg_tracker *tracker;
    vbg_resizer *shrink; /* alpha for the tracker */
    vbg_picture small;
    vbg_resizer *halve; /* luma for the tracker; NULL: as it is */
    vbg_picture half;
    bool found; /* the masker has seen this frame: it may have halved it already */
    vbg_follow follow;
    vbg_tracker_state motion;
    vbg_relight *relight;
};

/* From LARGE columns on the tracker sees half the size: the same angles (a pixel of 1280
 * is 0.06 degrees, corners are found to a tenth of it), half the time. */
enum { TRACK_MASK_SCALE = 4, LARGE = 1280 };

static vbg_status open_tracker(vbg_chain *ch, int w, int h, vbg_err *err)
{
    const int sw = vbg_max_int(1, w / TRACK_MASK_SCALE);
    const int sh = vbg_max_int(1, h / TRACK_MASK_SCALE);
    const int scale = w >= LARGE ? 2 : 1;
    const vbg_tracker_opt t = { .w = w / scale, .h = h / scale, .fov_x = ch->opt.fov_x };
    vbg_status st = vbg_tracker_new(&ch->tracker, ch->ctx, &t, err);

    if (st == VBG_OK)
        st = vbg_picture_new(&ch->small, sw, sh, 1, err);
    if (st == VBG_OK)
        st = vbg_resizer_new(&ch->shrink, w, h, sw, sh, 1, VBG_INTERP_AREA, err);
    if (st == VBG_OK && scale > 1)
        st = vbg_picture_new(&ch->half, t.w, t.h, 1, err);
    if (st == VBG_OK && scale > 1)
        st = vbg_resizer_new(&ch->halve, w, h, t.w, t.h, 1, VBG_INTERP_AREA, err);
    return st;
}

vbg_status vbg_chain_new(vbg_chain **out, vbg_ctx *c, const vbg_chain_opt *opt,
                         vbg_err *err)
{
    vbg_chain *ch = calloc(1, sizeof *ch);
    const int w = opt->mask.w, h = opt->mask.h;
    vbg_status st;

    *out = NULL;
    if (!ch)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    ch->ctx = c;
    ch->opt = *opt;
    ch->opt.follow.fov_x = opt->fov_x;
    st = vbg_masker_new(&ch->masker, &opt->mask, err);
    if (st == VBG_OK)
        st = vbg_relight_new(&ch->relight, w, h, err);
    if (st == VBG_OK)
        st = vbg_picture_new(&ch->mask.alpha, w, h, 1, err);
    if (st == VBG_OK && opt->track && w >= 64 && h >= 64)
        st = open_tracker(ch, w, h, err);
    if (st == VBG_OK)
        *out = ch;
    else
        vbg_chain_free(ch);
    return st;
}

void vbg_chain_free(vbg_chain *ch)
{
    if (!ch)
        return;
    vbg_masker_free(ch->masker);
    vbg_picture_free(&ch->mask.alpha);
    vbg_tracker_free(ch->tracker);
    vbg_resizer_free(ch->shrink);
    vbg_picture_free(&ch->small);
    vbg_resizer_free(ch->halve);
    vbg_picture_free(&ch->half);
    vbg_relight_free(ch->relight);
    free(ch);
}

const vbg_mask *vbg_chain_mask(const vbg_chain *ch)
{
    return &ch->mask;
}

vbg_status vbg_chain_set_mask(vbg_chain *ch, const vbg_mask_opt *opt, vbg_err *err)
{
    return vbg_masker_set(ch->masker, opt, err);
}

void vbg_chain_set_look(vbg_chain *ch, const vbg_follow_opt *follow,
                        const vbg_relight_opt *relight)
{
    ch->opt.follow = *follow;
    ch->opt.follow.fov_x = ch->opt.fov_x;
    ch->opt.relight = *relight;
}

void vbg_chain_recenter(vbg_chain *ch)
{
    vbg_follow_recenter(&ch->follow, &ch->motion);
}

void vbg_chain_find(vbg_chain *ch, const vbg_raw_frame *raw, const vbg_frame *given,
                    vbg_chain_report *report)
{
    const double start = vbg_now();

    vbg_masker_run(ch->masker, ch->ctx, raw, given, &ch->mask, &report->mask_err);
    ch->found = true;
    report->mask_s = vbg_now() - start;
}

static void track(vbg_chain *ch, const vbg_raw_frame *raw, const vbg_mask *person,
                  vbg_tracker_state *motion)
{
    const vbg_kernels *k = vbg_ctx_kernels(ch->ctx);
    const vbg_yuv *v = &raw->frame.yuv;
    vbg_picture luma = {
        .data = v->plane[0], .w = v->w, .h = v->h, .channels = 1, .stride = v->stride[0]
    };
    vbg_tracker_mask m = { 0 };

    if (ch->halve && ch->found && vbg_masker_half(ch->masker)) {
        luma = *vbg_masker_half(ch->masker);
    } else if (ch->halve) {
        vbg_resizer_u8(ch->halve, k, &ch->half, &luma);
        luma = ch->half;
    }
    ch->found = false;
    if (person) {
        vbg_resizer_u8(ch->shrink, k, &ch->small, &person->alpha);
        m = (vbg_tracker_mask){ ch->small.data, ch->small.stride, ch->small.w,
                                ch->small.h };
    }
    vbg_tracker_update(ch->tracker, luma.data, luma.stride, person ? &m : NULL, motion);
}

void vbg_chain_follow(vbg_chain *ch, const vbg_raw_frame *raw, const vbg_mask *mask,
                      vbg_chain_report *report)
{
    const double start = vbg_now();
    const bool person = vbg_mask_usable(mask, raw);

    if (ch->tracker)
        track(ch, raw, person ? mask : NULL, &report->motion);
    ch->motion = report->motion;
    vbg_follow_update(&ch->follow, &ch->opt.follow, &report->view, &report->motion,
                      person ? &mask->alpha : NULL, raw->frame.time_s);
    report->track_s = vbg_now() - start;
}

void vbg_chain_show(vbg_chain *ch, vbg_background *back, const vbg_raw_frame *raw,
                    const vbg_mask *mask, vbg_out_frame *out, vbg_chain_report *report)
{
    const vbg_outlook *v = &report->view;
    const double start = vbg_now();
    vbg_background_zoom(back, v->zoom, v->head);
    const vbg_picture *view =
        vbg_background_view(back, ch->ctx, v->yaw, v->pitch, v->roll, raw, mask);
    const double seen = vbg_now();

    const vbg_raw_frame *lit =
        vbg_relight_run(ch->relight, ch->ctx, &ch->opt.relight, raw, mask, view);
    report->person = vbg_compose(ch->ctx, out, lit, mask, view);
    report->view_s = seen - start;
    report->compose_s = vbg_now() - seen;
}

void vbg_chain_step(vbg_chain *ch, const vbg_raw_frame *raw, const vbg_frame *given,
                    vbg_out_frame *out, vbg_out_frame *mask_out, vbg_chain_report *report)
{
    *report = (vbg_chain_report){ .index = raw->index, .time_s = raw->frame.time_s };
    vbg_chain_find(ch, raw, given, report);
    vbg_chain_follow(ch, raw, &ch->mask, report);
    vbg_chain_show(ch, ch->opt.background, raw, &ch->mask, out, report);
    if (mask_out)
        vbg_compose_mask(mask_out, raw, &ch->mask);
}
