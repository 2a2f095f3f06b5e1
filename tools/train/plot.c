/* Reading of logs for plots, and vbg-train plot; see tools/train/plot.h. */
#define _GNU_SOURCE
#include "tools/train/plot.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/options.h"
#include "tools/train/commands.h"

enum { MAX_LOG_MB = 1024 };

/* ---- reading ---- */

static vbg_curve *curve_of(vbg_history *h, const char *name)
{
    for (size_t i = 0; i < h->count; i++)
        if (strcmp(h->curve[i].name, name) == 0)
            return &h->curve[i];
    vbg_curve *more = realloc(h->curve, (h->count + 1) * sizeof *more);
    if (!more)
        return NULL;
    h->curve = more;
    more[h->count] = (vbg_curve){ .count = 0 };
    snprintf(more[h->count].name, sizeof more->name, "%s", name);
    return &more[h->count++];
}

/* A step that comes again cuts off what was after it: the training was resumed. */
static bool add_point(vbg_curve *c, double x, double y)
{
    while (c->count && c->x[c->count - 1] >= x)
        c->count--;
    if (c->count == c->room) {
        size_t room = c->room ? 2 * c->room : 256;
        double *xs = realloc(c->x, room * sizeof *xs);
        if (xs)
            c->x = xs;
        double *ys = realloc(c->y, room * sizeof *ys);
        if (ys)
            c->y = ys;
        if (!xs || !ys)
            return false;
        c->room = room;
    }
    c->x[c->count] = x;
    c->y[c->count++] = y;
    return true;
}

/* What describes the machine and not the learning. */
static bool left_out(const char *name)
{
    static const char *const names[] = { "step",   "time",  "epoch",  "images_per_s",
                                         "step_s", "eta_s", "data_s", "rss_mb" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool take_line(vbg_history *h, const char *line, size_t bytes)
{
    json_error_t why;
    json_t *o = json_loadb(line, bytes, 0, &why), *v;
    const char *key, *event = json_string_value(json_object_get(o, "event"));
    double step = json_number_value(json_object_get(o, "step"));
    bool ok = true;

    if (event && (strcmp(event, "train") == 0 || strcmp(event, "val") == 0))
        json_object_foreach(o, key, v)
        {
            vbg_curve *c = NULL;
            if (!json_is_number(v) || left_out(key))
                continue;
            c = curve_of(h, key);
            ok = ok && c && add_point(c, step, json_number_value(v));
        }
    json_decref(o);
    return ok;
}

/* The folder's name for DIR/log.jsonl, else the file's. */
static void set_label(vbg_history *h, const char *path)
{
    char copy[4300], *cut;

    snprintf(copy, sizeof copy, "%s", path);
    cut = strrchr(copy, '/');
    if (cut && strcmp(cut, "/log.jsonl") == 0)
        *cut = 0;
    cut = strrchr(copy, '/');
    snprintf(h->label, sizeof h->label, "%.79s", cut && cut[1] ? cut + 1 : copy);
}

static vbg_status read_log(vbg_history *h, const char *path, vbg_err *err)
{
    char inside[4200];
    struct stat info;
    vbg_map map;
    bool ok = true;

    snprintf(inside, sizeof inside, "%s", path);
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        snprintf(inside, sizeof inside, "%s/log.jsonl", path);
    vbg_status st = vbg_map_open(&map, inside, (uint64_t)MAX_LOG_MB << 20, err);
    if (st != VBG_OK)
        return st;
    set_label(h, inside);
    for (size_t at = 0; at < map.bytes && ok;) {
        const char *line = (const char *)map.data + at;
        const char *end = memchr(line, '\n', map.bytes - at);
        size_t n = end ? (size_t)(end - line) : map.bytes - at;
        ok = take_line(h, line, n);
        at += n + 1;
    }
    vbg_map_close(&map);
    return ok ? VBG_OK : vbg_fail(err, VBG_ENOMEM, "not enough memory for %s", inside);
}

/* ---- panels ---- */

static bool changes(const vbg_curve *c)
{
    for (size_t i = 1; i < c->count; i++)
        if (c->y[i] != c->y[0])
            return true;
    return false;
}

static void add_panel(vbg_plot *p, const char *name, size_t n)
{
    for (int i = 0; i < p->panels; i++)
        if (strlen(p->panel[i]) == n && strncmp(p->panel[i], name, n) == 0)
            return;
    if (p->panels < VBG_PLOT_PANELS)
        snprintf(p->panel[p->panels++], sizeof p->panel[0], "%.*s", (int)n, name);
}

static void choose_panels(vbg_plot *p, const char *only)
{
    for (const char *s = only; s && *s;) {
        size_t n = strcspn(s, ",");
        add_panel(p, s, n);
        s += n + (s[n] == ',');
    }
    if (only)
        return;
    add_panel(p, "loss", 4);
    for (int pass = 0; pass < 2; pass++) /* what steers the course comes last */
        for (int i = 0; i < p->runs; i++)
            for (size_t k = 0; k < p->run[i].count; k++) {
                const vbg_curve *c = &p->run[i].curve[k];
                const char *name = strncmp(c->name, "val/", 4) ? c->name : c->name + 4;
                bool steer = strcmp(name, "lr") == 0 || strcmp(name, "grad_norm") == 0;
                if (changes(c) && steer == (pass == 1))
                    add_panel(p, name, strlen(name));
            }
}

vbg_status vbg_plot_read(vbg_plot *p, const char *const *log, int count, const char *only,
                         vbg_err *err)
{
    vbg_status st = VBG_OK;
    size_t points = 0;

    *p = (vbg_plot){ .smooth = 0.03 };
    if (count > VBG_PLOT_LOGS)
        return vbg_fail(err, VBG_ELIMIT, "%d logs, %d at most", count, VBG_PLOT_LOGS);
    for (int i = 0; i < count && st == VBG_OK; i++)
        st = read_log(&p->run[p->runs++], log[i], err);
    for (int i = 0; i < p->runs; i++)
        for (size_t k = 0; k < p->run[i].count; k++)
            points += p->run[i].curve[k].count;
    if (st == VBG_OK && points == 0)
        st = vbg_fail(err, VBG_EFORMAT, "%s: no train or val lines", log[0]);
    if (st == VBG_OK)
        choose_panels(p, only);
    else
        vbg_plot_free(p);
    return st;
}

void vbg_plot_free(vbg_plot *p)
{
    for (int i = 0; i < p->runs; i++) {
        for (size_t k = 0; k < p->run[i].count; k++) {
            free(p->run[i].curve[k].x);
            free(p->run[i].curve[k].y);
        }
        free(p->run[i].curve);
    }
    *p = (vbg_plot){ .runs = 0 };
}

vbg_status vbg_plot_training(const char *folder, vbg_err *err)
{
    char path[4200];
    vbg_plot p;

    snprintf(path, sizeof path, "%s/loss.png", folder);
    vbg_status st = vbg_plot_read(&p, &folder, 1, NULL, err);
    if (st != VBG_OK)
        return st == VBG_EFORMAT ? VBG_OK : st;
    st = vbg_plot_write(&p, path, err);
    vbg_plot_free(&p);
    return st == VBG_EUNSUPPORTED ? VBG_OK : st;
}

/* ---- command ---- */

static const vbg_option options[] = {
    { "out", 'o', VBG_OPT_STRING, "FILE", "loss.png", NULL,
      "picture to write: .png, .svg", "plot", VBG_OPT_COMMON },
    { "only", 0, VBG_OPT_STRING, "NAMES", NULL, NULL,
      "panels, with commas: loss,miou (default: all that change)", "plot",
      VBG_OPT_COMMON },
    { "smooth", 0, VBG_OPT_REAL, "SHARE", "0.03", "0..1",
      "how much of a curve one smoothed point looks back on", "plot", VBG_OPT_COMMON },
    { 0 },
};

static vbg_status run(const vbg_values *v, vbg_err *err)
{
    const char *log[VBG_PLOT_LOGS];
    int count = (int)vbg_positionals(v);
    vbg_plot p = { .runs = 0 };

    if (count == 0)
        return vbg_fail(err, VBG_EUSAGE, "no log: vbg-train plot DIR/log.jsonl");
    for (int i = 0; i < count && i < VBG_PLOT_LOGS; i++)
        log[i] = vbg_positional(v, (size_t)i);
    vbg_status st = vbg_plot_read(&p, log, count, vbg_value(v, "only"), err);
    p.smooth = vbg_value_real(v, "smooth");
    if (st == VBG_OK)
        st = vbg_plot_write(&p, vbg_value(v, "out"), err);
    vbg_plot_free(&p);
    return st;
}

int vbg_train_plot(int argc, char **argv)
{
    const vbg_program program = {
        .name = "vbg-train plot",
        .purpose = "draws training logs: losses and measures over steps",
        .usage = "vbg-train plot [options] LOG...",
        .examples = { "vbg-train plot room/log.jsonl -o loss.svg",
                      "vbg-train plot run1 run2 --only loss,psnr -o compare.png" },
        .options = options,
        .max_positional = VBG_PLOT_LOGS
    };
    vbg_values *v = NULL;
    vbg_err err = { "" };

    vbg_message_start("vbg-train");
    int code = vbg_options_start(&v, &program, argc, argv);
    if (code >= 0)
        return code;
    vbg_message_setup(v);
    code = vbg_exit_code(run(v, &err), &err);
    vbg_values_free(v);
    return vbg_finish_output(code);
}
