/* Oracles of the family group "segmenters". */
#include "tests/golden/golden.h"

const golden_family golden_families_segmenters[] = {
    { NULL, NULL },
};
