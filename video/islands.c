/* Connected patches by runs of pixels: every row is cut into runs, runs that touch one of
 * the row above are joined (union-find), sums follow the roots.  See video/islands.h. */
#include "video/islands.h"

#include <stdlib.h>

typedef struct run {
    int from, to; /* columns [from, to) */
    int parent;   /* another run of the same patch, or itself */
    float sum;    /* of a root: of the whole patch */
} run;

struct vbg_islands {
    run *run;   /* at most (w + 1) / 2 in a row */
    int *first; /* of every row, and one more: the number of all */
};

vbg_status vbg_islands_new(vbg_islands **out, int w, int h, vbg_err *err)
{
    vbg_islands *d = calloc(1, sizeof *d);

    *out = NULL;
    if (d) {
        d->run = malloc((size_t)((w + 1) / 2) * (size_t)h * sizeof *d->run);
        d->first = malloc(((size_t)h + 1) * sizeof *d->first);
    }
    if (!d || !d->run || !d->first) {
        vbg_islands_free(d);
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    }
    *out = d;
    return VBG_OK;
}

void vbg_islands_free(vbg_islands *d)
{
    if (!d)
        return;
    free(d->run);
    free(d->first);
    free(d);
}

/* Root of run i; the way there is halved for the next time. */
static int root_of(run *r, int i)
{
    while (r[i].parent != i)
        i = r[i].parent = r[r[i].parent].parent;
    return i;
}

static void join(run *r, int a, int b)
{
    a = root_of(r, a);
    b = root_of(r, b);
    if (a == b)
        return;
    r[b].parent = a;
    r[a].sum += r[b].sum;
}

/* The runs of one row, from number n on; returns the next number. */
static int find_runs(run *r, int n, const float *row, int w, float veil)
{
    for (int x = 0; x < w; x++) {
        if (!(row[x] > veil))
            continue;
        run *now = &r[n];
        *now = (run){ .from = x, .parent = n };
        for (; x < w && row[x] > veil; x++)
            now->sum += row[x];
        now->to = x;
        n++;
    }
    return n;
}

/* Joins the runs [a, b) with those of the next row, [b, end). */
static void join_rows(run *r, int a, int b, int end)
{
    for (int i = a, k = b; i < b && k < end;) {
        if (r[i].from < r[k].to && r[k].from < r[i].to)
            join(r, i, k);
        if (r[i].to < r[k].to)
            i++;
        else
            k++;
    }
}

void vbg_islands_drop(vbg_islands *d, vbg_image *mask, float veil, double share)
{
    run *r = d->run;
    float largest = 0;

    d->first[0] = 0;
    for (int y = 0; y < mask->h; y++) {
        const int from = d->first[y];
        d->first[y + 1] = find_runs(r, from, vbg_image_row(mask, y), mask->w, veil);
        if (y)
            join_rows(r, d->first[y - 1], from, d->first[y + 1]);
    }
    for (int i = 0; i < d->first[mask->h]; i++)
        if (r[i].parent == i && r[i].sum > largest)
            largest = r[i].sum;
    for (int y = 0; y < mask->h; y++)
        for (int i = d->first[y]; i < d->first[y + 1]; i++)
            if (r[root_of(r, i)].sum < (float)share * largest)
                for (int x = r[i].from; x < r[i].to; x++)
                    vbg_image_row(mask, y)[x] = 0;
}
