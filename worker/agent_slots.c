/* Leases and executors: which lease runs where, and what becomes of it when an executor dies. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "worker/agent_internal.h"

/* store/store.h numbers these; the wire carries the number. */
enum { FAILURE_CRASH = 1, FAILURE_TIMEOUT = 2, FAILURE_MEMORY = 3 };

/* --- Leases --- */

static void enqueue(sky_agent *a, sky__held *h, bool in_front)
{
    h->slot = -1;
    h->prev = in_front ? NULL : a->last;
    h->next = in_front ? a->first : NULL;
    *(h->prev ? &h->prev->next : &a->first) = h;
    *(h->next ? &h->next->prev : &a->last) = h;
}

static void dequeue(sky_agent *a, sky__held *h)
{
    *(h->prev ? &h->prev->next : &a->first) = h->next;
    *(h->next ? &h->next->prev : &a->last) = h->prev;
    h->prev = h->next = NULL;
}

static sky__held *find_held(const sky_agent *a, uint64_t id)
{
    for (size_t i = 0; i < a->n_held; i++) {
        if (a->held[i]->id == id)
            return a->held[i];
    }
    return NULL;
}

static void remember(sky_agent *a, uint64_t id)
{
    a->seen[a->seen_next] = id;
    a->seen_next = (a->seen_next + 1) % SKY__SEEN_MAX;
}

static bool was_seen(const sky_agent *a, uint64_t id)
{
    for (size_t i = 0; i < SKY__SEEN_MAX; i++) {
        if (a->seen[i] == id)
            return true;
    }
    return false;
}

/* The lease is over. It must be in no slot; a queued one is taken out of the queue. */
static void forget(sky_agent *a, sky__held *h)
{
    if (h->slot < 0)
        dequeue(a, h);
    for (size_t i = 0; i < a->n_held; i++) {
        if (a->held[i] != h)
            continue;
        a->held[i] = a->held[--a->n_held];
        break;
    }
    sky__plan *p = sky__agent_plan(a, h->sweep);
    if (p)
        p->leases--;
    remember(a, h->id);
    sky_ranges_free(&h->left);
    free(h);
}

static sky_range_list copy_ranges(sky_arena *arena, const sky_range *r, size_t n)
{
    sky_range *copy = sky_new(arena, sky_range, n ? n : 1);
    if (!copy)
        return (sky_range_list){0};
    if (n)
        memcpy(copy, r, n * sizeof *r);
    return (sky_range_list){.r = copy, .n = n};
}

/* Gives back ranges of a lease, untried. */
static void give_back(sky_agent *a, uint64_t lease, int64_t sweep, const sky_range *r, size_t n)
{
    sky_arena arena = {0};
    sky_msg_result result = {.lease = lease, .sweep = sweep, .last = true};
    result.returned = copy_ranges(&arena, r, n);
    if (!result.returned.r) {
        sky__agent_oom(a);
        return;
    }
    sky__agent_keep(a, &result, &arena);
}

static void return_lease(sky_agent *a, sky__held *h)
{
    give_back(a, h->id, h->sweep, h->left.r, h->left.n);
    forget(a, h);
}

static bool fits_machine(const sky_agent *a, const sky_resources *r)
{
    return r->cpus <= a->o.cpus && r->gpus <= a->o.gpus &&
           (a->o.memory_bytes == 0 || r->memory_bytes <= a->o.memory_bytes);
}

void sky__agent_take(sky_agent *a, const sky_msg_lease *l)
{
    if (!a->welcomed || find_held(a, l->lease) || was_seen(a, l->lease))
        return;
    sky__plan *p = sky__agent_plan(a, l->sweep);
    bool known = p && p->revision >= l->revision;
    if (a->stopping || !known || a->n_held >= SKY_AGENT_LEASES_MAX ||
        !fits_machine(a, &p->resources)) {
        remember(a, l->lease);
        give_back(a, l->lease, l->sweep, l->positions.r, l->positions.n);
        if (!known &&
            !a->stopping) { /* its plan was lost on the way: the HELLO asks for it again */
            a->welcomed = false;
            a->hello_ns = a->now_ns;
        }
        return;
    }
    sky__held *h = calloc(1, sizeof *h);
    if (!h) {
        sky__agent_oom(a);
        return;
    }
    *h = (sky__held){.id = l->lease, .sweep = l->sweep, .isolate = l->isolate};
    for (size_t i = 0; i < l->positions.n; i++) {
        if (sky_ranges_add(&h->left, l->positions.r[i].begin, l->positions.r[i].end) != UINT64_MAX)
            continue;
        sky_ranges_free(&h->left);
        free(h);
        sky__agent_oom(a);
        return;
    }
    p->leases++;
    p->used = ++a->plan_uses;
    a->held[a->n_held++] = h;
    enqueue(a, h, false);
    if (h->left.count == 0)
        return_lease(a, h); /* nothing in it; the coordinator learns that it is over */
}

/* --- Slots --- */

static uint64_t gpus_all(const sky_agent *a)
{
    return a->o.gpus >= 64 ? UINT64_MAX : (UINT64_C(1) << a->o.gpus) - 1;
}

static uint32_t count_bits(uint64_t x)
{
    return (uint32_t)__builtin_popcountll(x);
}

static void release(sky_agent *a, sky__slot *s)
{
    a->cpus_free += s->cpus;
    a->memory_free += s->memory_bytes;
    s->cpus = 0;
    s->memory_bytes = 0;
}

static void detach(sky_agent *a, sky__slot *s)
{
    if (!s->lease)
        return;
    s->lease = NULL;
    a->n_running--;
}

static void kill_slot(sky_agent *a, uint32_t index, sky_kill_why why)
{
    sky__slot *s = &a->slots[index];
    assert(s->state == SKY__IDLE || s->state == SKY__RUNNING);
    if (s->start_pending) { /* it never came to be: no death will follow */
        s->start_pending = false;
        s->generation++;
        s->state = SKY__EMPTY;
        s->gpus = 0;
        release(a, s);
        return;
    }
    s->state = SKY__DYING;
    sky__agent_push(
        a, (sky__todo){
               .kind = SKY__TODO_KILL, .slot = index, .why = why, .generation = s->generation});
}

void sky__agent_revoke(sky_agent *a, uint64_t lease)
{
    sky__held *h = find_held(a, lease);
    if (!h) {
        if (!was_seen(a, lease))
            remember(a, lease); /* the LEASE may still come: messages can overtake one another */
        return;
    }
    if (h->slot >= 0) {
        sky__slot *s = &a->slots[h->slot];
        detach(a, s);
        if (s->state != SKY__DYING)
            kill_slot(a, (uint32_t)h->slot, SKY_KILL_REVOKED);
    }
    forget(a, h);
}

/* Ends idle executors that hold GPUs until `need` of them will be free. */
static void free_gpus(sky_agent *a, uint64_t soon, uint32_t need)
{
    for (uint32_t i = 0; i < a->n_slots; i++) {
        if (a->slots[i].state == SKY__DYING)
            soon |= a->slots[i].gpus;
    }
    for (uint32_t i = 0; i < a->n_slots && count_bits(soon) < need; i++) {
        if (a->slots[i].state != SKY__IDLE || !a->slots[i].gpus)
            continue;
        soon |= a->slots[i].gpus;
        kill_slot(a, i, SKY_KILL_IDLE);
    }
}

/* What a look over the slots found for a plan; UINT32_MAX: none. */
typedef struct survey {
    uint32_t same;   /* idle, and started for this plan */
    uint32_t oldest; /* idle for longest */
    uint32_t empty;
    uint32_t alive; /* how many are idle or running */
    uint64_t gpus_free;
} survey;

static survey look(const sky_agent *a, const sky__plan *p)
{
    survey v = {UINT32_MAX, UINT32_MAX, UINT32_MAX, 0, gpus_all(a)};
    for (uint32_t i = 0; i < a->n_slots; i++) {
        const sky__slot *s = &a->slots[i];
        v.gpus_free &= ~s->gpus;
        if (s->state == SKY__EMPTY && v.empty == UINT32_MAX)
            v.empty = i;
        v.alive += s->state == SKY__IDLE || s->state == SKY__RUNNING;
        if (s->state != SKY__IDLE)
            continue;
        if (v.oldest == UINT32_MAX || s->since_ns < a->slots[v.oldest].since_ns)
            v.oldest = i;
        if (s->sweep == p->sweep && s->revision == p->revision &&
            count_bits(s->gpus) == p->resources.gpus)
            v.same = i;
    }
    return v;
}

/* The slot that can run a lease of the plan now, with an executor started or to be started; UINT32_MAX
 * when something has to end first. */
static uint32_t pick_slot(sky_agent *a, const sky__plan *p)
{
    survey v = look(a, p);
    if (v.same != UINT32_MAX)
        return v.same;
    if (a->now_ns < a->start_ns)
        return UINT32_MAX;
    if (count_bits(v.gpus_free) < p->resources.gpus) {
        free_gpus(a, v.gpus_free, p->resources.gpus);
        return UINT32_MAX;
    }
    /* As many executors as cpus: one of another sweep makes room. */
    if (v.alive >= a->o.cpus && v.oldest != UINT32_MAX)
        kill_slot(a, v.oldest, SKY_KILL_IDLE);
    if (v.empty == UINT32_MAX)
        return UINT32_MAX;
    sky__slot *s = &a->slots[v.empty];
    *s = (sky__slot){.state = SKY__IDLE,
                     .generation = s->generation + 1,
                     .start_pending = true,
                     .sweep = p->sweep,
                     .revision = p->revision};
    for (uint32_t g = 0; count_bits(s->gpus) < p->resources.gpus; g++)
        s->gpus |= v.gpus_free & (UINT64_C(1) << g);
    sky__agent_push(
        a, (sky__todo){.kind = SKY__TODO_START, .slot = v.empty, .generation = s->generation});
    return v.empty;
}

void sky__agent_start_leases(sky_agent *a)
{
    /* In order of arrival, strictly: a large lease would never start if small ones could pass it. */
    while (a->first && !a->stopping && a->unacked_bytes <= a->o.unacked_bytes_max) {
        sky__held *h = a->first;
        sky__plan *p = sky__agent_plan(a, h->sweep);
        assert(p);                             /* plans with leases are not forgotten */
        if (!fits_machine(a, &p->resources)) { /* a newer revision asks for more */
            return_lease(a, h);
            continue;
        }
        uint64_t memory = a->o.memory_bytes ? p->resources.memory_bytes : 0;
        if (p->resources.cpus > a->cpus_free || memory > a->memory_free)
            return;
        uint32_t index = pick_slot(a, p);
        if (index == UINT32_MAX)
            return;
        dequeue(a, h);
        sky__slot *s = &a->slots[index];
        s->state = SKY__RUNNING;
        s->lease = h;
        s->since_ns = a->now_ns;
        s->noted = false;
        s->cpus = p->resources.cpus;
        s->memory_bytes = memory;
        a->cpus_free -= s->cpus;
        a->memory_free -= s->memory_bytes;
        a->n_running++;
        h->slot = (int32_t)index;
        sky__agent_push(
            a, (sky__todo){
                   .kind = SKY__TODO_RUN, .slot = index, .id = h->id, .generation = s->generation});
    }
}

void sky__agent_end_idle(sky_agent *a, bool all)
{
    for (uint32_t i = 0; i < a->n_slots; i++) {
        sky__slot *s = &a->slots[i];
        if (s->state == SKY__IDLE && (all || a->now_ns - s->since_ns >= sky__ms(a->o.idle_ms)))
            kill_slot(a, i, SKY_KILL_IDLE);
    }
}

void sky__agent_drop_all(sky_agent *a)
{
    while (a->n_held)
        sky__agent_revoke(a, a->held[a->n_held - 1]->id);
    sky__agent_end_idle(a, true);
    /* Lease numbers are the store's: another one's may be the same. */
    memset(a->seen, 0xff, sizeof a->seen);
}

void sky__agent_return_queued(sky_agent *a)
{
    while (a->first)
        return_lease(a, a->first);
}

void sky__agent_drain(sky_agent *a)
{
    for (uint32_t i = 0; i < a->n_slots; i++) {
        if (a->slots[i].state == SKY__RUNNING)
            sky__agent_push(a, (sky__todo){.kind = SKY__TODO_DRAIN,
                                           .slot = i,
                                           .generation = a->slots[i].generation});
    }
}

void sky__agent_stop_running(sky_agent *a)
{
    for (uint32_t i = 0; i < a->n_slots; i++) {
        sky__slot *s = &a->slots[i];
        sky__held *h = s->lease;
        detach(a, s);
        if (s->state == SKY__RUNNING)
            kill_slot(a, i, SKY_KILL_STOP);
        if (h)
            return_lease(a, h);
    }
}

bool sky__agent_slots_empty(const sky_agent *a)
{
    for (uint32_t i = 0; i < a->n_slots; i++) {
        if (a->slots[i].state != SKY__EMPTY)
            return false;
    }
    return true;
}

/* --- Events of executors --- */

static bool subtract(sky_ranges *left, const sky_range_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->r[i].begin >= l->r[i].end)
            return false;
        if (sky_ranges_remove(left, l->r[i].begin, l->r[i].end) != l->r[i].end - l->r[i].begin)
            return false; /* also when out of memory: the executor is replaced, nothing is lost */
    }
    return true;
}

static bool subtract_part(sky_ranges *left, const sky_msg_result *r)
{
    if (!subtract(left, &r->ok) || !subtract(left, &r->holes) || !subtract(left, &r->returned) ||
        !subtract(left, &r->suspect))
        return false;
    for (size_t i = 0; i < r->n_failed; i++) {
        uint64_t p = r->failed[i].position;
        if (p == UINT64_MAX || sky_ranges_remove(left, p, p + 1) != 1)
            return false;
    }
    return left->count == 0 || !r->last;
}

/* The part, taken out of what is left of the lease; false, and the lease unchanged, if it does not fit. */
static bool accept_part(sky_agent *a, sky__held *h, const sky_msg_result *part)
{
    sky_ranges left = {0};
    if (!sky_ranges_copy(&left, &h->left)) {
        sky__agent_oom(a);
        return false;
    }
    if (part->lease != h->id || part->sweep != h->sweep || !subtract_part(&left, part)) {
        sky_ranges_free(&left);
        return false;
    }
    sky_ranges_free(&h->left);
    h->left = left;
    return true;
}

void sky_agent_outcome(sky_agent *a, int64_t now_ns, uint32_t slot, const sky_msg_result *part,
                       sky_arena *arena)
{
    assert(slot < a->n_slots);
    a->now_ns = now_ns;
    sky__slot *s = &a->slots[slot];
    if (a->exited || s->state == SKY__DYING || s->state == SKY__EMPTY) {
        sky_arena_free(arena); /* its lease is gone, or it is known to be corrupt */
        return;
    }
    sky__held *h = s->lease;
    if (!h || !accept_part(a, h, part)) {
        sky_arena_free(arena);
        s->corrupt = true;
        kill_slot(a, slot, SKY_KILL_CORRUPT);
        return;
    }
    sky_msg_result result = *part;
    result.last = h->left.count == 0;
    h->idle_deaths = 0;
    s->noted = false;
    s->trials += sky_range_list_count(&part->ok) + part->n_failed;
    sky__agent_keep(a, &result, arena);
    if (result.last) {
        detach(a, s);
        release(a, s);
        s->state = SKY__IDLE;
        s->since_ns = now_ns;
        forget(a, h);
    }
    sky__agent_settle(a);
}

static const char *death_text(const sky_agent_died *d)
{
    if (d->reason)
        return d->reason;
    switch (d->kind) {
    case SKY_DEATH_TIMEOUT:
        return "ran longer than limits.timeout";
    case SKY_DEATH_MEMORY:
        return "took more memory than limits.memory";
    default:
        return "the executor died";
    }
}

static uint32_t failure_kind(sky_death kind)
{
    switch (kind) {
    case SKY_DEATH_TIMEOUT:
        return FAILURE_TIMEOUT;
    case SKY_DEATH_MEMORY:
        return FAILURE_MEMORY;
    default:
        return FAILURE_CRASH;
    }
}

/* Reports the positions `dead` of a lease, whose executor died of d; removes them from what is left. */
static void report_dead(sky_agent *a, sky__held *h, const sky_agent_died *d, const sky_ranges *dead)
{
    sky_arena arena = {0};
    sky_msg_result r = {.lease = h->id, .sweep = h->sweep};
    sky_range_list list = copy_ranges(&arena, dead->r, dead->n);
    sky_failed_attempt *f = sky_new(&arena, sky_failed_attempt, 1);
    if (!list.r || !f || !sky_ranges_remove_all(&h->left, dead)) {
        sky_arena_free(&arena);
        sky__agent_oom(a);
        return;
    }
    if (d->kind == SKY_DEATH_OUTSIDE) {
        r.returned = list;
    } else if (dead->count > 1) {
        r.suspect = list;
    } else {
        const char *reason = sky_arena_strdup(&arena, death_text(d));
        const char *log = sky_arena_strdup(&arena, d->log ? d->log : "");
        *f = (sky_failed_attempt){.position = dead->r[0].begin,
                                  .kind = failure_kind(d->kind),
                                  .reason = reason ? reason : "",
                                  .log = log ? log : ""};
        r.failed = f;
        r.n_failed = 1;
    }
    r.last = h->left.count == 0;
    h->idle_deaths = 0;
    sky__agent_keep(a, &r, &arena);
}

/* Who is to blame for a death: the part of [begin, end) that was not reported, or, where executors die
 * again and again before they run anything, the first position. False when out of memory. */
static bool find_dead(sky__held *h, const sky_agent_died *d, uint64_t trials, sky_ranges *dead)
{
    /* The memory may be what earlier trials left behind: only a fresh executor shows who takes it. */
    if (d->kind == SKY_DEATH_MEMORY && trials > 0)
        return true;
    if (d->begin < d->end) {
        sky_ranges range = {0};
        bool ok = sky_ranges_add(&range, d->begin, d->end) != UINT64_MAX &&
                  sky_ranges_intersect(dead, &h->left, &range);
        sky_ranges_free(&range);
        if (!ok || dead->count > 0)
            return ok;
    }
    if (d->kind == SKY_DEATH_OUTSIDE || ++h->idle_deaths < SKY__IDLE_DEATHS_MAX)
        return true;
    uint64_t first = h->left.r[0].begin;
    return sky_ranges_add(dead, first, first + 1) != UINT64_MAX;
}

static void start_failed(sky_agent *a, const char *reason)
{
    a->start_failures++;
    a->start_ns = a->now_ns + (sky__ms(100) << (a->start_failures - 1));
    if (a->start_failures >= SKY__START_FAILURES_MAX)
        sky__agent_exit(a, 1, reason ? reason : "cannot start executors");
}

void sky_agent_died_event(sky_agent *a, int64_t now_ns, uint32_t slot, const sky_agent_died *d)
{
    assert(slot < a->n_slots);
    sky__slot *s = &a->slots[slot];
    assert(s->state != SKY__EMPTY && !s->start_pending);
    a->now_ns = now_ns;
    sky__held *h = s->lease;
    sky_agent_died died = *d;
    if (s->corrupt) {
        died.kind = SKY_DEATH_CRASH;
        died.reason = "sent a malformed result: its memory is corrupt";
    } else if (d->kind == SKY_DEATH_ASKED) {
        died.kind = SKY_DEATH_OUTSIDE;
    }
    uint64_t trials = s->trials;
    detach(a, s);
    release(a, s);
    *s = (sky__slot){.state = SKY__EMPTY, .generation = s->generation};
    if (a->exited)
        return;
    if (died.kind == SKY_DEATH_START)
        start_failed(a, d->reason);
    else
        a->start_failures = 0;
    if (h) {
        sky_ranges dead = {0};
        if (died.kind != SKY_DEATH_START && !find_dead(h, &died, trials, &dead))
            sky__agent_oom(a);
        else if (dead.count > 0)
            report_dead(a, h, &died, &dead);
        sky_ranges_free(&dead);
        if (h->left.count > 0)
            enqueue(a, h, true); /* the rest goes on, before anything newer */
        else
            forget(a, h);
    }
    if (a->stopping)
        sky__agent_return_queued(a);
    sky__agent_settle(a);
}
