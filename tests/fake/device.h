/* A scripted camera and a scripted virtual camera behind video/device.h: formats, sizes
 * and rates of choice, and every fault that real drivers have shown.
 *
 * /dev/video0 is the camera, /dev/video10 the loopback node; /dev/video1 is a metadata
 * node, /dev/video2 a camera with an unknown format only.  Everything is guarded by one
 * lock, so tests may break things while the program runs. */
#ifndef VBG_TESTS_FAKE_DEVICE_H
#define VBG_TESTS_FAKE_DEVICE_H

#include <pthread.h>

#include "video/camera_modes.h"
#include "video/device.h"
#include "video/frame.h"

enum { FAKE_MODES = 8, FAKE_BUFFERS = 4, FAKE_CYCLE = 8 };

typedef enum fake_fault {
    FAKE_NONE,
    FAKE_EIO,      /* DQBUF fails with EIO */
    FAKE_EAGAIN,   /* poll says ready, DQBUF says no */
    FAKE_SHORT,    /* half a frame */
    FAKE_FLAGGED,  /* marked damaged by the driver */
    FAKE_GARBAGE,  /* noise */
    FAKE_EMPTY,    /* 0 bytes */
    FAKE_TOO_LONG, /* more bytes than the buffer has */
    FAKE_BAD_INDEX /* a buffer that does not exist */
} fake_fault;

typedef struct fake_device {
    vbg_device device; /* what the program gets */
    pthread_mutex_t lock;

    /* the camera */
    vbg_camera_mode modes[FAKE_MODES];
    int mode_count;
    bool present, busy, denied, stalled;
    bool no_odd;        /* leave /dev/video2 out of the list */
    bool odd_stride;    /* rows are padded */
    bool no_tables;     /* JPEG without Huffman tables */
    double fps;         /* 0: as fast as it is asked */
    int swap_w, swap_h; /* S_FMT answers this size when not 0 */
    fake_fault fault;
    int fault_count; /* frames that still have it */
    /* Paints frame n (of the cycle) at the size of f; NULL: gray. */
    void (*paint)(void *arg, int64_t n, vbg_frame *f);
    void *arg;
    int64_t handed; /* frames given out */
    int opens;      /* of the camera, and how many are open now */
    int open_now;
    /* of the open stream */
    vbg_camera_mode now;
    size_t stride, frame_bytes;
    uint8_t *buffer[FAKE_BUFFERS];
    bool queued[FAKE_BUFFERS], streaming;
    uint8_t *cycle[FAKE_CYCLE];
    size_t cycle_bytes[FAKE_CYCLE];
    double due;

    /* the loopback node */
    bool loop_present, old_driver; /* 0.12: dead without STREAMON; no events */
    bool loop_dead, loop_on, loop_open, loop_capture;
    int readers, told;
    int holders, stirs, stirs_told; /* old_driver: who holds the node; opens and closes */
    bool subscribed;
    uint32_t loop_fourcc;
    int loop_w, loop_h;
    bool loop_held; /* a reader keeps the format */
    int loop_error; /* errno of every write */
    int64_t written, short_written;
    /* Every whole frame that was written, under the lock. */
    void (*sink)(void *arg, const uint8_t *data, size_t bytes, uint32_t fourcc, int w,
                 int h);
    void *sink_arg;
} fake_device;

/* A camera with YUYV and MJPG at 640x480 and 1280x720, and an idle loopback node. */
void fake_device_init(fake_device *f);
void fake_device_free(fake_device *f);
/* The next count frames have this fault. */
void fake_device_break(fake_device *f, fake_fault fault, int count);
/* present and stalled, under the lock. */
void fake_device_plug(fake_device *f, bool present);
void fake_device_stall(fake_device *f, bool stalled);
/* Somebody opened or closed the loopback node (drivers that do not tell who reads). */
void fake_device_hold(fake_device *f, int holders);

#endif
