/* Drains a ZeroMQ socket on an event loop.
 *
 * ZMQ_FD tells only that something changed since the socket was last found empty (it is edge-triggered),
 * and a send may consume that news. So: read until there is nothing; after any send, look again before
 * the loop sleeps (prepare); and when the turn's bound is reached, go on in the next turn (idle). */
#include <assert.h>

#include "wire/socket.h"

/* One turn of the loop takes at most this from one socket, so that timers and other sockets are served.
 * What a message costs is up to who gets it: a large result is some 10 ms of inserting, and the dashboard's
 * clients, on the same loop, need several turns an answer. Hence a bound in time, too. */
enum { TURN_MESSAGES = 256, TURN_BYTES = 8 << 20, TURN_NS = 10 * 1000 * 1000 };

static void tell_idle(sky__pump *p)
{
    if (!p->delivered)
        return;
    p->delivered = false;
    if (p->on_idle)
        p->on_idle(p->owner);
}

static void on_idle(uv_idle_t *handle);

static void drain(sky__pump *p)
{
    size_t messages = 0, bytes = 0;
    bool more = false;
    const uint64_t began = uv_hrtime();
    do {
        p->dirty = false;
        while (!p->closing && !p->paused) {
            more = messages < TURN_MESSAGES && bytes < TURN_BYTES && uv_hrtime() - began < TURN_NS;
            if (!more || !p->read(p->owner, &bytes))
                break;
            p->delivered = true;
            messages++;
        }
        if (!p->closing)
            tell_idle(p);
    } while (p->dirty && more && !p->closing && !p->paused);
    if (p->closing)
        return;
    if (!p->paused && !more)
        uv_idle_start(&p->idle, on_idle);
    else
        uv_idle_stop(&p->idle);
}

static void on_idle(uv_idle_t *handle)
{
    drain(handle->data);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    (void)status; /* an error shows when the socket is read */
    (void)events;
    drain(handle->data);
}

static void on_prepare(uv_prepare_t *handle)
{
    sky__pump *p = handle->data;
    if (p->dirty && !p->paused)
        drain(p);
}

sky_err sky__pump_start(sky__pump *p, uv_loop_t *loop, sky_error *e)
{
    assert(p->socket && p->read && p->on_closed);
    int fd;
    size_t size = sizeof fd;
    if (zmq_getsockopt(p->socket, ZMQ_FD, &fd, &size))
        return sky__socket_fail(e, zmq_errno(), "cannot watch the socket");
    int failed = uv_poll_init(loop, &p->poll, fd);
    if (failed)
        return sky_fail(e, SKY_EIO, "cannot watch the socket: %s", uv_strerror(failed));
    uv_prepare_init(loop, &p->prepare); /* these two cannot fail */
    uv_idle_init(loop, &p->idle);
    p->handles = 3;
    p->poll.data = p->prepare.data = p->idle.data = p;
    uv_poll_start(&p->poll, UV_READABLE, on_poll);
    uv_prepare_start(&p->prepare, on_prepare);
    p->dirty = true; /* something may have arrived before the watch began */
    return SKY_OK;
}

void sky__pump_pause(sky__pump *p, bool paused)
{
    if (p->closing || p->paused == paused)
        return;
    p->paused = paused;
    if (paused) {
        uv_poll_stop(&p->poll); /* the descriptor stays readable while nobody drains it */
        uv_idle_stop(&p->idle);
    } else {
        uv_poll_start(&p->poll, UV_READABLE, on_poll);
        p->dirty = true;
    }
}

static void on_close(uv_handle_t *handle)
{
    sky__pump *p = handle->data;
    if (--p->handles == 0)
        p->on_closed(p->owner);
}

void sky__pump_close(sky__pump *p)
{
    assert(!p->closing);
    p->closing = true;
    uv_close((uv_handle_t *)&p->poll, on_close);
    uv_close((uv_handle_t *)&p->prepare, on_close);
    uv_close((uv_handle_t *)&p->idle, on_close);
}
