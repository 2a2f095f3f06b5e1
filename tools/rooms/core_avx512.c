/* The renderer's inner loops for avx512. */
#include "tools/rooms/core_tmpl.h"

const core_table *vr_core_avx512(void)
{
    return &table;
}
