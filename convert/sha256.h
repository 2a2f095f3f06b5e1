/* The hash of a checkpoint that generated pictures carry. */
#ifndef VBG_CONVERT_SHA256_H
#define VBG_CONVERT_SHA256_H

#include "convert/package.h"

/* p->hash = the first 10 hex digits of the SHA-256 over the weight files of the model
 * (one after the other when there are several).  Stays NULL without nettle. */
vbg_status vbg_package_hash(vbg_package *p, vbg_err *err);

#endif
