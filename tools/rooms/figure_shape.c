/* Flesh and clothes as signed distances.
 *
 * The head is modelled in its own axes (eyes at height 0, about 23 cm from chin to crown)
 * and mirrored, so half of its parts are looked at for every point.  Clothes are the
 * body with a thickness, cut where they end. */
#include "tools/rooms/field.h"
#include "tools/rooms/figure.h"

/* Head axes in units of a median man's head. */
static vec3 head_point(const figure_form *f, vec3 p)
{
    return v3_mul(vr_bone_local(&f->b->at[B_HEAD], p), 1 / f->b->head);
}

vec3 vr_eye_place(const figure_form *f, int side)
{
    return v3(side ? -.0315f : .0315f, 0, .0665f - .001f * f->k->wide);
}

float vr_eye_radius(const figure_form *f)
{
    return .0122f + .0004f * f->k->eye_size;
}

float vr_form_skull(const figure_form *f, vec3 p)
{
    const figure_look *k = f->k;
    const float wide = 1 + .035f * k->wide;
    const vec3 m = v3(fabsf(p.x), p.y, p.z);
    const float dome =
        field_blob(m, v3(0, .030f, -.016f), v3(.076f * wide, .086f, .096f));
    const float brow = field_blob(m, v3(0, .012f, .030f), v3(.067f * wide, .052f, .056f));
    const float face =
        field_blob(m, v3(0, -.040f, .026f), v3(.060f * wide, .070f, .062f));

    return field_join(field_join(dome, brow, .03f), face, .03f);
}

/* Jaw, chin and cheeks below the skull; open lowers them. */
static float jaw_shape(const figure_look *k, vec3 m, float open)
{
    const float j = k->jaw, soft = k->woman ? .85f : 1;
    const float drop = .013f * open;
    const float chin = field_blob(m, v3(0, -.096f - .003f * j - drop, .058f),
                                  v3(.024f * soft + .003f * j, .021f, .024f));
    const float bone = field_limb(m, v3(.050f + .003f * j, -.052f, -.002f),
                                  v3(.016f, -.100f - drop, .050f), .019f, .018f);
    const float cheek = field_blob(m, v3(.040f, -.030f, .052f),
                                   v3(.023f, .022f, .022f + .002f * k->cheek));
    const float fat =
        k->girth > 1.1f ? field_blob(m, v3(.030f, -.068f, .035f), v3(.036f, .034f, .034f))
                        : 1;

    return vr_min(field_join(field_join(chin, bone, .022f), cheek, .02f), fat);
}

static float nose_shape(const figure_look *k, vec3 m)
{
    const float l = 1 + .08f * k->nose, w = 1 + .12f * k->nose_wide;
    const float bridge =
        field_limb(m, v3(0, .006f, .079f), v3(0, -.036f * l, .099f), .0075f, .0095f * w);
    const float tip = field_ball(m, v3(0, -.038f * l, .0985f), .0110f * w);
    const float wing =
        field_blob(m, v3(.0115f * w, -.042f * l, .0885f), v3(.0075f * w, .0075f, .0095f));

    return field_join(field_join(bridge, tip, .012f), wing, .007f);
}

static float lips_shape(const figure_look *k, vec3 m, const figure_pose *p)
{
    const float full = .0060f + .0011f * k->lips_full, drop = .011f * p->jaw;
    const float corner = .025f + .004f * p->smile, lift = .004f * p->smile;
    const float upper = field_limb(m, v3(.004f, -.0655f, .0925f),
                                   v3(corner, -.0705f + lift, .078f), full, .0032f);
    const float lower =
        field_limb(m, v3(0, -.0775f - drop, .0905f),
                   v3(corner, -.0725f + lift - .3f * drop, .078f), full * 1.15f, .0032f);

    return vr_min(upper, lower);
}

static float ear_shape(const figure_look *k, vec3 m)
{
    const float e = 1 + .08f * k->ears;
    const vec3 c = v3(.0785f + .0025f * k->wide, -.012f, -.012f);
    const float shell = field_blob(m, c, v3(.0085f * e, .031f * e, .018f * e));
    const float hollow =
        field_blob(m, v3_add(c, v3(.007f, .004f, .002f)), v3(.0055f, .017f, .009f));

    return field_cut(shell, hollow, .004f);
}

/* Lids over the eyeball: a shell with an almond-shaped opening. */
static float lids(const figure_form *f, vec3 m, float d)
{
    const float r = vr_eye_radius(f);
    vec3 eye = vr_eye_place(f, 0);
    const float open = (1 - f->p->blink) * (.0043f + .0005f * f->k->eye_size);
    const float lid = field_ball(m, eye, r + .0016f);

    d = field_cut(d, field_ball(m, v3(.031f, -.001f, .094f), .0175f), .012f);
    d = field_join(d, lid, .008f);
    if (open < .0008f)
        return d;
    const vec3 c = v3_sub(m, v3_add(eye, v3(0, -.0005f, .010f)));
    /* narrower towards both corners, the outer one a little higher */
    const float y = c.y - .10f * c.x, half = open * (1 - .35f * c.x * c.x / 1.7e-4f);
    const float gap =
        vr_max(vr_max(fabsf(y) - half, fabsf(c.x) - .0132f), fabsf(c.z) - .012f);

    return field_cut(d, gap, .0012f);
}

static float mouth_gap(const figure_form *f, vec3 m)
{
    const float open = f->p->jaw;

    return field_blob(m, v3(0, -.0715f - .006f * open, .084f),
                      v3(.020f, .0008f + .0075f * open, .016f));
}

float vr_form_head(const void *form, vec3 world)
{
    const figure_form *f = form;
    const figure_look *k = f->k;
    const vec3 p = head_point(f, world);
    const vec3 m = v3(fabsf(p.x), p.y, p.z);
    const frame *chest = &f->b->at[B_CHEST];
    const float s = f->b->s;
    float d = vr_form_skull(f, p);

    if (d < .05f) {
        d = field_join(d, jaw_shape(k, m, f->p->jaw), .022f);
        const float ridge =
            field_limb(m, v3(.008f, .0165f, .0835f), v3(.048f, .018f, .062f),
                       .0085f + .0012f * k->brow_ridge, .007f);
        d = field_join(d, ridge, .014f);
        d = lids(f, m, d);
        d = field_join(d, nose_shape(k, m), .010f);
        d = field_join(d, lips_shape(k, m, f->p), .006f);
        if (f->p->jaw > .04f)
            d = field_cut(d, mouth_gap(f, m), .003f);
        d = field_join(d, ear_shape(k, m), .007f);
    }
    d *= f->b->head;
    /* neck and the top of the chest, which the clothes leave open */
    const vec3 c = vr_bone_local(chest, world);
    const vec3 top =
        vr_bone_local(chest, frame_point(&f->b->at[B_HEAD], v3(0, -.055f, -.022f)));
    const float thick = (k->woman ? .048f : .058f) * s * (.85f + .15f * k->girth);
    const float neck =
        field_limb(c, v3(0, .30f * s, -.018f * s), top, thick * 1.12f, thick);
    const float adam =
        k->woman ? 1 : field_blob(c, v3(0, .36f * s, .047f * s), v3(.012f, .016f, .012f));
    d = field_join(d, field_join(neck, adam, .02f), .025f);
    figure_form bare = *f;
    bare.thick = -.001f;
    bare.side = 2; /* the trunk alone */
    return c.y < .36f * s ? field_join(d, vr_form_top(&bare, world), .03f) : d;
}

/* ---- trunk and limbs ---- */

static float trunk(const figure_form *f, vec3 p)
{
    const figure_look *k = f->k;
    const float s = f->b->s, g = k->girth, w = k->woman ? .90f : 1;
    const vec3 q = v3_mul(vr_bone_local(&f->b->at[B_CHEST], p), 1 / s);
    const vec3 m = v3(fabsf(q.x), q.y, q.z);
    const float deep = .5f + .5f * g;
    float d = field_blob(m, v3(0, .18f, -.004f),
                         v3(.163f * w * (.6f + .4f * g), .205f, .112f * deep));

    d = field_join(
        d,
        field_limb(m, v3(0, .250f, -.018f), v3(.128f * w, .250f, -.016f), .070f, .055f),
        .06f);
    d = field_join(d,
                   field_limb(m, v3(.022f, .345f, -.032f), v3(.150f * w, .272f, -.014f),
                              .040f, .040f),
                   .05f);
    d = field_join(
        d, field_blob(m, v3(0, .01f, .002f), v3(.142f * w * g, .17f, .102f * g)), .08f);
    if (g > 1.12f)
        d = field_join(d, field_ball(m, v3(0, .0f, .035f), .125f * g), .07f);
    if (k->woman)
        d = field_join(d, field_blob(m, v3(.072f, .168f, .082f), v3(.062f, .062f, .052f)),
                       .045f);
    const vec3 h = v3_mul(vr_bone_local(&f->b->at[B_PELVIS], p), 1 / s);
    d = field_join(d,
                   field_blob(h, v3(0, -.02f, -.006f),
                              v3(.172f * (k->woman ? 1.03f : 1) * (.4f + .6f * g), .15f,
                                 .120f * deep)),
                   .08f);
    return d * s;
}

static float arm_shape(const figure_form *f, int side, vec3 p, float grow)
{
    const figure_bones *b = f->b;
    const float s = b->s * (f->k->woman ? .84f : 1) * (.75f + .25f * f->k->girth);
    const frame *u = &b->at[B_UPPER_L + 3 * side], *e = &b->at[B_FORE_L + 3 * side];
    const vec3 a = vr_bone_local(u, p), c = vr_bone_local(e, p);
    const float shoulder = field_ball(a, v3(0, .014f * s, 0), .055f * s);
    const float upper =
        field_limb(a, v3(0, .02f, 0), v3(0, b->upper, 0), .050f * s, .041f * s);
    const float fore = field_limb(c, v3s(0), v3(0, b->fore, 0), .042f * s, .029f * s);
    const float bulge =
        field_blob(c, v3(0, .075f * s, 0), v3(.044f * s, .09f * s, .042f * s));

    return field_join(field_join(shoulder, upper, .03f), field_join(fore, bulge, .03f),
                      .035f) -
           grow;
}

float vr_form_arms(const void *form, vec3 p)
{
    const figure_form *f = form;

    return vr_min(arm_shape(f, 0, p, 0), arm_shape(f, 1, p, 0));
}

/* The cloth of one arm, cut off where the sleeve ends. */
static float sleeve(const figure_form *f, int side, vec3 p)
{
    const figure_bones *b = f->b;
    const bool brief = f->k->short_sleeves;
    const frame *u = &b->at[B_UPPER_L + 3 * side], *e = &b->at[B_FORE_L + 3 * side];
    const float wide = f->thick * (brief ? 1.5f : 1.0f) + .003f;
    const float d = arm_shape(f, side, p, wide);
    const float past = brief ? vr_bone_local(u, p).y - .58f * b->upper
                             : vr_bone_local(e, p).y - .96f * b->fore;
    const float cuff = field_limb(vr_bone_local(e, p), v3(0, .87f * b->fore, 0),
                                  v3(0, .99f * b->fore, 0), .038f * b->s, .037f * b->s);

    if (brief && past > 0 && vr_bone_local(e, p).y > .1f) /* a raised forearm */
        return vr_max(d, .02f);
    return field_meet(brief ? d
                            : field_join(d, vr_max(cuff, -.5f) - .3f * f->thick, .01f),
                      past, .006f);
}

/* What a round neckline leaves open, chest axes of unit size. */
static float neck_hole(const figure_look *k, vec3 q)
{
    const float w = k->woman ? .92f : 1;
    const float round = field_blob(q, v3(0, .375f, -.008f), v3(.072f * w, .062f, .086f));

    if (k->top == TOP_BLOUSE)
        return vr_min(round, field_blob(q, v3(0, .320f, .075f), v3(.058f, .080f, .075f)));
    return k->top == TOP_TURTLENECK ? 1 : round;
}

/* The opening in front, through the collar too. */
static float front_opening(const figure_look *k, vec3 q)
{
    const bool vee = k->top == TOP_TSHIRT && (k->seed & 3) == 0;

    if (k->top == TOP_SHIRT || k->top == TOP_JACKET) {
        const float low = k->tie ? .335f : .285f;
        return vr_max(fabsf(q.x) - .48f * (q.y - low), .02f - q.z);
    }
    return vee ? vr_max(fabsf(q.x) - .55f * (q.y - .245f), .03f - q.z) : 1;
}

/* Collars, hoods, rolled necks: unit chest axes. */
static float collar(const figure_look *k, vec3 q)
{
    const float w = k->woman ? .88f : 1;
    const vec3 c = v3(q.x, 0, q.z + .006f + .10f * (q.y - .33f));
    const float r = v3_len(c);

    switch (k->top) {
    case TOP_TURTLENECK:
        return vr_max(fabsf(r - .064f * w) - .010f, fabsf(q.y - .365f) - .045f);
    case TOP_HOODIE:
        return field_join(field_limb(v3(fabsf(q.x), q.y, q.z), v3(.0f, .345f, -.105f),
                                     v3(.088f, .335f, -.03f), .036f, .030f),
                          field_limb(v3(fabsf(q.x), q.y, q.z), v3(.088f, .335f, -.03f),
                                     v3(.045f, .285f, .085f), .028f, .017f),
                          .03f);
    case TOP_SHIRT:
    case TOP_JACKET: /* folded over: wider below */
        return vr_max(fabsf(r - .064f * w - .34f * vr_max(.380f - q.y, 0)) - .0070f,
                      fabsf(q.y - .347f) - .036f);
    default:
        return 1;
    }
}

float vr_form_top(const void *form, vec3 p)
{
    const figure_form *f = form;
    const figure_look *k = f->k;
    const float s = f->b->s;
    const vec3 q = v3_mul(vr_bone_local(&f->b->at[B_CHEST], p), 1 / s);
    float d = trunk(f, p) - f->thick;

    if (f->side == 2)
        return d;
    /* cloth falls straight from chest to hip */
    const float fall = field_limb(v3(q.x * .70f, q.y, q.z), v3(0, .16f, .002f),
                                  v3(0, -.20f, .002f), .108f, .112f);
    d = field_join(d, fall * s - (k->loose + .3f * f->thick) * .7f, .04f);
    for (int i = 0; i < 2; i++)
        d = field_join(d, sleeve(f, i, p), .022f);
    d = field_cut(d, neck_hole(k, q) * s, .006f);
    d = field_join(d, collar(k, q) * s, .008f);
    d = field_cut(d, front_opening(k, q) * s, .006f);
    const vec3 h = vr_bone_local(&f->b->at[B_PELVIS], p);
    return field_meet(d, -h.y - .13f * s, .008f); /* the hem */
}

float vr_form_legs(const void *form, vec3 p)
{
    const figure_form *f = form;
    const figure_bones *b = f->b;
    const float s = b->s * (.7f + .3f * f->k->girth);
    const vec3 h = vr_bone_local(&b->at[B_PELVIS], p);
    float d =
        field_blob(h, v3(0, -.03f * s, -.004f), v3(.168f * s, .15f * s, .118f * s)) -
        .006f;

    for (int i = 0; i < 2; i++) {
        const frame *t = &b->at[B_THIGH_L + 2 * i], *k = &b->at[B_SHANK_L + 2 * i];
        const float thigh = field_limb(vr_bone_local(t, p), v3s(0), v3(0, .43f * s, 0),
                                       .086f * s, .062f * s);
        const float shank = field_limb(vr_bone_local(k, p), v3s(0), v3(0, .44f * s, 0),
                                       .064f * s, .056f * s);
        const float shoe = field_box(vr_bone_local(k, p), v3(0, .475f * s, .06f * s),
                                     v3(.042f * s, .032f * s, .13f * s), .03f);
        d = field_join(d, vr_min(field_join(thigh, shank, .04f), shoe), .03f);
    }
    return d;
}

/* ---- hands: x to the thumb, y to the fingers, z out of the palm ---- */

float vr_form_hand(const void *form, vec3 world)
{
    static const float root[4] = { .029f, .0095f, -.0105f, -.029f };
    static const float length[4] = { .068f, .076f, .071f, .056f };
    const figure_form *f = form;
    const int side = f->side;
    const float s = f->b->s * (f->k->woman ? .90f : 1), m = side ? 1.f : -1.f;
    const frame *h = &f->b->at[B_HAND_L + 3 * side];
    const vec3 w = v3_mul(vr_bone_local(h, world), 1 / s);
    const vec3 p = v3(m * w.x, w.y, w.z);
    const float curl = f->p->curl[side], splay = f->p->splay[side];
    const vec3 back = vr_bone_local(h, f->b->at[B_FORE_L + 3 * side].o);
    const vec3 wrist = v3_mul(v3(m * back.x, back.y, back.z),
                              .30f / (s * vr_max(v3_len(back) / s, .1f)));
    float d = field_box(p, v3(0, .048f, 0), v3(.039f, .045f, .0135f), .013f);

    d = field_join(d, field_blob(p, v3(.022f, .032f, .010f), v3(.018f, .028f, .013f)),
                   .015f);
    d = field_join(d, field_limb(p, wrist, v3(0, .02f, 0), .032f, .024f), .02f);
    for (int i = 0; i < 4; i++) {
        const float a = curl * 1.35f, b = a + curl * 1.6f, l = length[i];
        const float x = root[i], out = splay * root[i] * 7;
        const vec3 knuckle = v3(x, .091f - 4 * x * x, 0);
        const vec3 joint =
            v3_add(knuckle, v3(.45f * l * out, .45f * l * cosf(a), .45f * l * sinf(a)));
        const vec3 tip =
            v3_add(joint, v3(.5f * l * out, .5f * l * cosf(b), .5f * l * sinf(b)));
        const float finger = field_join(field_limb(p, knuckle, joint, .0095f, .0085f),
                                        field_limb(p, joint, tip, .0085f, .0068f), .006f);
        d = field_join(d, finger, .006f);
    }
    const float t = .35f + .65f * splay;
    const vec3 base = v3(.030f, .020f, .006f), mid = v3(.036f + .024f * t, .056f, .012f);
    const vec3 end =
        v3(.036f + .040f * t - .03f * curl, .086f - .01f * curl, .014f + .02f * curl);
    d = field_join(d,
                   field_join(field_limb(p, base, mid, .0135f, .0108f),
                              field_limb(p, mid, end, .0108f, .0080f), .006f),
                   .010f);
    return d * s;
}

/* ---- hair as a solid ---- */

float vr_hair_edge(const figure_look *k, float a)
{
    static const float edge[9] = { .066f,  .062f,  .050f,  .012f, -.008f,
                                   -.012f, -.040f, -.066f, -.072f };
    const float x = fabsf(a) / VR_PI * 8;
    const int i = x < 7 ? (int)x : 7;

    return vr_mix(edge[i], edge[i + 1], x - (float)i) + (x < 2.6f ? k->hair_line : 0);
}

float vr_form_cap(const void *form, vec3 world)
{
    static const float thick[HAIR_STYLES] = {
        [HAIR_NONE] = 0,     [HAIR_BUZZ] = .0025f, [HAIR_SHORT] = .009f,
        [HAIR_SIDE] = .012f, [HAIR_CURLY] = .020f, [HAIR_AFRO] = .055f,
        [HAIR_BOB] = .012f,  [HAIR_LONG] = .010f,  [HAIR_WAVY] = .014f,
        [HAIR_BUN] = .006f,  [HAIR_TAIL] = .006f,
    };
    const figure_form *f = form;
    const vec3 p = head_point(f, world);
    const float edge = vr_hair_edge(f->k, atan2f(p.x, p.z));
    const float rise = p.y - edge;
    const float t = thick[f->k->hair_style] * vr_step(-.004f, .035f, rise) + .0018f;
    float d = vr_form_skull(f, p) - t;

    d = field_meet(d, -rise, .004f);
    if (f->k->hair_style == HAIR_BUN)
        d = field_join(d, field_blob(p, v3(0, .062f, -.118f), v3(.034f, .032f, .028f)),
                       .01f);
    return d * f->b->head;
}
