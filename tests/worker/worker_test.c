/* The worker with real executors, and a scripted coordinator over a real socket. */
#include "worker/worker.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "jobs/fault.h"
#include "worker/limits.h"
#include "worker_plans.h"
#include "worker_world.h"

static world w;

/* The positions that the test waits for, and the leases. */
static uint64_t want;
static uint64_t accounted(const world *x)
{
    return x->ok.count + x->holes.count + x->returned.count + x->suspect.count + x->failed.count;
}
static bool all_there(const world *x)
{
    return accounted(x) >= want;
}
static bool leases_ended(const world *x)
{
    return x->ended_leases >= want;
}
static bool has_exited(const world *x)
{
    return x->exited;
}
static bool nothing_unacked(const world *x)
{
    return sky_worker_stats(x->worker).results_unacked == 0;
}
static bool child_runs(const world *x)
{
    (void)x;
    return world_child() != 0;
}

static void print_failures(void)
{
    for (size_t i = 0; i < w.n_failures && i < 10; i++)
        fprintf(stderr, "failed %llu kind=%u %s\n", (unsigned long long)w.failures[i].position,
                w.failures[i].kind, w.failures[i].reason);
}

Test(worker, records_what_the_executors_evaluate)
{
    enum { LEASES = 40, ROWS = 25000 };
    world_open(&w, test_plan("name: s\njob: noop\nspace: {x: {from: 0, to: 999999, step: 1}}\n"),
               2);
    int64_t begin_ns = sky_clock_ns(), cpu_ns = sky_cpu_ns();
    for (uint64_t i = 0; i < LEASES; i++)
        world_lease(&w, i * ROWS, (i + 1) * ROWS, false);
    want = LEASES;
    cr_assert(world_run(&w, leases_ended, 30000));
    double s = (double)(sky_clock_ns() - begin_ns) * 1e-9;
    fprintf(stderr, "%.0f points/s, %.0f ns of agent and coordinator per point\n",
            (double)(LEASES * ROWS) / s, (double)(sky_cpu_ns() - cpu_ns) / (LEASES * ROWS));
    cr_assert_eq(w.ok.count, LEASES * ROWS);
    cr_assert_eq(w.rows, LEASES * ROWS);
    cr_assert_eq(w.y_sum, 999999.0 * 1000000 / 2);
    cr_assert_eq(w.ok.n, 1);
    cr_assert_eq(w.copies, 0);
    cr_assert(world_run(&w, nothing_unacked, 2000));
    world_close(&w);
}

static const double chances[4] = {0.03, 0, 0, 0.05};

Test(worker, charges_the_culprits_and_nobody_else)
{
    world_open(&w,
               test_plan("name: s\njob: fault\nspace: {x: {from: 0, to: 999, step: 1}, "
                         "crash: [0.03], fail: [0.05]}\n"),
               2);
    for (uint64_t i = 0; i < 10; i++)
        world_lease(&w, i * 100, (i + 1) * 100, false);
    want = 1000;
    cr_assert(world_run(&w, all_there, 30000));
    cr_assert_eq(accounted(&w), 1000);
    cr_assert_eq(w.returned.count + w.suspect.count + w.holes.count, 0);
    for (uint64_t p = 0; p < 1000; p++) {
        sky_fault f = sky__fault_of(sky_plan_trial_seed(w.plan, p), chances);
        cr_assert_eq(sky_ranges_has(&w.failed, p), f != SKY_FAULT_NONE);
        cr_assert_eq(sky_ranges_has(&w.ok, p), f == SKY_FAULT_NONE);
    }
    for (size_t i = 0; i < w.n_failures; i++) {
        uint64_t seed = sky_plan_trial_seed(w.plan, w.failures[i].position);
        bool crash = sky__fault_of(seed, chances) == SKY_FAULT_CRASH;
        cr_assert_eq(w.failures[i].kind, crash ? 1 : 0);
        cr_assert(strstr(w.failures[i].reason, crash ? "signal" : "on purpose"));
    }
    world_close(&w);
}

Test(worker, ends_a_trial_that_hangs)
{
    world_open(&w,
               test_plan("name: s\njob: fault\nspace: {x: {from: 0, to: 1, step: 1}, hang: [1]}\n"
                         "limits: {timeout: 300ms}\n"),
               2);
    int64_t begin_ns = sky_clock_ns();
    world_lease(&w, 0, 2, false);
    want = 2;
    cr_assert(world_run(&w, all_there, 10000));
    double s = (double)(sky_clock_ns() - begin_ns) * 1e-9;
    cr_assert(s > 0.6 && s < 3, "%g s", s);
    cr_assert_eq(w.n_failures, 2);
    cr_assert_eq(w.failures[0].kind, 2);
    cr_assert(strstr(w.failures[0].reason, "limits.timeout"), "%s", w.failures[0].reason);
    world_close(&w);
}

Test(worker, ends_a_trial_that_leaks)
{
    world_open(&w,
               test_plan("name: s\njob: fault\nspace: {x: {from: 0, to: 9, step: 1}, leak: [0.2]}\n"
                         "limits: {memory: 200MiB}\n"),
               1);
    world_lease(&w, 0, 10, false);
    want = 10;
    cr_assert(world_run(&w, all_there, 20000));
    const double leaks[4] = {0, 0, 0.2, 0};
    for (uint64_t p = 0; p < 10; p++)
        cr_assert_eq(sky_ranges_has(&w.failed, p),
                     sky__fault_of(sky_plan_trial_seed(w.plan, p), leaks) == SKY_FAULT_LEAK);
    cr_assert(w.n_failures > 0);
    for (size_t i = 0; i < w.n_failures; i++) {
        cr_assert_eq(w.failures[i].kind, 3);
        cr_assert(strstr(w.failures[i].reason, "limits.memory"));
    }
    world_close(&w);
}

Test(worker, a_dead_batch_is_suspect_and_alone_it_is_charged)
{
    world_open(&w,
               test_plan("name: s\njob: t_batch\nspace: {x: {from: 0, to: 4095, step: 1}, "
                         "mode: [crash]}\n"),
               1);
    world_lease(&w, 0, 4096, false);
    want = 4096;
    cr_assert(world_run(&w, all_there, 10000));
    cr_assert(sky_ranges_has(&w.suspect, 1300));
    cr_assert_eq(w.failed.count, 0);
    cr_assert_eq(w.ok.count + w.suspect.count, 4096);
    uint64_t suspects = w.suspect.count;
    world_lease(&w, w.suspect.r[0].begin, w.suspect.r[0].end, true);
    want = 2;
    cr_assert(world_run(&w, leases_ended, 10000));
    cr_assert_eq(w.failed.count, 1);
    cr_assert(sky_ranges_has(&w.failed, 1300));
    cr_assert_eq(w.suspect.count, suspects);
    cr_assert_eq(w.ok.count, 4095);
    world_close(&w);
}

Test(worker, keeps_standard_error_of_a_crash)
{
    world_open(&w, test_plan("name: s\njob: t_odd\nspace: {x: [1], what: [exit]}\n"), 1);
    world_lease(&w, 0, 1, false);
    want = 1;
    cr_assert(world_run(&w, all_there, 10000));
    cr_assert_eq(w.n_failures, 1);
    cr_assert_eq(w.failures[0].kind, 1);
    cr_assert_str_eq(w.failures[0].reason, "the process exited with code 3");
    world_close(&w);
}

Test(worker, a_flood_of_standard_error_takes_little_memory)
{
    world_open(&w, test_plan("name: s\njob: t_odd\nspace: {x: [1], what: [flood]}\n"), 1);
    world_lease(&w, 0, 1, false);
    want = 1;
    cr_assert(world_run(&w, all_there, 20000));
    cr_assert_str_eq(w.failures[0].reason, "flood");
    want = UINT64_MAX;
    world_run(&w, all_there, 1500); /* until the worker has looked again */
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/fd/2", world_child());
    cr_assert_eq(stat(path, &st), 0);
    cr_assert(st.st_blocks * 512 <= 16 << 20, "%lld bytes", (long long)st.st_blocks * 512);
    world_close(&w);
}

Test(worker, a_kill_from_outside_charges_nobody)
{
    world_open(&w,
               test_plan("name: s\njob: t_odd\nspace: {x: {from: 0, to: 99, step: 1}, "
                         "what: [sleep]}\n"),
               1);
    world_lease(&w, 0, 100, false);
    static const int signals[] = {SIGKILL, SIGKILL, SIGINT, SIGQUIT, SIGTERM};
    for (int i = 0; i < 5; i++) {
        want = accounted(&w) + 3;
        cr_assert(world_run(&w, all_there, 10000));
        if (w.ended_leases == 0 || w.ended_leases < w.next_lease) {
            cr_assert(world_run(&w, child_runs, 5000));
            kill(world_child(), signals[i]);
        }
    }
    want = 100;
    cr_assert(world_run(&w, all_there, 20000));
    print_failures();
    cr_assert_eq(w.failed.count, 0);
    cr_assert_eq(w.suspect.count, 0);
    cr_assert(w.returned.count >= 2);
    cr_assert_eq(accounted(&w), 100);
    world_close(&w);
}

Test(worker, a_stopped_executor_does_not_use_up_its_time)
{
    world_open(&w,
               test_plan("name: s\njob: fault\nspace: {x: {from: 0, to: 0, step: 1}, "
                         "sleep_us: [400000]}\nlimits: {timeout: 700ms}\n"),
               1);
    world_lease(&w, 0, 1, false);
    cr_assert(world_run(&w, child_runs, 5000));
    usleep(50000);
    int pid = world_child();
    kill(pid, SIGSTOP);
    want = 1;
    cr_assert(!world_run(&w, all_there, 1500));
    kill(pid, SIGCONT);
    cr_assert(world_run(&w, all_there, 5000));
    print_failures();
    cr_assert_eq(w.ok.count, 1);
    world_close(&w);
}

Test(worker, sends_results_again_after_a_lost_connection)
{
    world_open(&w,
               test_plan("name: s\njob: t_odd\nspace: {x: {from: 0, to: 99, step: 1}, "
                         "what: [sleep]}\n"),
               2);
    w.no_acks = true;
    world_lease(&w, 0, 50, false);
    world_lease(&w, 50, 100, false);
    want = 10;
    cr_assert(world_run(&w, all_there, 5000));
    uint64_t before = w.results;
    world_hub_close(&w);
    want = UINT64_MAX;
    world_run(&w, all_there, 500);
    world_hub_open(&w);
    w.no_acks = false;
    want = 100;
    cr_assert(world_run(&w, all_there, 20000));
    cr_assert(world_run(&w, nothing_unacked, 5000));
    cr_assert_eq(w.ok.count, 100);
    cr_assert(w.copies >= before, "%d copies, %d results before", (int)w.copies, (int)before);
    cr_assert(w.hellos >= 2);
    cr_assert_eq(w.ended_leases, 2);
    world_close(&w);
}

static bool second_hello(const world *x)
{
    return x->hellos >= 2 && nothing_unacked(x);
}

Test(worker, forgets_all_for_another_store)
{
    world_open(&w,
               test_plan("name: s\njob: t_odd\nspace: {x: {from: 0, to: 99, step: 1}, "
                         "what: [sleep]}\n"),
               1);
    w.no_acks = true;
    world_lease(&w, 0, 100, false);
    want = 5;
    cr_assert(world_run(&w, all_there, 5000));
    world_hub_close(&w);
    want = UINT64_MAX;
    world_run(&w, all_there, 300);
    w.store_uuid = "store-b";
    world_hub_open(&w);
    uint64_t results = w.results;
    cr_assert(world_run(&w, second_hello, 20000));
    cr_assert_eq(w.held_in_hello, 1);
    cr_assert_eq(sky_worker_stats(w.worker).leases_held, 0);
    cr_assert_eq(w.results, results);
    w.next_lease = 0; /* the other store counts its leases anew */
    world_lease(&w, 0, 5, false);
    want = 1;
    cr_assert(world_run(&w, leases_ended, 5000));
    world_close(&w);
}

Test(worker, stops_in_order)
{
    world_open(&w,
               test_plan("name: s\njob: t_odd\nspace: {x: {from: 0, to: 99, step: 1}, "
                         "what: [sleep]}\n"),
               1);
    world_lease(&w, 0, 50, false);
    world_lease(&w, 50, 100, false);
    want = 3;
    cr_assert(world_run(&w, all_there, 5000));
    world_send(&w, &(sky_msg){.type = SKY_MSG_STOP});
    cr_assert(world_run(&w, has_exited, 5000));
    cr_assert_eq(w.exit_code, 0);
    want = 100;
    cr_assert(world_run(&w, all_there, 1000));
    cr_assert_eq(w.ok.count + w.returned.count, 100);
    cr_assert_eq(w.failed.count, 0);
    cr_assert(w.ok.count < 20);
    cr_assert_eq(world_child(), 0);
    world_close(&w);
}

Test(worker, stops_at_once)
{
    world_open(&w,
               test_plan("name: s\njob: fault\nspace: {x: {from: 0, to: 9, step: 1}, hang: [1]}\n"),
               1);
    world_lease(&w, 0, 10, false);
    cr_assert(world_run(&w, child_runs, 5000));
    want = 1;
    cr_assert(!world_run(&w, all_there, 200));
    sky_worker_stop(w.worker, true);
    cr_assert(world_run(&w, has_exited, 5000));
    want = 10;
    cr_assert(world_run(&w, all_there, 1000));
    cr_assert_eq(w.returned.count, 10);
    cr_assert_eq(world_child(), 0);
    world_close(&w);
}

Test(worker, a_revoked_lease_ends_its_executor)
{
    world_open(&w,
               test_plan("name: s\njob: fault\nspace: {x: {from: 0, to: 9, step: 1}, hang: [1]}\n"),
               1);
    world_lease(&w, 0, 10, false);
    cr_assert(world_run(&w, child_runs, 5000));
    int pid = world_child();
    uint64_t lease = 1;
    world_send(&w, &(sky_msg){.type = SKY_MSG_REVOKE, .revoke = {.leases = &lease, .n = 1}});
    want = 1;
    cr_assert(!world_run(&w, all_there, 2000));
    cr_assert_neq(world_child(), pid);
    cr_assert_eq(sky_worker_stats(w.worker).leases_held, 0);
    world_close(&w);
}

Test(worker, removes_the_checkpoints_of_recorded_trials)
{
    world_open(&w,
               test_plan("name: s\njob: t_odd\nspace: {x: {from: 0, to: 3, step: 1}, "
                         "what: [checkpoint]}\n"),
               1);
    char file[128];
    snprintf(file, sizeof file, "%s/store-a/7/2", w.checkpoints);
    world_lease(&w, 0, 4, false);
    want = 4;
    cr_assert(world_run(&w, all_there, 5000));
    cr_assert_eq(w.failed.count, 4); /* the first attempt of each dies */
    cr_assert_eq(access(file, R_OK), 0);
    world_lease(&w, 0, 4, false);
    want = 2;
    cr_assert(world_run(&w, leases_ended, 5000));
    cr_assert_eq(w.ok.count, 4);
    cr_assert(world_run(&w, nothing_unacked, 5000));
    cr_assert_neq(access(file, R_OK), 0);
    world_close(&w);
}

Test(worker, sets_the_threads_of_libraries)
{
    world_open(&w,
               test_plan("name: s\njob: t_odd\nspace: {x: [1], what: [threads]}\n"
                         "resources: {cpus: 3}\n"),
               4);
    world_lease(&w, 0, 1, false);
    want = 1;
    cr_assert(world_run(&w, all_there, 5000));
    cr_assert_eq(w.y_sum, 33.0);
    world_close(&w);
}

/* A worker in a process of its own, whose job starts a program. */
static void be_a_worker(const char *file)
{
    setsid(); /* the process that inherits orphans is of another session, as it usually is */
    world_open(&w, test_plan("name: s\njob: t_odd\nspace: {x: [1], what: ['child:%s']}\n", file),
               1);
    world_lease(&w, 0, 1, false);
    char command[128]; /* it will be killed: what it needs is open, so nothing is left behind */
    snprintf(command, sizeof command, "rm -rf %s", w.dir);
    if (system(command) != 0)
        _exit(1);
    want = 1;
    world_run(&w, all_there, 60000);
    _exit(0);
}

static int read_number(const char *file)
{
    FILE *f = fopen(file, "r");
    int n = 0;
    if (f && fscanf(f, "%d", &n) != 1)
        n = 0;
    if (f)
        fclose(f);
    return n;
}

/* Whether each thread of a process is stopped: only then the kernel counts the process as stopped. */
static bool all_stopped(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    bool all = tasks != NULL;
    const struct dirent *d;
    while (all && (d = readdir(tasks)) != NULL)
        all = d->d_name[0] == '.' || sky_process_state((pid_t)atoi(d->d_name)) == 'T';
    if (tasks)
        closedir(tasks);
    return all;
}

static void die_together(bool stopped)
{
    char file[] = "/tmp/sky-worker-XXXXXX";
    close(mkstemp(file));
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* orphans come to us */
    pid_t worker = fork();
    if (worker == 0)
        be_a_worker(file);
    int program = 0;
    for (int i = 0; i < 5000 && !program; i++) {
        usleep(1000);
        program = read_number(file);
    }
    cr_assert(program);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)worker, (int)worker);
    int executor = read_number(path);
    cr_assert(executor);
    if (stopped)
        kill(executor, SIGSTOP);
    while (stopped && !all_stopped(executor))
        usleep(1000);
    kill(worker, SIGKILL);
    int status, left = 3; /* the worker, its executor, the executor's program */
    for (int i = 0; i < 5000 && left; i++) {
        pid_t pid = waitpid(-1, &status, WNOHANG);
        left -= pid == worker || pid == executor || pid == program;
        if (pid == 0)
            usleep(1000);
    }
    cr_assert_eq(left, 0);
    unlink(file);
}

Test(worker, executors_and_their_programs_die_with_it)
{
    die_together(false);
}

Test(worker, a_stopped_executor_dies_with_it_too)
{
    die_together(true);
}

Test(worker, says_why_it_cannot_open)
{
    sky_error e = {0};
    sky_worker *worker = NULL;
    uv_loop_t loop;
    uv_loop_init(&loop);
    sky_worker_options o = {.loop = &loop, .endpoint = "ipc:///nowhere/at/all", .gpus = "0,,1"};
    cr_assert_eq(sky_worker_open(&worker, &o, &e), SKY_EINVAL);
    cr_assert(strstr(e.text, "GPUs"));
    o.gpus = "";
    o.slots = SKY_AGENT_CPUS_MAX + 1;
    cr_assert_eq(sky_worker_open(&worker, &o, &e), SKY_EINVAL);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
}
