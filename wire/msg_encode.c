/* Bodies of messages: our structs to protobuf-c's. protobuf-c then computes sizes and packs. */
#include <assert.h>
#include <string.h>

#include "wire/msg_internal.h"

/* protobuf-c's structs have no const; it does not write through these when it packs. */
static char *text(const char *s)
{
    union {
        const char *in;
        char *out;
    } u = {.in = s ? s : protobuf_c_empty_string};
    return u.out;
}

static ProtobufCBinaryData binary(const void *bytes, size_t len)
{
    union {
        const void *in;
        uint8_t *out;
    } u = {.in = bytes};
    return (ProtobufCBinaryData){.len = len, .data = u.out};
}

static ProtobufCBinaryData binary_text(const char *s)
{
    return binary(s, s ? strlen(s) : 0);
}

static ProtobufCBinaryData session(const sky_session *s)
{
    return binary(s->b, sizeof s->b);
}

static uint64_t *numbers(const uint64_t *n)
{
    union {
        const uint64_t *in;
        uint64_t *out;
    } u = {.in = n};
    return u.out;
}

/* Ranges travel as alternating gaps and lengths: small numbers, so short varints. The gap of the
 * first range counts from 0, of the others from the end before. */
static sky_err fill_ranges(size_t *n_out, uint64_t **out, const sky_range_list *l, sky_arena *arena)
{
    assert(l->n <= SKY_MSG_RANGES_MAX);
    if (!l->n)
        return SKY_OK;
    uint64_t *packed = sky_new(arena, uint64_t, 2 * l->n);
    if (!packed)
        return SKY_ENOMEM;
    uint64_t end = 0;
    for (size_t i = 0; i < l->n; i++) {
        assert(l->r[i].begin >= end && l->r[i].begin < l->r[i].end);
        packed[2 * i] = l->r[i].begin - end;
        packed[2 * i + 1] = l->r[i].end - l->r[i].begin;
        end = l->r[i].end;
    }
    *n_out = 2 * l->n;
    *out = packed;
    return SKY_OK;
}

/* Allocates the pointers and the structs of a repeated submessage; NULL when out of memory. */
#define NEW_LIST(arena, T, init, n, pointers)                                                      \
    do {                                                                                           \
        T *items_ = sky_new((arena), T, (n));                                                      \
        (pointers) = sky_new((arena), T *, (n));                                                   \
        if (!items_ || !(pointers))                                                                \
            return SKY_ENOMEM;                                                                     \
        for (size_t i_ = 0; i_ < (n); i_++) {                                                      \
            init(&items_[i_]);                                                                     \
            (pointers)[i_] = &items_[i_];                                                          \
        }                                                                                          \
    } while (0)

static sky_err fill_held(Sky__Pb__Hello *out, const sky_msg_hello *m, sky_arena *arena)
{
    out->n_leases = m->n_leases;
    NEW_LIST(arena, Sky__Pb__HeldLease, sky__pb__held_lease__init, m->n_leases, out->leases);
    for (size_t i = 0; i < m->n_leases; i++) {
        Sky__Pb__HeldLease *held = out->leases[i];
        held->lease = m->leases[i].lease;
        held->sweep = m->leases[i].sweep;
        sky_err err = fill_ranges(&held->n_left, &held->left, &m->leases[i].left, arena);
        if (err)
            return err;
    }
    return SKY_OK;
}

static sky_err fill_hello(Sky__Pb__Hello *out, const sky_msg_hello *m, sky_arena *arena)
{
    out->session = session(&m->session);
    out->host = text(m->host);
    out->pid = m->pid;
    out->program_version = text(m->program_version);
    out->cpus = m->cpus;
    out->gpus = m->gpus;
    out->memory_bytes = m->memory_bytes;
    out->open_plugins = m->open_plugins;
    out->environment = text(m->environment);
    out->store_uuid = text(m->store_uuid);
    if (m->n_jobs) {
        out->n_jobs = m->n_jobs;
        NEW_LIST(arena, Sky__Pb__JobVersion, sky__pb__job_version__init, m->n_jobs, out->jobs);
        for (size_t i = 0; i < m->n_jobs; i++) {
            out->jobs[i]->name = text(m->jobs[i].name);
            out->jobs[i]->version = text(m->jobs[i].version);
        }
    }
    return m->n_leases ? fill_held(out, m, arena) : SKY_OK;
}

static sky_err fill_failed(Sky__Pb__Result *out, const sky_msg_result *m, sky_arena *arena)
{
    out->n_failed = m->n_failed;
    NEW_LIST(arena, Sky__Pb__FailedAttempt, sky__pb__failed_attempt__init, m->n_failed,
             out->failed);
    for (size_t i = 0; i < m->n_failed; i++) {
        out->failed[i]->position = m->failed[i].position;
        out->failed[i]->kind = m->failed[i].kind;
        out->failed[i]->reason = binary_text(m->failed[i].reason);
        out->failed[i]->log = binary_text(m->failed[i].log);
    }
    return SKY_OK;
}

static const char *curve_name(const void *rows, size_t row)
{
    return ((const sky_curve_step *)rows)[row].name;
}

static sky_err fill_curve(Sky__Pb__Result *out, const sky_msg_result *m, sky_arena *arena)
{
    size_t n = m->n_curve;
    Sky__Pb__Curve *curve = sky_new(arena, Sky__Pb__Curve, 1);
    int64_t *positions = sky_new(arena, int64_t, n);
    int64_t *steps = sky_new(arena, int64_t, n);
    double *values = sky_new(arena, double, n);
    if (!curve || !positions || !steps || !values)
        return SKY_ENOMEM;
    sky__pb__curve__init(curve);
    uint64_t position = 0, step = 0;
    for (size_t i = 0; i < n; i++) {
        positions[i] = (int64_t)(m->curve[i].position - position);
        steps[i] = (int64_t)((uint64_t)m->curve[i].step - step);
        values[i] = m->curve[i].value;
        position = m->curve[i].position;
        step = (uint64_t)m->curve[i].step;
    }
    sky__dictionary names;
    sky_err err = sky__dictionary_make(&names, n, curve_name, m->curve, arena);
    if (err)
        return err;
    curve->names = sky_new(arena, char *, names.n_texts);
    if (!curve->names)
        return SKY_ENOMEM;
    for (size_t i = 0; i < names.n_texts; i++)
        curve->names[i] = text(names.texts[i]);
    curve->n_names = names.n_texts;
    curve->n_positions = curve->n_steps = curve->n_codes = curve->n_values = n;
    curve->positions = positions;
    curve->steps = steps;
    curve->codes = names.codes;
    curve->values = values;
    out->curve = curve;
    return SKY_OK;
}

static sky_err fill_artifacts(Sky__Pb__Result *out, const sky_msg_result *m, sky_arena *arena)
{
    out->n_artifacts = m->n_artifacts;
    NEW_LIST(arena, Sky__Pb__Artifact, sky__pb__artifact__init, m->n_artifacts, out->artifacts);
    for (size_t i = 0; i < m->n_artifacts; i++) {
        out->artifacts[i]->position = m->artifacts[i].position;
        out->artifacts[i]->name = text(m->artifacts[i].name);
        out->artifacts[i]->content = binary(m->artifacts[i].bytes, m->artifacts[i].len);
    }
    return SKY_OK;
}

static sky_err fill_result_lists(Sky__Pb__Result *out, const sky_msg_result *m, sky_arena *arena)
{
    sky_err err = fill_ranges(&out->n_ok, &out->ok, &m->ok, arena);
    if (!err)
        err = fill_ranges(&out->n_holes, &out->holes, &m->holes, arena);
    if (!err)
        err = fill_ranges(&out->n_returned, &out->returned, &m->returned, arena);
    if (!err)
        err = fill_ranges(&out->n_suspect, &out->suspect, &m->suspect, arena);
    if (!err && m->n_failed)
        err = fill_failed(out, m, arena);
    if (!err && m->n_curve)
        err = fill_curve(out, m, arena);
    if (!err && m->n_artifacts)
        err = fill_artifacts(out, m, arena);
    return err;
}

static sky_err fill_result(Sky__Pb__Result *out, const sky_msg_result *m, sky_arena *arena)
{
    out->seq = m->seq;
    out->lease = m->lease;
    out->sweep = m->sweep;
    out->values_hash = m->values_hash;
    out->busy_ns = m->busy_ns;
    out->last = m->last;
    size_t n_rows = (size_t)sky_range_list_count(&m->ok);
    if (m->wall_s && n_rows) {
        union {
            const float *in;
            float *out;
        } u = {.in = m->wall_s};
        out->n_wall_s = n_rows;
        out->wall_s = u.out;
    }
    if (m->n_metrics) {
        out->n_metrics = m->n_metrics;
        NEW_LIST(arena, Sky__Pb__Column, sky__pb__column__init, m->n_metrics, out->metrics);
        for (size_t i = 0; i < m->n_metrics; i++) {
            sky_err err = sky__fill_column(out->metrics[i], &m->metrics[i], n_rows, arena);
            if (err)
                return err;
        }
    }
    return fill_result_lists(out, m, arena);
}

static sky_err fill_heartbeat(Sky__Pb__Heartbeat *out, const sky_msg_heartbeat *m, sky_arena *arena)
{
    out->session = session(&m->session);
    out->leases_held = m->leases_held;
    out->results_unacked = m->results_unacked;
    if (!m->n_running)
        return SKY_OK;
    out->n_running = m->n_running;
    NEW_LIST(arena, Sky__Pb__RunningTrial, sky__pb__running_trial__init, m->n_running,
             out->running);
    for (size_t i = 0; i < m->n_running; i++) {
        out->running[i]->lease = m->running[i].lease;
        out->running[i]->position = m->running[i].position;
        out->running[i]->elapsed_ms = m->running[i].elapsed_ms;
    }
    return SKY_OK;
}

static sky_err fill_lease(Sky__Pb__Lease *out, const sky_msg_lease *m, sky_arena *arena)
{
    out->lease = m->lease;
    out->sweep = m->sweep;
    out->revision = m->revision;
    out->isolate = m->isolate;
    return fill_ranges(&out->n_positions, &out->positions, &m->positions, arena);
}

static void fill_request(Sky__Pb__Request *out, const sky_msg_request *m)
{
    out->id = m->id;
    out->kind = (uint32_t)m->kind;
    out->sweep = text(m->sweep);
    out->text = text(m->text);
    out->number = m->number;
}

static void fill_reply(Sky__Pb__Reply *out, const sky_msg_reply *m)
{
    out->id = m->id;
    out->code = m->code;
    out->text = text(m->text);
    out->json = text(m->json);
}

/* A body, initialised as protobuf-c wants it. */
#define NEW_BODY(T, init)                                                                          \
    T *body = sky_new(arena, T, 1);                                                                \
    if (!body)                                                                                     \
        return SKY_ENOMEM;                                                                         \
    init(body);                                                                                    \
    *out = &body->base

sky_err sky__msg_fill(ProtobufCMessage **out, const sky_msg *m, sky_arena *arena)
{
    switch (m->type) {
    case SKY_MSG_HELLO: {
        NEW_BODY(Sky__Pb__Hello, sky__pb__hello__init);
        return fill_hello(body, &m->hello, arena);
    }
    case SKY_MSG_WELCOME: {
        NEW_BODY(Sky__Pb__Welcome, sky__pb__welcome__init);
        body->store_uuid = text(m->welcome.store_uuid);
        body->epoch = m->welcome.epoch;
        body->heartbeat_ms = m->welcome.heartbeat_ms;
        return SKY_OK;
    }
    case SKY_MSG_WHO: {
        NEW_BODY(Sky__Pb__Who, sky__pb__who__init);
        return SKY_OK;
    }
    case SKY_MSG_PLAN: {
        NEW_BODY(Sky__Pb__Plan, sky__pb__plan__init);
        body->sweep = m->plan.sweep;
        body->revision = m->plan.revision;
        body->text = text(m->plan.text);
        return SKY_OK;
    }
    case SKY_MSG_LEASE: {
        NEW_BODY(Sky__Pb__Lease, sky__pb__lease__init);
        return fill_lease(body, &m->lease, arena);
    }
    case SKY_MSG_REVOKE: {
        NEW_BODY(Sky__Pb__Revoke, sky__pb__revoke__init);
        body->n_leases = m->revoke.n;
        body->leases = numbers(m->revoke.leases);
        return SKY_OK;
    }
    case SKY_MSG_RESULT: {
        NEW_BODY(Sky__Pb__Result, sky__pb__result__init);
        return fill_result(body, &m->result, arena);
    }
    case SKY_MSG_ACK: {
        NEW_BODY(Sky__Pb__Ack, sky__pb__ack__init);
        body->n_seqs = m->ack.n;
        body->seqs = numbers(m->ack.seqs);
        return SKY_OK;
    }
    case SKY_MSG_HEARTBEAT: {
        NEW_BODY(Sky__Pb__Heartbeat, sky__pb__heartbeat__init);
        return fill_heartbeat(body, &m->heartbeat, arena);
    }
    case SKY_MSG_STOP: {
        NEW_BODY(Sky__Pb__Stop, sky__pb__stop__init);
        body->now = m->stop.now;
        return SKY_OK;
    }
    case SKY_MSG_BYE: {
        NEW_BODY(Sky__Pb__Bye, sky__pb__bye__init);
        body->session = session(&m->bye.session);
        body->reason = text(m->bye.reason);
        return SKY_OK;
    }
    case SKY_MSG_REQUEST: {
        NEW_BODY(Sky__Pb__Request, sky__pb__request__init);
        fill_request(body, &m->request);
        return SKY_OK;
    }
    case SKY_MSG_REPLY: {
        NEW_BODY(Sky__Pb__Reply, sky__pb__reply__init);
        fill_reply(body, &m->reply);
        return SKY_OK;
    }
    }
    assert(!"unknown message type");
    return SKY_EINVAL;
}
