/* One writer over y4m and libav, both into an unfinished file of engine/io.h. */
#define _GNU_SOURCE
#include "video/video_out.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/io.h"
#include "video/libav_writer.h"
#include "video/y4m.h"

struct vbg_video_out {
    char *path;     /* for messages */
    vbg_file *file; /* NULL for standard output */
    FILE *y4m;
    vbg_libav_writer *libav;
};

static const char *suffix_of(const char *path)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    return dot && (!slash || dot > slash) ? dot + 1 : "";
}

static bool is_y4m(const char *path)
{
    return strcmp(path, "-") == 0 || strcasecmp(suffix_of(path), "y4m") == 0;
}

bool vbg_video_writable(const char *path)
{
    return is_y4m(path) || vbg_libav_writable(suffix_of(path));
}

bool vbg_video_has_alpha(const char *path)
{
    return is_y4m(path) || vbg_libav_alpha(suffix_of(path));
}

static vbg_status open_y4m(vbg_video_out *v, const char *opened, const vbg_video_opt *o,
                           vbg_err *err)
{
    v->y4m = v->file ? fopen(opened, "wbe") : stdout;
    if (!v->y4m)
        return vbg_fail(err, VBG_EIO, "%s: %s", v->path, strerror(errno));
    return vbg_y4m_write_header(v->y4m, o, v->path, err);
}

vbg_status vbg_video_create(vbg_video_out **out, const char *path,
                            const vbg_video_opt *opt, vbg_err *err)
{
    const bool pipe = strcmp(path, "-") == 0;
    char opened[4200] = "";
    vbg_video_out *v;

    if (!vbg_video_writable(path))
        return vbg_fail(err, VBG_EUSAGE, "%s: name a video that ends in %s", path,
                        vbg_libav_writable("mp4")
                            ? ".mp4, .mkv, .mov, .webm, .avi, .gif, "
                              ".ts, .mjpeg or .y4m"
                            : ".y4m (built without libav)");
    v = calloc(1, sizeof *v);
    if (!v)
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", path);
    v->path = strdup(pipe ? "standard output" : path);
    vbg_status st =
        v->path ? VBG_OK : vbg_fail(err, VBG_ENOMEM, "%s: out of memory", path);
    if (st == VBG_OK && !pipe)
        st = vbg_file_create(&v->file, path, err);
    if (st == VBG_OK && v->file)
        vbg_file_opened_path(v->file, opened, sizeof opened);
    if (st == VBG_OK)
        st = is_y4m(path) && !opt->stream
                 ? open_y4m(v, opened, opt, err)
                 : vbg_libav_create(&v->libav, opened, path, opt, err);
    if (st != VBG_OK) {
        vbg_video_abort(v);
        return st;
    }
    *out = v;
    return VBG_OK;
}

vbg_status vbg_video_write(vbg_video_out *v, const vbg_frame *f, const vbg_picture *alpha,
                           vbg_err *err)
{
    if (v->y4m)
        return vbg_y4m_write_frame(v->y4m, f, alpha, v->path, err);
    return vbg_libav_write(v->libav, f, alpha, err);
}

vbg_status vbg_video_finish(vbg_video_out *v, vbg_err *err)
{
    vbg_status st = VBG_OK;

    if (v->libav) {
        st = vbg_libav_finish(v->libav, err);
        v->libav = NULL;
    }
    if (v->y4m) {
        bool ok = fflush(v->y4m) == 0;
        if (v->file)
            ok &= fclose(v->y4m) == 0;
        v->y4m = NULL;
        if (!ok)
            st = vbg_fail(err, errno == EPIPE ? VBG_ECANCEL : VBG_EIO, "%s: %s", v->path,
                          strerror(errno));
    }
    if (st == VBG_OK && v->file) {
        st = vbg_file_commit(v->file, err);
        v->file = NULL;
    }
    vbg_video_abort(v);
    return st;
}

void vbg_video_abort(vbg_video_out *v)
{
    if (!v)
        return;
    vbg_libav_abort(v->libav);
    if (v->y4m && v->y4m != stdout)
        fclose(v->y4m);
    vbg_file_abort(v->file);
    free(v->path);
    free(v);
}

const char *vbg_video_audio_note(const vbg_video_out *v)
{
    return v->libav ? vbg_libav_audio_note(v->libav) : "";
}
