/* vbg-bench run: the parts of the video chain. */
#include "bench/bench.h"

int bench_run(bench *b)
{
    return bench_run_picture(b);
}
