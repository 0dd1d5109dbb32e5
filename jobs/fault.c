/* Job `fault`: y = 2x + 1, and misbehaves with given chances, to test that Skyline survives it.
 *
 * What a trial does is a function of its seed alone, so that a test knows beforehand which trials
 * must end how; sky__fault_of() tells it. A second attempt at a trial misbehaves the same way. */
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/rng.h"
#include "jobs/fault.h"
#include "jobs/jobs_internal.h"

enum { P_X, P_SLEEP_US, P_CRASH, P_HANG, P_LEAK, P_FAIL, N_PARAMS };

#define CHANCE(NAME, DOC)                                                                          \
    {                                                                                              \
        .name = (NAME), .type = SKY_REAL, .unit = "", .doc = (DOC), .min = 0, .max = 1, .def = {   \
            .type = SKY_REAL,                                                                      \
            .f = 0                                                                                 \
        }                                                                                          \
    }

static const sky_param params[N_PARAMS] = {
    [P_X] = {.name = "x",
             .type = SKY_REAL,
             .unit = "",
             .doc = "any number",
             .def = {.type = SKY_REAL, .f = 0}},
    [P_SLEEP_US] = {.name = "sleep_us",
                    .type = SKY_INT,
                    .unit = "us",
                    .min = 0,
                    .max = 86400e6,
                    .doc = "how long it sleeps before anything else",
                    .def = {.type = SKY_INT, .i = 0}},
    [P_CRASH] = CHANCE("crash", "chance to die of a signal (SIGSEGV or SIGABRT)"),
    [P_HANG] = CHANCE("hang", "chance never to end"),
    [P_LEAK] = CHANCE("leak", "chance to take memory without end, about 1 GiB a second"),
    [P_FAIL] = CHANCE("fail", "chance to return an error"),
};

static const sky_metric metrics[] = {
    {.name = "y",
     .type = SKY_REAL,
     .unit = "",
     .doc = "2 x + 1",
     .goal = SKY_NO_GOAL,
     .cls = SKY_EXACT},
};

sky_fault sky__fault_of(uint64_t seed, const double chances[4])
{
    sky_rng rng;
    sky_rng_init(&rng, seed, 0x6661756c74); /* a stream of its own: "fault" */
    static const sky_fault kinds[4] = {SKY_FAULT_CRASH, SKY_FAULT_HANG, SKY_FAULT_LEAK,
                                       SKY_FAULT_FAIL};
    for (int k = 0; k < 4; k++) {
        /* Each draws whether or not an earlier one hit: changing one chance moves no other draw. */
        if (sky_rng_f64(&rng) < chances[k])
            return kinds[k];
    }
    return SKY_FAULT_NONE;
}

static void sleep_ns(int64_t ns)
{
    struct timespec left = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    while (nanosleep(&left, &left) != 0) { /* a signal interrupted it */
    }
}

static void crash(uint64_t seed)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); /* thousands of core files help nobody */
    int sig = seed & 1 ? SIGSEGV : SIGABRT;
    signal(sig, SIG_DFL);
    raise(sig);
    abort();
}

static void hang(void)
{
    for (;;)
        sleep_ns(1000000000);
}

/* Slow enough that a watcher of resident size can step in before the machine suffers. */
static void leak(void)
{
    enum { CHUNK_BYTES = 1 << 20, PAGE_BYTES = 4096 };
    for (;;) {
        volatile char *chunk = malloc(CHUNK_BYTES);
        for (size_t i = 0; chunk && i < CHUNK_BYTES; i += PAGE_BYTES)
            chunk[i] = 1;
        sleep_ns(1000000);
    }
}

static sky_err run(sky_job_ctx *ctx, const sky_value *in, sky_value *out, sky_error *e)
{
    if (in[P_SLEEP_US].i > 0)
        sleep_ns(in[P_SLEEP_US].i * 1000);
    const double chances[4] = {in[P_CRASH].f, in[P_HANG].f, in[P_LEAK].f, in[P_FAIL].f};
    switch (sky__fault_of(ctx->seed, chances)) {
    case SKY_FAULT_CRASH:
        crash(ctx->seed);
        break;
    case SKY_FAULT_HANG:
        hang();
        break;
    case SKY_FAULT_LEAK:
        leak();
        break;
    case SKY_FAULT_FAIL:
        return sky_fail(e, SKY_EFAILED, "failed on purpose (x = %g)", in[P_X].f);
    case SKY_FAULT_NONE:
        break;
    }
    out[0] = sky_real(2 * in[P_X].f + 1);
    return SKY_OK;
}

const sky_job sky__job_fault = {
    .abi = SKY_JOB_ABI,
    .d = {.name = "fault",
          .version = "1",
          .summary = "Returns 2x + 1, or misbehaves: for testing what Skyline survives",
          .source = "",
          .params = params,
          .n_params = N_PARAMS,
          .metrics = metrics,
          .n_metrics = sizeof metrics / sizeof *metrics},
    .run = run,
};
