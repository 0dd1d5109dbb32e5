/* The agent's life: options, messages and time. See worker/agent.h. */
#include "worker/agent.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "worker/agent_internal.h"

static uint32_t or_default(uint32_t x, uint32_t otherwise)
{
    return x ? x : otherwise;
}

static bool copy_options(sky_agent *a, const sky_agent_options *o)
{
    a->o = *o;
    a->o.host = sky_arena_strdup(&a->perm, o->host ? o->host : "");
    a->o.program_version = sky_arena_strdup(&a->perm, o->program_version ? o->program_version : "");
    a->o.environment = sky_arena_strdup(&a->perm, o->environment ? o->environment : "{}");
    sky_job_version *jobs = sky_new(&a->perm, sky_job_version, o->n_jobs ? o->n_jobs : 1);
    if (!a->o.host || !a->o.program_version || !a->o.environment || !jobs)
        return false;
    for (size_t i = 0; i < o->n_jobs; i++) {
        jobs[i].name = sky_arena_strdup(&a->perm, o->jobs[i].name);
        jobs[i].version = sky_arena_strdup(&a->perm, o->jobs[i].version);
        if (!jobs[i].name || !jobs[i].version)
            return false;
    }
    a->o.jobs = jobs;
    a->o.cpus = or_default(o->cpus, 1);
    a->o.heartbeat_ms = or_default(o->heartbeat_ms, 1000);
    a->o.resend_ms = or_default(o->resend_ms, 10000);
    a->o.idle_ms = or_default(o->idle_ms, 30000);
    a->o.stop_ms = or_default(o->stop_ms, 5000);
    if (!o->unacked_bytes_max)
        a->o.unacked_bytes_max = UINT64_C(256) << 20;
    return true;
}

sky_err sky_agent_new(sky_agent **out, const sky_agent_options *o)
{
    assert(out && o);
    if (o->cpus > SKY_AGENT_CPUS_MAX || o->gpus > SKY_AGENT_GPUS_MAX)
        return SKY_EINVAL;
    sky_agent *a = calloc(1, sizeof *a);
    if (!a)
        return SKY_ENOMEM;
    if (!copy_options(a, o))
        goto no_memory;
    /* Twice as many as can run: an executor that dies slowly keeps none from starting. */
    a->n_slots = 2 * a->o.cpus + 2;
    a->slots = calloc(a->n_slots, sizeof *a->slots);
    a->held = calloc(SKY_AGENT_LEASES_MAX, sizeof(sky__held *));
    if (!a->slots || !a->held)
        goto no_memory;
    a->cpus_free = a->o.cpus;
    a->memory_free = a->o.memory_bytes;
    a->heartbeat_ms = a->o.heartbeat_ms;
    a->kept_first = 1;
    a->stop_ns = a->retry_ns = -1;
    memset(a->seen, 0xff, sizeof a->seen);
    *out = a;
    return SKY_OK;

no_memory:
    sky_agent_free(a);
    return SKY_ENOMEM;
}

static void forget_plan(sky_agent *a, size_t index)
{
    free(a->plans[index]->text);
    free(a->plans[index]);
    a->plans[index] = a->plans[--a->n_plans];
}

void sky_agent_free(sky_agent *a)
{
    if (!a)
        return;
    for (size_t i = 0; a->held && i < a->n_held; i++) {
        sky_ranges_free(&a->held[i]->left);
        free(a->held[i]);
    }
    while (a->n_plans)
        forget_plan(a, a->n_plans - 1);
    for (size_t i = 0; i < a->n_todo; i++)
        sky__kept_free(a->todo[(a->todo_head + i) % a->cap_todo].recorded);
    sky__kept_free(a->handed);
    sky__agent_drop_kept(a);
    free(a->kept);
    free(a->todo);
    free(a->slots);
    free(a->held);
    free(a->store_uuid);
    sky_arena_free(&a->scratch);
    sky_arena_free(&a->perm);
    free(a);
}

void sky__agent_oom(sky_agent *a)
{
    a->out_of_memory = true; /* sky_agent_next() says so: the queue may not have room */
}

/* --- Messages --- */

static void say_hello(sky_agent *a)
{
    a->welcomed = false;
    a->hello_ns = a->now_ns + sky__ms(a->heartbeat_ms);
    sky__agent_push(a, (sky__todo){.kind = SKY__TODO_HELLO});
}

void sky_agent_connected(sky_agent *a, int64_t now_ns)
{
    a->now_ns = now_ns;
    a->connected = true;
    say_hello(a);
    sky__agent_settle(a);
}

void sky_agent_disconnected(sky_agent *a, int64_t now_ns)
{
    a->now_ns = now_ns;
    a->connected = false;
    a->welcomed = false;
    sky__agent_settle(a);
}

static void on_welcome(sky_agent *a, const sky_msg_welcome *w)
{
    bool was = a->welcomed;
    if (a->store_uuid && strcmp(a->store_uuid, w->store_uuid) != 0) {
        sky__agent_drop_all(a);
        sky__agent_drop_kept(a);
        while (a->n_plans)
            forget_plan(a, a->n_plans - 1);
        free(a->store_uuid);
        a->store_uuid = NULL;
    }
    if (!a->store_uuid && !(a->store_uuid = sky_strdup(w->store_uuid))) {
        sky__agent_oom(a);
        return;
    }
    if (w->heartbeat_ms)
        a->heartbeat_ms = w->heartbeat_ms;
    a->connected = true;
    a->welcomed = true;
    if (was)
        return; /* a second copy: what it asks for was sent */
    a->heartbeat_ns = a->now_ns + sky__ms(a->heartbeat_ms);
    sky__agent_send_kept(a, true);
}

sky__plan *sky__agent_plan(sky_agent *a, int64_t sweep)
{
    for (size_t i = 0; i < a->n_plans; i++) {
        if (a->plans[i]->sweep == sweep)
            return a->plans[i];
    }
    return NULL;
}

/* A place for a new plan; forgets the one that was used longest ago. NULL when out of memory, or when
 * all are in use: the lease that comes then goes back. */
static sky__plan *new_plan(sky_agent *a, int64_t sweep)
{
    if (a->n_plans == SKY_AGENT_PLANS_MAX) {
        size_t oldest = SKY_AGENT_PLANS_MAX;
        for (size_t i = 0; i < a->n_plans; i++) {
            if (a->plans[i]->leases == 0 &&
                (oldest == SKY_AGENT_PLANS_MAX || a->plans[i]->used < a->plans[oldest]->used))
                oldest = i;
        }
        if (oldest == SKY_AGENT_PLANS_MAX)
            return NULL;
        forget_plan(a, oldest);
    }
    sky__plan *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->sweep = sweep;
    a->plans[a->n_plans++] = p;
    return p;
}

static void on_plan(sky_agent *a, const sky_msg_plan *m)
{
    sky__plan *p = sky__agent_plan(a, m->sweep);
    if (p && p->revision >= m->revision)
        return; /* a late copy */
    sky_plan *plan = NULL;
    if (sky_plan_load(&plan, m->text, strlen(m->text), NULL) != SKY_OK)
        return; /* a coordinator of another make: leases of this plan go back */
    char *text = sky_strdup(m->text);
    if (text && !p)
        p = new_plan(a, m->sweep);
    if (text && p) {
        free(p->text);
        p->text = text;
        p->revision = m->revision;
        p->resources = *sky_plan_resources(plan);
        p->limits = *sky_plan_limits(plan);
        p->used = ++a->plan_uses;
        text = NULL;
    }
    free(text);
    sky_plan_free(plan);
}

void sky_agent_message(sky_agent *a, int64_t now_ns, const sky_msg *m)
{
    a->now_ns = now_ns;
    if (a->exited)
        return;
    switch (m->type) {
    case SKY_MSG_WELCOME:
        on_welcome(a, &m->welcome);
        break;
    case SKY_MSG_WHO:
        /* Each of our messages may have been answered so: one HELLO is enough. */
        if (a->welcomed || a->now_ns >= a->hello_ns)
            say_hello(a);
        break;
    case SKY_MSG_PLAN:
        on_plan(a, &m->plan);
        break;
    case SKY_MSG_LEASE:
        sky__agent_take(a, &m->lease);
        break;
    case SKY_MSG_REVOKE:
        for (size_t i = 0; i < m->revoke.n; i++)
            sky__agent_revoke(a, m->revoke.leases[i]);
        break;
    case SKY_MSG_ACK:
        for (size_t i = 0; i < m->ack.n; i++)
            sky__agent_ack(a, m->ack.seqs[i]);
        break;
    case SKY_MSG_STOP:
        sky_agent_stop(a, now_ns, m->stop.now);
        return;
    default:
        break;
    }
    sky__agent_settle(a);
}

/* --- Time and the end --- */

void sky_agent_tick(sky_agent *a, int64_t now_ns)
{
    a->now_ns = now_ns;
    if (a->exited)
        return;
    if (a->connected && !a->welcomed && now_ns >= a->hello_ns)
        say_hello(a);
    if (a->connected && a->welcomed && now_ns >= a->heartbeat_ns) {
        a->heartbeat_ns = now_ns + sky__ms(a->heartbeat_ms);
        sky__agent_push(a, (sky__todo){.kind = SKY__TODO_HEARTBEAT});
        sky__agent_send_kept(a, false);
    }
    if (a->retry_ns >= 0 && now_ns >= a->retry_ns) {
        a->retry_ns = -1;
        if (a->connected && a->welcomed)
            sky__agent_send_kept(a, false);
    }
    sky__agent_end_idle(a, false);
    sky__agent_settle(a);
}

static int64_t earlier(int64_t x, int64_t y)
{
    return x < y ? x : y;
}

int64_t sky_agent_wake_ns(const sky_agent *a)
{
    int64_t wake = a->now_ns + sky__ms(SKY__WAKE_MS_MAX);
    if (a->connected)
        wake = earlier(wake, a->welcomed ? a->heartbeat_ns : a->hello_ns);
    if (a->first && a->start_ns > a->now_ns)
        wake = earlier(wake, a->start_ns);
    if (a->stop_ns >= 0)
        wake = earlier(wake, a->stop_ns);
    if (a->retry_ns >= 0)
        wake = earlier(wake, a->retry_ns);
    return wake;
}

void sky_agent_stop(sky_agent *a, int64_t now_ns, bool now)
{
    a->now_ns = now_ns;
    if (a->exited)
        return;
    if (!a->stopping) {
        a->stopping = true;
        sky__agent_return_queued(a);
        if (!now)
            sky__agent_drain(a);
    }
    if (now && !a->stop_now) {
        a->stop_now = true;
        sky__agent_stop_running(a);
    }
    sky__agent_settle(a);
}

void sky__agent_exit(sky_agent *a, int code, const char *reason)
{
    a->exit_code = code;
    snprintf(a->exit_reason, sizeof a->exit_reason, "%s", reason);
    if (a->stopping)
        return;
    a->stopping = true;
    sky__agent_return_queued(a);
    sky__agent_drain(a);
}

void sky__agent_settle(sky_agent *a)
{
    if (a->exited)
        return;
    if (!a->stopping) {
        sky__agent_start_leases(a);
        return;
    }
    sky__agent_end_idle(a, true);
    if (!sky__agent_slots_empty(a))
        return;
    if (a->stop_ns < 0)
        a->stop_ns = a->now_ns + sky__ms(a->o.stop_ms);
    if (a->unacked > 0 && a->now_ns < a->stop_ns)
        return; /* the last results are on their way to the store */
    if (a->connected)
        sky__agent_push(a, (sky__todo){.kind = SKY__TODO_BYE});
    sky__agent_push(a, (sky__todo){.kind = SKY__TODO_EXIT});
    a->exited = true;
}

/* --- For displays and tests --- */

void sky_agent_running(sky_agent *a, uint32_t slot, uint64_t position, uint32_t elapsed_ms)
{
    assert(slot < a->n_slots);
    sky__slot *s = &a->slots[slot];
    s->noted = s->lease && sky_ranges_has(&s->lease->left, position);
    s->noted_position = position;
    s->noted_elapsed_ms = elapsed_ms;
}

void sky_agent_unsent(sky_agent *a, uint64_t seq)
{
    sky__kept *k = sky__agent_kept(a, seq);
    if (!k)
        return;
    k->sent_ns = -1;
    if (a->retry_ns < 0)
        a->retry_ns = a->now_ns + sky__ms(SKY__RETRY_MS);
}

uint32_t sky_agent_slots(const sky_agent *a)
{
    return a->n_slots;
}

sky_agent_stats sky_agent_get_stats(const sky_agent *a)
{
    return (sky_agent_stats){
        .leases_held = a->n_held,
        .leases_running = a->n_running,
        .results_unacked = a->unacked,
        .unacked_bytes = a->unacked_bytes,
        .trials_ok = a->trials_ok,
        .trials_failed = a->trials_failed,
        .connected = a->connected,
        .welcomed = a->welcomed,
        .stopping = a->stopping,
        .exited = a->exited,
    };
}
