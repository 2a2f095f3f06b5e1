/* A sentence to a panorama, with the library:  one_room MODEL.vbg TEXT OUT.ppm */
#include <stdio.h>
#include <stdlib.h>

#include "vbg.h"

static int say(void *arg, double done)
{
    (void)arg;
    fprintf(stderr, "\r%3.0f %%", 100 * done);
    return 0;
}

int main(int argc, char **argv)
{
    enum { W = 1024, H = 512 };
    vbg_message why;
    vbg_maker *maker;
    vbg_room_options room;
    uint8_t *rgb = malloc(3 * W * H);

    if (argc != 4 || !rgb)
        return 2;
    if (vbg_maker_open(&maker, argv[1], NULL, &why) != VBG_DONE) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    vbg_room_options_init(&room);
    room.text = argv[2];
    room.steps = 4;
    room.view_side = 64;
    room.width = W;
    room.height = H;
    room.progress = say;
    int code = vbg_maker_room(maker, &room, rgb, 3 * W, &why);
    vbg_maker_close(maker);
    if (code != VBG_DONE) {
        fprintf(stderr, "\n%s\n", why.text);
        return 1;
    }
    FILE *f = fopen(argv[3], "wb");
    if (!f)
        return 1;
    fprintf(f, "P6\n%d %d\n255\n", W, H);
    fwrite(rgb, 1, 3 * W * H, f);
    free(rgb);
    return fclose(f) == 0 ? 0 : 1;
}
