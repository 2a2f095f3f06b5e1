/* Verdicts over rooms; see tools/judge/verdict.h. */
#include "tools/judge/verdict.h"

#include <math.h>
#include <string.h>

#include "tools/rooms/palette.h"

/* Half of what the captions ask of a thing of 1 % (tools/rooms/captions.c): the map's
 * soft borders lose about as much. */
const double VBG_VERDICT_SHARE = 0.005;
/* Of a view's solid angle, summed over the views: less is no region. */
static const double SMALLEST_REGION = 0.02;

void vbg_judge_names_of(vbg_judge_names *n, const vbg_judge *j)
{
    n->labels = vbg_judge_labels(j);
    n->kinds = vbg_judge_kinds(j);
    for (int i = 0; i < n->labels; i++)
        n->label[i] = vbg_judge_label(j, i);
    for (int i = 0; i < n->kinds; i++)
        n->kind[i] = vbg_judge_kind(j, i);
}

static int find(const char *const *list, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(list[i], name) == 0)
            return i;
    return -1;
}

int vbg_judge_find_label(const vbg_judge_names *n, const char *name)
{
    return find(n->label, n->labels, name);
}

int vbg_judge_find_kind(const vbg_judge_names *n, const char *name)
{
    return find(n->kind, n->kinds, name);
}

/* Linear light of a cell's pixels, summed. */
static vec3 cell_light(const vbg_picture *p, int x0, int y0)
{
    vec3 sum = { 0, 0, 0 };

    for (int y = y0; y < y0 + VBG_JUDGE_CELL; y++)
        for (int x = x0; x < x0 + VBG_JUDGE_CELL; x++) {
            const uint8_t *v = p->data + (size_t)y * p->stride + (size_t)(3 * x);
            sum = v3_add(sum, vr_srgb_to_linear(v[0], v[1], v[2]));
        }
    return v3_mul(sum, 1.f / (VBG_JUDGE_CELL * VBG_JUDGE_CELL));
}

/* One place of the map: its light goes to the region it belongs to. */
static void add_cell(vbg_verdict *v, const int *region, const float *p, int labels,
                     vec3 colour, double omega)
{
    double share[VBG_REGIONS] = { 0 };

    for (int i = 0; i < labels; i++)
        if (region[i] >= 0)
            share[region[i]] += (double)p[i];
    for (int r = 0; r < VBG_REGIONS; r++) {
        if (share[r] < 0.5) /* borders mix colours */
            continue;
        v->light[r][0] += omega * (double)colour.x;
        v->light[r][1] += omega * (double)colour.y;
        v->light[r][2] += omega * (double)colour.z;
        v->weight[r] += omega;
    }
    v->luminance += omega * (.2126 * (double)colour.x + .7152 * (double)colour.y +
                             .0722 * (double)colour.z);
    v->total += omega;
}

void vbg_verdict_add(vbg_verdict *v, const vbg_judge_names *n, const vbg_judge_view *seen)
{
    const size_t places = (size_t)seen->cells * (size_t)seen->cells;
    double share[VBG_JUDGE_MAX_NAMES] = { 0 };
    int region[VBG_JUDGE_MAX_NAMES];

    for (int i = 0; i < n->labels; i++)
        region[i] = vbg_region_find(n->label[i]);
    for (size_t k = 0; k < places; k++) {
        const int x = (int)(k % (size_t)seen->cells), y = (int)(k / (size_t)seen->cells);
        const double u = (2 * x + 1.0) / seen->cells - 1,
                     w = (2 * y + 1.0) / seen->cells - 1;
        const float *p = seen->label + k * (size_t)n->labels;
        /* solid angle of a place of a view 90 degrees wide, the middle's being 1 */
        add_cell(v, region, p, n->labels,
                 cell_light(&seen->rgb, x * VBG_JUDGE_CELL, y * VBG_JUDGE_CELL),
                 pow(1 + u * u + w * w, -1.5) / (double)places);
        for (int i = 0; i < n->labels; i++)
            share[i] += (double)p[i] / (double)places;
    }
    for (int i = 0; i < n->labels; i++)
        v->share[i] = fmax(v->share[i], share[i]);
    for (int i = 0; i < n->kinds; i++)
        v->kind[i] += (double)seen->kind[i];
    v->views++;
}

int vbg_verdict_colour(const vbg_verdict *v, int region)
{
    const double w = v->weight[region];

    if (w < SMALLEST_REGION)
        return -1;
    const float gain = vr_luminance_gain((float)(v->luminance / v->total)) / (float)w;
    const vec3 sum = { (float)v->light[region][0], (float)v->light[region][1],
                       (float)v->light[region][2] };
    return vr_nearest_colour(v3_mul(sum, gain), NULL);
}

int vbg_verdict_kind(const vbg_verdict *v, const vbg_judge_names *n)
{
    int best = 0;

    for (int i = 1; i < n->kinds; i++)
        if (v->kind[i] > v->kind[best])
            best = i;
    return best;
}

bool vbg_verdict_has(const vbg_verdict *v, int label)
{
    return v->share[label] >= VBG_VERDICT_SHARE;
}

void vbg_score_add(vbg_score *s, const vbg_verdict *v, const vbg_judge_names *n,
                   const vbg_facts *f, const int *main, int n_main)
{
    for (int r = 0; r < VBG_REGIONS; r++)
        if (r != VBG_REGION_CEILING && f->colour[r] >= 0) {
            s->colours++;
            s->colour += vbg_verdict_colour(v, r) == f->colour[r];
        }
    s->kinds++;
    s->kind += vbg_verdict_kind(v, n) == vbg_judge_find_kind(n, f->kind);
    for (int i = 0; i < n_main; i++) {
        const double share = vbg_facts_share(f, n->label[main[i]]);
        if (strcmp(f->main, n->label[main[i]]) == 0) {
            s->mains++;
            s->found += vbg_verdict_has(v, main[i]);
        } else if (share <= 0) {
            s->absences++;
            s->refused += !vbg_verdict_has(v, main[i]);
        }
    }
}

static double share_of(long right, long asked)
{
    return asked ? (double)right / (double)asked : NAN;
}

double vbg_score_colour(const vbg_score *s)
{
    return share_of(s->colour, s->colours);
}

double vbg_score_kind(const vbg_score *s)
{
    return share_of(s->kind, s->kinds);
}

double vbg_score_things(const vbg_score *s)
{
    const double found = share_of(s->found, s->mains);
    const double refused = share_of(s->refused, s->absences);

    return isnan(refused) ? found : isnan(found) ? refused : (found + refused) / 2;
}
