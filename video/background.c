/* Backgrounds: opened once, converted once to the frames' codes, viewed per frame. */
#define _POSIX_C_SOURCE 200809L
#include "video/background.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "engine/picture_resize.h"
#include "video/blur.h"
#include "video/colour.h"
#include "video/lean.h"
#include "video/moving.h"
#include "video/viewport.h"

#define PI 3.14159265358979323846

typedef enum kind { COLOUR, FLAT, SPHERE, BLUR, VIDEO, SLIDES } kind;

struct vbg_background {
    kind kind;
    vbg_background_opt opt;
    vbg_picture view; /* what vbg_background_view returns */
    vbg_viewport *viewport;
    double yaw, pitch; /* the picture's own first view */
    double limit;      /* of the pitch */
    bool strip;
    vbg_own_blur *blur;
    vbg_blurrer *soften; /* of views that change */
    double zoom;         /* 0: 1 */
    vbg_pinhole drawn;   /* what the view shows of the sphere; w 0: nothing yet */
    bool holes;          /* but for what a person hid */
    vbg_lean *lean;      /* flat pictures before a head that moves; NULL: none */
    vbg_picture leaned;
    bool head;
    vbg_loop *loop;
    vbg_slides *slides;
};

bool vbg_colour_parse(uint8_t rgb[3], const char *text)
{
    static const struct {
        const char *name;
        uint8_t rgb[3];
    } names[] = { { "black", { 0, 0, 0 } },      { "white", { 255, 255, 255 } },
                  { "gray", { 128, 128, 128 } }, { "green", { 0, 255, 0 } },
                  { "blue", { 0, 0, 255 } },     { "red", { 255, 0, 0 } },
                  { "alpha", { 0, 0, 0 } },      { "transparent", { 0, 0, 0 } } };
    unsigned v = 0;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(names[i].name, text) == 0) {
            memcpy(rgb, names[i].rgb, 3);
            return true;
        }
    if (text[0] != '#' || strlen(text) != 7 ||
        strspn(text + 1, "0123456789abcdefABCDEF") != 6)
        return false;
    v = (unsigned)strtoul(text + 1, NULL, 16);
    rgb[0] = (uint8_t)(v >> 16);
    rgb[1] = (uint8_t)(v >> 8);
    rgb[2] = (uint8_t)v;
    return true;
}

/* RGB to the codes of the frames, in place (4:4:4). */
static void to_codes(vbg_picture *p, const vbg_background_opt *o)
{
    vbg_yuv_matrix m;

    if (!o->yuv)
        return;
    vbg_yuv_matrix_make(&m, o->bt709, o->full_range);
    for (int y = 0; y < p->h; y++) {
        uint8_t *d = vbg_picture_row(p, y);
        for (int x = 0; x < p->w; x++, d += 3) {
            const double r = d[0], g = d[1], b = d[2];
            const double v[3] = { m.y_off + m.y[0] * r + m.y[1] * g + m.y[2] * b,
                                  128 + m.u[0] * r + m.u[1] * g + m.u[2] * b,
                                  128 + m.v[0] * r + m.v[1] * g + m.v[2] * b };
            for (int c = 0; c < 3; c++)
                d[c] = (uint8_t)(v[c] < 0 ? 0 : v[c] > 255 ? 255 : (int)(v[c] + 0.5));
        }
    }
}

static void fill(vbg_picture *p, const uint8_t rgb[3])
{
    for (int y = 0; y < p->h; y++)
        for (int x = 0; x < p->w; x++)
            memcpy(vbg_picture_row(p, y) + 3 * x, rgb, 3);
}

/* Copies w x h pixels of src at (sx, sy) to dst at (dx, dy). */
static void blit(vbg_picture *dst, int dx, int dy, const vbg_picture *src, int sx, int sy,
                 int w, int h)
{
    for (int y = 0; y < h; y++)
        memcpy(vbg_picture_row(dst, dy + y) + 3 * dx,
               vbg_picture_row(src, sy + y) + 3 * sx, 3 * (size_t)w);
}

/* The flat picture at frame size. */
static vbg_status fit(vbg_picture *view, const vbg_background_opt *o,
                      const vbg_picture *src, vbg_err *err)
{
    vbg_picture scaled = { 0 };
    vbg_status st;

    if (o->fit == VBG_FIT_TILE) {
        for (int y = 0; y < o->h; y += src->h)
            for (int x = 0; x < o->w; x += src->w)
                blit(view, x, y, src, 0, 0, vbg_min_int(src->w, o->w - x),
                     vbg_min_int(src->h, o->h - y));
        return VBG_OK;
    }
    const double fx = (double)o->w / src->w, fy = (double)o->h / src->h;
    const double f = o->fit == VBG_FIT_COVER ? fmax(fx, fy) : fmin(fx, fy);
    int w = o->w, h = o->h;
    if (o->fit == VBG_FIT_STRETCH)
        return vbg_picture_resample(view, src, VBG_FILTER_LANCZOS, err);
    /* Cover: cut the source to the frame's shape first, so that a strip never needs
     * a picture of unbounded size. */
    if (o->fit == VBG_FIT_COVER) {
        int cw = vbg_min_int(src->w, (int)lround(o->w / f));
        int ch = vbg_min_int(src->h, (int)lround(o->h / f));
        cw = vbg_max_int(cw, 1);
        ch = vbg_max_int(ch, 1);
        vbg_picture part = *src;
        part.data +=
            (size_t)((src->h - ch) / 2) * src->stride + (size_t)((src->w - cw) / 2) * 3;
        part.w = cw;
        part.h = ch;
        return vbg_picture_resample(view, &part, VBG_FILTER_LANCZOS, err);
    }
    w = vbg_max_int(1, vbg_min_int(o->w, (int)lround(src->w * f)));
    h = vbg_max_int(1, vbg_min_int(o->h, (int)lround(src->h * f)));
    st = vbg_picture_new(&scaled, w, h, 3, err);
    if (st == VBG_OK)
        st = vbg_picture_resample(&scaled, src, VBG_FILTER_LANCZOS, err);
    if (st == VBG_OK)
        blit(view, (o->w - w) / 2, (o->h - h) / 2, &scaled, 0, 0, w, h);
    vbg_picture_free(&scaled);
    return st;
}

/* Puts a part of the sphere into a whole one; rows above and below repeat its border. */
static vbg_status complete(vbg_picture *whole, const vbg_picture *src, const vbg_pano *p,
                           vbg_err *err)
{
    const double shrink = fmin(1, VBG_VIEWPORT_MAX_WIDTH / p->full_w);
    const int fw = vbg_max_int(1, (int)lround(p->full_w * shrink));
    const int fh = vbg_max_int(1, (int)lround(p->full_h * shrink));
    const int w = vbg_min_int(fw, vbg_max_int(1, (int)lround(src->w * shrink)));
    const int h = vbg_min_int(fh, vbg_max_int(1, (int)lround(src->h * shrink)));
    const int left = vbg_min_int(fw - w, vbg_max_int(0, (int)lround(p->left * shrink)));
    const int top = vbg_min_int(fh - h, vbg_max_int(0, (int)lround(p->top * shrink)));
    vbg_picture part = { 0 };
    vbg_status st = vbg_picture_new(whole, fw, fh, 3, err);

    if (st == VBG_OK)
        st = vbg_picture_new(&part, w, h, 3, err);
    if (st == VBG_OK)
        st = vbg_picture_resample(&part, src, VBG_FILTER_LANCZOS, err);
    for (int y = 0; y < fh && st == VBG_OK; y++) {
        int from = vbg_min_int(h - 1, vbg_max_int(0, y - top));
        blit(whole, left, y, &part, 0, from, w, 1);
        uint8_t *row = vbg_picture_row(whole, y);
        for (int x = 0; x < fw; x++) /* outside: the nearer edge, across the seam too */
            if (x < left || x >= left + w) {
                int to_left = (left - x + fw) % fw,
                    to_right = (x - left - w + 1 + fw) % fw;
                memcpy(row + 3 * x, row + 3 * (to_left < to_right ? left : left + w - 1),
                       3);
            }
    }
    vbg_picture_free(&part);
    return st;
}

static vbg_status open_sphere(vbg_background *b, const vbg_picture *src,
                              const vbg_pano *p, vbg_err *err)
{
    vbg_pano strip = { .sphere = true, .full_w = src->w, .full_h = src->w / 2.0 };
    vbg_picture whole = { 0 };
    vbg_status st = VBG_OK;
    double band = PI; /* height of what the picture covers, radians */

    b->kind = SPHERE;
    if (b->opt.type == VBG_BACK_STRIP) {
        strip.top = (strip.full_h - src->h) / 2;
        p = &strip;
        if (strip.top < 0)
            return vbg_fail(err, VBG_EUSAGE,
                            "a strip of %dx%d is higher than half its width; use "
                            "--background-type sphere or flat",
                            src->w, src->h);
    } else if (b->opt.type == VBG_BACK_SPHERE) {
        p = NULL;
    }
    if (p && (p->full_w > src->w + 1 || p->full_h > src->h + 1)) {
        if (p->full_w > 4 * (double)VBG_PICTURE_MAX_SIDE)
            return vbg_fail(err, VBG_ELIMIT, "the panorama claims to be %.0f pixels wide",
                            p->full_w);
        st = complete(&whole, src, p, err);
        band = PI * src->h / p->full_h;
        b->strip = true;
    } else {
        st = vbg_picture_new(&whole, src->w, src->h, 3, err);
        if (st == VBG_OK)
            blit(&whole, 0, 0, src, 0, 0, src->w, src->h);
    }
    if (st == VBG_OK) {
        to_codes(&whole, &b->opt);
        st = vbg_viewport_new(&b->viewport, &whole, err);
    }
    vbg_picture_free(&whole);
    vbg_pinhole camera = { b->opt.w, b->opt.h, b->opt.fov_x, 0, 0, 0 };
    b->limit = vbg_viewport_pitch_limit(&camera);
    if (b->strip) { /* the view's borders stay inside the strip where they can */
        double half = atan((double)b->opt.h / b->opt.w * tan(b->opt.fov_x / 2));
        b->limit = fmin(b->limit, fmax(0.02, band / 2 - half));
    }
    return st;
}

/* The same picture, larger, softened as the plain one will be. */
static vbg_status open_lean(vbg_background *b, const vbg_picture *rgb, vbg_err *err)
{
    vbg_background_opt o = b->opt;
    vbg_picture wide = { .data = NULL };
    vbg_blurrer *soft = NULL;

    o.w = vbg_max_int(o.w + 2, (int)lround(o.w * VBG_LEAN_ROOM));
    o.h = vbg_max_int(o.h + 2, (int)lround(o.h * VBG_LEAN_ROOM));
    vbg_status st = vbg_picture_new(&wide, o.w, o.h, 3, err);
    if (st == VBG_OK)
        st = fit(&wide, &o, rgb, err);
    if (st == VBG_OK)
        to_codes(&wide, &o);
    if (st == VBG_OK && o.blur >= 0.5)
        st = vbg_blurrer_new(&soft, o.w, o.h, 3, fmin(o.blur, 200), err);
    if (st == VBG_OK && soft) {
        vbg_kernels k;
        vbg_kernels_init(&k, VBG_ISA_BEST);
        vbg_blurrer_run(soft, &k, &wide, &wide);
    }
    vbg_blurrer_free(soft);
    if (st == VBG_OK)
        st = vbg_picture_new(&b->leaned, b->opt.w, b->opt.h, 3, err);
    if (st == VBG_OK)
        return vbg_lean_new(&b->lean, &wide, b->opt.w, b->opt.h, err);
    vbg_picture_free(&wide);
    return st;
}

static vbg_status make(vbg_background **out, vbg_background *b, const vbg_picture *rgb,
                       const vbg_pano *pano, vbg_err *err)
{
    const int off = rgb->w - 2 * rgb->h;
    const bool said = pano && pano->present;
    bool sphere = said ? pano->sphere : off >= -1 && off <= 1 && rgb->w >= 64;
    vbg_status st;

    if (b->opt.type != VBG_BACK_AUTO)
        sphere = b->opt.type != VBG_BACK_FLAT;
    st = vbg_picture_new(&b->view, b->opt.w, b->opt.h, 3, err);
    if (st == VBG_OK && sphere) {
        st = open_sphere(b, rgb, said && pano->sphere ? pano : NULL, err);
        if (said && pano->has_view && fabs(pano->heading_deg) <= 360) {
            b->yaw =
                (pano->heading_deg > 180 ? pano->heading_deg - 360 : pano->heading_deg) *
                PI / 180;
            b->pitch = fmax(-89, fmin(89, pano->pitch_deg)) * PI / 180;
        }
    } else if (st == VBG_OK) {
        b->kind = FLAT;
        st = fit(&b->view, &b->opt, rgb, err);
        to_codes(&b->view, &b->opt);
        if (st == VBG_OK && b->opt.lean)
            st = open_lean(b, rgb, err);
    }
    if (st == VBG_OK && b->opt.blur >= 0.5)
        st = vbg_blurrer_new(&b->soften, b->opt.w, b->opt.h, 3, fmin(b->opt.blur, 200),
                             err);
    if (st == VBG_OK && b->soften && !sphere) { /* once and for all */
        vbg_kernels k;
        vbg_kernels_init(&k, VBG_ISA_BEST);
        vbg_blurrer_run(b->soften, &k, &b->view, &b->view);
    }
    if (st == VBG_OK)
        *out = b;
    else
        vbg_background_close(b);
    return st;
}

static vbg_background *start(const vbg_background_opt *opt, vbg_err *err)
{
    vbg_background *b = calloc(1, sizeof *b);

    if (b)
        b->opt = *opt;
    else
        vbg_fail(err, VBG_ENOMEM, "out of memory");
    return b;
}

vbg_status vbg_background_picture(vbg_background **out, const vbg_picture *rgb,
                                  const vbg_pano *pano, const vbg_background_opt *opt,
                                  vbg_err *err)
{
    vbg_background *b = start(opt, err);

    *out = NULL;
    return b ? make(out, b, rgb, pano, err) : VBG_ENOMEM;
}

static vbg_status open_blur(vbg_background *b, const char *spec, vbg_err *err)
{
    char *end = NULL;
    double sigma = spec[4] == ':' ? strtod(spec + 5, &end) : 20;

    if ((end && (end == spec + 5 || *end)) || !(sigma >= 1 && sigma <= 256))
        return vbg_fail(err, VBG_EUSAGE, "background '%s': the blur is 1..256 pixels",
                        spec);
    b->kind = BLUR;
    return vbg_own_blur_new(&b->blur, b->opt.w, b->opt.h, sigma, err);
}

static bool is_folder(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* A regular file that begins like no picture: perhaps a video. */
static bool is_clip(const char *path)
{
    unsigned char head[16];
    struct stat info;

    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return false;
    FILE *f = fopen(path, "rbe");
    const size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    if (f)
        fclose(f);
    return n > 0 && !vbg_picture_known(head, n);
}

static vbg_status open_moving(vbg_background *b, const char *spec, vbg_err *err)
{
    vbg_status st = vbg_picture_new(&b->view, b->opt.w, b->opt.h, 3, err);

    if (st == VBG_OK && is_folder(spec)) {
        b->kind = SLIDES;
        if (b->opt.slide_s <= 0)
            b->opt.slide_s = 10;
        return vbg_slides_open(&b->slides, spec, &b->opt, err);
    }
    b->kind = VIDEO;
    if (st == VBG_OK && b->opt.blur >= 0.5)
        st = vbg_blurrer_new(&b->soften, b->opt.w, b->opt.h, 3, fmin(b->opt.blur, 200),
                             err);
    return st == VBG_OK ? vbg_loop_open(&b->loop, spec, &b->opt, err) : st;
}

vbg_status vbg_background_open(vbg_background **out, const char *spec,
                               const vbg_background_opt *opt, vbg_err *err)
{
    vbg_background *b = start(opt, err);
    uint8_t rgb[3];
    vbg_status st;

    *out = NULL;
    if (!b)
        return VBG_ENOMEM;
    const bool blur = strncmp(spec, "blur", 4) == 0 && (!spec[4] || spec[4] == ':');
    if (!blur && !vbg_colour_parse(rgb, spec) &&
        ((opt->yuv && is_clip(spec)) || (!opt->no_folder && is_folder(spec)))) {
        st = open_moving(b, spec, err);
        if (st == VBG_OK)
            *out = b;
        else
            vbg_background_close(b);
        return st;
    }
    if (!blur && !vbg_colour_parse(rgb, spec)) {
        vbg_picture picture;
        vbg_picture_info info;
        st = vbg_picture_load(&picture, &info, spec, 3, err);
        if (st == VBG_OK)
            st = make(out, b, &picture, &info.pano, err);
        else
            vbg_background_close(b);
        vbg_picture_free(&picture);
        vbg_picture_info_free(&info);
        return st;
    }
    st = vbg_picture_new(&b->view, opt->w, opt->h, 3, err);
    if (st == VBG_OK && blur) {
        st = open_blur(b, spec, err);
    } else if (st == VBG_OK) {
        fill(&b->view, rgb);
        to_codes(&b->view, opt);
    }
    if (st == VBG_OK)
        *out = b;
    else
        vbg_background_close(b);
    return st;
}

void vbg_background_close(vbg_background *b)
{
    if (!b)
        return;
    vbg_picture_free(&b->view);
    vbg_picture_free(&b->leaned);
    vbg_lean_free(b->lean);
    vbg_viewport_free(b->viewport);
    vbg_own_blur_free(b->blur);
    vbg_blurrer_free(b->soften);
    vbg_loop_close(b->loop);
    vbg_slides_close(b->slides);
    free(b);
}

bool vbg_background_turns(const vbg_background *b)
{
    return b->kind == SPHERE || b->kind == SLIDES; /* a slide may be a panorama */
}

const char *vbg_background_kind(const vbg_background *b)
{
    return b->kind == SPHERE   ? (b->strip ? "strip" : "sphere")
           : b->kind == FLAT   ? "flat"
           : b->kind == BLUR   ? "blur"
           : b->kind == VIDEO  ? "video"
           : b->kind == SLIDES ? "slides"
                               : "colour";
}

void vbg_background_zoom(vbg_background *b, double zoom, bool head)
{
    b->head = head;
    b->zoom = fmin(2, fmax(0.5, zoom));
}

/* Less than a thirtieth of a pixel between two views: the noise of a measured angle. */
static bool looks_alike(const vbg_pinhole *a, const vbg_pinhole *b)
{
    const double least = a->fov_x / a->w / 30;

    return a->w == b->w && a->h == b->h && fabs(a->fov_x - b->fov_x) < least &&
           fabs(remainder(a->yaw - b->yaw, 2 * PI)) < least &&
           fabs(a->pitch - b->pitch) < least && fabs(a->roll - b->roll) < least;
}

/* The view of the sphere.  A camera that stands still costs nothing. */
static void look(vbg_background *b, vbg_ctx *c, const vbg_pinhole *camera,
                 const vbg_picture *alpha)
{
    const bool still = looks_alike(camera, &b->drawn);

    if (still && !b->holes)
        return;
    b->holes = !still && alpha && !b->soften;
    if (b->holes)
        vbg_viewport_render_around(b->viewport, c, &b->view, camera, alpha);
    else
        vbg_viewport_render(b->viewport, c, &b->view, camera);
    b->drawn = *camera;
    if (b->soften)
        vbg_blurrer_run(b->soften, vbg_ctx_kernels(c), &b->view, &b->view);
}

const vbg_picture *vbg_background_view(vbg_background *b, vbg_ctx *c, double yaw,
                                       double pitch, double roll,
                                       const vbg_raw_frame *raw, const vbg_mask *mask)
{
    const double time_s = raw ? raw->frame.time_s : vbg_now();

    if (b->kind == SPHERE) {
        const double zoom = b->zoom > 0 ? b->zoom : 1;
        const double fov = 2 * atan(tan(b->opt.fov_x / 2) / zoom);
        const vbg_pinhole camera = { b->opt.w,
                                     b->opt.h,
                                     fov,
                                     remainder(yaw + b->yaw + b->opt.yaw, 2 * PI),
                                     vbg_viewport_ease_pitch(pitch + b->pitch, b->limit),
                                     roll };
        look(b, c, &camera, vbg_mask_usable(mask, raw) ? &mask->alpha : NULL);
    } else if (b->kind == SLIDES) {
        vbg_background *slide = vbg_slides_show(b->slides, time_s);
        vbg_background_zoom(slide, b->zoom > 0 ? b->zoom : 1, b->head);
        return vbg_background_view(slide, c, yaw, pitch, roll, raw, mask);
    } else if (b->kind == VIDEO) {
        if (vbg_loop_show(b->loop, vbg_ctx_kernels(c), &b->view, time_s) && b->soften)
            vbg_blurrer_run(b->soften, vbg_ctx_kernels(c), &b->view, &b->view);
    } else if (b->kind == FLAT && b->lean && b->head) {
        const double px = b->opt.w / b->opt.fov_x; /* half of a room's parallax */
        vbg_lean_run(b->lean, vbg_ctx_kernels(c), &b->leaned, 0.5 * px * yaw,
                     -0.5 * px * pitch, b->zoom > 0 ? b->zoom : 1);
        return &b->leaned;
    } else if (b->kind == BLUR) {
        vbg_own_blur_run(b->blur, vbg_ctx_kernels(c), &b->view, raw, mask);
    }
    return &b->view;
}
