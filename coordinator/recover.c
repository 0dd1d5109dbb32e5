/* Sweeps on their way to the scheduler: from the store after a start, or from a plan that somebody
 * submits. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "coordinator/coordinator_internal.h"
#include "store/manage.h"

static const char *MODULE = "coordinator";

/* --- What is known --- */

void sky__known_free(sky__known *k)
{
    free(k->name);
    free(k->job);
    free(k->job_version);
    free(k->reason);
    sky_plan_free(k->plan);
}

sky__known *sky__known_by_id(sky_coordinator *c, int64_t id)
{
    for (size_t i = c->n_known; i-- > 0;) { /* the newest are asked for most */
        if (c->known[i].id == id)
            return &c->known[i];
    }
    return NULL;
}

static sky__known *find_name(sky_coordinator *c, const char *name)
{
    for (size_t i = 0; i < c->n_known; i++) {
        if (!strcmp(c->known[i].name, name))
            return &c->known[i];
    }
    return NULL;
}

sky_err sky__known_by_name(sky_coordinator *c, const char *name, sky__known **out, sky_error *e)
{
    *out = find_name(c, name);
    if (*out)
        return SKY_OK;
    const char **names = calloc(c->n_known + 1, sizeof *names);
    for (size_t i = 0; names && i < c->n_known; i++)
        names[i] = c->known[i].name;
    const char *near = names ? sky_nearest(name, names, c->n_known) : NULL;
    sky_fail(e, SKY_ENOTFOUND, near ? "no sweep %s; did you mean %s?" : "no sweep %s", name, near);
    free(names);
    return SKY_ENOTFOUND;
}

static sky__known *add_known(sky_coordinator *c, const char *name, const char *job,
                             const char *version)
{
    if (c->n_known == c->cap_known) {
        size_t cap = c->cap_known ? c->cap_known * 2 : 16;
        sky__known *known = realloc(c->known, cap * sizeof *known);
        if (!known)
            return NULL;
        c->known = known;
        c->cap_known = cap;
    }
    sky__known *k = &c->known[c->n_known];
    *k = (sky__known){.name = sky_strdup(name),
                      .job = sky_strdup(job),
                      .job_version = sky_strdup(version),
                      .reason = sky_strdup("")};
    if (!k->name || !k->job || !k->job_version || !k->reason) {
        sky__known_free(k);
        return NULL;
    }
    c->n_known++;
    return k;
}

/* --- To the scheduler --- */

/* Larger than any revision that an earlier coordinator on this store gave out. */
static uint32_t next_revision(const sky_coordinator *c, const sky__known *k)
{
    uint32_t base = c->epoch << 10;
    return k->revision < base ? base : k->revision + 1;
}

typedef struct charges {
    sky_coordinator *c;
    int64_t sweep;
    sky_err err;
} charges;

static void on_charged(void *arg, uint64_t position, uint32_t attempts)
{
    charges *ch = arg;
    if (!ch->err)
        ch->err = sky_sched_sweep_charged(ch->c->sched, ch->sweep, position, attempts);
}

static sky_sched_sweep describe(const sky__known *k, const sky_plan *plan)
{
    const sky_limits *limits = sky_plan_limits(plan);
    const sky_resources *res = sky_plan_resources(plan);
    const sky_descriptor *job = sky_plan_job(plan);
    return (sky_sched_sweep){.id = k->id,
                             .revision = k->revision,
                             .plan = sky_plan_text(plan),
                             .job = job->name,
                             .job_version = job->version,
                             .plugin = sky_plan_plugin(plan) != NULL,
                             .positions = sky_plan_positions(plan),
                             .attempts = limits->attempts,
                             .failures = limits->failures,
                             .cpus = res->cpus,
                             .gpus = res->gpus,
                             .memory_bytes = res->memory_bytes,
                             .priority = k->priority,
                             .state = k->state,
                             .reason = k->reason};
}

static sky_err load_plan(sky_coordinator *c, sky__known *k, sky_error *e)
{
    if (k->plan)
        return SKY_OK;
    sky_sweep_info info = {0};
    sky_err err = sky_store_sweep_find(c->o.store, k->name, &info, e);
    if (err)
        return err;
    err = sky_plan_load(&k->plan, info.plan, strlen(info.plan), e);
    if (err)
        sky_fail_prefix(e, "the stored plan of sweep %s", k->name);
    sky_sweep_info_free(&info);
    return err;
}

sky_err sky__coord_schedule(sky_coordinator *c, sky__known *k, bool recovered, sky_error *e)
{
    if (k->scheduled)
        return SKY_OK;
    sky_err err = load_plan(c, k, e);
    if (err)
        return err;
    sky_ranges done = {0}, failed = {0};
    err = sky_store_settled(c->o.store, k->id, &done, &failed, e);
    if (err)
        goto out;
    k->revision = next_revision(c, k);
    sky_sched_sweep d = describe(k, k->plan);
    d.recovered = recovered;
    d.done = &done;
    d.quarantined = &failed;
    d.recorded = k->recorded;
    err = sky_sched_sweep_set(c->sched, sky__coord_now(), &d);
    if (err) {
        sky_fail(e, err, "sweep %s cannot be scheduled: %s", k->name, sky_strerror(err));
        goto out;
    }
    k->scheduled = true;
    charges ch = {.c = c, .sweep = k->id};
    err = sky_store_attempts(c->o.store, k->id, on_charged, &ch, e);
    if (!err && ch.err)
        err = sky_fail(e, ch.err, "sweep %s: %s", k->name, sky_strerror(ch.err));
out:
    sky_ranges_free(&done);
    sky_ranges_free(&failed);
    return err;
}

/* --- Recovery --- */

static sky_err take_info(sky_coordinator *c, const sky_sweep_info *info, sky_error *e)
{
    sky__known *k = add_known(c, info->name, info->job, info->job_version);
    char *reason = sky_strdup(info->reason ? info->reason : "");
    if (!k || !reason) {
        free(reason);
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    }
    free(k->reason);
    k->reason = reason;
    k->id = info->id;
    k->state = info->state;
    k->priority = info->priority;
    k->points = info->points;
    k->positions = info->positions;
    k->recorded = info->recorded;
    k->holes = info->holes;
    k->failed = info->failed;
    k->busy_s = info->busy_s;
    if (c->o.idle_sweeps || (k->state != SKY_SWEEP_RUNNING && k->state != SKY_SWEEP_PAUSED))
        return SKY_OK;
    sky_error why = {0};
    sky_err err = sky__coord_schedule(c, k, true, &why);
    if (err == SKY_ENOMEM) {
        if (e)
            *e = why;
        return err;
    }
    if (err) /* one bad sweep must not keep the others from running */
        sky_log(SKY_LOG_ERROR, MODULE, "sweep %s is left alone: %s", k->name, why.text);
    return SKY_OK;
}

sky_err sky__coord_recover(sky_coordinator *c, sky_error *e)
{
    sky_sweep_info *infos = NULL;
    size_t n = 0;
    sky_err err = sky_store_sweep_list(c->o.store, &infos, &n, e);
    if (err)
        return err;
    for (size_t i = 0; i < n; i++) {
        if (!err)
            err = take_info(c, &infos[i], e);
        sky_sweep_info_free(&infos[i]);
    }
    free(infos);
    return err;
}

/* --- Submitting --- */

static sky_sweep_spec spec_of(const sky_plan *plan)
{
    sky_sweep_spec spec = {.name = sky_plan_name(plan),
                           .plan = sky_plan_text(plan),
                           .identity = sky_plan_identity(plan),
                           .job = sky_plan_job(plan),
                           .points = sky_plan_points(plan),
                           .positions = sky_plan_positions(plan)};
    spec.n_derived = sky_plan_derived(plan, &spec.derived);
    spec.n_constraints = sky_plan_constraints(plan, &spec.constraints);
    spec.n_objectives = sky_plan_objectives(plan, &spec.objectives);
    return spec;
}

/* The file's tags join those that are there. One that the store does not take is left out: the
 * reader of files refuses it, so that only another program's plan can hold it. */
static sky_err add_tags(sky_coordinator *c, int64_t id, const sky_plan *plan, sky_error *e)
{
    const char *const *tags = sky_plan_tags(plan);
    sky_err err = SKY_OK;
    for (size_t i = 0; tags && tags[i] && err == SKY_OK; i++) {
        err = sky_store_tag_add(c->o.store, id, tags[i], e);
        if (err == SKY_EINVAL)
            err = SKY_OK;
    }
    return err;
}

static sky_err submit_new(sky_coordinator *c, sky_plan **plan, int64_t *sweep, sky_error *e)
{
    const sky_descriptor *job = sky_plan_job(*plan);
    const sky_sweep_spec spec = spec_of(*plan);
    int64_t id;
    sky_err err = sky_store_sweep_create(c->o.store, &spec, &id, e);
    if (!err && sky_plan_priority(*plan))
        err = sky_store_sweep_priority(c->o.store, id, sky_plan_priority(*plan), e);
    if (!err)
        err = add_tags(c, id, *plan, e);
    if (!err)
        err = sky__coord_commit(c, e); /* accepted means durable */
    if (err)
        return err;
    sky__known *k = add_known(c, spec.name, job->name, job->version);
    if (!k)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    k->id = id;
    k->state = SKY_SWEEP_RUNNING;
    k->priority = sky_plan_priority(*plan);
    k->points = spec.points;
    k->positions = spec.positions;
    k->plan = *plan;
    *plan = NULL;
    *sweep = id;
    return sky__coord_schedule(c, k, false, e);
}

static sky_err check_identity(sky_coordinator *c, sky__known *k, const sky_plan *plan, sky_error *e)
{
    sky_err err = load_plan(c, k, e);
    if (err)
        return err;
    sky_buf diff = {0};
    if (sky_plan_diff(k->plan, plan, &diff)) {
        while (diff.len && diff.data[diff.len - 1] == '\n')
            diff.data[--diff.len] = 0;
        err = sky_fail(e, SKY_ECONFLICT,
                       "the name %s belongs to another sweep. What differs:\n%s\nTo run this one "
                       "beside it, choose another name with --name.",
                       k->name, sky_buf_str(&diff));
    }
    sky_buf_free(&diff);
    return err;
}

/* Whether a sweep with these positions still has something to do. */
static bool is_complete(sky_coordinator *c, const sky__known *k, uint64_t positions)
{
    sky_sched_sweep_info info;
    if (k->scheduled && !sky_sched_get_sweep(c->sched, k->id, &info))
        return info.recorded + info.holes + info.failed >= positions;
    return k->recorded + k->holes + k->failed >= positions;
}

static sky_err update_store(sky_coordinator *c, sky__known *k, const sky_plan *plan, sky_error *e)
{
    sky_err err = SKY_OK;
    if (strcmp(sky_plan_text(k->plan), sky_plan_text(plan)) != 0) {
        const sky_sweep_spec spec = spec_of(plan);
        err = sky_store_sweep_update(c->o.store, k->id, &spec, e);
        if (!err && sky_plan_priority(plan) != sky_plan_priority(k->plan)) {
            k->priority = sky_plan_priority(plan);
            err = sky_store_sweep_priority(c->o.store, k->id, k->priority, e);
        }
        if (!err)
            err = add_tags(c, k->id, plan, e);
    }
    return err;
}

static sky_err submit_again(sky_coordinator *c, sky__known *k, sky_plan **plan, sky_error *e)
{
    sky_err err = check_identity(c, k, *plan, e);
    if (!err)
        err = sky__coord_commit(c, e); /* so that a refused update takes nothing else with it */
    if (!err)
        err = update_store(c, k, *plan, e);
    if (err) {
        if (!c->failure.code)
            sky_store_rollback(c->o.store);
        return err;
    }
    uint64_t positions = sky_plan_positions(*plan);
    bool complete = is_complete(c, k, positions);
    sky_sweep_state state =
        complete && k->state == SKY_SWEEP_DONE ? SKY_SWEEP_DONE : SKY_SWEEP_RUNNING;
    if (k->scheduled || strcmp(sky_plan_text(k->plan), sky_plan_text(*plan)) != 0) {
        sky_plan *old =
            k->plan; /* the scheduler borrows its text until it is told of the new one */
        k->plan = *plan;
        k->points = sky_plan_points(*plan);
        k->positions = positions;
        *plan = old;
    }
    bool was_scheduled = k->scheduled;
    err = sky__coord_schedule(c, k, false, e);
    if (err)
        return err;
    if (was_scheduled) {
        k->revision = next_revision(c, k);
        sky_sched_sweep d = describe(k, k->plan);
        err = sky_sched_sweep_set(c->sched, sky__coord_now(), &d);
    }
    if (!err && k->state != state)
        err = sky_sched_sweep_state(c->sched, sky__coord_now(), k->id, state, "");
    if (err)
        return sky_fail(e, err, "sweep %s cannot be scheduled: %s", k->name, sky_strerror(err));
    sky__coord_drain(c);
    return sky__coord_commit(c, e);
}

sky_err sky_coordinator_submit(sky_coordinator *c, sky_plan *plan, int64_t *sweep,
                               sky_submitted *how, sky_error *e)
{
    assert(c && plan && sweep && how);
    sky_err err = c->failure.code;
    if (err) {
        *e = c->failure;
        goto out;
    }
    sky__known *k = find_name(c, sky_plan_name(plan));
    *how = k ? SKY_SUBMITTED_RESUMED : SKY_SUBMITTED_NEW;
    if (k) {
        *sweep = k->id;
        err = submit_again(c, k, &plan, e);
    } else {
        err = submit_new(c, &plan, sweep, e);
    }
    sky__coord_drain(c);
out:
    sky_plan_free(plan);
    return err;
}
