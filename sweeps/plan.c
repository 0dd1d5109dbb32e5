/* The plan itself: what follows from its parts, and access to them. */
#include "sweeps/plan.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "sweeps/expr.h"
#include "sweeps/plan_internal.h"
#include "sweeps/tree.h"

/* Keys that keep the uses of one seed apart. */
enum { KEY_ORDER = 1, KEY_DRAW, KEY_TRIAL };

sky_plan *sky__plan_new(void)
{
    sky_plan *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->fixed = sky_new(&p->arena, sky_value, SKY_PARAMS_MAX);
    p->sources = sky_new(&p->arena, sky__source, SKY_PARAMS_MAX);
    if (!p->fixed || !p->sources) {
        sky_plan_free(p);
        return NULL;
    }
    for (size_t i = 0; i < SKY_PARAMS_MAX; i++)
        p->sources[i] = (sky__source){-1, -1};
    p->name = p->workdir = p->description = "";
    p->repeats = 1;
    p->limits = (sky_limits){.attempts = 3, .failures = 1000};
    p->resources = (sky_resources){.cpus = 1};
    return p;
}

void sky_plan_free(sky_plan *p)
{
    if (!p)
        return;
    free(p->text);
    free(p->identity);
    sky_arena arena = p->arena;
    sky_arena_free(&arena);
    free(p);
}

/* ---- what follows from the parts ---- */

static void set_sources(sky_plan *p)
{
    for (size_t i = 0; i < SKY_PARAMS_MAX; i++)
        p->sources[i] = (sky__source){-1, -1};
    for (size_t i = 0; i < p->n_factors; i++)
        for (size_t k = 0; k < p->factors[i].n_axes; k++)
            p->sources[p->factors[i].axes[k].param] = (sky__source){(int32_t)i, (int32_t)k};
}

static sky_err check_values(const sky_plan *p, const sky__expression_nodes *nodes, sky_error *e)
{
    for (size_t i = 0; i < p->job.n_params; i++)
        if (p->sources[i].factor < 0 && p->fixed[i].absent)
            return sky__node_fail(nodes->space, e,
                                  "space: found no '%s', a parameter of job '%s' "
                                  "without a default; allowed are spaces that give it",
                                  p->job.params[i].name, p->job.name);
    return SKY_OK;
}

static sky_err count_points(sky_plan *p, const sky__expression_nodes *nodes, sky_error *e)
{
    for (size_t i = 0; i < p->n_factors; i++)
        if (p->search.kind == SKY__GRID && p->factors[i].count == 0)
            return sky__node_fail(
                nodes->axis[i], e,
                "'%s' is a continuous interval, which a grid cannot "
                "count; allowed are step or count, or the search random, sobol or "
                "latin_hypercube",
                p->job.params[p->factors[i].axes[0].param].name);
    p->points = p->search.kind == SKY__GRID ? p->grid_points : p->search.points;
    if (p->enumerable && p->points > p->grid_points)
        return sky__node_fail(nodes->space, e,
                              "search: asks for %" PRIu64 " points, but the space has "
                              "%" PRIu64 "; allowed are that many, or search: grid",
                              p->points, p->grid_points);
    if (p->points > SKY_POINTS_MAX / p->repeats)
        return sky__node_fail(nodes->space, e,
                              "repeats: %" PRIu32 " times %" PRIu64 " points are more "
                              "trials than can be counted; allowed are 2^62",
                              p->repeats, p->points);
    return SKY_OK;
}

/* Each factor that has a choice to make gets a dimension of the unit cube. */
static sky_err set_dimensions(sky_plan *p)
{
    p->key_order = sky_hash_u64(p->seed, KEY_ORDER);
    p->key_draw = sky_hash_u64(p->seed, KEY_DRAW);
    p->key_trial = sky_hash_u64(p->seed, KEY_TRIAL);
    p->dimensions = 0;
    for (size_t i = 0; i < p->n_factors; i++)
        p->factors[i].dimension = p->factors[i].count == 1 ? -1 : (int32_t)p->dimensions++;
    return p->search.kind == SKY__SOBOL ? sky__sobol_build(p) : SKY_OK;
}

sky_err sky__plan_finish(sky_plan *p, const struct sky__expression_nodes *nodes, sky_error *e)
{
    set_sources(p);
    sky_err err = check_values(p, nodes, e);
    if (err == SKY_OK)
        err = sky__expressions_check(p, nodes, e);
    if (err == SKY_OK)
        err = sky__cells_build(p, nodes, e);
    if (err == SKY_OK)
        err = count_points(p, nodes, e);
    if (err == SKY_OK && (set_dimensions(p) != SKY_OK || sky__plan_write(p) != SKY_OK))
        err = sky_fail(e, SKY_ENOMEM, "out of memory");
    return err;
}

/* ---- access ---- */

const char *sky_plan_text(const sky_plan *p)
{
    return p->text;
}

const char *sky_plan_identity(const sky_plan *p)
{
    return p->identity;
}

const char *sky_plan_name(const sky_plan *p)
{
    return p->name;
}

const char *const *sky_plan_tags(const sky_plan *p)
{
    return p->tags;
}

const char *sky_plan_workdir(const sky_plan *p)
{
    return p->workdir;
}

const sky_descriptor *sky_plan_job(const sky_plan *p)
{
    return &p->job;
}

const char *const *sky_plan_command(const sky_plan *p)
{
    return p->command;
}

const char *sky_plan_plugin(const sky_plan *p)
{
    return p->plugin;
}

uint64_t sky_plan_points(const sky_plan *p)
{
    return p->points;
}

uint32_t sky_plan_repeats(const sky_plan *p)
{
    return p->repeats;
}

uint64_t sky_plan_positions(const sky_plan *p)
{
    return p->points * p->repeats;
}

uint64_t sky_plan_seed(const sky_plan *p)
{
    return p->seed;
}

size_t sky_plan_where(const sky_plan *p, const sky_expression **out)
{
    *out = p->where;
    return p->n_where;
}

size_t sky_plan_derived(const sky_plan *p, const sky_expression **out)
{
    *out = p->derived;
    return p->n_derived;
}

size_t sky_plan_constraints(const sky_plan *p, const sky_expression **out)
{
    *out = p->constraints;
    return p->n_constraints;
}

size_t sky_plan_objectives(const sky_plan *p, const sky_objective **out)
{
    *out = p->objectives;
    return p->n_objectives;
}

const sky_limits *sky_plan_limits(const sky_plan *p)
{
    return &p->limits;
}

const sky_resources *sky_plan_resources(const sky_plan *p)
{
    return &p->resources;
}

int32_t sky_plan_priority(const sky_plan *p)
{
    return p->priority;
}

/* Only a grid has an order of its own: sampled points are asked for in their order. */
static bool is_shuffled(const sky_plan *p)
{
    return p->search.kind == SKY__GRID && p->search.shuffle;
}

uint64_t sky_plan_trial(const sky_plan *p, uint64_t position)
{
    assert(position < sky_plan_positions(p));
    if (!is_shuffled(p))
        return position;
    uint64_t k = position % p->points;
    return position - k + sky_permute(p->key_order, p->points, k);
}

uint64_t sky_plan_position(const sky_plan *p, uint64_t trial)
{
    assert(trial < sky_plan_positions(p));
    if (!is_shuffled(p))
        return trial;
    uint64_t index = trial % p->points;
    return trial - index + sky_permute_inverse(p->key_order, p->points, index);
}

uint64_t sky_plan_trial_seed(const sky_plan *p, uint64_t trial)
{
    return sky_hash_u64(p->key_trial, trial);
}

const char *sky_plan_place(const sky_plan *p, size_t param, const sky_value *value)
{
    assert(param < p->job.n_params);
    const sky__source *s = &p->sources[param];
    if (s->factor < 0 || value->type != SKY_TEXT || value->absent)
        return NULL;
    const sky__axis *axis = &p->factors[s->factor].axes[s->axis];
    if (axis->kind != SKY__AXIS_LIST || !axis->places)
        return NULL;
    for (uint64_t k = 0; k < axis->count; k++) {
        if (axis->s[k] == value->s) /* a decoded text is the axis's own */
            return axis->places[k];
    }
    return NULL;
}

bool sky_plan_has_absent(const sky_plan *p, size_t param)
{
    assert(param < p->job.n_params);
    const sky__source *s = &p->sources[param];
    return s->factor >= 0 && p->factors[s->factor].when && p->fixed[param].absent;
}
