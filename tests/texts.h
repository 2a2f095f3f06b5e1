/* Texts that several tests write: sizes of a small autoencoder and UNet. */
#ifndef VBG_TESTS_TEXTS_H
#define VBG_TESTS_TEXTS_H

#include <criterion/criterion.h>
#include <stdio.h>

static const char vae_config[] =
    "{\"block_out_channels\":[8,16,16],\"latent_channels\":4,\"layers_per_block\":1,"
    "\"norm_num_groups\":4,\"mid_block_add_attention\":false}";
static const char unet_config[] =
    "{\"unet\":{\"block_out_channels\":[16,32],\"attention_head_dim\":[1,1],"
    "\"norm_num_groups\":4,\"cross_attention_dim\":16,\"down_block_types\":"
    "[\"DownBlock2D\",\"CrossAttnDownBlock2D\"],\"up_block_types\":"
    "[\"CrossAttnUpBlock2D\",\"UpBlock2D\"]},\"text\":{\"hidden_size\":16,"
    "\"num_hidden_layers\":1,\"num_attention_heads\":1,\"intermediate_size\":32}}";

/* The file at path, text its contents. */
static inline void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s", path);
}

#endif
