/* Fuzz target of the TensorFlow Lite reader and of the recognition of networks. */
#include <stdlib.h>

#include "convert/tflite.h"
#include "convert/tflite_map.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    vbg_tflite *m = NULL;
    vbg_err err = { "" };

    if (vbg_tflite_parse(&m, data, bytes, "memory", &err) != VBG_OK)
        return 0;
    for (int i = 0; i < vbg_tflite_tensors(m); i++) {
        const vbg_tfl_tensor *t = vbg_tflite_tensor(m, i);
        if (!t->data || (t->dtype != VBG_F32 && t->dtype != VBG_F16))
            continue;
        float *v = malloc((t->count + 1) * sizeof *v);
        if (v)
            vbg_tflite_to_f32(v, t);
        free(v);
    }
    vbg_tfl_network *net = calloc(1, sizeof *net);
    if (net)
        vbg_tflite_recognise(net, m, "memory", &err);
    free(net);
    vbg_tflite_close(m);
    return 0;
}
