/* Raw frame, mask and background to a frame that may be shown. */
#include "video/compose.h"

#include <stdlib.h>
#include <string.h>

#include "video/image.h"
#include "video/resize.h"

struct vbg_out_frame {
    vbg_frame frame;
    vbg_picture alpha, steep; /* data NULL: none */
    int64_t index;
};

vbg_status vbg_out_frame_new(vbg_out_frame **out, int w, int h, vbg_err *err)
{
    vbg_out_frame *f = calloc(1, sizeof *f);
    vbg_status st;

    *out = NULL;
    if (!f)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    st = vbg_frame_new(&f->frame, w, h, err);
    if (st == VBG_OK)
        *out = f;
    else
        free(f);
    return st;
}

vbg_status vbg_out_frame_new_alpha(vbg_out_frame **out, int w, int h, vbg_err *err)
{
    vbg_status st = vbg_out_frame_new(out, w, h, err);

    if (st == VBG_OK)
        st = vbg_picture_new(&(*out)->alpha, w, h, 1, err);
    if (st == VBG_OK)
        st = vbg_picture_new(&(*out)->steep, w, h, 1, err);
    if (st != VBG_OK) {
        vbg_out_frame_free(*out);
        *out = NULL;
    }
    return st;
}

const vbg_picture *vbg_out_frame_alpha(const vbg_out_frame *f)
{
    return f->alpha.data ? &f->alpha : NULL;
}

void vbg_out_frame_free(vbg_out_frame *f)
{
    if (!f)
        return;
    vbg_picture_free(&f->alpha);
    vbg_picture_free(&f->steep);
    vbg_frame_free(&f->frame);
    free(f);
}

const vbg_frame *vbg_out_frame_pixels(const vbg_out_frame *f)
{
    return &f->frame;
}

int64_t vbg_out_frame_index(const vbg_out_frame *f)
{
    return f->index;
}

bool vbg_mask_usable(const vbg_mask *m, const vbg_raw_frame *raw)
{
    return m && raw && m->valid && m->epoch == raw->epoch && m->index <= raw->index &&
           raw->index - m->index <= m->max_age && m->alpha.w == raw->frame.yuv.w &&
           m->alpha.h == raw->frame.yuv.h;
}

/* What all frames carry over. */
static void stamp(vbg_out_frame *out, const vbg_raw_frame *raw)
{
    out->index = raw->index;
    out->frame.time_s = raw->frame.time_s;
    out->frame.yuv.bt709 = raw->frame.yuv.bt709;
    out->frame.yuv.full_range = raw->frame.yuv.full_range;
}

/* ---- composite ---- */

enum { STRIP = 32 /* rows of one task, even */ };

typedef struct job {
    const vbg_compose_kernels *k;
    vbg_yuv *out;
    const vbg_yuv *raw;
    const vbg_picture *alpha, *back; /* alpha NULL: background alone */
    vbg_picture *kept, *steep;       /* alpha of the output, and for mixing; NULL: none */
} job;

static uint8_t *row_of(const vbg_yuv *v, int plane, int y)
{
    return v->plane[plane] + (size_t)y * v->stride[plane];
}

/* One chroma row; an odd last column is its own block. */
static void chroma_row(const job *j, int y)
{
    const int w = j->out->w, h = j->out->h, y0 = 2 * y, y1 = y0 + 1 < h ? y0 + 1 : y0;
    const size_t n = (size_t)(w / 2);
    const uint8_t *ba = vbg_picture_row(j->back, y0), *bb = vbg_picture_row(j->back, y1);
    const uint8_t *aa = vbg_picture_row(j->alpha, y0),
                  *ab = vbg_picture_row(j->alpha, y1);
    uint8_t *u = row_of(j->out, 1, y), *v = row_of(j->out, 2, y);
    const uint8_t *fu = row_of(j->raw, 1, y), *fv = row_of(j->raw, 2, y);

    j->k->chroma(u, v, fu, fv, ba, bb, aa, ab, n);
    if (w % 2) { /* the last pixel stands for both columns */
        uint8_t b0[6 + 64], b1[6 + 64], a0[2], a1[2];
        memcpy(b0, ba + 3 * (w - 1), 3);
        memcpy(b0 + 3, ba + 3 * (w - 1), 3);
        memcpy(b1, bb + 3 * (w - 1), 3);
        memcpy(b1 + 3, bb + 3 * (w - 1), 3);
        memset(a0, aa[w - 1], 2);
        memset(a1, ab[w - 1], 2);
        j->k->chroma(u + n, v + n, fu + n, fv + n, b0, b1, a0, a1, 1);
    }
}

/* Rows of the background alone: the mask is nobody, the raw frame is not read. */
static void background_rows(const job *j, int y0, int y1)
{
    const int w = j->out->w, h = j->out->h;

    for (int y = y0; y < y1; y++) {
        const uint8_t *b = vbg_picture_row(j->back, y);
        uint8_t *d = row_of(j->out, 0, y);
        for (int x = 0; x < w; x++)
            d[x] = b[3 * x];
    }
    for (int y = y0 / 2; y < (y1 + 1) / 2; y++) {
        const uint8_t *a = vbg_picture_row(j->back, 2 * y);
        const uint8_t *b = vbg_picture_row(j->back, 2 * y + 1 < h ? 2 * y + 1 : 2 * y);
        uint8_t *u = row_of(j->out, 1, y), *v = row_of(j->out, 2, y);
        for (int x = 0; x < (w + 1) / 2; x++) {
            int l = 6 * x, r = 2 * x + 1 < w ? l + 3 : l;
            u[x] = (uint8_t)((a[l + 1] + a[r + 1] + b[l + 1] + b[r + 1] + 2) >> 2);
            v[x] = (uint8_t)((a[l + 2] + a[r + 2] + b[l + 2] + b[r + 2] + 2) >> 2);
        }
    }
}

/* Alpha that goes out; what is mixed by is four times as steep, and takes its place in
 * `steep` (rows y0 to y1-1 of the picture). */
static void keep_alpha(const job *j, vbg_picture *steep, int y0, int y1)
{
    for (int y = y0; y < y1; y++) {
        const uint8_t *a = j->alpha ? vbg_picture_row(j->alpha, y) : NULL;
        uint8_t *d = vbg_picture_row(j->kept, y), *s = vbg_picture_row(steep, y);
        if (!a) {
            memset(d, 0, (size_t)j->out->w);
            continue;
        }
        memcpy(d, a, (size_t)j->out->w);
#pragma omp simd
        for (int x = 0; x < j->out->w; x++)
            s[x] = (uint8_t)(a[x] < 64 ? 4 * a[x] : 255);
    }
}

static void strip(void *arg, size_t index, int thread)
{
    const job *whole = arg;
    const int y0 = (int)index * STRIP;
    const int y1 = vbg_min_int(y0 + STRIP, whole->out->h);
    job own = *whole;
    const job *j = &own;

    (void)thread;
    if (j->kept) {
        keep_alpha(j, whole->steep, y0, y1);
        own.alpha = j->alpha ? whole->steep : NULL;
    }
    if (!j->alpha) {
        background_rows(j, y0, y1);
        return;
    }
    for (int y = y0; y < y1; y++)
        j->k->luma(row_of(j->out, 0, y), row_of(j->raw, 0, y),
                   vbg_picture_row(j->back, y), vbg_picture_row(j->alpha, y),
                   (size_t)j->out->w);
    for (int y = y0 / 2; y < (y1 + 1) / 2; y++)
        chroma_row(j, y);
}

bool vbg_compose(vbg_ctx *c, vbg_out_frame *out, const vbg_raw_frame *raw,
                 const vbg_mask *mask, const vbg_picture *back)
{
    const bool person = vbg_mask_usable(mask, raw);
    vbg_yuv *to = &out->frame.yuv;
    job j = { .k = &vbg_ctx_kernels(c)->compose,
              .out = to,
              .raw = &raw->frame.yuv,
              .alpha = person ? &mask->alpha : NULL,
              .back = back,
              .kept = out->alpha.data ? &out->alpha : NULL,
              .steep = &out->steep };

    VBG_CHECK(to->w == raw->frame.yuv.w && to->h == raw->frame.yuv.h &&
                  to->w == back->w && to->h == back->h && back->channels == 3,
              "frame %dx%d, output %dx%d, background %dx%dx%d", raw->frame.yuv.w,
              raw->frame.yuv.h, to->w, to->h, back->w, back->h, back->channels);
    vbg_parallel(c, (size_t)((to->h + STRIP - 1) / STRIP), strip, &j);
    stamp(out, raw);
    return person;
}

void vbg_compose_background(vbg_ctx *c, vbg_out_frame *out, const vbg_picture *back,
                            int64_t index, double time_s)
{
    vbg_yuv *to = &out->frame.yuv;
    job j = { .out = to,
              .back = back,
              .kept = out->alpha.data ? &out->alpha : NULL,
              .steep = &out->steep };

    VBG_CHECK(to->w == back->w && to->h == back->h && back->channels == 3,
              "output %dx%d, background %dx%dx%d", to->w, to->h, back->w, back->h,
              back->channels);
    vbg_parallel(c, (size_t)((to->h + STRIP - 1) / STRIP), strip, &j);
    out->index = index;
    out->frame.time_s = time_s;
}

void vbg_compose_mask(vbg_out_frame *out, const vbg_raw_frame *raw, const vbg_mask *mask)
{
    vbg_yuv *to = &out->frame.yuv;
    const bool person = vbg_mask_usable(mask, raw);

    for (int y = 0; y < to->h; y++) {
        if (person)
            memcpy(row_of(to, 0, y), vbg_picture_row(&mask->alpha, y), (size_t)to->w);
        else
            memset(row_of(to, 0, y), 0, (size_t)to->w);
    }
    for (int p = 1; p < 3; p++)
        for (int y = 0; y < (to->h + 1) / 2; y++)
            memset(row_of(to, p, y), 128, (size_t)((to->w + 1) / 2));
    stamp(out, raw);
    to->full_range = true;
}

/* ---- own background, blurred ---- */

enum { BLUR_PASSES = 3 };

struct vbg_own_blur {
    int scale, radius;      /* of the box, in small pixels */
    vbg_image small, other; /* w * (Y, U, V), w: four channels */
    vbg_image colour;       /* three channels */
    vbg_resizer *widen;
    float *sum; /* a column sum per value of a row */
};

vbg_status vbg_own_blur_new(vbg_own_blur **out, int w, int h, double sigma, vbg_err *err)
{
    vbg_own_blur *b = calloc(1, sizeof *b);
    vbg_status st;

    *out = NULL;
    if (!b)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    b->scale = sigma < 4 ? 1 : sigma < 24 ? 4 : 8;
    /* Three boxes of 2r+1 have the variance r(r+1); Wells 1986. */
    double s = sigma / b->scale;
    while (b->radius * (b->radius + 1) < s * s)
        b->radius++;
    const int sw = (w + b->scale - 1) / b->scale, sh = (h + b->scale - 1) / b->scale;
    st = vbg_image_new(&b->small, sw, sh, 4, err);
    if (st == VBG_OK)
        st = vbg_image_new(&b->other, sw, sh, 4, err);
    if (st == VBG_OK)
        st = vbg_image_new(&b->colour, sw, sh, 3, err);
    if (st == VBG_OK)
        st = vbg_resizer_new(&b->widen, sw, sh, w, h, 3, VBG_INTERP_LINEAR, err);
    if (st == VBG_OK && !(b->sum = calloc((size_t)sw * 4, sizeof *b->sum)))
        st = vbg_fail(err, VBG_ENOMEM, "out of memory");
    if (st == VBG_OK)
        *out = b;
    else
        vbg_own_blur_free(b);
    return st;
}

void vbg_own_blur_free(vbg_own_blur *b)
{
    if (!b)
        return;
    vbg_image_free(&b->small);
    vbg_image_free(&b->other);
    vbg_image_free(&b->colour);
    vbg_resizer_free(b->widen);
    free(b->sum);
    free(b);
}

/* Sums of weight and weighted colour over each block of scale x scale pixels. */
static void shrink(vbg_own_blur *b, const vbg_yuv *f, const vbg_picture *alpha)
{
    const int s = b->scale;

    for (int sy = 0; sy < b->small.h; sy++)
        for (int sx = 0; sx < b->small.w; sx++) {
            float sum[4] = { 0 };
            for (int y = sy * s; y < vbg_min_int((sy + 1) * s, f->h); y++)
                for (int x = sx * s; x < vbg_min_int((sx + 1) * s, f->w); x++) {
                    float w = (float)(255 - vbg_picture_row(alpha, y)[x]);
                    w = w < 128 ? 0 : w; /* what is mostly person says nothing */
                    sum[0] += w * row_of(f, 0, y)[x];
                    sum[1] += w * row_of(f, 1, y / 2)[x / 2];
                    sum[2] += w * row_of(f, 2, y / 2)[x / 2];
                    sum[3] += w;
                }
            memcpy(vbg_image_row(&b->small, sy) + 4 * sx, sum, sizeof sum);
        }
}

/* Box sums of 2r+1 pixels along rows; the border pixel is repeated. */
static void box_rows(vbg_image *dst, const vbg_image *src, int r)
{
    for (int y = 0; y < src->h; y++) {
        const float *s = vbg_image_row(src, y);
        float *d = vbg_image_row(dst, y);
        for (int c = 0; c < 4; c++) {
            double sum = 0;
            for (int k = -r; k <= r; k++)
                sum += s[4 * vbg_max_int(0, vbg_min_int(k, src->w - 1)) + c];
            for (int x = 0; x < src->w; x++) {
                d[4 * x + c] = (float)sum;
                sum += s[4 * vbg_min_int(x + r + 1, src->w - 1) + c] -
                       s[4 * vbg_max_int(x - r, 0) + c];
            }
        }
    }
}

static void box_columns(vbg_image *dst, const vbg_image *src, int r, float *sum)
{
    const int n = 4 * src->w;

    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int k = -r; k <= r; k++) {
        const float *s = vbg_image_row(src, vbg_max_int(0, vbg_min_int(k, src->h - 1)));
        for (int i = 0; i < n; i++)
            sum[i] += s[i];
    }
    for (int y = 0; y < src->h; y++) {
        const float *in = vbg_image_row(src, vbg_min_int(y + r + 1, src->h - 1));
        const float *gone = vbg_image_row(src, vbg_max_int(y - r, 0));
        float *d = vbg_image_row(dst, y);
        for (int i = 0; i < n; i++) {
            d[i] = sum[i];
            sum[i] += in[i] - gone[i];
        }
    }
}

void vbg_own_blur_run(vbg_own_blur *b, const vbg_kernels *k, vbg_picture *back,
                      const vbg_raw_frame *raw, const vbg_mask *mask)
{
    if (!vbg_mask_usable(mask, raw)) {
        for (int y = 0; y < back->h; y++)
            memset(vbg_picture_row(back, y), 128, 3 * (size_t)back->w);
        return;
    }
    shrink(b, &raw->frame.yuv, &mask->alpha);
    /* Deep inside a person no background is near: any colour does, he covers it. */
    for (int i = 0; i < BLUR_PASSES; i++) {
        box_rows(&b->other, &b->small, b->radius);
        box_columns(&b->small, &b->other, b->radius, b->sum);
    }
    for (int y = 0; y < b->small.h; y++) {
        const float *s = vbg_image_row(&b->small, y);
        float *d = vbg_image_row(&b->colour, y);
        for (int x = 0; x < b->small.w; x++)
            for (int c = 0; c < 3; c++)
                d[3 * x + c] =
                    s[4 * x + 3] > 1 ? s[4 * x + c] / s[4 * x + 3] : (c ? 128.0f : 16.0f);
    }
    vbg_resizer_f32_u8(b->widen, k, back, &b->colour);
}
