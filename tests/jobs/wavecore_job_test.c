/* The job wavecore as Skyline sees it: columns in, columns out. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hw/network.h"
#include "hw/trace.h"
#include "jobs/registry.h"

enum { COLUMNS_MAX = 64, ROWS_MAX = 64 };

typedef struct batch {
    const sky_job *job;
    sky_arena arena;
    sky_job_ctx ctx;
    sky_column params[COLUMNS_MAX], metrics[COLUMNS_MAX];
    size_t n;
} batch;

static char failure[256]; /* of the row that failed last */
static size_t failed_row;

static void fail_row(sky_job_ctx *ctx, size_t row, const char *reason)
{
    (void)ctx;
    failed_row = row;
    snprintf(failure, sizeof failure, "%s", reason);
}

static sky_column column(sky_arena *a, sky_type type, size_t n)
{
    sky_column c = {.type = type, .absent = sky_new(a, uint8_t, n)};
    c.i = sky_new(a, int64_t, n); /* of one size with double and pointer */
    return c;
}

static void open_batch(batch *b, size_t n)
{
    *b = (batch){.job = sky_job_find("wavecore"), .n = n};
    cr_assert_not_null(b->job);
    sky_job_ctx_init(&b->ctx, &b->arena);
    b->ctx.fail_row = fail_row;
    for (size_t p = 0; p < b->job->d.n_params; p++) {
        b->params[p] = column(&b->arena, b->job->d.params[p].type, n);
        for (size_t i = 0; i < n; i++)
            sky_column_set(&b->params[p], i, &b->job->d.params[p].def);
    }
    for (size_t m = 0; m < b->job->d.n_metrics; m++)
        b->metrics[m] = column(&b->arena, b->job->d.metrics[m].type, n);
}

/* Sets parameters of a row from "name=value name=value". */
static void set(batch *b, size_t row, const char *text)
{
    char *copy = sky_arena_strdup(&b->arena, text);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        char *value = strchr(word, '=');
        *value++ = '\0';
        size_t p = 0;
        while (p < b->job->d.n_params && strcmp(b->job->d.params[p].name, word) != 0)
            p++;
        cr_assert_lt(p, b->job->d.n_params, "no parameter %s", word);
        sky_value v;
        cr_assert_eq(sky_value_parse(b->job->d.params[p].type, value, &v), SKY_OK);
        sky_column_set(&b->params[p], row, &v);
    }
}

static void run(batch *b)
{
    sky_error e = {0};
    failure[0] = '\0';
    cr_assert_eq(b->job->run_batch(&b->ctx, b->n, NULL, b->params, b->metrics, &e), SKY_OK, "%s",
                 e.text);
}

static double number(const batch *b, size_t row, const char *name)
{
    for (size_t m = 0; m < b->job->d.n_metrics; m++)
        if (strcmp(b->job->d.metrics[m].name, name) == 0)
            return b->metrics[m].f[row];
    cr_assert_fail("no metric %s", name);
    abort();
}

/* The numbers of some points, bit by bit: the same on every machine and with every compiler. A change here is a
 * change of the job's version. SKY_GOLDEN=1 prints the lines anew. */
Test(wavecore_job, is_exact)
{
    static const struct {
        const char *params;
        double dram_bytes, optimal_bytes, time_s, energy_j, conv_utilization;
    } golden[] = {
#include "wavecore_golden.inc"
    };
    enum { N = sizeof golden / sizeof *golden };
    batch b;
    open_batch(&b, N);
    for (size_t i = 0; i < N; i++)
        set(&b, i, golden[i].params);
    run(&b);
    bool same = true;
    for (size_t i = 0; i < N; i++) {
        same &= number(&b, i, "dram_bytes") == golden[i].dram_bytes &&
                number(&b, i, "optimal_bytes") == golden[i].optimal_bytes &&
                number(&b, i, "time_s") == golden[i].time_s &&
                number(&b, i, "energy_j") == golden[i].energy_j &&
                number(&b, i, "conv_utilization") == golden[i].conv_utilization;
        if (getenv("SKY_GOLDEN"))
            printf("{\"%s\", %.17g, %.17g, %a, %a, %a},\n", golden[i].params,
                   number(&b, i, "dram_bytes"), number(&b, i, "optimal_bytes"),
                   number(&b, i, "time_s"), number(&b, i, "energy_j"),
                   number(&b, i, "conv_utilization"));
    }
    cr_assert(same, "SKY_GOLDEN=1 prints what there is now");
    sky_arena_free(&b.arena);
}

/* A row is worth the same alone and among others, in any order: nothing of one stays for the next. */
Test(wavecore_job, rows_are_independent)
{
    static const char *const rows[] = {
        "network=resnet50",
        "network=resnet50 variant=Baseline",
        "network=alexnet batch=64 variant=MBS1",
        "network=resnet50 batch=31 array=64",
        "network=resnet50 dw_bytes=2 grouping=optimal",
        "network=inception_v3 width_kept=0.5",
        "network=resnet50 relu=fused",
        "network=resnet50 width_kept=0.75 variant=IL buffer_mib=40",
        "network=resnet50 stream_ratio=4",
    };
    enum { N = sizeof rows / sizeof *rows };
    batch all;
    open_batch(&all, 2 * N);
    for (size_t i = 0; i < N; i++) {
        set(&all, i, rows[i]);
        set(&all, 2 * N - 1 - i, rows[i]);
    }
    run(&all);
    for (size_t i = 0; i < N; i++) {
        batch one;
        open_batch(&one, 1);
        set(&one, 0, rows[i]);
        run(&one);
        for (size_t m = 0; m < one.job->d.n_metrics; m++) {
            cr_assert_eq(one.metrics[m].f[0], all.metrics[m].f[i], "%s: %s", rows[i],
                         one.job->d.metrics[m].name);
            cr_assert_eq(one.metrics[m].f[0], all.metrics[m].f[2 * N - 1 - i], "%s: %s", rows[i],
                         one.job->d.metrics[m].name);
        }
        sky_arena_free(&one.arena);
    }
    sky_arena_free(&all.arena);
}

Test(wavecore_job, parts_add_up)
{
    batch b;
    open_batch(&b, 3);
    set(&b, 1, "network=googlenet variant=IL update_bytes=22 static_w=10");
    set(&b, 2, "network=mobilenet_v2 variant=MBS1 memory=GDDR5 cores=3 grouping=optimal");
    run(&b);
    for (size_t i = 0; i < 3; i++) {
        double causes = 0, energy = 0;
        for (size_t m = 0; m < b.job->d.n_metrics; m++) {
            const char *name = b.job->d.metrics[m].name;
            if (strncmp(name, "energy_", 7) == 0 && strcmp(name, "energy_j") != 0)
                energy += b.metrics[m].f[i];
            if (strcmp(name, "activation_read_bytes") == 0)
                for (size_t k = 0; k < 12; k++)
                    causes += b.metrics[m + k].f[i];
        }
        cr_assert_eq(causes, number(&b, i, "dram_bytes"));
        cr_assert_float_eq(energy, number(&b, i, "energy_j"), 1e-12);
        cr_assert_leq(number(&b, i, "optimal_bytes"), number(&b, i, "greedy_bytes"));
        cr_assert_leq(number(&b, i, "conv_utilization"), 1);
        cr_assert_leq(number(&b, i, "pe_utilization"), number(&b, i, "conv_utilization"));
    }
    cr_assert_eq(number(&b, 2, "dram_bytes"), number(&b, 2, "optimal_bytes"));
    sky_arena_free(&b.arena);
}

Test(wavecore_job, details_add_up)
{
    batch b;
    open_batch(&b, 1);
    run(&b);
    sky_value p[COLUMNS_MAX];
    for (size_t k = 0; k < b.job->d.n_params; k++)
        p[k] = sky_column_get(&b.params[k], 0);
    sky_buf csv = {0};
    sky_error e = {0};
    cr_assert_eq(b.job->details(&b.ctx, p, &csv, &e), SKY_OK, "%s", e.text);
    char *line = strtok(csv.data, "\n");
    int column_of_bytes = -1, column_n = 0;
    for (char *at = line; *at; at++) {
        if (strncmp(at, "dram_bytes", 10) == 0 && at[-1] == ',')
            column_of_bytes = column_n;
        column_n += *at == ',';
    }
    cr_assert_geq(column_of_bytes, 0);
    int64_t sum = 0;
    int rows = 0;
    while ((line = strtok(NULL, "\n"))) {
        int fields = 1;
        const char *at = line;
        for (char *c = line; *c; c++) {
            if (*c == ',' && fields++ == column_of_bytes)
                at = c + 1;
        }
        cr_assert_eq(fields, column_n + 1, "%s", line);
        sum += strtoll(at, NULL, 10);
        rows++;
    }
    cr_assert_eq(rows, 174);
    cr_assert_eq(2.0 * (double)sum, number(&b, 0, "dram_bytes")); /* of both cores */
    sky_buf_free(&csv);
    sky_arena_free(&b.arena);
}

/* The mean over a trace is that of its stages, weighted with their steps. */
Test(wavecore_job, a_trace_is_a_mean)
{
    static const char text[] =
        "skyline-trace 1\nat 0 0\nat 10 300\nlayer conv2 96\nlayer conv3 100\n"
        "end 20 400\n";
    static const char rest[] =
        "skyline-trace 1\nat 0 0\nlayer conv2 96\nlayer conv3 100\nend 20 400\n";
    char folder[] = "/tmp/wavecore_trace.XXXXXX";
    cr_assert_not_null(mkdtemp(folder));
    char path[2][64];
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof path[i], "%s/%d", folder, i);
        FILE *f = fopen(path[i], "w");
        cr_assert_not_null(f);
        fputs(i == 0 ? text : rest, f);
        cr_assert_eq(fclose(f), 0);
    }
    batch b;
    open_batch(&b, 3);
    b.ctx.workdir = folder;
    set(&b, 0, "network=alexnet trace=0");
    set(&b, 1, "network=alexnet");
    set(&b, 2, "network=alexnet trace=1");
    run(&b);
    cr_assert_str_eq(failure, "");
    static const char *const names[] = {"dram_bytes", "time_s", "energy_j", "macs", "groups"};
    for (size_t i = 0; i < 5; i++)
        cr_assert_float_eq(number(&b, 0, names[i]),
                           0.75 * number(&b, 1, names[i]) + 0.25 * number(&b, 2, names[i]),
                           1e-12 * number(&b, 1, names[i]), "%s", names[i]);
    cr_assert_lt(number(&b, 2, "macs"), number(&b, 1, "macs"));
    sky_arena_free(&b.arena);
    unlink(path[0]);
    unlink(path[1]);
    rmdir(folder);
}

static void refuse(const char *text, const char *why)
{
    batch b;
    open_batch(&b, 1);
    set(&b, 0, text);
    sky_value p[COLUMNS_MAX];
    for (size_t k = 0; k < b.job->d.n_params; k++)
        p[k] = sky_column_get(&b.params[k], 0);
    sky_error e = {0};
    if (sky_job_check(b.job, p, &e) == SKY_OK) { /* known only when the file is read */
        run(&b);
        snprintf(e.text, sizeof e.text, "%s", failure);
    }
    cr_assert(strstr(e.text, why), "%s: %s", text, e.text);
    sky_arena_free(&b.arena);
}

Test(wavecore_job, refusals)
{
    refuse("network=resnet5", "did you mean 'resnet50'");
    refuse("network=none.csv", "none.csv");
    refuse("variant=MBS3", "variant");
    refuse("batch=0", "batch");
    refuse("batch=5000", "batch");
    refuse("memory=DDR3", "memory");
    refuse("trace=none", "none");
    refuse("trace=none width_kept=0.5", "give one of both");
    refuse("network=gpt2_small", "layer 1 ('wte')");
}

/* A row that fails does not disturb the others. */
Test(wavecore_job, a_failing_row)
{
    batch b;
    open_batch(&b, 3);
    set(&b, 1, "network=bert_base");
    run(&b);
    cr_assert_eq(failed_row, 1);
    cr_assert(strstr(failure, "embeddings"), "%s", failure);
    cr_assert_eq(number(&b, 0, "dram_bytes"), number(&b, 2, "dram_bytes"));
    cr_assert_gt(number(&b, 0, "dram_bytes"), 1e9);
    sky_arena_free(&b.arena);
}
