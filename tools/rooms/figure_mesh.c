/* From a look and a pose to triangles in a scene. */
#include "tools/rooms/figure.h"

#include "tools/rooms/noise.h"
#include "tools/rooms/things.h"

typedef struct box3 {
    vec3 lo, hi;
} box3;

static box3 box_of(const figure_bones *b, const int *bones, float margin)
{
    box3 o = { v3s(1e9f), v3s(-1e9f) };

    for (; *bones >= 0; bones++) {
        const vec3 p = b->at[*bones].o;
        o.lo = v3(vr_min(o.lo.x, p.x - margin), vr_min(o.lo.y, p.y - margin),
                  vr_min(o.lo.z, p.z - margin));
        o.hi = v3(vr_max(o.hi.x, p.x + margin), vr_max(o.hi.y, p.y + margin),
                  vr_max(o.hi.z, p.z + margin));
    }
    return o;
}

void vr_figure_range(figure *f, int group)
{
    const size_t at = f->s->solid.nv;

    if (f->n_ranges > 0)
        f->range[f->n_ranges - 1].last = at;
    if (f->n_ranges < FIGURE_RANGES)
        f->range[f->n_ranges++] = (figure_range){ at, at, group };
    else
        f->s->failed = true;
}

frame vr_figure_frame(const figure *f, int bone)
{
    const frame *b = &f->bones.at[bone];

    return (frame){ frame_dir(&f->root, b->x), frame_dir(&f->root, b->y),
                    frame_dir(&f->root, b->z), frame_point(&f->root, b->o) };
}

/* Folds: soft ones everywhere, sharper ones across a bent elbow and at the waist. */
static float wrinkle(const figure *f, vec3 rest)
{
    const float s = f->bones.s, k = f->look.loose;
    const float soft = vr_noise(v3(rest.x * 13 + 3, rest.y * 7, rest.z * 13)) +
                       .5f * vr_noise(v3(rest.x * 23, rest.y * 17 + 9, rest.z * 23));
    float d = .32f * soft;

    for (int i = 0; i < 2; i++) {
        const vec3 e = vr_bone_local(&f->bones.rest[B_FORE_L + 3 * i], rest);
        const float bent =
            1 - v3_dot(f->bones.at[B_UPPER_L + 3 * i].y, f->bones.at[B_FORE_L + 3 * i].y);
        const float near = vr_step(.13f * s, .02f * s, v3_len(e));
        d += near * (.12f + .38f * bent) * vr_noise(v3(e.x * 12, e.y * 36, e.z * 12 + 5));
    }
    const vec3 w = vr_bone_local(&f->bones.rest[B_CHEST], rest);
    d += .5f * vr_step(.10f, .0f, fabsf(w.y)) * vr_noise(v3(w.x * 9, w.y * 42, w.z * 9));
    return k * d;
}

/* Normals of the displaced net from its triangles. */
static void renormal(surface_net *n)
{
    for (size_t i = 0; i < n->nv; i++)
        n->nrm[i] = v3s(0);
    for (size_t i = 0; i < n->nt; i++) {
        const uint32_t *t = n->idx + 3 * i;
        const vec3 c = v3_cross(v3_sub(n->pos[t[1]], n->pos[t[0]]),
                                v3_sub(n->pos[t[2]], n->pos[t[0]]));
        for (int k = 0; k < 3; k++)
            n->nrm[t[k]] = v3_add(n->nrm[t[k]], c);
    }
    for (size_t i = 0; i < n->nv; i++)
        n->nrm[i] = v3_unit(n->nrm[i]);
}

/* Where the pattern of a surface is looked up. */
typedef enum tex_place { TEX_HEAD, TEX_REST } tex_place;

static void add_net(figure *f, int group, tex_place place, bool folds)
{
    scene *s = f->s;
    surface_net *n = &f->net;
    const uint32_t base = (uint32_t)s->solid.nv;

    vr_figure_range(f, group);
    for (size_t i = 0; i < n->nv && folds; i++) {
        const vec3 rest = vr_figure_carry(&f->bones, f->bones.rest, group, n->pos[i]);
        n->pos[i] = v3_mad(n->pos[i], n->nrm[i], wrinkle(f, rest));
    }
    if (folds)
        renormal(n);
    s->at = f->root;
    for (size_t i = 0; i < n->nv; i++) {
        const vec3 tex =
            place == TEX_HEAD
                ? v3_mul(vr_bone_local(&f->bones.at[B_HEAD], n->pos[i]),
                         1 / f->bones.head)
                : vr_figure_carry(&f->bones, f->bones.rest, group, n->pos[i]);
        vr_vertex(s, n->pos[i], n->nrm[i], tex);
    }
    for (size_t i = 0; i < n->nt; i++)
        vr_triangle(s, base + n->idx[3 * i], base + n->idx[3 * i + 1],
                    base + n->idx[3 * i + 2]);
}

static bool net(figure *f, const figure_form *form, const int *bones, float margin,
                float cell, net_field field)
{
    const box3 b = box_of(&f->bones, bones, margin);

    return vr_net_build(&f->net, b.lo, b.hi, vr_max(cell, 2.5f * f->detail), field, form);
}

static bool head(figure *f, const figure_form *form)
{
    const float h = f->bones.head, s = f->bones.s;
    const vec3 o = f->bones.at[B_HEAD].o, n = f->bones.at[B_NECK].o;
    const vec3 lo = v3(vr_min(o.x, n.x) - .125f * h, n.y - .14f * s,
                       vr_min(o.z, n.z) - .13f * h),
               hi = v3(vr_max(o.x, n.x) + .125f * h, o.y + .145f * h,
                       vr_max(o.z, n.z) + .135f * h);

    if (!vr_net_build(&f->net, lo, hi, vr_max(.003f, 2 * f->detail), vr_form_head, form))
        return false;
    vr_material(f->s, (material){ .kind = FS_SKIN,
                                  .style = 1,
                                  .a = f->look.skin,
                                  .b = f->look.lips,
                                  .c = f->look.brow,
                                  .bump = f->look.beard,
                                  .scale = 1 + f->pose.jaw,
                                  .rough = .42f,
                                  .f0 = .028f });
    add_net(f, G_HEAD, TEX_HEAD, false);
    return true;
}

static void eyes(figure *f, const figure_form *form)
{
    scene *s = f->s;
    const float r = vr_eye_radius(form), x = f->pose.gaze_x, y = f->pose.gaze_y;

    vr_figure_range(f, G_HEAD);
    for (int side = 0; side < 2; side++) {
        s->at = vr_figure_frame(f, B_HEAD);
        s->at = frame_scale(s->at, f->bones.head, f->bones.head, f->bones.head);
        s->at.o = frame_point(&s->at, vr_eye_place(form, side));
        /* vr_ball's tex is the place on the ball, in metres */
        vr_material(s, (material){ .kind = FS_EYE,
                                   .a = v3(.72f, .68f, .65f),
                                   .b = f->look.iris,
                                   .c = v3_unit(v3(sinf(x), sinf(y), cosf(x) * cosf(y))),
                                   .scale = 1 / r,
                                   .rough = .06f,
                                   .f0 = .035f });
        vr_ball(s, v3s(0), v3s(r), 20);
    }
    if (f->pose.jaw > .08f) {
        s->at = vr_figure_frame(f, B_HEAD);
        vr_material(
            s, (material){ .kind = FS_HARD, .a = v3(.62f, .57f, .50f), .rough = .3f });
        vr_box(s, v3_mul(v3(-.017f, -.0715f, .066f), f->bones.head),
               v3_mul(v3(.017f, -.0655f, .083f), f->bones.head), .003f);
    }
}

static void cloth_material(figure *f, bool trousers)
{
    const figure_look *k = &f->look;

    vr_material(f->s, (material){ .kind = FS_CLOTH,
                                  .style = trousers ? 5 : k->pattern,
                                  .a = trousers ? k->trousers : k->cloth,
                                  .b = k->cloth2,
                                  .c = k->under,
                                  .scale = trousers ? -1 : (float)k->top,
                                  .bump = k->tie ? 1 : 0,
                                  .rough = .9f,
                                  .sheen = .12f,
                                  .seed = (uint32_t)k->seed | 1u });
    if (trousers)
        f->s->mats[f->s->mat].scale = -1;
}

static bool clothes(figure *f, const figure_form *form)
{
    static const int top[] = { B_PELVIS, B_CHEST,   B_NECK,   B_UPPER_L, B_FORE_L,
                               B_HAND_L, B_UPPER_R, B_FORE_R, B_HAND_R,  -1 };
    static const int low[] = { B_PELVIS, B_THIGH_L, B_SHANK_L, B_THIGH_R, B_SHANK_R, -1 };

    if (!net(f, form, top, .17f, .0055f, vr_form_top))
        return false;
    cloth_material(f, false);
    add_net(f, G_BODY, TEX_REST, true);
    box3 b = box_of(&f->bones, low, .26f);
    b.lo.y = -.01f;
    if (!vr_net_build(&f->net, b.lo, b.hi, vr_max(.011f, 4 * f->detail), vr_form_legs,
                      form))
        return false;
    cloth_material(f, true);
    add_net(f, G_BODY, TEX_REST, true);
    return true;
}

static bool hands(figure *f, figure_form *form)
{
    static const int arms[] = { B_UPPER_L, B_FORE_L, B_HAND_L, B_UPPER_R,
                                B_FORE_R,  B_HAND_R, -1 };
    const int skin = vr_material(
        f->s,
        (material){ .kind = FS_SKIN, .a = f->look.skin, .rough = .45f, .f0 = .028f });

    for (form->side = 0; form->side < 2; form->side++) {
        const int one[] = { B_HAND_L + 3 * form->side, -1 };
        if (!net(f, form, one, .21f, .0034f, vr_form_hand))
            return false;
        f->s->mat = skin;
        add_net(f, form->side ? G_HAND_R : G_HAND_L, TEX_REST, false);
    }
    form->side = 0;
    if (!f->look.short_sleeves)
        return true;
    if (!net(f, form, arms, .08f, .006f, vr_form_arms))
        return false;
    f->s->mat = skin;
    add_net(f, G_BODY, TEX_REST, false);
    return true;
}

/* Hats and the closed body of the hair. */
static bool crown(figure *f, const figure_form *form)
{
    const vec3 o = f->bones.at[B_HEAD].o;
    const float r = f->look.hair_style == HAIR_AFRO ? .20f : .165f;

    if (f->look.hair_style != HAIR_NONE) {
        if (!vr_net_build(&f->net, v3_sub(o, v3s(r)), v3_add(o, v3s(r)),
                          vr_max(.005f, 2 * f->detail), vr_form_cap, form))
            return false;
        vr_material(f->s, (material){ .kind = FS_CAP,
                                      .a = v3_mul(f->look.hair, .75f),
                                      .rough = .6f,
                                      .style = f->look.hair_style });
        add_net(f, G_HEAD, TEX_HEAD, false);
    }
    if (!f->look.hat)
        return true;
    if (!vr_net_build(&f->net, v3_sub(o, v3s(.21f)), v3_add(o, v3s(.21f)),
                      vr_max(.0045f, 2 * f->detail), vr_form_hat, form))
        return false;
    vr_material(f->s, (material){ .kind = FS_CLOTH,
                                  .style = 5,
                                  .a = f->look.gear,
                                  .scale = -1,
                                  .rough = .9f,
                                  .seed = 5 });
    f->s->mats[f->s->mat].scale = -1;
    add_net(f, G_HEAD, TEX_HEAD, false);
    return true;
}

bool vr_figure_build(figure *f, const figure_look *k, const figure_pose *p)
{
    f->look = *k;
    f->pose = *p;
    f->n_ranges = 0;
    vr_figure_bones(&f->bones, &f->look, &f->pose);
    figure_form form = {
        .k = &f->look, .p = &f->pose, .b = &f->bones, .thick = k->loose
    };
    vr_object(f->s, T_NOTHING, NO_COLOUR, 0);
    if (!head(f, &form) || !clothes(f, &form) || !hands(f, &form) || !crown(f, &form))
        return false;
    eyes(f, &form);
    vr_figure_hair(f, &form);
    vr_figure_wear(f, &form);
    if (f->n_ranges > 0)
        f->range[f->n_ranges - 1].last = f->s->solid.nv;
    return !f->s->failed;
}

void vr_figure_free(figure *f)
{
    vr_net_free(&f->net);
    *f = (figure){ 0 };
}
