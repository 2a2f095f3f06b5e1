/* The names of CompVis/Stability single files (ldm layout) of UNet and VAE.
 * Source: ../shared/spec/generation.md section 5.2. */
#include "convert/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *vbg_after(const char *s, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

/* Reads "12." at *s: the number, or -1. */
static int take_number(const char **s)
{
    const char *p = *s;
    int v = 0, digits = 0;

    for (; *p >= '0' && *p <= '9' && digits < 4; p++, digits++)
        v = v * 10 + (*p - '0');
    if (digits == 0 || *p != '.')
        return -1;
    *s = p + 1;
    return v;
}

typedef struct pair {
    const char *from, *to;
} pair;

/* Replaces the prefix of rest by the table; NULL when none fits. */
static const char *replaced(char *buf, size_t size, const char *rest, const pair *table,
                            size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *tail = vbg_after(rest, table[i].from);
        if (tail && (size_t)snprintf(buf, size, "%s%s", table[i].to, tail) < size)
            return buf;
    }
    return NULL;
}

/* "in_layers.0.weight" -> "norm1.weight" */
static bool resnet(char *out, size_t size, const char *base, const char *rest)
{
    static const pair table[] = {
        { "in_layers.0.", "norm1." },          { "in_layers.2.", "conv1." },
        { "emb_layers.1.", "time_emb_proj." }, { "out_layers.0.", "norm2." },
        { "out_layers.3.", "conv2." },         { "skip_connection.", "conv_shortcut." },
    };
    char tail[160];

    return replaced(tail, sizeof tail, rest, table, sizeof table / sizeof *table) &&
           (size_t)snprintf(out, size, "%s.%s", base, tail) < size;
}

static bool join(char *out, size_t size, const char *base, const char *tail)
{
    return (size_t)snprintf(out, size, "%s%s", base, tail) < size;
}

static bool input_block(char *out, size_t size, const char *rest)
{
    char base[64];
    int n = take_number(&rest), k = take_number(&rest);

    if (n == 0 && k == 0)
        return join(out, size, "conv_in.", rest);
    if (n < 1 || k < 0)
        return false;
    const char *op = vbg_after(rest, "op.");
    if (op) {
        snprintf(base, sizeof base, "down_blocks.%d.downsamplers.0.conv.", n / 3 - 1);
        return k == 0 && n % 3 == 0 && join(out, size, base, op);
    }
    snprintf(base, sizeof base, "down_blocks.%d.%s.%d", (n - 1) / 3,
             k == 0 ? "resnets" : "attentions", (n - 1) % 3);
    if (k == 0)
        return resnet(out, size, base, rest);
    return k == 1 && (size_t)snprintf(out, size, "%s.%s", base, rest) < size;
}

static bool middle_block(char *out, size_t size, const char *rest)
{
    int k = take_number(&rest);

    if (k == 0 || k == 2)
        return resnet(out, size, k ? "mid_block.resnets.1" : "mid_block.resnets.0", rest);
    return k == 1 && join(out, size, "mid_block.attentions.0.", rest);
}

static bool output_block(char *out, size_t size, const char *rest)
{
    char base[64];
    int n = take_number(&rest), k = take_number(&rest);

    if (n < 0 || k < 0 || k > 2)
        return false;
    const char *conv = vbg_after(rest, "conv.");
    if (k > 0 && conv) {
        snprintf(base, sizeof base, "up_blocks.%d.upsamplers.0.conv.", n / 3);
        return n % 3 == 2 && join(out, size, base, conv);
    }
    snprintf(base, sizeof base, "up_blocks.%d.%s.%d", n / 3,
             k == 0 ? "resnets" : "attentions", n % 3);
    if (k == 0)
        return resnet(out, size, base, rest);
    return k == 1 && (size_t)snprintf(out, size, "%s.%s", base, rest) < size;
}

bool vbg_ldm_unet_name(char *out, size_t size, const char *rest)
{
    static const pair table[] = {
        { "time_embed.0.", "time_embedding.linear_1." },
        { "time_embed.2.", "time_embedding.linear_2." },
        { "time_embed.cond_proj.", "time_embedding.cond_proj." },
        { "out.0.", "conv_norm_out." },
        { "out.2.", "conv_out." },
    };
    const char *r;

    if ((r = vbg_after(rest, "input_blocks.")))
        return input_block(out, size, r);
    if ((r = vbg_after(rest, "middle_block.")))
        return middle_block(out, size, r);
    if ((r = vbg_after(rest, "output_blocks.")))
        return output_block(out, size, r);
    return replaced(out, size, rest, table, sizeof table / sizeof *table) != NULL;
}

/* What follows "down.", "up." or "mid.". */
static bool vae_block(char *out, size_t size, const char *half, const char *rest)
{
    static const pair attention[] = {
        { "norm.", "group_norm." },
        { "q.", "to_q." },
        { "k.", "to_k." },
        { "v.", "to_v." },
        { "proj_out.", "to_out.0." },
    };
    static const pair shortcut[] = { { "nin_shortcut.", "conv_shortcut." }, { "", "" } };
    char tail[160];
    const char *r;
    int level, block;

    if ((r = vbg_after(rest, "mid.block_")) && (r[0] == '1' || r[0] == '2') &&
        r[1] == '.')
        return replaced(tail, sizeof tail, r + 2, shortcut, 2) &&
               (size_t)snprintf(out, size, "%s.mid_block.resnets.%d.%s", half, r[0] - '1',
                                tail) < size;
    if ((r = vbg_after(rest, "mid.attn_1.")))
        return replaced(tail, sizeof tail, r, attention,
                        sizeof attention / sizeof *attention) &&
               (size_t)snprintf(out, size, "%s.mid_block.attentions.0.%s", half, tail) <
                   size;
    bool down = (r = vbg_after(rest, "down.")) != NULL;
    if (!down && !(r = vbg_after(rest, "up.")))
        return false;
    if ((level = take_number(&r)) < 0 || level > 3)
        return false;
    const char *dir = down ? "down" : "up";
    level = down ? level : 3 - level;
    const char *sample = vbg_after(r, down ? "downsample.conv." : "upsample.conv.");
    if (sample)
        return (size_t)snprintf(out, size, "%s.%s_blocks.%d.%ssamplers.0.conv.%s", half,
                                dir, level, dir, sample) < size;
    if (!(r = vbg_after(r, "block.")) || (block = take_number(&r)) < 0)
        return false;
    return replaced(tail, sizeof tail, r, shortcut, 2) &&
           (size_t)snprintf(out, size, "%s.%s_blocks.%d.resnets.%d.%s", half, dir, level,
                            block, tail) < size;
}

bool vbg_ldm_vae_name(char *out, size_t size, const char *rest)
{
    static const pair ends[] = {
        { "conv_in.", "conv_in." },
        { "conv_out.", "conv_out." },
        { "norm_out.", "conv_norm_out." },
    };
    char tail[160];

    if (vbg_after(rest, "quant_conv.") || vbg_after(rest, "post_quant_conv."))
        return join(out, size, "", rest);
    const char *r = vbg_after(rest, "encoder.");
    const char *half = r ? "encoder" : "decoder";
    if (!r && !(r = vbg_after(rest, "decoder.")))
        return false;
    if (replaced(tail, sizeof tail, r, ends, sizeof ends / sizeof *ends))
        return (size_t)snprintf(out, size, "%s.%s", half, tail) < size;
    return vae_block(out, size, half, r);
}
