/* vbg-run on pictures: one, or a folder of them into another folder.  Composited in RGB,
 * so that the person's pixels stay exactly as they were. */
#define _GNU_SOURCE
#include "tools/run.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/io.h"
#include "engine/picture_io.h"
#include "video/pipeline.h"

typedef struct bench {
    const vbg_run_setup *s;
    int w, h;
    vbg_masker *masker;
    vbg_background *background;
    vbg_raw_frame raw;
    vbg_mask mask;
    vbg_picture back; /* RGB */
} bench;

static void clear(bench *b)
{
    vbg_masker_free(b->masker);
    vbg_background_close(b->background);
    vbg_frame_free(&b->raw.frame);
    vbg_picture_free(&b->mask.alpha);
    vbg_picture_free(&b->back);
    *b = (bench){ .s = b->s };
}

/* Everything that depends on the size of the picture. */
static vbg_status fit_size(bench *b, int w, int h, vbg_err *err)
{
    vbg_mask_opt mask = b->s->mask_opt;
    vbg_background_opt back = b->s->back_opt;
    vbg_status st;

    if (b->w == w && b->h == h)
        return VBG_OK;
    clear(b);
    mask.w = back.w = w;
    mask.h = back.h = h;
    back.yuv = back.full_range = true;
    st = vbg_frame_new(&b->raw.frame, w, h, err);
    if (st == VBG_OK)
        st = vbg_masker_new(&b->masker, &mask, err);
    if (st == VBG_OK)
        st = vbg_background_open(&b->background, b->s->background, &back, err);
    if (st == VBG_OK)
        st = vbg_picture_new(&b->mask.alpha, w, h, 1, err);
    if (st == VBG_OK)
        st = vbg_picture_new(&b->back, w, h, 3, err);
    if (st == VBG_OK) {
        b->w = w;
        b->h = h;
    }
    return st;
}

/* Y U V codes (BT.601, full range) to RGB. */
static void to_rgb(vbg_picture *dst, const vbg_picture *codes)
{
    vbg_yuv_matrix m;

    vbg_yuv_matrix_make(&m, false, true);
    for (int y = 0; y < dst->h; y++) {
        const uint8_t *s = vbg_picture_row(codes, y);
        uint8_t *d = vbg_picture_row(dst, y);
        for (int x = 0; x < dst->w; x++, s += 3, d += 3) {
            const double l = m.ry * (s[0] - m.y_off), u = s[1] - 128.0, v = s[2] - 128.0;
            const double c[3] = { l + m.rv * v, l + m.gu * u + m.gv * v, l + m.bu * u };
            for (int i = 0; i < 3; i++)
                d[i] = (uint8_t)lrint(fmin(255, fmax(0, c[i])));
        }
    }
}

static void mirror(vbg_picture *p, bool h, bool v)
{
    const size_t ch = (size_t)p->channels;
    uint8_t t[4];

    for (int y = 0; h && y < p->h; y++)
        for (int x = 0; x < p->w / 2; x++) {
            uint8_t *a = vbg_picture_row(p, y) + (size_t)x * ch;
            uint8_t *b = vbg_picture_row(p, y) + (size_t)(p->w - 1 - x) * ch;
            memcpy(t, a, ch);
            memcpy(a, b, ch);
            memcpy(b, t, ch);
        }
    for (int y = 0; v && y < p->h / 2; y++)
        for (size_t x = 0; x < (size_t)p->w * ch; x++) {
            uint8_t *a = vbg_picture_row(p, y) + x,
                    *b = vbg_picture_row(p, p->h - 1 - y) + x;
            uint8_t k = *a;
            *a = *b;
            *b = k;
        }
}

/* The given mask as a gray frame. */
static vbg_status load_mask(vbg_frame *f, const char *path, bool h, bool v, vbg_err *err)
{
    vbg_picture p;
    vbg_status st = vbg_picture_load(&p, NULL, path, 1, err);

    if (st == VBG_OK)
        st = vbg_frame_new(f, p.w, p.h, err);
    if (st == VBG_OK) {
        mirror(&p, h, v);
        for (int y = 0; y < p.h; y++)
            memcpy(f->yuv.plane[0] + (size_t)y * f->yuv.stride[0], vbg_picture_row(&p, y),
                   (size_t)p.w);
    }
    vbg_picture_free(&p);
    return st;
}

/* The person alone, with an alpha: colours stay where at least a quarter of a pixel is
 * person and fade to black below, so that no pixel of the room is left. */
static vbg_status save_cut_out(bench *b, const vbg_picture *rgb, const char *out,
                               const vbg_picture_meta *meta, vbg_err *err)
{
    vbg_picture clear;
    vbg_status st = vbg_picture_new(&clear, rgb->w, rgb->h, 4, err);

    for (int y = 0; st == VBG_OK && y < rgb->h; y++) {
        const uint8_t *s = vbg_picture_row(rgb, y),
                      *a = vbg_picture_row(&b->mask.alpha, y);
        uint8_t *d = vbg_picture_row(&clear, y);
        for (int x = 0; x < rgb->w; x++, s += 3, d += 4) {
            const int steep = a[x] < 64 ? 4 * a[x] : 255;
            for (int i = 0; i < 3; i++)
                d[i] = (uint8_t)((s[i] * steep + 127) / 255);
            d[3] = a[x];
        }
    }
    if (st == VBG_OK)
        st = vbg_picture_save(out, &clear, meta, 92, err);
    vbg_picture_free(&clear);
    return st;
}

static vbg_status one(bench *b, const char *in, const char *mask, const char *out,
                      const char *mask_out, vbg_err *err)
{
    const vbg_run_setup *s = b->s;
    const vbg_picture_meta meta = { .software = "vbg " VBG_VERSION,
                                    .source_type =
                                        "compositeWithTrainedAlgorithmicMedia" };
    vbg_picture rgb = { 0 };
    vbg_frame given = { 0 };
    vbg_status st = vbg_picture_load(&rgb, NULL, in, 3, err);

    if (st == VBG_OK && mask)
        st = load_mask(&given, mask, s->flip_h, s->flip_v, err);
    if (st == VBG_OK)
        st = fit_size(b, rgb.w, rgb.h, err);
    if (st == VBG_OK) {
        vbg_yuv *v = &b->raw.frame.yuv;
        const vbg_kernels *k = vbg_ctx_kernels(s->ctx);
        mirror(&rgb, s->flip_h, s->flip_v);
        v->full_range = true;
        v->bt709 = false;
        vbg_yuv_from_rgb(k, v, &rgb, VBG_CHROMA_MEAN, 0, 0);
        st = vbg_masker_run(b->masker, s->ctx, &b->raw, mask ? &given : NULL, &b->mask,
                            err);
    }
    if (st == VBG_OK) {
        const vbg_picture *codes =
            vbg_background_view(b->background, s->ctx, 0, 0, 0, &b->raw, &b->mask);
        to_rgb(&b->back, codes);
        if (s->alpha) {
            st = save_cut_out(b, &rgb, out, &meta, err);
        } else {
            vbg_composite(vbg_ctx_kernels(s->ctx), &rgb, &rgb, &b->back, &b->mask.alpha,
                          0, 0);
            st = vbg_picture_save(out, &rgb, &meta, 92, err);
        }
    }
    if (st == VBG_OK && mask_out)
        st = vbg_picture_save(mask_out, &b->mask.alpha, NULL, 92, err);
    vbg_picture_free(&rgb);
    vbg_frame_free(&given);
    return st;
}

/* ---- folders ---- */

static int is_entry(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static bool is_folder(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* DIR/NAME with another suffix when the old one cannot be written. */
static bool join(char *out, size_t size, const char *dir, const char *name)
{
    const char *dot = strrchr(name, '.');
    int n;

    if (vbg_picture_writable(name))
        n = snprintf(out, size, "%s/%s", dir, name);
    else
        n = snprintf(out, size, "%s/%.*s.png", dir,
                     dot ? (int)(dot - name) : (int)strlen(name), name);
    return n > 0 && (size_t)n < size;
}

/* The mask beside a name in the mask folder: the same base name. */
static bool find_mask(char *out, size_t size, const char *dir, const char *name)
{
    static const char *const ends[] = { ".mask.png", ".png", ".jpg", "" };
    const char *dot = strrchr(name, '.');
    const int base = dot ? (int)(dot - name) : (int)strlen(name);
    struct stat info;

    for (int i = 0; i < 4; i++) {
        int n = snprintf(out, size, "%s/%.*s%s", dir, ends[i][0] ? base : 4096, name,
                         ends[i]);
        if (n > 0 && (size_t)n < size && stat(out, &info) == 0)
            return true;
    }
    return false;
}

/* Only regular files that begin like a picture are taken. */
static bool is_picture(const char *path)
{
    unsigned char head[16];
    struct stat info;

    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return false;
    FILE *f = fopen(path, "rbe");
    size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    if (f)
        fclose(f);
    return vbg_picture_known(head, n);
}

static vbg_status make_folder(const char *path, vbg_err *err)
{
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && is_folder(path)))
        return VBG_OK;
    return vbg_fail(err, VBG_EIO, "%s: cannot be made a folder: %s", path,
                    strerror(errno));
}

static vbg_status one_of_folder(bench *b, const char *name, vbg_err *err)
{
    const vbg_run_setup *s = b->s;
    char in[4096], out[4096], mask[4096], mask_out[4096];

    if ((size_t)snprintf(in, sizeof in, "%s/%s", s->input, name) >= sizeof in ||
        !join(out, sizeof out, s->output, name) ||
        (s->mask_out && !join(mask_out, sizeof mask_out, s->mask_out, name)))
        return vbg_fail(err, VBG_EUSAGE, "%s: name too long", name);
    if (!is_picture(in))
        return vbg_fail(err, VBG_EFORMAT, "%s: not a picture, left out", in);
    if (s->mask && !find_mask(mask, sizeof mask, s->mask, name))
        return vbg_fail(err, VBG_EIO, "%s: no mask of this name in %s", name, s->mask);
    return one(b, in, s->mask ? mask : NULL, out, s->mask_out ? mask_out : NULL, err);
}

static vbg_status folder_of(bench *b, int *code, vbg_err *err)
{
    const vbg_run_setup *s = b->s;
    struct dirent **list = NULL;
    int good = 0, all = 0;
    vbg_status st = make_folder(s->output, err);

    if (st == VBG_OK && s->mask_out)
        st = make_folder(s->mask_out, err);
    if (st != VBG_OK)
        return st;
    if (vbg_same_file(s->input, s->output))
        return vbg_fail(err, VBG_EUSAGE, "%s: input and output are the same folder",
                        s->output);
    const int n = scandir(s->input, &list, is_entry, alphasort);
    if (n < 0)
        return vbg_fail(err, VBG_EIO, "%s: %s", s->input, strerror(errno));
    for (int i = 0; i < n; i++) {
        vbg_err e = { "" };
        if (!vbg_stop_signal()) {
            all++;
            st = one_of_folder(b, list[i]->d_name, &e);
            good += st == VBG_OK;
            if (st != VBG_OK)
                vbg_warning("%s", e.text);
        }
        free(list[i]);
    }
    free(list);
    vbg_note("%s: %d of %d pictures", s->output, good, all);
    *code = vbg_stop_signal() ? 128 + vbg_stop_signal() : good == all && all > 0 ? 0 : 1;
    if (all == 0)
        return vbg_fail(err, VBG_EFORMAT, "%s: an empty folder", s->input);
    return VBG_OK;
}

vbg_status vbg_run_stills(const vbg_run_setup *s, bool folder, int *code, vbg_err *err)
{
    bench b = { .s = s };
    vbg_status st;

    if (folder) {
        st = folder_of(&b, code, err);
    } else {
        st = one(&b, s->input, s->mask, s->output, s->mask_out, err);
        if (st == VBG_OK)
            vbg_note("%s: %dx%d", s->output, b.w, b.h);
    }
    clear(&b);
    return st;
}
