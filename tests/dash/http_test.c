/* The server against clients that do not behave: raw sockets on a thread of their own. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dash/http.h"

typedef struct world {
    uv_loop_t loop;
    uv_timer_t tick;
    sky_http *http;
    uint16_t port;
    uint64_t streams[64];
    size_t n_streams, n_gone;
    size_t body_bytes;      /* of an answer to /body */
    size_t push_bytes;      /* to each stream at each tick */
    sky_http_counts counts; /* before it closed */
    size_t held_most;       /* bytes that waited at most */
    uint64_t late;          /* a request that is answered later, or never */
    atomic_bool stop;
    int (*client)(struct world *w);
    int result;
} world;

static void on_request(void *arg, const sky_http_request *r)
{
    world *w = arg;
    if (strcmp(r->path, "/events") == 0) {
        if (sky_http_stream(w->http, r->id))
            w->streams[w->n_streams++] = r->id;
    } else if (strcmp(r->path, "/late") == 0) {
        w->late = r->id;
    } else {
        sky_http_response out = {.status = 200, .len = w->body_bytes};
        out.body = malloc(w->body_bytes + 1);
        for (size_t i = 0; i < w->body_bytes; i++)
            out.body[i] = (char)(i * 2654435761u >> 24);
        sky_http_reply(w->http, r->id, &out);
    }
}

static void on_gone(void *arg, uint64_t id)
{
    world *w = arg;
    for (size_t i = 0; i < w->n_streams; i++) {
        if (w->streams[i] == id) {
            w->streams[i] = w->streams[--w->n_streams];
            w->n_gone++;
            return;
        }
    }
}

static void on_tick(uv_timer_t *timer)
{
    static char bytes[16384];
    world *w = timer->data;
    for (size_t i = w->n_streams; i-- > 0;)
        sky_http_stream_send(w->http, w->streams[i], bytes, w->push_bytes);
    w->counts = sky_http_count(w->http);
    w->held_most = w->counts.held_bytes > w->held_most ? w->counts.held_bytes : w->held_most;
    if (atomic_load(&w->stop)) {
        sky_http_close(w->http);
        w->http = NULL;
        uv_close((uv_handle_t *)timer, NULL);
    }
}

static void *run_client(void *arg)
{
    world *w = arg;
    w->result = w->client(w);
    atomic_store(&w->stop, true);
    return NULL;
}

/* Serves until the client is done; its result is 0 or the line that failed. */
static sky_http_counts serve(world *w, const sky_http_options *more)
{
    pthread_t thread;
    sky_error e = {0};
    sky_http_options o = *more;
    uv_loop_init(&w->loop);
    o.loop = &w->loop;
    o.address = "127.0.0.1";
    o.on_request = on_request;
    o.on_gone = on_gone;
    o.arg = w;
    cr_assert(sky_http_open(&w->http, &o, &e) == SKY_OK, "%s", e.text);
    w->port = sky_http_port(w->http);
    uv_timer_init(&w->loop, &w->tick);
    w->tick.data = w;
    uv_timer_start(&w->tick, on_tick, 1, 1);
    pthread_create(&thread, NULL, run_client, w);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    pthread_join(thread, NULL);
    cr_assert(uv_loop_close(&w->loop) == 0, "no handle is left");
    cr_assert(w->result == 0, "the client failed in line %d", w->result);
    return w->counts;
}

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__;                                                                       \
    } while (0)

static int dial(const world *w, int receive_bytes, const char *path)
{
    char text[256];
    const int s = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(w->port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (receive_bytes)
        setsockopt(s, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    const struct timeval patience = {.tv_sec = 20};
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(s, (struct sockaddr *)&a, sizeof a) != 0)
        return -1;
    const int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    return send(s, text, (size_t)n, MSG_NOSIGNAL) == n ? s : -1;
}

/* ---- Streams ---- */

/* One client reads, one does not: the second is cut off, and only that. */
static int slow_and_quick(world *w)
{
    char bytes[65536];
    const int slow = dial(w, 4096, "/events"), quick = dial(w, 0, "/events");
    size_t got = 0;
    EXPECT(slow >= 0 && quick >= 0);
    for (int i = 0; got < (size_t)24 << 20; i++) { /* more than any socket holds */
        const ssize_t n = recv(quick, bytes, sizeof bytes, 0);
        EXPECT(n > 0);
        got += (size_t)n;
    }
    close(quick);
    /* The slow one finds its connection ended once it reads what the kernel kept. */
    size_t kept = 0;
    for (;;) {
        const ssize_t n = recv(slow, bytes, sizeof bytes, 0);
        if (n <= 0)
            break;
        kept += (size_t)n;
    }
    EXPECT(errno != EAGAIN && kept < (size_t)16 << 20);
    close(slow);
    return 0;
}

Test(http, slow_client_is_dropped)
{
    world w = {.client = slow_and_quick, .push_bytes = 16384};
    const sky_http_counts n = serve(&w, &(sky_http_options){0});
    /* The quick one may be counted too, once it is gone and the server has not noticed yet. */
    cr_assert(n.dropped == 1 || n.dropped == 2, "%llu were dropped", (unsigned long long)n.dropped);
    cr_assert(w.n_gone >= 1);
}

/* ---- Bodies ---- */

static int read_body(int s, size_t expected)
{
    char bytes[65536];
    size_t got = 0, head = 0;
    char *end = NULL;
    while (!end) {
        const ssize_t n = recv(s, bytes + head, sizeof bytes - 1 - head, 0);
        EXPECT(n > 0);
        head += (size_t)n;
        bytes[head] = 0;
        end = strstr(bytes, "\r\n\r\n");
    }
    EXPECT(strncmp(bytes, "HTTP/1.1 200", 12) == 0);
    const char *at = end + 4, *stop = bytes + head;
    for (;;) {
        for (; at < stop; at++, got++)
            EXPECT(*at == (char)(got * 2654435761u >> 24));
        if (got >= expected)
            return got == expected ? 0 : __LINE__;
        const ssize_t n = recv(s, bytes, sizeof bytes, 0);
        EXPECT(n > 0);
        at = bytes;
        stop = bytes + n;
    }
}

static int large_body(world *w)
{
    const int s = dial(w, 8192, "/body");
    EXPECT(s >= 0);
    const int failed = read_body(s, w->body_bytes);
    close(s);
    return failed;
}

Test(http, a_large_body_arrives_whole)
{
    world w = {.client = large_body, .body_bytes = ((size_t)24 << 20) + 1};
    const sky_http_counts n = serve(&w, &(sky_http_options){0});
    cr_assert(n.bytes_sent >= w.body_bytes);
    cr_assert(n.held_bytes == 0, "what was sent is let go");
    cr_assert(w.held_most == w.body_bytes);
}

/* Bodies that nobody takes do not pile up: beyond the limit others are told to come again. */
static int hoarders(world *w)
{
    int s[8];
    char bytes[64];
    for (int i = 0; i < 8; i++) {
        s[i] = dial(w, 4096, "/body");
        EXPECT(s[i] >= 0);
    }
    size_t refused = 0;
    for (int i = 0; i < 8; i++) {
        EXPECT(recv(s[i], bytes, 12, MSG_WAITALL) == 12);
        refused += memcmp(bytes, "HTTP/1.1 503", 12) == 0;
    }
    EXPECT(refused == 6);
    for (int i = 0; i < 8; i++)
        close(s[i]);
    return 0;
}

Test(http, bodies_that_wait_are_bounded)
{
    world w = {.client = hoarders, .body_bytes = (size_t)16 << 20};
    serve(&w, &(sky_http_options){.held_bytes_max = (size_t)40 << 20});
    cr_assert(w.held_most <= (size_t)40 << 20);
}

static int stalled(world *w)
{
    char bytes[65536];
    const int s = dial(w, 4096, "/body");
    EXPECT(s >= 0);
    sleep(3);
    size_t got = 0;
    for (;;) {
        const ssize_t n = recv(s, bytes, sizeof bytes, 0);
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    EXPECT(errno != EAGAIN && got < w->body_bytes);
    close(s);
    return 0;
}

Test(http, a_client_that_takes_nothing_is_dropped)
{
    world w = {.client = stalled, .body_bytes = (size_t)32 << 20};
    const sky_http_counts n = serve(&w, &(sky_http_options){.stall_s = 1});
    cr_assert(n.held_bytes == 0);
}

/* ---- Connections ---- */

static int too_many(world *w)
{
    int s[4];
    char byte;
    for (int i = 0; i < 4; i++)
        s[i] = dial(w, 0, "/events");
    size_t refused = 0;
    for (int i = 0; i < 4; i++)
        refused += s[i] < 0 || recv(s[i], &byte, 1, 0) <= 0;
    EXPECT(refused == 2);
    for (int i = 0; i < 4; i++)
        close(s[i]);
    usleep(200000);
    const int again = dial(w, 0, "/body");
    EXPECT(again >= 0);
    const int failed = read_body(again, w->body_bytes);
    close(again);
    return failed;
}

Test(http, connections_are_bounded)
{
    world w = {.client = too_many, .body_bytes = 5, .push_bytes = 16};
    serve(&w, &(sky_http_options){.connections_max = 2});
}

static int impatient(world *w)
{
    const int s = dial(w, 0, "/late");
    EXPECT(s >= 0);
    usleep(100000);
    close(s);
    usleep(100000);
    return 0;
}

Test(http, an_answer_for_nobody_is_dropped)
{
    world w = {.client = impatient};
    serve(&w, &(sky_http_options){0});
    cr_assert(w.late != 0);
}
