/* vbg-train judge: learns from renders with truth what the places of a view show and what
 * kind of scene it is; vbg-eval then judges generated rooms with it.
 *
 * Loss: cross entropy of every place's label (rare labels count more) plus that of the
 * kind.  Validation looks at the eight views of held-out rooms and counts as vbg-eval
 * does (tools/judge/verdict.h). */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/loss.h"
#include "engine/picture_io.h"
#include "engine/tape.h"
#include "models/judge.h"
#include "tools/judge/verdict.h"
#include "tools/rooms/things.h"
#include "tools/train/commands.h"
#include "tools/train/crops.h"
#include "tools/train/export.h"
#include "tools/train/judge_data.h"
#include "tools/train/loop.h"

enum { DEPTH = 3, ROOMS = 4 /* at least, of a micro-batch */, SAMPLES = 8 };

static const vbg_option own[] = {
    { "data", 'd', VBG_OPT_STRING, "DIR", NULL, NULL,
      "folder of vbg-train rooms: panoramas with labels and facts", "data",
      VBG_OPT_COMMON },
    { "val-data", 0, VBG_OPT_STRING, "DIR", NULL, NULL,
      "rooms of another seed to validate on (default: the last of --data)", "data",
      VBG_OPT_COMMON },
    { "val-rooms", 0, VBG_OPT_INT, "N", "40", "1..100000",
      "how many rooms to validate on", "data", VBG_OPT_COMMON },
    { "strict", 0, VBG_OPT_FLAG, NULL, NULL, NULL, "a broken room is an error", "data",
      0 },
    { "side", 0, VBG_OPT_INT, "PIXELS", "256", "32..1024", "of a view, a multiple of 32",
      "model", 0 },
    { "precision", 0, VBG_OPT_CHOICE, "TYPE", "bf16", "bf16|f32",
      "of the arithmetic; values, moments and sums are f32", "model", 0 },
    { "kind-weight", 0, VBG_OPT_REAL, "X", "0.3", "0..100",
      "weight of the kind's cross entropy", "loss", 0 },
    { "lr", 0, VBG_OPT_REAL, "RATE", "0.002", "0..1000", "learning rate", "optimiser",
      VBG_OPT_COMMON },
    { "ema", 0, VBG_OPT_REAL, "DECAY", "0.995", "0..1",
      "moving average of the values, 0: none", "optimiser", 0 },
    { "warmup", 0, VBG_OPT_REAL, "N", "50", "0..1000000000",
      "steps (or epochs) of rising rate", "optimiser", 0 },
    { "hold", 0, VBG_OPT_REAL, "SHARE", "0.3", "0..1",
      "share of the rest before the decay begins", "optimiser", 0 },
    { "steps", 0, VBG_OPT_INT, "N", "3000", "1..1000000000", "updates in all", "course",
      VBG_OPT_COMMON },
    { "batch", 'b', VBG_OPT_INT, "N", "16", "1..65536", "views of a micro-batch",
      "course", VBG_OPT_COMMON },
    { 0 },
};

typedef struct trainer {
    vbg_loop loop;
    vbg_values *v;
    vbg_weights *file;
    vbg_judge_net net;
    vbg_judge_data data, other; /* other: --val-data */
    size_t rooms;               /* of data, to train on */
    const vbg_judge_data *val;
    size_t val_first, val_count;
    vbg_judge_names names;
    int main[THINGS], mains; /* things that are some room's main one */
    vbg_judge_batch slots[DEPTH];
    float weight[THINGS]; /* of the labels' cross entropy */
    float bias[THINGS];   /* of the labels' head, while even_bias holds */
    int batch, side;
    int per_room; /* views of a room in a micro-batch: a panorama is dear to decode */
    double kind_weight;
} trainer;

/* ---- data ---- */

static vbg_status load(void *arg, uint64_t job, int n, vbg_err *err)
{
    trainer *t = arg;
    vbg_dice d = vbg_dice_for(t->loop.opt.seed, (uint32_t)(job >> 32), (uint32_t)job, 1);
    const size_t side = (size_t)t->side, cells = (size_t)t->data.cells;
    vbg_status st = VBG_OK;

    for (int i = 0; i < t->batch && st == VBG_OK; i += t->per_room) {
        const size_t at = (size_t)i, room = vbg_dice_word(&d) % t->rooms;
        const vbg_judge_batch out = { t->slots[n].x + at * 3 * side * side,
                                      t->slots[n].label + at * cells * cells,
                                      t->slots[n].kind + at };
        st = vbg_judge_data_views(&t->data, room, vbg_min_int(t->per_room, t->batch - i),
                                  &d, &out, err);
    }
    return st;
}

static void describe(void *arg, uint64_t job, int n, char *text, size_t size)
{
    const trainer *t = arg;
    vbg_dice d = vbg_dice_for(t->loop.opt.seed, (uint32_t)(job >> 32), (uint32_t)job, 1);

    (void)n;
    snprintf(text, size, "%s ...", t->data.room[vbg_dice_word(&d) % t->rooms].picture);
}

/* Labels that show much count less, but a thing of a hundredth of that not a hundred
 * times as much: the surfaces' borders matter too. */
static void weigh_labels(trainer *t)
{
    double share[THINGS];

    vbg_judge_data_shares(&t->data, share, THINGS);
    for (int i = 0; i < THINGS; i++)
        t->weight[i] = (float)fmin(fmax(pow(0.02 / fmax(share[i], 1e-9), 0.4), 0.4), 3);
}

static void list_mains(trainer *t)
{
    for (int k = 0; k < THINGS; k++) {
        bool found = false;
        for (size_t i = 0; i < t->data.count && !found; i++)
            found = strcmp(t->data.room[i].facts.main, vr_thing(k)->one) == 0;
        if (found)
            t->main[t->mains++] = k;
    }
}

/* ---- a step ---- */

typedef struct step_job {
    trainer *t;
    const vbg_judge_batch *s;
    vbg_measure *m;
} step_job;

static double value_of(const vbg_tensor *loss)
{
    return (double)*(const float *)loss->data;
}

/* Share of rows whose largest value is at the truth. */
static double right(const vbg_tensor *y, const uint8_t *truth)
{
    size_t hits = 0;

    for (size_t i = 0; i < vbg_rows(y); i++) {
        const float *v = (const float *)y->data + i * y->ld;
        int best = 0;
        for (int k = 1; k < y->c; k++)
            best = v[k] > v[best] ? k : best;
        hits += best == truth[i];
    }
    return (double)hits / (double)vbg_rows(y);
}

static vbg_status step_forward(vbg_ctx *c, void *arg, vbg_err *err)
{
    const step_job *j = arg;
    trainer *t = j->t;
    const int n = t->batch, cells = t->data.cells;
    const float share[2] = { 1, (float)t->kind_weight };

    (void)err;
    vbg_tape_start(t->loop.tape, true);
    vbg_tensor *x = vbg_wrap(c, j->s->x, VBG_F32, n, t->side, t->side, 3);
    vbg_judge_out y = vbg_judge_forward(c, &t->net, vbg_cast(c, x, vbg_ctx_act(c)));
    vbg_tensor *loss[2] = {
        vbg_loss_cross_entropy(
            c, y.labels, vbg_wrap(c, j->s->label, VBG_U8, n, cells, cells, 1),
            (vbg_cross_entropy_opt){ .ignore = -1, .weight = t->weight }),
        vbg_loss_cross_entropy(c, y.kinds, vbg_wrap(c, j->s->kind, VBG_U8, n, 1, 1, 1),
                               (vbg_cross_entropy_opt){ .ignore = -1 })
    };
    vbg_tensor *sum = vbg_loss_sum(c, loss, share, 2);
    vbg_backward(c, sum);
    vbg_tape_stop(t->loop.tape);
    if (vbg_planning(c))
        return VBG_OK;
    j->m->loss = value_of(sum);
    vbg_measure_set(j->m, "labels", right(y.labels, j->s->label));
    vbg_measure_set(j->m, "kinds", right(y.kinds, j->s->kind));
    return VBG_OK;
}

static vbg_status step(void *arg, uint64_t job, int n, vbg_measure *m, vbg_err *err)
{
    trainer *t = arg;
    step_job j = { t, &t->slots[n], m };

    (void)job;
    return vbg_run(t->loop.ctx, step_forward, &j, err);
}

static vbg_status plan(void *arg, size_t *bytes, vbg_err *err)
{
    trainer *t = arg;
    step_job j = { t, &t->slots[0], NULL };

    return vbg_plan(t->loop.ctx, step_forward, &j, bytes, err);
}

/* ---- held-out rooms ---- */

/* Weights in the cross entropy multiply the odds that the network learns: taking their
 * logarithms off the bias gives the true ones.  Held until learned_bias. */
static void even_bias(trainer *t)
{
    vbg_param *m = vbg_params_find(t->loop.params, "judge", "labels.bias");

    VBG_CHECK(m && m->count == THINGS, "no labels.bias");
    memcpy(t->bias, m->value, sizeof t->bias);
    for (int i = 0; i < THINGS; i++)
        m->value[i] -= logf(t->weight[i]);
    vbg_param_changed(m);
    vbg_params_refresh(t->loop.params, t->loop.ctx);
}

static void learned_bias(trainer *t)
{
    vbg_param *m = vbg_params_find(t->loop.params, "judge", "labels.bias");

    memcpy(m->value, t->bias, sizeof t->bias);
    vbg_param_changed(m);
    vbg_params_refresh(t->loop.params, t->loop.ctx);
}

/* Cross entropy of the kind: the loss that validation can tell without labels. */
static double kind_loss(const vbg_verdict *v, int kind)
{
    return -v->kind[kind] / v->views;
}

static vbg_status judge_room(trainer *t, const vbg_judge_room *r, vbg_score *score,
                             double *loss, vbg_err *err)
{
    vbg_picture view[VBG_ROOM_VIEWS];
    vbg_verdict verdict = { .views = 0 };
    int made = 0;
    vbg_status st = vbg_room_load(view, &made, r->picture,
                                  (vbg_look){ t->side, VBG_ROOM_VIEWS, 0 }, err);

    for (int i = 0; st == VBG_OK && i < made; i++) {
        vbg_judge_view seen;
        st = vbg_judge_look(t->loop.ctx, &t->net, &view[i], t->side, &seen, err);
        if (st != VBG_OK)
            break;
        vbg_verdict_add(&verdict, &t->names, &seen);
        vbg_judge_view_free(&seen);
    }
    vbg_room_views_free(view);
    if (st != VBG_OK)
        return st;
    *loss += kind_loss(&verdict, r->kind);
    vbg_score_add(score, &verdict, &t->names, &r->facts, t->main, t->mains);
    return VBG_OK;
}

static vbg_status validate(void *arg, vbg_measure *m, vbg_err *err)
{
    trainer *t = arg;
    vbg_score s = { 0 };
    double sum = 0, parts = 0;
    vbg_status st = VBG_OK;

    even_bias(t);
    for (size_t i = 0; i < t->val_count && st == VBG_OK; i++)
        st = judge_room(t, &t->val->room[t->val_first + i], &s, &m->loss, err);
    learned_bias(t);
    m->loss /= (double)t->val_count;
    const double share[3] = { vbg_score_colour(&s), vbg_score_kind(&s),
                              vbg_score_things(&s) };
    static const char *const name[3] = { "colours", "kinds", "things" };
    for (int i = 0; i < 3; i++)
        if (!isnan(share[i])) {
            vbg_measure_set(m, name[i], share[i]);
            sum += share[i];
            parts++;
        }
    vbg_measure_set(m, "mean", sum / parts);
    return st;
}

/* ---- samples ---- */

/* A colour for each label, the same in every picture. */
static void paint(float rgb[3], int label)
{
    uint32_t h = (uint32_t)label * 2654435761u;

    for (int k = 0; k < 3; k++)
        rgb[k] = label ? (float)(h >> (8 * k) & 255) / 127.5f - 1 : -1;
}

static void paint_labels(const trainer *t, const vbg_judge_view *seen, float *out)
{
    for (int y = 0; y < t->side; y++)
        for (int x = 0; x < t->side; x++) {
            const size_t place =
                (size_t)(y / VBG_JUDGE_CELL * seen->cells) + (size_t)(x / VBG_JUDGE_CELL);
            const float *p = seen->label + place * THINGS;
            int best = 0;
            for (int k = 1; k < THINGS; k++)
                best = p[k] > p[best] ? k : best;
            paint(out + 3 * ((size_t)y * (size_t)t->side + (size_t)x), best);
        }
}

static void copy_view(const vbg_picture *p, float *out)
{
    for (int y = 0; y < p->h; y++)
        for (int i = 0; i < 3 * p->w; i++)
            *out++ = (float)p->data[(size_t)y * p->stride + (size_t)i] / 127.5f - 1;
}

/* Above, the first views of held-out rooms; below, their labels. */
static vbg_status sample(void *arg, const char *path, vbg_err *err)
{
    trainer *t = arg;
    const size_t each = 3 * (size_t)t->side * (size_t)t->side;
    float *x = vbg_alloc(2 * SAMPLES * each * sizeof *x);
    vbg_picture p = { 0 };
    vbg_status st = x ? VBG_OK : vbg_fail(err, VBG_ENOMEM, "not enough memory");

    even_bias(t);
    for (size_t i = 0; st == VBG_OK && i < SAMPLES; i++) {
        const vbg_judge_room *r = &t->val->room[t->val_first + i % t->val_count];
        vbg_picture view[VBG_ROOM_VIEWS];
        vbg_judge_view seen = { 0 };
        int made = 0;
        st = vbg_room_load(view, &made, r->picture,
                           (vbg_look){ t->side, 1, 45.0 * (double)(i / t->val_count) },
                           err);
        if (st != VBG_OK)
            break;
        st = vbg_judge_look(t->loop.ctx, &t->net, &view[0], t->side, &seen, err);
        if (st == VBG_OK) {
            copy_view(&seen.rgb, x + i * each);
            paint_labels(t, &seen, x + (SAMPLES + i) * each);
        }
        vbg_judge_view_free(&seen);
        vbg_room_views_free(view);
    }
    learned_bias(t);
    if (st == VBG_OK)
        st = vbg_tiles(&p, x, t->side, SAMPLES, 2, err);
    if (st == VBG_OK)
        st = vbg_picture_save(path, &p, NULL, 90, err);
    vbg_picture_free(&p);
    vbg_free_mem(x);
    return st;
}

/* ---- export ---- */

static vbg_status put_names(vbg_writer *w, const char *key, const char *const *name,
                            int count, vbg_err *err)
{
    json_t *list = json_array();

    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_string(name[i]));
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    vbg_status st = text ? vbg_writer_string(w, key, text, err)
                         : vbg_fail(err, VBG_ENOMEM, "not enough memory");
    free(text);
    return st;
}

static vbg_status export_model(void *arg, const char *path, vbg_err *err)
{
    trainer *t = arg;
    vbg_export e;
    vbg_status st = vbg_export_new(&e, path, VBG_BF16, err);

    if (st != VBG_OK)
        return st;
    st = vbg_writer_string(e.w, "model.arch", "judge", err);
    if (st == VBG_OK)
        st = vbg_writer_string(e.w, "model.source", "vbg-train judge " VBG_VERSION, err);
    if (st == VBG_OK)
        st = put_names(e.w, "judge.labels", t->names.label, t->names.labels, err);
    if (st == VBG_OK)
        st = put_names(e.w, "judge.kinds", t->names.kind, t->names.kinds, err);
    if (st == VBG_OK)
        st = vbg_writer_int(e.w, "judge.side", t->side, err);
    if (st == VBG_OK)
        st = vbg_export_declare(&e, t->loop.params, "judge", err);
    even_bias(t);
    if (st == VBG_OK)
        st = vbg_export_put_all(&e, t->loop.params, "judge", NULL, err);
    learned_bias(t);
    return vbg_export_end(&e, st, err);
}

static const vbg_loop_calls calls = { .load = load,
                                      .step = step,
                                      .describe = describe,
                                      .plan = plan,
                                      .validate = validate,
                                      .sample = sample,
                                      .export_model = export_model };

/* ---- beginning ---- */

static vbg_status open_model(trainer *t, vbg_err *err)
{
    vbg_ctx_opt co = vbg_value_ctx(
        t->v, strcmp(vbg_value(t->v, "precision"), "f32") == 0 ? VBG_F32 : VBG_BF16);
    vbg_loop *l = &t->loop;

    t->names.labels = THINGS;
    t->names.kinds = KINDS;
    for (int i = 0; i < THINGS; i++)
        t->names.label[i] = vr_thing(i)->one;
    for (int i = 0; i < KINDS; i++)
        t->names.kind[i] = vr_kind_name(i);
    vbg_status st = vbg_weights_empty(&t->file, err);
    if (st == VBG_OK)
        st = vbg_ctx_new(&l->ctx, &co, err);
    if (st == VBG_OK)
        st = vbg_params_new(&l->params, vbg_ctx_act(l->ctx), err);
    if (st != VBG_OK)
        return st;
    vbg_params_declare(l->params, l->opt.seed);
    vbg_params_select(l->params, "judge", "*", true);
    vbg_params_attach(l->params, t->file);
    st = vbg_judge_bind(&t->net, t->file, THINGS, KINDS, err);
    if (st == VBG_OK)
        st = vbg_optim_new(&l->optim, l->params, &l->opt.optim, err);
    if (st == VBG_OK)
        vbg_params_refresh(l->params, l->ctx);
    return st == VBG_OK ? vbg_tape_new(&t->loop.tape, l->ctx, l->params, err) : st;
}

/* Which rooms are for training and which for validation. */
static vbg_status share_rooms(trainer *t, vbg_err *err)
{
    const size_t want = (size_t)vbg_value_int(t->v, "val-rooms");

    t->val = t->other.count ? &t->other : &t->data;
    t->val_count = want < t->val->count ? want : t->val->count;
    t->rooms = t->data.count;
    if (t->other.count)
        return VBG_OK;
    if (t->val_count > t->data.count / 4) /* few rooms: most of them to learn from */
        t->val_count = t->data.count / 4;
    if (t->val_count == 0)
        return vbg_fail(err, VBG_EUSAGE,
                        "%s: %zu rooms; at least 4, or --val-data, are needed",
                        vbg_value(t->v, "data"), t->data.count);
    t->val_first = t->rooms = t->data.count - t->val_count;
    return VBG_OK;
}

static vbg_status open_data(trainer *t, vbg_err *err)
{
    const char *data = vbg_value(t->v, "data"), *other = vbg_value(t->v, "val-data");
    const bool strict = vbg_value_flag(t->v, "strict");
    const size_t n = (size_t)t->batch, side = (size_t)t->side;
    vbg_status st;

    if (!data)
        return vbg_fail(err, VBG_EUSAGE, "--data DIR is missing");
    st = vbg_judge_data_open(&t->data, data, t->side, strict, err);
    if (st == VBG_OK && other)
        st = vbg_judge_data_open(&t->other, other, t->side, strict, err);
    if (st == VBG_OK)
        st = share_rooms(t, err);
    for (int i = 0; i < DEPTH && st == VBG_OK; i++) {
        const size_t places = (size_t)t->data.cells * (size_t)t->data.cells;
        t->slots[i] = (vbg_judge_batch){ vbg_alloc(n * 3 * side * side * sizeof(float)),
                                         vbg_alloc(n * places), vbg_alloc(n) };
        if (!t->slots[i].x || !t->slots[i].label || !t->slots[i].kind)
            st = vbg_fail(err, VBG_ENOMEM, "not enough memory for views");
    }
    if (st != VBG_OK)
        return st;
    weigh_labels(t);
    list_mains(t);
    t->loop.jobs_per_epoch = (t->rooms * VBG_ROOM_VIEWS - 1) / n + 1;
    return VBG_OK;
}

static void close_trainer(void *arg)
{
    trainer *t = arg;

    vbg_tape_free(t->loop.tape);
    vbg_optim_free(t->loop.optim);
    vbg_params_free(t->loop.params);
    vbg_ctx_free(t->loop.ctx);
    vbg_weights_close(t->file);
    vbg_judge_data_close(&t->data);
    vbg_judge_data_close(&t->other);
    for (int i = 0; i < DEPTH; i++) {
        vbg_free_mem(t->slots[i].x);
        vbg_free_mem(t->slots[i].label);
        vbg_free_mem(t->slots[i].kind);
    }
    json_decref(t->loop.config);
}

static vbg_status train(void *arg, const vbg_program *program, vbg_values *v,
                        vbg_err *err)
{
    trainer *t = arg;

    t->v = v;
    t->batch = (int)vbg_value_int(t->v, "batch");
    t->per_room = vbg_min_int(vbg_max_int(t->batch / ROOMS, 1), VBG_ROOM_VIEWS);
    t->side = (int)vbg_value_int(t->v, "side");
    t->kind_weight = vbg_value_real(t->v, "kind-weight");
    if (t->side % VBG_JUDGE_STEP)
        return vbg_fail(err, VBG_EUSAGE, "--side %d is no multiple of %d", t->side,
                        VBG_JUDGE_STEP);
    vbg_status st = vbg_loop_options(&t->loop.opt, t->v, err);
    if (st == VBG_OK)
        st = open_data(t, err);
    if (st == VBG_OK)
        st = open_model(t, err);
    if (st != VBG_OK)
        return st;
    t->loop.samples_per_job = t->batch;
    t->loop.config = vbg_loop_config(program, t->v);
    return vbg_loop_run(&t->loop, err);
}

int vbg_train_judge(int argc, char **argv)
{
    static const vbg_trainer command = {
        .program = { .name = "vbg-train judge",
                     .purpose =
                         "trains the judge of rooms: surfaces, things and kind of scene",
                     .usage = "vbg-train judge --data DIR --out DIR [options]",
                     .examples = { "vbg-train rooms -o rooms -n 2000 -w 1024 -s 1000001",
                                   "vbg-train judge --data rooms -o judge --resume" } },
        .own = own,
        .train = train,
        .close = close_trainer
    };
    trainer t = { .loop = { .kind = "judge",
                            .calls = &calls,
                            .argv = argv,
                            .depth = DEPTH,
                            .best = "mean" } };

    t.loop.arg = &t;
    return vbg_trainer_main(&command, &t, argc, argv);
}
