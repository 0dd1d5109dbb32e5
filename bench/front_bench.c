/* How fast fronts are found, one JSON object per line. Beside each time stands what the same
 * machine needs in the same run for the least work that any answer needs (reading the columns once,
 * "read") and for the work that a plain answer does (the C library's qsort of one column, "qsort").
 *
 * Distributions: uniform, a few dozen points on the front; near, points within 2% of a surface of
 * equal sums, so that many are on the front; plane, on that surface, so that nearly all are;
 * skewed, log-normal over many decades; grid, 1,000 values per objective, so that ties abound. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "front/front.h"

enum { RUNS = 7, K_MAX = 6 };

typedef struct data {
    const char *distribution;
    size_t n, k;
    double *columns[K_MAX];
    double *rows;
    double read_ms, qsort_ms;
} data;

static const sky_goal goals[K_MAX] = {SKY_MIN, SKY_MAX, SKY_MIN, SKY_MAX, SKY_MIN, SKY_MAX};

static void *must_alloc(size_t bytes)
{
    void *p = malloc(bytes);
    if (!p) {
        fputs("front_bench: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

static void make_row(sky_rng *r, const char *distribution, size_t k, double *row)
{
    double sum = 0;
    bool skewed = strcmp(distribution, "skewed") == 0, grid = strcmp(distribution, "grid") == 0;
    for (size_t j = 0; j < k; j++) {
        row[j] = skewed ? exp(6 * sky_rng_normal(r)) : sky_rng_f64(r);
        if (grid)
            row[j] = floor(row[j] * 1000);
        sum += row[j];
    }
    bool near = strcmp(distribution, "near") == 0, plane = strcmp(distribution, "plane") == 0;
    for (size_t j = 0; j < k; j++) {
        if (near || plane)
            row[j] /= sum * (near ? 1 - 0.02 * sky_rng_f64(r) : 1);
        if (goals[j] == SKY_MAX)
            row[j] = -row[j];
    }
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int compare_times(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void measure_machine(data *d)
{
    int64_t times[RUNS];
    volatile double sink = 0; /* so that the sums are computed */
    for (int run = 0; run < RUNS; run++) {
        int64_t start = sky_clock_ns();
        double sum[4] = {0};
        for (size_t j = 0; j < d->k; j++)
            for (size_t i = 0; i + 4 <= d->n; i += 4)
                for (size_t lane = 0; lane < 4; lane++)
                    sum[lane] += d->columns[j][i + lane];
        sink += sum[0] + sum[1] + sum[2] + sum[3];
        times[run] = sky_clock_ns() - start;
    }
    (void)sink;
    qsort(times, RUNS, sizeof *times, compare_times);
    d->read_ms = (double)times[RUNS / 2] / 1e6;
    double *copy = must_alloc(d->n * sizeof *copy);
    memcpy(copy, d->columns[0], d->n * sizeof *copy);
    int64_t start = sky_clock_ns();
    qsort(copy, d->n, sizeof *copy, compare_doubles);
    d->qsort_ms = (double)(sky_clock_ns() - start) / 1e6;
    free(copy);
}

static data make_data(const char *distribution, size_t n, size_t k)
{
    data d = {.distribution = distribution, .n = n, .k = k};
    sky_rng r;
    sky_rng_init(&r, 1, k);
    d.rows = must_alloc(n * k * sizeof *d.rows);
    for (size_t j = 0; j < k; j++)
        d.columns[j] = must_alloc(n * sizeof(double));
    for (size_t i = 0; i < n; i++) {
        make_row(&r, distribution, k, d.rows + i * k);
        for (size_t j = 0; j < k; j++)
            d.columns[j][i] = d.rows[i * k + j];
    }
    measure_machine(&d);
    return d;
}

static void free_data(data *d)
{
    for (size_t j = 0; j < d->k; j++)
        free(d->columns[j]);
    free(d->rows);
}

/* One line. limit_ms 0: no limit was set. */
static void print_line(const char *name, const data *d, size_t n_front, double limit_ms,
                       int64_t *times, int runs)
{
    qsort(times, (size_t)runs, sizeof *times, compare_times);
    double least = (double)times[0] / 1e6, median = (double)times[runs / 2] / 1e6;
    printf("{\"bench\":\"%s\",\"distribution\":\"%s\",\"n\":%zu,\"k\":%zu,\"front\":%zu,"
           "\"ms\":%.3f,\"min_ms\":%.3f",
           name, d->distribution, d->n, d->k, n_front, median, least);
    if (limit_ms > 0)
        printf(",\"limit_ms\":%g,\"ok\":%s", limit_ms, median <= limit_ms ? "true" : "false");
    printf(",\"read_ms\":%.3f,\"times_read\":%.2f,\"qsort_ms\":%.3f,\"times_qsort\":%.3f}\n",
           d->read_ms, median / d->read_ms, d->qsort_ms, median / d->qsort_ms);
    fflush(stdout);
}

static void bench_batch(const data *d, double limit_ms)
{
    uint8_t *on_front = must_alloc(d->n);
    int64_t times[RUNS];
    size_t n_front = 0;
    int runs = 0;
    for (int64_t total = 0; runs < RUNS && (runs < 3 || total < 5 * SKY_NS_PER_S); runs++) {
        int64_t start = sky_clock_ns();
        sky_err err = sky_front_batch((const double *const *)d->columns, d->n, d->k, goals,
                                      on_front, &n_front, NULL);
        times[runs] = sky_clock_ns() - start;
        total += times[runs];
        if (err != SKY_OK)
            exit(1);
    }
    char name[32];
    snprintf(name, sizeof name, "front_%zud", d->k);
    print_line(name, d, n_front, limit_ms, times, runs);
    free(on_front);
}

static void bench_grow(const data *d)
{
    int64_t times[3];
    size_t n_front = 0;
    for (int run = 0; run < 3; run++) {
        int64_t start = sky_clock_ns();
        sky_front *f = sky_front_new(d->k, goals);
        for (size_t i = 0; f && i < d->n; i++)
            if (sky_front_insert(f, i, d->rows + i * d->k, NULL) != SKY_OK)
                exit(1);
        n_front = f ? sky_front_size(f) : 0;
        times[run] = sky_clock_ns() - start;
        sky_front_free(f);
    }
    char name[32];
    snprintf(name, sizeof name, "grow_%zud", d->k);
    print_line(name, d, n_front, 0, times, 3);
}

static void bench_volume(const data *d)
{
    int64_t times[3];
    double reference[K_MAX], volume = 0;
    for (size_t j = 0; j < d->k; j++)
        reference[j] = goals[j] == SKY_MIN ? 1.1 : -1.1;
    for (int run = 0; run < 3; run++) {
        int64_t start = sky_clock_ns();
        if (sky_hypervolume(d->rows, d->n, d->k, goals, reference, &volume) != SKY_OK)
            exit(1);
        times[run] = sky_clock_ns() - start;
    }
    char name[32];
    snprintf(name, sizeof name, "hypervolume_%zud", d->k);
    print_line(name, d, d->n, 0, times, 3);
}

static void batch_case(const char *distribution, size_t n, size_t k, double limit_ms)
{
    data d = make_data(distribution, n, k);
    bench_batch(&d, limit_ms);
    free_data(&d);
}

static void grow_case(const char *distribution, size_t n, size_t k)
{
    data d = make_data(distribution, n, k);
    bench_grow(&d);
    free_data(&d);
}

static void volume_case(const char *distribution, size_t n, size_t k)
{
    data d = make_data(distribution, n, k);
    bench_volume(&d);
    free_data(&d);
}

int main(void)
{
    static const char *const all[] = {"uniform", "near", "plane", "skewed", "grid"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        batch_case(all[i], 1000000, 2, 50);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        batch_case(all[i], 1000000, 3, 1000);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        batch_case(all[i], 100000, 4, 0);
    batch_case("uniform", 1000000, 4, 0);
    batch_case("near", 20000, 6, 0);
    grow_case("uniform", 1000000, 2);
    grow_case("plane", 1000000, 2);
    grow_case("near", 1000000, 3);
    grow_case("plane", 100000, 3);
    grow_case("near", 100000, 4);
    volume_case("plane", 1000000, 2);
    volume_case("plane", 100000, 3);
    volume_case("plane", 1000, 4);
    volume_case("plane", 100, 5);
    return 0;
}
