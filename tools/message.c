/* Everything a program says, and how it is asked to stop.  The programs' voice is
 * the one piece of state outside a context: tools/ may have it. */
#define _GNU_SOURCE
#include "tools/options.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/map_guard.h"
#include "tools/message_state.h"

static struct {
    const char *program;
    bool quiet, verbose, colour;
} voice = { .program = "vbg" };

static volatile sig_atomic_t stop_signal;

bool vbg_voice_progress(void)
{
    const char *term = getenv("TERM");
    return !voice.quiet && isatty(STDERR_FILENO) && (!term || strcmp(term, "dumb") != 0);
}

bool vbg_voice_quiet(void)
{
    return voice.quiet;
}

void vbg_message_start(const char *program)
{
    int fd;

    voice.program = program;
    do /* a file must not become standard output or error */
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
    signal(SIGPIPE, SIG_IGN);
}

int vbg_finish_output(int code)
{
    struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
    bool bad = fflush(stdout) != 0;
    int why = errno;

    if (!bad && !ferror(stdout))
        return code;
    if ((bad && why == EPIPE) || (poll(&out, 1, 0) > 0 && out.revents & POLLERR))
        return code; /* the reader has enough */
    vbg_error("standard output: %s", bad ? strerror(why) : "cannot be written");
    return code ? code : 1;
}

void vbg_message_setup(const vbg_values *v)
{
    const char *when = vbg_value(v, "color"), *no = getenv("NO_COLOR");

    voice.program = vbg_program_name(v);
    voice.quiet = vbg_value_flag(v, "quiet");
    voice.verbose = vbg_value_flag(v, "verbose");
    voice.colour = strcmp(when, "always") == 0 ||
                   (strcmp(when, "auto") == 0 && isatty(STDERR_FILENO) && !(no && *no));
}

void vbg_message_quiet(void)
{
    voice.quiet = true;
}

static void say(const char *word, const char *colour, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

static void say(const char *word, const char *colour, const char *fmt, va_list ap)
{
    char raw[2048], text[2048]; /* file names may hold anything */

    vsnprintf(raw, sizeof raw, fmt, ap);
    vbg_escape_controls(text, sizeof text, raw);
    vbg_status_clear();
    if (word && voice.colour)
        fprintf(stderr, "%s: \033[%sm%s:\033[0m %s\n", voice.program, colour, word, text);
    else
        fprintf(stderr, "%s: %s%s%s\n", voice.program, word ? word : "", word ? ": " : "",
                text);
}

void vbg_error(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(voice.colour ? "error" : NULL, "31", fmt, ap);
    va_end(ap);
}

void vbg_warning(const char *fmt, ...)
{
    va_list ap;
    if (voice.quiet)
        return;
    va_start(ap, fmt);
    say("warning", "33", fmt, ap);
    va_end(ap);
}

void vbg_note(const char *fmt, ...)
{
    va_list ap;
    if (voice.quiet)
        return;
    va_start(ap, fmt);
    say(NULL, NULL, fmt, ap);
    va_end(ap);
}

void vbg_detail(const char *fmt, ...)
{
    va_list ap;
    if (!voice.verbose || voice.quiet)
        return;
    va_start(ap, fmt);
    say(NULL, NULL, fmt, ap);
    va_end(ap);
}

int vbg_exit_code(vbg_status st, const vbg_err *err)
{
    if (st == VBG_OK)
        return 0;
    if (st == VBG_ECANCEL && vbg_stop_signal())
        return 128 + vbg_stop_signal();
    vbg_error("%s", err->text[0] ? err->text : "failed");
    return st == VBG_EUSAGE ? 2 : 1;
}

/* The second signal ends the program at once with the default action. */
static void on_stop(int sig)
{
    if (stop_signal) {
        signal(sig, SIG_DFL);
        raise(sig);
        return;
    }
    stop_signal = sig;
}

void vbg_signals_setup(void)
{
    struct sigaction a = { .sa_handler = on_stop, .sa_flags = SA_NODEFER };

    sigemptyset(&a.sa_mask);
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    vbg_map_guard_install();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

int vbg_stop_signal(void)
{
    return (int)stop_signal;
}
