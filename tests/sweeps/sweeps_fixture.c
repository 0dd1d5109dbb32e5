#include "tests/sweeps/sweeps_fixture.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

static const char *const modes[] = {"one_large", "split", "flexsa", NULL};

static const sky_param model_params[] = {
    {"network", SKY_TEXT, "", "", {.type = SKY_TEXT, .absent = true}, 0, 0, NULL},
    {"array", SKY_INT, "", "side", {.type = SKY_INT, .i = 128}, 1, 1024, NULL},
    {"mode", SKY_TEXT, "", "", {.type = SKY_TEXT, .s = "split"}, 0, 0, modes},
    {"width", SKY_REAL, "", "", {.type = SKY_REAL, .f = 1}, 0, 1, NULL},
    {"fast", SKY_BOOL, "", "", {.type = SKY_BOOL, .i = 0}, 0, 0, NULL},
    {"depth", SKY_INT, "", "", {.type = SKY_INT, .absent = true}, 0, 0, NULL},
};

static const sky_metric model_metrics[] = {
    {"energy_j", SKY_REAL, "J", "", SKY_MIN, SKY_EXACT},
    {"time_s", SKY_REAL, "s", "", SKY_MIN, SKY_MEASURED},
    {"label", SKY_TEXT, "", "", SKY_NO_GOAL, SKY_EXACT},
    {"utilization", SKY_REAL, "", "", SKY_NO_GOAL, SKY_EXACT},
};

static const sky_descriptor jobs[] = {
    {"model", "3", "a model", "a paper", model_params, 6, model_metrics, 4, false},
    {"command", "1", "any program", "", NULL, 0, NULL, 0, true},
};

static const sky_descriptor *find(void *arg, const char *name)
{
    (void)arg;
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
        if (strcmp(jobs[i].name, name) == 0)
            return &jobs[i];
    return NULL;
}

static size_t names(void *arg, const char **list, size_t max)
{
    (void)arg;
    for (size_t i = 0; i < 2 && i < max; i++)
        list[i] = jobs[i].name;
    return 2;
}

const sky_job_lookup fixture_jobs = {.find = find, .names = names};

sky_plan *plan_with(const char *yaml, const char *const *set)
{
    const sky_plan_options options = {.set = set, .jobs = fixture_jobs};
    sky_error e = {0};
    sky_plan *p = NULL;
    sky_err err = sky_plan_parse(&p, yaml, strlen(yaml), "t.yaml", &options, &e);
    cr_assert(eq(int, err, SKY_OK), "%s\n%s", e.text, yaml);
    return p;
}

sky_plan *plan_of(const char *yaml)
{
    return plan_with(yaml, NULL);
}

sky_plan *plan_of_space(const char *space, const char *rest)
{
    sky_buf b = {0};
    sky_buf_printf(&b, "name: t\njob: command\ncommand: [true]\nspace: %s\n%s\n", space, rest);
    sky_plan *p = plan_of(sky_buf_str(&b));
    sky_buf_free(&b);
    return p;
}

void refuses_with(const char *yaml, const char *const *set, const char *const *texts)
{
    const sky_plan_options options = {.set = set, .jobs = fixture_jobs};
    sky_error e = {0};
    sky_plan *p = NULL;
    sky_err err = sky_plan_parse(&p, yaml, strlen(yaml), "t.yaml", &options, &e);
    cr_assert(ne(int, err, SKY_OK), "accepted:\n%s", yaml);
    cr_assert(eq(int, err, e.code), "%s", e.text);
    cr_assert(zero(ptr, p));
    for (size_t i = 0; texts[i]; i++)
        cr_assert(strstr(e.text, texts[i]) != NULL, "expected \"%s\" in \"%s\" for\n%s", texts[i],
                  e.text, yaml);
}

void refuses(const char *yaml, const char *const *texts)
{
    refuses_with(yaml, NULL, texts);
}

const char *values_of(const sky_plan *p, uint64_t trial)
{
    static char out[2][4096];
    static int turn;
    turn = !turn;
    sky_value v[SKY_PARAMS_MAX];
    sky_plan_decode(p, trial, v);
    sky_buf b = {0};
    for (size_t i = 0; i < sky_plan_job(p)->n_params; i++) {
        sky_buf_puts(&b, i ? " " : "");
        if (v[i].absent)
            sky_buf_putc(&b, '-');
        else
            sky_value_print(&b, &v[i]);
    }
    snprintf(out[turn], sizeof out[turn], "%s", sky_buf_str(&b));
    sky_buf_free(&b);
    return out[turn];
}

const char *all_values(const sky_plan *p)
{
    static char out[1 << 16];
    size_t len = 0;
    out[0] = '\0';
    for (uint64_t k = 0; k < sky_plan_positions(p); k++) {
        int n = snprintf(out + len, sizeof out - len, "%s%s", k ? ", " : "",
                         values_of(p, sky_plan_trial(p, k)));
        len += (size_t)n;
        cr_assert(len < sizeof out, "too many points for all_values()");
    }
    return out;
}

sky_plan *reloaded(const sky_plan *p)
{
    sky_error e = {0};
    sky_plan *q = NULL;
    const char *text = sky_plan_text(p);
    cr_assert(eq(int, sky_plan_load(&q, text, strlen(text), &e), SKY_OK), "%s\n%s", e.text, text);
    cr_assert(eq(str, STR(sky_plan_text(q)), STR(text)));
    cr_assert(eq(str, STR(sky_plan_identity(q)), STR(sky_plan_identity(p))));
    return q;
}

void batch_init(batch *b, const sky_plan *p, size_t n)
{
    const sky_descriptor *job = sky_plan_job(p);
    b->n_columns = job->n_params;
    for (size_t i = 0; i < b->n_columns; i++) {
        b->columns[i].type = job->params[i].type;
        b->columns[i].i = calloc(n + 1, 8);
        b->columns[i].absent = calloc(n + 1, 1);
    }
}

void batch_free(batch *b)
{
    for (size_t i = 0; i < b->n_columns; i++) {
        free(b->columns[i].i);
        free(b->columns[i].absent);
    }
}

uint64_t test_seed(const char *what)
{
    const char *given = getenv("SKY_TEST_SEED");
    uint64_t seed = (uint64_t)sky_clock_ns();
    if (given)
        sky_parse_u64(given, &seed);
    fprintf(stderr, "%s: SKY_TEST_SEED=%" PRIu64 "\n", what, seed);
    return seed;
}
