/* One reader over y4m and libav. */
#define _GNU_SOURCE
#include "video/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "video/libav_reader.h"
#include "video/reader_internal.h"
#include "video/y4m.h"

struct vbg_reader {
    vbg_y4m *y4m;
    vbg_libav_reader *libav;
};

vbg_libav_reader *vbg_reader_libav(vbg_reader *r)
{
    return r ? r->libav : NULL;
}

static vbg_status open_file(FILE **f, const char *path, vbg_err *err)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return vbg_fail(err, VBG_EIO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return vbg_fail(err, VBG_EIO, "%s: is no regular file", path);
    if (st.st_size == 0)
        return vbg_fail(err, VBG_EFORMAT, "%s: is empty", path);
    *f = fopen(path, "rbe");
    if (!*f)
        return vbg_fail(err, VBG_EIO, "%s: %s", path, strerror(errno));
    return VBG_OK;
}

vbg_status vbg_reader_open(vbg_reader **out, const char *path, vbg_err *err)
{
    vbg_reader *r = calloc(1, sizeof *r);
    char magic[10] = "";
    FILE *f = stdin;
    vbg_status st = VBG_OK;

    if (!r)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    if (strcmp(path, "-") == 0) {
        st = vbg_y4m_open(&r->y4m, stdin, "standard input", err);
    } else {
        st = open_file(&f, path, err);
        if (st == VBG_OK) {
            size_t n = fread(magic, 1, 9, f);
            rewind(f);
            if (n == 9 && memcmp(magic, "YUV4MPEG2", 9) == 0) {
                st = vbg_y4m_open(&r->y4m, f, path, err);
            } else {
                fclose(f);
                st = vbg_libav_open(&r->libav, path, err);
            }
        }
    }
    if (st == VBG_OK) {
        *out = r;
        r = NULL;
    }
    vbg_reader_close(r);
    return st;
}

void vbg_reader_close(vbg_reader *r)
{
    if (!r)
        return;
    vbg_y4m_close(r->y4m);
    vbg_libav_close(r->libav);
    free(r);
}

void vbg_reader_get_info(const vbg_reader *r, vbg_reader_info *info)
{
    if (r->y4m)
        vbg_y4m_get_info(r->y4m, info);
    else
        vbg_libav_get_info(r->libav, info);
}

vbg_status vbg_reader_next(vbg_reader *r, vbg_frame *f, bool *end, vbg_err *err)
{
    if (r->y4m)
        return vbg_y4m_next(r->y4m, f, end, err);
    return vbg_libav_next(r->libav, f, end, err);
}

int64_t vbg_reader_skipped(const vbg_reader *r)
{
    return r->libav ? vbg_libav_skipped(r->libav) : 0;
}

bool vbg_reader_rewind(vbg_reader *r)
{
    return r->y4m ? vbg_y4m_rewind(r->y4m) : vbg_libav_rewind(r->libav);
}
