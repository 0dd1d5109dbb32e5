/* Runs seeds and prints those that fail.
 *
 *   sim_test [--seeds N] [--first S] [--processes P] [--long]
 *   sim_test --seed S      replays one, with a trace
 *
 * Processes share the seeds, so that both cores work; a seed's history does not depend on them. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "sim.h"

typedef struct arguments {
    uint64_t seeds, first, one;
    unsigned processes;
    bool replay, large;
} arguments;

static bool parse(int argc, char **argv, arguments *a)
{
    *a = (arguments){.seeds = 10000, .first = 1, .processes = 2};
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (!strcmp(argv[i], "--long")) {
            a->large = true;
        } else if (!strcmp(argv[i], "--seeds") && has_value) {
            a->seeds = strtoull(argv[++i], NULL, 10);
        } else if (!strcmp(argv[i], "--first") && has_value) {
            a->first = strtoull(argv[++i], NULL, 10);
        } else if (!strcmp(argv[i], "--processes") && has_value) {
            a->processes = (unsigned)strtoul(argv[++i], NULL, 10);
        } else if (!strcmp(argv[i], "--seed") && has_value) {
            a->one = strtoull(argv[++i], NULL, 10);
            a->replay = true;
        } else {
            fprintf(stderr, "sim_test: unknown argument %s\n", argv[i]);
            return false;
        }
    }
    return a->processes > 0;
}

/* Every so-manieth seed; the number of those that failed, at most 100. */
static int run_share(const arguments *a, unsigned which)
{
    int failures = 0;
    for (uint64_t i = which; i < a->seeds && failures < 100; i += a->processes) {
        /* Told beforehand, for a seed whose run aborts. */
        char name[32];
        snprintf(name, sizeof name, "%llu", (unsigned long long)(a->first + i));
        setenv("SIM_SEED", name, 1);
        failures += !sim_run(a->first + i, false, a->large);
    }
    return failures;
}

static void on_abort(int number)
{
    const char *seed = getenv("SIM_SEED");
    char text[96];
    int len =
        snprintf(text, sizeof text, "aborted in seed %s (signal %d)\n", seed ? seed : "?", number);
    if (write(STDERR_FILENO, text, (size_t)len) < 0)
        _exit(2);
    signal(number, SIG_DFL);
    raise(number);
}

int main(int argc, char **argv)
{
    arguments a;
    if (!parse(argc, argv, &a) || !sim_make_plans())
        return 2;
    sky_log_set_level(SKY_LOG_ERROR);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (a.replay)
        return sim_run(a.one, true, a.large) ? 0 : 1;
    signal(SIGABRT, on_abort);
    pid_t children[64];
    unsigned n = a.processes < 64 ? a.processes : 64;
    a.processes = n;
    for (unsigned i = 0; i < n; i++) {
        children[i] = fork();
        if (children[i] == 0)
            exit(run_share(&a, i));
    }
    int failures = 0;
    for (unsigned i = 0; i < n; i++) {
        int status = 0;
        waitpid(children[i], &status, 0);
        failures += WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    }
    printf("%llu seeds from %llu: %d failed\n", (unsigned long long)a.seeds,
           (unsigned long long)a.first, failures);
    return failures ? 1 : 0;
}
