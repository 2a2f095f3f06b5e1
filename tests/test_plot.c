/* Plots of training logs: what is read from a log, and that pictures come out. */
#define _GNU_SOURCE
#include "tools/train/plot.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/picture_io.h"

/* Steps 10 and 20 come again after a resume; a crash cut a line; NaN was logged. */
static const char log_text[] =
    "{\"event\":\"start\",\"step\":0}\n"
    "{\"event\":\"train\",\"step\":10,\"loss\":5.0,\"lr\":0.1,\"rss_mb\":7}\n"
    "{\"event\":\"train\",\"step\":20,\"loss\":9.0,\"lr\":0.1}\n"
    "{\"event\":\"train\",\"step\":30,\"lo\n"
    "{\"event\":\"train\",\"step\":20,\"loss\":4.0,\"lr\":0.1}\n"
    "{\"event\":\"train\",\"step\":30,\"loss\":null,\"lr\":0.1}\n"
    "{\"event\":\"val\",\"step\":30,\"val/loss\":3.5,\"val/psnr\":20}\n"
    "{\"event\":\"train\",\"step\":40,\"loss\":3.0,\"lr\":0.05}\n"
    "{\"event\":\"val\",\"step\":40,\"val/loss\":3.25,\"val/psnr\":21}\n";

static void write_log(char path[64])
{
    strcpy(path, "/tmp/vbg-plot-XXXXXX.jsonl");
    int fd = mkstemps(path, 6);
    cr_assert(fd >= 0 && write(fd, log_text, sizeof log_text - 1) > 0);
    close(fd);
}

Test(plot, later_lines_count)
{
    char path[64];
    const char *logs[1] = { path };
    vbg_plot p;
    vbg_err err = { "" };

    write_log(path);
    cr_assert(vbg_plot_read(&p, logs, 1, NULL, &err) == VBG_OK, "%s", err.text);
    cr_assert_eq(p.panels, 3);
    cr_assert_str_eq(p.panel[0], "loss");
    cr_assert_str_eq(p.panel[1], "psnr");
    cr_assert_str_eq(p.panel[2], "lr");
    const vbg_curve *c = &p.run[0].curve[0];
    cr_assert_eq(c->count, 3);
    cr_assert(c->x[1] == 20 && c->y[1] == 4 && c->x[2] == 40);
    vbg_plot_free(&p);
    unlink(path);
}

Test(plot, pictures_and_refusals)
{
    char path[64], out[80];
    const char *logs[2] = { path, path };
    vbg_plot p;
    vbg_err err = { "" };
    int w, h;

    write_log(path);
    cr_assert(vbg_plot_read(&p, logs, 2, "loss", &err) == VBG_OK, "%s", err.text);
    snprintf(out, sizeof out, "%s.bmp", path);
    cr_assert(vbg_plot_write(&p, out, &err) == VBG_EUSAGE);
    snprintf(out, sizeof out, "%s.png", path);
    vbg_status st = vbg_plot_write(&p, out, &err);
    if (st != VBG_EUNSUPPORTED) {
        vbg_picture_info info;
        err.text[0] = 0;
        cr_assert(st == VBG_OK &&
                  vbg_picture_read_info(&info, &w, &h, out, &err) == VBG_OK);
        cr_assert(w > 400 && h > 200);
        vbg_picture_info_free(&info);
        unlink(out);
        snprintf(out, sizeof out, "%s.svg", path);
        cr_assert(vbg_plot_write(&p, out, &err) == VBG_OK);
        unlink(out);
    }
    vbg_plot_free(&p);
    unlink(path);
    cr_assert(vbg_plot_read(&p, logs, 1, NULL, &err) != VBG_OK);
}
