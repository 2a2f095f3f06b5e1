/* Files of one scene: pictures, truth, sentences, facts. */
#ifndef VBG_ROOMS_FILES_H
#define VBG_ROOMS_FILES_H

#include "tools/rooms/facts.h"

typedef struct room_files {
    const char *dir;
    long index;  /* names the files: 000123.jpg */
    bool truth;  /* depth and labels too */
    int quality; /* JPEG */
} room_files;

/* True when the scene's last file exists already. */
bool vr_files_done(const room_files *f, int camera);
/* Writes all; x.jpg comes last and means complete.  Errors: VBG_EIO, VBG_ENOMEM. */
vbg_status vr_files_write(const room_files *f, const scene *s, const canvas *c,
                          const render_stats *st, vbg_err *err);

#endif
