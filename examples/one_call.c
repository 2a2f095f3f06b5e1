/* A frame loop with the library: raw 4:2:0 frames on standard input, the same with the
 * background replaced on standard output:
 *
 *     one_call SEGMENTER.vbg BACKGROUND WIDTH HEIGHT < in.yuv > out.yuv */
#include <stdio.h>
#include <stdlib.h>

#include "vbg.h"

/* The planes of one frame, one behind the other. */
static vbg_planes lay_out(uint8_t *p, size_t w, size_t h)
{
    size_t cw = (w + 1) / 2, ch = (h + 1) / 2;
    vbg_planes f = { { p, p + w * h, p + w * h + cw * ch }, { w, cw, cw } };
    return f;
}

int main(int argc, char **argv)
{
    vbg_message why;
    vbg_scene *scene;
    vbg_scene_options o;
    vbg_scene_report report;

    if (argc != 5)
        return 2;
    vbg_scene_options_init(&o);
    o.segmenter = argv[1];
    o.background = argv[2];
    o.width = atoi(argv[3]);
    o.height = atoi(argv[4]);
    if (vbg_scene_open(&scene, &o, &why) != VBG_DONE) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    size_t w = (size_t)o.width, h = (size_t)o.height;
    size_t bytes = w * h + 2 * ((w + 1) / 2) * ((h + 1) / 2);
    uint8_t *in = malloc(bytes), *out = malloc(bytes);
    if (!in || !out)
        return 1;
    vbg_planes a = lay_out(in, w, h), b = lay_out(out, w, h);
    long frames = 0;
    while (fread(in, 1, bytes, stdin) == bytes) {
        vbg_scene_frame(scene, &a, &b, &report, &why);
        fwrite(out, 1, bytes, stdout);
        frames++;
    }
    fprintf(stderr, "%ld frames, the camera turned %.1f degrees\n", frames,
            frames ? report.yaw_deg : 0.0);
    vbg_scene_close(scene);
    free(in);
    free(out);
    return 0;
}
