#include "agent_harness.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "worker_plans.h"

enum { DONE_MAX = 1024 };

sky_agent *a;
done did[DONE_MAX];
size_t n_did;
int64_t now_ns = 1000 * SKY_NS_PER_S;

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
void take(void)
{
    n_did = 0;
    sky_agent_action act;
    while (sky_agent_next(a, &act)) {
        cr_assert(n_did < DONE_MAX);
        done *d = &did[n_did++];
        *d = (done){.kind = act.kind,
                    .slot = act.slot,
                    .why = act.why,
                    .gpus = act.gpus,
                    .code = act.exit_code};
        if (act.msg)
            note_message(d, act.msg);
        if (act.kind == SKY_AGENT_EXIT)
            snprintf(d->text, sizeof d->text, "%s", act.reason);
    }
}

/* The k-th action of a kind (and a message type, for SEND), or NULL. */
const done *find(sky_agent_action_kind kind, sky_msg_type type, size_t k)
{
    for (size_t i = 0; i < n_did; i++) {
        if (did[i].kind == kind && (!type || did[i].type == type) && k-- == 0)
            return &did[i];
    }
    return NULL;
}

void message(const sky_msg *m)
{
    sky_agent_message(a, now_ns, m);
    take();
}

void welcome(const char *uuid)
{
    message(&(sky_msg){.type = SKY_MSG_WELCOME,
                       .welcome = {.store_uuid = uuid, .epoch = 1, .heartbeat_ms = 500}});
}

void send_plan(int64_t sweep, uint32_t revision, const char *more)
{
    sky_plan *p =
        test_plan("name: s\njob: noop\nspace: {x: {from: 0, to: 999999, step: 1}}\n%s\n", more);
    message(&(sky_msg){.type = SKY_MSG_PLAN,
                       .plan = {.sweep = sweep, .revision = revision, .text = sky_plan_text(p)}});
    sky_plan_free(p);
}

void lease_of(uint64_t id, int64_t sweep, uint64_t begin, uint64_t end)
{
    sky_range r = {begin, end};
    message(
        &(sky_msg){.type = SKY_MSG_LEASE,
                   .lease = {.lease = id, .sweep = sweep, .revision = 1, .positions = {&r, 1}}});
}

void lease(uint64_t id, uint64_t begin, uint64_t end)
{
    lease_of(id, 7, begin, end);
}

void ack(uint64_t seq)
{
    message(&(sky_msg){.type = SKY_MSG_ACK, .ack = {.seqs = &seq, .n = 1}});
}

void outcome(uint32_t slot, uint64_t id, uint64_t begin, uint64_t end, bool last)
{
    sky_arena arena = {0};
    sky_range *r = sky_new(&arena, sky_range, 1);
    *r = (sky_range){begin, end};
    sky_agent_outcome(
        a, now_ns, slot,
        &(sky_msg_result){.lease = id, .sweep = 7, .ok = {r, begin < end}, .last = last}, &arena);
    cr_assert_null(arena.head);
    take();
}

void died(uint32_t slot, sky_death kind, uint64_t begin, uint64_t end)
{
    sky_agent_died d = {.kind = kind, .begin = begin, .end = end};
    sky_agent_died_event(a, now_ns, slot, &d);
    take();
}

void tick(int64_t ms)
{
    now_ns += ms * SKY_NS_PER_MS;
    sky_agent_tick(a, now_ns);
    take();
}

void make(sky_agent_options o)
{
    o.host = "here";
    cr_assert_eq(sky_agent_new(&a, &o), SKY_OK);
}

/* A welcomed agent with a plan for sweep 7. */
void set_up(sky_agent_options o, const char *plan)
{
    make(o);
    sky_agent_connected(a, now_ns);
    take();
    cr_assert(SENT(HELLO));
    welcome("u");
    send_plan(7, 1, plan);
}

void tear_down(void)
{
    sky_agent_free(a);
    a = NULL;
}
