/* y4m, both ways.  Every number is digits only and checked before it is used. */
#define _GNU_SOURCE
#include "video/y4m.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_MAX = 4096, FRAME_LINE_MAX = 1024 };

typedef struct colour {
    const char *name;
    int sx, sy; /* chroma shift, -1: no chroma */
    int planes; /* read (alpha is read and dropped) */
    int bits;
} colour;

static const colour colours[] = {
    { "420", 1, 1, 3, 8 },      { "420jpeg", 1, 1, 3, 8 }, { "420mpeg2", 1, 1, 3, 8 },
    { "420paldv", 1, 1, 3, 8 }, { "422", 1, 0, 3, 8 },     { "444", 0, 0, 3, 8 },
    { "444alpha", 0, 0, 4, 8 }, { "mono", -1, -1, 1, 8 },  { "420p10", 1, 1, 3, 10 },
};

struct vbg_y4m {
    FILE *f;
    char *name;
    int w, h, rate_num, rate_den;
    const colour *c;
    bool full_range, odd_rate;
    int64_t count;
    long first; /* offset of the first frame, -1: cannot seek */
    uint8_t *raw;
    size_t raw_bytes;
};

/* Digits only, at most 9 of them. */
static bool digits(const char *s, size_t n, int *out)
{
    int v = 0;

    if (n < 1 || n > 9)
        return n == 10 && memcmp(s, "2147483647", 10) == 0 ? (*out = 2147483647, true)
                                                           : false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        v = v * 10 + (s[i] - '0');
    }
    *out = v;
    return true;
}

static vbg_status bad(const vbg_y4m *y, const char *what, vbg_err *err)
{
    return vbg_fail(err, VBG_EFORMAT, "%s: %s in the y4m header", y->name, what);
}

static vbg_status read_rate(vbg_y4m *y, const char *s, size_t n, vbg_err *err)
{
    const char *colon = memchr(s, ':', n);
    int a, b;

    if (!colon || !digits(s, (size_t)(colon - s), &a) ||
        !digits(colon + 1, n - (size_t)(colon - s) - 1, &b) || (a == 0) != (b == 0))
        return bad(y, "a frame rate that is no ratio", err);
    y->rate_num = a;
    y->rate_den = b;
    return VBG_OK;
}

static vbg_status read_colour(vbg_y4m *y, const char *s, size_t n, vbg_err *err)
{
    for (size_t i = 0; i < sizeof colours / sizeof *colours; i++)
        if (strlen(colours[i].name) == n && memcmp(colours[i].name, s, n) == 0) {
            y->c = &colours[i];
            return VBG_OK;
        }
    return vbg_fail(err, VBG_EUNSUPPORTED, "%s: y4m colour space %.*s is not supported",
                    y->name, (int)(n > 40 ? 40 : n), s);
}

static vbg_status read_tag(vbg_y4m *y, const char *s, size_t n, vbg_err *err)
{
    int *side = s[0] == 'W' ? &y->w : &y->h;

    switch (s[0]) {
    case 'W':
    case 'H':
        if (*side)
            return bad(y, "width or height twice", err);
        if (!digits(s + 1, n - 1, side) || *side == 0)
            return bad(y, "a width or height that is no number", err);
        return VBG_OK;
    case 'F':
        return read_rate(y, s + 1, n - 1, err);
    case 'C':
        return read_colour(y, s + 1, n - 1, err);
    case 'X':
        if (n == 16 && memcmp(s, "XCOLORRANGE=FULL", 16) == 0)
            y->full_range = true;
        return VBG_OK;
    case 'I':
    case 'A':
        return VBG_OK;
    default:
        return bad(y, "an unknown tag", err);
    }
}

/* A line of at most max bytes without its newline; -1: too long, NUL or the end. */
static long read_line(FILE *f, char *line, size_t max)
{
    size_t n = 0;

    for (int ch; (ch = getc(f)) != EOF;) {
        if (ch == '\n') {
            line[n] = 0;
            return (long)n;
        }
        if (n + 1 >= max || ch == 0)
            return -1;
        line[n++] = (char)ch;
    }
    return -1;
}

static vbg_status read_header(vbg_y4m *y, vbg_err *err)
{
    char line[HEADER_MAX + 1];
    long n = read_line(y->f, line, sizeof line);

    if (n < 9 || memcmp(line, "YUV4MPEG2", 9) != 0 || (line[9] && line[9] != ' '))
        return vbg_fail(err, VBG_EFORMAT, "%s: is no y4m stream", y->name);
    y->c = &colours[0];
    for (char *s = line + 9; *s;) {
        while (*s == ' ')
            s++;
        size_t len = strcspn(s, " ");
        vbg_status st = len ? read_tag(y, s, len, err) : VBG_OK;
        if (st != VBG_OK)
            return st;
        s += len;
    }
    if (!y->w || !y->h)
        return bad(y, "no width or height", err);
    return VBG_OK;
}

static void plane_size(const vbg_y4m *y, int p, size_t *w, size_t *h)
{
    *w = (size_t)y->w;
    *h = (size_t)y->h;
    if ((p == 1 || p == 2) && y->c->sx < 0) {
        *w = *h = 0;
    } else if (p == 1 || p == 2) {
        *w = (*w + (1u << y->c->sx) - 1) >> y->c->sx;
        *h = (*h + (1u << y->c->sy) - 1) >> y->c->sy;
    }
}

static void check_rate(vbg_y4m *y)
{
    double rate = y->rate_den ? (double)y->rate_num / y->rate_den : 0;

    if (rate < 0.1 || rate > 1000) {
        y->odd_rate = y->rate_num != 0;
        y->rate_num = 25;
        y->rate_den = 1;
    }
}

vbg_status vbg_y4m_open(vbg_y4m **out, FILE *f, const char *name, vbg_err *err)
{
    vbg_y4m *y = calloc(1, sizeof *y);
    vbg_frame probe = { 0 };

    if (!y || !(y->name = strdup(name))) {
        free(y);
        fclose(f);
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", name);
    }
    y->f = f;
    vbg_status st = read_header(y, err);
    if (st == VBG_OK) {
        st = vbg_frame_new(&probe, y->w, y->h, err); /* the limits live there */
        vbg_frame_free(&probe);
    }
    if (st == VBG_OK) {
        check_rate(y);
        for (int p = 0; p < y->c->planes; p++) {
            size_t w, h;
            plane_size(y, p, &w, &h);
            y->raw_bytes += w * h * (y->c->bits > 8 ? 2 : 1);
        }
        y->first = ftell(f);
        y->raw = malloc(y->raw_bytes + 64);
        if (!y->raw)
            st = vbg_fail(err, VBG_ENOMEM, "%s: not enough memory for a frame", name);
    }
    if (st == VBG_OK) {
        *out = y;
        y = NULL;
    }
    vbg_y4m_close(y);
    return st;
}

void vbg_y4m_close(vbg_y4m *y)
{
    if (!y)
        return;
    if (y->f && y->f != stdin)
        fclose(y->f);
    free(y->raw);
    free(y->name);
    free(y);
}

void vbg_y4m_get_info(const vbg_y4m *y, vbg_reader_info *info)
{
    *info = (vbg_reader_info){ .w = y->w,
                               .h = y->h,
                               .rate_num = y->rate_num,
                               .rate_den = y->rate_den,
                               .odd_rate = y->odd_rate,
                               .format = "yuv4mpegpipe" };
}

bool vbg_y4m_rewind(vbg_y4m *y)
{
    if (y->first < 0 || fseek(y->f, y->first, SEEK_SET) != 0)
        return false;
    y->count = 0;
    return true;
}

static int sample(const vbg_y4m *y, const uint8_t *plane, size_t i)
{
    if (y->c->bits == 8)
        return plane[i];
    int v = plane[2 * i] | plane[2 * i + 1] << 8;
    v = (v + 2) >> 2;
    return v > 255 ? 255 : v;
}

static void copy_luma(const vbg_y4m *y, vbg_frame *f)
{
    for (size_t r = 0; r < (size_t)y->h; r++) {
        uint8_t *d = f->yuv.plane[0] + r * f->yuv.stride[0];
        if (y->c->bits == 8) {
            memcpy(d, y->raw + r * (size_t)y->w, (size_t)y->w);
            continue;
        }
        for (size_t i = 0; i < (size_t)y->w; i++)
            d[i] = (uint8_t)sample(y, y->raw, r * (size_t)y->w + i);
    }
}

/* Chroma to half size: means of the samples of each 2x2 block of pixels. */
static void copy_chroma(const vbg_y4m *y, vbg_frame *f, int p, const uint8_t *src)
{
    size_t w, h, cw = ((size_t)y->w + 1) / 2, ch = ((size_t)y->h + 1) / 2;
    int bx = y->c->sx ? 1 : 2, by = y->c->sy ? 1 : 2;

    plane_size(y, p, &w, &h);
    for (size_t r = 0; r < ch; r++)
        for (size_t c = 0; c < cw; c++) {
            int sum = 0;
            for (int j = 0; j < by; j++)
                for (int i = 0; i < bx; i++) {
                    size_t yy = r * (size_t)by + (size_t)j,
                           xx = c * (size_t)bx + (size_t)i;
                    yy = yy < h ? yy : h - 1;
                    xx = xx < w ? xx : w - 1;
                    sum += sample(y, src, yy * w + xx);
                }
            f->yuv.plane[p][r * f->yuv.stride[p] + c] =
                (uint8_t)((sum + bx * by / 2) / (bx * by));
        }
}

vbg_status vbg_y4m_next(vbg_y4m *y, vbg_frame *f, bool *end, vbg_err *err)
{
    char line[FRAME_LINE_MAX + 1];
    int ch = getc(y->f);

    *end = ch == EOF;
    if (*end)
        return ferror(y->f) ? vbg_fail(err, VBG_EIO, "%s: %s", y->name, strerror(errno))
                            : VBG_OK;
    ungetc(ch, y->f);
    long n = read_line(y->f, line, sizeof line);
    if (n < 5 || memcmp(line, "FRAME", 5) != 0 || (line[5] && line[5] != ' '))
        return vbg_fail(err, VBG_EFORMAT, "%s: frame %lld does not begin with FRAME",
                        y->name, (long long)y->count);
    if (fread(y->raw, 1, y->raw_bytes, y->f) != y->raw_bytes)
        return vbg_fail(err, VBG_EFORMAT, "%s: frame %lld is cut short", y->name,
                        (long long)y->count);
    copy_luma(y, f);
    const uint8_t *at = y->raw;
    for (int p = 1; p < 3; p++) {
        size_t w, h;
        plane_size(y, p - 1, &w, &h);
        at += w * h * (y->c->bits > 8 ? 2 : 1);
        if (y->c->sx >= 0)
            copy_chroma(y, f, p, at);
        else
            memset(f->yuv.plane[p], 128, f->yuv.stride[p] * (((size_t)y->h + 1) / 2));
    }
    f->yuv.full_range = y->full_range;
    f->yuv.bt709 = false;
    f->time_s = (double)y->count++ * y->rate_den / y->rate_num;
    return VBG_OK;
}

/* ---- writing ---- */

void vbg_y4m_header(char *text, size_t size, const vbg_video_opt *o)
{
    snprintf(text, size, "YUV4MPEG2 W%d H%d F%d:%d Ip A1:1 C%s XCOLORRANGE=%s\n", o->w,
             o->h, o->rate_num, o->rate_den, o->alpha ? "444alpha" : "420jpeg",
             o->full_range ? "FULL" : "LIMITED");
}

static vbg_status broken(const char *name, vbg_err *err)
{
    return vbg_fail(err, errno == EPIPE ? VBG_ECANCEL : VBG_EIO, "%s: %s", name,
                    strerror(errno));
}

vbg_status vbg_y4m_write_header(FILE *f, const vbg_video_opt *o, const char *name,
                                vbg_err *err)
{
    char text[160];

    vbg_y4m_header(text, sizeof text, o);
    return fputs(text, f) < 0 ? broken(name, err) : VBG_OK;
}

void vbg_y4m_wide_row(uint8_t *d, const vbg_yuv *v, int p, int y)
{
    const uint8_t *s = v->plane[p] + (size_t)(p ? y / 2 : y) * v->stride[p];

    if (p == 0)
        memcpy(d, s, (size_t)v->w);
    for (int x = 0; p && x < v->w; x++)
        d[x] = s[x / 2];
}

static bool write_wide(FILE *f, const vbg_yuv *v, const vbg_picture *alpha)
{
    uint8_t row[VBG_VIDEO_MAX_SIDE];
    bool ok = true;

    for (int p = 0; p < 3; p++)
        for (int y = 0; y < v->h && ok; y++) {
            vbg_y4m_wide_row(row, v, p, y);
            ok = fwrite(row, 1, (size_t)v->w, f) == (size_t)v->w;
        }
    for (int y = 0; y < v->h && ok; y++)
        ok = fwrite(vbg_picture_row(alpha, y), 1, (size_t)v->w, f) == (size_t)v->w;
    return ok;
}

vbg_status vbg_y4m_write_frame(FILE *f, const vbg_frame *frame, const vbg_picture *alpha,
                               const char *name, vbg_err *err)
{
    const vbg_yuv *v = &frame->yuv;
    bool ok = fputs("FRAME\n", f) >= 0;

    if (alpha)
        ok = ok && write_wide(f, v, alpha);
    for (int p = 0; p < 3 && ok && !alpha; p++) {
        size_t w = (size_t)(p ? (v->w + 1) / 2 : v->w);
        size_t h = (size_t)(p ? (v->h + 1) / 2 : v->h);
        for (size_t y = 0; y < h && ok; y++)
            ok = fwrite(v->plane[p] + y * v->stride[p], 1, w, f) == w;
    }
    return ok && fflush(f) == 0 ? VBG_OK : broken(name, err);
}
