/* JPEG through libjpeg's own interface (TurboJPEG cannot write markers).
 *
 * Reading: an error manager that jumps instead of exiting, a limit on the number of
 * scans and on the work they cost, and warnings that are errors: a still with a damaged
 * scan is refused, not shown half gray.
 * Writing: quality, 4:4:4 from 90 up else 4:2:0, Exif and XMP as APP1 after JFIF. */
#include "engine/picture_internal.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#define XMP_MARK "http://ns.adobe.com/xap/1.0/"
enum { MAX_SCANS = 500, MAX_SEGMENT = 65533, MAX_PACKET = 65502 };

typedef struct trap {
    struct jpeg_error_mgr base; /* first: libjpeg hands it back */
    jmp_buf back;
    const char *name;
    vbg_err *err;
    vbg_status status;
} trap;

static void on_exit_request(j_common_ptr c)
{
    trap *t = (trap *)c->err;
    char text[JMSG_LENGTH_MAX];

    if (t->status == VBG_OK) {
        t->base.format_message(c, text);
        t->status = vbg_fail(t->err, VBG_EFORMAT, "%s: damaged JPEG: %s", t->name, text);
    }
    longjmp(t->back, 1);
}

static void on_message(j_common_ptr c, int level)
{
    if (level < 0)
        on_exit_request(c);
}

static void on_harmless(j_common_ptr c, int level)
{
    (void)c;
    (void)level;
}

static void on_output(j_common_ptr c)
{
    (void)c;
}

/* Called per row group: refuses files whose scans never end. */
static void on_progress(j_common_ptr c)
{
    j_decompress_ptr d = (j_decompress_ptr)c;
    trap *t = (trap *)c->err;
    double work = (double)d->image_width * d->image_height * d->input_scan_number;

    if (d->input_scan_number > MAX_SCANS ||
        (d->input_scan_number > 40 && work > 1.0 * VBG_PICTURE_MAX_PIXELS)) {
        t->status = vbg_fail(t->err, VBG_ELIMIT, "%s: damaged JPEG: more than %d scans",
                             t->name, d->input_scan_number - 1);
        longjmp(t->back, 1);
    }
}

static void take_markers(vbg_picture_raw *r, j_decompress_ptr d)
{
    JOCTET *icc = NULL;
    unsigned bytes = 0;

    for (jpeg_saved_marker_ptr m = d->marker_list; m; m = m->next) {
        if (m->marker != JPEG_APP0 + 1)
            continue;
        if (m->data_length > 6 && memcmp(m->data, "Exif\0", 6) == 0) {
            if (r->exif.size == 0)
                vbg_bytes_add(&r->exif, m->data, m->data_length);
        } else if (m->data_length > sizeof XMP_MARK &&
                   memcmp(m->data, XMP_MARK, sizeof XMP_MARK) == 0) {
            if (r->xmp.size == 0)
                vbg_bytes_add(&r->xmp, m->data + sizeof XMP_MARK,
                              m->data_length - sizeof XMP_MARK);
        }
    }
    /* A profile in pieces is no damage of the picture: its warning is ignored. */
    d->err->emit_message = on_harmless;
    if (jpeg_read_icc_profile(d, &icc, &bytes))
        vbg_bytes_add(&r->icc, icc, bytes);
    d->err->emit_message = on_message;
    free(icc);
}

static void decode(vbg_picture_raw *r, j_decompress_ptr d, trap *t,
                   struct jpeg_progress_mgr *progress, const unsigned char *data,
                   size_t bytes)
{
    jpeg_mem_src(d, data, (unsigned long)bytes);
    jpeg_save_markers(d, JPEG_APP0 + 1, MAX_SEGMENT);
    jpeg_save_markers(d, JPEG_APP0 + 2, MAX_SEGMENT);
    progress->progress_monitor = on_progress;
    d->progress = progress;
    jpeg_read_header(d, TRUE);
    t->status = vbg_picture_check(t->name, d->image_width, d->image_height, t->err);
    if (t->status != VBG_OK)
        longjmp(t->back, 1);
    r->w = (int)d->image_width;
    r->h = (int)d->image_height;
    take_markers(r, d);
    if (r->only_info)
        return;
    r->cmyk = d->num_components == 4;
    d->out_color_space = r->cmyk                  ? JCS_CMYK
                         : d->num_components == 1 ? JCS_GRAYSCALE
                                                  : JCS_RGB;
    jpeg_start_decompress(d);
    t->status =
        vbg_picture_new_unset(&r->picture, r->w, r->h, d->output_components, t->err);
    if (t->status != VBG_OK)
        longjmp(t->back, 1);
    while (d->output_scanline < d->output_height) {
        JSAMPROW row = r->picture.data + d->output_scanline * r->picture.stride;
        jpeg_read_scanlines(d, &row, 1);
        if (r->cmyk && !d->saw_Adobe_marker) /* to Adobe's way: 255 is no ink */
            for (size_t i = 0; i < 4 * (size_t)r->w; i++)
                row[i] = (JSAMPLE)(255 - row[i]);
    }
    jpeg_finish_decompress(d);
}

vbg_status vbg_jpeg_decode(vbg_picture_raw *r, const unsigned char *data, size_t bytes,
                           vbg_err *err)
{
    struct jpeg_decompress_struct d = { 0 };
    struct jpeg_progress_mgr progress = { 0 };
    trap t = { .name = r->name, .err = err };

    d.err = jpeg_std_error(&t.base);
    t.base.error_exit = on_exit_request;
    t.base.emit_message = on_message;
    t.base.output_message = on_output;
    if (setjmp(t.back) == 0) {
        jpeg_create_decompress(&d);
        decode(r, &d, &t, &progress, data, bytes);
    }
    jpeg_destroy_decompress(&d);
    return t.status;
}

/* ---- writing ---- */

/* APP1 with the Exif block and, when it fits, the XMP packet. */
static void write_markers(j_compress_ptr c, const vbg_picture_meta *m,
                          const vbg_picture *p)
{
    vbg_bytes exif = { 0 }, xmp = { 0 }, out = { 0 };

    if (m->parameters || m->software)
        vbg_exif_write(&exif, m->parameters, m->software);
    if (exif.size > 0 && exif.size <= MAX_SEGMENT && !exif.failed)
        jpeg_write_marker(c, JPEG_APP0 + 1, exif.data, (unsigned)exif.size);
    vbg_xmp_write(&xmp, m, p->w, p->h, true);
    if (xmp.size > MAX_PACKET) { /* the JSON is what grows */
        vbg_bytes_free(&xmp);
        vbg_xmp_write(&xmp, m, p->w, p->h, false);
    }
    if (xmp.size > 0 && xmp.size <= MAX_PACKET) {
        vbg_bytes_add(&out, XMP_MARK, sizeof XMP_MARK);
        vbg_bytes_add(&out, xmp.data, xmp.size);
        if (!out.failed)
            jpeg_write_marker(c, JPEG_APP0 + 1, out.data, (unsigned)out.size);
    }
    vbg_bytes_free(&exif);
    vbg_bytes_free(&xmp);
    vbg_bytes_free(&out);
}

static void encode(j_compress_ptr c, const vbg_picture *p, const vbg_picture_meta *m,
                   int quality, unsigned char *row)
{
    c->image_width = (JDIMENSION)p->w;
    c->image_height = (JDIMENSION)p->h;
    c->input_components = p->channels == 1 ? 1 : 3;
    c->in_color_space = p->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(c);
    jpeg_set_quality(c, quality, TRUE);
    c->optimize_coding = TRUE;
    if (quality >= 90)
        for (int i = 0; i < c->num_components; i++)
            c->comp_info[i].h_samp_factor = c->comp_info[i].v_samp_factor = 1;
    jpeg_start_compress(c, TRUE);
    if (m)
        write_markers(c, m, p);
    while (c->next_scanline < c->image_height) {
        JSAMPROW line = p->data + c->next_scanline * p->stride;
        if (p->channels == 4) {
            for (int x = 0; x < p->w; x++)
                memcpy(row + 3 * x, line + 4 * x, 3);
            line = row;
        }
        jpeg_write_scanlines(c, &line, 1);
    }
    jpeg_finish_compress(c);
}

vbg_status vbg_jpeg_encode(unsigned char **out, size_t *bytes, const vbg_picture *p,
                           const vbg_picture_meta *meta, int quality, vbg_err *err)
{
    struct jpeg_compress_struct c = { 0 };
    trap t = { .name = "JPEG", .err = err };
    struct {
        unsigned char *data;
        unsigned long size;
    } mem = { 0 };
    unsigned char *row = malloc(3 * (size_t)p->w);

    *out = NULL;
    *bytes = 0;
    if (!row)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    c.err = jpeg_std_error(&t.base);
    t.base.error_exit = on_exit_request;
    t.base.output_message = on_output;
    if (setjmp(t.back) == 0) {
        jpeg_create_compress(&c);
        jpeg_mem_dest(&c, &mem.data, &mem.size);
        encode(&c, p, meta, quality, row);
    }
    jpeg_destroy_compress(&c);
    free(row);
    if (t.status != VBG_OK) {
        free(mem.data);
        return t.status;
    }
    *out = mem.data;
    *bytes = mem.size;
    return VBG_OK;
}
