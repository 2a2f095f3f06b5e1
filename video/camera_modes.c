/* Formats, sizes and rates of a V4L2 camera; the choice among them. */
#define _GNU_SOURCE
#include "video/camera_modes.h"

#include <linux/videodev2.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "video/frame.h"

bool vbg_camera_format_known(uint32_t fourcc)
{
    return fourcc == V4L2_PIX_FMT_MJPEG || fourcc == V4L2_PIX_FMT_JPEG ||
           fourcc == V4L2_PIX_FMT_YUYV || fourcc == V4L2_PIX_FMT_NV12 ||
           fourcc == V4L2_PIX_FMT_YUV420;
}

const char *vbg_fourcc_text(char text[5], uint32_t fourcc)
{
    for (int i = 0; i < 4; i++) {
        const char c = (char)(fourcc >> 8 * i & 0x7f);
        text[i] = c >= 32 && c < 127 ? c : '?';
    }
    text[4] = 0;
    return text;
}

static double rate_of(const vbg_camera_mode *m)
{
    return m->rate_den > 0 ? (double)m->rate_num / m->rate_den : 0;
}

/* A driver's interval as a rate; false when it makes no sense. */
static bool take_rate(vbg_camera_mode *m, const struct v4l2_fract *interval)
{
    vbg_camera_mode r = *m;

    if (interval->numerator == 0 || interval->denominator == 0 ||
        interval->numerator > 1000000000 || interval->denominator > 1000000000)
        return false;
    r.rate_num = (int)interval->denominator;
    r.rate_den = (int)interval->numerator;
    if (!(rate_of(&r) <= 1000) || rate_of(&r) <= rate_of(m))
        return false;
    *m = r;
    return true;
}

/* The fastest rate of a format and size. */
static void find_rate(vbg_camera_mode *m, const vbg_device *d, int fd)
{
    for (uint32_t i = 0; i < 64; i++) {
        struct v4l2_frmivalenum e = { .index = i,
                                      .pixel_format = m->fourcc,
                                      .width = (uint32_t)m->w,
                                      .height = (uint32_t)m->h };
        if (vbg_device_ioctl(d, fd, VIDIOC_ENUM_FRAMEINTERVALS, &e) != 0)
            return;
        if (e.type != V4L2_FRMIVAL_TYPE_DISCRETE) {
            take_rate(m, &e.stepwise.min); /* the shortest interval */
            return;
        }
        take_rate(m, &e.discrete);
    }
}

static int add(vbg_camera_mode *modes, int n, const vbg_device *d, int fd,
               vbg_camera_mode m)
{
    if (n >= VBG_CAMERA_MODES || m.w < 16 || m.h < 16 || m.w > VBG_VIDEO_MAX_SIDE ||
        m.h > VBG_VIDEO_MAX_SIDE || (int64_t)m.w * m.h > VBG_VIDEO_MAX_PIXELS)
        return n;
    m.rate_den = 1;
    find_rate(&m, d, fd);
    modes[n] = m;
    return n + 1;
}

/* A range of sizes: those that people ask for, and its end. */
static int add_range(vbg_camera_mode *modes, int n, const vbg_device *d, int fd,
                     uint32_t fourcc, const struct v4l2_frmsize_stepwise *s)
{
    static const int usual[][2] = { { 320, 240 }, { 640, 360 },  { 640, 480 },
                                    { 960, 540 }, { 1280, 720 }, { 1920, 1080 } };
    const uint32_t sx = s->step_width ? s->step_width : 1;
    const uint32_t sy = s->step_height ? s->step_height : 1;

    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        const uint32_t w = (uint32_t)usual[i][0], h = (uint32_t)usual[i][1];
        if (w >= s->min_width && w <= s->max_width && h >= s->min_height &&
            h <= s->max_height && (w - s->min_width) % sx == 0 &&
            (h - s->min_height) % sy == 0)
            n = add(modes, n, d, fd,
                    (vbg_camera_mode){ .fourcc = fourcc, .w = (int)w, .h = (int)h });
    }
    if (n == 0 && s->max_width <= VBG_VIDEO_MAX_SIDE &&
        s->max_height <= VBG_VIDEO_MAX_SIDE)
        n = add(modes, n, d, fd,
                (vbg_camera_mode){
                    .fourcc = fourcc, .w = (int)s->max_width, .h = (int)s->max_height });
    return n;
}

static int sizes_of(vbg_camera_mode *modes, int n, const vbg_device *d, int fd,
                    uint32_t fourcc)
{
    for (uint32_t i = 0; i < 64; i++) {
        struct v4l2_frmsizeenum e = { .index = i, .pixel_format = fourcc };
        if (vbg_device_ioctl(d, fd, VIDIOC_ENUM_FRAMESIZES, &e) != 0)
            return n;
        if (e.type != V4L2_FRMSIZE_TYPE_DISCRETE)
            return add_range(modes, n, d, fd, fourcc, &e.stepwise);
        if (e.discrete.width <= VBG_VIDEO_MAX_SIDE &&
            e.discrete.height <= VBG_VIDEO_MAX_SIDE)
            n = add(modes, n, d, fd,
                    (vbg_camera_mode){ .fourcc = fourcc,
                                       .w = (int)e.discrete.width,
                                       .h = (int)e.discrete.height });
    }
    return n;
}

int vbg_camera_modes(vbg_camera_mode *modes, const vbg_device *d, int fd)
{
    int n = 0;

    for (uint32_t i = 0; i < 64; i++) {
        struct v4l2_fmtdesc f = { .index = i, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };
        if (vbg_device_ioctl(d, fd, VIDIOC_ENUM_FMT, &f) != 0)
            break;
        int m = sizes_of(modes, n, d, fd, f.pixelformat);
        if (m == n && n < VBG_CAMERA_MODES) { /* names no sizes: takes what is asked */
            modes[m] = (vbg_camera_mode){ .fourcc = f.pixelformat, .rate_den = 1 };
            m++;
        }
        n = m;
    }
    return n;
}

/* Smaller is better; negative: never. */
static double cost(const vbg_camera_mode *m, const vbg_camera_want *want)
{
    const int w = want->w ? want->w : 1280, h = want->h ? want->h : 720;
    const double fps = want->fps > 0 ? want->fps : 30, rate = rate_of(m);
    double c = 0;

    if (!vbg_camera_format_known(m->fourcc) ||
        (want->fourcc && want->fourcc != m->fourcc))
        return -1;
    if (rate > 0 && rate < fps * 0.95) /* 29.97 reaches 30 */
        c += 1000 * (fps - rate) / fps;
    if (m->w > 0) {
        const double area = (double)m->w * m->h / ((double)w * h);
        c += 100 * fabs(log(area)) + (area < 1 ? 40 : 0);
        c += 50 * fabs(log((double)m->w * h / ((double)m->h * w))); /* shape */
    }
    if (m->fourcc == V4L2_PIX_FMT_MJPEG || m->fourcc == V4L2_PIX_FMT_JPEG)
        c += 3;
    else if (m->fourcc == V4L2_PIX_FMT_YUYV)
        c += 1;
    return c;
}

int vbg_camera_choose(const vbg_camera_mode *modes, int n, const vbg_camera_want *want,
                      char *why, size_t size)
{
    const double fps = want->fps > 0 ? want->fps : 30;
    int best = -1;

    for (int i = 0; i < n; i++) {
        const double c = cost(&modes[i], want);
        if (c >= 0 && (best < 0 || c < cost(&modes[best], want)))
            best = i;
    }
    if (why && best >= 0) {
        const vbg_camera_mode *m = &modes[best];
        const bool slow = rate_of(m) > 0 && rate_of(m) < fps * 0.95;
        char text[5];
        snprintf(why, size, "%s %dx%d at %.4g/s: %s", vbg_fourcc_text(text, m->fourcc),
                 m->w, m->h, rate_of(m),
                 slow                    ? "nothing known is faster"
                 : want->w || want->h    ? "nearest to what was asked"
                 : m->w * m->h == 921600 ? "720p at full rate"
                                         : "nearest to 720p at full rate");
    }
    return best;
}

bool vbg_camera_query(vbg_camera_name *name, const vbg_device *d, int fd)
{
    struct v4l2_capability c = { .version = 0 };

    if (vbg_device_ioctl(d, fd, VIDIOC_QUERYCAP, &c) != 0)
        return false;
    const uint32_t can =
        c.capabilities & V4L2_CAP_DEVICE_CAPS ? c.device_caps : c.capabilities;
    *name = (vbg_camera_name){ .capture = (can & V4L2_CAP_VIDEO_CAPTURE) != 0,
                               .output = (can & V4L2_CAP_VIDEO_OUTPUT) != 0,
                               .streaming = (can & V4L2_CAP_STREAMING) != 0 };
    snprintf(name->card, sizeof name->card, "%.32s", (const char *)c.card);
    snprintf(name->bus, sizeof name->bus, "%.32s", (const char *)c.bus_info);
    snprintf(name->driver, sizeof name->driver, "%.16s", (const char *)c.driver);
    return true;
}
