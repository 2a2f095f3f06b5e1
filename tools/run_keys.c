/* Single keys from a terminal, without waiting for the end of a line. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "tools/run.h"

static struct termios before;
static bool changed;

static void restore(void)
{
    if (changed)
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    changed = false;
}

void vbg_run_keys_start(void)
{
    struct termios t;

    /* in the background of a shell it must not touch the terminal */
    if (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp() ||
        tcgetattr(STDIN_FILENO, &before) != 0)
        return;
    t = before;
    t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    t.c_cc[VMIN] = 0;
    t.c_cc[VTIME] = 0;
    changed = tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
    if (changed)
        atexit(restore);
}

void vbg_run_keys_stop(void)
{
    restore();
}

int vbg_run_key(void)
{
    unsigned char c;

    return changed && read(STDIN_FILENO, &c, 1) == 1 ? c : 0;
}
