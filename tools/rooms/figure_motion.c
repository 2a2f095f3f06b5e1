/* Motion from noise and schedules: smooth noise for sway and gaze, slots of time with a
 * jittered start for gestures, blinks and phrases. */
#include "tools/rooms/figure_motion.h"

#include "tools/rooms/noise.h"

/* Smooth noise over time, features of 1/rate seconds, about -1..1. */
static float drift(uint64_t seed, int channel, float time_s, float rate)
{
    const float c = (float)(vr_hash((uint32_t)seed * 31u + (uint32_t)channel) & 0xffff);

    return vr_noise(v3(time_s * rate + .37f, c * .173f, (float)channel * 7.3f));
}

static uint32_t slot_hash(uint64_t seed, int channel, int slot)
{
    return vr_hash2(slot, channel, (uint32_t)(seed ^ seed >> 32));
}

/* 10 u^3 - 15 u^4 + 6 u^5: how hands get from one place to the next. */
static float min_jerk(float u)
{
    u = vr_clamp(u, 0, 1);
    return u * u * u * (10 + u * (6 * u - 15));
}

typedef struct hand_pose {
    vec3 at, palm, point; /* for the left hand; the right one is its mirror image */
    float curl, splay;
} hand_pose;

/* Metres above the waist of a median man; down and lap follow the body. */
static const hand_pose places[HAND_PLACES] = {
    [HAND_DOWN] = { { 0 }, { 0 }, { 0 }, .35f, 0 },
    [HAND_LAP] = { { .13f, -.02f, .29f },
                   { -.2f, -1, .1f },
                   { -.55f, -.1f, .8f },
                   .3f,
                   .1f },
    [HAND_FRONT] = { { .19f, .13f, .36f },
                     { -.5f, .65f, -.2f },
                     { -.25f, .35f, .9f },
                     .22f,
                     .4f },
    [HAND_ASIDE] = { { .36f, .17f, .27f },
                     { -.25f, .75f, .45f },
                     { .55f, .25f, .7f },
                     .12f,
                     .7f },
    [HAND_WAVE] = { { .33f, .40f, .24f }, { 0, -.1f, 1 }, { .12f, 1, .1f }, .05f, .8f },
    [HAND_CHIN] = { { .085f, .285f, .17f },
                    { -.35f, .1f, -1 },
                    { -.35f, 1, -.25f },
                    .62f,
                    .1f },
    [HAND_EAR] = { { .135f, .42f, .115f },
                   { -1, .1f, -.1f },
                   { -.05f, 1, -.35f },
                   .35f,
                   .1f },
    [HAND_HOLD] = { { .12f, .16f, .30f },
                    { -1, 0, .15f },
                    { -.3f, .35f, .9f },
                    .52f,
                    .3f },
    [HAND_FACE] = { { .07f, .41f, .22f }, { -.1f, 0, 1 }, { -.25f, 1, .05f }, .15f, .5f },
    [HAND_CROSS] = { { -.12f, .11f, .19f },
                     { .1f, 0, -1 },
                     { -1, .25f, -.1f },
                     .25f,
                     .1f },
};

/* Place of hand i (0 left) as a pose of its own. */
static hand_pose place_hand(const figure_look *k, const figure_pose *rest, int i,
                            int where)
{
    const float side = i ? -1.f : 1.f;
    const float stature = k->woman ? 1.62f : 1.76f, waist = k->woman ? 1.01f : 1.10f,
                s = k->h / stature, size = s * (k->woman ? .92f : 1);
    hand_pose h = places[where];

    if (where == HAND_DOWN) {
        h.at = rest->hand[i];
        h.palm = rest->palm[i];
        h.point = rest->point[i];
        return h;
    }
    h.at = v3(side * h.at.x * size, waist * s + h.at.y * size, h.at.z * size);
    h.palm.x *= side;
    h.point.x *= side;
    return h;
}

static hand_pose blend(hand_pose a, hand_pose b, float u)
{
    return (hand_pose){ v3_mix(a.at, b.at, u), v3_mix(a.palm, b.palm, u),
                        v3_mix(a.point, b.point, u), vr_mix(a.curl, b.curl, u),
                        vr_mix(a.splay, b.splay, u) };
}

static void give_hand(figure_pose *p, int i, hand_pose h)
{
    const float side = i ? -1.f : 1.f, up = vr_clamp((h.at.z - .05f) * 5, 0, 1);

    p->hand[i] = h.at;
    p->palm[i] = h.palm;
    p->point[i] = h.point;
    p->curl[i] = h.curl;
    p->splay[i] = h.splay;
    p->elbow[i] = v3(side * (.35f + .35f * up), -.9f * up, -1 + .45f * up);
}

/* ---- talking ---- */

/* 1 while a phrase is spoken. */
static float speaking(uint64_t act, float t)
{
    const float slot = 2.6f;
    const int i = vr_floor(t / slot);
    const float from = .15f + .25f * vr_unit(slot_hash(act, 40, i)),
                to = slot - .35f * vr_unit(slot_hash(act, 41, i)),
                x = t - slot * (float)i;

    return vr_step(from - .08f, from + .08f, x) * vr_step(to + .08f, to - .08f, x);
}

static float blink(uint64_t act, float t)
{
    const float slot = 3.2f;
    const int i = vr_floor(t / slot);
    const float at = .2f + 2.7f * vr_unit(slot_hash(act, 50, i)),
                x = (t - slot * (float)i - at) / .075f;

    return vr_clamp(1.25f - fabsf(x - 1) * 1.1f, 0, 1);
}

static void face(figure_pose *p, uint64_t act, float t)
{
    const float voice = speaking(act, t);
    const float beat = 4.6f * t + .7f * drift(act, 1, t, 1.3f);
    const int saccade = vr_floor(t / .7f + .5f * drift(act, 2, t, .4f));

    p->jaw =
        voice *
        vr_clamp(.42f + .38f * sinf(2 * VR_PI * beat) + .35f * drift(act, 3, t, 3), 0, 1);
    p->smile = .35f * drift(act, 4, t, .35f) + .25f;
    p->brows = .7f * drift(act, 5, t, .9f) + .3f * voice;
    p->blink = blink(act, t);
    p->gaze_x = .13f * (vr_unit(slot_hash(act, 60, saccade)) - .5f);
    p->gaze_y = .10f * (vr_unit(slot_hash(act, 61, saccade)) - .5f);
}

/* The gesture of slot i for hand (0 left): down or lap between, several while talking. */
static int gesture(const figure_look *k, uint64_t act, int hand, int slot)
{
    static const int kinds[10] = { HAND_LAP,   HAND_FRONT, HAND_FRONT, HAND_ASIDE,
                                   HAND_FRONT, HAND_LAP,   HAND_ASIDE, HAND_FRONT,
                                   HAND_WAVE,  HAND_CHIN };
    const uint32_t h = slot_hash(act, 70 + hand, slot);
    const uint32_t both = slot_hash(act, 73, slot);

    if (hand == 1 && k->hold == 1)
        return HAND_HOLD;
    if (hand == 1 && k->hold == 2)
        return HAND_EAR;
    const int g = kinds[(both % 3 ? both : h) / 7 % 10];
    return both % 3 == 0 && hand == (int)(both >> 8 & 1)                        ? HAND_LAP
           : (g == HAND_CHIN || g == HAND_WAVE) && hand != (int)(both >> 9 & 1) ? HAND_LAP
                                                                                : g;
}

static void gesticulate(figure_pose *p, const figure_look *k, const figure_pose *rest,
                        uint64_t act, float t)
{
    const float slot = 1.9f;

    for (int i = 0; i < 2; i++) {
        const int now = vr_floor(t / slot);
        const float start = .5f * vr_unit(slot_hash(act, 80 + i, now)),
                    last = .45f + .4f * vr_unit(slot_hash(act, 82 + i, now));
        const int before = gesture(k, act, i, now - 1), here = gesture(k, act, i, now);
        const float u = min_jerk((t - slot * (float)now - start) / last);
        hand_pose h =
            blend(place_hand(k, rest, i, before), place_hand(k, rest, i, here), u);
        const float live = speaking(act, t) * .022f;
        h.at = v3_add(h.at, v3(live * drift(act, 10 + i, t, 1.9f),
                               live * drift(act, 12 + i, t, 2.3f),
                               live * drift(act, 14 + i, t, 1.6f)));
        if (here == HAND_WAVE) {
            const float w = sinf(2 * VR_PI * 2.1f * t) * u;
            h.point.x += .38f * w;
            h.at.x += .035f * w;
        }
        h.curl = vr_clamp(h.curl + .15f * drift(act, 16 + i, t, 1.5f), 0, 1);
        give_hand(p, i, h);
    }
}

figure_pose vr_act_pose(const figure_look *k, uint64_t act, float t)
{
    const figure_pose rest = vr_figure_rest(k);
    const float voice = speaking(act, t);
    figure_pose p = rest;

    gesticulate(&p, k, &rest, act, t);
    face(&p, act, t);
    p.breath = sinf(2 * VR_PI * .25f * t);
    p.shift = v3(.022f * drift(act, 20, t, .35f), .003f * drift(act, 21, t, .5f),
                 .015f * drift(act, 22, t, .3f));
    p.lean = 3 + 2.5f * drift(act, 23, t, .4f);
    p.bend = 2.5f * drift(act, 24, t, .35f);
    p.twist = 5 * drift(act, 25, t, .3f);
    p.turn = 9 * drift(act, 26, t, .45f) + 3 * voice * drift(act, 27, t, 1.4f);
    p.nod = 4 * drift(act, 28, t, .6f) + 4 * voice * drift(act, 29, t, 1.9f);
    p.tilt = 5 * drift(act, 30, t, .5f);
    return p;
}

figure_pose vr_photo_pose(const figure_look *k, uint64_t seed)
{
    static const int common[8] = { HAND_DOWN,  HAND_DOWN,  HAND_LAP, HAND_LAP,
                                   HAND_FRONT, HAND_ASIDE, HAND_LAP, HAND_DOWN };
    const figure_pose rest = vr_figure_rest(k);
    rng r = { seed ^ 0x706f7365u };
    rng_next(&r);
    figure_pose p = vr_act_pose(k, seed, rnd_in(&r, 0, 500));

    const float wide = chance(&r, .15f) ? 3.2f : 1;
    p.turn += wide * 12 * rnd_gauss(&r);
    p.nod += 6 * rnd_gauss(&r);
    p.tilt += 5 * rnd_gauss(&r);
    p.lean += 5 * rnd_gauss(&r);
    p.twist += 6 * rnd_gauss(&r);
    p.blink = chance(&r, .05f) ? 1 : .25f * rnd(&r) * rnd(&r);
    p.jaw = chance(&r, .4f) ? p.jaw : 0;
    p.smile = rnd_in(&r, -.2f, 1);
    const bool cross = chance(&r, .05f);
    for (int i = 0; i < 2; i++) {
        int where =
            chance(&r, .72f) ? common[rnd_int(&r, 8)] : rnd_int(&r, HAND_PLACES - 1);
        if (cross)
            where = HAND_CROSS;
        if (i == 1 && k->hold)
            where = k->hold == 1 ? HAND_HOLD : HAND_EAR;
        hand_pose h = place_hand(k, &rest, i, where);
        h.at =
            v3_add(h.at, v3_mul(v3(rnd_gauss(&r), rnd_gauss(&r), rnd_gauss(&r)),
                                where == HAND_CHIN || where == HAND_EAR ? .008f : .035f));
        h.curl = vr_clamp(h.curl + .2f * rnd_gauss(&r), 0, 1);
        give_hand(&p, i, h);
    }
    return p;
}

/* ---- the camera in a hand ---- */

hand_held vr_hand_held(uint64_t seed, float seconds)
{
    rng r = { seed ^ 0x68616e64u };
    rng_next(&r);
    hand_held c = { .seed = seed, .calm = rnd_in(&r, .8f, 1.3f) };

    c.pan = (chance(&r, .5f) ? 1.f : -1.f) * rnd_in(&r, 14, 34);
    c.pan_time = fabsf(c.pan) / rnd_in(&r, 7, 16);
    c.pan_at = vr_max(.12f * seconds, .5f);
    return c;
}

/* Amplitudes in degrees by frequency as measured for hands: drift, breath, sway, tremor.
 */
static double shake(const hand_held *c, int axis, float t)
{
    const int k = 100 + 10 * axis;
    const double slow = 1.1 * (double)drift(c->seed, k, t, .30f) +
                        .30 * (double)drift(c->seed, k + 1, t, .8f);
    const double breath = .12 * sin(6.2831853 * .25 * (double)t + axis);
    const double sway = .20 * (double)drift(c->seed, k + 2, t, 1.6f);
    const double tremor = .05 * (double)drift(c->seed, k + 3, t, 4.5f) +
                          .014 * (double)drift(c->seed, k + 4, t, 9.5f);

    return (double)c->calm * (slow + breath + sway + tremor);
}

void vr_hand_held_at(const hand_held *c, float t, double angles[3])
{
    const float back = c->pan_at + c->pan_time + .9f;

    angles[0] =
        shake(c, 0, t) + (double)(c->pan * (min_jerk((t - c->pan_at) / c->pan_time) -
                                            .8f * min_jerk((t - back) / c->pan_time)));
    angles[1] = shake(c, 1, t);
    angles[2] = .6 * shake(c, 2, t);
}
