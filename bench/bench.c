/* Timing and collecting rows. */
#define _POSIX_C_SOURCE 200809L
#include "bench/bench.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool bench_wanted(const bench *b, const char *name, const char *shape)
{
    char text[80];

    if (!b->filter)
        return true;
    snprintf(text, sizeof text, "%s %s", name, shape);
    return strstr(text, b->filter) != NULL;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double bench_median(const double *samples, int n)
{
    double sorted[BENCH_MAX_SAMPLES];

    memcpy(sorted, samples, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, ascending);
    return n % 2 ? sorted[n / 2] : 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]);
}

/* Of all threads, in seconds. */
static double processor_time(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void bench_measure(const bench *b, bench_row *r, void (*once)(void *), void *arg)
{
    int inner = 1;

    once(arg);
    double start = vbg_now();
    once(arg);
    double first = vbg_now() - start;
    if (first < 1e-3)
        inner = (int)(1e-3 / (first > 1e-7 ? first : 1e-7)) + 1;
    r->samples = b->repetitions < 5 ? 5 : b->repetitions;
    if (r->samples > BENCH_MAX_SAMPLES)
        r->samples = BENCH_MAX_SAMPLES;
    for (int i = 0; i < r->samples; i++) {
        const double cpu = processor_time();
        start = vbg_now();
        for (int j = 0; j < inner; j++)
            once(arg);
        r->sample_ms[i] = 1e3 * (vbg_now() - start) / inner;
        const double used = 1e3 * (processor_time() - cpu) / inner;
        r->cpu_ms = i == 0 || used < r->cpu_ms ? used : r->cpu_ms;
    }
    r->ms = bench_median(r->sample_ms, r->samples);
}

double bench_median_ms(const bench *b, void (*once)(void *), void *arg)
{
    bench_row r;

    bench_measure(b, &r, once, arg);
    return r.ms;
}

double bench_peak(bench *b, vbg_isa isa, vbg_dtype t)
{
    const bool bf16 = t == VBG_BF16;
    double *best = &b->peak[isa][bf16], sum = 0;

#pragma omp parallel num_threads(b->threads) reduction(+ : sum)
    sum += bench_peak_loop(isa, bf16, 8);
    if (sum > *best)
        *best = sum;
    return *best;
}

void bench_add(bench *b, const bench_row *r)
{
    if (b->count == b->cap) {
        size_t cap = b->cap ? 2 * b->cap : 32;
        bench_row *rows = realloc(b->rows, cap * sizeof *rows);
        if (!rows)
            return;
        b->rows = rows;
        b->cap = cap;
    }
    b->rows[b->count++] = *r;
    vbg_detail("%-10s %-16s %-5s %9.3f ms %8.0f GFLOP/s", r->name, r->shape, r->dtype,
               r->ms, r->ms > 0 ? r->gflop / r->ms * 1e3 : 0);
}
