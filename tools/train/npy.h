/* Arrays of strings in NumPy's .npy files (version 1 to 3, dtype <U or |S). */
#ifndef VBG_TOOLS_TRAIN_NPY_H
#define VBG_TOOLS_TRAIN_NPY_H

#include "engine/base.h"

typedef struct vbg_npy_strings {
    char **text; /* rows * cols, row by row, UTF-8 */
    size_t rows, cols;
} vbg_npy_strings;

/* Reads an array of two dimensions.  Errors: VBG_EIO, VBG_EFORMAT (also arrays of
 * pickled objects, which are never executed), VBG_ELIMIT, VBG_ENOMEM. */
vbg_status vbg_npy_strings_read(vbg_npy_strings *out, const char *path, vbg_err *err);
void vbg_npy_strings_free(vbg_npy_strings *s); /* accepts NULL; zeroes *s */

#endif
