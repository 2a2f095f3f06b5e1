/* The tape: sums of gradients, parts, segments computed twice, memory. */
#include <criterion/criterion.h>
#include <string.h>

#include "engine/ops.h"
#include "engine/tape.h"

typedef struct step {
    vbg_tape *tape;
    float grad[2 * 4];
    bool checkpoint;
    size_t bytes;
} step;

static vbg_tensor *middle(vbg_ctx *c, void *arg)
{
    vbg_tensor *x = *(vbg_tensor **)arg;

    /* 3x + 2x and the second image's last two channels once more */
    return vbg_add(c, vbg_affine(c, x, 3, 0), vbg_affine(c, x, 2, 0), VBG_ACT_NONE);
}

static vbg_status run_step(vbg_ctx *c, void *arg, vbg_err *err)
{
    step *s = arg;
    static const float in[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

    (void)err;
    vbg_tape_start(s->tape, true);
    vbg_tensor *x = vbg_new_typed(c, VBG_F32, 2, 1, 1, 4);
    if (!vbg_planning(c))
        memcpy(x->data, in, sizeof in);
    vbg_require_grad(c, x);
    vbg_tensor *y = s->checkpoint ? vbg_checkpoint(c, middle, &x, sizeof x,
                                                   (const vbg_tensor *[]){ x }, 1)
                                  : middle(c, &x);
    vbg_tensor *part = vbg_columns(c, vbg_images(c, y, 1, 1), 2, 2);
    vbg_tensor *z = vbg_add(c, part, vbg_affine(c, part, 10, 0), VBG_ACT_NONE);
    vbg_tensor *dz = vbg_affine(c, z, 0, 1); /* ones */
    vbg_backward_from(c, z, dz);
    const vbg_tensor *g = vbg_grad(c, x);
    cr_assert(g, "x has a gradient");
    if (!vbg_planning(c))
        memcpy(s->grad, g->data, sizeof s->grad);
    vbg_tape_stop(s->tape);
    return VBG_OK;
}

static void gradients(bool checkpoint)
{
    static const float want[8] = { 0, 0, 0, 0, 0, 0, 55, 55 };
    vbg_ctx *c;
    vbg_tape *t;
    step s = { .checkpoint = checkpoint };

    cr_assert_eq(vbg_ctx_new(&c, &(vbg_ctx_opt){ .threads = 2 }, NULL), VBG_OK);
    cr_assert_eq(vbg_tape_new(&t, c, NULL, NULL), VBG_OK);
    s.tape = t;
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(vbg_run(c, run_step, &s, NULL), VBG_OK);
        for (int k = 0; k < 8; k++)
            cr_assert_float_eq(s.grad[k], want[k], 1e-6, "gradient %d is %g", k,
                               (double)s.grad[k]);
    }
    vbg_tape_free(t);
    vbg_ctx_free(c);
}

Test(tape, gradients_add_up_through_parts)
{
    gradients(false);
}

/* z = 5 x, then 3 z of a copy of z: half the way back, then all of it. */
static vbg_status run_part(vbg_ctx *c, void *arg, vbg_err *err)
{
    step *s = arg;

    (void)err;
    vbg_tape_start(s->tape, true);
    vbg_tensor *x = vbg_new_typed(c, VBG_F32, 2, 1, 1, 4);
    vbg_require_grad(c, x);
    vbg_tensor *z = vbg_affine(c, x, 5, 0);
    const size_t mark = vbg_tape_mark(c);
    vbg_tensor *leaf = vbg_detach(c, z);
    vbg_require_grad(c, leaf);
    vbg_tensor *y = vbg_affine(c, leaf, 3, 0);
    vbg_backward_to(c, y, vbg_affine(c, y, 0, 1), mark);
    cr_assert(!vbg_grad(c, x) && vbg_grad(c, leaf));
    cr_assert_eq(vbg_tape_mark(c), mark);
    if (!vbg_planning(c))
        cr_assert_eq(((const float *)vbg_grad(c, leaf)->data)[5], 3);
    vbg_backward_from(c, z, vbg_affine(c, z, 0, 2));
    if (!vbg_planning(c))
        memcpy(s->grad, vbg_grad(c, x)->data, sizeof s->grad);
    vbg_tape_stop(s->tape);
    return VBG_OK;
}

Test(tape, part_of_the_way_leaves_the_rest)
{
    vbg_ctx *c;
    vbg_tape *t;

    cr_assert_eq(vbg_ctx_new(&c, &(vbg_ctx_opt){ .threads = 2 }, NULL), VBG_OK);
    cr_assert_eq(vbg_tape_new(&t, c, NULL, NULL), VBG_OK);
    step s = { .tape = t };
    cr_assert_eq(vbg_run(c, run_part, &s, NULL), VBG_OK);
    for (int k = 0; k < 8; k++)
        cr_assert_eq(s.grad[k], 10);
    vbg_tape_free(t);
    vbg_ctx_free(c);
}

Test(tape, a_segment_computed_twice_gives_the_same)
{
    gradients(true);
}

Test(param, declared_parameters_start_as_usual_and_pack)
{
    vbg_params *p;
    float *v;
    vbg_entry shape = { .component = "m",
                        .name = "layer.weight",
                        .layout = VBG_LAYOUT_PACK16,
                        .rank = 2,
                        .dim = { 16, 8 } };

    cr_assert_eq(vbg_params_new(&p, VBG_F32, NULL), VBG_OK);
    cr_assert_null(vbg_params_take(p, NULL, &shape, VBG_INIT_UNIFORM, 0.5f));
    vbg_params_select(p, "m", "*", true);
    vbg_params_select(p, "m", "frozen*", false);
    vbg_params_declare(p, 7);
    vbg_param *m = vbg_params_take(p, NULL, &shape, VBG_INIT_UNIFORM, 0.5f);
    cr_assert(m && m->count == 128);
    cr_assert_eq(vbg_params_take(p, NULL, &shape, VBG_INIT_UNIFORM, 0.5f), m);
    cr_assert_eq(vbg_params_by_data(p, m->packed), m);
    cr_assert_eq(vbg_params_by_data(p, m->value), m);
    double low = 0, high = 0;
    for (size_t i = 0; i < m->count; i++) {
        low = m->value[i] < low ? m->value[i] : low;
        high = m->value[i] > high ? m->value[i] : high;
    }
    cr_assert(low < -0.4 && low >= -0.5 && high > 0.4 && high <= 0.5);
    v = m->packed; /* [1][8][16]: input 3 of output 5 */
    cr_assert_eq(v[3 * 16 + 5], m->value[5 * 8 + 3]);
    shape.name = "frozen.weight";
    cr_assert_null(vbg_params_take(p, NULL, &shape, VBG_INIT_ZERO, 0));
    vbg_params_free(p);
}
