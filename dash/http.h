/* The HTTP server that the dashboard needs, and no more: requests without bodies, replies with one,
 * and streams of events.
 *
 * Everything runs on the given loop; nothing here is thread-safe. A request is known by its number,
 * so that an answer which another thread worked out may come after the client has gone: it is then
 * dropped. Only http_lws.c, http_reply.c and lwslib.c know which library is behind this. */
#ifndef SKY_DASH_HTTP_H
#define SKY_DASH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"

enum {
    SKY_HTTP_ARGS_MAX = 32,                /* of a query string; more: 400 */
    SKY_HTTP_HEADER_BYTES_MAX = 16384,     /* of all headers of a request; more: it is cut off */
    SKY_HTTP_BACKLOG_BYTES_MAX = 64 << 10, /* a stream whose client reads slower is dropped */
};

typedef enum sky_http_method { SKY_HTTP_GET, SKY_HTTP_POST, SKY_HTTP_OTHER } sky_http_method;

typedef struct sky_http_arg {
    const char *name, *value; /* decoded; value is "" where there is no '=' */
} sky_http_arg;

/* Borrowed until the handler returns. Absent headers are "". */
typedef struct sky_http_request {
    uint64_t id;
    sky_http_method method;
    bool head;        /* HEAD: a GET without the body */
    const char *path; /* decoded, without the query */
    const sky_http_arg *args;
    size_t n_args;
    const char *host, *origin, *authorization, *cookie, *last_event_id, *accept_encoding,
        *if_none_match;
} sky_http_request;

/* Zero-initialise; a zero field means none. Texts are borrowed until the call returns. */
typedef struct sky_http_response {
    int status;
    const char *type;     /* Content-Type */
    const char *encoding; /* Content-Encoding */
    const char *etag, *cache, *disposition, *location, *set_cookie;
    char *body;             /* taken: freed with free() after it was sent, or dropped */
    const void *fixed_body; /* instead: static data, never freed */
    int fd;                 /* instead, if has_fd: a file, read from its beginning; taken */
    bool has_fd;
    size_t len; /* of any of the three */
    bool close; /* the connection, after this */
} sky_http_response;

typedef struct sky_http sky_http;

typedef struct sky_http_options {
    uv_loop_t *loop;          /* borrowed for the server's life */
    const char *address;      /* IPv4; NULL: any */
    uint16_t port;            /* 0: any free one */
    uint32_t connections_max; /* 0 = 1024; more are refused */
    /* Bodies in memory that wait to be sent, all together; an answer beyond is a 503. 0 = 512 MiB: sixteen
     * of the largest frames. */
    size_t held_bytes_max;
    uint32_t stall_s; /* a client that takes no byte of its answer for so long is dropped; 0 = 20 */
    const char *const
        *headers; /* "name:", "value", ... NULL: on every reply; borrowed for its life */
    /* Answers with sky_http_reply() or sky_http_stream(), now or later. */
    void (*on_request)(void *arg, const sky_http_request *r);
    void (*on_gone)(void *arg, uint64_t id); /* the client of a stream; may be NULL */
    void *arg;
} sky_http_options;

/* SKY_ENOTFOUND: the library is not installed. SKY_EBUSY: the address is taken or not ours. */
sky_err sky_http_open(sky_http **out, const sky_http_options *o, sky_error *e);
uint16_t sky_http_port(const sky_http *h);
/* Drops every client. The loop must run until its handles are closed. NULL is fine. */
void sky_http_close(sky_http *h);

void sky_http_reply(sky_http *h, uint64_t id, sky_http_response *r); /* takes what r owns */
/* Begins an event stream; false: the client has gone. */
bool sky_http_stream(sky_http *h, uint64_t id);
/* Queues bytes; a client with more than the bounded backlog is dropped. */
void sky_http_stream_send(sky_http *h, uint64_t id, const char *bytes, size_t len);

typedef struct sky_http_counts {
    uint64_t requests, dropped, bytes_sent;
    uint32_t connections, streams;
    size_t held_bytes;
} sky_http_counts;
sky_http_counts sky_http_count(const sky_http *h);

#endif
