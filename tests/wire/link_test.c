/* Hub and link over tcp with CURVE and over ipc: flow in both directions, full queues, lost peers. */
#include "link_test.h"

#include <string.h>
#include <sys/stat.h>
#include <zmq.h>

#include "base/clock.h"
#include "wire/msg.h"

enum { MANY = 100000, WAIT_MS = 20000 };

static void send_all(world *w, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to;) {
        sky_err err = sky_link_send(w->link.link, &i, sizeof i);
        if (err == SKY_EAGAIN) {
            world_run(w, 1);
            continue;
        }
        CHECK(err == SKY_OK);
        i++;
    }
}

static void flow(const char *endpoint)
{
    world w;
    world_open(&w);
    w.hub.echo = true;
    world_hub(&w, endpoint ? endpoint : w.ipc);
    world_link(&w, sky_hub_endpoint(w.hub.hub), &w.client);
    /* A window, so that the hub's queue towards the link does not fill. */
    for (uint64_t i = 0; i < MANY; i += 100) {
        send_all(&w, i, i + 100);
        if (i >= 400)
            CHECK(world_until(&w, &w.link.messages, i - 400, WAIT_MS));
    }
    CHECK(world_until(&w, &w.link.messages, MANY, WAIT_MS));
    CHECK(w.hub.messages == MANY && w.hub.out_of_order == 0 && w.link.out_of_order == 0);
    CHECK(w.hub.idles > 0 && w.hub.idles <= MANY && w.link.idles > 0);
    CHECK(w.link.connected && w.link.states == 1);
    CHECK(w.hub.role == SKY_ROLE_ALL);
    world_close(&w);
}

static void many_messages_over_tcp(void)
{
    flow("tcp://127.0.0.1:*");
}

static void many_messages_over_ipc(void)
{
    flow(NULL);
}

static void an_unknown_peer_is_closed(void)
{
    world w;
    world_open(&w);
    world_hub(&w, "tcp://localhost:0");
    const sky_peer peer = {.len = 5, .b = {0, 1, 2, 3, 4}};
    CHECK(sky_hub_send(w.hub.hub, &peer, "x", 1) == SKY_ECLOSED);
    world_link(&w, sky_hub_endpoint(w.hub.hub), &w.client);
    send_all(&w, 0, 1);
    CHECK(world_until(&w, &w.hub.messages, 1, WAIT_MS));
    CHECK(sky_hub_send(w.hub.hub, &w.hub.peer, "x", 1) == SKY_OK);
    CHECK(world_until(&w, &w.link.messages, 1, WAIT_MS));
    sky_link_close(w.link.link, 0);
    w.link.link = NULL;
    sky_err err = SKY_OK;
    for (int i = 0; i < 200 && !err; i++) {
        world_run(&w, 10);
        err = sky_hub_send(w.hub.hub, &w.hub.peer, "x", 1);
    }
    CHECK(err == SKY_ECLOSED);
    world_close(&w);
}

/* A paused hub reads nothing: the link's queue fills, and everything arrives after all. */
static void a_paused_hub_pushes_back(void)
{
    world w;
    world_open(&w);
    world_hub(&w, w.ipc);
    world_link(&w, w.ipc, NULL);
    send_all(&w, 0, 1);
    CHECK(world_until(&w, &w.hub.messages, 1, WAIT_MS));
    sky_hub_pause(w.hub.hub, true);
    static char bulk[10000];
    uint64_t sent = 1;
    int full = 0;
    while (full < 3 && sent < MANY) {
        sky_err err = sky_link_send(w.link.link, bulk, sizeof bulk);
        CHECK(err == SKY_OK || err == SKY_EAGAIN);
        sent += err == SKY_OK;
        full += err == SKY_EAGAIN;
        if (err)
            world_run(&w, 30);
    }
    CHECK(full == 3 && w.hub.messages == 1 && sent < 2000);
    CHECK(sky_hub_send(w.hub.hub, &w.hub.peer, "x", 1) == SKY_OK); /* sending goes on */
    CHECK(world_until(&w, &w.link.messages, 1, WAIT_MS));
    sky_hub_pause(w.hub.hub, false);
    CHECK(world_until(&w, &w.hub.messages, sent, WAIT_MS));
    world_close(&w);
}

/* A peer that does not read: the hub hears of it and forgets nothing that it accepted. */
static void a_full_queue_says_so(void)
{
    world w;
    world_open(&w);
    world_hub(&w, w.ipc);
    void *context = zmq_ctx_new(), *dealer = zmq_socket(context, ZMQ_DEALER);
    int one = 1, zero = 0;
    zmq_setsockopt(dealer, ZMQ_RCVHWM, &one, sizeof one);
    zmq_setsockopt(dealer, ZMQ_LINGER, &zero, sizeof zero);
    CHECK(zmq_connect(dealer, w.ipc) == 0);
    CHECK(zmq_send(dealer, "hello", 5, 0) == 5);
    CHECK(world_until(&w, &w.hub.messages, 1, WAIT_MS));
    static char bulk[10000];
    uint64_t accepted = 0;
    int full = 0;
    while (full < 3 && accepted < MANY) {
        sky_err err = sky_hub_send(w.hub.hub, &w.hub.peer, bulk, sizeof bulk);
        CHECK(err == SKY_OK || err == SKY_EAGAIN);
        accepted += err == SKY_OK;
        full += err == SKY_EAGAIN;
        if (err)
            world_run(&w, 30);
    }
    CHECK(full == 3 && accepted >= 1000 && accepted < 3000);
    int timeout_ms = 2000;
    zmq_setsockopt(dealer, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    for (uint64_t i = 0; i < accepted; i++)
        CHECK(zmq_recv(dealer, bulk, sizeof bulk, 0) == sizeof bulk);
    zmq_close(dealer);
    zmq_ctx_term(context);
    world_close(&w);
}

static void a_link_survives_its_hub(void)
{
    world w;
    world_open(&w);
    world_hub(&w, "tcp://127.0.0.1:*");
    char endpoint[TEXT_MAX];
    snprintf(endpoint, sizeof endpoint, "%s", sky_hub_endpoint(w.hub.hub));
    world_link(&w, endpoint, &w.client);
    send_all(&w, 0, 1);
    CHECK(world_until(&w, &w.hub.messages, 1, WAIT_MS));
    CHECK(w.link.connected);
    sky_hub_close(w.hub.hub, 0);
    for (int i = 0; i < 200 && w.link.connected; i++)
        world_run(&w, 10);
    CHECK(!w.link.connected && strcmp(w.link.reason, "disconnected") == 0);
    world_hub(&w, endpoint);
    for (int i = 0; i < 500 && !w.link.connected; i++)
        world_run(&w, 10);
    CHECK(w.link.connected && w.link.states == 3);
    send_all(&w, 1, 2);
    CHECK(world_until(&w, &w.hub.messages, 2, WAIT_MS));
    world_close(&w);
}

static void a_closing_hub_sends_what_it_has(void)
{
    enum { QUEUED = 900 };
    world w;
    world_open(&w);
    world_hub(&w, "tcp://127.0.0.1:*");
    world_link(&w, sky_hub_endpoint(w.hub.hub), &w.client);
    send_all(&w, 0, 1);
    CHECK(world_until(&w, &w.hub.messages, 1, WAIT_MS));
    for (uint64_t i = 0; i < QUEUED; i++)
        CHECK(sky_hub_send(w.hub.hub, &w.hub.peer, &i, sizeof i) == SKY_OK);
    sky_hub_close(w.hub.hub, 2000);
    w.hub.hub = NULL;
    CHECK(world_until(&w, &w.link.messages, QUEUED, WAIT_MS));
    CHECK(w.link.out_of_order == 0);
    world_close(&w);
}

/* Nobody is there to take what is queued: closing waits for as long as it was told, not longer. */
static void closing_does_not_hang(void)
{
    world w;
    world_open(&w);
    world_link(&w, "tcp://127.0.0.1:1", &w.client);
    CHECK(sky_link_send(w.link.link, "x", 1) == SKY_OK);
    int64_t began_ns = sky_clock_ns();
    sky_link_close(w.link.link, 200);
    w.link.link = NULL;
    world_close(&w);
    CHECK(sky_clock_ns() - began_ns < 2 * SKY_NS_PER_S);
}

typedef struct flood {
    world *w;
    uint64_t sent, ticks;
} flood;

static void on_flood_tick(uv_timer_t *timer)
{
    ((flood *)timer->data)->ticks++;
}

static void on_flood(uv_idle_t *idle)
{
    flood *f = idle->data;
    while (sky_link_send(f->w->link.link, &f->sent, sizeof f->sent) == SKY_OK && ++f->sent % 64) {
    }
}

static void timers_are_served_in_a_flood(void)
{
    world w;
    world_open(&w);
    world_hub(&w, w.ipc);
    world_link(&w, w.ipc, NULL);
    flood f = {.w = &w};
    uv_timer_t timer = {.data = &f};
    uv_idle_t idle = {.data = &f};
    uv_timer_init(&w.loop, &timer);
    uv_idle_init(&w.loop, &idle);
    uv_timer_start(&timer, on_flood_tick, 5, 5);
    uv_idle_start(&idle, on_flood);
    world_run(&w, 1000);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_close((uv_handle_t *)&idle, NULL);
    CHECK(w.hub.messages > 1000 && w.hub.out_of_order == 0);
    CHECK(w.hub.idles > 10);
    CHECK(f.ticks >= 20);
    CHECK(world_until(&w, &w.hub.messages, f.sent, WAIT_MS));
    world_close(&w);
}

/* Under ThreadSanitizer every word that libzmq wrote is looked up among the suppressed reports. */
#ifdef __SANITIZE_THREAD__
enum { BIG_BYTES = 256 << 10 };
#else
enum { BIG_BYTES = 20 << 20 };
#endif

static void big_messages(void)
{
    world w;
    world_open(&w);
    w.hub.echo = true;
    world_hub(&w, "tcp://127.0.0.1:*");
    world_link(&w, sky_hub_endpoint(w.hub.hub), &w.client);
    const size_t len = BIG_BYTES;
    void *bytes = calloc(1, len);
    CHECK(sky_link_send(w.link.link, bytes, len) == SKY_OK);
    CHECK(sky_link_send(w.link.link, "", 0) == SKY_OK);
    CHECK(world_until(&w, &w.link.messages, 2, WAIT_MS));
    CHECK(w.link.bytes == len);
    free(bytes);
    world_close(&w);
}

static void an_identity_names_the_peer(void)
{
    world w;
    world_open(&w);
    world_hub(&w, w.ipc);
    sky_error error = {0};
    const sky_link_options o = {.loop = &w.loop,
                                .endpoint = w.ipc,
                                .identity = "session-1",
                                .identity_len = 9,
                                .on_message = (sky_link_fn)abort,
                                .arg = &w.link};
    CHECK(sky_link_open(&w.link.link, &o, &error) == SKY_OK);
    CHECK(sky_link_send(w.link.link, "x", 1) == SKY_OK);
    CHECK(world_until(&w, &w.hub.messages, 1, WAIT_MS));
    CHECK(w.hub.peer.len == 9 && memcmp(w.hub.peer.b, "session-1", 9) == 0);
    world_close(&w);
}

static void expect_open(world *w, const char *endpoint, const sky_keyring *keys, sky_err expected,
                        const char *part)
{
    sky_error error = {0};
    sky_hub *hub = NULL;
    const sky_hub_options o = {
        .loop = &w->loop, .endpoint = endpoint, .keys = keys, .on_message = (sky_hub_fn)abort};
    sky_err err = sky_hub_open(&hub, &o, &error);
    if (err != expected || !strstr(error.text, part)) {
        fprintf(stderr, "%s: %d: %s\n", endpoint, err, error.text);
        CHECK(false);
    }
    CHECK(hub == NULL);
}

static void bad_addresses(void)
{
    world w;
    world_open(&w);
    static const char *const bad[] = {"",
                                      "127.0.0.1:5",
                                      "tcp://",
                                      "tcp://127.0.0.1",
                                      "tcp://127.0.0.1:",
                                      "tcp://127.0.0.1:99999",
                                      "tcp://127.0.0.1:x",
                                      "ipc://relative",
                                      "ipc://",
                                      "inproc://x",
                                      "udp://127.0.0.1:5",
                                      "tcp://256.1.1.1:5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_open(&w, bad[i], &w.server, SKY_EINVAL, "");
    char path[300];
    snprintf(path, sizeof path, "ipc:///%0200d", 1);
    expect_open(&w, path, NULL, SKY_EINVAL, "107 bytes");
    expect_open(&w, "tcp://127.0.0.1:*", NULL, SKY_EPERM, "keys");
    expect_open(&w, "tcp://127.0.0.1:*", &w.client, SKY_EPERM, "keys");
    expect_open(&w, "ipc:///nowhere-at-all/hub", NULL, SKY_ENOTFOUND, "/nowhere-at-all");
    CHECK(chmod(w.folder, 0750) == 0);
    expect_open(&w, w.ipc, NULL, SKY_EPERM, "chmod 700");
    CHECK(chmod(w.folder, 0700) == 0);
    world_hub(&w, w.ipc);
    expect_open(&w, w.ipc, NULL, SKY_EBUSY, "another process");
    sky_hub_close(w.hub.hub, 0);
    world_run(&w, 1);
    world_hub(&w, "tcp://127.0.0.1:*");
    expect_open(&w, sky_hub_endpoint(w.hub.hub), &w.server, SKY_EBUSY, "in use");
    world_close(&w);
}

int main(void)
{
#define CASE(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {CASE(many_messages_over_tcp),
                 CASE(many_messages_over_ipc),
                 CASE(an_unknown_peer_is_closed),
                 CASE(a_paused_hub_pushes_back),
                 CASE(a_full_queue_says_so),
                 CASE(a_link_survives_its_hub),
                 CASE(a_closing_hub_sends_what_it_has),
                 CASE(closing_does_not_hang),
                 CASE(timers_are_served_in_a_flood),
                 CASE(big_messages),
                 CASE(an_identity_names_the_peer),
                 CASE(bad_addresses)};
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t began_ns = sky_clock_ns();
        cases[i].run();
        printf("ok %s (%lld ms)\n", cases[i].name,
               (long long)((sky_clock_ns() - began_ns) / SKY_NS_PER_MS));
    }
    return 0;
}
