/* A room as one self-contained web page: the panorama as a data: URI inside, drawn
 * with WebGL2, no network.  Opens by double click. */
#ifndef VBG_TOOLS_ROOM_PAGE_H
#define VBG_TOOLS_ROOM_PAGE_H

#include "engine/base.h"

typedef struct vbg_room_page {
    const void *jpeg; /* the picture as a JPEG file in memory */
    size_t jpeg_bytes;
    const char *title; /* the prompt; escaped here */
    /* the picture's place in the whole sphere, as fractions: a full 2:1 panorama is
     * top 0, height 1, left 0, width 1 */
    double top, height, left, width;
    double start_yaw_deg;
} vbg_room_page;

/* Writes the page to path (temporary file, fsync, rename).
 * Errors: VBG_EIO, VBG_ENOMEM. */
vbg_status vbg_room_page_write(const char *path, const vbg_room_page *page, vbg_err *err);

#endif
