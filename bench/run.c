/* vbg-bench run: the parts of the video chain. */
#include "bench/bench.h"

int bench_run(bench *b)
{
    int code = bench_run_motion(b);

    if (code == 0)
        code = bench_run_picture(b);
    if (code == 0)
        code = bench_run_chain(b);
    return code ? code : bench_run_live(b);
}
