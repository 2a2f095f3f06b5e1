/* SHA-256 of the source files, with nettle when the build has it. */
#define _POSIX_C_SOURCE 200809L
#include "convert/sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/io.h"
#include "engine/weights_format.h"

#ifdef VBG_HAVE_NETTLE
#include <nettle/sha2.h>

/* Maps the file and hashes it in pieces, so that its pages do not pile up. */
static vbg_status add_file(struct sha256_ctx *ctx, const char *path, vbg_err *err)
{
    enum { PIECE = 16 << 20 };
    vbg_map map;
    vbg_status st = vbg_map_open(&map, path, VBG_MAX_MODEL_BYTES, err);

    if (st != VBG_OK)
        return st;
    for (size_t at = 0; at < map.bytes; at += PIECE) {
        size_t n = map.bytes - at < PIECE ? map.bytes - at : PIECE;
        sha256_update(ctx, n, map.data + at);
        vbg_map_release(&map, at, n);
    }
    vbg_map_close(&map);
    return VBG_OK;
}

vbg_status vbg_package_hash(vbg_package *p, vbg_err *err)
{
    struct sha256_ctx ctx;
    uint8_t digest[SHA256_DIGEST_SIZE];
    vbg_status st = VBG_OK;
    char text[16];

    if (!p->source[0] && !p->path)
        return VBG_OK;
    sha256_init(&ctx);
    if (p->path)
        st = add_file(&ctx, p->path, err);
    for (size_t i = 0; p->source[0] && i < p->source[0]->files && st == VBG_OK; i++)
        st = add_file(&ctx, p->source[0]->file_path[i], err);
    if (st != VBG_OK)
        return st;
    sha256_digest(&ctx, sizeof digest, digest);
    snprintf(text, sizeof text, "%02x%02x%02x%02x%02x", digest[0], digest[1], digest[2],
             digest[3], digest[4]);
    p->hash = strdup(text);
    return p->hash ? VBG_OK : vbg_fail(err, VBG_ENOMEM, "out of memory");
}
#else
vbg_status vbg_package_hash(vbg_package *p, vbg_err *err)
{
    (void)p;
    (void)err;
    return VBG_OK;
}
#endif
