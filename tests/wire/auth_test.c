/* Who gets in: wrong keys, no keys, garbage; roles; and what a person is told. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "link_test.h"
#include "wire/keyfile.h"
#include "wire/msg.h"

enum { WAIT_MS = 20000, QUIET_MS = 300 };

/* The hub still serves those who may. */
static void check_alive(world *w)
{
    uint64_t before = w->hub.messages;
    seen other = {.loop = &w->loop};
    seen saved = w->link;
    w->link = other;
    world_link(w, sky_hub_endpoint(w->hub.hub), &w->client);
    CHECK(sky_link_send(w->link.link, "ok", 2) == SKY_OK);
    CHECK(world_until(w, &w->hub.messages, before + 1, WAIT_MS));
    CHECK(w->hub.messages == before + 1);
    sky_link_close(w->link.link, 0);
    world_run(w, 5);
    w->link = saved;
}

static sky_keyring fresh_client(const sky_keyring *server)
{
    sky_keyring k = {0};
    memcpy(k.server_public, server->server_public, SKY_KEY_TEXT);
    CHECK(zmq_curve_keypair(k.own_public, k.own_secret) == 0);
    return k;
}

static void wait_for_reason(world *w, const char *part)
{
    for (int i = 0; i < 500 && !strstr(w->link.reason, part); i++)
        world_run(w, 10);
    if (!strstr(w->link.reason, part))
        fprintf(stderr, "'%s' lacks '%s'\n", w->link.reason, part);
    CHECK(strstr(w->link.reason, part) && !w->link.connected);
}

static void an_unauthorized_key_is_refused(void)
{
    world w;
    world_open(&w);
    world_hub(&w, "tcp://127.0.0.1:*");
    sky_keyring stranger = fresh_client(&w.server);
    world_link(&w, sky_hub_endpoint(w.hub.hub), &stranger);
    CHECK(sky_link_send(w.link.link, "x", 1) == SKY_OK);
    wait_for_reason(&w, "refused this key");
    world_run(&w, QUIET_MS);
    CHECK(w.hub.messages == 0 && w.link.states == 1);
    check_alive(&w);
    world_close(&w);
}

/* The key becomes known to a coordinator that starts later at the same address. */
static void a_refused_link_tries_again(void)
{
    world w;
    world_open(&w);
    world_hub(&w, "tcp://127.0.0.1:*");
    char endpoint[TEXT_MAX];
    snprintf(endpoint, sizeof endpoint, "%s", sky_hub_endpoint(w.hub.hub));
    sky_keyring late = fresh_client(&w.server);
    world_link(&w, endpoint, &late);
    wait_for_reason(&w, "refused this key");
    sky_hub_close(w.hub.hub, 0);
    world_run(&w, 50);
    sky_authorized entry = {.name = "late", .roles = SKY_ROLE_WORKER};
    memcpy(entry.public_key, late.own_public, SKY_KEY_TEXT);
    sky_keyring server = w.server;
    server.authorized = &entry;
    server.n_authorized = 1;
    sky_keyring saved = w.server;
    w.server = server;
    world_hub(&w, endpoint);
    w.server = saved;
    for (int i = 0; i < 1000 && !w.link.connected; i++)
        world_run(&w, 10);
    CHECK(w.link.connected);
    CHECK(sky_link_send(w.link.link, "x", 1) == SKY_OK);
    CHECK(world_until(&w, &w.hub.messages, 1, WAIT_MS));
    CHECK(w.hub.role == SKY_ROLE_WORKER);
    world_close(&w);
}

static void a_wrong_server_key_is_told(void)
{
    world w;
    world_open(&w);
    world_hub(&w, "tcp://127.0.0.1:*");
    sky_keyring mistaken = w.client;
    char unused[SKY_KEY_TEXT];
    CHECK(zmq_curve_keypair(mistaken.server_public, unused) == 0);
    world_link(&w, sky_hub_endpoint(w.hub.hub), &mistaken);
    CHECK(sky_link_send(w.link.link, "x", 1) == SKY_OK);
    wait_for_reason(&w, "coordinator.pub");
    world_run(&w, QUIET_MS);
    CHECK(w.hub.messages == 0);
    check_alive(&w);
    world_close(&w);
}

/* Clients with another mechanism (a downgrade was CVE-2014-7202). */
static void without_curve_nobody_gets_in(void)
{
    world w;
    world_open(&w);
    world_hub(&w, "tcp://127.0.0.1:*");
    void *context = zmq_ctx_new();
    int zero = 0;
    for (int plain = 0; plain < 2; plain++) {
        void *dealer = zmq_socket(context, ZMQ_DEALER);
        zmq_setsockopt(dealer, ZMQ_LINGER, &zero, sizeof zero);
        if (plain) {
            zmq_setsockopt(dealer, ZMQ_PLAIN_USERNAME, "admin", 5);
            zmq_setsockopt(dealer, ZMQ_PLAIN_PASSWORD, "admin", 5);
        }
        CHECK(zmq_connect(dealer, sky_hub_endpoint(w.hub.hub)) == 0);
        CHECK(zmq_send(dealer, "x", 1, 0) == 1);
        world_run(&w, QUIET_MS);
        CHECK(w.hub.messages == 0);
        zmq_close(dealer);
    }
    zmq_ctx_term(context);
    check_alive(&w);
    world_close(&w);
}

static int connect_raw(const char *endpoint)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)atoi(strrchr(endpoint, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static void raw_bytes_do_no_harm(void)
{
    static const char *const beginnings[] = {
        "", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL",
        "\xff\0\0\0\0\0\0\0\x01\x7f\x03\0CURVE", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"};
    static const size_t lens[] = {0, 27, 16, 17, 11};
    world w;
    world_open(&w);
    world_hub(&w, "tcp://127.0.0.1:*");
    sky_rng rng;
    sky_rng_init(&rng, 42, 0);
    int open[100];
    for (int i = 0; i < 100; i++) {
        unsigned char bytes[600];
        for (size_t at = 0; at < sizeof bytes; at++)
            bytes[at] = (unsigned char)sky_rng_u32(&rng);
        int kind = i % 5;
        memcpy(bytes, beginnings[kind], lens[kind]);
        if (kind == 2 || kind == 3)
            memset(bytes + lens[kind], 0, 64 - lens[kind]); /* the rest of the greeting */
        open[i] = connect_raw(sky_hub_endpoint(w.hub.hub));
        size_t len = i < 50 ? sizeof bytes : (size_t)sky_rng_below(&rng, sizeof bytes);
        ssize_t sent = send(open[i], bytes, len, MSG_NOSIGNAL);
        CHECK(sent >= -1); /* -1: it was closed already, which is fine */
        world_run(&w, 1);
    }
    world_run(&w, QUIET_MS);
    CHECK(w.hub.messages == 0);
    check_alive(&w);
    for (int i = 0; i < 100; i++)
        close(open[i]);
    world_close(&w);
}

static void *authorized_dealer(void *context, const world *w)
{
    void *dealer = zmq_socket(context, ZMQ_DEALER);
    int zero = 0;
    zmq_setsockopt(dealer, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(dealer, ZMQ_CURVE_SERVERKEY, w->client.server_public, SKY_KEY_TEXT);
    zmq_setsockopt(dealer, ZMQ_CURVE_PUBLICKEY, w->client.own_public, SKY_KEY_TEXT);
    zmq_setsockopt(dealer, ZMQ_CURVE_SECRETKEY, w->client.own_secret, SKY_KEY_TEXT);
    CHECK(zmq_connect(dealer, sky_hub_endpoint(w->hub.hub)) == 0);
    return dealer;
}

/* A peer with a good key may still misbehave. */
static void odd_messages_are_dropped(void)
{
    world w;
    world_open(&w);
    world_hub(&w, "tcp://127.0.0.1:*");
    void *context = zmq_ctx_new(), *dealer = authorized_dealer(context, &w);
    for (int i = 0; i < 10; i++) {
        CHECK(zmq_send(dealer, "a", 1, ZMQ_SNDMORE) == 1);
        CHECK(zmq_send(dealer, "b", 1, i % 2 ? ZMQ_SNDMORE : 0) == 1);
        if (i % 2)
            CHECK(zmq_send(dealer, "", 0, 0) == 0);
    }
    CHECK(zmq_send(dealer, "whole", 5, 0) == 5);
    CHECK(world_until(&w, &w.hub.messages, 1, WAIT_MS));
    CHECK(w.hub.messages == 1 && w.hub.bytes == 5);
    size_t len = SKY_MSG_BYTES_MAX; /* and one byte: the connection is cut */
    void *bytes = calloc(1, len + 1);
    CHECK(zmq_send(dealer, bytes, len + 1, 0) == (int)len + 1);
    world_run(&w, 2000);
    CHECK(w.hub.messages == 1);
    free(bytes);
    zmq_close(dealer);
    zmq_ctx_term(context);
    check_alive(&w);
    world_close(&w);
}

static void roles_follow_the_key(void)
{
    world w;
    world_open(&w);
    sky_keyring reader = fresh_client(&w.server);
    sky__keyfile file = {.roles = SKY_ROLE_READ};
    memcpy(file.public_key, reader.own_public, SKY_KEY_TEXT);
    char path[2 * TEXT_MAX];
    snprintf(path, sizeof path, "%s/authorized/reader.pub", w.folder);
    CHECK(sky__keyfile_make(path, &file, NULL) == SKY_OK);
    sky_keys_free(&w.server);
    CHECK(sky_keys_load(&w.server, w.folder, true, false, NULL) == SKY_OK);
    CHECK(w.server.n_authorized == 2);
    world_hub(&w, "tcp://127.0.0.1:*");
    world_link(&w, sky_hub_endpoint(w.hub.hub), &reader);
    CHECK(sky_link_send(w.link.link, "x", 1) == SKY_OK);
    CHECK(world_until(&w, &w.hub.messages, 1, WAIT_MS));
    CHECK(w.hub.role == SKY_ROLE_READ);
    check_alive(&w);
    CHECK(w.hub.role == SKY_ROLE_ALL);
    world_close(&w);
}

/* -- ask, from a thread: the hub's loop runs here -- */

typedef struct question {
    const char *endpoint;
    const sky_keyring *keys;
    int timeout_ms;
    sky_err err;
    sky_error error;
    void *reply;
    size_t reply_len;
    uint64_t done;
} question;

static void ask(void *arg)
{
    question *q = arg;
    q->err = sky_link_ask(q->endpoint, q->keys, "question", 8, q->timeout_ms, &q->reply,
                          &q->reply_len, &q->error);
    __atomic_store_n(&q->done, 1, __ATOMIC_SEQ_CST);
}

static void expect_answer(world *w, const char *endpoint, const sky_keyring *keys, int timeout_ms,
                          sky_err expected, const char *part)
{
    question q = {.endpoint = endpoint, .keys = keys, .timeout_ms = timeout_ms};
    uv_thread_t thread;
    CHECK(uv_thread_create(&thread, ask, &q) == 0);
    while (!__atomic_load_n(&q.done, __ATOMIC_SEQ_CST))
        world_run(w, 5);
    uv_thread_join(&thread);
    if (q.err != expected || !strstr(q.error.text, part)) {
        fprintf(stderr, "%d: '%s' lacks '%s'\n", q.err, q.error.text, part);
        CHECK(false);
    }
    if (!q.err)
        CHECK(q.reply_len == 8 && memcmp(q.reply, "question", 8) == 0);
    free(q.reply);
}

static void asking(void)
{
    world w;
    world_open(&w);
    expect_answer(&w, "tcp://127.0.0.1:1", &w.client, 300, SKY_ETIMEOUT, "nobody listens");
    expect_answer(&w, w.ipc, NULL, 300, SKY_ETIMEOUT, "nobody listens");
    expect_answer(&w, "tcp://127.0.0.1:1", NULL, 300, SKY_EPERM, "keys");
    expect_answer(&w, "nonsense", NULL, 300, SKY_EINVAL, "expected tcp");
    world_hub(&w, "tcp://127.0.0.1:*");
    const char *endpoint = sky_hub_endpoint(w.hub.hub);
    expect_answer(&w, endpoint, &w.client, 300, SKY_ETIMEOUT, "does not answer");
    w.hub.echo = true;
    expect_answer(&w, endpoint, &w.client, WAIT_MS, SKY_OK, "");
    sky_keyring stranger = fresh_client(&w.server);
    expect_answer(&w, endpoint, &stranger, WAIT_MS, SKY_EPERM, "refused this key");
    sky_keyring mistaken = stranger;
    memcpy(mistaken.server_public, stranger.own_public, SKY_KEY_TEXT);
    expect_answer(&w, endpoint, &mistaken, 500, SKY_ETIMEOUT, "coordinator.pub");
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
    } cases[] = {CASE(an_unauthorized_key_is_refused), CASE(a_refused_link_tries_again),
                 CASE(a_wrong_server_key_is_told),     CASE(without_curve_nobody_gets_in),
                 CASE(raw_bytes_do_no_harm),           CASE(odd_messages_are_dropped),
                 CASE(roles_follow_the_key),           CASE(asking)};
    sky_log_set_level(SKY_LOG_ERROR);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t began_ns = sky_clock_ns();
        cases[i].run();
        printf("ok %s (%lld ms)\n", cases[i].name,
               (long long)((sky_clock_ns() - began_ns) / SKY_NS_PER_MS));
    }
    return 0;
}
