/* The coordinator on its loop: what arrives goes to the scheduler, what the scheduler decides goes
 * to the store and to the workers, and what is durable is acknowledged.
 *
 * Commits happen when the socket has nothing more for now, so that one transaction holds all that
 * arrived together; single results wait up to commit_ms for company, unless nobody is working any
 * more. */
#include "coordinator/coordinator.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "coordinator/coordinator_internal.h"

static const char *MODULE = "coordinator";

int64_t sky__coord_now(void)
{
    return sky_clock_ns();
}

/* --- Failure --- */

static void on_deliver(uv_timer_t *timer);

void sky__coord_deliver_soon(sky_coordinator *c)
{
    if (!c->closing)
        uv_timer_start(&c->deliver, on_deliver, 0, 0);
}

void sky__coord_broken(sky_coordinator *c, const sky_error *e)
{
    if (c->failure.code)
        return;
    c->failure = *e;
    if (!c->failure.code)
        c->failure.code = SKY_EIO;
    sky_store_rollback(c->o.store);
    sky_log(SKY_LOG_ERROR, MODULE, "%s", c->failure.text);
    if (c->hub)
        sky_hub_pause(c->hub, true);
    sky__coord_deliver_soon(c);
}

void sky__coord_broken_memory(sky_coordinator *c)
{
    sky_error e = {0};
    sky_fail(&e, SKY_ENOMEM, "the coordinator is out of memory");
    sky__coord_broken(c, &e);
}

/* --- Actions --- */

static void send_to(sky_coordinator *c, const sky_session *to, const sky_msg *m)
{
    sky_buf_reset(&c->out);
    if (sky_msg_encode(m, &c->out)) {
        sky_log(SKY_LOG_ERROR, MODULE, "cannot encode a %s", sky_msg_type_name(m->type));
        return;
    }
    sky_peer peer = {.len = sizeof to->b};
    memcpy(peer.b, to->b, sizeof to->b);
    sky_err err = sky_hub_send(c->hub, &peer, c->out.data, c->out.len);
    if (err == SKY_ENOMEM)
        sky__coord_broken_memory(c);
    else if (err && sky_sched_peer_gone(c->sched, sky__coord_now(), to))
        sky__coord_broken_memory(c);
}

static void add_event(sky_coordinator *c, int64_t sweep, sky_sweep_state state, const char *reason)
{
    if (c->n_events == c->cap_events) {
        size_t cap = c->cap_events ? c->cap_events * 2 : 8;
        sky__event *events = realloc(c->events, cap * sizeof *events);
        if (!events) {
            sky__coord_broken_memory(c);
            return;
        }
        c->events = events;
        c->cap_events = cap;
    }
    c->events[c->n_events++] =
        (sky__event){.sweep = sweep, .state = state, .reason = sky_strdup(reason)};
}

static sky_err change_state(sky_coordinator *c, int64_t sweep, sky_sweep_state state,
                            const char *reason, sky_error *e)
{
    sky__known *k = sky__known_by_id(c, sweep);
    if (k) {
        char *copy = sky_strdup(reason);
        if (!copy)
            return sky_fail(e, SKY_ENOMEM, "out of memory");
        free(k->reason);
        k->reason = copy;
        k->state = state;
        sky_log(SKY_LOG_DEBUG, MODULE, "sweep %s is %s%s%s", k->name, sky_sweep_state_name(state),
                reason[0] ? ": " : "", reason);
    }
    add_event(c, sweep, state, reason);
    return sky_store_sweep_state(c->o.store, sweep, state, reason, e);
}

void sky__coord_drain(sky_coordinator *c)
{
    sky_action a;
    while (!c->failure.code && sky_sched_next(c->sched, &a)) {
        sky_error e = {0};
        sky_err err = SKY_OK;
        switch (a.type) {
        case SKY_ACTION_SEND:
            send_to(c, &a.send.to, &a.send.msg);
            break;
        case SKY_ACTION_RECORD:
            err = sky__coord_record(c, &a.record, &e);
            break;
        case SKY_ACTION_FAIL:
            err = sky__coord_fail(c, &a.fail, &e);
            break;
        case SKY_ACTION_SWEEP_STATE:
            err = change_state(c, a.state.sweep, a.state.state, a.state.reason, &e);
            break;
        case SKY_ACTION_NOTE:
            sky_log(a.note.level, MODULE, "%s", a.note.text);
            break;
        }
        if (err)
            sky__coord_broken(c, &e);
    }
}

/* --- Commits --- */

sky_err sky__coord_commit(sky_coordinator *c, sky_error *e)
{
    /* Once for what arrived, once for the states that change because of it. */
    for (int i = 0; i < 3 && !c->failure.code; i++) {
        sky_sched_stats st = sky_sched_get_stats(c->sched);
        if (!sky_store_dirty(c->o.store) && !st.results_waiting)
            break;
        sky_error why = {0};
        if (sky_store_commit(c->o.store, NULL, &why)) {
            sky_fail_prefix(&why, "cannot commit results to %s", c->store_path);
            sky__coord_broken(c, &why);
            break;
        }
        c->commits++;
        c->progressed = true;
        c->committed += c->uncommitted_rows;
        c->uncommitted_rows = 0;
        c->uncommitted_ns = 0;
        if (sky_sched_committed(c->sched, sky__coord_now()))
            sky__coord_broken_memory(c);
        sky__coord_drain(c);
    }
    if (c->progressed || c->n_events)
        sky__coord_deliver_soon(c);
    if (!c->failure.code)
        return SKY_OK;
    if (e)
        *e = c->failure;
    return c->failure.code;
}

static void on_commit(uv_timer_t *timer)
{
    sky_coordinator *c = timer->data;
    c->timer_armed = false;
    sky__coord_commit(c, NULL);
}

static void on_idle(void *arg)
{
    sky_coordinator *c = arg;
    if (c->failure.code || c->closing)
        return;
    sky_sched_stats st = sky_sched_get_stats(c->sched);
    if (!sky_store_dirty(c->o.store) && !st.results_waiting)
        return;
    int64_t now = sky__coord_now(), wait_ns = (int64_t)c->o.commit_ms * SKY_NS_PER_MS;
    if (!c->uncommitted_ns)
        c->uncommitted_ns = now;
    if (st.leases == 0 || now - c->uncommitted_ns >= wait_ns) {
        sky__coord_commit(c, NULL);
    } else if (!c->timer_armed) {
        c->timer_armed = true;
        uv_timer_start(&c->commit, on_commit, c->o.commit_ms, 0);
    }
}

/* --- Messages --- */

static void refuse(sky_coordinator *c, const char *why)
{
    /* A broken or hostile peer sends many: the first ones tell, and the count is in the status. */
    if (c->rejected++ < 10)
        sky_log(SKY_LOG_WARN, MODULE, "a message was refused: %s", why);
}

static bool session_of(const sky_peer *peer, const sky_msg *m, sky_session *session)
{
    if (peer->len != sizeof session->b)
        return false;
    memcpy(session->b, peer->b, sizeof session->b);
    switch (m->type) {
    case SKY_MSG_HELLO:
        return sky_session_equal(session, &m->hello.session);
    case SKY_MSG_HEARTBEAT:
        return sky_session_equal(session, &m->heartbeat.session);
    case SKY_MSG_BYE:
        return sky_session_equal(session, &m->bye.session);
    default:
        return true;
    }
}

static void take_hello(sky_coordinator *c, const sky_session *session, const sky_msg_hello *h)
{
    int64_t env = 0;
    sky_error e = {0};
    if (!h->environment || !h->environment[0])
        return;
    if (sky_store_env(c->o.store, h->environment, &env, &e))
        sky__coord_broken(c, &e);
    else
        sky_sched_set_env(c->sched, session, env);
}

static void take_worker_message(sky_coordinator *c, const sky_peer *peer, sky_msg *m)
{
    sky_session session;
    if (!session_of(peer, m, &session)) {
        refuse(c, "its session is not the sender's");
        return;
    }
    c->rows = (sky__rows){0};
    if (m->type == SKY_MSG_RESULT && !sky__coord_check_result(c, &session, &m->result)) {
        sky__coord_broken_memory(c);
        return;
    }
    if (sky_sched_message(c->sched, sky__coord_now(), &session, m)) {
        sky__coord_broken_memory(c);
        return;
    }
    if (m->type == SKY_MSG_HELLO)
        take_hello(c, &session, &m->hello);
    sky__coord_drain(c);
    c->rows = (sky__rows){0};
    if (c->uncommitted_rows >= SKY__COMMIT_ROWS_MAX)
        sky__coord_commit(c, NULL);
}

static void on_message(void *arg, const sky_peer *peer, sky_role role, const void *bytes,
                       size_t len)
{
    sky_coordinator *c = arg;
    if (c->failure.code || c->closing)
        return;
    c->messages++;
    sky_arena_reset(&c->arena);
    sky_msg m;
    sky_error e = {0};
    sky_err err = sky_msg_decode(&m, bytes, len, &c->arena, &e);
    if (err == SKY_ENOMEM) {
        sky__coord_broken_memory(c);
    } else if (err) {
        refuse(c, e.text);
    } else if (m.type == SKY_MSG_REQUEST) {
        sky__coord_serve(c, peer, role, &m.request);
    } else if (m.type != SKY_MSG_HELLO && m.type != SKY_MSG_RESULT && m.type != SKY_MSG_HEARTBEAT &&
               m.type != SKY_MSG_BYE) {
        refuse(c, "a coordinator takes no such message");
    } else if (!(role & SKY_ROLE_WORKER)) {
        refuse(c, "its key may not work here");
    } else {
        take_worker_message(c, peer, &m);
    }
}

/* --- Time --- */

static void on_tick(uv_timer_t *timer)
{
    sky_coordinator *c = timer->data;
    if (c->failure.code)
        return;
    int64_t now = sky__coord_now();
    if (sky_sched_tick(c->sched, now))
        sky__coord_broken_memory(c);
    sky__coord_drain(c);
    sky__coord_sample_rates(c, now);
    if (!c->timer_armed && sky_store_dirty(c->o.store))
        sky__coord_commit(c, NULL);
}

/* What the owner is to know, from the loop and in order. It may close the coordinator in any of
 * these. */
static void on_deliver(uv_timer_t *timer)
{
    sky_coordinator *c = timer->data;
    if (c->progressed && !c->closing) {
        c->progressed = false;
        if (c->o.on_progress)
            c->o.on_progress(c->o.arg);
    }
    for (size_t i = 0; i < c->n_events && !c->closing; i++) {
        sky__event ev = c->events[i];
        c->events[i].reason = NULL;
        if (c->o.on_sweep)
            c->o.on_sweep(c->o.arg, ev.sweep, ev.state, ev.reason ? ev.reason : "");
        free(ev.reason);
    }
    if (!c->closing)
        c->n_events = 0;
    if (c->shutdown_asked && !c->closing) {
        c->shutdown_asked = false;
        c->o.on_shutdown(c->o.arg);
    }
    if (c->failure.code && !c->failure_told && !c->closing) {
        c->failure_told = true;
        sky_error e = c->failure;
        c->o.on_error(c->o.arg, &e);
    }
}

/* --- Life --- */

static void free_coordinator(sky_coordinator *c)
{
    sky_sched_free(c->sched);
    for (size_t i = 0; i < c->n_known; i++)
        sky__known_free(&c->known[i]);
    for (size_t i = 0; i < c->n_events; i++)
        free(c->events[i].reason);
    free(c->known);
    free(c->events);
    free(c->store_path);
    sky_arena_free(&c->arena);
    sky_buf_free(&c->out);
    free(c);
}

static void on_closed(uv_handle_t *handle)
{
    sky_coordinator *c = handle->data;
    if (--c->open_handles == 0)
        free_coordinator(c);
}

static void open_timer(sky_coordinator *c, uv_timer_t *timer)
{
    uv_timer_init(c->o.loop, timer);
    timer->data = c;
    c->open_handles++;
}

static void close_timers(sky_coordinator *c)
{
    uv_close((uv_handle_t *)&c->tick, on_closed);
    uv_close((uv_handle_t *)&c->commit, on_closed);
    uv_close((uv_handle_t *)&c->deliver, on_closed);
}

static sky_err start(sky_coordinator *c, const sky_coordinator_options *o, sky_error *e)
{
    c->store_path = sky_strdup(sky_store_path(o->store));
    if (!c->store_path)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    sky_err err = sky_store_next_epoch(o->store, &c->epoch, e);
    if (!err)
        err = sky_store_commit(o->store, NULL, e); /* lease numbers are of this epoch from now on */
    if (err)
        return err;
    const sky_sched_options so = {.store_uuid = sky_store_uuid(o->store),
                                  .epoch = c->epoch,
                                  .seed = (uint64_t)c->start_ns,
                                  .heartbeat_ms = c->o.heartbeat_ms,
                                  .worker_timeout_ms = o->worker_timeout_ms,
                                  .lease_target_ms = o->lease_target_ms,
                                  .adopt_wait_ms = o->adopt_wait_ms};
    if (sky_sched_new(&c->sched, &so, c->start_ns))
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    err = sky__coord_recover(c, e);
    if (err)
        return err;
    const sky_hub_options ho = {.loop = o->loop,
                                .endpoint = o->endpoint,
                                .keys = o->keys,
                                .on_message = on_message,
                                .on_idle = on_idle,
                                .arg = c};
    return sky_hub_open(&c->hub, &ho, e);
}

sky_err sky_coordinator_open(sky_coordinator **out, const sky_coordinator_options *o, sky_error *e)
{
    assert(out && o && o->loop && o->store && o->endpoint && o->on_error);
    sky_coordinator *c = calloc(1, sizeof *c);
    if (!c)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    c->o = *o;
    c->o.endpoint = NULL; /* borrowed until we return */
    c->o.heartbeat_ms = o->heartbeat_ms ? o->heartbeat_ms : 1000;
    c->o.commit_ms = o->commit_ms ? o->commit_ms : 10;
    c->start_ns = sky__coord_now();
    c->start_cpu_ns = sky_cpu_ns();
    sky_err err = start(c, o, e);
    if (err) {
        free_coordinator(c);
        return err;
    }
    open_timer(c, &c->tick);
    open_timer(c, &c->commit);
    open_timer(c, &c->deliver);
    uint64_t tick_ms = c->o.heartbeat_ms / 4 ? c->o.heartbeat_ms / 4 : 1;
    uv_timer_start(&c->tick, on_tick, tick_ms, tick_ms);
    sky__coord_drain(c);
    if (c->n_events)
        sky__coord_deliver_soon(c);
    *out = c;
    return SKY_OK;
}

const char *sky_coordinator_endpoint(const sky_coordinator *c)
{
    return sky_hub_endpoint(c->hub);
}

void sky_coordinator_stop_workers(sky_coordinator *c, bool now)
{
    if (sky_sched_stop_workers(c->sched, now))
        sky__coord_broken_memory(c);
    sky__coord_drain(c);
}

sky_err sky_coordinator_close(sky_coordinator *c, bool stop_workers, sky_error *e)
{
    if (!c)
        return SKY_OK;
    sky_err err = sky__coord_commit(c, e);
    if (stop_workers && !err)
        sky_coordinator_stop_workers(c, true);
    c->closing = true;
    sky_hub_close(c->hub, SKY__LINGER_MS);
    close_timers(c);
    return err;
}
