/* Fuzz target of the safetensors reader and of the JSON bounds before it. */
#include <stdlib.h>

#include "convert/safetensors.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    vbg_safetensors *f = NULL;
    vbg_err err = { "" };

    if (vbg_st_open_memory(&f, data, bytes, &err) != VBG_OK)
        return 0;
    for (size_t i = 0; i < vbg_st_count(f); i++) {
        const vbg_st_tensor *t = vbg_st_at(f, i);
        if (t->dtype >= VBG_DTYPES || t->count > 1 << 20)
            continue;
        float *v = malloc((t->count + 1) * sizeof *v);
        if (v)
            vbg_st_to_f32(v, t);
        free(v);
        vbg_st_find(f, t->name);
    }
    vbg_st_metadata(f, "format");
    vbg_st_close(f);
    return 0;
}
