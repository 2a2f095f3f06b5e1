/* One option table per program: parsing, --help, --help-all, --version and
 * --generate man|complete-bash|complete-zsh|complete-fish|config all read it.
 *
 *     static const vbg_option options[] = {
 *         { "text", 't', VBG_OPT_STRING, "TEXT", NULL, NULL, "what the room looks like",
 *           "input", VBG_OPT_COMMON },
 *         { "steps", 's', VBG_OPT_INT, "N", "20", "1..1000", "denoising steps",
 *           "sampling", VBG_OPT_COMMON },
 *         { "prompt", 'p', VBG_OPT_STRING, NULL, NULL, NULL, "text", NULL, VBG_OPT_ALIAS
 * }, { 0 } }; int main(int argc, char **argv)
 *     {
 *         vbg_values *v;
 *         int code = vbg_options_start(&v, &program, argc, argv);
 *         if (code >= 0)
 *             return code;
 *         ... vbg_value_int(v, "steps") ...
 *     }
 *
 * Every program also has help, help-all, version, generate, quiet, verbose,
 * color, threads and isa without listing them. */
#ifndef VBG_TOOLS_OPTIONS_H
#define VBG_TOOLS_OPTIONS_H

#include "engine/base.h"
#include "engine/tensor.h"

typedef enum vbg_option_type {
    VBG_OPT_FLAG = 1, /* no argument                                       */
    VBG_OPT_INT,      /* range "1..1000"                                   */
    VBG_OPT_REAL,     /* range "0..100"                                    */
    VBG_OPT_STRING,
    VBG_OPT_CHOICE, /* range "png|jpg"                                   */
    VBG_OPT_SIZE,   /* WxH, both in range                                */
    VBG_OPT_SEED    /* integer; negative or "random" draws one           */
} vbg_option_type;

enum {                      /* flags */
       VBG_OPT_COMMON = 1,  /* shown by --help                                  */
       VBG_OPT_CONFIG = 2,  /* may stand in the configuration file              */
       VBG_OPT_LIVE = 4,    /* may change while running                         */
       VBG_OPT_ALIAS = 8,   /* help holds the name of the option it stands for  */
       VBG_OPT_HIDDEN = 16, /* works, but only the man page shows it            */
       VBG_OPT_PATH = 32    /* names a file, relative to the one that says so     */
};

typedef struct vbg_option {
    const char *name; /* long name; ends the table when NULL */
    char letter;      /* short letter or 0 */
    vbg_option_type type;
    const char *arg;   /* what the argument is called in help */
    const char *value; /* default as text, NULL: not given */
    const char *range;
    const char *help; /* one line, lower case, no full stop */
    const char *group;
    unsigned flags;
} vbg_option;

typedef struct vbg_program {
    const char *name;        /* "vbg-gen" */
    const char *purpose;     /* one line */
    const char *usage;       /* "vbg-gen [options] --text TEXT -o FILE" lines */
    const char *examples[3]; /* up to two commands, NULL ends */
    const char *extra;       /* further help text (subcommands) or NULL */
    const vbg_option *options;
    int max_positional; /* more is a usage error */
} vbg_program;

typedef struct vbg_values vbg_values;

/* Parses the command line.  Returns -1 to go on with *out set (free it with
 * vbg_values_free), else the exit code: 0 after --help and its kin, 2 after one
 * line on stderr.  No arguments at all: the help on stderr, 2. */
int vbg_options_start(vbg_values **out, const vbg_program *p, int argc, char **argv);
void vbg_values_free(vbg_values *v); /* accepts NULL */

/* Parsing alone, for tests and the control socket.  Errors: VBG_EUSAGE. */
vbg_status vbg_options_parse(vbg_values **out, const vbg_program *p, int argc,
                             char **argv, vbg_err *err);
/* Sets one option as if it stood on the command line.  Errors: VBG_EUSAGE. */
vbg_status vbg_values_set(vbg_values *v, const char *name, const char *text,
                          vbg_err *err);
/* The same with less right than what was set before: does nothing for an option that has
 * a value (configuration files and presets after the command line).  Flags take
 * yes|no|on|off|true|false|1|0.  Errors: VBG_EUSAGE. */
vbg_status vbg_values_offer(vbg_values *v, const char *name, const char *text,
                            vbg_err *err);
/* Takes an option back to its default. */
void vbg_values_clear(vbg_values *v, const char *name);
/* True when text is right for the option (in a file or a command, where flags have
 * values).  Errors: VBG_EUSAGE; the text does not begin with dashes. */
vbg_status vbg_option_check(const vbg_option *o, const char *text, vbg_err *err);
/* All values once more, and their exchange (both of one program).
 * Errors: VBG_ENOMEM. */
vbg_status vbg_values_copy(vbg_values **out, const vbg_values *v, vbg_err *err);
void vbg_values_swap(vbg_values *a, vbg_values *b);
/* The program's table. */
const vbg_program *vbg_values_program(const vbg_values *v);
/* The option's row (own table, then the shared one), aliases resolved, or NULL. */
const vbg_option *vbg_option_find(const vbg_program *p, const char *name);

/* Edit distance of short names, for "did you mean"; 40 when one is longer than that. */
size_t vbg_edit_distance(const char *a, const char *b);

/* Values by long name; asking for a name that is not in the table aborts.
 * Strings are NULL when there is neither a value nor a default. */
const char *vbg_value(const vbg_values *v, const char *name);
bool vbg_value_given(const vbg_values *v, const char *name); /* by the user */
bool vbg_value_flag(const vbg_values *v, const char *name);
long vbg_value_int(const vbg_values *v, const char *name);
double vbg_value_real(const vbg_values *v, const char *name);
void vbg_value_size(const vbg_values *v, const char *name, int *w, int *h);
uint64_t vbg_value_seed(const vbg_values *v, const char *name);
size_t vbg_positionals(const vbg_values *v);
const char *vbg_positional(const vbg_values *v, size_t i);

/* "vbg-gen" */
const char *vbg_program_name(const vbg_values *v);

/* threads, isa (also VBG_THREADS, VBG_ISA) and the given precision. */
vbg_ctx_opt vbg_value_ctx(const vbg_values *v, vbg_dtype precision);

/* ---- messages (tools/message.c) ---- */

/* Remembers program name, quiet, verbose and colour from the values. */
void vbg_message_setup(const vbg_values *v);
/* From here on only errors are shown (ranks of mpirun but the first). */
void vbg_message_quiet(void);
/* The first thing a program does: its name for messages, SIGPIPE ignored, closed
 * standard streams opened on /dev/null. */
void vbg_message_start(const char *program);
/* Flushes stdout at the end; returns the exit code: code, or 1 with a message when
 * something was not written.  A reader that went away is no failure. */
int vbg_finish_output(int code);
/* "vbg-gen: error text" on stderr, one line, control characters escaped. */
void vbg_error(const char *fmt, ...) VBG_PRINTF(1, 2);
void vbg_warning(const char *fmt, ...) VBG_PRINTF(1, 2);
/* Nothing under --quiet. */
void vbg_note(const char *fmt, ...) VBG_PRINTF(1, 2);
/* Only under --verbose. */
void vbg_detail(const char *fmt, ...) VBG_PRINTF(1, 2);
/* Prints err and returns the exit code of st: 0, 1, or 2 for VBG_EUSAGE. */
int vbg_exit_code(vbg_status st, const vbg_err *err);

/* SIGINT and SIGTERM: the first asks the program to finish (vbg_stop_signal
 * returns its number), a second one ends it at once.  SIGPIPE and SIGXFSZ are
 * ignored; SIGBUS is engine/map_guard.h's. */
void vbg_signals_setup(void);
int vbg_stop_signal(void);

/* ---- progress (tools/progress.c) ---- */

/* One line on a terminal (at most 10 redraws a second), else a plain line each
 * 10 % or 30 s; nothing under --quiet. */
typedef struct vbg_progress {
    const char *what;
    double start, last;
    long total, shown_tenth;
} vbg_progress;
void vbg_progress_start(vbg_progress *p, const char *what, long total);
void vbg_progress_step(vbg_progress *p, long done);
void vbg_progress_end(vbg_progress *p);

/* A free status line (vbg-run), redrawn in place on a terminal. */
void vbg_status_line(const char *fmt, ...) VBG_PRINTF(1, 2);
void vbg_status_clear(void);

#endif
