/* The files that vbg-gen reads and writes beside the panorama. */
#ifndef VBG_TOOLS_GEN_FILES_H
#define VBG_TOOLS_GEN_FILES_H

#include "tools/room.h"

/* One prompt for all views, from the command line or a file.  Errors: those of
 * vbg_prompt_take. */
vbg_status vbg_gen_set_prompt(vbg_room_spec *s, const char *text, vbg_err *err);
vbg_status vbg_gen_read_prompt(vbg_room_spec *s, const char *path, vbg_err *err);
/* One line per view (s->views of them; empty lines are skipped).
 * Errors: VBG_EIO, VBG_EFORMAT naming the number of lines found, VBG_ELIMIT. */
vbg_status vbg_gen_read_prompts(vbg_room_spec *s, const char *path, vbg_err *err);
/* "FILE" or "FILE:KEY" (key "latents" otherwise), a tensor [views,4,h,w] or
 * [1,views,c,h,w]; sets s->latents, latent_c, latent_h, latent_w.  Errors: those of
 * vbg_st_open, VBG_EFORMAT. */
vbg_status vbg_gen_read_latents(vbg_room_spec *s, const char *arg, vbg_err *err);

/* Refuses what cannot become (or is not) a folder to write into. */
vbg_status vbg_gen_check_folder(const char *path, vbg_err *err);
/* VBG_EUSAGE unless the suffix is one that pictures are written with. */
vbg_status vbg_gen_check_picture_name(const char *path, vbg_err *err);
/* Refuses what could not be written after the long work: a folder, a missing or
 * read-only folder, an existing file under no_clobber. */
vbg_status vbg_gen_check_writable(const char *path, bool no_clobber, vbg_err *err);

/* DIR/0.png ... and DIR/prompt.txt; the folder is made when missing. */
vbg_status vbg_gen_write_views(const char *dir, const vbg_room *r, const vbg_room_spec *s,
                               vbg_err *err);
/* Stitches DIR/0.*, DIR/1.*, ... (3 to 32 square pictures of one size). */
typedef struct vbg_gen_stitch {
    const char *out, *dir;
    double fov_deg;
    int width, height, quality, threads;
} vbg_gen_stitch;
vbg_status vbg_gen_stitch_folder(const vbg_gen_stitch *job, vbg_err *err);

/* The page of a panorama in memory, or of a picture file (its GPano crop is kept). */
vbg_status vbg_gen_write_page(const char *path, const vbg_picture *pano,
                              const char *title, vbg_err *err);
vbg_status vbg_gen_page_of_picture(const char *path, const char *picture, vbg_err *err);

/* Reads DIR/0.png, 1.png, ... (or .jpg): at least 3 square ones of one size, at most
 * VBG_GEN_MAX_VIEWS; view has room for these, zeroed, and is freed by the caller also
 * after an error.  Errors: those of vbg_picture_load; VBG_EIO, VBG_EFORMAT. */
vbg_status vbg_gen_load_views(vbg_picture *view, int *count, const char *dir,
                              vbg_err *err);

#endif
