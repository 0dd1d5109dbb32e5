/* Addresses, and the options that every socket gets. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire/msg.h"
#include "wire/socket.h"

_Static_assert(sizeof((sky__endpoint *)0)->path == sizeof((struct sockaddr_un *)0)->sun_path,
               "a path that fits here fits a socket");

/* Half-open connections die within these; the workers' own heartbeats are the coordinator's business. Each
 * end asks for itself: a time to live in the other's pings would only be a second timer a connection, which
 * ZeroMQ finds by a search through all. */
enum {
    HANDSHAKE_MS = 10000,
    HEARTBEAT_MS = 20000,
    HEARTBEAT_TIMEOUT_MS = 40000,
    CONNECT_MS = 5000
};
enum { RECONNECT_MS = 100, RECONNECT_MS_MAX = 2000, BACKLOG = 1024 };

static sky_err parse_ipc(sky__endpoint *out, const char *path, sky_error *e)
{
    if (path[0] != '/')
        return sky_fail(e, SKY_EINVAL, "'ipc://%s': an absolute path is needed", path);
    if (strlen(path) >= sizeof out->path)
        return sky_fail(e, SKY_EINVAL, "'ipc://%s': the path may have %zu bytes at most", path,
                        sizeof out->path - 1);
    snprintf(out->path, sizeof out->path, "%s", path);
    snprintf(out->address, sizeof out->address, "ipc://%s", path);
    return SKY_OK;
}

static sky_err parse_tcp(sky__endpoint *out, const char *text, sky_error *e)
{
    const char *host = text + strlen("tcp://"), *colon = strrchr(host, ':');
    if (!colon || colon == host || !colon[1])
        return sky_fail(e, SKY_EINVAL, "'%s': expected tcp://HOST:PORT", text);
    const char *port = colon + 1;
    size_t digits = strspn(port, "0123456789");
    bool any = strcmp(port, "*") == 0;
    unsigned number = 0;
    if (!any && (digits != strlen(port) || digits > 5 || sscanf(port, "%u", &number) != 1 ||
                 number > 65535))
        return sky_fail(e, SKY_EINVAL, "'%s': '%s' is no port", text, port);
    const char *shown = any || number == 0 ? "*" : port;
    /* ZeroMQ binds to addresses and interfaces only. */
    bool local = colon - host == 9 && strncmp(host, "localhost", 9) == 0;
    int n = snprintf(out->address, sizeof out->address, "tcp://%.*s:%s",
                     local ? 9 : (int)(colon - host), local ? "127.0.0.1" : host, shown);
    if (n < 0 || (size_t)n >= sizeof out->address)
        return sky_fail(e, SKY_EINVAL, "'%.40s...': too long", text);
    return SKY_OK;
}

sky_err sky__endpoint_parse(sky__endpoint *out, const char *text, sky_error *e)
{
    *out = (sky__endpoint){0};
    if (strncmp(text, "ipc://", 6) == 0)
        return parse_ipc(out, text + 6, e);
    if (strncmp(text, "tcp://", 6) == 0)
        return parse_tcp(out, text, e);
    return sky_fail(e, SKY_EINVAL, "'%s': expected tcp://HOST:PORT or ipc:///PATH", text);
}

sky_err sky__endpoint_check_folder(const sky__endpoint *at, sky_error *e)
{
    char folder[sizeof at->path];
    snprintf(folder, sizeof folder, "%s", at->path);
    char *slash = strrchr(folder, '/');
    slash[slash == folder] = 0;
    struct stat s;
    if (lstat(folder, &s))
        return sky_fail_errno(e, errno, "%s", folder);
    if (!S_ISDIR(s.st_mode) || s.st_uid != geteuid() || (s.st_mode & 077))
        return sky_fail(
            e, SKY_EPERM,
            "%s: a socket needs a folder of your own that others cannot enter (chmod 700)", folder);
    return SKY_OK;
}

bool sky__endpoint_is_served(const sky__endpoint *at)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, at->path, sizeof address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    /* EAGAIN: its queue of connections is full, so it lives. */
    bool served = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN;
    close(fd);
    return served;
}

sky_err sky__socket_fail(sky_error *e, int zmq_error, const char *what)
{
    sky_err code;
    switch (zmq_error) {
    case EADDRINUSE:
        code = SKY_EBUSY;
        break;
    case EACCES:
    case EPERM:
        code = SKY_EPERM;
        break;
    case ENOMEM:
        code = SKY_ENOMEM;
        break;
    case EINVAL:
    case ENODEV:
    case EADDRNOTAVAIL:
    case EPROTONOSUPPORT:
    case ENAMETOOLONG:
        code = SKY_EINVAL;
        break;
    default:
        code = SKY_EIO;
    }
    return sky_fail(e, code, "%s: %s", what, zmq_strerror(zmq_error));
}

typedef struct setting {
    int option, value;
} setting;

static bool set_all(void *socket, const setting *settings, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (zmq_setsockopt(socket, settings[i].option, &settings[i].value, sizeof(int)))
            return false;
    return true;
}

static bool set_text(void *socket, int option, const char *text, size_t len)
{
    return zmq_setsockopt(socket, option, text, len) == 0;
}

static bool set_keys(void *socket, const sky__socket_options *o)
{
    const sky_keyring *k = o->keys;
    if (!o->zap_domain)
        return set_text(socket, ZMQ_CURVE_SERVERKEY, k->server_public, SKY_KEY_TEXT) &&
               set_text(socket, ZMQ_CURVE_PUBLICKEY, k->own_public, SKY_KEY_TEXT) &&
               set_text(socket, ZMQ_CURVE_SECRETKEY, k->own_secret, SKY_KEY_TEXT);
    /* Without it, ZeroMQ lets everybody in while no key check answers. It is an option of the library's
     * draft interface only, so the hub also drops what comes without the check's mark. */
    enum { ZAP_ENFORCE_DOMAIN = 93 };
    const setting server[] = {{ZMQ_CURVE_SERVER, 1}, {ZAP_ENFORCE_DOMAIN, 1}};
    return set_all(socket, server, zmq_has("draft") ? 2 : 1) &&
           set_text(socket, ZMQ_CURVE_SECRETKEY, k->server_secret, SKY_KEY_TEXT) &&
           set_text(socket, ZMQ_ZAP_DOMAIN, o->zap_domain, strlen(o->zap_domain));
}

sky_err sky__socket_set(void *socket, const sky__endpoint *at, const sky__socket_options *o,
                        sky_error *e)
{
    assert(!o->keys == !!at->path[0]);
    const setting settings[] = {
        {ZMQ_SNDHWM, o->send_max},
        {ZMQ_RCVHWM, o->receive_max},
        {ZMQ_LINGER, 0},
        {ZMQ_IPV6, strchr(at->address, '[') != NULL},
        {ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS},
        {ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS},
        {ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS},
        {ZMQ_TCP_KEEPALIVE, 1},
        {ZMQ_CONNECT_TIMEOUT, CONNECT_MS},
        {ZMQ_RECONNECT_IVL, RECONNECT_MS},
        {ZMQ_RECONNECT_IVL_MAX, RECONNECT_MS_MAX},
        {ZMQ_BACKLOG, BACKLOG},
    };
    const int64_t message_max = SKY_MSG_BYTES_MAX;
    if (!set_all(socket, settings, sizeof settings / sizeof *settings) ||
        zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &message_max, sizeof message_max) ||
        (o->keys && !set_keys(socket, o)))
        return sky__socket_fail(e, zmq_errno(), "cannot set up a socket");
    return SKY_OK;
}

static int send_once(void *socket, const void *bytes, size_t len, int flags)
{
    int sent;
    do
        sent = zmq_send(socket, bytes, len, flags | ZMQ_DONTWAIT);
    while (sent < 0 && zmq_errno() == EINTR);
    return sent < 0 ? zmq_errno() : 0;
}

sky_err sky__socket_send(void *socket, const void *bytes, size_t len, int flags)
{
    int failed = send_once(socket, bytes, len, flags);
    if (failed == EAGAIN) {
        /* ZeroMQ looks for news of emptied queues only now and then; asking for events makes it look. */
        int events;
        size_t size = sizeof events;
        zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size);
        failed = send_once(socket, bytes, len, flags);
    }
    switch (failed) {
    case 0:
        return SKY_OK;
    case EAGAIN:
        return SKY_EAGAIN;
    case ENOMEM:
        return SKY_ENOMEM;
    default: /* EHOSTUNREACH, ETERM */
        return SKY_ECLOSED;
    }
}
