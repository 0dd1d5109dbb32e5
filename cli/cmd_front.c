/* `skyline front`: the trials or points that no other dominates, as rows and as a picture. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/frontplot.h"
#include "cli/readstore.h"
#include "cli/term.h"

enum { TABLE_ROWS = 40 };

/* "a:min,b:max" in place; a goal may be left out where the job knows it. */
static bool parse_objectives(const cli_args *a, char *list, sky_objective *out, size_t *n)
{
    for (char *at = list; at;) {
        char *next = strchr(at, ','), *colon = NULL;
        if (next)
            *next++ = 0;
        if (*n == SKY_OBJECTIVES_MAX)
            return cli_usage(a, "--objectives: at most %d", SKY_OBJECTIVES_MAX), false;
        colon = strchr(at, ':');
        if (colon)
            *colon++ = 0;
        sky_goal goal = SKY_NO_GOAL;
        if (colon && strcmp(colon, "min") == 0)
            goal = SKY_MIN;
        else if (colon && strcmp(colon, "max") == 0)
            goal = SKY_MAX;
        else if (colon)
            return cli_usage(a, "--objectives: the goal '%s' is neither min nor max", colon), false;
        out[(*n)++] = (sky_objective){.name = at, .goal = goal};
        at = next;
    }
    return true;
}

static bool parse_reference(const cli_args *a, double *reference, size_t *n)
{
    for (const char *at = cli_text(a, "reference"); *at;) {
        char word[64];
        const size_t len = strcspn(at, ",");
        snprintf(word, sizeof word, "%.*s", (int)len, at);
        if (*n == SKY_OBJECTIVES_MAX || sky_parse_f64(word, &reference[*n]) != SKY_OK)
            return cli_usage(a, "--reference: '%s' is not a number", word), false;
        ++*n;
        at += len + (at[len] == ',');
    }
    return true;
}

static void add_left_out(sky_buf *b, uint64_t n, const char *why)
{
    char text[32];
    if (n)
        sky_buf_printf(b, "; %s %s", sky_format_count(n, text, sizeof text), why);
}

/* What a table says below its rows. */
static sky_err print_notes(sky_fronts *fronts, FILE *out, sky_error *e)
{
    sky_fronts_view v;
    sky_buf b = {0};
    char n[32], all[32];
    const sky_err err = sky_fronts_view_get(fronts, &v, e);
    if (err != SKY_OK)
        return err;
    const char *what = v.by_point ? "point" : "trial";
    sky_buf_printf(&b, "front: %s of %s %ss", sky_format_count(v.n, n, sizeof n),
                   sky_format_count(v.considered, all, sizeof all), what);
    add_left_out(&b, v.infeasible, "infeasible");
    add_left_out(&b, v.without_value, "without a value");
    if (v.has_knee)
        sky_buf_printf(&b, "; knee: %s %" PRIu64, what, v.ids[v.knee]);
    if (v.has_hypervolume) {
        sky_buf_puts(&b, "\nhypervolume: ");
        sky_buf_f64(&b, v.hypervolume);
    }
    fprintf(out, "%s\n", sky_buf_str(&b));
    sky_buf_free(&b);
    return SKY_OK;
}

static int draw(const cli_args *a, const cli_plot *p, const char *path)
{
    sky_error e = {0};
    sky_buf out = {0};
    if (strcmp(path, "-") == 0) {
        sky_buf_putc(&out, '\n');
        cli_plot_terminal(p, &out, cli_width(STDOUT_FILENO), cli_height(STDOUT_FILENO) - 6,
                          cli_colour(STDOUT_FILENO), cli_unicode());
        return cli_print(&out);
    }
    if (cli_plot_file(p, path, &e) != SKY_OK)
        return cli_fail(a, &e);
    fprintf(stderr, "wrote %s\n", path);
    return CLI_OK;
}

static int plot(const cli_args *a, sky_store *s, sky_fronts *fronts)
{
    sky_error e = {0};
    sky_sweep_info info = {0};
    sky_plan *plan = NULL;
    cli_frontplot f = {0};
    int code = CLI_FAILURE;
    sky_err err = sky_store_sweep_find(s, sky_fronts_sweep(fronts), &info, &e);
    if (err == SKY_OK)
        err = sky_plan_load(&plan, info.plan, strlen(info.plan), &e);
    if (err == SKY_OK)
        err = cli_frontplot_load(&f, fronts, plan, cli_flag(a, "infeasible"), &e);
    if (err != SKY_OK)
        code = cli_fail(a, &e);
    else if (f.plot.k < 2 || f.plot.k > CLI_PLOT_OBJECTIVES_MAX)
        code = cli_usage(a, "a plot needs 2 to %d objectives, not %zu", CLI_PLOT_OBJECTIVES_MAX,
                         f.plot.k);
    else
        code = draw(a, &f.plot, cli_text(a, "plot"));
    cli_frontplot_free(&f);
    sky_plan_free(plan);
    sky_sweep_info_free(&info);
    return code;
}

/* A wrong name is told before anything is computed. */
static bool check_plot(const cli_args *a)
{
    const char *path = cli_text(a, "plot");
    if (!path)
        return true;
    const bool terminal = strcmp(path, "-") == 0;
    if (terminal && cli_format_of(a) != SKY_FORMAT_TABLE)
        return cli_usage(a, "--plot - goes with --format table; give the plot a file name"), false;
    const char *dot = strrchr(path, '.');
    if (!terminal && (!dot || (strcmp(dot, ".svg") != 0 && strcmp(dot, ".png") != 0)))
        return cli_usage(a, "--plot: '%s' ends in neither .svg nor .png (- is the terminal)", path),
               false;
    return true;
}

static int show(const cli_args *a, sky_store *s, const sky_fronts_options *o)
{
    sky_error e = {0};
    sky_fronts *fronts = NULL;
    uint64_t rows = 0;
    int code;
    sky_err err = sky_fronts_open(&fronts, s, a->operands[0], o, &e);
    if (err == SKY_OK)
        err = sky_fronts_refresh(fronts, NULL, &e);
    sky_export_options out = cli_export_options(a, TABLE_ROWS);
    out.brief = true;
    if (err == SKY_OK)
        err = sky_export_front(fronts, &out, &rows, &e);
    code = cli_export_end(a, &out, err, rows, &e);
    if (code == CLI_OK && err == SKY_OK &&
        print_notes(fronts, out.format == SKY_FORMAT_TABLE ? stdout : stderr, &e) != SKY_OK)
        code = cli_fail(a, &e);
    if (code == CLI_OK && err == SKY_OK && cli_given(a, "plot"))
        code = plot(a, s, fronts);
    sky_fronts_close(fronts);
    return code;
}

/* How many objectives there will be: those given, or the sweep's own. */
static int count_objectives(const cli_args *a, sky_store *s, size_t given, size_t *k)
{
    sky_error e = {0};
    sky_fronts *f = NULL;
    sky_fronts_view v;
    int code = CLI_OK;
    *k = given;
    if (given)
        return CLI_OK;
    sky_err err = sky_fronts_open(&f, s, a->operands[0], &(sky_fronts_options){0}, &e);
    if (err == SKY_OK)
        err = sky_fronts_view_get(f, &v, &e);
    if (err == SKY_OK)
        *k = v.k;
    else
        code = err == SKY_EINVAL ? cli_usage(a, "%s", e.text) : cli_fail(a, &e);
    sky_fronts_close(f);
    return code;
}

static int run_front(const cli_args *a)
{
    sky_store *s = NULL;
    sky_objective objectives[SKY_OBJECTIVES_MAX];
    double reference[SKY_OBJECTIVES_MAX];
    size_t n_objectives = 0, n_reference = 0, k = 0;
    char *list = sky_strdup(cli_text(a, "objectives"));
    const char *by = cli_text(a, "by");
    int code = CLI_USAGE;
    if (!check_plot(a) || (list && !parse_objectives(a, list, objectives, &n_objectives)) ||
        (cli_given(a, "reference") && !parse_reference(a, reference, &n_reference)))
        goto done;
    code = CLI_FAILURE;
    if (!cli_store_read(a, &s))
        goto done;
    const sky_fronts_options options = {
        .objectives = list ? objectives : NULL,
        .n_objectives = n_objectives,
        .by_trial = by && strcmp(by, "trial") == 0,
        .infeasible = cli_flag(a, "infeasible"),
        .reference = n_reference ? reference : NULL,
    };
    code = n_reference ? count_objectives(a, s, n_objectives, &k) : CLI_OK;
    if (code == CLI_OK && n_reference != k)
        code = cli_usage(a, "--reference: expected %zu numbers, one for each objective", k);
    if (code == CLI_OK)
        code = show(a, s, &options);
done:
    free(list);
    sky_store_close(s);
    return code;
}

static const char *const groupings[] = {"point", "trial", NULL};

static const cli_opt opts[] = {
    CLI_OPT_DB,
    {.name = "objectives",
     .letter = 'o',
     .type = CLI_TEXT,
     .arg = "A:min,B:max",
     .doc = "Metrics, derived metrics or parameters, each with its goal. Default: the sweep's."},
    {.name = "by",
     .type = CLI_CHOICE,
     .arg = "WHAT",
     .choices = groupings,
     .def = "point",
     .doc = "point: over the means of a point's repeats, with their standard deviation (_sd); "
            "trial: each "
            "trial by itself."},
    {.name = "infeasible", .doc = "Do not leave out trials that violate the sweep's constraints."},
    CLI_OPT_LIMIT("40"),
    CLI_OPT_FORMAT,
    CLI_OPT_JSON_FORMAT,
    {.name = "plot",
     .type = CLI_FILE,
     .arg = "FILE",
     .doc = "Draw the front: FILE.svg, FILE.png, or - for the terminal."},
    {.name = "reference",
     .type = CLI_TEXT,
     .arg = "X,Y,...",
     .doc = "Also compute the hypervolume that the front dominates, bounded by this point."},
    {0},
};

const cli_command cli_front_command = {
    .name = "front",
    .summary = "print and draw the Pareto front of a sweep",
    .operands = "SWEEP",
    .n_min = 1,
    .n_max = 1,
    .operand = CLI_SWEEP_NAME,
    .about = "A trial is on the front if no other is at least as good in every objective and "
             "better in one. "
             "Trials that violate the sweep's constraints, or lack an objective's value, stay off "
             "it. Rows come "
             "with the best value of the first objective first.\n\n"
             "The knee is the point that bulges farthest towards the ideal.",
    .opts = opts,
    .examples = "skyline front flexsa-resnet50 --plot - # a table and a plot in the terminal\n"
                "skyline front flexsa-resnet50 -o gbuf_bytes:min,time_s:min --plot front.svg # "
                "other objectives\n"
                "skyline front flexsa-resnet50 --format csv > front.csv # for other tools\n",
    .run = run_front,
    .group = CLI_GROUP_LOOK,
};
