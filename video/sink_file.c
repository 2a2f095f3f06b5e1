/* A sink that records into a video file, or sends an encoded stream. */
#include <string.h>

#include "video/pipeline.h"
#include "video/sink.h"

typedef struct file_sink {
    vbg_sink base;
    vbg_video_out *video;
    double start;
    vbg_status *result;
    vbg_err *err;
} file_sink;

static vbg_status file_write(vbg_sink *b, const vbg_kernels *k, const vbg_out_frame *f,
                             bool *dropped, vbg_err *err)
{
    file_sink *s = (file_sink *)b;
    vbg_frame view = *vbg_out_frame_pixels(f);

    (void)k;
    *dropped = false;
    if (s->start == 0)
        s->start = view.time_s;
    view.time_s -= s->start;
    return vbg_video_write(s->video, &view, vbg_out_frame_alpha(f), err);
}

static void file_close(vbg_sink *b)
{
    file_sink *s = (file_sink *)b;

    *s->result = vbg_video_finish(s->video, s->err);
    vbg_free_mem(s);
}

vbg_status vbg_sink_file(vbg_sink **out, const char *path, const vbg_video_opt *opt,
                         vbg_status *result, vbg_err *result_err, vbg_err *err)
{
    static const vbg_sink_class class = { .write = file_write, .close = file_close };
    file_sink *s = vbg_alloc(sizeof *s);
    vbg_status st;

    *out = NULL;
    if (!s)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    *s = (file_sink){ .base = { .class = &class, .name = "recording" },
                      .result = result,
                      .err = result_err };
    st = vbg_video_create(&s->video, path, opt, err);
    if (st == VBG_OK)
        *out = &s->base;
    else
        vbg_free_mem(s);
    return st;
}
