/* The training log; see tools/train/log.h. */
#define _GNU_SOURCE
#include "tools/train/log.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/options.h"

struct vbg_log {
    int fd;
    char *path;
    bool warned;
};

/* Everything, or false with errno. */
static bool write_all(int fd, const char *text, size_t n)
{
    while (n) {
        ssize_t w = write(fd, text, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return false;
        text += w;
        n -= (size_t)w;
    }
    return true;
}

vbg_status vbg_log_open(vbg_log **out, const char *path, bool fresh, vbg_err *err)
{
    vbg_log *l = calloc(1, sizeof *l);
    char last = '\n';

    if (l)
        l->path = strdup(path);
    if (!l || !l->path) {
        free(l);
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a log");
    }
    l->fd =
        open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | (fresh ? O_TRUNC : 0), 0666);
    if (l->fd < 0) {
        vbg_status st = vbg_fail(err, VBG_EIO, "%s: %s", path, strerror(errno));
        vbg_log_close(l);
        return st;
    }
    off_t size = lseek(l->fd, 0, SEEK_END);
    if (size > 0 && pread(l->fd, &last, 1, size - 1) == 1 && last != '\n')
        l->warned = !write_all(l->fd, "\n", 1);
    *out = l;
    return VBG_OK;
}

void vbg_log_close(vbg_log *l)
{
    if (!l)
        return;
    if (l->fd >= 0)
        close(l->fd);
    free(l->path);
    free(l);
}

json_t *vbg_log_event(const char *event, long step)
{
    json_t *o = json_object();
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    json_object_set_new(o, "event", json_string(event));
    json_object_set_new(o, "step", json_integer(step));
    json_object_set_new(
        o, "time", json_real((double)t.tv_sec + floor((double)t.tv_nsec / 1e6) / 1e3));
    return o;
}

void vbg_log_number(json_t *event, const char *name, double v)
{
    char digits[32];

    snprintf(digits, sizeof digits, "%.7g", v); /* more would only look exact */
    json_object_set_new(event, name,
                        isfinite(v) ? json_real(strtod(digits, NULL)) : json_null());
}

void vbg_log_write(vbg_log *l, json_t *event)
{
    char *text = json_dumps(event, JSON_COMPACT | JSON_REAL_PRECISION(15));
    size_t n = text ? strlen(text) : 0;

    json_decref(event);
    if (!text)
        return;
    text[n] = '\n'; /* one write a line, so that lines never mix */
    if (!write_all(l->fd, text, n + 1) && !l->warned) {
        vbg_warning("%s: %s; the log has gaps from here on", l->path, strerror(errno));
        l->warned = true;
    }
    free(text);
}

void vbg_log_warn(vbg_log *l, long step, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    json_t *o = vbg_log_event("warn", step);

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    vbg_warning("%s", text);
    json_object_set_new(o, "text", json_string(text));
    vbg_log_write(l, o);
}
