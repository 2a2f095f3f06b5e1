/* Views of rooms; see tools/judge/views.h. */
#include "tools/judge/views.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "engine/picture_io.h"
#include "engine/picture_resize.h"
#include "tools/gen_files.h"
#include "video/viewport.h"

static const double DEGREE = 3.14159265358979323846 / 180;

void vbg_room_views_free(vbg_picture view[VBG_ROOM_VIEWS])
{
    for (int i = 0; i < VBG_ROOM_VIEWS; i++)
        vbg_picture_free(&view[i]);
}

static vbg_status copy_to(vbg_picture *dst, const vbg_picture *p, int w, int h,
                          vbg_err *err)
{
    vbg_status st = vbg_picture_new(dst, w, h, 3, err);

    return st == VBG_OK ? vbg_picture_resample(dst, p, VBG_FILTER_BILINEAR, err) : st;
}

static vbg_status look_around(vbg_picture view[VBG_ROOM_VIEWS], const vbg_picture *p,
                              vbg_look o, vbg_err *err)
{
    vbg_picture small = { 0 };
    vbg_viewport *port = NULL;
    vbg_ctx *c = NULL;
    const bool big = p->w > 4 * o.side; /* a pixel is then finer than those of a view */
    vbg_status st = big ? copy_to(&small, p, 4 * o.side, 2 * o.side, err) : VBG_OK;

    if (st == VBG_OK)
        st = vbg_viewport_new(&port, big ? &small : p, err);
    if (st == VBG_OK)
        st = vbg_ctx_new(&c, &(vbg_ctx_opt){ .threads = 1, .isa = VBG_ISA_BEST }, err);
    for (int i = 0; st == VBG_OK && i < o.count; i++) {
        const vbg_pinhole camera = { .fov_x = 90 * DEGREE,
                                     .yaw =
                                         (o.start_deg + 360.0 / o.count * i) * DEGREE };
        st = vbg_picture_new(&view[i], o.side, o.side, 3, err);
        if (st == VBG_OK)
            vbg_viewport_render(port, c, &view[i], &camera);
    }
    vbg_ctx_free(c);
    vbg_viewport_free(port);
    vbg_picture_free(&small);
    return st;
}

vbg_status vbg_room_views(vbg_picture view[VBG_ROOM_VIEWS], int *made,
                          const vbg_picture *p, vbg_look look, const char *name,
                          vbg_err *err)
{
    vbg_status st;

    for (int i = 0; i < VBG_ROOM_VIEWS; i++)
        view[i] = (vbg_picture){ 0 };
    *made = p->w == p->h ? 1 : look.count;
    if (p->channels != 3 || (p->w != p->h && abs(p->w - 2 * p->h) > p->w / 50))
        return vbg_fail(err, VBG_EUSAGE,
                        "%s: %dx%d is neither a panorama (twice as wide as high) nor a "
                        "square view",
                        name, p->w, p->h);
    st = p->w == p->h ? copy_to(&view[0], p, look.side, look.side, err)
                      : look_around(view, p, look, err);
    if (st != VBG_OK)
        vbg_room_views_free(view);
    return st;
}

/* The views of a folder, spread evenly. */
static vbg_status load_folder(vbg_picture view[VBG_ROOM_VIEWS], int *made,
                              const char *path, vbg_look look, vbg_err *err)
{
    vbg_picture found[VBG_GEN_MAX_VIEWS] = { { 0 } };
    int n = 0;
    vbg_status st = vbg_gen_load_views(found, &n, path, err);

    *made = vbg_min_int(look.count, n);
    for (int i = 0; st == VBG_OK && i < *made; i++)
        st = copy_to(&view[i], &found[i * n / *made], look.side, look.side, err);
    for (int i = 0; i < VBG_GEN_MAX_VIEWS; i++)
        vbg_picture_free(&found[i]);
    return st;
}

vbg_status vbg_room_load(vbg_picture view[VBG_ROOM_VIEWS], int *made, const char *path,
                         vbg_look look, vbg_err *err)
{
    vbg_picture p = { 0 };
    struct stat info;
    vbg_status st;

    for (int i = 0; i < VBG_ROOM_VIEWS; i++)
        view[i] = (vbg_picture){ 0 };
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        st = load_folder(view, made, path, look, err);
    } else {
        st = vbg_picture_load(&p, NULL, path, 3, err);
        if (st == VBG_OK)
            st = vbg_room_views(view, made, &p, look, path, err);
        vbg_picture_free(&p);
    }
    if (st != VBG_OK)
        vbg_room_views_free(view);
    return st;
}
