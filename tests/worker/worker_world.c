#include "worker_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static void ask(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "world: %s\n", what);
        abort();
    }
}

void world_send(world *w, const sky_msg *m)
{
    sky_buf b = {0};
    ask(sky_msg_encode(m, &b) == SKY_OK, "encode");
    ask(sky_hub_send(w->hub, &w->peer, b.data, b.len) == SKY_OK, "send");
    sky_buf_free(&b);
}

void world_lease(world *w, uint64_t begin, uint64_t end, bool isolate)
{
    sky_range r = {begin, end};
    world_send(w, &(sky_msg){.type = SKY_MSG_LEASE,
                             .lease = {.lease = ++w->next_lease,
                                       .sweep = 7,
                                       .revision = 1,
                                       .isolate = isolate,
                                       .positions = {&r, 1}}});
}

static void add_all(sky_ranges *s, const sky_range_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        sky_ranges_add(s, l->r[i].begin, l->r[i].end);
}

static void on_result(world *w, const sky_msg_result *r)
{
    if (!w->no_acks)
        world_send(w, &(sky_msg){.type = SKY_MSG_ACK, .ack = {.seqs = &r->seq, .n = 1}});
    if (sky_ranges_has(&w->seqs, r->seq)) {
        w->copies++;
        return;
    }
    sky_ranges_add(&w->seqs, r->seq, r->seq + 1);
    w->results++;
    add_all(&w->ok, &r->ok);
    add_all(&w->holes, &r->holes);
    add_all(&w->returned, &r->returned);
    add_all(&w->suspect, &r->suspect);
    uint64_t rows = sky_range_list_count(&r->ok);
    w->rows += rows;
    for (uint64_t k = 0; k < rows; k++)
        w->y_sum += r->metrics[0].f[k];
    for (size_t i = 0; i < r->n_failed; i++) {
        sky_ranges_add(&w->failed, r->failed[i].position, r->failed[i].position + 1);
        world_failure *f = &w->failures[w->n_failures++ % WORLD_FAILURES_MAX];
        f->position = r->failed[i].position;
        f->kind = r->failed[i].kind;
        snprintf(f->reason, sizeof f->reason, "%s", r->failed[i].reason);
        snprintf(f->log, sizeof f->log, "%s", r->failed[i].log);
    }
    w->n_curve += r->n_curve;
    w->n_artifacts += r->n_artifacts;
    w->ended_leases += r->last;
}

static void on_message(void *arg, const sky_peer *peer, sky_role role, const void *bytes,
                       size_t len)
{
    (void)role;
    world *w = arg;
    if (w->silent)
        return;
    sky_arena arena = {0};
    sky_msg m;
    sky_error e = {0};
    ask(sky_msg_decode(&m, bytes, len, &arena, &e) == SKY_OK, e.text);
    w->peer = *peer;
    switch (m.type) {
    case SKY_MSG_HELLO:
        w->hellos++;
        w->held_in_hello = m.hello.n_leases;
        world_send(
            w,
            &(sky_msg){.type = SKY_MSG_WELCOME,
                       .welcome = {.store_uuid = w->store_uuid, .epoch = 1, .heartbeat_ms = 100}});
        world_send(w,
                   &(sky_msg){.type = SKY_MSG_PLAN,
                              .plan = {.sweep = 7, .revision = 1, .text = sky_plan_text(w->plan)}});
        w->welcomed = true;
        break;
    case SKY_MSG_RESULT:
        if (w->welcomed)
            on_result(w, &m.result);
        break;
    case SKY_MSG_HEARTBEAT:
        w->heartbeats++;
        if (!w->welcomed)
            world_send(w, &(sky_msg){.type = SKY_MSG_WHO});
        break;
    case SKY_MSG_BYE:
        w->byes++;
        snprintf(w->reason, sizeof w->reason, "%s", m.bye.reason);
        break;
    default:
        break;
    }
    sky_arena_free(&arena);
}

static void on_worker_exit(void *arg, int code, const char *reason)
{
    world *w = arg;
    w->exited = true;
    w->exit_code = code;
    snprintf(w->exit_reason, sizeof w->exit_reason, "%s", reason);
}

static void on_tick(uv_timer_t *t)
{
    (void)t;
}

void world_hub_open(world *w)
{
    sky_hub_options o = {
        .loop = &w->loop, .endpoint = w->endpoint, .on_message = on_message, .arg = w};
    sky_error e = {0};
    w->welcomed = false;
    ask(sky_hub_open(&w->hub, &o, &e) == SKY_OK, e.text);
}

void world_hub_close(world *w)
{
    sky_hub_close(w->hub, 0);
    w->hub = NULL;
}

static bool is_welcomed(const world *w)
{
    return w->welcomed;
}

void world_open(world *w, sky_plan *plan, uint32_t slots)
{
    *w = (world){.plan = plan, .store_uuid = "store-a", .dir = "/tmp/sky-world-XXXXXX"};
    ask(mkdtemp(w->dir) != NULL, "mkdtemp");
    snprintf(w->endpoint, sizeof w->endpoint, "ipc://%s/socket", w->dir);
    snprintf(w->checkpoints, sizeof w->checkpoints, "%s/checkpoints", w->dir);
    uv_loop_init(&w->loop);
    uv_timer_init(&w->loop, &w->ticker);
    uv_timer_start(&w->ticker, on_tick, 10, 10); /* so that conditions are looked at */
    world_hub_open(w);
    static const char *const args[] = {"executor", "--fd", "3", NULL};
    w->options = (sky_worker_options){
        .loop = &w->loop,
        .endpoint = w->endpoint,
        .slots = slots,
        .gpus = "",
        .program = EXECUTOR_PROGRAM,
        .program_args = args,
        .checkpoints = w->checkpoints,
        .on_exit = on_worker_exit,
        .arg = w,
    };
    sky_error e = {0};
    ask(sky_worker_open(&w->worker, &w->options, &e) == SKY_OK, e.text);
    ask(world_run(w, is_welcomed, 5000), "no HELLO");
}

bool world_run(world *w, bool (*done)(const world *w), int timeout_ms)
{
    int64_t end_ns = sky_clock_ns() + timeout_ms * SKY_NS_PER_MS;
    while (!done(w)) {
        if (sky_clock_ns() > end_ns)
            return false;
        uv_run(&w->loop, UV_RUN_ONCE);
    }
    return true;
}

void world_close(world *w)
{
    sky_worker_close(w->worker);
    if (w->hub)
        sky_hub_close(w->hub, 0);
    uv_close((uv_handle_t *)&w->ticker, NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    ask(uv_loop_close(&w->loop) == 0, "handles are left open");
    sky_plan_free(w->plan);
    sky_ranges *sets[] = {&w->ok, &w->holes, &w->returned, &w->suspect, &w->failed, &w->seqs};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        sky_ranges_free(sets[i]);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", w->dir);
    ask(system(command) == 0, "rm");
}

int world_child(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)gettid());
    FILE *f = fopen(path, "r");
    int pid = 0;
    if (f && fscanf(f, "%d", &pid) != 1)
        pid = 0;
    if (f)
        fclose(f);
    return pid;
}
