/* The renderer's inner loops for avx2. */
#include "tools/rooms/core_tmpl.h"

const core_table *vr_core_avx2(void)
{
    return &table;
}
