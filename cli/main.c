/* Finds the command and runs it. Nothing here touches a socket, a file or a library: `--help` and
 * `--version` answer in a few milliseconds. */
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli.h"

static void set_log_level(const cli_args *a)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    const char *level = cli_text(a, "log");
    for (int i = 0; level && i < 4; i++) {
        if (strcmp(level, names[i]) == 0)
            sky_log_set_level((sky_log_level)i);
    }
}

static int unknown_command(const char *word)
{
    const char *names[64];
    size_t n = 0;
    for (size_t i = 0; cli_commands[i] && n < 64; i++) {
        if (!cli_commands[i]->hidden)
            names[n++] = cli_commands[i]->name;
    }
    fprintf(stderr, "skyline: '%s' is no command%s\nTry 'skyline --help'.\n", word,
            cli_did_you_mean(word, names, n));
    return CLI_USAGE;
}

static int run_command(const cli_command *c, int argc, char **argv)
{
    cli_args a;
    bool help = false;
    int code = CLI_USAGE;
    if (cli_args_parse(&a, c, argc, argv, &help)) {
        if (help) {
            cli_help_command(stdout, c);
            code = CLI_OK;
        } else {
            set_log_level(&a);
            code = c->run(&a);
        }
    }
    cli_args_free(&a);
    if (fflush(stdout) != 0 && code == CLI_OK)
        code = CLI_FAILURE;
    return code;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* a reader that leaves is seen as EPIPE, not as a death */
    if (argc < 2) {
        cli_help_overview(stderr);
        return CLI_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        cli_help_overview(stdout);
        return CLI_OK;
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        puts("skyline " SKY_VERSION);
        return CLI_OK;
    }
    const cli_command *c = cli_command_find(word);
    if (!c)
        return unknown_command(word);
    return run_command(c, argc - 2, argv + 2);
}
