#include "sched_fixture.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

fx *fx_new(const sky_sched_options *o)
{
    fx *f = calloc(1, sizeof *f);
    assert(f);
    sky_sched_options options = o ? *o : (sky_sched_options){0};
    options.store_uuid = options.store_uuid ? options.store_uuid : "store";
    options.epoch = options.epoch ? options.epoch : 1;
    f->now_ns = 1000 * SKY_NS_PER_S;
    sky_err err = sky_sched_new(&f->s, &options, f->now_ns);
    assert(!err);
    return f;
}

void fx_clear(fx *f)
{
    for (size_t i = 0; i < f->n_leases; i++)
        sky_ranges_free(&f->leases[i].positions);
    f->n_leases = f->n_fails = f->n_records = f->n_plans = f->n_whos = f->n_welcomes = 0;
    f->n_acks = f->n_stops = f->n_states = f->n_revoked = 0;
    f->recorded = f->holes = f->skipped = 0;
    f->reason[0] = 0;
}

void fx_free(fx *f)
{
    fx_clear(f);
    sky_sched_check(f->s);
    sky_sched_free(f->s);
    free(f);
}

sky_session fx_session(unsigned worker)
{
    sky_session s = {{0}};
    s.b[0] = 1;
    memcpy(s.b + 4, &worker, sizeof worker);
    return s;
}

/* --- What comes out --- */

static void take_lease(fx *f, unsigned worker, const sky_msg_lease *l)
{
    assert(f->n_leases < FX_MAX);
    fx_lease *out = &f->leases[f->n_leases++];
    *out = (fx_lease){.worker = worker,
                      .id = l->lease,
                      .sweep = l->sweep,
                      .isolate = l->isolate,
                      .revision = l->revision};
    for (size_t i = 0; i < l->positions.n; i++)
        sky_ranges_add(&out->positions, l->positions.r[i].begin, l->positions.r[i].end);
}

static void take_send(fx *f, const sky_action *a)
{
    unsigned worker;
    const sky_msg *m = &a->send.msg;
    memcpy(&worker, a->send.to.b + 4, sizeof worker);
    switch (m->type) {
    case SKY_MSG_LEASE:
        take_lease(f, worker, &m->lease);
        break;
    case SKY_MSG_PLAN:
        f->n_plans++;
        break;
    case SKY_MSG_WHO:
        f->n_whos++;
        break;
    case SKY_MSG_WELCOME:
        f->n_welcomes++;
        break;
    case SKY_MSG_STOP:
        f->n_stops++;
        break;
    case SKY_MSG_REVOKE:
        for (size_t i = 0; i < m->revoke.n; i++)
            f->revoked[f->n_revoked++] = m->revoke.leases[i];
        break;
    case SKY_MSG_ACK:
        for (size_t i = 0; i < m->ack.n; i++)
            f->acked[f->n_acks++] = m->ack.seqs[i];
        break;
    default:
        assert(!"an unexpected message");
        break;
    }
}

static void drain(fx *f)
{
    sky_action a;
    while (sky_sched_next(f->s, &a)) {
        switch (a.type) {
        case SKY_ACTION_SEND:
            take_send(f, &a);
            break;
        case SKY_ACTION_RECORD:
            f->n_records++;
            f->recorded += a.record.positions->count - a.record.n_holes;
            f->holes += a.record.n_holes;
            f->skipped += a.record.skip ? a.record.skip->count : 0;
            break;
        case SKY_ACTION_FAIL:
            f->fails[f->n_fails++] =
                (fx_fail){a.fail.position, a.fail.attempts, a.fail.quarantined, a.fail.kind};
            break;
        case SKY_ACTION_SWEEP_STATE:
            f->n_states++;
            f->state = a.state.state;
            snprintf(f->reason, sizeof f->reason, "%s", a.state.reason);
            break;
        case SKY_ACTION_NOTE:
            break;
        }
    }
    sky_sched_check(f->s);
}

/* --- What goes in --- */

sky_sched_sweep fx_sweep(int64_t id, uint64_t positions)
{
    return (sky_sched_sweep){.id = id,
                             .revision = 1,
                             .plan = "plan",
                             .job = "job",
                             .job_version = "1",
                             .positions = positions,
                             .attempts = 3};
}

void fx_set(fx *f, const sky_sched_sweep *w)
{
    sky_err err = sky_sched_sweep_set(f->s, f->now_ns, w);
    assert(!err);
    drain(f);
}

void fx_message(fx *f, unsigned worker, const sky_msg *m)
{
    const sky_session session = fx_session(worker);
    sky_err err = sky_sched_message(f->s, f->now_ns, &session, m);
    assert(!err);
    drain(f);
}

void fx_hello_with(fx *f, unsigned worker, const sky_msg_hello *h)
{
    static const sky_job_version jobs[] = {{"job", "1"}};
    sky_msg m = {.type = SKY_MSG_HELLO, .hello = *h};
    m.hello.session = fx_session(worker);
    m.hello.host = "host";
    m.hello.program_version = "1";
    m.hello.store_uuid = h->store_uuid ? h->store_uuid : "store";
    if (!h->jobs) {
        m.hello.jobs = jobs;
        m.hello.n_jobs = 1;
    }
    fx_message(f, worker, &m);
}

void fx_hello(fx *f, unsigned worker, uint32_t cpus)
{
    fx_hello_with(f, worker, &(sky_msg_hello){.cpus = cpus});
}

void fx_heartbeat(fx *f, unsigned worker, uint64_t held, uint64_t unacked)
{
    sky_msg m = {.type = SKY_MSG_HEARTBEAT};
    m.heartbeat = (sky_msg_heartbeat){
        .session = fx_session(worker), .leases_held = held, .results_unacked = unacked};
    fx_message(f, worker, &m);
}

void fx_bye(fx *f, unsigned worker)
{
    sky_msg m = {.type = SKY_MSG_BYE, .bye = {.session = fx_session(worker), .reason = "done"}};
    fx_message(f, worker, &m);
}

typedef struct count {
    sky_session session;
    uint64_t leases;
} count;

static void count_leases(void *arg, const sky_sched_worker_info *w)
{
    count *c = arg;
    if (sky_session_equal(&c->session, &w->session))
        c->leases = w->leases;
}

uint64_t fx_held(const fx *f, unsigned worker)
{
    count c = {.session = fx_session(worker)};
    sky_sched_each_worker(f->s, count_leases, &c);
    return c.leases;
}

void fx_beat(fx *f, int64_t ms, unsigned n_workers)
{
    for (int64_t t = 0; t < ms; t += 100) {
        f->now_ns += 100 * SKY_NS_PER_MS;
        sky_err err = sky_sched_tick(f->s, f->now_ns);
        assert(!err);
        drain(f);
        for (unsigned i = 0; i < n_workers && t % 1000 == 0; i++)
            fx_heartbeat(f, i, fx_held(f, i), 0);
    }
}

void fx_tick(fx *f, int64_t ms)
{
    fx_beat(f, ms, 0);
}

void fx_commit(fx *f)
{
    sky_err err = sky_sched_committed(f->s, f->now_ns);
    assert(!err);
    drain(f);
}

/* --- Results --- */

void fx_result(fx *f, unsigned worker, const sky_msg_result *r)
{
    sky_msg m = {.type = SKY_MSG_RESULT, .result = *r};
    if (!m.result.seq)
        m.result.seq = ++f->seqs[worker];
    fx_message(f, worker, &m);
}

void fx_ok(fx *f, const fx_lease *l, uint64_t busy_ns)
{
    fx_lease copy = *l; /* the array may grow meanwhile */
    sky_msg_result r = {.lease = copy.id, .sweep = copy.sweep, .busy_ns = busy_ns, .last = true};
    r.ok = (sky_range_list){.r = copy.positions.r, .n = copy.positions.n};
    fx_result(f, copy.worker, &r);
}

void fx_failed(fx *f, const fx_lease *l, uint64_t position, bool last)
{
    const sky_failed_attempt a = {
        .position = position, .kind = SKY_FAILURE_ERROR, .reason = "it fails", .log = ""};
    sky_msg_result r = {.lease = l->id,
                        .sweep = l->sweep,
                        .failed = &a,
                        .n_failed = 1,
                        .busy_ns = 100 * SKY_NS_PER_MS,
                        .last = last};
    fx_result(f, l->worker, &r);
}

/* --- Questions --- */

sky_sched_sweep_info fx_info(const fx *f, int64_t sweep)
{
    sky_sched_sweep_info info = {0};
    sky_err err = sky_sched_get_sweep(f->s, sweep, &info);
    assert(!err);
    return info;
}

const fx_lease *fx_lease_of(const fx *f, unsigned worker, size_t nth)
{
    for (size_t i = 0; i < f->n_leases; i++) {
        if (f->leases[i].worker == worker && nth-- == 0)
            return &f->leases[i];
    }
    return NULL;
}

size_t fx_count(const fx *f, unsigned worker)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n_leases; i++)
        n += f->leases[i].worker == worker;
    return n;
}

size_t fx_count_sweep(const fx *f, int64_t sweep)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n_leases; i++)
        n += f->leases[i].sweep == sweep;
    return n;
}
