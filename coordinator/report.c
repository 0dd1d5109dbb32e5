/* Status: as structs for the programs that hold a coordinator, as JSON for all others. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "coordinator/coordinator_internal.h"

enum { WORKERS_IN_JSON_MAX = 2000 }; /* a reply's text is limited; the counts tell of the others */

/* --- Rates --- */

static uint64_t settled_of(const sky_coordinator *c, const sky__known *k)
{
    sky_sched_sweep_info info;
    if (k->scheduled && !sky_sched_get_sweep(c->sched, k->id, &info))
        return info.recorded + info.holes + info.failed;
    return k->recorded + k->holes + k->failed;
}

static void sample(const sky_coordinator *c, sky__known *k, int64_t now_ns)
{
    k->samples[k->next_sample].at_ns = now_ns;
    k->samples[k->next_sample].settled = settled_of(c, k);
    k->next_sample = (k->next_sample + 1) % SKY__RATE_SAMPLES;
    k->n_samples += k->n_samples < SKY__RATE_SAMPLES;
}

void sky__coord_sample_rates(sky_coordinator *c, int64_t now_ns)
{
    for (size_t i = 0; i < c->n_known; i++) {
        sky__known *k = &c->known[i];
        if (k->state == SKY_SWEEP_RUNNING && k->scheduled)
            sample(c, k, now_ns);
        else
            k->n_samples = k->next_sample = 0;
    }
}

static double rate_of(const sky_coordinator *c, sky__known *k, int64_t now_ns)
{
    if (k->n_samples == 0)
        return 0;
    size_t oldest = (k->next_sample + SKY__RATE_SAMPLES - k->n_samples) % SKY__RATE_SAMPLES;
    uint64_t now = settled_of(c, k), before = k->samples[oldest].settled;
    double seconds = (double)(now_ns - k->samples[oldest].at_ns) / 1e9;
    return seconds > 0.05 && now > before ? (double)(now - before) / seconds : 0;
}

/* --- Structs --- */

static void describe(sky_coordinator *c, sky__known *k, sky_sweep_status *out)
{
    *out = (sky_sweep_status){.id = k->id,
                              .name = k->name,
                              .job = k->job,
                              .job_version = k->job_version,
                              .state = k->state,
                              .reason = k->reason,
                              .priority = k->priority,
                              .points = k->points,
                              .positions = k->positions,
                              .recorded = k->recorded,
                              .holes = k->holes,
                              .failed = k->failed,
                              .busy_s = k->busy_s,
                              .eta_s = -1};
    sky_sched_sweep_info info;
    if (!k->scheduled || sky_sched_get_sweep(c->sched, k->id, &info))
        return;
    out->recorded = info.recorded;
    out->holes = info.holes;
    out->failed = info.failed;
    out->leased = info.leased;
    out->retrying = info.retrying;
    out->workers = info.workers;
    out->busy_s += info.busy_s;
    out->rate = rate_of(c, k, sky__coord_now());
    uint64_t settled = info.recorded + info.holes + info.failed;
    if (k->state == SKY_SWEEP_RUNNING && out->rate > 0)
        out->eta_s = (double)(info.positions - settled) / out->rate;
}

sky_err sky_coordinator_sweep(sky_coordinator *c, int64_t sweep, sky_sweep_status *out)
{
    sky__known *k = sky__known_by_id(c, sweep);
    if (!k)
        return SKY_ENOTFOUND;
    describe(c, k, out);
    return SKY_OK;
}

typedef struct gathering {
    sky_arena *arena;
    sky_worker_status *workers;
    size_t n, cap, n_lost;
    int64_t now_ns;
} gathering;

static void count_worker(void *arg, const sky_sched_worker_info *w)
{
    gathering *g = arg;
    g->cap++;
    g->n_lost += w->lost;
}

static void add_worker(void *arg, const sky_sched_worker_info *w)
{
    gathering *g = arg;
    if (g->n == g->cap)
        return;
    sky_worker_status *s = &g->workers[g->n++];
    const char *host = sky_arena_strdup(g->arena, w->host);
    const char *version = sky_arena_strdup(g->arena, w->program_version);
    *s = (sky_worker_status){.host = host ? host : "",
                             .pid = w->pid,
                             .program_version = version ? version : "",
                             .cpus = w->cpus,
                             .gpus = w->gpus,
                             .memory_bytes = w->memory_bytes,
                             .leases = w->leases,
                             .running = w->running,
                             .settled = w->settled,
                             .heard_ms_ago = (g->now_ns - w->heard_ns) / SKY_NS_PER_MS,
                             .lost = w->lost};
    for (size_t i = 0; i < SKY_SESSION_BYTES; i++)
        snprintf(s->session + 2 * i, 3, "%02x", w->session.b[i]);
}

static sky_err gather_sweeps(sky_coordinator *c, const char *name, sky_arena *arena,
                             sky_coordinator_info *out, sky_error *e)
{
    sky__known *only = NULL;
    sky_err err = name && name[0] ? sky__known_by_name(c, name, &only, e) : SKY_OK;
    if (err)
        return err;
    size_t n = only ? 1 : c->n_known;
    sky_sweep_status *sweeps = sky_new(arena, sky_sweep_status, n + 1);
    if (!sweeps)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        sky__known *k = only ? only : &c->known[i];
        describe(c, k, &sweeps[i]);
        char waiting[256] = "";
        if (k->state == SKY_SWEEP_RUNNING && k->scheduled)
            sky_sched_waiting(c->sched, k->id, waiting, sizeof waiting);
        else if (k->state == SKY_SWEEP_RUNNING)
            snprintf(waiting, sizeof waiting, "not taken up by this coordinator");
        const char *copies[] = {sky_arena_strdup(arena, k->name), sky_arena_strdup(arena, k->job),
                                sky_arena_strdup(arena, k->job_version),
                                sky_arena_strdup(arena, waiting[0] ? waiting : k->reason)};
        for (size_t j = 0; j < 4; j++) {
            if (!copies[j])
                return sky_fail(e, SKY_ENOMEM, "out of memory");
        }
        sweeps[i].name = copies[0];
        sweeps[i].job = copies[1];
        sweeps[i].job_version = copies[2];
        sweeps[i].reason = copies[3];
    }
    out->sweeps = sweeps;
    out->n_sweeps = n;
    return SKY_OK;
}

sky_err sky_coordinator_status(sky_coordinator *c, const char *sweep, sky_arena *arena,
                               sky_coordinator_info *out, sky_error *e)
{
    int64_t now = sky__coord_now();
    *out = (sky_coordinator_info){.endpoint = sky_hub_endpoint(c->hub),
                                  .store_path = c->store_path,
                                  .store_uuid = sky_store_uuid(c->o.store),
                                  .epoch = c->epoch,
                                  .uptime_s = (double)(now - c->start_ns) / 1e9,
                                  .cpu_s = (double)(sky_cpu_ns() - c->start_cpu_ns) / 1e9,
                                  .committed = c->committed,
                                  .commits = c->commits,
                                  .uncommitted = c->uncommitted_rows,
                                  .duplicates = c->duplicates,
                                  .differing = c->differing,
                                  .messages = c->messages,
                                  .rejected = c->rejected};
    sky_err err = gather_sweeps(c, sweep, arena, out, e);
    if (err)
        return err;
    gathering g = {.arena = arena, .now_ns = now};
    sky_sched_each_worker(c->sched, count_worker, &g);
    g.workers = sky_new(arena, sky_worker_status, g.cap + 1);
    if (!g.workers)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    sky_sched_each_worker(c->sched, add_worker, &g);
    out->workers = g.workers;
    out->n_workers = g.n;
    out->n_lost = g.n_lost;
    return SKY_OK;
}

/* --- JSON --- */

static void put_text(sky_buf *b, const char *key, const char *value)
{
    sky_buf_printf(b, "\"%s\":", key);
    sky_buf_json_string(b, value);
    sky_buf_putc(b, ',');
}

static void put_real(sky_buf *b, const char *key, double value)
{
    sky_buf_printf(b, "\"%s\":", key);
    sky_buf_json_f64(b, value);
    sky_buf_putc(b, ',');
}

static void put_u64(sky_buf *b, const char *key, uint64_t value)
{
    sky_buf_printf(b, "\"%s\":%" PRIu64 ",", key, value);
}

/* Objects are written with a comma after every member: takes back the last one. */
static void end_object(sky_buf *b)
{
    if (b->len && b->data[b->len - 1] == ',')
        b->data[--b->len] = 0;
    sky_buf_putc(b, '}');
}

static void put_sweep(sky_buf *b, const sky_sweep_status *s)
{
    sky_buf_putc(b, '{');
    sky_buf_printf(b, "\"id\":%" PRId64 ",", s->id);
    put_text(b, "name", s->name);
    put_text(b, "job", s->job);
    put_text(b, "job_version", s->job_version);
    put_text(b, "state", sky_sweep_state_name(s->state));
    put_text(b, "reason", s->reason);
    sky_buf_printf(b, "\"priority\":%" PRId32 ",", s->priority);
    put_u64(b, "points", s->points);
    put_u64(b, "positions", s->positions);
    put_u64(b, "recorded", s->recorded);
    put_u64(b, "holes", s->holes);
    put_u64(b, "failed", s->failed);
    put_u64(b, "leased", s->leased);
    put_u64(b, "retrying", s->retrying);
    put_u64(b, "workers", s->workers);
    put_real(b, "rate", s->rate);
    if (s->eta_s >= 0)
        put_real(b, "eta_s", s->eta_s);
    else
        sky_buf_puts(b, "\"eta_s\":null,");
    put_real(b, "busy_s", s->busy_s);
    end_object(b);
}

static void put_worker(sky_buf *b, const sky_worker_status *w)
{
    sky_buf_putc(b, '{');
    put_text(b, "session", w->session);
    put_text(b, "host", w->host);
    put_u64(b, "pid", w->pid);
    put_text(b, "version", w->program_version);
    put_u64(b, "cpus", w->cpus);
    put_u64(b, "gpus", w->gpus);
    put_u64(b, "memory_bytes", w->memory_bytes);
    put_u64(b, "leases", w->leases);
    put_u64(b, "running", w->running);
    put_u64(b, "settled", w->settled);
    sky_buf_printf(b, "\"heard_ms_ago\":%" PRId64 ",", w->heard_ms_ago);
    sky_buf_printf(b, "\"lost\":%s", w->lost ? "true" : "false");
    end_object(b);
}

void sky_coordinator_info_json(const sky_coordinator_info *info, sky_buf *b)
{
    sky_buf_putc(b, '{');
    put_text(b, "endpoint", info->endpoint);
    put_text(b, "store", info->store_path);
    put_text(b, "store_uuid", info->store_uuid);
    put_u64(b, "epoch", info->epoch);
    put_real(b, "uptime_s", info->uptime_s);
    put_real(b, "cpu_s", info->cpu_s);
    put_u64(b, "committed", info->committed);
    put_u64(b, "commits", info->commits);
    put_u64(b, "uncommitted", info->uncommitted);
    put_u64(b, "duplicates", info->duplicates);
    put_u64(b, "differing", info->differing);
    put_u64(b, "messages", info->messages);
    put_u64(b, "rejected", info->rejected);
    put_u64(b, "n_workers", info->n_workers);
    put_u64(b, "n_lost", info->n_lost);
    sky_buf_puts(b, "\"sweeps\":[");
    for (size_t i = 0; i < info->n_sweeps; i++) {
        if (i)
            sky_buf_putc(b, ',');
        put_sweep(b, &info->sweeps[i]);
    }
    sky_buf_puts(b, "],\"workers\":[");
    for (size_t i = 0; i < info->n_workers && i < WORKERS_IN_JSON_MAX; i++) {
        if (i)
            sky_buf_putc(b, ',');
        put_worker(b, &info->workers[i]);
    }
    sky_buf_puts(b, "]}");
}
