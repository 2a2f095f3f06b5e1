/* Reports; see tools/eval/report.h.  Held as the JSON value that --json prints. */
#include "tools/eval/report.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/train/plot.h"

struct vbg_report {
    json_t *root, *samples;
    json_t *decimals; /* by name, for the table */
};

vbg_status vbg_report_new(vbg_report **out, const char *what, vbg_err *err)
{
    vbg_report *r = calloc(1, sizeof *r);

    if (r) {
        r->root = json_object();
        r->samples = json_object();
        r->decimals = json_object();
    }
    if (!r || !r->root || !r->samples || !r->decimals) {
        vbg_report_free(r);
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a report");
    }
    json_object_set_new(r->root, "measure", json_string(what));
    *out = r;
    return VBG_OK;
}

void vbg_report_free(vbg_report *r)
{
    if (!r)
        return;
    json_decref(r->root);
    json_decref(r->samples);
    json_decref(r->decimals);
    free(r);
}

/* JSON has neither infinity nor NaN. */
static json_t *real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

void vbg_report_real(vbg_report *r, const char *name, double value, int decimals)
{
    json_object_set_new(r->root, name, real(value));
    json_object_set_new(r->decimals, name, json_integer(decimals));
}

void vbg_report_int(vbg_report *r, const char *name, int64_t value)
{
    json_object_set_new(r->root, name, json_integer(value));
}

void vbg_report_text(vbg_report *r, const char *name, const char *value)
{
    json_t *s = json_string(value);

    json_object_set_new(r->root, name, s ? s : json_string("?")); /* not UTF-8 */
}

void vbg_report_sample(vbg_report *r, const char *sample, double value)
{
    json_object_set_new(r->samples, sample, real(value));
}

static void print_value(const char *name, const json_t *v, int decimals, int width)
{
    if (json_is_string(v))
        printf("%-*s  %s\n", width, name, json_string_value(v));
    else if (json_is_integer(v))
        printf("%-*s  %lld\n", width, name, (long long)json_integer_value(v));
    else if (json_is_real(v))
        printf("%-*s  %.*f\n", width, name, decimals, json_real_value(v));
    else
        printf("%-*s  -\n", width, name);
}

static int widest(json_t *object)
{
    size_t w = 0;

    for (void *i = json_object_iter(object); i; i = json_object_iter_next(object, i))
        w = strlen(json_object_iter_key(i)) > w ? strlen(json_object_iter_key(i)) : w;
    return w > 48 ? 48 : (int)w;
}

static void print_table(const vbg_report *r, bool samples)
{
    int w = widest(r->root);

    for (void *i = json_object_iter(r->root); i; i = json_object_iter_next(r->root, i)) {
        const char *name = json_object_iter_key(i);
        json_t *d = json_object_get(r->decimals, name);
        print_value(name, json_object_iter_value(i), d ? (int)json_integer_value(d) : 4,
                    w);
    }
    w = widest(r->samples);
    for (void *i = samples ? json_object_iter(r->samples) : NULL; i;
         i = json_object_iter_next(r->samples, i))
        print_value(json_object_iter_key(i), json_object_iter_value(i), 4, w);
}

vbg_status vbg_report_print(const vbg_report *r, bool json, bool samples, vbg_err *err)
{
    if (!json) {
        print_table(r, samples);
        return VBG_OK;
    }
    json_t *all = json_copy(r->root);
    char *text = NULL;
    if (all && json_object_size(r->samples))
        json_object_set(all, "samples", r->samples);
    if (all)
        text = json_dumps(all, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    json_decref(all);
    if (!text)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for the report");
    printf("%s\n", text);
    free(text);
    return VBG_OK;
}

/* ---- plot ---- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The finite values in order over 0..100 %. */
static void sorted_curve(const vbg_report *r, vbg_curve *c)
{
    for (void *i = json_object_iter(r->samples); i;
         i = json_object_iter_next(r->samples, i))
        if (json_is_real(json_object_iter_value(i)))
            c->y[c->count++] = json_real_value(json_object_iter_value(i));
    qsort(c->y, c->count, sizeof *c->y, ascending);
    for (size_t i = 0; i < c->count; i++)
        c->x[i] = 100 * ((double)i + 0.5) / (double)c->count;
}

vbg_status vbg_report_plot(const vbg_report *r, const char *path, vbg_err *err)
{
    const char *what = json_string_value(json_object_get(r->root, "measure"));
    const size_t room = json_object_size(r->samples);
    vbg_curve c = { .room = room };
    vbg_plot p = { .run = { { .curve = &c, .count = 1 } },
                   .runs = 1,
                   .panels = 1,
                   .across = "share of the samples, %",
                   .note = "every sample's value, from the lowest to the highest" };

    if (room == 0)
        return vbg_fail(err, VBG_EUSAGE, "--plot: %s has no samples to plot", what);
    snprintf(c.name, sizeof c.name, "%s", what);
    snprintf(p.panel[0], sizeof p.panel[0], "%s", what);
    snprintf(p.run[0].label, sizeof p.run[0].label, "%zu samples", room);
    c.x = malloc(2 * room * sizeof *c.x);
    if (!c.x)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a plot");
    c.y = c.x + room;
    sorted_curve(r, &c);
    vbg_status st =
        c.count ? vbg_plot_write(&p, path, err)
                : vbg_fail(err, VBG_EFORMAT, "--plot: no sample of %s is a number", what);
    free(c.x);
    return st;
}
