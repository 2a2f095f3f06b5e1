/* Hair, brows and beards as strips: grown from the skin, combed, pulled down, and pushed
 * out of head and clothes. */
#include "tools/rooms/figure.h"

#include "tools/rooms/field.h"
#include "tools/rooms/noise.h"

enum { STRAND_STEPS = 16 };

typedef struct cut {
    int count;
    float length, width; /* metres */
    float lift;          /* away from the skin at the root */
    float fall;          /* pull of gravity */
    float curl, turns;   /* radius of curls, turns along the strand */
    int steps;
} cut;

static const cut cuts[HAIR_STYLES] = {
    [HAIR_NONE] = { 0 },
    [HAIR_BUZZ] = { 2200, .006f, .0018f, .8f, 0, 0, 0, 2 },
    [HAIR_SHORT] = { 2600, .036f, .0022f, .22f, .10f, .0012f, .8f, 4 },
    [HAIR_SIDE] = { 2600, .062f, .0024f, .20f, .16f, .0014f, .7f, 5 },
    [HAIR_CURLY] = { 2000, .048f, .0026f, .45f, .10f, .0080f, 1.6f, 8 },
    [HAIR_AFRO] = { 2600, .050f, .0026f, 1.0f, .0f, .0090f, 2.2f, 8 },
    [HAIR_BOB] = { 2300, .200f, .0036f, .10f, .9f, .0016f, .8f, 10 },
    [HAIR_LONG] = { 2300, .400f, .0038f, .08f, 1.1f, .0020f, 1.0f, 14 },
    [HAIR_WAVY] = { 2300, .360f, .0042f, .14f, .9f, .0090f, 2.2f, 14 },
    [HAIR_BUN] = { 2000, .150f, .0030f, .06f, .0f, .0006f, .5f, 7 },
    [HAIR_TAIL] = { 2000, .330f, .0034f, .06f, .35f, .0015f, .8f, 14 },
};

typedef struct barber {
    figure *f;
    const figure_form *form;
    const cut *c;
    rng r;
    bool trails; /* reaches the shoulders */
} barber;

static float skull_world(const figure_form *f, vec3 p)
{
    return f->b->head *
           vr_form_skull(f, v3_mul(vr_bone_local(&f->b->at[B_HEAD], p), 1 / f->b->head));
}

/* What a strand may not enter: the head and, far enough down, neck and clothes. */
static float obstacle(const barber *b, vec3 p)
{
    float d = skull_world(b->form, p);

    if (b->trails && p.y < b->form->b->at[B_HEAD].o.y - .06f)
        d = field_join(d, vr_form_top(b->form, p), .03f);
    return d;
}

static vec3 slope(const barber *b, vec3 p)
{
    const float e = .004f, d = obstacle(b, p);

    return v3_unit(v3(obstacle(b, v3(p.x + e, p.y, p.z)) - d,
                      obstacle(b, v3(p.x, p.y + e, p.z)) - d,
                      obstacle(b, v3(p.x, p.y, p.z + e)) - d));
}

/* Where hair at p (head axes) is combed to, not yet along the skin. */
static vec3 combed(const figure_look *k, vec3 p, rng *r)
{
    const float side = p.x - .035f * k->part >= 0 ? 1.f : -1.f;

    switch (k->hair_style) {
    case HAIR_SHORT:
        return v3(p.x * 4 + .15f * k->part, p.y > .05f ? .2f : -1,
                  p.z > -.02f ? 1.1f : -1.f);
    case HAIR_SIDE:
        return v3(side * 1.2f, p.z > .05f ? .35f : -.4f, p.z > .04f ? .25f : -.55f);
    case HAIR_BUN:
    case HAIR_TAIL:
        return v3_sub(v3(0, .062f, -.13f), p);
    case HAIR_BOB:
    case HAIR_LONG:
    case HAIR_WAVY:
        return v3(side, -.35f, p.z > .02f ? -.35f : -.75f);
    default:
        return v3(rnd_in(r, -1, 1), rnd_in(r, -1, 1), rnd_in(r, -1, 1));
    }
}

/* One pair of vertices of a strip; joined to the pair before. */
static void strip_pair(scene *s, vec3 p, vec3 d, vec3 n, float width, bool first,
                       float shade)
{
    const vec3 across = v3_unit(v3_cross(d, n)), half = v3_mul(across, .5f * width);
    const vec3 tex = v3_mul(d, 1 + vr_clamp(shade, 0, .99f));
    const uint32_t a =
        vr_vertex(s, v3_sub(p, half), v3_unit(v3_mad(n, across, -.45f)), tex);
    const uint32_t b =
        vr_vertex(s, v3_add(p, half), v3_unit(v3_mad(n, across, .45f)), tex);

    if (first)
        return;
    vr_triangle(s, a - 2, b - 2, b);
    vr_triangle(s, a - 2, b, a);
}

/* Direction of the next piece at p. */
static vec3 steer(const barber *b, vec3 p, vec3 d, vec3 n, float t)
{
    const frame *head = &b->form->b->at[B_HEAD];
    const vec3 q = vr_bone_local(head, p);
    vec3 pull = v3(0, -b->c->fall, 0);

    if (b->f->look.hair_style == HAIR_TAIL && t < .30f)
        pull = v3_mul(v3_sub(frame_point(head, v3(0, .045f, -.125f)), p), 14);
    if (b->f->look.hair_style == HAIR_BUN)
        pull = v3_mul(v3_sub(frame_point(head, v3(0, .062f, -.125f)), p), 12);
    if (b->trails && q.z > .025f && q.y < .06f) { /* out of the face */
        const float k = vr_min((q.z - .025f) * 25, 1);
        pull =
            v3_add(pull, frame_dir(head, v3(q.x > 0 ? .6f * k : -.6f * k, 0, -.8f * k)));
    }
    if (b->f->look.hair_style != HAIR_AFRO && b->f->look.hair_style != HAIR_CURLY)
        pull = v3_mad(pull, n, -.35f); /* it lies close */
    vec3 o = v3_mad(d, pull, .55f);
    const float into = v3_dot(o, n);
    if (into < 0 && skull_world(b->form, p) < .02f)
        o = v3_mad(o, n, -into);
    return v3_unit(o);
}

/* Neighbours lean the same way. */
static vec3 locks(vec3 p)
{
    const vec3 q = v3_mul(p, 55);

    return v3_mul(
        v3(vr_noise(q), vr_noise(v3(q.y, q.z, q.x + 9)), vr_noise(v3(q.z, q.x, q.y + 5))),
        .28f);
}

static void strand(barber *b, vec3 root, vec3 n0, float length, float width)
{
    const cut *c = b->c;
    rng *r = &b->r;
    const frame *head = &b->form->b->at[B_HEAD];
    const float step = length / (float)c->steps, phase = rnd_in(r, 0, 6.28f),
                shade = rnd(r) * .8f;
    vec3 comb = frame_dir(head, combed(&b->f->look, vr_bone_local(head, root), r));

    comb = v3_unit(v3_mad(comb, n0, -v3_dot(comb, n0)));
    vec3 p = root, n = n0;
    vec3 d = v3_unit(v3_add(
        v3_mul(n0, c->lift),
        v3_add(v3_mul(comb, 1 - c->lift),
               v3_add(locks(root),
                      v3_mul(v3(rnd_gauss(r), rnd_gauss(r), rnd_gauss(r)), .05f)))));
    for (int i = 0; i <= c->steps; i++) {
        const float t = (float)i / (float)c->steps;
        const float turn = phase + 6.28f * c->turns * t, taper = 1 - .85f * t * t * t;
        const vec3 across = v3_unit(v3_cross(d, n));
        const float a = c->curl * vr_min(1, t * 3);
        const vec3 q = v3_add(p, v3_add(v3_mul(across, a * cosf(turn)),
                                        v3_mul(n, a * (.6f + .6f * sinf(turn)))));
        const vec3 dir = v3_unit(v3_mad(d, across, -a * 90 * sinf(turn) * .3f));
        strip_pair(b->f->s, q, dir, n, width * taper, i == 0, shade * .7f + .3f * t);
        p = v3_mad(p, d, step);
        const float gap = obstacle(b, p);
        if (gap < .03f) {
            n = slope(b, p);
            if (gap < .006f)
                p = v3_mad(p, n, .006f - gap);
        }
        d = steer(b, p, d, n, t);
    }
}

/* The skin of the skull in direction dir (head axes), figure axes. */
static vec3 scalp(const figure_form *f, vec3 dir, vec3 *normal)
{
    const frame *h = &f->b->at[B_HEAD];
    const vec3 mid = v3(0, .02f, -.012f);
    float t = .05f;

    for (int i = 0; i < 7; i++)
        t -= vr_form_skull(f, v3_mad(mid, dir, t));
    const vec3 p = v3_mad(mid, dir, t);
    const float e = .003f, d = vr_form_skull(f, p);
    const vec3 g = v3(vr_form_skull(f, v3(p.x + e, p.y, p.z)) - d,
                      vr_form_skull(f, v3(p.x, p.y + e, p.z)) - d,
                      vr_form_skull(f, v3(p.x, p.y, p.z + e)) - d);
    *normal = v3_unit(frame_dir(h, g));
    return frame_point(h, v3_mul(p, f->b->head));
}

static void head_of_hair(barber *b)
{
    const figure_look *k = &b->f->look;
    const int n = b->c->count * 2; /* about half of the sphere carries hair */
    const frame *h = &b->form->b->at[B_HEAD];

    for (int i = 0; i < n; i++) {
        const float y = 1 - 2 * ((float)i + rnd(&b->r)) / (float)n, rr = sqrtf(1 - y * y);
        const float a = (float)i * 2.39996323f + rnd_in(&b->r, -.08f, .08f);
        vec3 normal;
        if (y < -.75f)
            break;
        const vec3 root = scalp(b->form, v3(rr * sinf(a), y, rr * cosf(a)), &normal);
        const vec3 q = v3_mul(vr_bone_local(h, root), 1 / b->form->b->head);
        const float rise = q.y - vr_hair_edge(k, atan2f(q.x, q.z));
        if (rise < -.002f + .006f * vr_noise(v3_mul(q, 90)))
            continue;
        if (k->hat && q.y > .03f)
            continue;
        float length = b->c->length * rnd_in(&b->r, .75f, 1.15f);
        if (k->hair_style == HAIR_SHORT || k->hair_style == HAIR_SIDE)
            length *=
                vr_mix(.30f, 1, vr_step(-.02f, .06f, q.y)); /* shorter at the sides */
        if (b->c->steps < 6)
            length *= vr_mix(.45f, 1, vr_step(0, .02f, rise)); /* soft at the edge */
        strand(b, v3_mad(root, normal, .001f), normal, length,
               b->c->width * rnd_in(&b->r, .7f, 1.2f));
    }
}

/* ---- brows and beard ---- */

/* The face along dir from a point inside (head axes of unit size), figure axes. */
static bool face_point(const figure_form *f, vec3 from, vec3 dir, vec3 *p, vec3 *n)
{
    const frame *h = &f->b->at[B_HEAD];
    const vec3 o = frame_point(h, v3_mul(from, f->b->head)), d = frame_dir(h, dir);
    float t = .03f, gap = 0;

    for (int i = 0; i < 9; i++) {
        gap = vr_form_head(f, v3_mad(o, d, t));
        t -= .9f * gap;
    }
    *p = v3_mad(o, d, t);
    const float e = .002f;
    *n = v3_unit(v3(vr_form_head(f, v3(p->x + e, p->y, p->z)) - gap,
                    vr_form_head(f, v3(p->x, p->y + e, p->z)) - gap,
                    vr_form_head(f, v3(p->x, p->y, p->z + e)) - gap));
    return fabsf(gap) < .003f;
}

static void tuft(figure *f, vec3 p, vec3 n, vec3 d, float length, float width,
                 float shade)
{
    const vec3 along = v3_unit(v3_mad(d, n, -v3_dot(d, n)));

    strip_pair(f->s, v3_mad(p, n, .0006f), along, n, width, true, shade);
    strip_pair(f->s, v3_mad(v3_mad(p, along, length * .5f), n, .0014f), along, n, width,
               false, shade);
    strip_pair(f->s, v3_mad(v3_mad(p, along, length), n, .0012f), along, n, width * .2f,
               false, shade);
}

static void brows(figure *f, const figure_form *form, rng *r)
{
    const frame *h = &form->b->at[B_HEAD];
    const float thin = f->look.woman ? .7f : 1;

    for (int i = 0; i < 90; i++) {
        const float side = i & 1 ? -1.f : 1.f, u = ((float)(i / 2) + rnd(r)) / 45;
        const float x = vr_mix(.010f, .050f, u);
        const float y = .0165f + .0065f * sinf(u * 2.6f) + .004f * f->pose.brows +
                        rnd_in(r, -.0026f, .0026f) * thin * (1.15f - u);
        vec3 p, n;
        if (face_point(form, v3(side * x, y, .03f), v3(side * .25f * u, 0, 1), &p, &n))
            tuft(f, p, n, frame_dir(h, v3(side * (.5f + u), .45f - u, 0)), .0085f,
                 .0020f * thin, rnd(r) * .4f);
    }
}

static void beard(figure *f, const figure_form *form, rng *r)
{
    const frame *h = &form->b->at[B_HEAD];
    const float k = f->look.beard;
    const int n_tufts = (int)(2000 * vr_clamp(k, .5f, 1));

    for (int i = 0; i < n_tufts; i++) {
        const float a = rnd_in(r, -1.75f, 1.75f), y = rnd_in(r, -.125f, -.045f);
        const float low = -.058f - .010f * cosf(a) + .028f * vr_step(.9f, 1.6f, fabsf(a));
        const bool lip = fabsf(a) < .36f && y > -.065f && y < -.054f;
        const bool mouth = fabsf(a) < .32f && y > -.088f && y < -.062f && !lip;
        vec3 p, n;
        if ((y > low && !lip) || mouth)
            continue;
        if (!face_point(form, v3(0, y, .01f), v3(sinf(a), 0, cosf(a)), &p, &n))
            continue;
        tuft(f, p, n, frame_dir(h, v3(.3f * sinf(a), -1, .35f)), .005f + .010f * k * k,
             .0013f, rnd(r));
    }
}

void vr_figure_hair(figure *f, const figure_form *form)
{
    const int style = f->look.hair_style;
    barber b = { f, form, &cuts[style], { f->look.seed ^ 0x68616972u }, false };

    rng_next(&b.r);
    b.trails = style == HAIR_BOB || style == HAIR_LONG || style == HAIR_WAVY ||
               style == HAIR_TAIL;
    f->s->at = f->root;
    vr_figure_range(f, G_HEAD);
    vr_material(f->s, (material){ .kind = FS_HAIR, .a = f->look.brow, .rough = .5f });
    brows(f, form, &b.r);
    if (f->look.beard > .4f)
        beard(f, form, &b.r);
    if (style == HAIR_NONE)
        return;
    vr_figure_range(f, b.trails ? G_TRAIL : G_HEAD);
    vr_material(f->s, (material){ .kind = FS_HAIR, .a = f->look.hair, .rough = .35f });
    head_of_hair(&b);
}
