/* Fuzz target of the .vbg reader: the bytes as they are, then with the checksum of
 * header, metadata and index repaired, so that the checks behind it are reached. */
#include <string.h>
#include <xxhash.h>

#include "engine/weights_format.h"
#include "tests/fuzz/fuzz.h"

/* Opens a copy and asks for everything. */
static void read_copy(const uint8_t *data, size_t bytes, size_t sealed)
{
    vbg_map map;
    vbg_weights *w = NULL;
    vbg_err err = { "" };
    const char *s;
    const void *blob;
    double real;
    int64_t number;
    size_t n;

    if (bytes == 0 || vbg_map_zero(&map, bytes, NULL) != VBG_OK)
        return;
    unsigned char *p = (unsigned char *)(uintptr_t)map.data;
    memcpy(p, data, bytes);
    if (sealed) {
        memset(p + 56, 0, 8);
        uint64_t sum = XXH3_64bits(p, sealed);
        memcpy(p + 56, &sum, 8);
    }
    if (vbg_weights_open_preview(&w, &map, &err) != VBG_OK)
        return;
    vbg_weights_verify(w, &err);
    for (size_t i = 0; i < vbg_weights_count(w); i++) {
        const vbg_entry *e = vbg_weights_at(w, i);
        vbg_weights_find(w, e->component, e->name);
        vbg_weights_has_component(w, e->component);
    }
    vbg_weights_string(w, "model.arch", &s);
    vbg_weights_int(w, "steps", &number);
    vbg_weights_real(w, "scale", &real);
    vbg_weights_bytes(w, "blob", &blob, &n);
    vbg_weights_close(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint64_t meta, index;

    read_copy(data, bytes, 0);
    if (bytes < 128)
        return 0;
    memcpy(&meta, data + 24, 8);
    memcpy(&index, data + 40, 8);
    if (meta < bytes && index < bytes && 64 + meta + index <= bytes)
        read_copy(data, bytes, (size_t)(64 + meta + index));
    return 0;
}
