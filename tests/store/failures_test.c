#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

static sky_error e;
#define OK(call) cr_assert_eq((call), SKY_OK, "%s", e.text)

static sky_store *open_new(int64_t *sweep)
{
    sky_store *s = NULL;
    const sky_store_options o = kit_writer(kit_path("f.db"));
    const sky_sweep_spec spec = kit_spec("noop", &kit_noop, 1000);
    OK(sky_store_open(&s, &o, &e));
    OK(sky_store_sweep_create(s, &spec, sweep, &e));
    return s;
}

static sky_err fail(sky_store *s, int64_t sweep, uint64_t position, uint32_t attempts, bool final,
                    sky_failure_kind kind, const char *log)
{
    const sky_failure f = {.sweep = sweep,
                           .position = position,
                           .trial = position,
                           .attempts = attempts,
                           .quarantined = final,
                           .kind = kind,
                           .reason = "it broke",
                           .log = log,
                           .log_len = log ? strlen(log) : 0};
    return sky_store_fail(s, &f, &e);
}

static uint64_t failed_count(sky_store *s)
{
    sky_sweep_info i;
    OK(sky_store_sweep_find(s, "noop", &i, &e));
    const uint64_t n = i.failed;
    sky_sweep_info_free(&i);
    return n;
}

static void sum_attempts(void *arg, uint64_t position, uint32_t attempts)
{
    uint64_t *sum = arg;
    *sum += position * 100 + attempts;
}

Test(failures, charged_then_quarantined_then_retried)
{
    int64_t id;
    sky_store *s = open_new(&id);
    uint64_t sum = 0;
    sky_ranges done = {0}, failed = {0}, back = {0};
    OK(fail(s, id, 5, 1, false, SKY_FAILURE_CRASH, "boom"));
    OK(fail(s, id, 6, 2, false, SKY_FAILURE_ERROR, NULL));
    OK(sky_store_commit(s, NULL, &e));
    OK(sky_store_attempts(s, id, sum_attempts, &sum, &e));
    cr_assert_eq(sum, 501 + 602);
    cr_assert_eq(failed_count(s), 0);
    OK(fail(s, id, 5, 2, true, SKY_FAILURE_CRASH, "boom"));
    OK(fail(s, id, 7, 3, true, SKY_FAILURE_TIMEOUT, "slow"));
    cr_assert_eq(failed_count(s), 2, "before the commit too");
    OK(sky_store_commit(s, NULL, &e));
    cr_assert_eq(failed_count(s), 2);
    cr_assert_eq(kit_int(s, "SELECT failed FROM sky_sweeps"), 2);
    OK(sky_store_settled(s, id, &done, &failed, &e));
    cr_assert(done.count == 0 && failed.count == 2 && sky_ranges_has(&failed, 5));
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM sky_logs"), 2, "the same text once");
    OK(sky_store_retry(s, id, SKY_FAILURE_TIMEOUT, &back, &e));
    cr_assert(back.count == 1 && sky_ranges_has(&back, 7));
    OK(sky_store_retry(s, id, -1, &back, &e));
    cr_assert(back.count == 1 && sky_ranges_has(&back, 5));
    OK(sky_store_commit(s, NULL, &e));
    cr_assert_eq(failed_count(s), 0);
    cr_assert_eq(sky_store_retry(s, 99, -1, &back, &e), SKY_ENOTFOUND);
    sky_ranges_free(&done);
    sky_ranges_free(&failed);
    sky_ranges_free(&back);
    sky_store_close(s);
}

Test(failures, a_result_counts_more)
{
    int64_t id;
    sky_store *s = open_new(&id);
    OK(fail(s, id, 5, 1, false, SKY_FAILURE_CRASH, NULL));
    OK(fail(s, id, 6, 3, true, SKY_FAILURE_CRASH, NULL));
    OK(fail(s, id, 50, 3, true, SKY_FAILURE_CRASH, NULL));
    OK(kit_record(s, id, 0, 10, &e));
    OK(fail(s, id, 9, 3, true, SKY_FAILURE_LOST, NULL)); /* too late */
    OK(sky_store_commit(s, NULL, &e));
    cr_assert_eq(failed_count(s), 1);
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM sky_attempts"), 0);
    cr_assert_eq(kit_int(s, "SELECT position FROM sky_failures"), 50);
    sky_store_close(s);
}

Test(failures, logs_are_cut_and_capped)
{
    int64_t id;
    sky_store *s = open_new(&id);
    const size_t len = SKY_LOG_BYTES_MAX + 100;
    char *log = malloc(len + 1);
    for (uint64_t i = 0; i < 1030; i++) {
        memset(log, 'a', len);
        log[len] = 0;
        snprintf(log + len - 20, 21, "end %016llu", (unsigned long long)i);
        OK(fail(s, id, i % 1000, 3, true, SKY_FAILURE_CRASH, log));
    }
    OK(sky_store_commit(s, NULL, &e));
    cr_assert_eq(kit_int(s, "SELECT max(length(text)) FROM sky_logs"), SKY_LOG_BYTES_MAX);
    cr_assert_eq(kit_int(s, "SELECT substr(text, -3) = '007' FROM sky_logs WHERE id = 8"), 1);
    cr_assert_eq(kit_int(s, "SELECT log_bytes FROM sky_sweeps"), SKY_SWEEP_LOG_BYTES_MAX);
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM sky_failures WHERE log IS NULL"), 6);
    OK(fail(s, id, 3, 3, true, SKY_FAILURE_CRASH, "\xff not \xfe text"));
    const sky_failure zero = {
        .sweep = id, .position = 4, .reason = NULL, .log = "a\0b", .log_len = 3};
    OK(sky_store_fail(s, &zero, &e));
    OK(sky_store_commit(s, NULL, &e));
    free(log);
    sky_store_close(s);
}

Test(failures, curves_artifacts_environments)
{
    int64_t id, a, b, c;
    sky_store *s = open_new(&id);
    const char *names[] = {"loss", "accuracy"};
    const double values[] = {0.5, 0.9}, later[] = {0.25, 0.95};
    OK(sky_store_curve(s, id, 3, 1, 2, names, values, &e));
    OK(sky_store_curve(s, id, 3, 2, 2, names, later, &e));
    OK(sky_store_curve(s, id, 3, 2, 1, names, values, &e)); /* again */
    OK(sky_store_artifact(s, id, 3, "model", "abc", 3, &e));
    OK(sky_store_artifact(s, id, 3, "model", "abcd", 4, &e));
    OK(sky_store_artifact(s, id, 3, "empty", NULL, 0, &e));
    OK(sky_store_env(s, "{\"host\": \"a\"}", &a, &e));
    OK(sky_store_env(s, "{\"host\": \"b\"}", &b, &e));
    OK(sky_store_env(s, "{\"host\": \"a\"}", &c, &e));
    cr_assert(a == c && a != b && a > 0);
    OK(sky_store_commit(s, NULL, &e));
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM sky_curves"), 4);
    cr_assert_eq(kit_int(s, "SELECT value = 0.5 FROM sky_curves WHERE step = 2 AND name = 'loss'"),
                 1);
    cr_assert_eq(kit_int(s, "SELECT sum(length(bytes)) FROM sky_artifacts"), 4);
    char *big = calloc(1, SKY_ARTIFACT_BYTES_MAX);
    cr_assert_eq(sky_store_artifact(s, id, 3, "big", big, SKY_ARTIFACT_BYTES_MAX, &e), SKY_ELIMIT);
    OK(sky_store_artifact(s, id, 3, "big", big, SKY_ARTIFACT_BYTES_MAX - 4, &e));
    OK(sky_store_artifact(s, id, 4, "big", big, SKY_ARTIFACT_BYTES_MAX, &e));
    cr_assert_eq(sky_store_artifact(s, 77, 4, "x", "", 0, &e), SKY_ENOTFOUND);
    cr_assert_eq(sky_store_curve(s, id, UINT64_MAX, 1, 1, names, values, &e), SKY_ELIMIT);
    free(big);
    sky_store_rollback(s);
    OK(sky_store_env(s, "{\"host\": \"b\"}", &c, &e));
    cr_assert_eq(b, c);
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM sky_artifacts"), 2);
    sky_store_close(s);
}
