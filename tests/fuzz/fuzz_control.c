/* Fuzz target of the control socket: the bytes come from one client, as they are. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "tools/control.h"

/* Answers with what it got, so that every byte of a command is read. */
static vbg_status echo(void *arg, char **words, int count, char *reply, size_t size,
                       vbg_err *err)
{
    size_t used = 0;

    (void)arg;
    if (strcmp(words[0], "fail") == 0)
        return vbg_fail(err, VBG_EUSAGE, "%.60s", count > 1 ? words[1] : "failed");
    for (int i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(reply + used, size - used, "%s ", words[i]);
    return VBG_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static vbg_control *control;
    static struct sockaddr_un to = { .sun_family = AF_UNIX };
    char reply[8192];

    if (!control) {
        char folder[] = "/tmp/vbg-fuzz-XXXXXX";
        if (!mkdtemp(folder))
            abort();
        snprintf(to.sun_path, sizeof to.sun_path, "%s/run.sock", folder);
        if (vbg_control_open(&control, to.sun_path, NULL) != VBG_OK)
            abort();
    }
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0)
        abort();
    vbg_control_serve(control, 0, echo, NULL);
    for (size_t at = 0; at < bytes;) { /* in pieces, as a stranger may send */
        const size_t n = bytes - at < 3000 ? bytes - at : 3000;
        if (send(fd, data + at, n, MSG_NOSIGNAL) <= 0)
            break;
        at += n;
        vbg_control_serve(control, 0, echo, NULL);
        while (recv(fd, reply, sizeof reply, 0) > 0)
            continue;
    }
    vbg_control_tell(control, "frames=1");
    close(fd);
    vbg_control_serve(control, 0, echo, NULL);
    return 0;
}
