/* The messages between coordinator, workers, executors and clients, as plain structs.
 *
 * wire/skyline.proto is the schema of their encoding, docs/wire.md the specification. A decoded message
 * lives in an arena and borrows nothing from the bytes. The state machines of coordinator and worker
 * see only these structs, so that they run under a simulated network as well as over ZeroMQ. */
#ifndef SKY_WIRE_MSG_H
#define SKY_WIRE_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/ranges.h"
#include "base/value.h"

enum {
    SKY_WIRE_VERSION = 1,
    SKY_MSG_BYTES_MAX = 64 << 20,    /* a plan may carry a list of points */
    SKY_LEASE_POSITIONS_MAX = 32768, /* rows of one lease, so of one result: bounds every buffer */
    SKY_MSG_RANGES_MAX = 1 << 17,    /* ranges in one list: every second position, twice over */
    SKY_MSG_ITEMS_MAX = 1 << 16,     /* of any other list */
    SKY_MSG_TEXT_MAX = 1 << 20,      /* any text but a plan */
    SKY_SESSION_BYTES = 16,
};

/* Who a worker process is, for its whole life: random, never reused. */
typedef struct sky_session {
    uint8_t b[SKY_SESSION_BYTES];
} sky_session;
bool sky_session_equal(const sky_session *a, const sky_session *b);

typedef enum sky_msg_type {
    SKY_MSG_HELLO = 1, /* worker -> coordinator: who I am and what I still hold */
    SKY_MSG_WELCOME,   /* coordinator -> worker */
    SKY_MSG_WHO,       /* coordinator -> worker: I do not know you, say HELLO */
    SKY_MSG_PLAN,   /* coordinator -> worker -> executor: a sweep's plan, before its first lease */
    SKY_MSG_LEASE,  /* coordinator -> worker -> executor */
    SKY_MSG_REVOKE, /* coordinator -> worker: forget these leases */
    SKY_MSG_RESULT, /* executor -> worker -> coordinator */
    SKY_MSG_ACK,    /* coordinator -> worker: these results are durable */
    SKY_MSG_HEARTBEAT, /* worker -> coordinator */
    SKY_MSG_STOP,      /* coordinator -> worker: finish and exit */
    SKY_MSG_BYE,       /* worker -> coordinator: I am leaving */
    SKY_MSG_REQUEST,   /* client -> coordinator */
    SKY_MSG_REPLY,     /* coordinator -> client */
} sky_msg_type;

typedef struct sky_range_list {
    const sky_range *r; /* sorted and disjoint */
    size_t n;
} sky_range_list;
uint64_t sky_range_list_count(const sky_range_list *l);

typedef struct sky_job_version {
    const char *name, *version;
} sky_job_version;

typedef struct sky_held_lease {
    uint64_t lease;
    int64_t sweep;
    sky_range_list left; /* positions not yet in a result */
} sky_held_lease;

typedef struct sky_msg_hello {
    sky_session session;
    const char *host;
    uint32_t pid;
    const char *program_version;
    uint32_t cpus, gpus;
    uint64_t memory_bytes;
    const sky_job_version *jobs;
    size_t n_jobs;
    bool
        open_plugins; /* may load a plug-in that a plan names (a worker of `run`, or --allow-plugins) */
    const char *environment; /* JSON */
    const char *store_uuid;  /* of the store that the held leases are of; "" if none */
    const sky_held_lease *leases;
    size_t n_leases;
} sky_msg_hello;

typedef struct sky_msg_welcome {
    const char *store_uuid; /* a worker that holds leases or results of another store drops them */
    uint32_t epoch;
    uint32_t heartbeat_ms;
} sky_msg_welcome;

typedef struct sky_msg_plan {
    int64_t sweep;
    uint32_t revision; /* grows when limits or resources change */
    const char *text;  /* canonical plan */
} sky_msg_plan;

typedef struct sky_msg_lease {
    uint64_t lease; /* epoch << 32 | number */
    int64_t sweep;
    uint32_t revision;
    bool isolate; /* one position at a time, the culprit of a dead batch is sought */
    sky_range_list positions;
} sky_msg_lease;

typedef struct sky_msg_revoke {
    const uint64_t *leases;
    size_t n;
} sky_msg_revoke;

/* An attempt that was charged to a trial. */
typedef struct sky_failed_attempt {
    uint64_t position;
    uint32_t kind; /* sky_failure_kind of store/store.h: error, crash, timeout, memory, lost */
    const char *reason;
    const char *log; /* end of standard error; may hold any bytes but NUL */
} sky_failed_attempt;

typedef struct sky_curve_step {
    uint64_t position;
    int64_t step;
    const char *name;
    double value;
} sky_curve_step;

typedef struct sky_artifact {
    uint64_t position;
    const char *name;
    const uint8_t *bytes;
    size_t len;
} sky_artifact;

/* What became of (a part of) a lease. Every position of a lease ends in exactly one of the lists ok,
 * holes, failed, returned and suspect of exactly one result. */
typedef struct sky_msg_result {
    uint64_t seq; /* counts up per session; 0 between executor and worker */
    uint64_t lease;
    int64_t sweep;
    sky_range_list ok;       /* evaluated: the rows of metrics, in this order */
    sky_range_list holes;    /* rejected by `where` */
    sky_range_list returned; /* not tried, or lost to something outside: nobody is charged */
    sky_range_list suspect;  /* a batch died, one of these did it */
    const sky_failed_attempt *failed;
    size_t n_failed;
    uint64_t values_hash;      /* sky_columns_hash() of the parameter values of ok's rows */
    const sky_column *metrics; /* n_metrics columns of sky_range_list_count(&ok) rows */
    size_t n_metrics;
    const float *wall_s; /* per row of ok; NULL: unknown */
    uint64_t busy_ns;    /* executor time that this took */
    const sky_curve_step *curve;
    size_t n_curve;
    const sky_artifact *artifacts;
    size_t n_artifacts;
    bool last; /* the lease is finished: the rest of it, if any, was said before */
} sky_msg_result;

typedef struct sky_msg_ack {
    const uint64_t *seqs;
    size_t n;
} sky_msg_ack;

typedef struct sky_running_trial {
    uint64_t lease;
    uint64_t position;
    uint32_t elapsed_ms;
} sky_running_trial;

typedef struct sky_msg_heartbeat {
    sky_session session;
    const sky_running_trial *running;
    size_t n_running;
    uint64_t leases_held, results_unacked;
} sky_msg_heartbeat;

typedef struct sky_msg_stop {
    bool now; /* false: finish what runs first */
} sky_msg_stop;

typedef struct sky_msg_bye {
    sky_session session;
    const char *reason;
} sky_msg_bye;

typedef enum sky_request_kind {
    SKY_REQUEST_SUBMIT = 1, /* text: plan */
    SKY_REQUEST_STATUS,     /* sweep: name, or "" for everything */
    SKY_REQUEST_PAUSE,
    SKY_REQUEST_RESUME,
    SKY_REQUEST_CANCEL,
    SKY_REQUEST_RETRY,
    SKY_REQUEST_PRIORITY, /* number */
    SKY_REQUEST_SHUTDOWN, /* stop the coordinator cleanly */
} sky_request_kind;

typedef struct sky_msg_request {
    uint64_t id; /* chosen by the client, repeated in the reply */
    sky_request_kind kind;
    const char *sweep;
    const char *text;
    int64_t number;
} sky_msg_request;

typedef struct sky_msg_reply {
    uint64_t id;
    int32_t code;     /* sky_err */
    const char *text; /* for a person */
    const char *json; /* for a program; "" if none */
} sky_msg_reply;

typedef struct sky_msg {
    sky_msg_type type;
    union {
        sky_msg_hello hello;
        sky_msg_welcome welcome;
        sky_msg_plan plan;
        sky_msg_lease lease;
        sky_msg_revoke revoke;
        sky_msg_result result;
        sky_msg_ack ack;
        sky_msg_heartbeat heartbeat;
        sky_msg_stop stop;
        sky_msg_bye bye;
        sky_msg_request request;
        sky_msg_reply reply;
    };
} sky_msg;

const char *sky_msg_type_name(sky_msg_type t); /* "HELLO", ... */

/* Appends the encoding (envelope with version, type, body) to out. SKY_ENOMEM; SKY_ELIMIT if it would be
 * longer than SKY_MSG_BYTES_MAX. What a decoder would refuse is the caller's error: some of it is asserted
 * always, all of it in debug and sanitizer builds. */
sky_err sky_msg_encode(const sky_msg *m, sky_buf *out);

/* Decodes and checks everything (lengths, limits, sorted ranges, column sizes, UTF-8 where a text is
 * shown). SKY_EVERSION, SKY_EFORMAT, SKY_ELIMIT, SKY_ENOMEM; *m is then unspecified. */
sky_err sky_msg_decode(sky_msg *m, const void *bytes, size_t len, sky_arena *arena, sky_error *e);

#endif
