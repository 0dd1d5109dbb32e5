/* The executor as a real process, with the test as its agent. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "wire/msg.h"
#include "worker/executor.h"
#include "worker/limits.h"
#include "worker_plans.h"

typedef struct executor {
    pid_t pid;
    int fd, log;
    sky_executor_page *page;
    sky_plan *plan;
    sky_arena arena; /* of what was received */
} executor;

static void start(executor *x, sky_plan *plan, const char *checkpoints)
{
    int pair[2];
    *x = (executor){.plan = plan};
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    int page = memfd_create("page", MFD_CLOEXEC);
    x->log = memfd_create("log", MFD_CLOEXEC);
    fcntl(x->log, F_SETFL, O_APPEND);
    cr_assert_eq(ftruncate(page, sizeof *x->page), 0);
    x->page = mmap(NULL, sizeof *x->page, PROT_READ | PROT_WRITE, MAP_SHARED, page, 0);
    x->page->parent_pid = (uint32_t)getpid();
    x->page->threads = 1;
    snprintf(x->page->checkpoints, sizeof x->page->checkpoints, "%s",
             checkpoints ? checkpoints : "");
    x->pid = fork();
    cr_assert(x->pid >= 0);
    if (x->pid == 0) {
        dup2(open("/dev/null", O_RDONLY), 0);
        dup2(x->log, 1);
        dup2(x->log, 2);
        /* Neither may be overwritten before it is copied. */
        int channel = fcntl(pair[1], F_DUPFD, 10), copy = fcntl(page, F_DUPFD, 10);
        dup2(channel, 3);
        dup2(copy, 4);
        close(channel);
        close(copy);
        execl(EXECUTOR_PROGRAM, "executor", (char *)NULL);
        _exit(127);
    }
    close(pair[1]);
    close(page);
    x->fd = pair[0];
}

static void send_msg(executor *x, const sky_msg *m)
{
    sky_buf b = {0};
    sky_buf_add(&b, "\0\0\0\0", 4);
    cr_assert_eq(sky_msg_encode(m, &b), SKY_OK);
    for (int i = 0; i < 4; i++)
        b.data[i] = (char)((b.len - 4) >> 8 * i);
    cr_assert_eq(send(x->fd, b.data, b.len, MSG_NOSIGNAL), (ssize_t)b.len);
    sky_buf_free(&b);
}

static void send_plan(executor *x)
{
    send_msg(x, &(sky_msg){.type = SKY_MSG_PLAN,
                           .plan = {.sweep = 7, .revision = 1, .text = sky_plan_text(x->plan)}});
}

static void send_lease(executor *x, uint64_t begin, uint64_t end, bool isolate)
{
    sky_range r = {begin, end};
    send_msg(
        x,
        &(sky_msg){
            .type = SKY_MSG_LEASE,
            .lease = {
                .lease = 99, .sweep = 7, .revision = 1, .isolate = isolate, .positions = {&r, 1}}});
}

static bool read_all(int fd, void *to, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = recv(fd, (char *)to + at, len - at, 0);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

/* The next result, in x->arena; false at the channel's end. */
static bool receive(executor *x, sky_msg *m)
{
    uint8_t h[4];
    if (!read_all(x->fd, h, 4))
        return false;
    uint32_t len = h[0] | (uint32_t)h[1] << 8 | (uint32_t)h[2] << 16 | (uint32_t)h[3] << 24;
    char *bytes = malloc(len + 1);
    cr_assert(read_all(x->fd, bytes, len));
    sky_error e = {0};
    cr_assert_eq(sky_msg_decode(m, bytes, len, &x->arena, &e), SKY_OK, "%s", e.text);
    cr_assert_eq(m->type, SKY_MSG_RESULT);
    cr_assert_eq(m->result.lease, 99);
    cr_assert_eq(m->result.sweep, 7);
    cr_assert_eq(m->result.seq, 0);
    free(bytes);
    return true;
}

/* Closes the channel; returns the status of waitpid(). */
static int finish(executor *x)
{
    if (x->fd >= 0)
        close(x->fd);
    int status = 0;
    cr_assert_eq(waitpid(x->pid, &status, 0), x->pid);
    munmap(x->page, sizeof *x->page);
    close(x->log);
    sky_arena_free(&x->arena);
    sky_plan_free(x->plan);
    return status;
}

static void finish_in_order(executor *x)
{
    int status = finish(x);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
}

/* Runs one lease to its end and sums up what came. */
typedef struct tally {
    uint64_t ok, holes, returned, failed, messages;
} tally;

static tally run_lease(executor *x, uint64_t begin, uint64_t end, bool isolate)
{
    tally t = {0};
    sky_ranges all = {0};
    sky_ranges_add(&all, begin, end);
    send_lease(x, begin, end, isolate);
    for (bool last = false; !last;) {
        sky_msg m;
        bool got = receive(x, &m);
        char log[512] = "";
        ssize_t n = got ? 0 : pread(x->log, log, sizeof log - 1, 0);
        cr_assert(got, "%s", n > 0 ? log : "no log");
        const sky_msg_result *r = &m.result;
        const sky_range_list *lists[] = {&r->ok, &r->holes, &r->returned, &r->suspect};
        for (int l = 0; l < 4; l++) {
            for (size_t i = 0; i < lists[l]->n; i++) {
                sky_range g = lists[l]->r[i];
                cr_assert_eq(sky_ranges_remove(&all, g.begin, g.end), g.end - g.begin);
            }
        }
        for (size_t i = 0; i < r->n_failed; i++)
            cr_assert_eq(sky_ranges_remove(&all, r->failed[i].position, r->failed[i].position + 1),
                         1);
        t.ok += sky_range_list_count(&r->ok);
        t.holes += sky_range_list_count(&r->holes);
        t.returned += sky_range_list_count(&r->returned);
        t.failed += r->n_failed;
        t.messages++;
        last = r->last;
    }
    cr_assert_eq(all.count, 0);
    sky_ranges_free(&all);
    return t;
}

Test(executor, evaluates_a_batch_job_and_hashes_its_values)
{
    executor x;
    start(&x, test_plan("name: s\njob: noop\nspace: {x: {from: 0, to: 99999, step: 1}}\n"), NULL);
    send_plan(&x);
    send_lease(&x, 10, 20, false);
    sky_msg m;
    uint64_t seen = 10;
    do {
        cr_assert(receive(&x, &m));
        const sky_msg_result *r = &m.result;
        uint64_t n = sky_range_list_count(&r->ok);
        cr_assert_eq(r->n_metrics, 1);
        double values[32];
        for (uint64_t k = 0; k < n; k++) {
            cr_assert_eq(r->metrics[0].f[k], (double)(seen + k));
            values[k] = (double)(seen + k);
            cr_assert(r->wall_s[k] >= 0);
        }
        sky_column c = {.type = SKY_REAL, .f = values};
        cr_assert_eq(r->values_hash, sky_columns_hash(&c, 1, n));
        seen += n;
    } while (!m.result.last);
    cr_assert_eq(seen, 20);
    tally t = run_lease(&x, 0, 32768, false);
    cr_assert_eq(t.ok, 32768);
    finish_in_order(&x);
}

Test(executor, leaves_out_the_holes)
{
    executor x;
    start(&x,
          test_plan("name: s\njob: t_odd\nspace: {x: {from: 0, to: 99, step: 1}}\n"
                    "where: ['x %% 3 = 0']\n"),
          NULL);
    send_plan(&x);
    tally t = run_lease(&x, 0, 100, false);
    cr_assert_eq(t.ok, 34);
    cr_assert_eq(t.holes, 66);
    finish_in_order(&x);
}

Test(executor, rows_of_a_batch_fail_alone)
{
    executor x;
    start(
        &x,
        test_plan("name: s\njob: t_batch\nspace: {x: {from: 0, to: 999, step: 1}, mode: [rows]}\n"),
        NULL);
    send_plan(&x);
    send_lease(&x, 0, 1000, false);
    sky_msg m;
    uint64_t ok = 0, seven = 0, nan = 0, absent = 0;
    do {
        cr_assert(receive(&x, &m));
        const sky_msg_result *r = &m.result;
        size_t row = 0;
        for (size_t i = 0; i < r->ok.n; i++) {
            for (uint64_t p = r->ok.r[i].begin; p < r->ok.r[i].end; p++, row++) {
                sky_value y = sky_column_get(&r->metrics[0], row);
                sky_value note = sky_column_get(&r->metrics[1], row);
                cr_assert_eq(y.absent, p % 10 == 4);
                cr_assert_eq(note.absent, p % 10 == 4);
                absent += y.absent;
                if (!y.absent) {
                    cr_assert_eq(y.f, (double)(2 * p));
                    cr_assert_str_eq(note.s, p % 2 ? "odd" : "even");
                }
            }
        }
        ok += row;
        for (size_t i = 0; i < r->n_failed; i++) {
            bool is_seven = r->failed[i].position % 10 == 7;
            cr_assert_str_eq(r->failed[i].reason, is_seven ? "a seven" : "metric 'y' is NaN");
            seven += is_seven;
            nan += !is_seven;
        }
    } while (!m.result.last);
    cr_assert_eq(ok, 800);
    cr_assert_eq(seven, 100);
    cr_assert_eq(nan, 100);
    cr_assert_eq(absent, 100);
    finish_in_order(&x);
}

Test(executor, a_failed_batch_is_tried_row_by_row)
{
    executor x;
    start(
        &x,
        test_plan("name: s\njob: t_batch\nspace: {x: {from: 0, to: 99, step: 1}, mode: [error]}\n"),
        NULL);
    send_plan(&x);
    tally t = run_lease(&x, 0, 100, false);
    cr_assert_eq(t.ok, 99);
    cr_assert_eq(t.failed, 1);
    finish_in_order(&x);
}

Test(executor, validate_fails_a_row)
{
    executor x;
    start(&x,
          test_plan(
              "name: s\njob: t_batch\nspace: {x: {from: 0, to: 9, step: 1}, mode: [invalid]}\n"),
          NULL);
    send_plan(&x);
    tally t = run_lease(&x, 0, 10, false);
    cr_assert_eq(t.ok, 9);
    cr_assert_eq(t.failed, 1);
    finish_in_order(&x);
}

Test(executor, the_page_tells_who_crashed)
{
    executor x;
    start(&x,
          test_plan(
              "name: s\njob: t_batch\nspace: {x: {from: 0, to: 4095, step: 1}, mode: [crash]}\n"),
          NULL);
    send_plan(&x);
    send_lease(&x, 0, 4096, false);
    sky_msg m;
    while (receive(&x, &m)) {
    }
    sky_watch_trial t;
    cr_assert(sky_watch_running(x.page, &t));
    cr_assert(t.begin <= 1300 && 1300 < t.end && t.end - t.begin > 1);
    int status = finish(&x);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

Test(executor, an_isolated_crash_is_one_position)
{
    executor x;
    start(&x,
          test_plan(
              "name: s\njob: t_batch\nspace: {x: {from: 0, to: 4095, step: 1}, mode: [crash]}\n"),
          NULL);
    send_plan(&x);
    send_lease(&x, 1290, 1310, true);
    sky_msg m;
    while (receive(&x, &m)) {
    }
    sky_watch_trial t;
    cr_assert(sky_watch_running(x.page, &t));
    cr_assert_eq(t.begin, 1300);
    cr_assert_eq(t.end, 1301);
    finish(&x);
}

/* One position of job t_odd; the message, in x->arena. */
static sky_msg one(executor *x, const char *what, uint64_t position)
{
    start(x,
          test_plan("name: s\njob: t_odd\nspace: {x: {from: 0, to: 99, step: 1}, what: ['%s']}\n",
                    what),
          NULL);
    send_plan(x);
    send_lease(x, position, position + 1, false);
    sky_msg m;
    cr_assert(receive(x, &m));
    cr_assert(m.result.last);
    return m;
}

Test(executor, standard_output_does_not_disturb_the_channel)
{
    executor x;
    sky_msg m = one(&x, "stdout", 4);
    cr_assert_eq(sky_range_list_count(&m.result.ok), 1);
    char text[128] = "";
    cr_assert(pread(x.log, text, sizeof text - 1, 0) > 0);
    cr_assert_str_eq(text, "to standard output 4\nraw\n");
    finish_in_order(&x);
}

Test(executor, a_failed_trial_keeps_its_own_log)
{
    executor x;
    sky_msg m = one(&x, "log", 5);
    cr_assert_eq(m.result.n_failed, 1);
    cr_assert_eq(m.result.failed[0].kind, 0);
    cr_assert_str_eq(m.result.failed[0].reason, "odd: 5");
    cr_assert_str_eq(m.result.failed[0].log, "log of 5\n");
    send_lease(&x, 6, 10, false);
    cr_assert(receive(&x, &m));
    cr_assert_eq(m.result.n_failed, 2);
    cr_assert_str_eq(m.result.failed[1].log, "log of 9\n");
    finish_in_order(&x);
}

Test(executor, the_end_of_a_long_log_is_kept)
{
    executor x;
    sky_msg m = one(&x, "loud", 1);
    cr_assert_eq(m.result.n_failed, 1);
    const char *log = m.result.failed[0].log;
    cr_assert_eq(strlen(log), SKY_EXECUTOR_LOG_MAX);
    const char *end = "\nline 199999 of a very loud job\n";
    cr_assert_str_eq(log + strlen(log) - strlen(end), end);
    finish_in_order(&x);
}

Test(executor, curves_and_artifacts_come_with_the_result)
{
    executor x;
    sky_msg m = one(&x, "curve", 2);
    const sky_msg_result *r = &m.result;
    cr_assert_eq(sky_range_list_count(&r->ok), 1);
    cr_assert_eq(r->metrics[0].f[0], 5.0);
    cr_assert(sky_column_get(&r->metrics[1], 0).absent);
    cr_assert_eq(r->n_curve, 6);
    cr_assert_eq(r->curve[5].step, 2);
    cr_assert_eq(r->curve[5].position, 2);
    cr_assert_str_eq(r->curve[5].name, "accuracy");
    cr_assert_eq(r->n_artifacts, 1);
    cr_assert_str_eq(r->artifacts[0].name, "net.bin");
    cr_assert_eq(r->artifacts[0].len, 3);
    cr_assert_eq(memcmp(r->artifacts[0].bytes, "a\0b", 3), 0);
    finish_in_order(&x);
}

Test(executor, text_metrics_outlive_the_trial)
{
    executor x;
    start(&x,
          test_plan("name: s\njob: t_odd\nspace: {x: {from: 0, to: 99, step: 1}, what: [text]}\n"),
          NULL);
    send_plan(&x);
    send_lease(&x, 0, 50, false);
    sky_msg m;
    cr_assert(receive(&x, &m));
    cr_assert_eq(sky_range_list_count(&m.result.ok), 50);
    for (size_t k = 0; k < 50; k++)
        cr_assert_eq(atoi(m.result.metrics[1].s[k] + 1), (int)k);
    finish_in_order(&x);
}

Test(executor, nan_and_wrong_types_fail_the_attempt)
{
    executor x;
    sky_msg m = one(&x, "nan", 1);
    cr_assert_eq(m.result.n_failed, 1);
    cr_assert_str_eq(m.result.failed[0].reason, "metric 'y' is NaN");
    finish_in_order(&x);
    m = one(&x, "type", 1);
    cr_assert_eq(m.result.n_failed, 1);
    cr_assert_str_eq(m.result.failed[0].reason, "metric 'y' is text, declared as real");
    finish_in_order(&x);
}

Test(executor, slow_trials_are_reported_as_they_end)
{
    executor x;
    start(&x,
          test_plan("name: s\njob: t_odd\nspace: {x: {from: 0, to: 99, step: 1}, what: [sleep]}\n"),
          NULL);
    send_plan(&x);
    tally t = run_lease(&x, 0, 12, false);
    cr_assert_eq(t.ok, 12);
    cr_assert(t.messages >= 3, "%d messages", (int)t.messages);
    finish_in_order(&x);
}

Test(executor, drains_when_asked)
{
    executor x;
    start(&x,
          test_plan("name: s\njob: t_odd\nspace: {x: {from: 0, to: 99, step: 1}, what: [sleep]}\n"),
          NULL);
    send_plan(&x);
    atomic_store(&x.page->drain, 0);
    send_lease(&x, 0, 100, false);
    sky_msg m;
    cr_assert(receive(&x, &m));
    atomic_store(&x.page->drain, 1);
    uint64_t ok = sky_range_list_count(&m.result.ok), returned = 0;
    while (!m.result.last) {
        cr_assert(receive(&x, &m));
        ok += sky_range_list_count(&m.result.ok);
        returned += sky_range_list_count(&m.result.returned);
    }
    cr_assert_eq(ok + returned, 100);
    cr_assert(ok < 20);
    finish_in_order(&x);
}

Test(executor, sigterm_ends_it_in_order)
{
    executor x;
    start(&x,
          test_plan("name: s\njob: t_odd\nspace: {x: {from: 0, to: 9, step: 1}, what: [wait]}\n"),
          NULL);
    send_plan(&x);
    send_lease(&x, 0, 10, false);
    sky_watch_trial t;
    while (!sky_watch_running(x.page, &t))
        usleep(1000);
    kill(x.pid, SIGTERM);
    sky_msg m;
    cr_assert(receive(&x, &m));
    cr_assert(m.result.last);
    cr_assert_eq(sky_range_list_count(&m.result.returned), 10);
    cr_assert(!receive(&x, &m)); /* it ends without being told again */
    finish_in_order(&x);
}

Test(executor, sigterm_ends_an_idle_one)
{
    executor x;
    sky_msg m = one(&x, "", 1);
    kill(x.pid, SIGTERM);
    cr_assert(!receive(&x, &m));
    finish_in_order(&x);
}

Test(executor, the_channels_end_ends_a_busy_one_and_its_children)
{
    char file[] = "/tmp/sky-executor-XXXXXX";
    close(mkstemp(file));
    /* The orphan comes to us, so that its end is seen whoever is process 1 here. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    executor x;
    start(&x, test_plan("name: s\njob: t_odd\nspace: {x: [1], what: ['child:%s']}\n", file), NULL);
    send_plan(&x);
    send_lease(&x, 0, 1, false);
    FILE *f = NULL;
    int child = 0;
    while (child == 0) {
        usleep(1000);
        f = fopen(file, "r");
        if (fscanf(f, "%d", &child) != 1)
            child = 0;
        fclose(f);
    }
    int status = finish(&x);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    /* Ours to wait for once the shell that started it has ended too, unless that one saw its end. */
    pid_t waited;
    while ((waited = waitpid(child, &status, 0)) < 0 && errno == ECHILD && kill(child, 0) == 0)
        usleep(1000);
    cr_assert(waited == child || errno == ESRCH, "%s", strerror(errno));
    cr_assert(waited != child || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    unlink(file);
}

Test(executor, a_checkpoint_survives_a_crash)
{
    char folder[] = "/tmp/sky-checkpoints-XXXXXX";
    cr_assert(mkdtemp(folder));
    char deep[64], file[96];
    snprintf(deep, sizeof deep, "%s/store/7", folder);
    snprintf(file, sizeof file, "%s/3", deep);
    executor x;
    for (int attempt = 0; attempt < 2; attempt++) {
        start(&x,
              test_plan("name: s\njob: t_odd\nspace: {x: {from: 0, to: 9, step: 1}, "
                        "what: [checkpoint]}\n"),
              deep);
        send_plan(&x);
        send_lease(&x, 3, 4, false);
        sky_msg m;
        bool got = receive(&x, &m);
        cr_assert_eq(got, attempt == 1);
        cr_assert_eq(atomic_load(&x.page->checkpoints_used), 1);
        cr_assert_eq(access(file, R_OK), 0);
        if (got) {
            cr_assert_eq(sky_range_list_count(&m.result.ok), 1);
            cr_assert_eq(m.result.metrics[0].f[0], 4.0);
        }
        finish(&x);
    }
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    cr_assert_eq(system(command), 0);
}

Test(executor, a_job_it_lacks_fails_a_few_and_returns_the_rest)
{
    executor x;
    start(&x, test_plan("name: s\njob: noop\nspace: {x: {from: 0, to: 999, step: 1}}\n"), NULL);
    sky_buf text = {0};
    const char *at = strstr(sky_plan_text(x.plan), "\"noop\"");
    cr_assert(at);
    sky_buf_add(&text, sky_plan_text(x.plan), (size_t)(at - sky_plan_text(x.plan)));
    sky_buf_puts(&text, "\"nope\"");
    sky_buf_puts(&text, at + 6);
    send_msg(&x, &(sky_msg){.type = SKY_MSG_PLAN,
                            .plan = {.sweep = 7, .revision = 1, .text = sky_buf_str(&text)}});
    sky_buf_free(&text);
    tally t = run_lease(&x, 0, 1000, false);
    cr_assert_eq(t.failed, 64);
    cr_assert_eq(t.returned, 936);
    /* Nonsense instead of a plan: the same. */
    send_msg(&x,
             &(sky_msg){.type = SKY_MSG_PLAN, .plan = {.sweep = 7, .revision = 1, .text = "{}"}});
    t = run_lease(&x, 0, 10, false);
    cr_assert_eq(t.failed, 10);
    finish_in_order(&x);
}

Test(executor, refuses_to_be_started_by_hand)
{
    int status = system(EXECUTOR_PROGRAM " 3</dev/null 4</dev/null 2>/dev/null");
    cr_assert_eq(WEXITSTATUS(status), 2);
}
