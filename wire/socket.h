/* What the socket files share: the process's ZeroMQ context, its key check (ZAP), the pump that drains
 * a socket on an event loop, and addresses. Only the files of wire/ and their
 * tests include this. */
#ifndef SKY_WIRE_SOCKET_H
#define SKY_WIRE_SOCKET_H

#include <uv.h>
#include <zmq.h>

#include "wire/link.h"

/* -- context.c -- */

/* The one context of the process, made for its first socket and terminated after its last: a release
 * sends what closed sockets still have, for as long as their linger allows. */
sky_err sky__context_acquire(void **context, sky_error *e);
void sky__context_release(void);
/* Starts the key check of the context, once; the caller holds a reference. */
sky_err sky__context_start_zap(sky_error *e);

/* -- zap.c -- */

typedef struct sky__zap sky__zap;
/* Answers the key checks of all hubs of a context, in a thread of its own: a thousand workers that come
 * back at once must not wait for a loop that is committing. */
sky_err sky__zap_start(sky__zap **out, void *context, sky_error *e);
void sky__zap_join(sky__zap *zap); /* after the context was terminated */

enum { SKY__DOMAIN_BYTES = 32 };
/* The keys that a hub lets in, copied, under a new domain name. */
sky_err sky__zap_add(char domain[SKY__DOMAIN_BYTES], const sky_keyring *keys, sky_error *e);
void sky__zap_remove(const char *domain);
/* The role that the check wrote into a message's user id; NONE if it did not. */
sky_role sky__zap_role(const char *user_id);

/* -- pump.c -- */

/* Reads one message from the socket and hands it over; adds its size to *bytes. False: none is there. */
typedef bool (*sky__read_fn)(void *owner, size_t *bytes);

typedef struct sky__pump {
    void *socket;
    void *owner;
    sky__read_fn read;
    void (*on_idle)(void *owner);   /* may be NULL */
    void (*on_closed)(void *owner); /* all handles are closed, the socket not yet */
    uv_poll_t poll;
    uv_prepare_t prepare;
    uv_idle_t idle;
    int handles; /* not yet closed */
    bool dirty;  /* a send may have eaten the wake-up of a message that arrived */
    bool paused, closing;
    bool delivered; /* since the last on_idle */
} sky__pump;

sky_err sky__pump_start(sky__pump *p, uv_loop_t *loop, sky_error *e);
void sky__pump_pause(sky__pump *p, bool paused);
void sky__pump_close(sky__pump *p);

/* -- endpoint.c -- */

typedef struct sky__endpoint {
    char address[256]; /* as ZeroMQ wants it */
    char path[108];    /* of ipc, else "" */
} sky__endpoint;

/* SKY_EINVAL: neither tcp://host:port nor ipc:///path. */
sky_err sky__endpoint_parse(sky__endpoint *out, const char *text, sky_error *e);
/* SKY_EPERM: the socket's folder is not ours alone. */
sky_err sky__endpoint_check_folder(const sky__endpoint *at, sky_error *e);
/* True if somebody answers there: ZeroMQ would take the path away from a living process. */
bool sky__endpoint_is_served(const sky__endpoint *at);

/* For connecting: parses, and checks the folder or that there are keys. */
sky_err sky__link_check(const char *endpoint, const sky_keyring *keys, sky__endpoint *at,
                        sky_error *e);

typedef struct sky__socket_options {
    const sky_keyring *keys;   /* NULL for ipc */
    const char *zap_domain;    /* a server's */
    int send_max, receive_max; /* messages in a queue */
} sky__socket_options;
/* Limits, heartbeats and keys, the same for every socket. */
sky_err sky__socket_set(void *socket, const sky__endpoint *at, const sky__socket_options *o,
                        sky_error *e);
sky_err sky__socket_fail(sky_error *e, int zmq_error, const char *what);

/* -- monitor.c -- */

typedef struct sky__monitor {
    void *watched; /* the socket that makes the events */
    void *socket;  /* the one to read them from */
    bool reached;  /* a connection was made, so somebody listens */
} sky__monitor;

sky_err sky__monitor_open(sky__monitor *m, void *context, void *watched, sky_error *e);
void sky__monitor_close(sky__monitor *m); /* before the watched socket is closed */

typedef enum sky__news {
    SKY__NEWS_NONE,    /* no event is there */
    SKY__NEWS_OTHER,   /* one that says nothing */
    SKY__NEWS_UP,      /* the handshake succeeded */
    SKY__NEWS_DOWN,    /* the connection is gone; ZeroMQ makes a new one */
    SKY__NEWS_REFUSED, /* the handshake failed, and ZeroMQ gives up */
} sky__news;
/* The next event; *reason says what to tell a person (a literal). */
sky__news sky__monitor_next(sky__monitor *m, const char **reason);

/* -- endpoint.c again -- */

/* One send of one frame. SKY_EAGAIN, SKY_ECLOSED, SKY_ENOMEM. */
sky_err sky__socket_send(void *socket, const void *bytes, size_t len, int flags);

#endif
