/* What the guest of tests/vm needs besides our programs: a reader of a video node that
 * counts frames, a look at a node's capabilities, and a question to the control socket
 * (vbg-run ctl loads some 170 libraries, which takes seconds in the emulation).
 *
 *     vm_reader caps /dev/video10                    capture, output or neither
 *     vm_reader read /dev/video10 N FORMAT [WxH]     N frames: "WxH frames=N mean=Y"
 *     vm_reader stay /dev/video10                    reads on; a line for each frame
 *     vm_reader ask SOCKET COMMAND                   the answer
 *
 * FORMAT: any, YUYV, NV12, YU12, MJPG. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "video/camera.h"

static int show_caps(const vbg_device *d, const char *path)
{
    struct v4l2_capability c = { 0 };
    const int fd = d->open(d->u, path, O_RDWR | O_NONBLOCK);

    if (fd < 0 || vbg_device_ioctl(d, fd, VIDIOC_QUERYCAP, &c) != 0) {
        printf("%s: cannot be asked\n", path);
        return 1;
    }
    printf("%s:%s%s\n", path, c.device_caps & V4L2_CAP_VIDEO_CAPTURE ? " capture" : "",
           c.device_caps & V4L2_CAP_VIDEO_OUTPUT ? " output" : "");
    d->close(d->u, fd);
    return 0;
}

static double mean(const vbg_yuv *v)
{
    double sum = 0;

    for (int y = 0; y < v->h; y++)
        for (int x = 0; x < v->w; x++)
            sum += v->plane[0][(size_t)y * v->stride[0] + (size_t)x];
    return sum / v->w / v->h;
}

/* count 0: for ever, a line per frame. */
static int read_frames(const vbg_device *d, const char *path, int count,
                       const vbg_camera_want *want)
{
    vbg_camera *c = NULL;
    vbg_frame f = { .memory = NULL };
    vbg_camera_info info;
    vbg_kernels k;
    vbg_err err = { "" };
    int got = 0;
    const double end = vbg_now() + 120;

    vbg_kernels_init(&k, VBG_ISA_AVX2);
    vbg_status st = vbg_camera_open(&c, d, path, want, &err);
    if (st == VBG_OK) {
        vbg_camera_get_info(c, &info);
        st = vbg_frame_new(&f, info.mode.w, info.mode.h, &err);
    }
    while (st == VBG_OK && (count == 0 || (got < count && vbg_now() < end))) {
        const vbg_camera_event e = vbg_camera_next(c, &k, &f, 1000, &err);
        if (e == VBG_CAMERA_GONE)
            st = VBG_EIO;
        got += e == VBG_CAMERA_FRAME;
        if (count == 0 && e == VBG_CAMERA_FRAME) {
            printf("%d\n", got);
            fflush(stdout);
        }
    }
    if (count > 0 && got > 0)
        printf("%dx%d frames=%d mean=%.0f ", f.yuv.w, f.yuv.h, got, mean(&f.yuv));
    printf("%s\n",
           got < count || count == 0 ? (err.text[0] ? err.text : "no more frames") : "");
    vbg_frame_free(&f);
    vbg_camera_close(c);
    return got == count ? 0 : 1;
}

static int ask(const char *path, const char *command)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char line[4096];

    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    snprintf(line, sizeof line, "%s\n", command);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0 ||
        send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
        return 1;
    const ssize_t n = recv(fd, line, sizeof line, 0);
    if (n > 0)
        fwrite(line, 1, (size_t)n, stdout);
    close(fd);
    return n > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    const vbg_device *d = vbg_device_system();
    vbg_camera_want want = { .fps = 30 };

    if (argc == 3 && strcmp(argv[1], "caps") == 0)
        return show_caps(d, argv[2]);
    if (argc == 4 && strcmp(argv[1], "ask") == 0)
        return ask(argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "stay") == 0)
        return read_frames(d, argv[2], 0, &want);
    if (argc < 5 || strcmp(argv[1], "read") != 0)
        return 2;
    if (strcmp(argv[4], "any") != 0)
        memcpy(&want.fourcc, argv[4], strnlen(argv[4], 4));
    if (argc > 5 && sscanf(argv[5], "%dx%d", &want.w, &want.h) != 2)
        return 2;
    return read_frames(d, argv[2], atoi(argv[3]), &want);
}
