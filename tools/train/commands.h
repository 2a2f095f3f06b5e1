/* The commands of vbg-train.  Each has its own option table, prints its own messages and
 * returns the exit code; argv[0] is "vbg-train NAME". */
#ifndef VBG_TOOLS_TRAIN_COMMANDS_H
#define VBG_TOOLS_TRAIN_COMMANDS_H

typedef struct vbg_command {
    const char *name, *purpose;
    int (*run)(int argc, char **argv);
} vbg_command;

/* In the order of --help; the last has no name. */
extern const vbg_command vbg_train_commands[];

int vbg_train_base(int argc, char **argv);
int vbg_train_caa(int argc, char **argv);
int vbg_train_judge(int argc, char **argv);
int vbg_train_segment(int argc, char **argv);
int vbg_train_plot(int argc, char **argv);

#endif
