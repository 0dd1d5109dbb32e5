/* Leases: who gets what, and how much of it.
 *
 * Which sweep: the highest priority first, then the one that had the least cpu time. How much: what
 * takes about the target time by measured cost, growing step by step from one position, and
 * shrinking towards the end of the sweep so that all slots finish together. How many at once: what
 * runs plus one more per slot, so that no slot waits for the network; no more where what runs takes
 * long anyway, because what waits behind it could have run elsewhere. docs/decisions/leases.md has
 * the reasons. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "coordinator/sched_internal.h"

enum { FREE_LEASES_MAX = 1024, FREE_RANGES_MAX = 64 };

/* --- Life --- */

static size_t bucket(const sky_sched *s, uint64_t id)
{
    return (size_t)sky_hash_u64(0, id) & s->lease_mask;
}

sky__lease *sky__lease_find(const sky_sched *s, uint64_t id)
{
    sky__lease *l = s->lease_buckets[bucket(s, id)];
    while (l && l->id != id)
        l = l->hash_next;
    return l;
}

static sky__lease *take_memory(sky_sched *s)
{
    sky__lease *l = s->free_leases;
    if (!l)
        return calloc(1, sizeof *l);
    s->free_leases = l->next;
    s->n_free_leases--;
    sky_ranges left = l->left;
    *l = (sky__lease){.left = left};
    return l;
}

static void give_memory(sky_sched *s, sky__lease *l)
{
    if (s->n_free_leases >= FREE_LEASES_MAX || l->left.cap > FREE_RANGES_MAX) {
        sky_ranges_free(&l->left);
        free(l);
        return;
    }
    sky_ranges_clear(&l->left);
    l->next = s->free_leases;
    s->free_leases = l;
    s->n_free_leases++;
}

/* With costs unknown, a lease may be a long one: nothing is queued behind it. */
static bool is_long(const sky__sweep *sweep, const sky__pair *p)
{
    double cost_ns = p->cost_ns > 0 ? p->cost_ns : sweep->cost_ns;
    return cost_ns <= 0 || cost_ns >= (double)SKY__LONG_NS;
}

sky__lease *sky__lease_new(sky_sched *s, sky__worker *w, sky__sweep *sweep, uint64_t id)
{
    sky__pair *p = sky__pair_get(s, w, sweep);
    sky__lease *l = p ? take_memory(s) : NULL;
    if (!l) {
        s->out_of_memory = true;
        return NULL;
    }
    l->id = id;
    l->worker = w;
    l->sweep = sweep;
    l->cpus = sweep->cpus;
    l->gpus = sweep->gpus;
    l->memory_bytes = sweep->memory_bytes;
    l->sent_ns = s->now_ns;
    l->is_long = is_long(sweep, p);
    l->clean = true;
    l->hash_next = s->lease_buckets[bucket(s, id)];
    s->lease_buckets[bucket(s, id)] = l;
    l->next = w->leases;
    if (l->next)
        l->next->prev = l;
    w->leases = l;
    w->n_leases++;
    w->n_long += l->is_long;
    w->out_cpus += l->cpus;
    w->out_gpus += l->gpus;
    w->out_memory += l->memory_bytes;
    w->long_cpus += l->is_long ? l->cpus : 0;
    p->leases++;
    sweep->n_leases++;
    sweep->starved_ns = 0;
    sweep->reserved = NULL;
    s->n_leases++;
    return l;
}

void sky__lease_end(sky_sched *s, sky__lease *l)
{
    sky__worker *w = l->worker;
    sky__sweep *sweep = l->sweep;
    sky__lease **at = &s->lease_buckets[bucket(s, l->id)];
    while (*at != l)
        at = &(*at)->hash_next;
    *at = l->hash_next;
    *(l->prev ? &l->prev->next : &w->leases) = l->next;
    if (l->next)
        l->next->prev = l->prev;
    w->n_leases--;
    w->n_long -= l->is_long;
    w->out_cpus -= l->cpus;
    w->out_gpus -= l->gpus;
    w->out_memory -= l->memory_bytes;
    w->long_cpus -= l->is_long ? l->cpus : 0;
    sky__pair *p = sky__pair_get(s, w, sweep);
    if (p)
        p->leases--;
    sweep->n_leases--;
    s->n_leases--;
    s->n_orphans -= l->orphan_ns != 0;
    if (l->left.count == 0 && l->clean && l->given > sweep->size_proven)
        sweep->size_proven = l->given;
    if (l->left.count) {
        sweep->vt -= l->est_ns * l->cpus * (double)l->left.count / (double)l->given;
        sky__sweep_put_back(s, sweep, &l->left);
    }
    give_memory(s, l);
    sky__hungry_add(s, w);
}

void sky__lease_orphan(sky_sched *s, sky__lease *l)
{
    if (l->orphan_ns)
        return;
    l->orphan_ns = s->now_ns + s->heartbeat_ns; /* results of it may be on their way */
    s->n_orphans++;
}

/* --- Worker and sweep --- */

static uint32_t slots_for(const sky__worker *w, const sky__sweep *sweep)
{
    uint64_t slots = w->cpus / sweep->cpus;
    if (sweep->gpus && w->gpus / sweep->gpus < slots)
        slots = w->gpus / sweep->gpus;
    /* A worker that names no memory does not count it. */
    if (sweep->memory_bytes && w->memory_bytes && w->memory_bytes / sweep->memory_bytes < slots)
        slots = w->memory_bytes / sweep->memory_bytes;
    return (uint32_t)slots;
}

static bool offers_job(const sky__worker *w, const sky__sweep *sweep)
{
    if (sweep->plugin && w->open_plugins)
        return true;
    for (size_t i = 0; i < w->n_jobs; i++) {
        if (w->jobs[i] == sweep->job_hash)
            return true;
    }
    return false;
}

/* A pair whose sweep is gone can serve another. */
static sky__pair *stale_pair(const sky_sched *s, sky__worker *w)
{
    for (size_t i = 0; i < w->n_pairs; i++) {
        if (w->pairs[i].leases == 0 && !sky__sweep_find(s, w->pairs[i].sweep))
            return &w->pairs[i];
    }
    return NULL;
}

sky__pair *sky__pair_get(sky_sched *s, sky__worker *w, const sky__sweep *sweep)
{
    sky__pair *p = NULL;
    for (size_t i = 0; i < w->n_pairs && !p; i++) {
        if (w->pairs[i].sweep == sweep->id)
            p = &w->pairs[i];
    }
    if (!p && w->n_pairs == w->cap_pairs && w->n_pairs && (p = stale_pair(s, w)))
        *p = (sky__pair){.sweep = sweep->id};
    if (!p) {
        void *pairs = w->pairs;
        bool ok = sky__sched_grow(&pairs, &w->cap_pairs, w->n_pairs + 1, sizeof *w->pairs);
        w->pairs = pairs;
        if (!ok) {
            s->out_of_memory = true;
            return NULL;
        }
        p = &w->pairs[w->n_pairs++];
        *p = (sky__pair){.sweep = sweep->id};
    }
    if (p->generation != sweep->generation) {
        p->generation = sweep->generation;
        p->slots = slots_for(w, sweep);
        p->able = p->slots > 0 && offers_job(w, sweep);
    }
    return p;
}

typedef enum answer { NO, YES, WAIT } answer;

static bool fits(const sky__worker *w, const sky__sweep *sweep, uint32_t times)
{
    return w->out_cpus + sweep->cpus <= (uint64_t)times * w->cpus &&
           (!sweep->gpus || w->out_gpus + sweep->gpus <= (uint64_t)times * w->gpus) &&
           (!sweep->memory_bytes || !w->memory_bytes ||
            w->out_memory + sweep->memory_bytes <= times * w->memory_bytes);
}

/* A sweep that needs much of a worker at once would wait for ever behind many that need little:
 * after a while one worker is kept free for it. */
static bool reserve(sky_sched *s, sky__worker *w, sky__sweep *sweep)
{
    if (sweep->n_leases)
        return false;
    if (!sweep->starved_ns)
        sweep->starved_ns = s->now_ns ? s->now_ns : 1;
    if (s->now_ns - sweep->starved_ns < SKY__STARVED_NS)
        return false;
    if (!sweep->reserved)
        sweep->reserved = w;
    return sweep->reserved == w;
}

/* times: 1 for what can run now, 2 for what may wait behind it. */
static answer may_take(sky_sched *s, sky__worker *w, sky__sweep *sweep, sky__pair *p,
                       uint32_t times)
{
    if (!p->able || p->excluded || s->now_ns < p->idle_ns)
        return NO;
    if (is_long(sweep, p) || w->n_long)
        times = 1;
    if (p->leases >= times * p->slots)
        return NO;
    if (fits(w, sweep, times))
        return YES;
    /* It fits once the short leases are through: it is its turn, so nobody goes before. */
    if (w->long_cpus + sweep->cpus <= w->cpus && times == 1 && !w->n_long && !p->leases)
        return WAIT;
    return reserve(s, w, sweep) ? WAIT : NO;
}

/* --- What goes into a lease --- */

static uint64_t size_for(const sky_sched *s, const sky__sweep *sweep, const sky__pair *p)
{
    double cost_ns = p->cost_ns > 0 ? p->cost_ns : sweep->cost_ns;
    if (cost_ns <= 0)
        return 1;
    double want = (double)s->target_ns / cost_ns;
    uint64_t size = want < SKY_LEASE_POSITIONS_MAX ? (uint64_t)want : SKY_LEASE_POSITIONS_MAX;
    uint64_t grown = (sweep->size_proven ? sweep->size_proven : 1) * SKY__GROWTH_MAX;
    size = size < grown ? size : grown;

    uint64_t slots = s->live_cpus / sweep->cpus;
    if (sweep->gpus && s->live_gpus / sweep->gpus < slots)
        slots = s->live_gpus / sweep->gpus;
    slots = slots ? slots : 1;
    uint64_t share = sweep->todo.count / (2 * slots);
    uint64_t least = (uint64_t)((double)SKY__TAIL_LEASE_NS / cost_ns);
    share = share > least ? share : least;
    size = size < share ? size : share;
    return size ? size : 1;
}

static bool retry_due(const sky_sched *s, const sky__sweep *sweep)
{
    return sweep->retry.count &&
           (sweep->todo.count == 0 || sweep->retry.count > SKY_SCHED_RETRIES_WAITING ||
            s->now_ns - sweep->retry_ns >= SKY__RETRY_DUE_NS);
}

/* Retries for this worker: not those that it failed a moment ago, so that another may try them. */
static bool take_retries(const sky_sched *s, sky__sweep *sweep, const sky__worker *w, uint64_t max,
                         sky_ranges *out)
{
    uint64_t want = max < SKY__RETRIES_PER_LEASE_MAX ? max : SKY__RETRIES_PER_LEASE_MAX;
    uint64_t looked = 0;
    bool ok = true;
    for (size_t i = 0; i < sweep->retry.n && looked < SKY_SCHED_RETRIES_WAITING; i++) {
        for (uint64_t p = sweep->retry.r[i].begin; p < sweep->retry.r[i].end; p++) {
            if (++looked > SKY_SCHED_RETRIES_WAITING || out->count >= want)
                break;
            const sky__attempt *a = sky__attempt_find(&sweep->attempts, p);
            if (!a || a->worker != w->serial || s->live.n < 2 || s->now_ns >= a->same_ns)
                ok = ok && sky_ranges_add(out, p, p + 1) != UINT64_MAX;
        }
    }
    return ok && sky_ranges_remove_all(&sweep->retry, out);
}

static bool take_suspects(sky__sweep *sweep, uint64_t max, sky_ranges *out)
{
    while (sweep->group_head < sweep->n_groups && !sweep->groups[sweep->group_head].count)
        sky_ranges_free(&sweep->groups[sweep->group_head++]);
    if (sweep->group_head == sweep->n_groups)
        return true;
    sky_ranges *group = &sweep->groups[sweep->group_head];
    uint64_t want = max < SKY__ISOLATED_MAX ? max : SKY__ISOLATED_MAX;
    uint64_t taken = sky_ranges_take(group, want, out);
    if (taken == UINT64_MAX)
        return false;
    sweep->group_count -= taken;
    if (group->count == 0)
        sky_ranges_free(&sweep->groups[sweep->group_head++]);
    return true;
}

/* Fills an empty set with what the worker should do next; leaves it empty if there is nothing for
 * it. */
static bool choose(sky_sched *s, sky__sweep *sweep, sky__worker *w, const sky__pair *p,
                   sky_ranges *out, bool *isolate)
{
    uint64_t size = size_for(s, sweep, p);
    *isolate = true;
    if (sweep->group_count)
        /* A quarter, so that several slots share the search. */
        return take_suspects(sweep, size / 4 ? size / 4 : 1, out);
    if (retry_due(s, sweep)) {
        if (!take_retries(s, sweep, w, size, out))
            return false;
        if (out->count)
            return true;
    }
    *isolate = false;
    return sky_ranges_take(&sweep->todo, size, out) != UINT64_MAX;
}

static void send_plan(sky_sched *s, sky__worker *w, const sky__sweep *sweep, sky__pair *p)
{
    if (p->sent && p->revision == sweep->revision)
        return;
    p->sent = true;
    p->revision = sweep->revision;
    sky_msg m = {.type = SKY_MSG_PLAN};
    m.plan = (sky_msg_plan){.sweep = sweep->id, .revision = sweep->revision, .text = sweep->plan};
    sky__sched_send(s, &w->session, &m);
}

static uint64_t next_id(sky_sched *s)
{
    uint64_t id;
    do
        id = (uint64_t)s->epoch << 32 | s->lease_number++;
    while (sky__lease_find(s, id));
    return id;
}

static bool give(sky_sched *s, sky__worker *w, sky__sweep *sweep, sky__pair *p)
{
    sky__lease *l = sky__lease_new(s, w, sweep, next_id(s));
    if (!l)
        return false;
    bool isolate;
    if (!choose(s, sweep, w, p, &l->left, &isolate))
        s->out_of_memory = true;
    if (l->left.count == 0) {
        sky__lease_end(s, l);
        return false;
    }
    l->given = l->left.count;
    l->isolate = isolate;
    double cost_ns = p->cost_ns > 0 ? p->cost_ns : sweep->cost_ns;
    l->est_ns = cost_ns > 0 ? cost_ns * (double)l->given : (double)s->target_ns;
    sweep->vt += l->est_ns * l->cpus;
    send_plan(s, w, sweep, p);
    sky_msg m = {.type = SKY_MSG_LEASE};
    m.lease = (sky_msg_lease){.lease = l->id,
                              .sweep = sweep->id,
                              .revision = sweep->revision,
                              .isolate = isolate,
                              .positions = sky__sched_copy_list(s, &l->left)};
    sky__sched_send(s, &w->session, &m);
    return true;
}

/* --- Who gets one --- */

static bool before(const sky__sweep *a, const sky__sweep *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    return a->vt < b->vt; /* equal: the older one, which comes first */
}

/* Gives the worker one lease of the sweep whose turn it is. */
static bool give_one(sky_sched *s, sky__worker *w, uint32_t times)
{
    if (w->out_cpus >= (uint64_t)times * w->cpus)
        return false;
    uint64_t stamp = ++s->stamp;
    for (;;) {
        sky__sweep *best = NULL;
        for (size_t i = 0; i < s->n_sweeps; i++) {
            sky__sweep *sweep = s->sweeps[i];
            if (sweep->stamp != stamp && sky__sweep_ready(s, sweep) &&
                (!best || before(sweep, best)))
                best = sweep;
        }
        if (!best)
            return false;
        best->stamp = stamp;
        sky__pair *p = sky__pair_get(s, w, best);
        answer a = p ? may_take(s, w, best, p, times) : NO;
        if (a == WAIT)
            return false;
        if (a == YES && give(s, w, best, p))
            return true;
    }
}

static void update_hunger(sky_sched *s, sky__worker *w)
{
    if (w->out_cpus >= (w->n_long ? 1u : 2u) * (uint64_t)w->cpus)
        sky__hungry_remove(s, w);
    else
        sky__hungry_add(s, w);
}

void sky__fill_worker(sky_sched *s, sky__worker *w)
{
    if (!w->hungry || w->gone || w->lost)
        return;
    for (uint32_t times = 1; times <= 2; times++) {
        while (give_one(s, w, times))
            ;
    }
    update_hunger(s, w);
}

static bool any_ready(const sky_sched *s)
{
    for (size_t i = 0; i < s->n_sweeps; i++) {
        if (sky__sweep_ready(s, s->sweeps[i]))
            return true;
    }
    return false;
}

void sky__sched_fill(sky_sched *s)
{
    for (uint32_t times = 1; times <= 2; times++) {
        bool given = true;
        while (given) { /* one each in turn, so that few leases reach many workers */
            given = false;
            for (sky__worker *w = s->hungry_first, *next; w; w = next) {
                next = w->hungry_next;
                if (!any_ready(s))
                    return;
                given |= give_one(s, w, times);
                if (times == 2)
                    update_hunger(s, w);
            }
        }
    }
}
