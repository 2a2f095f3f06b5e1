/* What a checkpoint holds before anything is renamed: the tensors of one or many
 * safetensors files, and the JSON and tokenizer files beside them.
 *
 *     FILE.safetensors                       one file
 *     FILE.safetensors.index.json            shards of one component
 *     DIR with model_index.json or unet/     a diffusers folder
 *     DIR with one of the first two          the same
 *
 * All names inside are data of strangers: a shard or component name is one plain path
 * component and is opened relative to its folder. */
#ifndef VBG_CONVERT_SOURCE_H
#define VBG_CONVERT_SOURCE_H

#include "convert/safetensors.h"

typedef struct vbg_source_tensor {
    const char *part; /* "unet", "vae", "text" in a diffusers folder, else "" */
    const vbg_safetensors *file;
    const vbg_st_tensor *t;
} vbg_source_tensor;

/* Texts beside the weights, NULL when absent; all owned by the source. */
typedef struct vbg_source_texts {
    char *unet, *vae, *text, *scheduler; /* JSON of the components' configs */
    char *merges;                        /* merges.txt */
    size_t merges_bytes;
    char *tokenizer; /* {"pad_token_id":0,"special_pad":true} */
} vbg_source_texts;

typedef struct vbg_source {
    const char *format; /* "safetensors", "sharded safetensors", "diffusers folder" */
    char *path;
    vbg_safetensors **file;
    char **file_path;
    size_t files;
    vbg_source_tensor *tensor; /* file by file, each in the order of its data */
    size_t count, room;
    vbg_source_texts texts;
} vbg_source;

/* Errors: VBG_EIO, VBG_EFORMAT, VBG_ELIMIT, VBG_ENOMEM, VBG_EUNSUPPORTED (pickles). */
vbg_status vbg_source_open(vbg_source **out, const char *path, vbg_err *err);
void vbg_source_close(vbg_source *s); /* accepts NULL */

/* Only the JSON and tokenizer files of a diffusers folder (--config-from). */
vbg_status vbg_source_read_texts(vbg_source_texts *out, const char *dir, vbg_err *err);
void vbg_source_free_texts(vbg_source_texts *t);

/* Adds one safetensors file in the open folder dir (AT_FDCWD for path names) to s. */
vbg_status vbg_source_add_file(vbg_source *s, int dir, const char *name,
                               const char *shown, const char *part, vbg_err *err);
/* Adds the shards that an index in the open folder dir names.  folder is its path for
 * messages. */
vbg_status vbg_source_add_shards(vbg_source *s, int dir, const char *folder,
                                 const char *index, const char *part, vbg_err *err);

/* A whole text file of at most max_bytes, NUL-terminated; *bytes may be NULL.
 * Owned by the caller (free). */
vbg_status vbg_read_text(char **out, size_t *bytes, int dir, const char *name,
                         const char *shown, size_t max_bytes, vbg_err *err);

/* One path component: no '/', not "." or "..", clean UTF-8, at most 255 bytes. */
bool vbg_plain_name(const char *name);

/* Reads vocab.json, merges.txt and the special token files of a tokenizer folder. */
vbg_status vbg_tokenizer_files(vbg_source_texts *out, int dir, const char *folder,
                               vbg_err *err);

/* Where a hub id ("org/name") lies in the local hub cache: the newest snapshot of its
 * main branch, owned by the caller.  No network.  Errors: VBG_EIO with the places. */
vbg_status vbg_hub_folder(char **out, const char *id, vbg_err *err);

#endif
