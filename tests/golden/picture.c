/* Oracles of the family group "picture". */
#include "tests/golden/golden.h"

const golden_family golden_families_picture[] = {
    { NULL, NULL },
};
