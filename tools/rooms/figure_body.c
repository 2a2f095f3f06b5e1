/* The skeleton: sizes, posed bones, arms by two-bone inverse kinematics, and how points
 * move with the bones. */
#include "tools/rooms/figure.h"

typedef struct sizes {
    float stature, waist, hip, shoulder_y, shoulder_x, upper, fore, neck, head;
} sizes;

/* Medians of standing adults, metres (waist, hip: heights; shoulder: joint). */
static const sizes men = { 1.76f, 1.10f, .95f, .288f, .178f, .300f, .265f, .350f, 1 };
static const sizes women = {
    1.62f, 1.01f, .87f, .290f, .160f, .277f, .240f, .325f, .945f
};

static const sizes *sizes_of(const figure_look *k)
{
    return k->woman ? &women : &men;
}

static frame turned(frame f, float yaw, float pitch, float roll)
{
    return frame_roll(frame_pitch(frame_move(f, v3s(0), yaw), pitch), roll);
}

vec3 vr_bone_local(const frame *f, vec3 p)
{
    const vec3 d = v3_sub(p, f->o);

    return v3(v3_dot(d, f->x), v3_dot(d, f->y), v3_dot(d, f->z));
}

/* A frame at o whose y runs along d and whose z leans to hint. */
static frame along(vec3 o, vec3 d, vec3 hint)
{
    const vec3 y = v3_unit(d);
    vec3 z = v3_mad(hint, y, -v3_dot(hint, y));

    if (v3_dot(z, z) < 1e-6f)
        z = v3_cross(y, fabsf(y.x) < .8f ? v3(1, 0, 0) : v3(0, 0, 1));
    z = v3_unit(z);
    return (frame){ v3_cross(y, z), y, z, o };
}

/* Shoulder, elbow, wrist: the elbow bends towards pole. */
static void arm(frame *upper, frame *fore, const float len[2], vec3 shoulder, vec3 wrist,
                vec3 pole)
{
    const float a = len[0], b = len[1];
    vec3 d = v3_sub(wrist, shoulder);
    const float dist = vr_clamp(v3_len(d), fabsf(a - b) + .03f, .998f * (a + b));

    d = v3_unit(d);
    const float c = vr_clamp((a * a + dist * dist - b * b) / (2 * a * dist), -1, 1);
    const vec3 out = v3_unit(v3_mad(pole, d, -v3_dot(pole, d)));
    const vec3 elbow = v3_mad(v3_mad(shoulder, d, a * c), out, a * sqrtf(1 - c * c));
    const vec3 end = v3_mad(shoulder, d, dist);
    *upper = along(shoulder, v3_sub(elbow, shoulder), v3(0, 0, 1));
    *fore = along(elbow, v3_sub(end, elbow), v3(0, 0, 1));
}

/* Fingers point as asked, at most 70 degrees off the forearm. */
static frame hand_frame(const frame *fore, float length, vec3 palm, vec3 point)
{
    vec3 d = v3_unit(point);

    if (v3_dot(point, point) < 1e-6f)
        d = fore->y;
    const float c = v3_dot(d, fore->y);
    if (c < .35f)
        d = v3_unit(v3_mad(d, fore->y, .35f - c + .2f));
    return along(v3_mad(fore->o, fore->y, length), d, palm);
}

static void legs(figure_bones *b, const sizes *z, const figure_pose *p)
{
    const float s = b->s;

    for (int i = 0; i < 2; i++) {
        const float side = i ? -1.f : 1.f;
        const vec3 hip = frame_point(&b->at[B_PELVIS], v3(side * .09f * s, -.04f * s, 0));
        const float thigh = (z->hip - .52f) * s, shank = .46f * s;
        const vec3 knee = p->seated ? v3_add(hip, v3(side * .05f, -.06f, thigh))
                                    : v3_add(hip, v3(side * .02f, -thigh, .015f));
        const vec3 foot = v3_add(knee, v3(0, -shank, p->seated ? .02f : -.015f));
        b->at[B_THIGH_L + 2 * i] = along(hip, v3_sub(knee, hip), v3(0, .2f, 1));
        b->at[B_SHANK_L + 2 * i] = along(knee, v3_sub(foot, knee), v3(0, 0, 1));
    }
}

static void posed(figure_bones *b, const sizes *z, const figure_pose *p)
{
    const float s = b->s;
    frame *at = b->at;

    at[B_PELVIS] = frame_unit();
    at[B_PELVIS].o = v3_add(v3(0, z->hip * s, 0), p->shift);
    frame waist = at[B_PELVIS];
    waist.o = frame_point(&waist, v3(0, (z->waist - z->hip) * s, 0));
    at[B_CHEST] = turned(waist, p->twist, p->lean, -p->bend);
    at[B_CHEST].o.y += .002f * p->breath;
    frame neck = at[B_CHEST];
    neck.o = frame_point(&neck, v3(0, z->neck * s, -.018f * s));
    at[B_NECK] = turned(neck, .4f * p->turn, .4f * p->nod + 8, -.4f * p->tilt);
    frame head = at[B_NECK];
    head.o = frame_point(&head, v3(0, .078f * s, 0));
    head = turned(head, .6f * p->turn, .6f * p->nod - 8, -.6f * p->tilt);
    head.o = frame_point(&head, v3(0, .098f * b->head, .028f * b->head));
    at[B_HEAD] = head;
    for (int i = 0; i < 2; i++) {
        const float side = i ? -1.f : 1.f;
        vec3 sh = v3(side * z->shoulder_x * s, z->shoulder_y * s + .0015f * p->breath,
                     -.012f * s);
        const vec3 want = vr_bone_local(&at[B_CHEST], p->hand[i]);
        const float up = vr_clamp((want.y - sh.y + .05f) / (.5f * s), 0, 1);
        sh = v3_add(sh, v3(-side * .03f * up, .045f * up, 0)); /* the shoulder lifts */
        const float len[2] = { b->upper, b->fore };
        arm(&at[B_UPPER_L + 3 * i], &at[B_FORE_L + 3 * i], len,
            frame_point(&at[B_CHEST], sh), p->hand[i], p->elbow[i]);
        at[B_HAND_L + 3 * i] =
            hand_frame(&at[B_FORE_L + 3 * i], b->fore, p->palm[i], p->point[i]);
    }
    legs(b, z, p);
}

figure_pose vr_figure_rest(const figure_look *k)
{
    const sizes *z = sizes_of(k);
    const float s = k->h / z->stature;
    figure_pose p = { .breath = 0 };

    for (int i = 0; i < 2; i++) {
        const float side = i ? -1.f : 1.f;
        p.hand[i] =
            v3(side * (z->shoulder_x + .06f + .05f * (k->girth - 1)) * s,
               (z->waist + z->shoulder_y - z->upper - z->fore + .02f) * s, .05f * s);
        p.palm[i] = v3(-side, 0, .25f);
        p.point[i] = v3(0, -1, .15f);
        p.elbow[i] = v3(side * .45f, 0, -1);
        p.curl[i] = .35f;
    }
    return p;
}

void vr_figure_bones(figure_bones *b, const figure_look *k, const figure_pose *p)
{
    const sizes *z = sizes_of(k);
    const figure_pose rest = vr_figure_rest(k);

    b->s = k->h / z->stature;
    b->head = z->head * (.6f + .4f * b->s); /* heads vary less than statures */
    b->upper = z->upper * b->s;
    b->fore = z->fore * b->s;
    posed(b, z, &rest);
    for (int i = 0; i < BONES; i++)
        b->rest[i] = b->at[i];
    posed(b, z, p);
}

/* ---- skinning ---- */

static const int bones_of[GROUPS][10] = {
    [G_HEAD] = { B_HEAD, B_NECK, B_CHEST, -1 },
    [G_TRAIL] = { B_HEAD, B_CHEST, -1 },
    [G_BODY] = { B_PELVIS, B_CHEST, B_UPPER_L, B_FORE_L, B_UPPER_R, B_FORE_R, B_THIGH_L,
                 B_THIGH_R, -1 },
    [G_HAND_L] = { B_HAND_L, -1 },
    [G_HAND_R] = { B_HAND_R, -1 },
};

/* Distance from p to the flesh around a bone. */
static float bone_distance(const figure_bones *b, int i, vec3 p)
{
    const float s = b->s;
    const vec3 q = vr_bone_local(&b->at[i], p);
    float lo = 0, hi = 0, r = .05f * s;

    switch (i) {
    case B_PELVIS:
        return vr_max(v3_len(v3(q.x * .6f, q.y, q.z)) - .07f * s, 0);
    case B_CHEST:
        lo = .06f * s;
        hi = .28f * s;
        r = .13f * s;
        break;
    case B_NECK:
        hi = .05f * s;
        break;
    case B_HEAD:
        return vr_max(v3_len(q) - .10f * b->head, 0);
    case B_UPPER_L:
    case B_UPPER_R:
        lo = .05f * s;
        hi = b->upper;
        break;
    case B_FORE_L:
    case B_FORE_R:
        lo = .03f * s;
        hi = b->fore;
        break;
    default:
        hi = .42f * s;
        r = .07f * s;
    }
    const float y = q.y - vr_clamp(q.y, lo, hi);
    return vr_max(sqrtf(q.x * q.x * (i == B_CHEST ? .5f : 1.f) + y * y + q.z * q.z) - r,
                  0);
}

vec3 vr_figure_carry(const figure_bones *now, const frame then[BONES], int group, vec3 p)
{
    vec3 sum = v3s(0);
    float total = 0;

    for (const int *i = bones_of[group]; *i >= 0; i++) {
        const float d = bone_distance(now, *i, p) + .012f, d2 = d * d;
        const float w = 1 / (d2 * d2);
        sum = v3_mad(sum, frame_point(&then[*i], vr_bone_local(&now->at[*i], p)), w);
        total += w;
    }
    return v3_mul(sum, 1 / total);
}
