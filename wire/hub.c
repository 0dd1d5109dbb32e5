/* The coordinator's socket: a ROUTER. It tells peers apart by routing ids that it makes itself, and what
 * a peer may do by the key that it proved to own. */
#include "wire/link.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "wire/socket.h"

/* Per peer. What arrives is bulky (results) and a coordinator that commits slowly must not hoard it:
 * beyond this, the worker's own queue fills, and it stops computing. */
enum { SEND_MAX = 1024, RECEIVE_MAX = 128 };

enum { CONNECTIONS_MAX = 1 << 16 };

struct sky_hub {
    void *socket;
    sky__pump pump;
    sky_hub_options o;
    char endpoint[256];
    char domain[SKY__DOMAIN_BYTES]; /* "" over ipc */
    uint64_t dropped;               /* malformed messages */
};

static void free_hub(sky_hub *h)
{
    if (h->socket)
        zmq_close(h->socket);
    if (h->domain[0])
        sky__zap_remove(h->domain);
    sky__context_release();
    free(h);
}

static void on_closed(void *owner)
{
    free_hub(owner);
}

static void on_idle(void *owner)
{
    sky_hub *h = owner;
    if (h->o.on_idle)
        h->o.on_idle(h->o.arg);
}

static bool receive(void *socket, zmq_msg_t *msg)
{
    int got;
    do
        got = zmq_msg_recv(msg, socket, ZMQ_DONTWAIT);
    while (got < 0 && zmq_errno() == EINTR);
    return got >= 0;
}

static void drop_rest(sky_hub *h, zmq_msg_t *body)
{
    while (zmq_msg_more(body) && receive(h->socket, body)) {
    }
    if (h->dropped++ == 0)
        sky_log(SKY_LOG_WARN, "wire", "dropped a message that is not of one frame");
}

static bool read_one(void *owner, size_t *bytes)
{
    sky_hub *h = owner;
    zmq_msg_t id, body;
    zmq_msg_init(&id);
    zmq_msg_init(&body);
    bool got = receive(h->socket, &id);
    if (!got)
        goto done;
    *bytes += zmq_msg_size(&id);
    if (!zmq_msg_more(&id) || !receive(h->socket, &body))
        goto done;
    *bytes += zmq_msg_size(&body);
    sky_peer peer = {.len = (uint8_t)zmq_msg_size(&id)};
    if (zmq_msg_more(&body) || zmq_msg_size(&id) > SKY_PEER_BYTES_MAX) {
        drop_rest(h, &body);
        goto done;
    }
    memcpy(peer.b, zmq_msg_data(&id), peer.len);
    sky_role role = h->domain[0] ? sky__zap_role(zmq_msg_gets(&body, "User-Id")) : SKY_ROLE_ALL;
    if (role == SKY_ROLE_NONE)
        goto done; /* nobody checked its key */
    h->o.on_message(h->o.arg, &peer, role, zmq_msg_data(&body), zmq_msg_size(&body));
done:
    zmq_msg_close(&id);
    zmq_msg_close(&body);
    return got;
}

/* A connection is a file. Not to the hard limit where that is a million: some programs that an executor
 * starts close every possible file, one by one. */
static void allow_connections(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files))
        return;
    rlim_t wanted = files.rlim_max < CONNECTIONS_MAX ? files.rlim_max : CONNECTIONS_MAX;
    if (files.rlim_cur >= wanted)
        return;
    files.rlim_cur = wanted;
    setrlimit(RLIMIT_NOFILE, &files); /* if not, there are fewer connections */
}

static sky_err bind_to(sky_hub *h, const sky__endpoint *at, sky_error *e)
{
    const int settings[][2] = {{ZMQ_ROUTER_MANDATORY, 1}, {ZMQ_ROUTER_HANDOVER, 0}};
    for (size_t i = 0; i < 2; i++)
        if (zmq_setsockopt(h->socket, settings[i][0], &settings[i][1], sizeof(int)))
            return sky__socket_fail(e, zmq_errno(), "cannot set up a socket");
    if (at->path[0] && sky__endpoint_is_served(at))
        return sky_fail(e, SKY_EBUSY, "%s: another process listens there", at->address);
    if (zmq_bind(h->socket, at->address))
        return sky__socket_fail(e, zmq_errno(), at->address);
    size_t size = sizeof h->endpoint;
    if (zmq_getsockopt(h->socket, ZMQ_LAST_ENDPOINT, h->endpoint, &size))
        return sky__socket_fail(e, zmq_errno(), at->address);
    return SKY_OK;
}

static sky_err check_options(const sky_hub_options *o, sky__endpoint *at, sky_error *e)
{
    sky_err err = sky__endpoint_parse(at, o->endpoint, e);
    if (err)
        return err;
    if (at->path[0])
        return sky__endpoint_check_folder(at, e);
    if (!o->keys || !o->keys->server_secret[0])
        return sky_fail(e, SKY_EPERM, "%s: TCP needs the coordinator's keys", o->endpoint);
    return SKY_OK;
}

sky_err sky_hub_open(sky_hub **out, const sky_hub_options *o, sky_error *e)
{
    assert(out && o && o->loop && o->endpoint && o->on_message);
    sky__endpoint at;
    sky_err err = check_options(o, &at, e);
    if (err)
        return err;
    sky_hub *h = calloc(1, sizeof *h);
    if (!h)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    void *context = NULL;
    err = sky__context_acquire(&context, e);
    if (err) {
        free(h);
        return err;
    }
    h->o = *o;
    h->o.endpoint = NULL; /* borrowed until we return */
    h->o.keys = NULL;
    allow_connections();
    bool keyed = !at.path[0];
    if (keyed) {
        err = sky__context_start_zap(e);
        if (!err)
            err = sky__zap_add(h->domain, o->keys, e);
        if (err)
            goto done;
    }
    h->socket = zmq_socket(context, ZMQ_ROUTER);
    if (!h->socket) {
        err = sky__socket_fail(e, zmq_errno(), "cannot make a socket");
        goto done;
    }
    const sky__socket_options options = {.keys = keyed ? o->keys : NULL,
                                         .zap_domain = h->domain,
                                         .send_max = SEND_MAX,
                                         .receive_max = RECEIVE_MAX};
    err = sky__socket_set(h->socket, &at, &options, e);
    if (!err)
        err = bind_to(h, &at, e);
    if (err)
        goto done;
    h->pump = (sky__pump){.socket = h->socket,
                          .owner = h,
                          .read = read_one,
                          .on_idle = on_idle,
                          .on_closed = on_closed};
    err = sky__pump_start(&h->pump, o->loop, e);
    if (err)
        goto done;
    *out = h;
    h = NULL;
done:
    if (h)
        free_hub(h);
    return err;
}

const char *sky_hub_endpoint(const sky_hub *h)
{
    return h->endpoint;
}

sky_err sky_hub_send(sky_hub *h, const sky_peer *peer, const void *bytes, size_t len)
{
    assert(!h->pump.closing);
    zmq_msg_t body; /* made first: an id without a body would begin the next message */
    if (zmq_msg_init_size(&body, len))
        return SKY_ENOMEM;
    if (len)
        memcpy(zmq_msg_data(&body), bytes, len);
    sky_err err = sky__socket_send(h->socket, peer->b, peer->len, ZMQ_SNDMORE);
    if (!err && zmq_msg_send(&body, h->socket, ZMQ_DONTWAIT) < 0)
        err = SKY_ECLOSED;
    if (err)
        zmq_msg_close(&body);
    h->pump.dirty = true;
    return err;
}

void sky_hub_pause(sky_hub *h, bool paused)
{
    sky__pump_pause(&h->pump, paused);
}

void sky_hub_close(sky_hub *h, int linger_ms)
{
    if (!h || h->pump.closing)
        return;
    zmq_setsockopt(h->socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    sky__pump_close(&h->pump);
}
