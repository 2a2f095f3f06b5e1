/* After the rays: edge-stopping a-trous filter, tone curve, edges. */

typedef struct taps {
    const canvas *c;
    int src;
    float sigma; /* 1 / luminance width */
} taps;

/* Adds kernel weight k times the pixels at j0.. to the sums of i0.. */
static void add_tap(const taps *t, size_t i0, size_t j0, int n, float k, float *acc)
{
    const canvas *c = t->c;
    const float *nx = c->p[P_NX], *ny = c->p[P_NY], *nz = c->p[P_NZ];
    const float *px = c->p[P_PX], *py = c->p[P_PY], *pz = c->p[P_PZ];
    const float *q = c->p[P_Q], *lum = c->p[P_L];
    const float *r = c->p[t->src], *g = c->p[t->src + 1], *b = c->p[t->src + 2];
    float *ar = acc, *ag = acc + c->w, *ab = acc + 2 * c->w, *aw = acc + 3 * c->w;
    const float sigma = t->sigma;

#pragma omp simd
    for (int x = 0; x < n; x++) {
        const size_t i = i0 + (size_t)x, j = j0 + (size_t)x;
        float nd = nx[i] * nx[j] + ny[i] * ny[j] + nz[i] * nz[j];
        nd = nd > 0 ? nd : 0;
        nd *= nd;
        nd *= nd;
        nd *= nd;
        const float d = (nx[i] * (px[j] - px[i]) + ny[i] * (py[j] - py[i]) +
                         nz[i] * (pz[j] - pz[i])) *
                        q[i];
        const float d2 = d * d;
        const float dl = (lum[j] - lum[i]) * sigma / (lum[i] + .15f);
        const float w = k * nd / ((1 + d2 * d2) * (1 + dl * dl));
        ar[x] += w * r[j];
        ag[x] += w * g[j];
        ab[x] += w * b[j];
        aw[x] += w;
    }
}

/* One row of one pass; src and dst name the first of three planes; radius 1 or 2. */
static void filter_row(const canvas *c, int y, int step, int src, int dst, float sigma,
                       int radius)
{
    static const float k5[3] = { .375f, .25f, .0625f }, k3[2] = { .5f, .25f };
    float acc[4 * 4096];
    const taps t = { c, src, sigma };
    const size_t row = (size_t)y * (size_t)c->w;
    const bool wrap = c->camera == CAMERA_EQUIRECT;

    memset(acc, 0, (size_t)c->w * 4 * sizeof *acc);
    for (int dy = -radius; dy <= radius; dy++) {
        const int yy = y + dy * step;
        if (yy < 0 || yy >= c->h)
            continue;
        for (int dx = -radius; dx <= radius; dx++) {
            const float *kk = radius == 2 ? k5 : k3;
            const float k = kk[dx < 0 ? -dx : dx] * kk[dy < 0 ? -dy : dy];
            const int off = dx * step;
            const size_t at = (size_t)yy * (size_t)c->w;
            const int lo = off < 0 ? -off : 0, hi = off > 0 ? c->w - off : c->w;
            add_tap(&t, row + (size_t)lo, at + (size_t)(lo + off), hi - lo, k, acc + lo);
            if (wrap && off < 0)
                add_tap(&t, row, at + (size_t)(c->w + off), -off, k, acc);
            if (wrap && off > 0)
                add_tap(&t, row + (size_t)hi, at, off, k, acc + hi);
        }
    }
    for (int x = 0; x < c->w; x++) {
        const float w = acc[3 * c->w + x];
        const size_t i = row + (size_t)x;
        for (int m = 0; m < 3; m++)
            c->p[dst + m][i] = w > 1e-6f ? acc[m * c->w + x] / w : c->p[src + m][i];
    }
}

/* ---- tone ---- */

static float curve(float x)
{
    x *= .68f;
    return vr_clamp(x * (2.51f * x + .03f) / (x * (2.43f * x + .59f) + .14f), 0, 1);
}

/* Display-linear colour: the curve on each channel mixed with the curve on the largest,
 * which keeps hues where lamps are bright. */
static vec3 tone(vec3 c)
{
    const float m = vr_max(v3_max(c), 1e-6f), k = curve(m) / m;
    const vec3 keep = v3_mul(c, k), each = v3(curve(c.x), curve(c.y), curve(c.z));

    return v3_mix(each, keep, .55f);
}

static uint8_t encode(const core_job *j, float v, float dither)
{
    const float i = sqrtf(vr_clamp(v, 0, 1)) * (GAMMA - 1);

    return (uint8_t)vr_clamp(j->gamma[(int)(i + .5f)] + dither, 0, 255);
}

/* What the air, or water, between the eye and p leaves of c.  Rooms are clear. */
static vec3 through_air(const core_job *j, vec3 c, float dist, vec3 p)
{
    const scene *s = j->s;
    const vec3 fog = s->indoor ? v3_mul(s->fog_colour, j->view_gain) : s->fog_colour;

    if (s->indoor && s->room_hi.x > s->room_lo.x && !outdoors(s, p))
        return c;
    if (s->fog > 0 && dist > 0)
        c = v3_mix(fog, c, expf(-dist * s->fog));
    if (s->absorb.x > 0 && dist > 0)
        c = v3_had(c, v3(expf(-dist * s->absorb.x), expf(-dist * s->absorb.y),
                         expf(-dist * s->absorb.z)));
    return c;
}

static vec3 bloom_at(const canvas *c, int x, int y)
{
    const int w = c->w / 4, h = c->h / 4;
    const float u = ((float)x + .5f) / 4 - .5f, v = ((float)y + .5f) / 4 - .5f;
    const int ix = vr_floor(u), iy = vr_floor(v);
    const float fx = u - (float)ix, fy = v - (float)iy;
    const int x0 = (ix + w) % w, x1 = (ix + 1) % w;
    const int y0 = iy < 0 ? 0 : iy, y1 = iy + 1 < h ? iy + 1 : h - 1;
    vec3 s[4];
    const int at[4] = { y0 * w + x0, y0 * w + x1, y1 * w + x0, y1 * w + x1 };

    for (int i = 0; i < 4; i++)
        s[i] = v3(c->bloom[at[i] * 3], c->bloom[at[i] * 3 + 1], c->bloom[at[i] * 3 + 2]);
    return v3_mix(v3_mix(s[0], s[1], fx), v3_mix(s[2], s[3], fx), fy);
}

static bool differs(const canvas *c, size_t i, size_t k)
{
    if (c->part[i] != c->part[k])
        return true;
    if (c->part[i] == (uint32_t)VR_NO_PART)
        return false;
    const vec3 n = get3(c, P_NX, i);
    if (v3_dot(n, get3(c, P_NX, k)) < .8f)
        return true;
    const vec3 d = v3_sub(get3(c, P_PX, k), get3(c, P_PX, i));
    return fabsf(v3_dot(n, d)) * c->p[P_Q][i] > 6;
}

/* Tone-maps row y; edge[x] is set where sub-samples are needed. */
static void finish_row(const core_job *j, int y, uint8_t *edge)
{
    const canvas *c = j->c;

    for (int x = 0; x < c->w; x++) {
        const size_t i = (size_t)y * (size_t)c->w + (size_t)x;
        vec3 v = v3_add(v3_had(get3(c, P_AR, i), get3(c, P_IR, i)),
                        v3_add(get3(c, P_ER, i), get3(c, P_SR, i)));
        v = through_air(j, v, c->p[P_D][i], get3(c, P_PX, i));
        v = tone(v3_mad(bloom_at(c, x, y), v, j->exposure));
        uint8_t *o = c->rgb + i * 3;
        const float di = vr_unit(vr_hash((uint32_t)i ^ j->seed));
        o[0] = encode(j, v.x, di);
        o[1] = encode(j, v.y, di);
        o[2] = encode(j, v.z, di);
        if (!edge)
            continue;
        const bool wrap = c->camera == CAMERA_EQUIRECT;
        const int l = x > 0  ? x - 1
                      : wrap ? c->w - 1
                             : 0,
                  r = x + 1 < c->w ? x + 1
                      : wrap       ? 0
                                   : x;
        const size_t row = (size_t)y * (size_t)c->w;
        edge[x] = differs(c, i, row + (size_t)l) || differs(c, i, row + (size_t)r) ||
                  (y > 0 && differs(c, i, i - (size_t)c->w)) ||
                  (y + 1 < c->h && differs(c, i, i + (size_t)c->w));
    }
}

/* Light of the 3x3 neighbour that lies best on the surface of h. */
static vec3 borrowed(const core_job *j, const hit *h, const surf *f, int x, int y)
{
    const canvas *c = j->c;
    float best = -1e9f;
    size_t at = (size_t)y * (size_t)c->w + (size_t)x;

    for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++) {
            const int yy = y + dy < 0 ? 0 : y + dy >= c->h ? c->h - 1 : y + dy;
            const int xx = (x + dx + c->w) % c->w;
            const size_t k = (size_t)yy * (size_t)c->w + (size_t)xx;
            if (c->part[k] == (uint32_t)VR_NO_PART)
                continue;
            const float plane = fabsf(v3_dot(h->n, v3_sub(get3(c, P_PX, k), h->p)));
            const float score = (c->part[k] == h->part                         ? 2.f
                                 : (c->part[k] & 0xffff) == (h->part & 0xffff) ? 1.f
                                                                               : 0.f) +
                                2 * v3_dot(h->n, get3(c, P_NX, k)) -
                                vr_min(plane * c->p[P_Q][k], 4) -
                                .05f * (float)(dx * dx + dy * dy);
            if (score > best) {
                best = score;
                at = k;
            }
        }
    const float keep = best > -2 ? 1.f : .7f;
    return v3_add(v3_had(f->albedo, v3_mul(get3(c, P_IR, at), keep)),
                  v3_add(f->emit, get3(c, P_SR, at)));
}

static void edges(const core_job *j, const uint32_t *pixel, int n)
{
    const canvas *c = j->c;
    const int aa = j->o->aa, per = LANES / aa;
    const float px = pixel_angle(c);
    uint64_t rays = 0;
    vec3 dir[LANES];
    hit h[LANES];

    for (int first = 0; first < n; first += per) {
        packet k;
        memset(k.valid, 0, sizeof k.valid);
        for (int l = 0; l < LANES && first + l / aa < n; l++) {
            const uint32_t i = pixel[first + l / aa];
            const int s = l % aa;
            const float u = ((float)s + .5f) / (float)aa;
            const float v = vr_fract((float)s * .6180339887f + .25f);
            dir[l] = vr_direction(c, (float)(i % (uint32_t)c->w) + u,
                                  (float)(i / (uint32_t)c->w) + v);
            h[l].wo = v3_mul(dir[l], -1);
            ray_set(&k, l, j->s->eye, dir[l], 1e4f);
        }
        hits(j, &k, h, true, &rays);
        for (int p = 0; p < per && first + p < n; p++) {
            const uint32_t i = pixel[first + p];
            const int x = (int)(i % (uint32_t)c->w), y = (int)(i / (uint32_t)c->w);
            const vec3 bloom = bloom_at(c, x, y);
            vec3 sum = v3s(0);
            for (int l = p * aa; l < (p + 1) * aa; l++) {
                vec3 v;
                if (h[l].met) {
                    surf f;
                    surface_at(j, &h[l], px, &f);
                    v = through_air(j, borrowed(j, &h[l], &f, x, y), h[l].t, h[l].p);
                } else {
                    v = sky_seen(j, dir[l], &h[l]);
                }
                sum = v3_add(sum, tone(v3_mad(bloom, v, j->exposure)));
            }
            sum = v3_mul(sum, 1 / (float)aa);
            uint8_t *o = c->rgb + (size_t)i * 3;
            const float di = vr_unit(vr_hash(i ^ j->seed));
            o[0] = encode(j, sum.x, di);
            o[1] = encode(j, sum.y, di);
            o[2] = encode(j, sum.z, di);
        }
    }
}

static const core_table table = { trace_row, filter_row, finish_row, edges };
