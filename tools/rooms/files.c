/* Writing what was rendered; every file appears whole or not at all. */
#include "tools/rooms/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/io.h"
#include "engine/picture_io.h"

static void name_of(char *path, size_t size, const room_files *f, const char *suffix)
{
    snprintf(path, size, "%s/%06ld%s", f->dir, f->index, suffix);
}

static const char *last_suffix(int camera)
{
    return camera == CAMERA_VIEWS ? "_315.jpg" : ".jpg";
}

bool vr_files_done(const room_files *f, int camera)
{
    char path[4096];

    name_of(path, sizeof path, f, last_suffix(camera));
    return access(path, F_OK) == 0;
}

static vbg_status write_text(const room_files *f, const char *suffix, const char *text,
                             vbg_err *err)
{
    char path[4096];
    vbg_file *file = NULL;

    name_of(path, sizeof path, f, suffix);
    vbg_status st = vbg_file_create(&file, path, err);
    if (st != VBG_OK)
        return st;
    st = vbg_file_write(file, text, strlen(text), err);
    if (st == VBG_OK)
        return vbg_file_commit(file, err);
    vbg_file_abort(file);
    return st;
}

static vbg_status write_truth(const room_files *f, const scene *s, const canvas *c,
                              vbg_err *err)
{
    const size_t n = (size_t)c->w * (size_t)c->h;
    uint8_t *depth = malloc(2 * n), *label = malloc(n);
    char path[4096];
    vbg_status st = VBG_OK;

    if (!depth || !label)
        st = vbg_fail(err, VBG_ENOMEM, "rooms: out of memory");
    for (size_t i = 0; i < n && st == VBG_OK; i++) {
        const float mm = c->p[P_D][i] * 1000;
        const unsigned v = mm >= 65535 ? 65535 : (unsigned)(mm + .5f);
        const int o = vr_pixel_object(s, c, i);
        depth[2 * i] = (uint8_t)(v >> 8);
        depth[2 * i + 1] = (uint8_t)v;
        label[i] = (uint8_t)(o < 0 ? 0 : s->objs[o].what);
    }
    if (st == VBG_OK) {
        name_of(path, sizeof path, f, ".depth.png");
        st = vbg_png_save_map(path, depth, c->w, c->h, 16, err);
    }
    if (st == VBG_OK) {
        name_of(path, sizeof path, f, ".label.png");
        st = vbg_png_save_map(path, label, c->w, c->h, 8, err);
    }
    free(depth);
    free(label);
    return st;
}

static vbg_status write_picture(const room_files *f, const char *suffix,
                                const uint8_t *rgb, int w, int h, bool sphere,
                                vbg_err *err)
{
    const vbg_pano pano = { .present = true, .sphere = true, .full_w = w, .full_h = h };
    const vbg_picture_meta meta = { .pano = sphere ? &pano : NULL,
                                    .software = "vbg " VBG_VERSION };
    vbg_picture p;
    char path[4096];
    vbg_status st = vbg_picture_new(&p, w, h, 3, err);

    if (st != VBG_OK)
        return st;
    for (int y = 0; y < h; y++)
        memcpy(p.data + (size_t)y * p.stride, rgb + (size_t)y * (size_t)w * 3,
               (size_t)w * 3);
    name_of(path, sizeof path, f, suffix);
    st = vbg_picture_save(path, &p, &meta, f->quality, err);
    vbg_picture_free(&p);
    return st;
}

vbg_status vr_files_write(const room_files *f, const scene *s, const canvas *c,
                          const render_stats *st, vbg_err *err)
{
    char lines[1 + VIEWS][CAPTION_BYTES], all[(1 + VIEWS) * (CAPTION_BYTES + 1) + 1] = "";
    size_t n = 0;

    vr_captions(s, s->seed, lines);
    for (int i = 0; i <= VIEWS; i++)
        n += (size_t)snprintf(all + n, sizeof all - n, "%s\n", lines[i]);
    char *json = vr_facts_json(s, lines, st);
    if (!json)
        return vbg_fail(err, VBG_ENOMEM, "rooms: out of memory");
    vbg_status e = write_text(f, ".json", json, err);
    free(json);
    if (e == VBG_OK && f->truth)
        e = write_truth(f, s, c, err);
    if (c->camera == CAMERA_EQUIRECT) {
        if (e == VBG_OK)
            e = write_text(f, ".txt", all, err);
        return e == VBG_OK ? write_picture(f, ".jpg", c->rgb, c->w, c->h, true, err) : e;
    }
    for (int k = 0; k < VIEWS && e == VBG_OK; k++) {
        char suffix[16];
        snprintf(suffix, sizeof suffix, "_%03d.txt", 45 * k);
        e = write_text(f, suffix, lines[1 + k], err);
        snprintf(suffix, sizeof suffix, "_%03d.jpg", 45 * k);
        if (e == VBG_OK)
            e = write_picture(f, suffix,
                              c->rgb + (size_t)k * (size_t)c->w * (size_t)c->w * 3, c->w,
                              c->w, false, err);
    }
    return e;
}
