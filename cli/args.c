/* The option parser: one pass over argv, checked against the command's table. Values are checked
 * here, so that a command begins only with arguments that make sense. */
#include "cli/cli.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

typedef struct cli_value {
    const cli_opt *opt;
    const char **texts; /* NULL-terminated once parsed; the last one counts unless opt->many */
    size_t n;
    bool given;
    int64_t number; /* of CLI_INT and CLI_DURATION (nanoseconds) */
    uint64_t bytes; /* of CLI_SIZE */
} cli_value;

enum { CLI_OPTS_MAX = 64 };

static size_t count_opts(const cli_opt *opts)
{
    size_t n = 0;
    while (opts && opts[n].name)
        n++;
    return n;
}

static size_t value_count(const cli_args *a)
{
    return count_opts(a->command->opts) + count_opts(cli_common_opts);
}

const char *cli_did_you_mean(const char *word, const char *const *list, size_t n)
{
    static char text[128];
    const char *near = sky_nearest(word, list, n);
    snprintf(text, sizeof text, near ? " (did you mean %s?)" : "%s", near ? near : "");
    return text;
}

static bool check_choice(const cli_args *a, const cli_opt *o, const char *text)
{
    size_t n = 0;
    while (o->choices[n]) {
        if (strcmp(o->choices[n++], text) == 0)
            return true;
    }
    sky_buf all = {0};
    for (size_t i = 0; i < n; i++)
        sky_buf_printf(&all, "%s%s", i ? ", " : "", o->choices[i]);
    cli_usage(a, "--%s: '%s' is none of %s%s", o->name, text, sky_buf_str(&all),
              cli_did_you_mean(text, o->choices, n));
    sky_buf_free(&all);
    return false;
}

static bool check_value(const cli_args *a, cli_value *v, const char *text)
{
    const cli_opt *o = v->opt;
    switch (o->type) {
    case CLI_INT:
        if (sky_parse_i64(text, &v->number) != SKY_OK) {
            cli_usage(a, "--%s: '%s' is not a whole number", o->name, text);
            return false;
        }
        if (v->number < o->min || v->number > o->max) {
            cli_usage(a, "--%s: %s is not between %lld and %lld", o->name, text, (long long)o->min,
                      (long long)o->max);
            return false;
        }
        return true;
    case CLI_SIZE:
        if (sky_parse_bytes(text, &v->bytes) == SKY_OK)
            return true;
        cli_usage(a, "--%s: '%s' is not a size (such as 512MiB or 2GiB)", o->name, text);
        return false;
    case CLI_DURATION:
        if (sky_parse_duration(text, &v->number) == SKY_OK)
            return true;
        cli_usage(a, "--%s: '%s' is not a duration (such as 500ms, 60s or 5m)", o->name, text);
        return false;
    case CLI_CHOICE:
        return check_choice(a, o, text);
    case CLI_FILE:
    case CLI_FOLDER:
        if (text[0])
            return true;
        cli_usage(a, "--%s: the name is empty", o->name);
        return false;
    case CLI_FLAG:
    case CLI_TEXT:
        return true;
    }
    return true;
}

static bool add_value(const cli_args *a, cli_value *v, const char *text)
{
    if (v->opt->type != CLI_FLAG && !check_value(a, v, text))
        return false;
    const char **texts = realloc(v->texts, (v->n + 2) * sizeof *texts);
    if (!texts) {
        cli_failf(a, "%s", sky_strerror(SKY_ENOMEM));
        return false;
    }
    v->texts = texts;
    texts[v->n++] = text;
    texts[v->n] = NULL;
    v->given = true;
    return true;
}

static cli_value *find_long(const cli_args *a, const char *name, size_t len)
{
    const size_t n = value_count(a);
    for (size_t i = 0; i < n; i++) {
        const char *have = a->values[i].opt->name;
        if (strlen(have) == len && memcmp(have, name, len) == 0)
            return &a->values[i];
    }
    return NULL;
}

static cli_value *find_short(const cli_args *a, char letter)
{
    const size_t n = value_count(a);
    for (size_t i = 0; i < n; i++) {
        assert(a->values[i].opt);
        if (a->values[i].opt->letter == letter)
            return &a->values[i];
    }
    return NULL;
}

static void unknown_option(const cli_args *a, const char *name, size_t len)
{
    const char *names[CLI_OPTS_MAX];
    const size_t n = value_count(a);
    for (size_t i = 0; i < n; i++)
        names[i] = a->values[i].opt->name;
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)len, name);
    const char *near = sky_nearest(word, names, n);
    cli_usage(a, near ? "unknown option --%s (did you mean --%s?)" : "unknown option --%s%s", word,
              near ? near : "");
}

/* "--name", "--name=value" or "--name value" at argv[i]; returns how many words it took, 0 on
 * error. */
static int parse_long(const cli_args *a, int argc, char **argv, int i)
{
    const char *name = argv[i] + 2;
    const char *equals = strchr(name, '=');
    const size_t len = equals ? (size_t)(equals - name) : strlen(name);
    cli_value *v = find_long(a, name, len);
    if (!v) {
        unknown_option(a, name, len);
        return 0;
    }
    if (v->opt->type == CLI_FLAG) {
        if (equals) {
            cli_usage(a, "--%s takes no value", v->opt->name);
            return 0;
        }
        return add_value(a, v, "") ? 1 : 0;
    }
    if (equals)
        return add_value(a, v, equals + 1) ? 1 : 0;
    if (i + 1 >= argc) {
        cli_usage(a, "--%s needs a value: --%s %s", v->opt->name, v->opt->name, v->opt->arg);
        return 0;
    }
    return add_value(a, v, argv[i + 1]) ? 2 : 0;
}

/* "-j4", "-j 4" or flags in one word. */
static int parse_short(const cli_args *a, int argc, char **argv, int i)
{
    for (const char *c = argv[i] + 1; *c; c++) {
        cli_value *v = find_short(a, *c);
        if (!v) {
            cli_usage(a, "unknown option -%c", *c);
            return 0;
        }
        if (v->opt->type == CLI_FLAG) {
            if (!add_value(a, v, ""))
                return 0;
            continue;
        }
        if (c[1])
            return add_value(a, v, c + 1) ? 1 : 0;
        if (i + 1 >= argc) {
            cli_usage(a, "-%c needs a value: -%c %s", *c, *c, v->opt->arg);
            return 0;
        }
        return add_value(a, v, argv[i + 1]) ? 2 : 0;
    }
    return 1;
}

static bool check_operands(const cli_args *a)
{
    const cli_command *c = a->command;
    if (a->n_operands < c->n_min) {
        cli_usage(a, "expected %s", c->operands);
        return false;
    }
    if (c->n_max >= 0 && a->n_operands > c->n_max) {
        if (c->n_max == 0)
            cli_usage(a, "unexpected '%s': this command takes only options", a->operands[0]);
        else
            cli_usage(a, "unexpected '%s' after %s", a->operands[c->n_max], c->operands);
        return false;
    }
    return true;
}

/* Options that were not given take their value from the environment, then from the table. */
static bool fill_defaults(const cli_args *a)
{
    const size_t n = value_count(a);
    for (size_t i = 0; i < n; i++) {
        cli_value *v = &a->values[i];
        if (v->given)
            continue;
        const char *env = v->opt->env ? getenv(v->opt->env) : NULL;
        if (env && env[0]) {
            if (!add_value(a, v, env))
                return false;
        } else if (v->opt->def) {
            if (!add_value(a, v, v->opt->def))
                return false;
            v->given = false;
        }
    }
    return true;
}

bool cli_args_parse(cli_args *a, const cli_command *command, int argc, char **argv, bool *help)
{
    *a = (cli_args){.command = command};
    const size_t own = count_opts(command->opts), common = count_opts(cli_common_opts);
    assert(own + common <= CLI_OPTS_MAX);
    a->values = calloc(own + common, sizeof *a->values);
    a->operands = calloc((size_t)argc + 1, sizeof *a->operands);
    if (!a->values || !a->operands) {
        cli_failf(a, "%s", sky_strerror(SKY_ENOMEM));
        return false;
    }
    for (size_t i = 0; i < own + common; i++)
        a->values[i].opt = i < own ? &command->opts[i] : &cli_common_opts[i - own];
    bool only_operands = false;
    for (int i = 0; i < argc;) {
        const char *word = argv[i];
        int took = 1;
        if (only_operands || word[0] != '-' || !word[1])
            a->operands[a->n_operands++] = word;
        else if (strcmp(word, "--") == 0)
            only_operands = true;
        else if (word[1] == '-')
            took = parse_long(a, argc, argv, i);
        else
            took = parse_short(a, argc, argv, i);
        if (took == 0)
            return false;
        i += took;
    }
    *help = cli_flag(a, "help");
    return *help || (check_operands(a) && fill_defaults(a));
}

void cli_args_free(cli_args *a)
{
    const size_t n = a->values ? value_count(a) : 0;
    for (size_t i = 0; i < n; i++)
        free(a->values[i].texts);
    free(a->values);
    free(a->operands);
    *a = (cli_args){0};
}

static const cli_value *value_of(const cli_args *a, const char *name)
{
    const cli_value *v = find_long(a, name, strlen(name));
    assert(v && "the command's table declares the option");
    return v;
}

bool cli_given(const cli_args *a, const char *name)
{
    return value_of(a, name)->given;
}

bool cli_flag(const cli_args *a, const char *name)
{
    return value_of(a, name)->n > 0;
}

const char *cli_text(const cli_args *a, const char *name)
{
    const cli_value *v = value_of(a, name);
    return v->n ? v->texts[v->n - 1] : NULL;
}

int64_t cli_int(const cli_args *a, const char *name)
{
    return value_of(a, name)->number;
}

uint64_t cli_size(const cli_args *a, const char *name)
{
    return value_of(a, name)->bytes;
}

int64_t cli_duration_ns(const cli_args *a, const char *name)
{
    return value_of(a, name)->number;
}

const char *const *cli_list(const cli_args *a, const char *name)
{
    static const char *const none[] = {NULL};
    const cli_value *v = value_of(a, name);
    return v->n ? v->texts : none;
}

__attribute__((format(printf, 2, 0))) static void say(const cli_args *a, const char *fmt,
                                                      va_list ap)
{
    fflush(stdout);
    fprintf(stderr, "skyline%s%s: ", a ? " " : "", a ? a->command->name : "");
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
}

int cli_usage(const cli_args *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(a, fmt, ap);
    va_end(ap);
    fprintf(stderr, "Try 'skyline %s%s--help'.\n", a ? a->command->name : "", a ? " " : "");
    return CLI_USAGE;
}

int cli_failf(const cli_args *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(a, fmt, ap);
    va_end(ap);
    return CLI_FAILURE;
}

int cli_fail(const cli_args *a, const sky_error *e)
{
    return cli_failf(a, "%s", e->text[0] ? e->text : sky_strerror(e->code));
}
