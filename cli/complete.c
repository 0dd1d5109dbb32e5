/* Shell completion for bash, zsh and fish, from the table of commands. Names of jobs and sweeps
 * are asked from the program itself when a user presses the key. */
#include "cli/cli.h"

#include <string.h>

static void bash_words(FILE *out, const cli_command *c)
{
    for (const cli_opt *o = c->opts; o && o->name; o++) {
        if (!o->hidden)
            fprintf(out, "--%s ", o->name);
    }
    for (const cli_opt *o = cli_common_opts; o->name; o++)
        fprintf(out, "--%s ", o->name);
}

/* The case that completes the value of an option: choices, files or folders. */
static void bash_values(FILE *out, const cli_opt *o)
{
    if (o->type == CLI_FLAG || o->hidden)
        return;
    fprintf(out, "            --%s", o->name);
    if (o->letter)
        fprintf(out, "|-%c", o->letter);
    fputs(") ", out);
    if (o->type == CLI_CHOICE) {
        fputs("COMPREPLY=($(compgen -W '", out);
        for (size_t i = 0; o->choices[i]; i++)
            fprintf(out, "%s%s", i ? " " : "", o->choices[i]);
        fputs("' -- \"$cur\"));", out);
    } else if (o->type == CLI_FILE) {
        fputs("COMPREPLY=($(compgen -f -- \"$cur\"));", out);
    } else if (o->type == CLI_FOLDER) {
        fputs("COMPREPLY=($(compgen -d -- \"$cur\"));", out);
    }
    fputs(" return ;;\n", out);
}

static const char *bash_operand(cli_operand kind)
{
    switch (kind) {
    case CLI_SWEEP_FILE:
        return "COMPREPLY=($(compgen -f -X '!*.y*ml' -- \"$cur\") $(compgen -d -- \"$cur\"))";
    case CLI_SWEEP_NAME:
        return "COMPREPLY=($(compgen -W \"$(skyline sweeps --names 2>/dev/null)\" -- \"$cur\"))";
    case CLI_JOB:
        return "COMPREPLY=($(compgen -W \"$(skyline jobs --names 2>/dev/null)\" -- \"$cur\"))";
    case CLI_ANY_FILE:
        return "COMPREPLY=($(compgen -f -- \"$cur\"))";
    case CLI_NOTHING:
        break;
    }
    return ":";
}

void cli_complete_bash(FILE *out)
{
    fputs("# bash completion for skyline; made by 'skyline completion bash'.\n"
          "_skyline() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        COMPREPLY=($(compgen -W '",
          out);
    const cli_command *c;
    for (size_t at = 0; (c = cli_commands[at]); at++) {
        if (!c->hidden)
            fprintf(out, "%s ", c->name);
    }
    fputs("--help --version' -- \"$cur\"))\n        return\n    fi\n"
          "    case ${COMP_WORDS[1]} in\n",
          out);
    for (size_t at = 0; (c = cli_commands[at]); at++) {
        if (c->hidden)
            continue;
        fprintf(out, "    %s)\n        case $prev in\n", c->name);
        for (const cli_opt *o = c->opts; o && o->name; o++)
            bash_values(out, o);
        for (const cli_opt *o = cli_common_opts; o->name; o++)
            bash_values(out, o);
        fputs("        esac\n        if [[ $cur == -* ]]; then\n"
              "            COMPREPLY=($(compgen -W '",
              out);
        bash_words(out, c);
        fprintf(out, "' -- \"$cur\"))\n        else\n            %s\n        fi\n        ;;\n",
                bash_operand(c->operand));
    }
    fputs("    esac\n}\ncomplete -o filenames -F _skyline skyline\n", out);
}

/* Text inside single quotes, where zsh's _arguments also gives [ ] and : a meaning. */
static void zsh_text(FILE *out, const char *text)
{
    for (; *text && *text != '\n'; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else if (strchr("[]:\\", *text))
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
    }
}

static void zsh_option(FILE *out, const cli_opt *o)
{
    if (o->hidden)
        return;
    fprintf(out, "            '%s--%s%s[", o->many ? "*" : "", o->name,
            o->type == CLI_FLAG ? "" : "=");
    zsh_text(out, o->doc);
    fputc(']', out);
    if (o->type == CLI_CHOICE) {
        fprintf(out, ":%s:(", o->arg);
        for (size_t i = 0; o->choices[i]; i++)
            fprintf(out, "%s%s", i ? " " : "", o->choices[i]);
        fputc(')', out);
    } else if (o->type != CLI_FLAG) {
        fprintf(out, ":%s:%s", o->arg,
                o->type == CLI_FILE     ? "_files"
                : o->type == CLI_FOLDER ? "_files -/"
                                        : "");
    }
    fputs("' \\\n", out);
}

static const char *zsh_operand(cli_operand kind)
{
    switch (kind) {
    case CLI_SWEEP_FILE:
        return "_files -g \"*.y(a|)ml\"";
    case CLI_SWEEP_NAME:
        return "{compadd -- $(skyline sweeps --names 2>/dev/null)}";
    case CLI_JOB:
        return "{compadd -- $(skyline jobs --names 2>/dev/null)}";
    case CLI_ANY_FILE:
        return "_files";
    case CLI_NOTHING:
        break;
    }
    return "";
}

void cli_complete_zsh(FILE *out)
{
    fputs("#compdef skyline\n# zsh completion for skyline; made by 'skyline completion zsh'.\n"
          "_skyline() {\n    local -a commands=(\n",
          out);
    const cli_command *c;
    for (size_t at = 0; (c = cli_commands[at]); at++) {
        if (c->hidden)
            continue;
        fprintf(out, "        '%s:", c->name);
        zsh_text(out, c->summary);
        fputs("'\n", out);
    }
    fputs("    )\n    if (( CURRENT == 2 )); then\n        _describe command commands\n"
          "        return\n    fi\n    local command=$words[2]\n    shift words\n"
          "    (( CURRENT-- ))\n    case $command in\n",
          out);
    for (size_t at = 0; (c = cli_commands[at]); at++) {
        if (c->hidden)
            continue;
        fprintf(out, "    %s)\n        _arguments \\\n", c->name);
        for (const cli_opt *o = c->opts; o && o->name; o++)
            zsh_option(out, o);
        for (const cli_opt *o = cli_common_opts; o->name; o++)
            zsh_option(out, o);
        fprintf(out, "            '*:operand:%s'\n        ;;\n", zsh_operand(c->operand));
    }
    fputs("    esac\n}\n_skyline \"$@\"\n", out);
}

static void fish_text(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text && *text != '\n'; text++) {
        if (*text == '\'' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('\'', out);
}

static void fish_option(FILE *out, const char *command, const cli_opt *o)
{
    if (o->hidden)
        return;
    fprintf(out, "complete -c skyline -n '__fish_seen_subcommand_from %s' -l %s", command, o->name);
    if (o->letter)
        fprintf(out, " -s %c", o->letter);
    if (o->type == CLI_CHOICE) {
        fputs(" -x -a '", out);
        for (size_t i = 0; o->choices[i]; i++)
            fprintf(out, "%s%s", i ? " " : "", o->choices[i]);
        fputs("'", out);
    } else if (o->type != CLI_FLAG) {
        fputs(" -r", out);
    }
    fputs(" -d ", out);
    fish_text(out, o->doc);
    fputc('\n', out);
}

void cli_complete_fish(FILE *out)
{
    fputs("# fish completion for skyline; made by 'skyline completion fish'.\n", out);
    const cli_command *c;
    for (size_t at = 0; (c = cli_commands[at]); at++) {
        if (c->hidden)
            continue;
        fprintf(out, "complete -c skyline -f -n __fish_use_subcommand -a %s -d ", c->name);
        fish_text(out, c->summary);
        fputc('\n', out);
        for (const cli_opt *o = c->opts; o && o->name; o++)
            fish_option(out, c->name, o);
        for (const cli_opt *o = cli_common_opts; o->name; o++)
            fish_option(out, c->name, o);
        const char *from = c->operand == CLI_JOB          ? "(skyline jobs --names 2>/dev/null)"
                           : c->operand == CLI_SWEEP_NAME ? "(skyline sweeps --names 2>/dev/null)"
                                                          : NULL;
        if (from)
            fprintf(out, "complete -c skyline -f -n '__fish_seen_subcommand_from %s' -a '%s'\n",
                    c->name, from);
    }
}
