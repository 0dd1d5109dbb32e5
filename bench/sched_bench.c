/* What the scheduler alone costs, one JSON object per line: it is given messages as structs, and
 * its actions are read and dropped. Beside each figure stands what reading the clock costs in the
 * same run
 * ("clock_ns"), as a yardstick of the machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "coordinator/sched.h"

typedef struct out_lease {
    uint32_t worker;
    uint64_t id;
    sky_range r; /* leases of these sweeps are one range each */
} out_lease;

typedef struct cluster {
    sky_sched *s;
    int64_t now_ns; /* a made-up clock */
    uint32_t n_workers;
    out_lease *ring; /* leases in the order in which they were given */
    size_t head, n, cap;
    uint64_t *seqs;
    uint64_t settled, messages;
} cluster;

static double clock_ns(void)
{
    enum { N = 1000000 };
    int64_t begin = sky_clock_ns();
    for (int i = 0; i < N; i++)
        sky_clock_ns();
    return (double)(sky_clock_ns() - begin) / N;
}

static void must(bool ok)
{
    if (ok)
        return;
    fputs("sched_bench: failed\n", stderr);
    exit(1);
}

static sky_session session_of(uint32_t worker)
{
    sky_session s = {{1}};
    memcpy(s.b + 4, &worker, sizeof worker);
    return s;
}

static void drain(cluster *c)
{
    sky_action a;
    while (sky_sched_next(c->s, &a)) {
        if (a.type != SKY_ACTION_SEND || a.send.msg.type != SKY_MSG_LEASE)
            continue;
        out_lease *l = &c->ring[(c->head + c->n++) % c->cap];
        must(c->n <= c->cap && a.send.msg.lease.positions.n == 1);
        memcpy(&l->worker, a.send.to.b + 4, sizeof l->worker);
        l->id = a.send.msg.lease.lease;
        l->r = a.send.msg.lease.positions.r[0];
    }
}

static void hello(cluster *c, uint32_t worker, const sky_held_lease *held, size_t n_held)
{
    static const sky_job_version jobs[] = {{"noop", "1"}};
    sky_session session = session_of(worker);
    sky_msg m = {.type = SKY_MSG_HELLO};
    m.hello = (sky_msg_hello){.session = session,
                              .host = "host",
                              .program_version = "1",
                              .cpus = 1,
                              .jobs = jobs,
                              .n_jobs = 1,
                              .environment = "{}",
                              .store_uuid = "store",
                              .leases = held,
                              .n_leases = n_held};
    must(!sky_sched_message(c->s, c->now_ns, &session, &m));
    drain(c);
}

static void open_cluster(cluster *c, uint32_t n_workers, uint64_t positions)
{
    *c = (cluster){.n_workers = n_workers, .cap = 4 * (size_t)n_workers + 64, .now_ns = 1};
    c->ring = calloc(c->cap, sizeof *c->ring);
    c->seqs = calloc(n_workers, sizeof *c->seqs);
    must(c->ring && c->seqs);
    const sky_sched_options o = {.store_uuid = "store", .epoch = 1};
    must(!sky_sched_new(&c->s, &o, c->now_ns));
    const sky_sched_sweep w = {.id = 1,
                               .revision = 1,
                               .plan = "plan",
                               .job = "noop",
                               .job_version = "1",
                               .positions = positions,
                               .attempts = 3};
    must(!sky_sched_sweep_set(c->s, c->now_ns, &w));
    for (uint32_t i = 0; i < n_workers; i++)
        hello(c, i, NULL, 0);
}

static void close_cluster(cluster *c)
{
    sky_sched_free(c->s);
    free(c->ring);
    free(c->seqs);
}

/* Answers the oldest lease; commits now and then. */
static bool answer(cluster *c, uint64_t cost_ns, uint32_t commit_every)
{
    if (c->n == 0)
        return false;
    out_lease l = c->ring[c->head];
    c->head = (c->head + 1) % c->cap;
    c->n--;
    uint64_t n = l.r.end - l.r.begin;
    sky_session session = session_of(l.worker);
    sky_msg m = {.type = SKY_MSG_RESULT};
    m.result = (sky_msg_result){.seq = ++c->seqs[l.worker],
                                .lease = l.id,
                                .sweep = 1,
                                .ok = {&l.r, 1},
                                .busy_ns = n * cost_ns,
                                .last = true};
    c->now_ns += 1000;
    must(!sky_sched_message(c->s, c->now_ns, &session, &m));
    drain(c);
    c->settled += n;
    if (++c->messages % commit_every == 0) {
        must(!sky_sched_committed(c->s, c->now_ns));
        drain(c);
    }
    return true;
}

static void report(const char *what, double value, const char *unit, const cluster *c,
                   double yardstick_ns)
{
    printf("{\"bench\":\"sched\",\"what\":\"%s\",\"value\":%.4g,\"unit\":\"%s\",\"workers\":%u,"
           "\"clock_ns\":%.3g}\n",
           what, value, unit, c->n_workers, yardstick_ns);
}

/* A whole grid of microsecond trials with that many workers. */
static void run_grid(uint32_t workers, uint64_t positions, uint64_t cost_ns, double yardstick_ns)
{
    cluster c;
    int64_t begin = sky_clock_ns();
    open_cluster(&c, workers, positions);
    report("open", (double)(sky_clock_ns() - begin) / 1e6, "ms", &c, yardstick_ns);
    size_t bytes = 0;
    begin = sky_clock_ns();
    while (answer(&c, cost_ns, 64)) {
        if (c.messages % 64 == 0) {
            size_t now = sky_sched_bytes(c.s);
            bytes = now > bytes ? now : bytes;
        }
    }
    double ns = (double)(sky_clock_ns() - begin);
    must(c.settled == positions);
    report("point", ns / (double)positions, "ns", &c, yardstick_ns);
    report("result", ns / (double)c.messages, "ns", &c, yardstick_ns);
    report("memory", (double)bytes / 1048576, "MiB", &c, yardstick_ns);
    close_cluster(&c);
}

/* Heartbeats, and workers that all come back at once, as after a restart of the coordinator. */
static void run_storm(uint32_t workers, double yardstick_ns)
{
    cluster c;
    open_cluster(&c, workers, UINT64_C(1) << 40);
    for (uint32_t i = 0; i < 2 * workers; i++)
        answer(&c, 100000000, 1000);
    enum { ROUNDS = 10 };
    int64_t begin = sky_clock_ns();
    for (int round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < workers; i++) {
            sky_session session = session_of(i);
            sky_msg m = {.type = SKY_MSG_HEARTBEAT};
            m.heartbeat = (sky_msg_heartbeat){.session = session, .leases_held = 2};
            must(!sky_sched_message(c.s, c.now_ns, &session, &m));
            drain(&c);
        }
        c.now_ns += 200 * SKY_NS_PER_MS;
        must(!sky_sched_tick(c.s, c.now_ns));
        drain(&c);
    }
    report("heartbeat", (double)(sky_clock_ns() - begin) / (ROUNDS * (double)workers), "ns", &c,
           yardstick_ns);
    out_lease *held = malloc(c.n * sizeof *held);
    size_t n = c.n;
    must(held);
    for (size_t i = 0; i < n; i++)
        held[i] = c.ring[(c.head + i) % c.cap];
    close_cluster(&c);

    c = (cluster){.n_workers = workers, .cap = 4 * (size_t)workers, .now_ns = 1};
    c.ring = calloc(c.cap, sizeof *c.ring);
    const sky_sched_options o = {.store_uuid = "store", .epoch = 2};
    const sky_sched_sweep w = {.id = 1,
                               .revision = 1,
                               .plan = "plan",
                               .job = "noop",
                               .job_version = "1",
                               .positions = UINT64_C(1) << 40,
                               .attempts = 3};
    must(c.ring && !sky_sched_new(&c.s, &o, c.now_ns) && !sky_sched_sweep_set(c.s, c.now_ns, &w));
    begin = sky_clock_ns();
    for (size_t i = 0; i < n; i++) {
        const sky_held_lease h = {.lease = held[i].id, .sweep = 1, .left = {&held[i].r, 1}};
        hello(&c, held[i].worker, &h, 1);
    }
    report("return", (double)(sky_clock_ns() - begin) / (double)n, "ns", &c, yardstick_ns);
    free(held);
    close_cluster(&c);
}

int main(void)
{
    double yardstick_ns = clock_ns();
    run_grid(16, 10000000, 1000, yardstick_ns);
    run_grid(16, 10000000, 1000000, yardstick_ns);
    run_grid(10000, 10000000, 1000000, yardstick_ns);
    run_grid(10000, 1000000, 200000000, yardstick_ns);
    run_storm(10000, yardstick_ns);
    return 0;
}
