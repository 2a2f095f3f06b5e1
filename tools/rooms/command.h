/* vbg-train rooms and figure (see tools/train/commands.h). */
#ifndef VBG_ROOMS_COMMAND_H
#define VBG_ROOMS_COMMAND_H

int vbg_train_rooms(int argc, char **argv);
int vbg_train_figure(int argc, char **argv);

#endif
