/* The progress bar and the status line: one line, redrawn in place on a terminal,
 * plain lines now and then elsewhere. */
#define _GNU_SOURCE
#include "tools/options.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tools/message_state.h"

static bool line_drawn;

static int terminal_width(void)
{
    struct winsize w;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 10)
        return w.ws_col;
    return 80;
}

static void draw(const char *text)
{
    fprintf(stderr, "\r%.*s\033[K", terminal_width() - 1, text);
    fflush(stderr);
    line_drawn = true;
}

void vbg_status_clear(void)
{
    if (line_drawn)
        fputs("\r\033[K", stderr);
    line_drawn = false;
}

void vbg_status_line(const char *fmt, ...)
{
    char text[512];
    va_list ap;

    if (!vbg_voice_progress())
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    draw(text);
}

void vbg_progress_start(vbg_progress *p, const char *what, long total)
{
    *p = (vbg_progress){ .what = what, .total = total, .start = vbg_now() };
}

static double peak_gb(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / (1024.0 * 1024.0);
}

/* "sampling  ======>     7/20   1.92 s/step   0:25 left   3.1 GB" */
static void format(const vbg_progress *p, long done, double now, char *text, size_t size)
{
    char bar[21];
    double each = done ? (now - p->start) / (double)done : 0;
    long left = (long)(each * (double)(p->total - done) + 0.5);
    int full = p->total ? (int)(20 * done / p->total) : 0;

    for (int i = 0; i < 20; i++)
        bar[i] = i < full ? '=' : ' ';
    if (full < 20)
        bar[full] = '>';
    bar[20] = 0;
    snprintf(text, size, "%-10s %s %3ld/%ld   %.2f s/step   %ld:%02ld left   %.1f GB",
             p->what, bar, done, p->total, each, left / 60, left % 60, peak_gb());
}

void vbg_progress_step(vbg_progress *p, long done)
{
    char text[256];
    double now = vbg_now();

    if (vbg_voice_quiet())
        return;
    format(p, done, now, text, sizeof text);
    if (vbg_voice_progress()) {
        if (now - p->last < 0.1 && done < p->total)
            return;
        draw(text);
        p->last = now;
        return;
    }
    long tenth = p->total ? 10 * done / p->total : 0;
    if (now - p->start < 3) /* short work needs no lines */
        return;
    if (tenth > p->shown_tenth || now - (p->last > 0 ? p->last : p->start) > 30) {
        fprintf(stderr, "%s\n", text);
        p->shown_tenth = tenth;
        p->last = now;
    }
}

void vbg_progress_end(vbg_progress *p)
{
    (void)p;
    vbg_status_clear();
}
