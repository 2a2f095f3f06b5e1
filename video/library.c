/* The public header over the parts below it. */
#include "include/vbg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/generate.h"
#include "video/pipeline.h"
#include "video/stitch.h"

enum { VIEWS = 8 };

const char *vbg_version(void)
{
    return VBG_VERSION;
}

static int answer(vbg_status st, const vbg_err *err, vbg_message *why)
{
    if (why && st != VBG_OK)
        memcpy(why->text, err->text, sizeof why->text);
    else if (why)
        why->text[0] = 0;
    return (int)st;
}

static vbg_status read_isa(vbg_isa *out, const char *name, vbg_err *err)
{
    *out = VBG_ISA_BEST;
    if (name && !vbg_isa_parse(out, name))
        return vbg_fail(err, VBG_EUSAGE, "no instruction set '%.40s'", name);
    return VBG_OK;
}

/* ---- rooms ---- */

struct vbg_maker {
    vbg_generator *generator;
    vbg_ctx *ctx; /* for the stitcher */
};

void vbg_maker_options_init(vbg_maker_options *o)
{
    *o = (vbg_maker_options){ .size = sizeof *o };
}

int vbg_maker_open(vbg_maker **out, const char *model, const vbg_maker_options *options,
                   vbg_message *why)
{
    vbg_maker_options o;
    vbg_err err = { 0 };
    vbg_ctx_opt opt = { 0 };
    vbg_maker *m = calloc(1, sizeof *m);

    vbg_maker_options_init(&o);
    if (options)
        memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    opt.threads = o.threads;
    opt.precision = o.exact ? VBG_F32 : VBG_BF16;
    vbg_status st =
        m ? read_isa(&opt.isa, o.isa, &err) : vbg_fail(&err, VBG_ENOMEM, "out of memory");
    if (st == VBG_OK)
        st = vbg_generator_open(&m->generator, model, &opt, &err);
    if (st == VBG_OK)
        st = vbg_ctx_new(&m->ctx, &opt, &err);
    if (st == VBG_OK) {
        *out = m;
        m = NULL;
    }
    vbg_maker_close(m);
    return answer(st, &err, why);
}

void vbg_maker_close(vbg_maker *m)
{
    if (!m)
        return;
    vbg_generator_close(m->generator);
    vbg_ctx_free(m->ctx);
    free(m);
}

void vbg_room_options_init(vbg_room_options *o)
{
    vbg_gen_request r = vbg_gen_request_default();

    *o = (vbg_room_options){ .size = sizeof *o,
                             .seed = r.seed,
                             .steps = r.steps,
                             .guidance = r.guidance,
                             .width = 4096,
                             .height = 2048 };
}

static int pass_progress(void *arg, vbg_gen_stage stage, int done, int total,
                         double seconds)
{
    const vbg_room_options *o = arg;
    /* shares of the work of a guided run of 20 steps, about */
    static const double start[] = { 0, 0.01, 0.03, 0.93, 1 };
    double part = total > 0 ? (double)done / total : 0;

    (void)seconds;
    return o->progress(o->arg, start[stage] + part * (start[stage + 1] - start[stage]));
}

static vbg_status make_views(vbg_maker *m, const vbg_room_options *o, vbg_picture *view,
                             vbg_err *err)
{
    vbg_gen_request r = vbg_gen_request_default();
    vbg_gen_hooks hooks = { .arg = (void *)(uintptr_t)o,
                            .progress = o->progress ? pass_progress : NULL };

    r.views = VIEWS;
    r.prompt = &o->text;
    r.prompts = 1;
    r.negative = o->negative;
    r.seed = o->seed;
    r.steps = o->steps;
    r.guidance = o->guidance;
    r.width = r.height = o->view_side;
    return vbg_generate(m->generator, &r, &hooks, view, err);
}

int vbg_maker_room(vbg_maker *m, const vbg_room_options *options, uint8_t *rgb,
                   size_t stride, vbg_message *why)
{
    vbg_room_options o;
    vbg_picture view[VIEWS] = { { 0 } };
    vbg_pinhole ring[VIEWS];
    vbg_err err = { 0 };
    vbg_status st = VBG_OK;

    vbg_room_options_init(&o);
    memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    vbg_picture out = {
        .data = rgb, .w = o.width, .h = o.height, .channels = 3, .stride = stride
    };
    if (!o.text || o.width < 64 || o.height < 32 || o.width > 16384 || o.height > 16384 ||
        stride < 3 * (size_t)o.width)
        st = vbg_fail(&err, VBG_EUSAGE,
                      "a room needs a text, a size within 64x32 and "
                      "16384x16384 and rows of 3 * width bytes");
    if (st == VBG_OK)
        st = make_views(m, &o, view, &err);
    if (st == VBG_OK) {
        vbg_stitch_ring(ring, VIEWS, view[0].w);
        st = vbg_stitch(m->ctx, &out, NULL, view, ring, VIEWS, &err);
    }
    for (int i = 0; i < VIEWS; i++)
        vbg_picture_free(&view[i]);
    return answer(st, &err, why);
}

/* ---- the person in the room ---- */

struct vbg_scene {
    vbg_ctx *ctx;
    vbg_segmenter *segmenter;
    vbg_background *background;
    vbg_chain *chain;
    vbg_raw_frame raw;
    vbg_out_frame *out;
};

void vbg_scene_options_init(vbg_scene_options *o)
{
    *o = (vbg_scene_options){ .size = sizeof *o, .fov_deg = 70, .follow = 1 };
}

static vbg_status open_parts(vbg_scene *s, const vbg_scene_options *o, vbg_err *err)
{
    const double fov = o->fov_deg * 3.14159265358979323846 / 180;
    vbg_ctx_opt opt = { .threads = o->threads, .precision = VBG_BF16 };
    vbg_background_opt back = { .w = o->width,
                                .h = o->height,
                                .fov_x = fov,
                                .fit = VBG_FIT_COVER,
                                .yuv = true,
                                .bt709 = o->bt709 != 0,
                                .full_range = o->full_range != 0 };
    vbg_status st = read_isa(&opt.isa, o->isa, err);

    if (st == VBG_OK && (!o->segmenter || !o->background || !(fov > 0.1 && fov < 3)))
        st = vbg_fail(err, VBG_EUSAGE,
                      "a scene needs a segmenter, a background and an "
                      "angle of 6 to 170 degrees");
    if (st == VBG_OK)
        st = vbg_frame_new(&s->raw.frame, o->width, o->height, err);
    if (st == VBG_OK)
        st = vbg_out_frame_new(&s->out, o->width, o->height, err);
    if (st == VBG_OK)
        st = vbg_ctx_new(&s->ctx, &opt, err);
    if (st == VBG_OK)
        st = vbg_segmenter_open(&s->segmenter, o->segmenter, &opt, 0, 0, err);
    if (st == VBG_OK)
        st = vbg_background_open(&s->background, o->background, &back, err);
    if (st != VBG_OK)
        return st;
    s->raw.frame.yuv.bt709 = back.bt709;
    s->raw.frame.yuv.full_range = back.full_range;
    s->raw.index = -1;
    vbg_chain_opt chain = { .mask = { .w = o->width,
                                      .h = o->height,
                                      .segmenter = s->segmenter,
                                      .threshold = -1 },
                            .background = s->background,
                            .fov_x = fov,
                            .track = o->follow && vbg_background_turns(s->background) };
    return vbg_chain_new(&s->chain, s->ctx, &chain, err);
}

int vbg_scene_open(vbg_scene **out, const vbg_scene_options *options, vbg_message *why)
{
    vbg_scene_options o;
    vbg_err err = { 0 };
    vbg_scene *s = calloc(1, sizeof *s);

    vbg_scene_options_init(&o);
    memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    vbg_status st =
        s ? open_parts(s, &o, &err) : vbg_fail(&err, VBG_ENOMEM, "out of memory");
    if (st == VBG_OK) {
        *out = s;
        s = NULL;
    }
    vbg_scene_close(s);
    return answer(st, &err, why);
}

void vbg_scene_close(vbg_scene *s)
{
    if (!s)
        return;
    vbg_chain_free(s->chain);
    vbg_background_close(s->background);
    vbg_segmenter_close(s->segmenter);
    vbg_out_frame_free(s->out);
    vbg_frame_free(&s->raw.frame);
    vbg_ctx_free(s->ctx);
    free(s);
}

/* Copies the three planes of a w x h frame. */
static void copy_planes(uint8_t *const to[3], const size_t to_stride[3],
                        uint8_t *const from[3], const size_t from_stride[3], int w, int h)
{
    for (int p = 0; p < 3; p++) {
        size_t pw = (size_t)(p ? (w + 1) / 2 : w), ph = (size_t)(p ? (h + 1) / 2 : h);
        for (size_t y = 0; y < ph; y++)
            memcpy(to[p] + y * to_stride[p], from[p] + y * from_stride[p], pw);
    }
}

int vbg_scene_frame(vbg_scene *s, const vbg_planes *in, const vbg_planes *out,
                    vbg_scene_report *report, vbg_message *why)
{
    const double deg = 180 / 3.14159265358979323846;
    vbg_yuv *raw = &s->raw.frame.yuv;
    vbg_chain_report r = { 0 };

    copy_planes(raw->plane, raw->stride, in->plane, in->stride, raw->w, raw->h);
    s->raw.index++;
    vbg_chain_step(s->chain, &s->raw, NULL, s->out, NULL, &r);
    const vbg_yuv *done = &vbg_out_frame_pixels(s->out)->yuv;
    copy_planes(out->plane, out->stride, done->plane, done->stride, raw->w, raw->h);
    if (report)
        *report = (vbg_scene_report){ .person = r.person,
                                      .yaw_deg = r.motion.yaw * deg,
                                      .pitch_deg = r.motion.pitch * deg,
                                      .roll_deg = r.motion.roll * deg };
    if (why)
        memcpy(why->text, r.mask_err.text, sizeof why->text);
    return VBG_DONE;
}
