/* PLUGIN_DIR is where CMake put the libraries. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/registry.h"

static sky_err load(const char *file, sky_error *e)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", PLUGIN_DIR, file);
    return sky_plugin_load(path, e);
}

Test(plugin, example_loads_once_and_evaluates)
{
    sky_error e = {0};
    cr_assert_null(sky_job_find("beam"));
    cr_assert_eq(load("beam.so", &e), SKY_OK, "%s", e.text);
    const sky_job *beam = sky_job_find("beam");
    cr_assert_not_null(beam);
    size_t n = sky_job_list(NULL, 0);
    cr_assert_eq(load("beam.so", &e), SKY_OK, "%s", e.text);
    cr_assert_eq(sky_job_list(NULL, 0), n);

    sky_arena scratch = {0};
    sky_job_ctx ctx;
    sky_job_ctx_init(&ctx, &scratch);
    /* width 0.05 m, height 0.1 m, length 2 m, steel: deflection = F L^3 / (3 E I). */
    sky_value params[8];
    for (size_t p = 0; p < beam->d.n_params; p++)
        params[p] = beam->d.params[p].def;
    cr_assert_eq(sky_job_check(beam, params, &e), SKY_OK, "%s", e.text);
    sky_value metrics[8] = {{0}};
    cr_assert_eq(beam->run(&ctx, params, metrics, &e), SKY_OK, "%s", e.text);
    double inertia = 0.05 * 0.1 * 0.1 * 0.1 / 12;
    cr_assert_float_eq(metrics[1].f, 1000 * 2.0 * 2 * 2 / (3 * 200e9 * inertia), 1e-12);
    sky_arena_free(&scratch);
}

static void expect_refused(const char *file, sky_err want, const char *word)
{
    sky_error e = {0};
    size_t n = sky_job_list(NULL, 0);
    cr_assert_eq(load(file, &e), want, "%s: %s", file, e.text);
    cr_assert(strstr(e.text, word), "%s: '%s' is not in '%s'", file, word, e.text);
    cr_assert_eq(sky_job_list(NULL, 0), n, "%s: jobs were added", file);
}

Test(plugin, bad_ones_are_refused_with_a_reason)
{
    expect_refused("no_such_file.so", SKY_ENOTFOUND, "no such file");
    expect_refused("bad_plugin_1.so", SKY_EVERSION, "compile the plug-in again");
    expect_refused("bad_plugin_2.so", SKY_EEXISTS, "noop");
    expect_refused("bad_plugin_3.so", SKY_EFORMAT, "same name");
    expect_refused("bad_plugin_4.so", SKY_EFORMAT, "no function");
    expect_refused("bad_plugin_5.so", SKY_EFORMAT, "skyline_plugin");
}

Test(plugin, a_text_file_is_no_plugin)
{
    sky_error e = {0};
    cr_assert_eq(sky_plugin_load("/etc/passwd", &e), SKY_EFORMAT);
    cr_assert(strstr(e.text, "passwd"), "%s", e.text);
    cr_assert_neq(sky_plugin_load("/", &e), SKY_OK);
}

Test(plugin, environment_lists_files)
{
    sky_error e = {0};
    char list[8192];
    unsetenv("SKYLINE_PLUGINS");
    cr_assert_eq(sky_plugin_load_env(&e), SKY_OK);
    snprintf(list, sizeof list, ":%s/beam.so::%s/beam.so", PLUGIN_DIR, PLUGIN_DIR);
    setenv("SKYLINE_PLUGINS", list, 1);
    cr_assert_eq(sky_plugin_load_env(&e), SKY_OK, "%s", e.text);
    cr_assert_not_null(sky_job_find("beam"));
    setenv("SKYLINE_PLUGINS", "/no/such.so", 1);
    cr_assert_eq(sky_plugin_load_env(&e), SKY_ENOTFOUND);
    cr_assert(strstr(e.text, "SKYLINE_PLUGINS"), "%s", e.text);
}
