/* Putting figures into pictures.
 *
 * The figure lives in axes in which the camera looks along -z at angle 0; the backdrop is
 * turned instead.  Colour and alpha of a clip's frame are the mean over the same instants
 * of an open shutter, for camera, backdrop and figure alike. */
#include "tools/rooms/figure_film.h"

#include <stdlib.h>
#include <string.h>

#include "tools/rooms/figure_sensor.h"
#include "tools/rooms/palette.h"

struct film {
    int w, h;
    vbg_ctx *ctx;
    figure_tracer *tracer;
    scene s;
    figure fig;
    vbg_picture view; /* the backdrop at one instant */
    float *rgba;      /* [h][w][4] of one figure */
    float *light;     /* [h][w][3] */
    float *scratch;   /* [h][w][4] */
    float *alpha;     /* [h][w] */
    float *open, *shut;
    size_t cap;
    float linear[256];
};

vbg_status vr_backdrop_new(backdrop *out, vbg_picture *p, bool sphere, vbg_err *err)
{
    *out = (backdrop){ .picture = *p };
    *p = (vbg_picture){ 0 };
    vbg_status st = sphere ? vbg_viewport_new(&out->view, &out->picture, err) : VBG_OK;
    if (st != VBG_OK)
        vr_backdrop_free(out);
    return st;
}

void vr_backdrop_free(backdrop *b)
{
    vbg_viewport_free(b->view);
    vbg_picture_free(&b->picture);
    *b = (backdrop){ 0 };
}

vbg_status vr_film_new(film **out, int w, int h, vbg_err *err)
{
    const vbg_ctx_opt opt = { .threads = 1, .isa = VBG_ISA_BEST, .precision = VBG_F32 };
    const size_t n = (size_t)w * (size_t)h;
    film *f = calloc(1, sizeof *f);

    *out = NULL;
    if (!f)
        return vbg_fail(err, VBG_ENOMEM, "figure: out of memory");
    f->w = w;
    f->h = h;
    f->rgba = malloc(n * 4 * sizeof(float));
    f->light = malloc(n * 3 * sizeof(float));
    f->scratch = malloc(n * 4 * sizeof(float));
    f->alpha = malloc(n * sizeof(float));
    vbg_status st = f->rgba && f->light && f->scratch && f->alpha
                        ? vbg_ctx_new(&f->ctx, &opt, err)
                        : vbg_fail(err, VBG_ENOMEM, "figure: out of memory");
    if (st == VBG_OK)
        st = vbg_picture_new(&f->view, w, h, 3, err);
    if (st == VBG_OK)
        st = vr_tracer_new(&f->tracer, err);
    for (int i = 0; i < 256; i++)
        f->linear[i] = vr_srgb_to_linear(i, i, i).x;
    if (st == VBG_OK)
        *out = f;
    else
        vr_film_free(f);
    return st;
}

void vr_film_free(film *f)
{
    if (!f)
        return;
    vr_tracer_free(f->tracer);
    vr_scene_free(&f->s);
    vr_figure_free(&f->fig);
    vbg_picture_free(&f->view);
    vbg_ctx_free(f->ctx);
    free(f->rgba);
    free(f->light);
    free(f->scratch);
    free(f->alpha);
    free(f->open);
    free(f->shut);
    free(f);
}

/* ---- light and geometry of one exposure ---- */

/* The camera's frame in scene axes for angles in the truth's conventions, radians. */
static frame camera_frame(const double angles[3])
{
    double r[9];

    vbg_rotation_from_angles(r, angles[0], angles[1], angles[2]);
    /* columns are the camera's axes x right, y down, z forward in the world */
    const vec3 x = vr_scene_axes(v3((float)r[0], (float)r[3], (float)r[6])),
               y = vr_scene_axes(v3((float)r[1], (float)r[4], (float)r[7])),
               z = vr_scene_axes(v3((float)r[2], (float)r[5], (float)r[8]));
    return (frame){ x, v3_mul(y, -1), v3_mul(z, -1), v3s(0) };
}

/* Adds share x the backdrop as this camera sees it. */
static void add_backdrop(film *f, const backdrop *b, const vbg_pinhole *camera,
                         float share)
{
    vbg_viewport_render(b->view, f->ctx, &f->view, camera);
    for (int y = 0; y < f->h; y++) {
        const uint8_t *p = f->view.data + (size_t)y * f->view.stride;
        float *o = f->light + (size_t)y * (size_t)f->w * 3;
        for (int x = 0; x < f->w * 3; x++)
            o[x] += share * f->linear[p[x]];
    }
}

/* A photo, cut to the picture's shape at a place drawn from r. */
static void put_photo(film *f, const backdrop *b, rng *r)
{
    const vbg_picture *p = &b->picture;
    const float fit =
        vr_min((float)p->w / (float)f->w, (float)p->h / (float)f->h) * rnd_in(r, .7f, 1);
    const float ox = ((float)p->w - fit * (float)f->w) * rnd(r),
                oy = ((float)p->h - fit * (float)f->h) * rnd(r);
    const bool flip = chance(r, .5f);

    for (int y = 0; y < f->h; y++)
        for (int x = 0; x < f->w; x++) {
            const float u = ox + fit * ((float)(flip ? f->w - 1 - x : x) + .5f) - .5f,
                        v = oy + fit * ((float)y + .5f) - .5f;
            const int ix = (int)vr_clamp(u, 0, (float)(p->w - 2)),
                      iy = (int)vr_clamp(v, 0, (float)(p->h - 2));
            const float fx = vr_clamp(u - (float)ix, 0, 1),
                        fy = vr_clamp(v - (float)iy, 0, 1);
            const uint8_t *q = p->data + (size_t)iy * p->stride + (size_t)ix * 3;
            for (int m = 0; m < 3; m++) {
                const float top = vr_mix(f->linear[q[m]], f->linear[q[m + 3]], fx),
                            low = vr_mix(f->linear[q[p->stride + (size_t)m]],
                                         f->linear[q[p->stride + (size_t)m + 3]], fx);
                f->light[((size_t)y * (size_t)f->w + (size_t)x) * 3 + (size_t)m] =
                    vr_mix(top, low, fy);
            }
        }
}

static void scale_light(figure_light *l, float k)
{
    l->key = v3_mul(l->key, k);
    for (int i = 0; i < 9; i++)
        l->sh[i] = v3_mul(l->sh[i], k);
    for (int i = 0; i < FL_W * FL_H; i++)
        l->map[i] = v3_mul(l->map[i], k);
}

/* Radiance of a face that looks at the camera. */
static float face_light(const figure_light *l, const figure_look *k)
{
    const vec3 n = v3(0, .1f, .995f);
    const vec3 e = v3_mad(vr_light_at(l, n), l->key, vr_max(v3_dot(n, l->key_dir), .15f));

    return .85f * v3_luma(v3_had(e, k->skin));
}

/* The figure over what is in f->light. */
static void compose(film *f)
{
    const size_t n = (size_t)f->w * (size_t)f->h;

    for (size_t i = 0; i < n; i++) {
        const float *c = f->rgba + 4 * i, a = c[3];
        if (a <= 0)
            continue;
        for (int m = 0; m < 3; m++)
            f->light[3 * i + (size_t)m] = c[m] + (1 - a) * f->light[3 * i + (size_t)m];
        f->alpha[i] = a + (1 - a) * f->alpha[i];
    }
}

static void give_alpha(const film *f, vbg_picture *alpha)
{
    for (int y = 0; y < f->h; y++)
        for (int x = 0; x < f->w; x++)
            alpha->data[(size_t)y * alpha->stride + (size_t)x] =
                (uint8_t)(255 * f->alpha[(size_t)y * (size_t)f->w + (size_t)x] + .5f);
}

/* ---- stills ---- */

typedef struct photo {
    double angles[3];
    float focal, u, v; /* where the head shall be, 0..1 */
    float head;        /* its height, share of the picture's */
} photo;

static photo plan_photo(const film *f, rng *r)
{
    const float fov = rnd_in(r, 42, 84) * VR_PI / 180;
    const float size = .15f * expf(rnd(r) * logf(.52f / .15f));
    photo p = { .focal = .5f * (float)(f->w > f->h ? f->w : f->h) / tanf(.5f * fov),
                .u = .5f + .11f * rnd_gauss(r),
                .head = size };

    if (chance(r, .08f))
        p.head = rnd_in(r, .08f, .15f); /* far away, often with legs */
    p.v = vr_clamp(.56f * p.head + rnd_in(r, .02f, .22f), .1f, .6f);
    p.u = vr_clamp(p.u, .15f, .85f);
    p.angles[0] = 0;
    p.angles[1] = (double)((-4 + 6 * rnd_gauss(r)) * VR_PI / 180);
    p.angles[2] = (double)(2 * rnd_gauss(r) * VR_PI / 180);
    return p;
}

/* The root that brings the head of a built skeleton to where the photo wants it. */
static frame place_root(const film *f, const photo *p, const figure_bones *b,
                        float yaw_deg)
{
    const frame cam = camera_frame(p->angles);
    const float tall = .235f * b->head;
    const float dist = vr_max(p->focal * tall / (p->head * (float)f->h), .42f);
    const vec3 at =
        frame_dir(&cam, v3(dist * (p->u - .5f) * (float)f->w / p->focal,
                           dist * (.5f - p->v) * (float)f->h / p->focal, -dist));
    frame root = frame_move(frame_unit(), v3s(0), yaw_deg);

    root.o = v3_sub(at, frame_dir(&root, b->at[B_HEAD].o));
    return root;
}

static vbg_status add_person(film *f, const photo *p, const figure_light *l,
                             uint64_t seed, vbg_err *err)
{
    rng r = { seed ^ 0x706572736f6eu };
    rng_next(&r);
    const figure_look look = vr_figure_look(rng_next(&r));
    const figure_pose pose = vr_photo_pose(&look, rng_next(&r));
    const float yaw = rnd_gauss(&r) * (chance(&r, .15f) ? 45.f : 14.f) -
                      25 * (p->u - .5f); /* mostly towards the camera */

    vr_scene_reset(&f->s, seed);
    f->fig.s = &f->s;
    vr_figure_bones(&f->fig.bones, &look, &pose);
    f->fig.root = place_root(f, p, &f->fig.bones, yaw);
    f->fig.detail = .9f * -f->fig.root.o.z / p->focal;
    if (!vr_figure_build(&f->fig, &look, &pose))
        return vbg_fail(err, VBG_ENOMEM, "figure: out of memory");
    figure_shot k = { .s = &f->s,
                      .light = l,
                      .focal = p->focal,
                      .w = f->w,
                      .h = f->h,
                      .inside = 4,
                      .edge = 16,
                      .seed = (uint32_t)seed };
    for (int i = 0; i < SHUTTER; i++)
        k.camera[i] = camera_frame(p->angles);
    const vbg_status st = vr_trace_figure(f->tracer, &k, f->rgba, err);
    if (st == VBG_OK)
        compose(f);
    return st;
}

static void photo_backdrop(film *f, const backdrop *b, const photo *p, float yaw, rng *r)
{
    const size_t n = (size_t)f->w * (size_t)f->h;

    memset(f->light, 0, 3 * n * sizeof *f->light);
    if (b->view) {
        const vbg_pinhole camera = { .w = f->w,
                                     .h = f->h,
                                     .fov_x = 2 * atan(.5 * f->w / (double)p->focal),
                                     .yaw = (double)yaw,
                                     .pitch = p->angles[1],
                                     .roll = p->angles[2] };
        add_backdrop(f, b, &camera, 1);
    } else {
        put_photo(f, b, r);
    }
    if (chance(r, .4f)) /* lenses are focused on the person */
        vr_blur(f->light, f->scratch, f->w, f->h, 3,
                rnd_in(r, .5f, 9) * (float)f->w / 512);
}

vbg_status vr_film_still(film *f, const backdrop *b, uint64_t seed, vbg_picture *rgb,
                         vbg_picture *alpha, vbg_err *err)
{
    rng r = { seed ^ 0x7374696c6cu };
    rng_next(&r);
    const float yaw = rnd_in(&r, -VR_PI, VR_PI);
    const photo p = plan_photo(f, &r);
    const uint64_t who = rng_next(&r);
    figure_light l;
    vbg_status st = VBG_OK;

    photo_backdrop(f, b, &p, yaw, &r);
    vr_light_from_picture(&l, &b->picture, b->view != NULL, yaw);
    if (chance(&r, .45f)) { /* a lamp or a window of its own */
        const float a = rnd_in(&r, -2.2f, 2.2f), up = rnd_in(&r, -.1f, 1),
                    k = rnd_in(&r, .2f, 1.1f);
        const float warm = .25f * rnd_gauss(&r);
        vr_light_key(&l, v3(sinf(a), up, cosf(a)), v3(k * (1 + warm), k, k * (1 - warm)),
                     rnd_in(&r, .03f, .35f));
    }
    const figure_look look = { .skin = v3(.35f, .22f, .15f) };
    const float now = face_light(&l, &look), want = rnd_in(&r, .12f, .40f);
    scale_light(&l, powf(want / vr_max(now, 1e-3f), .75f));
    memset(f->alpha, 0, (size_t)f->w * (size_t)f->h * sizeof *f->alpha);
    if (chance(&r, .09f)) { /* someone behind */
        photo q = p;
        q.head *= rnd_in(&r, .55f, .9f);
        q.u =
            vr_clamp(p.u + (p.u > .5f ? -1.f : 1.f) * rnd_in(&r, .18f, .40f), .05f, .95f);
        q.v = vr_clamp(p.v + rnd_in(&r, -.05f, .08f), .1f, .6f);
        st = add_person(f, &q, &l, rng_next(&r), err);
    }
    if (st == VBG_OK)
        st = add_person(f, &p, &l, who, err);
    if (st != VBG_OK)
        return st;
    const sensor s = vr_sensor(&r);
    vr_sensor_expose(&s, f->light, f->scratch, rgb);
    give_alpha(f, alpha);
    return VBG_OK;
}

/* ---- clips ---- */

film_clip vr_film_clip(uint64_t seed, float fov_x_deg, float seconds, float rate)
{
    rng r = { seed ^ 0x636c6970u };
    rng_next(&r);

    return (film_clip){ .seed = seed,
                        .fov_x = fov_x_deg * VR_PI / 180,
                        .seconds = seconds,
                        .rate = rate,
                        .yaw = rnd_in(&r, -VR_PI, VR_PI),
                        .camera = vr_hand_held(rng_next(&r), seconds),
                        .look = vr_figure_look(rng_next(&r)) };
}

/* Whoever holds the camera keeps the figure in the picture, a little late: the figure
 * goes after the camera's wanted turns, not after its shaking. */
static float follow(const film_clip *c, float t)
{
    float sum = 0;

    for (int i = 0; i < 12; i++) {
        double a[3];
        vr_hand_held_at(&c->camera, t - .06f - .05f * (float)i, a);
        sum += (float)a[0] / 12;
    }
    return sum;
}

static frame clip_root(const film_clip *c, const figure_bones *b, float t)
{
    const float dist = c->look.woman ? 1.00f : 1.06f;
    frame turn = frame_move(frame_unit(), v3s(0), -follow(c, t));
    frame root = turn;

    root.o = v3_sub(frame_dir(&turn, v3(.04f, .07f, -dist)),
                    frame_dir(&turn, v3(0, b->rest[B_HEAD].o.y, b->rest[B_HEAD].o.z)));
    return root;
}

/* World positions of all vertices at time t into out (4 floats each). */
static void carry_mesh(const film *f, const film_clip *c, float t, float *out)
{
    const figure *g = &f->fig;
    const figure_pose p = vr_act_pose(&c->look, c->seed, t);
    figure_bones then;

    vr_figure_bones(&then, &c->look, &p);
    const frame root = clip_root(c, &then, t);
    for (int k = 0; k < g->n_ranges; k++)
        for (size_t i = g->range[k].first; i < g->range[k].last; i++) {
            const float *q = f->s.solid.pos + 4 * i;
            const vec3 here = vr_bone_local(&g->root, v3(q[0], q[1], q[2]));
            const vec3 o = frame_point(
                &root, vr_figure_carry(&g->bones, then.at, g->range[k].group, here));
            memcpy(out + 4 * i, (float[4]){ o.x, o.y, o.z, 0 }, 4 * sizeof(float));
        }
}

static bool reserve_motion(film *f)
{
    const size_t n = f->s.solid.nv * 4 + 4;

    if (n <= f->cap)
        return true;
    free(f->open);
    free(f->shut);
    f->open = malloc(n * sizeof(float));
    f->shut = malloc(n * sizeof(float));
    f->cap = f->open && f->shut ? n : 0;
    return f->cap > 0;
}

static void angles_at(const film_clip *c, float t, double radians[3])
{
    vr_hand_held_at(&c->camera, t, radians);
    for (int i = 0; i < 3; i++)
        radians[i] *= 3.14159265358979323846 / 180;
}

vbg_status vr_film_frame(film *f, const backdrop *b, const film_clip *c, int i,
                         vbg_picture *rgb, vbg_picture *alpha, double angles[3],
                         vbg_err *err)
{
    const float exposure = .5f / c->rate, mid = (float)i / c->rate + .5f * exposure;
    const float focal = .5f * (float)f->w / tanf(.5f * c->fov_x);
    const figure_pose pose = vr_act_pose(&c->look, c->seed, mid);
    figure_light l;

    vr_hand_held_at(&c->camera, mid, angles);
    vr_scene_reset(&f->s, c->seed);
    f->fig.s = &f->s;
    vr_figure_bones(&f->fig.bones, &c->look, &pose);
    f->fig.root = clip_root(c, &f->fig.bones, mid);
    f->fig.detail = 1.2f / focal;
    if (!vr_figure_build(&f->fig, &c->look, &pose) || !reserve_motion(f))
        return vbg_fail(err, VBG_ENOMEM, "figure: out of memory");
    carry_mesh(f, c, mid - .5f * exposure, f->open);
    carry_mesh(f, c, mid + .5f * exposure, f->shut);
    vr_light_from_picture(&l, &b->picture, true, c->yaw);
    const float now = face_light(&l, &c->look);
    scale_light(&l, powf(.24f * v3_luma(c->look.skin) / .25f / vr_max(now, 1e-3f), .75f));

    figure_shot k = { .s = &f->s,
                      .open = f->open,
                      .shut = f->shut,
                      .light = &l,
                      .focal = focal,
                      .w = f->w,
                      .h = f->h,
                      .inside = SHUTTER,
                      .edge = 2 * SHUTTER,
                      .seed = (uint32_t)c->seed + (uint32_t)i };
    memset(f->light, 0, (size_t)f->w * (size_t)f->h * 3 * sizeof *f->light);
    memset(f->alpha, 0, (size_t)f->w * (size_t)f->h * sizeof *f->alpha);
    for (int n = 0; n < SHUTTER; n++) {
        double a[3];
        angles_at(c, mid + exposure * (((float)n + .5f) / SHUTTER - .5f), a);
        k.camera[n] = camera_frame(a);
        const vbg_pinhole camera = { .w = f->w,
                                     .h = f->h,
                                     .fov_x = (double)c->fov_x,
                                     .yaw = a[0] + (double)c->yaw,
                                     .pitch = a[1],
                                     .roll = a[2] };
        add_backdrop(f, b, &camera, 1.f / SHUTTER);
    }
    const vbg_status st = vr_trace_figure(f->tracer, &k, f->rgba, err);
    if (st != VBG_OK)
        return st;
    compose(f);
    const sensor s = { .gain = v3s(1),
                       .shot = 2e-4f,
                       .read = 2e-6f,
                       .sharpen = .15f,
                       .seed = (uint32_t)c->seed * 31u + (uint32_t)i };
    vr_sensor_expose(&s, f->light, f->scratch, rgb);
    give_alpha(f, alpha);
    return VBG_OK;
}
