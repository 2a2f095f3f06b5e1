/* Little pictures of people with masks, in the scratch folder of a test. */
#ifndef VBG_TESTS_PORTRAITS_H
#define VBG_TESTS_PORTRAITS_H

#include <criterion/criterion.h>
#include <math.h>

#include "engine/picture_io.h"
#include "tests/program.h"

/* Portraits: a body that leaves the picture at the bottom. */
static inline void write_people(const char *folder, int count)
{
    vbg_picture rgb, mask;
    char name[64];

    cr_assert_eq(mkdir(in_scratch(folder), 0700), 0);
    cr_assert_eq(vbg_picture_new(&rgb, 80, 100, 3, NULL), VBG_OK);
    cr_assert_eq(vbg_picture_new(&mask, 80, 100, 1, NULL), VBG_OK);
    for (int i = 0; i < count; i++) {
        for (int p = 0; p < 80 * 100; p++) {
            const int x = p % 80, y = p / 80;
            const bool in = hypot(x - 40, y - 40) < 18 || (y > 55 && abs(x - 40) < 25);
            mask.data[(size_t)y * mask.stride + (size_t)x] = in ? 255 : 0;
            uint8_t *v = rgb.data + (size_t)y * rgb.stride + 3 * (size_t)x;
            v[0] = in ? 200 : (uint8_t)(40 + x);
            v[1] = (uint8_t)(100 + 10 * i);
            v[2] = in ? 60 : 180;
        }
        snprintf(name, sizeof name, "%s/%d.png", folder, i);
        cr_assert_eq(vbg_picture_save(in_scratch(name), &rgb, NULL, 90, NULL), VBG_OK);
        snprintf(name, sizeof name, "%s/%d.mask.png", folder, i);
        cr_assert_eq(vbg_picture_save(in_scratch(name), &mask, NULL, 90, NULL), VBG_OK);
    }
    vbg_picture_free(&rgb);
    vbg_picture_free(&mask);
}

#endif
