/* Pictures with captions: what `vbg-train base` learns from.
 *
 *     DIR/x.jpg + DIR/x.txt                  the caption is the whole text
 *     DIR/metadata.jsonl, or the file        {"file_name": "x.jpg", "text": "..."}
 *     DIR/metadata.csv, or the file          columns file_name,text (others ignored)
 *
 * A caption is 1..65536 bytes of UTF-8 that are not all white space; control characters
 * become spaces, white space at both ends goes. */
#ifndef VBG_TOOLS_TRAIN_CAPTIONS_H
#define VBG_TOOLS_TRAIN_CAPTIONS_H

#include "tools/train/data.h"

typedef struct vbg_captioned {
    char *picture, *text;
    int w, h;    /* as the file's header says, turned as it is shown */
    bool broken; /* found out while decoding */
} vbg_captioned;

typedef struct vbg_captions {
    vbg_captioned *item;
    size_t count, room;
    vbg_tally tally;
} vbg_captions;

typedef struct vbg_captions_opt {
    bool strict;
    bool no_text; /* pictures alone (VAE): captions are not looked for, text is NULL */
    int min_side; /* smaller pictures are broken samples; 0: any */
} vbg_captions_opt;

/* Lists the samples below path.  Errors: VBG_EIO, VBG_EFORMAT, VBG_ENOMEM,
 * VBG_EUNSUPPORTED (CSV in a build without libcsv, tar files: unpack first). */
vbg_status vbg_captions_open(vbg_captions *out, const char *path,
                             const vbg_captions_opt *opt, vbg_err *err);
void vbg_captions_free(vbg_captions *c); /* accepts NULL; zeroes *c */

/* Reads a caption file.  Errors: VBG_EIO, VBG_EFORMAT (empty, too long, not UTF-8). */
vbg_status vbg_caption_read(char **out, const char *path, vbg_err *err);
/* The rules above for bytes of text; *out is new.  name is for messages. */
vbg_status vbg_caption_clean(char **out, const char *text, size_t bytes, const char *name,
                             vbg_err *err);

/* Sample i as an RGB picture of exactly w x h: the picture is scaled (antialiased) until
 * it covers w x h and cut around its middle, or with dice at a random place and
 * mirrored half the time when flip is set.  Broken pictures are replaced by the next
 * whole one and counted: *used (may be NULL) says which it became.  Thread-safe.
 * Errors: VBG_EFORMAT (strict, or no whole picture at all), VBG_ENOMEM. */
typedef struct vbg_crop_opt {
    int w, h;
    bool flip;
} vbg_crop_opt;
vbg_status vbg_captions_picture(vbg_captions *c, size_t i, vbg_picture *out,
                                const vbg_crop_opt *opt, vbg_dice *dice, size_t *used,
                                vbg_err *err);

#endif
