/* One writer over y4m and libav; the temporary file and the rename are here. */
#define _GNU_SOURCE
#include "video/video_out.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "engine/io.h"
#include "video/libav_writer.h"
#include "video/y4m.h"

struct vbg_video_out {
    char *path, *temporary; /* NULL for standard output */
    int unnamed;            /* temporary's file until it is finished, or -1 */
    char *opened;           /* what the writers open: temporary, or a path to unnamed */
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

/* DIR/.NAME.PID.SUFFIX, made exclusively. */
static vbg_status make_temporary(vbg_video_out *v, const char *path, vbg_err *err)
{
    char a[4096], b[4096];
    size_t size = strlen(path) + 64;

    if (size > sizeof a)
        return vbg_fail(err, VBG_EUSAGE, "the name of the output is too long");
    strcpy(a, path);
    strcpy(b, path);
    v->path = strdup(path);
    v->temporary = malloc(size);
    if (!v->path || !v->temporary)
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", path);
    snprintf(v->temporary, size, "%s/.%s.%ld.%s", dirname(a), basename(b), (long)getpid(),
             suffix_of(path));
    v->unnamed = vbg_unnamed_file(path);
    if (v->unnamed >= 0) {
        snprintf(a, sizeof a, "/proc/self/fd/%d", v->unnamed);
        v->opened = strdup(a);
        return v->opened ? VBG_OK : vbg_fail(err, VBG_ENOMEM, "%s: out of memory", path);
    }
    int fd = open(v->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        vbg_fail(err, VBG_EIO, "%s: cannot be written: %s", path, strerror(errno));
        free(v->temporary);
        v->temporary = NULL;
        return VBG_EIO;
    }
    close(fd);
    v->opened = strdup(v->temporary);
    return v->opened ? VBG_OK : vbg_fail(err, VBG_ENOMEM, "%s: out of memory", path);
}

static vbg_status open_y4m(vbg_video_out *v, const vbg_video_opt *o, vbg_err *err)
{
    v->y4m = v->opened ? fopen(v->opened, "wbe") : stdout;
    if (!v->y4m)
        return vbg_fail(err, VBG_EIO, "%s: %s", v->path, strerror(errno));
    return vbg_y4m_write_header(v->y4m, o->w, o->h, o->rate_num, o->rate_den,
                                o->full_range, v->path ? v->path : "standard output",
                                err);
}

vbg_status vbg_video_create(vbg_video_out **out, const char *path,
                            const vbg_video_opt *opt, vbg_err *err)
{
    vbg_video_out *v;

    if (!vbg_video_writable(path))
        return vbg_fail(err, VBG_EUSAGE, "%s: name a video that ends in %s", path,
                        vbg_libav_writable("mp4") ? ".mp4, .mkv, .mov, .webm, .avi, .gif "
                                                    "or .y4m"
                                                  : ".y4m (built without libav)");
    v = calloc(1, sizeof *v);
    if (!v)
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", path);
    v->unnamed = -1;
    vbg_status st = strcmp(path, "-") == 0 ? VBG_OK : make_temporary(v, path, err);
    if (st == VBG_OK)
        st = is_y4m(path) ? open_y4m(v, opt, err)
                          : vbg_libav_create(&v->libav, v->opened, path, opt, err);
    if (st != VBG_OK) {
        vbg_video_abort(v);
        return st;
    }
    *out = v;
    return VBG_OK;
}

vbg_status vbg_video_write(vbg_video_out *v, const vbg_frame *f, vbg_err *err)
{
    if (v->y4m)
        return vbg_y4m_write_frame(v->y4m, f, v->path ? v->path : "standard output", err);
    return vbg_libav_write(v->libav, f, err);
}

/* fsync by name, then rename and fsync the folder. */
static vbg_status move_into_place(vbg_video_out *v, vbg_err *err)
{
    char copy[4096];
    int fd = open(v->opened, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        ok &= close(fd) == 0;
    if (ok && v->unnamed >= 0) {
        ok = vbg_name_file(v->unnamed, v->temporary) == 0;
        if (ok) { /* from here on like one that had a name from the start */
            close(v->unnamed);
            v->unnamed = -1;
        }
    }
    if (ok)
        ok = rename(v->temporary, v->path) == 0;
    if (!ok)
        return vbg_fail(err, VBG_EIO, "%s: %s", v->path, strerror(errno));
    strcpy(copy, v->path);
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    return VBG_OK;
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
        if (v->temporary)
            ok &= fclose(v->y4m) == 0;
        v->y4m = NULL;
        if (!ok)
            st = vbg_fail(err, errno == EPIPE ? VBG_ECANCEL : VBG_EIO, "%s: %s",
                          v->path ? v->path : "standard output", strerror(errno));
    }
    if (st == VBG_OK && v->temporary) {
        st = move_into_place(v, err);
        if (st == VBG_OK) {
            free(v->temporary);
            v->temporary = NULL;
        }
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
    if (v->unnamed >= 0)
        close(v->unnamed);
    else if (v->temporary)
        unlink(v->temporary);
    free(v->opened);
    free(v->temporary);
    free(v->path);
    free(v);
}

const char *vbg_video_audio_note(const vbg_video_out *v)
{
    return v->libav ? vbg_libav_audio_note(v->libav) : "";
}
