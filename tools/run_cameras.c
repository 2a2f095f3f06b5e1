/* vbg-run --list-cameras and vbg-run doctor. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tools/run.h"
#include "video/loopback.h"

enum { NODES = 64 };

void vbg_run_want(vbg_camera_want *want, const vbg_values *v)
{
    static const struct {
        const char *word;
        uint32_t fourcc;
    } formats[] = { { "mjpg", V4L2_PIX_FMT_MJPEG },
                    { "yuyv", V4L2_PIX_FMT_YUYV },
                    { "nv12", V4L2_PIX_FMT_NV12 },
                    { "yu12", V4L2_PIX_FMT_YUV420 } };

    *want = (vbg_camera_want){ .fps = vbg_value_real(v, "input-fps") };
    vbg_value_size(v, "input-size", &want->w, &want->h);
    for (int i = 0; i < 4; i++)
        if (strcmp(formats[i].word, vbg_value(v, "input-format")) == 0)
            want->fourcc = formats[i].fourcc;
}

/* The formats of one camera, a star at what would be taken. */
static void list_modes(const vbg_device *d, int fd, const vbg_camera_want *want)
{
    static vbg_camera_mode modes[VBG_CAMERA_MODES];
    char why[160] = "", text[5];
    const int n = vbg_camera_modes(modes, d, fd);
    const int best = vbg_camera_choose(modes, n, want, why, sizeof why);

    for (int i = 0; i < n; i++) {
        const vbg_camera_mode *m = &modes[i];
        printf("\t\t%c %s %dx%d %.4g/s%s%s\n", i == best ? '*' : ' ',
               vbg_fourcc_text(text, m->fourcc), m->w, m->h,
               m->rate_den ? (double)m->rate_num / m->rate_den : 0.0,
               i == best ? "  " : "",
               i == best                            ? strchr(why, ':') + 2
               : vbg_camera_format_known(m->fourcc) ? ""
                                                    : "  (not read)");
    }
    if (best < 0)
        printf("\t\tnothing that vbg-run reads (MJPG, YUYV, NV12, YU12)\n");
}

void vbg_run_list_cameras(const vbg_device *d, const vbg_camera_want *want)
{
    char path[NODES][64];
    const int n = d->list(d->u, path, NODES);
    int cameras = 0;

    for (int i = 0; i < n; i++) {
        vbg_camera_name name;
        const int fd = d->open(d->u, path[i], O_RDWR | O_NONBLOCK);
        if (fd < 0) {
            vbg_err err = { "" };
            vbg_camera_explain(path[i], errno, &err);
            vbg_warning("%s", err.text);
            continue;
        }
        if (vbg_camera_query(&name, d, fd) && name.capture) {
            printf("%s (%s):\n\t%s\n", name.card, name.bus, path[i]);
            list_modes(d, fd, want);
            cameras++;
        } else if (name.output) {
            printf("%s (%s):\n\t%s\n\t\tvirtual camera: --output %s\n", name.card,
                   name.bus, path[i], path[i]);
        }
        d->close(d->u, fd);
    }
    if (cameras == 0)
        printf("no camera was found; vbg-run doctor tells what may be missing\n");
}

/* ---- doctor ---- */

static int complain(const char *what, const char *mend)
{
    printf("BAD  %s\n     %s\n", what, mend);
    return 1;
}

static bool exists(const char *root, const char *path)
{
    char full[1200];
    struct stat info;

    snprintf(full, sizeof full, "%s%s", root, path);
    return stat(full, &info) == 0;
}

/* Is the module built for this kernel?  Names only; nothing is loaded. */
static bool module_installed(const char *root)
{
    static const char *const places[] = { "updates/dkms/v4l2loopback.ko",
                                          "updates/dkms/v4l2loopback.ko.xz",
                                          "updates/dkms/v4l2loopback.ko.zst",
                                          "extra/v4l2loopback.ko",
                                          "extra/v4l2loopback.ko.xz" };
    struct utsname u;
    char path[600];

    if (uname(&u) != 0)
        return false;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(path, sizeof path, "/lib/modules/%s/%s", u.release, places[i]);
        if (exists(root, path))
            return true;
    }
    return false;
}

static int check_module(const char *root)
{
    char path[1200], text[256] = "";

    if (!exists(root, "/sys/module/v4l2loopback"))
        return module_installed(root)
                   ? complain("the virtual camera's module is not loaded",
                              VBG_LOOPBACK_MODPROBE)
                   : complain("the virtual camera's module is not installed",
                              "sudo apt install v4l2loopback-dkms "
                              "linux-headers-$(uname -r) && " VBG_LOOPBACK_MODPROBE);
    printf("ok   v4l2loopback is loaded\n");
    snprintf(path, sizeof path, "%s/sys/module/v4l2loopback/parameters/exclusive_caps",
             root);
    FILE *f = fopen(path, "re");
    if (f) {
        if (!fgets(text, sizeof text, f))
            text[0] = 0;
        fclose(f);
    }
    if (text[0] != 'Y' && text[0] != '1')
        return complain("exclusive_caps is off: browsers will not list the camera",
                        "sudo modprobe -r v4l2loopback && " VBG_LOOPBACK_MODPROBE);
    printf("ok   exclusive_caps is on: browsers list the camera\n");
    return 0;
}

/* What opening a real camera would meet: another program shows at S_FMT. */
static int check_camera(const vbg_device *d, const char *path, const char *card)
{
    vbg_camera_info info;
    vbg_camera *c = NULL;
    vbg_err err = { "" };
    char text[200];

    if (vbg_camera_probe(&info, d, path, &(vbg_camera_want){ .fps = 0 }, &err) ==
            VBG_OK &&
        vbg_camera_open(&c, d, path, &(vbg_camera_want){ .fps = 0 }, &err) == VBG_OK) {
        printf("ok   %s (%s): %s\n", path, card, info.why);
        vbg_camera_close(c);
        return 0;
    }
    snprintf(text, sizeof text, "%.63s (%.40s) cannot be used", path, card);
    return complain(text, err.text);
}

/* Every node: cameras, virtual cameras, no permission.  Returns what is bad. */
static int check_nodes(const vbg_device *d, int *cameras, int *virtuals)
{
    char path[NODES][64], text[200];
    const int n = d->list(d->u, path, NODES);
    int bad = 0;

    for (int i = 0; i < n; i++) {
        vbg_camera_name name;
        const int fd = d->open(d->u, path[i], O_RDWR | O_NONBLOCK);
        if (fd < 0) {
            const bool denied = errno == EACCES || errno == EPERM;
            snprintf(text, sizeof text, "%.63s: %.80s", path[i],
                     denied ? "no permission" : strerror(errno));
            bad +=
                complain(text, denied ? "sudo usermod -aG video $USER, then log in again"
                                      : "close the program that holds it (fuser)");
            continue;
        }
        const bool known = vbg_camera_query(&name, d, fd);
        d->close(d->u, fd);
        if (!known)
            continue;
        if (name.output) {
            printf("ok   %s is a virtual camera ('%s') and free\n", path[i], name.card);
            (*virtuals)++;
        } else if (strcmp(name.driver, "v4l2 loopback") == 0) {
            snprintf(text, sizeof text, "%.63s is a virtual camera, but busy or stuck",
                     path[i]);
            (*virtuals)++;
            bad += complain(text, "close what writes to it, or: sudo modprobe -r "
                                  "v4l2loopback && " VBG_LOOPBACK_MODPROBE);
        } else if (name.capture) {
            (*cameras)++;
            bad += check_camera(d, path[i], name.card);
        }
    }
    return bad;
}

int vbg_run_doctor(const vbg_device *d, const char *root)
{
    int cameras = 0, virtuals = 0;
    int bad = check_module(root);
    const bool module = bad == 0;

    bad += check_nodes(d, &cameras, &virtuals);
    if (cameras == 0)
        bad += complain("no camera was found", "plug one in; lsusb shows whether the "
                                               "machine sees it");
    if (module && virtuals == 0)
        bad += complain("the module is loaded, but no virtual camera is there",
                        "sudo modprobe -r v4l2loopback && " VBG_LOOPBACK_MODPROBE);
    const char *run = getenv("XDG_RUNTIME_DIR");
    if (!run || !*run)
        bad += complain("XDG_RUNTIME_DIR is not set: no control socket",
                        "log in through the desktop, or name one with --socket");
    printf("%s\n", bad ? "something is missing; see above" : "all is well");
    return vbg_finish_output(bad != 0);
}
