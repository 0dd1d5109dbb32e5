/* The `skyline` program: a table of commands, and what they share.
 *
 * Parsing, --help, the man page, docs/cli.md and shell completion all come from the same table
 * (commands.c), so that none of them can disagree. Only cli/ and tests/cli/ include this; its
 * functions are cli_*, since nothing is above them. */
#ifndef SKY_CLI_CLI_H
#define SKY_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"

/* Exit codes, the same for every command. */
enum { CLI_OK = 0, CLI_FAILURE = 1, CLI_USAGE = 2, CLI_INTERRUPTED = 130 };

typedef enum cli_opt_type {
    CLI_FLAG,
    CLI_TEXT,
    CLI_INT,      /* within [min, max] */
    CLI_SIZE,     /* bytes: 2GiB */
    CLI_DURATION, /* 60s, 5m */
    CLI_CHOICE,
    CLI_FILE,
    CLI_FOLDER,
} cli_opt_type;

typedef struct cli_opt {
    const char *name; /* long name, without dashes; NULL ends a list */
    char letter;      /* short name, or 0 */
    cli_opt_type type;
    const char *arg; /* how help calls the value */
    const char *def; /* default; NULL: none. The value that cli_text() and the others give */
    const char *env; /* environment variable that comes before def; NULL: none */
    const char *const *choices; /* of CLI_CHOICE, NULL-terminated */
    const char *doc;            /* one or more sentences; wrapped by help */
    int64_t min, max;           /* of CLI_INT */
    bool many;                  /* may be given several times */
    bool hidden;                /* internal: in no documentation */
} cli_opt;

/* What an operand is, for shell completion. */
typedef enum cli_operand {
    CLI_NOTHING,
    CLI_SWEEP_FILE,
    CLI_SWEEP_NAME,
    CLI_JOB,
    CLI_ANY_FILE
} cli_operand;

typedef struct cli_args cli_args;

typedef struct cli_command {
    const char *name;
    const char *summary;  /* one line, no full stop */
    const char *operands; /* as the usage line shows them: "SWEEP.yaml" */
    int n_min, n_max;     /* how many operands; n_max -1: any number */
    cli_operand operand;
    const char *about;             /* paragraphs, separated by an empty line */
    const cli_opt *opts;           /* ends with a NULL name; --help and --log are added to all */
    const char *examples;          /* lines "command # what it does" */
    int (*run)(const cli_args *a); /* returns an exit code */
    bool hidden;                   /* internal: not in help, man page or completion */
    const char *group;             /* heading in `skyline help` */
} cli_command;

extern const cli_command *const cli_commands[]; /* in the order of help; ends with NULL */
extern const cli_opt cli_common_opts[];

const cli_command *cli_command_find(const char *name);

/* ---- Arguments ---- */

struct cli_args {
    const cli_command *command;
    const char **operands; /* NULL-terminated */
    int n_operands;
    struct cli_value *values; /* one for each option of the command, then of the common ones */
};

/* Parses argv (without program and command name). A mistake is said on standard error and gives
 * false. *help is set where --help was given. Strings are borrowed from argv. Free with
 * cli_args_free(). */
bool cli_args_parse(cli_args *a, const cli_command *command, int argc, char **argv, bool *help);
void cli_args_free(cli_args *a);

/* The value of an option that the command declares (asserted); defaults are filled in. */
bool cli_given(const cli_args *a, const char *name); /* on the command line or in the environment */
bool cli_flag(const cli_args *a, const char *name);
const char *cli_text(const cli_args *a, const char *name); /* NULL: not given, and no default */
int64_t cli_int(const cli_args *a, const char *name);
uint64_t cli_size(const cli_args *a, const char *name);
int64_t cli_duration_ns(const cli_args *a, const char *name);
/* All values of an option that may be given several times; NULL-terminated. */
const char *const *cli_list(const cli_args *a, const char *name);

/* Says "skyline COMMAND: text" on standard error. cli_usage() adds where help is and gives
 * CLI_USAGE; cli_fail() gives CLI_FAILURE. */
int cli_usage(const cli_args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int cli_fail(const cli_args *a, const sky_error *e);
int cli_failf(const cli_args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* " (did you mean X?)" or "", in a static buffer. */
const char *cli_did_you_mean(const char *word, const char *const *list, size_t n);

/* ---- Help ---- */

void cli_help_overview(FILE *out);
void cli_help_command(FILE *out, const cli_command *c);
void cli_help_man(FILE *out);
void cli_help_markdown(FILE *out);
void cli_complete_bash(FILE *out);
void cli_complete_zsh(FILE *out);
void cli_complete_fish(FILE *out);

/* Writes b to standard output and frees it. CLI_FAILURE if it could not be built or written; a
 * reader that has gone (head) is no failure. */
int cli_print(sky_buf *b);

#endif
