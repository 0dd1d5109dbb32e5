#include "worker_jobs.h"

#include <assert.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/text.h"
#include "jobs/jobs_internal.h"

/* --- batch: many rows in one call --- */

static const sky_param batch_params[] = {
    {.name = "x", .type = SKY_INT, .unit = "", .doc = "", .def = {.type = SKY_INT}},
    {.name = "mode", .type = SKY_TEXT, .unit = "", .doc = "", .def = {.type = SKY_TEXT, .s = "ok"}},
};
static const sky_metric batch_metrics[] = {
    {.name = "y", .type = SKY_REAL, .unit = "", .doc = "", .cls = SKY_EXACT},
    {.name = "note", .type = SKY_TEXT, .unit = "", .doc = "", .cls = SKY_EXACT},
};

static void die(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
}

static sky_err batch_validate(const sky_value *in, sky_error *e)
{
    return in[0].i == 3 && strcmp(in[1].s, "invalid") == 0
               ? sky_fail(e, SKY_EINVAL, "3 is not for us")
               : SKY_OK;
}

static sky_err batch_run(sky_job_ctx *ctx, size_t n, const uint64_t *seeds, const sky_column *in,
                         sky_column *out, sky_error *e)
{
    (void)seeds;
    for (size_t k = 0; k < n; k++) {
        int64_t x = in[0].i[k];
        const char *mode = in[1].s[k];
        if (strcmp(mode, "crash") == 0 && x == 1300)
            die();
        if (strcmp(mode, "error") == 0 && x == 5)
            return sky_fail(e, SKY_EFAILED, "five is right out");
        if (strcmp(mode, "rows") == 0 && x % 10 == 7)
            ctx->fail_row(ctx, k, "a seven");
        out[0].f[k] = strcmp(mode, "rows") == 0 && x % 10 == 9 ? NAN : (double)x * 2;
        out[1].s[k] = x % 2 ? "odd" : "even";
        if (strcmp(mode, "rows") == 0 && x % 10 == 4)
            out[0].absent[k] = out[1].absent[k] = 1;
    }
    return SKY_OK;
}

static const sky_job batch = {
    .abi = SKY_JOB_ABI,
    .d = {.name = "t_batch",
          .version = "1",
          .summary = "for tests",
          .source = "",
          .params = batch_params,
          .n_params = 2,
          .metrics = batch_metrics,
          .n_metrics = 2},
    .validate = batch_validate,
    .run_batch = batch_run,
};

/* --- odd: one point at a time --- */

static const sky_param odd_params[] = {
    {.name = "x", .type = SKY_INT, .unit = "", .doc = "", .def = {.type = SKY_INT}},
    {.name = "what", .type = SKY_TEXT, .unit = "", .doc = "", .def = {.type = SKY_TEXT, .s = ""}},
};
static const sky_metric odd_metrics[] = {
    {.name = "y", .type = SKY_REAL, .unit = "", .doc = "", .cls = SKY_EXACT},
    {.name = "text", .type = SKY_TEXT, .unit = "", .doc = "", .cls = SKY_EXACT},
};

static sky_err on_curve(sky_job_ctx *ctx, sky_value *out)
{
    const char *names[] = {"loss", "accuracy"};
    for (int step = 0; step < 3; step++)
        ctx->report(ctx, step, 2, names, (double[]){1.0 / (step + 1), step});
    if (ctx->write_artifact(ctx, "", "x", 1) != SKY_EINVAL ||
        ctx->write_artifact(ctx, "net.bin", "a\0b", 3) != SKY_OK)
        return SKY_EFAILED;
    out[0] = sky_int(5); /* an int for a real metric: accepted; the text stays absent */
    return SKY_OK;
}

/* Dies in its first attempt after it saved a checkpoint, and goes on from it in the second. */
static sky_err on_checkpoint(sky_job_ctx *ctx, sky_value *out)
{
    const void *bytes;
    size_t len;
    if (ctx->load_checkpoint(ctx, &bytes, &len) == SKY_OK) {
        out[0] = sky_real((double)len);
        return len == 4 && memcmp(bytes, "half", 4) == 0 ? SKY_OK : SKY_EFAILED;
    }
    if (ctx->save_checkpoint(ctx, "half", 4) == SKY_OK)
        die();
    return SKY_EFAILED;
}

static sky_err on_wait(sky_job_ctx *ctx, sky_value *out)
{
    for (int i = 0; i < 20000 && !ctx->stopping(ctx); i++)
        usleep(1000);
    out[0] = sky_real(0);
    return ctx->stopping(ctx) ? SKY_ECANCELLED : SKY_OK;
}

/* Starts a program that outlives the job and tells its number in a file. */
static sky_err on_child(sky_job_ctx *ctx, const char *file)
{
    char command[512];
    snprintf(command, sizeof command, "sleep 1000 & echo $! > %s", file);
    if (system(command) != 0)
        return SKY_EFAILED;
    while (!ctx->stopping(ctx))
        usleep(1000);
    for (;;)
        pause();
}

static sky_err odd_run(sky_job_ctx *ctx, const sky_value *in, sky_value *out, sky_error *e)
{
    const char *what = in[1].s;
    out[0] = sky_real((double)in[0].i);
    if (strcmp(what, "stdout") == 0) {
        printf("to standard output %d\n", (int)in[0].i);
        fflush(stdout);
        return write(1, "raw\n", 4) == 4 ? SKY_OK : SKY_EFAILED;
    }
    if (strcmp(what, "log") == 0) {
        fprintf(stderr, "log of %d\n", (int)in[0].i);
        return in[0].i % 2 ? sky_fail(e, SKY_EFAILED, "odd: %d", (int)in[0].i) : SKY_OK;
    }
    if (strcmp(what, "loud") == 0) {
        for (int i = 0; i < 200000; i++)
            fprintf(stderr, "line %d of a very loud job\n", i);
        return sky_fail(e, SKY_EFAILED, "loud");
    }
    if (strcmp(what, "flood") == 0) {
        char block[4096];
        memset(block, 'f', sizeof block);
        for (int i = 0; i < 25000; i++)
            if (write(2, block, sizeof block) != (ssize_t)sizeof block)
                return SKY_EFAILED;
        fprintf(stderr, "the end of the flood\n");
        return sky_fail(e, SKY_EFAILED, "flood");
    }
    if (strcmp(what, "curve") == 0)
        return on_curve(ctx, out);
    if (strcmp(what, "checkpoint") == 0)
        return on_checkpoint(ctx, out);
    if (strcmp(what, "wait") == 0)
        return on_wait(ctx, out);
    if (strcmp(what, "sleep") == 0)
        return usleep(20000), SKY_OK;
    if (strcmp(what, "exit") == 0)
        _exit(3);
    if (strcmp(what, "nan") == 0)
        return out[0] = sky_real(NAN), SKY_OK;
    if (strcmp(what, "type") == 0)
        return out[0] = sky_text("x"), SKY_OK;
    if (strcmp(what, "threads") == 0)
        return out[0] = sky_real(atof(getenv("OMP_NUM_THREADS")) * 10 + ctx->threads), SKY_OK;
    if (strcmp(what, "text") == 0) {
        char *text = ctx->alloc(ctx, 32);
        snprintf(text, 32, "t%d", (int)in[0].i);
        return out[1] = sky_text(text), SKY_OK;
    }
    if (strncmp(what, "child:", 6) == 0)
        return on_child(ctx, what + 6);
    return SKY_OK;
}

static const sky_job odd = {
    .abi = SKY_JOB_ABI,
    .d = {.name = "t_odd",
          .version = "1",
          .summary = "for tests",
          .source = "",
          .params = odd_params,
          .n_params = 2,
          .metrics = odd_metrics,
          .n_metrics = 2},
    .run = odd_run,
};

void test_jobs_add(void)
{
    static bool added;
    const sky_job *jobs[] = {&batch, &odd};
    if (!added && sky__registry_add(jobs, 2, "tests", NULL) != SKY_OK)
        abort();
    added = true;
}
