/* Every file appears whole or not at all. */
#include "tools/rooms/figure_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/io.h"
#include "engine/picture_io.h"
#include "tools/rooms/files.h"
#include "video/video_out.h"

vbg_status vr_still_write(const char *dir, long index, const vbg_picture *rgb,
                          const vbg_picture *alpha, int jpeg, vbg_err *err)
{
    const vbg_picture_meta meta = { .software = "vbg " VBG_VERSION };
    const size_t n = (size_t)alpha->w * (size_t)alpha->h;
    uint8_t *flat = malloc(n);
    char path[4096];

    if (!flat)
        return vbg_fail(err, VBG_ENOMEM, "figure: out of memory");
    for (int y = 0; y < alpha->h; y++)
        memcpy(flat + (size_t)y * (size_t)alpha->w,
               alpha->data + (size_t)y * alpha->stride, (size_t)alpha->w);
    snprintf(path, sizeof path, "%s/%06ld.mask.png", dir, index);
    vbg_status st = vbg_png_save_map(path, flat, alpha->w, alpha->h, 8, err);
    free(flat);
    snprintf(path, sizeof path, "%s/%06ld.jpg", dir, index);
    return st == VBG_OK ? vbg_picture_save(path, rgb, &meta, jpeg, err) : st;
}

bool vr_still_done(const char *dir, long index)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%06ld.jpg", dir, index);
    return access(path, F_OK) == 0;
}

struct clip_files {
    vbg_video_out *video, *matte;
    vbg_file *truth;
    vbg_frame frame;
    vbg_ctx *ctx;
    int rate;
    long count;
};

static vbg_status text(clip_files *f, const char *line, vbg_err *err)
{
    return vbg_file_write(f->truth, line, strlen(line), err);
}

vbg_status vr_clip_create(clip_files **out, const char *stem, const clip_opt *o,
                          vbg_ctx *c, vbg_err *err)
{
    vbg_video_opt v = { .w = o->w,
                        .h = o->h,
                        .rate_num = o->rate,
                        .rate_den = 1,
                        .bt709 = true,
                        .crf = o->crf };
    clip_files *f = calloc(1, sizeof *f);
    char path[4096];

    *out = NULL;
    if (!f)
        return vbg_fail(err, VBG_ENOMEM, "figure: out of memory");
    f->ctx = c;
    f->rate = o->rate;
    vbg_status st = vbg_frame_new(&f->frame, o->w, o->h, err);
    snprintf(path, sizeof path, "%s.mp4", stem);
    if (st == VBG_OK)
        st = vbg_video_create(&f->video, path, &v, err);
    v.full_range = true;
    v.crf = o->alpha_crf;
    snprintf(path, sizeof path, "%s.alpha.mp4", stem);
    if (st == VBG_OK)
        st = vbg_video_create(&f->matte, path, &v, err);
    snprintf(path, sizeof path, "%s.csv", stem);
    if (st == VBG_OK)
        st = vbg_file_create(&f->truth, path, err);
    if (st == VBG_OK)
        st = text(f, "frame,time_s,yaw_deg,pitch_deg,roll_deg\n", err);
    if (st == VBG_OK)
        *out = f;
    else
        vr_clip_abort(f);
    return st;
}

vbg_status vr_clip_add(clip_files *f, const vbg_picture *rgb, const vbg_picture *alpha,
                       const double angles[3], vbg_err *err)
{
    vbg_yuv *y = &f->frame.yuv;
    char line[160];

    f->frame.time_s = (double)f->count / f->rate;
    y->bt709 = true;
    y->full_range = false;
    vbg_yuv_from_rgb(vbg_ctx_kernels(f->ctx), y, rgb, VBG_CHROMA_MEAN, 0, 0);
    vbg_status st = vbg_video_write(f->video, &f->frame, NULL, err);
    y->full_range = true;
    for (int k = 0; k < alpha->h; k++)
        memcpy(y->plane[0] + (size_t)k * y->stride[0],
               alpha->data + (size_t)k * alpha->stride, (size_t)alpha->w);
    for (int p = 1; p < 3; p++)
        for (int k = 0; k < (alpha->h + 1) / 2; k++)
            memset(y->plane[p] + (size_t)k * y->stride[p], 128,
                   (size_t)(alpha->w + 1) / 2);
    if (st == VBG_OK)
        st = vbg_video_write(f->matte, &f->frame, NULL, err);
    snprintf(line, sizeof line, "%ld,%.6f,%.5f,%.5f,%.5f\n", f->count,
             ((double)f->count + .25) / f->rate, angles[0], angles[1], angles[2]);
    f->count++;
    return st == VBG_OK ? text(f, line, err) : st;
}

vbg_status vr_clip_finish(clip_files *f, vbg_err *err)
{
    vbg_status st = vbg_video_finish(f->matte, err);

    f->matte = NULL;
    if (st == VBG_OK) {
        st = vbg_file_commit(f->truth, err);
        f->truth = NULL;
    }
    if (st == VBG_OK) {
        st = vbg_video_finish(f->video, err);
        f->video = NULL;
    }
    vr_clip_abort(f);
    return st;
}

void vr_clip_abort(clip_files *f)
{
    if (!f)
        return;
    vbg_video_abort(f->video);
    vbg_video_abort(f->matte);
    if (f->truth)
        vbg_file_abort(f->truth);
    vbg_frame_free(&f->frame);
    free(f);
}
