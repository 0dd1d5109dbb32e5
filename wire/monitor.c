/* What became of a connection: ZeroMQ's socket events, in the few words that a user needs. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "wire/socket.h"

sky_err sky__monitor_open(sky__monitor *m, void *context, void *watched, sky_error *e)
{
    static atomic_uint made;
    char address[64];
    snprintf(address, sizeof address, "inproc://skyline.monitor.%u", atomic_fetch_add(&made, 1));
    const int events = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_DISCONNECTED |
                       ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                       ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
    const int no_linger = 0;
    *m = (sky__monitor){.watched = watched, .socket = zmq_socket(context, ZMQ_PAIR)};
    if (!m->socket || zmq_setsockopt(m->socket, ZMQ_LINGER, &no_linger, sizeof no_linger) ||
        zmq_socket_monitor(watched, address, events) || zmq_connect(m->socket, address)) {
        sky_err err = sky__socket_fail(e, zmq_errno(), "cannot watch a connection");
        sky__monitor_close(m);
        return err;
    }
    return SKY_OK;
}

void sky__monitor_close(sky__monitor *m)
{
    zmq_socket_monitor(m->watched, NULL, 0);
    if (m->socket)
        zmq_close(m->socket);
    m->socket = NULL;
}

static sky__news judge(sky__monitor *m, unsigned event, const char **reason)
{
    switch (event) {
    case ZMQ_EVENT_CONNECTED:
        m->reached = true;
        return SKY__NEWS_OTHER;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        *reason = "connected";
        return SKY__NEWS_UP;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        *reason = "the coordinator refused this key: put client.pub into its folder authorized/";
        return SKY__NEWS_REFUSED;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        *reason = "what listens there is no Skyline coordinator, or wants keys";
        return SKY__NEWS_REFUSED;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        *reason = "the handshake failed: coordinator.pub may be another coordinator's";
        return SKY__NEWS_DOWN;
    case ZMQ_EVENT_DISCONNECTED:
        *reason = "disconnected";
        return SKY__NEWS_DOWN;
    default:
        return SKY__NEWS_OTHER;
    }
}

sky__news sky__monitor_next(sky__monitor *m, const char **reason)
{
    /* Two frames: event (16 bits) and value (32 bits), then the address. */
    unsigned char head[6];
    char address[512];
    *reason = "";
    int len = zmq_recv(m->socket, head, sizeof head, ZMQ_DONTWAIT);
    if (len < 0)
        return zmq_errno() == EINTR ? SKY__NEWS_OTHER : SKY__NEWS_NONE;
    zmq_recv(m->socket, address, sizeof address, ZMQ_DONTWAIT);
    uint16_t event = 0;
    if (len == sizeof head)
        memcpy(&event, head, sizeof event);
    return judge(m, event, reason);
}
