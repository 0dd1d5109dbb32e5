/* The list of commands, and the small ones that print the program's own documentation. */
#include "cli/commands.h"

#include <string.h>

static int run_help(const cli_args *a)
{
    if (cli_flag(a, "man")) {
        cli_help_man(stdout);
    } else if (cli_flag(a, "markdown")) {
        cli_help_markdown(stdout);
    } else if (a->n_operands == 0) {
        cli_help_overview(stdout);
    } else {
        const cli_command *c = cli_command_find(a->operands[0]);
        if (!c)
            return cli_usage(a, "'%s' is no command", a->operands[0]);
        cli_help_command(stdout, c);
    }
    return CLI_OK;
}

static const cli_opt help_opts[] = {
    {.name = "man", .doc = "Print the manual page (roff), for 'man -l -'."},
    {.name = "markdown", .doc = "Print docs/cli.md."},
    {0},
};

static const cli_command help_command = {
    .name = "help",
    .summary = "show help for a command, or the manual page",
    .operands = "[COMMAND]",
    .n_max = 1,
    .opts = help_opts,
    .examples = "skyline help run # the options of run\n"
                "skyline help --man | man -l - # the manual page\n",
    .run = run_help,
    .group = "The program",
};

static int run_completion(const cli_args *a)
{
    const char *shell = a->operands[0];
    static const char *const shells[] = {"bash", "zsh", "fish"};
    if (strcmp(shell, "bash") == 0)
        cli_complete_bash(stdout);
    else if (strcmp(shell, "zsh") == 0)
        cli_complete_zsh(stdout);
    else if (strcmp(shell, "fish") == 0)
        cli_complete_fish(stdout);
    else
        return cli_usage(a, "no completion for '%s': bash, zsh or fish%s", shell,
                         cli_did_you_mean(shell, shells, 3));
    return CLI_OK;
}

static const cli_command completion_command = {
    .name = "completion",
    .summary = "print shell completion for bash, zsh or fish",
    .operands = "bash|zsh|fish",
    .n_min = 1,
    .n_max = 1,
    .examples = "source <(skyline completion bash) # for this shell\n"
                "skyline completion fish > ~/.config/fish/completions/skyline.fish # for fish\n",
    .run = run_completion,
    .group = "The program",
};

static const char *const log_levels[] = {"error", "warn", "info", "debug", NULL};

const cli_opt cli_common_opts[] = {
    {.name = "log",
     .type = CLI_CHOICE,
     .arg = "LEVEL",
     .choices = log_levels,
     .env = "SKYLINE_LOG",
     .doc = "What is logged on standard error: error, warn, info or debug."},
    {.name = "help", .letter = 'h', .doc = "Show this help."},
    {0},
};

/* One command a line. */
/* clang-format off */
const cli_command *const cli_commands[] = {
    &cli_run_command,
    &cli_check_command,
    &cli_jobs_command,
    &cli_eval_command,
    &cli_results_command,
    &cli_front_command,
    &cli_sweeps_command,
    &cli_failures_command,
    &cli_sql_command,
    &cli_dash_command,
    &cli_tag_command,
    &cli_delete_command,
    &cli_merge_command,
    &cli_backup_command,
    &cli_verify_command,
    &cli_coordinator_command,
    &cli_worker_command,
    &cli_submit_command,
    &cli_status_command,
    &cli_pause_command,
    &cli_resume_command,
    &cli_cancel_command,
    &cli_retry_command,
    &cli_priority_command,
    &cli_shutdown_command,
    &cli_keys_command,
    &help_command,
    &completion_command,
    &cli_executor_command,
    NULL,
};
/* clang-format on */

const cli_command *cli_command_find(const char *name)
{
    for (size_t i = 0; cli_commands[i]; i++) {
        if (strcmp(cli_commands[i]->name, name) == 0)
            return cli_commands[i];
    }
    return NULL;
}
