/* Fuzz target of the configuration reader: the bytes are the file. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "tools/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const vbg_option options[] = {
        { "background", 'b', VBG_OPT_STRING, "WHAT", NULL, NULL, "what", "group",
          VBG_OPT_PATH | VBG_OPT_CONFIG },
        { "blur", 0, VBG_OPT_REAL, "PX", "0", "0..256", "blur", "group", VBG_OPT_CONFIG },
        { "grow", 0, VBG_OPT_INT, "PX", "0", "-100..100", "grow", "group",
          VBG_OPT_CONFIG },
        { "output-size", 0, VBG_OPT_SIZE, "WxH", NULL, "64..16384", "size", "group",
          VBG_OPT_CONFIG },
        { "follow", 0, VBG_OPT_CHOICE, "WHAT", "camera", "camera|head|none", "follow",
          "group", VBG_OPT_CONFIG },
        { "wait", 0, VBG_OPT_FLAG, NULL, NULL, NULL, "wait", "group", VBG_OPT_CONFIG },
        { "config", 0, VBG_OPT_STRING, "FILE", NULL, NULL, "file", "group", 0 },
        { "no-config", 0, VBG_OPT_FLAG, NULL, NULL, NULL, "none", "group", 0 },
        { "profile", 0, VBG_OPT_STRING, "NAME", NULL, NULL, "profile", "group", 0 },
        { 0 }
    };
    static const vbg_program program = { .name = "fuzz", .options = options };
    char path[64];
    char *argv[] = { (char[]){ "fuzz" }, (char[]){ "--config" }, path,
                     (char[]){ "--profile" }, (char[]){ "night" }, NULL };
    vbg_err err = { "" };
    const int fd = memfd_create("run.conf", 0);

    if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    for (int argc = 3; argc <= 5; argc += 2) {
        vbg_values *v = NULL;
        if (vbg_options_parse(&v, &program, argc, argv, &err) == VBG_OK)
            vbg_config_read(v, &err);
        vbg_values_free(v);
    }
    close(fd);
    return 0;
}
