/* Job `gemm`: one matrix product on one systolic array (hw/systolic.h). */
#include <string.h>

#include "hw/systolic.h"
#include "jobs/job_params.h"
#include "jobs/jobs_internal.h"

enum { P_M, P_N, P_K, P_ROWS, P_COLS, P_DATAFLOW, P_TIMING, N_PARAMS };
enum { M_CYCLES, M_UTILIZATION, M_MACS, N_METRICS };

static const char *const dataflows[] = {[SKY_WS] = "ws", [SKY_OS] = "os", [SKY_IS] = "is", NULL};
static const char *const timings[] = {
    [SKY_OVERLAPPED] = "overlapped", [SKY_EXPOSED] = "exposed", NULL};

static const sky_param params[N_PARAMS] = {
    [P_M] = SKY__INTEGER("m", "", 1024, 1, SKY_GEMM_EDGE_MAX, "rows of A and C"),
    [P_N] = SKY__INTEGER("n", "", 1024, 1, SKY_GEMM_EDGE_MAX, "columns of B and C"),
    [P_K] = SKY__INTEGER("k", "", 1024, 1, SKY_GEMM_EDGE_MAX, "columns of A, rows of B"),
    [P_ROWS] = SKY__INTEGER("rows", "", 128, 1, SKY_ARRAY_EDGE_MAX, "rows of the array"),
    [P_COLS] = SKY__INTEGER("cols", "", 128, 1, SKY_ARRAY_EDGE_MAX, "columns of the array"),
    [P_DATAFLOW] = {.name = "dataflow",
                    .type = SKY_TEXT,
                    .unit = "",
                    .choices = dataflows,
                    .doc = "what rests in the array: ws weights (B), os outputs (C), is inputs (A)",
                    .def = {.type = SKY_TEXT, .s = "ws"}},
    [P_TIMING] = {.name = "timing",
                  .type = SKY_TEXT,
                  .unit = "",
                  .choices = timings,
                  .doc = "overlapped: loads hide behind computing; exposed: SCALE-Sim's cycles",
                  .def = {.type = SKY_TEXT, .s = "overlapped"}},
};

static const sky_metric metrics[N_METRICS] = {
    [M_CYCLES] = {.name = "cycles",
                  .type = SKY_INT,
                  .unit = "cycles",
                  .goal = SKY_MIN,
                  .doc = "from the first load to the last result",
                  .cls = SKY_EXACT},
    [M_UTILIZATION] = {.name = "utilization",
                       .type = SKY_REAL,
                       .unit = "",
                       .goal = SKY_MAX,
                       .doc = "m n k / (rows cols cycles)",
                       .cls = SKY_EXACT},
    [M_MACS] = {.name = "macs",
                .type = SKY_INT,
                .unit = "",
                .goal = SKY_NO_GOAL,
                .doc = "multiplications: m n k",
                .cls = SKY_EXACT},
};

static int choice(const char *const *list, const char *text)
{
    int i = 0;
    while (list[i + 1] && strcmp(list[i], text) != 0)
        i++;
    return i;
}

static sky_err run_batch(sky_job_ctx *ctx, size_t n, const uint64_t *seeds, const sky_column *in,
                         sky_column *out, sky_error *e)
{
    (void)ctx, (void)seeds, (void)e;
    for (size_t i = 0; i < n; i++) {
        sky_gemm g = {.m = in[P_M].i[i], .n = in[P_N].i[i], .k = in[P_K].i[i]};
        sky_array a = {.rows = in[P_ROWS].i[i], .cols = in[P_COLS].i[i]};
        int64_t cycles =
            sky_systolic_cycles(g, a, (sky_dataflow)choice(dataflows, in[P_DATAFLOW].s[i]),
                                (sky_timing)choice(timings, in[P_TIMING].s[i]));
        out[M_CYCLES].i[i] = cycles;
        out[M_UTILIZATION].f[i] = sky_systolic_utilization(g, a, cycles);
        out[M_MACS].i[i] = g.m * g.n * g.k;
    }
    return SKY_OK;
}

const sky_job sky__job_gemm = {
    .abi = SKY_JOB_ABI,
    .d = {.name = "gemm",
          .version = "1",
          .summary = "Cycles of a matrix product on a systolic array",
          .source =
              "SCALE-Sim (ISPASS 2020) for timing exposed; double-buffered chain for overlapped",
          .params = params,
          .n_params = N_PARAMS,
          .metrics = metrics,
          .n_metrics = N_METRICS},
    .run_batch = run_batch,
};
