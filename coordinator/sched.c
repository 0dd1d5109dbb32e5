/* The scheduler's life, its action queue, time and commits. */
#include "coordinator/sched.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "coordinator/sched_internal.h"

enum { BUCKETS = 1 << 12 }; /* of both tables; chains stay short up to tens of thousands */

sky_err sky_sched_new(sky_sched **out, const sky_sched_options *o, int64_t now_ns)
{
    assert(out && o && o->store_uuid);
    sky_sched *s = calloc(1, sizeof *s);
    if (!s)
        return SKY_ENOMEM;
    s->heartbeat_ms = o->heartbeat_ms ? o->heartbeat_ms : 1000;
    s->heartbeat_ns = s->heartbeat_ms * SKY__MS;
    s->timeout_ns = o->worker_timeout_ms ? o->worker_timeout_ms * SKY__MS : 5 * s->heartbeat_ns;
    s->target_ns = (o->lease_target_ms ? o->lease_target_ms : 100) * SKY__MS;
    s->adopt_until_ns = now_ns + o->adopt_wait_ms * SKY__MS;
    s->epoch = o->epoch;
    /* Not from 1: a lease of another store that lives in a returning worker has another number. */
    s->lease_number = (uint32_t)sky_hash_u64(o->seed, o->epoch) & 0x3fffffff;
    s->exact_from = s->lease_number;
    s->now_ns = s->tick_ns = now_ns;
    s->grace_until_ns = now_ns + s->timeout_ns;
    s->store_uuid = sky_strdup(o->store_uuid);
    s->worker_buckets = calloc(BUCKETS, sizeof(*s->worker_buckets));
    s->lease_buckets = calloc(BUCKETS, sizeof(*s->lease_buckets));
    s->worker_mask = s->lease_mask = BUCKETS - 1;
    if (!s->store_uuid || !s->worker_buckets || !s->lease_buckets) {
        sky_sched_free(s);
        return SKY_ENOMEM;
    }
    *out = s;
    return SKY_OK;
}

static void free_workers(sky_sched *s, sky__list *list)
{
    for (sky__worker *w = list->first, *next; w; w = next) {
        next = w->next;
        for (sky__lease *l = w->leases, *l_next; l; l = l_next) {
            l_next = l->next;
            sky_ranges_free(&l->left);
            free(l);
        }
        sky__worker_free(w);
    }
    (void)s;
}

void sky_sched_free(sky_sched *s)
{
    if (!s)
        return;
    free_workers(s, &s->live);
    free_workers(s, &s->lost);
    for (size_t i = 0; i < s->n_sweeps; i++)
        sky__sweep_free(s->sweeps[i]);
    for (sky__lease *l = s->free_leases, *next; l; l = next) {
        next = l->next;
        sky_ranges_free(&l->left);
        free(l);
    }
    sky_arena_free(&s->arena);
    free(s->sweeps);
    free(s->worker_buckets);
    free(s->lease_buckets);
    free(s->charges);
    free(s->actions);
    free(s->store_uuid);
    free(s);
}

/* --- Actions --- */

bool sky__sched_grow(void **array, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return true;
    size_t bigger = *cap ? *cap * 2 : 8;
    while (bigger < need)
        bigger *= 2;
    void *p = realloc(*array, bigger * size);
    if (!p)
        return false;
    *array = p;
    *cap = bigger;
    return true;
}

void sky__sched_begin(sky_sched *s, int64_t now_ns)
{
    if (now_ns > s->now_ns)
        s->now_ns = now_ns;
    if (s->action_head < s->n_actions)
        return; /* the caller has not looked yet */
    s->action_head = s->n_actions = 0;
    sky_arena_reset(&s->arena);
}

sky_err sky__sched_end(sky_sched *s)
{
    if (s->fill_all)
        sky__sched_fill(s);
    s->fill_all = false;
    return s->out_of_memory ? SKY_ENOMEM : SKY_OK;
}

/* Where an action goes that did not fit: the scheduler is then broken, and says so at the end. */
static sky_action *nowhere(sky_sched *s)
{
    static _Thread_local sky_action sink;
    s->out_of_memory = true;
    return &sink;
}

sky_action *sky__sched_push(sky_sched *s, sky_action_type type)
{
    void *actions = s->actions;
    bool ok = sky__sched_grow(&actions, &s->cap_actions, s->n_actions + 1, sizeof *s->actions);
    s->actions = actions;
    sky_action *a = ok ? &s->actions[s->n_actions++] : nowhere(s);
    memset(a, 0, sizeof *a);
    a->type = type;
    return a;
}

void sky__sched_send(sky_sched *s, const sky_session *to, const sky_msg *m)
{
    sky_action *a = sky__sched_push(s, SKY_ACTION_SEND);
    a->send.to = *to;
    a->send.msg = *m;
}

void sky__sched_note(sky_sched *s, sky_log_level level, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const char *copy = sky_arena_strdup(&s->arena, text);
    s->out_of_memory |= !copy;
    sky_action *a = sky__sched_push(s, SKY_ACTION_NOTE);
    a->note.level = level;
    a->note.text = copy ? copy : "";
}

sky_range_list sky__sched_copy_list(sky_sched *s, const sky_ranges *r)
{
    sky_range *copy = sky_new(&s->arena, sky_range, r->n ? r->n : 1);
    if (!copy) {
        s->out_of_memory = true;
        return (sky_range_list){0};
    }
    if (r->n)
        memcpy(copy, r->r, r->n * sizeof *copy);
    return (sky_range_list){.r = copy, .n = r->n};
}

bool sky_sched_next(sky_sched *s, sky_action *out)
{
    if (s->action_head == s->n_actions)
        return false;
    *out = s->actions[s->action_head++];
    return true;
}

/* --- Messages and time --- */

/* Somebody who is not known, or no longer: says so, and gets the whole truth in a HELLO. */
static void ask_who(sky_sched *s, const sky_session *session)
{
    sky_msg who = {.type = SKY_MSG_WHO};
    sky__sched_send(s, session, &who);
}

sky_err sky_sched_message(sky_sched *s, int64_t now_ns, const sky_session *session,
                          const sky_msg *m)
{
    sky__sched_begin(s, now_ns);
    if (m->type == SKY_MSG_HELLO) {
        sky__worker_hello(s, session, &m->hello);
        return sky__sched_end(s);
    }
    if (m->type != SKY_MSG_RESULT && m->type != SKY_MSG_HEARTBEAT && m->type != SKY_MSG_BYE)
        return sky__sched_end(s);
    sky__worker *w = sky__worker_find(s, session);
    if (!w) {
        if (m->type != SKY_MSG_BYE)
            ask_who(s, session);
        return sky__sched_end(s);
    }
    if (w->lost && !w->bye && m->type != SKY_MSG_BYE)
        sky__worker_who(s, w);
    sky__worker_heard(s, w);
    if (m->type == SKY_MSG_RESULT)
        sky__result(s, w, &m->result);
    else if (m->type == SKY_MSG_HEARTBEAT)
        sky__worker_heartbeat(s, w, &m->heartbeat);
    else
        sky__worker_bye(s, w, m->bye.reason);
    if (!s->fill_all && !w->lost)
        sky__fill_worker(s, w);
    return sky__sched_end(s);
}

sky_err sky_sched_peer_gone(sky_sched *s, int64_t now_ns, const sky_session *session)
{
    sky__sched_begin(s, now_ns);
    sky__worker *w = sky__worker_find(s, session);
    if (w && !w->lost && !w->gone) {
        w->gone = true;
        s->n_gone++;
        sky__hungry_remove(s, w);
    }
    return sky__sched_end(s);
}

void sky_sched_gap(sky_sched *s, int64_t now_ns)
{
    sky__sched_begin(s, now_ns);
    s->grace_until_ns = s->now_ns + s->timeout_ns;
}

sky_err sky_sched_tick(sky_sched *s, int64_t now_ns)
{
    sky__sched_begin(s, now_ns);
    /* Late, or a clock that went backwards: what was sent meanwhile is still to be read. */
    if (now_ns - s->tick_ns > s->heartbeat_ns || now_ns < s->tick_ns)
        s->grace_until_ns = s->now_ns + s->timeout_ns;
    s->tick_ns = now_ns;
    sky__worker_expire(s);
    if (s->hungry_first)
        s->fill_all = true; /* waiting times may be over */
    return sky__sched_end(s);
}

sky_err sky_sched_stop_workers(sky_sched *s, bool now)
{
    sky__sched_begin(s, s->now_ns);
    for (sky__worker *w = s->live.first; w; w = w->next) {
        sky_msg stop = {.type = SKY_MSG_STOP, .stop = {.now = now}};
        sky__sched_send(s, &w->session, &stop);
    }
    return sky__sched_end(s);
}

void sky_sched_set_env(sky_sched *s, const sky_session *session, int64_t env)
{
    sky__worker *w = sky__worker_find(s, session);
    if (w)
        w->env = env;
}

void sky_sched_exclude(sky_sched *s, const sky_session *session, int64_t sweep)
{
    sky__worker *w = sky__worker_find(s, session);
    sky__sweep *sw = sky__sweep_find(s, sweep);
    sky__pair *p = w && sw ? sky__pair_get(s, w, sw) : NULL;
    if (p)
        p->excluded = true;
}

/* --- Commits --- */

static void acknowledge(sky_sched *s, sky__worker *w)
{
    w->ack_ns = s->now_ns;
    for (size_t at = 0; at < w->n_acks; at += SKY_MSG_ITEMS_MAX) {
        size_t n = w->n_acks - at < SKY_MSG_ITEMS_MAX ? w->n_acks - at : SKY_MSG_ITEMS_MAX;
        uint64_t *seqs = sky_new(&s->arena, uint64_t, n);
        if (!seqs) {
            s->out_of_memory = true;
            return;
        }
        for (size_t i = 0; i < n; i++)
            seqs[i] = w->acks[at + i].seq;
        sky_msg ack = {.type = SKY_MSG_ACK, .ack = {.seqs = seqs, .n = n}};
        sky__sched_send(s, &w->session, &ack);
    }
    w->n_acks = 0;
}

sky_err sky_sched_committed(sky_sched *s, int64_t now_ns)
{
    assert(s->action_head == s->n_actions);
    sky__sched_begin(s, now_ns);
    for (sky__worker *w = s->ack_first, *next; w; w = next) {
        next = w->ack_next;
        w->ack_next = NULL;
        w->ack_listed = false;
        acknowledge(s, w);
    }
    s->ack_first = NULL;
    s->uncommitted = s->results_waiting = 0;
    for (; s->n_charges; s->n_charges--) {
        const sky__charge *c = &s->charges[s->n_charges - 1];
        sky__sweep *w = c->final ? sky__sweep_find(s, c->sweep) : NULL;
        if (w)
            sky__attempt_drop(&w->attempts, c->position);
    }
    for (size_t i = 0; i < s->n_sweeps; i++) {
        sky__sweep *w = s->sweeps[i];
        sky__attempts_drop_in(&w->attempts, &w->pending);
        sky_ranges_clear(&w->pending);
        w->pending_recorded = w->pending_holes = w->pending_bad = 0;
        w->announced = false;
        sky__sweep_maybe_done(s, w);
    }
    return sky__sched_end(s);
}

/* The attempts that the last transaction would have charged were not charged. */
static void uncharge(sky_sched *s, const sky__charge *c)
{
    sky__sweep *w = sky__sweep_find(s, c->sweep);
    if (!w)
        return;
    if (c->final) {
        sky_ranges one = {0};
        bool ok = sky_ranges_remove(&w->bad, c->position, c->position + 1) != UINT64_MAX &&
                  sky_ranges_add(&one, c->position, c->position + 1) != UINT64_MAX;
        if (ok)
            sky__sweep_reopen(s, w, &one);
        else
            s->out_of_memory = true;
        sky_ranges_free(&one);
    }
    sky__attempt *a = sky__attempt_find(&w->attempts, c->position);
    if (a)
        a->attempts = c->attempts;
}

static void forget_results(sky_sched *s)
{
    for (sky__worker *w = s->ack_first, *next; w; w = next) {
        next = w->ack_next;
        w->ack_next = NULL;
        w->ack_listed = false;
        for (size_t i = 0; i < w->n_acks; i++) {
            uint64_t seq = w->acks[i].seq;
            if (w->acks[i].fresh && sky_ranges_remove(&w->seen, seq, seq + 1) == UINT64_MAX)
                s->out_of_memory = true;
        }
        w->n_acks = 0;
        if (!w->bye)
            ask_who(s, &w->session); /* it sends its results again after the HELLO */
    }
    s->ack_first = NULL;
}

sky_err sky_sched_rolled_back(sky_sched *s, int64_t now_ns)
{
    assert(s->action_head == s->n_actions);
    sky__sched_begin(s, now_ns);
    for (size_t i = 0; i < s->n_sweeps; i++) {
        sky__sweep *w = s->sweeps[i];
        sky_ranges back = w->pending;
        w->pending = (sky_ranges){0};
        w->recorded -= w->pending_recorded;
        w->holes -= w->pending_holes;
        w->pending_recorded = w->pending_holes = w->pending_bad = 0;
        if (!sky_ranges_remove_all(&w->done, &back))
            s->out_of_memory = true;
        sky__sweep_reopen(s, w, &back);
        sky_ranges_free(&back);
        if (w->announced)
            sky__sweep_announce(s, w);
    }
    while (s->n_charges)
        uncharge(s, &s->charges[--s->n_charges]);
    forget_results(s);
    s->uncommitted = s->results_waiting = 0;
    s->fill_all = true;
    return sky__sched_end(s);
}
