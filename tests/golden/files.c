/* Oracles of the family group "files". */
#include "tests/golden/golden.h"

const golden_family golden_families_files[] = {
    { NULL, NULL },
};
