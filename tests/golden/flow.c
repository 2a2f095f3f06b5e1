/* Oracles of the family group "flow". */
#include "tests/golden/golden.h"

const golden_family golden_families_flow[] = {
    { NULL, NULL },
};
