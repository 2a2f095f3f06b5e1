/* Tables, shelves, cupboards: boards with bevels, doors with handles, books. */
#include "tools/rooms/room.h"

int vr_coffee_table(room *m, float w, float d, int style)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_COFFEE_TABLE, m->wood_name, S_WOOD);
    const float h = rnd_in(m->r, .38f, .46f);

    if (style == 1) { /* round */
        s->at = frame_move(s->at, v3(0, 0, d / 2), 0);
        const float R = d / 2;
        const float p[6][2] = { { 0, h - .03f },  { R - .01f, h - .03f }, { R, h - .02f },
                                { R, h - .008f }, { R - .008f, h },       { 0, h } };
        s->mat = m->wood_mat;
        vr_lathe(s, p, 6, 48);
        for (int i = 0; i < 3; i++) {
            const float a = (float)i * 2.094f;
            vr_rod(s, v3(R * .85f * cosf(a), 0, R * .85f * sinf(a)),
                   v3(R * .6f * cosf(a), h - .02f, R * .6f * sinf(a)), .014f, .022f, 10);
        }
        return obj;
    }
    if (style == 2) { /* glass on metal */
        s->objs[obj].colour = NO_COLOUR;
        s->objs[obj].stuff = S_GLASS;
        s->mat = m->metal_mat;
        for (int i = 0; i < 4; i++)
            vr_block(
                s, v3((i & 1 ? 1.f : -1.f) * (w / 2 - .03f), 0, i & 2 ? d - .03f : .03f),
                v3(.03f, h - .01f, .03f), .004f);
        for (int k = 0; k < 2; k++) {
            const float y = k ? h - .03f : .12f;
            vr_box(s, v3(-w / 2 + .02f, y, .02f), v3(w / 2 - .02f, y + .02f, .04f),
                   .004f);
            vr_box(s, v3(-w / 2 + .02f, y, d - .04f),
                   v3(w / 2 - .02f, y + .02f, d - .02f), .004f);
        }
        s->mat = m->wood_mat;
        vr_box(s, v3(-w / 2 + .03f, .13f, .03f), v3(w / 2 - .03f, .145f, d - .03f),
               .003f);
        s->to = &s->veil;
        vr_m_glass(s);
        vr_box(s, v3(-w / 2, h - .01f, 0), v3(w / 2, h, d), 0);
        s->to = &s->solid;
        return obj;
    }
    s->mat = m->wood_mat;
    vr_box(s, v3(-w / 2, h - .04f, 0), v3(w / 2, h, d), .008f);
    if (style == 3)
        vr_box(s, v3(-w / 2 + .04f, .14f, .04f), v3(w / 2 - .04f, .165f, d - .04f),
               .006f);
    s->mat = style == 4 ? m->metal_mat : m->wood_mat;
    for (int i = 0; i < 4; i++)
        vr_block(s, v3((i & 1 ? 1.f : -1.f) * (w / 2 - .05f), 0, i & 2 ? d - .05f : .05f),
                 v3(.05f, h - .03f, .05f), .006f);
    return obj;
}

int vr_table(room *m, float w, float d, float h, int style)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_TABLE, m->wood_name, S_WOOD);

    s->mat = m->wood_mat;
    if (style == 1) { /* round on one foot */
        s->at = frame_move(s->at, v3(0, 0, d / 2), 0);
        const float R = fminf(w, d) / 2;
        const float top[6][2] = { { 0, h - .035f }, { R - .01f, h - .035f },
                                  { R, h - .025f }, { R, h - .01f },
                                  { R - .01f, h },  { 0, h } };
        const float foot[7][2] = { { 0, .0f },        { .3f, 0 },    { .3f, .02f },
                                   { .08f, .06f },    { .05f, .2f }, { .06f, h - .1f },
                                   { .12f, h - .03f } };
        vr_lathe(s, top, 6, 48);
        vr_lathe(s, foot, 7, 32);
        return obj;
    }
    vr_box(s, v3(-w / 2, h - .04f, 0), v3(w / 2, h, d), .009f);
    vr_box(s, v3(-w / 2 + .07f, h - .12f, .06f), v3(w / 2 - .07f, h - .035f, .08f),
           .004f);
    vr_box(s, v3(-w / 2 + .07f, h - .12f, d - .08f),
           v3(w / 2 - .07f, h - .035f, d - .06f), .004f);
    for (int i = 0; i < 4; i++) {
        const float x = (i & 1 ? 1.f : -1.f) * (w / 2 - .07f),
                    z = i & 2 ? d - .07f : .07f;
        if (style == 2)
            vr_rod(s, v3(x * 1.04f, 0, z), v3(x, h - .03f, z), .02f, .035f, 14);
        else
            vr_block(s, v3(x, 0, z), v3(.07f, h - .03f, .07f), .008f);
    }
    return obj;
}

/* Front of a drawer or door with a handle. */
static void front(room *m, float x0, float x1, float y0, float y1, float z, int mat,
                  bool drawer)
{
    scene *s = m->s;

    s->mat = mat;
    vr_box(s, v3(x0 + .003f, y0 + .003f, z - .018f), v3(x1 - .003f, y1 - .003f, z),
           .003f);
    s->mat = m->metal_mat;
    const float cx = (x0 + x1) / 2, cy = drawer ? (y0 + y1) / 2 : y0 + (y1 - y0) * .55f;
    if (drawer) {
        vr_rod(s, v3(cx - .06f, cy, z + .025f), v3(cx + .06f, cy, z + .025f), .005f,
               .005f, 8);
        vr_rod(s, v3(cx - .05f, cy, z - .002f), v3(cx - .05f, cy, z + .025f), .004f,
               .004f, 6);
        vr_rod(s, v3(cx + .05f, cy, z - .002f), v3(cx + .05f, cy, z + .025f), .004f,
               .004f, 6);
    } else {
        const float hx = x1 - .05f;
        vr_rod(s, v3(hx, cy - .07f, z + .025f), v3(hx, cy + .07f, z + .025f), .005f,
               .005f, 8);
        vr_rod(s, v3(hx, cy - .06f, z - .002f), v3(hx, cy - .06f, z + .025f), .004f,
               .004f, 6);
        vr_rod(s, v3(hx, cy + .06f, z - .002f), v3(hx, cy + .06f, z + .025f), .004f,
               .004f, 6);
    }
}

int vr_desk(room *m, float w)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_DESK, m->wood_name, S_WOOD);
    const float d = .68f, h = .74f;
    const int drawers = chance(m->r, .7f);

    s->mat = m->wood_mat;
    const int top = s->mat;
    vr_box(s, v3(-w / 2, h - .03f, 0), v3(w / 2, h, d), .006f);
    s->mat = chance(m->r, .5f) ? m->metal_mat : top;
    for (int i = 0; i < 4; i++)
        vr_block(s, v3((i & 1 ? 1.f : -1.f) * (w / 2 - .04f), 0, i & 2 ? d - .05f : .05f),
                 v3(.045f, h - .02f, .045f), .005f);
    if (drawers) {
        const float x0 = w / 2 - .48f, x1 = w / 2 - .07f;
        s->mat = m->white_mat;
        vr_box(s, v3(x0, .1f, .06f), v3(x1, h - .04f, d - .06f), .004f);
        for (int i = 0; i < 3; i++)
            front(m, x0, x1, .12f + .19f * (float)i, .3f + .19f * (float)i, d - .04f,
                  m->white_mat, true);
    }
    return obj;
}

int vr_side_table(room *m)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_SIDE_TABLE, m->wood_name, S_WOOD);

    s->mat = m->wood_mat;
    vr_box(s, v3(-.23f, .5f, 0), v3(.23f, .53f, .4f), .006f);
    if (chance(m->r, .6f)) {
        vr_box(s, v3(-.21f, .2f, .02f), v3(.21f, .5f, .37f), .005f);
        front(m, -.21f, .21f, .36f, .49f, .39f, m->wood_mat, true);
        front(m, -.21f, .21f, .21f, .35f, .39f, m->wood_mat, true);
    }
    s->mat = m->wood_mat;
    for (int i = 0; i < 4; i++)
        vr_rod(s, v3((i & 1 ? 1.f : -1.f) * .19f, 0, i & 2 ? .36f : .04f),
               v3((i & 1 ? 1.f : -1.f) * .18f, .5f, i & 2 ? .35f : .05f), .012f, .018f,
               8);
    return obj;
}

int vr_wardrobe(room *m, float w, int colour)
{
    scene *s = m->s;
    const bool wood = colour < 0;
    const int obj =
        vr_object(s, T_WARDROBE, wood ? m->wood_name : colour, wood ? S_WOOD : 0);
    const int mat = wood ? m->wood_mat : vr_m_paint(s, vr_paint(colour, m->r), .35f);
    const float h = rnd_in(m->r, 1.95f, 2.15f), d = .6f;
    const int n = w > 1.4f ? 3 : 2;

    s->mat = mat;
    vr_box(s, v3(-w / 2, .06f, 0), v3(w / 2, h, d - .03f), .006f);
    vr_box(s, v3(-w / 2 - .015f, h, -.01f), v3(w / 2 + .015f, h + .05f, d), .012f);
    vr_box(s, v3(-w / 2 + .02f, 0, .03f), v3(w / 2 - .02f, .07f, d - .07f), 0);
    for (int i = 0; i < n; i++) {
        const float x0 = -w / 2 + w * (float)i / (float)n, x1 = x0 + w / (float)n;
        front(m, x0, x1, .07f, h, d - .01f, mat, false);
        s->mat = mat;
        vr_box(s, v3(x0 + .09f, h * .5f, d - .02f), v3(x1 - .09f, h - .1f, d + .002f),
               .01f);
        vr_box(s, v3(x0 + .09f, .17f, d - .02f), v3(x1 - .09f, h * .45f, d + .002f),
               .01f);
    }
    return obj;
}

int vr_dresser(room *m, float w)
{
    scene *s = m->s;
    const bool wood = chance(m->r, .6f);
    const int colour = wood ? m->wood_name : rnd_int(m->r, COLOURS);
    const int obj = vr_object(s, T_DRESSER, colour, wood ? S_WOOD : 0);
    const int mat = wood ? m->wood_mat : vr_m_paint(s, vr_paint(colour, m->r), .35f);
    const float h = rnd_in(m->r, .75f, .95f), d = .46f;

    s->mat = mat;
    vr_box(s, v3(-w / 2, .1f, 0), v3(w / 2, h - .02f, d - .02f), .005f);
    vr_box(s, v3(-w / 2 - .012f, h - .025f, 0), v3(w / 2 + .012f, h, d + .012f), .006f);
    for (int i = 0; i < 4; i++)
        vr_rod(s, v3((i & 1 ? 1.f : -1.f) * (w / 2 - .06f), 0, i & 2 ? d - .07f : .06f),
               v3((i & 1 ? 1.f : -1.f) * (w / 2 - .06f), .11f, i & 2 ? d - .07f : .06f),
               .016f, .024f, 8);
    const int cols = w > .9f ? 2 : 1;
    for (int j = 0; j < 3; j++)
        for (int i = 0; i < cols; i++) {
            const float x0 = -w / 2 + .01f + (w - .02f) * (float)i / (float)cols;
            front(m, x0, x0 + (w - .02f) / (float)cols, .11f + (h - .14f) * (float)j / 3,
                  .11f + (h - .14f) * (float)(j + 1) / 3, d, mat, true);
        }
    return obj;
}

void vr_book_row(room *m, float w, float h, float depth)
{
    scene *s = m->s;
    rng *r = m->r;
    float x = -w / 2 + .01f;

    while (m->n_books < BOOK_MATS) { /* the covers of this room */
        const int c = chance(r, .35f) ? BROWN : rnd_int(r, COLOURS);
        const vec3 base = v3_mul(vr_paint(c, r), .85f);
        const vec3 band = chance(r, .5f) ? v3(.62f, .48f, .2f) : v3s(.68f);
        m->book_mats[m->n_books++] = vr_material(
            s, (material){ .kind = MAT_BOOK, .a = base, .b = band, .rough = .5f });
    }
    const int first = rnd_int(r, BOOK_MATS);
    float common = rnd_in(r, .6f, .9f);
    while (x < w / 2 - .05f) {
        const float t = rnd_in(r, .016f, .046f);
        if (chance(r, .035f)) {
            x += rnd_in(r, .08f, .16f);
            continue;
        }
        if (chance(r, .12f))
            common = rnd_in(r, .6f, .92f);
        const float bh = fminf(h - .02f, h * (common + .06f * rnd_gauss(r))),
                    bd = fminf(depth - .02f, rnd_in(r, .15f, .21f));
        if (x + t > w / 2 - .005f)
            break;
        s->mat = m->book_mats[(first + rnd_int(r, 12)) % BOOK_MATS];
        const frame keep = s->at;
        if (chance(r, .04f) && x + .12f < w / 2) {
            s->at = frame_roll(frame_move(keep, v3(x + .09f, 0, 0), 0), 11);
            vr_box(s, v3(-t, 0, depth - bd - .02f), v3(0, bh * .95f, depth - .02f),
                   .003f);
            x += .09f;
        } else {
            vr_box(s, v3(x, 0, depth - bd - rnd_in(r, .01f, .03f)),
                   v3(x + t - .001f, bh, depth - rnd_in(r, .015f, .03f)), .003f);
        }
        s->at = keep;
        x += t;
    }
}

int vr_shelf(room *m, float w, float h, int style)
{
    scene *s = m->s;
    rng *r = m->r;
    const bool wood = chance(r, .65f);
    const int colour = wood ? m->wood_name : chance(r, .6f) ? WHITE : rnd_int(r, COLOURS);
    const int obj = vr_object(s, T_BOOKSHELF, colour, wood ? S_WOOD : 0);
    const int mat = wood ? m->wood_mat : vr_m_paint(s, vr_paint(colour, r), .4f);
    const float d = .32f;
    const int rows = (int)(h / .36f + .5f), cols = w > 1.3f ? (int)(w / .85f + .5f) : 1;

    s->mat = mat;
    for (int i = 0; i <= cols; i++) {
        const float x = -w / 2 + .012f + (w - .024f) * (float)i / (float)cols;
        vr_box(s, v3(x - .012f, 0, 0), v3(x + .012f, h, d), .002f);
    }
    vr_box(s, v3(-w / 2, 0, 0), v3(w / 2, h, .008f), 0);
    for (int j = 0; j <= rows; j++) {
        const float y =
            j == rows ? h - .024f : .05f + (h - .075f) * (float)j / (float)rows;
        s->mat = mat;
        vr_box(s, v3(-w / 2 + .01f, y, .004f), v3(w / 2 - .01f, y + .024f, d - .002f),
               .002f);
        if (j == rows)
            break;
        const float gap = (h - .075f) / (float)rows - .03f;
        for (int i = 0; i < cols; i++) {
            const float cx = -w / 2 + w * ((float)i + .5f) / (float)cols,
                        cw = w / (float)cols - .03f;
            const frame keep = s->at;
            s->at = frame_move(keep, v3(cx, y + .024f, .01f), 0);
            const float t = rnd(r);
            if (style == 1 || t < .72f) {
                const float part = style == 1 || chance(r, .6f) ? 1 : rnd_in(r, .4f, .7f);
                s->at = frame_move(s->at, v3(-cw / 2 * (1 - part), 0, 0), 0);
                vr_book_row(m, cw * part, gap, d - .02f);
            } else if (t < .9f) {
                const int back = s->obj;
                s->at = frame_move(s->at, v3(rnd_in(r, -.2f, .2f) * cw, 0, .15f), 0);
                if (chance(r, .5f))
                    vr_vase(m, fminf(gap * .8f, .26f), rnd_int(r, COLOURS), false);
                else if (chance(r, .5f))
                    vr_plant(m, gap * .85f, 1);
                else
                    vr_statue(m);
                s->obj = back;
            }
            s->at = keep;
        }
    }
    s->obj = obj;
    return obj;
}

int vr_tv(room *m, float w, bool on)
{
    scene *s = m->s;
    rng *r = m->r;
    const float h = w * .57f, stand = rnd_in(r, .42f, .52f),
                sw = w * rnd_in(r, 1.15f, 1.45f);

    vr_object(s, T_CABINET, m->wood_name, S_WOOD);
    const bool white = chance(r, .35f);
    const int mat = white ? m->white_mat : m->wood_mat;
    if (white) {
        s->objs[s->obj].colour = WHITE;
        s->objs[s->obj].stuff = 0;
    }
    s->mat = mat;
    vr_box(s, v3(-sw / 2, .1f, 0), v3(sw / 2, stand, .42f), .006f);
    for (int i = 0; i < 4; i++)
        vr_block(s, v3((i & 1 ? 1.f : -1.f) * (sw / 2 - .08f), 0, i & 2 ? .36f : .06f),
                 v3(.05f, .11f, .05f), .005f);
    for (int i = 0; i < 3; i++)
        front(m, -sw / 2 + sw * (float)i / 3, -sw / 2 + sw * (float)(i + 1) / 3, .11f,
              stand - .02f, .435f, mat, true);
    const int obj = vr_object(s, T_TV, BLACK, 0);
    vr_m_paint(s, v3s(.016f), .18f);
    vr_box(s, v3(-w / 2, stand + .07f, .15f), v3(w / 2, stand + .07f + h, .19f), .006f);
    vr_box(s, v3(-.18f, stand, .1f), v3(.18f, stand + .012f, .26f), .004f);
    vr_box(s, v3(-.05f, stand, .15f), v3(.05f, stand + .1f, .17f), .004f);
    if (on) {
        vr_material(s, (material){ .kind = MAT_SCREEN,
                                   .style = rnd_int(r, 8),
                                   .a = vr_paint(rnd_int(r, COLOURS), r),
                                   .b = vr_paint(rnd_int(r, COLOURS), r),
                                   .c = vr_paint(rnd_int(r, COLOURS), r),
                                   .emit = v3s(rnd_in(r, .7f, 1.1f)),
                                   .rough = .1f });
        s->objs[obj].colour = NO_COLOUR;
    } else {
        vr_m_paint(s, v3s(.013f), .045f);
    }
    vr_card(s, v3(-w / 2 + .015f, stand + .09f, .1915f), v3(w - .03f, 0, 0),
            v3(0, h - .04f, 0));
    return obj;
}

int vr_fireplace(room *m, bool lit)
{
    scene *s = m->s;
    rng *r = m->r;
    const int what = rnd_int(r, 3);
    const int obj = vr_object(s, T_FIREPLACE, what == 0 ? NO_COLOUR : WHITE,
                              what == 0   ? S_BRICK
                              : what == 1 ? S_MARBLE
                                          : S_STONE);
    const float w = 1.4f, h = 1.12f, d = .36f;

    s->face_uv = true;
    if (what == 0)
        vr_material(s, (material){ .kind = MAT_BRICK,
                                   .a = v3(.34f, .12f, .07f),
                                   .b = v3(.22f, .09f, .06f),
                                   .c = v3(.42f, .4f, .36f),
                                   .rough = .85f });
    else if (what == 1)
        vr_material(
            s, (material){
                   .kind = MAT_MARBLE, .a = v3s(.72f), .b = v3s(.35f), .rough = .1f });
    else
        vr_m_paint(s, v3(.62f, .60f, .55f), .7f);
    const int mat = s->mat;
    vr_box(s, v3(-w / 2, 0, 0), v3(-w / 2 + .3f, h, d), .006f);
    vr_box(s, v3(w / 2 - .3f, 0, 0), v3(w / 2, h, d), .006f);
    vr_box(s, v3(-w / 2, h - .32f, 0), v3(w / 2, h, d), .006f);
    s->face_uv = false;
    vr_m_paint(s, v3s(.02f), .9f);
    vr_box(s, v3(-w / 2 + .3f, 0, 0), v3(w / 2 - .3f, h - .3f, .02f), 0);
    s->mat = chance(r, .5f) ? m->wood_mat : mat;
    vr_box(s, v3(-w / 2 - .08f, h, -.01f), v3(w / 2 + .08f, h + .06f, d + .08f), .012f);
    s->mat = mat;
    vr_box(s, v3(-w / 2 - .05f, 0, d - .01f), v3(w / 2 + .05f, .05f, d + .35f), .01f);
    vr_material(
        s, (material){ .kind = MAT_BARK, .a = v3(.09f, .055f, .035f), .rough = .9f });
    for (int i = 0; i < 4; i++)
        vr_rod(s,
               v3(-.24f + .03f * (float)i, .09f + .06f * (float)(i & 1),
                  .1f + .05f * (float)i),
               v3(.24f - .04f * (float)i, .1f + .07f * (float)(i >> 1),
                  .22f - .03f * (float)i),
               .045f, .04f, 10);
    if (lit) {
        for (int i = 0; i < 7; i++) {
            const float x = rnd_in(r, -.2f, .2f), top = rnd_in(r, .2f, .42f);
            vr_m_emit(s, v3(1.8f, .62f + .3f * rnd(r), .10f), true);
            const vec3 p[5] = { v3(x, .12f, .16f), v3(x + .03f, .17f, .16f),
                                v3(x - .02f, .22f, .17f), v3(x + .015f, top * .8f, .16f),
                                v3(x, top, .165f) };
            vr_tube(s, p, 5, .05f, .004f, 10);
        }
        vr_lamp_light(s, v3(0, .3f, .42f), .1f, .35f, v3(1, .48f, .15f));
    }
    const frame keep = s->at;
    s->at = frame_move(keep, v3(0, h + .06f, .1f), 0);
    vr_clutter(m, w * .9f, .2f, 3);
    s->at = keep;
    s->obj = obj;
    return obj;
}

int vr_piano(room *m)
{
    scene *s = m->s;
    const bool black = chance(m->r, .6f);
    const int obj =
        vr_object(s, T_PIANO, black ? BLACK : m->wood_name, black ? 0 : S_WOOD);
    const int mat = black ? vr_m_paint(s, v3s(.015f), .06f) : m->wood_mat;
    const float w = 1.5f;

    s->mat = mat;
    vr_box(s, v3(-w / 2, 0, 0), v3(w / 2, 1.2f, .34f), .01f);
    vr_box(s, v3(-w / 2 - .01f, 1.2f, -.01f), v3(w / 2 + .01f, 1.23f, .38f), .008f);
    vr_box(s, v3(-w / 2, .58f, .3f), v3(w / 2, .68f, .62f), .012f);
    for (int k = -1; k <= 1; k += 2) {
        vr_box(s, v3((float)k * (w / 2 - .04f) - .04f, .55f, .3f),
               v3((float)k * (w / 2 - .04f) + .04f, .78f, .6f), .012f);
        vr_block(s, v3((float)k * (w / 2 - .05f), 0, .57f), v3(.07f, .6f, .07f), .01f);
    }
    const int white = vr_m_paint(s, v3s(.78f), .15f),
              dark = vr_m_paint(s, v3s(.015f), .15f);
    for (int i = 0; i < 52; i++) {
        const float x = -w / 2 + .09f + (w - .18f) * (float)i / 52, kw = (w - .18f) / 52;
        s->mat = white;
        vr_box(s, v3(x + .0006f, .68f, .42f), v3(x + kw - .0006f, .70f, .6f), .002f);
        if (i % 7 != 2 && i % 7 != 6) {
            s->mat = dark;
            vr_box(s, v3(x + kw * .7f, .69f, .42f), v3(x + kw * 1.3f, .713f, .53f),
                   .002f);
        }
    }
    return obj;
}

int vr_trunk(room *m, int colour)
{
    scene *s = m->s;
    const bool wood = colour < 0;
    const int obj =
        vr_object(s, T_TRUNK, wood ? m->wood_name : colour, wood ? S_WOOD : S_LEATHER);

    if (wood)
        s->mat = m->wood_mat;
    else
        vr_m_leather(s, vr_paint(colour, m->r));
    vr_box(s, v3(-.45f, 0, 0), v3(.45f, .36f, .5f), .012f);
    vr_box(s, v3(-.46f, .365f, -.01f), v3(.46f, .5f, .51f), .05f);
    vr_m_metal(s, 1, .3f);
    for (int k = -1; k <= 1; k++)
        vr_box(s, v3((float)k * .32f - .025f, 0, -.012f),
               v3((float)k * .32f + .025f, .505f, .512f), .006f);
    vr_box(s, v3(-.05f, .3f, .5f), v3(.05f, .42f, .525f), .006f);
    return obj;
}

int vr_box_pile(room *m)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_BOX, BROWN, 0);
    float y = 0, w = .55f;

    for (int i = 0; i < 1 + rnd_int(m->r, 3); i++) {
        const float h = rnd_in(m->r, .24f, .38f);
        const frame keep = s->at;
        s->at = frame_move(keep, v3(0, y, .25f), rnd_in(m->r, -12, 12));
        vr_m_paint(s, v3_mul(v3(.40f, .27f, .15f), rnd_in(m->r, .85f, 1.1f)), .9f);
        vr_block(s, v3(0, 0, 0), v3(w, h, w * .8f), .004f);
        vr_m_paint(s, v3(.5f, .4f, .25f), .3f);
        vr_block(s, v3(0, .001f, 0), v3(.05f, h + .001f, w * .8f + .002f), 0);
        s->at = keep;
        y += h;
        w *= .85f;
    }
    return obj;
}
