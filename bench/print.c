/* The table in the four formats.  JSON rows carry llama-bench's field names
 * (samples_ns, stddev_ns, cpu_info, build_commit, test_time) beside ours. */
#include "bench/bench.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#ifndef VBG_COMMIT
#define VBG_COMMIT "unknown"
#endif

enum { COLUMNS = 12, CELL = 40 };

typedef struct line {
    char cell[COLUMNS][CELL];
} line;

static double gflops(const bench_row *r)
{
    return r->gflop > 0 && r->ms > 0 ? r->gflop / r->ms * 1e3 : 0;
}

static double peer_gflops(const bench_row *r)
{
    return r->gflop > 0 && r->peer_ms > 0 ? r->gflop / r->peer_ms * 1e3 : 0;
}

static double gbytes(const bench_row *r)
{
    return r->gbyte > 0 && r->ms > 0 ? r->gbyte / r->ms * 1e3 : 0;
}

static double mrays(const bench_row *r)
{
    return r->mray > 0 && r->ms > 0 ? r->mray / r->ms * 1e3 : 0;
}

static void put_number(char *cell, double v)
{
    snprintf(cell, CELL, v >= 100 ? "%.1f" : v >= 1 ? "%.2f" : "%.4f", v);
}

static line line_of(const bench_row *r)
{
    line l = { 0 };

    snprintf(l.cell[0], CELL, "%s", r->name);
    snprintf(l.cell[1], CELL, "%s", r->shape);
    snprintf(l.cell[2], CELL, "%s", r->dtype);
    snprintf(l.cell[3], CELL, "%s", vbg_isa_name(r->isa));
    snprintf(l.cell[4], CELL, "%d", r->threads);
    put_number(l.cell[5], r->ms);
    if (r->gflop > 0)
        snprintf(l.cell[6], CELL, "%.0f", gflops(r));
    if (r->gflop > 0 && r->peak > 0)
        snprintf(l.cell[7], CELL, "%.0f %%", 100 * gflops(r) / r->peak);
    if (r->gbyte > 0)
        snprintf(l.cell[8], CELL, "%.1f", gbytes(r));
    if (r->peer_ms > 0)
        snprintf(l.cell[9], CELL, "%.2f x", r->peer_ms / r->ms);
    if (r->cpu_ms > 0)
        put_number(l.cell[10], r->cpu_ms);
    if (r->mray > 0)
        snprintf(l.cell[11], CELL, "%.1f", mrays(r));
    return l;
}

static line header(const bench *b)
{
    line l = { { "kernel", "shape", "dtype", "isa", "threads", "ms", "GFLOP/s", "% peak",
                 "GB/s", "vs peer", "cpu ms", "Mrays/s" } };

    for (size_t i = 0; i < b->count; i++)
        if (b->rows[i].peer[0]) {
            snprintf(l.cell[9], CELL, "vs %s", b->rows[i].peer);
            break;
        }
    return l;
}

static void put_line(const line *l, const int *width, char fill)
{
    for (int c = 0; c < COLUMNS; c++) {
        bool text = c < 4;
        if (width[c] == 0)
            continue; /* no row has anything to say there */
        if (fill)
            printf("|%c%.*s%c", text ? fill : fill, width[c],
                   "----------------------------------------", text ? fill : ':');
        else if (text)
            printf("| %-*s ", width[c], l->cell[c]);
        else
            printf("| %*s ", width[c], l->cell[c]);
    }
    puts("|");
}

static void print_md(const bench *b)
{
    line head = header(b);
    int width[COLUMNS];

    memset(width, 0, sizeof width);
    for (size_t i = 0; i < b->count; i++) {
        line l = line_of(&b->rows[i]);
        for (int c = 0; c < COLUMNS; c++)
            width[c] = vbg_max_int(width[c], (int)strlen(l.cell[c]));
    }
    for (int c = 0; c < COLUMNS; c++)
        if (width[c])
            width[c] = vbg_max_int(width[c], (int)strlen(head.cell[c]));
    put_line(&head, width, 0);
    put_line(&head, width, '-');
    for (size_t i = 0; i < b->count; i++) {
        line l = line_of(&b->rows[i]);
        put_line(&l, width, 0);
    }
}

/* A number, or null when there is none. */
static void json_number(const char *key, double v, bool known)
{
    if (known)
        printf(",\"%s\":%.6g", key, v);
    else
        printf(",\"%s\":null", key);
}

static void cpu_name(char *out, size_t size)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char text[256];

    snprintf(out, size, "unknown");
    while (f && fgets(text, sizeof text, f))
        if (strncmp(text, "model name", 10) == 0 && strchr(text, ':')) {
            snprintf(out, size, "%s", strchr(text, ':') + 2);
            out[strcspn(out, "\n\"\\")] = 0;
            break;
        }
    if (f)
        fclose(f);
}

static void utc_now(char *out, size_t size)
{
    time_t now = time(NULL);
    struct tm t;

    gmtime_r(&now, &t);
    strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &t);
}

static double stddev_ms(const bench_row *r)
{
    double mean = 0, sum = 0;

    for (int i = 0; i < r->samples; i++)
        mean += r->sample_ms[i] / r->samples;
    for (int i = 0; i < r->samples; i++)
        sum += (r->sample_ms[i] - mean) * (r->sample_ms[i] - mean);
    return r->samples > 1 ? sqrt(sum / (r->samples - 1)) : 0;
}

static double min_ms(const bench_row *r)
{
    double m = r->sample_ms[0];

    for (int i = 1; i < r->samples; i++)
        if (r->sample_ms[i] < m)
            m = r->sample_ms[i];
    return m;
}

static void print_object(const bench_row *r, const char *cpu, const char *now)
{
    printf("{\"name\":\"%s\",\"shape\":\"%s\",\"dtype\":\"%s\",\"isa\":\"%s\","
           "\"threads\":%d,\"ms\":%.6g",
           r->name, r->shape, r->dtype, vbg_isa_name(r->isa), r->threads, r->ms);
    json_number("gflops", gflops(r), r->gflop > 0);
    json_number("peak_fraction", gflops(r) / (r->peak > 0 ? r->peak : 1),
                r->gflop > 0 && r->peak > 0);
    json_number("gbytes_per_s", gbytes(r), r->gbyte > 0);
    json_number("mrays_per_s", mrays(r), r->mray > 0);
    if (r->peer[0])
        printf(",\"peer\":\"%s\"", r->peer);
    else
        printf(",\"peer\":null");
    json_number("peer_gflops", peer_gflops(r), r->gflop > 0 && r->peer_ms > 0);
    json_number("peer_ms", r->peer_ms, r->peer_ms > 0);
    json_number("peak_gflops", r->peak, r->peak > 0);
    json_number("cpu_ms", r->cpu_ms, r->cpu_ms > 0);
    printf(",\"samples_ns\":[");
    for (int i = 0; i < r->samples; i++)
        printf("%s%.0f", i ? "," : "", 1e6 * r->sample_ms[i]);
    printf("],\"min_ns\":%.0f,\"stddev_ns\":%.0f", r->samples ? 1e6 * min_ms(r) : 0,
           1e6 * stddev_ms(r));
    printf(",\"cpu_info\":\"%s\",\"build_commit\":\"%s\",\"test_time\":\"%s\"}", cpu,
           VBG_COMMIT, now);
}

static void print_json(const bench *b, bool lines)
{
    char cpu[128], now[32];

    cpu_name(cpu, sizeof cpu);
    utc_now(now, sizeof now);
    if (!lines)
        puts("[");
    for (size_t i = 0; i < b->count; i++) {
        print_object(&b->rows[i], cpu, now);
        puts(!lines && i + 1 < b->count ? "," : "");
    }
    if (!lines)
        puts("]");
}

static void print_csv(const bench *b)
{
    puts("name,shape,dtype,isa,threads,ms,gflops,peak_fraction,peer,peer_gflops,peer_ms");
    for (size_t i = 0; i < b->count; i++) {
        const bench_row *r = &b->rows[i];
        printf("%s,%s,%s,%s,%d,%.6g,", r->name, r->shape, r->dtype, vbg_isa_name(r->isa),
               r->threads, r->ms);
        if (r->gflop > 0)
            printf("%.6g", gflops(r));
        putchar(',');
        if (r->gflop > 0 && r->peak > 0)
            printf("%.4g", gflops(r) / r->peak);
        printf(",%s,", r->peer);
        if (peer_gflops(r) > 0)
            printf("%.6g", peer_gflops(r));
        putchar(',');
        if (r->peer_ms > 0)
            printf("%.6g", r->peer_ms);
        putchar('\n');
    }
}

void bench_print(const bench *b, const char *format)
{
    if (strcmp(format, "csv") == 0)
        print_csv(b);
    else if (strcmp(format, "json") == 0)
        print_json(b, false);
    else if (strcmp(format, "jsonl") == 0)
        print_json(b, true);
    else
        print_md(b);
}
