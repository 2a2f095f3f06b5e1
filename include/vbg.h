/* vbg: rooms from a sentence, and people put into them.
 *
 * The library never prints, exits, installs signal handlers, reads the environment or
 * changes the locale.  Handles are opaque; one handle is used by one thread at a time,
 * different handles by different threads.  Option structs begin with their size and are
 * filled by their _init function, so that fields can be added later.
 *
 * Functions return VBG_DONE or a negative code; the reason, one line, is written into
 * the caller's vbg_message (which may be NULL). */
#ifndef VBG_H
#define VBG_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VBG_API __attribute__((visibility("default")))

enum {
    VBG_DONE = 0,
    VBG_FAILED_IO = -1,     /* the operating system said no              */
    VBG_FAILED_FORMAT = -2, /* a file is damaged or of another kind      */
    VBG_FAILED_USAGE = -3,  /* an argument is wrong                      */
    VBG_FAILED_MEMORY = -4,
    VBG_FAILED_UNSUPPORTED = -5, /* not handled by this build                 */
    VBG_FAILED_LIMIT = -6,       /* beyond a documented limit                 */
    VBG_CANCELLED = -7           /* a callback said stop                      */
};

typedef struct vbg_message {
    char text[1024];
} vbg_message;

/* "0.1.0" */
VBG_API const char *vbg_version(void);

/* ---- rooms ---- */

typedef struct vbg_maker vbg_maker;

typedef struct vbg_maker_options {
    size_t size;
    int threads;     /* 0: all cores of this process                             */
    int exact;       /* nonzero: f32 arithmetic; else bf16 where the CPU has it  */
    const char *isa; /* highest level to use ("avx2", ...), NULL: the best       */
} vbg_maker_options;
VBG_API void vbg_maker_options_init(vbg_maker_options *o);

/* Opens a model package (.vbg).  options may be NULL.  *out is closed by the caller. */
VBG_API int vbg_maker_open(vbg_maker **out, const char *model,
                           const vbg_maker_options *options, vbg_message *why);
VBG_API void vbg_maker_close(vbg_maker *m); /* accepts NULL */

typedef struct vbg_room_options {
    size_t size;
    const char *text;     /* UTF-8, what the room looks like                    */
    const char *negative; /* what it should not show, NULL: nothing             */
    uint64_t seed;        /* 42; same seed and machine, same bytes              */
    int steps;            /* 20 */
    double guidance;      /* -1: the model's own, else 7.5                      */
    int view_side;        /* pixels of one of the 8 views, 0: the model's       */
    int width, height;    /* of the panorama: 4096 x 2048                       */
    /* Called now and then with 0..1; nonzero cancels.  May be NULL. */
    int (*progress)(void *arg, double done);
    void *arg;
} vbg_room_options;
VBG_API void vbg_room_options_init(vbg_room_options *o);

/* Makes an equirectangular panorama: RGB, 8 bits, rows of stride bytes (at least
 * 3 * width), longitude 0 in the middle, top row up. */
VBG_API int vbg_maker_room(vbg_maker *m, const vbg_room_options *o, uint8_t *rgb,
                           size_t stride, vbg_message *why);

/* ---- the person in the room ---- */

typedef struct vbg_scene vbg_scene;

typedef struct vbg_scene_options {
    size_t size;
    int width, height;      /* of the frames, 4:2:0                              */
    double fov_deg;         /* horizontal angle of the camera: 70                */
    int bt709, full_range;  /* what the frames' codes mean; 0: BT.601, limited   */
    const char *segmenter;  /* path of a segmenter (.vbg)                        */
    const char *background; /* path of a picture or panorama, "#rrggbb", "blur:20" */
    int follow;             /* the room turns with the camera: 1                 */
    int threads;            /* 0: all cores of this process                      */
    const char *isa;
} vbg_scene_options;
VBG_API void vbg_scene_options_init(vbg_scene_options *o);

VBG_API int vbg_scene_open(vbg_scene **out, const vbg_scene_options *o, vbg_message *why);
VBG_API void vbg_scene_close(vbg_scene *s); /* accepts NULL */

typedef struct vbg_planes {
    uint8_t *plane[3]; /* Y [h][w], U and V [(h+1)/2][(w+1)/2] */
    size_t stride[3];
} vbg_planes;

typedef struct vbg_scene_report {
    int person; /* 1: a mask was found and the person is shown; 0: background only */
    double yaw_deg, pitch_deg, roll_deg; /* of the camera since the first frame */
} vbg_scene_report;

/* One frame: out gets the person in front of the room, or the room alone when no mask
 * could be made; never the raw frame.  report may be NULL. */
VBG_API int vbg_scene_frame(vbg_scene *s, const vbg_planes *in, const vbg_planes *out,
                            vbg_scene_report *report, vbg_message *why);

#ifdef __cplusplus
}
#endif

#endif
