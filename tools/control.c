/* The server's side of the control socket. */
#define _GNU_SOURCE
#include "tools/control.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "engine/io.h"

enum { CLIENTS = 16, LINE = 4096, WORDS = 32, PER_SECOND = 100, PATIENCE_S = 30 };

typedef struct client {
    int fd; /* -1: free */
    char line[LINE];
    size_t used;
    bool watches;
    double began;  /* of an unfinished line */
    double second; /* the second that is counted */
    int commands;
} client;

struct vbg_control {
    int fd;
    char path[108];
    client clients[CLIENTS];
};

bool vbg_control_default_path(char *path, size_t size)
{
    const char *dir = getenv("XDG_RUNTIME_DIR");

    return dir && *dir == '/' &&
           (size_t)snprintf(path, size, "%s/vbg/run.sock", dir) < size;
}

/* The folder of the default socket, ours alone. */
static vbg_status make_folder(const char *path, vbg_err *err)
{
    char dir[108];
    struct stat info;

    snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return vbg_fail(err, VBG_EIO, "%s: %s", dir, strerror(errno));
    if (lstat(dir, &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != geteuid() ||
        (info.st_mode & 077))
        return vbg_fail(err, VBG_EIO, "%s: must be a folder of yours with mode 0700",
                        dir);
    return VBG_OK;
}

static vbg_status bind_socket(vbg_control *c, vbg_err *err)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    struct stat info;

    memcpy(a.sun_path, c->path, sizeof a.sun_path);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        return vbg_fail(err, VBG_EIO, "%s: %s", c->path, strerror(errno));
    if (lstat(c->path, &info) == 0) {
        if (!S_ISSOCK(info.st_mode))
            return vbg_fail(err, VBG_EUSAGE, "%s: exists and is no socket", c->path);
        if (connect(c->fd, (struct sockaddr *)&a, sizeof a) == 0 || errno == EAGAIN)
            return vbg_fail(err, VBG_EUSAGE,
                            "%s: another vbg-run listens there; stop it (vbg-run ctl "
                            "quit) or name another --socket",
                            c->path);
        unlink(c->path); /* left behind */
        close(c->fd);
        c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    const mode_t old = umask(077);
    const int r = bind(c->fd, (struct sockaddr *)&a, sizeof a);
    umask(old);
    if (r != 0 || listen(c->fd, CLIENTS) != 0)
        return vbg_fail(err, VBG_EIO, "%s: %s", c->path, strerror(errno));
    return VBG_OK;
}

vbg_status vbg_control_open(vbg_control **out, const char *path, vbg_err *err)
{
    vbg_control *c = calloc(1, sizeof *c);
    char usual[4096];
    vbg_status st = VBG_OK;

    *out = NULL;
    if (!c)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    c->fd = -1;
    for (int i = 0; i < CLIENTS; i++)
        c->clients[i].fd = -1;
    const bool own = path != NULL;
    if (!own && !vbg_control_default_path(usual, sizeof usual)) {
        free(c);
        return VBG_OK;
    }
    path = own ? path : usual;
    if ((size_t)snprintf(c->path, sizeof c->path, "%s", path) >= sizeof c->path) {
        c->path[0] = 0;
        st = vbg_fail(err, VBG_EUSAGE,
                      "%.60s...: a socket's path has at most 107 bytes; name a shorter "
                      "--socket",
                      path);
    }
    if (st == VBG_OK && !own)
        st = make_folder(c->path, err);
    if (st == VBG_OK)
        st = bind_socket(c, err);
    if (st != VBG_OK) { /* what is there belongs to somebody else */
        if (c->fd >= 0)
            close(c->fd);
        free(c);
        return st;
    }
    *out = c;
    return VBG_OK;
}

static void drop(client *k)
{
    close(k->fd);
    *k = (client){ .fd = -1 };
}

void vbg_control_close(vbg_control *c)
{
    if (!c)
        return;
    for (int i = 0; i < CLIENTS; i++)
        if (c->clients[i].fd >= 0)
            drop(&c->clients[i]);
    close(c->fd);
    unlink(c->path);
    free(c);
}

const char *vbg_control_path(const vbg_control *c)
{
    return c->path;
}

/* A whole line or nothing: who does not read is dropped. */
static bool send_line(client *k, const char *text)
{
    char line[VBG_CONTROL_REPLY + 16];
    const int n = snprintf(line, sizeof line, "%.*s\n", VBG_CONTROL_REPLY, text);

    if (send(k->fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) == n)
        return true;
    drop(k);
    return false;
}

/* Cuts a line into words; "..." keeps spaces.  -1: too many, or a quote is open. */
static int split(char *line, char **words)
{
    int n = 0;
    char *d = line;

    while (*line) {
        bool quoted = false;
        while (*line == ' ' || *line == '\t')
            line++;
        if (!*line)
            break;
        if (n == WORDS)
            return -1;
        words[n++] = d;
        for (; *line && (quoted || (*line != ' ' && *line != '\t')); line++) {
            if (*line == '"')
                quoted = !quoted;
            else
                *d++ = *line;
        }
        if (quoted)
            return -1;
        const bool more = *line != 0;
        *d++ = 0;
        line += more;
    }
    return n;
}

static void answer(client *k, vbg_status st, const char *reply, const vbg_err *err)
{
    char text[VBG_CONTROL_REPLY];

    if (st == VBG_OK)
        snprintf(text, sizeof text, "ok%s%.4000s", *reply ? " " : "", reply);
    else
        snprintf(text, sizeof text, "error: %s", err->text[0] ? err->text : "failed");
    send_line(k, text);
}

/* {"command":["set_property","blur",8],"request_id":1} */
static void run_json(client *k, vbg_control_fn *fn, void *arg)
{
    json_error_t e;
    json_t *line = json_loads(k->line, JSON_REJECT_DUPLICATES, &e);
    json_t *command = json_object_get(line, "command");
    json_t *id = json_object_get(line, "request_id");
    char text[3][1024] = { "", "", "" }, reply[VBG_CONTROL_REPLY] = "";
    char pair[2100], *words[2] = { text[0], pair };
    vbg_err err = { "" };
    const size_t n = json_array_size(command);
    vbg_status st = n >= 1 && n <= 3 ? VBG_OK : VBG_EUSAGE;

    for (size_t i = 0; i < n && i < 3 && st == VBG_OK; i++) {
        json_t *w = json_array_get(command, i);
        if (json_is_string(w) && json_string_length(w) < sizeof text[i] &&
            vbg_name_ok(json_string_value(w), json_string_length(w), sizeof text[i] - 1))
            snprintf(text[i], sizeof text[i], "%s", json_string_value(w));
        else if (json_is_number(w))
            snprintf(text[i], sizeof text[i], "%.10g", json_number_value(w));
        else if (json_is_boolean(w))
            snprintf(text[i], sizeof text[i], "%s", json_is_true(w) ? "yes" : "no");
        else
            st = VBG_EUSAGE;
    }
    if (st == VBG_OK && strcmp(text[0], "set_property") == 0 && n == 3) {
        words[0] = (char[]){ "set" };
        snprintf(pair, sizeof pair, "%s=%s", text[1], text[2]);
        st = fn(arg, words, 2, reply, sizeof reply, &err);
    } else if (st == VBG_OK && strcmp(text[0], "get_property") == 0 && n == 2) {
        words[0] = (char[]){ "get" };
        snprintf(pair, sizeof pair, "%s", text[1]);
        st = fn(arg, words, 2, reply, sizeof reply, &err);
    } else if (st == VBG_OK && n == 1) {
        st = fn(arg, words, 1, reply, sizeof reply, &err);
    } else {
        st = vbg_fail(&err, VBG_EUSAGE, "no such command");
    }
    json_t *out = json_pack("{s:s}", "error",
                            st == VBG_OK  ? "success"
                            : err.text[0] ? err.text
                                          : "failed");
    if (out && *reply)
        json_object_set_new(out, "data", json_string(reply));
    if (out && id)
        json_object_set(out, "request_id", id);
    char *s = out ? json_dumps(out, JSON_COMPACT) : NULL;
    if (s)
        send_line(k, s);
    free(s);
    json_decref(out);
    json_decref(line);
}

static void run_line(client *k, vbg_control_fn *fn, void *arg)
{
    char reply[VBG_CONTROL_REPLY] = "";
    char *words[WORDS];
    vbg_err err = { "" };
    size_t n = strlen(k->line);

    if (n && k->line[n - 1] == '\r')
        k->line[--n] = 0;
    if (n == 0)
        return;
    if (k->line[0] == '{') {
        run_json(k, fn, arg);
        return;
    }
    if (!vbg_name_ok(k->line, n, LINE)) {
        vbg_fail(&err, VBG_EUSAGE, "a command is one line of UTF-8 text");
        answer(k, VBG_EUSAGE, reply, &err);
        return;
    }
    const int count = split(k->line, words);
    if (count == 0)
        return;
    if (count < 0) {
        vbg_fail(&err, VBG_EUSAGE, "a quote is not closed, or too many words");
        answer(k, VBG_EUSAGE, reply, &err);
        return;
    }
    if (strcmp(words[0], "watch") == 0 && count == 1) {
        k->watches = true;
        answer(k, VBG_OK, reply, &err);
        return;
    }
    answer(k, fn(arg, words, count, reply, sizeof reply, &err), reply, &err);
}

/* Whole lines are run; what is left waits for the rest.  A NUL is no line end. */
static void take_lines(client *k, vbg_control_fn *fn, void *arg)
{
    char *end;
    const double now = vbg_now();

    while (k->fd >= 0 && (end = memchr(k->line, '\n', k->used))) {
        const size_t n = (size_t)(end - k->line);
        vbg_err err = { "" };
        *end = 0;
        if (now - k->second >= 1) {
            k->second = now;
            k->commands = 0;
        }
        if (++k->commands > PER_SECOND) {
            vbg_fail(&err, VBG_ELIMIT, "more than %d commands a second", PER_SECOND);
            answer(k, VBG_ELIMIT, "", &err);
            if (k->fd >= 0)
                drop(k);
            return;
        }
        if (strlen(k->line) != n) {
            vbg_fail(&err, VBG_EUSAGE, "a command is one line of UTF-8 text");
            answer(k, VBG_EUSAGE, "", &err);
        } else {
            run_line(k, fn, arg);
        }
        if (k->fd < 0)
            return;
        k->used -= n + 1;
        memmove(k->line, k->line + n + 1, k->used);
        k->began = now;
    }
}

static void hear(client *k, vbg_control_fn *fn, void *arg)
{
    const ssize_t n = recv(k->fd, k->line + k->used, sizeof k->line - k->used, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(k);
        return;
    }
    if (k->used == 0)
        k->began = vbg_now();
    k->used += (size_t)n;
    take_lines(k, fn, arg);
    if (k->fd >= 0 && k->used == sizeof k->line) {
        vbg_err err = { "" };
        vbg_fail(&err, VBG_ELIMIT, "a command has at most %d bytes", LINE);
        answer(k, VBG_ELIMIT, "", &err);
        if (k->fd >= 0)
            drop(k);
    }
}

/* Only the same user; the longest silent one makes room. */
static void welcome(vbg_control *c)
{
    struct ucred who = { 0 };
    socklen_t n = sizeof who;
    const int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 && who.uid == geteuid())
        for (int i = 0; i < CLIENTS; i++)
            if (c->clients[i].fd < 0) {
                c->clients[i] = (client){ .fd = fd };
                return;
            }
    static const char full[] = "error: too many clients\n";
    if (send(fd, full, sizeof full - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        errno = 0; /* he is sent away either way */
    close(fd);
}

void vbg_control_serve(vbg_control *c, int timeout_ms, vbg_control_fn *fn, void *arg)
{
    struct pollfd p[CLIENTS + 1];
    client *who[CLIENTS + 1];
    nfds_t n = 0;

    if (!c) {
        poll(NULL, 0, timeout_ms);
        return;
    }
    p[n++] = (struct pollfd){ .fd = c->fd, .events = POLLIN };
    for (int i = 0; i < CLIENTS; i++) {
        client *k = &c->clients[i];
        if (k->fd >= 0 && k->used && vbg_now() - k->began > PATIENCE_S)
            drop(k);
        if (k->fd < 0)
            continue;
        who[n] = k;
        p[n++] = (struct pollfd){ .fd = k->fd, .events = POLLIN };
    }
    if (poll(p, n, timeout_ms) <= 0)
        return;
    for (nfds_t i = 1; i < n; i++)
        if (p[i].revents)
            hear(who[i], fn, arg);
    if (p[0].revents)
        welcome(c);
}

void vbg_control_tell(vbg_control *c, const char *line)
{
    for (int i = 0; c && i < CLIENTS; i++)
        if (c->clients[i].fd >= 0 && c->clients[i].watches)
            send_line(&c->clients[i], line);
}
