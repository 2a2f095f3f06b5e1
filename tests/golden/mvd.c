/* Oracles of the family group "mvd". */
#include "tests/golden/golden.h"

const golden_family golden_families_mvd[] = {
    { NULL, NULL },
};
