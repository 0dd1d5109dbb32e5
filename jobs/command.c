/* Job `command`: any program as an evaluator.
 *
 * Parameters arrive as arguments and as JSON in the environment, metrics leave as the last line of
 * standard output that is a JSON object. The rules, with examples: docs/jobs/command.md. */
#include "jobs/command.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/text.h"
#include "jobs/jobs_internal.h"
#include "jobs/spawn.h"

extern char **environ;

/* --- arguments --- */

/* What a placeholder may name beside the parameters; a parameter of that name wins. */
static const char *const specials[] = {"seed", "trial", "threads", "gpus", "workdir", "params"};
enum { N_SPECIALS = sizeof specials / sizeof *specials };

typedef struct filler {
    sky_job_ctx *ctx;
    const sky_descriptor *d;
    const sky_value *params;
    const char *json; /* all parameters as a JSON object */
    bool used;        /* a placeholder was found */
    sky_buf text;     /* the word being built */
} filler;

/* Appends what name stands for. False if it stands for nothing. */
static bool fill_name(filler *f, const char *name)
{
    for (size_t p = 0; p < f->d->n_params; p++) {
        if (strcmp(f->d->params[p].name, name) != 0)
            continue;
        sky_value_print(&f->text, &f->params[p]);
        return true;
    }
    const sky_job_ctx *ctx = f->ctx;
    if (strcmp(name, "seed") == 0) {
        sky_buf_printf(&f->text, "%" PRIu64, ctx->seed);
    } else if (strcmp(name, "trial") == 0) {
        sky_buf_printf(&f->text, "%" PRIu64, ctx->trial);
    } else if (strcmp(name, "threads") == 0) {
        sky_buf_printf(&f->text, "%" PRIu32, ctx->threads);
    } else if (strcmp(name, "gpus") == 0) {
        sky_buf_puts(&f->text, ctx->gpus);
    } else if (strcmp(name, "workdir") == 0) {
        sky_buf_puts(&f->text, ctx->workdir);
    } else if (strcmp(name, "params") == 0) {
        sky_buf_puts(&f->text, f->json);
    } else {
        return false;
    }
    return true;
}

/* The parameter or special name that was probably meant, or NULL. */
static const char *nearest(const filler *f, const char *name)
{
    const char *known[SKY_PARAMS_MAX + N_SPECIALS];
    size_t n = 0;
    for (size_t p = 0; p < f->d->n_params; p++)
        known[n++] = f->d->params[p].name;
    for (size_t s = 0; s < N_SPECIALS; s++)
        known[n++] = specials[s];
    return sky_nearest(name, known, n);
}

/* The length of the identifier at text, if '}' follows it; else 0. */
static size_t name_length(const char *text)
{
    char name[64];
    size_t len = strcspn(text, "{}");
    if (text[len] != '}' || len == 0 || len >= sizeof name)
        return 0;
    memcpy(name, text, len);
    name[len] = '\0';
    return sky_is_identifier(name) ? len : 0;
}

/* Fills one word in. Braces around anything but an identifier are left alone, so that JSON and awk
 * programs pass; {{name}} gives {name}. */
static sky_err fill_word(filler *f, const char *word, sky_error *e)
{
    sky_buf_reset(&f->text);
    for (const char *s = word; *s;) {
        size_t plain = strcspn(s, "{");
        sky_buf_add(&f->text, s, plain);
        s += plain;
        if (!*s)
            break;
        size_t escaped = s[1] == '{' ? name_length(s + 2) : 0;
        if (escaped > 0 && s[escaped + 3] == '}') {
            sky_buf_add(&f->text, s + 1, escaped + 2);
            s += escaped + 4;
            continue;
        }
        size_t len = name_length(s + 1);
        char name[64] = "";
        memcpy(name, s + 1, len);
        if (len > 0 && fill_name(f, name)) {
            f->used = true;
            s += len + 2;
            continue;
        }
        const char *meant = len > 0 ? nearest(f, name) : NULL;
        if (meant) {
            return sky_fail(e, SKY_EINVAL,
                            "command: no parameter '%s' for {%s}; did you mean {%s}? "
                            "(write {{%s}} for the braces themselves)",
                            name, name, meant, name);
        }
        sky_buf_putc(&f->text, *s++);
    }
    return sky_buf_ok(&f->text) ? SKY_OK : sky_fail(e, SKY_ENOMEM, "command: out of memory");
}

static const char *params_json(sky_arena *scratch, const sky_descriptor *d, const sky_value *params)
{
    sky_buf json = {0};
    sky_buf_putc(&json, '{');
    for (size_t p = 0; p < d->n_params; p++) {
        if (p > 0)
            sky_buf_puts(&json, ", ");
        sky_buf_json_string(&json, d->params[p].name);
        sky_buf_puts(&json, ": ");
        sky_value_json(&json, &params[p]);
    }
    sky_buf_putc(&json, '}');
    const char *text = sky_buf_ok(&json) ? sky_arena_strdup(scratch, sky_buf_str(&json)) : NULL;
    sky_buf_free(&json);
    return text;
}

static char *append_word(filler *f, size_t p)
{
    sky_buf_reset(&f->text);
    sky_buf_printf(&f->text, "--%s=", f->d->params[p].name);
    sky_value_print(&f->text, &f->params[p]);
    if (!sky_buf_ok(&f->text))
        return NULL;
    return sky_arena_strdup(f->ctx->scratch, sky_buf_str(&f->text));
}

static sky_err build_argv(filler *f, char ***argv_out, sky_error *e)
{
    const char *const *command = f->ctx->command;
    size_t words = 0;
    while (command[words])
        words++;
    char **argv = sky_new(f->ctx->scratch, char *, words + f->d->n_params + 1);
    if (!argv)
        return sky_fail(e, SKY_ENOMEM, "command: out of memory");

    size_t n = 0;
    for (size_t w = 0; w < words; w++) {
        if (strcmp(command[w], "{-}") == 0) { /* says: append nothing */
            f->used = true;
            continue;
        }
        sky_err err = fill_word(f, command[w], e);
        if (err != SKY_OK)
            return err;
        argv[n] = sky_arena_strdup(f->ctx->scratch, sky_buf_str(&f->text));
        if (!argv[n++])
            return sky_fail(e, SKY_ENOMEM, "command: out of memory");
    }
    if (n == 0)
        return sky_fail(e, SKY_EINVAL, "command: no program is named");
    for (size_t p = 0; p < f->d->n_params && !f->used; p++) {
        if (f->params[p].absent)
            continue;
        argv[n] = append_word(f, p);
        if (!argv[n++])
            return sky_fail(e, SKY_ENOMEM, "command: out of memory");
    }
    *argv_out = argv;
    return SKY_OK;
}

static sky_err argv_with_json(sky_job_ctx *ctx, const sky_descriptor *d, const sky_value *params,
                              const char *json, char ***argv_out, sky_error *e)
{
    if (!ctx->command)
        return sky_fail(e, SKY_EINVAL, "command: no program is named");
    filler f = {.ctx = ctx, .d = d, .params = params, .json = json};
    sky_err err = build_argv(&f, argv_out, e);
    sky_buf_free(&f.text);
    return err;
}

sky_err sky__command_argv(sky_job_ctx *ctx, const sky_descriptor *d, const sky_value *params,
                          char ***argv_out, sky_error *e)
{
    const char *json = params_json(ctx->scratch, d, params);
    if (!json)
        return sky_fail(e, SKY_ENOMEM, "command: out of memory");
    return argv_with_json(ctx, d, params, json, argv_out, e);
}

/* --- environment --- */

static bool is_ours(const char *entry, char *const *ours, size_t n_ours)
{
    size_t name_len = strcspn(entry, "=");
    for (size_t i = 0; i < n_ours; i++) {
        if (strncmp(entry, ours[i], name_len) == 0 && ours[i][name_len] == '=')
            return true;
    }
    return false;
}

/* Our environment with the point's variables in place. NULL when out of memory. */
static char **build_env(sky_job_ctx *ctx, const char *json)
{
    sky_arena *a = ctx->scratch;
    enum { N_OURS = 9 };
    char *ours[N_OURS] = {
        sky_arena_printf(a, "SKYLINE_PARAMS=%s", json),
        sky_arena_printf(a, "SKYLINE_SEED=%" PRIu64, ctx->seed),
        sky_arena_printf(a, "SKYLINE_TRIAL=%" PRIu64, ctx->trial),
        sky_arena_printf(a, "SKYLINE_THREADS=%" PRIu32, ctx->threads),
        sky_arena_printf(a, "SKYLINE_GPUS=%s", ctx->gpus),
        sky_arena_printf(a, "OMP_NUM_THREADS=%" PRIu32, ctx->threads),
        sky_arena_printf(a, "OPENBLAS_NUM_THREADS=%" PRIu32, ctx->threads),
        sky_arena_printf(a, "MKL_NUM_THREADS=%" PRIu32, ctx->threads),
        sky_arena_printf(a, "CUDA_VISIBLE_DEVICES=%s", ctx->gpus),
    };
    /* Without a lease on GPUs the program sees what this machine's owner chose. */
    size_t n_ours = ctx->gpus[0] ? N_OURS : N_OURS - 1;
    size_t n = 0;
    while (environ[n])
        n++;
    char **env = sky_new(a, char *, n + N_OURS + 1);
    if (!env)
        return NULL;
    for (size_t i = 0; i < N_OURS; i++) {
        if (!ours[i])
            return NULL;
    }
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_ours(environ[i], ours, n_ours))
            env[used++] = environ[i];
    }
    for (size_t i = 0; i < n_ours; i++)
        env[used++] = ours[i];
    return env;
}

sky_err sky_command_shell_line(sky_job_ctx *ctx, const sky_descriptor *d, const sky_value *params,
                               sky_buf *out, sky_error *e)
{
    char **argv = NULL;
    const char *json = params_json(ctx->scratch, d, params);
    sky_err err = json ? argv_with_json(ctx, d, params, json, &argv, e)
                       : sky_fail(e, SKY_ENOMEM, "command: out of memory");
    if (err != SKY_OK)
        return err;
    if (ctx->workdir[0]) {
        sky_buf_puts(out, "cd ");
        sky_buf_shell_word(out, ctx->workdir);
        sky_buf_puts(out, " && ");
    }
    sky_buf_puts(out, "SKYLINE_PARAMS=");
    sky_buf_shell_word(out, json);
    sky_buf_printf(out, " SKYLINE_SEED=%" PRIu64 " SKYLINE_TRIAL=%" PRIu64, ctx->seed, ctx->trial);
    sky_buf_printf(out, " SKYLINE_THREADS=%" PRIu32 " SKYLINE_GPUS='%s'", ctx->threads, ctx->gpus);
    for (size_t i = 0; argv[i]; i++) {
        sky_buf_putc(out, ' ');
        sky_buf_shell_word(out, argv[i]);
    }
    return sky_buf_ok(out) ? SKY_OK : sky_fail(e, SKY_ENOMEM, "command: out of memory");
}

/* --- metrics --- */

enum { SHOWN_BYTES_MAX = 200 }; /* of the program's line in a message */

/* A JSON number as int64: 3 and 3.0, not 3.5. */
static bool as_integer(const json_t *j, int64_t *out)
{
    if (json_is_integer(j)) {
        *out = json_integer_value(j);
        return true;
    }
    double x = json_real_value(j);
    if (!json_is_real(j) || x != rint(x) || fabs(x) > 9007199254740992.0)
        return false;
    *out = (int64_t)x;
    return true;
}

/* JSON has no infinities and no NaN: they come as texts. */
static bool as_real(const json_t *j, double *out)
{
    if (json_is_number(j)) {
        *out = json_number_value(j);
        return true;
    }
    const char *text = json_string_value(j);
    if (!text)
        return false;
    bool negative = *text == '-';
    const char *word = text + (negative || *text == '+');
    if (strcasecmp(word, "inf") == 0 || strcasecmp(word, "infinity") == 0) {
        *out = negative ? -INFINITY : INFINITY;
        return true;
    }
    if (strcasecmp(word, "nan") != 0)
        return false;
    *out = NAN; /* fails the trial, with the store's own message */
    return true;
}

static sky_err read_metric(sky_job_ctx *ctx, const sky_metric *metric, const json_t *j,
                           sky_value *out, sky_error *e)
{
    int64_t i;
    double f;
    if (json_is_null(j)) {
        *out = sky_absent(metric->type);
    } else if (json_is_boolean(j) && metric->type != SKY_TEXT) {
        i = json_is_true(j);
        *out = metric->type == SKY_REAL ? sky_real((double)i) : sky_int(i);
    } else if (metric->type == SKY_INT && as_integer(j, &i)) {
        *out = sky_int(i);
    } else if (metric->type == SKY_REAL && as_real(j, &f)) {
        *out = sky_real(f);
    } else if (metric->type == SKY_TEXT && json_is_string(j)) {
        const char *copy = sky_arena_strdup(ctx->scratch, json_string_value(j));
        if (!copy)
            return sky_fail(e, SKY_ENOMEM, "command: out of memory");
        *out = sky_text(copy);
    } else {
        static const char *const found[] = {"an object",     "a list", "a text",
                                            "an integer",    "a real", "a truth value",
                                            "a truth value", "null"};
        return sky_fail(e, SKY_EFAILED, "metric '%s' must be %s, but the program gave %s",
                        metric->name, sky_type_name(metric->type), found[json_typeof(j)]);
    }
    return SKY_OK;
}

sky_err sky__command_metrics(sky_job_ctx *ctx, const sky_descriptor *d, const char *line,
                             size_t len, sky_value *metrics, sky_error *e)
{
    json_error_t problem;
    json_t *object = json_loadb(line, len, 0, &problem);
    int shown = (int)(len < SHOWN_BYTES_MAX ? len : SHOWN_BYTES_MAX);
    if (!object) {
        return sky_fail(e, SKY_EFAILED,
                        "the last line with '{' is not JSON (%s, column %d; write NaN "
                        "and infinities as \"nan\" and \"inf\"): %.*s",
                        problem.text, problem.column, shown, line);
    }
    sky_err err = SKY_OK;
    for (size_t m = 0; m < d->n_metrics && err == SKY_OK; m++) {
        const json_t *j = json_object_get(object, d->metrics[m].name);
        if (j) {
            err = read_metric(ctx, &d->metrics[m], j, &metrics[m], e);
        } else {
            err = sky_fail(e, SKY_EFAILED, "metric '%s' is missing in the last JSON line: %.*s",
                           d->metrics[m].name, shown, line);
        }
    }
    json_decref(object);
    return err;
}

/* --- the job --- */

static bool ask_stopping(void *arg)
{
    sky_job_ctx *ctx = arg;
    return ctx->stopping(ctx);
}

static sky_err check_end(int status, sky_error *e)
{
    if (WIFSIGNALED(status)) {
        int sig = WTERMSIG(status);
        return sky_fail(e, SKY_EFAILED, "the program was killed by signal %d (%s)", sig,
                        strsignal(sig));
    }
    int code = WEXITSTATUS(status);
    if (code != 0)
        return sky_fail(e, SKY_EFAILED, "the program ended with exit code %d", code);
    return SKY_OK;
}

static sky_err run_open(sky_job_ctx *ctx, const sky_descriptor *d, const sky_value *params,
                        sky_value *metrics, sky_error *e)
{
    char **argv = NULL;
    const char *json = params_json(ctx->scratch, d, params);
    char **env = json ? build_env(ctx, json) : NULL;
    if (!env)
        return sky_fail(e, SKY_ENOMEM, "command: out of memory");
    sky_err err = argv_with_json(ctx, d, params, json, &argv, e);
    if (err != SKY_OK)
        return err;
    assert(argv && argv[0]);
    const char *path = sky__find_program(argv[0], e);
    if (!path)
        return SKY_ENOTFOUND;

    sky__last_line output = {0};
    sky__spawn_options options = {
        .path = path,
        .argv = argv,
        .envp = env,
        .workdir = ctx->workdir,
        .output = d->n_metrics > 0 ? &output : NULL,
        .stopping = ask_stopping,
        .arg = ctx,
    };
    int status = 0;
    err = sky__spawn(&options, &status, e);
    if (err == SKY_OK)
        err = check_end(status, e);
    if (err == SKY_OK && d->n_metrics > 0) {
        if (output.last_too_long || !sky_buf_ok(&output.last)) {
            err = sky_fail(e, SKY_ELIMIT, "the program's line of metrics is longer than %d bytes",
                           SKY__LINE_BYTES_MAX);
        } else if (output.last.len == 0) {
            err = sky_fail(e, SKY_EFAILED,
                           "the program printed no metrics: a line such as "
                           "{\"%s\": 0.5} was expected on its standard output",
                           d->metrics[0].name);
        } else {
            err = sky__command_metrics(ctx, d, output.last.data, output.last.len, metrics, e);
        }
    }
    sky__last_line_free(&output);
    return err;
}

/* The words alone: what is in a PATH is a worker's own business. */
static sky_err check_inputs(sky_job_ctx *ctx, const sky_descriptor *d, const sky_value *params,
                            sky_error *e)
{
    char **argv = NULL;
    const char *json = params_json(ctx->scratch, d, params);
    if (!json)
        return sky_fail(e, SKY_ENOMEM, "command: out of memory");
    return argv_with_json(ctx, d, params, json, &argv, e);
}

const sky_job sky__job_command = {
    .abi = SKY_JOB_ABI,
    .d = {.name = "command",
          .version = "1",
          .summary =
              "Runs any program: parameters as arguments and JSON, metrics as a line of JSON",
          .source = "",
          .open = true},
    .check_inputs = check_inputs,
    .run_open = run_open,
};
