/* A model on its way into a .vbg file: every tensor with its canonical name, layout and
 * where its values come from, and the metadata. */
#ifndef VBG_CONVERT_PACKAGE_H
#define VBG_CONVERT_PACKAGE_H

#include "convert/names.h"
#include "convert/source.h"

typedef struct vbg_item {
    char *component, *name;
    vbg_dtype dtype; /* in the .vbg file */
    vbg_layout layout;
    int rank;
    int64_t dim[VBG_MAX_RANK]; /* PyTorch order, after the change */
    const vbg_safetensors *file;
    const vbg_st_tensor *from; /* NULL: values */
    size_t first, count;       /* elements of from */
    bool transpose;            /* rank 2, stored [dim1][dim0] */
    float *values;             /* owned; count of them */
} vbg_item;

typedef struct vbg_package {
    vbg_source *source[2]; /* the model, and a CAA file beside it; may be NULL */
    vbg_detected what;
    char *name, *hash;
    char *path;                /* the file of a model that is no safetensors, else NULL */
    int width, height, stride; /* a segmenter's fixed input and its map; 0: unsaid */
    bool openclip;             /* the text tower came in OpenCLIP names: exact GELU */
    vbg_source_texts texts;
    vbg_item *item;
    size_t count, room;
    char **unknown; /* names that no layout knows */
    size_t unknowns;
    char report[600]; /* problems found while mapping, empty when none */
    int problems;
} vbg_package;

typedef struct vbg_package_opt {
    vbg_dtype dtype; /* of layers and embeddings */
    const char
        *config_from;       /* diffusers folder for what the file does not say, or NULL */
    const char *caa;        /* file of CAA blocks to add, or NULL */
    const char *prediction; /* "epsilon", "v_prediction", NULL: by file */
    const char *name;       /* model.name, NULL: from the path */
} vbg_package_opt;

/* Opens path (file, folder or hub id) and maps its tensors.  Unknown names and misshapen
 * tensors are collected, not fatal.  Errors: as vbg_source_open and vbg_detect. */
vbg_status vbg_package_open(vbg_package **out, const char *path,
                            const vbg_package_opt *opt, vbg_err *err);
void vbg_package_close(vbg_package *p); /* accepts NULL */

/* A lookup table: row-major, in the type of the layers (bf16 where those have 8 bits). */
bool vbg_package_is_table(const char *name, int rank);

/* The type of a layer in a package of 8 bits: VBG_I8, or VBG_BF16 for small ones and
 * those where rounding shows (first and last convolution, time embedding). */
vbg_dtype vbg_package_small(const char *name, int rank, const int64_t *dim);

/* Adds an item with a name and dims; *out (valid until the next call) has the layout of
 * the rule in package.c and no values yet. */
vbg_status vbg_package_add(vbg_package *p, vbg_item **out, const char *component,
                           const char *name, vbg_dtype dtype, int rank,
                           const int64_t *dim, vbg_err *err);
const vbg_item *vbg_package_find(const vbg_package *p, const char *component,
                                 const char *name);
bool vbg_package_has(const vbg_package *p, const char *component);

/* Notes a problem in p->report. */
void vbg_package_problem(vbg_package *p, const char *fmt, ...) VBG_PRINTF(2, 3);

/* Writes the JSON of components whose config is absent, from shapes (configs.c). */
vbg_status vbg_package_configs(vbg_package *p, const vbg_package_opt *opt, vbg_err *err);

/* A TensorFlow Lite model as a package (tflite_package.c). */
vbg_status vbg_package_tflite(vbg_package **out, const char *path,
                              const vbg_package_opt *opt, vbg_err *err);

#endif
