/* The jobs gemm and flexsa as Skyline sees them: columns in, columns out. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "hw/network.h"
#include "jobs/registry.h"

enum { COLUMNS_MAX = 32 };

typedef struct batch {
    const sky_job *job;
    sky_arena arena;
    sky_job_ctx ctx;
    sky_column params[COLUMNS_MAX], metrics[COLUMNS_MAX];
    size_t n;
} batch;

static sky_column column(sky_arena *a, sky_type type, size_t n)
{
    sky_column c = {.type = type, .absent = sky_new(a, uint8_t, n)};
    c.i = sky_new(a, int64_t, n); /* of one size with double and pointer */
    return c;
}

static void open_batch(batch *b, const char *job, size_t n)
{
    *b = (batch){.job = sky_job_find(job), .n = n};
    cr_assert_not_null(b->job);
    sky_job_ctx_init(&b->ctx, &b->arena);
    for (size_t p = 0; p < b->job->d.n_params; p++) {
        b->params[p] = column(&b->arena, b->job->d.params[p].type, n);
        for (size_t i = 0; i < n; i++)
            sky_column_set(&b->params[p], i, &b->job->d.params[p].def);
    }
    for (size_t m = 0; m < b->job->d.n_metrics; m++) {
        b->metrics[m] = column(&b->arena, b->job->d.metrics[m].type, n);
    }
}

static size_t param(const batch *b, const char *name)
{
    for (size_t p = 0; p < b->job->d.n_params; p++) {
        if (strcmp(b->job->d.params[p].name, name) == 0)
            return p;
    }
    cr_assert_fail("no parameter %s", name);
    abort();
}

/* Sets parameters of a row from "name=value name=value". */
static void set(batch *b, size_t row, const char *text)
{
    char *copy = sky_arena_strdup(&b->arena, text);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        char *value = strchr(word, '=');
        *value++ = '\0';
        size_t p = param(b, word);
        sky_value v;
        cr_assert_eq(sky_value_parse(b->job->d.params[p].type, value, &v), SKY_OK);
        sky_column_set(&b->params[p], row, &v);
    }
}

static void run(batch *b)
{
    sky_error e = {0};
    cr_assert_eq(b->job->run_batch(&b->ctx, b->n, NULL, b->params, b->metrics, &e), SKY_OK, "%s",
                 e.text);
}

static sky_value metric(const batch *b, size_t row, const char *name)
{
    for (size_t m = 0; m < b->job->d.n_metrics; m++) {
        if (strcmp(b->job->d.metrics[m].name, name) == 0)
            return sky_column_get(&b->metrics[m], row);
    }
    cr_assert_fail("no metric %s", name);
    abort();
}

static double number(const batch *b, size_t row, const char *name)
{
    sky_value v = metric(b, row, name);
    return sky_value_f64(&v);
}

Test(models, gemm)
{
    batch b;
    open_batch(&b, "gemm", 3);
    set(&b, 0, "m=12544 n=64 k=147 rows=32 cols=32 dataflow=ws timing=exposed");
    set(&b, 1, "m=1 n=1 k=1 rows=1 cols=1 dataflow=os timing=exposed");
    set(&b, 2, "m=4 n=5 k=6 rows=8 cols=8 dataflow=is");
    run(&b);
    cr_assert_eq(number(&b, 0, "cycles"), 126379);
    cr_assert_eq(number(&b, 0, "macs"), 12544.0 * 64 * 147);
    cr_assert_float_eq(number(&b, 0, "utilization"), 0.9119, 1e-4);
    cr_assert_eq(number(&b, 1, "cycles"), 0);
    cr_assert_eq(number(&b, 1, "utilization"), 1);
    cr_assert_eq(number(&b, 2, "cycles"), 6 + 5 + 8 + 4 - 2); /* load k, stream n, leave */
    sky_arena_free(&b.arena);
}

Test(models, flexsa_takes_every_network)
{
    const char *const *names = sky_network_names();
    size_t n = 0;
    while (names[n])
        n++;
    batch b;
    open_batch(&b, "flexsa", n);
    for (size_t i = 0; i < n; i++) {
        b.params[param(&b, "network")].s[i] = names[i];
        b.params[param(&b, "width_kept")].f[i] = 0.5;
    }
    run(&b);
    for (size_t i = 0; i < n; i++) {
        double u = number(&b, i, "pe_utilization");
        cr_assert(u > 0.001 && u <= 1, "%s: utilization %g", names[i], u);
    }
    sky_arena_free(&b.arena);
}

/* The numbers of some points, bit by bit: they must be the same on every machine and with every compiler.
 * A change here is a change of the job's version. */
Test(models, flexsa_is_exact)
{
    static const struct {
        const char *params;
        int64_t cycles, gbuf_bytes, dram_bytes;
        double pe_utilization, time_s, energy_j;
    } golden[] = {
#include "flexsa_golden.inc"
    };
    enum { N = sizeof golden / sizeof *golden };
    batch b;
    open_batch(&b, "flexsa", N);
    for (size_t i = 0; i < N; i++)
        set(&b, i, golden[i].params);
    run(&b);
    bool same = true;
    for (size_t i = 0; i < N; i++) {
        same = same && metric(&b, i, "cycles").i == golden[i].cycles &&
               metric(&b, i, "gbuf_bytes").i == golden[i].gbuf_bytes &&
               metric(&b, i, "dram_bytes").i == golden[i].dram_bytes &&
               metric(&b, i, "pe_utilization").f == golden[i].pe_utilization &&
               metric(&b, i, "time_s").f == golden[i].time_s &&
               metric(&b, i, "energy_j").f == golden[i].energy_j;
        /* What flexsa_golden.inc would hold now. */
        fprintf(stderr, "{\"%s\", %" PRId64 ", %" PRId64 ", %" PRId64 ", %a, %a, %a},\n",
                golden[i].params, metric(&b, i, "cycles").i, metric(&b, i, "gbuf_bytes").i,
                metric(&b, i, "dram_bytes").i, metric(&b, i, "pe_utilization").f,
                metric(&b, i, "time_s").f, metric(&b, i, "energy_j").f);
    }
    cr_assert(same, "numbers changed; see above");
    sky_arena_free(&b.arena);
}

/* A row's result depends on its parameters alone, not on its neighbours in the batch. */
Test(models, flexsa_rows_are_independent)
{
    static const char *const points[] = {
        "width_kept=0.5",
        "width_kept=0.5 organisation=4G4C",
        "network=inception_v4 width_kept=0.5",
        "network=resnet18",
        "width_kept=0.5 batch=7 memory=hbm2",
        "width_kept=0.37 phase=wgrad",
        "width_kept=0.37 phase=wgrad gbuf_mib=0.5 memory=hbm2",
        "pruned=0.4",
        "pruned=0.4 mac_pj=1",
        "pruned=0.4 gbuf_mib=0.25",
        "pruned=0.4 trace_at=last",
        "pruned=0.4 trace_at=last phase=wgrad",
        "pruned=0.4 trace_at=last phase=wgrad depthwise=elsewhere",
    };
    enum { N = sizeof points / sizeof *points };
    batch all, one;
    open_batch(&all, "flexsa", N);
    for (size_t i = 0; i < N; i++)
        set(&all, i, points[i]);
    run(&all);
    for (size_t i = 0; i < N; i++) {
        open_batch(&one, "flexsa", 1);
        set(&one, 0, points[i]);
        run(&one);
        for (size_t m = 0; m < one.job->d.n_metrics; m++) {
            sky_value want = sky_column_get(&one.metrics[m], 0),
                      got = sky_column_get(&all.metrics[m], i);
            cr_assert(sky_value_equal(&want, &got), "%s: %s", points[i],
                      one.job->d.metrics[m].name);
        }
        sky_arena_free(&one.arena);
    }
    sky_arena_free(&all.arena);
}

/* The same on a random walk that changes one parameter at a time: whatever neighbours share is right. */
Test(models, flexsa_neighbours_share_what_is_equal, .timeout = 60)
{
    static const char *const changes[] = {
        "network=resnet18",
        "network=resnet20",
        "width_kept=0.5 pruned=0",
        "width_kept=0.8 pruned=0",
        "width_kept=1 pruned=0.3",
        "width_kept=1 pruned=0.4",
        "trace_seed=1",
        "trace_seed=2",
        "pruned_spread=0.9",
        "trace_at=last",
        "trace_at=mean",
        "batch=3",
        "batch=16",
        "phase=wgrad",
        "phase=training",
        "phase=dgrad",
        "organisation=1G1F",
        "organisation=4G1F",
        "organisation=1G4C",
        "array=64",
        "array=128",
        "core_cols=48",
        "core_cols=0",
        "core_rows=32",
        "core_rows=0",
        "stream_ratio=1",
        "stream_ratio=2",
        "loads=wide",
        "loads=rowwise",
        "tiling=best",
        "tiling=heuristic",
        "swap=all",
        "swap=none",
        "memory=hbm2",
        "memory=ideal",
        "dram_gb_s=40",
        "dram_gb_s=270",
        "gbuf_mib=0.25",
        "gbuf_mib=10",
        "clock_ghz=1.3",
        "clock_ghz=0.7",
        "mac_pj=1",
        "gbuf_pj_byte=3",
        "lbufs=array",
        "lbufs=core",
        "depthwise=elsewhere",
        "depthwise=arrays",
        "pruned_spread=0.2",
        "network=mobilenet_v1",
        "mac_pj=0",
        "gbuf_pj_byte=0",
    };
    enum { ROWS = 500, CHANGES = sizeof changes / sizeof *changes };
    sky_rng rng;
    const char *seed = getenv("SKY_TEST_SEED");
    sky_rng_init(&rng, seed ? strtoull(seed, NULL, 0) : 5, 0);
    batch all, one;
    open_batch(&all, "flexsa", ROWS);
    for (size_t p = 0; p < all.job->d.n_params; p++) {
        for (size_t i = 0; i < ROWS; i++)
            sky_column_set(&all.params[p], i, &all.job->d.params[p].def);
    }
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t p = 0; i > 0 && p < all.job->d.n_params; p++) {
            const sky_value before = sky_column_get(&all.params[p], i - 1);
            sky_column_set(&all.params[p], i, &before);
        }
        set(&all, i, i == 0 ? "network=resnet20" : changes[sky_rng_below(&rng, CHANGES)]);
    }
    run(&all);
    for (size_t i = 0; i < ROWS; i++) {
        open_batch(&one, "flexsa", 1);
        for (size_t p = 0; p < all.job->d.n_params; p++) {
            const sky_value v = sky_column_get(&all.params[p], i);
            sky_column_set(&one.params[p], 0, &v);
        }
        run(&one);
        for (size_t m = 0; m < one.job->d.n_metrics; m++) {
            sky_value want = sky_column_get(&one.metrics[m], 0),
                      got = sky_column_get(&all.metrics[m], i);
            cr_assert(sky_value_equal(&want, &got), "row %zu: %s", i, one.job->d.metrics[m].name);
        }
        sky_arena_free(&one.arena);
    }
    sky_arena_free(&all.arena);
}

Test(models, flexsa_parts_add_up)
{
    batch b;
    open_batch(&b, "flexsa", 4);
    set(&b, 0, "width_kept=0.6 memory=hbm2");
    set(&b, 1, "width_kept=0.6 memory=hbm2 phase=forward");
    set(&b, 2, "width_kept=0.6 memory=hbm2 phase=dgrad");
    set(&b, 3, "width_kept=0.6 memory=hbm2 phase=wgrad");
    run(&b);
    static const char *const sums[] = {"time_s",     "energy_j", "gbuf_bytes",
                                       "dram_bytes", "macs",     "cycles"};
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        double parts = number(&b, 1, sums[i]) + number(&b, 2, sums[i]) + number(&b, 3, sums[i]);
        cr_assert_float_eq(number(&b, 0, sums[i]), parts, 1e-12 * parts, "%s", sums[i]);
    }
    double energy = number(&b, 0, "energy_mac_j") + number(&b, 0, "energy_lbuf_j") +
                    number(&b, 0, "energy_gbuf_j") + number(&b, 0, "energy_dram_j");
    cr_assert_eq(number(&b, 0, "energy_j"), energy);
    double gbuf = number(&b, 0, "gbuf_stationary_bytes") + number(&b, 0, "gbuf_moving_bytes") +
                  number(&b, 0, "gbuf_output_bytes");
    cr_assert_eq(number(&b, 0, "gbuf_bytes"), gbuf);
    double shares = number(&b, 0, "fw_share") + number(&b, 0, "vsw_share") +
                    number(&b, 0, "hsw_share") + number(&b, 0, "isw_share");
    cr_assert_float_eq(shares, 1, 1e-12);
    sky_arena_free(&b.arena);
}

Test(models, flexsa_details_add_up)
{
    batch b;
    open_batch(&b, "flexsa", 1);
    set(&b, 0, "width_kept=0.45");
    run(&b);
    sky_value params[COLUMNS_MAX];
    for (size_t p = 0; p < b.job->d.n_params; p++)
        params[p] = sky_column_get(&b.params[p], 0);
    sky_buf csv = {0};
    cr_assert_eq(b.job->details(&b.ctx, params, &csv, NULL), SKY_OK);
    int lines = 0;
    int64_t cycles = 0, macs = 0;
    char *rest = NULL;
    for (char *line = strtok_r(csv.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (lines++ == 0) {
            cr_assert_eq(strncmp(line, "layer,phase,", 12), 0, "%s", line);
            continue;
        }
        char name[64], phase[16];
        int64_t f[7]; /* epoch, groups, m, n, k, macs, cycles */
        int n = sscanf(line,
                       "%63[^,],%15[^,],%" SCNd64 ",%" SCNd64 ",%" SCNd64 ",%" SCNd64 ",%" SCNd64
                       ",%" SCNd64 ",%" SCNd64,
                       name, phase, &f[0], &f[1], &f[2], &f[3], &f[4], &f[5], &f[6]);
        cr_assert_eq(n, 9, "%s", line);
        cr_assert_eq(f[0], 0);
        macs += f[5];
        cycles += f[6];
    }
    cr_assert_eq(lines, 1 + 3 * 54 - 1); /* the first layer has no data gradient */
    cr_assert_eq(cycles, metric(&b, 0, "cycles").i);
    cr_assert_eq(macs, metric(&b, 0, "macs").i);
    sky_buf_free(&csv);
    sky_arena_free(&b.arena);
}

Test(models, flexsa_refuses_what_it_cannot_do)
{
    const sky_job *job = sky_job_find("flexsa");
    sky_value params[COLUMNS_MAX];
    for (size_t p = 0; p < job->d.n_params; p++)
        params[p] = job->d.params[p].def;
    sky_error e = {0};
    cr_assert_eq(sky_job_check(job, params, &e), SKY_OK, "%s", e.text);
    params[2] = sky_int(127); /* array */
    cr_assert_eq(sky_job_check(job, params, &e), SKY_EINVAL);
    cr_assert(strstr(e.text, "halves") || strstr(e.text, "even"), "%s", e.text);
    params[2] = sky_int(1);
    cr_assert_neq(sky_job_check(job, params, &e), SKY_OK);
    params[2] = sky_int(128);
    params[0] = sky_text("resnet51");
    cr_assert_eq(sky_job_check(job, params, &e), SKY_EINVAL);
    cr_assert(strstr(e.text, "did you mean 'resnet50'") ||
                  strstr(e.text, "did you mean 'resnet101'"),
              "%s", e.text);
    params[0] = sky_text("x");
    cr_assert_eq(sky_job_check(job, params, &e), SKY_EINVAL);
    cr_assert(strstr(e.text, "allowed are"), "%s", e.text);
}

static void expect_refused(const char *text, sky_err code, const char *why)
{
    batch b;
    open_batch(&b, "flexsa", 1);
    set(&b, 0, text);
    sky_value params[COLUMNS_MAX];
    for (size_t p = 0; p < b.job->d.n_params; p++)
        params[p] = sky_column_get(&b.params[p], 0);
    sky_error e = {0};
    cr_assert_eq(sky_job_check(b.job, params, &e), code, "%s: %s", text, e.text);
    cr_assert(strstr(e.text, why), "%s: %s", text, e.text);
    sky_arena_free(&b.arena);
}

Test(models, flexsa_refuses_combinations)
{
    expect_refused("organisation=2G1C", SKY_EINVAL, "core_rows"); /* no square of two squares */
    expect_refused("organisation=1g1c", SKY_EINVAL, "4G4C");
    expect_refused("organisation=999G1C", SKY_ELIMIT, "256");
    expect_refused("organisation=1G1F core_rows=31 core_cols=64", SKY_EINVAL, "31 x 64");
    expect_refused("tiling=best array=1024", SKY_ELIMIT, "512 x 512");
    expect_refused("trace=x.trace pruned=0.5", SKY_EINVAL, "give one");
    expect_refused("width_kept=0.5 pruned=0.5", SKY_EINVAL, "width_kept");
    expect_refused("pruned=1", SKY_EINVAL, "pruned");
}

/* Any split and size: with as many PEs in all, the work is the same and no array does more than it can. */
Test(models, flexsa_takes_any_organisation)
{
    static const char *const points[] = {
        "organisation=1G1C",
        "organisation=2G2C core_rows=128 core_cols=32",
        "organisation=2G2F core_rows=32 core_cols=128",
        "organisation=1G16F",
        "organisation=16G1F",
        "organisation=1G1F core_rows=512 core_cols=32",
        "organisation=1G1C core_rows=37 core_cols=443 stream_ratio=3",
        "organisation=1G4C loads=wide",
    };
    enum { N = sizeof points / sizeof *points };
    batch b;
    open_batch(&b, "flexsa", N);
    for (size_t i = 0; i < N; i++) {
        set(&b, i, points[i]);
        set(&b, i, "width_kept=0.6");
    }
    run(&b);
    for (size_t i = 0; i < N; i++) {
        cr_assert_eq(number(&b, i, "macs"), number(&b, 0, "macs"), "%s", points[i]);
        const double u = number(&b, i, "pe_utilization");
        cr_assert(u > 0.2 && u < 1, "%s: %g", points[i], u);
    }
    sky_arena_free(&b.arena);
}

/* The mean over a made-up trace lies between its ends, and a trace that prunes nothing is the network. */
Test(models, flexsa_traces)
{
    batch b;
    open_batch(&b, "flexsa", 6);
    set(&b, 0, "pruned=0.5 trace_seed=7");
    set(&b, 1, "pruned=0.5 trace_seed=7 trace_at=first");
    set(&b, 2, "pruned=0.5 trace_seed=7 trace_at=last");
    set(&b, 3, "pruned=0.5 trace_seed=8");
    set(&b, 4, "pruned=0.5 trace_seed=7"); /* after another trace: as before */
    set(&b, 5, "");
    run(&b);
    static const char *const falling[] = {"macs", "cycles", "energy_j", "gbuf_bytes", "time_s"};
    for (size_t i = 0; i < sizeof falling / sizeof *falling; i++) {
        const double mean = number(&b, 0, falling[i]);
        cr_assert_lt(mean, number(&b, 1, falling[i]), "%s", falling[i]);
        cr_assert_gt(mean, number(&b, 2, falling[i]), "%s", falling[i]);
        cr_assert_eq(number(&b, 1, falling[i]), number(&b, 5, falling[i]), "%s", falling[i]);
        cr_assert_neq(mean, number(&b, 3, falling[i]), "%s", falling[i]);
        cr_assert_eq(mean, number(&b, 4, falling[i]), "%s", falling[i]);
    }
    sky_arena_free(&b.arena);
}

/* A trace file of one stage is a list of widths by layer. */
Test(models, flexsa_reads_trace_files)
{
    char path[] = "/tmp/flexsa-trace-XXXXXX";
    const int fd = mkstemp(path);
    static const char text[] = "skyline-trace 1\n"
                               "at 0 0\n"
                               "layer conv1 10\n"
                               "at 1 30\n"
                               "layer conv1 5\n"
                               "end 2 40\n";
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, sizeof text - 1), (ssize_t)sizeof text - 1);
    close(fd);
    batch b;
    open_batch(&b, "flexsa", 3);
    for (size_t i = 0; i < 3; i++) {
        set(&b, i, "network=resnet50 phase=forward");
        b.params[param(&b, "trace")].s[i] = path;
    }
    set(&b, 1, "trace_at=first");
    set(&b, 2, "trace_at=last");
    run(&b);
    unlink(path);
    const double first = number(&b, 1, "macs"), last = number(&b, 2, "macs");
    cr_assert_gt(first, last);
    cr_assert_eq(number(&b, 0, "macs"), floor(0.75 * first + 0.25 * last + 0.5));
    cr_assert_float_eq(number(&b, 0, "time_s"),
                       0.75 * number(&b, 1, "time_s") + 0.25 * number(&b, 2, "time_s"), 1e-12);
    sky_arena_free(&b.arena);
}

Test(models, flexsa_best_tiling)
{
    batch b;
    open_batch(&b, "flexsa", 4);
    set(&b, 0, "width_kept=0.6");
    set(&b, 1, "width_kept=0.6 tiling=best swap=none");
    set(&b, 2, "width_kept=0.6 tiling=best swap=wgrad");
    set(&b, 3, "width_kept=0.6 tiling=best swap=all");
    run(&b);
    for (size_t i = 1; i < 4; i++) {
        cr_assert_eq(number(&b, i, "heuristic_cycles"), number(&b, 0, "cycles"));
        cr_assert_leq(number(&b, i, "cycles"), number(&b, i - 1, "cycles"));
        cr_assert_eq(number(&b, i, "macs"), number(&b, 0, "macs"));
    }
    cr_assert_lt(number(&b, 3, "cycles"), number(&b, 0, "cycles"));
    sky_arena_free(&b.arena);
}
