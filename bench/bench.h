/* vbg-bench: cases, timing, one table of results.
 *
 * A subcommand fills a row, measures, adds it:
 *
 *     bench_row r = { .name = "gemm", .shape = "32768x320x320", .dtype = "bf16",
 *                     .isa = isa, .threads = b->threads, .gflop = 6.7 };
 *     if (bench_wanted(b, r.name, r.shape)) {
 *         bench_measure(b, &r, once, &arg);
 *         r.peak = bench_peak(b, isa, VBG_BF16);
 *         bench_add(b, &r);
 *     }
 *
 * The table is printed by main at the end (md) or row by row (csv, json, jsonl). */
#ifndef VBG_BENCH_BENCH_H
#define VBG_BENCH_BENCH_H

#include "engine/tensor.h"
#include "tools/options.h"

enum { BENCH_MAX_SAMPLES = 200 };

typedef struct bench_row {
    char name[24], shape[32], dtype[8];
    vbg_isa isa;
    int threads;
    double gflop;   /* work of one repetition (a multiply-add is 2), 0: not counted */
    double gbyte;   /* read and written by one repetition, 0: not counted */
    double mray;    /* millions of rays of one repetition, 0: not counted */
    double peak;    /* GFLOP/s of the machine for this type, 0: not compared */
    char peer[16];  /* "OpenBLAS", "OpenCV"; empty: none */
    double peer_ms; /* its median for the same work; NAN or 0: not measured */
    int samples;    /* filled by bench_measure */
    double ms, sample_ms[BENCH_MAX_SAMPLES];
    double cpu_ms; /* least processor time of a repetition, all threads */
} bench_row;

typedef struct bench {
    const vbg_values *values; /* all options of the command line */
    int threads, repetitions;
    vbg_isa isa;                   /* cap, already lowered to what the CPU has */
    const char *filter;            /* substring of "name shape dtype", NULL: all */
    double peak[VBG_ISA_COUNT][2]; /* best seen so far; [isa][is bf16] */
    bench_row *rows;
    size_t count, cap;
} bench;

/* Whether --filter lets this row through. */
bool bench_wanted(const bench *b, const char *name, const char *shape);
/* Median of b->repetitions (5 at least) runs after one warm-up; a call that takes
 * less than a millisecond is repeated inside each sample.  Also the least processor time,
 * which other programs disturb less. */
void bench_measure(const bench *b, bench_row *r, void (*once)(void *), void *arg);
/* Of n <= BENCH_MAX_SAMPLES. */
double bench_median(const double *samples, int n);
/* The median alone, in ms: for peers. */
double bench_median_ms(const bench *b, void (*once)(void *), void *arg);
/* Peak of register loops on all threads, GFLOP/s; measured again at each call (a few
 * ms), the best of this run counts.  bf16: products of bf16 pairs or tiles. */
double bench_peak(bench *b, vbg_isa isa, vbg_dtype t);
/* Copies the row into the table. */
void bench_add(bench *b, const bench_row *r);

/* Subcommands; each returns the program's exit code. */
int bench_kernels(bench *b);     /* bench/kernels.c */
int bench_run(bench *b);         /* bench/run.c: parts of vbg-run */
int bench_run_picture(bench *b); /* bench/run_picture.c: its picture operations */
int bench_run_motion(bench *b);  /* bench/run_motion.c: tracking and viewport */
int bench_run_chain(bench *b);   /* bench/run_chain.c: all of it, frame by frame */
int bench_run_live(bench *b);    /* bench/run_live.c: the virtual camera */
int bench_generate(bench *b);    /* bench/gen.c: parts of vbg-gen */
int bench_train(bench *b);       /* bench/train.c: layers forward and backward */
int bench_train_nets(bench *b);  /* bench/train_nets.c: steps of whole networks */
int bench_rooms(bench *b);       /* bench/rooms.c: scenes of vbg-train rooms */

/* Rows of bench_kernels that are bound by memory (bench/memory.c): norms, GEGLU, sums,
 * resizing, for one type.  Exit code. */
int bench_memory(bench *b, vbg_dtype type);

/* Prints the table to stdout as md, csv, json or jsonl. */
void bench_print(const bench *b, const char *format);

/* Peak loops (bench/peak.c): GFLOP/s of one thread during about ms milliseconds. */
double bench_peak_loop(vbg_isa isa, bool bf16, double ms);

#endif
