/* The agent's rules, one by one: events in, actions out, no process anywhere. */
#include "worker/agent.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "worker_plans.h"

enum { DONE_MAX = 1024 };

/* What is kept of an action. */
typedef struct done {
    sky_agent_action_kind kind;
    sky_msg_type type; /* of SEND */
    uint32_t slot;
    sky_kill_why why;
    uint64_t lease, seq, ok, returned, suspect, failed, first; /* first: of the returned, suspect, failed */
    uint32_t failure;
    bool last;
    uint64_t positions, gpus; /* of RUN; of START */
    uint64_t held;            /* leases of HELLO, HEARTBEAT */
    uint64_t running;         /* position in HEARTBEAT */
    int code;
    char text[128];
} done;

static sky_agent *a;
static done did[DONE_MAX];
static size_t n_did;
static int64_t now_ns = 1000 * SKY_NS_PER_S;

static uint64_t first_of(const sky_msg_result *r)
{
    if (r->n_failed)
        return r->failed[0].position;
    const sky_range_list *l = r->suspect.n ? &r->suspect : &r->returned;
    return l->n ? l->r[0].begin : UINT64_MAX;
}

static void note_message(done *d, const sky_msg *m)
{
    d->type = m->type;
    if (m->type == SKY_MSG_RESULT) {
        const sky_msg_result *r = &m->result;
        d->lease = r->lease;
        d->seq = r->seq;
        d->ok = sky_range_list_count(&r->ok);
        d->returned = sky_range_list_count(&r->returned);
        d->suspect = sky_range_list_count(&r->suspect);
        d->failed = r->n_failed;
        d->failure = r->n_failed ? r->failed[0].kind : 0;
        d->first = first_of(r);
        d->last = r->last;
        snprintf(d->text, sizeof d->text, "%s", r->n_failed ? r->failed[0].reason : "");
    } else if (m->type == SKY_MSG_HELLO) {
        d->held = m->hello.n_leases;
        d->positions = m->hello.n_leases ? sky_range_list_count(&m->hello.leases[0].left) : 0;
        snprintf(d->text, sizeof d->text, "%s", m->hello.store_uuid);
    } else if (m->type == SKY_MSG_HEARTBEAT) {
        d->held = m->heartbeat.leases_held;
        d->running = m->heartbeat.n_running ? m->heartbeat.running[0].position : UINT64_MAX;
    } else if (m->type == SKY_MSG_LEASE) {
        d->lease = m->lease.lease;
        d->positions = sky_range_list_count(&m->lease.positions);
        d->first = m->lease.positions.r[0].begin;
    }
}

/* Takes all actions; the record starts anew. */
static void take(void)
{
    n_did = 0;
    sky_agent_action act;
    while (sky_agent_next(a, &act)) {
        cr_assert(n_did < DONE_MAX);
        done *d = &did[n_did++];
        *d = (done){.kind = act.kind, .slot = act.slot, .why = act.why, .gpus = act.gpus,
                    .code = act.exit_code};
        if (act.msg)
            note_message(d, act.msg);
        if (act.kind == SKY_AGENT_EXIT)
            snprintf(d->text, sizeof d->text, "%s", act.reason);
    }
}

/* The k-th action of a kind (and a message type, for SEND), or NULL. */
static const done *find(sky_agent_action_kind kind, sky_msg_type type, size_t k)
{
    for (size_t i = 0; i < n_did; i++) {
        if (did[i].kind == kind && (!type || did[i].type == type) && k-- == 0)
            return &did[i];
    }
    return NULL;
}
#define SENT(type)   find(SKY_AGENT_SEND, SKY_MSG_##type, 0)
#define ACTION(kind) find(SKY_AGENT_##kind, 0, 0)

static void message(const sky_msg *m)
{
    sky_agent_message(a, now_ns, m);
    take();
}

static void welcome(const char *uuid)
{
    message(&(sky_msg){.type = SKY_MSG_WELCOME,
                       .welcome = {.store_uuid = uuid, .epoch = 1, .heartbeat_ms = 500}});
}

static void send_plan(int64_t sweep, uint32_t revision, const char *more)
{
    sky_plan *p = test_plan("name: s\njob: noop\nspace: {x: {from: 0, to: 999999, step: 1}}\n%s\n", more);
    message(&(sky_msg){.type = SKY_MSG_PLAN,
                       .plan = {.sweep = sweep, .revision = revision, .text = sky_plan_text(p)}});
    sky_plan_free(p);
}

static void lease_of(uint64_t id, int64_t sweep, uint64_t begin, uint64_t end)
{
    sky_range r = {begin, end};
    message(&(sky_msg){.type = SKY_MSG_LEASE, .lease = {.lease = id, .sweep = sweep, .revision = 1,
                                                        .positions = {&r, 1}}});
}

static void lease(uint64_t id, uint64_t begin, uint64_t end)
{
    lease_of(id, 7, begin, end);
}

static void ack(uint64_t seq)
{
    message(&(sky_msg){.type = SKY_MSG_ACK, .ack = {.seqs = &seq, .n = 1}});
}

static void outcome(uint32_t slot, uint64_t id, uint64_t begin, uint64_t end, bool last)
{
    sky_arena arena = {0};
    sky_range *r = sky_new(&arena, sky_range, 1);
    *r = (sky_range){begin, end};
    sky_agent_outcome(a, now_ns, slot,
                      &(sky_msg_result){.lease = id, .sweep = 7, .ok = {r, begin < end}, .last = last},
                      &arena);
    cr_assert_null(arena.head);
    take();
}

static void died(uint32_t slot, sky_death kind, uint64_t begin, uint64_t end)
{
    sky_agent_died d = {.kind = kind, .begin = begin, .end = end};
    sky_agent_died_event(a, now_ns, slot, &d);
    take();
}

static void tick(int64_t ms)
{
    now_ns += ms * SKY_NS_PER_MS;
    sky_agent_tick(a, now_ns);
    take();
}

static void make(sky_agent_options o)
{
    o.host = "here";
    cr_assert_eq(sky_agent_new(&a, &o), SKY_OK);
}

/* A welcomed agent with a plan for sweep 7. */
static void set_up(sky_agent_options o, const char *plan)
{
    make(o);
    sky_agent_connected(a, now_ns);
    take();
    cr_assert(SENT(HELLO));
    welcome("u");
    send_plan(7, 1, plan);
}

static void tear_down(void)
{
    sky_agent_free(a);
    a = NULL;
}

TestSuite(agent, .fini = tear_down, .timeout = 30);

Test(agent, says_hello_until_it_is_welcome)
{
    make((sky_agent_options){.heartbeat_ms = 200});
    tick(1000);
    cr_assert_eq(n_did, 0, "nobody is there");
    sky_agent_connected(a, now_ns);
    take();
    cr_assert(SENT(HELLO));
    cr_assert_str_eq(SENT(HELLO)->text, "");
    tick(100);
    cr_assert_eq(n_did, 0);
    tick(100);
    cr_assert(SENT(HELLO));
    welcome("u");
    tick(400);
    cr_assert_eq(n_did, 0);
    tick(100);
    cr_assert(SENT(HEARTBEAT));
    cr_assert_null(SENT(HELLO));
    cr_assert(sky_agent_wake_ns(a) <= now_ns + 500 * SKY_NS_PER_MS);
}

Test(agent, runs_a_lease_and_keeps_the_executor)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    cr_assert_eq(n_did, 2);
    cr_assert_eq(did[0].kind, SKY_AGENT_START);
    cr_assert_eq(did[0].type, SKY_MSG_PLAN);
    cr_assert_eq(did[1].kind, SKY_AGENT_RUN);
    cr_assert_eq(did[1].positions, 10);
    uint32_t slot = did[1].slot;
    lease(2, 10, 20);
    cr_assert_eq(n_did, 0, "one cpu, one lease at a time");
    outcome(slot, 1, 0, 4, false);
    cr_assert_eq(n_did, 1);
    cr_assert_eq(SENT(RESULT)->seq, 1);
    cr_assert_eq(SENT(RESULT)->last, false);
    outcome(slot, 1, 4, 10, true);
    cr_assert_eq(SENT(RESULT)->seq, 2);
    cr_assert_eq(SENT(RESULT)->last, true);
    cr_assert_null(ACTION(START));
    cr_assert_eq(ACTION(RUN)->slot, slot);
    cr_assert_eq(ACTION(RUN)->lease, 2);
    cr_assert_eq(sky_agent_get_stats(a).trials_ok, 10);
}

Test(agent, ends_an_idle_executor_after_a_while)
{
    set_up((sky_agent_options){.cpus = 1, .idle_ms = 3000}, "");
    lease(1, 0, 1);
    outcome(0, 1, 0, 1, true);
    ack(1);
    cr_assert(ACTION(RECORDED));
    tick(2900);
    cr_assert_null(ACTION(KILL));
    tick(200);
    cr_assert(ACTION(KILL));
    cr_assert_eq(ACTION(KILL)->why, SKY_KILL_IDLE);
    died(0, SKY_DEATH_ASKED, 0, 0);
    lease(2, 1, 2);
    cr_assert(ACTION(START));
}

Test(agent, replaces_an_executor_of_another_sweep)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    send_plan(8, 1, "");
    lease(1, 0, 1);
    outcome(0, 1, 0, 1, true);
    lease_of(2, 8, 0, 1);
    cr_assert(ACTION(KILL));
    cr_assert_eq(ACTION(KILL)->slot, 0);
    cr_assert(ACTION(START));
    cr_assert_neq(ACTION(START)->slot, 0);
    /* A new revision too. */
    outcome(ACTION(START)->slot, 2, 0, 1, true);
    died(0, SKY_DEATH_ASKED, 0, 0);
}

Test(agent, a_new_revision_needs_a_new_executor)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 1);
    outcome(0, 1, 0, 1, true);
    send_plan(7, 2, "limits: {timeout: 5s}");
    lease(2, 1, 2);
    cr_assert(ACTION(KILL));
    cr_assert(ACTION(START));
}

Test(agent, starts_leases_in_order_when_resources_are_free)
{
    set_up((sky_agent_options){.cpus = 4, .memory_bytes = 100}, "resources: {cpus: 3, memory: 60}");
    send_plan(8, 1, "resources: {cpus: 1, memory: 50}");
    lease(1, 0, 1);
    lease_of(2, 8, 0, 1);
    cr_assert_null(ACTION(RUN), "60 and 50 bytes are more than 100");
    outcome(0, 1, 0, 1, true);
    cr_assert_eq(ACTION(RUN)->lease, 2);
    lease(3, 1, 2);
    lease_of(4, 8, 1, 2);
    cr_assert_null(ACTION(RUN), "the large one that came first is not passed");
}

Test(agent, returns_what_can_never_run)
{
    set_up((sky_agent_options){.cpus = 2}, "resources: {cpus: 3}");
    lease(1, 5, 9);
    cr_assert_null(ACTION(START));
    cr_assert_eq(SENT(RESULT)->returned, 4);
    cr_assert_eq(SENT(RESULT)->last, true);
    cr_assert_eq(sky_agent_get_stats(a).leases_held, 0);
}

Test(agent, gives_gpus_to_one_executor_each)
{
    set_up((sky_agent_options){.cpus = 4, .gpus = 3}, "resources: {gpus: 2}");
    send_plan(8, 1, "resources: {gpus: 1}");
    lease(1, 0, 1);
    cr_assert_eq(ACTION(START)->gpus, 3);
    lease_of(2, 8, 0, 1);
    cr_assert_eq(ACTION(START)->gpus, 4);
    uint32_t other = ACTION(START)->slot;
    lease_of(3, 8, 1, 2);
    cr_assert_null(ACTION(START), "no GPU is free");
    outcome(0, 1, 0, 1, true);
    cr_assert(ACTION(KILL), "an idle executor holds two");
    cr_assert_null(ACTION(START), "until it is dead");
    died(0, SKY_DEATH_ASKED, 0, 0);
    cr_assert_eq(ACTION(START)->gpus, 1);
    cr_assert_neq(ACTION(START)->slot, other);
}

Test(agent, ignores_copies_of_a_lease)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 2);
    lease(1, 0, 2);
    cr_assert_eq(n_did, 0);
    outcome(0, 1, 0, 2, true);
    lease(1, 0, 2);
    cr_assert_eq(n_did, 0, "it is over");
    cr_assert_eq(sky_agent_get_stats(a).leases_held, 0);
}

Test(agent, returns_a_lease_whose_plan_it_lacks_and_asks)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease_of(1, 9, 3, 5);
    cr_assert_null(SENT(RESULT), "only after the WELCOME");
    tick(0);
    cr_assert(SENT(HELLO));
    welcome("u");
    cr_assert_eq(SENT(RESULT)->returned, 2);
}

Test(agent, charges_the_trial_that_crashed)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    outcome(0, 1, 0, 4, false);
    died(0, SKY_DEATH_CRASH, 5, 6);
    const done *r = SENT(RESULT);
    cr_assert_eq(r->failed, 1);
    cr_assert_eq(r->first, 5);
    cr_assert_eq(r->failure, 1);
    cr_assert_eq(r->last, false);
    cr_assert(ACTION(START));
    cr_assert_eq(ACTION(RUN)->positions, 5, "0 to 3 are reported, 5 failed");
    cr_assert_eq(ACTION(RUN)->first, 4);
}

Test(agent, names_the_reason_of_each_death)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    died(0, SKY_DEATH_TIMEOUT, 0, 1);
    cr_assert_eq(SENT(RESULT)->failure, 2);
    died(0, SKY_DEATH_MEMORY, 1, 2);
    cr_assert_eq(SENT(RESULT)->failure, 3);
    sky_agent_died d = {.kind = SKY_DEATH_CRASH, .begin = 2, .end = 3, .reason = "signal 11", .log = "x"};
    sky_agent_died_event(a, now_ns, 0, &d);
    take();
    cr_assert_str_eq(SENT(RESULT)->text, "signal 11");
}

Test(agent, a_kill_from_outside_charges_nobody)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    died(0, SKY_DEATH_OUTSIDE, 3, 4);
    cr_assert_eq(SENT(RESULT)->returned, 1);
    cr_assert_eq(SENT(RESULT)->first, 3);
    cr_assert_eq(ACTION(RUN)->positions, 9);
    for (int i = 0; i < 10; i++) {
        died(0, SKY_DEATH_OUTSIDE, 0, 0);
        cr_assert_null(SENT(RESULT));
        cr_assert_eq(ACTION(RUN)->positions, 9);
    }
}

Test(agent, a_dead_batch_is_suspect)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 100);
    outcome(0, 1, 0, 12, false);
    died(0, SKY_DEATH_CRASH, 8, 40);
    cr_assert_eq(SENT(RESULT)->suspect, 28);
    cr_assert_eq(SENT(RESULT)->first, 12);
    cr_assert_eq(SENT(RESULT)->failed, 0);
    cr_assert_eq(ACTION(RUN)->positions, 60);
    died(0, SKY_DEATH_CRASH, 40, 100);
    cr_assert_eq(SENT(RESULT)->suspect, 60);
    cr_assert_eq(SENT(RESULT)->last, true);
    cr_assert_null(ACTION(START));
}

Test(agent, executors_that_die_before_they_run_charge_the_first)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    died(0, SKY_DEATH_CRASH, 0, 0);
    cr_assert_null(SENT(RESULT));
    cr_assert_eq(ACTION(RUN)->positions, 10);
    died(0, SKY_DEATH_CRASH, 0, 0);
    cr_assert_eq(SENT(RESULT)->failed, 1);
    cr_assert_eq(SENT(RESULT)->first, 0);
    cr_assert_eq(ACTION(RUN)->positions, 9);
}

Test(agent, memory_is_charged_only_in_a_fresh_executor)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    outcome(0, 1, 0, 3, false);
    died(0, SKY_DEATH_MEMORY, 3, 4);
    cr_assert_null(SENT(RESULT));
    cr_assert_eq(ACTION(RUN)->first, 3);
    died(0, SKY_DEATH_MEMORY, 3, 4);
    cr_assert_eq(SENT(RESULT)->failed, 1);
    cr_assert_eq(SENT(RESULT)->failure, 3);
}

Test(agent, a_result_that_does_not_fit_is_a_crash)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    outcome(0, 1, 0, 4, false);
    outcome(0, 1, 3, 6, false);
    cr_assert_null(SENT(RESULT));
    cr_assert_eq(ACTION(KILL)->why, SKY_KILL_CORRUPT);
    outcome(0, 1, 4, 10, true);
    cr_assert_eq(n_did, 0, "nothing of it is believed any more");
    died(0, SKY_DEATH_ASKED, 6, 7);
    cr_assert_eq(SENT(RESULT)->failed, 1);
    cr_assert_eq(SENT(RESULT)->first, 6);
    cr_assert_eq(ACTION(RUN)->positions, 5);
    outcome(0, 2, 4, 6, false);
    cr_assert(ACTION(KILL), "another lease");
    died(0, SKY_DEATH_ASKED, 0, 0);
    outcome(0, 1, 4, 6, true);
    cr_assert(ACTION(KILL), "last, with positions left");
}

Test(agent, results_are_kept_until_acknowledged)
{
    set_up((sky_agent_options){.cpus = 1, .resend_ms = 1000}, "");
    lease(1, 0, 10);
    for (uint64_t i = 0; i < 5; i++)
        outcome(0, 1, i, i + 1, false);
    ack(2);
    ack(2);
    ack(77);
    cr_assert_eq(sky_agent_get_stats(a).results_unacked, 4);
    sky_agent_disconnected(a, now_ns);
    outcome(0, 1, 5, 6, false);
    cr_assert_eq(n_did, 0, "nobody to send it to");
    tick(5000);
    cr_assert_eq(n_did, 0);
    sky_agent_connected(a, now_ns);
    take();
    cr_assert_eq(n_did, 1);
    cr_assert_eq(SENT(HELLO)->held, 1);
    cr_assert_eq(SENT(HELLO)->positions, 4);
    cr_assert_str_eq(SENT(HELLO)->text, "u");
    welcome("u");
    static const uint64_t seqs[] = {1, 3, 4, 5, 6};
    cr_assert_eq(n_did, 5);
    for (size_t i = 0; i < 5; i++)
        cr_assert_eq(find(SKY_AGENT_SEND, SKY_MSG_RESULT, i)->seq, seqs[i]);
    welcome("u");
    cr_assert_eq(n_did, 0, "a copy of the WELCOME repeats nothing");
    tick(600);
    cr_assert_null(SENT(RESULT));
    tick(500);
    cr_assert(SENT(RESULT), "unanswered for resend_ms");
}

Test(agent, a_full_queue_is_tried_again_soon)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 1);
    outcome(0, 1, 0, 1, true);
    sky_agent_unsent(a, 1);
    cr_assert(sky_agent_wake_ns(a) <= now_ns + 30 * SKY_NS_PER_MS);
    tick(30);
    cr_assert_eq(SENT(RESULT)->seq, 1);
    tick(30);
    cr_assert_eq(n_did, 0);
}

Test(agent, unacknowledged_bytes_hold_leases_back)
{
    set_up((sky_agent_options){.cpus = 1, .unacked_bytes_max = 1}, "");
    lease(1, 0, 1);
    lease(2, 1, 2);
    outcome(0, 1, 0, 1, true);
    cr_assert_null(ACTION(RUN));
    ack(1);
    cr_assert(ACTION(RUN));
}

Test(agent, another_store_means_a_new_start)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    lease(2, 10, 20);
    outcome(0, 1, 0, 5, false);
    sky_agent_disconnected(a, now_ns);
    sky_agent_connected(a, now_ns);
    take();
    welcome("v");
    cr_assert_null(SENT(RESULT));
    cr_assert_eq(ACTION(KILL)->why, SKY_KILL_REVOKED);
    cr_assert_eq(sky_agent_get_stats(a).leases_held, 0);
    cr_assert_eq(sky_agent_get_stats(a).results_unacked, 0);
    died(0, SKY_DEATH_ASKED, 6, 7);
    cr_assert_eq(n_did, 0);
    send_plan(7, 1, "");
    lease(1, 0, 10);
    cr_assert(ACTION(RUN), "the same number, another lease");
    outcome(0, 1, 0, 10, true);
    cr_assert_eq(SENT(RESULT)->seq, 2, "sequence numbers go on");
}

Test(agent, who_is_answered_once)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    message(&(sky_msg){.type = SKY_MSG_WHO});
    cr_assert(SENT(HELLO));
    message(&(sky_msg){.type = SKY_MSG_WHO});
    cr_assert_eq(n_did, 0);
    lease(1, 0, 1);
    cr_assert_eq(n_did, 0, "the coordinator counts on what the HELLO said");
    cr_assert_eq(sky_agent_get_stats(a).leases_held, 0);
}

Test(agent, a_revoked_lease_is_forgotten)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    lease(2, 10, 20);
    uint64_t both[] = {2, 1, 55};
    message(&(sky_msg){.type = SKY_MSG_REVOKE, .revoke = {.leases = both, .n = 3}});
    cr_assert_eq(ACTION(KILL)->why, SKY_KILL_REVOKED);
    outcome(0, 1, 0, 3, false);
    cr_assert_eq(n_did, 0);
    died(0, SKY_DEATH_ASKED, 3, 4);
    cr_assert_eq(n_did, 0);
    lease(55, 0, 3);
    cr_assert_eq(n_did, 0, "its REVOKE came first");
    lease(56, 0, 3);
    cr_assert(ACTION(RUN));
}

Test(agent, a_lease_revoked_before_its_start_leaves_no_trace)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    sky_range r = {0, 5};
    uint64_t id = 1;
    sky_agent_message(a, now_ns, &(sky_msg){.type = SKY_MSG_LEASE,
                                            .lease = {.lease = 1, .sweep = 7, .revision = 1,
                                                      .positions = {&r, 1}}});
    sky_agent_message(a, now_ns, &(sky_msg){.type = SKY_MSG_REVOKE, .revoke = {.leases = &id, .n = 1}});
    take();
    cr_assert_eq(n_did, 0);
    lease(2, 0, 5);
    cr_assert(ACTION(START));
    cr_assert(ACTION(RUN));
}

Test(agent, heartbeats_name_what_runs)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 4, 10);
    tick(500);
    cr_assert_eq(SENT(HEARTBEAT)->held, 1);
    cr_assert_eq(SENT(HEARTBEAT)->running, 4);
    sky_agent_running(a, 0, 8, 20);
    tick(500);
    cr_assert_eq(SENT(HEARTBEAT)->running, 8);
    sky_agent_running(a, 0, 77, 20); /* not of its lease */
    tick(500);
    cr_assert_eq(SENT(HEARTBEAT)->running, 4);
}

Test(agent, stop_finishes_what_runs)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    lease(2, 10, 20);
    message(&(sky_msg){.type = SKY_MSG_STOP});
    cr_assert(ACTION(DRAIN));
    cr_assert_null(ACTION(KILL));
    cr_assert_eq(SENT(RESULT)->returned, 10);
    lease(3, 20, 30);
    cr_assert_eq(SENT(RESULT)->returned, 10);
    outcome(0, 1, 0, 10, true);
    cr_assert_eq(ACTION(KILL)->why, SKY_KILL_IDLE);
    died(0, SKY_DEATH_ASKED, 0, 0);
    cr_assert_null(ACTION(EXIT), "its results are not safe yet");
    ack(1);
    ack(2);
    ack(3);
    cr_assert(SENT(BYE));
    cr_assert_eq(ACTION(EXIT)->code, 0);
    tick(5000);
    cr_assert_eq(n_did, 0, "the end is the end");
}

Test(agent, stop_does_not_wait_for_ever)
{
    set_up((sky_agent_options){.cpus = 1, .stop_ms = 2000}, "");
    lease(1, 0, 10);
    sky_agent_stop(a, now_ns, false);
    take();
    died(0, SKY_DEATH_CRASH, 0, 1);
    cr_assert_null(ACTION(START));
    cr_assert_eq(find(SKY_AGENT_SEND, SKY_MSG_RESULT, 0)->failed, 1);
    cr_assert_eq(find(SKY_AGENT_SEND, SKY_MSG_RESULT, 1)->returned, 9);
    tick(1900);
    cr_assert_null(ACTION(EXIT));
    tick(200);
    cr_assert(ACTION(EXIT));
}

Test(agent, stop_now_kills)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    outcome(0, 1, 0, 2, false);
    sky_agent_stop(a, now_ns, false);
    take();
    message(&(sky_msg){.type = SKY_MSG_STOP, .stop = {.now = true}});
    cr_assert_eq(ACTION(KILL)->why, SKY_KILL_STOP);
    cr_assert_eq(SENT(RESULT)->returned, 8);
    outcome(0, 1, 2, 4, false);
    cr_assert_eq(n_did, 0, "it was given back");
    died(0, SKY_DEATH_ASKED, 3, 4);
    ack(1);
    ack(2);
    cr_assert(ACTION(EXIT));
}

Test(agent, an_idle_worker_stops_at_once)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    message(&(sky_msg){.type = SKY_MSG_STOP});
    cr_assert(SENT(BYE));
    cr_assert(ACTION(EXIT));
}

Test(agent, gives_up_when_executors_cannot_start)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    int starts = 1;
    for (int i = 0; i < 1000 && !ACTION(EXIT); i++) {
        if (ACTION(START)) {
            starts++;
            sky_agent_died d = {.kind = SKY_DEATH_START, .reason = "no such program"};
            sky_agent_died_event(a, now_ns, ACTION(START)->slot, &d);
            take();
            cr_assert_null(ACTION(START), "not at once");
            for (size_t k = 0; k < n_did; k++) {
                if (did[k].type == SKY_MSG_RESULT)
                    cr_assert_eq(did[k].returned, 10);
            }
        } else {
            tick(100);
        }
    }
    cr_assert_eq(starts, 9);
    cr_assert_eq(ACTION(EXIT)->code, 1);
    cr_assert_str_eq(ACTION(EXIT)->text, "no such program");
}

Test(agent, refuses_impossible_capacities)
{
    sky_agent *x = NULL;
    cr_assert_eq(sky_agent_new(&x, &(sky_agent_options){.cpus = SKY_AGENT_CPUS_MAX + 1}), SKY_EINVAL);
    cr_assert_eq(sky_agent_new(&x, &(sky_agent_options){.gpus = 65}), SKY_EINVAL);
    cr_assert_null(x);
}

Test(agent, forgets_the_plans_that_it_used_longest_ago)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 1);
    for (int64_t sweep = 100; sweep < 100 + SKY_AGENT_PLANS_MAX; sweep++)
        send_plan(sweep, 1, "");
    lease_of(2, 100, 0, 1);
    tick(0);
    cr_assert(SENT(HELLO), "100 was forgotten");
    welcome("u");
    lease(3, 1, 2);
    cr_assert_eq(sky_agent_get_stats(a).leases_held, 2, "7 was not: it has a lease");
}
