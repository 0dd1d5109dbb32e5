/* What the agent wants done: its actions, made when they are taken, so that no HELLO, lease or result in
 * them is out of date. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "worker/agent_internal.h"

static bool grow_todo(sky_agent *a)
{
    size_t cap = a->cap_todo ? a->cap_todo * 2 : 64;
    sky__todo *todo = malloc(cap * sizeof *todo);
    if (!todo)
        return false;
    for (size_t i = 0; i < a->n_todo; i++)
        todo[i] = a->todo[(a->todo_head + i) % a->cap_todo];
    free(a->todo);
    a->todo = todo;
    a->todo_head = 0;
    a->cap_todo = cap;
    return true;
}

void sky__agent_push(sky_agent *a, sky__todo t)
{
    if (a->n_todo == a->cap_todo && !grow_todo(a)) {
        sky__kept_free(t.recorded);
        sky__agent_oom(a);
        return;
    }
    a->todo[(a->todo_head + a->n_todo) % a->cap_todo] = t;
    a->n_todo++;
}

static sky_msg *new_msg(sky_agent *a, sky_msg_type type)
{
    sky_msg *m = sky_new(&a->scratch, sky_msg, 1);
    if (m)
        m->type = type;
    return m;
}

static const sky_msg *make_hello(sky_agent *a)
{
    sky_msg *m = new_msg(a, SKY_MSG_HELLO);
    sky_held_lease *leases = sky_new(&a->scratch, sky_held_lease, a->n_held ? a->n_held : 1);
    if (!m || !leases)
        return NULL;
    for (size_t i = 0; i < a->n_held; i++) {
        const sky__held *h = a->held[i];
        leases[i] = (sky_held_lease){
            .lease = h->id, .sweep = h->sweep, .left = {.r = h->left.r, .n = h->left.n}};
    }
    m->hello = (sky_msg_hello){
        .session = a->o.session,
        .host = a->o.host,
        .pid = a->o.pid,
        .program_version = a->o.program_version,
        .cpus = a->o.cpus,
        .gpus = a->o.gpus,
        .memory_bytes = a->o.memory_bytes,
        .jobs = a->o.jobs,
        .n_jobs = a->o.n_jobs,
        .open_plugins = a->o.open_plugins,
        .environment = a->o.environment,
        .store_uuid = a->store_uuid ? a->store_uuid : "",
        .leases = leases,
        .n_leases = a->n_held,
    };
    return m;
}

static const sky_msg *make_heartbeat(sky_agent *a)
{
    sky_msg *m = new_msg(a, SKY_MSG_HEARTBEAT);
    sky_running_trial *running = sky_new(&a->scratch, sky_running_trial, a->n_running + 1);
    if (!m || !running)
        return NULL;
    size_t n = 0;
    for (uint32_t i = 0; i < a->n_slots; i++) {
        const sky__slot *s = &a->slots[i];
        if (!s->lease || s->lease->left.count == 0)
            continue;
        int64_t elapsed_ms = (a->now_ns - s->since_ns) / 1000000;
        running[n] = (sky_running_trial){.lease = s->lease->id};
        running[n].position = s->noted ? s->noted_position : s->lease->left.r[0].begin;
        running[n].elapsed_ms = s->noted                  ? s->noted_elapsed_ms
                                : elapsed_ms < UINT32_MAX ? (uint32_t)elapsed_ms
                                                          : UINT32_MAX;
        n++;
    }
    m->heartbeat = (sky_msg_heartbeat){.session = a->o.session,
                                       .running = running,
                                       .n_running = n,
                                       .leases_held = a->n_held,
                                       .results_unacked = a->unacked};
    return m;
}

static const sky_msg *make_bye(sky_agent *a)
{
    sky_msg *m = new_msg(a, SKY_MSG_BYE);
    if (m)
        m->bye = (sky_msg_bye){.session = a->o.session, .reason = a->exit_reason};
    return m;
}

static const sky_msg *make_start(sky_agent *a, const sky__slot *s, sky_agent_action *out)
{
    const sky__plan *p = sky__agent_plan(a, s->sweep);
    sky_msg *m = new_msg(a, SKY_MSG_PLAN);
    if (!p || !m)
        return NULL;
    m->plan = (sky_msg_plan){.sweep = p->sweep, .revision = p->revision, .text = p->text};
    out->store_uuid = a->store_uuid;
    out->cpus = p->resources.cpus;
    out->gpus = s->gpus;
    out->timeout_ns = p->limits.timeout_ns;
    out->memory_bytes = p->limits.memory_bytes;
    return m;
}

static const sky_msg *make_run(sky_agent *a, const sky__slot *s)
{
    sky_msg *m = new_msg(a, SKY_MSG_LEASE);
    if (m)
        m->lease = (sky_msg_lease){.lease = s->lease->id,
                                   .sweep = s->sweep,
                                   .revision = s->revision,
                                   .isolate = s->lease->isolate,
                                   .positions = {.r = s->lease->left.r, .n = s->lease->left.n}};
    return m;
}

/* An action about a slot. False when it is stale, or when memory ran out. */
static bool make_slot_action(sky_agent *a, const sky__todo *t, sky_agent_action *out)
{
    sky__slot *s = &a->slots[t->slot];
    out->slot = t->slot;
    if (s->generation != t->generation || s->state == SKY__EMPTY)
        return false;
    switch (t->kind) {
    case SKY__TODO_START:
        out->kind = SKY_AGENT_START;
        if (!s->start_pending)
            return false;
        out->msg = make_start(a, s, out);
        s->start_pending = false;
        s->revision = out->msg ? out->msg->plan.revision : s->revision;
        break;
    case SKY__TODO_RUN:
        out->kind = SKY_AGENT_RUN;
        if (s->state != SKY__RUNNING || s->lease->id != t->id)
            return false;
        out->msg = make_run(a, s);
        break;
    case SKY__TODO_DRAIN:
        out->kind = SKY_AGENT_DRAIN;
        return s->state == SKY__RUNNING;
    default:
        out->kind = SKY_AGENT_KILL;
        out->why = t->why;
        return true;
    }
    if (!out->msg)
        sky__agent_oom(a);
    return out->msg != NULL;
}

static bool make_action(sky_agent *a, const sky__todo *t, sky_agent_action *out)
{
    const sky__kept *k;
    out->kind = SKY_AGENT_SEND;
    switch (t->kind) {
    case SKY__TODO_HELLO:
        out->msg = make_hello(a);
        break;
    case SKY__TODO_HEARTBEAT:
        out->msg = make_heartbeat(a);
        break;
    case SKY__TODO_BYE:
        out->msg = make_bye(a);
        break;
    case SKY__TODO_RESULT:
        k = sky__agent_kept(a, t->id);
        if (!k || !a->welcomed)
            return false; /* acknowledged meanwhile, or it waits for the next WELCOME */
        out->msg = &k->msg;
        break;
    case SKY__TODO_RECORDED:
        out->kind = SKY_AGENT_RECORDED;
        out->msg = &t->recorded->msg;
        out->store_uuid = a->store_uuid;
        a->handed = t->recorded;
        break;
    case SKY__TODO_EXIT:
        *out = (sky_agent_action){
            .kind = SKY_AGENT_EXIT, .exit_code = a->exit_code, .reason = a->exit_reason};
        return true;
    default:
        return make_slot_action(a, t, out);
    }
    if (!out->msg)
        sky__agent_oom(a);
    return out->msg != NULL;
}

bool sky_agent_next(sky_agent *a, sky_agent_action *out)
{
    sky_arena_reset(&a->scratch);
    sky__kept_free(a->handed);
    a->handed = NULL;
    while (a->n_todo > 0 && !a->out_of_memory) {
        sky__todo t = a->todo[a->todo_head];
        a->todo_head = (a->todo_head + 1) % a->cap_todo;
        a->n_todo--;
        *out = (sky_agent_action){0};
        if (make_action(a, &t, out))
            return true;
    }
    if (a->out_of_memory && a->exit_code == 0) {
        a->exited = true;
        a->exit_code = 1;
        *out =
            (sky_agent_action){.kind = SKY_AGENT_EXIT, .exit_code = 1, .reason = "out of memory"};
        return true;
    }
    return false;
}
