/* Characters: who may appear, in the proportions that a camera meets. */
#include "tools/rooms/figure.h"
#include "tools/rooms/palette.h"

static vec3 srgb(const uint8_t c[3])
{
    return vr_srgb_to_linear(c[0], c[1], c[2]);
}

static void skin_and_hair(figure_look *k, rng *r)
{
    static const uint8_t skins[6][3] = { { 246, 218, 196 }, { 228, 184, 150 },
                                         { 198, 146, 108 }, { 158, 106, 72 },
                                         { 112, 72, 48 },   { 66, 44, 34 } };
    static const uint8_t hairs[7][3] = { { 18, 15, 14 },   { 36, 26, 20 },
                                         { 66, 44, 28 },   { 104, 72, 42 },
                                         { 168, 128, 74 }, { 122, 52, 24 },
                                         { 150, 146, 142 } };
    static const uint8_t eyes[4][3] = {
        { 62, 38, 22 }, { 92, 62, 34 }, { 70, 96, 120 }, { 88, 98, 70 }
    };
    const float tone = rnd_in(r, 0, 4.9f);
    const int i = (int)tone;
    const float grey = rnd(r);

    k->skin = v3_mix(srgb(skins[i]), srgb(skins[i + 1]), tone - (float)i);
    int h = tone > 2.2f ? rnd_int(r, 2) : rnd_int(r, 6);
    if (grey < .13f)
        h = 6;
    k->hair = v3_mul(srgb(hairs[h]), rnd_in(r, .8f, 1.25f));
    if (chance(r, .03f))
        k->hair = vr_paint(rnd_int(r, COLOURS), r); /* dyed */
    k->brow = v3_mul(v3_mix(k->hair, srgb(hairs[1]), .5f), .8f);
    k->iris = srgb(eyes[tone > 2 ? rnd_int(r, 2) : rnd_int(r, 4)]);
    k->lips = v3_had(k->skin, v3(.86f, .52f, .50f));
    if (k->woman && chance(r, .45f))
        k->lips = v3_mix(k->lips, v3(.42f, .03f, .05f), rnd_in(r, .2f, .8f));
}

static void hair(figure_look *k, rng *r)
{
    static const int him[12] = { HAIR_SHORT, HAIR_SHORT, HAIR_SHORT, HAIR_SIDE,
                                 HAIR_SIDE,  HAIR_SIDE,  HAIR_BUZZ,  HAIR_BUZZ,
                                 HAIR_CURLY, HAIR_NONE,  HAIR_AFRO,  HAIR_BOB };
    static const int her[12] = { HAIR_LONG, HAIR_LONG, HAIR_LONG, HAIR_WAVY,
                                 HAIR_WAVY, HAIR_BOB,  HAIR_BOB,  HAIR_BUN,
                                 HAIR_TAIL, HAIR_TAIL, HAIR_AFRO, HAIR_SIDE };

    k->hair_style = k->woman ? her[rnd_int(r, 12)] : him[rnd_int(r, 12)];
    k->hair_line = k->woman ? rnd_in(r, -.004f, .004f) : rnd_in(r, -.004f, .016f);
    k->part = rnd_in(r, -1, 1);
    k->beard = k->woman ? 0 : chance(r, .45f) ? rnd_in(r, .1f, 1) : 0;
}

static vec3 cloth_colour(rng *r)
{
    static const int calm[8] = { WHITE, GREY, BLACK, BLUE, BLUE, BROWN, BLACK, GREY };
    const vec3 c =
        vr_paint(chance(r, .6f) ? calm[rnd_int(r, 8)] : rnd_int(r, COLOURS), r);

    return v3_mix(c, v3s(v3_luma(c)), rnd_in(r, 0, .45f)); /* dyes are seldom pure */
}

static void clothes(figure_look *k, rng *r)
{
    static const float looseness[TOPS] = {
        [TOP_TSHIRT] = .010f,    [TOP_SWEATER] = .016f, [TOP_SHIRT] = .010f,
        [TOP_JACKET] = .018f,    [TOP_HOODIE] = .022f,  [TOP_BLOUSE] = .009f,
        [TOP_TURTLENECK] = .012f
    };

    k->top = rnd_int(r, TOPS);
    if (!k->woman && k->top == TOP_BLOUSE)
        k->top = TOP_TSHIRT;
    k->loose = looseness[k->top] * rnd_in(r, .8f, 1.4f);
    k->cloth = cloth_colour(r);
    k->cloth2 = cloth_colour(r);
    k->under = chance(r, .6f) ? vr_paint(WHITE, r) : cloth_colour(r);
    k->trousers = v3_mul(chance(r, .5f) ? v3(.05f, .08f, .16f) : cloth_colour(r), .7f);
    k->short_sleeves = (k->top == TOP_TSHIRT && chance(r, .85f)) ||
                       ((k->top == TOP_SHIRT || k->top == TOP_BLOUSE) && chance(r, .25f));
    const float u = rnd(r);
    k->pattern = u < .5f    ? 0
                 : u < .6f  ? 1
                 : u < .7f  ? 2
                 : u < .75f ? 3
                 : u < .87f ? 4
                            : 5;
    if (k->top == TOP_JACKET && (k->pattern == 3 || k->pattern == 4))
        k->pattern = 5;
    k->tie =
        (k->top == TOP_JACKET || k->top == TOP_SHIRT) && !k->woman && chance(r, .35f);
}

static void extras(figure_look *k, rng *r)
{
    k->glasses = chance(r, .27f) ? 1 + rnd_int(r, 2) : chance(r, .02f) ? 3 : 0;
    k->hat = chance(r, .06f) ? 1 : chance(r, .05f) ? 2 : 0;
    k->headset = !k->hat && k->hair_style != HAIR_AFRO && k->hair_style != HAIR_BUN &&
                 chance(r, .10f);
    k->hold = chance(r, .08f) ? 1 : chance(r, .06f) ? 2 : 0;
    k->gear = chance(r, .5f) ? v3s(.02f) : vr_paint(rnd_int(r, COLOURS), r);
}

figure_look vr_figure_look(uint64_t seed)
{
    rng r = { seed ^ 0x6669677572650000u };
    figure_look k = { .seed = seed };

    rng_next(&r);
    k.woman = chance(&r, .5f);
    k.h = (k.woman ? 1.63f : 1.76f) * (1 + .04f * rnd_gauss(&r));
    k.girth = 1 + .28f * rnd(&r) * rnd(&r) + .05f * rnd(&r);
    float *const face[9] = { &k.wide,  &k.jaw,  &k.nose,       &k.nose_wide, &k.lips_full,
                             &k.cheek, &k.ears, &k.brow_ridge, &k.eye_size };
    for (int i = 0; i < 9; i++)
        *face[i] = vr_clamp(rnd_gauss(&r), -2, 2);
    if (k.woman) {
        k.brow_ridge -= 2;
        k.jaw -= 1;
        k.eye_size += 1;
    }
    skin_and_hair(&k, &r);
    hair(&k, &r);
    clothes(&k, &r);
    extras(&k, &r);
    return k;
}
