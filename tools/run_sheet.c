/* vbg-run sheet: pictures from all along a video, side by side. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "engine/io.h"
#include "engine/picture_io.h"
#include "tools/run.h"
#include "video/reader.h"
#include "video/resize.h"

enum { COLUMNS = 4, MOST = 64 };

static const vbg_option options[] = {
    { "output", 'o', VBG_OPT_STRING, "FILE", NULL, NULL, "picture to write: .png or .jpg",
      "output", VBG_OPT_COMMON },
    { "count", 'n', VBG_OPT_INT, "N", "12", "1..64", "pictures on it", "output",
      VBG_OPT_COMMON },
    { "width", 'w', VBG_OPT_INT, "PIXELS", "400", "16..2048", "of each picture", "output",
      VBG_OPT_COMMON },
    { 0 }
};

static const vbg_program program = { .name = "vbg-run sheet",
                                     .purpose = "pictures from all along a video",
                                     .usage = "vbg-run sheet VIDEO -o FILE",
                                     .examples = { "vbg-run sheet call.mp4 -o call.jpg" },
                                     .options = options,
                                     .max_positional = 1 };

typedef struct job {
    const char *path;
    vbg_ctx *ctx;
    vbg_frame frame;
    vbg_picture rgb, small[MOST]; /* small: one of every `stride` frames */
    vbg_resizer *resizer;
    int kept, most, stride;
} job;

/* The cells are full: every second one goes, and from here on frames count half. */
static void thin_out(job *j)
{
    for (int i = 0; i < j->kept; i++) {
        if (i % 2 == 0 && i > 0) {
            j->small[i / 2] = j->small[i];
            j->small[i] = (vbg_picture){ 0 };
        } else if (i % 2) {
            vbg_picture_free(&j->small[i]);
        }
    }
    j->kept = (j->kept + 1) / 2;
    j->stride *= 2;
}

static vbg_status keep(job *j, vbg_err *err)
{
    if (j->kept == j->most)
        thin_out(j);
    vbg_picture *p = &j->small[j->kept];
    const int w = j->small[0].w, h = j->small[0].h;
    vbg_status st = j->kept ? vbg_picture_new(p, w, h, 3, err) : VBG_OK;
    if (st != VBG_OK)
        return st;
    vbg_yuv_to_rgb(vbg_ctx_kernels(j->ctx), &j->rgb, &j->frame.yuv, 0, 0);
    vbg_resizer_u8(j->resizer, vbg_ctx_kernels(j->ctx), p, &j->rgb);
    j->kept++;
    return VBG_OK;
}

static vbg_status read_all(job *j, int width, vbg_err *err)
{
    vbg_reader *reader;
    vbg_reader_info info;
    bool end = false;
    vbg_status st = vbg_reader_open(&reader, j->path, err);

    if (st != VBG_OK)
        return st;
    vbg_reader_get_info(reader, &info);
    const int height = vbg_max_int(1, (int)((int64_t)info.h * width / info.w));
    st = vbg_frame_new(&j->frame, info.w, info.h, err);
    if (st == VBG_OK)
        st = vbg_picture_new(&j->rgb, info.w, info.h, 3, err);
    if (st == VBG_OK)
        st = vbg_picture_new(&j->small[0], width, height, 3, err);
    if (st == VBG_OK)
        st = vbg_resizer_new(&j->resizer, info.w, info.h, width, height, 3,
                             width < info.w ? VBG_INTERP_AREA : VBG_INTERP_CUBIC, err);
    for (int64_t i = 0; st == VBG_OK && !vbg_stop_signal(); i++) {
        st = vbg_reader_next(reader, &j->frame, &end, err);
        if (end)
            break;
        if (st == VBG_OK && i % j->stride == 0)
            st = keep(j, err);
    }
    vbg_reader_close(reader);
    if (st == VBG_OK && j->kept == 0)
        st = vbg_fail(err, VBG_EFORMAT, "%s: holds no readable frame", j->path);
    return st;
}

/* count of the kept pictures, evenly spread, in rows of COLUMNS. */
static vbg_status write_sheet(const job *j, int count, const char *out, vbg_err *err)
{
    const int w = j->small[0].w, h = j->small[0].h, n = vbg_min_int(count, j->kept);
    const int columns = vbg_min_int(n, COLUMNS);
    vbg_picture sheet = { 0 };
    vbg_status st =
        vbg_picture_new(&sheet, columns * w, (n + columns - 1) / columns * h, 3, err);

    for (int i = 0; i < n && st == VBG_OK; i++) {
        const vbg_picture *p = &j->small[n > 1 ? i * (j->kept - 1) / (n - 1) : 0];
        for (int y = 0; y < h; y++)
            memcpy(vbg_picture_row(&sheet, i / columns * h + y) + i % columns * w * 3,
                   vbg_picture_row(p, y), (size_t)w * 3);
    }
    if (st == VBG_OK)
        st = vbg_picture_save(out, &sheet, NULL, 90, err);
    vbg_picture_free(&sheet);
    return st;
}

static vbg_status make(const vbg_values *v, vbg_err *err)
{
    const char *out = vbg_value(v, "output");
    const int count = (int)vbg_value_int(v, "count");
    job j = { .path = vbg_positional(v, 0),
              .stride = 1,
              .most = vbg_min_int(MOST, vbg_max_int(2, 3 * count)) };
    const vbg_ctx_opt opt = { .precision = VBG_F32 };

    if (!j.path || !out)
        return vbg_fail(err, VBG_EUSAGE, "sheet needs a video and -o FILE");
    if (vbg_same_place(out, j.path))
        return vbg_fail(err, VBG_EUSAGE, "%s: --output would overwrite the video", out);
    vbg_status st = vbg_ctx_new(&j.ctx, &opt, err);
    if (st == VBG_OK)
        st = read_all(&j, (int)vbg_value_int(v, "width"), err);
    if (st == VBG_OK && vbg_stop_signal())
        st = vbg_fail(err, VBG_ECANCEL, "stopped");
    if (st == VBG_OK)
        st = write_sheet(&j, count, out, err);
    for (int i = 0; i < MOST; i++)
        vbg_picture_free(&j.small[i]);
    vbg_resizer_free(j.resizer);
    vbg_picture_free(&j.rgb);
    vbg_frame_free(&j.frame);
    vbg_ctx_free(j.ctx);
    return st;
}

int vbg_run_sheet(int argc, char **argv)
{
    vbg_values *v;
    vbg_err err = { "" };
    int code = vbg_options_start(&v, &program, argc, argv);

    if (code >= 0)
        return code;
    vbg_signals_setup();
    code = vbg_finish_output(vbg_exit_code(make(v, &err), &err));
    vbg_values_free(v);
    return code;
}
