/* Small made-up rooms in the form of the renderer's, for the tests of the judge: two
 * kinds that differ in their colours and in what stands in the middle of them. */
#ifndef VBG_TESTS_JUDGE_ROOMS_H
#define VBG_TESTS_JUDGE_ROOMS_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/picture_io.h"
#include "tools/rooms/things.h"

enum { ROOM_W = 256, ROOM_H = 128 };

/* Even rooms: kitchens with red walls, a brown floor and a sofa on the left of ahead;
 * odd ones: offices with blue walls, a green floor and a desk. */
static inline const uint8_t *room_pixel(int i, int x, int y, int *label)
{
    static const uint8_t colour[2][4][3] = {
        { { 184, 39, 44 }, { 122, 75, 42 }, { 128, 130, 133 }, { 235, 197, 52 } },
        { { 43, 95, 168 }, { 63, 143, 71 }, { 240, 238, 232 }, { 30, 30, 32 } },
    };
    const int part = y < 28 ? 2 : y >= 84 ? 1 : y > 48 && (x / 16 + i) % 4 == 1 ? 3 : 0;

    *label = part == 0   ? T_WALL
             : part == 1 ? T_FLOOR
             : part == 2 ? T_CEILING
             : i % 2     ? T_DESK
                         : T_SOFA;
    return colour[i % 2][part];
}

static inline void write_facts(const char *path, int i)
{
    const bool odd = i % 2;
    FILE *f = fopen(path, "w");

    cr_assert(f);
    fprintf(f,
            "{\"kind\":\"%s\",\"wall\":{\"name\":\"%s\"},\"floor\":{\"name\":\"%s\"},"
            "\"ceiling\":{\"name\":null},\"main\":\"%s\",\"objects\":["
            "{\"thing\":\"wall\",\"view_share\":[0.4,0.4,0.4,0.4,0.4,0.4,0.4,0.4]},"
            "{\"thing\":\"%s\",\"view_share\":[0.1,0.1,0,0,0,0,0,0]},"
            "{\"thing\":\"%s\",\"view_share\":[0.05,0,0,0,0,0,0,0]}]}\n",
            odd ? "office" : "kitchen", odd ? "blue" : "red", odd ? "green" : "brown",
            odd ? "desk" : "sofa", odd ? "desk" : "sofa", odd ? "desk" : "sofa");
    fclose(f);
}

/* DIR/0.jpg, 0.label.png, 0.json ... */
static inline void write_rooms(const char *dir, int count)
{
    vbg_picture rgb, labels;
    char path[600];

    mkdir(dir, 0777);
    cr_assert_eq(vbg_picture_new(&rgb, ROOM_W, ROOM_H, 3, NULL), VBG_OK);
    cr_assert_eq(vbg_picture_new(&labels, ROOM_W, ROOM_H, 1, NULL), VBG_OK);
    for (int i = 0; i < count; i++) {
        for (int y = 0; y < ROOM_H; y++)
            for (int x = 0; x < ROOM_W; x++) {
                int label;
                const uint8_t *c = room_pixel(i, x, y, &label);
                memcpy(rgb.data + (size_t)y * rgb.stride + (size_t)(3 * x), c, 3);
                labels.data[(size_t)y * labels.stride + (size_t)x] = (uint8_t)label;
            }
        snprintf(path, sizeof path, "%s/%03d.jpg", dir, i);
        cr_assert_eq(vbg_picture_save(path, &rgb, NULL, 95, NULL), VBG_OK);
        snprintf(path, sizeof path, "%s/%03d.label.png", dir, i);
        cr_assert_eq(vbg_picture_save(path, &labels, NULL, 95, NULL), VBG_OK);
        snprintf(path, sizeof path, "%s/%03d.json", dir, i);
        write_facts(path, i);
    }
    vbg_picture_free(&rgb);
    vbg_picture_free(&labels);
}

#endif
