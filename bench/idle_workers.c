/* Connects N idle workers to a coordinator from one process, over real sockets with CURVE, and answers
 * as a worker without work does: HELLO, then a HEARTBEAT whenever it is due. For measuring what
 * connected workers cost the coordinator; see bench/end_to_end.py.
 *
 *     idle_workers ENDPOINT N SECONDS
 *
 * Prints "welcomed N" once all are known to the coordinator. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "wire/keys.h"
#include "wire/link.h"
#include "wire/msg.h"

typedef struct idle_worker {
    sky_link *link;
    sky_session session;
    uv_timer_t heartbeat;
    bool welcomed;
} idle_worker;

static unsigned n_workers;
static unsigned n_welcomed;
static uint32_t heartbeat_ms = 1000;

static void send_msg(idle_worker *w, const sky_msg *m)
{
    sky_buf bytes = {0};
    if (sky_msg_encode(m, &bytes) == SKY_OK)
        (void)sky_link_send(w->link, bytes.data, bytes.len);
    sky_buf_free(&bytes);
}

static void say_hello(idle_worker *w)
{
    static const sky_job_version jobs[] = {{"noop", "1"}};
    const sky_msg m = {.type = SKY_MSG_HELLO,
                       .hello = {.session = w->session,
                                 .host = "idle",
                                 .pid = (uint32_t)getpid(),
                                 .program_version = SKY_VERSION,
                                 .cpus = 1,
                                 .jobs = jobs,
                                 .n_jobs = 1,
                                 .environment = "{}",
                                 .store_uuid = ""}};
    send_msg(w, &m);
}

static void on_heartbeat(uv_timer_t *timer)
{
    idle_worker *w = timer->data;
    const sky_msg m = {.type = SKY_MSG_HEARTBEAT, .heartbeat = {.session = w->session}};
    send_msg(w, &m);
}

static void on_message(void *arg, const void *bytes, size_t len)
{
    idle_worker *w = arg;
    sky_arena arena = {0};
    sky_msg m;
    if (sky_msg_decode(&m, bytes, len, &arena, NULL) == SKY_OK) {
        if (m.type == SKY_MSG_WHO) {
            say_hello(w);
        } else if (m.type == SKY_MSG_WELCOME && !w->welcomed) {
            w->welcomed = true;
            heartbeat_ms = m.welcome.heartbeat_ms;
            uv_timer_start(&w->heartbeat, on_heartbeat, (uint64_t)(rand() % (int)heartbeat_ms),
                           heartbeat_ms);
            if (++n_welcomed == n_workers) {
                printf("welcomed %u\n", n_welcomed);
                fflush(stdout);
            }
        }
    }
    sky_arena_free(&arena);
}

static void on_end(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: idle_workers ENDPOINT N SECONDS\n");
        return 2;
    }
    n_workers = (unsigned)strtoul(argv[2], NULL, 10);
    sky_error e = {0};
    char folder[4096];
    sky_keyring keys = {0};
    if (sky_keys_folder(NULL, folder, sizeof folder, &e) != SKY_OK ||
        sky_keys_load(&keys, folder, false, false, &e) != SKY_OK) {
        fprintf(stderr, "idle_workers: %s\n", e.text);
        return 1;
    }
    uv_loop_t *loop = uv_default_loop();
    idle_worker *workers = calloc(n_workers, sizeof *workers);
    if (!workers)
        return 1;
    for (unsigned i = 0; i < n_workers; i++) {
        idle_worker *w = &workers[i];
        if (getrandom(w->session.b, sizeof w->session.b, 0) != sizeof w->session.b)
            return 1;
        w->session.b[0] |= 1; /* ZeroMQ keeps identities that begin with 0 for itself */
        uv_timer_init(loop, &w->heartbeat);
        w->heartbeat.data = w;
        const sky_link_options o = {.loop = loop,
                                    .endpoint = argv[1],
                                    .keys = &keys,
                                    .identity = w->session.b,
                                    .identity_len = sizeof w->session.b,
                                    .on_message = on_message,
                                    .arg = w};
        if (sky_link_open(&w->link, &o, &e) != SKY_OK) {
            fprintf(stderr, "idle_workers: worker %u: %s\n", i, e.text);
            return 1;
        }
        say_hello(w);
    }
    uv_timer_t end;
    uv_timer_init(loop, &end);
    uv_timer_start(&end, on_end, strtoul(argv[3], NULL, 10) * 1000, 0);
    uv_run(loop, UV_RUN_DEFAULT);
    printf("ended with %u welcomed\n", n_welcomed);
    fflush(stdout);
    _exit(n_welcomed == n_workers ? 0 : 1); /* the process is the measurement; nothing to tidy up */
}
