/* Prompts, latents, views and pages of vbg-gen. */
#define _GNU_SOURCE
#include "tools/gen_files.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "convert/safetensors.h"
#include "engine/io.h"
#include "engine/picture_io.h"
#include "engine/picture_resize.h"
#include "tools/prompt.h"
#include "tools/room_page.h"
#include "tools/room_stitch.h"

enum { PROMPT_FILE_MAX = VBG_GEN_MAX_VIEWS * 65536, PAGE_SIDE = 4096, PAGE_QUALITY = 88 };

vbg_status vbg_gen_set_prompt(vbg_room_spec *s, const char *text, vbg_err *err)
{
    s->prompts = 1;
    return vbg_prompt_take(&s->prompt[0], text, strlen(text), "--text", err);
}

vbg_status vbg_gen_read_prompt(vbg_room_spec *s, const char *path, vbg_err *err)
{
    vbg_map m;
    vbg_status st = vbg_map_open(&m, path, 1 << 20, err);

    if (st != VBG_OK)
        return st;
    s->prompts = 1;
    st = vbg_prompt_take(&s->prompt[0], m.data ? (const char *)m.data : "", m.bytes, path,
                         err);
    vbg_map_close(&m);
    return st;
}

/* One line of the file; empty ones are skipped. */
static vbg_status take_line(vbg_room_spec *s, const char *line, size_t n, int number,
                            const char *path, vbg_err *err)
{
    char what[600];

    if (n > 0 && line[n - 1] == '\r')
        n--;
    if (n == 0)
        return VBG_OK;
    snprintf(what, sizeof what, "%.500s:%d", path, number);
    if (s->prompts == s->views)
        return vbg_fail(err, VBG_EFORMAT, "%s: more lines than the %d views", what,
                        s->views);
    vbg_status st = vbg_prompt_take(&s->prompt[s->prompts], line, n, what, err);
    s->prompts += st == VBG_OK;
    return st;
}

vbg_status vbg_gen_read_prompts(vbg_room_spec *s, const char *path, vbg_err *err)
{
    vbg_map m;
    vbg_status st = vbg_map_open(&m, path, PROMPT_FILE_MAX, err);
    int number = 0;

    if (st != VBG_OK)
        return st;
    s->prompts = 0;
    for (size_t at = 0; at < m.bytes && st == VBG_OK;) {
        const char *line = (const char *)m.data + at;
        const char *end = memchr(line, '\n', m.bytes - at);
        size_t n = end ? (size_t)(end - line) : m.bytes - at;
        st = take_line(s, line, n, ++number, path, err);
        at += n + 1;
    }
    vbg_map_close(&m);
    if (st == VBG_OK && s->prompts != s->views)
        st = vbg_fail(err, VBG_EFORMAT, "%s: %d lines of text, but there are %d views",
                      path, s->prompts, s->views);
    return st;
}

static vbg_status take_latents(vbg_room_spec *s, const vbg_st_tensor *t, const char *path,
                               vbg_err *err)
{
    const int64_t *d = t->dim + (t->rank == 5 ? 1 : 0);
    bool shape = (t->rank == 4 || (t->rank == 5 && t->dim[0] == 1)) && d[0] == s->views &&
                 d[1] > 0 && d[1] <= 64 && d[2] > 0 && d[3] > 0 && d[2] <= 256 &&
                 d[3] <= 256;

    if (!shape)
        return vbg_fail(err, VBG_EFORMAT, "%s: %s is not [%d,channels,height,width]",
                        path, t->name, s->views);
    s->latents = malloc(t->count * sizeof *s->latents);
    if (!s->latents)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    vbg_st_to_f32(s->latents, t);
    s->latent_c = (int)d[1];
    s->latent_h = (int)d[2];
    s->latent_w = (int)d[3];
    return VBG_OK;
}

vbg_status vbg_gen_read_latents(vbg_room_spec *s, const char *arg, vbg_err *err)
{
    vbg_safetensors *f = NULL;
    char path[4096];
    const char *colon = access(arg, R_OK) == 0 ? NULL : strrchr(arg, ':');
    const char *key = colon ? colon + 1 : "latents";
    int n = colon ? (int)(colon - arg) : (int)strnlen(arg, sizeof path - 1);

    snprintf(path, sizeof path, "%.*s", n, arg);
    vbg_status st = vbg_st_open(&f, path, err);
    if (st != VBG_OK)
        return st;
    const vbg_st_tensor *t = vbg_st_find(f, key);
    if (t)
        st = take_latents(s, t, path, err);
    else
        st = vbg_fail(err, VBG_EFORMAT, "%s: holds no tensor '%.60s'", path, key);
    vbg_st_close(f);
    return st;
}

vbg_status vbg_gen_check_picture_name(const char *path, vbg_err *err)
{
    if (vbg_picture_writable(path))
        return VBG_OK;
    return vbg_fail(err, VBG_EUSAGE, "%s: name a picture that ends in .png or .jpg",
                    path);
}

vbg_status vbg_gen_check_writable(const char *path, bool no_clobber, vbg_err *err)
{
    struct stat st;
    char copy[4096];

    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return vbg_fail(err, VBG_EIO, "%s: is a folder", path);
        if (!S_ISREG(st.st_mode))
            return vbg_fail(err, VBG_EIO, "%s: exists and is not a regular file", path);
        if (no_clobber)
            return vbg_fail(err, VBG_EIO,
                            "%s: exists; choose another name or leave "
                            "--no-clobber out",
                            path);
    }
    if ((size_t)snprintf(copy, sizeof copy, "%s", path) >= sizeof copy)
        return vbg_fail(err, VBG_EUSAGE, "the name of the output is too long");
    const char *dir = dirname(copy);
    if (access(dir, W_OK | X_OK) != 0)
        return vbg_fail(err, VBG_EIO, "%s: cannot write into %s: %s", path, dir,
                        strerror(errno));
    return VBG_OK;
}

vbg_status vbg_gen_check_folder(const char *path, vbg_err *err)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return vbg_gen_check_writable(path, false, err);
    if (!S_ISDIR(st.st_mode))
        return vbg_fail(err, VBG_EIO, "%s: exists and is no folder", path);
    if (access(path, W_OK | X_OK) != 0)
        return vbg_fail(err, VBG_EIO, "%s: cannot write there: %s", path,
                        strerror(errno));
    return VBG_OK;
}

static vbg_status write_text(const char *path, const vbg_room_spec *s, vbg_err *err)
{
    vbg_file *f = NULL;
    vbg_status st = vbg_file_create(&f, path, err);

    for (int i = 0; i < s->prompts && st == VBG_OK; i++) {
        st = vbg_file_write(f, s->prompt[i], strlen(s->prompt[i]), err);
        if (st == VBG_OK)
            st = vbg_file_write(f, "\n", 1, err);
    }
    if (st == VBG_OK)
        return vbg_file_commit(f, err);
    vbg_file_abort(f);
    return st;
}

vbg_status vbg_gen_write_views(const char *dir, const vbg_room *r, const vbg_room_spec *s,
                               vbg_err *err)
{
    char path[4200];
    vbg_status st = VBG_OK;

    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return vbg_fail(err, VBG_EIO, "%s: %s", dir, strerror(errno));
    for (int i = 0; i < r->views && st == VBG_OK; i++) {
        snprintf(path, sizeof path, "%.4000s/%d.png", dir, i);
        st = vbg_picture_save(path, &r->view[i], NULL, 92, err);
    }
    snprintf(path, sizeof path, "%.4000s/prompt.txt", dir);
    return st == VBG_OK ? write_text(path, s, err) : st;
}

/* DIR/i.png or .jpg; false when there is neither. */
static bool view_path(char *path, size_t size, const char *dir, int i)
{
    static const char *const suffix[] = { "png", "jpg", "jpeg" };

    for (int k = 0; k < 3; k++) {
        snprintf(path, size, "%.4000s/%d.%s", dir, i, suffix[k]);
        if (access(path, R_OK) == 0)
            return true;
    }
    return false;
}

vbg_status vbg_gen_load_views(vbg_picture *view, int *count, const char *dir,
                              vbg_err *err)
{
    char path[4200];
    vbg_status st = VBG_OK;

    *count = 0;
    while (*count < VBG_GEN_MAX_VIEWS && view_path(path, sizeof path, dir, *count)) {
        vbg_picture *p = &view[*count];
        st = vbg_picture_load(p, NULL, path, 3, err);
        if (st != VBG_OK)
            return st;
        ++*count;
        if (p->w != p->h || p->w != view[0].w)
            return vbg_fail(err, VBG_EFORMAT,
                            "%s: is %dx%d; the views are square and of "
                            "one size",
                            path, p->w, p->h);
    }
    if (*count == 0 && access(dir, R_OK | X_OK) != 0)
        return vbg_fail(err, VBG_EIO, "%s: %s", dir, strerror(errno));
    if (*count < 3)
        return vbg_fail(err, VBG_EIO,
                        "%s: holds %d views (0.png, 1.png, ...); a panorama "
                        "needs at least 3",
                        dir, *count);
    return VBG_OK;
}

vbg_status vbg_gen_stitch_folder(const vbg_gen_stitch *job, vbg_err *err)
{
    vbg_picture view[VBG_GEN_MAX_VIEWS] = { { 0 } }, pano = { 0 };
    int count;
    vbg_status st = vbg_gen_load_views(view, &count, job->dir, err);

    if (st == VBG_OK && job->fov_deg * count < 361)
        st = vbg_fail(err, VBG_EUSAGE, "%d views of %g degrees leave gaps: give --fov",
                      count, job->fov_deg);
    if (st == VBG_OK)
        st = vbg_room_stitch(&pano, view, count, job->fov_deg, job->width, job->height,
                             job->threads, err);
    if (st == VBG_OK) {
        vbg_pano sphere = {
            .present = true, .sphere = true, .full_w = job->width, .full_h = job->height
        };
        vbg_picture_meta meta = { .pano = &sphere,
                                  .source_photos = count,
                                  .software = "vbg " VBG_VERSION };
        st = vbg_picture_save(job->out, &pano, &meta, job->quality, err);
    }
    vbg_picture_free(&pano);
    for (int i = 0; i < VBG_GEN_MAX_VIEWS; i++)
        vbg_picture_free(&view[i]);
    return st;
}

static vbg_status page_of(const char *path, const vbg_picture *p, vbg_room_page *page,
                          vbg_err *err)
{
    unsigned char *jpeg = NULL;
    vbg_status st = vbg_jpeg_encode(&jpeg, &page->jpeg_bytes, p, NULL, PAGE_QUALITY, err);

    page->jpeg = jpeg;
    if (st == VBG_OK)
        st = vbg_room_page_write(path, page, err);
    free(jpeg);
    return st;
}

vbg_status vbg_gen_write_page(const char *path, const vbg_picture *pano,
                              const char *title, vbg_err *err)
{
    vbg_room_page page = { .title = title, .height = 1, .width = 1 };
    vbg_picture small = { 0 };
    vbg_status st = VBG_OK;

    if (pano->w > PAGE_SIDE)
        st = vbg_room_shrink(&small, pano, PAGE_SIDE,
                             (int)((long)pano->h * PAGE_SIDE / pano->w), err);
    if (st == VBG_OK)
        st = page_of(path, small.data ? &small : pano, &page, err);
    vbg_picture_free(&small);
    return st;
}

/* The sentence that made the picture, else the name of its file without the folders. */
static const char *title_of(char *title, size_t size, const vbg_picture_info *info,
                            const char *path)
{
    const char *slash = strrchr(path, '/'), *text = slash ? slash + 1 : path;
    size_t n = strlen(text);

    if (info->parameters && *info->parameters != '\n') {
        text = info->parameters;
        n = strcspn(text, "\n");
    }
    char whole[2048];
    snprintf(whole, sizeof whole, "%.*s", (int)(n < 2000 ? n : 2000), text);
    return vbg_shorten(title, size, whole);
}

vbg_status vbg_gen_page_of_picture(const char *path, const char *picture, vbg_err *err)
{
    vbg_picture p = { 0 }, small = { 0 };
    vbg_picture_info info = { 0 };
    vbg_room_page page = { .height = 1, .width = 1 };
    char title[512];
    vbg_status st = vbg_picture_load(&p, &info, picture, 3, err);

    if (st == VBG_OK && info.pano.sphere && info.pano.full_w > 0 &&
        info.pano.full_h > 0) {
        page.top = info.pano.top / info.pano.full_h;
        page.height = p.h / info.pano.full_h;
        page.left = info.pano.left / info.pano.full_w;
        page.width = p.w / info.pano.full_w;
        page.start_yaw_deg = info.pano.has_view ? info.pano.heading_deg : 0;
    } else if (st == VBG_OK && abs(p.w - 2 * p.h) > 2) {
        st = vbg_fail(err, VBG_EFORMAT,
                      "%s: is %dx%d and no panorama (2:1, or with GPano "
                      "data)",
                      picture, p.w, p.h);
    }
    if (st == VBG_OK && p.w > PAGE_SIDE)
        st = vbg_room_shrink(&small, &p, PAGE_SIDE, (int)((long)p.h * PAGE_SIDE / p.w),
                             err);
    page.title = title_of(title, sizeof title, &info, picture);
    if (st == VBG_OK)
        st = page_of(path, small.data ? &small : &p, &page, err);
    vbg_picture_free(&small);
    vbg_picture_free(&p);
    vbg_picture_info_free(&info);
    return st;
}
