/* Views from motion and person. */
#include "video/follow.h"

#include <math.h>

#include "video/image.h"

static const double quick_s = 0.25; /* of the person's position */
static const double slow_s = 20;    /* of where he usually is */
static const double parallax = 0.2; /* share of the field of view per frame width */
static const double zoom_gain = 0.25;

/* Centre and size of the person; false when there is hardly one. */
static bool locate(const vbg_picture *a, double *x, double *y, double *size)
{
    double sum = 0, sx = 0, sy = 0;
    const int step = vbg_max_int(1, a->w / 160);

    for (int v = 0; v < a->h; v += step) {
        const uint8_t *row = vbg_picture_row(a, v);
        long line = 0, at = 0;
        for (int u = 0; u < a->w; u += step) {
            line += row[u];
            at += (long)row[u] * u;
        }
        sum += (double)line;
        sx += (double)at;
        sy += (double)line * v;
    }
    const double whole = 255.0 * (a->w / step) * (a->h / step);
    if (sum < 0.01 * whole)
        return false;
    *x = sx / sum / a->w;
    *y = sy / sum / a->h;
    *size = sqrt(sum / whole);
    return true;
}

static void approach(double *v, double to, double share)
{
    *v += (to - *v) * share;
}

static void head(vbg_follow *f, const vbg_follow_opt *o, vbg_outlook *view,
                 const vbg_picture *alpha, double dt)
{
    double x, y, size;

    if (alpha && locate(alpha, &x, &y, &size)) {
        if (!f->seen) {
            f->x = f->x0 = x;
            f->y = f->y0 = y;
            f->size = f->size0 = size;
        }
        f->seen = true;
        const double quick = 1 - exp(-dt / quick_s), slow = 1 - exp(-dt / slow_s);
        approach(&f->x, x, quick);
        approach(&f->y, y, quick);
        approach(&f->size, size, quick);
        approach(&f->x0, f->x, slow);
        approach(&f->y0, f->y, slow);
        approach(&f->size0, f->size, slow);
    }
    if (!f->seen)
        return;
    view->head = true;
    /* who leans to the right looks past the near edge: more of the left is seen */
    view->yaw = -(f->x - f->x0) * parallax * o->fov_x;
    view->pitch = (f->y - f->y0) * parallax * o->fov_x;
    view->zoom = fmin(1.25, fmax(0.9, 1 + zoom_gain * (f->size / f->size0 - 1)));
}

void vbg_follow_update(vbg_follow *f, const vbg_follow_opt *o, vbg_outlook *view,
                       const vbg_tracker_state *motion, const vbg_picture *alpha,
                       double time_s)
{
    const double dt = f->started ? fmin(1, fmax(0, time_s - f->time_s)) : 0;

    f->started = true;
    f->time_s = time_s;
    *view = (vbg_outlook){ .zoom = 1 };
    if (o->mode == VBG_FOLLOW_HEAD) {
        head(f, o, view, alpha, dt);
    } else if (o->mode == VBG_FOLLOW_CAMERA) {
        if (o->recenter_s > 0) {
            const double share = 1 - exp(-dt / o->recenter_s);
            approach(&f->taken.yaw, motion->yaw, share);
            approach(&f->taken.pitch, motion->pitch, share);
            approach(&f->taken.roll, motion->roll, share);
        }
        view->yaw = motion->yaw - f->taken.yaw;
        view->pitch = motion->pitch - f->taken.pitch;
        view->roll = motion->roll - f->taken.roll;
    }
}

void vbg_follow_recenter(vbg_follow *f, const vbg_tracker_state *motion)
{
    f->taken =
        (vbg_outlook){ .yaw = motion->yaw, .pitch = motion->pitch, .roll = motion->roll };
    f->x0 = f->x;
    f->y0 = f->y;
    f->size0 = f->size;
}
