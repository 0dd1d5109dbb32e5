/* sky_http by libwebsockets 4.1, on a loop that is not its own.
 *
 * The library is loaded when a server is opened: it brings OpenSSL with it, and every other command
 * starts at once without. What it wants to be told, found by trial:
 *  - a connection's user data may be replaced between two requests of one connection, so it only
 *    holds a pointer, and both CLOSED_HTTP and HTTP_DROP_PROTOCOL end the request;
 *  - after lws_context_destroy() the loop must run for its handles to close, and then the function be
 *    called again, or it keeps all its memory;
 *  - bytes to lws_write() need LWS_PRE bytes of room before them;
 *  - lws_http_mark_sse() is for HTTP/2 only, and complains on HTTP/1. */
#include <assert.h>
#include <dlfcn.h>
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "dash/http.h"

enum {
    CONNECTIONS_MAX = 1024,
    CHUNK_BYTES = 128 << 10,
    CHUNKS_A_TURN = 32, /* a busy coordinator has some 15 turns of its loop a second */
    HELD_MIB = 512,
    REPLY_S = 120, /* from a request to its answer: an export of everything takes its time */
    STALL_S = 20,  /* a client that takes no byte of its answer for so long is dropped */
    HEADER_S = 10, /* from a connection to its whole request */
    IDLE_S = 60,
};

#define LWS_FUNCTIONS(X)                                                                           \
    X(lws_create_context)                                                                          \
    X(lws_context_destroy)                                                                         \
    X(lws_create_vhost)                                                                            \
    X(lws_get_vhost_listen_port)                                                                   \
    X(lws_context_user)                                                                            \
    X(lws_get_context)                                                                             \
    X(lws_set_log_level)                                                                           \
    X(lws_hdr_total_length)                                                                        \
    X(lws_hdr_copy)                                                                                \
    X(lws_hdr_copy_fragment)                                                                       \
    X(lws_hdr_custom_length)                                                                       \
    X(lws_hdr_custom_copy)                                                                         \
    X(lws_add_http_common_headers)                                                                 \
    X(lws_add_http_header_by_name)                                                                 \
    X(lws_finalize_write_http_header)                                                              \
    X(lws_write)                                                                                   \
    X(lws_send_pipe_choked)                                                                        \
    X(lws_callback_on_writable)                                                                    \
    X(lws_http_transaction_completed)                                                              \
    X(lws_set_timeout)

static struct lws_library {
#define X(name) __typeof__(&name) name;
    LWS_FUNCTIONS(X)
#undef X
} lib;

typedef enum conn_state { IDLE, ASKED, ANSWERED, SENDING, STREAM, CLOSING } conn_state;

typedef struct conn {
    struct conn *next, **link;
    sky_http *h;
    struct lws *wsi;
    uint64_t id;
    conn_state state;
    bool head, close;
    sky_buf header; /* of the reply: name and value, each with its NUL */
    int status;
    char *type;
    char *body;
    const void *fixed_body;
    int fd;
    size_t len, sent;
    sky_buf pending; /* of a stream */
} conn;

struct sky_http {
    sky_http_options o;
    struct lws_context *context;
    struct lws_vhost *vhost;
    void *loops[1];
    conn *conns;
    uint64_t last_id;
    sky_http_counts counts;
    unsigned char *chunk; /* LWS_PRE + CHUNK_BYTES */
};

/* ---- Replies ---- */

static void end_request(conn *c)
{
    if (c->state == STREAM)
        c->h->counts.streams--;
    if (c->body)
        c->h->counts.held_bytes -= c->len;
    free(c->body);
    free(c->type);
    if (c->fd >= 0)
        close(c->fd);
    sky_buf_free(&c->header);
    sky_buf_free(&c->pending);
    c->body = c->type = NULL;
    c->fixed_body = NULL;
    c->fd = -1;
    c->len = c->sent = 0;
    c->state = IDLE;
    c->id = 0;
}

static conn *find(sky_http *h, uint64_t id)
{
    for (conn *c = h->conns; c; c = c->next) {
        if (c->id == id)
            return c;
    }
    return NULL;
}

static void put_header(sky_buf *b, const char *name, const char *value)
{
    if (!value)
        return;
    sky_buf_add(b, name, strlen(name) + 1);
    sky_buf_add(b, value, strlen(value) + 1);
}

void sky_http_reply(sky_http *h, uint64_t id, sky_http_response *r)
{
    conn *c = find(h, id);
    if (!c || c->state != ASKED) {
        free(r->body);
        if (r->has_fd)
            close(r->fd);
        return;
    }
    if (r->body && h->counts.held_bytes + r->len > h->o.held_bytes_max) {
        static const char busy[] = "{\"error\":\"too many large answers wait: try again\"}\n";
        free(r->body);
        *r = (sky_http_response){.status = 503,
                                 .type = "application/json",
                                 .fixed_body = busy,
                                 .len = sizeof busy - 1,
                                 .close = true};
    }
    if (r->body)
        h->counts.held_bytes += r->len;
    c->status = r->status;
    c->type = strdup(r->type ? r->type : "text/plain; charset=utf-8");
    c->body = r->body;
    c->fixed_body = r->fixed_body;
    c->fd = r->has_fd ? r->fd : -1;
    c->len = r->len;
    c->close = c->close || r->close;
    put_header(&c->header, "content-encoding:", r->encoding);
    put_header(&c->header, "etag:", r->etag);
    put_header(&c->header, "cache-control:", r->cache ? r->cache : "no-store");
    put_header(&c->header, "content-disposition:", r->disposition);
    put_header(&c->header, "location:", r->location);
    put_header(&c->header, "set-cookie:", r->set_cookie);
    c->state = ANSWERED;
    lib.lws_callback_on_writable(c->wsi);
}

bool sky_http_stream(sky_http *h, uint64_t id)
{
    conn *c = find(h, id);
    if (!c || c->state != ASKED)
        return false;
    c->status = 200;
    c->type = strdup("text/event-stream");
    put_header(&c->header, "cache-control:", "no-store");
    c->state = STREAM;
    c->sent = 0;
    h->counts.streams++;
    lib.lws_callback_on_writable(c->wsi);
    return true;
}

void sky_http_stream_send(sky_http *h, uint64_t id, const char *bytes, size_t len)
{
    conn *c = find(h, id);
    if (!c || c->state != STREAM)
        return;
    if (c->pending.len + len > SKY_HTTP_BACKLOG_BYTES_MAX) {
        h->counts.dropped++;
        lib.lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
        return;
    }
    sky_buf_add(&c->pending, bytes, len);
    lib.lws_callback_on_writable(c->wsi);
}

/* ---- Writing ---- */

static int add_header(struct lws *wsi, const char *name, const char *value, unsigned char **p,
                      unsigned char *end)
{
    return lib.lws_add_http_header_by_name(
        wsi, (const unsigned char *)name, (const unsigned char *)value, (int)strlen(value), p, end);
}

static int write_headers(conn *c, bool stream)
{
    unsigned char room[LWS_PRE + 4096], *start = room + LWS_PRE, *p = start;
    unsigned char *end = room + sizeof room - 1;
    if (!sky_buf_ok(&c->header) || !c->type)
        return -1;
    if (lib.lws_add_http_common_headers(c->wsi, (unsigned)c->status, c->type,
                                        stream ? LWS_ILLEGAL_HTTP_CONTENT_LEN : c->len, &p, end))
        return -1;
    for (const char *const *h = c->h->o.headers; h && *h; h += 2) {
        if (add_header(c->wsi, h[0], h[1], &p, end))
            return -1;
    }
    for (const char *at = c->header.data; at && at < c->header.data + c->header.len;) {
        const char *value = at + strlen(at) + 1;
        if (add_header(c->wsi, at, value, &p, end))
            return -1;
        at = value + strlen(value) + 1;
    }
    return lib.lws_finalize_write_http_header(c->wsi, start, &p, end);
}

static int finish(conn *c)
{
    const bool close_it = c->close;
    end_request(c);
    if (lib.lws_http_transaction_completed(c->wsi) || close_it)
        return -1;
    return 0;
}

/* 1: the body is at its end; negative: close. */
static int write_chunk(conn *c)
{
    unsigned char *out = c->h->chunk + LWS_PRE;
    size_t n = c->len - c->sent < CHUNK_BYTES ? c->len - c->sent : CHUNK_BYTES;
    if (c->fd >= 0) {
        const ssize_t got = pread(c->fd, out, n, (off_t)c->sent);
        if (got <= 0)
            return -1; /* the length was promised: only closing tells that it cannot be kept */
        n = (size_t)got;
    } else {
        memcpy(out, (c->body ? c->body : (const char *)c->fixed_body) + c->sent, n);
    }
    const bool last = c->sent + n == c->len;
    if (lib.lws_write(c->wsi, out, n, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < (int)n)
        return -1;
    c->sent += n;
    c->h->counts.bytes_sent += n;
    return last;
}

/* As much as the connection takes at once. */
static int write_body(conn *c)
{
    int done = 0;
    for (int i = 0; i < CHUNKS_A_TURN && done == 0; i++) {
        done = write_chunk(c);
        if (done == 0 && lib.lws_send_pipe_choked(c->wsi))
            break;
    }
    if (done < 0)
        return -1;
    if (done > 0)
        return finish(c);
    lib.lws_set_timeout(c->wsi, PENDING_TIMEOUT_HTTP_CONTENT, (int)c->h->o.stall_s);
    lib.lws_callback_on_writable(c->wsi);
    return 0;
}

static int write_stream(conn *c)
{
    if (c->sent == 0) {
        if (write_headers(c, true))
            return -1;
        lib.lws_set_timeout(c->wsi, NO_PENDING_TIMEOUT, 0);
        c->sent = 1;
        if (c->pending.len > 0)
            lib.lws_callback_on_writable(c->wsi);
        return 0;
    }
    if (c->pending.len == 0)
        return 0;
    if (!sky_buf_ok(&c->pending))
        return -1;
    memcpy(c->h->chunk + LWS_PRE, c->pending.data, c->pending.len);
    const size_t n = c->pending.len;
    sky_buf_reset(&c->pending);
    c->h->counts.bytes_sent += n;
    return lib.lws_write(c->wsi, c->h->chunk + LWS_PRE, n, LWS_WRITE_HTTP) < (int)n ? -1 : 0;
}
_Static_assert((int)SKY_HTTP_BACKLOG_BYTES_MAX <= (int)CHUNK_BYTES, "a backlog fits in the buffer");

static int writable(conn *c)
{
    switch (c->state) {
    case ANSWERED:
        c->state = SENDING;
        if (write_headers(c, false))
            return -1;
        if (c->len == 0 || c->head)
            return finish(c);
        lib.lws_set_timeout(c->wsi, PENDING_TIMEOUT_HTTP_CONTENT, (int)c->h->o.stall_s);
        lib.lws_callback_on_writable(c->wsi);
        return 0;
    case SENDING:
        return write_body(c);
    case STREAM:
        return write_stream(c);
    default:
        return 0;
    }
}

/* ---- Requests ---- */

/* The header into *at, which moves on; "" if it is not there or longer than what is left. */
static const char *header(struct lws *wsi, enum lws_token_indexes token, char **at, char *end)
{
    const int len = lib.lws_hdr_total_length(wsi, token);
    char *text = *at;
    if (len <= 0 || len + 1 > end - text ||
        lib.lws_hdr_copy(wsi, text, (int)(end - text), token) < 0)
        return "";
    *at += len + 1;
    return text;
}

static const char *last_event(struct lws *wsi, char **at, char *end)
{
    static const char name[] = "last-event-id:";
    char *text = *at;
    const int len = lib.lws_hdr_custom_length(wsi, name, sizeof name - 1);
    if (len <= 0 || len + 1 > end - text ||
        lib.lws_hdr_custom_copy(wsi, text, (int)(end - text), name, sizeof name - 1) < 0)
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
        const int len =
            lib.lws_hdr_copy_fragment(wsi, text, (int)(end - text), WSI_TOKEN_HTTP_URI_ARGS, i);
        if (len < 0)
            return i > 0 || lib.lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS) <= 0;
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

static int asked(conn *c, struct lws *wsi, const char *path)
{
    static char text[2 * SKY_HTTP_HEADER_BYTES_MAX];
    char *at = text, *end = text + sizeof text;
    sky_http_arg args[SKY_HTTP_ARGS_MAX];
    sky_http_request r = {.path = path, .args = args};
    end_request(c);
    c->id = r.id = ++c->h->last_id;
    c->state = ASKED;
    c->h->counts.requests++;
    r.head = lib.lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0;
    r.method = r.head || lib.lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0 ? SKY_HTTP_GET
               : lib.lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0        ? SKY_HTTP_POST
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
    lib.lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, REPLY_S);
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
    conn *c;
} user;

static conn *conn_of(struct lws *wsi, user *u)
{
    sky_http *h = lib.lws_context_user(lib.lws_get_context(wsi));
    if (u->c || !h)
        return u->c;
    conn *c = calloc(1, sizeof *c);
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
    conn *c = u ? u->c : NULL;
    if (!c)
        return;
    u->c = NULL;
    const uint64_t id = c->id;
    const bool stream = c->state == STREAM;
    sky_http *h = c->h;
    end_request(c);
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
    conn *c;
    (void)len;
    sky_http *h;
    switch (reason) {
    case LWS_CALLBACK_FILTER_NETWORK_CONNECTION:
        h = lib.lws_context_user(lib.lws_get_context(wsi));
        return h && h->counts.connections >= h->o.connections_max;
    case LWS_CALLBACK_WSI_CREATE: /* counted from here: a connection may never ask anything */
        h = lib.lws_context_user(lib.lws_get_context(wsi));
        h->counts.connections++;
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        h = lib.lws_context_user(lib.lws_get_context(wsi));
        h->counts.connections--;
        return 0;
    case LWS_CALLBACK_HTTP:
        c = conn_of(wsi, u);
        return c ? asked(c, wsi, in) : -1;
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return u && u->c ? writable(u->c) : 0;
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

static void on_log(int level, const char *line)
{
    sky_log(level & LLL_ERR ? SKY_LOG_INFO : SKY_LOG_DEBUG, "dash", "%.*s",
            (int)strcspn(line, "\n"), line);
}

static sky_err load_library(sky_error *e)
{
    if (lib.lws_create_context)
        return SKY_OK;
    /* The plug-in for libuv, which the library loads by itself, looks for its symbols here. */
    void *handle = dlopen("libwebsockets.so.17", RTLD_NOW | RTLD_GLOBAL);
    if (!handle)
        return sky_fail(e, SKY_ENOTFOUND,
                        "the dashboard needs libwebsockets (packages libwebsockets17 and "
                        "libwebsockets-evlib-uv): %s",
                        dlerror());
#define X(name)                                                                                    \
    do {                                                                                           \
        void *symbol = dlsym(handle, #name);                                                       \
        if (!symbol)                                                                               \
            return sky_fail(e, SKY_EVERSION, "libwebsockets.so.17 lacks " #name);                  \
        memcpy(&lib.name, &symbol, sizeof symbol);                                                 \
    } while (0);
    LWS_FUNCTIONS(X)
#undef X
    lib.lws_set_log_level(LLL_ERR | LLL_WARN, on_log);
    return SKY_OK;
}

sky_err sky_http_open(sky_http **out, const sky_http_options *o, sky_error *e)
{
    static const struct lws_protocols protocols[] = {
        /* Without a size of its own a send is cut into pieces of 4 KiB, one a turn of the loop. */
        {.name = "http",
         .callback = on_event,
         .per_session_data_size = sizeof(user),
         .tx_packet_size = CHUNK_BYTES},
        {.name = NULL},
    };
    assert(o->loop && o->on_request);
    sky_err err = load_library(e);
    if (err != SKY_OK)
        return err;
    sky_http *h = calloc(1, sizeof *h);
    if (h)
        h->chunk = malloc(LWS_PRE + CHUNK_BYTES);
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
    h->context = lib.lws_create_context(&info);
    if (h->context)
        h->vhost = lib.lws_create_vhost(h->context, &info);
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
    return (uint16_t)lib.lws_get_vhost_listen_port(h->vhost);
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
        lib.lws_context_destroy(k->h->context);
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
        lib.lws_context_destroy(h->context);
    closing *k = calloc(1, sizeof *k);
    if (!k || uv_timer_init(h->o.loop, &k->timer) != 0) {
        free(k);
        return; /* leaked on purpose: a callback may still come */
    }
    k->h = h;
    uv_timer_start(&k->timer, wait_for_library, CLOSE_MS, CLOSE_MS);
}
