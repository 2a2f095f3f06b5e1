/* Oracles of the family group "clip". */
#include "tests/golden/golden.h"

const golden_family golden_families_clip[] = {
    { NULL, NULL },
};
