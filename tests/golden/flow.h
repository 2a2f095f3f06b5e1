/* Oracles of the family group "flow" that live in pano.c. */
#ifndef VBG_TESTS_GOLDEN_FLOW_H
#define VBG_TESTS_GOLDEN_FLOW_H

#include "tests/golden/golden.h"

void golden_run_panogeo(golden *g);
void golden_run_pano(golden *g);

#endif
