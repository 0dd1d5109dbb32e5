/* A coordinator on a real store in a temporary folder, and scripted workers and clients on real
 * sockets, all on one loop. */
#ifndef SKY_TESTS_COORDINATOR_COORD_FIXTURE_H
#define SKY_TESTS_COORDINATOR_COORD_FIXTURE_H

#include <uv.h>

#include "coordinator/coordinator.h"
#include "wire/link.h"

enum { CX_STATES_MAX = 64 };

typedef struct cx {
    char dir[64], db[96], endpoint[96];
    uv_loop_t loop;
    uv_timer_t timer;
    bool timed_out;
    sky_store *store;
    sky_coordinator *c;
    sky_coordinator_options o;
    /* What the owner was told */
    sky_sweep_state states[CX_STATES_MAX];
    char reason[512];
    size_t n_states, n_progress, n_errors, n_shutdowns;
    sky_error error;
} cx;

/* How a worker answers leases. */
typedef enum cw_manner {
    CW_HONEST,
    CW_SILENT, /* takes leases, answers nothing */
    CW_NAN,    /* every tenth row is NaN */
    CW_FAIL,   /* every trial fails */
    CW_WRONG_HASH,
    CW_WRONG_COUNT, /* of metrics */
    CW_WRONG_TYPE,
    CW_OTHER, /* the exact metric differs from what others give */
} cw_manner;

typedef struct cw {
    cx *x;
    sky_link *link;
    sky_session session;
    cw_manner manner;
    bool hold;           /* results are made, but not sent */
    bool forget_nothing; /* unacknowledged results are sent again after a WELCOME */
    uint64_t seq;
    size_t n_welcomes, n_plans, n_leases, n_acks, n_stops, n_whos, n_revoked;
    uint64_t rows;
    sky_plan *plans[16]; /* by sweep */
    sky_arena arena;
    struct {
        void *bytes;
        size_t len;
        uint64_t seq;
    } kept[256];
    size_t n_kept;
} cw;

void cx_init(cx *x, const char *dir); /* NULL: a fresh folder */
sky_err cx_open(cx *x);               /* the store and the coordinator */
void cx_close(cx *x);                 /* keeps the folder, for a second cx_open() */
void cx_crash(cx *x);                 /* as cx_close(), without the last commit */
void cx_fini(cx *x);
void cx_run(cx *x, int ms); /* for what must not happen */
void cx_start_clock(cx *x, int ms);
bool cx_step(cx *x); /* waits for an event and handles it; false once the clock has run out */
bool cx_has_state(const cx *x,
                  sky_sweep_state state); /* the sweep that changed last; or a failure */

/* Runs the loop until the condition holds; a test whose condition does not hold in time fails. */
#define CX_AWAIT(x, condition)                                                                     \
    do {                                                                                           \
        cx_start_clock(x, 20000);                                                                  \
        while (!(condition))                                                                       \
            cr_assert(cx_step(x), "not within 20 s: " #condition);                                 \
        uv_timer_stop(&(x)->timer);                                                                \
    } while (0)

/* A sweep of x in 1..n; more: further lines of the file. version: of the job. */
sky_plan *cx_plan(const char *name, int n, const char *more, const char *version);
sky_err cx_submit(cx *x, sky_plan *plan, int64_t *id, sky_submitted *how, sky_error *e);
int64_t cx_count(cx *x, const char *sql); /* the integer that a query gives */

void cw_open(cw *w, cx *x, cw_manner manner);
void cw_hello(cw *w);
/* Says hello to a coordinator that started again until it is welcomed: what is sent before the socket has
 * noticed the end of the old connection is lost. */
void cw_join_again(cw *w);
void cw_send_kept(cw *w);
void cw_close(cw *w);

/* A request over the wire; the reply's texts live in the arena. */
void cx_ask(cx *x, const sky_msg_request *q, sky_arena *arena, sky_msg_reply *reply);

#endif
