/* Oracles of the family group "seg". */
#include "tests/golden/golden.h"

const golden_family golden_families_seg[] = {
    { NULL, NULL },
};
