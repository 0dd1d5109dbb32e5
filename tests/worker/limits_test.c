/* The watch over executors, with pages and clocks of the test's own where it can. */
#include "worker/limits.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define MS SKY_NS_PER_MS

static sky_executor_page page;

static void begin(uint64_t first, uint64_t n, int64_t now_ns)
{
    atomic_fetch_add(&page.turn, 2);
    atomic_store(&page.begin, first);
    atomic_store(&page.end, first + n);
    atomic_store(&page.started_ns, now_ns);
}

Test(limits, tells_what_runs)
{
    sky_watch_trial t;
    cr_assert(!sky_watch_running(&page, &t));
    begin(5, 1, 77);
    cr_assert(sky_watch_running(&page, &t));
    cr_assert_eq(t.begin, 5);
    cr_assert_eq(t.end, 6);
    cr_assert_eq(t.started_ns, 77);
    atomic_fetch_add(&page.turn, 1); /* it died while it changed trials */
    cr_assert(!sky_watch_running(&page, &t));
}

Test(limits, a_trial_has_its_own_time)
{
    sky_watch w = {.pid = getpid(), .page = &page, .timeout_ns = 200 * MS};
    int64_t now = 1000 * MS;
    for (int trial = 0; trial < 5; trial++) {
        begin((uint64_t)trial, 1, now);
        for (int i = 0; i < 3; i++) /* 150 ms each */
            cr_assert_eq(sky_watch_check(&w, now += 50 * MS), SKY_WATCH_OK);
    }
    begin(9, 1, now);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(sky_watch_check(&w, now += 50 * MS), SKY_WATCH_OK);
    cr_assert_eq(sky_watch_check(&w, now += 50 * MS), SKY_WATCH_TIMEOUT);
}

Test(limits, nothing_running_has_no_limit)
{
    sky_watch w = {.pid = getpid(), .page = &page, .timeout_ns = 10 * MS};
    int64_t now = 1000 * MS;
    for (int i = 0; i < 20; i++)
        cr_assert_eq(sky_watch_check(&w, now += 50 * MS), SKY_WATCH_OK);
}

Test(limits, a_gap_of_the_watcher_counts_as_one_period)
{
    sky_watch w = {.pid = getpid(), .page = &page, .timeout_ns = 200 * MS};
    int64_t now = 1000 * MS;
    begin(1, 1, now);
    cr_assert_eq(sky_watch_check(&w, now += 50 * MS), SKY_WATCH_OK);
    cr_assert_eq(sky_watch_check(&w, now += 3600000 * MS), SKY_WATCH_OK);
    cr_assert_eq(sky_watch_check(&w, now += 50 * MS), SKY_WATCH_OK);
    cr_assert_eq(sky_watch_check(&w, now += 50 * MS), SKY_WATCH_OK);
    cr_assert_eq(sky_watch_check(&w, now += 50 * MS), SKY_WATCH_TIMEOUT);
    /* A trial that began before the gap and is seen only after it. */
    begin(2, 1, now);
    cr_assert_eq(sky_watch_check(&w, now += 3600000 * MS), SKY_WATCH_OK);
}

Test(limits, a_stopped_process_uses_no_time)
{
    pid_t pid = fork();
    if (pid == 0) {
        for (;;)
            pause();
    }
    sky_watch w = {.pid = pid, .page = &page, .timeout_ns = 200 * MS};
    int64_t now = 1000 * MS;
    begin(1, 1, now);
    kill(pid, SIGSTOP);
    waitpid(pid, NULL, WUNTRACED);
    cr_assert_eq(sky_process_state(pid), 'T');
    for (int i = 0; i < 50; i++)
        cr_assert_eq(sky_watch_check(&w, now += 50 * MS), SKY_WATCH_OK);
    kill(pid, SIGCONT);
    waitpid(pid, NULL, WCONTINUED);
    sky_watch_verdict v = SKY_WATCH_OK;
    for (int i = 0; i < 10 && v == SKY_WATCH_OK; i++)
        v = sky_watch_check(&w, now += 50 * MS);
    cr_assert_eq(v, SKY_WATCH_TIMEOUT);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    cr_assert_eq(sky_process_state(pid), 0);
    cr_assert_eq(sky_resident_bytes(pid), 0);
}

Test(limits, descendants_count)
{
    enum { BYTES = 64 << 20 };
    int ready[2];
    char byte;
    cr_assert_eq(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);     /* so that both can be ended */
        if (fork() == 0) { /* a grandchild takes the memory */
            char *block = malloc(BYTES);
            memset(block, 1, BYTES);
            if (write(ready[1], block, 1) == 1)
                pause();
            _exit(0);
        }
        pause();
        _exit(0);
    }
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    cr_assert(sky_resident_bytes(pid) >= BYTES);
    sky_watch w = {.pid = pid, .page = &page, .memory_bytes = BYTES};
    cr_assert_eq(sky_watch_check(&w, 1), SKY_WATCH_MEMORY);
    w.memory_bytes = (uint64_t)BYTES * 16;
    cr_assert_eq(sky_watch_check(&w, 2), SKY_WATCH_OK);
    cr_assert(w.resident_bytes >= BYTES);
    kill(-pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

Test(limits, the_oom_killer_is_counted)
{
    cr_assert_eq(sky_oom_kills(), sky_oom_kills());
}
