/* Shading of figures.  Colour first (what is painted on), then light. */
#include "tools/rooms/figure_shade.h"

#include "tools/rooms/noise.h"

typedef struct coat {
    vec3 albedo;
    float rough, f0, wet; /* wet: strength of the mirror */
} coat;

static float soft_in(float d, float half, float w)
{
    return vr_step(half + w, half - w, fabsf(d));
}

/* Cheeks, lips, lids, brows, stubble; p in head axes of unit size, m.bump: the beard,
 * m.scale: 1 + how far the mouth is open. */
static void face_paint(const material *m, vec3 p, float w, coat *c)
{
    const float x = fabsf(p.x), soft = .0012f + .5f * w, open = m->scale - 1;
    const bool front = p.z > .03f;
    float red = .5f * vr_step(.030f, .010f,
                              v3_len(v3_sub(v3(x, p.y, p.z), v3(.042f, -.030f, .062f))));

    red += .55f * vr_step(.018f, .004f, v3_len(v3_sub(p, v3(0, -.040f, .105f))));
    red += .5f * vr_step(.070f, .078f, x) * vr_step(.05f, .02f, fabsf(p.y + .012f));
    c->albedo = v3_had(c->albedo, v3(1 + .10f * red, 1 - .16f * red, 1 - .14f * red));
    if (m->bump > 0) { /* shaven or bearded */
        const float low = vr_step(-.052f, -.070f, p.y + .30f * vr_max(x - .045f, 0)) *
                          vr_step(-.150f, -.115f, p.y);
        const float lip = vr_step(.030f, .022f, x) * soft_in(p.y + .0575f, .0055f, .004f);
        const float k = vr_max(low, lip) * vr_step(.02f, .05f, p.z + .35f * x);
        c->albedo = v3_mix(c->albedo, v3_mul(m->c, 1.1f),
                           k * vr_clamp(.22f + .75f * m->bump, 0, .9f) *
                               (.8f + .3f * vr_noise(v3_mul(p, 900))));
    }
    if (!front)
        return;
    const float line = p.y + .0715f + .006f * open;
    const float up = .0078f * (1 - x * x / 7.8e-4f) - .0012f * vr_step(.006f, 0, x);
    const float down = (.0100f + .011f * open) * (1 - x * x / 8.4e-4f);
    const float lips =
        vr_step(.0275f + soft, .0255f - soft, x) * vr_step(up + soft, up - soft, line) *
        vr_step(-down - soft, -down + soft, line) * vr_step(.066f, .072f, p.z);
    c->albedo = v3_mix(c->albedo, m->b, .85f * lips);
    c->rough = vr_mix(c->rough, .28f, lips);
    const float seam = soft_in(line, .0007f, .0010f + .4f * w) * vr_step(.026f, .022f, x);
    c->albedo = v3_mul(c->albedo, 1 - .6f * seam * vr_step(.06f, .0f, open) * lips);
    if (lips > 0 && open > .04f && p.z < .078f) /* inside */
        c->albedo = v3_mul(v3(.10f, .02f, .02f), vr_step(.04f, .08f, p.z));
    /* lashes: the rim of the lids is dark */
    const float ex = (x - .0315f) / .0142f, ey = p.y / .0072f;
    const float ring = sqrtf(ex * ex + ey * ey);
    const float lash = vr_step(1.28f, 1.05f, ring) * vr_step(.60f, .85f, ring) *
                       (p.y > -.001f ? .75f : .30f) * vr_step(.062f, .07f, p.z);
    c->albedo = v3_mix(c->albedo, v3(.02f, .012f, .010f), .75f * lash);
    const float shade =
        vr_step(.024f, .012f, v3_len(v3_sub(v3(x, p.y, p.z), v3(.0315f, -.004f, .078f))));
    c->albedo =
        v3_had(c->albedo, v3(1 - .10f * shade, 1 - .16f * shade, 1 - .12f * shade));
    const float by = .0165f + .0065f * sinf((x - .010f) / .040f * 2.6f);
    const float brow = soft_in(p.y - by, .0030f, .0016f + .5f * w) *
                       vr_step(.008f, .014f, x) * vr_step(.054f, .046f, x);
    c->albedo = v3_mix(c->albedo, m->c, .62f * brow);
}

static coat skin(const material *m, const figure_spot *q)
{
    const vec3 p = q->tex;
    const float f = vr_fbm(v3_mul(p, 60), 2, .6f, q->w * 60), g = vr_noise(v3_mul(p, 17));
    coat c = { v3_had(m->a, v3(1 + .03f * g + .03f * f, 1 - .03f * g + .04f * f,
                               1 - .02f * g + .04f * f)),
               m->rough, m->f0, 1 };

    if (m->style == 1) {
        const float zone = vr_step(.045f, .015f, fabsf(p.x)) * vr_step(.06f, .09f, p.z);
        c.rough = vr_mix(.50f, .36f, zone); /* forehead, nose, chin shine */
        face_paint(m, p, q->w, &c);
    }
    return c;
}

/* Prints of all kinds: t across, u up, metres. */
static vec3 patterned(const material *m, float t, float u, float w)
{
    const float s = .018f + .05f * vr_unit(vr_hash(m->seed + 3));

    switch (m->style) {
    case 1:
        return v3_mix(m->a, m->b, vr_line(vr_fract(u / s) - .5f, .24f, w / s));
    case 2: {
        const float a = vr_line(vr_fract(t / s) - .5f, .25f, w / s),
                    b = vr_line(vr_fract(u / s) - .5f, .25f, w / s);
        return v3_mix(m->a, m->b, .5f * (a + b));
    }
    case 3: {
        const float x = vr_fract(t / s) - .5f, y = vr_fract(u / s) - .5f;
        return v3_mix(m->a, m->b, vr_line(sqrtf(x * x + y * y), .2f, w / s));
    }
    default:
        return m->a;
    }
}

/* A print on the chest: a disc, a bar or letters' blocks. */
static float print_on(const material *m, float x, float y, float w)
{
    const uint32_t h = vr_hash(m->seed + 9);

    if (h % 3 == 0)
        return vr_line(sqrtf(x * x + y * y), .055f, w);
    if (h % 3 == 1)
        return vr_line(y, .012f, w) * vr_line(x, .11f, w) *
               vr_line(vr_fract(x * 30) - .5f, .36f, w * 30);
    return vr_line(fabsf(x) + fabsf(y) * .7f, .07f, w) *
           vr_step(-.2f, .1f, vr_noise(v3(x * 40, y * 40, 1)));
}

/* Front of shirts, jackets and ties; x to the left, y above the waist, at rest. */
static void front(const material *m, vec3 p, float w, vec3 *a)
{
    const int top = (int)m->scale;
    const float x = fabsf(p.x), y = p.y;
    const bool tie = m->bump > 0;

    if (top == TOP_JACKET) {
        const float v = .010f + .070f * vr_step(.02f, .36f, y - 1.10f);
        const float in = vr_step(v + w, v - w, x) * vr_step(1.10f, 1.13f, y);
        *a = v3_mix(*a, m->c, in);
        const float lapel =
            vr_line(x - v, .0035f, w) +
            .5f * vr_line(x - v - .055f * vr_step(1.15f, 1.3f, y), .0016f, w);
        *a = v3_mul(*a, 1 - .55f * vr_clamp(lapel, 0, 1) * vr_step(1.1f, 1.14f, y) *
                                vr_step(1.5f, 1.44f, y));
        if (!tie)
            *a = v3_mul(*a, 1 - .25f * in * vr_line(p.x, .0015f, w));
    } else if (top == TOP_SHIRT) {
        *a = v3_mul(*a, 1 - .25f * vr_line(x - .016f, .0013f, w));
        const float b = (vr_fract(y * 11) - .5f) / 11, r = sqrtf(p.x * p.x + b * b);
        *a = v3_mix(*a, v3s(.55f), vr_line(r, .0048f, w));
    } else if (top == TOP_HOODIE) {
        for (int i = -1; i <= 1; i += 2)
            *a = v3_mix(*a, v3s(.7f),
                        vr_line(p.x - .035f * (float)i - .01f * (1.4f - y), .003f, w) *
                            vr_step(1.2f, 1.21f, y) * vr_step(1.46f, 1.45f, y));
    }
    if (tie) {
        const float half = .011f + .075f * vr_max(1.40f - y, 0);
        *a = v3_mix(*a, m->b,
                    vr_line(p.x, vr_min(half, .042f), w) * vr_step(1.02f, 1.05f, y));
    }
}

static coat cloth(const material *m, const figure_spot *q)
{
    const vec3 p = q->tex;
    const float w = q->w;
    const float t = p.x + .6f * p.z;
    vec3 a = patterned(m, t, p.y, w);

    if (m->style == 4 && p.z > .02f)
        a = v3_mix(a, m->b, print_on(m, p.x, p.y - 1.27f, w));
    if (m->style == 5)
        a = v3_mul(
            a, 1 + .22f * vr_fbm(v3(p.x * 160, p.y * 90, p.z * 160), 2, .6f, w * 120));
    if (m->scale >= 0 && p.z > .0f && fabsf(p.x) < .17f)
        front(m, p, w, &a);
    const float big = vr_fbm(v3_mul(p, 8), 2, .5f, w * 8),
                fine = vr_fbm(v3_mul(p, 110), 2, .6f, w * 110);
    a = v3_mul(a, 1 + .05f * big + .055f * fine);
    return (coat){ a, .85f, .03f, .5f };
}

static coat eye(const material *m, const figure_spot *q, vec3 *n)
{
    const vec3 d = v3_mul(q->tex, m->scale);
    const float c = v3_dot(d, m->c),
                r = sqrtf(vr_max(0, 2 - 2 * c)); /* about the angle */
    const float w = q->w * m->scale;
    const float iris = vr_step(.50f + w, .46f - w, r),
                pupil = vr_step(.20f + w, .17f - w, r);
    const float rim = vr_step(.36f, .48f, r) * iris;
    const float rays = vr_noise(v3_mul(d, 26));
    vec3 a = v3_had(
        m->a, v3(1, 1 - .10f * vr_step(.6f, 1.2f, r), 1 - .12f * vr_step(.6f, 1.2f, r)));

    a = v3_mix(a, v3_mul(m->b, (1.3f + .4f * rays) * (1 - .7f * rim)), iris);
    a = v3_mix(a, v3s(.004f), pupil);
    (void)n;
    return (coat){ v3_mul(a, .82f), .05f, .04f, 1 };
}

static float highlight(vec3 n, vec3 l, vec3 wo, float rough)
{
    const vec3 h = v3_unit(v3_add(l, wo));
    const float nh = vr_max(v3_dot(n, h), 0), a2 = rough * rough,
                d = nh * nh * (a2 - 1) + 1;

    return a2 / (d * d) / (4 * vr_max(v3_dot(l, h), .1f));
}

/* Strands: light around the cylinder, two highlights along it.
 * Source: Kajiya and Kay 1989; Marschner 2003 for the shifted, coloured second one. */
static vec3 strand_light(const material *m, const figure_spot *q, const figure_light *l)
{
    const float len = v3_len(q->tex), shade = len - 1;
    const vec3 t = v3_mul(q->tex, 1 / vr_max(len, 1e-6f));
    const vec3 a = v3_mul(m->a, .62f + .85f * shade);
    const vec3 around = v3_mul(vr_light_at(l, q->n), q->open);
    const float tl = v3_dot(t, l->key_dir), sl = sqrtf(vr_max(0, 1 - tl * tl));
    const float tv = v3_dot(t, q->wo), sv = sqrtf(vr_max(0, 1 - tv * tv));
    const float facing = vr_clamp(.35f + .65f * v3_dot(q->n, l->key_dir), 0, 1);
    const float gloss = powf(vr_max(sl * sv - tl * tv, 0), 60),
                second = powf(vr_max(sl * sv - (tl + .14f) * (tv + .14f), 0), 18);
    vec3 c = v3_had(a, v3_add(around, v3_mul(l->key, q->key * sl * facing)));

    c = v3_mad(c, l->key, q->key * facing * .10f * gloss);
    c = v3_add(c, v3_mul(v3_had(l->key, a), q->key * facing * .9f * second));
    const vec3 up = v3_unit(v3_add(v3_mul(q->n, 1.0f), v3_mul(q->wo, -.3f)));
    return v3_mad(c, vr_light_at(l, up), .012f * q->open);
}

vec3 vr_figure_shade(const material *m, const figure_spot *q, const figure_light *l)
{
    vec3 n = q->n;
    coat c;

    if (m->kind == FS_HAIR)
        return strand_light(m, q, l);
    if (m->kind == FS_SKIN)
        c = skin(m, q);
    else if (m->kind == FS_CLOTH)
        c = cloth(m, q);
    else if (m->kind == FS_EYE)
        c = eye(m, q, &n);
    else
        c = (coat){ m->a, m->rough, m->f0, m->kind == FS_CAP ? .2f : 1 };
    if (m->kind == FS_CAP)
        c.albedo = v3_mul(
            m->a, .8f + .35f * vr_fbm(v3(q->tex.x * 90, q->tex.y * 40, q->tex.z * 90), 2,
                                      .6f, 0));
    if (m->kind == FS_CLOTH || m->kind == FS_SKIN) {
        const float k =
            (m->kind == FS_CLOTH ? .10f : .035f) * vr_clamp(1.3f - q->w * 300, 0, 1);
        const vec3 b = v3_mul(q->tex, m->kind == FS_CLOTH ? 120 : 260);
        n = v3_unit(v3_add(n, v3_mul(v3(vr_noise(b), vr_noise(v3(b.y, b.z, b.x)),
                                        vr_noise(v3(b.z, b.x, b.y))),
                                     k)));
    }
    const float nl = v3_dot(n, l->key_dir), nv = vr_max(v3_dot(n, q->wo), .05f);
    /* light that wanders through skin comes out redder beyond the edge of the shadow */
    const vec3 wrap = m->kind == FS_SKIN ? v3(.25f, .10f, .05f) : v3s(0);
    const vec3 lit = v3(vr_max((nl + wrap.x) / (1 + wrap.x), 0),
                        vr_max((nl + wrap.y) / (1 + wrap.y), 0),
                        vr_max((nl + wrap.z) / (1 + wrap.z), 0));
    vec3 e = v3_mul(vr_light_at(l, n), q->open);
    if (m->kind == FS_SKIN) /* what is hidden is lit by skin */
        e = v3_had(vr_light_at(l, n),
                   v3(powf(q->open, .75f), q->open, powf(q->open, 1.1f)));
    e = v3_add(e, v3_mul(v3_had(l->key, lit), q->key));
    vec3 out = v3_had(c.albedo, e);
    const float q5 = powf(1 - nv, 5), fr = c.f0 + (1 - c.f0) * q5 * (1 - c.rough) * .6f;
    const vec3 r = v3_sub(v3_mul(n, 2 * v3_dot(n, q->wo)), q->wo);
    const vec3 mirror = c.rough < .2f ? vr_light_from(l, r) : vr_light_at(l, r);
    out = v3_mad(out, mirror, fr * c.wet * q->open);
    if (nl > 0)
        out =
            v3_mad(out, l->key,
                   vr_min(c.f0 * c.wet *
                              highlight(n, l->key_dir, q->wo, vr_max(c.rough, .12f)) * nl,
                          3) *
                       q->key);
    if (m->sheen > 0)
        out = v3_mad(out, vr_light_at(l, n), m->sheen * powf(1 - nv, 3) * .35f * q->open);
    return out;
}
