/* vbg-run on a camera, the whole program in this process over scripted devices: control
 * socket, signals, configuration, --list-cameras, doctor, and what cannot work. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "tests/fake/device.h"
#include "tests/malformed.h"
#include "tools/run.h"

enum { W = 160, H = 120 };

typedef struct session {
    fake_device fake;
    char socket[128];
    char *argv[40];
    int argc, code;
    pthread_t thread;
    int64_t frames, room;
    bool any_room; /* the options themselves show some of it */
    int level;     /* luma in the corner of the last frame */
} session;

/* A magenta room, keyed out; a gray person. */
static void paint(void *arg, int64_t n, vbg_frame *f)
{
    static const uint8_t room[3] = { 106, 202, 222 }, person[3] = { 180, 128, 128 };

    (void)arg;
    (void)n;
    for (int p = 0; p < 3; p++) {
        const int w = p ? (f->yuv.w + 1) / 2 : f->yuv.w;
        const int h = p ? (f->yuv.h + 1) / 2 : f->yuv.h;
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++)
                f->yuv.plane[p][(size_t)y * f->yuv.stride[p] + (size_t)x] =
                    x > w / 3 && x < 2 * w / 3 && y > h / 2 ? person[p] : room[p];
    }
}

static void look(void *arg, const uint8_t *data, size_t bytes, uint32_t fourcc, int w,
                 int h)
{
    session *s = arg;

    (void)fourcc;
    (void)w;
    (void)h;
    s->frames++;
    s->level = data[0];
    for (size_t i = 0; i + 3 < bytes; i += 4)
        s->room += data[i + 1] > 180 && data[i + 3] > 180;
}

static void *run_thread(void *arg)
{
    session *s = arg;

    s->code = vbg_run_main(s->argc, s->argv, &s->fake.device);
    return NULL;
}

static void nap(double s)
{
    nanosleep(&(struct timespec){ (time_t)s, (long)((s - (double)(time_t)s) * 1e9) },
              NULL);
}

static int64_t frames_of(session *s)
{
    pthread_mutex_lock(&s->fake.lock);
    const int64_t n = s->frames;
    pthread_mutex_unlock(&s->fake.lock);
    return n;
}

static int level_of(session *s)
{
    pthread_mutex_lock(&s->fake.lock);
    const int n = s->level;
    pthread_mutex_unlock(&s->fake.lock);
    return n;
}

/* Further arguments, NULL ends. */
static void begin(session *s, const char *const more[])
{
    const char *const base[] = { "vbg-run",     "-q",      "-i",
                                 "/dev/video0", "-o",      "/dev/video10",
                                 "--chroma",    "#ff00ff", "--threads",
                                 "1",           "--socket" };

    fake_device_init(&s->fake);
    fake_device_hold(&s->fake, 1); /* somebody looks */
    s->fake.modes[0] = (vbg_camera_mode){ V4L2_PIX_FMT_YUYV, W, H, 60, 1 };
    s->fake.mode_count = 1;
    s->fake.fps = 60;
    s->fake.paint = paint;
    s->fake.sink = look;
    s->fake.sink_arg = s;
    snprintf(s->socket, sizeof s->socket, "%s/run.sock", scratch_dir());
    for (size_t i = 0; i < sizeof base / sizeof *base; i++)
        s->argv[s->argc++] = strdup(base[i]);
    s->argv[s->argc++] = s->socket;
    for (int i = 0; more[i]; i++)
        s->argv[s->argc++] = strdup(more[i]);
    cr_assert_eq(pthread_create(&s->thread, NULL, run_thread, s), 0);
    for (int i = 0; i < 400 && frames_of(s) < 3; i++)
        nap(0.01);
    cr_assert_geq(frames_of(s), 3, "nothing is shown");
}

static void end(session *s)
{
    pthread_join(s->thread, NULL);
    if (!s->any_room)
        cr_expect_eq(s->room, 0, "%lld pixels of the room", (long long)s->room);
    cr_expect_neq(access(s->socket, F_OK), 0, "the socket is left behind");
    for (int i = 0; i < s->argc; i++)
        if (s->argv[i] != s->socket)
            free(s->argv[i]);
    fake_device_free(&s->fake);
}

static int dial(const session *s)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(a.sun_path, sizeof a.sun_path, "%.100s", s->socket);
    cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

/* One command, one answer; "" when there is none. */
static const char *ask_bytes(const session *s, const void *data, size_t n)
{
    static char answer[8192];
    const int fd = dial(s);
    size_t used = 0;

    for (size_t at = 0; at < n;) {
        ssize_t r = send(fd, (const char *)data + at, n - at, MSG_NOSIGNAL);
        if (r <= 0)
            break;
        at += (size_t)r;
    }
    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        if (poll(&p, 1, 500) <= 0 || used + 1 >= sizeof answer)
            break;
        ssize_t r = recv(fd, answer + used, sizeof answer - 1 - used, 0);
        if (r <= 0)
            break;
        used += (size_t)r;
        if (memchr(answer, '\n', used))
            break;
    }
    answer[used] = 0;
    close(fd);
    return answer;
}

static const char *ask(const session *s, const char *command)
{
    char line[1024];

    snprintf(line, sizeof line, "%s\n", command);
    return ask_bytes(s, line, strlen(line));
}

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Changes while it runs, all or nothing; pause; quit with code 0. */
Test(run_live, control, .fini = remove_scratch, .timeout = 60)
{
    session s = { .code = -1 };

    begin(&s, (const char *[]){ "-b", "#404040", NULL });
    cr_expect(starts(ask(&s, "status"), "ok frames="), "%s", ask(&s, "status"));
    cr_expect(starts(ask(&s, "set background=#ffffff feather=0"), "ok\n"));
    nap(0.3);
    cr_expect_gt(level_of(&s), 220);
    cr_expect(starts(ask(&s, "get feather"), "ok feather=0\n"));
    cr_expect(starts(ask(&s, "set background=#000000 feather=900"), "error: "));
    cr_expect(starts(ask(&s, "set feather=3 background=nowhere.png"), "error: "));
    cr_expect(starts(ask(&s, "get feather"), "ok feather=0\n"));
    cr_expect(starts(ask(&s, "get background"), "ok background=#ffffff\n"));
    nap(0.3);
    cr_expect_gt(level_of(&s), 220);
    cr_expect(starts(ask(&s, "set \"background=#101010\""), "ok\n"));
    cr_expect(
        starts(ask(&s, "{\"command\":[\"set_property\",\"blur\",8],\"request_id\":7}"),
               "{\"error\":\"success\",\"request_id\":7}"));
    cr_expect(starts(ask(&s, "get blur"), "ok blur=8"));
    cr_expect(starts(ask(&s, "set output=/dev/video3"), "error: "));
    cr_expect(starts(ask(&s, "pause"), "ok\n"));
    nap(0.5);
    cr_expect_eq(s.fake.open_now, 0);
    cr_expect(strstr(ask(&s, "status"), "person=no paused=yes"));
    cr_expect(starts(ask(&s, "resume"), "ok\n"));
    nap(0.7);
    cr_expect(strstr(ask(&s, "status"), "person=yes paused=no"), "%s", ask(&s, "status"));
    cr_expect(starts(ask(&s, "recenter"), "ok\n"));
    cr_expect(starts(ask(&s, "quit"), "ok\n"));
    end(&s);
    cr_expect_eq(s.code, 0);
}

/* The client program against it. */
Test(run_live, ctl, .fini = remove_scratch, .timeout = 60)
{
    session s = { .code = -1 };

    begin(&s, (const char *[]){ "-b", "#404040", NULL });
    said r = RUN("vbg-run", "ctl", "--socket", s.socket, "status");
    cr_expect(r.code == 0 && starts(r.out, "ok frames="), "%d %s", r.code, r.err);
    r = RUN("vbg-run", "ctl", "--socket", s.socket, "set", "background=#ffffff");
    cr_expect_eq(r.code, 0, "%s", r.err);
    r = RUN("vbg-run", "ctl", "--socket", s.socket, "frob");
    cr_expect(r.code == 1 && starts(r.err, "error: no such command"), "%s", r.err);
    r = RUN("vbg-run", "ctl", "--socket", in_scratch("none.sock"), "status");
    cr_expect(r.code == 1 && strstr(r.err, "no vbg-run is running"), "%s", r.err);
    r = RUN("vbg-run", "ctl");
    cr_expect_eq(r.code, 2);
    kill(getpid(), SIGTERM);
    end(&s);
    cr_expect_eq(s.code, 0, "a live camera that is stopped has done its work");
}

static session *shared;

static void check_ctl(const char *name, const json_t *c)
{
    char path[1200];
    size_t bytes;
    const char *verdict = json_string_value(json_object_get(c, "verdict"));
    const int64_t before = frames_of(shared);

    snprintf(path, sizeof path, "%s/golden/malformed_media/%s", shared_dir(), name);
    unsigned char *data = slurp(path, &bytes);
    cr_assert(data, "%s", path);
    const char *answer = ask_bytes(shared, data, bytes);
    const char *line_end = strchr(answer, '\n');
    if (strcmp(verdict, "accept") == 0)
        cr_expect(starts(answer, "ok"), "%s: %s", name, answer);
    else if (strcmp(verdict, "reject") == 0)
        cr_expect(starts(answer, "error: ") || !*answer, "%s: %s", name, answer);
    if (*answer)
        cr_expect(line_end && line_end - answer < 300, "%s: %s", name, answer);
    free(data);
    nap(0.1);
    cr_expect_gt(frames_of(shared), before, "%s: the picture stands still", name);
    cr_expect(starts(ask(shared, "status"), "ok "), "%s: others are not served", name);
}

/* Every malformed client; the picture goes on and others are served. */
Test(run_live, malformed_clients, .fini = remove_scratch, .timeout = 120)
{
    session s = { .code = -1 };
    int fds[64];

    begin(&s, (const char *[]){ "-b", "#404040", NULL });
    shared = &s;
    if (shared_dir())
        cr_expect_geq(each_malformed("ctl/", "ctl/", check_ctl), 10);
    for (int i = 0; i < 64; i++) { /* 64 clients that say nothing, or half a line */
        fds[i] = dial(&s);
        if (i % 2 && send(fds[i], "stat", 4, MSG_NOSIGNAL) < 4)
            continue; /* sent away: there are 16 places */
    }
    const int64_t before = frames_of(&s);
    nap(0.3);
    cr_expect_gt(frames_of(&s), before + 3);
    for (int i = 0; i < 64; i++)
        close(fds[i]);
    nap(0.2);
    cr_expect(starts(ask(&s, "quit"), "ok"));
    end(&s);
}

/* SIGHUP reads the configuration again; a bad one changes nothing; SIGUSR1 pauses. */
Test(run_live, signals, .fini = remove_scratch, .timeout = 60)
{
    const char *conf = in_scratch("run.conf");
    session s = { .code = -1 };
    FILE *f = fopen(conf, "w");

    fputs("background = \"#404040\"\n", f);
    fclose(f);
    begin(&s, (const char *[]){ "--config", conf, NULL });
    nap(0.2);
    cr_expect_lt(level_of(&s), 100);
    f = fopen(conf, "w");
    fputs("background = \"#ffffff\"\n", f);
    fclose(f);
    kill(getpid(), SIGHUP);
    nap(0.4);
    cr_expect_gt(level_of(&s), 220);
    f = fopen(conf, "w");
    fputs("background = \"#000000\"\nblurr = 3\n", f);
    fclose(f);
    kill(getpid(), SIGHUP);
    nap(0.4);
    cr_expect_gt(level_of(&s), 220);
    kill(getpid(), SIGUSR1);
    nap(0.4);
    cr_expect(strstr(ask(&s, "status"), "paused=yes"));
    kill(getpid(), SIGINT);
    end(&s);
    cr_expect_eq(s.code, 0);
}

/* A second one finds the socket taken; a socket left behind is replaced. */
Test(run_live, socket_taken, .fini = remove_scratch, .timeout = 60)
{
    session s = { .code = -1 }, dead = { .code = -1 };
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    snprintf(a.sun_path, sizeof a.sun_path, "%s/run.sock", scratch_dir());
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    close(fd); /* nobody listens, the file stays */
    begin(&s, (const char *[]){ "-b", "#404040", NULL });
    fake_device_init(&dead.fake);
    char *argv[] = { "vbg-run",  "-q",   "-i", "/dev/video0", "-o",       "/dev/video10",
                     "--chroma", "#f0f", "-b", "#404040",     "--socket", s.socket };
    argv[7] = "#ff00ff";
    cr_expect_eq(vbg_run_main(12, argv, &dead.fake.device), 2);
    fake_device_free(&dead.fake);
    cr_expect(starts(ask(&s, "quit"), "ok"));
    end(&s);
}

static void check_conf(const char *name, const json_t *c)
{
    char path[1200], where[64];
    const char *verdict = json_string_value(json_object_get(c, "verdict"));

    snprintf(path, sizeof path, "%s/golden/malformed_media/%s", shared_dir(), name);
    said r = RUN("vbg-run", "--config", path, "--list-cameras");
    if (strcmp(verdict, "accept") == 0)
        cr_expect_eq(r.code, 0, "%s: %s", name, r.err);
    if (strcmp(verdict, "reject") == 0) {
        cr_expect_eq(r.code, 2, "%s: %d %s", name, r.code, r.err);
        cr_expect_eq(r.err_lines, 1, "%s: %s", name, r.err);
        snprintf(where, sizeof where, "%s:", strchr(name, '/') + 1);
        cr_expect(strstr(r.err, where), "%s: %s", name, r.err);
    }
    if (strstr(name, "unknown_key"))
        cr_expect(strstr(r.err, "unknown_key.conf:2: "), "%s", r.err);
    if (strstr(name, "range"))
        cr_expect(strstr(r.err, "0..256"), "%s", r.err);
}

Test(run_live, malformed_configurations, .fini = remove_scratch, .timeout = 60)
{
    if (shared_dir())
        cr_expect_geq(each_malformed("conf/", "conf/", check_conf), 8);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    cr_assert(f);
    fputs(text, f);
    fclose(f);
}

/* The next line's word is not the value. */
Test(run_live, key_without_a_value, .fini = remove_scratch, .timeout = 60)
{
    const char *path = in_scratch("run.conf");

    write_file(path, "blur = 4\nfeather = # soft\nbackground = green\n");
    said r = RUN("vbg-run", "--config", path, "--list-cameras");
    cr_expect_eq(r.code, 2, "%d %s", r.code, r.err);
    cr_expect(r.err_lines == 1 && strstr(r.err, "run.conf:2: feather has no value"), "%s",
              r.err);
    write_file(path, "blur = 4 # a value\nbackground = \"a=\"\n");
    r = RUN("vbg-run", "--config", path, "--list-cameras");
    cr_expect_neq(r.code, 2, "%s", r.err);
}

/* Command line, profile, user's file, system's file, preset: the first wins. */
Test(run_live, configuration_order, .fini = remove_scratch, .timeout = 60)
{
    char home[300], etc[300], path[400];

    snprintf(home, sizeof home, "%s/home", scratch_dir());
    snprintf(etc, sizeof etc, "%s/etc", scratch_dir());
    mkdir(home, 0700);
    mkdir(etc, 0700);
    snprintf(path, sizeof path, "%s/vbg", home);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/vbg", etc);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/vbg/run.conf", home);
    write_file(path, "feather = 3\ngrow=2 # comment\nprofile night { grow = 7 }\n");
    snprintf(path, sizeof path, "%s/vbg/run.conf", etc);
    write_file(path, "feather = 4\nclose = 5\nbackground = \"#222222\"\n");
    setenv("XDG_CONFIG_HOME", home, 1);
    setenv("XDG_CONFIG_DIRS", etc, 1);
    session s = { .code = -1 };
    s.any_room = true;
    begin(&s, (const char *[]){ "--preset", "bswap", "--profile", "night", NULL });
    cr_expect(starts(ask(&s, "get feather"), "ok feather=3"));
    cr_expect(starts(ask(&s, "get grow"), "ok grow=7"));
    cr_expect(starts(ask(&s, "get close"), "ok close=5"));
    cr_expect(starts(ask(&s, "get threshold"), "ok threshold=0.1"));
    cr_expect(starts(ask(&s, "get background"), "ok background=#222222"));
    cr_expect(starts(ask(&s, "quit"), "ok"));
    end(&s);
    said r = RUN("vbg-run", "--profile", "day", "--list-cameras");
    cr_expect(r.code == 2 && strstr(r.err, "no configuration file has it"), "%s", r.err);
}

/* Everything that cannot start: one line, the right code, nothing left. */
Test(run_live, refusals, .fini = remove_scratch, .timeout = 60)
{
    static const struct {
        const char *in, *out, *text;
        int code;
        const char *back;
        bool denied;
    } cases[] = {
        { "/dev/video1", "/dev/video10", "gives no pictures", 2, "#404040", false },
        { "/dev/video2", "/dev/video10", "offers H264", 1, "#404040", false },
        { "/dev/video9", "/dev/video10", "no such camera", 1, "#404040", false },
        { "/dev/video0", "/dev/video0", "overwrite an input", 2, "#404040", false },
        { "/dev/video0", "/dev/video2", "real camera", 2, "#404040", false },
        { "/dev/video0", "/dev/video77", "modprobe", 1, "#404040", false },
        { "/dev/video0", "out.txt", "virtual camera", 2, "#404040", false },
        { "/dev/video0", "/dev/video10", "carries no alpha", 2, .back = "alpha" },
        { "/dev/video0", "/dev/video10", "usermod", 1, "#404040", true },
        { "/dev/video0", "/dev/video10", "broken", 1, "broken", false },
        { "Logitech", "/dev/video10", "no camera is called 'Logitech'; there are 'Fake",
          2, "#404040", false },
        { "Logitech", "pipewire", "no camera is called", 2, "#404040", false },
        { "/dev/video0", "pipewire", "PipeWire", 1, "#404040", false },
    };
    char folder[300], name[320];

    setenv("XDG_RUNTIME_DIR", "/nowhere", 1); /* no PipeWire there */
    snprintf(folder, sizeof folder, "%s", in_scratch("broken"));
    mkdir(folder, 0700);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s/%d.png", folder, i);
        write_file(name, "\x89PNG\r\n\x1a\nthis is none");
    }

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *log = in_scratch("log");
        fake_device fake;
        char *argv[] = { "vbg-run",
                         "-i",
                         (char *)(uintptr_t)cases[i].in,
                         "-o",
                         (char *)(uintptr_t)cases[i].out,
                         "--chroma",
                         "green",
                         "-b",
                         "#404040",
                         "--no-socket",
                         "--no-config" };
        argv[8] = strcmp(cases[i].back, "broken") == 0 ? folder
                                                       : (char *)(uintptr_t)cases[i].back;
        fake_device_init(&fake);
        fake.denied = cases[i].denied;
        fflush(stderr);
        const int keep = dup(2);
        cr_assert(freopen(log, "w", stderr));
        const int code = vbg_run_main(11, argv, &fake.device);
        fflush(stderr);
        dup2(keep, 2);
        close(keep);
        char text[2048];
        read_back(text, sizeof text, log);
        cr_expect_eq(code, cases[i].code, "case %zu: %d %s", i, code, text);
        cr_expect(strstr(text, cases[i].text), "case %zu: %s", i, text);
        cr_expect(strchr(text, '\n') == text + strlen(text) - 1, "case %zu: %s", i, text);
        cr_expect_eq(fake.open_now, 0);
        fake_device_free(&fake);
    }
    char longest[300];
    memset(longest, 'x', sizeof longest);
    longest[0] = '/';
    longest[299] = 0;
    said r = RUN("vbg-run", "-i", "/dev/video0", "-o", "/dev/video1", "-b", "blur",
                 "--chroma", "green", "--socket", longest);
    cr_expect(r.code != 0 && r.err_lines == 1, "%s", r.err);
}

/* The template says how flags are set; no camera is no mystery. */
Test(run_live, says_what_to_do)
{
    said r = RUN("vbg-run", "--generate", "config");
    cr_expect(r.code == 0 && strstr(r.out, "(yes|no)\n# wait = \"no\"\n"), "%s", r.out);
    r = RUN("vbg-run", "--check");
    cr_expect(strstr(r.out, "virtual camera"), "%s%s", r.out, r.err);
    r = RUN("vbg-run", "--list-cameras");
    cr_expect(r.code == 0 && (strstr(r.out, "/dev/video") || strstr(r.out, "doctor")),
              "%s", r.out);
}

/* What vbg-run doctor says of four machines. */
Test(run_live, doctor, .fini = remove_scratch, .timeout = 60)
{
    static const struct {
        const char *name, *text;
        bool module, caps, camera, loop;
        int code;
    } cases[] = {
        { "bare", "sudo apt install v4l2loopback-dkms", false, false, true, false, 1 },
        { "caps", "exclusive_caps is off", true, false, true, true, 1 },
        { "camera", "no camera was found", true, true, false, true, 1 },
        { "node", "no virtual camera is there", true, true, true, false, 1 },
        { "good", "ok   /dev/video10 is a virtual camera", true, true, true, true, 0 },
    };

    setenv("XDG_RUNTIME_DIR", scratch_dir(), 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fake_device fake;
        char root[300], path[600], text[8192];
        const char *log = in_scratch("log");
        snprintf(root, sizeof root, "%s/%s", scratch_dir(), cases[i].name);
        snprintf(path, sizeof path, "mkdir -p %s/sys/module/v4l2loopback/parameters",
                 root);
        if (cases[i].module) {
            cr_assert_eq(system(path), 0);
            snprintf(path, sizeof path,
                     "%s/sys/module/v4l2loopback/parameters/exclusive_caps", root);
            write_file(path, cases[i].caps ? "Y,N,N\n" : "N,N,N\n");
        }
        fake_device_init(&fake);
        fake.no_odd = true;
        fake.present = cases[i].camera;
        fake.loop_present = cases[i].loop;
        fflush(stdout);
        const int keep = dup(1);
        cr_assert(freopen(log, "w", stdout));
        const int code = vbg_run_doctor(&fake.device, root);
        fflush(stdout);
        dup2(keep, 1);
        close(keep);
        read_back(text, sizeof text, log);
        cr_expect(strstr(text, cases[i].text), "%s:\n%s", cases[i].name, text);
        cr_expect_eq(code, cases[i].code, "%s:\n%s", cases[i].name, text);
        fake_device_free(&fake);
    }
}
