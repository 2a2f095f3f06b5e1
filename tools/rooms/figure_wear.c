/* What people wear on the head and hold in the hand. */
#include "tools/rooms/field.h"
#include "tools/rooms/figure.h"

float vr_form_hat(const void *form, vec3 world)
{
    const figure_form *f = form;
    const vec3 p = v3_mul(vr_bone_local(&f->b->at[B_HEAD], world), 1 / f->b->head);
    const float skull = vr_form_skull(f, p);
    float d;

    if (f->k->hat == 1) { /* knitted, with a turned-up rim */
        const float rim =
            vr_max(fabsf(skull - .012f) - .010f, fabsf(p.y - .050f) - .022f);
        d = field_meet(skull - .014f - .10f * vr_max(p.y - .06f, 0), .032f - p.y, .006f);
        d = field_join(d, rim, .008f);
    } else { /* a cap with a visor */
        const float visor =
            field_blob(p, v3(0, .048f - .5f * vr_max(p.z - .12f, 0), .118f),
                       v3(.075f, .0065f, .068f));
        d = field_meet(skull - .011f, .042f - p.y, .005f);
        d = field_join(d, visor, .008f);
    }
    return d * f->b->head;
}

/* A ring of n points about mid; square bends it towards a rectangle. */
static void rim(scene *s, vec3 mid, float rx, float ry, bool square)
{
    enum { N = 25 };
    vec3 p[N];

    for (int i = 0; i < N; i++) {
        const float a = 2 * VR_PI * (float)i / (N - 1), c = cosf(a), n = sinf(a);
        const float k = square ? 1 / powf(powf(fabsf(c), 5) + powf(fabsf(n), 5), .2f) : 1;
        p[i] = v3(mid.x + rx * k * c, mid.y + ry * k * n,
                  mid.z - .12f * fabsf(mid.x + rx * c));
    }
    vr_tube(s, p, N, .0015f, .0015f, 6);
}

static void glasses(figure *f)
{
    scene *s = f->s;
    const int kind = f->look.glasses;
    const float z = .094f, x = .0335f;

    vr_material(s, (material){ .kind = FS_HARD,
                               .a = kind == 1 ? v3(.25f, .2f, .12f) : v3s(.02f),
                               .rough = .25f,
                               .f0 = .05f });
    for (int i = -1; i <= 1; i += 2) {
        const float m = (float)i;
        rim(s, v3(m * x, -.002f, z), kind == 1 ? .0235f : .027f,
            kind == 1 ? .0225f : .0195f, kind != 1);
        const vec3 temple[4] = { v3(m * .061f, .006f, z - .009f),
                                 v3(m * .077f, .006f, .05f), v3(m * .081f, .004f, -.005f),
                                 v3(m * .080f, -.018f, -.028f) };
        vr_tube(s, temple, 4, .0016f, .0014f, 6);
        if (kind == 3)
            vr_ball(s, v3(m * x, -.002f, z - .005f), v3(.026f, .0215f, .003f), 20);
    }
    const vec3 bridge[3] = { v3(-.010f, .002f, z), v3(0, .005f, z + .002f),
                             v3(.010f, .002f, z) };
    vr_tube(s, bridge, 3, .0015f, .0015f, 6);
}

static void headset(figure *f)
{
    enum { N = 17 };
    scene *s = f->s;
    vec3 p[N];

    vr_material(
        s, (material){ .kind = FS_HARD, .a = f->look.gear, .rough = .35f, .f0 = .05f });
    for (int i = 0; i < N; i++) {
        const float a = VR_PI * (float)i / (N - 1);
        p[i] = v3(.096f * cosf(a), -.005f + .142f * sinf(a), -.012f);
    }
    vr_tube(s, p, N, .0075f, .0075f, 8);
    for (int i = -1; i <= 1; i += 2) {
        const float m = (float)i;
        vr_rod(s, v3(m * .082f, -.012f, -.010f), v3(m * .104f, -.012f, -.012f), .036f,
               .031f, 22);
    }
    const vec3 boom[4] = { v3(.098f, -.02f, .0f), v3(.095f, -.05f, .04f),
                           v3(.075f, -.07f, .08f), v3(.045f, -.073f, .105f) };
    vr_tube(s, boom, 4, .0024f, .0024f, 6);
    vr_ball(s, boom[3], v3s(.007f), 10);
}

static void held(figure *f)
{
    static const float profile[8][2] = { { 0, -.045f },     { .036f, -.045f },
                                         { .040f, -.040f }, { .041f, .050f },
                                         { .038f, .052f },  { .036f, .048f },
                                         { .036f, -.035f }, { 0, -.035f } };
    scene *s = f->s;

    vr_figure_range(f, G_HAND_R);
    s->at = vr_figure_frame(f, B_HAND_R);
    vr_material(s, (material){ .kind = FS_HARD,
                               .a = f->look.gear,
                               .rough = f->look.hold == 1 ? .25f : .12f,
                               .f0 = .05f });
    if (f->look.hold == 2) {
        s->at = frame_move(s->at, v3(0, .065f, .024f), 0);
        vr_box(s, v3(-.037f, -.076f, -.004f), v3(.037f, .076f, .004f), .003f);
        return;
    }
    /* a mug stands upright whatever the hand does */
    s->at.o = frame_point(&s->at, v3(0, .07f, .045f));
    s->at = (frame){ f->root.x, f->root.y, f->root.z, s->at.o };
    vr_lathe(s, profile, 8, 26);
    const vec3 ear[5] = { v3(.036f, .03f, 0), v3(.062f, .028f, 0), v3(.068f, 0, 0),
                          v3(.058f, -.026f, 0), v3(.036f, -.028f, 0) };
    vr_tube(s, ear, 5, .0055f, .0055f, 8);
}

void vr_figure_wear(figure *f, const figure_form *form)
{
    scene *s = f->s;
    const float h = form->b->head;

    vr_figure_range(f, G_HEAD);
    s->at = frame_scale(vr_figure_frame(f, B_HEAD), h, h, h);
    if (f->look.glasses)
        glasses(f);
    if (f->look.headset)
        headset(f);
    if (f->look.hold)
        held(f);
    s->at = f->root;
}
