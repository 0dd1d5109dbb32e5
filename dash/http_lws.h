/* What the files of the HTTP server share: the library's functions, a connection. For http_*.c and lwslib.c. */
#ifndef SKY_DASH_HTTP_LWS_H
#define SKY_DASH_HTTP_LWS_H

#include <libwebsockets.h>

#include "base/buf.h"
#include "dash/http.h"

enum { SKY__CHUNK_BYTES = 128 << 10 };

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

/* Loaded when the first server is opened. */
extern struct sky__lws {
#define X(name) __typeof__(&name) name;
    LWS_FUNCTIONS(X)
#undef X
} sky__lws;
/* lwslib.c. SKY_ENOTFOUND, SKY_EVERSION. */
sky_err sky__lws_load(sky_error *e);

typedef enum sky__conn_state {
    SKY__CONN_IDLE,
    SKY__CONN_ASKED,
    SKY__CONN_ANSWERED,
    SKY__CONN_SENDING,
    SKY__CONN_STREAM,
    SKY__CONN_CLOSING
} sky__conn_state;

typedef struct sky__conn {
    struct sky__conn *next, **link;
    sky_http *h;
    struct lws *wsi;
    uint64_t id;
    sky__conn_state state;
    bool head, close;
    sky_buf header; /* of the reply: name and value, each with its NUL */
    int status;
    char *type;
    char *body;
    const void *fixed_body;
    int fd;
    size_t len, sent;
    sky_buf pending; /* of a stream */
} sky__conn;

struct sky_http {
    sky_http_options o;
    struct lws_context *context;
    struct lws_vhost *vhost;
    void *loops[1];
    sky__conn *conns;
    uint64_t last_id;
    sky_http_counts counts;
    unsigned char *chunk; /* LWS_PRE + SKY__CHUNK_BYTES */
};

/* http_reply.c. Frees what a request held; the connection is idle again. */
void sky__conn_end(sky__conn *c);
/* The client takes more: sends what is next. Not 0: the connection is to be closed. */
int sky__conn_writable(sky__conn *c);

#endif
