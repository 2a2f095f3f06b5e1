/* Micro-batches for segmentation; see tools/train/segment_data.h. */
#include "tools/train/segment_data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/picture_io.h"
#include "engine/picture_resize.h"
#include "models/segmenter.h"
#include "tools/train/segment_loss.h"

enum {
    PURPOSE_SAMPLE = 0x73616d70,
    PURPOSE_MOVE = 0x6d6f7665,
    FARTHEST = 6 /* pixels */
};

/* Where a teacher and an exact alpha differ by more, the teacher is wrong. */
static const float TEACHER_LIMIT = 0.3f;

/* One caller's workplace. */
typedef struct slot {
    vbg_segment_batch batch;
    vbg_sample sample;
    uint32_t *order; /* of epoch */
    uint64_t epoch;
    bool ordered;
    vbg_segmenter *teacher;
    vbg_picture small; /* of the teacher's size */
    float *alpha;      /* [mask_h, mask_w] */
} slot;

struct vbg_segment_data {
    vbg_segment_data_opt opt;
    vbg_masks train, held; /* to train on, to validate with */
    vbg_backgrounds backgrounds;
    vbg_augmenter *augmenter, *plain; /* plain: for validation */
    slot slot[VBG_SEGMENT_SLOTS];
};

/* ---- opening ---- */

/* Moves the last pairs of the list to a list of their own. */
static vbg_status hold_out(vbg_segment_data *d, size_t count, vbg_err *err)
{
    vbg_masks *from = &d->train;

    d->held = *from;
    d->held.item = NULL;
    d->held.count = d->held.room = 0;
    if (count == 0)
        return VBG_OK;
    d->held.item = calloc(count, sizeof *d->held.item);
    if (!d->held.item)
        return vbg_fail(err, VBG_ENOMEM, "%s: not enough memory", d->opt.data);
    from->count -= count;
    memcpy(d->held.item, from->item + from->count, count * sizeof *d->held.item);
    d->held.count = d->held.room = count;
    return VBG_OK;
}

static vbg_status open_lists(vbg_segment_data *d, vbg_err *err)
{
    const vbg_segment_data_opt *o = &d->opt;
    vbg_status st = vbg_masks_open(&d->train, o->data, o->strict, err);

    if (st != VBG_OK)
        return st;
    st = o->val_data ? vbg_masks_open(&d->held, o->val_data, o->strict, err)
                     : hold_out(d, (size_t)((double)d->train.count * o->val_share), err);
    if (st == VBG_OK && d->train.count == 0)
        st = vbg_fail(err, VBG_EUSAGE, "%s: nothing is left to train on", o->data);
    return st;
}

static vbg_status open_teacher(slot *s, const vbg_segment_data_opt *o, vbg_err *err)
{
    const vbg_ctx_opt one = { .threads = 1, .isa = VBG_ISA_BEST, .precision = VBG_BF16 };
    int w, h, mw, mh;
    vbg_status st = vbg_segmenter_open(&s->teacher, o->teacher, &one, o->augment.w,
                                       o->augment.h, err);

    if (st != VBG_OK)
        return st;
    vbg_segmenter_size(s->teacher, &w, &h);
    vbg_segmenter_mask_size(s->teacher, &mw, &mh);
    s->alpha = calloc((size_t)mw * (size_t)mh, sizeof *s->alpha);
    if (!s->alpha)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for the teacher");
    return vbg_picture_new(&s->small, w, h, 3, err);
}

static vbg_status open_slot(vbg_segment_data *d, slot *s, vbg_err *err)
{
    const vbg_segment_data_opt *o = &d->opt;
    const size_t px = (size_t)o->batch * (size_t)o->augment.w * (size_t)o->augment.h;

    s->batch.x = calloc(px * 3, sizeof *s->batch.x);
    s->batch.target = calloc(px, sizeof *s->batch.target);
    s->batch.label = calloc(px, 1);
    s->batch.band = calloc(px, 2);
    s->batch.move = calloc((size_t)o->batch, sizeof *s->batch.move);
    s->order = calloc(d->train.count, sizeof *s->order);
    if (!s->batch.x || !s->batch.target || !s->batch.label || !s->batch.band ||
        !s->batch.move || !s->order)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a batch of %d", o->batch);
    return o->teacher ? open_teacher(s, o, err) : VBG_OK;
}

vbg_status vbg_segment_data_open(vbg_segment_data **out, const vbg_segment_data_opt *opt,
                                 vbg_err *err)
{
    vbg_segment_data *d = calloc(1, sizeof *d);
    vbg_status st;

    if (!d)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for the data");
    d->opt = *opt;
    st = open_lists(d, err);
    if (st == VBG_OK && opt->background_folders)
        st = vbg_backgrounds_open(
            &d->backgrounds, opt->backgrounds, opt->background_folders,
            vbg_max_int(opt->augment.w, opt->augment.h), opt->strict, err);
    if (st == VBG_OK)
        st = vbg_augmenter_new(&d->augmenter, &d->train, &d->backgrounds,
                               VBG_SEGMENT_SLOTS, opt->cache_mb, err);
    if (st == VBG_OK)
        st = vbg_augmenter_new(&d->plain, &d->held, NULL, 1, opt->cache_mb / 4, err);
    for (int i = 0; st == VBG_OK && i < VBG_SEGMENT_SLOTS; i++)
        st = open_slot(d, &d->slot[i], err);
    if (st == VBG_OK)
        *out = d;
    else
        vbg_segment_data_close(d);
    return st;
}

void vbg_segment_data_close(vbg_segment_data *d)
{
    if (!d)
        return;
    for (int i = 0; i < VBG_SEGMENT_SLOTS; i++) {
        slot *s = &d->slot[i];
        free(s->batch.x);
        free(s->batch.target);
        free(s->batch.label);
        free(s->batch.band);
        free(s->batch.move);
        free(s->order);
        free(s->alpha);
        vbg_sample_free(&s->sample);
        vbg_picture_free(&s->small);
        vbg_segmenter_close(s->teacher);
    }
    vbg_augmenter_free(d->augmenter);
    vbg_augmenter_free(d->plain);
    vbg_backgrounds_free(&d->backgrounds);
    vbg_masks_free(&d->train);
    vbg_masks_free(&d->held);
    free(d);
}

size_t vbg_segment_data_count(const vbg_segment_data *d)
{
    return d->train.count;
}

size_t vbg_segment_data_val_count(const vbg_segment_data *d)
{
    return d->held.count;
}

uint64_t vbg_segment_data_jobs(const vbg_segment_data *d)
{
    const uint64_t jobs = d->train.count / (uint64_t)d->opt.batch;

    return jobs ? jobs : 1;
}

/* ---- samples ---- */

static void normalise(float *x, const vbg_picture *rgb, vbg_input_norm norm)
{
    float table[3][256];

    for (int k = 0; k < 3; k++)
        for (int v = 0; v < 256; v++)
            table[k][v] = ((float)v / 255 - norm.mean[k]) / norm.std[k];
    for (int y = 0; y < rgb->h; y++) {
        const uint8_t *row = rgb->data + (size_t)y * rgb->stride;
        for (int i = 0; i < 3 * rgb->w; i++)
            *x++ = table[i % 3][row[i]];
    }
}

/* Bilinear with half-pixel centres. */
static float alpha_at(const float *a, int w, int h, double x, double y)
{
    const double u = fmin(fmax(x, 0), w - 1), v = fmin(fmax(y, 0), h - 1);
    const int x0 = (int)u, y0 = (int)v;
    const int x1 = vbg_min_int(x0 + 1, w - 1), y1 = vbg_min_int(y0 + 1, h - 1);
    const float fx = (float)(u - x0), fy = (float)(v - y0);
    const float top = a[y0 * w + x0] + (a[y0 * w + x1] - a[y0 * w + x0]) * fx;
    const float low = a[y1 * w + x0] + (a[y1 * w + x1] - a[y1 * w + x0]) * fx;

    return top + (low - top) * fy;
}

/* Mixes the teacher's answer into the target: binary cross entropy is linear in its
 * target, so this is the sum of both losses. */
static vbg_status ask_teacher(const vbg_segment_data *d, slot *s, float *target,
                              vbg_err *err)
{
    const int w = d->opt.augment.w, h = d->opt.augment.h;
    const float share = (float)d->opt.distill;
    const bool exact = s->sample.kind != VBG_SAMPLE_PHOTO;
    int mw, mh;
    vbg_status st =
        vbg_picture_resample(&s->small, &s->sample.rgb, VBG_FILTER_BILINEAR, err);

    if (st == VBG_OK)
        st = vbg_segmenter_run(s->teacher, &s->small, s->alpha, err);
    if (st != VBG_OK)
        return st;
    vbg_segmenter_mask_size(s->teacher, &mw, &mh);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            float *t = &target[y * w + x];
            const float a = alpha_at(s->alpha, mw, mh, (x + 0.5) * mw / w - 0.5,
                                     (y + 0.5) * mh / h - 0.5);
            if (!exact || fabsf(a - *t) <= TEACHER_LIMIT)
                *t += (a - *t) * share;
        }
    return VBG_OK;
}

static void targets(float *target, const vbg_picture *alpha)
{
    for (int y = 0; y < alpha->h; y++)
        for (int x = 0; x < alpha->w; x++)
            *target++ =
                (float)alpha->data[(size_t)y * alpha->stride + (size_t)x] * (1.0f / 255);
}

/* "a.jpg, b.jpg" */
static void add_name(vbg_segment_batch *b, const char *path)
{
    const char *slash = strrchr(path, '/');
    const size_t n = strlen(b->names);

    if (n + 8 < sizeof b->names)
        snprintf(b->names + n, sizeof b->names - n, "%s%s", n ? ", " : "",
                 slash ? slash + 1 : path);
}

/* Sample k is sample k - 1 moved, its border repeated, with other noise: the same scene a
 * moment later. */
static void move_sample(const vbg_segment_data *d, slot *s, size_t k, vbg_dice dice)
{
    const vbg_augment_opt *a = &d->opt.augment;
    const size_t px = (size_t)a->w * (size_t)a->h;
    float *x = s->batch.x + 3 * k * px, *target = s->batch.target + k * px;
    const double sigma = vbg_dice_range(&dice, 1, 5) / 255;
    int *m = s->batch.move[k];

    m[0] = vbg_dice_int(&dice, 2 * FARTHEST + 1) - FARTHEST;
    m[1] = vbg_dice_int(&dice, 2 * FARTHEST + 1) - FARTHEST;
    for (int i = 0; i < a->w * a->h; i++) {
        const int u = vbg_min_int(vbg_max_int(i % a->w - m[0], 0), a->w - 1);
        const int v = vbg_min_int(vbg_max_int(i / a->w - m[1], 0), a->h - 1);
        const int from = v * a->w + u - (int)px; /* in the sample before */
        for (int c = 0; c < 3; c++)
            x[3 * i + c] = x[3 * from + c] +
                           (float)(sigma * vbg_dice_normal(&dice)) / d->opt.norm.std[c];
        target[i] = target[from];
    }
}

static void finish_sample(const vbg_segment_data *d, slot *s, size_t k)
{
    const vbg_augment_opt *a = &d->opt.augment;
    const size_t px = (size_t)a->w * (size_t)a->h, all = (size_t)d->opt.batch * px;
    uint8_t *label = s->batch.label + k * px;

    for (size_t i = 0; i < px; i++)
        label[i] = s->batch.target[k * px + i] > 0.5f;
    if (d->opt.band)
        vbg_border_band(s->batch.band + k * px, s->batch.band + all + k * px, label, a->w,
                        a->h, d->opt.band);
}

vbg_status vbg_segment_data_load(vbg_segment_data *d, uint64_t job, int at, vbg_err *err)
{
    const vbg_segment_data_opt *o = &d->opt;
    const size_t px = (size_t)o->augment.w * (size_t)o->augment.h;
    const uint64_t jobs = vbg_segment_data_jobs(d), epoch = job / jobs;
    slot *s = &d->slot[at];
    vbg_status st = VBG_OK;

    if (!s->ordered || s->epoch != epoch)
        vbg_epoch_order(s->order, d->train.count, o->seed, epoch, o->shuffle);
    s->ordered = true;
    s->epoch = epoch;
    s->batch.names[0] = 0;
    for (size_t k = 0; st == VBG_OK && k < (size_t)o->batch; k++) {
        const uint64_t place = job % jobs * (uint64_t)o->batch + k;
        const vbg_dice dice =
            vbg_dice_for(o->seed, (uint32_t)epoch, (uint32_t)place, PURPOSE_SAMPLE);
        float *target = s->batch.target + k * px;
        if (o->pairs && k % 2) {
            move_sample(
                d, s, k,
                vbg_dice_for(o->seed, (uint32_t)epoch, (uint32_t)place, PURPOSE_MOVE));
            finish_sample(d, s, k);
            continue;
        }
        st = vbg_augment(d->augmenter, &o->augment, s->order[place % d->train.count],
                         dice, at, &s->sample, err);
        if (st != VBG_OK)
            break;
        normalise(s->batch.x + 3 * k * px, &s->sample.rgb, o->norm);
        targets(target, &s->sample.alpha);
        if (s->teacher)
            st = ask_teacher(d, s, target, err);
        finish_sample(d, s, k);
        add_name(&s->batch, d->train.item[s->sample.used].picture);
    }
    return st;
}

const vbg_segment_batch *vbg_segment_data_batch(const vbg_segment_data *d, int at)
{
    return &d->slot[at].batch;
}

vbg_status vbg_segment_data_val(vbg_segment_data *d, size_t i, vbg_sample *s, float *x,
                                vbg_err *err)
{
    const vbg_augment_opt plain = vbg_augment_none(d->opt.augment.w, d->opt.augment.h);
    vbg_status st = vbg_augment(d->plain, &plain, i, vbg_dice_for(0, 0, 0, 0), 0, s, err);

    if (st == VBG_OK && x)
        normalise(x, &s->rgb, d->opt.norm);
    return st;
}

vbg_status vbg_segment_data_sheet(vbg_segment_data *d, const char *path, vbg_err *err)
{
    enum { COLUMNS = 4, ROWS = 6 };
    const int w = d->opt.augment.w, h = d->opt.augment.h;
    vbg_picture sheet, one;
    vbg_sample s = { 0 };
    vbg_status st = vbg_picture_new(&sheet, COLUMNS * 2 * w, ROWS * h, 3, err);

    for (int i = 0; st == VBG_OK && i < COLUMNS * ROWS; i++) {
        const vbg_dice dice = vbg_dice_for(d->opt.seed, 0, (uint32_t)i, PURPOSE_SAMPLE);
        st = vbg_augment(d->augmenter, &d->opt.augment, (size_t)i % d->train.count, dice,
                         0, &s, err);
        if (st == VBG_OK)
            st = vbg_sample_show(&one, &s, err);
        if (st != VBG_OK)
            break;
        for (int y = 0; y < h; y++)
            memcpy(sheet.data + (size_t)(i / COLUMNS * h + y) * sheet.stride +
                       (size_t)(i % COLUMNS * 2 * w) * 3,
                   one.data + (size_t)y * one.stride, (size_t)w * 6);
        vbg_picture_free(&one);
    }
    if (st == VBG_OK)
        st = vbg_picture_save(path, &sheet, NULL, 90, err);
    vbg_sample_free(&s);
    vbg_picture_free(&sheet);
    return st;
}
