/* The job delta as Skyline sees it: columns in, columns out; details; GPUs and networks from files. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "hw/delta.h"
#include "hw/gpu.h"
#include "hw/network.h"
#include "job_batch.h"
#include "random_case.h"

static const char *const time_metrics[SKY_DELTA_BOUNDS] = {"compute_time_s", "shared_memory_time_s",
                                                           "l1_time_s",      "l2_time_s",
                                                           "dram_time_s",    "latency_time_s"};

Test(delta_job, every_network_on_every_gpu)
{
    const char *const *names = sky_network_names();
    const sky_gpu *gpus;
    const size_t n_gpus = sky_gpu_list(&gpus);
    size_t n = 0;
    while (names[n])
        n++;
    job_batch *b = job_batch_open("delta", n * n_gpus);
    for (size_t i = 0; i < b->n; i++) {
        b->params[job_batch_param(b, "network")].s[i] = names[i / n_gpus];
        b->params[job_batch_param(b, "gpu")].s[i] = gpus[i % n_gpus].name;
        b->params[job_batch_param(b, "layers")].s[i] = "all";
    }
    job_batch_run(b);
    for (size_t i = 0; i < b->n; i++) {
        cr_assert_str_empty(b->reasons[i]);
        const double time_s = job_batch_number(b, i, "time_s");
        cr_assert(isfinite(time_s) && time_s > 0, "%s", names[i / n_gpus]);
        /* No kernel beats the units, and what a level moves fits through the level above. */
        const sky_gpu *g = &gpus[i % n_gpus];
        cr_assert_leq(job_batch_number(b, i, "tflops_per_s"),
                      2e-3 * g->sms * g->fp32_macs_per_cycle * g->clock_ghz * (1 + 1e-9));
        cr_assert_leq(job_batch_number(b, i, "l2_bytes"), job_batch_number(b, i, "l1_bytes"),
                      "%s on %s", names[i / n_gpus], g->name);
        double sum = 0, most = 0;
        const char *bottleneck = job_batch_metric(b, i, "bottleneck").s;
        for (int k = 0; k < SKY_DELTA_BOUNDS; k++) {
            const double part = job_batch_number(b, i, time_metrics[k]);
            sum += part;
            if (part > most)
                most = part;
        }
        cr_assert_float_eq(sum, time_s, 1e-9 * time_s);
        char metric[64];
        snprintf(metric, sizeof metric, "%s_time_s", bottleneck);
        cr_assert_eq(job_batch_number(b, i, metric), most);
    }
    job_batch_close(b);
}

/* Any row, from few values of each parameter, so that rows share networks, tiles and GPUs. */
static void random_row(job_batch *b, size_t row, sky_rng *rng)
{
    static const char *const networks[] = {"alexnet", "googlenet", "resnet20", "mobilenet_v2",
                                           "transformer_encoder"};
    static const char *const gpus[] = {"V100", "P100", "H200"};
    static const int64_t batches[] = {1, 2, 3, 64, 256};
    const int64_t pick = test_between(rng, 0, 3);
    b->params[job_batch_param(b, "network")].s[row] = networks[test_between(rng, 0, 4)];
    b->params[job_batch_param(b, "gpu")].s[row] = gpus[test_between(rng, 0, 2)];
    b->params[job_batch_param(b, "reuse")].s[row] = pick == 0 ? "loop" : "cache";
    b->params[job_batch_param(b, "layers")].s[row] = pick == 1 ? "all" : "conv";
    b->params[job_batch_param(b, "batch")].i[row] = batches[test_between(rng, 0, 4)];
    if (test_between(rng, 0, 1)) {
        b->params[job_batch_param(b, "blk_m")].i[row] = 32 * test_between(rng, 0, 4);
        b->params[job_batch_param(b, "blk_n")].i[row] = 8 * test_between(rng, 0, 8);
        b->params[job_batch_param(b, "blk_k")].i[row] = test_between(rng, 0, 16);
    }
    b->params[job_batch_param(b, "l2_size_scale")].f[row] = (double)test_between(rng, 1, 3);
}

/* What rows share never shows: each one alone gives the same bits. */
Test(delta_job, a_batch_is_its_rows)
{
    enum { ROWS = 400 };
    sky_rng rng = test_rng(1);
    job_batch *b = job_batch_open("delta", ROWS), *one = job_batch_open("delta", 1);
    for (size_t i = 0; i < ROWS; i++)
        random_row(b, i, &rng);
    job_batch_run(b);
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t p = 0; p < b->job->d.n_params; p++) {
            const sky_value v = sky_column_get(&b->params[p], i);
            sky_column_set(&one->params[p], 0, &v);
        }
        job_batch_run(one);
        cr_assert_str_eq(b->reasons[i], one->reasons[0]);
        for (size_t m = 0; m < b->job->d.n_metrics; m++) {
            const sky_value together = sky_column_get(&b->metrics[m], i);
            const sky_value alone = sky_column_get(&one->metrics[m], 0);
            cr_assert(sky_value_equal(&together, &alone), "row %zu, %s", i,
                      b->job->d.metrics[m].name);
        }
    }
    job_batch_close(one);
    job_batch_close(b);
}

/* --- details --- */

static char *details_of(job_batch *b, size_t row)
{
    sky_value params[SKY_PARAMS_MAX];
    sky_arena scratch = {0};
    sky_job_ctx ctx;
    sky_buf csv = {0};
    sky_error e = {0};
    job_batch_row(b, row, params);
    sky_job_ctx_init(&ctx, &scratch);
    cr_assert_eq(b->job->details(&ctx, params, &csv, &e), SKY_OK, "%s", e.text);
    sky_arena_free(&scratch);
    return sky_buf_detach(&csv);
}

/* Field `column` of a line of CSV without quotes. */
static const char *field(const char *line, int column)
{
    while (column-- > 0)
        line = strchr(line, ',') + 1;
    return line;
}

/* The table adds up to the point, and each line is what `layer` gives for that name. */
Test(delta_job, details_add_up)
{
    enum { COUNT = 1, L1 = 14, L2 = 15, DRAM_READ = 16, TIME = 18, LAYERS_MAX = 64 };
    job_batch *b = job_batch_open("delta", 1), *each = job_batch_open("delta", LAYERS_MAX);
    job_batch_set(b, 0, "network=googlenet gpu=A100 batch=64");
    job_batch_run(b);
    char *csv = details_of(b, 0);
    cr_assert(strncmp(csv, "layer,count,", 12) == 0);
    double time_s = 0, l1 = 0, l2 = 0, dram = 0, times[LAYERS_MAX];
    size_t n = 0;
    strtok(csv, "\n");
    for (char *line = strtok(NULL, "\n"); line; line = strtok(NULL, "\n"), n++) {
        cr_assert_lt(n, LAYERS_MAX);
        const double count = strtod(field(line, COUNT), NULL);
        times[n] = strtod(field(line, TIME), NULL);
        time_s += count * times[n];
        l1 += count * strtod(field(line, L1), NULL);
        l2 += count * strtod(field(line, L2), NULL);
        dram += count * strtod(field(line, DRAM_READ), NULL);
        each->params[job_batch_param(each, "network")].s[n] = "googlenet";
        each->params[job_batch_param(each, "gpu")].s[n] = "A100";
        each->params[job_batch_param(each, "batch")].i[n] = 64;
        char *name = sky_arena_strdup(&each->arena, line);
        *strchr(name, ',') = '\0';
        each->params[job_batch_param(each, "layer")].s[n] = name;
    }
    cr_assert_gt(n, 40);
    cr_assert_float_eq(time_s, job_batch_number(b, 0, "time_s"), 1e-9 * time_s);
    cr_assert_float_eq(l1, job_batch_number(b, 0, "l1_bytes"), 1e-9 * l1);
    cr_assert_float_eq(l2, job_batch_number(b, 0, "l2_bytes"), 1e-9 * l2);
    cr_assert_float_eq(dram, job_batch_number(b, 0, "dram_read_bytes"), 1e-9 * dram);
    job_batch_run(each);
    for (size_t i = 0; i < n; i++) {
        cr_assert_str_empty(each->reasons[i]);
        cr_assert_float_eq(job_batch_number(each, i, "time_s"), times[i], 1e-12 * times[i]);
    }
    free(csv);
    job_batch_close(each);
    job_batch_close(b);
}

/* A layer that shares its shape with another is found by its own name too. */
Test(delta_job, layers_of_one_shape)
{
    job_batch *b = job_batch_open("delta", 3);
    job_batch_set(b, 0, "network=vgg16 layer=conv3_2");
    job_batch_set(b, 1, "network=vgg16 layer=conv3_3");
    job_batch_set(b, 2, "network=vgg16 layer=conv3_4");
    job_batch_run(b);
    cr_assert_eq(job_batch_number(b, 0, "time_s"), job_batch_number(b, 1, "time_s"));
    cr_assert_eq(job_batch_number(b, 0, "macs"), 256.0 * 56 * 56 * 256 * 256 * 9);
    cr_assert(strstr(b->reasons[2], "vgg16") && strstr(b->reasons[2], "conv3_4") &&
                  strstr(b->reasons[2], "did you mean"),
              "%s", b->reasons[2]);
    job_batch_close(b);
}

/* --- scaling --- */

/* All that a network multiplies: layers=all leaves nothing out, attention's products neither. */
Test(delta_job, all_products)
{
    enum { BATCH = 3 };
    static const char *const names[] = {"gpt2_small", "transformer_encoder", "vgg16",
                                        "mobilenet_v2"};
    job_batch *b = job_batch_open("delta", 4);
    for (size_t i = 0; i < 4; i++) {
        b->params[job_batch_param(b, "network")].s[i] = names[i];
        b->params[job_batch_param(b, "layers")].s[i] = "all";
        b->params[job_batch_param(b, "batch")].i[i] = BATCH;
    }
    job_batch_run(b);
    for (size_t i = 0; i < 4; i++) {
        const int64_t macs = sky_network_count(sky_network_find(names[i]), NULL).macs;
        cr_assert_eq(job_batch_number(b, i, "macs"), (double)(BATCH * macs), "%s", names[i]);
    }
    job_batch_close(b);
}

/* Queries times keys: 12 heads of 1024 x 64 x 1024 a sample. Each sample reads operands of its own,
 * so that traffic grows with the batch; an L2 with room for a head reads both once. */
Test(delta_job, a_product_of_activations)
{
    static const int64_t batches[] = {1, 2, 64};
    job_batch *b = job_batch_open("delta", 4);
    for (size_t i = 0; i < 3; i++) {
        job_batch_set(b, i, "network=gpt2_small layers=all layer=h0.scores gpu=H200");
        b->params[job_batch_param(b, "batch")].i[i] = batches[i];
    }
    job_batch_set(b, 3, "network=gpt2_small layer=h0.scores");
    job_batch_run(b);
    const double m = 1024, n = 1024, k = 64, heads = 12;
    for (size_t i = 0; i < 3; i++) {
        const double products = heads * (double)batches[i];
        cr_assert_str_empty(b->reasons[i]);
        cr_expect_eq(job_batch_number(b, i, "macs"), products * m * n * k);
        cr_expect_eq(job_batch_number(b, i, "dram_write_bytes"), products * m * n * 4);
        cr_expect_eq(job_batch_number(b, i, "dram_read_bytes"), products * (m + n) * k * 4);
        cr_expect_geq(job_batch_number(b, i, "l2_bytes"), products * (m + n) * k * 4);
        cr_expect_geq(job_batch_number(b, i, "l1_bytes"), job_batch_number(b, i, "l2_bytes"));
    }
    cr_assert(strstr(b->reasons[3], "has no convolution"), "not among the convolutions: %s",
              b->reasons[3]);
    job_batch_close(b);
}

/* More bandwidth or a larger L2 never costs time or traffic, and twice all rates takes half the
 * time where no latency shows. */
Test(delta_job, scaling)
{
    static const char *const scales[] = {"fp32_scale",  "smem_bw_scale", "l1_bw_scale",
                                         "l2_bw_scale", "l2_size_scale", "dram_bw_scale"};
    enum { N = sizeof scales / sizeof *scales, STEPS = 6 };
    static const char *const networks[] = {"alexnet", "vgg16", "googlenet", "resnet152"};
    for (size_t k = 0; k < 4; k++) {
        job_batch *b = job_batch_open("delta", N * STEPS);
        for (size_t i = 0; i < b->n; i++) {
            b->params[job_batch_param(b, "network")].s[i] = networks[k];
            b->params[job_batch_param(b, scales[i / STEPS])].f[i] = pow(2, (double)(i % STEPS) - 2);
        }
        job_batch_run(b);
        for (size_t i = 0; i < b->n; i++) {
            if (i % STEPS == 0)
                continue;
            cr_assert_leq(job_batch_number(b, i, "time_s"), job_batch_number(b, i - 1, "time_s"),
                          "%s, %s", networks[k], scales[i / STEPS]);
            cr_assert_leq(job_batch_number(b, i, "dram_bytes"),
                          job_batch_number(b, i - 1, "dram_bytes"));
            cr_assert_gt(job_batch_number(b, i, "cost"), job_batch_number(b, i - 1, "cost"));
        }
        job_batch_close(b);
    }
}

Test(delta_job, cost)
{
    job_batch *b = job_batch_open("delta", 4);
    job_batch_set(b, 1, "sms_scale=2");
    job_batch_set(b, 2,
                  "sms_scale=2 fp32_scale=2 registers_scale=2 smem_bw_scale=2 l1_bw_scale=2 "
                  "l1_size_scale=2 l2_bw_scale=2 l2_size_scale=2 dram_bw_scale=2");
    job_batch_set(b, 3, "dram_bw_scale=0.5");
    job_batch_run(b);
    static const double costs[] = {1, 1.5, 2 * (0.1 + 2 * 0.4) + 2 * 0.37 + 0.13, 0.9};
    for (size_t i = 0; i < 4; i++)
        cr_assert_float_eq(job_batch_number(b, i, "cost"), costs[i], 1e-12, "row %zu: %g", i,
                           job_batch_number(b, i, "cost"));
    job_batch_close(b);
}

/* --- files --- */

Test(delta_job, gpus_and_networks_from_files)
{
    job_batch *b = job_batch_open("delta", 5);
    b->workdir = HW_DATA_DIR;
    job_batch_set(b, 0, "gpu=V100");
    job_batch_set(b, 1, "gpu=gpus.csv:v100");
    job_batch_set(b, 2, "gpu=gpus.csv:K80");
    job_batch_set(b, 3, "gpu=none.csv");
    job_batch_set(b, 4, "network=none.csv");
    job_batch_run(b);
    cr_assert_eq(job_batch_number(b, 0, "time_s"), job_batch_number(b, 1, "time_s"));
    cr_assert_str_empty(b->reasons[1]);
    cr_assert(strstr(b->reasons[2], "K80") && strstr(b->reasons[2], "H200"), "%s", b->reasons[2]);
    cr_assert(strstr(b->reasons[3], "none.csv"), "%s", b->reasons[3]);
    cr_assert(strstr(b->reasons[4], "none.csv"), "%s", b->reasons[4]);
    job_batch_close(b);
}

/* A tile that an SM has no room for fails, and fits an SM of twice the size. */
Test(delta_job, room_of_an_sm)
{
    job_batch *b = job_batch_open("delta", 3);
    job_batch_set(b, 0, "gpu=V100 blk_m=256 blk_n=256 blk_k=8");
    job_batch_set(b, 1, "gpu=V100 blk_m=256 blk_n=256 blk_k=8 registers_scale=2");
    job_batch_set(b, 2, "gpu=P100 blk_m=256 blk_n=256 blk_k=32 registers_scale=2");
    job_batch_run(b);
    cr_assert(strstr(b->reasons[0], "256x256x8") && strstr(b->reasons[0], "131072 registers") &&
                  strstr(b->reasons[0], "65536"),
              "%s", b->reasons[0]);
    cr_assert_str_empty(b->reasons[1]);
    cr_assert(strstr(b->reasons[2], "128.0 KiB"), "%s", b->reasons[2]);
    job_batch_close(b);
}

/* The same network as an ONNX file; and a topology. */
Test(delta_job, networks_from_files)
{
    job_batch *b = job_batch_open("delta", 3);
    b->workdir = HW_DATA_DIR "/../../tests/hw/onnx";
    job_batch_set(b, 0, "network=resnet50 gpu=H200 batch=32");
    job_batch_set(b, 1, "network=resnet50.onnx gpu=H200 batch=32");
    job_batch_set(b, 2, "network=resnet50.onnx layer=fc");
    job_batch_run(b);
    cr_assert_str_empty(b->reasons[1]);
    for (size_t m = 0; m < b->job->d.n_metrics; m++) {
        const sky_value zoo = sky_column_get(&b->metrics[m], 0);
        const sky_value onnx = sky_column_get(&b->metrics[m], 1);
        cr_assert(sky_value_equal(&zoo, &onnx), "%s", b->job->d.metrics[m].name);
    }
    cr_assert(strstr(b->reasons[2], "no convolution 'fc'"), "%s", b->reasons[2]);
    job_batch_close(b);
}

static void expect_invalid(const char *params, const char *part)
{
    job_batch *b = job_batch_open("delta", 1);
    sky_value values[SKY_PARAMS_MAX];
    sky_error e = {0};
    job_batch_set(b, 0, params);
    job_batch_row(b, 0, values);
    cr_expect_eq(sky_job_check(b->job, values, &e), SKY_EINVAL, "%s", params);
    cr_expect(strstr(e.text, part), "%s: %s", params, e.text);
    job_batch_close(b);
}

Test(delta_job, errors)
{
    expect_invalid("gpu=V101", "V100");
    expect_invalid("network=vgg17", "did you mean 'vgg1");
    expect_invalid("blk_m=33", "32");
    expect_invalid("blk_n=12", "8");
    expect_invalid("threads=33", "32");
    expect_invalid("blk_m=1024 blk_n=1024", "255");
    expect_invalid("reuse=all", "loop");
    expect_invalid("dram_bw_scale=0", "dram_bw_scale");
    expect_invalid("efficiency=1.5", "efficiency");
    expect_invalid("batch=0", "batch");
}
