/* The list of vbg-train's commands. */
#include "tools/train/commands.h"

#include <stddef.h>

#include "tools/rooms/command.h"

const vbg_command vbg_train_commands[] = {
    { "base", "a small Stable Diffusion model: tokenizer, autoencoder, text tower, UNet",
      vbg_train_base },
    { "caa", "attention between the views of a panorama, for a model that has none",
      vbg_train_caa },
    { "judge", "what tells whether rooms show what their sentences say",
      vbg_train_judge },
    { "figure", "renders people with exact masks, and clips with exact truth",
      vbg_train_figure },
    { "rooms", "renders rooms and landscapes with captions to learn from",
      vbg_train_rooms },
    { "segment", "a person segmenter: BiSeNet or the Selfie-class network",
      vbg_train_segment },
    { "plot", "draws training logs: losses and measures over steps", vbg_train_plot },
    { NULL, NULL, NULL },
};
