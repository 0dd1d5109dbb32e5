/* Fails each allocation of a history in turn (the linker routes those of this program here): the
 * call that needed it says SKY_ENOMEM, nothing crashes, and nothing leaks (under a sanitizer). */
#include <criterion/criterion.h>
#include <string.h>

#include "coordinator/sched.h"
#include "tests/failing_alloc.h"

enum { WORKERS = 3, LEASES_MAX = 256, ROUNDS = 60 };
#define MS INT64_C(1000000)

typedef struct history {
    sky_sched *s;
    int64_t now_ns;
    uint64_t seq;
    size_t n;
    struct {
        uint8_t worker;
        uint64_t id;
        int64_t sweep;
        sky_range r; /* the first of its ranges: enough for a result of a part */
    } leases[LEASES_MAX];
} history;

static sky_session session_of(uint8_t worker)
{
    return (sky_session){{1, worker}};
}

static void drain(history *h)
{
    sky_action a;
    while (sky_sched_next(h->s, &a)) {
        if (a.type != SKY_ACTION_SEND || a.send.msg.type != SKY_MSG_LEASE || h->n == LEASES_MAX)
            continue;
        const sky_msg_lease *l = &a.send.msg.lease;
        h->leases[h->n].worker = a.send.to.b[1];
        h->leases[h->n].id = l->lease;
        h->leases[h->n].sweep = l->sweep;
        h->leases[h->n++].r = l->positions.r[0];
    }
}

static sky_err hello(history *h, uint8_t worker)
{
    static const sky_job_version jobs[] = {{"job", "1"}};
    static const sky_range some = {0, 6};
    const sky_held_lease held = {.lease = 7, .sweep = 1, .left = {&some, 1}};
    sky_session session = session_of(worker);
    sky_msg m = {.type = SKY_MSG_HELLO};
    m.hello = (sky_msg_hello){.session = session,
                              .host = "host",
                              .program_version = "1",
                              .cpus = 2,
                              .jobs = jobs,
                              .n_jobs = 1,
                              .environment = "{}",
                              .store_uuid = "store",
                              .leases = &held,
                              .n_leases = 1};
    return sky_sched_message(h->s, h->now_ns, &session, &m);
}

static sky_err heartbeat(history *h, uint8_t worker)
{
    const sky_running_trial running = {.lease = h->n ? h->leases[h->n - 1].id : 1};
    sky_session session = session_of(worker);
    sky_msg m = {.type = SKY_MSG_HEARTBEAT};
    m.heartbeat = (sky_msg_heartbeat){.session = session, .running = &running, .n_running = 1};
    return sky_sched_message(h->s, h->now_ns, &session, &m);
}

/* Answers a lease in one of five ways. */
static sky_err answer(history *h, size_t i, int way)
{
    const sky_range r = h->leases[i].r;
    const sky_failed_attempt f = {
        .position = r.begin, .kind = SKY_FAILURE_ERROR, .reason = "why", .log = ""};
    sky_session session = session_of(h->leases[i].worker);
    sky_msg m = {.type = SKY_MSG_RESULT};
    m.result = (sky_msg_result){.seq = ++h->seq,
                                .lease = h->leases[i].id,
                                .sweep = h->leases[i].sweep,
                                .busy_ns = 1000,
                                .last = true};
    if (way == 0 || way == 4)
        m.result.ok = (sky_range_list){&r, 1};
    else if (way == 1)
        m.result.suspect = (sky_range_list){&r, 1};
    else if (way == 2)
        m.result.returned = (sky_range_list){&r, 1};
    else
        m.result.failed = &f;
    m.result.n_failed = way == 3;
    return sky_sched_message(h->s, h->now_ns, &session, &m);
}

static sky_err set_sweep(history *h, int64_t id, uint64_t positions)
{
    const sky_sched_sweep w = {.id = id,
                               .revision = 1,
                               .plan = "plan",
                               .job = "job",
                               .job_version = "1",
                               .positions = positions,
                               .attempts = 2,
                               .failures = 3};
    return sky_sched_sweep_set(h->s, h->now_ns, &w);
}

static sky_err command(history *h, int round)
{
    sky_ranges all = {0};
    switch (round % 12) {
    case 3:
        return sky_sched_sweep_state(h->s, h->now_ns, 1, SKY_SWEEP_PAUSED, "why");
    case 4:
        return sky_sched_sweep_state(h->s, h->now_ns, 1, SKY_SWEEP_RUNNING, "");
    case 5:
        return set_sweep(h, 1, round % 24 == 5 ? 300 : 500);
    case 6:
        return sky_sched_rolled_back(h->s, h->now_ns);
    case 7:
        all = (sky_ranges){.r = &(sky_range){0, 500}, .n = 1, .cap = 1, .count = 500};
        return sky_sched_sweep_retry(h->s, h->now_ns, 1, &all);
    case 8:
        return sky_sched_sweep_charged(h->s, 2, (uint64_t)round, 1);
    case 9:
        return sky_sched_peer_gone(h->s, h->now_ns, &(sky_session){{1, 1}});
    case 10:
        return sky_sched_stop_workers(h->s, false);
    case 11:
        return round == 59 ? sky_sched_sweep_state(h->s, h->now_ns, 2, SKY_SWEEP_CANCELLED, "")
                           : SKY_OK;
    default:
        return sky_sched_committed(h->s, h->now_ns);
    }
}

/* One round; the first error ends the history. */
static sky_err play(history *h, int round)
{
    sky_err err = SKY_OK;
    for (uint8_t i = 0; i < WORKERS && !err; i++) {
        if (round % 9 == i) /* now and then all are silent for so long that they are lost */
            err = hello(h, i);
        else if (round % 20 < 12)
            err = heartbeat(h, i);
        drain(h);
    }
    size_t n = h->n;
    for (size_t i = 0; i < n && !err; i++) {
        err = answer(h, i, (int)((size_t)round + i) % 5);
        drain(h);
    }
    memmove(h->leases, h->leases + n, (h->n - n) * sizeof h->leases[0]);
    h->n -= n;
    if (!err)
        err = command(h, round);
    drain(h);
    h->now_ns += 700 * MS;
    if (!err)
        err = sky_sched_tick(h->s, h->now_ns);
    drain(h);
    return err;
}

static sky_err run(void)
{
    history h = {.now_ns = 1};
    const sky_sched_options o = {.store_uuid = "store", .epoch = 1};
    sky_err err = sky_sched_new(&h.s, &o, h.now_ns);
    if (err)
        return err;
    err = set_sweep(&h, 1, 400);
    if (!err)
        err = set_sweep(&h, 2, 100);
    for (int round = 0; round < ROUNDS && !err; round++)
        err = play(&h, round);
    until_failure = -1; /* the check has no way to tell, and needs none */
    if (!err)
        sky_sched_check(h.s);
    sky_sched_free(h.s);
    return err;
}

Test(sched_oom, each_allocation_that_fails_is_told, .timeout = 60)
{
    long n = 0;
    for (;; n++) {
        allocation_failed = false;
        until_failure = n;
        sky_err err = run();
        until_failure = -1;
        if (!allocation_failed) {
            cr_assert_eq(err, SKY_OK, "without a failure: %d", err);
            break;
        }
        cr_assert_eq(err, SKY_ENOMEM, "allocation %ld", n);
    }
    cr_assert_gt(n, 300, "the history needs %ld allocations", n);
}
