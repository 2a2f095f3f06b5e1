/* The image tower and its preprocessing; see models/clip.h. */
#include <math.h>
#include <string.h>

#include "engine/picture_resize.h"
#include "models/clip_internal.h"

vbg_status vbg_clip_image_bind(vbg_clip_image *m, const vbg_weights *w,
                               const char *component, const char *prefix,
                               const char *projection, vbg_clip_opt opt, vbg_err *err)
{
    vbg_bind b;
    const char *name = "embeddings.patch_embedding";

    *m = (vbg_clip_image){ .image = 0 };
    vbg_bind_start(&b, w, component);
    const vbg_entry *e = vbg_bind_entry(&b, "%s%s.weight", prefix, name);
    if (!e)
        return vbg_bind_finish(&b, err);
    if (e->rank != 4 || e->dim[0] < 1 || e->dim[0] > 65536 || e->dim[2] < 1 ||
        e->dim[2] > 256) {
        vbg_bind_problem(&b, "%s%s.weight is no patch convolution", prefix, name);
        return vbg_bind_finish(&b, err);
    }
    int width = (int)e->dim[0];
    m->patch = (int)e->dim[2];
    vbg_bind_layer(&b, &m->patches, width, 3, m->patch, m->patch, 0, "%s%s", prefix,
                   name);
    m->class_token =
        vbg_bind_vector(&b, (size_t)width, NULL, "%sembeddings.class_embedding", prefix);
    m->position =
        vbg_clip_bind_table(&b, 0, width, prefix, "embeddings.position_embedding.weight");
    int tokens = m->position ? (int)m->position->dim[0] : 1;
    m->grid = (int)lround(sqrt(tokens - 1));
    if (m->position && (m->grid < 1 || m->grid * m->grid + 1 != tokens))
        vbg_bind_problem(&b, "%d positions are no square", tokens);
    m->image = m->grid * m->patch;
    vbg_bind_norm(&b, &m->pre_norm, width, "%spre_layrnorm", prefix);
    vbg_bind_norm(&b, &m->post_norm, width, "%spost_layernorm", prefix);
    vbg_clip_bind_tower(&b, &m->tower, prefix, width, opt);
    if (projection)
        vbg_bind_layer(&b, &m->projection, 0, width, 1, 1, 0, "%s", projection);
    return vbg_bind_finish(&b, err);
}

/* pixels -> class token and patches with positions [n,1,grid*grid+1,width] */
static vbg_tensor *embed(vbg_ctx *c, const vbg_clip_image *m, const vbg_tensor *pixels)
{
    int n = pixels->n, width = m->tower.width, patches = m->grid * m->grid;
    const vbg_conv_opt step = { .stride = m->patch };

    vbg_scope_open(c);
    vbg_tensor *x = vbg_conv2d(c, pixels, &m->patches, step);
    int *zero = vbg_clip_ints(c, n);
    if (zero)
        memset(zero, 0, (size_t)n * sizeof *zero);
    vbg_tensor *first = vbg_embed(c, m->class_token, VBG_F32, 1, width, zero, n, 1);
    /* All tokens of an image as one pixel, so that joining channels joins tokens. */
    x = vbg_concat(c, first, vbg_view(c, x, n, 1, 1, patches * width));
    x = vbg_view(c, x, n, 1, patches + 1, width);
    return vbg_scope_close(c, vbg_clip_add_positions(c, x, m->position));
}

vbg_tensor *vbg_clip_image_hidden(vbg_ctx *c, const vbg_clip_image *m,
                                  const vbg_tensor *pixels, int layers)
{
    VBG_CHECK(pixels->h == m->image && pixels->w == m->image && pixels->c == 3,
              "image [%d,%d,%d] for a tower of %d", pixels->h, pixels->w, pixels->c,
              m->image);
    vbg_scope_open(c);
    vbg_tensor *x = embed(c, m, pixels);
    x = vbg_layer_norm(c, x, &m->pre_norm, m->tower.eps);
    return vbg_scope_close(c, vbg_clip_blocks(c, &m->tower, x, 0, layers, false));
}

vbg_tensor *vbg_clip_image_pool(vbg_ctx *c, const vbg_clip_image *m,
                                const vbg_tensor *state)
{
    int n = state->n;

    vbg_scope_open(c);
    int *row = vbg_clip_ints(c, n);
    for (int i = 0; row && i < n; i++)
        row[i] = i * state->w;
    vbg_tensor *x = vbg_clip_pick_rows(c, state, row, n);
    return vbg_scope_close(c, vbg_layer_norm(c, x, &m->post_norm, m->tower.eps));
}

/* ---- preprocessing ---- */

/* First kept pixel of n when size are kept. */
static int crop_start(int n, int size, vbg_clip_crop crop)
{
    int spare = n - size, half = spare / 2;

    if (crop == VBG_CLIP_CROP_TORCHVISION && spare % 2 == 1 && half % 2 == 1)
        half++; /* x.5 rounds to the even neighbour */
    return half;
}

vbg_status vbg_clip_preprocess(vbg_picture *dst, const vbg_picture *src, int size,
                               vbg_clip_crop crop, vbg_err *err)
{
    vbg_picture scaled = { .data = NULL };

    if (src->channels != 3)
        return vbg_fail(err, VBG_EUSAGE, "CLIP needs RGB, not %d channels",
                        src->channels);
    int64_t side = src->w < src->h ? src->w : src->h;
    int w = (int)((int64_t)size * src->w / side),
        h = (int)((int64_t)size * src->h / side);
    vbg_status st = vbg_picture_new(&scaled, w, h, 3, err);
    if (st == VBG_OK)
        st = vbg_picture_new(dst, size, size, 3, err);
    if (st == VBG_OK)
        st = vbg_picture_resample(&scaled, src, VBG_FILTER_BICUBIC, err);
    if (st == VBG_OK) {
        size_t x = (size_t)crop_start(w, size, crop),
               y = (size_t)crop_start(h, size, crop);
        for (int i = 0; i < size; i++)
            memcpy(dst->data + (size_t)i * dst->stride,
                   scaled.data + (y + (size_t)i) * scaled.stride + 3 * x,
                   3 * (size_t)size);
    } else {
        vbg_picture_free(dst);
    }
    vbg_picture_free(&scaled);
    return st;
}

void vbg_clip_normalise(float *x, const vbg_picture *rgb)
{
    static const float mean[3] = { 0.48145466f, 0.4578275f, 0.40821073f };
    static const float deviation[3] = { 0.26862954f, 0.26130258f, 0.27577711f };

    for (int i = 0; i < rgb->h; i++) {
        const uint8_t *row = rgb->data + (size_t)i * rgb->stride;
        for (int k = 0; k < 3 * rgb->w; k++)
            *x++ = ((float)row[k] / 255.0f - mean[k % 3]) / deviation[k % 3];
    }
}

void vbg_clip_unit_rows(float *x, size_t n, size_t c)
{
    for (size_t i = 0; i < n; i++, x += c) {
        double sum = 0;
        for (size_t k = 0; k < c; k++)
            sum += (double)x[k] * (double)x[k];
        double scale = sum > 0 ? 1.0 / sqrt(sum) : 0.0;
        for (size_t k = 0; k < c; k++)
            x[k] = (float)(x[k] * scale);
    }
}
