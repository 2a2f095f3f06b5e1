/* Micro-batches, steps and held-out losses of `vbg-train base text+unet`.
 *
 * Times are stratified over a micro-batch (Kingma et al. 2021); captions are dropped now
 * and then for guidance (Ho and Salimans 2022); the loss is the squared error of the
 * prediction, weighted by min(SNR, gamma) (Hang et al. 2023) with a floor of 0.2, so that
 * the first sampling step is learned where the last signal-to-noise ratio is zero. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/train/base_unet.h"

enum { ORDER = 11, SAMPLE = 12, TIMES = 13, FIXED = 14 };

/* ---- batches ---- */

void vbg_base_batch_free(vbg_base_batch *s)
{
    vbg_free_mem(s->x);
    vbg_free_mem(s->target);
    vbg_free_mem(s->weight);
    vbg_free_mem(s->time);
    vbg_free_mem(s->ids);
    vbg_free_mem(s->label);
    vbg_free_mem(s->depth);
    vbg_free_mem(s->coarse);
    *s = (vbg_base_batch){ 0 };
}

vbg_status vbg_base_batch_new(vbg_base_batch *s, const vbg_base *b, int n, vbg_err *err)
{
    const size_t count = (size_t)n, side = (size_t)b->latents.truth_side;
    const size_t cells = b->head.data ? count * side * side : 1;

    const size_t coarse = count * (size_t)vbg_base_coarse_count(b);

    *s = (vbg_base_batch){ .x = vbg_alloc(count * b->latents.each * sizeof(float)),
                           .target = vbg_alloc(count * b->latents.each * sizeof(float)),
                           .weight = vbg_alloc(count * sizeof(float)),
                           .time = vbg_alloc(count * sizeof(double)),
                           .ids = vbg_alloc(count * VBG_TOKENS * sizeof(int)),
                           .label = vbg_alloc(cells),
                           .depth = vbg_alloc(cells * sizeof(float)),
                           .coarse = vbg_alloc(coarse * sizeof(float)) };
    if (s->x && s->target && s->weight && s->time && s->ids && s->label && s->depth &&
        s->coarse)
        return VBG_OK;
    vbg_base_batch_free(s);
    return vbg_fail(err, VBG_ENOMEM, "not enough memory for a batch");
}

/* "left" and "right" change places where the picture is mirrored. */
static char *mirror_words(const char *text)
{
    const size_t n = strlen(text);
    char *out = malloc(2 * n + 1), *to = out;

    for (const char *p = text; out && *p;) {
        if (strncmp(p, "left", 4) == 0) {
            memcpy(to, "right", 5);
            p += 4, to += 5;
        } else if (strncmp(p, "right", 5) == 0) {
            memcpy(to, "left", 4);
            p += 5, to += 4;
        } else {
            *to++ = *p++;
        }
    }
    if (out)
        *to = 0;
    return out;
}

static void put_ids(const vbg_base *b, int *ids, const char *text, bool mirrored)
{
    char *swapped = mirrored ? mirror_words(text) : NULL;
    const char *t = swapped ? swapped : text;

    vbg_tokenizer_encode77(b->tokenizer, t, strlen(t), ids);
    free(swapped);
}

double vbg_base_weight(vbg_prediction p, double alpha, double gamma)
{
    double snr = alpha < 1 ? alpha / (1 - alpha) : 1e6;
    double most = fmax(fmin(snr, gamma), 0.2);

    if (gamma <= 0)
        return 1;
    return p == VBG_PREDICT_V ? most / (snr + 1) : most / fmax(snr, 0.2);
}

/* Sample i of s: picture at time t with noise from the dice. */
static void fill(const vbg_base *b, vbg_base_batch *s, size_t i, size_t picture,
                 bool mirrored, int t, vbg_dice *dice)
{
    const size_t each = b->latents.each;
    float *x = s->x + i * each, *target = s->target + i * each;
    float *clean = malloc(2 * each * sizeof *clean), *noise = clean + each;

    VBG_CHECK(clean, "out of memory for a sample");
    vbg_latents_get(&b->latents, picture, mirrored, clean);
    for (size_t k = 0; k < each; k++)
        noise[k] = (float)vbg_dice_normal(dice);
    vbg_add_noise(b->tables, x, clean, noise, t, each);
    if (b->schedule.prediction == VBG_PREDICT_V)
        vbg_velocity(b->tables, target, clean, noise, t, each);
    else
        memcpy(target, noise, each * sizeof *noise);
    s->time[i] = t;
    s->weight[i] = (float)vbg_base_weight(
        b->schedule.prediction, (double)vbg_sampler_alphas_cumprod(b->tables)[t],
        b->gamma);
    vbg_base_aux_fill(b, s, i, picture, mirrored);
    vbg_base_coarse(b, s->coarse + i * (size_t)vbg_base_coarse_count(b), clean);
    free(clean);
}

/* Picture at a place of the shuffled course; unreadable ones are passed over. */
static size_t picture_at(vbg_base *b, uint64_t place)
{
    const uint64_t epoch = place / b->train;

    pthread_mutex_lock(&b->lock);
    if (b->order_epoch != epoch) {
        vbg_epoch_order(b->order, b->train, b->loop.opt.seed, epoch, true);
        b->order_epoch = epoch;
    }
    size_t i = b->order[place % b->train];
    pthread_mutex_unlock(&b->lock);
    for (size_t k = 0; k < b->train && !vbg_latents_good(&b->latents, i); k++)
        i = (i + 1) % b->train;
    return i;
}

vbg_status vbg_base_load(void *arg, uint64_t job, int slot, vbg_err *err)
{
    vbg_base *b = arg;
    vbg_base_batch *s = &b->slots[slot];
    const int n = b->batch, train_steps = b->schedule.train_steps;
    vbg_dice times =
        vbg_dice_for(b->loop.opt.seed, (uint32_t)(job >> 32), (uint32_t)job, TIMES);
    const double shift = vbg_dice_unit(&times);

    (void)err;
    for (int i = 0; i < n; i++) {
        uint64_t place = job * (uint64_t)n + (uint64_t)i;
        size_t picture = picture_at(b, place);
        vbg_dice d = vbg_dice_for(b->loop.opt.seed, (uint32_t)(place >> 32),
                                  (uint32_t)place, SAMPLE);
        bool mirrored = b->latents.mirrored && vbg_dice_chance(&d, 0.5);
        bool drop = vbg_dice_chance(&d, b->dropout);
        bool whole = vbg_dice_chance(&d, b->whole);
        int t = (int)((i + shift) / n * train_steps);
        const char *text = drop    ? ""
                           : whole ? vbg_samples_whole(&b->list, picture)
                                   : vbg_samples_text(&b->list, picture);
        if (i == 0)
            s->first = picture;
        put_ids(b, s->ids + i * VBG_TOKENS, text, mirrored);
        fill(b, s, (size_t)i, picture, mirrored, vbg_min_int(t, train_steps - 1), &d);
    }
    return VBG_OK;
}

void vbg_base_describe(void *arg, uint64_t job, int slot, char *text, size_t size)
{
    const vbg_base *b = arg;

    (void)job;
    snprintf(text, size, "%s ...", vbg_samples_name(&b->list, b->slots[slot].first));
}

/* ---- a step ---- */

typedef struct forward_job {
    vbg_base *b;
    const vbg_base_batch *s;
    const int *ids;
    int n;
    bool learn;
    double loss, plain; /* weighted and plain mean square */
    double *each;       /* [n] plain means, or NULL */
    vbg_base_aux aux;
    double text; /* loss of the text's head */
} forward_job;

/* dy = 2 weight (y - target) / count; NULL: only the values. */
static void square_loss(forward_job *j, const float *y, float *dy)
{
    const size_t each = j->b->latents.each;
    const double count = (double)each * j->n;

    j->loss = j->plain = 0;
    for (size_t i = 0; i < (size_t)j->n; i++) {
        double sum = 0;
        const float w = j->s->weight[i], share = (float)(2 * (double)w / count);
        for (size_t k = i * each; k < (i + 1) * each; k++) {
            float d = y[k] - j->s->target[k];
            sum += (double)d * (double)d;
            if (dy)
                dy[k] = share * d;
        }
        j->plain += sum / count;
        j->loss += (double)w * sum / count;
        if (j->each)
            j->each[i] = sum / (double)each;
    }
}

static vbg_status forward(vbg_ctx *c, void *arg, vbg_err *err)
{
    forward_job *j = arg;
    vbg_base *b = j->b;
    const int side = b->latents.side, channels = b->latents.channels;
    const vbg_unet_hooks hooks = vbg_base_aux_hooks(&j->aux, b, j->s);

    (void)err;
    if (j->learn)
        vbg_tape_start(b->tape, true);
    vbg_tensor *x = vbg_wrap(c, j->s->x, VBG_F32, j->n, side, side, channels);
    vbg_tensor *state = vbg_clip_text_forward(c, &b->text, j->ids, j->n);
    j->text = vbg_base_text_loss(c, b, state, j->ids, j->s->coarse);
    vbg_tensor *y = vbg_unet_forward_state(c, &b->unet, x, j->s->time, j->n, state,
                                           b->head.data ? &hooks : NULL);
    vbg_tensor *dy = NULL;
    if (j->learn)
        dy = vbg_new_typed(c, VBG_F32, y->n, y->h, y->w, y->c);
    if (!vbg_planning(c))
        square_loss(j, y->data, dy ? dy->data : NULL);
    if (j->learn) {
        vbg_backward_from(c, y, dy);
        vbg_tape_stop(b->tape);
    }
    return VBG_OK;
}

/* Losses of the heads. */
static void measure_heads(const vbg_base *b, const forward_job *j, vbg_measure *m)
{
    if (b->head.data) {
        vbg_measure_set(m, "regions", j->aux.regions);
        vbg_measure_set(m, "depth", j->aux.depth);
    }
    if (b->text_head.data)
        vbg_measure_set(m, "text", j->text);
}

vbg_status vbg_base_step(void *arg, uint64_t job, int slot, vbg_measure *m, vbg_err *err)
{
    vbg_base *b = arg;
    forward_job j = { .b = b,
                      .s = &b->slots[slot],
                      .ids = b->slots[slot].ids,
                      .n = b->batch,
                      .learn = true };
    vbg_status st = vbg_run(b->loop.ctx, forward, &j, err);

    (void)job;
    m->loss = j.loss + b->aux * (j.aux.regions + j.aux.depth) + b->text_share * j.text;
    vbg_measure_set(m, "mse", j.plain);
    measure_heads(b, &j, m);
    return st;
}

vbg_status vbg_base_plan(void *arg, size_t *bytes, vbg_err *err)
{
    vbg_base *b = arg;
    forward_job j = {
        .b = b, .s = &b->slots[0], .ids = b->slots[0].ids, .n = b->batch, .learn = true
    };

    return vbg_plan(b->loop.ctx, forward, &j, bytes, err);
}

/* ---- held-out ---- */

/* Fixed samples: held-out picture k at time k % 8 of 8, always the same noise. */
static void fill_held_out(vbg_base *b)
{
    const size_t held = b->count - b->train;
    const int n = VBG_BASE_HELD_OUT, steps = b->schedule.train_steps;

    for (int i = 0; i < n; i++) {
        size_t picture = b->train + (size_t)i % held;
        vbg_dice d = vbg_dice_for(1, 0, (uint32_t)i, FIXED);
        int t = (2 * (i % VBG_BASE_TIMES) + 1) * steps / (2 * VBG_BASE_TIMES);
        if (!vbg_latents_good(&b->latents, picture))
            picture = picture_at(b, (uint64_t)i);
        put_ids(b, b->held_out.ids + i * VBG_TOKENS, vbg_samples_text(&b->list, picture),
                false);
        fill(b, &b->held_out, (size_t)i, picture, false, t, &d);
    }
}

/* Loss with the right captions, at each time, and how much worse others' are. */
vbg_status vbg_base_validate(void *arg, vbg_measure *m, vbg_err *err)
{
    vbg_base *b = arg;
    enum { N = VBG_BASE_HELD_OUT };
    int others[N * VBG_TOKENS];
    double each[N], at[VBG_BASE_TIMES] = { 0 };
    forward_job j = {
        .b = b, .s = &b->held_out, .ids = b->held_out.ids, .n = N, .each = each
    };

    fill_held_out(b);
    vbg_status st = vbg_run(b->loop.ctx, forward, &j, err);
    if (st != VBG_OK)
        return st;
    m->loss = j.plain;
    for (int i = 0; i < N; i++)
        at[i % VBG_BASE_TIMES] += each[i] * VBG_BASE_TIMES / N;
    for (int i = 0; i < VBG_BASE_TIMES; i += 2) {
        char name[32];
        snprintf(name, sizeof name, "t%d",
                 (2 * i + 1) * b->schedule.train_steps / (2 * VBG_BASE_TIMES));
        vbg_measure_set(m, name, at[i]);
    }
    measure_heads(b, &j, m);
    for (int i = 0; i < N; i++)
        memcpy(others + i * VBG_TOKENS, b->held_out.ids + (i + 5) % N * VBG_TOKENS,
               VBG_TOKENS * sizeof *others);
    j.ids = others;
    st = vbg_run(b->loop.ctx, forward, &j, err);
    vbg_measure_set(m, "caption_gap", j.plain / fmax(m->loss, 1e-12) - 1);
    return st;
}
