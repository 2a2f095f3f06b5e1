/* Reader and writer on their own threads, the chain on the caller's. */
#define _POSIX_C_SOURCE 200809L
#include "video/pipeline.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "video/frame_scale.h"

enum { SLOTS = 3 /* frames under way on each side */ };

/* Frames go round: the producer fills slot put, the consumer empties slot take. */
typedef struct ring {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int put, take, filled;
    bool closed;    /* the producer has no more */
    bool abandoned; /* the consumer wants no more */
} ring;

static void ring_init(ring *r)
{
    *r = (ring){ .put = 0 };
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
}

static void ring_destroy(ring *r)
{
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->changed);
}

/* The producer's next slot, or -1 when nobody wants more. */
static int ring_space(ring *r)
{
    pthread_mutex_lock(&r->lock);
    while (r->filled == SLOTS && !r->abandoned)
        pthread_cond_wait(&r->changed, &r->lock);
    int slot = r->abandoned ? -1 : r->put;
    pthread_mutex_unlock(&r->lock);
    return slot;
}

static void ring_filled(ring *r)
{
    pthread_mutex_lock(&r->lock);
    r->put = (r->put + 1) % SLOTS;
    r->filled++;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

/* The consumer's next slot, or -1 at the end. */
static int ring_ready(ring *r)
{
    pthread_mutex_lock(&r->lock);
    while (r->filled == 0 && !r->closed)
        pthread_cond_wait(&r->changed, &r->lock);
    int slot = r->filled == 0 ? -1 : r->take;
    pthread_mutex_unlock(&r->lock);
    return slot;
}

static void ring_emptied(ring *r)
{
    pthread_mutex_lock(&r->lock);
    r->take = (r->take + 1) % SLOTS;
    r->filled--;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static void ring_end(ring *r, bool *which)
{
    pthread_mutex_lock(&r->lock);
    *which = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

typedef struct run {
    const vbg_pipeline *p;
    ring in, out;
    vbg_raw_frame raw[SLOTS];
    vbg_frame given[SLOTS];
    bool has_given[SLOTS];
    vbg_out_frame *shown[SLOTS], *mask[SLOTS];
    int64_t read, masks_missing;
    vbg_status in_status, out_status;
    vbg_err in_err, out_err;
} run;

static void mirror_row(uint8_t *row, int w)
{
    for (int x = 0; x < w / 2; x++) {
        uint8_t t = row[x];
        row[x] = row[w - 1 - x];
        row[w - 1 - x] = t;
    }
}

void vbg_frame_flip(vbg_frame *f, bool h, bool v)
{
    for (int p = 0; p < 3; p++) {
        const int rows = p ? (f->yuv.h + 1) / 2 : f->yuv.h;
        const int w = p ? (f->yuv.w + 1) / 2 : f->yuv.w;
        for (int y = 0; h && y < rows; y++)
            mirror_row(f->yuv.plane[p] + (size_t)y * f->yuv.stride[p], w);
        for (int y = 0; v && y < rows / 2; y++) {
            uint8_t *a = f->yuv.plane[p] + (size_t)y * f->yuv.stride[p];
            uint8_t *b = f->yuv.plane[p] + (size_t)(rows - 1 - y) * f->yuv.stride[p];
            for (int x = 0; x < w; x++) {
                uint8_t t = a[x];
                a[x] = b[x];
                b[x] = t;
            }
        }
    }
}

/* One frame (and its given mask) into a slot.  False at the end. */
static bool fill_slot(run *r, int slot)
{
    const vbg_pipeline *p = r->p;
    vbg_raw_frame *raw = &r->raw[slot];
    bool end = false, mask_end = true;

    raw->index = r->read;
    r->has_given[slot] = false;
    if (r->read == 0 && p->first) {
        vbg_frame_copy(&raw->frame, p->first);
    } else {
        r->in_status = vbg_reader_next(p->reader, &raw->frame, &end, &r->in_err);
        if (r->in_status != VBG_OK || end)
            return false;
    }
    if (p->mask_reader) {
        if (r->read == 0 && p->first_mask) {
            vbg_frame_copy(&r->given[slot], p->first_mask);
            mask_end = false;
        } else if (vbg_reader_next(p->mask_reader, &r->given[slot], &mask_end, NULL) !=
                   VBG_OK) {
            mask_end = true;
        }
        r->has_given[slot] = !mask_end;
        r->masks_missing += mask_end;
    }
    if (p->flip_h || p->flip_v) {
        vbg_frame_flip(&raw->frame, p->flip_h, p->flip_v);
        if (r->has_given[slot])
            vbg_frame_flip(&r->given[slot], p->flip_h, p->flip_v);
    }
    r->read++;
    return true;
}

static void *read_thread(void *arg)
{
    run *r = arg;
    int slot;

    while ((slot = ring_space(&r->in)) >= 0 && fill_slot(r, slot))
        ring_filled(&r->in);
    ring_end(&r->in, &r->in.closed);
    return NULL;
}

vbg_status vbg_pipeline_write(vbg_video_out *v, const vbg_out_frame *f, vbg_err *err)
{
    return vbg_video_write(v, vbg_out_frame_pixels(f), vbg_out_frame_alpha(f), err);
}

static void *write_thread(void *arg)
{
    run *r = arg;
    int slot;

    while ((slot = ring_ready(&r->out)) >= 0) {
        r->out_status = vbg_pipeline_write(r->p->writer, r->shown[slot], &r->out_err);
        if (r->out_status == VBG_OK && r->p->mask_writer)
            r->out_status =
                vbg_pipeline_write(r->p->mask_writer, r->mask[slot], &r->out_err);
        if (r->out_status != VBG_OK)
            break;
        ring_emptied(&r->out);
    }
    ring_end(&r->out, &r->out.abandoned);
    return NULL;
}

static vbg_status make_frames(run *r, vbg_err *err)
{
    vbg_reader_info in, mask = { 0 };
    vbg_status st = VBG_OK;

    vbg_reader_get_info(r->p->reader, &in);
    if (r->p->mask_reader)
        vbg_reader_get_info(r->p->mask_reader, &mask);
    for (int i = 0; i < SLOTS && st == VBG_OK; i++) {
        st = vbg_frame_new(&r->raw[i].frame, in.w, in.h, err);
        if (st == VBG_OK)
            st = (r->p->alpha ? vbg_out_frame_new_alpha
                              : vbg_out_frame_new)(&r->shown[i], in.w, in.h, err);
        if (st == VBG_OK && r->p->mask_writer)
            st = vbg_out_frame_new(&r->mask[i], in.w, in.h, err);
        if (st == VBG_OK && r->p->mask_reader)
            st = vbg_frame_new(&r->given[i], mask.w, mask.h, err);
    }
    return st;
}

/* The chain, between the two rings. */
static void work(run *r, vbg_pipeline_result *result)
{
    const vbg_pipeline *p = r->p;
    vbg_chain_report report;
    int in, out;

    while ((in = ring_ready(&r->in)) >= 0 && (out = ring_space(&r->out)) >= 0) {
        vbg_chain_step(p->chain, &r->raw[in], r->has_given[in] ? &r->given[in] : NULL,
                       r->shown[out], r->mask[out], &report);
        ring_emptied(&r->in);
        ring_filled(&r->out);
        result->frames++;
        result->without_person += !report.person;
        if (p->frame && p->frame(p->arg, &report) != 0) {
            result->stopped = true;
            break;
        }
    }
    ring_end(&r->in, &r->in.abandoned);
    ring_end(&r->out, &r->out.closed);
}

vbg_status vbg_pipeline_run(const vbg_pipeline *p, vbg_pipeline_result *result,
                            vbg_err *err)
{
    run *r = calloc(1, sizeof *r);
    pthread_t reader, writer;
    vbg_status st;

    *result = (vbg_pipeline_result){ .frames = 0 };
    if (!r)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    r->p = p;
    ring_init(&r->in);
    ring_init(&r->out);
    st = make_frames(r, err);
    const double start = vbg_now();
    if (st == VBG_OK && pthread_create(&reader, NULL, read_thread, r) != 0) {
        st = vbg_fail(err, VBG_ENOMEM, "cannot start a thread");
    } else if (st == VBG_OK && pthread_create(&writer, NULL, write_thread, r) != 0) {
        ring_end(&r->in, &r->in.abandoned);
        pthread_join(reader, NULL);
        st = vbg_fail(err, VBG_ENOMEM, "cannot start a thread");
    } else if (st == VBG_OK) {
        work(r, result);
        pthread_join(reader, NULL);
        pthread_join(writer, NULL);
        result->masks_missing = r->masks_missing;
        st = r->out_status != VBG_OK ? r->out_status : r->in_status;
        if (st != VBG_OK)
            vbg_fail(err, st, "%s",
                     r->out_status != VBG_OK ? r->out_err.text : r->in_err.text);
    }
    result->seconds = vbg_now() - start;
    for (int i = 0; i < SLOTS; i++) {
        vbg_frame_free(&r->raw[i].frame);
        vbg_frame_free(&r->given[i]);
        vbg_out_frame_free(r->shown[i]);
        vbg_out_frame_free(r->mask[i]);
    }
    ring_destroy(&r->in);
    ring_destroy(&r->out);
    free(r);
    return st;
}
