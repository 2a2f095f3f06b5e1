/* Conversion of checkpoints into .vbg files: one call that streams. */
#ifndef VBG_CONVERT_CONVERT_H
#define VBG_CONVERT_CONVERT_H

#include "convert/package.h"
#include "engine/weights.h"

typedef struct vbg_convert_opt {
    vbg_package_opt package;
    bool skip_unknown; /* leave unknown tensors out instead of refusing */
    /* Binds the model's networks to w, whose tensors all read as zero: what is missing
     * or misshapen comes back as an error, and what was never asked for is unknown.
     * NULL: nothing is checked and everything is kept. */
    vbg_status (*check)(void *arg, const vbg_weights *w, const char *arch, vbg_err *err);
    /* done of total bytes read; false stops with VBG_ECANCEL.  May be NULL. */
    bool (*progress)(void *arg, uint64_t done, uint64_t total);
    void *arg;
} vbg_convert_opt;

typedef struct vbg_convert_result {
    char arch[64], kind[96];
    size_t tensors, left_out; /* written; known but not used */
    uint64_t parameters, bytes;
    bool text, tokenizer; /* the package has a text tower, a tokenizer */
} vbg_convert_result;

/* Converts in to the file out, which appears only when all went well.  result may be
 * NULL.  Errors: those of vbg_package_open; VBG_EFORMAT naming all missing, misshapen
 * and unknown tensors, or all tensors with values that are not finite; VBG_EUSAGE when
 * out is (part of) in; VBG_ECANCEL. */
vbg_status vbg_convert(const char *in, const char *out, const vbg_convert_opt *opt,
                       vbg_convert_result *result, vbg_err *err);

/* Writes the tensors and metadata of an open package, for tests. */
vbg_status vbg_convert_package(vbg_package *p, const char *out,
                               const vbg_convert_opt *opt, vbg_convert_result *result,
                               vbg_err *err);

#endif
