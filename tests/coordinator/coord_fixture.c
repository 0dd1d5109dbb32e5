#include "coord_fixture.h"

#include <assert.h>
#include <criterion/criterion.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordinator/coordinator_internal.h"

/* --- The coordinator --- */

static void on_sweep(void *arg, int64_t sweep, sky_sweep_state state, const char *reason)
{
    cx *x = arg;
    (void)sweep;
    assert(x->n_states < CX_STATES_MAX);
    x->states[x->n_states++] = state;
    snprintf(x->reason, sizeof x->reason, "%s", reason);
}

static void on_progress(void *arg)
{
    ((cx *)arg)->n_progress++;
}

static void on_error(void *arg, const sky_error *e)
{
    cx *x = arg;
    x->n_errors++;
    x->error = *e;
}

static void on_shutdown(void *arg)
{
    ((cx *)arg)->n_shutdowns++;
}

void cx_init(cx *x, const char *dir)
{
    *x = (cx){0};
    snprintf(x->dir, sizeof x->dir, "%s", dir ? dir : "/tmp/sky-coordinator-XXXXXX");
    if (!dir && !mkdtemp(x->dir))
        abort();
    snprintf(x->db, sizeof x->db, "%s/store.db", x->dir);
    snprintf(x->endpoint, sizeof x->endpoint, "ipc://%s/socket", x->dir);
    uv_loop_init(&x->loop);
    uv_timer_init(&x->loop, &x->timer);
    x->timer.data = x;
    x->o = (sky_coordinator_options){.heartbeat_ms = 100,
                                     .on_sweep = on_sweep,
                                     .on_progress = on_progress,
                                     .on_error = on_error,
                                     .on_shutdown = on_shutdown};
}

sky_err cx_open(cx *x)
{
    sky_error e = {0};
    const sky_store_options so = {.path = x->db, .writer = true};
    sky_err err = sky_store_open(&x->store, &so, &e);
    if (!err) {
        x->o.loop = &x->loop;
        x->o.store = x->store;
        x->o.endpoint = x->endpoint;
        x->o.arg = x;
        err = sky_coordinator_open(&x->c, &x->o, &e);
    }
    if (err)
        fprintf(stderr, "%s\n", e.text);
    return err;
}

void cx_close(cx *x)
{
    sky_coordinator_close(x->c, false, NULL);
    x->c = NULL;
    cx_run(x, 50);
    sky_store_close(x->store);
    x->store = NULL;
}

void cx_crash(cx *x)
{
    x->c->failure.code = SKY_EIO; /* it does nothing more: no commit, no acknowledgement */
    x->c->failure_told = true;
    sky_store_rollback(x->store);
    cx_close(x);
}

void cx_fini(cx *x)
{
    if (x->c)
        cx_close(x);
    uv_close((uv_handle_t *)&x->timer, NULL);
    uv_run(&x->loop, UV_RUN_DEFAULT);
    int left = uv_loop_close(&x->loop);
    assert(left == 0);
    (void)left;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", x->dir);
    if (system(command))
        fprintf(stderr, "cannot remove %s\n", x->dir);
}

static void on_timer(uv_timer_t *timer)
{
    ((cx *)timer->data)->timed_out = true;
}

void cx_start_clock(cx *x, int ms)
{
    x->timed_out = false;
    uv_timer_start(&x->timer, on_timer, (uint64_t)ms, 0);
}

bool cx_step(cx *x)
{
    uv_run(&x->loop, UV_RUN_ONCE);
    return !x->timed_out;
}

void cx_run(cx *x, int ms)
{
    cx_start_clock(x, ms);
    while (cx_step(x))
        continue;
}

bool cx_has_state(const cx *x, sky_sweep_state state)
{
    return x->n_errors || (x->n_states && x->states[x->n_states - 1] == state);
}

/* --- Sweeps --- */

static sky_descriptor job = {.name = "model", .version = "1", .summary = "", .source = ""};

static const sky_descriptor *find_job(void *arg, const char *name)
{
    static const sky_param params[] = {{.name = "x", .type = SKY_INT, .unit = "", .doc = ""}};
    static const sky_metric metrics[] = {
        {.name = "y", .type = SKY_REAL, .unit = "", .doc = "", .cls = SKY_EXACT}};
    job.params = params;
    job.n_params = 1;
    job.metrics = metrics;
    job.n_metrics = 1;
    job.version = arg;
    return strcmp(name, "model") == 0 ? &job : NULL;
}

static size_t list_jobs(void *arg, const char **list, size_t max)
{
    (void)arg;
    if (max)
        list[0] = "model";
    return 1;
}

sky_plan *cx_plan(const char *name, int n, const char *more, const char *version)
{
    static char job_version[16];
    snprintf(job_version, sizeof job_version, "%s", version);
    const sky_plan_options options = {
        .jobs = {.find = find_job, .names = list_jobs, .arg = job_version}};
    char text[1024];
    int len = snprintf(text, sizeof text, "name: %s\njob: model\nspace: {x: {from: 1, to: %d}}\n%s",
                       name, n, more);
    sky_plan *plan = NULL;
    sky_error e = {0};
    if (sky_plan_parse(&plan, text, (size_t)len, "sweep.yaml", &options, &e)) {
        fprintf(stderr, "%s\n", e.text);
        abort();
    }
    return plan;
}

sky_err cx_submit(cx *x, sky_plan *plan, int64_t *id, sky_submitted *how, sky_error *e)
{
    int64_t i;
    sky_submitted h;
    sky_error err = {0};
    return sky_coordinator_submit(x->c, plan, id ? id : &i, how ? how : &h, e ? e : &err);
}

int64_t cx_count(cx *x, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    int64_t n = -1;
    if (sqlite3_open_v2(x->db, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        n = sqlite3_column_int64(st, 0);
    else
        fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(db));
    sqlite3_finalize(st);
    sqlite3_close(db);
    return n;
}

/* --- Workers --- */

static void say(cw *w, const sky_msg *m)
{
    sky_buf b = {0};
    sky_err err = sky_msg_encode(m, &b);
    assert(!err);
    if (m->type == SKY_MSG_RESULT) {
        assert(w->n_kept < 256);
        void *bytes = malloc(b.len);
        assert(bytes);
        memcpy(bytes, b.data, b.len);
        w->kept[w->n_kept].bytes = bytes;
        w->kept[w->n_kept].seq = m->result.seq;
        w->kept[w->n_kept++].len = b.len;
    }
    if (m->type != SKY_MSG_RESULT || !w->hold)
        sky_link_send(w->link, b.data, b.len);
    sky_buf_free(&b);
}

void cw_send_kept(cw *w)
{
    for (size_t i = 0; i < w->n_kept; i++)
        sky_link_send(w->link, w->kept[i].bytes, w->kept[i].len);
}

void cw_hello(cw *w)
{
    static const sky_job_version jobs[] = {{"model", "1"}, {"model", "2"}};
    sky_msg m = {.type = SKY_MSG_HELLO};
    m.hello = (sky_msg_hello){.session = w->session,
                              .host = "test",
                              .pid = 1,
                              .program_version = "1",
                              .cpus = 2,
                              .jobs = jobs,
                              .n_jobs = 2,
                              .environment = "{\"host\":\"test\"}",
                              .store_uuid = ""};
    say(w, &m);
}

static void fill_rows(cw *w, const sky_msg_lease *l, sky_msg_result *r)
{
    const sky_plan *plan = w->plans[l->sweep % 16];
    size_t n = (size_t)sky_range_list_count(&l->positions), row = 0;
    uint64_t *trials = sky_new(&w->arena, uint64_t, n);
    int64_t *x = sky_new(&w->arena, int64_t, n);
    double *y = sky_new(&w->arena, double, n);
    float *wall = sky_new(&w->arena, float, n);
    sky_column *metrics = sky_new(&w->arena, sky_column, 2);
    for (size_t i = 0; i < l->positions.n; i++) {
        for (uint64_t p = l->positions.r[i].begin; p < l->positions.r[i].end; p++)
            trials[row++] = sky_plan_trial(plan, p);
    }
    sky_column params = {.type = SKY_INT, .i = x};
    sky_plan_decode_columns(plan, trials, n, &params);
    for (size_t i = 0; i < n; i++) {
        y[i] = (double)x[i] * 2 + (w->manner == CW_OTHER ? 1 : 0);
        if (w->manner == CW_NAN && x[i] % 10 == 0)
            y[i] = NAN;
    }
    r->ok = l->positions;
    r->values_hash = sky_columns_hash(&params, 1, n) + (w->manner == CW_WRONG_HASH);
    metrics[0] = metrics[1] = (sky_column){.type = SKY_REAL, .f = y};
    if (w->manner == CW_WRONG_TYPE)
        metrics[0] = (sky_column){.type = SKY_INT, .i = x};
    r->metrics = metrics;
    r->n_metrics = w->manner == CW_WRONG_COUNT ? 2 : 1;
    r->wall_s = wall;
    w->rows += n;
}

static void fail_rows(cw *w, const sky_msg_lease *l, sky_msg_result *r)
{
    size_t n = (size_t)sky_range_list_count(&l->positions), row = 0;
    sky_failed_attempt *failed = sky_new(&w->arena, sky_failed_attempt, n);
    for (size_t i = 0; i < l->positions.n; i++) {
        for (uint64_t p = l->positions.r[i].begin; p < l->positions.r[i].end; p++)
            failed[row++] = (sky_failed_attempt){.position = p,
                                                 .kind = SKY_FAILURE_CRASH,
                                                 .reason = "signal 11",
                                                 .log = "a last word"};
    }
    r->failed = failed;
    r->n_failed = n;
}

static void answer(cw *w, const sky_msg_lease *l)
{
    w->n_leases++;
    if (w->manner == CW_SILENT)
        return;
    sky_msg m = {.type = SKY_MSG_RESULT};
    m.result = (sky_msg_result){.seq = ++w->seq,
                                .lease = l->lease,
                                .sweep = l->sweep,
                                .busy_ns = 1000 * sky_range_list_count(&l->positions),
                                .last = true};
    if (w->manner == CW_FAIL)
        fail_rows(w, l, &m.result);
    else
        fill_rows(w, l, &m.result);
    say(w, &m);
}

static void forget(cw *w, uint64_t seq)
{
    for (size_t i = 0; i < w->n_kept; i++) {
        if (w->kept[i].seq != seq)
            continue;
        free(w->kept[i].bytes);
        w->kept[i] = w->kept[--w->n_kept];
        w->n_acks++;
        return;
    }
}

static void on_message(void *arg, const void *bytes, size_t len)
{
    cw *w = arg;
    sky_msg m;
    sky_error e = {0};
    sky_arena_reset(&w->arena);
    sky_err err = sky_msg_decode(&m, bytes, len, &w->arena, &e);
    assert(!err);
    switch (m.type) {
    case SKY_MSG_WELCOME:
        w->n_welcomes++;
        break;
    case SKY_MSG_WHO:
        w->n_whos++;
        break;
    case SKY_MSG_STOP:
        w->n_stops++;
        break;
    case SKY_MSG_REVOKE:
        w->n_revoked += m.revoke.n;
        break;
    case SKY_MSG_PLAN:
        w->n_plans++;
        sky_plan_free(w->plans[m.plan.sweep % 16]);
        w->plans[m.plan.sweep % 16] = NULL;
        err = sky_plan_load(&w->plans[m.plan.sweep % 16], m.plan.text, strlen(m.plan.text), &e);
        assert(!err);
        break;
    case SKY_MSG_LEASE:
        answer(w, &m.lease);
        break;
    case SKY_MSG_ACK:
        for (size_t i = 0; i < m.ack.n; i++)
            forget(w, m.ack.seqs[i]);
        break;
    default:
        assert(!"an unexpected message");
        break;
    }
}

void cw_open(cw *w, cx *x, cw_manner manner)
{
    static uint8_t number;
    *w = (cw){.x = x, .manner = manner};
    w->session.b[0] = 1;
    w->session.b[1] = ++number;
    const sky_link_options o = {.loop = &x->loop,
                                .endpoint = x->endpoint,
                                .identity = w->session.b,
                                .identity_len = sizeof w->session.b,
                                .on_message = on_message,
                                .arg = w};
    sky_error e = {0};
    sky_err err = sky_link_open(&w->link, &o, &e);
    assert(!err);
    cw_hello(w);
}

void cw_join_again(cw *w)
{
    const size_t before = w->n_welcomes;
    for (int i = 0; i < 10 && w->n_welcomes == before; i++) {
        cw_hello(w);
        cx_start_clock(w->x, 1000);
        while (w->n_welcomes == before && cx_step(w->x))
            continue;
    }
    cr_assert_gt(w->n_welcomes, before);
}

void cw_close(cw *w)
{
    sky_link_close(w->link, 0);
    cx_run(w->x, 20);
    for (size_t i = 0; i < w->n_kept; i++)
        free(w->kept[i].bytes);
    for (size_t i = 0; i < 16; i++)
        sky_plan_free(w->plans[i]);
    sky_arena_free(&w->arena);
}

/* --- Clients --- */

typedef struct client {
    sky_arena *arena;
    sky_msg_reply *reply;
    bool done;
} client;

static void on_reply(void *arg, const void *bytes, size_t len)
{
    client *c = arg;
    sky_msg m;
    sky_error e = {0};
    sky_err err = sky_msg_decode(&m, bytes, len, c->arena, &e);
    assert(!err && m.type == SKY_MSG_REPLY);
    *c->reply = m.reply;
    c->done = true;
}

void cx_ask(cx *x, const sky_msg_request *q, sky_arena *arena, sky_msg_reply *reply)
{
    client c = {.arena = arena, .reply = reply};
    sky_link *link = NULL;
    const sky_link_options o = {
        .loop = &x->loop, .endpoint = x->endpoint, .on_message = on_reply, .arg = &c};
    sky_error e = {0};
    sky_err err = sky_link_open(&link, &o, &e);
    assert(!err);
    sky_msg m = {.type = SKY_MSG_REQUEST, .request = *q};
    m.request.sweep = q->sweep ? q->sweep : "";
    m.request.text = q->text ? q->text : "";
    sky_buf b = {0};
    err = sky_msg_encode(&m, &b);
    assert(!err);
    sky_link_send(link, b.data, b.len);
    sky_buf_free(&b);
    CX_AWAIT(x, c.done);
    sky_link_close(link, 0);
    cx_run(x, 20);
}
