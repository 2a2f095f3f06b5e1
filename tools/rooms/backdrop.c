/* One backdrop after the other. */
#include "tools/rooms/backdrop.h"

#include <stdlib.h>
#include <string.h>

#include "engine/picture_io.h"
#include "tools/rooms/kinds.h"

vbg_status vr_backdrops_open(backdrops *b, vbg_err *err)
{
    if (b->files->count > 0)
        return VBG_OK;
    const vbg_status st = vr_renderer_new(&b->r, err);
    return st == VBG_OK ? vr_canvas_new(&b->c, b->w, b->w / 2, CAMERA_EQUIRECT, err) : st;
}

void vr_backdrops_close(backdrops *b)
{
    vr_renderer_free(b->r);
    vr_canvas_free(&b->c);
    vr_scene_free(&b->s);
}

static vbg_status rendered(backdrops *b, uint64_t seed, vbg_picture *p, vbg_err *err)
{
    render_stats st;
    rng r = { seed };

    for (int attempt = 0; attempt < 6; attempt++) {
        vr_scene_reset(&b->s, rng_next(&r));
        vr_build(&b->s, b->kinds[rnd_int(&r, b->n_kinds)]);
        render_opt o = b->quality;
        o.threads = b->threads;
        const vbg_status e = vr_render(b->r, &b->s, &b->c, &o, &st, err);
        if (e != VBG_OK)
            return e;
        if (st.mean_luminance > .12f && st.mean_luminance < .78f && st.clipped < .1f)
            break;
    }
    const vbg_status e = vbg_picture_new(p, b->c.w, b->c.h, 3, err);
    for (int y = 0; e == VBG_OK && y < b->c.h; y++)
        memcpy(p->data + (size_t)y * p->stride, b->c.rgb + (size_t)y * (size_t)b->c.w * 3,
               (size_t)b->c.w * 3);
    return e;
}

vbg_status vr_backdrops_make(backdrops *b, uint64_t seed, backdrop *out, vbg_err *err)
{
    vbg_picture p = { 0 };
    bool sphere = true;
    vbg_status st;

    *out = (backdrop){ 0 };
    if (b->files->count > 0) {
        st = vbg_picture_load(&p, NULL, b->files->path[seed % b->files->count], 3, err);
        sphere = st == VBG_OK && abs(p.w - 2 * p.h) * 50 <= p.w;
        if (st == VBG_OK && (p.w < 4 || p.h < 4))
            st = vbg_fail(err, VBG_EFORMAT, "%s: too small for a background",
                          b->files->path[seed % b->files->count]);
    } else {
        st = rendered(b, seed, &p, err);
    }
    if (st == VBG_OK)
        st = vr_backdrop_new(out, &p, sphere, err);
    vbg_picture_free(&p);
    return st;
}
