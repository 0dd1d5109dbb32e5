/* One request and its reply, for commands that have no event loop. */
#include "wire/link.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "wire/socket.h"

typedef struct ask {
    void *socket;
    sky__monitor monitor;
    const sky__endpoint *at;
    int timeout_ms;
    const char *trouble; /* the last bad news; NULL: none */
} ask;

static sky_err take_reply(ask *a, void **reply, size_t *reply_len, sky_error *e)
{
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    sky_err err = SKY_OK;
    if (zmq_msg_recv(&msg, a->socket, ZMQ_DONTWAIT) < 0) {
        err = SKY_EAGAIN;
    } else {
        size_t len = zmq_msg_size(&msg);
        void *copy = malloc(len ? len : 1);
        if (copy) {
            memcpy(copy, zmq_msg_data(&msg), len);
            *reply = copy;
            *reply_len = len;
        } else {
            err = sky_fail(e, SKY_ENOMEM, "out of memory");
        }
    }
    zmq_msg_close(&msg);
    return err;
}

static sky_err take_news(ask *a, sky_error *e)
{
    for (;;) {
        const char *reason;
        switch (sky__monitor_next(&a->monitor, &reason)) {
        case SKY__NEWS_NONE:
            return SKY_OK;
        case SKY__NEWS_OTHER:
            break;
        case SKY__NEWS_UP:
            a->trouble = NULL;
            break;
        case SKY__NEWS_DOWN:
            if (!a->trouble) /* why a handshake failed, rather than that the connection is gone */
                a->trouble = reason;
            break;
        case SKY__NEWS_REFUSED: /* waiting would not help */
            return sky_fail(e, SKY_EPERM, "%s: %s", a->at->address, reason);
        }
    }
}

static sky_err timed_out(const ask *a, sky_error *e)
{
    const char *why = a->trouble           ? a->trouble
                      : a->monitor.reached ? "the coordinator does not answer"
                                           : "nobody listens there";
    return sky_fail(e, SKY_ETIMEOUT, "%s: no reply in %g s: %s", a->at->address,
                    a->timeout_ms / 1000.0, why);
}

static sky_err wait_for_reply(ask *a, void **reply, size_t *reply_len, sky_error *e)
{
    int64_t deadline_ns = sky_clock_ns() + a->timeout_ms * SKY_NS_PER_MS;
    for (;;) {
        zmq_pollitem_t items[] = {{.socket = a->socket, .events = ZMQ_POLLIN},
                                  {.socket = a->monitor.socket, .events = ZMQ_POLLIN}};
        int64_t left_ns = deadline_ns - sky_clock_ns();
        if (left_ns <= 0)
            return timed_out(a, e);
        long wait_ms = (long)(left_ns / SKY_NS_PER_MS) + 1;
        if (zmq_poll(items, 2, wait_ms) < 0 && zmq_errno() != EINTR)
            return sky__socket_fail(e, zmq_errno(), a->at->address);
        sky_err err = take_reply(a, reply, reply_len, e);
        if (err == SKY_EAGAIN)
            err = take_news(a, e);
        else
            return err;
        if (err)
            return err;
    }
}

sky_err sky_link_ask(const char *endpoint, const sky_keyring *keys, const void *request, size_t len,
                     int timeout_ms, void **reply, size_t *reply_len, sky_error *e)
{
    assert(endpoint && request && reply && reply_len && timeout_ms > 0);
    sky__endpoint at;
    void *context = NULL;
    sky_err err = sky__link_check(endpoint, keys, &at, e);
    if (!err)
        err = sky__context_acquire(&context, e);
    if (err)
        return err;
    ask a = {.at = &at, .timeout_ms = timeout_ms};
    a.socket = zmq_socket(context, ZMQ_DEALER);
    if (!a.socket) {
        err = sky__socket_fail(e, zmq_errno(), "cannot make a socket");
        goto done;
    }
    const sky__socket_options options = {
        .keys = at.path[0] ? NULL : keys, .send_max = 2, .receive_max = 2};
    err = sky__socket_set(a.socket, &at, &options, e);
    if (!err)
        err = sky__monitor_open(&a.monitor, context, a.socket, e);
    if (err)
        goto done;
    if (zmq_connect(a.socket, at.address))
        err = sky__socket_fail(e, zmq_errno(), at.address);
    if (!err)
        err = sky__socket_send(a.socket, request, len, 0);
    if (!err)
        err = wait_for_reply(&a, reply, reply_len, e);
    sky__monitor_close(&a.monitor);
done:
    if (a.socket)
        zmq_close(a.socket);
    sky__context_release();
    return err;
}
