#include "jobs/fault.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "jobs/registry.h"

/* Parameters with one chance set: 2 crash, 3 hang, 4 leak, 5 fail. */
static void with_chance(const sky_job *job, size_t which, double chance, sky_value *params)
{
    for (size_t p = 0; p < job->d.n_params; p++)
        params[p] = job->d.params[p].def;
    params[0] = sky_real(20.5);
    if (which > 0)
        params[which] = sky_real(chance);
}

static sky_err evaluate(const sky_value *params, uint64_t seed, double *y, sky_error *e)
{
    sky_arena scratch = {0};
    sky_job_ctx ctx;
    sky_job_ctx_init(&ctx, &scratch);
    ctx.seed = seed;
    sky_value metric = sky_absent(SKY_REAL);
    sky_err err = sky_job_find("fault")->run(&ctx, params, &metric, e);
    if (err == SKY_OK)
        *y = metric.f;
    sky_arena_free(&scratch);
    return err;
}

Test(fault, computes_when_it_behaves)
{
    sky_value params[8];
    with_chance(sky_job_find("fault"), 0, 0, params);
    double y = 0;
    cr_assert_eq(evaluate(params, 1, &y, NULL), SKY_OK);
    cr_assert_eq(y, 42);
}

Test(fault, fails_with_a_reason)
{
    sky_value params[8];
    with_chance(sky_job_find("fault"), 5, 1, params);
    double y = 0;
    sky_error e = {0};
    cr_assert_eq(evaluate(params, 1, &y, &e), SKY_EFAILED);
    cr_assert(e.text[0]);
}

Test(fault, what_happens_depends_on_the_seed_alone)
{
    const double chances[4] = {0.05, 0.1, 0.15, 0.2};
    int count[5] = {0};
    enum { SEEDS = 20000 };
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        sky_fault kind = sky__fault_of(seed, chances);
        cr_assert_eq(kind, sky__fault_of(seed, chances));
        count[kind]++;
    }
    const double none = 0.95 * 0.9 * 0.85 * 0.8;
    const double want[5] = {none, 0.05, 0.95 * 0.1, 0.95 * 0.9 * 0.15, 0.95 * 0.9 * 0.85 * 0.2};
    for (int k = 0; k < 5; k++) /* 5 standard deviations of a count are at most 0.018 of it all */
        cr_assert_float_eq((double)count[k] / SEEDS, want[k], 0.018, "kind %d", k);
}

Test(fault, fail_matches_the_prediction)
{
    sky_value params[8];
    with_chance(sky_job_find("fault"), 5, 0.5, params);
    const double chances[4] = {0, 0, 0, 0.5};
    for (uint64_t seed = 0; seed < 200; seed++) {
        double y;
        sky_err want = sky__fault_of(seed, chances) == SKY_FAULT_FAIL ? SKY_EFAILED : SKY_OK;
        cr_assert_eq(evaluate(params, seed, &y, NULL), want);
    }
}

/* Runs it in a child; returns the wait status. A child that lives after wait_ms is killed. */
static int in_child(size_t which, uint64_t seed, int wait_ms)
{
    sky_value params[8];
    with_chance(sky_job_find("fault"), which, 1, params);
    pid_t pid = fork();
    if (pid == 0) {
        double y;
        evaluate(params, seed, &y, NULL);
        _exit(0);
    }
    int status = 0;
    for (int ms = 0; ms < wait_ms; ms++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return status;
}

Test(fault, crash_dies_of_a_signal)
{
    int even = in_child(2, 2, 5000), odd = in_child(2, 3, 5000);
    cr_assert(WIFSIGNALED(even) && WTERMSIG(even) == SIGABRT);
    cr_assert(WIFSIGNALED(odd) && WTERMSIG(odd) == SIGSEGV);
}

Test(fault, hang_does_not_end)
{
    int status = in_child(3, 1, 150);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

Test(fault, leak_grows)
{
    sky_value params[8];
    with_chance(sky_job_find("fault"), 4, 1, params);
    pid_t pid = fork();
    if (pid == 0) {
        double y;
        evaluate(params, 1, &y, NULL);
        _exit(0);
    }
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    char path[64];
    long pages_all = 0, pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *statm = fopen(path, "r");
    cr_assert_not_null(statm);
    cr_assert_eq(fscanf(statm, "%ld %ld", &pages_all, &pages), 2);
    fclose(statm);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    cr_assert_gt(pages * sysconf(_SC_PAGESIZE), 20L << 20, "only %ld pages", pages);
}
