/* The whole chain of vbg-run at 1280x720 without files: mask, tracking, view, composite.
 * Frames are views of a textured sphere by a camera that turns to and fro. */
#include "bench/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/model_path.h"
#include "video/pipeline.h"
#include "video/viewport.h"

enum { W = 1280, H = 720, FRAMES = 12, PANO_W = 4096, PANO_H = 2048 };
static const double fov = 70 * 3.14159265358979323846 / 180;

typedef struct rig {
    vbg_ctx *ctx;
    vbg_raw_frame raw[FRAMES];
    vbg_frame given;
    vbg_segmenter *segmenter;
    vbg_background *background;
    vbg_chain *chain;
    vbg_out_frame *out;
    int64_t next;
    double sum[4];
    int steps;
    bool masked;
} rig;

/* Smooth noise of several sizes, RGB. */
static vbg_status make_sphere(vbg_picture *p, vbg_err *err)
{
    vbg_status st = vbg_picture_new(p, PANO_W, PANO_H, 3, err);
    uint32_t s = 5;

    for (int y = 0; st == VBG_OK && y < PANO_H; y++)
        for (int x = 0; x < PANO_W; x++)
            memset(vbg_picture_row(p, y) + 3 * x, 110, 3);
    for (int i = 0; st == VBG_OK && i < 60000; i++) {
        int size = 4 << ((s >> 9) % 4),
            level = (int)((s = s * 1664525u + 1013904223u) >> 24);
        int x = (int)((s = s * 1664525u + 1013904223u) >> 20) % (PANO_W - size);
        int y = (int)((s = s * 1664525u + 1013904223u) >> 20) % (PANO_H - size);
        for (int r = 0; r < size; r++)
            memset(vbg_picture_row(p, y + r) + 3 * x, level, 3 * (size_t)size);
    }
    return st;
}

/* Frame i from the sphere; its person is a flat ellipse that the mask knows. */
static vbg_status make_frames(rig *g, const vbg_picture *sphere, vbg_err *err)
{
    vbg_picture view = { 0 };
    vbg_viewport *v = NULL;
    vbg_status st = vbg_viewport_new(&v, sphere, err);

    if (st == VBG_OK)
        st = vbg_picture_new(&view, W, H, 3, err);
    if (st == VBG_OK)
        st = vbg_frame_new(&g->given, 256, 256, err);
    for (int i = 0; i < FRAMES && st == VBG_OK; i++) {
        const vbg_pinhole camera = {
            W, H, fov, 0.06 * sin(2 * 3.14159 * i / FRAMES), 0, 0
        };
        st = vbg_frame_new(&g->raw[i].frame, W, H, err);
        if (st == VBG_OK) {
            vbg_viewport_render(v, g->ctx, &view, &camera);
            vbg_yuv_from_rgb(vbg_ctx_kernels(g->ctx), &g->raw[i].frame.yuv, &view,
                             VBG_CHROMA_MEAN, 0, 0);
        }
    }
    for (int y = 0; st == VBG_OK && y < 256; y++)
        for (int x = 0; x < 256; x++) {
            double dx = (x - 128) / 50.0, dy = (y - 170) / 110.0;
            g->given.yuv.plane[0][(size_t)y * g->given.yuv.stride[0] + (size_t)x] =
                dx * dx + dy * dy < 1 ? 255 : 0;
        }
    vbg_viewport_free(v);
    vbg_picture_free(&view);
    return st;
}

static void once(void *arg)
{
    rig *g = arg;
    vbg_raw_frame *raw = &g->raw[g->next % FRAMES];
    vbg_chain_report report;

    raw->index = g->next++;
    vbg_chain_step(g->chain, raw, g->masked ? &g->given : NULL, g->out, NULL, &report);
    g->sum[0] += report.mask_s;
    g->sum[1] += report.track_s;
    g->sum[2] += report.view_s;
    g->sum[3] += report.compose_s;
    g->steps++;
}

static void close_rig(rig *g)
{
    vbg_chain_free(g->chain);
    vbg_background_close(g->background);
    vbg_segmenter_close(g->segmenter);
    vbg_out_frame_free(g->out);
    vbg_frame_free(&g->given);
    for (int i = 0; i < FRAMES; i++)
        vbg_frame_free(&g->raw[i].frame);
    vbg_ctx_free(g->ctx);
}

/* path NULL: a given mask. */
static vbg_status open_rig(rig *g, const bench *b, const char *path, vbg_err *err)
{
    const vbg_ctx_opt opt = { .threads = b->threads,
                              .isa = b->isa,
                              .precision = VBG_BF16 };
    const vbg_background_opt back = { .w = W, .h = H, .fov_x = fov, .yuv = true };
    const bool amx = b->isa >= VBG_ISA_AMX_BF16;
    vbg_chain_opt chain = { .mask = { .w = W, .h = H, .threshold = -1, .feather = 2 },
                            .fov_x = fov,
                            .track = true };
    vbg_picture sphere = { 0 };
    vbg_status st = vbg_ctx_new(&g->ctx, &opt, err);

    g->masked = !path;
    if (st == VBG_OK && path)
        st = vbg_segmenter_open(&g->segmenter, path, &opt, amx ? 512 : 320,
                                amx ? 512 : 180, err);
    if (st == VBG_OK)
        st = make_sphere(&sphere, err);
    if (st == VBG_OK)
        st = make_frames(g, &sphere, err);
    if (st == VBG_OK)
        st = vbg_background_picture(&g->background, &sphere, NULL, &back, err);
    vbg_picture_free(&sphere);
    chain.mask.segmenter = g->segmenter;
    chain.background = g->background;
    if (st == VBG_OK)
        st = vbg_chain_new(&g->chain, g->ctx, &chain, err);
    if (st == VBG_OK)
        st = vbg_out_frame_new(&g->out, W, H, err);
    return st;
}

/* The chain, and the mean of its parts in the same run. */
static void measure(bench *b, rig *g, const char *name)
{
    static const char *const parts[] = { "mask", "track", "view", "composite" };
    bench_row r = { .dtype = "u8", .isa = b->isa, .threads = b->threads };

    snprintf(r.name, sizeof r.name, "%.23s", name);
    snprintf(r.shape, sizeof r.shape, "1280x720");
    for (int i = 0; i < 3; i++) /* warm-up: corners, caches */
        once(g);
    memset(g->sum, 0, sizeof g->sum);
    g->steps = 0;
    bench_measure(b, &r, once, g);
    bench_add(b, &r);
    for (int i = 0; i < 4; i++) {
        bench_row part = { .dtype = "u8", .isa = b->isa, .threads = b->threads };
        snprintf(part.name, sizeof part.name, "  %s", parts[i]);
        snprintf(part.shape, sizeof part.shape, "1280x720");
        part.ms = 1e3 * g->sum[i] / g->steps;
        part.samples = 1;
        part.sample_ms[0] = part.ms;
        bench_add(b, &part);
    }
}

int bench_run_chain(bench *b)
{
    const char *name = vbg_value(b->values, "segmenter");
    char path[4096], title[64] = "chain_given_mask";
    rig g = { 0 };
    vbg_err err = { "" };
    vbg_status st = VBG_OK;

    if (!bench_wanted(b, "chain", "1280x720"))
        return 0;
    if (name)
        st = vbg_model_find(path, sizeof path, name, &err);
    if (st == VBG_OK)
        st = open_rig(&g, b, name ? path : NULL, &err);
    if (st == VBG_OK && g.segmenter)
        snprintf(title, sizeof title, "chain_%.50s", vbg_segmenter_arch(g.segmenter));
    if (st == VBG_OK)
        measure(b, &g, title);
    else
        vbg_error("%s", err.text);
    close_rig(&g);
    return st == VBG_OK ? 0 : 1;
}
