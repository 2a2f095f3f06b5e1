/* Sample pictures of a package; see tools/train/show.h. */
#include "tools/train/show.h"

#include <string.h>

#include "engine/picture_io.h"

/* views side by side, 4 to a row, as one picture. */
static vbg_status sheet(const vbg_picture *view, int n, const char *path, vbg_err *err)
{
    const int w = view[0].w, h = view[0].h;
    vbg_picture p = { 0 };
    vbg_status st = vbg_picture_new(&p, 4 * w, (n + 3) / 4 * h, 3, err);

    for (int i = 0; i < n && st == VBG_OK; i++)
        for (int y = 0; y < h; y++)
            memcpy(p.data + (size_t)(i / 4 * h + y) * p.stride + (size_t)(i % 4 * w) * 3,
                   view[i].data + (size_t)y * view[i].stride, (size_t)w * 3);
    if (st == VBG_OK)
        st = vbg_picture_save(path, &p, NULL, 90, err);
    vbg_picture_free(&p);
    return st;
}

vbg_status vbg_show_package(const vbg_ctx *like, const char *model,
                            const vbg_gen_request *r, const char *path, vbg_err *err)
{
    const vbg_ctx_opt co = { .threads = vbg_ctx_threads(like),
                             .isa = vbg_ctx_kernels(like)->isa,
                             .precision = vbg_ctx_act(like) };
    vbg_picture view[VBG_GEN_MAX_VIEWS] = { { 0 } };
    vbg_generator *g = NULL;
    vbg_status st = vbg_generator_open(&g, model, &co, err);

    if (st == VBG_OK)
        st = vbg_generate(g, r, NULL, view, err);
    if (st == VBG_OK)
        st = sheet(view, r->views, path, err);
    for (int i = 0; i < r->views; i++)
        vbg_picture_free(&view[i]);
    vbg_generator_close(g);
    return st;
}
