/* The executor: the process in which jobs run.
 *
 * Started by exec (never by a bare fork) with
 *   fd      a stream socket to the agent: frames of a 32-bit little-endian length and an encoded message;
 *           PLAN and LEASE come down, RESULT goes up
 *   fd + 1  a sky_executor_page shared with the agent: what runs now, and whether to stop
 *   2       a memory file opened with O_APPEND: standard error, of which failures keep the end
 * Standard output goes to standard error, so that no job can disturb the channel.
 *
 * It ends when the channel does, and takes its process group (which it leads) with it. */
#ifndef SKY_WORKER_EXECUTOR_H
#define SKY_WORKER_EXECUTOR_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    SKY_EXECUTOR_CHECKPOINTS_MAX = 4096, /* bytes of the checkpoint folder's name */
    SKY_EXECUTOR_LOG_MAX = 64 << 10,     /* kept of standard error for a failed trial */
};

/* Written by the executor: what runs. A reader that finds the same even
 * `turn` before and after has read a consistent set (a sequence lock): a crash in between leaves it odd,
 * and then nothing was running. Written by the agent: the rest. */
typedef struct sky_executor_page {
    _Atomic uint64_t turn;
    _Atomic uint64_t begin, end;       /* positions [begin, end) are being evaluated; equal: none */
    _Atomic int64_t started_ns;        /* CLOCK_MONOTONIC, since when */
    _Atomic uint64_t log_begin;        /* size of standard error then */
    _Atomic uint32_t checkpoints_used; /* a checkpoint was written: there may be files to remove */

    _Atomic uint32_t drain; /* finish the trial at hand, return the rest of the lease */
    _Atomic uint32_t stop;  /* end soon: what ctx->stopping() says */
    uint32_t parent_pid;    /* of the agent: whoever else is the parent means it is gone */
    uint32_t threads;       /* cpus of the lease */
    uint32_t open_plugins;  /* may load the plan's plug-in */
    char gpus[256];         /* "0,1": what CUDA_VISIBLE_DEVICES says */
    char checkpoints
        [SKY_EXECUTOR_CHECKPOINTS_MAX]; /* folder of this sweep's, made on use; "": none */
} sky_executor_page;

/* Runs until the channel closes; returns the exit code. */
int sky_executor_main(int fd);

#endif
