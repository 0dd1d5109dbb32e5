/* Watching executors: resident memory, wall time of a trial, and who killed whom.
 *
 * Memory is watched, never limited by the kernel's RLIMIT_AS, which CUDA and the sanitizers break. Time
 * counts only while the executor could run: not while it or this process was stopped. */
#ifndef SKY_WORKER_LIMITS_H
#define SKY_WORKER_LIMITS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "worker/executor.h"

enum { SKY_WATCH_PERIOD_MS = 50 }; /* how often sky_watch_check() should be called */

/* Zero-initialise, fill in the first four, call sky_watch_check() about every period. */
typedef struct sky_watch {
    pid_t pid;
    const sky_executor_page *page;
    int64_t timeout_ns;    /* of one trial; 0 = none */
    uint64_t memory_bytes; /* of the executor and its descendants; 0 = none */

    uint64_t turn;      /* of the page, when last looked at */
    int64_t checked_ns; /* when that was */
    int64_t counted_ns; /* time of the present trial so far */
    uint64_t resident_bytes;
} sky_watch;

typedef enum sky_watch_verdict {
    SKY_WATCH_OK,
    SKY_WATCH_TIMEOUT,
    SKY_WATCH_MEMORY
} sky_watch_verdict;

sky_watch_verdict sky_watch_check(sky_watch *w, int64_t now_ns);

/* What runs in an executor: false if nothing, or if it died between two trials. */
typedef struct sky_watch_trial {
    uint64_t begin, end;
    int64_t started_ns;
    uint64_t log_begin;
    uint64_t turn;
} sky_watch_trial;
bool sky_watch_running(const sky_executor_page *page, sky_watch_trial *out);

/* Resident bytes of a process and all its descendants; 0 if it is gone. */
uint64_t sky_resident_bytes(pid_t pid);
/* The state letter of /proc/PID/stat, 0 if it is gone. */
char sky_process_state(pid_t pid);
/* How many processes the kernel's OOM killer took so far, in this cgroup or, where that is not known, on
 * this machine. */
uint64_t sky_oom_kills(void);

#endif
