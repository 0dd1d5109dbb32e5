/* Sweeps: their positions, their states, and when they are over. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "coordinator/sched_internal.h"

/* The first sweep whose id is not below. */
static size_t place(const sky_sched *s, int64_t id)
{
    size_t low = 0, high = s->n_sweeps;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->sweeps[mid]->id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

sky__sweep *sky__sweep_find(const sky_sched *s, int64_t id)
{
    size_t i = place(s, id);
    return i < s->n_sweeps && s->sweeps[i]->id == id ? s->sweeps[i] : NULL;
}

void sky__sweep_free(sky__sweep *w)
{
    if (!w)
        return;
    for (size_t i = w->group_head; i < w->n_groups; i++)
        sky_ranges_free(&w->groups[i]);
    sky_ranges_free(&w->todo);
    sky_ranges_free(&w->retry);
    sky_ranges_free(&w->done);
    sky_ranges_free(&w->bad);
    sky_ranges_free(&w->pending);
    free(w->attempts.slots);
    free(w->groups);
    free(w->job);
    free(w->job_version);
    free(w);
}

/* --- Where positions are --- */

bool sky__sweep_settled(const sky__sweep *w, uint64_t position)
{
    return position >= w->positions || sky_ranges_has(&w->done, position) ||
           sky_ranges_has(&w->bad, position);
}

bool sky__sweep_add_retry(const sky_sched *s, sky__sweep *w, uint64_t position)
{
    if (w->retry.count == 0)
        w->retry_ns = s->now_ns;
    return sky_ranges_add(&w->retry, position, position + 1) != UINT64_MAX;
}

void sky__sweep_put_back(sky_sched *s, sky__sweep *w, const sky_ranges *positions)
{
    sky_ranges open = {0};
    bool ok = sky_ranges_copy(&open, positions) && sky__set_clip(&open, w->positions) &&
              sky__set_subtract(&open, &w->done) && sky__set_subtract(&open, &w->bad) &&
              sky_ranges_add_all(&w->todo, &open);
    /* What failed before goes among the retries again, alone in its lease. */
    for (size_t i = 0; ok && w->attempts.n && i < open.n; i++) {
        if (open.r[i].end - open.r[i].begin > SKY__ISOLATED_MAX)
            continue;
        for (uint64_t p = open.r[i].begin; ok && p < open.r[i].end; p++) {
            const sky__attempt *a = sky__attempt_find(&w->attempts, p);
            if (a && a->attempts)
                ok = sky_ranges_remove(&w->todo, p, p + 1) != UINT64_MAX &&
                     sky__sweep_add_retry(s, w, p);
        }
    }
    sky_ranges_free(&open);
    s->out_of_memory |= !ok;
    s->fill_all = true;
}

void sky__sweep_reopen(sky_sched *s, sky__sweep *w, const sky_ranges *positions)
{
    sky_ranges open = {0};
    bool ok = sky_ranges_copy(&open, positions);
    for (const sky__worker *k = s->live.first; k && w->n_leases; k = k->next) {
        for (const sky__lease *l = k->leases; l; l = l->next)
            ok = ok && (l->sweep != w || sky__set_subtract(&open, &l->left));
    }
    s->out_of_memory |= !ok;
    sky__sweep_put_back(s, w, &open);
    sky_ranges_free(&open);
}

void sky__sweep_unqueue(sky_sched *s, sky__sweep *w, const sky_ranges *positions)
{
    bool ok = sky__set_subtract(&w->todo, positions) && sky__set_subtract(&w->retry, positions);
    for (size_t i = w->group_head; ok && i < w->n_groups; i++) {
        uint64_t before = w->groups[i].count;
        ok = sky__set_subtract(&w->groups[i], positions);
        w->group_count -= before - w->groups[i].count;
    }
    s->out_of_memory |= !ok;
}

bool sky__sweep_add_group(sky_sched *s, sky__sweep *w, sky_ranges *group)
{
    if (group->count == 0) {
        sky_ranges_free(group);
        return true;
    }
    if (w->group_head && w->group_head >= w->n_groups / 2) { /* the head of the array is spent */
        w->n_groups -= w->group_head;
        memmove(w->groups, w->groups + w->group_head, w->n_groups * sizeof *w->groups);
        w->group_head = 0;
    }
    void *groups = w->groups;
    bool ok = sky__sched_grow(&groups, &w->cap_groups, w->n_groups + 1, sizeof *w->groups);
    w->groups = groups;
    if (!ok) {
        sky_ranges_free(group);
        s->out_of_memory = true;
        return false;
    }
    w->groups[w->n_groups++] = *group;
    w->group_count += group->count;
    *group = (sky_ranges){0};
    s->fill_all = true;
    return true;
}

bool sky__sweep_ready(const sky_sched *s, const sky__sweep *w)
{
    return w->state == SKY_SWEEP_RUNNING && (w->todo.count || w->retry.count || w->group_count) &&
           !(w->recovered && s->now_ns < s->adopt_until_ns);
}

/* --- States --- */

/* A sweep that (again) asks for workers starts level with the others, not with the credit of the
 * time when it asked for none. */
static void join(sky_sched *s, sky__sweep *w)
{
    bool found = false;
    double least = 0;
    for (size_t i = 0; i < s->n_sweeps; i++) {
        const sky__sweep *o = s->sweeps[i];
        if (o == w || o->state != SKY_SWEEP_RUNNING || o->priority != w->priority)
            continue;
        if (!found || o->vt < least)
            least = o->vt;
        found = true;
    }
    if (found && w->vt < least)
        w->vt = least;
    s->fill_all = true;
}

void sky__sweep_set_state(sky_sched *s, sky__sweep *w, sky_sweep_state state, const char *reason)
{
    snprintf(w->reason, sizeof w->reason, "%s", reason ? reason : "");
    if (state == SKY_SWEEP_RUNNING && w->state != state) {
        w->first_failures = 0;
        w->bad_base = w->bad.count;
        w->state = state;
        join(s, w);
    }
    w->state = state;
    sky__sweep_announce(s, w);
}

void sky__sweep_announce(sky_sched *s, sky__sweep *w)
{
    w->announced = true;
    const char *copy = sky_arena_strdup(&s->arena, w->reason);
    sky_action *a = sky__sched_push(s, SKY_ACTION_SWEEP_STATE);
    a->state.sweep = w->id;
    a->state.state = w->state;
    a->state.reason = copy ? copy : "";
}

void sky__sweep_revoke(sky_sched *s, sky__sweep *w)
{
    for (sky__worker *k = s->live.first; k && w->n_leases; k = k->next) {
        uint64_t *ids = sky_new(&s->arena, uint64_t, k->n_leases ? k->n_leases : 1);
        size_t n = 0;
        for (sky__lease *l = k->leases, *next; l; l = next) {
            next = l->next;
            if (l->sweep != w)
                continue;
            if (ids)
                ids[n++] = l->id;
            sky__lease_end(s, l);
        }
        s->out_of_memory |= !ids;
        sky_msg m = {.type = SKY_MSG_REVOKE, .revoke = {.leases = ids, .n = n}};
        if (n)
            sky__sched_send(s, &k->session, &m);
    }
}

void sky__sweep_maybe_done(sky_sched *s, sky__sweep *w)
{
    if (w->state != SKY_SWEEP_RUNNING && w->state != SKY_SWEEP_PAUSED)
        return;
    if (w->done.count + w->bad.count < w->positions || w->pending.count)
        return;
    for (size_t i = 0; i < s->n_charges; i++) {
        if (s->charges[i].sweep == w->id)
            return; /* its last failures are not durable yet */
    }
    sky__sweep_revoke(s, w); /* copies of what others have settled */
    sky__sweep_set_state(s, w, SKY_SWEEP_DONE, "");
}

void sky__sweep_maybe_pause(sky_sched *s, sky__sweep *w, const char *last_reason)
{
    if (w->state != SKY_SWEEP_RUNNING)
        return;
    char reason[256];
    if (w->recorded == 0 && w->first_failures >= SKY_SCHED_FIRST_FAILURES) {
        snprintf(reason, sizeof reason, "the first %d trials all failed; the last one: %s",
                 SKY_SCHED_FIRST_FAILURES, last_reason ? last_reason : "");
        sky__sweep_set_state(s, w, SKY_SWEEP_PAUSED, reason);
        return;
    }
    if (w->failures_max && w->bad.count - w->bad_base > w->failures_max) {
        snprintf(reason, sizeof reason,
                 "more than %llu trials failed (limits.failures); the last one: %s",
                 (unsigned long long)w->failures_max, last_reason ? last_reason : "");
        sky__sweep_set_state(s, w, SKY_SWEEP_PAUSED, reason);
    }
}

sky_err sky_sched_sweep_state(sky_sched *s, int64_t now_ns, int64_t sweep, sky_sweep_state state,
                              const char *reason)
{
    sky__sched_begin(s, now_ns);
    sky__sweep *w = sky__sweep_find(s, sweep);
    if (!w)
        return SKY_ENOTFOUND;
    if (w->state == state && strcmp(w->reason, reason ? reason : "") == 0)
        return sky__sched_end(s);
    if (state == SKY_SWEEP_CANCELLED)
        sky__sweep_revoke(s, w);
    sky__sweep_set_state(s, w, state, reason);
    sky__sweep_maybe_done(s, w);
    return sky__sched_end(s);
}

sky_err sky_sched_sweep_priority(sky_sched *s, int64_t sweep, int32_t priority)
{
    sky__sched_begin(s, s->now_ns);
    sky__sweep *w = sky__sweep_find(s, sweep);
    if (!w)
        return SKY_ENOTFOUND;
    w->priority = priority;
    join(s, w);
    return sky__sched_end(s);
}

sky_err sky_sched_sweep_retry(sky_sched *s, int64_t now_ns, int64_t sweep,
                              const sky_ranges *positions)
{
    sky__sched_begin(s, now_ns);
    sky__sweep *w = sky__sweep_find(s, sweep);
    if (!w)
        return SKY_ENOTFOUND;
    sky_ranges open = {0};
    if (!sky__set_extract(&w->bad, positions, &open))
        s->out_of_memory = true;
    sky__attempts_drop_in(&w->attempts, &open);
    sky__sweep_reopen(s, w, &open);
    w->bad_base = w->bad_base < w->bad.count ? w->bad_base : w->bad.count;
    if (w->state == SKY_SWEEP_DONE && open.count)
        sky__sweep_set_state(s, w, SKY_SWEEP_RUNNING, "");
    sky_ranges_free(&open);
    return sky__sched_end(s);
}

/* --- Adding and changing --- */

static bool resize(sky_sched *s, sky__sweep *w, uint64_t positions)
{
    uint64_t before = w->positions;
    w->positions = positions;
    if (positions < before) {
        sky_ranges gone = {0};
        bool ok = sky_ranges_add(&gone, positions, before) != UINT64_MAX;
        if (ok)
            sky__sweep_unqueue(s, w, &gone);
        sky_ranges_free(&gone);
        return ok && sky__set_clip(&w->done, positions) && sky__set_clip(&w->bad, positions) &&
               sky__set_clip(&w->pending, positions);
    }
    sky_ranges more = {0};
    bool ok = sky_ranges_add(&more, before, positions) != UINT64_MAX;
    if (ok)
        sky__sweep_reopen(s, w, &more);
    sky_ranges_free(&more);
    return ok;
}

static sky__sweep *add(sky_sched *s, const sky_sched_sweep *d)
{
    void *sweeps = s->sweeps;
    bool ok = sky__sched_grow(&sweeps, &s->cap_sweeps, s->n_sweeps + 1, sizeof(*s->sweeps));
    s->sweeps = sweeps;
    sky__sweep *w = ok ? calloc(1, sizeof *w) : NULL;
    if (!w)
        return NULL;
    w->id = d->id;
    w->state = SKY_SWEEP_PAUSED;
    w->recovered = d->recovered;
    if ((d->done && !sky_ranges_copy(&w->done, d->done)) ||
        (d->quarantined && !sky_ranges_copy(&w->bad, d->quarantined))) {
        sky__sweep_free(w);
        return NULL;
    }
    size_t at = place(s, d->id);
    memmove(s->sweeps + at + 1, s->sweeps + at, (s->n_sweeps - at) * sizeof(*s->sweeps));
    s->sweeps[at] = w;
    s->n_sweeps++;
    return w;
}

sky_err sky_sched_sweep_set(sky_sched *s, int64_t now_ns, const sky_sched_sweep *d)
{
    sky__sched_begin(s, now_ns);
    sky__sweep *w = sky__sweep_find(s, d->id);
    bool is_new = !w;
    if (is_new && s->n_sweeps >= SKY_SCHED_SWEEPS_MAX)
        return SKY_ELIMIT;
    if (is_new && !(w = add(s, d)))
        return SKY_ENOMEM;
    free(w->job);
    free(w->job_version);
    w->job = sky_strdup(d->job);
    w->job_version = sky_strdup(d->job_version);
    if (!w->job || !w->job_version)
        return SKY_ENOMEM;
    w->job_hash = sky_hash_bytes(sky_hash_bytes(0, d->job, strlen(d->job)), d->job_version,
                                 strlen(d->job_version));
    w->generation = ++s->generation;
    w->revision = d->revision;
    w->plan = d->plan;
    w->plugin = d->plugin;
    w->attempts_max = d->attempts ? d->attempts : 1;
    w->failures_max = d->failures;
    w->cpus = d->cpus ? d->cpus : 1;
    w->gpus = d->gpus;
    w->memory_bytes = d->memory_bytes;
    w->priority = d->priority;
    if (!resize(s, w, d->positions))
        return SKY_ENOMEM;
    if (is_new) {
        sky__set_clip(&w->done, w->positions);
        sky__set_clip(&w->bad, w->positions);
        w->recorded = d->recorded < w->done.count ? d->recorded : w->done.count;
        w->holes = w->done.count - w->recorded;
        w->bad_base = w->bad.count;
    }
    if (is_new) {
        w->state = d->state;
        snprintf(w->reason, sizeof w->reason, "%s", d->reason ? d->reason : "");
        join(s, w);
    } else if (w->state != d->state) {
        sky__sweep_set_state(s, w, d->state, d->reason);
    }
    s->fill_all = true;
    sky__sweep_maybe_done(s, w);
    return sky__sched_end(s);
}

sky_err sky_sched_sweep_charged(sky_sched *s, int64_t sweep, uint64_t position, uint32_t attempts)
{
    sky__sched_begin(s, s->now_ns);
    sky__sweep *w = sky__sweep_find(s, sweep);
    if (!w)
        return SKY_ENOTFOUND;
    if (sky__sweep_settled(w, position) || attempts == 0)
        return SKY_OK;
    sky__attempt *a = sky__attempt_get(&w->attempts, position);
    if (!a)
        return SKY_ENOMEM;
    a->attempts = attempts;
    uint64_t moved = sky_ranges_remove(&w->todo, position, position + 1);
    bool ok = moved != UINT64_MAX && (moved == 0 || sky__sweep_add_retry(s, w, position));
    return ok ? SKY_OK : SKY_ENOMEM;
}

void sky_sched_sweep_remove(sky_sched *s, int64_t now_ns, int64_t sweep)
{
    sky__sched_begin(s, now_ns);
    sky__sweep *w = sky__sweep_find(s, sweep);
    if (!w)
        return;
    sky__sweep_revoke(s, w);
    size_t at = place(s, sweep);
    memmove(s->sweeps + at, s->sweeps + at + 1, (s->n_sweeps - at - 1) * sizeof(*s->sweeps));
    s->n_sweeps--;
    sky__sweep_free(w);
}
