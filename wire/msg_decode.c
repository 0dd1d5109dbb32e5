/* Bodies of messages: protobuf-c's structs to ours, with every check that docs/wire.md lists. What
 * passes here, the state machines of coordinator and worker may take as well formed (not as
 * honest). */
#include <assert.h>
#include <string.h>

#include "wire/msg_internal.h"

static sky_err no_memory(sky__reader *r)
{
    return sky_fail(r->e, SKY_ENOMEM, "%s: out of memory", r->message);
}

static sky_err check_items(sky__reader *r, const char *field, size_t n, size_t n_max)
{
    if (n <= n_max)
        return SKY_OK;
    return sky_fail(r->e, SKY_ELIMIT, "%s: %zu %s; the limit is %zu", r->message, n, field, n_max);
}

static sky_err read_session(sky_session *out, const ProtobufCBinaryData *in, sky__reader *r)
{
    if (in->len != SKY_SESSION_BYTES)
        return sky_fail(r->e, SKY_EFORMAT, "%s: a session of %zu bytes, not %d", r->message,
                        in->len, SKY_SESSION_BYTES);
    memcpy(out->b, in->data, SKY_SESSION_BYTES);
    return SKY_OK;
}

/* Adds what it holds to *count, which must stay within a lease. */
static sky_err read_ranges(sky_range_list *out, uint64_t *count, const uint64_t *in, size_t n_in,
                           const char *field, sky__reader *r)
{
    *out = (sky_range_list){0};
    if (!n_in)
        return SKY_OK;
    if (n_in % 2)
        return sky_fail(r->e, SKY_EFORMAT, "%s: %s ends within a range", r->message, field);
    sky_err err = check_items(r, field, n_in / 2, SKY_MSG_RANGES_MAX);
    if (err)
        return err;
    sky_range *ranges = sky_new(r->arena, sky_range, n_in / 2);
    if (!ranges)
        return no_memory(r);
    uint64_t end = 0;
    for (size_t i = 0; i < n_in / 2; i++) {
        uint64_t gap = in[2 * i], len = in[2 * i + 1];
        if (!len || gap > UINT64_MAX - end || len > UINT64_MAX - end - gap)
            return sky_fail(r->e, SKY_EFORMAT, "%s: a range in %s is empty or too large",
                            r->message, field);
        if (len > SKY_LEASE_POSITIONS_MAX - *count)
            return sky_fail(r->e, SKY_ELIMIT, "%s: more positions in %s than a lease may hold, %d",
                            r->message, field, SKY_LEASE_POSITIONS_MAX);
        *count += len;
        ranges[i] = (sky_range){end + gap, end + gap + len};
        end += gap + len;
    }
    *out = (sky_range_list){ranges, n_in / 2};
    return SKY_OK;
}

static sky_err read_jobs(sky_msg_hello *out, const Sky__Pb__Hello *in, sky__reader *r)
{
    sky_err err = check_items(r, "jobs", in->n_jobs, SKY_MSG_ITEMS_MAX);
    if (err || !in->n_jobs)
        return err;
    sky_job_version *jobs = sky_new(r->arena, sky_job_version, in->n_jobs);
    if (!jobs)
        return no_memory(r);
    for (size_t i = 0; i < in->n_jobs; i++) {
        err = sky__read_string(&jobs[i].name, in->jobs[i]->name, "jobs.name", r);
        if (!err)
            err = sky__read_string(&jobs[i].version, in->jobs[i]->version, "jobs.version", r);
        if (err)
            return err;
    }
    out->jobs = jobs;
    out->n_jobs = in->n_jobs;
    return SKY_OK;
}

static sky_err read_held(sky_msg_hello *out, const Sky__Pb__Hello *in, sky__reader *r)
{
    sky_err err = check_items(r, "leases", in->n_leases, SKY_MSG_ITEMS_MAX);
    if (err || !in->n_leases)
        return err;
    sky_held_lease *leases = sky_new(r->arena, sky_held_lease, in->n_leases);
    if (!leases)
        return no_memory(r);
    for (size_t i = 0; i < in->n_leases; i++) {
        const Sky__Pb__HeldLease *held = in->leases[i];
        leases[i].lease = held->lease;
        leases[i].sweep = held->sweep;
        uint64_t count = 0;
        err = read_ranges(&leases[i].left, &count, held->left, held->n_left, "leases.left", r);
        if (err)
            return err;
    }
    out->leases = leases;
    out->n_leases = in->n_leases;
    return SKY_OK;
}

static sky_err read_hello(sky_msg_hello *out, const Sky__Pb__Hello *in, sky__reader *r)
{
    out->pid = in->pid;
    out->cpus = in->cpus;
    out->gpus = in->gpus;
    out->memory_bytes = in->memory_bytes;
    out->open_plugins = in->open_plugins;
    sky_err err = read_session(&out->session, &in->session, r);
    if (!err)
        err = sky__read_string(&out->host, in->host, "host", r);
    if (!err)
        err = sky__read_string(&out->program_version, in->program_version, "program_version", r);
    if (!err)
        err = sky__read_string(&out->environment, in->environment, "environment", r);
    if (!err)
        err = sky__read_string(&out->store_uuid, in->store_uuid, "store_uuid", r);
    if (!err)
        err = read_jobs(out, in, r);
    if (!err)
        err = read_held(out, in, r);
    return err;
}

static sky_err read_lease(sky_msg_lease *out, const Sky__Pb__Lease *in, sky__reader *r)
{
    out->lease = in->lease;
    out->sweep = in->sweep;
    out->revision = in->revision;
    out->isolate = in->isolate;
    uint64_t count = 0;
    return read_ranges(&out->positions, &count, in->positions, in->n_positions, "positions", r);
}

static sky_err read_failed(sky_msg_result *out, const Sky__Pb__Result *in, sky__reader *r)
{
    sky_failed_attempt *failed = sky_new(r->arena, sky_failed_attempt, in->n_failed);
    if (!failed)
        return no_memory(r);
    for (size_t i = 0; i < in->n_failed; i++) {
        const Sky__Pb__FailedAttempt *f = in->failed[i];
        if (f->kind >= SKY__FAILURE_KINDS)
            return sky_fail(r->e, SKY_EFORMAT, "%s: a failure of unknown kind %u", r->message,
                            f->kind);
        failed[i].position = f->position;
        failed[i].kind = f->kind;
        sky_err err = sky__read_text(&failed[i].reason, &f->reason, "failed.reason", r);
        if (!err)
            err = sky__read_text(&failed[i].log, &f->log, "failed.log", r);
        if (err)
            return err;
    }
    out->failed = failed;
    out->n_failed = in->n_failed;
    return SKY_OK;
}

static sky_err read_artifacts(sky_msg_result *out, const Sky__Pb__Result *in, sky__reader *r)
{
    sky_err err = check_items(r, "artifacts", in->n_artifacts, SKY_MSG_ITEMS_MAX);
    if (err)
        return err;
    sky_artifact *artifacts = sky_new(r->arena, sky_artifact, in->n_artifacts);
    if (!artifacts)
        return no_memory(r);
    for (size_t i = 0; i < in->n_artifacts; i++) {
        const Sky__Pb__Artifact *a = in->artifacts[i];
        artifacts[i].position = a->position;
        artifacts[i].bytes = a->content.data;
        artifacts[i].len = a->content.len;
        err = sky__read_string(&artifacts[i].name, a->name, "artifacts.name", r);
        if (err)
            return err;
    }
    out->artifacts = artifacts;
    out->n_artifacts = in->n_artifacts;
    return SKY_OK;
}

/* The five fates of a position; together they cannot be more than a lease. */
static sky_err read_fates(sky_msg_result *out, const Sky__Pb__Result *in, sky__reader *r)
{
    sky_err err = check_items(r, "failed attempts", in->n_failed, SKY_LEASE_POSITIONS_MAX);
    if (err)
        return err;
    uint64_t count = in->n_failed;
    err = read_ranges(&out->ok, &count, in->ok, in->n_ok, "ok", r);
    if (!err)
        err = read_ranges(&out->holes, &count, in->holes, in->n_holes, "holes", r);
    if (!err)
        err = read_ranges(&out->returned, &count, in->returned, in->n_returned, "returned", r);
    if (!err)
        err = read_ranges(&out->suspect, &count, in->suspect, in->n_suspect, "suspect", r);
    if (!err && in->n_failed)
        err = read_failed(out, in, r);
    return err;
}

static sky_err read_wall(sky_msg_result *out, const Sky__Pb__Result *in, size_t n_rows,
                         sky__reader *r)
{
    if (in->n_wall_s && in->n_wall_s != n_rows)
        return sky_fail(r->e, SKY_EFORMAT, "%s: %zu wall times for %zu rows", r->message,
                        in->n_wall_s, n_rows);
    for (size_t row = 0; row < in->n_wall_s; row++)
        if (!(in->wall_s[row] >= 0.0f && in->wall_s[row] <= 3.402823466e38f))
            return sky_fail(r->e, SKY_EFORMAT, "%s: a wall time that is no time", r->message);
    out->wall_s = in->n_wall_s ? in->wall_s : NULL;
    return SKY_OK;
}

static sky_err read_metrics(sky_msg_result *out, const Sky__Pb__Result *in, size_t n_rows,
                            sky__reader *r)
{
    sky_err err = check_items(r, "metrics", in->n_metrics, SKY__METRICS_MAX);
    if (err || !in->n_metrics)
        return err;
    sky_column *metrics = sky_new(r->arena, sky_column, in->n_metrics);
    if (!metrics)
        return no_memory(r);
    for (size_t i = 0; i < in->n_metrics && !err; i++)
        err = sky__read_column(&metrics[i], in->metrics[i], n_rows, r);
    out->metrics = metrics;
    out->n_metrics = in->n_metrics;
    return err;
}

static sky_err read_result(sky_msg_result *out, const Sky__Pb__Result *in, sky__reader *r)
{
    out->seq = in->seq;
    out->lease = in->lease;
    out->sweep = in->sweep;
    out->values_hash = in->values_hash;
    out->busy_ns = in->busy_ns;
    out->last = in->last;
    sky_err err = read_fates(out, in, r);
    if (err)
        return err;
    size_t n_rows = (size_t)sky_range_list_count(&out->ok);
    err = read_wall(out, in, n_rows, r);
    if (!err)
        err = read_metrics(out, in, n_rows, r);
    if (!err && in->curve)
        err = sky__read_curve(out, in->curve, r);
    if (!err && in->n_artifacts)
        err = read_artifacts(out, in, r);
    return err;
}

static sky_err read_heartbeat(sky_msg_heartbeat *out, const Sky__Pb__Heartbeat *in, sky__reader *r)
{
    out->leases_held = in->leases_held;
    out->results_unacked = in->results_unacked;
    sky_err err = read_session(&out->session, &in->session, r);
    if (!err)
        err = check_items(r, "running trials", in->n_running, SKY_MSG_ITEMS_MAX);
    if (err || !in->n_running)
        return err;
    sky_running_trial *running = sky_new(r->arena, sky_running_trial, in->n_running);
    if (!running)
        return no_memory(r);
    for (size_t i = 0; i < in->n_running; i++)
        running[i] = (sky_running_trial){.lease = in->running[i]->lease,
                                         .position = in->running[i]->position,
                                         .elapsed_ms = in->running[i]->elapsed_ms};
    out->running = running;
    out->n_running = in->n_running;
    return SKY_OK;
}

static sky_err read_request(sky_msg_request *out, const Sky__Pb__Request *in, sky__reader *r)
{
    if (in->kind < SKY_REQUEST_SUBMIT || in->kind > SKY_REQUEST_SHUTDOWN)
        return sky_fail(r->e, SKY_EVERSION, "%s: kind %u is not known to this program", r->message,
                        in->kind);
    out->id = in->id;
    out->kind = (sky_request_kind)in->kind;
    out->number = in->number;
    sky_err err = sky__read_string(&out->sweep, in->sweep, "sweep", r);
    return err ? err : sky__read_long_string(&out->text, in->text, "text", r); /* may be a plan */
}

static sky_err read_reply(sky_msg_reply *out, const Sky__Pb__Reply *in, sky__reader *r)
{
    if (in->code > 0)
        return sky_fail(r->e, SKY_EFORMAT, "%s: code %d is above 0", r->message, in->code);
    out->id = in->id;
    out->code = in->code;
    sky_err err = sky__read_string(&out->text, in->text, "text", r);
    return err ? err : sky__read_long_string(&out->json, in->json, "json", r); /* a long status */
}

static sky_err read_bye(sky_msg_bye *out, const Sky__Pb__Bye *in, sky__reader *r)
{
    sky_err err = read_session(&out->session, &in->session, r);
    return err ? err : sky__read_string(&out->reason, in->reason, "reason", r);
}

sky_err sky__msg_read(sky_msg *out, const Sky__Pb__Envelope *in, sky__reader *r)
{
    sky_err err = SKY_OK;
    switch (out->type) {
    case SKY_MSG_HELLO:
        return read_hello(&out->hello, in->hello, r);
    case SKY_MSG_WELCOME:
        out->welcome.epoch = in->welcome->epoch;
        out->welcome.heartbeat_ms = in->welcome->heartbeat_ms;
        return sky__read_string(&out->welcome.store_uuid, in->welcome->store_uuid, "store_uuid", r);
    case SKY_MSG_WHO:
        return SKY_OK;
    case SKY_MSG_PLAN:
        out->plan.sweep = in->plan->sweep;
        out->plan.revision = in->plan->revision;
        return sky__read_long_string(&out->plan.text, in->plan->text, "text", r);
    case SKY_MSG_LEASE:
        return read_lease(&out->lease, in->lease, r);
    case SKY_MSG_REVOKE:
        err = check_items(r, "leases", in->revoke->n_leases, SKY_MSG_ITEMS_MAX);
        out->revoke = (sky_msg_revoke){in->revoke->leases, in->revoke->n_leases};
        return err;
    case SKY_MSG_RESULT:
        return read_result(&out->result, in->result, r);
    case SKY_MSG_ACK:
        err = check_items(r, "acknowledgements", in->ack->n_seqs, SKY_MSG_ITEMS_MAX);
        out->ack = (sky_msg_ack){in->ack->seqs, in->ack->n_seqs};
        return err;
    case SKY_MSG_HEARTBEAT:
        return read_heartbeat(&out->heartbeat, in->heartbeat, r);
    case SKY_MSG_STOP:
        out->stop.now = in->stop->now;
        return SKY_OK;
    case SKY_MSG_BYE:
        return read_bye(&out->bye, in->bye, r);
    case SKY_MSG_REQUEST:
        return read_request(&out->request, in->request, r);
    case SKY_MSG_REPLY:
        return read_reply(&out->reply, in->reply, r);
    }
    assert(!"the caller checked the type");
    return SKY_EFORMAT;
}
