/* One trainer in a folder. */
#ifndef VBG_TOOLS_TRAIN_LOCK_H
#define VBG_TOOLS_TRAIN_LOCK_H

#include "engine/base.h"

/* Makes the folder dir (and its parents) where it is missing.  Errors: VBG_EIO. */
vbg_status vbg_make_folder(const char *dir, vbg_err *err);

/* Takes DIR/lock and keeps it until vbg_lock_release or the end of the process, however
 * it ends: the lock is the system's (flock), the file only names its holder.
 * Errors: VBG_EUSAGE (another process holds it, with its number), VBG_EIO. */
vbg_status vbg_lock_take(int *lock, const char *dir, vbg_err *err);
void vbg_lock_release(int lock); /* accepts -1 */

#endif
