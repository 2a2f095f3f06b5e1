/* The parts of `vbg-train base`: the models a panorama generator is built on. */
#ifndef VBG_TOOLS_TRAIN_BASE_H
#define VBG_TOOLS_TRAIN_BASE_H

/* Each has its own option table and returns the exit code. */
int vbg_train_base_tokenizer(int argc, char **argv);
int vbg_train_base_vae(int argc, char **argv);
int vbg_train_base_unet(int argc, char **argv);

#endif
