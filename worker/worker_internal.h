/* The worker's parts: only for this folder and its tests.
 *
 * worker.c: loop, link, timer. child.c: one executor process. probe.c: what the machine has. */
#ifndef SKY_WORKER_WORKER_INTERNAL_H
#define SKY_WORKER_WORKER_INTERNAL_H

#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "wire/link.h"
#include "worker/agent.h"
#include "worker/executor.h"
#include "worker/limits.h"
#include "worker/worker.h"

enum {
    SKY__GPU_NAME_MAX = 64,
    SKY__CHECKPOINT_SWEEPS_MAX = 256,
};

/* --- probe.c --- */

typedef struct sky__machine {
    uint32_t cpus;         /* of the affinity mask and the cgroup's quota */
    uint64_t memory_bytes; /* of the machine or its cgroup */
    uint32_t n_gpus;
    char gpus[SKY_AGENT_GPUS_MAX][SKY__GPU_NAME_MAX]; /* as CUDA_VISIBLE_DEVICES names them */
    char host[256];
} sky__machine;

/* gpus: a list, or NULL to look for them. */
sky_err sky__machine_probe(sky__machine *m, const char *gpus, sky_error *e);
/* What the store keeps about a worker, as JSON. */
void sky__machine_json(const sky__machine *m, const char *git_commit, sky_buf *out);

/* --- child.c --- */

typedef enum sky__doom { /* why it was killed by us */
                         SKY__DOOM_NONE,
                         SKY__DOOM_ASKED,
                         SKY__DOOM_TIMEOUT,
                         SKY__DOOM_MEMORY,
                         SKY__DOOM_CHANNEL, /* it closed its channel or sent nonsense */
} sky__doom;

/* An executor process. It lives until both handles are closed. */
typedef struct sky__child {
    struct sky_worker *worker;
    uint32_t slot;
    int64_t sweep;
    uv_process_t process;
    uv_poll_t poll;
    bool process_open, poll_open, exited, ended; /* ended: its death was reported */
    int fd;                                      /* our end of the channel */
    int log;                                     /* its standard error */
    sky_executor_page *page;
    sky_watch watch;
    sky__doom doom;
    char doom_text[128];
    int64_t kill_ns;    /* when to use SIGKILL; -1: not planned */
    uint64_t oom_kills; /* when it began */
    sky_buf in, out;
    size_t out_at; /* sent of out */
} sky__child;

typedef struct sky__child_options {
    struct sky_worker *worker;
    uint32_t slot;
    const sky_agent_action *action; /* a START */
    const sky__machine *machine;
    const char *program;
    const char *const *program_args;
    const char *checkpoints; /* folder of all stores; NULL: none */
    bool open_plugins;
    uv_loop_t *loop;
} sky__child_options;

/* Starts an executor and sends it its plan. On error nothing is left but a message in e. */
sky_err sky__child_start(sky__child **out, const sky__child_options *o, sky_error *e);
void sky__child_send(sky__child *c, const sky_msg *m);
void sky__child_kill(sky__child *c, sky__doom why, int64_t kill_ns); /* SIGTERM now, SIGKILL then */
void sky__child_kill_now(sky__child *c, sky__doom why, const char *text);
/* Frees all but the end of its standard error, once that has become large. */
void sky__child_trim_log(sky__child *c);
/* Kills it without a report, and frees it when its handles are closed. */
void sky__child_abandon(sky__child *c);

/* --- worker.c, called by child.c --- */

void sky__worker_outcome(struct sky_worker *w, sky__child *c, const sky_msg_result *part,
                         sky_arena *arena);
/* The child is gone: everything it sent was passed on before. */
void sky__worker_died(struct sky_worker *w, sky__child *c, const sky_agent_died *d);
void sky__worker_turn(struct sky_worker *w);  /* carries out what the agent wants */
void sky__worker_unref(struct sky_worker *w); /* a child was freed */

#endif
