/* Motion JPEG through libjpeg-turbo: raw planes, so that nothing is converted twice.
 *
 * libjpeg asks its memory manager for some hundred kilobytes per picture and gives them
 * back at the end.  The manager's functions for that pool are replaced by one block that
 * is filled from its start for every picture; what does not fit is taken from the heap
 * and makes the block larger for the next picture. */
#include "video/camera_jpeg.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

enum { MAX_ROWS = 16 /* of one row of blocks, sampling up to 2 */, ALIGN = 64 };

typedef struct spill {
    struct spill *next;
} spill;

struct vbg_mjpeg {
    struct jpeg_decompress_struct jpeg; /* client_data points back here */
    struct jpeg_error_mgr errors;
    struct jpeg_memory_mgr plain; /* libjpeg's own functions */
    jmp_buf back;
    vbg_err *err;
    int w, h;
    uint8_t *block; /* memory of one picture */
    size_t block_bytes, used, wanted;
    spill *spills;
    uint8_t
        *rows; /* [2 * MAX_ROWS + 1][stride]: chroma of one row of blocks, a spare row */
    size_t stride;
};

/* ---- errors ---- */

static void on_error(j_common_ptr c)
{
    vbg_mjpeg *m = c->client_data;
    char text[JMSG_LENGTH_MAX];

    c->err->format_message(c, text);
    vbg_fail(m->err, VBG_EFORMAT, "damaged JPEG: %s", text);
    longjmp(m->back, 1);
}

static void on_message(j_common_ptr c, int level)
{
    if (level < 0)
        on_error(c);
}

/* ---- memory of one picture ---- */

static void *take(j_common_ptr c, size_t bytes)
{
    vbg_mjpeg *m = c->client_data;
    const size_t n = vbg_round_up(bytes + ALIGN, ALIGN);

    m->wanted += n;
    if (m->block_bytes - m->used >= n) {
        void *p = m->block + m->used;
        m->used += n;
        return p;
    }
    spill *s = vbg_alloc(n + ALIGN);
    if (!s)
        on_error(c);
    s->next = m->spills;
    m->spills = s;
    return (uint8_t *)s + ALIGN;
}

static void *take_small(j_common_ptr c, int pool, size_t bytes)
{
    vbg_mjpeg *m = c->client_data;
    return pool == JPOOL_IMAGE ? take(c, bytes) : m->plain.alloc_small(c, pool, bytes);
}

static void *take_large(j_common_ptr c, int pool, size_t bytes)
{
    vbg_mjpeg *m = c->client_data;
    return pool == JPOOL_IMAGE ? take(c, bytes) : m->plain.alloc_large(c, pool, bytes);
}

/* Rows of n bytes each, every one aligned. */
static void **take_rows(j_common_ptr c, size_t n, size_t rows)
{
    const size_t step = vbg_round_up(n, ALIGN);
    void **p = take(c, rows * sizeof *p);
    uint8_t *data = take(c, rows * step);

    for (size_t i = 0; i < rows; i++)
        p[i] = data + i * step;
    return p;
}

static JSAMPARRAY take_samples(j_common_ptr c, int pool, JDIMENSION n, JDIMENSION rows)
{
    vbg_mjpeg *m = c->client_data;
    if (pool != JPOOL_IMAGE)
        return m->plain.alloc_sarray(c, pool, n, rows);
    return (JSAMPARRAY)take_rows(c, n, rows);
}

static JBLOCKARRAY take_blocks(j_common_ptr c, int pool, JDIMENSION n, JDIMENSION rows)
{
    vbg_mjpeg *m = c->client_data;
    if (pool != JPOOL_IMAGE)
        return m->plain.alloc_barray(c, pool, n, rows);
    return (JBLOCKARRAY)take_rows(c, n * sizeof(JBLOCK), rows);
}

static void give_back(vbg_mjpeg *m)
{
    while (m->spills) {
        spill *next = m->spills->next;
        vbg_free_mem(m->spills);
        m->spills = next;
    }
    if (m->wanted > m->block_bytes) {
        vbg_free_mem(m->block);
        m->block = vbg_alloc(m->wanted);
        m->block_bytes = m->block ? m->wanted : 0;
    }
    m->used = m->wanted = 0;
}

static void free_pool(j_common_ptr c, int pool)
{
    vbg_mjpeg *m = c->client_data;

    m->plain.free_pool(c, pool);
    if (pool == JPOOL_IMAGE)
        give_back(m);
}

vbg_status vbg_mjpeg_new(vbg_mjpeg **out, int w, int h, vbg_err *err)
{
    vbg_mjpeg *m = vbg_alloc(sizeof *m);

    *out = NULL;
    if (!m)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    m->w = w;
    m->h = h;
    m->stride = vbg_round_up((size_t)w + 32, ALIGN);
    m->rows = vbg_alloc((2 * MAX_ROWS + 1) * m->stride);
    m->jpeg.err = jpeg_std_error(&m->errors);
    m->errors.error_exit = on_error;
    m->errors.emit_message = on_message;
    m->jpeg.client_data = m;
    m->err = err;
    if (!m->rows || setjmp(m->back)) {
        vbg_mjpeg_free(m);
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    }
    jpeg_create_decompress(&m->jpeg);
    m->plain = *m->jpeg.mem;
    m->jpeg.mem->alloc_small = take_small;
    m->jpeg.mem->alloc_large = take_large;
    m->jpeg.mem->alloc_sarray = take_samples;
    m->jpeg.mem->alloc_barray = take_blocks;
    m->jpeg.mem->free_pool = free_pool;
    *out = m;
    return VBG_OK;
}

void vbg_mjpeg_free(vbg_mjpeg *m)
{
    if (!m)
        return;
    if (m->jpeg.mem) {
        m->jpeg.mem->free_pool = m->plain.free_pool;
        jpeg_destroy_decompress(&m->jpeg);
    }
    m->wanted = 0;
    give_back(m);
    vbg_free_mem(m->block);
    vbg_free_mem(m->rows);
    vbg_free_mem(m);
}

/* ---- planes ---- */

static uint8_t *scratch_row(vbg_mjpeg *m, int which, int row)
{
    return m->rows + (size_t)(which * MAX_ROWS + row) * m->stride;
}

/* Baseline, the announced size, luma at full resolution, chroma at full or half. */
static bool fits(vbg_mjpeg *m)
{
    struct jpeg_decompress_struct *d = &m->jpeg;

    if ((int)d->image_width != m->w || (int)d->image_height != m->h) {
        vbg_fail(m->err, VBG_EFORMAT, "a frame of %ux%u instead of %dx%d", d->image_width,
                 d->image_height, m->w, m->h);
        return false;
    }
    bool ok = !d->progressive_mode && (d->num_components == 1 || d->num_components == 3);
    for (int i = 0; ok && i < d->num_components; i++) {
        const int h = d->comp_info[i].h_samp_factor, v = d->comp_info[i].v_samp_factor;
        ok = h >= 1 && h <= 2 && v >= 1 && v <= 2;
    }
    if (ok && d->num_components == 3) {
        const jpeg_component_info *y = d->comp_info, *u = y + 1, *v = y + 2;
        ok = u->h_samp_factor == v->h_samp_factor &&
             u->v_samp_factor == v->v_samp_factor &&
             y->h_samp_factor >= u->h_samp_factor && y->v_samp_factor >= u->v_samp_factor;
    }
    if (!ok)
        vbg_fail(m->err, VBG_EFORMAT, "a JPEG of a kind that cameras do not send");
    return ok;
}

/* Chroma rows of one row of blocks, averaged down to 4:2:0, to row cy of plane p. */
static void put_chroma(vbg_mjpeg *m, vbg_frame *f, int p, int cy, int rows, bool full_w,
                       bool full_h)
{
    const int cw = (m->w + 1) / 2, ch = (m->h + 1) / 2, step = full_h ? 2 : 1;

    for (int r = 0; r < rows / step && cy + r < ch; r++) {
        const uint8_t *a = scratch_row(m, p - 1, r * step);
        const uint8_t *b = full_h ? scratch_row(m, p - 1, r * step + 1) : a;
        uint8_t *d = f->yuv.plane[p] + (size_t)(cy + r) * f->yuv.stride[p];
        if (full_w) {
#pragma omp simd
            for (int x = 0; x < cw; x++)
                d[x] =
                    (uint8_t)((a[2 * x] + a[2 * x + 1] + b[2 * x] + b[2 * x + 1] + 2) >>
                              2);
        } else if (full_h) {
#pragma omp simd
            for (int x = 0; x < cw; x++)
                d[x] = (uint8_t)((a[x] + b[x] + 1) >> 1);
        } else {
            memcpy(d, a, (size_t)cw);
        }
    }
}

static void read_planes(vbg_mjpeg *m, vbg_frame *f)
{
    struct jpeg_decompress_struct *d = &m->jpeg;
    const bool colour = d->num_components == 3;
    const int vy = d->comp_info[0].v_samp_factor, lines = vy * DCTSIZE;
    const int vc = colour ? d->comp_info[1].v_samp_factor : 0;
    const bool full_w =
        colour && d->comp_info[1].h_samp_factor == d->comp_info[0].h_samp_factor;
    const bool full_h = colour && vc == vy;
    JSAMPROW y_rows[MAX_ROWS], u_rows[MAX_ROWS], v_rows[MAX_ROWS];
    JSAMPARRAY planes[3] = { y_rows, u_rows, v_rows };

    for (int i = 0; i < MAX_ROWS; i++) {
        u_rows[i] = scratch_row(m, 0, i);
        v_rows[i] = scratch_row(m, 1, i);
    }
    for (int y = 0; y < m->h; y += lines) {
        for (int i = 0; i < lines; i++) /* what hangs over goes to a spare row */
            y_rows[i] = y + i < m->h
                            ? f->yuv.plane[0] + (size_t)(y + i) * f->yuv.stride[0]
                            : scratch_row(m, 2, 0);
        jpeg_read_raw_data(d, planes, (JDIMENSION)lines);
        for (int p = 1; colour && p < 3; p++)
            put_chroma(m, f, p, y / 2, vc * DCTSIZE, full_w, full_h);
    }
    for (int p = 1; !colour && p < 3; p++)
        for (int y = 0; y < (m->h + 1) / 2; y++)
            memset(f->yuv.plane[p] + (size_t)y * f->yuv.stride[p], 128,
                   (size_t)((m->w + 1) / 2));
}

vbg_status vbg_mjpeg_decode(vbg_mjpeg *m, vbg_frame *f, const uint8_t *data, size_t bytes,
                            vbg_err *err)
{
    struct jpeg_decompress_struct *d = &m->jpeg;

    m->err = err;
    if (bytes < 4 || data[0] != 0xff || data[1] != 0xd8)
        return vbg_fail(err, VBG_EFORMAT, "no JPEG in the buffer");
    if (setjmp(m->back)) {
        jpeg_abort_decompress(d);
        return VBG_EFORMAT;
    }
    jpeg_mem_src(d, data, (unsigned long)bytes);
    jpeg_read_header(d, TRUE);
    if (!fits(m)) {
        jpeg_abort_decompress(d);
        return VBG_EFORMAT;
    }
    d->raw_data_out = TRUE;
    d->out_color_space = d->jpeg_color_space;
    d->dct_method = JDCT_IFAST;
    jpeg_start_decompress(d);
    read_planes(m, f);
    jpeg_finish_decompress(d);
    return VBG_OK;
}
