#include "jobs/command.h"

#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "jobs/registry.h"
#include "jobs/spawn.h"

static const sky_param params[] = {
    {.name = "rate", .type = SKY_REAL, .unit = "", .doc = "", .def = {.type = SKY_REAL}},
    {.name = "layers", .type = SKY_INT, .unit = "", .doc = "", .def = {.type = SKY_INT}},
    {.name = "name", .type = SKY_TEXT, .unit = "", .doc = "", .def = {.type = SKY_TEXT}},
};
static const sky_metric metrics[] = {
    {.name = "loss", .type = SKY_REAL, .unit = "", .doc = ""},
    {.name = "steps", .type = SKY_INT, .unit = "", .doc = ""},
    {.name = "note", .type = SKY_TEXT, .unit = "", .doc = ""},
};

typedef struct fixture {
    sky_arena scratch;
    sky_job_ctx ctx;
    sky_descriptor d;
    sky_value values[3], metrics[3];
    sky_error e;
} fixture;

static fixture fx;

static void setup(fixture *f, const char *const *command, size_t n_metrics)
{
    sky_arena_free(&f->scratch);
    *f = (fixture){.d = {.name = "command",
                         .version = "1",
                         .params = params,
                         .n_params = 3,
                         .metrics = metrics,
                         .n_metrics = n_metrics,
                         .open = true},
                   .values = {sky_real(0.5), sky_int(3), sky_text("a b\"c")},
                   .metrics = {sky_absent(SKY_REAL), sky_absent(SKY_INT), sky_absent(SKY_TEXT)}};
    sky_job_ctx_init(&f->ctx, &f->scratch);
    f->ctx.command = command;
    f->ctx.seed = 77;
    f->ctx.trial = 5;
    f->ctx.threads = 2;
}

static sky_err run(fixture *f)
{
    return sky_job_find("command")->run_open(&f->ctx, &f->d, f->values, f->metrics, &f->e);
}

static void teardown(void)
{
    sky_arena_free(&fx.scratch);
}

TestSuite(command, .fini = teardown);

#define COMMAND(...) ((const char *const[]){__VA_ARGS__, NULL})

static void expect_argv(const char *const *command, const char *const *want)
{
    setup(&fx, command, 0);
    char **argv = NULL;
    cr_assert_eq(sky__command_argv(&fx.ctx, &fx.d, fx.values, &argv, &fx.e), SKY_OK, "%s",
                 fx.e.text);
    size_t n = 0;
    for (; want[n]; n++) {
        cr_assert_not_null(argv[n], "word %zu is missing", n);
        cr_assert_str_eq(argv[n], want[n]);
    }
    cr_assert_null(argv[n]);
}

Test(command, arguments_are_appended_without_placeholders)
{
    expect_argv(COMMAND("p", "-v"),
                COMMAND("p", "-v", "--rate=0.5", "--layers=3", "--name=a b\"c"));
}

Test(command, placeholders_are_filled_in)
{
    expect_argv(COMMAND("p", "-r{rate}", "{layers}x{layers}", "{name}"),
                COMMAND("p", "-r0.5", "3x3", "a b\"c"));
    expect_argv(COMMAND("p", "{seed}/{trial}/{threads}"), COMMAND("p", "77/5/2"));
    expect_argv(COMMAND("p", "{params}"),
                COMMAND("p", "{\"rate\": 0.5, \"layers\": 3, \"name\": \"a b\\\"c\"}"));
    expect_argv(COMMAND("p", "{-}"), COMMAND("p"));
}

Test(command, other_braces_stay)
{
    expect_argv(COMMAND("p", "{-}", "{\"a\": {\"b\": 1}}", "{ print $1 }", "{}", "{{rate}}", "{",
                        "a{b", "{zzzzzzzz}"),
                COMMAND("p", "{\"a\": {\"b\": 1}}", "{ print $1 }", "{}", "{rate}", "{", "a{b",
                        "{zzzzzzzz}"));
    expect_argv(COMMAND("p", "{\"r\": {rate}}"), COMMAND("p", "{\"r\": 0.5}"));
}

Test(command, a_misspelt_placeholder_is_an_error)
{
    setup(&fx, COMMAND("p", "{layrs}"), 0);
    char **argv;
    cr_assert_eq(sky__command_argv(&fx.ctx, &fx.d, fx.values, &argv, &fx.e), SKY_EINVAL);
    cr_assert(strstr(fx.e.text, "{layers}"), "%s", fx.e.text);
}

Test(command, absent_parameters_are_left_out)
{
    setup(&fx, COMMAND("p"), 0);
    fx.values[1] = sky_absent(SKY_INT);
    char **argv;
    cr_assert_eq(sky__command_argv(&fx.ctx, &fx.d, fx.values, &argv, &fx.e), SKY_OK);
    cr_assert_str_eq(argv[1], "--rate=0.5");
    cr_assert_str_eq(argv[2], "--name=a b\"c");
    cr_assert_null(argv[3]);
}

Test(command, no_program)
{
    setup(&fx, COMMAND("{-}"), 0);
    cr_assert_eq(run(&fx), SKY_EINVAL);
    setup(&fx, NULL, 0);
    cr_assert_eq(run(&fx), SKY_EINVAL);
    setup(&fx, COMMAND("skyline-no-such-program"), 0);
    cr_assert_eq(run(&fx), SKY_ENOTFOUND);
    cr_assert(strstr(fx.e.text, "skyline-no-such-program"), "%s", fx.e.text);
    setup(&fx, COMMAND("/no/such/program"), 0);
    cr_assert_eq(run(&fx), SKY_ENOTFOUND);
    setup(&fx, COMMAND("/etc/passwd"), 0);
    cr_assert_eq(run(&fx), SKY_EPERM);
}

Test(command, exit_codes_and_signals)
{
    setup(&fx, COMMAND("true"), 0);
    cr_assert_eq(run(&fx), SKY_OK, "%s", fx.e.text);
    cr_assert_eq(run(&fx), SKY_OK, "%s", fx.e.text);
    setup(&fx, COMMAND("sh", "-c", "exit 3"), 0);
    cr_assert_eq(run(&fx), SKY_EFAILED);
    cr_assert(strstr(fx.e.text, "exit code 3"), "%s", fx.e.text);
    setup(&fx, COMMAND("sh", "-c", "kill -SEGV $$"), 0);
    cr_assert_eq(run(&fx), SKY_EFAILED);
    cr_assert(strstr(fx.e.text, "signal 11"), "%s", fx.e.text);
}

Test(command, metrics_come_from_the_last_json_line)
{
    setup(&fx,
          COMMAND("sh", "-c",
                  "echo '{\"loss\": 9, \"steps\": 9, \"note\": \"early\"}'; echo done;"
                  "printf '  {\"loss\": 0.25, \"steps\": 4.0, \"note\": \"x\", \"extra\": []}'"),
          3);
    cr_assert_eq(run(&fx), SKY_OK, "%s", fx.e.text);
    cr_assert_eq(fx.metrics[0].f, 0.25);
    cr_assert_eq(fx.metrics[1].i, 4);
    cr_assert_str_eq(fx.metrics[2].s, "x");
}

Test(command, the_environment_says_it_all)
{
    setenv("SKYLINE_SEED", "stale", 1);
    setenv("CUDA_VISIBLE_DEVICES", "7", 1);
    setup(&fx,
          COMMAND("sh", "-c",
                  "test \"$SKYLINE_SEED $SKYLINE_TRIAL $SKYLINE_THREADS $OMP_NUM_THREADS\" = "
                  "'77 5 2 2' && test \"$SKYLINE_GPUS\" = '' && "
                  "test \"$CUDA_VISIBLE_DEVICES\" = 7 && test \"$SKYLINE_PARAMS\" = "
                  "'{\"rate\": 0.5, \"layers\": 3, \"name\": \"a b\\\"c\"}' && "
                  "test \"$(env | grep -c ^SKYLINE_SEED=)\" = 1 && test \"$(pwd)\" = /usr"),
          0);
    fx.ctx.workdir = "/usr";
    cr_assert_eq(run(&fx), SKY_OK, "%s", fx.e.text);
    setup(&fx, COMMAND("sh", "-c", "test \"$SKYLINE_GPUS$CUDA_VISIBLE_DEVICES\" = 0,10,1"), 0);
    fx.ctx.gpus = "0,1";
    cr_assert_eq(run(&fx), SKY_OK, "%s", fx.e.text);
}

Test(command, a_missing_folder_is_named)
{
    setup(&fx, COMMAND("true"), 0);
    fx.ctx.workdir = "/no/such/folder";
    cr_assert_eq(run(&fx), SKY_ENOTFOUND);
    cr_assert(strstr(fx.e.text, "/no/such/folder"), "%s", fx.e.text);
}

static void expect_metric_error(const char *line, const char *word)
{
    setup(&fx, COMMAND("x"), 3);
    sky_err err = sky__command_metrics(&fx.ctx, &fx.d, line, strlen(line), fx.metrics, &fx.e);
    cr_assert_eq(err, SKY_EFAILED, "accepted: %s", line);
    cr_assert(strstr(fx.e.text, word), "'%s' is not in '%s'", word, fx.e.text);
}

Test(command, bad_metrics_have_a_reason)
{
    expect_metric_error("{\"loss\": NaN, \"steps\": 1, \"note\": \"\"}", "nan");
    expect_metric_error("{\"loss\": 1", "not JSON");
    expect_metric_error("{\"loss\": 1, \"steps\": 2}", "'note' is missing");
    expect_metric_error("{\"loss\": \"high\", \"steps\": 2, \"note\": \"\"}", "must be real");
    expect_metric_error("{\"loss\": 1, \"steps\": 2.5, \"note\": \"\"}", "must be int");
    expect_metric_error("{\"loss\": 1, \"steps\": 1e300, \"note\": \"\"}", "must be int");
    expect_metric_error("{\"loss\": 1, \"steps\": 2, \"note\": true}", "must be text");
    expect_metric_error("{\"loss\": [1], \"steps\": 2, \"note\": \"\"}", "a list");
    expect_metric_error("{\"loss\": 1, \"steps\": 99999999999999999999, \"note\": \"\"}", "JSON");
}

Test(command, special_numbers)
{
    setup(&fx, COMMAND("x"), 3);
    const char *line = "{\"loss\": \"-inf\", \"steps\": true, \"note\": null}";
    sky_err err = sky__command_metrics(&fx.ctx, &fx.d, line, strlen(line), fx.metrics, &fx.e);
    cr_assert_eq(err, SKY_OK, "%s", fx.e.text);
    cr_assert(isinf(fx.metrics[0].f) && fx.metrics[0].f < 0);
    cr_assert_eq(fx.metrics[1].i, 1);
    cr_assert(fx.metrics[2].absent);
}

Test(command, no_output_is_a_failure)
{
    setup(&fx, COMMAND("true"), 1);
    cr_assert_eq(run(&fx), SKY_EFAILED);
    cr_assert(strstr(fx.e.text, "printed no metrics"), "%s", fx.e.text);
}

Test(command, much_output_is_harmless)
{
    setup(&fx,
          COMMAND("sh", "-c", "yes '{\"loss\": 1}' | head -c 30000001; echo; echo '{\"loss\":2}'"),
          1);
    cr_assert_eq(run(&fx), SKY_OK, "%s", fx.e.text);
    cr_assert_eq(fx.metrics[0].f, 2);
    setup(&fx, COMMAND("sh", "-c", "printf '{'; head -c 3000000 /dev/zero; echo"), 1);
    cr_assert_eq(run(&fx), SKY_ELIMIT);
    setup(&fx, COMMAND("sh", "-c", "head -c 3000000 /dev/zero; echo; echo '{\"loss\": 3}'"), 1);
    cr_assert_eq(run(&fx), SKY_OK, "%s", fx.e.text);
    cr_assert_eq(fx.metrics[0].f, 3);
}

Test(command, lines_in_any_pieces)
{
    const char text[] = "noise\n {\"a\": 1}\n\n\n\t {\"b\": 2}\r\nmore\n";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        sky__last_line l = {0};
        for (size_t at = 0; at < sizeof text - 1; at += piece) {
            size_t left = sizeof text - 1 - at;
            sky__last_line_feed(&l, text + at, left < piece ? left : piece);
        }
        sky__last_line_end(&l);
        cr_assert_str_eq(sky_buf_str(&l.last), "{\"b\": 2}\r");
        sky__last_line_free(&l);
    }
}

static bool stop_soon(sky_job_ctx *ctx)
{
    return sky_clock_ns() > *(int64_t *)ctx->impl;
}

Test(command, stopping_kills_the_program)
{
    setup(&fx, COMMAND("sleep", "100", "{-}"), 0);
    int64_t begin = sky_clock_ns(), stop_at = begin + 100 * SKY_NS_PER_MS;
    fx.ctx.impl = &stop_at;
    fx.ctx.stopping = stop_soon;
    cr_assert_eq(run(&fx), SKY_ECANCELLED);
    cr_assert_lt(sky_clock_ns() - begin, 10 * SKY_NS_PER_S);
}

Test(command, a_background_child_is_not_waited_for)
{
    setup(&fx, COMMAND("sh", "-c", "sleep 15 2>/dev/null & echo '{\"loss\": 1}'"), 1);
    int64_t begin = sky_clock_ns();
    cr_assert_eq(run(&fx), SKY_OK, "%s", fx.e.text);
    cr_assert_lt(sky_clock_ns() - begin, 10 * SKY_NS_PER_S);
}

Test(command, the_program_dies_with_the_executor)
{
    int fd[2];
    cr_assert_eq(pipe(fd), 0);
    pid_t executor = fork();
    if (executor == 0) {
        dup2(fd[1], 9); /* dash knows descriptors of one digit */
        close(fd[1]);
        setup(&fx, COMMAND("sh", "-c", "echo $$ >&9; exec sleep 100"), 0);
        run(&fx);
        _exit(0);
    }
    close(fd[1]);
    char text[32] = "";
    cr_assert_gt(read(fd[0], text, sizeof text - 1), 0);
    pid_t program = (pid_t)atoi(text);
    cr_assert_gt(program, 1);
    kill(executor, SIGKILL);
    waitpid(executor, NULL, 0);
    /* It holds the other end of the pipe as long as it lives. */
    cr_assert_eq(read(fd[0], text, sizeof text), 0);
}
