/* A real worker with real executors, and a coordinator that follows a test's script, in one process. */
#ifndef SKY_TESTS_WORKER_WORLD_H
#define SKY_TESTS_WORKER_WORLD_H

#include <uv.h>

#include "base/ranges.h"
#include "sweeps/plan.h"
#include "wire/link.h"
#include "wire/msg.h"
#include "worker/worker.h"

enum { WORLD_FAILURES_MAX = 4096 };

typedef struct world_failure {
    uint64_t position;
    uint32_t kind;
    char reason[128];
    char log[256]; /* its beginning */
} world_failure;

typedef struct world {
    uv_loop_t loop;
    uv_timer_t ticker;
    char dir[64], endpoint[96], checkpoints[96];
    const char *store_uuid;
    sky_hub *hub;
    sky_worker *worker;
    sky_plan *plan;
    sky_worker_options options;

    /* what the coordinator does */
    bool silent; /* answers nothing */
    bool no_acks;
    uint64_t next_lease;
    sky_peer peer;
    bool welcomed;

    /* what it saw */
    sky_ranges ok, holes, returned, suspect, failed;
    world_failure failures[WORLD_FAILURES_MAX];
    size_t n_failures;
    uint64_t hellos, heartbeats, results, byes, copies, ended_leases;
    uint64_t held_in_hello, seq_first, rows;
    double y_sum;
    sky_ranges seqs;
    char reason[128]; /* of BYE */
    bool exited;
    int exit_code;
    char exit_reason[256];
    size_t n_curve, n_artifacts;
} world;

/* The plan is the world's from then on. */
void world_open(world *w, sky_plan *plan, uint32_t slots);
/* Runs the loop until done(w) or for that long; whether done. */
bool world_run(world *w, bool (*done)(const world *w), int timeout_ms);
void world_lease(world *w, uint64_t begin, uint64_t end, bool isolate);
void world_send(world *w, const sky_msg *m);
void world_hub_close(world *w);
void world_hub_open(world *w);
void world_close(world *w);
/* The first child process of this one; 0 if there is none. */
int world_child(void);

#endif
