/* Fuzz target of the picture readers: PNG, JPEG, WebP, their Exif, XMP and profiles. */
#include "engine/picture_io.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    vbg_picture p;
    vbg_picture_info info;
    vbg_err err = { "" };

    vbg_picture_load_memory(&p, &info, data, bytes, "memory", 3, &err);
    vbg_picture_free(&p);
    vbg_picture_info_free(&info);
    return 0;
}
