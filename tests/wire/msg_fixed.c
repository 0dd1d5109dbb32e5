/* The messages of the golden files, and comparison field by field. */
#include "msg_samples.h"

#include <string.h>

#define SESSION                                                                                    \
    {                                                                                              \
        {                                                                                          \
            0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,    \
                0xee, 0xff                                                                         \
        }                                                                                          \
    }

static const sky_job_version jobs[] = {{"flexsa", "1"}, {"noop", "2.1"}};
static const sky_range some[] = {{0, 3}, {10, 12}, {100000, 100001}};
static const sky_range few[] = {{3, 4}};
static const sky_range high[] = {{1ull << 40, (1ull << 40) + 5},
                                 {(1ull << 40) + 5, (1ull << 40) + 6}};
static const sky_held_lease held[] = {{(1ull << 32) | 7, 1, {some, 3}},
                                      {(1ull << 32) | 8, 2, {high, 2}}};
static const uint64_t numbers[] = {1, 2, 300, 1ull << 32, UINT64_MAX};
static double reals[] = {0.0, -0.5, 1e300, 3.25, 1.0 / 0.0, 0.1};
static int64_t ints[] = {0, 1, -1, 1000000, INT64_MAX, INT64_MIN};
static int64_t bools[] = {0, 1, 1, 0, 0, 1};
static const char *repeated[] = {"ws", "os", "ws", "is", "", "os"};
static const char *distinct[] = {"a", "b", "c", "d", "e", "f é"};
static uint8_t absent[] = {0, 1, 0, 0, 0, 1};
static const sky_column metrics[] = {
    {.type = SKY_REAL, .f = reals},    {.type = SKY_INT, .i = ints, .absent = absent},
    {.type = SKY_BOOL, .i = bools},    {.type = SKY_TEXT, .s = repeated},
    {.type = SKY_TEXT, .s = distinct},
};
static const float wall_s[] = {0.0f, 0.5f, 1e-6f, 2.0f, 60.0f, 0.001f};
static const sky_failed_attempt failed[] = {{3, 1, "killed by signal 11", "stack\n\xff"},
                                            {14, 2, "", ""}};
static const sky_curve_step curve[] = {
    {0, 1, "loss", 2.5}, {0, 1, "accuracy", 0.1}, {0, 2, "loss", 1.5}, {11, 1, "loss", 2.25}};
static const uint8_t blob[] = {0, 1, 2, 0xff};
static const sky_artifact artifacts[] = {{0, "model.bin", blob, sizeof blob},
                                         {1, "empty", NULL, 0}};
static const sky_running_trial running[] = {{(1ull << 32) | 7, 11, 1500}, {(1ull << 32) | 8, 0, 0}};

static const struct {
    const char *name;
    sky_msg m;
} fixed[] = {
    {"hello",
     {.type = SKY_MSG_HELLO,
      .hello = {.session = SESSION,
                .host = "node-1",
                .pid = 4242,
                .program_version = "0.1.0",
                .cpus = 64,
                .gpus = 8,
                .memory_bytes = 512ull << 30,
                .jobs = jobs,
                .n_jobs = 2,
                .open_plugins = true,
                .environment = "{\"cpu\":\"é\"}",
                .store_uuid = "uuid-1",
                .leases = held,
                .n_leases = 2}}},
    {"welcome", {.type = SKY_MSG_WELCOME, .welcome = {"uuid-1", 3, 1000}}},
    {"who", {.type = SKY_MSG_WHO}},
    {"plan", {.type = SKY_MSG_PLAN, .plan = {1, 2, "name: demo\njob: noop\n"}}},
    {"lease", {.type = SKY_MSG_LEASE, .lease = {(3ull << 32) | 9, 1, 2, true, {some, 3}}}},
    {"revoke", {.type = SKY_MSG_REVOKE, .revoke = {numbers, 5}}},
    {"result",
     {.type = SKY_MSG_RESULT,
      .result = {.seq = 17,
                 .lease = (3ull << 32) | 9,
                 .sweep = 1,
                 .ok = {some, 3},
                 .holes = {few, 1},
                 .returned = {high, 2},
                 .suspect = {few, 1},
                 .failed = failed,
                 .n_failed = 2,
                 .values_hash = 0x0123456789abcdef,
                 .metrics = metrics,
                 .n_metrics = 5,
                 .wall_s = wall_s,
                 .busy_ns = 123456789,
                 .curve = curve,
                 .n_curve = 4,
                 .artifacts = artifacts,
                 .n_artifacts = 2,
                 .last = true}}},
    {"result_empty", {.type = SKY_MSG_RESULT, .result = {.lease = 5}}},
    {"ack", {.type = SKY_MSG_ACK, .ack = {numbers, 5}}},
    {"heartbeat",
     {.type = SKY_MSG_HEARTBEAT,
      .heartbeat = {.session = SESSION,
                    .running = running,
                    .n_running = 2,
                    .leases_held = 2,
                    .results_unacked = 1}}},
    {"stop", {.type = SKY_MSG_STOP, .stop = {true}}},
    {"bye", {.type = SKY_MSG_BYE, .bye = {SESSION, "asked to"}}},
    {"request", {.type = SKY_MSG_REQUEST, .request = {99, SKY_REQUEST_PRIORITY, "demo", "", -5}}},
    {"reply", {.type = SKY_MSG_REPLY, .reply = {99, -9, "no such sweep", "{}"}}},
};

bool sample_fixed(size_t number, const char **name, sky_msg *out)
{
    if (number >= sizeof fixed / sizeof *fixed)
        return false;
    *name = fixed[number].name;
    *out = fixed[number].m;
    return true;
}

static bool same(const void *a, const void *b, size_t len)
{
    return !len || memcmp(a, b, len) == 0;
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool same_ranges(const sky_range_list *a, const sky_range_list *b)
{
    return a->n == b->n && same(a->r, b->r, a->n * sizeof *a->r);
}

static bool same_column(const sky_column *a, const sky_column *b, size_t n_rows)
{
    if (a->type != b->type)
        return false;
    for (size_t row = 0; row < n_rows; row++) {
        bool gone = a->absent && a->absent[row];
        if (gone != (b->absent && b->absent[row]))
            return false;
        if (a->type == SKY_TEXT ? !gone && !same_text(a->s[row], b->s[row])
                                : memcmp(&a->i[row], &b->i[row], sizeof *a->i) != 0)
            return false;
    }
    return true;
}

static bool same_lists(const sky_msg_result *a, const sky_msg_result *b)
{
    if (a->n_failed != b->n_failed || a->n_curve != b->n_curve || a->n_artifacts != b->n_artifacts)
        return false;
    for (size_t i = 0; i < a->n_failed; i++)
        if (a->failed[i].position != b->failed[i].position ||
            a->failed[i].kind != b->failed[i].kind ||
            !same_text(a->failed[i].reason, b->failed[i].reason) ||
            !same_text(a->failed[i].log, b->failed[i].log))
            return false;
    for (size_t i = 0; i < a->n_curve; i++)
        if (a->curve[i].position != b->curve[i].position || a->curve[i].step != b->curve[i].step ||
            !same_text(a->curve[i].name, b->curve[i].name) ||
            !same(&a->curve[i].value, &b->curve[i].value, sizeof a->curve[i].value))
            return false;
    for (size_t i = 0; i < a->n_artifacts; i++)
        if (a->artifacts[i].position != b->artifacts[i].position ||
            !same_text(a->artifacts[i].name, b->artifacts[i].name) ||
            a->artifacts[i].len != b->artifacts[i].len ||
            !same(a->artifacts[i].bytes, b->artifacts[i].bytes, a->artifacts[i].len))
            return false;
    return true;
}

static bool same_result(const sky_msg_result *a, const sky_msg_result *b)
{
    if (a->seq != b->seq || a->lease != b->lease || a->sweep != b->sweep || a->last != b->last ||
        a->values_hash != b->values_hash || a->busy_ns != b->busy_ns ||
        !same_ranges(&a->ok, &b->ok) || !same_ranges(&a->holes, &b->holes) ||
        !same_ranges(&a->returned, &b->returned) || !same_ranges(&a->suspect, &b->suspect) ||
        a->n_metrics != b->n_metrics)
        return false;
    size_t n_rows = (size_t)sky_range_list_count(&a->ok);
    for (size_t i = 0; i < a->n_metrics; i++)
        if (!same_column(&a->metrics[i], &b->metrics[i], n_rows))
            return false;
    if (!a->wall_s != !b->wall_s ||
        (a->wall_s && !same(a->wall_s, b->wall_s, n_rows * sizeof(float))))
        return false;
    return same_lists(a, b);
}

static bool same_hello(const sky_msg_hello *a, const sky_msg_hello *b)
{
    if (!sky_session_equal(&a->session, &b->session) || !same_text(a->host, b->host) ||
        a->pid != b->pid || !same_text(a->program_version, b->program_version) ||
        a->cpus != b->cpus || a->gpus != b->gpus || a->memory_bytes != b->memory_bytes ||
        a->n_jobs != b->n_jobs || a->open_plugins != b->open_plugins ||
        !same_text(a->environment, b->environment) || !same_text(a->store_uuid, b->store_uuid) ||
        a->n_leases != b->n_leases)
        return false;
    for (size_t i = 0; i < a->n_jobs; i++)
        if (!same_text(a->jobs[i].name, b->jobs[i].name) ||
            !same_text(a->jobs[i].version, b->jobs[i].version))
            return false;
    for (size_t i = 0; i < a->n_leases; i++)
        if (a->leases[i].lease != b->leases[i].lease || a->leases[i].sweep != b->leases[i].sweep ||
            !same_ranges(&a->leases[i].left, &b->leases[i].left))
            return false;
    return true;
}

static bool same_heartbeat(const sky_msg_heartbeat *a, const sky_msg_heartbeat *b)
{
    if (!sky_session_equal(&a->session, &b->session) || a->n_running != b->n_running ||
        a->leases_held != b->leases_held || a->results_unacked != b->results_unacked)
        return false;
    for (size_t i = 0; i < a->n_running; i++)
        if (a->running[i].lease != b->running[i].lease ||
            a->running[i].position != b->running[i].position ||
            a->running[i].elapsed_ms != b->running[i].elapsed_ms)
            return false;
    return true;
}

bool sample_equal(const sky_msg *a, const sky_msg *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case SKY_MSG_HELLO:
        return same_hello(&a->hello, &b->hello);
    case SKY_MSG_WELCOME:
        return same_text(a->welcome.store_uuid, b->welcome.store_uuid) &&
               a->welcome.epoch == b->welcome.epoch &&
               a->welcome.heartbeat_ms == b->welcome.heartbeat_ms;
    case SKY_MSG_WHO:
        return true;
    case SKY_MSG_PLAN:
        return a->plan.sweep == b->plan.sweep && a->plan.revision == b->plan.revision &&
               same_text(a->plan.text, b->plan.text);
    case SKY_MSG_LEASE:
        return a->lease.lease == b->lease.lease && a->lease.sweep == b->lease.sweep &&
               a->lease.revision == b->lease.revision && a->lease.isolate == b->lease.isolate &&
               same_ranges(&a->lease.positions, &b->lease.positions);
    case SKY_MSG_REVOKE:
        return a->revoke.n == b->revoke.n &&
               same(a->revoke.leases, b->revoke.leases, a->revoke.n * sizeof(uint64_t));
    case SKY_MSG_RESULT:
        return same_result(&a->result, &b->result);
    case SKY_MSG_ACK:
        return a->ack.n == b->ack.n && same(a->ack.seqs, b->ack.seqs, a->ack.n * sizeof(uint64_t));
    case SKY_MSG_HEARTBEAT:
        return same_heartbeat(&a->heartbeat, &b->heartbeat);
    case SKY_MSG_STOP:
        return a->stop.now == b->stop.now;
    case SKY_MSG_BYE:
        return sky_session_equal(&a->bye.session, &b->bye.session) &&
               same_text(a->bye.reason, b->bye.reason);
    case SKY_MSG_REQUEST:
        return a->request.id == b->request.id && a->request.kind == b->request.kind &&
               same_text(a->request.sweep, b->request.sweep) &&
               same_text(a->request.text, b->request.text) &&
               a->request.number == b->request.number;
    case SKY_MSG_REPLY:
        return a->reply.id == b->reply.id && a->reply.code == b->reply.code &&
               same_text(a->reply.text, b->reply.text) && same_text(a->reply.json, b->reply.json);
    }
    return false;
}
