/* Little panoramas with captions, regions and depths, a VAE that has seen them and the
 * sizes of a UNet, in the scratch folder of a test. */
#ifndef VBG_TESTS_LITTLE_ROOMS_H
#define VBG_TESTS_LITTLE_ROOMS_H

#include <criterion/criterion.h>

#include "engine/picture_io.h"
#include "tests/program.h"
#include "tests/texts.h"
#include "tools/rooms/files.h"

enum { W = 256, H = 128, PANOS = 6, REGION = 32 /* columns of a region */ };

/* Region u / REGION, half a metre further each; the upper rows are the sky. */
static inline void write_truth(const char *dir, int i)
{
    static uint8_t label[W * H], depth[2 * W * H];
    char path[320];
    vbg_err err = { 0 };

    for (int k = 0; k < W * H; k++) {
        const int region = k % W / REGION, mm = 500 * (region + 1);
        const bool above = k / W < 3 * H / 8;
        label[k] = (uint8_t)(above ? 200 : region);
        depth[2 * k] = (uint8_t)(above ? 0 : mm >> 8);
        depth[2 * k + 1] = (uint8_t)(above ? 0 : mm & 255);
    }
    snprintf(path, sizeof path, "%s/q%d.label.png", dir, i);
    cr_assert(vbg_png_save_map(path, label, W, H, 8, &err) == VBG_OK, "%s", err.text);
    snprintf(path, sizeof path, "%s/q%d.depth.png", dir, i);
    cr_assert(vbg_png_save_map(path, depth, W, H, 16, &err) == VBG_OK, "%s", err.text);
}

static inline void write_panorama(const char *dir, int i)
{
    vbg_picture p;
    vbg_err err = { 0 };
    char path[320], text[600];

    cr_assert(vbg_picture_new(&p, W, H, 3, &err) == VBG_OK);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            uint8_t *to = p.data + (size_t)y * p.stride + 3 * (size_t)x;
            to[0] = (uint8_t)(y < 3 * H / 8 ? 250 : 30 * (x / REGION));
            to[1] = (uint8_t)(40 * i + y / 2);
            to[2] = (uint8_t)(200 - 20 * (x / REGION));
        }
    snprintf(path, sizeof path, "%s/q%d.png", dir, i);
    cr_assert(vbg_picture_save(path, &p, NULL, 90, &err) == VBG_OK, "%s", err.text);
    vbg_picture_free(&p);
    snprintf(path, sizeof path, "%s/q%d.txt", dir, i);
    snprintf(text, sizeof text, "room %d\na\nb\nc\nd\ne\nf on the left\ng\nh\n", i);
    write_text(path, text);
}

/* data/, vae/model.vbg, vae.json and unet.json: the path of data. */
static inline const char *make_data(void)
{
    static char dir[300];

    snprintf(dir, sizeof dir, "%s", in_scratch("data"));
    cr_assert(mkdir(dir, 0700) == 0);
    for (int i = 0; i < PANOS; i++) {
        write_panorama(dir, i);
        write_truth(dir, i);
    }
    write_text(in_scratch("vae.json"), vae_config);
    write_text(in_scratch("unet.json"), unet_config);
    said s = RUN("vbg-train", "base", "vae", "-d", dir, "-o", in_scratch("vae"),
                 "--config", in_scratch("vae.json"), "--crop", "32", "--val-crop", "32",
                 "-b", "4", "--steps", "4", "--warmup", "1");
    cr_assert_eq(s.code, 0, "%s", s.err);
    return dir;
}

#endif
