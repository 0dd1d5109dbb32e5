/* What a client may send, byte for byte, to the running server on a socket: request line, headers, query string.
 * What reaches the handler must hold what http.h promises; /events goes on to the streams, which read
 * Last-Event-ID. */
#include <arpa/inet.h>
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dash/api.h"
#include "dash/events.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { TURNS_MAX = 200, BYTES_MAX = 4 * SKY_HTTP_HEADER_BYTES_MAX };

static struct world {
    uv_loop_t loop;
    sky_http *http;
    sky__events *events;
    bool tried;
} world;

static void check_text(const char *text)
{
    assert(text && strlen(text) <= 2 * SKY_HTTP_HEADER_BYTES_MAX);
}

static void on_request(void *arg, const sky_http_request *r)
{
    struct world *w = arg;
    sky__path p;
    const char *const texts[] = {r->path,   r->host,          r->origin,        r->authorization,
                                 r->cookie, r->last_event_id, r->if_none_match, r->accept_encoding};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_text(texts[i]);
    assert(r->id > 0 && r->n_args <= SKY_HTTP_ARGS_MAX);
    assert(!r->head || r->method == SKY_HTTP_GET);
    for (size_t i = 0; i < r->n_args; i++) {
        check_text(r->args[i].name);
        check_text(r->args[i].value);
        assert(!strchr(r->args[i].name, '='));
    }
    if (strcmp(r->path, "/events") == 0 && sky__events_begin(w->events, w->http, r))
        return;
    sky_http_response out = {.status = sky__path_split(&p, r->path) ? 200 : 400};
    out.fixed_body = "ok\n";
    out.len = 3;
    sky_http_reply(w->http, r->id, &out);
}

static void on_gone(void *arg, uint64_t id)
{
    sky__events_gone(((struct world *)arg)->events, id);
}

static void open_world(struct world *w)
{
    w->tried = true;
    uv_loop_init(&w->loop);
    w->events = sky__events_new();
    const sky_http_options o = {.loop = &w->loop,
                                .address = "127.0.0.1",
                                .on_request = on_request,
                                .on_gone = on_gone,
                                .arg = w};
    if (!w->events || sky_http_open(&w->http, &o, NULL) != SKY_OK)
        w->http = NULL; /* the library is not installed here */
    for (int i = 0; w->http && i < 3; i++)
        sky__events_push(w->events, w->http, "sweeps", "{}"); /* something to resume from */
}

/* Until the server has closed the connection. */
static void talk(struct world *w, int fd)
{
    char answer[4096];
    for (int i = 0; i < TURNS_MAX; i++) {
        uv_run(&w->loop, UV_RUN_NOWAIT);
        const ssize_t n = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
        if (n == 0)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct world *w = &world;
    if (!w->tried)
        open_world(w);
    if (!w->http || len > BYTES_MAX)
        return 0;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(sky_http_port(w->http))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    /* Reset instead of waiting: thousands of connections a second would use up all ports. */
    const struct linger now = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
        send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) {
        shutdown(fd, SHUT_WR);
        talk(w, fd);
    }
    close(fd);
    for (int i = 0; i < TURNS_MAX && sky_http_count(w->http).connections > 0; i++)
        uv_run(&w->loop, UV_RUN_NOWAIT);
    return 0;
}
