/* Workers: how they come, are lost, and come back with what they hold. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "coordinator/sched_internal.h"

/* --- Lists and tables --- */

static size_t bucket(const sky_sched *s, const sky_session *session)
{
    return (size_t)sky_hash_bytes(0, session->b, sizeof session->b) & s->worker_mask;
}

sky__worker *sky__worker_find(const sky_sched *s, const sky_session *session)
{
    sky__worker *w = s->worker_buckets[bucket(s, session)];
    while (w && !sky_session_equal(&w->session, session))
        w = w->hash_next;
    return w;
}

static void append(sky__list *list, sky__worker *w)
{
    w->prev = list->last;
    w->next = NULL;
    *(list->last ? &list->last->next : &list->first) = w;
    list->last = w;
    list->n++;
}

static void unlist(sky__list *list, sky__worker *w)
{
    *(w->prev ? &w->prev->next : &list->first) = w->next;
    *(w->next ? &w->next->prev : &list->last) = w->prev;
    w->prev = w->next = NULL;
    list->n--;
}

void sky__hungry_add(sky_sched *s, sky__worker *w)
{
    if (w->hungry || w->lost || w->gone)
        return;
    w->hungry = true;
    w->hungry_prev = s->hungry_last;
    w->hungry_next = NULL;
    *(s->hungry_last ? &s->hungry_last->hungry_next : &s->hungry_first) = w;
    s->hungry_last = w;
}

void sky__hungry_remove(sky_sched *s, sky__worker *w)
{
    if (!w->hungry)
        return;
    w->hungry = false;
    *(w->hungry_prev ? &w->hungry_prev->hungry_next : &s->hungry_first) = w->hungry_next;
    *(w->hungry_next ? &w->hungry_next->hungry_prev : &s->hungry_last) = w->hungry_prev;
}

void sky__worker_free(sky__worker *w)
{
    sky_ranges_free(&w->seen);
    free(w->host);
    free(w->program_version);
    free(w->jobs);
    free(w->pairs);
    free(w->running);
    free(w->acks);
    free(w);
}

/* Forgets the worker that has been lost for longest. Should it come back after all, what it says of
 * old leases may have been said before: exact_from marks the leases of which that is sure not to be
 * so. */
static void evict(sky_sched *s)
{
    sky__worker *w = s->lost.first;
    for (; w && w->ack_listed; w = w->next)
        ;
    if (!w)
        return;
    s->exact_from = s->lease_number;
    unlist(&s->lost, w);
    sky__worker **at = &s->worker_buckets[bucket(s, &w->session)];
    while (*at != w)
        at = &(*at)->hash_next;
    *at = w->hash_next;
    sky__worker_free(w);
}

/* --- Life --- */

void sky__worker_heard(sky_sched *s, sky__worker *w)
{
    w->heard_ns = s->now_ns;
    if (w->lost)
        return;
    unlist(&s->live, w);
    append(&s->live, w);
    if (w->gone) {
        w->gone = false;
        s->n_gone--;
        sky__hungry_add(s, w);
    }
}

void sky__worker_who(sky_sched *s, sky__worker *w)
{
    if (w->who_ns && s->now_ns - w->who_ns < s->heartbeat_ns)
        return;
    w->who_ns = s->now_ns;
    w->odd = 0;
    sky_msg who = {.type = SKY_MSG_WHO};
    sky__sched_send(s, &w->session, &who);
}

static void leave(sky_sched *s, sky__worker *w)
{
    while (w->leases)
        sky__lease_end(s, w->leases);
    sky__hungry_remove(s, w);
    if (w->gone)
        s->n_gone--;
    w->gone = false;
    w->lost = true;
    w->n_running = 0;
    s->live_cpus -= w->cpus;
    s->live_gpus -= w->gpus;
    unlist(&s->live, w);
    append(&s->lost, w);
    for (size_t i = 0; i < s->n_sweeps; i++) {
        if (s->sweeps[i]->reserved == w)
            s->sweeps[i]->reserved = NULL;
    }
    if (s->lost.n > SKY_SCHED_LOST_MAX)
        evict(s);
}

/* A worker took this position down with it, perhaps. Nobody is charged for that; but what has been
 * seen on so many dying workers is not left to kill one after another. */
static void count_loss(sky_sched *s, sky__worker *w, const sky_running_trial *t)
{
    sky__lease *l = sky__lease_find(s, t->lease);
    if (!l || l->worker != w || !sky_ranges_has(&l->left, t->position) ||
        sky__sweep_settled(l->sweep, t->position))
        return;
    sky__attempt *a = sky__attempt_get(&l->sweep->attempts, t->position);
    if (!a) {
        s->out_of_memory = true;
        return;
    }
    if (++a->losses < SKY_SCHED_LOSSES_MAX)
        return;
    if (sky_ranges_remove(&l->left, t->position, t->position + 1) == UINT64_MAX)
        s->out_of_memory = true;
    sky_failed_attempt f = {.position = t->position, .kind = SKY_FAILURE_LOST, .log = ""};
    f.reason = sky_arena_printf(&s->arena, "was running on %d workers when they were lost",
                                SKY_SCHED_LOSSES_MAX);
    sky__charge_position(s, l->sweep, w, &f, false, true);
}

void sky__worker_lost(sky_sched *s, sky__worker *w, const char *why)
{
    sky__sched_note(s, SKY_LOG_WARN, "worker %s pid=%u lost: %s; leases=%u", w->host, w->pid, why,
                    w->n_leases);
    for (size_t i = 0; i < w->n_running; i++)
        count_loss(s, w, &w->running[i]);
    leave(s, w);
}

void sky__worker_bye(sky_sched *s, sky__worker *w, const char *reason)
{
    if (w->bye)
        return;
    w->bye = true;
    sky__sched_note(s, SKY_LOG_INFO, "worker %s pid=%u leaves: %s", w->host, w->pid, reason);
    if (!w->lost)
        leave(s, w);
}

/* What the leases of a worker that does not have them any more still hold. */
static void end_orphans(sky_sched *s)
{
    for (sky__worker *w = s->live.first; w && s->n_orphans; w = w->next) {
        for (sky__lease *l = w->leases, *next; l; l = next) {
            next = l->next;
            if (l->orphan_ns && s->now_ns >= l->orphan_ns)
                sky__lease_end(s, l);
        }
        sky__hungry_add(s, w);
    }
}

void sky__worker_expire(sky_sched *s)
{
    end_orphans(s);
    if (s->now_ns < s->grace_until_ns)
        return;
    while (s->live.first && s->now_ns - s->live.first->heard_ns >= s->timeout_ns)
        sky__worker_lost(s, s->live.first, "silent for too long");
    for (sky__worker *w = s->live.first, *next; w && s->n_gone; w = next) {
        next = w->next;
        if (w->gone && s->now_ns - w->heard_ns >= 2 * s->heartbeat_ns)
            sky__worker_lost(s, w, "disconnected");
    }
}

/* --- HELLO --- */

static uint64_t hash_job(const sky_job_version *j)
{
    return sky_hash_bytes(sky_hash_bytes(0, j->name, strlen(j->name)), j->version,
                          strlen(j->version));
}

static bool describe(sky__worker *w, const sky_msg_hello *h)
{
    free(w->host);
    free(w->program_version);
    free(w->jobs);
    w->host = sky_strdup(h->host ? h->host : "");
    w->program_version = sky_strdup(h->program_version ? h->program_version : "");
    w->jobs = calloc(h->n_jobs ? h->n_jobs : 1, sizeof *w->jobs);
    w->n_jobs = w->jobs ? h->n_jobs : 0;
    for (size_t i = 0; i < w->n_jobs; i++)
        w->jobs[i] = hash_job(&h->jobs[i]);
    w->pid = h->pid;
    w->cpus = h->cpus;
    w->gpus = h->gpus;
    w->memory_bytes = h->memory_bytes;
    w->open_plugins = h->open_plugins;
    for (size_t i = 0; i < w->n_pairs; i++) {
        w->pairs[i].sent = false; /* a worker that says HELLO knows no plan */
        w->pairs[i].generation = 0;
    }
    return w->host && w->program_version && w->jobs;
}

static sky__worker *welcome_new(sky_sched *s, const sky_session *session)
{
    if (s->live.n + s->lost.n >= SKY_SCHED_WORKERS_MAX) {
        sky__sched_note(s, SKY_LOG_ERROR, "a worker is refused: %d are known, which is the limit",
                        SKY_SCHED_WORKERS_MAX);
        return NULL;
    }
    sky__worker *w = calloc(1, sizeof *w);
    if (!w) {
        s->out_of_memory = true;
        return NULL;
    }
    w->session = *session;
    w->serial = ++s->serial;
    sky__worker **at = &s->worker_buckets[bucket(s, session)];
    w->hash_next = *at;
    *at = w;
    append(&s->live, w);
    return w;
}

/* A lease that the worker holds and that is not known: its own of before it was lost, or of before
 * this coordinator started. True: it goes on. */
static bool adopt(sky_sched *s, sky__worker *w, const sky_held_lease *h)
{
    sky__sweep *sweep = sky__sweep_find(s, h->sweep);
    if (!sweep || (sweep->state != SKY_SWEEP_RUNNING && sweep->state != SKY_SWEEP_PAUSED))
        return false;
    const sky_ranges held = sky__set_view(&h->left);
    sky_ranges open = {0};
    bool ok = sky__set_extract(&sweep->todo, &held, &open) &&
              sky__set_extract(&sweep->retry, &held, &open);
    for (size_t i = sweep->group_head; ok && i < sweep->n_groups; i++) {
        uint64_t before = sweep->groups[i].count;
        ok = sky__set_extract(&sweep->groups[i], &held, &open);
        sweep->group_count -= before - sweep->groups[i].count;
    }
    s->out_of_memory |= !ok;
    /* With most of it given to others or settled, going on would be work done twice. */
    sky__lease *l = NULL;
    if (open.count > 0 && open.count >= held.count / 2)
        l = sky__lease_new(s, w, sweep, h->lease);
    if (!l) {
        sky__sweep_put_back(s, sweep, &open);
        sky_ranges_free(&open);
        return false;
    }
    sky_ranges_free(&l->left);
    l->left = open;
    l->given = open.count;
    l->listed = true;
    return true;
}

/* Makes both sides agree on who holds what: the HELLO says all that the worker has. */
static void reconcile(sky_sched *s, sky__worker *w, const sky_msg_hello *h, size_t n_held)
{
    for (sky__lease *l = w->leases; l; l = l->next)
        l->listed = false;
    uint64_t *revoke = sky_new(&s->arena, uint64_t, n_held ? n_held : 1);
    size_t n = 0;
    s->out_of_memory |= !revoke;
    for (size_t i = 0; revoke && i < n_held; i++) {
        sky__lease *l = sky__lease_find(s, h->leases[i].lease);
        if (l && l->worker == w) {
            l->listed = true;
            if (l->orphan_ns)
                s->n_orphans--;
            l->orphan_ns = 0;
        } else if (l || !adopt(s, w, &h->leases[i])) {
            revoke[n++] = h->leases[i].lease;
        }
    }
    for (sky__lease *l = w->leases; l; l = l->next) {
        /* A younger one may have crossed the HELLO; heartbeats will tell. */
        if (!l->listed && !l->orphan_ns && s->now_ns - l->sent_ns >= s->heartbeat_ns)
            sky__lease_orphan(s, l);
    }
    sky_msg m = {.type = SKY_MSG_REVOKE, .revoke = {.leases = revoke, .n = n}};
    if (n)
        sky__sched_send(s, &w->session, &m);
}

static void join(sky_sched *s, sky__worker *w, bool is_new)
{
    if (w->lost) {
        unlist(&s->lost, w);
        append(&s->live, w);
        w->lost = false;
        sky__sched_note(s, SKY_LOG_INFO, "worker %s pid=%u is back", w->host, w->pid);
    } else if (is_new) {
        sky__sched_note(s, SKY_LOG_INFO, "worker %s pid=%u joins: cpus=%u gpus=%u", w->host, w->pid,
                        w->cpus, w->gpus);
    }
    s->live_cpus += w->cpus;
    s->live_gpus += w->gpus;
}

void sky__worker_hello(sky_sched *s, const sky_session *session, const sky_msg_hello *h)
{
    sky__worker *w = sky__worker_find(s, session);
    bool is_new = !w;
    if (w && w->bye)
        return; /* a copy that was late */
    if (!w && !(w = welcome_new(s, session)))
        return;
    if (!is_new && !w->lost) {
        s->live_cpus -= w->cpus;
        s->live_gpus -= w->gpus;
    }
    if (!describe(w, h))
        s->out_of_memory = true;
    join(s, w, is_new);
    sky__worker_heard(s, w);
    w->who_ns = 0;
    w->odd = 0;

    sky_msg welcome = {.type = SKY_MSG_WELCOME};
    welcome.welcome = (sky_msg_welcome){
        .store_uuid = s->store_uuid, .epoch = s->epoch, .heartbeat_ms = s->heartbeat_ms};
    sky__sched_send(s, &w->session, &welcome);
    /* Leases of another store it will drop when it sees ours. */
    bool ours = !h->store_uuid || !h->store_uuid[0] || !strcmp(h->store_uuid, s->store_uuid);
    reconcile(s, w, h, ours ? h->n_leases : 0);
    sky__hungry_add(s, w);
    s->fill_all = true;
}

/* --- HEARTBEAT --- */

/* Does what the worker says contradict what is known here, but for what is on its way? */
static bool is_odd(const sky_sched *s, const sky__worker *w, const sky_msg_heartbeat *h)
{
    uint64_t settled_in = 0; /* leases that it must have had for a while */
    for (const sky__lease *l = w->leases; l; l = l->next)
        settled_in += !l->orphan_ns && s->now_ns - l->sent_ns >= 2 * s->heartbeat_ns;
    bool acked_lately = w->n_acks || s->now_ns - w->ack_ns < 2 * s->heartbeat_ns;
    return h->leases_held < settled_in || h->leases_held > w->n_leases ||
           (h->results_unacked > 0 && !acked_lately);
}

void sky__worker_heartbeat(sky_sched *s, sky__worker *w, const sky_msg_heartbeat *h)
{
    if (w->lost)
        return;
    size_t n = h->n_running < SKY__RUNNING_MAX ? h->n_running : SKY__RUNNING_MAX;
    void *running = w->running;
    if (!sky__sched_grow(&running, &w->cap_running, n, sizeof *w->running)) {
        s->out_of_memory = true;
        return;
    }
    w->running = running;
    w->n_running = n;
    if (n)
        memcpy(w->running, h->running, n * sizeof *w->running);
    w->odd = is_odd(s, w, h) ? w->odd + 1 : 0;
    if (w->odd >= 2)
        sky__worker_who(s, w);
}
