/* vbg-bench run: the parts of the video chain. */
#include "bench/bench.h"

int bench_run(bench *b)
{
    const int code = bench_run_motion(b);

    return code ? code : bench_run_picture(b);
}
