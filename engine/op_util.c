/* Work cut into fixed runs of rows. */
#include "engine/op_util.h"

enum { TASK_ELEMENTS = 1 << 15 };

typedef struct rows_job {
    vbg_rows_task *fn;
    void *arg;
    size_t rows, step;
} rows_job;

static void run_rows(void *arg, size_t index, int thread)
{
    const rows_job *j = arg;
    size_t r0 = index * j->step, r1 = r0 + j->step;

    j->fn(j->arg, r0, r1 < j->rows ? r1 : j->rows, thread);
}

void vbg_parallel_rows(vbg_ctx *c, size_t rows, size_t cols, vbg_rows_task *fn, void *arg)
{
    size_t step = TASK_ELEMENTS / (cols ? cols : 1);
    rows_job j = { .fn = fn, .arg = arg, .rows = rows, .step = step ? step : 1 };

    vbg_parallel(c, (rows + j.step - 1) / j.step, run_rows, &j);
}
