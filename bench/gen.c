/* vbg-bench gen: the parts of the generation. */
#include "bench/bench.h"

int bench_generate(bench *b)
{
    (void)b;
    vbg_error("this build has no bench of the generation yet");
    return 1;
}
