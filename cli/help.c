/* --help, the man page and docs/cli.md, all from the table of commands. */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/term.h"

static const char summary[] =
    "explore design spaces: run sweeps, record results, find Pareto fronts";

static const char exit_status[] =
    "0: it worked. 1: it failed, or a trial of the sweep failed. 2: wrong use. 130: interrupted; "
    "the same command goes on.";

static const struct {
    const char *name, *doc;
} environment[] = {
    {"SKYLINE_DB", "the store that commands use when --db is not given"},
    {"SKYLINE_CONNECT", "the coordinator that commands talk to when --connect is not given"},
    {"SKYLINE_KEYS", "the folder of CurveZMQ keys, before ~/.config/skyline/keys"},
    {"SKYLINE_PLUGINS", "plug-ins to load, separated by colons"},
    {"SKYLINE_LOG", "what to log: error, warn, info or debug"},
    {"NO_COLOR", "if set, nothing is coloured"},
};
enum { ENVIRONMENT_N = sizeof environment / sizeof *environment };

/* Writes text at the current column `at`, wrapped to width, following lines indented. A newline
 * in the text begins a new paragraph; lines that begin with a blank are kept as they are. */
static void wrap(FILE *out, const char *text, int at, int indent, int width)
{
    int column = at;
    bool first = true;
    while (*text) {
        if (*text == '\n') {
            fputc('\n', out);
            text++;
            column = 0;
            if (*text && *text != '\n') {
                fprintf(out, "%*s", indent, "");
                column = indent;
            }
            first = true;
            continue;
        }
        const size_t blanks = strspn(text, " ");
        if (blanks && first && column == indent) {
            const size_t len = strcspn(text, "\n");
            fwrite(text, 1, len, out);
            text += len;
            continue;
        }
        text += blanks;
        const size_t len = strcspn(text, " \n");
        if (len == 0)
            continue;
        char word[256];
        snprintf(word, sizeof word, "%.*s", (int)len, text);
        const int columns = (int)cli_text_columns(word);
        if (!first && column + 1 + columns > width) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
            first = true;
        }
        if (!first)
            fputc(' ', out);
        column += columns + !first;
        fwrite(text, 1, len, out);
        text += len;
        first = false;
    }
    fputc('\n', out);
}

static int help_width(FILE *out)
{
    const int w = cli_width(fileno(out));
    return w > 100 ? 100 : w < 60 ? 60 : w;
}

/* "-j, --jobs N" */
static void option_head(const cli_opt *o, char *buf, size_t len)
{
    char letter[8] = "";
    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(buf, len, "%s--%s%s%s", letter, o->name, o->type == CLI_FLAG ? "" : " ",
             o->type == CLI_FLAG ? "" : o->arg);
}

/* The doc with what the table knows besides: default, environment, "may be repeated". */
static char *option_doc(const cli_opt *o)
{
    sky_buf b = {0};
    sky_buf_puts(&b, o->doc);
    if (o->many)
        sky_buf_puts(&b, " May be given several times.");
    if (o->env && o->def)
        sky_buf_printf(&b, " Default: $%s, else %s.", o->env, o->def);
    else if (o->env)
        sky_buf_printf(&b, " Default: $%s.", o->env);
    else if (o->def)
        sky_buf_printf(&b, " Default: %s.", o->def);
    return sky_buf_detach(&b);
}

static void print_options(FILE *out, const cli_opt *opts, int width)
{
    enum { DOC_AT = 26 };
    for (; opts && opts->name; opts++) {
        if (opts->hidden)
            continue;
        char head[96];
        option_head(opts, head, sizeof head);
        const int pad = opts->letter ? 2 : 6;
        int at = fprintf(out, "%*s%s", pad, "", head);
        if (at > DOC_AT - 2) {
            fputc('\n', out);
            at = 0;
        }
        fprintf(out, "%*s", DOC_AT - at, "");
        char *doc = option_doc(opts);
        wrap(out, doc ? doc : opts->doc, DOC_AT, DOC_AT, width);
        free(doc);
    }
}

static void heading(FILE *out, const char *text)
{
    const bool colour = cli_colour(fileno(out));
    fprintf(out, "%s%s%s\n", cli_style(colour, CLI_BOLD), text, cli_style(colour, CLI_RESET));
}

/* An example line is "command # comment": the comment stands above it. */
static void print_examples(FILE *out, const char *examples)
{
    while (examples && *examples) {
        const size_t len = strcspn(examples, "\n");
        const char *mark = memmem(examples, len, " # ", 3);
        const int command = mark ? (int)(mark - examples) : (int)len;
        if (mark)
            fprintf(out, "  # %.*s\n", (int)len - command - 3, mark + 3);
        fprintf(out, "  %.*s\n", command, examples);
        examples += len + (examples[len] == '\n');
    }
}

void cli_help_command(FILE *out, const cli_command *c)
{
    const int width = help_width(out);
    fprintf(out, "skyline %s: ", c->name);
    wrap(out, c->summary, 10 + (int)strlen(c->name), 0, width);
    fputc('\n', out);
    heading(out, "Usage");
    fprintf(out, "  skyline %s%s%s [options]\n", c->name, c->operands[0] ? " " : "", c->operands);
    if (c->about) {
        fputc('\n', out);
        wrap(out, c->about, 0, 0, width);
    }
    fputc('\n', out);
    heading(out, "Options");
    print_options(out, c->opts, width);
    print_options(out, cli_common_opts, width);
    if (c->examples) {
        fputc('\n', out);
        heading(out, "Examples");
        print_examples(out, c->examples);
    }
}

void cli_help_overview(FILE *out)
{
    const int width = help_width(out);
    fprintf(out, "skyline " SKY_VERSION ": %s\n\n", summary);
    heading(out, "Usage");
    fputs("  skyline COMMAND [operands] [options]\n", out);
    const char *group = "";
    const cli_command *c;
    for (size_t at = 0; (c = cli_commands[at]); at++) {
        if (c->hidden)
            continue;
        if (strcmp(group, c->group) != 0) {
            group = c->group;
            fputc('\n', out);
            heading(out, group);
        }
        fprintf(out, "  %-12s ", c->name);
        wrap(out, c->summary, 15, 15, width);
    }
    fputs(
        "\n'skyline COMMAND --help' says more about one; 'skyline help --man' prints the manual.\n"
        "To begin: skyline run sweeps/examples/flexsa-resnet50.yaml\n",
        out);
}

/* ---- The man page ---- */

/* roff takes a line that begins with a dot or a quote as a request, and a backslash as an
 * escape. */
static void roff(FILE *out, const char *text)
{
    bool line_start = true;
    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        line_start = *text == '\n';
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else if (*text == '\n' && text[1] == '\n') {
            fputs("\n.PP\n", out);
            text++;
        } else
            fputc(*text, out);
    }
    fputc('\n', out);
}

static void man_options(FILE *out, const cli_opt *opts)
{
    for (; opts && opts->name; opts++) {
        if (opts->hidden)
            continue;
        char head[96];
        option_head(opts, head, sizeof head);
        fputs(".TP\n.B ", out);
        roff(out, head);
        char *doc = option_doc(opts);
        roff(out, doc ? doc : opts->doc);
        free(doc);
    }
}

static void man_examples(FILE *out, const char *examples)
{
    while (examples && *examples) {
        const size_t len = strcspn(examples, "\n");
        const char *mark = memmem(examples, len, " # ", 3);
        const size_t command = mark ? (size_t)(mark - examples) : len;
        char line[256];
        fputs(".PP\n", out);
        if (mark) {
            snprintf(line, sizeof line, "%.*s:", (int)(len - command - 3), mark + 3);
            roff(out, line);
        }
        fputs(".EX\n.in +4n\n", out);
        snprintf(line, sizeof line, "%.*s", (int)command, examples);
        roff(out, line);
        fputs(".in\n.EE\n", out);
        examples += len + (examples[len] == '\n');
    }
}

void cli_help_man(FILE *out)
{
    fputs(".\\\" Made by 'skyline help --man'; do not edit.\n"
          ".TH SKYLINE 1 \"\" \"skyline " SKY_VERSION "\" \"User Commands\"\n"
          ".SH NAME\nskyline \\- ",
          out);
    roff(out, summary);
    fputs(".SH SYNOPSIS\n.B skyline\n.I COMMAND\n[operands] [options]\n.SH COMMANDS\n", out);
    const cli_command *c;
    for (size_t at = 0; (c = cli_commands[at]); at++) {
        if (c->hidden)
            continue;
        fprintf(out, ".SS \"skyline %s %s [options]\"\n", c->name, c->operands);
        fprintf(out, "%c", c->summary[0] >= 'a' ? c->summary[0] - 32 : c->summary[0]);
        roff(out, c->summary + 1);
        if (c->about) {
            fputs(".PP\n", out);
            roff(out, c->about);
        }
        man_options(out, c->opts);
        man_examples(out, c->examples);
    }
    fputs(".SH COMMON OPTIONS\n", out);
    man_options(out, cli_common_opts);
    fputs(".SH EXIT STATUS\n", out);
    roff(out, exit_status);
    fputs(".SH ENVIRONMENT\n", out);
    for (size_t i = 0; i < ENVIRONMENT_N; i++) {
        fprintf(out, ".TP\n.B %s\n", environment[i].name);
        roff(out, environment[i].doc);
    }
    fputs(".SH FILES\n.TP\n.I skyline.db\nthe store, in the current folder unless \\-\\-db says "
          "otherwise\n.TP\n.I ~/.config/skyline/keys\nCurveZMQ keys\n",
          out);
}

/* ---- docs/cli.md ---- */

static void markdown_options(FILE *out, const cli_opt *opts)
{
    for (; opts && opts->name; opts++) {
        if (opts->hidden)
            continue;
        char head[96];
        option_head(opts, head, sizeof head);
        char *doc = option_doc(opts);
        fprintf(out, "- `%s`: %s\n", head, doc ? doc : opts->doc);
        free(doc);
    }
}

void cli_help_markdown(FILE *out)
{
    fprintf(
        out,
        "# The commands\n\n"
        "Made by `skyline help --markdown`; a test keeps it up to date. `skyline` is a program to "
        "%s.\n\nExit status: %s\n",
        summary, exit_status);
    const cli_command *c;
    for (size_t at = 0; (c = cli_commands[at]); at++) {
        if (c->hidden)
            continue;
        fprintf(out, "\n## skyline %s\n\n", c->name);
        fprintf(out, "    skyline %s%s%s [options]\n\n", c->name, c->operands[0] ? " " : "",
                c->operands);
        fprintf(out, "%c%s.\n", c->summary[0] >= 'a' ? c->summary[0] - 32 : c->summary[0],
                c->summary + 1);
        if (c->about)
            fprintf(out, "\n%s\n", c->about);
        if (c->opts && c->opts->name) {
            fputc('\n', out);
            markdown_options(out, c->opts);
        }
        if (c->examples) {
            fputs("\n```sh\n", out);
            for (const char *e = c->examples; *e; e += strcspn(e, "\n"), e += *e == '\n')
                fprintf(out, "%.*s\n", (int)strcspn(e, "\n"), e);
            fputs("```\n", out);
        }
    }
    fputs("\n## Options of every command\n\n", out);
    markdown_options(out, cli_common_opts);
    fputs("\n## Environment\n\n", out);
    for (size_t i = 0; i < ENVIRONMENT_N; i++)
        fprintf(out, "- `%s`: %s\n", environment[i].name, environment[i].doc);
}

int cli_print(sky_buf *b)
{
    bool ok = sky_buf_ok(b);
    if (!ok)
        fprintf(stderr, "skyline: %s\n", sky_strerror(SKY_ENOMEM));
    if (ok && b->len) {
        errno = 0;
        if (fwrite(b->data, 1, b->len, stdout) != b->len || fflush(stdout) != 0) {
            ok = errno == EPIPE; /* `skyline results ... | head` */
            if (!ok)
                perror("skyline: standard output");
        }
    }
    sky_buf_free(b);
    return ok ? CLI_OK : CLI_FAILURE;
}
