/* The option parser on a command of its own; the real commands are tested by help_test.sh. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static int nothing(const cli_args *a)
{
    (void)a;
    return CLI_OK;
}

static const char *const shapes[] = {"round", "square", NULL};
static const cli_opt opts[] = {
    {.name = "size",
     .letter = 's',
     .type = CLI_INT,
     .arg = "N",
     .def = "3",
     .min = -5,
     .max = 10,
     .doc = ""},
    {.name = "shape", .type = CLI_CHOICE, .arg = "S", .choices = shapes, .doc = ""},
    {.name = "set", .type = CLI_TEXT, .arg = "K=V", .many = true, .doc = ""},
    {.name = "room", .type = CLI_SIZE, .arg = "SIZE", .env = "SKY_TEST_ROOM", .doc = ""},
    {.name = "wait", .type = CLI_DURATION, .arg = "TIME", .doc = ""},
    {.name = "quiet", .letter = 'q', .doc = ""},
    {.name = "verbose", .letter = 'v', .doc = ""},
    {0},
};
static const cli_command command = {
    .name = "test",
    .summary = "",
    .operands = "A [B]",
    .n_min = 1,
    .n_max = 2,
    .opts = opts,
    .run = nothing,
    .group = "",
};

static bool parse(cli_args *a, const char *line, bool *help)
{
    static char words[256];
    char *argv[32];
    int argc = 0;
    snprintf(words, sizeof words, "%s", line);
    for (char *w = strtok(words, " "); w; w = strtok(NULL, " "))
        argv[argc++] = w;
    return cli_args_parse(a, &command, argc, argv, help);
}

Test(args, values_in_every_form)
{
    cli_args a;
    bool help;
    cr_assert(parse(&a, "one -s7 two --shape=round --set a=1 --set=b=2 -qv --room 2KiB --wait 1.5s",
                    &help));
    cr_assert_eq(a.n_operands, 2);
    cr_assert_str_eq(a.operands[1], "two");
    cr_assert_eq(cli_int(&a, "size"), 7);
    cr_assert_str_eq(cli_text(&a, "shape"), "round");
    cr_assert_str_eq(cli_list(&a, "set")[0], "a=1");
    cr_assert_str_eq(cli_list(&a, "set")[1], "b=2");
    cr_assert_null(cli_list(&a, "set")[2]);
    cr_assert(cli_flag(&a, "quiet") && cli_flag(&a, "verbose"));
    cr_assert_eq(cli_size(&a, "room"), 2048);
    cr_assert_eq(cli_duration_ns(&a, "wait"), 1500000000);
    cli_args_free(&a);
}

Test(args, defaults_environment_and_the_last_one)
{
    cli_args a;
    bool help;
    setenv("SKY_TEST_ROOM", "1MiB", 1);
    cr_assert(parse(&a, "one", &help));
    cr_assert_eq(cli_int(&a, "size"), 3);
    cr_assert(!cli_given(&a, "size"));
    cr_assert(cli_given(&a, "room"));
    cr_assert_eq(cli_size(&a, "room"), 1 << 20);
    cr_assert_null(cli_text(&a, "shape"));
    cr_assert_null(cli_list(&a, "set")[0]);
    cli_args_free(&a);
    cr_assert(parse(&a, "one --size 1 --size -5 -- --size", &help));
    cr_assert_eq(cli_int(&a, "size"), -5);
    cr_assert_str_eq(a.operands[1], "--size");
    cli_args_free(&a);
}

Test(args, help_needs_nothing_else)
{
    cli_args a;
    bool help = false;
    cr_assert(parse(&a, "--help", &help));
    cr_assert(help);
    cli_args_free(&a);
}

Test(args, mistakes_are_refused, .init = cr_redirect_stderr)
{
    static const char *const lines[] = {
        "",
        "one two three",
        "one --sise 1",
        "one --size",
        "one --size=x",
        "one --size 11",
        "one -s",
        "one -x",
        "one --quiet=1",
        "one --shape oval",
        "one --room 1XB",
        "one --wait x",
        "one --size=",
        "one --shape=",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        cli_args a;
        bool help;
        cr_expect(!parse(&a, lines[i], &help), "'%s' was accepted", lines[i]);
        cli_args_free(&a);
    }
}

Test(args, every_option_of_every_command_is_sound)
{
    for (size_t i = 0; cli_commands[i]; i++) {
        const cli_command *c = cli_commands[i];
        cr_expect(c->run && c->summary && c->operands && c->group, "%s is incomplete", c->name);
        for (const cli_opt *o = c->opts; o && o->name; o++) {
            cr_expect(o->doc && o->doc[0], "%s --%s has no doc", c->name, o->name);
            cr_expect(o->type == CLI_FLAG || o->arg, "%s --%s names no value", c->name, o->name);
            cr_expect(o->type != CLI_CHOICE || o->choices, "%s --%s has no choices", c->name,
                      o->name);
            cr_expect(o->type != CLI_INT || o->min < o->max, "%s --%s has no range", c->name,
                      o->name);
            for (const cli_opt *p = c->opts; p < o; p++)
                cr_expect(strcmp(p->name, o->name) != 0 && (!o->letter || p->letter != o->letter),
                          "%s has --%s twice", c->name, o->name);
        }
    }
}
