/* The renderer's inner loops for sse2. */
#include "tools/rooms/core_tmpl.h"

const core_table *vr_core_sse2(void)
{
    return &table;
}
