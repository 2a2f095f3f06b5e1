/* Tables of comma-separated values with a header row, read by libcsv.
 *
 * A byte-order mark, blank lines, CRLF, quoted fields with line breaks and spaces around
 * fields are understood.  A row that has another number of fields than the header, or a
 * NUL inside a wanted field, comes back as a bad row. */
#ifndef VBG_TOOLS_TRAIN_CSV_TABLE_H
#define VBG_TOOLS_TRAIN_CSV_TABLE_H

#include "engine/base.h"

enum { VBG_CSV_COLUMNS = 8 };

typedef struct vbg_csv_opt {
    const char *column[VBG_CSV_COLUMNS]; /* wanted columns, all of which must exist */
    int columns;
    size_t max_field; /* longest field, bytes; a longer one refuses the file */
} vbg_csv_opt;

/* field: the wanted columns' texts, lent; NULL in a bad row, then why says what is wrong.
 * row counts from 1 behind the header.  A status other than VBG_OK ends the reading. */
typedef vbg_status vbg_csv_row(void *arg, size_t row, const char *const *field,
                               const char *why, vbg_err *err);

/* Errors: VBG_EIO; VBG_ELIMIT (field too long, file beyond 1 GiB); VBG_EFORMAT (empty,
 * UTF-16, wrong or double columns, a quote that never ends); VBG_ENOMEM;
 * VBG_EUNSUPPORTED (built without libcsv); what row returned. */
vbg_status vbg_csv_read(const char *path, const vbg_csv_opt *opt, vbg_csv_row *row,
                        void *arg, vbg_err *err);

#endif
