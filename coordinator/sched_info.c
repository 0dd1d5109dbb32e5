/* What displays and tests ask of the scheduler. */
#include <stdio.h>
#include <stdlib.h>

#include "coordinator/sched_internal.h"

static uint64_t queued(const sky__sweep *w)
{
    return w->todo.count + w->retry.count + w->group_count;
}

static uint32_t count_workers(const sky_sched *s, const sky__sweep *w)
{
    uint32_t n = 0;
    for (const sky__worker *k = s->live.first; k && w->n_leases; k = k->next) {
        for (size_t i = 0; i < k->n_pairs; i++)
            n += k->pairs[i].sweep == w->id && k->pairs[i].leases > 0;
    }
    return n;
}

sky_err sky_sched_get_sweep(const sky_sched *s, int64_t sweep, sky_sched_sweep_info *out)
{
    const sky__sweep *w = sky__sweep_find(s, sweep);
    if (!w)
        return SKY_ENOTFOUND;
    uint64_t settled = w->done.count + w->bad.count;
    *out = (sky_sched_sweep_info){
        .state = w->state,
        .reason = w->reason,
        .priority = w->priority,
        .positions = w->positions,
        .recorded = w->recorded - w->pending_recorded,
        .holes = w->holes - w->pending_holes,
        .failed = w->bad.count - w->pending_bad,
        .uncommitted = w->pending_recorded + w->pending_holes + w->pending_bad,
        .leased = w->positions - settled - queued(w),
        .retrying = w->retry.count,
        .workers = count_workers(s, w),
        .leases = w->n_leases,
        .cost_ns = w->cost_ns,
        .busy_s = w->busy_ns / 1e9,
    };
    return SKY_OK;
}

const char *sky_sched_waiting(const sky_sched *s, int64_t sweep, char *buf, size_t len)
{
    const sky__sweep *w = sky__sweep_find(s, sweep);
    snprintf(buf, len, "%s", "");
    if (!w || w->n_leases || !queued(w) || w->state != SKY_SWEEP_RUNNING)
        return buf;
    if (s->live.n == 0) {
        snprintf(buf, len, "no worker is connected");
        return buf;
    }
    size_t able = 0, with_job = 0, with_room = 0, excluded = 0;
    for (const sky__worker *k = s->live.first; k; k = k->next) {
        bool job = w->plugin && k->open_plugins;
        for (size_t i = 0; i < k->n_jobs && !job; i++)
            job = k->jobs[i] == w->job_hash;
        bool room = k->cpus >= w->cpus && k->gpus >= w->gpus &&
                    (!w->memory_bytes || !k->memory_bytes || k->memory_bytes >= w->memory_bytes);
        bool out = false;
        for (size_t i = 0; i < k->n_pairs; i++)
            out |= k->pairs[i].sweep == w->id && k->pairs[i].excluded;
        with_job += job;
        with_room += room;
        able += job && room;
        excluded += job && room && out;
    }
    if (!with_job)
        snprintf(buf, len, "no connected worker offers job %s %s", w->job, w->job_version);
    else if (!with_room || !able)
        snprintf(buf, len, "no connected worker%s has cpus=%u gpus=%u memory=%llu bytes",
                 with_room ? " that offers its job" : "", w->cpus, w->gpus,
                 (unsigned long long)w->memory_bytes);
    else if (able == excluded)
        snprintf(buf, len, "the results of every worker that could run it were wrong");
    else
        snprintf(buf, len, "its turn has not come");
    return buf;
}

static void tell(const sky__worker *w, void (*fn)(void *arg, const sky_sched_worker_info *w),
                 void *arg)
{
    sky_sched_worker_info info = {
        .session = w->session,
        .host = w->host,
        .program_version = w->program_version,
        .pid = w->pid,
        .cpus = w->cpus,
        .gpus = w->gpus,
        .leases = w->n_leases,
        .running = (uint32_t)w->n_running,
        .memory_bytes = w->memory_bytes,
        .settled = w->settled,
        .heard_ns = w->heard_ns,
        .lost = w->lost,
    };
    fn(arg, &info);
}

void sky_sched_each_worker(const sky_sched *s,
                           void (*fn)(void *arg, const sky_sched_worker_info *w), void *arg)
{
    for (const sky__worker *w = s->live.first; w; w = w->next)
        tell(w, fn, arg);
    for (const sky__worker *w = s->lost.first; w; w = w->next) {
        if (!w->bye)
            tell(w, fn, arg);
    }
}

static size_t worker_bytes(const sky__worker *w)
{
    return sizeof *w + w->n_jobs * sizeof *w->jobs + w->cap_pairs * sizeof *w->pairs +
           w->cap_running * sizeof *w->running + w->seen.cap * sizeof *w->seen.r +
           w->cap_acks * sizeof *w->acks;
}

static size_t sweep_bytes(const sky__sweep *w)
{
    size_t ranges = w->todo.cap + w->retry.cap + w->done.cap + w->bad.cap + w->pending.cap;
    for (size_t i = w->group_head; i < w->n_groups; i++)
        ranges += w->groups[i].cap;
    return sizeof *w + ranges * sizeof(sky_range) + w->cap_groups * sizeof *w->groups +
           w->attempts.cap * sizeof *w->attempts.slots;
}

sky_sched_stats sky_sched_get_stats(const sky_sched *s)
{
    return (sky_sched_stats){.workers = s->live.n,
                             .lost = s->lost.n,
                             .leases = s->n_leases,
                             .sweeps = s->n_sweeps,
                             .uncommitted = s->uncommitted,
                             .results_waiting = s->results_waiting};
}

size_t sky_sched_bytes(const sky_sched *s)
{
    size_t bytes = sizeof *s + s->cap_actions * sizeof *s->actions +
                   s->cap_charges * sizeof *s->charges + s->arena.used_bytes +
                   (s->worker_mask + s->lease_mask + 2) * sizeof(void *);
    for (const sky__worker *w = s->live.first; w; w = w->next) {
        bytes += worker_bytes(w);
        for (const sky__lease *l = w->leases; l; l = l->next)
            bytes += sizeof *l + l->left.cap * sizeof(sky_range);
    }
    for (const sky__worker *w = s->lost.first; w; w = w->next)
        bytes += worker_bytes(w);
    for (size_t i = 0; i < s->n_sweeps; i++)
        bytes += sweep_bytes(s->sweeps[i]);
    return bytes;
}

/* --- Self-check --- */

#define CHECK(x) ((x) ? (void)0 : broken(#x, __LINE__))

static void broken(const char *what, int line)
{
    fprintf(stderr, "scheduler: line %d: %s does not hold\n", line, what);
    abort();
}

static void merge(sky_ranges *all, const sky_ranges *part)
{
    uint64_t before = all->count;
    CHECK(sky_ranges_add_all(all, part));
    CHECK(all->count == before + part->count); /* nothing is in two places */
}

static void check_sweep(const sky_sched *s, const sky__sweep *w)
{
    sky_ranges all = {0};
    uint64_t groups = 0;
    uint32_t leases = 0;
    merge(&all, &w->done);
    merge(&all, &w->bad);
    merge(&all, &w->todo);
    merge(&all, &w->retry);
    for (size_t i = w->group_head; i < w->n_groups; i++) {
        merge(&all, &w->groups[i]);
        groups += w->groups[i].count;
    }
    CHECK(groups == w->group_count);
    for (const sky__worker *k = s->live.first; k; k = k->next) {
        for (const sky__lease *l = k->leases; l; l = l->next) {
            if (l->sweep != w)
                continue;
            leases++;
            sky_ranges left = {0};
            CHECK(sky_ranges_copy(&left, &l->left) && sky__set_clip(&left, w->positions));
            CHECK(sky_ranges_remove_all(&left, &w->done) && sky_ranges_remove_all(&left, &w->bad));
            merge(&all, &left);
            sky_ranges_free(&left);
        }
    }
    CHECK(leases == w->n_leases);
    CHECK(all.count == w->positions); /* and nothing is lost */
    CHECK(all.n == 0 || (all.n == 1 && all.r[0].begin == 0 && all.r[0].end == w->positions));
    sky_ranges_free(&all);
}

static void check_worker(const sky_sched *s, const sky__worker *w)
{
    uint64_t cpus = 0, gpus = 0, memory = 0;
    uint32_t n = 0, n_long = 0;
    for (const sky__lease *l = w->leases; l; l = l->next) {
        CHECK(l->worker == w && sky__lease_find(s, l->id) == l);
        cpus += l->cpus;
        gpus += l->gpus;
        memory += l->memory_bytes;
        n_long += l->is_long;
        n++;
    }
    CHECK(cpus == w->out_cpus && gpus == w->out_gpus && memory == w->out_memory);
    CHECK(n == w->n_leases && n_long == w->n_long);
    CHECK(!w->lost || (n == 0 && !w->hungry && !w->gone));
}

void sky_sched_check(const sky_sched *s)
{
    uint64_t cpus = 0, gone = 0;
    size_t live = 0, leases = 0;
    for (const sky__worker *w = s->live.first; w; w = w->next) {
        check_worker(s, w);
        CHECK(!w->lost);
        cpus += w->cpus;
        gone += w->gone;
        leases += w->n_leases;
        live++;
    }
    for (const sky__worker *w = s->lost.first; w; w = w->next) {
        check_worker(s, w);
        CHECK(w->lost);
    }
    CHECK(cpus == s->live_cpus && gone == s->n_gone);
    CHECK(live == s->live.n && leases == s->n_leases);
    for (size_t i = 0; i < s->n_sweeps; i++)
        check_sweep(s, s->sweeps[i]);
}
