/* vbg-train rooms (see tools/train/commands.h). */
#ifndef VBG_ROOMS_COMMAND_H
#define VBG_ROOMS_COMMAND_H

int vbg_train_rooms(int argc, char **argv);

#endif
