/* Configuration files and presets. */
#define _GNU_SOURCE
#include "tools/config.h"
#include "tools/options_help.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utf8proc.h>

enum { MOST_BYTES = 64 << 10, MOST_KEYS = 128, LONGEST_LINE = 4096 };

/* libConfuse's callbacks get no argument of ours: what one read needs lies here. */
static struct {
    const vbg_program *program;
    const char *path;
    vbg_err *err;
    const cfg_opt_t *seen[MOST_KEYS];
    int seen_count;
} reading;

static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
    char text[600];

    vsnprintf(text, sizeof text, fmt, ap);
    vbg_fail(reading.err, VBG_EUSAGE, "%s:%d: %s", reading.path, cfg ? cfg->line : 0,
             text);
}

/* Every value, as soon as it is read, so that the line is known. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt)
{
    const vbg_option *o = vbg_option_find(reading.program, cfg_opt_name(opt));
    vbg_err why = { "" };

    for (int i = 0; i < reading.seen_count; i++)
        if (reading.seen[i] == opt) {
            cfg_error(cfg, "%s is set twice", cfg_opt_name(opt));
            return -1;
        }
    if (reading.seen_count < MOST_KEYS)
        reading.seen[reading.seen_count++] = opt;
    const char *text = cfg_opt_getnstr(opt, 0);
    if (!o || !text || vbg_option_check(o, text, &why) != VBG_OK) {
        cfg_error(cfg, "%s", why.text[0] ? why.text : "no such option");
        return -1;
    }
    return 0;
}

/* The file's text: limited, valid UTF-8, no NUL, line ends of one kind. */
static vbg_status load(char **out, const char *path, bool must, vbg_err *err)
{
    struct stat info;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    vbg_status st = VBG_OK;

    *out = NULL;
    if (fd < 0 && errno == ENOENT && !must)
        return VBG_OK;
    if (fd < 0)
        return vbg_fail(err, VBG_EUSAGE, "%s: %s", path, strerror(errno));
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        st = vbg_fail(err, VBG_EUSAGE, "%s: is no regular file", path);
    else if (info.st_size > MOST_BYTES)
        st = vbg_fail(err, VBG_EUSAGE, "%s: is larger than %d KiB", path,
                      MOST_BYTES >> 10);
    char *text = st == VBG_OK ? calloc(1, (size_t)info.st_size + 2) : NULL;
    if (st == VBG_OK && !text)
        st = vbg_fail(err, VBG_ENOMEM, "out of memory");
    ssize_t n = st == VBG_OK ? read(fd, text, (size_t)info.st_size) : 0;
    close(fd);
    if (st == VBG_OK && n < 0)
        st = vbg_fail(err, VBG_EUSAGE, "%s: %s", path, strerror(errno));
    int line = 1, column = 0;
    char *d = text;
    for (ssize_t i = 0; i < n && st == VBG_OK; i++) {
        column = text[i] == '\n' ? 0 : column + 1;
        if (text[i] == 0)
            st = vbg_fail(err, VBG_EUSAGE, "%s:%d: holds a NUL byte", path, line);
        else if (column > LONGEST_LINE)
            st = vbg_fail(err, VBG_EUSAGE, "%s:%d: is longer than %d bytes", path, line,
                          LONGEST_LINE);
        line += text[i] == '\n';
        if (text[i] != '\r' || (i + 1 < n && text[i + 1] != '\n'))
            *d++ = text[i];
    }
    if (d)
        *d = 0;
    for (ssize_t i = 0, used; st == VBG_OK && text[i]; i += used) {
        utf8proc_int32_t c;
        used = utf8proc_iterate((const utf8proc_uint8_t *)text + i, -1, &c);
        if (used < 1)
            st = vbg_fail(err, VBG_EUSAGE, "%s: is no UTF-8 text", path);
    }
    if (st != VBG_OK) {
        free(text);
        text = NULL;
    }
    *out = text;
    return st;
}

/* A line "key =" is refused: the parser would take the next line's word for the value. */
static vbg_status check_values(const char *text, const char *path, vbg_err *err)
{
    static const char blank[] = " \t";
    int line = 1;

    for (const char *s = text; *s; line++) {
        const char *key = s + strspn(s, blank);
        const size_t length = strcspn(key, " \t=\n#\"'/{}()");
        const char *equals = key + length + strspn(key + length, blank);
        const char *value = equals + (*equals == '=');
        value += strspn(value, blank);
        const bool none =
            !*value || *value == '\n' || *value == '#' || strncmp(value, "//", 2) == 0;
        if (length && *equals == '=' && none)
            return vbg_fail(err, VBG_EUSAGE, "%s:%d: %.*s has no value", path, line,
                            length < 60 ? (int)length : 60, key);
        s += strcspn(s, "\n");
        s += *s == '\n';
    }
    return VBG_OK;
}

/* One string option per key that may stand in a file. */
static cfg_opt_t *make_table(const vbg_program *p, cfg_opt_t *profile)
{
    cfg_opt_t *t = calloc(MOST_KEYS, sizeof *t);
    int n = 0;

    if (!t)
        return NULL;
    const vbg_option *tables[] = { p->options, vbg_shared_options };
    for (int i = 0; i < 2; i++)
        for (const vbg_option *o = tables[i]; o->name && n < MOST_KEYS - 2; o++)
            if (o->flags & VBG_OPT_CONFIG)
                t[n++] = (cfg_opt_t)CFG_STR(o->name, NULL, CFGF_NODEFAULT);
    if (profile)
        t[n++] = (cfg_opt_t)CFG_SEC("profile", profile, CFGF_MULTI | CFGF_TITLE);
    t[n] = (cfg_opt_t)CFG_END();
    return t;
}

/* Options that stand for one thing: the command line's choice drops the file's. */
static bool beaten(const vbg_values *v, const char *name)
{
    static const char *const groups[][4] = { { "segmenter", "mask", "chroma", NULL },
                                             { "background", "text", NULL, NULL } };

    for (int g = 0; g < 2; g++) {
        bool mine = false, other = false;
        for (int i = 0; groups[g][i]; i++) {
            const bool same = strcmp(groups[g][i], name) == 0;
            mine |= same;
            other |= !same && vbg_option_find(vbg_values_program(v), groups[g][i]) &&
                     vbg_value_given(v, groups[g][i]);
        }
        if (mine && other)
            return true;
    }
    return false;
}

/* ~ and, for options that name files, the folder of the configuration file. */
static void resolve(char *dst, size_t size, const vbg_option *o, const char *text,
                    const char *file)
{
    const char *home = getenv("HOME"), *slash = strrchr(file, '/');
    char path[4096];
    struct stat info;

    snprintf(dst, size, "%s", text);
    if (text[0] == '~' && (text[1] == '/' || !text[1]) && home) {
        snprintf(dst, size, "%s%s", home, text + 1);
    } else if ((o->flags & VBG_OPT_PATH) && text[0] != '/' && slash) {
        if ((size_t)snprintf(path, sizeof path, "%.*s/%s", (int)(slash - file), file,
                             text) < sizeof path &&
            stat(path, &info) == 0) /* "blur:20" and "green" are no files */
            snprintf(dst, size, "%s", path);
    }
}

static vbg_status offer_section(vbg_values *v, cfg_t *cfg, const char *path, vbg_err *err)
{
    const vbg_option *tables[] = { vbg_values_program(v)->options, vbg_shared_options };
    vbg_status st = VBG_OK;

    for (int t = 0; t < 2; t++)
        for (const vbg_option *o = tables[t]; o->name && st == VBG_OK; o++) {
            char text[8192];
            if (!(o->flags & VBG_OPT_CONFIG) || cfg_size(cfg, o->name) == 0 ||
                beaten(v, o->name))
                continue;
            resolve(text, sizeof text, o, cfg_getstr(cfg, o->name), path);
            st = vbg_values_offer(v, o->name, text, err);
        }
    return st;
}

static vbg_status offer_file(vbg_values *v, cfg_t *cfg, const char *path, bool *profile,
                             vbg_err *err)
{
    const char *want = vbg_value(v, "profile");
    vbg_status st = VBG_OK;

    for (unsigned i = 0; want && i < cfg_size(cfg, "profile") && st == VBG_OK; i++) {
        cfg_t *p = cfg_getnsec(cfg, "profile", i);
        if (strcmp(cfg_title(p), want) == 0) {
            *profile = true;
            st = offer_section(v, p, path, err);
        }
    }
    return st == VBG_OK ? offer_section(v, cfg, path, err) : st;
}

static vbg_status read_file(vbg_values *v, const char *path, bool must, bool *profile,
                            vbg_err *err)
{
    char *text;
    vbg_status st = load(&text, path, must, err);

    if (st == VBG_OK && text && (st = check_values(text, path, err)) != VBG_OK)
        free(text);
    if (st != VBG_OK || !text)
        return st;
    memset(&reading, 0, sizeof reading);
    reading.program = vbg_values_program(v);
    reading.path = path;
    reading.err = err;
    cfg_opt_t *inner = make_table(reading.program, NULL);
    cfg_opt_t *outer = inner ? make_table(reading.program, inner) : NULL;
    cfg_t *cfg = outer ? cfg_init(outer, CFGF_NONE) : NULL;
    if (!cfg)
        st = vbg_fail(err, VBG_ENOMEM, "out of memory");
    if (st == VBG_OK) {
        cfg_set_error_function(cfg, on_error);
        for (const cfg_opt_t *o = inner; o->name; o++) {
            char nested[80];
            snprintf(nested, sizeof nested, "profile|%s", o->name);
            cfg_set_validate_func(cfg, o->name, on_value);
            cfg_set_validate_func(cfg, nested, on_value);
        }
        if (cfg_parse_buf(cfg, text) != CFG_SUCCESS)
            st = vbg_fail(err, VBG_EUSAGE, "%s: cannot be read", path);
    }
    if (st == VBG_OK)
        st = offer_file(v, cfg, path, profile, err);
    if (cfg)
        cfg_free(cfg);
    free(outer);
    free(inner);
    free(text);
    return st;
}

/* The i-th usual file: the user's, then those of the system.  False: no more. */
static bool usual_file(char *path, size_t size, int i)
{
    const char *home = getenv("XDG_CONFIG_HOME"), *user = getenv("HOME");
    const char *dirs = getenv("XDG_CONFIG_DIRS");

    if (i == 0) {
        if (home && *home == '/')
            snprintf(path, size, "%s/vbg/run.conf", home);
        else
            snprintf(path, size, "%s/.config/vbg/run.conf", user ? user : "");
        return true;
    }
    dirs = dirs && *dirs ? dirs : "/etc/xdg";
    while (--i > 0 && *dirs) {
        dirs += strcspn(dirs, ":");
        dirs += *dirs == ':';
    }
    if (*dirs != '/')
        return false;
    snprintf(path, size, "%.*s/vbg/run.conf", (int)strcspn(dirs, ":"), dirs);
    return true;
}

bool vbg_config_exists(void)
{
    char path[4096];

    for (int i = 0; usual_file(path, sizeof path, i); i++)
        if (access(path, R_OK) == 0)
            return true;
    return false;
}

vbg_status vbg_config_read(vbg_values *v, vbg_err *err)
{
    const char *one = vbg_value(v, "config");
    char path[4096];
    bool profile = false;
    vbg_status st = VBG_OK;

    if (one)
        st = read_file(v, one, true, &profile, err);
    else if (!vbg_value_flag(v, "no-config"))
        for (int i = 0; st == VBG_OK && usual_file(path, sizeof path, i); i++)
            st = read_file(v, path, false, &profile, err);
    if (st == VBG_OK && vbg_value(v, "profile") && !profile)
        st = vbg_fail(err, VBG_EUSAGE, "--profile %s: no configuration file has it",
                      vbg_value(v, "profile"));
    return st;
}

vbg_status vbg_preset_apply(vbg_values *v, vbg_err *err)
{
    /* What each project does, in our options; see the table of the README. */
    static const struct {
        const char *preset, *option, *value;
    } rows[] = {
        /* ViBa: BodyPix, threshold 0.7, two dilations of 10 px, 30 px box, old masks */
        { "viba", "segmenter", "bodypix" },
        { "viba", "threshold", "0.7" },
        { "viba", "grow", "9" },
        { "viba", "feather", "30" },
        { "viba", "plain-mask", "yes" },
        { "viba", "mask-mode", "latest" },
        { "viba", "input-size", "640x480" },
        { "viba", "output-size", "960x720" },
        { "viba", "fit", "stretch" },
        /* DVB: DeepLabV3, close 7x7, hard edge */
        { "dvb", "segmenter", "deeplab" },
        { "dvb", "threshold", "0.5" },
        { "dvb", "close", "3" },
        { "dvb", "feather", "0" },
        { "dvb", "plain-mask", "yes" },
        /* BackgroundSwap: Selfie, threshold 0.1, dilated by 2 px, hard edge */
        { "bswap", "segmenter", "selfie" },
        { "bswap", "threshold", "0.1" },
        { "bswap", "grow", "2" },
        { "bswap", "feather", "0" },
        { "bswap", "plain-mask", "yes" },
        { "bswap", "fit", "stretch" },
        /* BiSeNet's demo: 512x512, threshold 0.5, no clean-up */
        { "bisenet", "segmenter", "bisenet" },
        { "bisenet", "segmenter-size", "512x512" },
        { "bisenet", "threshold", "0.5" },
        { "bisenet", "feather", "0" },
        { "bisenet", "plain-mask", "yes" },
        { "bisenet", "fit", "stretch" },
    };
    const char *preset = vbg_value(v, "preset");
    vbg_status st = VBG_OK;

    for (size_t i = 0; preset && i < sizeof rows / sizeof *rows && st == VBG_OK; i++)
        if (strcmp(rows[i].preset, preset) == 0 && !beaten(v, rows[i].option))
            st = vbg_values_offer(v, rows[i].option, rows[i].value, err);
    return st;
}
