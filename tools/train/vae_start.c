/* Initial values of an autoencoder; see tools/train/vae_start.h. */
#include "tools/train/vae_start.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { COLOURS = 3, LANE = 4, LANES = COLOURS * LANE }; /* a lane: x, -x, K, -K */

static const float K = 3;              /* against colours in -1..1 */
static const float MEAN_SQUARE = 0.3f; /* of a colour, about */

__attribute__((format(printf, 2, 3))) static vbg_param *find(vbg_params *p,
                                                             const char *format, ...)
{
    char name[128];
    va_list args;

    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    return vbg_params_find(p, "vae", name);
}

/* ---- rows of a convolution's weight [oc][c][taps] ---- */

static size_t row_size(const vbg_param *w)
{
    return w->count / (size_t)w->entry.dim[0];
}

static size_t taps_of(const vbg_param *w)
{
    return row_size(w) / (size_t)w->entry.dim[1];
}

/* Output channels [0, n) become zero. */
static void clear_rows(vbg_param *w, int n)
{
    memset(w->value, 0, (size_t)n * row_size(w) * sizeof *w->value);
}

/* The kernel from input channel c to output channel o. */
static float *kernel(vbg_param *w, int o, int c)
{
    return w->value + (size_t)o * row_size(w) + (size_t)c * taps_of(w);
}

static float *centre(vbg_param *w, int o, int c)
{
    return kernel(w, o, c) + taps_of(w) / 2;
}

/* Output channels [0, n) are the same input channels, through a kernel; the rest is
 * random as before. */
static void pass(vbg_param *w, int n, const float *taps)
{
    clear_rows(w, n);
    for (int i = 0; i < n; i++)
        memcpy(kernel(w, i, i), taps, taps_of(w) * sizeof *taps);
}

/* ---- what happens to the lanes on their way ---- */

static void keep_lanes_in_resnet(vbg_params *p, const char *where)
{
    static const float one[1] = { 1 };
    vbg_param *conv = find(p, "%s.conv2.weight", where);
    vbg_param *bias = find(p, "%s.conv2.bias", where);
    vbg_param *shortcut = find(p, "%s.conv_shortcut.weight", where);
    vbg_param *shortcut_bias = find(p, "%s.conv_shortcut.bias", where);

    clear_rows(conv, LANES);
    memset(bias->value, 0, LANES * sizeof *bias->value);
    if (shortcut) {
        pass(shortcut, LANES, one);
        memset(shortcut_bias->value, 0, LANES * sizeof(float));
    }
}

/* The encoder's kernel looks at its pixel, right and below: means of 2x2. */
static const float down[9] = { .25f, .25f, 0, .25f, .25f, 0, 0, 0, 0 };
static const float up[9] = { .0625f, .125f,  .0625f, .125f, .25f,
                             .125f,  .0625f, .125f,  .0625f };

static void keep_lanes_in_block(vbg_params *p, const char *half, const char *block)
{
    const bool encoder = strcmp(half, "encoder") == 0;
    const char *sampler = encoder ? "downsamplers" : "upsamplers";
    char where[96];

    for (int i = 0; find(p, "%s.%s.resnets.%d.conv1.weight", half, block, i); i++) {
        snprintf(where, sizeof where, "%s.%s.resnets.%d", half, block, i);
        keep_lanes_in_resnet(p, where);
    }
    vbg_param *w = find(p, "%s.%s.%s.0.conv.weight", half, block, sampler);
    vbg_param *b = find(p, "%s.%s.%s.0.conv.bias", half, block, sampler);
    if (w) {
        pass(w, LANES, encoder ? down : up);
        memset(b->value, 0, LANES * sizeof *b->value);
    }
}

static void keep_lanes(vbg_params *p, const char *half, int levels)
{
    char block[32];

    keep_lanes_in_block(p, half, "mid_block");
    for (int i = 0; i < levels; i++) {
        snprintf(block, sizeof block, "%s_blocks.%d",
                 strcmp(half, "encoder") == 0 ? "down" : "up", i);
        keep_lanes_in_block(p, half, block);
    }
}

/* Input channels [0, 3) onto the lanes. */
static void enter(vbg_params *p, const char *half)
{
    vbg_param *w = find(p, "%s.conv_in.weight", half);
    vbg_param *b = find(p, "%s.conv_in.bias", half);

    clear_rows(w, LANES);
    for (int i = 0; i < COLOURS; i++) {
        *centre(w, LANE * i, i) = 1;
        *centre(w, LANE * i + 1, i) = -1;
        memcpy(b->value + LANE * i, (const float[LANE]){ 0, 0, K, -K },
               LANE * sizeof(float));
    }
}

/* Spread that the norm before the last layer finds in the lanes' group. */
static float spread(int group)
{
    const int lanes = group < LANES ? group : LANES; /* channels of lanes in the group */

    return sqrtf(((float)lanes * (K * K + MEAN_SQUARE) / 2 + (float)(group - lanes)) /
                 (float)group);
}

/* The lanes back to output channels [0, 3). */
static void leave(vbg_params *p, const char *half, float gain)
{
    vbg_param *w = find(p, "%s.conv_out.weight", half);
    vbg_param *b = find(p, "%s.conv_out.bias", half);

    clear_rows(w, COLOURS);
    memset(b->value, 0, COLOURS * sizeof *b->value);
    for (int i = 0; i < COLOURS; i++) {
        *centre(w, i, LANE * i) = gain;
        *centre(w, i, LANE * i + 1) = -gain;
    }
}

/* ---- the whole ---- */

/* A lane may not be cut by the border of a group. */
static bool has_room(const vbg_vae_config *cfg)
{
    for (int i = 0; i < cfg->levels; i++)
        if (cfg->width[i] <= LANES || cfg->width[i] / cfg->groups % LANE != 0)
            return false;
    return cfg->latent >= COLOURS;
}

static void identity(vbg_param *w, vbg_param *b, int n)
{
    static const float one[1] = { 1 };

    pass(w, n, one);
    memset(b->value, 0, (size_t)n * sizeof *b->value);
}

static void start_lanes(vbg_params *p, const vbg_vae_config *cfg)
{
    const int last = cfg->width[cfg->levels - 1], first = cfg->width[0];

    keep_lanes(p, "encoder", cfg->levels);
    keep_lanes(p, "decoder", cfg->levels);
    enter(p, "encoder");
    enter(p, "decoder");
    leave(p, "encoder", 1);
    leave(p, "decoder", spread(last / cfg->groups) * spread(first / cfg->groups));
    identity(find(p, "quant_conv.weight"), find(p, "quant_conv.bias"), cfg->latent);
    identity(find(p, "post_quant_conv.weight"), find(p, "post_quant_conv.bias"),
             cfg->latent);
}

static void all_changed(vbg_params *p)
{
    for (size_t i = 0; i < vbg_params_count(p); i++)
        vbg_param_changed(vbg_params_at(p, i));
}

void vbg_vae_start(vbg_params *p, const vbg_vae_config *cfg)
{
    vbg_param *bias = find(p, "quant_conv.bias");

    for (int i = 0; i < cfg->latent; i++)
        bias->value[cfg->latent + i] = -6; /* log of the variance */
    if (has_room(cfg))
        start_lanes(p, cfg);
    all_changed(p);
}

/* ---- a decoder that grows ---- */

/* Block i of the decoder passes on the channels that come, as many as it has. */
static void pass_block(vbg_params *p, int i, int channels)
{
    static const float one[1] = { 1 };
    char where[64];

    for (int j = 0;; j++) {
        snprintf(where, sizeof where, "decoder.up_blocks.%d.resnets.%d", i, j);
        vbg_param *conv = find(p, "%s.conv2.weight", where);
        vbg_param *shortcut = find(p, "%s.conv_shortcut.weight", where);
        if (!conv)
            return;
        clear_rows(conv, (int)conv->entry.dim[0]);
        if (shortcut)
            pass(shortcut, channels, one);
    }
}

void vbg_vae_start_grown(vbg_params *p, const vbg_weights *file,
                         const vbg_vae_config *cfg)
{
    char name[96];

    for (int i = 1; i < cfg->up_levels; i++) {
        const int before = cfg->up_width[cfg->up_levels - i];
        const int channels = vbg_min_int(before, cfg->up_width[cfg->up_levels - 1 - i]);
        snprintf(name, sizeof name, "decoder.up_blocks.%d.resnets.0.conv1.weight", i);
        if (vbg_weights_find(file, "vae", name))
            continue;
        pass_block(p, i, channels);
        pass(find(p, "decoder.up_blocks.%d.upsamplers.0.conv.weight", i - 1), before, up);
    }
    all_changed(p);
}
