/* Oracles of the family group "checkpoint". */
#include "tests/golden/golden.h"

const golden_family golden_families_checkpoint[] = {
    { NULL, NULL },
};
