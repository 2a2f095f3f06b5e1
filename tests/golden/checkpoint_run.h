/* Runs recorded generations with a converted package; shared by the oracles that prove
 * a weight file by what it generates. */
#ifndef VBG_TESTS_GOLDEN_CHECKPOINT_RUN_H
#define VBG_TESTS_GOLDEN_CHECKPOINT_RUN_H

#include "models/generate.h"
#include "tests/golden/golden.h"

/* Converts SOURCE (and a CAA file, or NULL) of g's folder to a temporary package in f32
 * and opens it.  prediction: "epsilon", "v_prediction" or NULL.  NULL with the oracle
 * failed. */
vbg_generator *checkpoint_open(golden *g, const char *source, const char *caa,
                               const char *prediction);

/* Converts STEM.safetensors of g's folder alone, f32; NULL with the oracle failed. */
vbg_weights *checkpoint_weights(golden *g, const char *stem);

/* A recording of one vbg_generate: arrays as the dump hook gave them, owned by g. */
typedef struct checkpoint_record {
    golden *g;
    int calls;
    float *text, *views, *latents[64], *prediction[64];
    size_t text_count, views_count, latents_count, prediction_count;
    vbg_picture *picture;
} checkpoint_record;

/* False with the oracle failed. */
bool checkpoint_generate(golden *g, vbg_generator *m, const vbg_gen_request *r,
                         checkpoint_record *out);

/* Token ids of the prompts against in.ids, all 77 of each row. */
void checkpoint_check_ids(golden *g, const vbg_generator *m, const char *const *prompt,
                          int count);

#endif
