/* What a small camera does to light: white balance, softness, noise, sharpening. */
#ifndef VBG_ROOMS_FIGURE_SENSOR_H
#define VBG_ROOMS_FIGURE_SENSOR_H

#include "engine/picture.h"
#include "tools/rooms/vec.h"

typedef struct sensor {
    vec3 gain;           /* exposure and white balance */
    float shot, read;    /* variance of the noise: shot x light + read */
    float soft, sharpen; /* pixels of blur, amount */
    uint32_t seed;
} sensor;

/* A camera drawn from r: mostly good, sometimes poor. */
sensor vr_sensor(rng *r);
/* light [h][w][3] linear, overwritten; scratch of the same size.  rgb: w x h, 3 channels.
 */
void vr_sensor_expose(const sensor *s, float *light, float *scratch, vbg_picture *rgb);
/* Box blur of [h][w][channels] three times over, radius pixels. */
void vr_blur(float *data, float *scratch, int w, int h, int channels, float radius);

#endif
