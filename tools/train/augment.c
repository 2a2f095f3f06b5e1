/* Augmentation; see tools/train/augment.h. */
#include "tools/train/augment.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/picture_io.h"
#include "engine/picture_resize.h"

static const double DEGREE = 3.14159265358979323846 / 180;

/* A decoded pair: RGBA, reduced. */
typedef struct kept {
    vbg_picture rgba;
    int left, top, right, bottom; /* the person's bounding box; right < left: nobody */
} kept;

struct vbg_augmenter {
    vbg_masks *masks;
    const vbg_backgrounds *backgrounds;
    pthread_mutex_t lock; /* of cache and spent */
    kept **cache;         /* [masks->count] */
    size_t spent, budget;
    vbg_ctx **ctx; /* one for each slot */
    int slots;
};

vbg_augment_opt vbg_augment_none(int w, int h)
{
    return (vbg_augment_opt){ .w = w, .h = h };
}

vbg_augment_opt vbg_augment_usual(int w, int h)
{
    return (vbg_augment_opt){ .w = w,
                              .h = h,
                              .flip = 0.5,
                              .crop = 0.7,
                              .rotate_deg = 12,
                              .tone = 1,
                              .blur = 0.2,
                              .noise = 0.4,
                              .jpeg = 0.5,
                              .replace = 0.6,
                              .empty = 0.06,
                              .second = 0.1 };
}

void vbg_sample_free(vbg_sample *s)
{
    if (!s)
        return;
    vbg_picture_free(&s->rgb);
    vbg_picture_free(&s->alpha);
    *s = (vbg_sample){ 0 };
}

/* ---- decoded pairs ---- */

/* Longer side of what is kept: parts of a photo still fill the frame sharply. */
static int kept_side(const vbg_augment_opt *o)
{
    return vbg_max_int(o->w, o->h) * 3 / 2;
}

static void free_kept(kept *k)
{
    if (k)
        vbg_picture_free(&k->rgba);
    free(k);
}

/* Bounding box of what is more person than not. */
static void find_person(kept *k)
{
    const vbg_picture *p = &k->rgba;

    k->left = p->w;
    k->top = p->h;
    k->right = k->bottom = -1;
    for (int y = 0; y < p->h; y++)
        for (int x = 0; x < p->w; x++)
            if (p->data[(size_t)y * p->stride + 4 * (size_t)x + 3] > 127) {
                k->left = vbg_min_int(k->left, x);
                k->right = vbg_max_int(k->right, x);
                k->top = vbg_min_int(k->top, y);
                k->bottom = y;
            }
}

/* Both pictures as one RGBA picture whose longer side is at most side. */
static vbg_status merge(kept *k, const vbg_picture *rgb, const vbg_picture *mask,
                        int side, vbg_err *err)
{
    const int longer = vbg_max_int(rgb->w, rgb->h);
    const double f = longer > side ? (double)side / longer : 1;
    vbg_picture whole = { 0 };
    vbg_status st = vbg_picture_new(&whole, rgb->w, rgb->h, 4, err);

    for (int y = 0; st == VBG_OK && y < rgb->h; y++)
        for (int x = 0; x < rgb->w; x++) {
            uint8_t *to = whole.data + (size_t)y * whole.stride + 4 * (size_t)x;
            memcpy(to, rgb->data + (size_t)y * rgb->stride + 3 * (size_t)x, 3);
            to[3] = mask->data[(size_t)y * mask->stride + (size_t)x];
        }
    if (st == VBG_OK && f < 1) {
        st = vbg_picture_new(&k->rgba, vbg_max_int((int)lrint(rgb->w * f), 1),
                             vbg_max_int((int)lrint(rgb->h * f), 1), 4, err);
        if (st == VBG_OK)
            st = vbg_picture_resample(&k->rgba, &whole, VBG_FILTER_BILINEAR, err);
        vbg_picture_free(&whole);
    } else if (st == VBG_OK) {
        k->rgba = whole;
    }
    if (st == VBG_OK)
        find_person(k);
    return st;
}

static vbg_status decode(vbg_augmenter *a, kept **out, size_t i, int side, size_t *used,
                         vbg_err *err)
{
    vbg_picture rgb, mask;
    vbg_status st = vbg_masks_load(a->masks, i, &rgb, &mask, used, err);

    if (st != VBG_OK)
        return st;
    kept *k = calloc(1, sizeof *k);
    st = k ? merge(k, &rgb, &mask, side, err)
           : vbg_fail(err, VBG_ENOMEM, "not enough memory");
    vbg_picture_free(&rgb);
    vbg_picture_free(&mask);
    if (st == VBG_OK)
        *out = k;
    else
        free_kept(k);
    return st;
}

/* The pair from memory or from its files; *owned: the caller frees it.  What is kept was
 * reduced to the first size asked for, which is the only one in a training. */
static vbg_status fetch(vbg_augmenter *a, const kept **out, kept **owned, size_t i,
                        int side, size_t *used, vbg_err *err)
{
    kept *k = NULL;

    *owned = NULL;
    *used = i;
    pthread_mutex_lock(&a->lock);
    *out = a->cache[i];
    pthread_mutex_unlock(&a->lock);
    if (*out)
        return VBG_OK;
    vbg_status st = decode(a, &k, i, side, used, err);
    if (st != VBG_OK)
        return st;
    *out = *owned = k;
    const size_t bytes = k->rgba.stride * (size_t)k->rgba.h;
    pthread_mutex_lock(&a->lock);
    if (*used == i && !a->cache[i] && a->spent + bytes <= a->budget) {
        a->cache[i] = k;
        a->spent += bytes;
        *owned = NULL;
    }
    pthread_mutex_unlock(&a->lock);
    return VBG_OK;
}

/* ---- placing ---- */

/* From frame to picture: a similarity with its own scale for each axis, about a point of
 * the picture that comes to a point of the frame. */
typedef struct placing {
    double at_x, at_y;     /* of the frame */
    double from_x, from_y; /* of the picture */
    double step_x, step_y; /* picture pixels a frame pixel */
    double angle_rad;
    bool mirrored;
} placing;

static void placing_matrix(double m[6], const placing *p)
{
    const double c = cos(p->angle_rad), s = sin(p->angle_rad);
    const double sx = p->mirrored ? -p->step_x : p->step_x;

    m[0] = sx * c;
    m[1] = sx * s;
    m[3] = -p->step_y * s;
    m[4] = p->step_y * c;
    m[2] = p->from_x - m[0] * p->at_x - m[1] * p->at_y;
    m[5] = p->from_y - m[3] * p->at_x - m[4] * p->at_y;
}

/* Warps RGBA into rgb and alpha, reducing it first where the frame is coarser. */
static vbg_status warp_pair(vbg_levels *rgb, vbg_levels *alpha, const vbg_picture *rgba,
                            placing p, bool empty, vbg_err *err)
{
    const double fx = fmax(p.step_x, 1), fy = fmax(p.step_y, 1);
    const int w = vbg_max_int((int)lrint(rgba->w / fx), 1);
    const int h = vbg_max_int((int)lrint(rgba->h / fy), 1);
    vbg_picture small = *rgba;
    vbg_levels both;
    double m[6];
    vbg_status st = vbg_levels_new(&both, rgb->w, rgb->h, 4, err);

    if (st != VBG_OK)
        return st;
    if (w < rgba->w || h < rgba->h) {
        const double rx = (double)w / rgba->w, ry = (double)h / rgba->h;
        p.from_x = (p.from_x + 0.5) * rx - 0.5;
        p.from_y = (p.from_y + 0.5) * ry - 0.5;
        p.step_x *= rx;
        p.step_y *= ry;
        st = vbg_picture_new(&small, w, h, 4, err);
        if (st == VBG_OK)
            st = vbg_picture_resample(&small, rgba, VBG_FILTER_BILINEAR, err);
    }
    if (st == VBG_OK) {
        placing_matrix(m, &p);
        vbg_warp(&both, &small, m, empty);
        for (size_t i = 0; i < (size_t)rgb->w * (size_t)rgb->h; i++) {
            memcpy(rgb->v + 3 * i, both.v + 4 * i, 3 * sizeof *rgb->v);
            alpha->v[i] = both.v[4 * i + 3];
        }
    }
    if (small.data != rgba->data)
        vbg_picture_free(&small);
    vbg_levels_free(&both);
    return st;
}

/* A photo: whole and stretched, or a part of it. */
static placing place_photo(const vbg_augment_opt *o, const kept *k, vbg_dice *d)
{
    const vbg_picture *p = &k->rgba;
    placing q = { .at_x = (o->w - 1) / 2.0,
                  .at_y = (o->h - 1) / 2.0,
                  .from_x = (p->w - 1) / 2.0,
                  .from_y = (p->h - 1) / 2.0,
                  .step_x = (double)p->w / o->w,
                  .step_y = (double)p->h / o->h };

    q.mirrored = vbg_dice_chance(d, o->flip);
    if (!vbg_dice_chance(d, o->crop))
        return q;
    const double zoom = exp(vbg_dice_range(d, log(0.45), 0));
    const double aspect = exp(vbg_dice_range(d, -0.3, 0.3));
    const double x = fmin(zoom * sqrt(aspect), 1), y = fmin(zoom / sqrt(aspect), 1);
    q.step_x *= x;
    q.step_y *= y;
    q.from_x += vbg_dice_range(d, -0.5, 0.5) * (1 - x) * p->w;
    q.from_y += vbg_dice_range(d, -0.5, 0.5) * (1 - y) * p->h;
    if (vbg_dice_chance(d, 0.5))
        q.angle_rad = vbg_dice_range(d, -o->rotate_deg, o->rotate_deg) * DEGREE;
    return q;
}

/* Where the person leaves the photo. */
typedef struct cuts {
    bool left, right, top, bottom;
} cuts;

static cuts cuts_of(const kept *k)
{
    return (cuts){ .left = k->left <= 1,
                   .right = k->right >= k->rgba.w - 2,
                   .top = k->top <= 1,
                   .bottom = k->bottom >= k->rgba.h - 2 };
}

/* The share [lo, hi] of the photo's axis at the frame's axis, given the person's extent;
 * cut ends stay outside the frame.  Returns the frame position of the photo's start. */
static double settle_axis(double start, double length, double frame, bool cut_start,
                          bool cut_end)
{
    if (cut_start && start > -0.5)
        start = -0.5;
    if (cut_end && start + length < frame - 0.5)
        start = frame - 0.5 - length;
    return start;
}

/* A person before another background: squeeze is how much narrower things appear than
 * they are. */
static placing place_person(const vbg_augment_opt *o, const kept *k, double squeeze,
                            vbg_dice *d)
{
    const vbg_picture *p = &k->rgba;
    const bool mirrored = vbg_dice_chance(d, o->flip);
    cuts c = cuts_of(k);
    const double tall = k->bottom - k->top + 1, wide = k->right - k->left + 1;
    double scale = exp(vbg_dice_range(d, log(0.45), log(1.35))) * o->h / tall;

    if (mirrored) {
        const bool t = c.left;
        c.left = c.right;
        c.right = t;
    }
    double sx = scale * squeeze * exp(vbg_dice_range(d, -0.12, 0.12));
    if (c.left && c.right && sx * p->w < o->w) { /* fills the frame from side to side */
        scale *= o->w / (sx * p->w);
        sx = (double)o->w / p->w;
    }
    const double box_left = mirrored ? p->w - 1 - k->right : k->left;
    const double middle = o->w / 2.0 + vbg_dice_normal(d) * 0.22 * o->w;
    double x = middle - (box_left + wide / 2) * sx;
    double y = c.bottom ? o->h - (k->bottom + 1) * scale +
                              vbg_dice_range(d, 0, 0.25) * tall * scale
                        : vbg_dice_range(d, -0.2, 0.6) * o->h - k->top * scale;
    x = settle_axis(x, sx * p->w, o->w, c.left, c.right);
    y = settle_axis(y, scale * p->h, o->h, c.top, false);
    if (c.bottom)
        y = settle_axis(y, scale * p->h, o->h, false, true);
    placing q = { .at_x = x + sx * p->w / 2 - 0.5,
                  .at_y = y + scale * p->h / 2 - 0.5,
                  .from_x = (p->w - 1) / 2.0,
                  .from_y = (p->h - 1) / 2.0,
                  .step_x = 1 / sx,
                  .step_y = 1 / scale,
                  .mirrored = mirrored };
    if (!c.bottom && !c.left && !c.right && !c.top)
        q.angle_rad = vbg_dice_range(d, -o->rotate_deg, o->rotate_deg) * DEGREE;
    return q;
}

/* ---- samples ---- */

/* What one sample is made in. */
typedef struct bench {
    vbg_augmenter *a;
    const vbg_augment_opt *opt;
    vbg_ctx *ctx;
    vbg_dice *dice;
    vbg_levels rgb, alpha;   /* the sample so far */
    vbg_levels person, edge; /* another person and its alpha */
} bench;

static vbg_status new_bench(bench *b, vbg_err *err)
{
    const int w = b->opt->w, h = b->opt->h;
    vbg_status st = vbg_levels_new(&b->rgb, w, h, 3, err);

    if (st == VBG_OK)
        st = vbg_levels_new(&b->alpha, w, h, 1, err);
    if (st == VBG_OK)
        st = vbg_levels_new(&b->person, w, h, 3, err);
    if (st == VBG_OK)
        st = vbg_levels_new(&b->edge, w, h, 1, err);
    return st;
}

static void free_bench(bench *b)
{
    vbg_levels_free(&b->rgb);
    vbg_levels_free(&b->alpha);
    vbg_levels_free(&b->person);
    vbg_levels_free(&b->edge);
}

static vbg_status make_photo(bench *b, const kept *k, vbg_err *err)
{
    return warp_pair(&b->rgb, &b->alpha, &k->rgba, place_photo(b->opt, k, b->dice), false,
                     err);
}

/* What counts as the person: masks reach a little too far as often as not, and the old
 * background must not shine at the edge.  Blurred, then raised, the alpha shrinks. */
static vbg_status vary_edge(bench *b, vbg_err *err)
{
    const size_t n = (size_t)b->edge.w * (size_t)b->edge.h;

    if (vbg_dice_chance(b->dice, 0.2))
        return VBG_OK;
    const double sigma = vbg_dice_range(b->dice, 0.5, 1.6) * b->edge.h / 256;
    const float from = (float)vbg_dice_range(b->dice, 0.25, 0.6) * 255;
    const float to = from + (float)vbg_dice_range(b->dice, 0.25, 0.4) * 255;
    const vbg_status st = vbg_gauss_blur(&b->edge, vbg_ctx_kernels(b->ctx), sigma, err);
    for (size_t i = 0; st == VBG_OK && i < n; i++) {
        const float v = (b->edge.v[i] - from) * 255 / (to - from);
        b->edge.v[i] = v < 0 ? 0 : v > 255 ? 255 : v;
    }
    return st;
}

/* Puts a person on what is in rgb. */
static vbg_status paste(bench *b, const kept *k, double squeeze, vbg_err *err)
{
    const size_t n = (size_t)b->rgb.w * (size_t)b->rgb.h;

    if (k->right < k->left)
        return VBG_OK;
    vbg_status st = warp_pair(&b->person, &b->edge, &k->rgba,
                              place_person(b->opt, k, squeeze, b->dice), true, err);
    if (st == VBG_OK)
        st = vary_edge(b, err);
    if (st == VBG_OK)
        st = vbg_foreground_colours(&b->person, &b->edge, err);
    if (st != VBG_OK)
        return st;
    if (vbg_dice_chance(b->dice, 0.8))
        vbg_match_colours(&b->person, &b->edge, &b->rgb, vbg_dice_range(b->dice, 0, 0.8));
    if (vbg_dice_chance(b->dice, 0.3))
        vbg_light_ramp(&b->person, vbg_dice_range(b->dice, 0.1, 0.5),
                       vbg_dice_range(b->dice, -180, 180) * DEGREE);
    for (size_t i = 0; i < n; i++) {
        const float f = b->edge.v[i] / 255;
        for (size_t c = 0; c < 3; c++) {
            float *v = &b->rgb.v[3 * i + c];
            *v += (b->person.v[3 * i + c] - *v) * f;
        }
        b->alpha.v[i] += (255 - b->alpha.v[i]) * f;
    }
    return VBG_OK;
}

/* Another person's pair by chance. */
static vbg_status paste_other(bench *b, double squeeze, vbg_err *err)
{
    const kept *k;
    kept *owned;
    size_t used;
    vbg_status st =
        fetch(b->a, &k, &owned, (size_t)vbg_dice_int(b->dice, (int)b->a->masks->count),
              kept_side(b->opt), &used, err);

    if (st == VBG_OK)
        st = paste(b, k, squeeze, err);
    free_kept(owned);
    return st;
}

/* Background, then nobody, the person, or two; k NULL: nobody. */
static vbg_status make_composite(bench *b, const kept *k, vbg_err *err)
{
    static const double aspects[] = { 1, 4.0 / 3, 16.0 / 9, 16.0 / 9, 3.0 / 4 };
    vbg_dice *d = b->dice;
    const double aspect = aspects[vbg_dice_int(d, 5)];
    const double squeeze = (double)b->opt->w / b->opt->h / aspect;
    vbg_status st =
        vbg_backgrounds_draw(b->a->backgrounds, b->ctx, &b->rgb, aspect, d, err);

    if (st == VBG_OK && vbg_dice_chance(d, 0.35)) /* out of focus */
        st = vbg_gauss_blur(&b->rgb, vbg_ctx_kernels(b->ctx),
                            vbg_dice_range(d, 0.6, 4) * b->opt->h / 256, err);
    if (st == VBG_OK && k && vbg_dice_chance(d, b->opt->second))
        st = paste_other(b, squeeze, err);
    if (st == VBG_OK && k)
        st = paste(b, k, squeeze, err);
    return st;
}

/* ---- the whole picture ---- */

static void change_tone(bench *b)
{
    const double s = b->opt->tone;
    vbg_dice *d = b->dice;
    vbg_tone t = { .gamma = exp(vbg_dice_normal(d) * 0.25 * s),
                   .saturation = fmax(0, 1 + vbg_dice_normal(d) * 0.25 * s),
                   .offset = vbg_dice_normal(d) * 6 * s };
    const double gain = exp(vbg_dice_normal(d) * 0.15 * s);

    if (vbg_dice_chance(d, 0.06 * s)) /* black and white */
        t.saturation = 0;
    for (int k = 0; k < 3; k++)
        t.gain[k] = gain * exp(vbg_dice_normal(d) * 0.07 * s);
    vbg_apply_tone(&b->rgb, &t);
    if (vbg_dice_chance(d, 0.15 * s))
        vbg_light_ramp(&b->rgb, vbg_dice_range(d, 0.05, 0.35),
                       vbg_dice_range(d, -180, 180) * DEGREE);
}

/* Through a JPEG file of random quality and back. */
static vbg_status through_jpeg(vbg_picture *rgb, vbg_dice *d, vbg_err *err)
{
    const int quality = 35 + vbg_dice_int(d, 60);
    unsigned char *file = NULL;
    size_t bytes;
    vbg_picture p;
    vbg_status st = vbg_jpeg_encode(&file, &bytes, rgb, NULL, quality, err);

    if (st == VBG_OK)
        st = vbg_picture_load_memory(&p, NULL, file, bytes, "sample", 3, err);
    free(file);
    if (st != VBG_OK)
        return st;
    vbg_picture_free(rgb);
    *rgb = p;
    return VBG_OK;
}

static vbg_status fit(vbg_picture *p, int w, int h, int channels, vbg_err *err)
{
    if (p->data && p->w == w && p->h == h && p->channels == channels)
        return VBG_OK;
    vbg_picture_free(p);
    return vbg_picture_new(p, w, h, channels, err);
}

/* Light, blur, noise and compression, which the camera puts over everything alike. */
static vbg_status finish(bench *b, vbg_sample *out, vbg_err *err)
{
    const vbg_augment_opt *o = b->opt;
    vbg_status st = fit(&out->rgb, o->w, o->h, 3, err);

    if (st == VBG_OK)
        st = fit(&out->alpha, o->w, o->h, 1, err);
    if (st == VBG_OK && o->tone > 0)
        change_tone(b);
    if (st == VBG_OK && vbg_dice_chance(b->dice, o->blur))
        st = vbg_gauss_blur(&b->rgb, vbg_ctx_kernels(b->ctx),
                            vbg_dice_range(b->dice, 0.4, 1.6) * o->h / 256, err);
    if (st == VBG_OK && vbg_dice_chance(b->dice, o->noise))
        vbg_add_grain(&b->rgb, exp(vbg_dice_range(b->dice, 0, log(14))), b->dice);
    if (st != VBG_OK)
        return st;
    vbg_levels_store(&out->rgb, &b->rgb);
    vbg_levels_store(&out->alpha, &b->alpha);
    return vbg_dice_chance(b->dice, o->jpeg) ? through_jpeg(&out->rgb, b->dice, err)
                                             : VBG_OK;
}

static vbg_sample_kind choose_kind(const vbg_augmenter *a, const vbg_augment_opt *o,
                                   vbg_dice *d)
{
    const double u = vbg_dice_unit(d);

    if (!a->backgrounds || a->backgrounds->count == 0)
        return VBG_SAMPLE_PHOTO;
    return u < o->empty                ? VBG_SAMPLE_EMPTY
           : u < o->empty + o->replace ? VBG_SAMPLE_COMPOSITE
                                       : VBG_SAMPLE_PHOTO;
}

vbg_status vbg_augment(vbg_augmenter *a, const vbg_augment_opt *opt, size_t i,
                       vbg_dice dice, int slot, vbg_sample *out, vbg_err *err)
{
    bench b = { .a = a, .opt = opt, .ctx = a->ctx[slot], .dice = &dice };
    const kept *k = NULL;
    kept *owned = NULL;

    out->kind = choose_kind(a, opt, &dice);
    out->used = i;
    vbg_status st = new_bench(&b, err);
    if (st == VBG_OK && out->kind != VBG_SAMPLE_EMPTY)
        st = fetch(a, &k, &owned, i, kept_side(opt), &out->used, err);
    if (st == VBG_OK)
        st = out->kind == VBG_SAMPLE_PHOTO ? make_photo(&b, k, err)
                                           : make_composite(&b, k, err);
    if (st == VBG_OK)
        st = finish(&b, out, err);
    free_kept(owned);
    free_bench(&b);
    return st;
}

vbg_status vbg_sample_show(vbg_picture *out, const vbg_sample *s, vbg_err *err)
{
    const int w = s->rgb.w, h = s->rgb.h;
    vbg_status st = vbg_picture_new(out, 2 * w, h, 3, err);

    for (int y = 0; st == VBG_OK && y < h; y++) {
        const uint8_t *from = s->rgb.data + (size_t)y * s->rgb.stride;
        const uint8_t *alpha = s->alpha.data + (size_t)y * s->alpha.stride;
        uint8_t *to = out->data + (size_t)y * out->stride;
        memcpy(to, from, (size_t)w * 3);
        for (int x = 0; x < w; x++) /* cut out on green */
            for (int c = 0; c < 3; c++) {
                const int back = c == 1 ? 200 : 40;
                to[3 * (w + x) + c] =
                    (uint8_t)(back + (from[3 * x + c] - back) * alpha[x] / 255);
            }
    }
    return st;
}

/* ---- construction ---- */

vbg_status vbg_augmenter_new(vbg_augmenter **out, vbg_masks *masks,
                             const vbg_backgrounds *backgrounds, int slots, int cache_mb,
                             vbg_err *err)
{
    vbg_augmenter *a = calloc(1, sizeof *a);

    if (!a)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for the samples");
    pthread_mutex_init(&a->lock, NULL);
    a->masks = masks;
    a->backgrounds = backgrounds;
    a->budget = (size_t)cache_mb << 20;
    a->slots = slots;
    a->cache = calloc(masks->count, sizeof *a->cache);
    a->ctx = calloc((size_t)slots, sizeof *a->ctx);
    vbg_status st = a->cache && a->ctx
                        ? VBG_OK
                        : vbg_fail(err, VBG_ENOMEM, "not enough memory for the samples");
    for (int i = 0; st == VBG_OK && i < slots; i++)
        st = vbg_ctx_new(&a->ctx[i], &(vbg_ctx_opt){ .threads = 1, .isa = VBG_ISA_BEST },
                         err);
    if (st == VBG_OK)
        *out = a;
    else
        vbg_augmenter_free(a);
    return st;
}

void vbg_augmenter_free(vbg_augmenter *a)
{
    if (!a)
        return;
    for (size_t i = 0; a->cache && i < a->masks->count; i++)
        free_kept(a->cache[i]);
    for (int i = 0; a->ctx && i < a->slots; i++)
        vbg_ctx_free(a->ctx[i]);
    free(a->cache);
    free(a->ctx);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
