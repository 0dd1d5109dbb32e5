/* sky_http by libwebsockets 4.1, on a loop that is not its own.
 *
 * Here are requests and the server's life; http_reply.c writes, lwslib.c loads. What the library wants to
 * be told, found by trial:
 *  - a connection's user data may be replaced between two requests of one connection, so it only
 *    holds a pointer, and both CLOSED_HTTP and HTTP_DROP_PROTOCOL end the request;
 *  - after lws_context_destroy() the loop must run for its handles to close, and then the function be
 *    called again, or it keeps all its memory;
 *  - bytes to lws_write() need LWS_PRE bytes of room before them;
 *  - lws_http_mark_sse() is for HTTP/2 only, and complains on HTTP/1. */
#include "dash/http_lws.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECTIONS_MAX = 1024,
    HELD_MIB = 512,
    REPLY_S = 120, /* from a request to its answer: an export of everything takes its time */
    STALL_S = 20,  /* a client that takes no byte of its answer for so long is dropped */
    HEADER_S = 10, /* from a connection to its whole request */
    IDLE_S = 60,
};

/* ---- Requests ---- */

/* The header into *at, which moves on; "" if it is not there or longer than what is left. */
static const char *header(struct lws *wsi, enum lws_token_indexes token, char **at, char *end)
{
    const int len = sky__lws.lws_hdr_total_length(wsi, token);
    char *text = *at;
    if (len <= 0 || len + 1 > end - text ||
        sky__lws.lws_hdr_copy(wsi, text, (int)(end - text), token) < 0)
        return "";
    *at += len + 1;
    return text;
}

static const char *last_event(struct lws *wsi, char **at, char *end)
{
    static const char name[] = "last-event-id:";
    char *text = *at;
    const int len = sky__lws.lws_hdr_custom_length(wsi, name, sizeof name - 1);
    if (len <= 0 || len + 1 > end - text ||
        sky__lws.lws_hdr_custom_copy(wsi, text, (int)(end - text), name, sizeof name - 1) < 0)
        return "";
    *at += len + 1;
    return text;
}

static bool read_args(struct lws *wsi, sky_http_arg *args, size_t *n, char **at, char *end)
{
    *n = 0;
    for (int i = 0;; i++) {
        char *text = *at;
        if (end - text < 2)
            return false;
        const int len = sky__lws.lws_hdr_copy_fragment(wsi, text, (int)(end - text),
                                                       WSI_TOKEN_HTTP_URI_ARGS, i);
        if (len < 0)
            return i > 0 || sky__lws.lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS) <= 0;
        if (len == 0)
            continue;
        if (*n == SKY_HTTP_ARGS_MAX)
            return false;
        text[len] = 0;
        *at += len + 1;
        char *value = strchr(text, '=');
        if (value)
            *value++ = 0;
        args[(*n)++] = (sky_http_arg){text, value ? value : ""};
    }
}

static int asked(sky__conn *c, struct lws *wsi, const char *path)
{
    static char text[2 * SKY_HTTP_HEADER_BYTES_MAX];
    char *at = text, *end = text + sizeof text;
    sky_http_arg args[SKY_HTTP_ARGS_MAX];
    sky_http_request r = {.path = path, .args = args};
    sky__conn_end(c);
    c->id = r.id = ++c->h->last_id;
    c->state = SKY__CONN_ASKED;
    c->h->counts.requests++;
    r.head = sky__lws.lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0;
    r.method = r.head || sky__lws.lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0 ? SKY_HTTP_GET
               : sky__lws.lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0        ? SKY_HTTP_POST
                                                                                   : SKY_HTTP_OTHER;
    c->head = r.head;
    c->close = r.method != SKY_HTTP_GET; /* a body, if there is one, is not read */
    r.host = header(wsi, WSI_TOKEN_HOST, &at, end);
    r.origin = header(wsi, WSI_TOKEN_ORIGIN, &at, end);
    r.authorization = header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, &at, end);
    r.cookie = header(wsi, WSI_TOKEN_HTTP_COOKIE, &at, end);
    r.accept_encoding = header(wsi, WSI_TOKEN_HTTP_ACCEPT_ENCODING, &at, end);
    r.if_none_match = header(wsi, WSI_TOKEN_HTTP_IF_NONE_MATCH, &at, end);
    r.last_event_id = last_event(wsi, &at, end);
    sky__lws.lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, REPLY_S);
    if (!read_args(wsi, args, &r.n_args, &at, end)) {
        sky_http_response bad = {.status = 400, .close = true};
        sky_http_reply(c->h, c->id, &bad);
        return 0;
    }
    c->h->o.on_request(c->h->o.arg, &r);
    return 0;
}

/* ---- The library's side ---- */

typedef struct user {
    sky__conn *c;
} user;

static sky__conn *conn_of(struct lws *wsi, user *u)
{
    sky_http *h = sky__lws.lws_context_user(sky__lws.lws_get_context(wsi));
    if (u->c || !h)
        return u->c;
    sky__conn *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->h = h;
    c->wsi = wsi;
    c->fd = -1;
    c->next = h->conns;
    c->link = &h->conns;
    if (c->next)
        c->next->link = &c->next;
    h->conns = c;
    u->c = c;
    return c;
}

static void drop(user *u)
{
    sky__conn *c = u ? u->c : NULL;
    if (!c)
        return;
    u->c = NULL;
    const uint64_t id = c->id;
    const bool stream = c->state == SKY__CONN_STREAM;
    sky_http *h = c->h;
    sky__conn_end(c);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    free(c);
    if (stream && h->o.on_gone)
        h->o.on_gone(h->o.arg, id);
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *data, void *in,
                    size_t len)
{
    user *u = data;
    sky__conn *c;
    (void)len;
    sky_http *h;
    switch (reason) {
    case LWS_CALLBACK_FILTER_NETWORK_CONNECTION:
        h = sky__lws.lws_context_user(sky__lws.lws_get_context(wsi));
        return h && h->counts.connections >= h->o.connections_max;
    case LWS_CALLBACK_WSI_CREATE: /* counted from here: a connection may never ask anything */
        h = sky__lws.lws_context_user(sky__lws.lws_get_context(wsi));
        h->counts.connections++;
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        h = sky__lws.lws_context_user(sky__lws.lws_get_context(wsi));
        h->counts.connections--;
        return 0;
    case LWS_CALLBACK_HTTP:
        c = conn_of(wsi, u);
        return c ? asked(c, wsi, in) : -1;
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return u && u->c ? sky__conn_writable(u->c) : 0;
    case LWS_CALLBACK_FILTER_HTTP_CONNECTION:
    case LWS_CALLBACK_HTTP_BODY:
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return 0;
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
        drop(u);
        return 0;
    case LWS_CALLBACK_ESTABLISHED: /* WebSocket: there is none */
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        return -1;
    default:
        return 0;
    }
}

sky_err sky_http_open(sky_http **out, const sky_http_options *o, sky_error *e)
{
    static const struct lws_protocols protocols[] = {
        /* Without a size of its own a send is cut into pieces of 4 KiB, one a turn of the loop. */
        {.name = "http",
         .callback = on_event,
         .per_session_data_size = sizeof(user),
         .tx_packet_size = SKY__CHUNK_BYTES},
        {.name = NULL},
    };
    assert(o->loop && o->on_request);
    sky_err err = sky__lws_load(e);
    if (err != SKY_OK)
        return err;
    sky_http *h = calloc(1, sizeof *h);
    if (h)
        h->chunk = malloc(LWS_PRE + SKY__CHUNK_BYTES);
    if (!h || !h->chunk) {
        free(h);
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    }
    h->o = *o;
    h->loops[0] = o->loop;
    if (h->o.connections_max == 0)
        h->o.connections_max = CONNECTIONS_MAX;
    if (h->o.held_bytes_max == 0)
        h->o.held_bytes_max = (size_t)HELD_MIB << 20;
    if (h->o.stall_s == 0)
        h->o.stall_s = STALL_S;
    struct lws_context_creation_info info = {
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_DISABLE_IPV6 | LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND,
        .foreign_loops = h->loops,
        .user = h,
        .max_http_header_data = SKY_HTTP_HEADER_BYTES_MAX,
        .max_http_header_pool = (unsigned short)(h->o.connections_max + 16),
        .timeout_secs = HEADER_S,
        .keepalive_timeout = IDLE_S,
        .protocols = protocols,
        .port = o->port,
        .iface = o->address,
        .vhost_name = "dash",
    };
    h->context = sky__lws.lws_create_context(&info);
    if (h->context)
        h->vhost = sky__lws.lws_create_vhost(h->context, &info);
    if (!h->vhost) {
        err = sky_fail(e, SKY_EBUSY,
                       h->context ? "%s:%u: cannot listen there; is another program on that port?"
                                  : "%s:%u: libwebsockets does not start; is the package "
                                    "libwebsockets-evlib-uv installed?",
                       o->address ? o->address : "0.0.0.0", o->port);
        sky_http_close(h);
        return err;
    }
    *out = h;
    return SKY_OK;
}

uint16_t sky_http_port(const sky_http *h)
{
    return (uint16_t)sky__lws.lws_get_vhost_listen_port(h->vhost);
}

sky_http_counts sky_http_count(const sky_http *h)
{
    return h->counts;
}

/* The library calls back for each connection while its handles close, after this returned; on a loop
 * that is not its own it frees the rest when it is asked a second time. */
enum { CLOSE_MS = 20, CLOSE_TICKS_MIN = 3, CLOSE_TICKS_MAX = 100 };

typedef struct closing {
    uv_timer_t timer;
    sky_http *h;
    unsigned ticks;
} closing;

static void free_later(uv_handle_t *handle)
{
    closing *k = (closing *)handle;
    if (k->h->context)
        sky__lws.lws_context_destroy(k->h->context);
    free(k->h->chunk);
    free(k->h);
    free(k);
}

static void wait_for_library(uv_timer_t *timer)
{
    closing *k = (closing *)timer;
    k->ticks++;
    if ((k->ticks >= CLOSE_TICKS_MIN && k->h->counts.connections == 0) ||
        k->ticks == CLOSE_TICKS_MAX)
        uv_close((uv_handle_t *)timer, free_later);
}

void sky_http_close(sky_http *h)
{
    if (!h)
        return;
    h->o.on_gone = NULL;
    if (h->context)
        sky__lws.lws_context_destroy(h->context);
    closing *k = calloc(1, sizeof *k);
    if (!k || uv_timer_init(h->o.loop, &k->timer) != 0) {
        free(k);
        return; /* leaked on purpose: a callback may still come */
    }
    k->h = h;
    uv_timer_start(&k->timer, wait_for_library, CLOSE_MS, CLOSE_MS);
}
