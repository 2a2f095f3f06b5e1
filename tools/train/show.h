/* Sample pictures of a package as its users will get them. */
#ifndef VBG_TOOLS_TRAIN_SHOW_H
#define VBG_TOOLS_TRAIN_SHOW_H

#include "models/generate.h"

/* Opens the package model with like's threads, instructions and precision, makes what r
 * asks for and writes all of it to path, four to a row.
 * Errors: those of vbg_generator_open, vbg_generate and vbg_picture_save. */
vbg_status vbg_show_package(const vbg_ctx *like, const char *model,
                            const vbg_gen_request *r, const char *path, vbg_err *err);

#endif
