/* The picture operations of the video chain at 1280x720, one thread each. */
#include "bench/bench.h"

#include <stdlib.h>
#include <string.h>

#include "video/blur.h"
#include "video/colour.h"
#include "video/guided.h"
#include "video/resize.h"

enum { W = 1280, H = 720, MASK = 256 };

typedef struct chain {
    vbg_kernels k;
    vbg_picture rgb, network, luma, alpha;
    vbg_image mask;
    vbg_yuv i420, nv12;
    uint8_t *codes;
    vbg_resizer *down, *up;
    vbg_refiner *refiner;
    vbg_blurrer *blurrer;
} chain;

static void once_to_rgb(void *arg)
{
    chain *c = arg;
    vbg_yuv_to_rgb(&c->k, &c->rgb, &c->i420, 0, 0);
}

static void once_nv12(void *arg)
{
    chain *c = arg;
    vbg_yuv_to_rgb(&c->k, &c->rgb, &c->nv12, 0, 0);
}

static void once_from_rgb(void *arg)
{
    chain *c = arg;
    vbg_yuv_from_rgb(&c->k, &c->i420, &c->rgb, VBG_CHROMA_MEAN, 0, 0);
}

static void once_down(void *arg)
{
    chain *c = arg;
    vbg_resizer_u8(c->down, &c->k, &c->network, &c->rgb);
}

static void once_up(void *arg)
{
    chain *c = arg;
    vbg_resizer_f32_u8(c->up, &c->k, &c->alpha, &c->mask);
}

static void once_refine(void *arg)
{
    chain *c = arg;
    vbg_refiner_run(c->refiner, &c->k, &c->alpha, &c->luma, &c->mask, 4, 1e-4f, NULL);
}

static void once_mix(void *arg)
{
    chain *c = arg;
    vbg_composite(&c->k, &c->rgb, &c->rgb, &c->rgb, &c->alpha, 0, 0);
}

static void once_blur(void *arg)
{
    chain *c = arg;
    vbg_blurrer_run(c->blurrer, &c->k, &c->rgb, &c->rgb);
}

static void close_chain(chain *c)
{
    vbg_picture_free(&c->rgb);
    vbg_picture_free(&c->network);
    vbg_picture_free(&c->luma);
    vbg_picture_free(&c->alpha);
    vbg_image_free(&c->mask);
    vbg_resizer_free(c->down);
    vbg_resizer_free(c->up);
    vbg_refiner_free(c->refiner);
    vbg_blurrer_free(c->blurrer);
    free(c->codes);
}

static vbg_status open_chain(chain *c, vbg_isa isa, vbg_err *err)
{
    const size_t n = (size_t)W * H;
    uint32_t s = 1;

    *c = (chain){ .codes = malloc(n * 3 / 2) };
    vbg_kernels_init(&c->k, isa);
    if (!c->codes)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a frame");
    for (size_t i = 0; i < n * 3 / 2; i++)
        c->codes[i] = (uint8_t)((s = s * 1664525u + 1013904223u) >> 24);
    c->i420 = (vbg_yuv){ .layout = VBG_YUV_I420,
                         .w = W,
                         .h = H,
                         .plane = { c->codes, c->codes + n, c->codes + n * 5 / 4 },
                         .stride = { W, W / 2, W / 2 } };
    c->nv12 = c->i420;
    c->nv12.layout = VBG_YUV_NV12;
    c->nv12.stride[1] = W;
    vbg_status st = vbg_picture_new(&c->rgb, W, H, 3, err);
    if (st == VBG_OK)
        st = vbg_picture_new(&c->network, MASK, MASK, 3, err);
    if (st == VBG_OK)
        st = vbg_picture_new(&c->luma, W, H, 1, err);
    if (st == VBG_OK)
        st = vbg_picture_new(&c->alpha, W, H, 1, err);
    if (st == VBG_OK)
        st = vbg_image_new(&c->mask, MASK, MASK, 1, err);
    if (st == VBG_OK)
        st = vbg_resizer_new(&c->down, W, H, MASK, MASK, 3, VBG_INTERP_SMOOTH, err);
    if (st == VBG_OK)
        st = vbg_resizer_new(&c->up, MASK, MASK, W, H, 1, VBG_INTERP_LINEAR, err);
    if (st == VBG_OK)
        st = vbg_refiner_new(&c->refiner, W, H, MASK, MASK, 4, err);
    if (st == VBG_OK)
        st = vbg_blurrer_new(&c->blurrer, W, H, 3, 15, err);
    for (int y = 0; st == VBG_OK && y < H; y++)
        memcpy(vbg_picture_row(&c->luma, y), c->codes + (size_t)y * W, W);
    return st;
}

int bench_run_picture(bench *b)
{
    static const struct {
        const char *name, *shape;
        void (*once)(void *);
    } cases[] = {
        { "i420_to_rgb", "1280x720", once_to_rgb },
        { "nv12_to_rgb", "1280x720", once_nv12 },
        { "rgb_to_i420", "1280x720", once_from_rgb },
        { "rgb_to_network", "1280x720>256x256", once_down },
        { "mask_to_frame", "256x256>1280x720", once_up },
        { "mask_refine", "256x256>1280x720", once_refine },
        { "composite", "1280x720", once_mix },
        { "blur_sigma_15", "1280x720", once_blur },
    };
    chain c;
    vbg_err err = { { 0 } };

    if (open_chain(&c, b->isa, &err) != VBG_OK) {
        vbg_error("%s", err.text);
        close_chain(&c);
        return 1;
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench_row r = { .dtype = "u8", .isa = b->isa, .threads = 1 };
        if (!bench_wanted(b, cases[i].name, cases[i].shape))
            continue;
        strcpy(r.name, cases[i].name);
        strcpy(r.shape, cases[i].shape);
        bench_measure(b, &r, cases[i].once, &c);
        bench_add(b, &r);
    }
    close_chain(&c);
    return 0;
}
