/* What the wire costs, one JSON object per line: packing and unpacking results per row, beside copying
 * the same columns; and messages between hub and link, beside bare libzmq doing the same in the same
 * run (same transport, one I/O thread, blocking calls instead of an event loop).
 *
 * Modes: window: every message is answered, 256 are on their way; acked: every 64th is answered, with
 * the same window, as results are; pingpong: one at a time. Best of RUNS, ours and bare in turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "base/clock.h"
#include "base/rng.h"
#include "wire/link.h"
#include "wire/msg.h"

enum { RUNS = 5, ROWS = 16384, WINDOW = 256, ACK_EVERY = 64, COLUMNS_MAX = 11 };

static void check(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "wire_bench: %s\n", what);
    exit(1);
}

static double best(double a, double b)
{
    return a == 0 || b < a ? b : a;
}

/* -- the codec -- */

typedef struct timing {
    double encode_ns, decode_ns;
    size_t bytes;
} timing;

static timing time_codec(const sky_msg *m, int repeats)
{
    timing t = {0};
    sky_buf bytes = {0};
    sky_arena arena = {0};
    sky_msg decoded;
    for (int run = 0; run < RUNS; run++) {
        int64_t began = sky_clock_ns();
        for (int i = 0; i < repeats; i++) {
            sky_buf_reset(&bytes);
            check(sky_msg_encode(m, &bytes) == SKY_OK, "encode");
        }
        int64_t between = sky_clock_ns();
        for (int i = 0; i < repeats; i++) {
            sky_arena_reset(&arena);
            check(sky_msg_decode(&decoded, bytes.data, bytes.len, &arena, NULL) == SKY_OK,
                  "decode");
        }
        t.encode_ns = best(t.encode_ns, (double)(between - began) / repeats);
        t.decode_ns = best(t.decode_ns, (double)(sky_clock_ns() - between) / repeats);
    }
    t.bytes = bytes.len;
    sky_buf_free(&bytes);
    sky_arena_free(&arena);
    return t;
}

static double time_copy(size_t bytes)
{
    double ns = 0;
    char *from = calloc(1, bytes), *to = calloc(1, bytes);
    check(from && to, "out of memory");
    for (int run = 0; run < RUNS; run++) {
        int64_t began = sky_clock_ns();
        for (int i = 0; i < 200; i++) {
            memcpy(to, from, bytes);
            __asm__ volatile("" : : "r"(to) : "memory");
        }
        ns = best(ns, (double)(sky_clock_ns() - began) / 200);
    }
    free(from);
    free(to);
    return ns;
}

static void bench_rows(const char *name, const sky_column *columns, size_t n_columns,
                       const float *wall_s)
{
    const sky_range all = {1000000, 1000000 + ROWS};
    const sky_msg m = {.type = SKY_MSG_RESULT,
                       .result = {.seq = 1,
                                  .lease = 1ull << 32,
                                  .sweep = 1,
                                  .ok = {&all, 1},
                                  .metrics = columns,
                                  .n_metrics = n_columns,
                                  .wall_s = wall_s,
                                  .last = true}};
    timing t = time_codec(&m, 100);
    double copy_ns = time_copy(ROWS * (n_columns * 8 + (wall_s ? 4 : 0)));
    printf("{\"bench\":\"wire_rows\",\"columns\":\"%s\",\"rows\":%d,\"bytes_per_row\":%.2f,"
           "\"encode_ns_per_row\":%.2f,\"decode_ns_per_row\":%.2f,\"copy_ns_per_row\":%.2f}\n",
           name, ROWS, (double)t.bytes / ROWS, t.encode_ns / ROWS, t.decode_ns / ROWS,
           copy_ns / ROWS);
}

static void bench_codec(void)
{
    static double reals[ROWS];
    static int64_t small[ROWS], large[ROWS];
    static const char *few[ROWS];
    static const char *many[ROWS];
    static float wall_s[ROWS];
    static char texts[ROWS][16];
    sky_rng rng;
    sky_rng_init(&rng, 1, 1);
    static const char *const words[] = {"ws", "os", "is", "split", "one_large"};
    for (int i = 0; i < ROWS; i++) {
        reals[i] = sky_rng_normal(&rng);
        small[i] = (int64_t)sky_rng_below(&rng, 100);
        large[i] = (int64_t)sky_rng_u64(&rng);
        few[i] = words[sky_rng_below(&rng, 5)];
        snprintf(texts[i], sizeof texts[i], "text-%d", i);
        many[i] = texts[i];
        wall_s[i] = 1e-6f;
    }
    sky_column ten[COLUMNS_MAX];
    for (int i = 0; i < COLUMNS_MAX; i++)
        ten[i] = (sky_column){.type = SKY_REAL, .f = reals};
    bench_rows("1 real", ten, 1, NULL);
    bench_rows("1 real, wall_s", ten, 1, wall_s);
    bench_rows("11 real, wall_s", ten, COLUMNS_MAX, wall_s);
    bench_rows("1 int below 100", &(sky_column){.type = SKY_INT, .i = small}, 1, NULL);
    bench_rows("1 int of 64 bits", &(sky_column){.type = SKY_INT, .i = large}, 1, NULL);
    bench_rows("1 text of 5", &(sky_column){.type = SKY_TEXT, .s = few}, 1, NULL);
    bench_rows("1 text, all differ", &(sky_column){.type = SKY_TEXT, .s = many}, 1, NULL);
    const sky_range range = {1000000, 1000256};
    const sky_msg small_messages[] = {
        {.type = SKY_MSG_LEASE, .lease = {1ull << 32, 1, 1, false, {&range, 1}}},
        {.type = SKY_MSG_ACK, .ack = {(const uint64_t[]){5}, 1}},
        {.type = SKY_MSG_HEARTBEAT, .heartbeat = {.leases_held = 4}}};
    for (int i = 0; i < 3; i++) {
        timing t = time_codec(&small_messages[i], 20000);
        printf("{\"bench\":\"wire_message\",\"type\":\"%s\",\"bytes\":%zu,\"encode_ns\":%.0f,"
               "\"decode_ns\":%.0f}\n",
               sky_msg_type_name(small_messages[i].type), t.bytes, t.encode_ns, t.decode_ns);
    }
}

/* -- the sockets -- */

typedef struct setup {
    const char *transport;
    const char *endpoint;
    const sky_keyring *server, *client; /* NULL: no keys */
    const char *mode;
    size_t bytes;
    uint64_t messages;
    uint64_t window, ack_every;
} setup;

typedef struct end {
    const setup *s;
    uv_loop_t loop;
    sky_hub *hub;
    sky_link *link;
    char endpoint[256];
    uv_barrier_t *ready;
    char *payload;
    uint64_t seen, sent;
} end;

static void hub_message(void *arg, const sky_peer *peer, sky_role role, const void *bytes,
                        size_t len)
{
    end *h = arg;
    (void)role;
    h->seen++;
    if (h->seen % h->s->ack_every == 0) {
        size_t answer = h->s->ack_every == 1 ? len : 8;
        check(sky_hub_send(h->hub, peer, bytes, answer) == SKY_OK, "the hub's queue is full");
    }
    if (h->seen == h->s->messages)
        sky_hub_close(h->hub, 2000);
}

static void run_hub(void *arg)
{
    end *h = arg;
    sky_error error = {0};
    const sky_hub_options o = {.loop = &h->loop,
                               .endpoint = h->s->endpoint,
                               .keys = h->s->server,
                               .on_message = hub_message,
                               .arg = h};
    uv_loop_init(&h->loop);
    check(sky_hub_open(&h->hub, &o, &error) == SKY_OK, error.text);
    snprintf(h->endpoint, sizeof h->endpoint, "%s", sky_hub_endpoint(h->hub));
    uv_barrier_wait(h->ready);
    uv_run(&h->loop, UV_RUN_DEFAULT);
    uv_loop_close(&h->loop);
}

static void fill_window(end *l)
{
    uint64_t answered = l->seen * l->s->ack_every;
    while (l->sent < l->s->messages && l->sent < answered + l->s->window) {
        if (sky_link_send(l->link, l->payload, l->s->bytes) != SKY_OK)
            return; /* the next answer makes room */
        l->sent++;
    }
}

static void link_message(void *arg, const void *bytes, size_t len)
{
    end *l = arg;
    (void)bytes;
    (void)len;
    l->seen++;
    if (l->seen == l->s->messages / l->s->ack_every)
        sky_link_close(l->link, 0);
    else
        fill_window(l);
}

static double run_ours(const setup *s)
{
    uv_barrier_t ready;
    uv_barrier_init(&ready, 2);
    end hub = {.s = s, .ready = &ready}, link = {.s = s};
    uv_thread_t thread;
    uv_thread_create(&thread, run_hub, &hub);
    uv_barrier_wait(&ready);
    link.payload = calloc(1, s->bytes);
    sky_error error = {0};
    uv_loop_init(&link.loop);
    const sky_link_options o = {.loop = &link.loop,
                                .endpoint = hub.endpoint,
                                .keys = s->client,
                                .on_message = link_message,
                                .arg = &link};
    check(sky_link_open(&link.link, &o, &error) == SKY_OK, error.text);
    int64_t began = sky_clock_ns();
    fill_window(&link);
    uv_run(&link.loop, UV_RUN_DEFAULT);
    double seconds = (double)(sky_clock_ns() - began) / 1e9;
    uv_thread_join(&thread);
    uv_loop_close(&link.loop);
    uv_barrier_destroy(&ready);
    free(link.payload);
    return (double)s->messages / seconds;
}

typedef struct bare {
    const setup *s;
    void *router;
} bare;

static void run_router(void *arg)
{
    bare *b = arg;
    for (uint64_t seen = 1; seen <= b->s->messages; seen++) {
        zmq_msg_t id, body;
        zmq_msg_init(&id);
        zmq_msg_init(&body);
        zmq_msg_recv(&id, b->router, 0);
        zmq_msg_recv(&body, b->router, 0);
        if (seen % b->s->ack_every == 0) {
            zmq_msg_send(&id, b->router, ZMQ_SNDMORE);
            zmq_send(b->router, zmq_msg_data(&body), b->s->ack_every == 1 ? b->s->bytes : 8, 0);
        }
        zmq_msg_close(&id);
        zmq_msg_close(&body);
    }
}

static void bare_keys(void *router, void *dealer, const setup *s)
{
    if (!s->server)
        return;
    int one = 1;
    zmq_setsockopt(router, ZMQ_CURVE_SERVER, &one, sizeof one);
    zmq_setsockopt(router, ZMQ_CURVE_SECRETKEY, s->server->server_secret, SKY_KEY_TEXT);
    zmq_setsockopt(dealer, ZMQ_CURVE_SERVERKEY, s->client->server_public, SKY_KEY_TEXT);
    zmq_setsockopt(dealer, ZMQ_CURVE_PUBLICKEY, s->client->own_public, SKY_KEY_TEXT);
    zmq_setsockopt(dealer, ZMQ_CURVE_SECRETKEY, s->client->own_secret, SKY_KEY_TEXT);
}

static double run_bare(const setup *s)
{
    void *context = zmq_ctx_new();
    void *router = zmq_socket(context, ZMQ_ROUTER), *dealer = zmq_socket(context, ZMQ_DEALER);
    char endpoint[256];
    size_t size = sizeof endpoint;
    bare_keys(router, dealer, s);
    check(zmq_bind(router, s->endpoint) == 0, zmq_strerror(zmq_errno()));
    zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, endpoint, &size);
    check(zmq_connect(dealer, endpoint) == 0, zmq_strerror(zmq_errno()));
    bare b = {s, router};
    uv_thread_t thread;
    char *payload = calloc(1, s->bytes);
    uv_thread_create(&thread, run_router, &b);
    int64_t began = sky_clock_ns();
    uint64_t sent = 0;
    for (uint64_t seen = 0; seen < s->messages / s->ack_every; seen++) {
        for (; sent < s->messages && sent < seen * s->ack_every + s->window; sent++)
            zmq_send(dealer, payload, s->bytes, 0);
        zmq_recv(dealer, payload, s->bytes, 0);
    }
    double seconds = (double)(sky_clock_ns() - began) / 1e9;
    uv_thread_join(&thread);
    zmq_close(router);
    zmq_close(dealer);
    zmq_ctx_term(context);
    free(payload);
    return (double)s->messages / seconds;
}

static void bench_flow(setup s, const char *mode, size_t bytes, uint64_t messages)
{
    s.mode = mode;
    s.bytes = bytes;
    s.window = strcmp(mode, "pingpong") == 0 ? 1 : WINDOW;
    s.ack_every = strcmp(mode, "acked") == 0 ? ACK_EVERY : 1;
    s.messages = messages / ACK_EVERY * ACK_EVERY;
    double ours = 0, theirs = 0;
    for (int run = 0; run < RUNS; run++) {
        double rate = run_ours(&s);
        ours = rate > ours ? rate : ours;
        rate = run_bare(&s);
        theirs = rate > theirs ? rate : theirs;
    }
    printf("{\"bench\":\"wire_flow\",\"transport\":\"%s\",\"mode\":\"%s\",\"bytes\":%zu,"
           "\"messages_per_s\":%.0f,\"bare_libzmq_per_s\":%.0f,\"ratio\":%.2f}\n",
           s.transport, mode, bytes, ours, theirs, ours / theirs);
    fflush(stdout);
}

int main(void)
{
    bench_codec();
    fflush(stdout);
    char folder[] = "/tmp/sky-wire-bench-XXXXXX", ipc[80], path[64];
    check(mkdtemp(folder), "no folder");
    snprintf(path, sizeof path, "%s/hub", folder);
    snprintf(ipc, sizeof ipc, "ipc://%s", path);
    sky_keyring server = {0}, client = {0};
    check(zmq_curve_keypair(server.server_public, server.server_secret) == 0, "no CURVE");
    check(zmq_curve_keypair(client.own_public, client.own_secret) == 0, "no CURVE");
    memcpy(client.server_public, server.server_public, SKY_KEY_TEXT);
    sky_authorized entry = {.name = "bench", .roles = SKY_ROLE_ALL};
    memcpy(entry.public_key, client.own_public, SKY_KEY_TEXT);
    server.authorized = &entry;
    server.n_authorized = 1;
    const setup setups[] = {{.transport = "ipc", .endpoint = ipc},
                            {.transport = "tcp+curve",
                             .endpoint = "tcp://127.0.0.1:*",
                             .server = &server,
                             .client = &client}};
    for (int i = 0; i < 2; i++) {
        bench_flow(setups[i], "pingpong", 100, 10000);
        bench_flow(setups[i], "window", 100, 200000);
        bench_flow(setups[i], "acked", 100, 300000);
        bench_flow(setups[i], "acked", ROWS * 8, i ? 2000 : 5000);
    }
    unlink(path);
    rmdir(folder);
    return 0;
}
