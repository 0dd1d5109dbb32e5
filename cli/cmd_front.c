/* `skyline front`: the trials or points that no other dominates, as rows and as a picture. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/columns_meta.h"
#include "cli/commands.h"
#include "cli/frontload.h"
#include "cli/plot.h"
#include "cli/readguard.h"
#include "cli/readstore.h"
#include "cli/term.h"
#include "sweeps/plan.h"

enum { TABLE_ROWS = 40 };

typedef struct front_command {
    const cli_args *args;
    sky_store *store;
    sky_sweep_info sweep;
    cli_columns columns;
    sky_objective objectives[SKY_OBJECTIVES_MAX];
    size_t k;
    cli_front_query query;
    cli_front_data data;
    size_t *order;
    sky_arena arena;
} front_command;

/* ---- Objectives ---- */

/* "a:min,b:max"; a goal may be left out where the job knows it. */
static int parse_objectives(front_command *f, const char *list)
{
    const cli_args *a = f->args;
    sky_error e = {0};
    for (const char *at = list; *at;) {
        const size_t len = strcspn(at, ",");
        char *name = sky_arena_strndup(&f->arena, at, len);
        at += len + (at[len] == ',');
        if (!name || f->k == SKY_OBJECTIVES_MAX)
            return cli_usage(a, "at most %d objectives", SKY_OBJECTIVES_MAX);
        char *colon = strchr(name, ':');
        if (colon)
            *colon++ = 0;
        const cli_column *c = cli_column_find(&f->columns, name);
        if (!c) {
            cli_column_unknown(&f->columns, name, &e);
            return cli_usage(a, "--objectives: %s", e.text);
        }
        if (c->type == SKY_TEXT)
            return cli_usage(a, "--objectives: %s is text, not a number", name);
        sky_goal goal = c->goal;
        if (colon && strcmp(colon, "min") == 0)
            goal = SKY_MIN;
        else if (colon && strcmp(colon, "max") == 0)
            goal = SKY_MAX;
        else if (colon)
            return cli_usage(a, "--objectives: the goal '%s' is neither min nor max", colon);
        if (goal == SKY_NO_GOAL)
            return cli_usage(a, "--objectives: say which way %s is better: %s:min or %s:max", name,
                             name, name);
        f->objectives[f->k++] = (sky_objective){.name = name, .goal = goal};
    }
    return CLI_OK;
}

static int find_objectives(front_command *f)
{
    sky_error e = {0};
    int code = CLI_OK;
    if (cli_given(f->args, "objectives"))
        code = parse_objectives(f, cli_text(f->args, "objectives"));
    else if (cli_objectives_read(f->store, f->sweep.id, &f->arena, f->objectives,
                                 SKY_OBJECTIVES_MAX, &f->k, &e) != SKY_OK)
        code = cli_fail(f->args, &e);
    if (code == CLI_OK && f->k == 0)
        code = cli_usage(f->args, "sweep %s names no objectives: give --objectives a:min,b:max",
                         f->sweep.name);
    return code;
}

/* ---- Rows ---- */

/* The parameters that differ somewhere in the sweep: a table shows no others. */
static sky_err varying(front_command *f, bool *shown, sky_error *e)
{
    sky_buf sql = {0};
    sqlite3_stmt *q = NULL;
    sky_buf_puts(&sql, "SELECT 1");
    for (size_t i = 0; i < f->columns.n; i++) {
        shown[i] = f->columns.c[i].role == CLI_PARAM;
        if (!shown[i])
            continue;
        sky_buf_puts(&sql, ", min(");
        sky_buf_sql_name(&sql, f->columns.c[i].name);
        sky_buf_puts(&sql, ") IS NOT max(");
        sky_buf_sql_name(&sql, f->columns.c[i].name);
        sky_buf_puts(&sql, ")");
    }
    sky_buf_puts(&sql, " FROM ");
    sky_buf_sql_name(&sql, f->sweep.name);
    sky_err err = cli_prepare(f->store, sky_buf_str(&sql), &q, e);
    if (err == SKY_OK && sqlite3_step(q) == SQLITE_ROW) {
        for (int i = 0, at = 1; i < (int)f->columns.n; i++) {
            if (f->columns.c[i].role == CLI_PARAM)
                shown[i] = sqlite3_column_int(q, at++) != 0;
        }
    }
    sqlite3_finalize(q);
    sky_buf_free(&sql);
    return err;
}

static bool is_objective(const front_command *f, const char *name)
{
    for (size_t j = 0; j < f->k; j++) {
        if (strcmp(f->objectives[j].name, name) == 0)
            return true;
    }
    return false;
}

/* The front as a JSON list that SQLite joins with the table: rows in our order, with all columns. */
static void front_as_json(const front_command *f, sky_buf *json, size_t rows)
{
    const cli_front_data *d = &f->data;
    sky_buf_putc(json, '[');
    for (size_t r = 0; r < rows; r++) {
        const size_t i = f->order[r];
        sky_buf_printf(json, "%s[%" PRIu64, r ? "," : "", d->ids[i]);
        if (d->repeats) {
            sky_buf_printf(json, ",%u", d->repeats[i]);
            for (size_t j = 0; j < d->k; j++) {
                sky_buf_putc(json, ',');
                sky_buf_json_f64(json, d->values[j][i]);
                sky_buf_putc(json, ',');
                sky_buf_json_f64(json, d->spread[j][i]);
            }
        }
        sky_buf_putc(json, ']');
    }
    sky_buf_putc(json, ']');
}

static void rows_sql(const front_command *f, const bool *shown, sky_buf *sql)
{
    const bool by_point = f->query.points > 0;
    if (by_point)
        sky_buf_printf(sql, "SELECT t.trial %% %" PRIu64 " AS point", f->query.points);
    else
        sky_buf_puts(sql, "SELECT t.trial AS trial");
    for (size_t j = 0; j < f->k; j++) {
        sky_buf name = {0};
        sky_buf_puts(sql, ", ");
        if (by_point) {
            sky_buf_printf(sql, "json_extract(f.value, '$[%zu]') AS ", 2 + 2 * j);
            sky_buf_sql_name(sql, f->objectives[j].name);
            sky_buf_printf(&name, "%s_sd", f->objectives[j].name);
            sky_buf_printf(sql, ", json_extract(f.value, '$[%zu]') AS ", 3 + 2 * j);
            sky_buf_sql_name(sql, sky_buf_str(&name));
        } else {
            sky_buf_puts(sql, "t.");
            sky_buf_sql_name(sql, f->objectives[j].name);
        }
        sky_buf_free(&name);
    }
    if (by_point)
        sky_buf_puts(sql, ", json_extract(f.value, '$[1]') AS repeats");
    for (size_t i = 0; i < f->columns.n; i++) {
        if (!shown[i] || is_objective(f, f->columns.c[i].name))
            continue;
        sky_buf_puts(sql, ", t.");
        sky_buf_sql_name(sql, f->columns.c[i].name);
    }
    sky_buf_puts(sql, " FROM json_each(?1) AS f CROSS JOIN ");
    sky_buf_sql_name(sql, f->sweep.name);
    sky_buf_puts(sql, " AS t ON t.trial = json_extract(f.value, '$[0]') ORDER BY f.key");
}

static sky_err print_rows(front_command *f, cli_format format, sky_error *e)
{
    bool shown[SKY_PARAMS_MAX + 2 * SKY_METRICS_MAX] = {false};
    sky_buf sql = {0}, json = {0};
    sqlite3_stmt *q = NULL;
    sky_err err = SKY_OK;
    const uint64_t limit = cli_given(f->args, "limit") ? (uint64_t)cli_int(f->args, "limit")
                           : format == CLI_TABLE       ? TABLE_ROWS
                                                       : 0;
    const size_t rows = limit && limit < f->data.n_front ? (size_t)limit : f->data.n_front;
    if (format == CLI_TABLE) {
        err = varying(f, shown, e);
    } else {
        for (size_t i = 0; i < f->columns.n; i++)
            shown[i] = f->columns.c[i].role == CLI_PARAM;
    }
    rows_sql(f, shown, &sql);
    front_as_json(f, &json, rows);
    if (err == SKY_OK)
        err = cli_prepare(f->store, sky_buf_str(&sql), &q, e);
    if (err == SKY_OK) {
        sqlite3_bind_text(q, 1, sky_buf_str(&json), -1, SQLITE_STATIC);
        err = cli_rows_print(q, format, 0, NULL, e);
    }
    sqlite3_finalize(q);
    sky_buf_free(&sql);
    sky_buf_free(&json);
    if (err == SKY_OK && rows < f->data.n_front && format == CLI_TABLE) {
        fflush(stdout);
        fprintf(stderr, "%zu of %zu rows; --limit 0 shows all\n", rows, f->data.n_front);
    }
    return err;
}

/* ---- What a table says below ---- */

static sky_err rows_of_front(const front_command *f, double **out)
{
    double *v = malloc((f->data.n_front * f->k + 1) * sizeof *v);
    if (!v)
        return SKY_ENOMEM;
    for (size_t r = 0; r < f->data.n_front; r++) {
        for (size_t j = 0; j < f->k; j++)
            v[r * f->k + j] = f->data.values[j][f->order[r]];
    }
    *out = v;
    return SKY_OK;
}

static bool parse_reference(const front_command *f, double *reference)
{
    const char *at = cli_text(f->args, "reference");
    size_t j = 0;
    while (*at && j < f->k) {
        char word[64];
        const size_t len = strcspn(at, ",");
        snprintf(word, sizeof word, "%.*s", (int)len, at);
        if (sky_parse_f64(word, &reference[j]) != SKY_OK || !isfinite(reference[j]))
            break;
        j++;
        at += len + (at[len] == ',');
    }
    if (j == f->k && !*at)
        return true;
    cli_usage(f->args,
              "--reference: expected %zu numbers separated by commas, in the order of the "
              "objectives",
              f->k);
    return false;
}

static int print_notes(const front_command *f, FILE *out)
{
    double reference[SKY_OBJECTIVES_MAX], volume = 0, *rows = NULL;
    size_t knee;
    sky_goal goals[SKY_OBJECTIVES_MAX];
    const bool wants_volume = cli_given(f->args, "reference");
    if (wants_volume && !parse_reference(f, reference))
        return CLI_USAGE;
    if (rows_of_front(f, &rows) != SKY_OK)
        return cli_failf(f->args, "%s", sky_strerror(SKY_ENOMEM));
    for (size_t j = 0; j < f->k; j++)
        goals[j] = f->objectives[j].goal;
    char a[32], b[32];
    fprintf(out, "%s of %s %s on the front", sky_format_count(f->data.n_front, a, sizeof a),
            sky_format_count(f->data.n, b, sizeof b),
            f->query.points ? (f->data.n == 1 ? "point is" : "points are")
                            : (f->data.n == 1 ? "trial is" : "trials are"));
    if (f->data.n_left_out)
        fprintf(out, "; %zu without a value of an objective left out", f->data.n_left_out);
    if (sky_knee(rows, f->data.n_front, f->k, goals, &knee))
        fprintf(out, "; knee: %s %" PRIu64, f->query.points ? "point" : "trial",
                f->query.points ? f->data.ids[f->order[knee]] % f->query.points
                                : f->data.ids[f->order[knee]]);
    fputc('\n', out);
    int code = CLI_OK;
    if (wants_volume &&
        sky_hypervolume(rows, f->data.n_front, f->k, goals, reference, &volume) == SKY_OK) {
        sky_buf text = {0};
        sky_buf_f64(&text, volume);
        fprintf(out, "hypervolume: %s\n", sky_buf_str(&text));
        sky_buf_free(&text);
    } else if (wants_volume) {
        code = cli_failf(f->args, "the hypervolume cannot be computed");
    }
    free(rows);
    return code;
}

/* ---- The picture ---- */

static int plot(front_command *f, const char *path)
{
    cli_axis axes[SKY_OBJECTIVES_MAX];
    sky_error e = {0};
    if (f->k < 2 || f->k > CLI_PLOT_OBJECTIVES_MAX)
        return cli_usage(f->args, "a plot needs 2 to %d objectives, not %zu",
                         CLI_PLOT_OBJECTIVES_MAX, f->k);
    for (size_t j = 0; j < f->k; j++) {
        const cli_column *c = cli_column_find(&f->columns, f->objectives[j].name);
        axes[j] = (cli_axis){
            .name = f->objectives[j].name, .unit = c ? c->unit : "", .goal = f->objectives[j].goal};
    }
    const cli_plot p = {
        .title = f->sweep.name,
        .what = f->query.points ? "point" : "trial",
        .k = f->k,
        .n = f->data.n,
        .axes = axes,
        .columns = (const double *const *)f->data.values,
        .on_front = f->data.on_front,
    };
    if (strcmp(path, "-") == 0) {
        sky_buf out = {0};
        sky_buf_putc(&out, '\n');
        cli_plot_terminal(&p, &out, cli_width(STDOUT_FILENO), cli_height(STDOUT_FILENO) - 6,
                          cli_colour(STDOUT_FILENO), cli_unicode());
        return cli_print(&out);
    }
    const sky_err err = cli_plot_file(&p, path, &e);
    if (err != SKY_OK)
        return err == SKY_EINVAL ? cli_usage(f->args, "%s", e.text) : cli_fail(f->args, &e);
    fprintf(stderr, "wrote %s\n", path);
    return CLI_OK;
}

/* ---- The command ---- */

/* Repeats are averaged unless --by trial says otherwise. */
static int choose_grouping(front_command *f)
{
    sky_plan *plan = NULL;
    sky_error e = {0};
    const char *by = cli_text(f->args, "by");
    if (by && strcmp(by, "trial") == 0)
        return CLI_OK;
    if (sky_plan_load(&plan, f->sweep.plan, strlen(f->sweep.plan), &e) != SKY_OK)
        return cli_fail(f->args, &e);
    if (by || sky_plan_repeats(plan) > 1)
        f->query.points = f->sweep.points;
    sky_plan_free(plan);
    return CLI_OK;
}

static int show(front_command *f)
{
    sky_error e = {0};
    const cli_args *a = f->args;
    const cli_format format = cli_format_of(a);
    const char *path = cli_text(a, "plot");
    cli_guard guard;
    int code = choose_grouping(f);
    if (code != CLI_OK)
        return code;
    if (path && strcmp(path, "-") == 0 && format != CLI_TABLE)
        return cli_usage(a, "--plot - goes with --format table; give the plot a file name");
    f->query.table = f->sweep.name;
    f->query.where = cli_text(a, "where");
    f->query.objectives = f->objectives;
    f->query.k = f->k;
    f->query.constraints = f->columns.constraints && !cli_flag(a, "infeasible");
    cli_guard_set(&guard, f->store, 0);
    const sky_err err = cli_front_load(f->store, &f->query, &f->data, &e);
    if (err != SKY_OK)
        return err == SKY_EINVAL ? cli_usage(a, "%s", e.text) : cli_fail(a, &e);
    f->order = malloc((f->data.n_front + 1) * sizeof *f->order);
    if (!f->order)
        return cli_failf(a, "%s", sky_strerror(SKY_ENOMEM));
    cli_front_order(&f->data, &f->query, f->order);
    if (print_rows(f, format, &e) != SKY_OK)
        return cli_fail(a, &e);
    code = print_notes(f, format == CLI_TABLE ? stdout : stderr);
    if (code == CLI_OK && path)
        code = plot(f, path);
    return code;
}

static int run_front(const cli_args *a)
{
    static front_command f;
    sky_error e = {0};
    int code = CLI_FAILURE;
    f = (front_command){.args = a};
    if (!cli_store_read(a, &f.store))
        return code;
    if (cli_store_sweep(a, f.store, a->operands[0], &f.sweep)) {
        if (cli_columns_read(f.store, f.sweep.id, &f.arena, &f.columns, &e) != SKY_OK)
            code = cli_fail(a, &e);
        else
            code = find_objectives(&f);
        if (code == CLI_OK)
            code = show(&f);
    }
    free(f.order);
    cli_front_free(&f.data);
    sky_arena_free(&f.arena);
    sky_sweep_info_free(&f.sweep);
    sky_store_close(f.store);
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
     .doc = "point: over the means of a point's repeats, with their standard deviation (_sd); "
            "trial: each "
            "trial by itself. Default: point where the sweep repeats."},
    {.name = "where",
     .type = CLI_TEXT,
     .arg = "EXPR",
     .doc = "Only trials for which this SQL expression is true."},
    {.name = "infeasible", .doc = "Do not leave out trials that violate the sweep's constraints."},
    {.name = "limit",
     .letter = 'n',
     .type = CLI_INT,
     .arg = "N",
     .min = 0,
     .max = 0x7fffffff,
     .doc = "At most so many rows; 0: all. Default: 40 in a table, all in other formats."},
    CLI_OPT_FORMAT,
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
             "with the best value of the first objective first; a table shows the parameters that "
             "vary.\n\n"
             "The knee is the point that bulges farthest towards the ideal.",
    .opts = opts,
    .examples = "skyline front flexsa-resnet50 --plot - # a table and a plot in the terminal\n"
                "skyline front flexsa-resnet50 -o energy_j:min,time_s:min --plot front.svg # other "
                "objectives\n"
                "skyline front flexsa-resnet50 --format csv > front.csv # for other tools\n",
    .run = run_front,
    .group = CLI_GROUP_LOOK,
};
