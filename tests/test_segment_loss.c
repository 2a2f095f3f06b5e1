/* Losses of segmenters: the band, gradients against differences, what they are blind to;
 * trainings with auxiliary heads, borders and pairs. */
#define _GNU_SOURCE
#include "tools/train/segment_loss.h"

#include <criterion/criterion.h>
#include <math.h>

#include "engine/weights.h"
#include "tests/guard.h"
#include "tests/portraits.h"
#include "tools/train/segment_new.h"

enum { N = 4, H = 9, W = 11, PX = H * W };

typedef struct setup {
    vbg_ctx *c;
    vbg_tape *tape;
    float x[N * PX], target[N * PX], dx[N * PX];
    uint8_t band[N * PX];
    int move[N][2];
    bool still;
    double value;
} setup;

static vbg_status job(vbg_ctx *c, void *arg, vbg_err *err)
{
    setup *s = arg;

    (void)err;
    vbg_tape_start(s->tape, true);
    vbg_tensor *x = vbg_wrap(c, s->x, VBG_F32, N, H, W, 1);
    vbg_require_grad(c, x);
    vbg_tensor *y = s->still ? vbg_loss_still(c, x, (const int(*)[2])s->move)
                             : vbg_loss_borders(c, x, s->target, s->band);
    vbg_backward(c, y);
    if (!vbg_planning(c)) {
        s->value = (double)*(const float *)y->data;
        memcpy(s->dx, vbg_grad(c, x)->data, sizeof s->dx);
    }
    vbg_tape_stop(s->tape);
    return VBG_OK;
}

static void open_setup(setup *s, bool still)
{
    const vbg_ctx_opt o = { .threads = 2, .isa = VBG_ISA_BEST, .precision = VBG_F32 };
    uint32_t seed = 7;

    *s = (setup){ .still = still, .move = { { 0, 0 }, { 2, -3 }, { 0, 0 }, { -6, 1 } } };
    cr_assert(vbg_ctx_new(&s->c, &o, NULL) == VBG_OK);
    cr_assert(vbg_tape_new(&s->tape, s->c, NULL, NULL) == VBG_OK);
    for (int i = 0; i < N * PX; i++) {
        s->x[i] = 2 * guard_random(&seed);
        s->target[i] = (guard_random(&seed) + 1) / 2;
        s->band[i] = guard_random(&seed) > 0;
    }
}

static void close_setup(setup *s)
{
    vbg_tape_free(s->tape);
    vbg_ctx_free(s->c);
}

/* Smooth but for the kinks of |.|: the curvature of a sigmoid is at most 0.1, which over
 * a step of 1e-2 leaves 1e-6; the f32 value near 0.5 rounds at 3e-8 / 2e-2. */
static void gradient(bool still)
{
    setup s;
    int wrong = 0;

    open_setup(&s, still);
    for (int at = 0; at < N * PX; at += 5) {
        const float e = 1e-2f;
        s.x[at] += e;
        cr_assert(vbg_run(s.c, job, &s, NULL) == VBG_OK);
        const double up = s.value;
        s.x[at] -= 2 * e;
        cr_assert(vbg_run(s.c, job, &s, NULL) == VBG_OK);
        const double down = s.value;
        s.x[at] += e;
        cr_assert(vbg_run(s.c, job, &s, NULL) == VBG_OK);
        wrong += fabs((up - down) / (2 * (double)e) - (double)s.dx[at]) > 1e-5;
    }
    cr_assert(wrong <= 4, "%d of %d differ", wrong, N * PX / 5); /* a kink in the step */
    close_setup(&s);
}

Test(segment_loss, gradient_of_borders)
{
    gradient(false);
}

Test(segment_loss, gradient_of_stillness)
{
    gradient(true);
}

/* The truth itself costs nothing; nor does anything outside the band. */
Test(segment_loss, borders_of_the_truth)
{
    setup s;

    open_setup(&s, false);
    for (int i = 0; i < N * PX; i++)
        s.x[i] = logf(s.target[i] / (1 - s.target[i]));
    cr_assert(vbg_run(s.c, job, &s, NULL) == VBG_OK);
    cr_assert(s.value < 1e-6, "%g", s.value);
    s.x[40] += 3;
    for (int i = 0; i < PX; i++)
        s.band[i] = 0;
    cr_assert(vbg_run(s.c, job, &s, NULL) == VBG_OK);
    cr_assert(s.value < 1e-6 && s.dx[40] == 0);
    memset(s.band, 0, sizeof s.band);
    cr_assert(vbg_run(s.c, job, &s, NULL) == VBG_OK);
    cr_assert_eq(s.value, 0);
    close_setup(&s);
}

/* A pair that moved with the picture is still. */
Test(segment_loss, a_moved_mask_is_still)
{
    setup s;

    open_setup(&s, true);
    for (int pair = 0; pair < N; pair += 2)
        for (int i = 0; i < PX; i++) {
            const int x = i % W - s.move[pair + 1][0], y = i / W - s.move[pair + 1][1];
            if (x >= 0 && x < W && y >= 0 && y < H)
                s.x[(pair + 1) * PX + i] = s.x[pair * PX + y * W + x];
        }
    cr_assert(vbg_run(s.c, job, &s, NULL) == VBG_OK);
    cr_assert_eq(s.value, 0);
    s.x[PX + 5] += 1; /* row 0 of the second shows row 3 of the first */
    cr_assert(vbg_run(s.c, job, &s, NULL) == VBG_OK);
    cr_assert(s.value > 0 && s.dx[3 * W + 3] < 0 && s.dx[PX + 5] > 0);
    close_setup(&s);
}

Test(segment_loss, band)
{
    uint8_t label[12 * 10] = { 0 }, band[12 * 10], room[12 * 10];

    for (int y = 4; y < 10; y++)
        for (int x = 0; x < 12; x++)
            label[y * 12 + x] = 1;
    vbg_border_band(band, room, label, 12, 10, 2); /* the change lies at row 3 */
    for (int i = 0; i < 120; i++)
        cr_assert_eq(band[i], i / 12 >= 1 && i / 12 <= 5, "row %d", i / 12);
    memset(label, 0, sizeof label);
    label[5 * 12 + 6] = 1;
    vbg_border_band(band, room, label, 12, 10, 1);
    cr_assert(band[5 * 12 + 6] && band[3 * 12 + 6] && !band[8 * 12 + 6] && !band[0]);
}

/* ---- trainings ---- */

#define TRAIN(out, ...)                                                                  \
    RUN("vbg-train", "segment", "--data", in_scratch("people"), "--size", "64x64",       \
        "--batch", "4", "--width", "0.125", "--head", "8", "--out", in_scratch(out),     \
        "-t", "1", "--val", "0.3", "--store", "f32", "--precision", "f32", __VA_ARGS__)

static bool has_aux(const char *path)
{
    vbg_weights *w;
    vbg_err err = { 0 };
    bool found = false;

    cr_assert(vbg_weights_open(&w, path, &err) == VBG_OK, "%s", err.text);
    for (size_t i = 0; i < vbg_weights_count(w); i++)
        found = found || vbg_segment_is_aux(vbg_weights_at(w, i)->name);
    vbg_weights_close(w);
    return found;
}

Test(segment_loss, auxiliary_heads_are_trained_and_left_out, .fini = remove_scratch)
{
    static const char *const arch[] = { "bisenetv1", "bisenetv2" };

    write_people("people", 8);
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "v2" : "v1", *plain = i ? "p2" : "p1";
        char path[64];
        said r = TRAIN(name, "--arch", arch[i], "--steps", "3", "--still", "0.3",
                       "--new-lr", "10");
        cr_assert_eq(r.code, 0, "%s", r.err);
        snprintf(path, sizeof path, "%s/last.vbg", name);
        cr_assert(has_aux(in_scratch(path)));
        snprintf(path, sizeof path, "%s/model.vbg", name);
        cr_assert(!has_aux(in_scratch(path)));
        r = TRAIN(plain, "--arch", arch[i], "--steps", "1", "--aux", "0");
        cr_assert_eq(r.code, 0, "%s", r.err);
        snprintf(path, sizeof path, "%s/last.vbg", plain);
        cr_assert(!has_aux(in_scratch(path)));
    }
    said r = TRAIN("odd", "--batch", "3", "--still", "1");
    cr_assert(r.code == 2 && strstr(r.err, "even"), "%s", r.err);
}
