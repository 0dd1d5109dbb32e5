/* Commands, and the requests of clients that give them. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "coordinator/coordinator_internal.h"

static const char *MODULE = "coordinator";

/* --- Commands --- */

/* Finds a sweep for a command and makes sure that the scheduler has it. */
static sky_err take_up(sky_coordinator *c, const char *name, sky__known **k, sky_error *e)
{
    if (c->failure.code) {
        if (e)
            *e = c->failure;
        return c->failure.code;
    }
    sky_err err = sky__known_by_name(c, name, k, e);
    return err ? err : sky__coord_schedule(c, *k, false, e);
}

static sky_err change(sky_coordinator *c, sky__known *k, sky_sweep_state state, const char *reason,
                      sky_error *e)
{
    if (k->state != state || strcmp(k->reason, reason) != 0) {
        sky_err err = sky_sched_sweep_state(c->sched, sky__coord_now(), k->id, state, reason);
        if (err)
            return sky_fail(e, err, "sweep %s: %s", k->name, sky_strerror(err));
    }
    sky__coord_drain(c);
    return sky__coord_commit(c, e);
}

static sky_err is_over(const sky__known *k, sky_error *e)
{
    if (k->state == SKY_SWEEP_DONE)
        return sky_fail(e, SKY_EINVAL, "sweep %s is complete", k->name);
    if (k->state == SKY_SWEEP_CANCELLED)
        return sky_fail(e, SKY_EINVAL, "sweep %s is cancelled; resume it to go on", k->name);
    return SKY_OK;
}

sky_err sky_coordinator_pause(sky_coordinator *c, const char *sweep, const char *reason,
                              sky_error *e)
{
    sky__known *k;
    sky_err err = take_up(c, sweep, &k, e);
    if (!err)
        err = is_over(k, e);
    return err ? err
               : change(c, k, SKY_SWEEP_PAUSED, reason && reason[0] ? reason : "by request", e);
}

sky_err sky_coordinator_resume(sky_coordinator *c, const char *sweep, sky_error *e)
{
    sky__known *k;
    sky_err err = take_up(c, sweep, &k, e);
    if (!err && k->state == SKY_SWEEP_DONE)
        err = is_over(k, e);
    return err ? err : change(c, k, SKY_SWEEP_RUNNING, "", e);
}

sky_err sky_coordinator_cancel(sky_coordinator *c, const char *sweep, sky_error *e)
{
    sky__known *k;
    sky_err err = take_up(c, sweep, &k, e);
    if (!err && k->state == SKY_SWEEP_DONE)
        err = is_over(k, e);
    return err ? err : change(c, k, SKY_SWEEP_CANCELLED, "by request", e);
}

sky_err sky_coordinator_priority(sky_coordinator *c, const char *sweep, int32_t priority,
                                 sky_error *e)
{
    sky__known *k;
    sky_err err = take_up(c, sweep, &k, e);
    if (!err)
        err = sky_store_sweep_priority(c->o.store, k->id, priority, e);
    if (err)
        return err;
    k->priority = priority;
    if (sky_sched_sweep_priority(c->sched, k->id, priority))
        sky__coord_broken_memory(c);
    sky__coord_drain(c);
    return sky__coord_commit(c, e);
}

sky_err sky_coordinator_retry(sky_coordinator *c, const char *sweep, int kind, uint64_t *n,
                              sky_error *e)
{
    sky__known *k;
    sky_ranges positions = {0};
    sky_err err = take_up(c, sweep, &k, e);
    if (!err && k->state == SKY_SWEEP_CANCELLED)
        err = is_over(k, e);
    if (!err)
        err = sky__coord_commit(
            c, e); /* the store must know of all that the scheduler has quarantined */
    if (!err)
        err = sky_store_retry(c->o.store, k->id, kind, &positions, e);
    if (!err && sky_sched_sweep_retry(c->sched, sky__coord_now(), k->id, &positions)) {
        sky__coord_broken_memory(c);
        err = sky_fail(e, SKY_ENOMEM, "out of memory");
    }
    if (!err) {
        sky__coord_drain(c);
        err = sky__coord_commit(c, e);
    }
    if (!err && n)
        *n = positions.count;
    sky_ranges_free(&positions);
    return err;
}

/* --- Requests --- */

static void say(sky_msg_reply *reply, sky_arena *arena, sky_err code, const char *text)
{
    reply->code = code;
    reply->text = sky_arena_strdup(arena, text);
    if (!reply->text)
        reply->text = "";
}

static sky_err serve_submit(sky_coordinator *c, const sky_msg_request *q, sky_buf *text,
                            sky_buf *json, sky_error *e)
{
    sky_plan *plan = NULL;
    sky_err err = sky_plan_load(&plan, q->text, strlen(q->text), e);
    if (err)
        return err;
    char name[256];
    snprintf(name, sizeof name, "%s", sky_plan_name(plan));
    uint64_t positions = sky_plan_positions(plan);
    int64_t id;
    sky_submitted how;
    err = sky_coordinator_submit(c, plan, &id, &how, e);
    if (err)
        return err;
    const char *what = how == SKY_SUBMITTED_NEW ? "new" : "resumed";
    sky_buf_printf(text, "sweep %s %s: %" PRIu64 " trials", name,
                   how == SKY_SUBMITTED_NEW ? "submitted" : "goes on", positions);
    sky_buf_puts(json, "{\"sweep\":");
    sky_buf_json_string(json, name);
    sky_buf_printf(json, ",\"id\":%" PRId64 ",\"positions\":%" PRIu64 ",\"how\":\"%s\"}", id,
                   positions, what);
    return SKY_OK;
}

static sky_err serve_status(sky_coordinator *c, const sky_msg_request *q, sky_arena *arena,
                            sky_buf *json, sky_error *e)
{
    sky_coordinator_info info;
    sky_err err = sky_coordinator_status(c, q->sweep, arena, &info, e);
    if (!err)
        sky_coordinator_info_json(&info, json);
    return err;
}

static sky_err serve_shutdown(sky_coordinator *c, sky_buf *text, sky_error *e)
{
    if (!c->o.on_shutdown)
        return sky_fail(e, SKY_EPERM, "this coordinator cannot be stopped by request");
    sky_err err = sky__coord_commit(c, e);
    if (err)
        return err;
    c->shutdown_asked = true;
    sky_buf_puts(text, "stopping");
    return SKY_OK;
}

static sky_err serve_kind(sky_coordinator *c, const sky_msg_request *q, sky_arena *arena,
                          sky_buf *text, sky_buf *json, sky_error *e)
{
    const char *sweep = q->sweep ? q->sweep : "";
    uint64_t n = 0;
    sky_err err;
    switch (q->kind) {
    case SKY_REQUEST_SUBMIT:
        return serve_submit(c, q, text, json, e);
    case SKY_REQUEST_STATUS:
        return serve_status(c, q, arena, json, e);
    case SKY_REQUEST_SHUTDOWN:
        return serve_shutdown(c, text, e);
    case SKY_REQUEST_PAUSE:
        err = sky_coordinator_pause(c, sweep, q->text, e);
        sky_buf_printf(text, "sweep %s is paused", sweep);
        break;
    case SKY_REQUEST_RESUME:
        err = sky_coordinator_resume(c, sweep, e);
        sky_buf_printf(text, "sweep %s runs", sweep);
        break;
    case SKY_REQUEST_CANCEL:
        err = sky_coordinator_cancel(c, sweep, e);
        sky_buf_printf(text, "sweep %s is cancelled", sweep);
        break;
    case SKY_REQUEST_RETRY:
        err = sky_coordinator_retry(c, sweep, (int)q->number, &n, e);
        sky_buf_printf(text, "%" PRIu64 " failed trials of sweep %s are tried again", n, sweep);
        sky_buf_printf(json, "{\"retried\":%" PRIu64 "}", n);
        break;
    case SKY_REQUEST_PRIORITY:
        if (q->number < INT32_MIN || q->number > INT32_MAX)
            return sky_fail(e, SKY_EINVAL, "a priority of %" PRId64, q->number);
        err = sky_coordinator_priority(c, sweep, (int32_t)q->number, e);
        sky_buf_printf(text, "sweep %s has priority %" PRId64, sweep, q->number);
        break;
    default:
        return sky_fail(e, SKY_EINVAL, "an unknown kind of request: %d", (int)q->kind);
    }
    return err;
}

void sky_coordinator_request(sky_coordinator *c, const sky_msg_request *q, sky_role role,
                             sky_arena *arena, sky_msg_reply *reply)
{
    *reply = (sky_msg_reply){.id = q->id, .text = "", .json = ""};
    bool reads = q->kind == SKY_REQUEST_STATUS;
    if (!(role & (reads ? SKY_ROLE_READ | SKY_ROLE_ADMIN : SKY_ROLE_ADMIN))) {
        say(reply, arena, SKY_EPERM,
            reads ? "your key may not read the status" : "your key may not give commands");
        return;
    }
    sky_buf text = {0}, json = {0};
    sky_error e = {0};
    sky_err err = serve_kind(c, q, arena, &text, &json, &e);
    if (!err && (!sky_buf_ok(&text) || !sky_buf_ok(&json) || json.len > SKY_MSG_TEXT_MAX))
        err = sky_fail(&e, SKY_ELIMIT, "the answer is too long: ask for one sweep by its name");
    say(reply, arena, err, err ? e.text : sky_buf_str(&text));
    const char *copy = err ? NULL : sky_arena_strdup(arena, sky_buf_str(&json));
    reply->json = copy ? copy : "";
    sky_buf_free(&text);
    sky_buf_free(&json);
}

void sky__coord_serve(sky_coordinator *c, const sky_peer *peer, sky_role role,
                      const sky_msg_request *q)
{
    sky_arena arena = {0};
    sky_msg m = {.type = SKY_MSG_REPLY};
    sky_coordinator_request(c, q, role, &arena, &m.reply);
    sky_buf_reset(&c->out);
    if (sky_msg_encode(&m, &c->out) == SKY_OK) {
        sky_err err = sky_hub_send(c->hub, peer, c->out.data, c->out.len);
        if (err)
            sky_log(SKY_LOG_DEBUG, MODULE, "a client left before its answer");
    }
    sky_arena_free(&arena);
    if (c->shutdown_asked)
        sky__coord_deliver_soon(c);
}
