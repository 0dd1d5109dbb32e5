/* A worker on a libuv loop: carries out what the agent decides. See worker/worker.h. */
#include "worker/worker.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "jobs/registry.h"
#include "worker/worker_internal.h"

enum {
    KILL_GRACE_MS = 1000,
    LINGER_MS = 1000, /* for what the link still has to send at the end */
};

struct sky_worker {
    uv_loop_t *loop;
    uv_timer_t timer;
    sky_link *link;
    sky_agent *agent;
    sky__machine machine;
    sky_session session;
    char *program, *checkpoints;
    char **program_args; /* NULL: the usual ones */
    bool open_plugins;
    uint32_t kill_grace_ms;
    void (*on_exit)(void *arg, int code, const char *reason);
    void (*on_state)(void *arg, bool connected, const char *reason);
    void *arg;

    sky__child **children; /* by slot */
    uint32_t n_slots;
    int64_t timer_ns;   /* when the timer fires; -1: not started */
    int64_t watched_ns; /* last look at the children */
    sky_arena arena;    /* of a message of the coordinator */
    sky_buf out;
    int64_t checkpoint_sweeps[SKY__CHECKPOINT_SWEEPS_MAX]; /* whose jobs use checkpoints */
    size_t n_checkpoint_sweeps;
    bool turning, exiting, closed, timer_closed;
    uint32_t n_children; /* not yet freed */
};

/* --- Freeing --- */

static void free_worker(sky_worker *w)
{
    sky_agent_free(w->agent);
    for (size_t i = 0; w->program_args && w->program_args[i]; i++)
        free(w->program_args[i]);
    free(w->program_args);
    free(w->program);
    free(w->checkpoints);
    free(w->children);
    sky_arena_free(&w->arena);
    sky_buf_free(&w->out);
    free(w);
}

static void free_if_done(sky_worker *w)
{
    if (w->closed && w->timer_closed && w->n_children == 0)
        free_worker(w);
}

void sky__worker_unref(sky_worker *w)
{
    assert(w->n_children > 0);
    w->n_children--;
    free_if_done(w);
}

static void on_timer_closed(uv_handle_t *h)
{
    sky_worker *w = h->data;
    w->timer_closed = true;
    free_if_done(w);
}

void sky_worker_close(sky_worker *w)
{
    if (!w || w->closed)
        return;
    w->closed = true;
    for (uint32_t i = 0; i < w->n_slots; i++) {
        if (w->children[i])
            sky__child_abandon(w->children[i]);
        w->children[i] = NULL;
    }
    sky_link_close(w->link, LINGER_MS);
    w->link = NULL;
    uv_close((uv_handle_t *)&w->timer, on_timer_closed);
}

/* --- Checkpoints --- */

static bool uses_checkpoints(const sky_worker *w, int64_t sweep)
{
    if (w->n_checkpoint_sweeps == SKY__CHECKPOINT_SWEEPS_MAX)
        return true; /* too many to remember: try each file */
    for (size_t i = 0; i < w->n_checkpoint_sweeps; i++) {
        if (w->checkpoint_sweeps[i] == sweep)
            return true;
    }
    return false;
}

static void note_checkpoints(sky_worker *w, const sky__child *c)
{
    if (atomic_load_explicit(&c->page->checkpoints_used, memory_order_relaxed) &&
        !uses_checkpoints(w, c->sweep))
        w->checkpoint_sweeps[w->n_checkpoint_sweeps++] = c->sweep;
}

/* One line for each acknowledged result, which the kill test compares with what is stored. */
static void log_acknowledged(const sky_msg_result *r)
{
    if (sky_log_get_level() < SKY_LOG_DEBUG || r->ok.n == 0)
        return;
    sky_buf b = {0};
    for (size_t i = 0; i < r->ok.n; i++)
        sky_buf_printf(&b, "%s%" PRIu64 "-%" PRIu64, i ? "," : "", r->ok.r[i].begin,
                       r->ok.r[i].end - 1);
    sky_log(SKY_LOG_DEBUG, "worker", "acknowledged seq=%" PRIu64 " sweep=%" PRId64 " positions=%s",
            r->seq, r->sweep, sky_buf_str(&b));
    sky_buf_free(&b);
}

/* The trials of a result are in the store: nobody will need their checkpoints. */
static void remove_checkpoints(sky_worker *w, const sky_msg_result *r, const char *store_uuid)
{
    if (!w->checkpoints || !store_uuid || strchr(store_uuid, '/') || !uses_checkpoints(w, r->sweep))
        return;
    char path[SKY_EXECUTOR_CHECKPOINTS_MAX + 64];
    int folder =
        snprintf(path, sizeof path, "%s/%s/%" PRId64, w->checkpoints, store_uuid, r->sweep);
    if (folder < 0 || (size_t)folder >= SKY_EXECUTOR_CHECKPOINTS_MAX)
        return;
    for (size_t i = 0; i < r->ok.n; i++) {
        for (uint64_t p = r->ok.r[i].begin; p < r->ok.r[i].end; p++) {
            snprintf(path + folder, sizeof path - (size_t)folder, "/%" PRIu64, p);
            unlink(path);
        }
    }
    path[folder] = 0;
    rmdir(path); /* goes if it was the last one */
}

/* --- Actions --- */

static void send_message(sky_worker *w, const sky_msg *m)
{
    sky_buf_reset(&w->out);
    sky_err err = sky_msg_encode(m, &w->out);
    if (err == SKY_OK)
        err = sky_link_send(w->link, w->out.data, w->out.len);
    if (err == SKY_EAGAIN && m->type == SKY_MSG_RESULT)
        sky_agent_unsent(w->agent, m->result.seq);
    else if (err != SKY_OK && err != SKY_EAGAIN)
        sky_log(SKY_LOG_WARN, "worker", "cannot send %s: %s", sky_msg_type_name(m->type),
                sky_strerror(err));
    enum { OUT_KEPT_BYTES = 4 << 20 };
    if (w->out.cap > OUT_KEPT_BYTES)
        sky_buf_free(&w->out);
}

static void start(sky_worker *w, const sky_agent_action *a)
{
    sky__child_options o = {
        .worker = w,
        .slot = a->slot,
        .action = a,
        .machine = &w->machine,
        .program = w->program,
        .program_args = (const char *const *)w->program_args,
        .checkpoints = w->checkpoints,
        .open_plugins = w->open_plugins,
        .loop = w->loop,
    };
    assert(!w->children[a->slot]);
    sky_error e = {0};
    if (sky__child_start(&w->children[a->slot], &o, &e) == SKY_OK) {
        w->n_children++;
        return;
    }
    sky_log(SKY_LOG_ERROR, "worker", "%s", e.text);
    sky_agent_died d = {.kind = SKY_DEATH_START, .reason = e.text};
    sky_agent_died_event(w->agent, sky_clock_ns(), a->slot, &d);
}

static void kill_child(sky_worker *w, const sky_agent_action *a)
{
    sky__child *c = w->children[a->slot];
    if (!c)
        return;
    if (a->why == SKY_KILL_CORRUPT)
        sky__child_kill_now(c, SKY__DOOM_ASKED, NULL);
    else
        sky__child_kill(c, SKY__DOOM_ASKED, sky_clock_ns() + w->kill_grace_ms * SKY_NS_PER_MS);
}

static void act(sky_worker *w, const sky_agent_action *a, int *code, sky_buf *reason)
{
    switch (a->kind) {
    case SKY_AGENT_SEND:
        send_message(w, a->msg);
        break;
    case SKY_AGENT_START:
        start(w, a);
        break;
    case SKY_AGENT_RUN:
        if (w->children[a->slot])
            sky__child_send(w->children[a->slot], a->msg);
        break;
    case SKY_AGENT_DRAIN:
        if (w->children[a->slot])
            atomic_store(&w->children[a->slot]->page->drain, 1);
        break;
    case SKY_AGENT_KILL:
        kill_child(w, a);
        break;
    case SKY_AGENT_RECORDED:
        log_acknowledged(&a->msg->result);
        remove_checkpoints(w, &a->msg->result, a->store_uuid);
        break;
    case SKY_AGENT_EXIT:
        w->exiting = true;
        *code = a->exit_code;
        sky_buf_puts(reason, a->reason ? a->reason : "");
        break;
    }
}

static void on_timer(uv_timer_t *t);

static int64_t earlier(int64_t x, int64_t y)
{
    return y >= 0 && y < x ? y : x;
}

/* Sets the timer to the next thing that is due. */
static void set_timer(sky_worker *w)
{
    int64_t now_ns = sky_clock_ns();
    int64_t due_ns = sky_agent_wake_ns(w->agent);
    for (uint32_t i = 0; i < w->n_slots; i++) {
        const sky__child *c = w->children[i];
        if (!c)
            continue;
        due_ns = earlier(due_ns, c->kill_ns);
        if (c->watch.timeout_ns > 0 || c->watch.memory_bytes > 0)
            due_ns = earlier(due_ns, w->watched_ns + SKY_WATCH_PERIOD_MS * SKY_NS_PER_MS);
    }
    /* Moving it at every message would cost more than waking once too often. */
    if (w->timer_ns >= 0 && w->timer_ns <= due_ns)
        return;
    w->timer_ns = due_ns;
    int64_t wait_ms = due_ns > now_ns ? (due_ns - now_ns + SKY_NS_PER_MS - 1) / SKY_NS_PER_MS : 0;
    uv_update_time(w->loop); /* the loop's idea of now is when this turn began */
    uv_timer_start(&w->timer, on_timer, (uint64_t)wait_ms, 0);
}

void sky__worker_turn(sky_worker *w)
{
    if (w->turning || w->exiting || w->closed)
        return;
    w->turning = true;
    int code = 0;
    sky_buf reason = {0};
    sky_agent_action a;
    while (!w->exiting && sky_agent_next(w->agent, &a))
        act(w, &a, &code, &reason);
    w->turning = false;
    if (!w->exiting) {
        set_timer(w);
    } else {
        uv_timer_stop(&w->timer);
        for (uint32_t i = 0; i < w->n_slots; i++) { /* only after running out of memory */
            if (w->children[i])
                sky__child_abandon(w->children[i]);
            w->children[i] = NULL;
        }
        if (w->on_exit)
            w->on_exit(w->arg, code, sky_buf_str(&reason));
    }
    sky_buf_free(&reason);
}

/* --- Events --- */

void sky__worker_outcome(sky_worker *w, sky__child *c, const sky_msg_result *part, sky_arena *arena)
{
    note_checkpoints(w, c);
    sky_agent_outcome(w->agent, sky_clock_ns(), c->slot, part, arena);
}

void sky__worker_died(sky_worker *w, sky__child *c, const sky_agent_died *d)
{
    note_checkpoints(w, c);
    assert(w->children[c->slot] == c);
    w->children[c->slot] = NULL;
    if (d->kind != SKY_DEATH_ASKED)
        sky_log(SKY_LOG_INFO, "worker", "executor %d ended: %s", (int)c->watch.pid,
                d->reason ? d->reason : "a signal from outside");
    sky_agent_died_event(w->agent, sky_clock_ns(), c->slot, d);
}

/* Looks at one executor: its limits, its planned end, what it runs. */
static void watch_child(sky_worker *w, sky__child *c, int64_t now_ns)
{
    if (c->kill_ns >= 0 && now_ns >= c->kill_ns)
        sky__child_kill_now(c, SKY__DOOM_CHANNEL, "closed its channel");
    if (c->exited || c->doom != SKY__DOOM_NONE)
        return;
    sky__child_trim_log(c);
    sky_watch_trial t;
    if (sky_watch_running(c->page, &t)) {
        int64_t ms = (now_ns - t.started_ns) / SKY_NS_PER_MS;
        sky_agent_running(w->agent, c->slot, t.begin,
                          ms < 0            ? 0
                          : ms < UINT32_MAX ? (uint32_t)ms
                                            : UINT32_MAX);
    }
    char text[128], number[64];
    switch (sky_watch_check(&c->watch, now_ns)) {
    case SKY_WATCH_OK:
        break;
    case SKY_WATCH_TIMEOUT:
        snprintf(text, sizeof text, "ran longer than limits.timeout (%s)",
                 sky_format_duration((double)c->watch.timeout_ns * 1e-9, number, sizeof number));
        sky__child_kill_now(c, SKY__DOOM_TIMEOUT, text);
        break;
    case SKY_WATCH_MEMORY:
        snprintf(text, sizeof text, "took more memory than limits.memory (%s)",
                 sky_format_bytes(c->watch.memory_bytes, number, sizeof number));
        sky__child_kill_now(c, SKY__DOOM_MEMORY, text);
        break;
    }
}

static void on_timer(uv_timer_t *t)
{
    sky_worker *w = t->data;
    w->timer_ns = -1;
    int64_t now_ns = sky_clock_ns();
    for (uint32_t i = 0; i < w->n_slots; i++) {
        if (w->children[i])
            watch_child(w, w->children[i], now_ns);
    }
    w->watched_ns = now_ns;
    sky_agent_tick(w->agent, now_ns);
    sky__worker_turn(w);
}

static void on_message(void *arg, const void *bytes, size_t len)
{
    sky_worker *w = arg;
    if (w->closed || w->exiting)
        return;
    sky_msg m;
    sky_error e = {0};
    sky_arena_reset(&w->arena);
    if (sky_msg_decode(&m, bytes, len, &w->arena, &e) != SKY_OK) {
        sky_log(SKY_LOG_WARN, "worker", "ignored a message: %s", e.text);
        return;
    }
    sky_agent_message(w->agent, sky_clock_ns(), &m);
}

static void on_idle(void *arg)
{
    sky__worker_turn(arg);
}

static void on_state(void *arg, bool connected, const char *reason)
{
    sky_worker *w = arg;
    if (w->closed || w->exiting)
        return;
    if (connected)
        sky_agent_connected(w->agent, sky_clock_ns());
    else
        sky_agent_disconnected(w->agent, sky_clock_ns());
    if (w->on_state)
        w->on_state(w->arg, connected, reason);
    sky__worker_turn(w);
}

/* --- Opening --- */

static char *default_checkpoints(void)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    sky_buf path = {0};
    if (cache && cache[0] == '/')
        sky_buf_printf(&path, "%s/skyline/checkpoints", cache);
    else if (home && home[0] == '/')
        sky_buf_printf(&path, "%s/.cache/skyline/checkpoints", home);
    else
        return NULL; /* nowhere: jobs begin anew */
    return sky_buf_detach(&path);
}

static bool copy_args(sky_worker *w, const char *const *args)
{
    size_t n = 0;
    while (args[n])
        n++;
    w->program_args = calloc(n + 1, sizeof(*w->program_args));
    for (size_t i = 0; w->program_args && i < n; i++) {
        w->program_args[i] = sky_strdup(args[i]);
        if (!w->program_args[i])
            return false;
    }
    return w->program_args != NULL;
}

static sky_err make_session(sky_session *s, sky_error *e)
{
    if (getrandom(s->b, sizeof s->b, 0) != (ssize_t)sizeof s->b)
        return sky_fail_errno(e, errno, "getrandom");
    s->b[0] |= 1; /* it is the socket's identity too: ZeroMQ keeps those that begin with 0 */
    return SKY_OK;
}

static sky_err make_agent(sky_worker *w, const sky_worker_options *o, sky_error *e)
{
    sky_buf json = {0};
    sky__machine_json(&w->machine, o->git_commit, &json);
    size_t n = sky_job_list(NULL, 0);
    const sky_job **jobs = calloc(n + 1, sizeof(sky_job *));
    sky_job_version *versions = calloc(n + 1, sizeof *versions);
    sky_err err = SKY_ENOMEM;
    if (jobs && versions && sky_buf_ok(&json)) {
        sky_job_list(jobs, n);
        for (size_t i = 0; i < n; i++)
            versions[i] = (sky_job_version){.name = jobs[i]->d.name, .version = jobs[i]->d.version};
        sky_agent_options options = {
            .session = w->session,
            .host = w->machine.host,
            .pid = (uint32_t)getpid(),
            .program_version = SKY_VERSION,
            .cpus = o->slots ? o->slots : w->machine.cpus,
            .gpus = w->machine.n_gpus,
            .memory_bytes = o->memory_bytes ? o->memory_bytes : w->machine.memory_bytes,
            .jobs = versions,
            .n_jobs = n,
            .open_plugins = o->open_plugins,
            .environment = sky_buf_str(&json),
        };
        err = sky_agent_new(&w->agent, &options);
    }
    free(jobs);
    free(versions);
    sky_buf_free(&json);
    if (err == SKY_EINVAL)
        return sky_fail(e, err, "a worker has at most %d slots", SKY_AGENT_CPUS_MAX);
    return err == SKY_OK ? SKY_OK : sky_fail(e, err, "%s", sky_strerror(err));
}

static sky_err set_up(sky_worker *w, const sky_worker_options *o, sky_error *e)
{
    sky_err err = sky__machine_probe(&w->machine, o->gpus, e);
    if (err == SKY_OK)
        err = make_session(&w->session, e);
    if (err == SKY_OK)
        err = sky_plugin_load_env(e);
    if (err == SKY_OK)
        err = make_agent(w, o, e);
    if (err != SKY_OK)
        return err;
    w->n_slots = sky_agent_slots(w->agent);
    w->children = calloc(w->n_slots, sizeof(sky__child *));
    w->program = sky_strdup(o->program);
    w->checkpoints = o->checkpoints ? sky_strdup(o->checkpoints) : default_checkpoints();
    if (!w->children || (o->program && !w->program) ||
        (o->program_args && !copy_args(w, o->program_args)))
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    return SKY_OK;
}

sky_err sky_worker_open(sky_worker **out, const sky_worker_options *o, sky_error *e)
{
    assert(out && o && o->loop && o->endpoint);
    sky_worker *w = calloc(1, sizeof *w);
    if (!w)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    w->loop = o->loop;
    w->open_plugins = o->open_plugins;
    w->kill_grace_ms = o->kill_grace_ms ? o->kill_grace_ms : KILL_GRACE_MS;
    w->on_exit = o->on_exit;
    w->on_state = o->on_state;
    w->arg = o->arg;
    w->timer_ns = -1;
    w->timer.data = w;
    sky_err err = set_up(w, o, e);
    if (err == SKY_OK) {
        sky_link_options link = {
            .loop = o->loop,
            .endpoint = o->endpoint,
            .keys = o->keys,
            .identity = w->session.b,
            .identity_len = sizeof w->session.b,
            .on_message = on_message,
            .on_idle = on_idle,
            .on_state = on_state,
            .arg = w,
        };
        err = sky_link_open(&w->link, &link, e);
    }
    if (err != SKY_OK) {
        free_worker(w);
        return err;
    }
    uv_timer_init(o->loop, &w->timer); /* cannot fail */
    set_timer(w);
    *out = w;
    return SKY_OK;
}

void sky_worker_stop(sky_worker *w, bool now)
{
    if (w->closed || w->exiting)
        return;
    sky_agent_stop(w->agent, sky_clock_ns(), now);
    sky__worker_turn(w);
}

sky_agent_stats sky_worker_stats(const sky_worker *w)
{
    return sky_agent_get_stats(w->agent);
}

const sky_session *sky_worker_session(const sky_worker *w)
{
    return &w->session;
}
