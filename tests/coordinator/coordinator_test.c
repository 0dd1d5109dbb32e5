/* The coordinator on a real store, with scripted workers on real sockets. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <sqlite3.h>
#include <string.h>

#include "coord_fixture.h"

TestSuite(coordinator, .timeout = 60);

static void open_fresh(cx *x)
{
    cx_init(x, NULL);
    cr_assert_eq(cx_open(x), SKY_OK);
}

static void submit(cx *x, const char *name, int n, const char *more)
{
    sky_error e = {0};
    cr_assert_eq(cx_submit(x, cx_plan(name, n, more, "1"), NULL, NULL, &e), SKY_OK, "%s", e.text);
}

static sky_coordinator_info info_of(cx *x, sky_arena *arena)
{
    sky_coordinator_info info;
    sky_error e = {0};
    cr_assert_eq(sky_coordinator_status(x->c, "", arena, &info, &e), SKY_OK, "%s", e.text);
    return info;
}

static sky_sweep_status status_of(cx *x, const char *name, sky_arena *arena)
{
    sky_coordinator_info info;
    sky_error e = {0};
    cr_assert_eq(sky_coordinator_status(x->c, name, arena, &info, &e), SKY_OK, "%s", e.text);
    return info.sweeps[0];
}

Test(coordinator, runs_a_sweep_to_its_end)
{
    cx x;
    cw w;
    open_fresh(&x);
    cw_open(&w, &x, CW_HONEST);
    submit(&x, "s", 5000, "");
    CX_AWAIT(&x, cx_has_state(&x, SKY_SWEEP_DONE));
    CX_AWAIT(&x, w.n_kept == 0); /* every result is acknowledged */
    cr_assert_eq(cx_count(&x, "SELECT count(*) FROM s"), 5000);
    cr_assert_eq(cx_count(&x, "SELECT sum(y) FROM s"), INT64_C(5000) * 5001);
    cr_assert_eq(w.rows, 5000, "and was asked for once");
    cr_assert_gt(x.n_progress, 0);
    sky_arena arena = {0};
    sky_sweep_status s = status_of(&x, "s", &arena);
    cr_assert_eq(s.state, SKY_SWEEP_DONE);
    cr_assert_eq(s.recorded, 5000);
    cr_assert_eq(s.leased, 0);
    sky_arena_free(&arena);
    cw_close(&w);
    cx_fini(&x);
}

Test(coordinator, goes_on_after_a_crash_and_runs_nothing_durable_twice)
{
    cx x;
    cw w;
    open_fresh(&x);
    cw_open(&w, &x, CW_HONEST);
    submit(&x, "s", 200000, "");
    while (cx_count(&x, "SELECT count(*) FROM s") < 10)
        cx_run(&x, 1);
    cx_crash(&x);
    int64_t before = cx_count(&x, "SELECT count(*) FROM s");
    cr_assert_lt(before, 200000);
    cr_assert_eq(cx_open(&x), SKY_OK);
    w.rows = 0;
    cw_join_again(&w);
    cw_send_kept(&w);
    CX_AWAIT(&x, cx_has_state(&x, SKY_SWEEP_DONE));
    cr_assert_eq(cx_count(&x, "SELECT count(*) FROM s"), 200000);
    cr_assert_eq(cx_count(&x, "SELECT sum(y) FROM s"), INT64_C(200000) * 200001);
    cr_assert_leq(w.rows, (uint64_t)(200000 - before));
    cw_close(&w);
    cx_fini(&x);
}

Test(coordinator, takes_results_of_before_its_start)
{
    cx x;
    cw w;
    open_fresh(&x);
    cw_open(&w, &x, CW_HONEST);
    w.hold = true;
    submit(&x, "s", 2, "");
    CX_AWAIT(&x, w.n_kept == 2);
    cx_crash(&x);
    cr_assert_eq(cx_open(&x), SKY_OK);
    w.manner = CW_SILENT; /* it does nothing new */
    cw_join_again(&w);
    cw_send_kept(&w);
    CX_AWAIT(&x, cx_has_state(&x, SKY_SWEEP_DONE));
    CX_AWAIT(&x, w.n_kept == 0);
    cr_assert_eq(cx_count(&x, "SELECT count(*) FROM s"), 2);
    cw_close(&w);
    cx_fini(&x);
}

Test(coordinator, asks_a_worker_that_it_does_not_know)
{
    cx x;
    cw w;
    open_fresh(&x);
    cw_open(&w, &x, CW_HONEST);
    CX_AWAIT(&x, w.n_welcomes == 1);
    cx_close(&x);
    cr_assert_eq(cx_open(&x), SKY_OK);
    sky_buf b = {0};
    sky_msg m = {.type = SKY_MSG_HEARTBEAT, .heartbeat = {.session = w.session}};
    cr_assert_eq(sky_msg_encode(&m, &b), SKY_OK);
    for (int i = 0; i < 50 && w.n_whos == 0; i++) { /* a heart goes on beating */
        sky_link_send(w.link, b.data, b.len);
        cx_run(&x, 100);
    }
    cr_assert_gt(w.n_whos, 0);
    cr_assert_eq(w.n_welcomes, 1);
    sky_buf_free(&b);
    cw_close(&w);
    cx_fini(&x);
}

/* --- Names --- */

Test(coordinator, goes_on_with_a_sweep_whose_limits_changed)
{
    cx x;
    cw w;
    open_fresh(&x);
    submit(&x, "s", 100, "");
    sky_submitted how;
    int64_t id, again;
    sky_error e = {0};
    cr_assert_eq(cx_submit(&x, cx_plan("s", 100, "limits: {attempts: 7}\npriority: 3\n", "1"), &id,
                           &how, &e),
                 SKY_OK, "%s", e.text);
    cr_assert_eq(how, SKY_SUBMITTED_RESUMED);
    cw_open(&w, &x, CW_HONEST);
    CX_AWAIT(&x, cx_has_state(&x, SKY_SWEEP_DONE));
    /* Complete: the same file again changes nothing, more repeats go on. */
    cr_assert_eq(cx_submit(&x, cx_plan("s", 100, "limits: {attempts: 7}\npriority: 3\n", "1"),
                           &again, &how, &e),
                 SKY_OK);
    cr_assert_eq(again, id);
    sky_arena arena = {0};
    cr_assert_eq(status_of(&x, "s", &arena).state, SKY_SWEEP_DONE);
    cr_assert_eq(cx_submit(&x, cx_plan("s", 100, "repeats: 3\n", "1"), &again, &how, &e), SKY_OK,
                 "%s", e.text);
    cr_assert_eq(status_of(&x, "s", &arena).state, SKY_SWEEP_RUNNING);
    CX_AWAIT(&x, cx_has_state(&x, SKY_SWEEP_RUNNING));
    CX_AWAIT(&x, cx_has_state(&x, SKY_SWEEP_DONE));
    cr_assert_eq(cx_count(&x, "SELECT count(*) FROM s"), 300);
    cr_assert_eq(w.rows, 300);
    sky_arena_free(&arena);
    cw_close(&w);
    cx_fini(&x);
}

Test(coordinator, refuses_another_space_under_a_name)
{
    cx x;
    open_fresh(&x);
    submit(&x, "s", 100, "");
    sky_error e = {0};
    cr_assert_eq(cx_submit(&x, cx_plan("s", 101, "", "1"), NULL, NULL, &e), SKY_ECONFLICT);
    cr_assert(strstr(e.text, "--name"), "%s", e.text);
    cr_assert(strstr(e.text, "x"), "it says what differs: %s", e.text);
    e = (sky_error){0};
    cr_assert_eq(cx_submit(&x, cx_plan("s", 100, "", "2"), NULL, NULL, &e), SKY_ECONFLICT);
    cr_assert(strstr(e.text, "version"), "%s", e.text);
    cr_assert_eq(cx_submit(&x, cx_plan("t", 101, "", "1"), NULL, NULL, &e), SKY_OK);
    cx_close(&x);
    cr_assert_eq(cx_open(&x), SKY_OK);
    cr_assert_eq(cx_submit(&x, cx_plan("s", 101, "", "1"), NULL, NULL, &e), SKY_ECONFLICT,
                 "also after a restart");
    cx_fini(&x);
}

Test(coordinator, leaves_other_sweeps_alone_if_told)
{
    cx x;
    cw w;
    open_fresh(&x);
    submit(&x, "a", 100, "");
    cx_close(&x);
    x.o.idle_sweeps = true;
    cr_assert_eq(cx_open(&x), SKY_OK);
    cw_open(&w, &x, CW_HONEST);
    submit(&x, "b", 50, "");
    CX_AWAIT(&x, cx_has_state(&x, SKY_SWEEP_DONE));
    cx_run(&x, 100);
    cr_assert_eq(cx_count(&x, "SELECT count(*) FROM a"), 0);
    cr_assert_eq(cx_count(&x, "SELECT count(*) FROM b"), 50);
    submit(&x, "a", 100, "");
    cr_assert_eq(x.n_states, 1);
    while (cx_count(&x, "SELECT count(*) FROM a") < 100)
        cx_run(&x, 10);
    cw_close(&w);
    cx_fini(&x);
}

/* --- Results that are not as they should be --- */

Test(coordinator, counts_a_nan_as_a_failure)
{
    cx x;
    cw w;
    open_fresh(&x);
    cw_open(&w, &x, CW_NAN);
    submit(&x, "s", 1000, "");
    CX_AWAIT(&x, cx_has_state(&x, SKY_SWEEP_DONE));
    cr_assert_eq(cx_count(&x, "SELECT count(*) FROM s"), 900);
    cr_assert_eq(cx_count(&x, "SELECT sum(y) FROM s"), 1000 * 1001 - 2 * 10 * 5050);
    sky_arena arena = {0};
    cr_assert_eq(status_of(&x, "s", &arena).failed, 100);
    cr_assert_eq(cx_count(&x, "SELECT count(*) FROM sky_failures WHERE reason LIKE '%NaN%'"), 100);
    sky_arena_free(&arena);
    cw_close(&w);
    cx_fini(&x);
}

static void check_rejected(cw_manner manner)
{
    cx x;
    cw bad, good;
    open_fresh(&x);
    cw_open(&bad, &x, manner);
    submit(&x, "s", 100, "");
    sky_arena arena = {0};
    CX_AWAIT(&x, strstr(status_of(&x, "s", &arena).reason, "wrong"));
    cx_run(&x, 100);
    cr_assert_eq(cx_count(&x, "SELECT count(*) FROM s"), 0);
    cr_assert_eq(status_of(&x, "s", &arena).failed, 0, "the trials are not to blame");
    cr_assert_leq(bad.n_leases, 4);
    cw_open(&good, &x, CW_HONEST);
    CX_AWAIT(&x, cx_has_state(&x, SKY_SWEEP_DONE));
    cr_assert_eq(cx_count(&x, "SELECT count(*) FROM s"), 100);
    sky_arena_free(&arena);
    cw_close(&bad);
    cw_close(&good);
    cx_fini(&x);
}

Test(coordinator, rejects_rows_of_other_values)
{
    check_rejected(CW_WRONG_HASH);
}

Test(coordinator, rejects_rows_with_too_many_metrics)
{
    check_rejected(CW_WRONG_COUNT);
}

Test(coordinator, rejects_rows_of_another_type)
{
    check_rejected(CW_WRONG_TYPE);
}

Test(coordinator, notices_a_job_that_is_not_deterministic)
{
    cx x;
    cw late, other;
    sky_arena arena = {0};
    open_fresh(&x);
    cw_open(&late, &x, CW_HONEST);
    late.hold = true;
    submit(&x, "s", 1000000, "");
    CX_AWAIT(&x, info_of(&x, &arena).n_lost == 1); /* it is silent */
    cr_assert_eq(late.n_kept, late.rows, "its leases hold a point each");
    cw_open(&other, &x, CW_OTHER);
    CX_AWAIT(&x, info_of(&x, &arena).committed >= 1000);
    late.hold = false;
    const size_t copies = late.n_kept;
    cw_send_kept(&late);
    CX_AWAIT(&x, late.n_acks == copies);
    cr_assert_eq(info_of(&x, &arena).differing, copies);
    cr_assert_eq(info_of(&x, &arena).duplicates, copies);
    sky_arena_free(&arena);
    cw_close(&late);
    cw_close(&other);
    cx_fini(&x);
}

Test(coordinator, keeps_the_last_words_of_a_failed_trial)
{
    cx x;
    cw w;
    open_fresh(&x);
    cw_open(&w, &x, CW_FAIL);
    submit(&x, "s", 5, "limits: {attempts: 2}\n");
    CX_AWAIT(&x, cx_has_state(&x, SKY_SWEEP_DONE));
    cr_assert_eq(cx_count(&x, "SELECT count(*) FROM sky_failures"), 5);
    sky_arena arena = {0};
    cr_assert_eq(status_of(&x, "s", &arena).failed, 5);
    /* And again, by request. */
    w.manner = CW_HONEST;
    uint64_t n = 0;
    sky_error e = {0};
    cr_assert_eq(sky_coordinator_retry(x.c, "s", -1, &n, &e), SKY_OK, "%s", e.text);
    cr_assert_eq(n, 5);
    CX_AWAIT(&x, cx_has_state(&x, SKY_SWEEP_RUNNING));
    CX_AWAIT(&x, cx_has_state(&x, SKY_SWEEP_DONE));
    cr_assert_eq(cx_count(&x, "SELECT count(*) FROM s"), 5);
    cr_assert_eq(status_of(&x, "s", &arena).failed, 0);
    sky_arena_free(&arena);
    cw_close(&w);
    cx_fini(&x);
}

Test(coordinator, survives_nonsense)
{
    cx x;
    cw w;
    open_fresh(&x);
    cw_open(&w, &x, CW_HONEST);
    for (size_t i = 0; i < 64; i++) {
        uint8_t junk[64];
        for (size_t j = 0; j < sizeof junk; j++)
            junk[j] = (uint8_t)(i * 37 + j * 11);
        sky_link_send(w.link, junk, i);
    }
    sky_buf b = {0}; /* a heartbeat in another's name, and a message that no worker sends */
    sky_msg m = {.type = SKY_MSG_HEARTBEAT, .heartbeat = {.session = {{9, 9}}}};
    cr_assert_eq(sky_msg_encode(&m, &b), SKY_OK);
    sky_link_send(w.link, b.data, b.len);
    sky_buf_reset(&b);
    m = (sky_msg){.type = SKY_MSG_STOP};
    cr_assert_eq(sky_msg_encode(&m, &b), SKY_OK);
    sky_link_send(w.link, b.data, b.len);
    sky_buf_free(&b);
    submit(&x, "s", 10, "");
    CX_AWAIT(&x, cx_has_state(&x, SKY_SWEEP_DONE));
    sky_arena arena = {0};
    sky_coordinator_info info;
    cr_assert_eq(sky_coordinator_status(x.c, NULL, &arena, &info, NULL), SKY_OK);
    cr_assert_eq(info.rejected, 66);
    sky_arena_free(&arena);
    cw_close(&w);
    cx_fini(&x);
}

/* --- A store that fails --- */

static int refuse_commit(void *arg)
{
    (void)arg;
    return 1;
}

Test(coordinator, acknowledges_nothing_that_the_store_did_not_take)
{
    cx x;
    cw w;
    open_fresh(&x);
    submit(&x, "s", 100, "");
    sqlite3_commit_hook(sky_store_sqlite(x.store), refuse_commit, NULL);
    cw_open(&w, &x, CW_HONEST);
    CX_AWAIT(&x, x.n_errors > 0);
    cx_run(&x, 200);
    cr_assert_eq(x.n_errors, 1, "once");
    cr_assert(strlen(x.error.text) > 10);
    cr_assert_eq(w.n_acks, 0);
    sky_error e = {0};
    cr_assert_neq(cx_submit(&x, cx_plan("t", 5, "", "1"), NULL, NULL, &e), SKY_OK);
    cr_assert_neq(sky_coordinator_close(x.c, false, &e), SKY_OK);
    x.c = NULL;
    cx_run(&x, 50);
    sqlite3_commit_hook(sky_store_sqlite(x.store), NULL, NULL);
    sky_store_close(x.store);
    /* And on the next start nothing is missing. */
    x.n_errors = 0;
    cr_assert_eq(cx_open(&x), SKY_OK);
    cw_join_again(&w);
    cw_send_kept(&w);
    CX_AWAIT(&x, cx_has_state(&x, SKY_SWEEP_DONE));
    cr_assert_eq(cx_count(&x, "SELECT count(*) FROM s"), 100);
    cw_close(&w);
    cx_fini(&x);
}

/* --- Commands --- */

Test(coordinator, pauses_resumes_and_cancels)
{
    cx x;
    cw w;
    open_fresh(&x);
    sky_error e = {0};
    submit(&x, "s", 100, "");
    cr_assert_eq(sky_coordinator_pause(x.c, "s", NULL, &e), SKY_OK);
    CX_AWAIT(&x, cx_has_state(&x, SKY_SWEEP_PAUSED));
    cw_open(&w, &x, CW_SILENT);
    cx_run(&x, 100);
    cr_assert_eq(w.n_leases, 0);
    cx_close(&x);
    cr_assert_eq(cx_open(&x), SKY_OK);
    sky_arena arena = {0};
    cr_assert_eq(status_of(&x, "s", &arena).state, SKY_SWEEP_PAUSED, "also after a restart");
    cw_join_again(&w);
    cr_assert_eq(sky_coordinator_resume(x.c, "s", &e), SKY_OK, "%s", e.text);
    CX_AWAIT(&x, w.n_leases > 0);
    cr_assert_eq(sky_coordinator_cancel(x.c, "s", &e), SKY_OK);
    CX_AWAIT(&x, w.n_revoked == w.n_leases);
    cr_assert_eq(sky_coordinator_pause(x.c, "s", "", &e), SKY_EINVAL);
    cr_assert_eq(sky_coordinator_retry(x.c, "s", -1, NULL, &e), SKY_EINVAL);
    cr_assert_eq(sky_coordinator_pause(x.c, "ss", "", &e), SKY_ENOTFOUND);
    const size_t leases = w.n_leases;
    cr_assert_eq(sky_coordinator_resume(x.c, "s", &e), SKY_OK, "%s", e.text);
    CX_AWAIT(&x, w.n_leases > leases); /* a cancelled sweep goes on */
    cr_assert_eq(sky_coordinator_cancel(x.c, "s", &e), SKY_OK);
    cx_run(&x, 100);
    w.manner = CW_HONEST;
    submit(&x, "s", 100, "");
    CX_AWAIT(&x, cx_has_state(&x, SKY_SWEEP_DONE)); /* whoever submits it again wants it */
    cr_assert_eq(sky_coordinator_cancel(x.c, "s", &e), SKY_EINVAL, "it is complete");
    sky_arena_free(&arena);
    cw_close(&w);
    cx_fini(&x);
}

Test(coordinator, answers_requests)
{
    cx x;
    open_fresh(&x);
    sky_arena arena = {0};
    sky_msg_reply reply;
    sky_plan *plan = cx_plan("s", 100, "", "1");
    cx_ask(&x, &(sky_msg_request){.id = 5, .kind = SKY_REQUEST_SUBMIT, .text = sky_plan_text(plan)},
           &arena, &reply);
    sky_plan_free(plan);
    cr_assert_eq(reply.id, 5);
    cr_assert_eq(reply.code, SKY_OK, "%s", reply.text);
    cr_assert_eq(cx_count(&x, "SELECT count(*) FROM sky_sweeps"), 1, "accepted means durable");
    cx_ask(&x, &(sky_msg_request){.kind = SKY_REQUEST_SUBMIT, .text = "{"}, &arena, &reply);
    cr_assert_neq(reply.code, SKY_OK);
    const sky_request_kind kinds[] = {SKY_REQUEST_PAUSE, SKY_REQUEST_RESUME, SKY_REQUEST_PRIORITY,
                                      SKY_REQUEST_RETRY, SKY_REQUEST_CANCEL};
    for (size_t i = 0; i < 5; i++) {
        cx_ask(&x, &(sky_msg_request){.kind = kinds[i], .sweep = "s", .number = -1}, &arena,
               &reply);
        cr_assert_eq(reply.code, SKY_OK, "kind %d: %s", kinds[i], reply.text);
        cx_ask(&x, &(sky_msg_request){.kind = kinds[i], .sweep = "none"}, &arena, &reply);
        cr_assert_eq(reply.code, SKY_ENOTFOUND);
    }
    cx_ask(&x, &(sky_msg_request){.kind = SKY_REQUEST_STATUS, .sweep = "s"}, &arena, &reply);
    json_error_t je;
    json_t *json = json_loads(reply.json, 0, &je);
    cr_assert_not_null(json, "%s", je.text);
    json_t *sweep = json_array_get(json_object_get(json, "sweeps"), 0);
    cr_assert_str_eq(json_string_value(json_object_get(sweep, "name")), "s");
    cr_assert_str_eq(json_string_value(json_object_get(sweep, "state")), "cancelled");
    cr_assert_eq(json_integer_value(json_object_get(sweep, "positions")), 100);
    json_decref(json);
    cx_ask(&x, &(sky_msg_request){.kind = SKY_REQUEST_SHUTDOWN}, &arena, &reply);
    cr_assert_eq(reply.code, SKY_OK);
    cr_assert_eq(x.n_shutdowns, 1);
    sky_arena_free(&arena);
    cx_fini(&x);
}

Test(coordinator, gives_each_role_what_it_may)
{
    cx x;
    open_fresh(&x);
    submit(&x, "s", 100, "");
    sky_arena arena = {0};
    sky_msg_reply reply;
    sky_msg_request q = {.kind = SKY_REQUEST_STATUS, .sweep = "", .text = ""};
    sky_coordinator_request(x.c, &q, SKY_ROLE_WORKER, &arena, &reply);
    cr_assert_eq(reply.code, SKY_EPERM);
    sky_coordinator_request(x.c, &q, SKY_ROLE_READ, &arena, &reply);
    cr_assert_eq(reply.code, SKY_OK);
    for (int kind = SKY_REQUEST_SUBMIT; kind <= SKY_REQUEST_SHUTDOWN; kind++) {
        q = (sky_msg_request){.kind = (sky_request_kind)kind, .sweep = "s", .text = ""};
        if (kind == SKY_REQUEST_STATUS)
            continue;
        sky_coordinator_request(x.c, &q, SKY_ROLE_READ | SKY_ROLE_WORKER, &arena, &reply);
        cr_assert_eq(reply.code, SKY_EPERM, "kind %d", kind);
    }
    q.kind = (sky_request_kind)99;
    sky_coordinator_request(x.c, &q, SKY_ROLE_ADMIN, &arena, &reply);
    cr_assert_eq(reply.code, SKY_EINVAL);
    sky_arena_free(&arena);
    cx_fini(&x);
}

Test(coordinator, tells_what_its_workers_do)
{
    cx x;
    cw w;
    open_fresh(&x);
    cw_open(&w, &x, CW_SILENT);
    submit(&x, "s", 100, "");
    sky_arena arena = {0};
    CX_AWAIT(&x, info_of(&x, &arena).sweeps[0].leased == 2);
    sky_coordinator_info info = info_of(&x, &arena);
    cr_assert_eq(info.n_workers, 1);
    cr_assert_eq(info.workers[0].leases, 2);
    cr_assert_str_eq(info.workers[0].host, "test");
    cr_assert_eq(info.sweeps[0].leased, 2);
    cr_assert_eq(info.sweeps[0].workers, 1);
    CX_AWAIT(&x, info_of(&x, &arena).n_lost == 1);
    info = info_of(&x, &arena);
    cr_assert(info.workers[0].lost);
    cr_assert_eq(info.sweeps[0].leased, 0);
    cr_assert(strstr(info.sweeps[0].reason, "no worker"), "%s", info.sweeps[0].reason);
    sky_error e = {0};
    cr_assert_eq(sky_coordinator_status(x.c, "ss", &arena, &info, &e), SKY_ENOTFOUND);
    cr_assert(strstr(e.text, "did you mean s"), "%s", e.text);
    sky_arena_free(&arena);
    cw_close(&w);
    cx_fini(&x);
}

Test(coordinator, stops_its_workers)
{
    cx x;
    cw w;
    open_fresh(&x);
    cw_open(&w, &x, CW_SILENT);
    CX_AWAIT(&x, w.n_welcomes == 1);
    cr_assert_eq(sky_coordinator_close(x.c, true, NULL), SKY_OK);
    x.c = NULL;
    CX_AWAIT(&x, w.n_stops == 1);
    sky_store_close(x.store);
    cw_close(&w);
    cx_fini(&x);
}

Test(coordinator, does_not_open_on_a_bad_address)
{
    cx x;
    cx_init(&x, NULL);
    const sky_store_options so = {.path = x.db, .writer = true};
    cr_assert_eq(sky_store_open(&x.store, &so, NULL), SKY_OK);
    x.o.loop = &x.loop;
    x.o.store = x.store;
    x.o.endpoint = "tcp://127.0.0.1:0";
    sky_error e = {0};
    cr_assert_eq(sky_coordinator_open(&x.c, &x.o, &e), SKY_EPERM, "TCP without keys");
    x.o.endpoint = "nonsense";
    cr_assert_neq(sky_coordinator_open(&x.c, &x.o, &e), SKY_OK);
    cr_assert_null(x.c);
    sky_store_close(x.store);
    cx_fini(&x);
}
