/* Flow of a small copy of the frame, on a grid of cells. */
#include "video/cell_flow.h"

#include <math.h>

enum { WINDOW = 11, LEVELS = 3 };

static const float same_levels = 14; /* mean difference up to which a match is believed */

vbg_status vbg_cell_flow_open(vbg_cell_flow *f, int w, int h, int least, vbg_err *err)
{
    *f = (vbg_cell_flow){ .scale = w >= 960 ? 4 : w >= 480 ? 2 : 1 };
    f->w = vbg_max_int(least, w / f->scale);
    f->h = vbg_max_int(least, h / f->scale);
    f->cells_w = (f->w + VBG_CELL - 1) / VBG_CELL;
    f->cells_h = (f->h + VBG_CELL - 1) / VBG_CELL;
    const size_t n = vbg_cell_flow_cells(f);
    vbg_status st =
        vbg_resizer_new(&f->shrink, w, h, f->w, f->h, 1, VBG_INTERP_AREA, err);
    for (int i = 0; i < 2 && st == VBG_OK; i++)
        st = vbg_pyramid_new(&f->pyramid[i], f->w, f->h, LEVELS - 1, WINDOW, err);
    f->cell = vbg_alloc(n * sizeof *f->cell);
    f->from = vbg_alloc(n * sizeof *f->from);
    f->to = vbg_alloc(n * sizeof *f->to);
    f->back = vbg_alloc(n * sizeof *f->back);
    f->ok = vbg_alloc(n);
    f->back_ok = vbg_alloc(n);
    f->unlike = vbg_alloc(n * sizeof *f->unlike);
    if (st == VBG_OK && (!f->cell || !f->from || !f->to || !f->back || !f->ok ||
                         !f->back_ok || !f->unlike))
        st = vbg_fail(err, VBG_ENOMEM, "out of memory");
    if (st != VBG_OK)
        vbg_cell_flow_close(f);
    return st;
}

void vbg_cell_flow_close(vbg_cell_flow *f)
{
    vbg_resizer_free(f->shrink);
    vbg_pyramid_free(&f->pyramid[0]);
    vbg_pyramid_free(&f->pyramid[1]);
    vbg_free_mem(f->cell);
    vbg_free_mem(f->from);
    vbg_free_mem(f->to);
    vbg_free_mem(f->back);
    vbg_free_mem(f->ok);
    vbg_free_mem(f->back_ok);
    vbg_free_mem(f->unlike);
    *f = (vbg_cell_flow){ .count = 0 };
}

size_t vbg_cell_flow_cells(const vbg_cell_flow *f)
{
    return (size_t)f->cells_w * (size_t)f->cells_h;
}

void vbg_cell_flow_shrink(const vbg_cell_flow *f, const vbg_kernels *k,
                          vbg_picture *small, const vbg_raw_frame *raw)
{
    const vbg_yuv *v = &raw->frame.yuv;
    const vbg_picture luma = {
        .data = v->plane[0], .w = v->w, .h = v->h, .channels = 1, .stride = v->stride[0]
    };

    vbg_resizer_u8(f->shrink, k, small, &luma);
}

void vbg_cell_flow_look(vbg_cell_flow *f, const vbg_kernels *k, int which,
                        const vbg_picture *small)
{
    vbg_pyramid_build(&f->pyramid[which], small->data, small->stride, &k->lk);
}

void vbg_cell_flow_clear(vbg_cell_flow *f)
{
    f->count = 0;
}

vbg_point vbg_cell_flow_middle(const vbg_cell_flow *f, int cell)
{
    const int x = cell % f->cells_w * VBG_CELL + VBG_CELL / 2;
    const int y = cell / f->cells_w * VBG_CELL + VBG_CELL / 2;

    return (vbg_point){ (float)vbg_min_int(x, f->w - 1),
                        (float)vbg_min_int(y, f->h - 1) };
}

void vbg_cell_flow_add(vbg_cell_flow *f, int cell)
{
    f->from[f->count] = vbg_cell_flow_middle(f, cell);
    f->cell[f->count++] = cell;
}

static void track(vbg_cell_flow *f, vbg_ctx *c, int from, const vbg_flow_points *points)
{
    static const vbg_flow_opt opt = { .win_w = WINDOW,
                                      .win_h = WINDOW,
                                      .max_level = LEVELS - 1,
                                      .iterations = 10,
                                      .epsilon = 0.03f,
                                      .min_eigenvalue = 1e-4f };

    vbg_flow_track(c, &f->pyramid[from], &f->pyramid[!from], &opt, points);
}

void vbg_cell_flow_track(vbg_cell_flow *f, vbg_ctx *c, int from)
{
    track(f, c, from,
          &(vbg_flow_points){ .count = f->count,
                              .from = f->from,
                              .to = f->to,
                              .status = f->ok,
                              .err = f->unlike });
}

void vbg_cell_flow_check(vbg_cell_flow *f, vbg_ctx *c, int from)
{
    track(f, c, !from,
          &(vbg_flow_points){
              .count = f->count, .from = f->to, .to = f->back, .status = f->back_ok });
    for (int i = 0; i < f->count; i++) {
        const float dx = f->back[i].x - f->from[i].x, dy = f->back[i].y - f->from[i].y;
        f->ok[i] = f->ok[i] && f->back_ok[i] && dx * dx + dy * dy <= 1;
    }
}

float vbg_cell_flow_trust(const vbg_cell_flow *f, int i)
{
    return f->ok[i] ? fmaxf(0, 1 - f->unlike[i] / same_levels) : 0;
}
