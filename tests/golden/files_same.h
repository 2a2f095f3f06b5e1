/* Oracles that are weight files: every layout must give the same model. */
#ifndef VBG_TESTS_GOLDEN_FILES_SAME_H
#define VBG_TESTS_GOLDEN_FILES_SAME_H

#include "tests/golden/golden.h"

void files_tiny_sd2(golden *g);
void files_tiny_sd2_ldm(golden *g);
void files_tiny_sd2_sharded(golden *g);
void files_tiny_sd2_vae_newnames(golden *g);
void files_tiny_sd2_mvd(golden *g);

#endif
