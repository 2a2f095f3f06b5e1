/* Masks for frames and their clean-up. */
#include "video/mask.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "video/colour.h"
#include "video/feather.h"
#include "video/guided.h"
#include "video/islands.h"
#include "video/morphology.h"
#include "video/resize.h"
#include "video/steady.h"

struct vbg_masker {
    vbg_mask_opt opt;
    vbg_resizer *halve;               /* NULL: small frames stay as they are */
    vbg_picture half;                 /* luma of the last frame */
    vbg_resizer *shrink_y, *shrink_c; /* (half) frame planes to the network's size */
    vbg_picture plane[3], rgb;        /* at network size */
    vbg_image prob;                   /* the network's mask */
    vbg_refiner *refiner;
    vbg_resizer *widen; /* plain widening of prob, or of a given mask */
    int given_w, given_h;
    vbg_feather *feather;
    vbg_steady *steady;   /* networks only */
    vbg_islands *islands; /* networks only */
};

static bool is_network(const vbg_mask_opt *o)
{
    return o->segmenter || o->source.find;
}

/* Where the network sees at most half the size, luma goes there in two steps: the first,
 * means of 2 x 2, is cheap, and a tracker may share it. */
static vbg_status open_half(vbg_masker *m, int nw, int nh, vbg_err *err)
{
    const vbg_mask_opt *o = &m->opt;
    const int w = o->w / 2, h = o->h / 2;

    if (w < nw || h < nh)
        return VBG_OK;
    vbg_status st = vbg_picture_new(&m->half, w, h, 1, err);
    return st == VBG_OK
               ? vbg_resizer_new(&m->halve, o->w, o->h, w, h, 1, VBG_INTERP_AREA, err)
               : st;
}

const vbg_picture *vbg_masker_half(const vbg_masker *m)
{
    return m->half.data ? &m->half : NULL;
}

static vbg_status open_network(vbg_masker *m, vbg_err *err)
{
    const vbg_mask_opt *o = &m->opt;
    int nw, nh, mw, mh;
    vbg_status st;

    if (o->source.find)
        return vbg_image_new(&m->prob, o->source.w, o->source.h, 1, err);
    vbg_segmenter_size(o->segmenter, &nw, &nh);
    vbg_segmenter_mask_size(o->segmenter, &mw, &mh);
    st = open_half(m, nw, nh, err);
    if (st == VBG_OK)
        st = vbg_resizer_new(&m->shrink_y, m->half.data ? m->half.w : o->w,
                             m->half.data ? m->half.h : o->h, nw, nh, 1,
                             VBG_INTERP_SMOOTH, err);
    if (st == VBG_OK)
        st = vbg_resizer_new(&m->shrink_c, (o->w + 1) / 2, (o->h + 1) / 2, nw, nh, 1,
                             VBG_INTERP_SMOOTH, err);
    for (int i = 0; i < 3 && st == VBG_OK; i++)
        st = vbg_picture_new(&m->plane[i], nw, nh, 1, err);
    if (st == VBG_OK)
        st = vbg_picture_new(&m->rgb, nw, nh, 3, err);
    if (st == VBG_OK)
        st = vbg_image_new(&m->prob, mw, mh, 1, err);
    return st;
}

/* Widening from prob's size to the frame's. */
static vbg_status open_widening(vbg_masker *m, bool edges, vbg_err *err)
{
    const vbg_mask_opt *o = &m->opt;

    if (edges && !o->plain && o->w >= 16 && o->h >= 16)
        return vbg_refiner_new(&m->refiner, o->w, o->h, m->prob.w, m->prob.h,
                               o->w * o->h >= 500000 ? 4 : 2, err);
    return vbg_resizer_new(&m->widen, m->prob.w, m->prob.h, o->w, o->h, 1,
                           VBG_INTERP_LINEAR, err);
}

static vbg_status open_feather(vbg_feather **f, const vbg_mask_opt *o, vbg_err *err)
{
    *f = NULL;
    return o->feather > 0 ? vbg_feather_new(f, o->w, o->h, o->feather, err) : VBG_OK;
}

vbg_status vbg_masker_set(vbg_masker *m, const vbg_mask_opt *opt, vbg_err *err)
{
    if (opt->feather != m->opt.feather) {
        vbg_mask_opt o = m->opt;
        vbg_feather *f;
        o.feather = opt->feather;
        vbg_status st = open_feather(&f, &o, err);
        if (st != VBG_OK)
            return st;
        vbg_feather_free(m->feather);
        m->feather = f;
    }
    m->opt.feather = opt->feather;
    m->opt.smooth = opt->smooth;
    m->opt.islands = opt->islands;
    m->opt.threshold = opt->threshold;
    m->opt.close = opt->close;
    m->opt.grow = opt->grow;
    return VBG_OK;
}

vbg_status vbg_masker_new(vbg_masker **out, const vbg_mask_opt *opt, vbg_err *err)
{
    vbg_masker *m = calloc(1, sizeof *m);
    vbg_status st = VBG_OK;

    *out = NULL;
    if (!m)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    m->opt = *opt;
    if (is_network(opt)) {
        st = open_network(m, err);
        if (st == VBG_OK)
            st = open_widening(m, true, err);
        if (st == VBG_OK)
            st = vbg_steady_new(&m->steady, opt->w, opt->h, m->prob.w, m->prob.h, err);
        if (st == VBG_OK)
            st = vbg_islands_new(&m->islands, m->prob.w, m->prob.h, err);
    } else if (opt->chroma) {
        st = vbg_image_new(&m->prob, (opt->w + 1) / 2, (opt->h + 1) / 2, 1, err);
        if (st == VBG_OK)
            st = open_widening(m, false, err);
    }
    if (st == VBG_OK)
        st = open_feather(&m->feather, opt, err);
    if (st == VBG_OK)
        *out = m;
    else
        vbg_masker_free(m);
    return st;
}

void vbg_masker_free(vbg_masker *m)
{
    if (!m)
        return;
    vbg_resizer_free(m->halve);
    vbg_picture_free(&m->half);
    vbg_resizer_free(m->shrink_y);
    vbg_resizer_free(m->shrink_c);
    for (int i = 0; i < 3; i++)
        vbg_picture_free(&m->plane[i]);
    vbg_picture_free(&m->rgb);
    vbg_image_free(&m->prob);
    vbg_refiner_free(m->refiner);
    vbg_resizer_free(m->widen);
    vbg_feather_free(m->feather);
    vbg_steady_free(m->steady);
    vbg_islands_free(m->islands);
    free(m);
}

/* Plane p of a frame as a gray picture, borrowed. */
static vbg_picture plane_of(const vbg_yuv *v, int p)
{
    return (vbg_picture){ .data = v->plane[p],
                          .w = p ? (v->w + 1) / 2 : v->w,
                          .h = p ? (v->h + 1) / 2 : v->h,
                          .channels = 1,
                          .stride = v->stride[p] };
}

static vbg_status from_network(vbg_masker *m, const vbg_kernels *k,
                               const vbg_raw_frame *raw, vbg_err *err)
{
    const vbg_yuv *v = &raw->frame.yuv;

    if (m->opt.source.find)
        return m->opt.source.find(m->opt.source.arg, raw, &m->prob, err);
    vbg_yuv small = { .layout = VBG_YUV_444,
                      .bt709 = v->bt709,
                      .full_range = v->full_range,
                      .w = m->rgb.w,
                      .h = m->rgb.h };

    for (int i = 0; i < 3; i++) {
        vbg_picture p = plane_of(v, i);
        if (i == 0 && m->halve) {
            vbg_resizer_u8(m->halve, k, &m->half, &p);
            p = m->half;
        }
        vbg_resizer_u8(i ? m->shrink_c : m->shrink_y, k, &m->plane[i], &p);
        small.plane[i] = m->plane[i].data;
        small.stride[i] = m->plane[i].stride;
    }
    vbg_yuv_to_rgb(k, &m->rgb, &small, 0, 0);
    /* The network writes rows without gaps; spread them from the last one up. */
    vbg_status st = vbg_segmenter_run(m->opt.segmenter, &m->rgb, m->prob.data, err);
    for (int y = m->prob.h - 1; y > 0 && m->prob.stride != (size_t)m->prob.w; y--)
        memmove(vbg_image_row(&m->prob, y), m->prob.data + (size_t)y * (size_t)m->prob.w,
                (size_t)m->prob.w * sizeof(float));
    return st;
}

/* Distance from the key colour in the chroma plane: near is background. */
static void from_colour(vbg_masker *m, const vbg_yuv *v)
{
    vbg_yuv_matrix c;
    double key[2];

    vbg_yuv_matrix_make(&c, v->bt709, v->full_range);
    key[0] =
        128 + c.u[0] * m->opt.key[0] + c.u[1] * m->opt.key[1] + c.u[2] * m->opt.key[2];
    key[1] =
        128 + c.v[0] * m->opt.key[0] + c.v[1] * m->opt.key[1] + c.v[2] * m->opt.key[2];
    /* A third of the key's own saturation, at least 12 codes, then as much again to
     * become opaque. */
    const double reach = fmax(12, 0.35 * hypot(key[0] - 128, key[1] - 128));
    for (int y = 0; y < m->prob.h; y++) {
        const uint8_t *u = v->plane[1] + (size_t)y * v->stride[1];
        const uint8_t *w = v->plane[2] + (size_t)y * v->stride[2];
        float *d = vbg_image_row(&m->prob, y);
        for (int x = 0; x < m->prob.w; x++) {
            float du = (float)(u[x] - key[0]), dv = (float)(w[x] - key[1]);
            float t = (sqrtf(du * du + dv * dv) - (float)reach) / (float)reach;
            d[x] = t < 0 ? 0 : t > 1 ? 1 : t;
        }
    }
}

/* A steep ramp around the threshold: monotone, and NaN stays background. */
static void cut(vbg_image *p, double threshold)
{
    const float t = (float)threshold;

    for (int y = 0; y < p->h; y++) {
        float *d = vbg_image_row(p, y);
#pragma omp simd
        for (int x = 0; x < p->w; x++) {
            float v = (d[x] - t) * 5 + 0.5f;
            d[x] = v > 0 ? (v < 1 ? v : 1) : 0;
        }
    }
}

/* Networks are unsure in two ways: a veil of 10-30 % over furniture near the person,
 * and soft values on the background's side of an edge, which let a rim of the old room
 * shine through.  Before the widening the veil is cut; after it the ramp 0.38..0.88
 * becomes 0..1, which moves the edge a little into the person.  (Looked at on the clips
 * of data/video; a plain cut flickers at the hair.) */
static void cut_veil(vbg_image *p)
{
    for (int y = 0; y < p->h; y++) {
        float *d = vbg_image_row(p, y);
#pragma omp simd
        for (int x = 0; x < p->w; x++) {
            float v = (d[x] - 0.2f) * (1 / 0.6f);
            d[x] = v > 0 ? (v < 1 ? v : 1) : 0;
        }
    }
}

static void choke(uint8_t *d, int n)
{
#pragma omp simd
    for (int x = 0; x < n; x++) { /* in 8 bits: 128 doubled is 255 */
        uint8_t v = d[x] > 97 ? d[x] : 97;
        v = (uint8_t)(v - 97);
        v = v < 128 ? v : 128;
        d[x] = (uint8_t)(v + v - (v >> 7));
    }
}

static vbg_status clean_up(vbg_masker *m, const vbg_kernels *k, vbg_picture *a,
                           vbg_err *err)
{
    const vbg_mask_opt *o = &m->opt;
    vbg_status st = VBG_OK;

    if (o->close > 0)
        st = vbg_morphology(a, a, VBG_CLOSE, VBG_SHAPE_RECT, 2 * o->close + 1, 1, err);
    if (st == VBG_OK && o->grow != 0)
        st = vbg_morphology(a, a, o->grow > 0 ? VBG_DILATE : VBG_ERODE, VBG_SHAPE_ELLIPSE,
                            2 * abs(o->grow) + 1, 1, err);
    if (st == VBG_OK && m->feather)
        vbg_feather_run(m->feather, k, a);
    return st;
}

/* A given mask's luma, widened to the frame. */
static vbg_status from_given(vbg_masker *m, const vbg_kernels *k, const vbg_yuv *g,
                             vbg_picture *alpha, vbg_err *err)
{
    vbg_picture p = plane_of(g, 0);

    if (g->w == alpha->w && g->h == alpha->h) {
        for (int y = 0; y < p.h; y++)
            memcpy(vbg_picture_row(alpha, y), vbg_picture_row(&p, y), (size_t)p.w);
        return VBG_OK;
    }
    if (m->given_w != g->w || m->given_h != g->h) {
        vbg_resizer_free(m->widen);
        m->widen = NULL;
        vbg_status st = vbg_resizer_new(&m->widen, g->w, g->h, alpha->w, alpha->h, 1,
                                        VBG_INTERP_LINEAR, err);
        if (st != VBG_OK)
            return st;
        m->given_w = g->w;
        m->given_h = g->h;
    }
    vbg_resizer_u8(m->widen, k, alpha, &p);
    return VBG_OK;
}

/* As cut, on 8 bits. */
static void cut_u8(vbg_picture *a, double threshold)
{
    uint8_t table[256];

    for (int i = 0; i < 256; i++) {
        double v = (i / 255.0 - threshold) * 5 + 0.5;
        table[i] = (uint8_t)lrint(255 * fmin(1, fmax(0, v)));
    }
    for (int y = 0; y < a->h; y++)
        for (int x = 0; x < a->w; x++)
            vbg_picture_row(a, y)[x] = table[vbg_picture_row(a, y)[x]];
}

/* Share of the picture that is marked; what is no number is not. */
static double cover(vbg_image *p)
{
    int64_t n = 0;

    for (int y = 0; y < p->h; y++) {
        float *d = vbg_image_row(p, y);
        int marked = 0;
#pragma omp simd reduction(+ : marked)
        for (int x = 0; x < p->w; x++) {
            d[x] = d[x] > 0 ? (d[x] < 1 ? d[x] : 1) : 0;
            marked += d[x] > 0.5f;
        }
        n += marked;
    }
    return (double)n / ((double)p->w * p->h);
}

vbg_status vbg_masker_run(vbg_masker *m, vbg_ctx *c, const vbg_raw_frame *raw,
                          const vbg_frame *given, vbg_mask *mask, vbg_err *err)
{
    const vbg_kernels *k = vbg_ctx_kernels(c);
    vbg_picture *alpha = &mask->alpha;
    vbg_status st = VBG_OK;

    mask->valid = false;
    mask->index = raw->index;
    mask->epoch = raw->epoch;
    mask->max_age = m->opt.max_age;
    if (!is_network(&m->opt) && !m->opt.chroma) {
        if (!given)
            return vbg_fail(err, VBG_EUSAGE, "no mask for this frame");
        st = from_given(m, k, &given->yuv, alpha, err);
        if (st == VBG_OK && m->opt.threshold >= 0)
            cut_u8(alpha, m->opt.threshold);
    } else {
        if (is_network(&m->opt))
            st = from_network(m, k, raw, err);
        else
            from_colour(m, &raw->frame.yuv);
        if (st == VBG_OK && m->opt.max_cover > 0 && cover(&m->prob) > m->opt.max_cover)
            st = vbg_fail(
                err, VBG_EFORMAT,
                is_network(&m->opt)
                    ? "the network takes everything for a person"
                    : "the colour is nowhere: all of the picture would be shown");
        if (st != VBG_OK)
            return st;
        if (m->steady && m->opt.smooth > 0)
            vbg_steady_run(m->steady, c, raw, &m->prob, m->opt.smooth);
        if (m->opt.threshold >= 0)
            cut(&m->prob, m->opt.threshold);
        else if (is_network(&m->opt))
            cut_veil(&m->prob);
        if (m->islands && m->opt.islands > 0)
            vbg_islands_drop(m->islands, &m->prob, 0, m->opt.islands);
        if (m->refiner) {
            vbg_picture luma = plane_of(&raw->frame.yuv, 0);
            vbg_refiner_run(m->refiner, k, alpha, &luma, &m->prob, 4, 1e-4f,
                            is_network(&m->opt) ? choke : NULL);
        } else {
            for (int y = 0; y < m->prob.h; y++) /* the resizer rounds codes */
                for (int x = 0; x < m->prob.w; x++)
                    vbg_image_row(&m->prob, y)[x] *= 255;
            vbg_resizer_f32_u8(m->widen, k, alpha, &m->prob);
            for (int y = 0; y < alpha->h && is_network(&m->opt); y++)
                choke(vbg_picture_row(alpha, y), alpha->w);
        }
    }
    if (st == VBG_OK)
        st = clean_up(m, k, alpha, err);
    mask->valid = st == VBG_OK;
    return st;
}
