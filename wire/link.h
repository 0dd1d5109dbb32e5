/* Sockets on the event loop: a hub (ROUTER, the coordinator's) and a link (DEALER, a worker's or a
 * client's), with CURVE on every TCP address.
 *
 * Callbacks only hand over a message; they may call send. A socket reads at most a bounded number of
 * messages per turn of the loop, so that timers are served. ZMQ_FD is edge-triggered: this module is the
 * only place that knows how to drain it. */
#ifndef SKY_WIRE_LINK_H
#define SKY_WIRE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "wire/keys.h"

typedef struct sky_hub sky_hub;
typedef struct sky_link sky_link;

enum { SKY_PEER_BYTES_MAX = 32 };
typedef struct sky_peer { /* a ROUTER's routing id */
    uint8_t len;
    uint8_t b[SKY_PEER_BYTES_MAX];
} sky_peer;

/* bytes are borrowed until the callback returns. role: what the peer's key allows (ROLE_ALL over ipc). */
typedef void (*sky_hub_fn)(void *arg, const sky_peer *peer, sky_role role, const void *bytes,
                           size_t len);
/* Called after each drained batch of messages, when the socket has nothing more for now or the turn's
 * bound is reached: the moment to decide and to commit. */
typedef void (*sky_idle_fn)(void *arg);

typedef struct sky_hub_options {
    uv_loop_t *loop;
    const char *endpoint;    /* tcp://host:port (port 0 or *: any free one) or ipc://path */
    const sky_keyring *keys; /* required for tcp; ipc needs a private (0700) folder and no keys */
    sky_hub_fn on_message;
    sky_idle_fn on_idle; /* may be NULL */
    void *arg;
} sky_hub_options;

/* Binds. SKY_EBUSY (address in use), SKY_EPERM (no keys for tcp, or ipc folder not private), SKY_EINVAL. */
sky_err sky_hub_open(sky_hub **out, const sky_hub_options *o, sky_error *e);
const char *sky_hub_endpoint(const sky_hub *h); /* with the real port */
/* SKY_EAGAIN: the peer's queue is full, try later; SKY_ECLOSED: the peer is gone. */
sky_err sky_hub_send(sky_hub *h, const sky_peer *peer, const void *bytes, size_t len);
/* Stops reading (back-pressure: peers' queues fill up) and resumes. */
void sky_hub_pause(sky_hub *h, bool paused);
/* Frees after the loop has run its close callbacks; sends what is queued for at most linger_ms (the close
 * callback of the process's last socket waits for that long). NULL is fine. */
void sky_hub_close(sky_hub *h, int linger_ms);

typedef void (*sky_link_fn)(void *arg, const void *bytes, size_t len);

typedef struct sky_link_options {
    uv_loop_t *loop;
    const char *endpoint;
    const sky_keyring *keys; /* as for the hub */
    /* Routing id of at most SKY_PEER_BYTES_MAX bytes. NULL, a new one per connection, is right for what
     * reconnects: with a fixed one the hub ignores a new connection until it has noticed that the old one
     * is dead. */
    const void *identity;
    size_t identity_len;
    sky_link_fn on_message;
    sky_idle_fn on_idle;
    /* A connection was made, lost, or refused for its key (reason, a literal, then says so; the link tries
     * again every 2 s). May be NULL. */
    void (*on_state)(void *arg, bool connected, const char *reason);
    void *arg;
} sky_link_options;

/* Connects in the background and reconnects for ever. */
sky_err sky_link_open(sky_link **out, const sky_link_options *o, sky_error *e);
sky_err sky_link_send(sky_link *l, const void *bytes, size_t len); /* SKY_EAGAIN: queue full */
void sky_link_close(sky_link *l, int linger_ms);

/* One request, one reply, no event loop: for `skyline status` and its like.
 * SKY_EPERM at once when the key is refused, else SKY_ETIMEOUT with a text that tells an absent
 * coordinator from a silent one and from a wrong coordinator.pub, where ZeroMQ knows. The reply's bytes
 * are the caller's to free. */
sky_err sky_link_ask(const char *endpoint, const sky_keyring *keys, const void *request, size_t len,
                     int timeout_ms, void **reply, size_t *reply_len, sky_error *e);

#endif
