/* A scheduler with a hand-written cluster around it: each call is one message, what comes out is
 * kept in plain arrays. Workers are numbered; time stands still until it is moved. */
#ifndef SKY_TESTS_COORDINATOR_SCHED_FIXTURE_H
#define SKY_TESTS_COORDINATOR_SCHED_FIXTURE_H

#include "base/clock.h"
#include "coordinator/sched.h"

enum { FX_MAX = 4096 };

typedef struct fx_lease {
    unsigned worker;
    uint64_t id;
    int64_t sweep;
    bool isolate;
    uint32_t revision;
    sky_ranges positions;
} fx_lease;

typedef struct fx_fail {
    uint64_t position;
    uint32_t attempts;
    bool quarantined;
    sky_failure_kind kind;
} fx_fail;

typedef struct fx {
    sky_sched *s;
    int64_t now_ns;
    uint64_t seqs[64]; /* of the last result, by worker */
    /* What came out, since fx_clear() */
    fx_lease leases[FX_MAX];
    size_t n_leases;
    fx_fail fails[FX_MAX];
    size_t n_fails;
    uint64_t recorded, holes, skipped; /* positions of RECORD actions */
    size_t n_records, n_plans, n_whos, n_welcomes, n_acks, n_stops, n_states;
    uint64_t revoked[FX_MAX];
    size_t n_revoked;
    uint64_t acked[FX_MAX];
    sky_sweep_state state; /* of the last SWEEP_STATE */
    char reason[256];
} fx;

fx *fx_new(const sky_sched_options *o); /* NULL: defaults */
void fx_free(fx *f);
void fx_clear(fx *f);
sky_session fx_session(unsigned worker);

/* A sweep of that many positions with attempts 3; the fields that matter may be changed with
 * fx_set(). */
sky_sched_sweep fx_sweep(int64_t id, uint64_t positions);
void fx_set(fx *f, const sky_sched_sweep *w);

void fx_hello(fx *f, unsigned worker, uint32_t cpus);
void fx_hello_with(fx *f, unsigned worker, const sky_msg_hello *h); /* fills in what h leaves out */
void fx_heartbeat(fx *f, unsigned worker, uint64_t held, uint64_t unacked);
void fx_bye(fx *f, unsigned worker);
void fx_message(fx *f, unsigned worker, const sky_msg *m);
void fx_tick(fx *f, int64_t ms); /* moves the clock in steps of 100 ms, ticking */
void fx_beat(fx *f, int64_t ms,
             unsigned n_workers); /* the same, with heartbeats of workers 0..n-1 */
void fx_commit(fx *f);

/* Results. A seq of 0 is the worker's next. */
void fx_ok(fx *f, const fx_lease *l, uint64_t busy_ns);
void fx_failed(fx *f, const fx_lease *l, uint64_t position, bool last);
void fx_result(fx *f, unsigned worker, const sky_msg_result *r);

sky_sched_sweep_info fx_info(const fx *f, int64_t sweep);
const fx_lease *fx_lease_of(const fx *f, unsigned worker, size_t nth); /* NULL: it got no more */
size_t fx_count(const fx *f, unsigned worker);                         /* leases it got */
uint64_t fx_held(const fx *f, unsigned worker); /* leases that the scheduler thinks it has */
size_t fx_count_sweep(const fx *f, int64_t sweep);

#endif
