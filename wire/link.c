/* A worker's or a client's socket: a DEALER that connects to one hub and reconnects for ever.
 *
 * ZeroMQ reconnects by itself after a lost connection, but gives up when the other end refuses the key;
 * since the key may be authorized a minute later, a timer here tries again. */
#include "wire/link.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire/socket.h"

/* A worker keeps results itself until they are acknowledged: a short queue tells it early to slow down. */
enum { SEND_MAX = 256, RECEIVE_MAX = 1024 };

enum { RETRY_REFUSED_MS = 2000 };

struct sky_link {
    void *socket;
    sky__monitor monitor;
    sky__pump pump;
    sky__pump monitor_pump;
    uv_timer_t retry;
    int parts_open; /* pumps and the timer, to close before the memory goes */
    sky_link_options o;
    sky__endpoint at;
    bool connected, closing;
    const char *told; /* the last reason given; a literal */
};

static void free_link(sky_link *l)
{
    if (l->socket) {
        sky__monitor_close(&l->monitor);
        zmq_close(l->socket);
    }
    sky__context_release();
    free(l);
}

static void on_part_closed(void *owner)
{
    sky_link *l = owner;
    if (--l->parts_open == 0)
        free_link(l);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

static void on_idle(void *owner)
{
    sky_link *l = owner;
    if (l->o.on_idle)
        l->o.on_idle(l->o.arg);
}

static bool read_one(void *owner, size_t *bytes)
{
    sky_link *l = owner;
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    int got;
    do
        got = zmq_msg_recv(&msg, l->socket, ZMQ_DONTWAIT);
    while (got < 0 && zmq_errno() == EINTR);
    if (got >= 0) {
        *bytes += zmq_msg_size(&msg);
        bool whole = !zmq_msg_more(&msg);
        if (whole)
            l->o.on_message(l->o.arg, zmq_msg_data(&msg), zmq_msg_size(&msg));
        while (!whole && zmq_msg_more(&msg) && zmq_msg_recv(&msg, l->socket, ZMQ_DONTWAIT) >= 0) {
        }
    }
    zmq_msg_close(&msg);
    return got >= 0;
}

/* Told when it changes, so that an absent coordinator does not fill a log. */
static void tell(sky_link *l, bool connected, const char *reason)
{
    bool changed = l->connected != connected || l->told != reason;
    l->connected = connected;
    l->told = reason;
    if (changed && l->o.on_state)
        l->o.on_state(l->o.arg, connected, reason);
}

static void on_retry(uv_timer_t *timer)
{
    sky_link *l = timer->data;
    zmq_disconnect(l->socket, l->at.address); /* forgets the session that gave up */
    zmq_connect(l->socket, l->at.address);
    l->pump.dirty = true;
}

static bool read_news(void *owner, size_t *bytes)
{
    sky_link *l = owner;
    const char *reason;
    *bytes += 1;
    switch (sky__monitor_next(&l->monitor, &reason)) {
    case SKY__NEWS_NONE:
        return false;
    case SKY__NEWS_OTHER:
        break;
    case SKY__NEWS_UP:
        tell(l, true, reason);
        break;
    case SKY__NEWS_DOWN:
        /* A connection that never was up was not lost, unless its handshake tells something. */
        if (l->connected || strcmp(reason, "disconnected") != 0)
            tell(l, false, reason);
        break;
    case SKY__NEWS_REFUSED:
        tell(l, false, reason);
        if (!l->closing)
            uv_timer_start(&l->retry, on_retry, RETRY_REFUSED_MS, 0);
        break;
    }
    return true;
}

static sky_err start_parts(sky_link *l, sky_error *e)
{
    uv_timer_init(l->o.loop, &l->retry); /* cannot fail */
    l->retry.data = l;
    l->parts_open = 1;
    l->pump = (sky__pump){.socket = l->socket,
                          .owner = l,
                          .read = read_one,
                          .on_idle = on_idle,
                          .on_closed = on_part_closed};
    l->monitor_pump = (sky__pump){
        .socket = l->monitor.socket, .owner = l, .read = read_news, .on_closed = on_part_closed};
    sky_err err = sky__pump_start(&l->pump, l->o.loop, e);
    if (err)
        return err;
    l->parts_open++;
    err = sky__pump_start(&l->monitor_pump, l->o.loop, e);
    if (!err)
        l->parts_open++;
    return err;
}

static sky_err connect_to(sky_link *l, void *context, const sky_keyring *keys, sky_error *e)
{
    l->socket = zmq_socket(context, ZMQ_DEALER);
    if (!l->socket)
        return sky__socket_fail(e, zmq_errno(), "cannot make a socket");
    const sky__socket_options options = {
        .keys = l->at.path[0] ? NULL : keys, .send_max = SEND_MAX, .receive_max = RECEIVE_MAX};
    sky_err err = sky__socket_set(l->socket, &l->at, &options, e);
    if (err)
        return err;
    if (l->o.identity &&
        zmq_setsockopt(l->socket, ZMQ_ROUTING_ID, l->o.identity, l->o.identity_len))
        return sky__socket_fail(e, zmq_errno(), "cannot set the identity");
    err = sky__monitor_open(&l->monitor, context, l->socket, e);
    if (err)
        return err;
    if (zmq_connect(l->socket, l->at.address))
        return sky__socket_fail(e, zmq_errno(), l->at.address);
    return SKY_OK;
}

static void close_parts(sky_link *l)
{
    l->closing = true;
    if (l->pump.handles)
        sky__pump_close(&l->pump);
    if (l->monitor_pump.handles)
        sky__pump_close(&l->monitor_pump);
    uv_close((uv_handle_t *)&l->retry, on_timer_closed);
}

sky_err sky__link_check(const char *endpoint, const sky_keyring *keys, sky__endpoint *at,
                        sky_error *e)
{
    sky_err err = sky__endpoint_parse(at, endpoint, e);
    if (err)
        return err;
    if (at->path[0])
        return sky__endpoint_check_folder(at, e);
    if (!keys || !keys->own_secret[0] || !keys->server_public[0])
        return sky_fail(e, SKY_EPERM, "%s: TCP needs keys", endpoint);
    return SKY_OK;
}

sky_err sky_link_open(sky_link **out, const sky_link_options *o, sky_error *e)
{
    assert(out && o && o->loop && o->endpoint && o->on_message);
    sky__endpoint at;
    sky_err err = sky__link_check(o->endpoint, o->keys, &at, e);
    if (err)
        return err;
    if (o->identity && (o->identity_len == 0 || o->identity_len > SKY_PEER_BYTES_MAX))
        return sky_fail(e, SKY_EINVAL, "an identity of %zu bytes", o->identity_len);
    sky_link *l = calloc(1, sizeof *l);
    if (!l)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    void *context = NULL;
    err = sky__context_acquire(&context, e);
    if (err) {
        free(l);
        return err;
    }
    l->o = *o;
    l->at = at;
    l->told = "";
    err = connect_to(l, context, o->keys, e);
    l->o.endpoint = NULL; /* borrowed until we return */
    l->o.keys = NULL;
    l->o.identity = NULL;
    if (err) {
        free_link(l);
        return err;
    }
    err = start_parts(l, e);
    if (err) {
        close_parts(l); /* the loop frees it */
        return err;
    }
    *out = l;
    return SKY_OK;
}

sky_err sky_link_send(sky_link *l, const void *bytes, size_t len)
{
    assert(!l->closing);
    l->pump.dirty = true;
    return sky__socket_send(l->socket, bytes, len, 0);
}

void sky_link_close(sky_link *l, int linger_ms)
{
    if (!l || l->closing)
        return;
    zmq_setsockopt(l->socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    close_parts(l);
}
