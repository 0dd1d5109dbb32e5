/* An agent on a table: events in, actions out, no process anywhere. One agent per test program. */
#ifndef SKY_TESTS_WORKER_AGENT_HARNESS_H
#define SKY_TESTS_WORKER_AGENT_HARNESS_H

#include "base/clock.h"
#include "worker/agent.h"

/* What is kept of an action. */
typedef struct done {
    sky_agent_action_kind kind;
    sky_msg_type type; /* of SEND */
    uint32_t slot;
    sky_kill_why why;
    uint64_t lease, seq, ok, returned, suspect, failed,
        first; /* first: of the returned, suspect, failed */
    uint32_t failure;
    bool last;
    uint64_t positions, gpus; /* of RUN; of START */
    uint64_t held;            /* leases of HELLO, HEARTBEAT */
    uint64_t running;         /* position in HEARTBEAT */
    int code;
    char text[128];
} done;

extern sky_agent *a;
extern size_t n_did; /* actions that the last event brought */
extern done did[];
extern int64_t now_ns;

/* The k-th action of a kind (and a message type, for SEND), or NULL. */
const done *find(sky_agent_action_kind kind, sky_msg_type type, size_t k);
#define SENT(type)   find(SKY_AGENT_SEND, SKY_MSG_##type, 0)
#define ACTION(kind) find(SKY_AGENT_##kind, 0, 0)

void make(sky_agent_options o);
void set_up(sky_agent_options o, const char *plan); /* welcomed, with a plan for sweep 7 */
void tear_down(void);
void take(void); /* the actions; the others below do so by themselves */

void message(const sky_msg *m);
void welcome(const char *uuid);
void send_plan(int64_t sweep, uint32_t revision, const char *more);
void lease(uint64_t id, uint64_t begin, uint64_t end); /* of sweep 7 */
void lease_of(uint64_t id, int64_t sweep, uint64_t begin, uint64_t end);
void ack(uint64_t seq);
void outcome(uint32_t slot, uint64_t id, uint64_t begin, uint64_t end, bool last); /* all ok */
void died(uint32_t slot, sky_death kind, uint64_t begin, uint64_t end);
void tick(int64_t ms); /* so much later */

#endif
