/* vbg-bench run: the parts of the video chain. */
#include "bench/bench.h"

int bench_run(bench *b)
{
    (void)b;
    vbg_error("this build has no bench of the video chain yet");
    return 1;
}
