/* Random lives of an agent: every position of every lease is accounted for exactly once.
 *
 * The test is coordinator, network and executors in one. It checks, at every step, that no more runs than
 * the machine has and that each executor is spoken to as it may be, and in the end that each lease that
 * was not revoked is whole. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/rng.h"
#include "worker/agent.h"
#include "worker_plans.h"

enum {
    SWEEPS = 3,
    LEASES_MAX = 400,
    SLOTS_MAX = 64,
    CPUS = 5,
    GPUS = 2,
};

typedef struct granted {
    uint64_t id;
    int64_t sweep;
    sky_ranges all, seen; /* seen: in some result */
    uint32_t lasts;
    bool revoked;
} granted;

typedef struct running {
    bool alive, busy, drain, doomed;
    uint64_t gpus;
    uint32_t cpus;
    int64_t sweep;
    uint64_t lease;
    sky_ranges left;
} running;

static sky_agent *a;
static sky_rng rng;
static int64_t now_ns;
static granted leases[LEASES_MAX];
static size_t n_leases;
static running slots[SLOTS_MAX];
static sky_ranges seqs, unacked;
static bool connected, exited;
static uint64_t hello_pending;
static const char *plans[SWEEPS];
static uint32_t plan_cpus[SWEEPS] = {1, 2, 1}, plan_gpus[SWEEPS] = {0, 0, 1};

static uint64_t below(uint64_t n)
{
    return sky_rng_below(&rng, n);
}

static granted *find(uint64_t id)
{
    for (size_t i = 0; i < n_leases; i++) {
        if (leases[i].id == id)
            return &leases[i];
    }
    return NULL;
}

static void account(granted *g, uint64_t begin, uint64_t end)
{
    cr_assert_eq(sky_ranges_count_in(&g->all, begin, end), end - begin, "not of the lease");
    cr_assert_eq(sky_ranges_add(&g->seen, begin, end), end - begin, "twice");
}

static void on_result(const sky_msg_result *r)
{
    sky_ranges_add(&unacked, r->seq, r->seq + 1);
    if (sky_ranges_add(&seqs, r->seq, r->seq + 1) == 0)
        return; /* a copy */
    granted *g = find(r->lease);
    cr_assert(g);
    cr_assert_eq(g->sweep, r->sweep);
    const sky_range_list *lists[] = {&r->ok, &r->holes, &r->returned, &r->suspect};
    for (int l = 0; l < 4; l++) {
        for (size_t i = 0; i < lists[l]->n; i++)
            account(g, lists[l]->r[i].begin, lists[l]->r[i].end);
    }
    for (size_t i = 0; i < r->n_failed; i++)
        account(g, r->failed[i].position, r->failed[i].position + 1);
    g->lasts += r->last;
    cr_assert(g->lasts <= 1);
}

static void check_capacity(void)
{
    uint32_t cpus = 0;
    uint64_t gpus = 0;
    for (int i = 0; i < SLOTS_MAX; i++) {
        if (!slots[i].alive)
            continue;
        cpus += slots[i].busy ? slots[i].cpus : 0;
        cr_assert_eq(gpus & slots[i].gpus, 0, "a GPU given twice");
        gpus |= slots[i].gpus;
    }
    cr_assert(cpus <= CPUS);
    cr_assert_eq(gpus >> GPUS, 0);
}

static void on_run(const sky_agent_action *act)
{
    running *s = &slots[act->slot];
    cr_assert(s->alive && !s->busy && !s->doomed);
    const sky_msg_lease *l = &act->msg->lease;
    cr_assert_eq(l->sweep, s->sweep);
    granted *g = find(l->lease);
    cr_assert(g);
    s->busy = true;
    s->lease = l->lease;
    sky_ranges_clear(&s->left);
    for (size_t i = 0; i < l->positions.n; i++) {
        sky_range r = l->positions.r[i];
        cr_assert_eq(sky_ranges_count_in(&g->all, r.begin, r.end), r.end - r.begin);
        sky_ranges_add(&s->left, r.begin, r.end);
    }
}

static void take(void)
{
    sky_agent_action act;
    while (sky_agent_next(a, &act)) {
        cr_assert(!exited);
        running *s = &slots[act.slot];
        switch (act.kind) {
        case SKY_AGENT_SEND:
            hello_pending += act.msg->type == SKY_MSG_HELLO;
            /* One in eight gets lost on the way. */
            if (act.msg->type == SKY_MSG_RESULT && connected && below(8) > 0)
                on_result(&act.msg->result);
            break;
        case SKY_AGENT_START:
            cr_assert(!s->alive);
            s->alive = true;
            s->busy = s->drain = s->doomed = false;
            s->sweep = act.msg->plan.sweep;
            s->cpus = act.cpus;
            s->gpus = act.gpus;
            cr_assert_eq(act.cpus, plan_cpus[s->sweep]);
            cr_assert_eq((uint32_t)__builtin_popcountll(act.gpus), plan_gpus[s->sweep]);
            break;
        case SKY_AGENT_RUN:
            on_run(&act);
            break;
        case SKY_AGENT_DRAIN:
            s->drain = true;
            break;
        case SKY_AGENT_KILL:
            cr_assert(s->alive && !s->doomed);
            s->doomed = true;
            break;
        case SKY_AGENT_RECORDED:
            break;
        case SKY_AGENT_EXIT:
            exited = true;
            break;
        }
        check_capacity();
    }
}

/* --- What the coordinator and the network do --- */

static void message(const sky_msg *m)
{
    sky_agent_message(a, now_ns, m);
    take();
}

static void send_plan(int64_t sweep)
{
    message(&(sky_msg){.type = SKY_MSG_PLAN,
                       .plan = {.sweep = sweep, .revision = 1, .text = plans[sweep]}});
}

static void grant(void)
{
    if (n_leases == LEASES_MAX || !sky_agent_get_stats(a).welcomed)
        return;
    granted *g = &leases[n_leases++];
    *g = (granted){.id = 1000 + n_leases, .sweep = (int64_t)below(SWEEPS)};
    uint64_t at = below(1000);
    for (uint64_t pieces = 1 + below(4); pieces > 0; pieces--) {
        uint64_t len = 1 + below(20);
        sky_ranges_add(&g->all, at, at + len);
        at += len + 1 + below(5);
    }
    sky_msg m = {.type = SKY_MSG_LEASE,
                 .lease = {.lease = g->id,
                           .sweep = g->sweep,
                           .revision = 1,
                           .isolate = below(4) == 0,
                           .positions = {g->all.r, g->all.n}}};
    message(&m);
    if (below(5) == 0)
        message(&m); /* a copy */
}

static void revoke(void)
{
    if (n_leases == 0)
        return;
    granted *g = &leases[below(n_leases)];
    g->revoked = true;
    message(&(sky_msg){.type = SKY_MSG_REVOKE, .revoke = {.leases = &g->id, .n = 1}});
}

static void acknowledge(bool all)
{
    uint64_t list[64];
    do {
        size_t n = 0;
        while (n < 64 && unacked.count > 0) {
            list[n] = sky_ranges_at(&unacked, below(unacked.count));
            sky_ranges_remove(&unacked, list[n], list[n] + 1);
            n++;
        }
        if (all || below(6) > 0) /* or it is lost */
            message(&(sky_msg){.type = SKY_MSG_ACK, .ack = {.seqs = list, .n = n}});
    } while (all && unacked.count > 0);
}

static void answer_hello(void)
{
    if (!connected || hello_pending == 0)
        return;
    hello_pending = 0;
    message(
        &(sky_msg){.type = SKY_MSG_WELCOME, .welcome = {.store_uuid = "u", .heartbeat_ms = 100}});
    for (int64_t s = 0; s < SWEEPS; s++)
        send_plan(s);
}

static void flip_connection(void)
{
    connected = !connected;
    hello_pending = 0;
    if (connected)
        sky_agent_connected(a, now_ns);
    else
        sky_agent_disconnected(a, now_ns);
    take();
}

/* --- What an executor does --- */

static sky_range_list copy(sky_arena *arena, const sky_ranges *s)
{
    sky_range *r = sky_new(arena, sky_range, s->n + 1);
    if (s->n)
        memcpy(r, s->r, s->n * sizeof *r);
    return (sky_range_list){r, s->n};
}

/* Reports up to `max` of what is left, spread over the kinds. */
static void report(uint32_t slot, uint64_t max)
{
    running *s = &slots[slot];
    sky_arena arena = {0};
    sky_ranges lists[3] = {0}; /* ok, holes, returned */
    sky_msg_result r = {.lease = s->lease, .sweep = s->sweep};
    sky_failed_attempt *failed = sky_new(&arena, sky_failed_attempt, max + 1);
    for (uint64_t k = 0; k < max && s->left.count > 0; k++) {
        uint64_t p = s->left.r[0].begin;
        sky_ranges_remove(&s->left, p, p + 1);
        uint64_t kind = s->drain && k > 0 ? 2 : below(4);
        if (kind < 3)
            sky_ranges_add(&lists[kind == 2 && !s->drain ? 0 : kind], p, p + 1);
        else
            failed[r.n_failed++] = (sky_failed_attempt){.position = p, .reason = "no", .log = ""};
    }
    r.failed = failed;
    r.ok = copy(&arena, &lists[0]);
    r.holes = copy(&arena, &lists[1]);
    r.returned = copy(&arena, &lists[2]);
    r.last = s->left.count == 0;
    s->busy = s->busy && !r.last;
    for (int l = 0; l < 3; l++)
        sky_ranges_free(&lists[l]);
    sky_agent_outcome(a, now_ns, slot, &r, &arena);
    take();
}

static void report_nonsense(uint32_t slot)
{
    running *s = &slots[slot];
    sky_arena arena = {0};
    sky_range *r = sky_new(&arena, sky_range, 1);
    *r = (sky_range){s->left.r[0].begin, s->left.r[0].begin + 5000};
    sky_agent_outcome(a, now_ns, slot,
                      &(sky_msg_result){.lease = s->lease, .sweep = s->sweep, .ok = {r, 1}},
                      &arena);
    cr_assert(!s->doomed);
    take();
    cr_assert(s->doomed);
}

static void die(uint32_t slot, bool may_fail_to_start)
{
    running *s = &slots[slot];
    sky_agent_died d = {.kind = s->doomed ? SKY_DEATH_ASKED : (sky_death)below(4)};
    if (may_fail_to_start && below(10) == 0)
        d.kind = SKY_DEATH_START;
    if (s->busy && s->left.count > 0 && below(4) > 0) {
        d.begin = sky_ranges_at(&s->left, below(s->left.count));
        d.end = d.begin + 1 + below(2) * below(30);
    }
    s->alive = s->busy = s->doomed = false;
    s->gpus = 0;
    sky_agent_died_event(a, now_ns, slot, &d);
    take();
}

static void executors_step(bool calm)
{
    uint32_t slot = (uint32_t)below(sky_agent_slots(a));
    running *s = &slots[slot];
    if (!s->alive)
        return;
    if (s->doomed) {
        if (s->busy && s->left.count > 0 && below(3) == 0)
            report(slot, 1 + below(10)); /* it had not heard yet */
        else
            die(slot, false);
        return;
    }
    uint64_t dice = calm ? 99 : below(100);
    if (dice < 6)
        die(slot, true);
    else if (s->busy && dice < 8)
        report_nonsense(slot);
    else if (s->busy)
        report(slot, 1 + below(30));
}

static void step(bool calm)
{
    now_ns += (int64_t)below(20) * SKY_NS_PER_MS;
    switch (below(calm ? 6 : 16)) {
    case 0:
    case 1:
    case 2:
        executors_step(calm);
        break;
    case 3:
        acknowledge(calm);
        break;
    case 4:
        answer_hello();
        break;
    case 5:
        if (now_ns >= sky_agent_wake_ns(a) || below(4) == 0) {
            sky_agent_tick(a, now_ns);
            take();
        }
        break;
    case 6:
    case 7:
    case 8:
        grant();
        break;
    case 9:
        if (below(10) == 0)
            revoke();
        break;
    case 10:
        if (below(10) == 0)
            flip_connection();
        break;
    case 11:
        if (below(10) == 0)
            message(&(sky_msg){.type = SKY_MSG_WHO});
        break;
    default:
        executors_step(calm);
        break;
    }
}

static bool all_whole(void)
{
    for (size_t i = 0; i < n_leases; i++) {
        const granted *g = &leases[i];
        if (!g->revoked && (g->seen.count != g->all.count || g->lasts != 1))
            return false;
    }
    return true;
}

static void reset(void)
{
    for (size_t i = 0; i < n_leases; i++) {
        sky_ranges_free(&leases[i].all);
        sky_ranges_free(&leases[i].seen);
    }
    for (int i = 0; i < SLOTS_MAX; i++)
        sky_ranges_free(&slots[i].left);
    memset(slots, 0, sizeof slots);
    n_leases = 0;
    sky_ranges_free(&seqs);
    sky_ranges_free(&unacked);
    connected = exited = false;
    hello_pending = 0;
}

static void live(uint64_t seed)
{
    sky_rng_init(&rng, seed, 0);
    now_ns = SKY_NS_PER_S;
    sky_agent_options o = {.cpus = CPUS,
                           .gpus = GPUS,
                           .host = "h",
                           .resend_ms = 300,
                           .idle_ms = 200,
                           .stop_ms =
                               10000000}; /* it must not give up on what is lost again and again */
    cr_assert_eq(sky_agent_new(&a, &o), SKY_OK);
    cr_assert(sky_agent_slots(a) <= SLOTS_MAX);
    flip_connection();
    answer_hello();
    uint64_t steps = 200 + below(1500);
    for (uint64_t i = 0; i < steps && !exited; i++)
        step(false);
    if (!connected)
        flip_connection();
    bool stop = below(2), now = below(2);
    if (stop && !exited) {
        sky_agent_stop(a, now_ns, now);
        take();
    }
    for (int i = 0; i < 200000 && !exited && (stop || !all_whole()); i++)
        step(true);
    cr_assert(all_whole(), "seed %llu", (unsigned long long)seed);
    cr_assert(exited || !stop, "seed %llu", (unsigned long long)seed);
    if (!exited) {
        for (int i = 0; i < 100000 && sky_agent_get_stats(a).results_unacked > 0; i++)
            step(true);
        cr_assert_eq(sky_agent_get_stats(a).results_unacked, 0);
        cr_assert_eq(sky_agent_get_stats(a).leases_held, 0);
        cr_assert_eq(sky_agent_get_stats(a).unacked_bytes, 0);
    } else {
        for (uint32_t i = 0; i < sky_agent_slots(a); i++)
            cr_assert(!slots[i].alive, "an executor outlives the worker");
    }
    sky_agent_free(a);
    reset();
}

static uint64_t seed_now;
static bool finished;

/* Runs after a failed assertion too. */
static void tell_seed(void)
{
    if (!finished)
        fprintf(stderr, "agent_random: failed with SKY_TEST_SEED=%llu\n",
                (unsigned long long)seed_now);
}

Test(agent_random, accounts_for_every_position_once, .timeout = 120, .fini = tell_seed)
{
    const char *given = getenv("SKY_TEST_SEED"), *runs = getenv("SKY_TEST_RUNS");
    uint64_t first = given ? strtoull(given, NULL, 0) : (uint64_t)sky_wall_ms() << 16;
    uint64_t n = given ? 1 : runs ? strtoull(runs, NULL, 0) : 2000;
    fprintf(stderr, "agent_random: SKY_TEST_SEED=%llu and the %llu after it\n",
            (unsigned long long)first, (unsigned long long)n - 1);
    sky_plan *kept[SWEEPS];
    static const char *const resources[SWEEPS] = {"cpus: 1", "cpus: 2", "gpus: 1"};
    for (int i = 0; i < SWEEPS; i++) {
        kept[i] = test_plan("name: s\njob: noop\nspace: {x: {from: 0, to: 9999, step: 1}}\n"
                            "resources: {%s}\n",
                            resources[i]);
        plans[i] = sky_plan_text(kept[i]);
    }
    for (uint64_t i = 0; i < n; i++) {
        seed_now = first + i;
        live(seed_now);
    }
    finished = true;
    for (int i = 0; i < SWEEPS; i++)
        sky_plan_free(kept[i]);
}
