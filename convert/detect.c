/* What a checkpoint is, told by a few tensor names. */
#include "convert/names.h"

#include <stdio.h>
#include <string.h>

#include "engine/io.h"

/* A row fits when every given name is there; a name ending in '*' is a prefix. */
typedef struct rule {
    const char *name[3];
    vbg_detected what;
} rule;

/* First fit wins.  Naming UNKNOWN: recognised, but not supported. */
static const rule rules[] = {
    { { "conditioner.embedders.1.*" },
      { VBG_NAMING_UNKNOWN, NULL, "Stable Diffusion XL" } },
    { { "add_embedding.linear_1.weight" },
      { VBG_NAMING_UNKNOWN, NULL, "a Stable Diffusion XL UNet" } },
    { { "model.diffusion_model.joint_blocks.*" },
      { VBG_NAMING_UNKNOWN, NULL, "Stable Diffusion 3" } },
    { { "double_blocks.*" }, { VBG_NAMING_UNKNOWN, NULL, "FLUX" } },
    { { "model.diffusion_model.double_blocks.*" }, { VBG_NAMING_UNKNOWN, NULL, "FLUX" } },
    { { "control_model.*" }, { VBG_NAMING_UNKNOWN, NULL, "a ControlNet" } },
    { { "controlnet_cond_embedding.conv_in.weight" },
      { VBG_NAMING_UNKNOWN, NULL, "a ControlNet" } },
    { { "lora_unet_*" }, { VBG_NAMING_UNKNOWN, NULL, "a LoRA" } },
    { { "lora_te_*" }, { VBG_NAMING_UNKNOWN, NULL, "a LoRA" } },
    { { "model.diffusion_model.*" },
      { VBG_NAMING_PREFIXED, "sd", "Stable Diffusion, single file" } },
    { { "mv_base_model.unet.*" }, { VBG_NAMING_PREFIXED, "sd", "MVDiffusion" } },
    { { "mv_base_model.unet_model.*" }, { VBG_NAMING_PREFIXED, "sd", "DVB" } },
    { { "unet.conv_in.weight" },
      { VBG_NAMING_PREFIXED, "sd", "Stable Diffusion, single file" } },
    { { "first_stage_model.*" }, { VBG_NAMING_PREFIXED, "sd", "VAE, ldm names" } },
    { { "cond_stage_model.*" }, { VBG_NAMING_PREFIXED, "sd", "text tower, ldm names" } },
    { { "mv_base_model.cp_blocks_*" }, { VBG_NAMING_CAA, "sd", "CAA blocks" } },
    { { "cp_blocks_*" }, { VBG_NAMING_CAA, "sd", "CAA blocks" } },
    { { "time_embedding.linear_1.weight", "conv_in.weight" },
      { VBG_NAMING_UNET, "sd", "UNet" } },
    { { "encoder.layers.0.weight" }, { VBG_NAMING_TAESD_TINY, "taesd", "TAESD" } },
    { { "decoder.layers.0.weight" }, { VBG_NAMING_TAESD_TINY, "taesd", "TAESD" } },
    { { "decoder.conv_in.weight", "decoder.conv_norm_out.weight" },
      { VBG_NAMING_VAE, "sd", "VAE" } },
    { { "decoder.1.weight", "decoder.3.conv.0.weight" },
      { VBG_NAMING_TAESD, "taesd", "TAESD" } },
    { { "encoder.0.weight", "encoder.1.conv.0.weight" },
      { VBG_NAMING_TAESD, "taesd", "TAESD" } },
    { { "vision_model.embeddings.patch_embedding.weight" },
      { VBG_NAMING_CLIP, "clip", "CLIP" } },
    { { "text_model.embeddings.token_embedding.weight" },
      { VBG_NAMING_CLIP, "clip", "CLIP text tower" } },
    { { "visual.conv1.weight" }, { VBG_NAMING_OPENCLIP, "clip", "CLIP" } },
    { { "token_embedding.weight", "positional_embedding" },
      { VBG_NAMING_OPENCLIP, "clip", "CLIP text tower" } },
    { { "attention_refinement_module_16x.conv_1x1.weight" },
      { VBG_NAMING_SEGMENTER, "bisenet-noisrucer", "BiSeNet (noisrucer)" } },
    { { "attention_refinement_module_16x.*" },
      { VBG_NAMING_SEGMENTER, "bisenet-noisrucer", "BiSeNet (noisrucer)" } },
    { { "cp.arm16.*", "ffm.*" }, { VBG_NAMING_SEGMENTER, "bisenetv1", "BiSeNet v1" } },
    { { "bga.*", "detail.S1.*" }, { VBG_NAMING_SEGMENTER, "bisenetv2", "BiSeNet v2" } },
    { { "classifier.cbr.0.weight", "backbone.0.0.weight" },
      { VBG_NAMING_SEGMENTER, "lraspp-mobilenetv3", "LR-ASPP MobileNetV3" } },
    { { "classifier.0.convs.0.0.weight", "backbone.0.0.weight" },
      { VBG_NAMING_SEGMENTER, "deeplabv3-mobilenetv3", "DeepLabV3 MobileNetV3" } },
    { { "classifier.0.convs.0.0.weight", "backbone.layer3.22.conv1.weight" },
      { VBG_NAMING_SEGMENTER, "deeplabv3-resnet101", "DeepLabV3 ResNet-101" } },
    { { "classifier.0.convs.0.0.weight", "backbone.layer1.0.conv1.weight" },
      { VBG_NAMING_SEGMENTER, "deeplabv3-resnet50", "DeepLabV3 ResNet-50" } },
    { { "features.0.weight" }, { VBG_NAMING_UNKNOWN, NULL, "a VGG classifier" } },
    { { "layer1.0.conv1.weight", "fc.weight" },
      { VBG_NAMING_UNKNOWN, NULL, "a ResNet classifier" } },
};

static bool has_name(const vbg_source *s, const char *name)
{
    size_t n = strlen(name);
    bool prefix = name[n - 1] == '*';

    for (size_t i = 0; i < s->files && !prefix; i++)
        if (vbg_st_find(s->file[i], name))
            return true;
    for (size_t i = 0; i < s->count && prefix; i++)
        if (strncmp(s->tensor[i].t->name, name, n - 1) == 0)
            return true;
    return false;
}

static bool fits(const vbg_source *s, const rule *r)
{
    for (size_t i = 0; i < 3 && r->name[i]; i++)
        if (!has_name(s, r->name[i]))
            return false;
    return true;
}

vbg_status vbg_detect(vbg_detected *out, const vbg_source *s, vbg_err *err)
{
    char names[3][64];

    for (size_t i = 0; i < s->count; i++)
        if (s->tensor[i].part[0]) {
            *out =
                (vbg_detected){ VBG_NAMING_FOLDER, "sd", "Stable Diffusion, diffusers" };
            return VBG_OK;
        }
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (!fits(s, &rules[i]))
            continue;
        *out = rules[i].what;
        if (out->naming != VBG_NAMING_UNKNOWN)
            return VBG_OK;
        return vbg_fail(err, VBG_EUNSUPPORTED,
                        "%s: looks like %s, which vbg does not support", s->path,
                        out->kind);
    }
    *out = (vbg_detected){ VBG_NAMING_UNKNOWN, NULL, "unknown" };
    if (s->count == 0)
        return vbg_fail(err, VBG_EUNSUPPORTED, "%s: holds no tensors", s->path);
    for (size_t i = 0; i < 3; i++)
        vbg_shorten(names[i], sizeof names[i], s->tensor[i < s->count ? i : 0].t->name);
    return vbg_fail(err, VBG_EUNSUPPORTED,
                    "%s: none of the known architectures (%zu tensors: %s, %s, %s, ...); "
                    "--list shows all, vbg-convert --help what is read",
                    s->path, s->count, names[0], names[1], names[2]);
}
