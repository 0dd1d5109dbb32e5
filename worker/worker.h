/* A worker on an event loop: an agent, its link to the coordinator, and its executor processes.
 *
 * Executors are this program (or options.program) started again with "executor --fd 3"; that subcommand
 * must call sky_executor_main() before anything heavy. They die with the thread that runs the loop. */
#ifndef SKY_WORKER_WORKER_H
#define SKY_WORKER_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "base/err.h"
#include "wire/keys.h"
#include "wire/msg.h"
#include "worker/agent.h"

typedef struct sky_worker sky_worker;

/* Zero-initialise; a zero field means its default. Everything is borrowed until sky_worker_open()
 * returns, but for loop and keys, which must outlive the worker. */
typedef struct sky_worker_options {
    uv_loop_t *loop;         /* required */
    const char *endpoint;    /* of the coordinator; required */
    const sky_keyring *keys; /* required for tcp */
    uint32_t slots;          /* cpus that trials may use in all; 0 = those of the affinity mask */
    const char *gpus;        /* "0,2" or ""; NULL = all that are visible (CUDA_VISIBLE_DEVICES) */
    uint64_t memory_bytes;   /* that trials may reserve; 0 = of the machine or its cgroup */
    bool open_plugins;       /* load plug-ins that plans name */
    const char *program;     /* executable of the executors; NULL = /proc/self/exe */
    const char *const
        *program_args;       /* its arguments without argv[0]; NULL = {"executor", "--fd", "3"} */
    const char *git_commit;  /* of this build; NULL = unknown */
    const char *checkpoints; /* folder; NULL = $XDG_CACHE_HOME/skyline/checkpoints */
    uint32_t kill_grace_ms;  /* from asking a job to stop to killing it; 0 = 1000 */
    /* The worker has ended: it was told to, or could not go on (code 1, with a reason). Called once, with
     * all executors dead. It may call sky_worker_close(). */
    void (*on_exit)(void *arg, int code, const char *reason);
    /* The link came up, went down or was refused. May be NULL. */
    void (*on_state)(void *arg, bool connected, const char *reason);
    void *arg;
} sky_worker_options;

/* Probes the machine and connects in the background. */
sky_err sky_worker_open(sky_worker **out, const sky_worker_options *o, sky_error *e);
/* Ends in order: finishes what runs (now: kills it), returns the rest, then on_exit. */
void sky_worker_stop(sky_worker *w, bool now);
/* Kills what is left at once; on_exit is not called any more. Memory is freed after the loop has run its
 * close callbacks. NULL is fine. */
void sky_worker_close(sky_worker *w);
sky_agent_stats sky_worker_stats(const sky_worker *w);
const sky_session *sky_worker_session(const sky_worker *w);

#endif
