/* Training checkpoints: what comes back, and what is refused. */
#define _GNU_SOURCE
#include "engine/train_state.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/tensor.h"

typedef struct setup {
    char path[64];
    vbg_ctx *c;
    vbg_params *p;
    vbg_optim *o;
    vbg_err err;
} setup;

static setup open_setup(int64_t width, vbg_optim_kind kind)
{
    setup s = { .path = "/tmp/vbg-state-XXXXXX" };
    vbg_ctx_opt opt = { .threads = 1, .isa = VBG_ISA_AMX_BF16, .precision = VBG_F32 };
    vbg_optim_opt oo = vbg_optim_defaults(kind);
    static const char *const names[] = { "a.weight", "a.bias", "a.running_mean" };

    close(mkstemp(s.path));
    oo.ema = 0.9;
    cr_assert(vbg_ctx_new(&s.c, &opt, &s.err) == VBG_OK);
    cr_assert(vbg_params_new(&s.p, VBG_F32, &s.err) == VBG_OK);
    vbg_params_declare(s.p, 3);
    vbg_params_select(s.p, "net", "*", true);
    for (int i = 0; i < 3; i++) {
        vbg_entry e = {
            .component = "net", .name = names[i], .rank = i ? 1 : 2, .dim = { width, 7 }
        };
        vbg_param *m = vbg_params_take(s.p, NULL, &e, VBG_INIT_NORMAL, 1);
        cr_assert(m);
        if (i == 2)
            vbg_param_is_buffer(m);
    }
    cr_assert(vbg_optim_new(&s.o, s.p, &oo, &s.err) == VBG_OK);
    return s;
}

static void close_setup(setup *s)
{
    unlink(s->path);
    vbg_optim_free(s->o);
    vbg_params_free(s->p);
    vbg_ctx_free(s->c);
}

static void train(setup *s, int steps)
{
    for (int k = 0; k < steps; k++) {
        long t = vbg_optim_steps(s->o);
        for (size_t i = 0; i < vbg_params_count(s->p); i++) {
            vbg_param *m = vbg_params_at(s->p, i);
            for (size_t j = 0; m->grad && j < m->count; j++)
                m->grad[j] = (float)sin((double)(j + 1) * (double)(t + 3));
        }
        vbg_params_at(s->p, 2)->value[0] += 1;
        vbg_optim_step(s->o, s->c, 0.1, 1);
    }
}

static vbg_train_state state_at(long step)
{
    return (vbg_train_state){ .kind = "test",
                              .config = "{\"lr\":\"0.1\"}",
                              .seed = 0xFFFFFFFFFFFFFFF1u,
                              .step = step,
                              .best = 0.25,
                              .rewarm = -1 };
}

static void same_values(const setup *a, const setup *b)
{
    for (size_t i = 0; i < vbg_params_count(a->p); i++) {
        const vbg_param *x = vbg_params_at(a->p, i), *y = vbg_params_at(b->p, i);
        cr_assert(memcmp(x->value, y->value, x->count * sizeof(float)) == 0, "%s",
                  x->entry.name);
        for (int k = 0; k < VBG_OPTIM_SLOTS; k++) {
            float *u = vbg_optim_slot(a->o, i, k), *v = vbg_optim_slot(b->o, i, k);
            cr_assert(!u == !v);
            cr_assert(!u || memcmp(u, v, x->count * sizeof(float)) == 0);
        }
    }
}

Test(train_state, goes_on_bit_for_bit)
{
    static const vbg_optim_kind kinds[] = { VBG_SGD, VBG_ADAM, VBG_ADAMW, VBG_RMSPROP };

    for (size_t i = 0; i < 4; i++) {
        setup a = open_setup(5, kinds[i]), b = open_setup(5, kinds[i]);
        vbg_train_state s = state_at(4), got = { .kind = "test" };
        train(&a, 4);
        cr_assert(vbg_train_save(a.path, a.p, a.o, &s, &a.err) == VBG_OK, "%s",
                  a.err.text);
        train(&a, 3);
        cr_assert(vbg_train_load(a.path, b.p, b.o, &got, &b.err) == VBG_OK, "%s",
                  b.err.text);
        cr_assert(got.step == 4 && got.seed == s.seed && got.best == 0.25 &&
                  strcmp(got.config, s.config) == 0 && got.rewarm == -1);
        train(&b, 3);
        same_values(&a, &b);
        vbg_train_state_free(&got);
        close_setup(&a);
        close_setup(&b);
    }
}

Test(train_state, compact_keeps_values_and_averages)
{
    setup a = open_setup(5, VBG_ADAMW), b = open_setup(5, VBG_ADAMW);
    vbg_train_state s = state_at(4), got = { .kind = "test" };
    s.compact = true;
    train(&a, 4);
    cr_assert(vbg_train_save(a.path, a.p, a.o, &s, &a.err) == VBG_OK, "%s", a.err.text);
    cr_assert(vbg_train_load(a.path, b.p, b.o, &got, &b.err) == VBG_OK, "%s", b.err.text);
    cr_assert(got.compact && got.rewarm == 4 && vbg_optim_steps(b.o) == 0);
    for (size_t i = 0; i < 2; i++) {
        const vbg_param *x = vbg_params_at(a.p, i), *y = vbg_params_at(b.p, i);
        float *ea = vbg_optim_slot(a.o, i, 3), *eb = vbg_optim_slot(b.o, i, 3);
        for (size_t j = 0; j < x->count; j++) {
            cr_assert_float_eq(x->value[j], y->value[j], fabsf(x->value[j]) * 0x1p-8f);
            cr_assert_float_eq(ea[j], eb[j], fabsf(ea[j]) * 0x1p-8f);
        }
        cr_assert(vbg_optim_slot(b.o, i, 1)[0] == 0);
    }
    vbg_train_state_free(&got);
    close_setup(&a);
    close_setup(&b);
}

static void refuses(setup *b, const char *path, const char *kind, const char *word)
{
    float before = vbg_params_at(b->p, 0)->value[0];
    vbg_train_state got = { .kind = kind };

    b->err.text[0] = 0;
    cr_assert(vbg_train_load(path, b->p, b->o, &got, &b->err) != VBG_OK);
    cr_assert(strstr(b->err.text, word), "'%s' lacks '%s'", b->err.text, word);
    cr_assert(vbg_params_at(b->p, 0)->value[0] == before);
}

Test(train_state, refuses_what_does_not_fit)
{
    setup a = open_setup(5, VBG_ADAM), wide = open_setup(6, VBG_ADAM);
    setup sgd = open_setup(5, VBG_SGD), w = open_setup(5, VBG_ADAMW);
    vbg_train_state s = state_at(4);

    train(&a, 1);
    cr_assert(vbg_train_save(a.path, a.p, a.o, &s, &a.err) == VBG_OK);
    refuses(&a, a.path, "other", "another kind");
    refuses(&wide, a.path, "test", "shape");
    refuses(&w, a.path, "test", "optimiser");
    cr_assert(vbg_train_save(sgd.path, sgd.p, sgd.o, &s, &a.err) == VBG_OK);
    refuses(&a, sgd.path, "test", "@momentum");
    refuses(&a, "/nonexistent/last.vbg", "test", "No such file");
    close_setup(&a);
    close_setup(&wide);
    close_setup(&sgd);
    close_setup(&w);
}

/* Every cut and every changed byte is found. */
Test(train_state, truncated_and_damaged)
{
    setup a = open_setup(5, VBG_ADAM), b = open_setup(5, VBG_ADAM);
    vbg_train_state s = state_at(4);
    static unsigned char bytes[65536];

    train(&a, 1);
    cr_assert(vbg_train_save(a.path, a.p, a.o, &s, &a.err) == VBG_OK);
    FILE *f = fopen(a.path, "rb");
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    cr_assert(n > 1000 && n < sizeof bytes);
    for (size_t i = 0; i < 40; i++) {
        size_t cut = i < 20 ? n * i / 20 : n;
        if (i >= 20)
            bytes[n * (i - 20) / 20] ^= 0x10;
        f = fopen(b.path, "wb");
        fwrite(bytes, 1, cut, f);
        fclose(f);
        if (i >= 20)
            bytes[n * (i - 20) / 20] ^= 0x10;
        vbg_train_state got = { .kind = "test" };
        vbg_err err = { 0 };
        vbg_status st = vbg_train_load(b.path, b.p, b.o, &got, &err);
        if (st == VBG_OK) { /* a byte of the padding between tensors */
            cr_assert(i >= 20);
            vbg_train_state_free(&got);
        }
    }
    close_setup(&a);
    close_setup(&b);
}
