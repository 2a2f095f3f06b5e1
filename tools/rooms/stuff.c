/* Materials by name, and which colours a room prefers. */
#include "tools/rooms/room.h"

int vr_m_paint(scene *s, vec3 c, float rough)
{
    return vr_material(s, (material){ .kind = MAT_PLAIN,
                                      .a = c,
                                      .rough = rough,
                                      .bump = rough > .6f ? .03f : 0 });
}

int vr_m_wood(scene *s, vec3 c, float rough)
{
    return vr_material(s, (material){ .kind = MAT_WOOD, .a = c, .rough = rough });
}

int vr_m_fabric(scene *s, vec3 c, rng *r)
{
    return vr_material(s, (material){ .kind = MAT_FABRIC,
                                      .a = c,
                                      .b = v3_mix(c, v3s(.7f), .5f),
                                      .rough = .9f,
                                      .scale = rnd_in(r, .03f, .1f),
                                      .sheen = .15f });
}

int vr_m_leather(scene *s, vec3 c)
{
    return vr_material(s, (material){ .kind = MAT_LEATHER, .a = c, .rough = .38f });
}

int vr_m_metal(scene *s, int which, float rough)
{
    static const float c[5][3] = { { .56f, .57f, .58f },
                                   { .80f, .62f, .30f },
                                   { .85f, .52f, .36f },
                                   { .03f, .03f, .032f },
                                   { .9f, .68f, .3f } };

    if (which == 3)
        return vr_m_paint(s, v3(c[3][0], c[3][1], c[3][2]), .4f);
    return vr_material(s, (material){ .kind = MAT_PLAIN,
                                      .a = v3(c[which][0], c[which][1], c[which][2]),
                                      .rough = rough,
                                      .metal = true });
}

int vr_m_emit(scene *s, vec3 e, bool lit_by_light)
{
    return vr_material(s, (material){ .kind = MAT_EMIT,
                                      .a = v3s(.3f),
                                      .emit = e,
                                      .style = lit_by_light ? 0 : 1,
                                      .rough = .8f });
}

int vr_m_glass(scene *s)
{
    return vr_material(s, (material){ .kind = MAT_GLASS, .a = v3s(.9f), .rough = .01f });
}

int vr_m_picture(scene *s, rng *r, int style)
{
    const int c1 = rnd_int(r, COLOURS), c2 = rnd_int(r, COLOURS),
              c3 = rnd_int(r, COLOURS);

    return vr_material(s, (material){ .kind = MAT_PICTURE,
                                      .style = style < 0 ? rnd_int(r, 8) : style,
                                      .a = vr_paint(c1, r),
                                      .b = vr_paint(c2, r),
                                      .c = vr_paint(c3, r),
                                      .rough = .6f,
                                      .mean = v3s(.3f) });
}

int vr_pick_colour(scene *s, rng *r, bool shy)
{
    static const int calm[5] = { WHITE, GREY, BLACK, BROWN, WHITE };

    if (!shy)
        return rnd_int(r, COLOURS);
    const float t = rnd(r);
    return t < .5f    ? calm[rnd_int(r, 5)]
           : t < .7f  ? s->hue
           : t < .85f ? s->accent
                      : rnd_int(r, COLOURS);
}
