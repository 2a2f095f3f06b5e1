/* Plots with cairo: one drawing for PNG and SVG. */
#include "tools/train/plot.h"

#include <string.h>

static bool has_suffix(const char *path, const char *suffix)
{
    size_t n = strlen(path), k = strlen(suffix);

    return n > k && strcmp(path + n - k, suffix) == 0;
}

bool vbg_plot_suffix(const char *path)
{
    return has_suffix(path, ".png") || has_suffix(path, ".svg");
}

#ifdef VBG_HAVE_CAIRO

#include <cairo-svg.h>
#include <cairo.h>
#include <math.h>
#include <stdio.h>

enum {
    PANEL_W = 560,
    PANEL_H = 330,
    LEGEND = 46,
    LEFT = 66,
    RIGHT = 18,
    TOP = 34,
    BOTTOM = 40
};

typedef struct colour {
    double r, g, b;
} colour;

/* Distinct for most kinds of colour vision (Okabe and Ito 2008). */
static const colour palette[VBG_PLOT_LOGS] = {
    { 0.00, 0.45, 0.70 }, { 0.84, 0.37, 0.00 }, { 0.00, 0.62, 0.45 },
    { 0.80, 0.47, 0.65 }, { 0.90, 0.62, 0.00 }, { 0.34, 0.71, 0.91 },
    { 0.35, 0.35, 0.35 }, { 0.60, 0.55, 0.00 },
};

/* A panel: pixels of its inside and what they mean. */
typedef struct frame {
    cairo_t *c;
    const vbg_plot *p;
    const char *name;
    double x, y, w, h;
    double x0, x1, y0, y1;
    bool logarithmic;
} frame;

static const vbg_curve *find(const vbg_history *h, const char *prefix, const char *name)
{
    size_t n = strlen(prefix);

    for (size_t i = 0; i < h->count; i++)
        if (strncmp(h->curve[i].name, prefix, n) == 0 &&
            strcmp(h->curve[i].name + n, name) == 0)
            return &h->curve[i];
    return NULL;
}

static double up(const frame *f, double v)
{
    return f->logarithmic ? log10(v) : v;
}

static double px(const frame *f, double v)
{
    return f->x + f->w * (v - f->x0) / (f->x1 - f->x0);
}

static double py(const frame *f, double v)
{
    double at = (up(f, v) - up(f, f->y0)) / (up(f, f->y1) - up(f, f->y0));

    return f->y + f->h * (1 - fmin(fmax(at, -0.02), 1.02));
}

/* Range of all curves; the first twentieth of a curve may leave it above. */
static bool set_range(frame *f)
{
    static const char *const prefix[2] = { "", "val/" };
    double low = INFINITY, high = -INFINITY, all = -INFINITY;

    f->x0 = 0;
    f->x1 = 1;
    for (int i = 0; i < f->p->runs; i++)
        for (int k = 0; k < 2; k++) {
            const vbg_curve *c = find(&f->p->run[i], prefix[k], f->name);
            for (size_t j = 0; c && j < c->count; j++) {
                f->x1 = fmax(f->x1, c->x[j]);
                low = fmin(low, c->y[j]);
                all = fmax(all, c->y[j]);
                if (j >= c->count / 20)
                    high = fmax(high, c->y[j]);
            }
        }
    if (!isfinite(low) || !isfinite(high))
        return false;
    high = fmin(fmax(high, low), all);
    f->logarithmic = low > 0 && high / low > 30;
    double room = f->logarithmic ? 0 : 0.06 * (high - low);
    if (high == low)
        room = fmax(fabs(high) * 0.1, 1e-6);
    f->y0 = f->logarithmic ? low / 1.15 : low - room;
    f->y1 = f->logarithmic ? high * 1.15 : high + room;
    return true;
}

/* ---- axes ---- */

/* 1, 2 or 5 times a power of ten that cuts span into about n. */
static double nice(double span, int n)
{
    double raw = span / n, unit = pow(10, floor(log10(raw))), k = raw / unit;

    return unit * (k < 1.5 ? 1 : k < 3.5 ? 2 : k < 7.5 ? 5 : 10);
}

static void text(const frame *f, double x, double y, const char *s, double align)
{
    cairo_text_extents_t e;

    cairo_text_extents(f->c, s, &e);
    cairo_move_to(f->c, x - align * e.x_advance, y);
    cairo_show_text(f->c, s);
}

static void line(const frame *f, double x0, double y0, double x1, double y1)
{
    cairo_move_to(f->c, x0, y0);
    cairo_line_to(f->c, x1, y1);
    cairo_stroke(f->c);
}

static void grey(const frame *f, double v)
{
    cairo_set_source_rgb(f->c, v, v, v);
}

static void number(char *s, size_t size, double v)
{
    if (fabs(v) >= 1e6)
        snprintf(s, size, "%.3gM", v / 1e6);
    else if (fabs(v) >= 1e4)
        snprintf(s, size, "%.4gk", v / 1e3);
    else
        snprintf(s, size, "%.4g", v);
}

static void tick_x(const frame *f, double v)
{
    char s[32];

    grey(f, 0.9);
    line(f, px(f, v), f->y, px(f, v), f->y + f->h);
    number(s, sizeof s, v);
    grey(f, 0.3);
    text(f, px(f, v), f->y + f->h + 16, s, 0.5);
}

static void tick_y(const frame *f, double v)
{
    char s[32];

    grey(f, 0.9);
    line(f, f->x, py(f, v), f->x + f->w, py(f, v));
    number(s, sizeof s, v);
    grey(f, 0.3);
    text(f, f->x - 6, py(f, v) + 4, s, 1);
}

static void axes(const frame *f)
{
    double dx = nice(f->x1 - f->x0, 6), dy = nice(f->y1 - f->y0, 5);

    cairo_set_line_width(f->c, 1);
    cairo_set_font_size(f->c, 11);
    for (double v = ceil(f->x0 / dx) * dx; v <= f->x1; v += dx)
        tick_x(f, v);
    if (f->logarithmic) {
        static const double of[3] = { 1, 2, 5 };
        for (double ten = pow(10, floor(log10(f->y0))); ten <= f->y1; ten *= 10)
            for (int k = 0; k < 3; k++)
                if (of[k] * ten >= f->y0 && of[k] * ten <= f->y1)
                    tick_y(f, of[k] * ten);
    } else {
        for (double k = ceil(f->y0 / dy); k * dy <= f->y1; k++)
            tick_y(f, k * dy);
    }
    grey(f, 0.5);
    cairo_rectangle(f->c, f->x, f->y, f->w, f->h);
    cairo_stroke(f->c);
    grey(f, 0.1);
    cairo_set_font_size(f->c, 14);
    text(f, f->x, f->y - 9, f->name, 0);
    cairo_set_font_size(f->c, 11);
    grey(f, 0.3);
    text(f, f->x + f->w, f->y + f->h + 31, f->p->across ? f->p->across : "steps", 1);
}

/* ---- curves ---- */

/* Moving average whose start is not pulled to the first value; keep 0: raw. */
static void path(const frame *f, const vbg_curve *c, double keep)
{
    double sum = 0, weight = 0;

    for (size_t i = 0; i < c->count; i++) {
        if (f->logarithmic && !(c->y[i] > 0))
            continue;
        sum = keep * sum + (1 - keep) * c->y[i];
        weight = keep * weight + (1 - keep);
        cairo_line_to(f->c, px(f, c->x[i]), py(f, sum / weight));
    }
    cairo_stroke(f->c);
}

static void paint(const frame *f, colour k, double alpha, double width)
{
    cairo_set_source_rgba(f->c, k.r, k.g, k.b, alpha);
    cairo_set_line_width(f->c, width);
}

static void curves(const frame *f)
{
    for (int i = 0; i < f->p->runs; i++) {
        const vbg_curve *t = find(&f->p->run[i], "", f->name);
        const vbg_curve *v = find(&f->p->run[i], "val/", f->name);
        double back = t ? f->p->smooth * (double)t->count : 0;
        if (t && back > 1) {
            paint(f, palette[i], 0.25, 1);
            path(f, t, 0);
        }
        if (t) {
            paint(f, palette[i], 1, 1.6);
            path(f, t, back > 1 ? 1 - 1 / back : 0);
        }
        for (size_t k = 0; v && k < v->count; k++) {
            if (f->logarithmic && !(v->y[k] > 0))
                continue;
            paint(f, palette[i], 1, 1.4);
            cairo_arc(f->c, px(f, v->x[k]), py(f, v->y[k]), v->count > 60 ? 1.2 : 2.4, 0,
                      6.2832);
            cairo_fill(f->c);
        }
        if (v) {
            const double dash[2] = { 5, 3 };
            paint(f, palette[i], 0.8, 1.2);
            cairo_set_dash(f->c, dash, 2, 0);
            path(f, v, 0);
            cairo_set_dash(f->c, NULL, 0, 0);
        }
    }
}

static void draw_panel(cairo_t *c, const vbg_plot *p, int i, double left, double top)
{
    frame f = { .c = c,
                .p = p,
                .name = p->panel[i],
                .x = left + LEFT,
                .y = top + TOP,
                .w = PANEL_W - LEFT - RIGHT,
                .h = PANEL_H - TOP - BOTTOM };

    if (!set_range(&f))
        return;
    axes(&f);
    cairo_save(c);
    cairo_rectangle(c, f.x, f.y - 1, f.w, f.h + 2);
    cairo_clip(c);
    curves(&f);
    cairo_restore(c);
}

/* Names of the logs in their colours; what dots and dashes are. */
static void legend(cairo_t *c, const vbg_plot *p)
{
    frame f = { .c = c, .p = p };
    double x = LEFT;

    cairo_set_font_size(c, 13);
    for (int i = 0; i < p->runs; i++) {
        cairo_text_extents_t e;
        paint(&f, palette[i], 1, 3);
        line(&f, x, 24, x + 22, 24);
        grey(&f, 0.1);
        text(&f, x + 28, 28, p->run[i].label, 0);
        cairo_text_extents(c, p->run[i].label, &e);
        x += 28 + e.x_advance + 24;
    }
    grey(&f, 0.4);
    cairo_set_font_size(c, 11);
    text(&f, x, 28,
         p->note ? p->note
                 : "line: training, smoothed over faint raw values;  dots: held-out",
         0);
}

static int columns(const vbg_plot *p)
{
    return p->panels > 1 ? 2 : 1;
}

static void draw(cairo_t *c, const vbg_plot *p)
{
    cairo_set_source_rgb(c, 1, 1, 1);
    cairo_paint(c);
    cairo_select_font_face(c, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_line_join(c, CAIRO_LINE_JOIN_ROUND);
    legend(c, p);
    for (int i = 0; i < p->panels; i++)
        draw_panel(c, p, i, i % columns(p) * (double)PANEL_W,
                   LEGEND + (double)(i / columns(p) * PANEL_H));
}

/* ---- files ---- */

typedef struct sink {
    vbg_file *file;
    vbg_err *err;
    vbg_status st;
} sink;

static cairo_status_t put(void *arg, const unsigned char *data, unsigned bytes)
{
    sink *s = arg;

    if (s->st == VBG_OK)
        s->st = vbg_file_write(s->file, data, bytes, s->err);
    return s->st == VBG_OK ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

vbg_status vbg_plot_write(const vbg_plot *p, const char *path, vbg_err *err)
{
    const bool svg = has_suffix(path, ".svg");
    const int w = columns(p) * PANEL_W, rows = (p->panels + columns(p) - 1) / columns(p);
    const int h = LEGEND + rows * PANEL_H, scale = svg ? 1 : 2;
    sink s = { .err = err };

    if (!vbg_plot_suffix(path))
        return vbg_fail(err, VBG_EUSAGE, "%s: plots are .png or .svg", path);
    s.st = vbg_file_create(&s.file, path, err);
    if (s.st != VBG_OK)
        return s.st;
    cairo_surface_t *to =
        svg ? cairo_svg_surface_create_for_stream(put, &s, w, h)
            : cairo_image_surface_create(CAIRO_FORMAT_RGB24, w * scale, h * scale);
    cairo_t *c = cairo_create(to);
    cairo_scale(c, scale, scale);
    draw(c, p);
    cairo_status_t made = cairo_status(c);
    cairo_destroy(c);
    if (!svg && made == CAIRO_STATUS_SUCCESS)
        made = cairo_surface_write_to_png_stream(to, put, &s);
    cairo_surface_finish(to); /* writes an SVG */
    cairo_surface_destroy(to);
    if (s.st == VBG_OK && made != CAIRO_STATUS_SUCCESS)
        s.st = vbg_fail(err, VBG_ENOMEM, "%s: %s", path, cairo_status_to_string(made));
    if (s.st == VBG_OK)
        return vbg_file_commit(s.file, err);
    vbg_file_abort(s.file);
    return s.st;
}

#else

vbg_status vbg_plot_write(const vbg_plot *p, const char *path, vbg_err *err)
{
    (void)p;
    if (!vbg_plot_suffix(path))
        return vbg_fail(err, VBG_EUSAGE, "%s: plots are .png or .svg", path);
    return vbg_fail(
        err, VBG_EUNSUPPORTED,
        "this build cannot draw plots: install libcairo2-dev and build again");
}

#endif
