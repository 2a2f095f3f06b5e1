/* The multi-view UNet; see models/mvunet.h. */
#include "models/mvunet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vbg_rig {
    const vbg_mvunet *m;
    int levels;
    vbg_caa_level level[VBG_UNET_LEVELS];
    vbg_caa_tables *tables[VBG_MV_PLACES];
};

/* Level of the UNet at a place. */
static int level_of(int levels, int place)
{
    return place < levels ? place : place == levels ? levels - 1 : 2 * levels - place;
}

vbg_status vbg_mvunet_bind_caa(vbg_mvunet *m, const vbg_weights *w, const char *caa,
                               vbg_err *err)
{
    const vbg_unet_config *cfg = &m->unet.cfg;
    vbg_bind b;
    char p[48];

    m->places = 2 * cfg->levels + 1;
    vbg_bind_start(&b, w, caa);
    for (int i = 0; i < m->places; i++) {
        if (i == cfg->levels)
            snprintf(p, sizeof p, "cp_blocks_mid.");
        else if (i < cfg->levels)
            snprintf(p, sizeof p, "cp_blocks_encoder.%d.", i);
        else
            snprintf(p, sizeof p, "cp_blocks_decoder.%d.", i - cfg->levels - 1);
        vbg_caa_bind(&b, &m->caa[i], cfg->width[level_of(cfg->levels, i)], p);
    }
    return vbg_bind_finish(&b, err);
}

vbg_status vbg_mvunet_bind(vbg_mvunet *m, const vbg_unet_config *cfg,
                           const vbg_weights *w, const char *unet, const char *caa,
                           vbg_err *err)
{
    memset(m, 0, sizeof *m);
    vbg_status st = vbg_unet_bind(&m->unet, cfg, w, unet, err);
    if (st == VBG_OK && caa && vbg_weights_has_component(w, caa))
        st = vbg_mvunet_bind_caa(m, w, caa, err);
    return st;
}

vbg_status vbg_rig_open(vbg_rig **out, const vbg_mvunet *m, const vbg_camera *cam,
                        int views, int picture_w, int picture_h, int w, int h,
                        vbg_err *err)
{
    vbg_rig *r = calloc(1, sizeof *r);

    if (!r)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a camera rig");
    r->m = m;
    r->levels = m->unet.cfg.levels;
    vbg_status st = VBG_OK;
    for (int i = 0; i < r->levels && st == VBG_OK; i++) {
        st = vbg_caa_level_new(&r->level[i], cam, views, picture_w, picture_h, w, h, err);
        w = (w + 1) / 2;
        h = (h + 1) / 2;
    }
    if (st == VBG_OK) {
        *out = r;
        r = NULL;
    }
    vbg_rig_close(r);
    return st;
}

void vbg_rig_close(vbg_rig *r)
{
    if (!r)
        return;
    for (int i = VBG_MV_PLACES; i-- > 0;) /* the later borrow from the earlier */
        vbg_caa_tables_free(r->tables[i]);
    for (int i = 0; i < r->levels; i++)
        vbg_caa_level_free(&r->level[i]);
    free(r);
}

vbg_caa_level *vbg_rig_level(vbg_rig *r, int i)
{
    return &r->level[i];
}

/* The first place of the same level, whose encodings are shared. */
static int first_place(const vbg_rig *r, int place)
{
    return level_of(r->levels, place);
}

vbg_status vbg_rig_tables(vbg_rig *r, vbg_ctx *c, int place, vbg_err *err)
{
    const int first = first_place(r, place);

    return vbg_caa_tables_new(&r->tables[place], c, &r->m->caa[place],
                              &r->level[level_of(r->levels, place)],
                              first < place ? r->tables[first] : NULL, err);
}

vbg_status vbg_rig_train(vbg_rig *r, vbg_ctx *c, vbg_err *err)
{
    vbg_status st = VBG_OK;

    for (int i = 0; i < r->m->places && st == VBG_OK; i++) {
        const int first = first_place(r, i);
        st = vbg_caa_tables_train(&r->tables[i], c, &r->m->caa[i],
                                  &r->level[level_of(r->levels, i)],
                                  first < i ? r->tables[first] : NULL, err);
    }
    return st;
}

vbg_status vbg_rig_shapes(vbg_rig *r, vbg_dtype t, vbg_err *err)
{
    vbg_status st = VBG_OK;

    for (int i = 0; i < r->m->places && st == VBG_OK; i++)
        st = vbg_caa_tables_shape(&r->tables[i], &r->m->caa[i],
                                  &r->level[level_of(r->levels, i)], t, err);
    return st;
}

size_t vbg_rig_bytes(const vbg_rig *r, vbg_dtype t)
{
    size_t sum = 0;

    for (int i = 0; i < r->m->places; i++)
        sum += vbg_caa_tables_bytes(&r->m->caa[i], &r->level[level_of(r->levels, i)],
                                    first_place(r, i) < i, t);
    return sum;
}

vbg_tensor *vbg_mvunet_couple(void *arg, vbg_ctx *c, int place, const vbg_tensor *x)
{
    const vbg_rig *r = arg;

    return vbg_caa_forward(c, &r->m->caa[place], r->tables[place], x);
}

double vbg_mvunet_caa_macs(const vbg_mvunet *m, int h, int w)
{
    double sum = 0;

    for (int i = 0; i < m->places; i++) {
        double c = m->caa[i].c, scale = pow(4, level_of(m->unet.cfg.levels, i));
        sum += 16 * c * c * h * w / scale;
    }
    return sum;
}
