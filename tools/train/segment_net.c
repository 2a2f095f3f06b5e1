/* A segmenter being trained; see tools/train/segment_net.h. */
#include "tools/train/segment_net.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/loss.h"
#include "engine/ops.h"
#include "engine/picture_io.h"
#include "models/matting.h"
#include "tools/train/segment_loss.h"

/* ---- construction ---- */

/* What the network never reads (auxiliary heads of an imported file) is kept as it is. */
static vbg_status keep_unused(vbg_learner *s, vbg_err *err)
{
    for (size_t i = 0; i < vbg_weights_count(s->file); i++) {
        const vbg_entry *e = vbg_weights_at(s->file, i);
        if (vbg_params_find(s->params, e->component, e->name))
            continue;
        vbg_param *m = vbg_params_take(s->params, e, NULL, VBG_INIT_ZERO, 0);
        if (!m)
            return vbg_fail(err, VBG_ENOMEM, "%s: not enough memory", e->name);
        vbg_param_is_buffer(m);
    }
    return VBG_OK;
}

static vbg_status check_size(const vbg_learner *s, vbg_err *err)
{
    const vbg_segment_shape *o = &s->opt.shape;
    const int step = vbg_segnet_step(s->net);
    int64_t w, h;

    if (o->w % step || o->h % step)
        return vbg_fail(err, VBG_EUSAGE, "--size %dx%d: sides of %s are multiples of %d",
                        o->w, o->h, vbg_segnet_arch(s->net), step);
    if (vbg_segnet_fixed(s->net) && vbg_weights_int(s->file, "segmenter.width", &w) &&
        vbg_weights_int(s->file, "segmenter.height", &h) && (w != o->w || h != o->h))
        return vbg_fail(err, VBG_EUSAGE,
                        "--size %dx%d: the network of %s is made for %lldx%lld", o->w,
                        o->h, s->opt.path, (long long)w, (long long)h);
    return VBG_OK;
}

/* Only shapes: how many classes there are. */
static vbg_status look(vbg_ctx *c, void *arg, vbg_err *err)
{
    vbg_learner *s = arg;
    vbg_tensor *x = vbg_new(c, 1, s->opt.shape.h, s->opt.shape.w, 3);
    const vbg_tensor *y = vbg_segnet_forward(c, s->net, x);

    s->classes = y->c;
    if (y->c != 1) /* both are about one alpha */
        s->opt.borders = s->opt.still = 0;
    if (y->c > 2 || y->h != x->h || y->w != x->w)
        return vbg_fail(err, VBG_EUNSUPPORTED,
                        "%s: %d classes at %dx%d; only 1 or 2 at the input's size can be "
                        "trained",
                        s->opt.path ? s->opt.path : s->opt.shape.arch, y->c, y->w, y->h);
    return VBG_OK;
}

vbg_status vbg_learner_open(vbg_learner *s, const vbg_segment_net_opt *opt, vbg_err *err)
{
    size_t bytes;
    vbg_status st = vbg_ctx_new(&s->ctx, &opt->ctx, err);

    s->opt = *opt;
    if (st == VBG_OK)
        st = opt->path ? vbg_weights_open(&s->file, opt->path, err)
                       : vbg_segment_new(&s->file, &opt->shape, err);
    if (st == VBG_OK)
        st = vbg_params_new(&s->params, vbg_ctx_act(s->ctx), err);
    if (st != VBG_OK)
        return st;
    vbg_params_select(s->params, "segmenter", "*", true);
    vbg_params_attach(s->params, s->file);
    st = vbg_segnet_open(&s->net, s->file, opt->path ? opt->path : opt->shape.arch, err);
    if (st == VBG_OK)
        st = check_size(s, err);
    if (st == VBG_OK && !opt->path)
        vbg_segment_init(s->params, opt->seed);
    if (st == VBG_OK)
        st = keep_unused(s, err);
    if (st != VBG_OK)
        return st;
    vbg_params_refresh(s->params, s->ctx);
    st = vbg_tape_new(&s->tape, s->ctx, s->params, err);
    return st == VBG_OK ? vbg_plan(s->ctx, look, s, &bytes, err) : st;
}

void vbg_learner_close(vbg_learner *s)
{
    vbg_segment_data_close(s->data);
    vbg_optim_free(s->optim);
    vbg_tape_free(s->tape);
    vbg_segnet_close(s->net);
    vbg_params_free(s->params);
    vbg_weights_close(s->file);
    vbg_ctx_free(s->ctx);
    *s = (vbg_learner){ 0 };
}

/* ---- a step ---- */

typedef struct step_job {
    vbg_learner *s;
    const vbg_segment_batch *batch;
    double loss;
    int64_t both, either, right; /* pixels of the person; pixels told right */
} step_job;

/* Logit of the person at pixel i. */
static float person_logit(const vbg_tensor *y, size_t i)
{
    const float *f = (const float *)y->data + i * y->ld;

    return y->c == 1 ? f[0] : f[1] - f[0];
}

static void count_pixels(step_job *j, const vbg_tensor *y)
{
    for (size_t i = 0; i < vbg_rows(y); i++) {
        const bool is = j->batch->label[i], said = person_logit(y, i) > 0;
        j->both += is && said;
        j->either += is || said;
        j->right += is == said;
    }
}

static vbg_tensor *loss_of(vbg_ctx *c, const vbg_learner *s, const step_job *j,
                           const vbg_tensor *y)
{
    const vbg_segment_shape *o = &s->opt.shape;
    const float weight[2] = { (float)s->opt.bce, (float)s->opt.dice };
    vbg_tensor *terms[2];

    if (y->c == 2) {
        const vbg_tensor *label =
            vbg_wrap(c, j->batch->label, VBG_U8, y->n, o->h, o->w, 1);
        return vbg_loss_cross_entropy(c, y, label,
                                      (vbg_cross_entropy_opt){ .ignore = -1 });
    }
    const vbg_tensor *target =
        vbg_wrap(c, j->batch->target, VBG_F32, y->n, o->h, o->w, 1);
    terms[0] = vbg_loss_bce(c, y, target);
    terms[1] = vbg_loss_dice(c, y, target);
    return vbg_loss_sum(c, terms, weight, 2);
}

/* All terms: the answer's, the auxiliary heads', borders, stillness. */
static vbg_tensor *whole_loss(vbg_ctx *c, const step_job *j, const vbg_tensor *y,
                              vbg_tensor *const aux[VBG_SEGNET_AUX])
{
    const vbg_learner *s = j->s;
    vbg_tensor *term[VBG_SEGNET_AUX + 3] = { loss_of(c, s, j, y) };
    float weight[VBG_SEGNET_AUX + 3] = { 1 };
    int n = 1;

    for (int i = 0; i < VBG_SEGNET_AUX; i++)
        if (aux[i]) {
            term[n] = loss_of(c, s, j, aux[i]);
            weight[n++] = (float)s->opt.aux;
        }
    if (s->opt.borders > 0) {
        term[n] = vbg_loss_borders(c, y, j->batch->target, j->batch->band);
        weight[n++] = (float)s->opt.borders;
    }
    if (s->opt.still > 0) {
        term[n] = vbg_loss_still(c, y, (const int(*)[2])j->batch->move);
        weight[n++] = (float)s->opt.still;
    }
    return n == 1 ? term[0] : vbg_loss_sum(c, term, weight, n);
}

static vbg_status compute(vbg_ctx *c, void *arg, vbg_err *err)
{
    step_job *j = arg;
    vbg_learner *s = j->s;
    const vbg_segment_shape *o = &s->opt.shape;

    (void)err;
    vbg_tape_start(s->tape, !s->opt.freeze_norms);
    const vbg_tensor *in = vbg_wrap(c, j->batch->x, VBG_F32, s->opt.batch, o->h, o->w, 3);
    const vbg_tensor *x = vbg_cast(c, in, vbg_ctx_act(c));
    vbg_tensor *aux[VBG_SEGNET_AUX] = { NULL };
    const vbg_tensor *said = s->opt.aux > 0 ? vbg_segnet_train(c, s->net, x, aux)
                                            : vbg_segnet_forward(c, s->net, x);
    const vbg_tensor *y = vbg_cast(c, said, VBG_F32);
    const vbg_tensor *loss = whole_loss(c, j, y, aux);
    if (!vbg_planning(c)) {
        j->loss = (double)*(const float *)loss->data;
        count_pixels(j, y);
    }
    vbg_backward(c, loss);
    vbg_tape_stop(s->tape);
    return VBG_OK;
}

static vbg_status load(void *arg, uint64_t job, int slot, vbg_err *err)
{
    const vbg_learner *s = arg;
    return vbg_segment_data_load(s->data, job, slot, err);
}

static vbg_status step(void *arg, uint64_t job, int slot, vbg_measure *m, vbg_err *err)
{
    vbg_learner *s = arg;
    step_job j = { .s = s, .batch = vbg_segment_data_batch(s->data, slot) };
    const double pixels = (double)s->opt.batch * s->opt.shape.w * s->opt.shape.h;
    vbg_status st = vbg_run(s->ctx, compute, &j, err);

    (void)job;
    if (st != VBG_OK)
        return st;
    m->loss = j.loss;
    vbg_measure_set(m, "iou_person", j.either ? (double)j.both / (double)j.either : 1);
    vbg_measure_set(m, "accuracy", (double)j.right / pixels);
    return VBG_OK;
}

static void describe(void *arg, uint64_t job, int slot, char *text, size_t size)
{
    const vbg_learner *s = arg;

    (void)job;
    snprintf(text, size, "%s", vbg_segment_data_batch(s->data, slot)->names);
}

static vbg_status plan(void *arg, size_t *bytes, vbg_err *err)
{
    vbg_learner *s = arg;
    step_job j = { .s = s, .batch = vbg_segment_data_batch(s->data, 0) };

    return vbg_plan(s->ctx, compute, &j, bytes, err);
}

/* ---- validation ---- */

/* One picture through the network as it is used: alpha[h, w]. */
typedef struct look_job {
    vbg_learner *s;
    const float *x;
    float *alpha;
} look_job;

static vbg_status predict(vbg_ctx *c, void *arg, vbg_err *err)
{
    const look_job *j = arg;
    const vbg_segment_shape *o = &j->s->opt.shape;

    (void)err;
    const vbg_tensor *x =
        vbg_cast(c, vbg_wrap(c, j->x, VBG_F32, 1, o->h, o->w, 3), vbg_ctx_act(c));
    const vbg_tensor *y = vbg_cast(c, vbg_segnet_forward(c, j->s->net, x), VBG_F32);
    for (size_t i = 0; !vbg_planning(c) && i < vbg_rows(y); i++)
        j->alpha[i] = 1 / (1 + expf(-person_logit(y, i)));
    return VBG_OK;
}

/* Sums over the validation pairs. */
typedef struct tally {
    int64_t count[2][2]; /* [truth][said] */
    double loss, iou, boundary;
    size_t pairs;
} tally;

static vbg_status judge(tally *t, const vbg_sample *v, const float *alpha, uint8_t *bits,
                        vbg_err *err)
{
    const int w = v->alpha.w, h = v->alpha.h;
    const size_t px = (size_t)w * (size_t)h;
    uint8_t *truth = bits + px;
    int64_t both = 0, either = 0;
    double f = 0, bce = 0, hit = 0, sum = 0;

    for (size_t i = 0; i < px; i++) {
        const uint8_t a = v->alpha.data[i / (size_t)w * v->alpha.stride + i % (size_t)w];
        const double p = fmin(fmax((double)alpha[i], 1e-7), 1 - 1e-7), want = a / 255.0;
        truth[i] = a > 127;
        bits[i] = alpha[i] > 0.5f;
        t->count[truth[i]][bits[i]]++;
        both += truth[i] && bits[i];
        either += truth[i] || bits[i];
        bce -= want * log(p) + (1 - want) * log(1 - p);
        hit += p * want;
        sum += p + want;
    }
    t->loss += bce / (double)px + 1 - 2 * hit / (sum + 1e-5);
    t->iou += either ? (double)both / (double)either : 1;
    const vbg_status st = vbg_boundary_f(&f, bits, truth, w, h, 2, err);
    t->boundary += f;
    t->pairs++;
    return st;
}

static void report(const tally *t, vbg_measure *m)
{
    const double n = (double)t->pairs;
    const double tn = (double)t->count[0][0], fp = (double)t->count[0][1];
    const double fn = (double)t->count[1][0], tp = (double)t->count[1][1];
    const double person = tp + fp + fn > 0 ? tp / (tp + fp + fn) : 1;
    const double back = tn + fp + fn > 0 ? tn / (tn + fp + fn) : 1;

    m->loss = t->loss / n;
    vbg_measure_set(m, "accuracy", (tp + tn) / (tp + tn + fp + fn));
    vbg_measure_set(m, "miou", (person + back) / 2);
    vbg_measure_set(m, "iou_person", person);
    vbg_measure_set(m, "iou_background", back);
    vbg_measure_set(m, "iou_photo", t->iou / n);
    vbg_measure_set(m, "boundary_f", t->boundary / n);
}

/* Memory for one validation picture. */
typedef struct glass {
    vbg_sample sample;
    float *x, *alpha;
    uint8_t *bits;
} glass;

static vbg_status new_glass(glass *g, const vbg_learner *s, vbg_err *err)
{
    const size_t px = (size_t)s->opt.shape.w * (size_t)s->opt.shape.h;

    *g = (glass){ .x = calloc(px * 3, sizeof *g->x),
                  .alpha = calloc(px, sizeof *g->alpha),
                  .bits = calloc(px, 2) };
    return g->x && g->alpha && g->bits
               ? VBG_OK
               : vbg_fail(err, VBG_ENOMEM, "not enough memory to validate");
}

static void free_glass(glass *g)
{
    vbg_sample_free(&g->sample);
    free(g->x);
    free(g->alpha);
    free(g->bits);
}

static vbg_status see(vbg_learner *s, glass *g, size_t i, vbg_err *err)
{
    look_job j = { .s = s, .x = g->x, .alpha = g->alpha };
    vbg_status st = vbg_segment_data_val(s->data, i, &g->sample, g->x, err);

    return st == VBG_OK ? vbg_run(s->ctx, predict, &j, err) : st;
}

static vbg_status validate(void *arg, vbg_measure *m, vbg_err *err)
{
    vbg_learner *s = arg;
    tally t = { 0 };
    glass g;
    vbg_status st = new_glass(&g, s, err);

    for (size_t i = 0; st == VBG_OK && i < vbg_segment_data_val_count(s->data); i++) {
        st = see(s, &g, i, err);
        if (st == VBG_OK)
            st = judge(&t, &g.sample, g.alpha, g.bits, err);
    }
    free_glass(&g);
    if (st == VBG_OK && t.pairs)
        report(&t, m);
    return st;
}

/* The picture, the truth and the answer side by side, in columns. */
static vbg_status sample(void *arg, const char *path, vbg_err *err)
{
    enum { COLUMNS = 3, MOST = 18 };
    vbg_learner *s = arg;
    const int w = s->opt.shape.w, h = s->opt.shape.h;
    const size_t have = vbg_segment_data_val_count(s->data);
    const int count = have < MOST ? (int)have : MOST;
    vbg_picture sheet, part;
    glass g;

    if (count == 0)
        return VBG_OK;
    vbg_status st = vbg_picture_new(&sheet, COLUMNS * 3 * w,
                                    (count + COLUMNS - 1) / COLUMNS * h, 3, err);
    if (st != VBG_OK)
        return st;
    st = new_glass(&g, s, err);
    for (int i = 0; st == VBG_OK && i < 2 * count; i++) { /* truth, then answer */
        const int k = i / 2, x = k % COLUMNS * 3 * w, y0 = k / COLUMNS * h;
        st = i % 2 ? VBG_OK : see(s, &g, (size_t)k * have / (size_t)count, err);
        for (int p = 0; st == VBG_OK && i % 2 && p < w * h; p++)
            g.sample.alpha
                .data[(size_t)(p / w) * g.sample.alpha.stride + (size_t)(p % w)] =
                (uint8_t)lrintf(255 * g.alpha[p]);
        if (st == VBG_OK)
            st = vbg_sample_show(&part, &g.sample, err);
        if (st != VBG_OK)
            break;
        for (int y = 0; y < h; y++) {
            uint8_t *to = sheet.data + (size_t)(y0 + y) * sheet.stride + 3 * (size_t)x;
            const uint8_t *from = part.data + (size_t)y * part.stride;
            if (i % 2)
                memcpy(to + 6 * w, from + 3 * w, 3 * (size_t)w);
            else
                memcpy(to, from, 6 * (size_t)w);
        }
        vbg_picture_free(&part);
    }
    if (st == VBG_OK)
        st = vbg_picture_save(path, &sheet, NULL, 90, err);
    free_glass(&g);
    vbg_picture_free(&sheet);
    return st;
}

static vbg_status export_model(void *arg, const char *path, vbg_err *err)
{
    const vbg_learner *s = arg;
    return vbg_segment_write(path, s->file, s->params, s->opt.store, !s->opt.path,
                             vbg_segnet_arch(s->net), err);
}

const vbg_loop_calls vbg_segment_calls = { .load = load,
                                           .step = step,
                                           .describe = describe,
                                           .plan = plan,
                                           .validate = validate,
                                           .sample = sample,
                                           .export_model = export_model };
