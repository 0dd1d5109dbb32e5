/* The ZeroMQ context. One per process: the key check answers at an address that exists once in a
 * context. */
#include <assert.h>
#include <errno.h>
#include <pthread.h>

#include "wire/socket.h"

enum { SOCKETS_MAX = 4096 }; /* of our own; connections have no limit here */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *shared;
static size_t users;
static sky__zap *shared_zap;

/* CVE-2019-13132 (before 4.3.2) let anybody overflow a CURVE server; CVE-2020-15166 (before 4.3.3) let
 * anybody block it. */
static sky_err check_library(sky_error *e)
{
    int major, minor, patch;
    zmq_version(&major, &minor, &patch);
    if (major * 10000 + minor * 100 + patch < 40303)
        return sky_fail(e, SKY_EVERSION, "libzmq %d.%d.%d is too old, 4.3.3 is needed", major,
                        minor, patch);
    if (!zmq_has("curve"))
        return sky_fail(e, SKY_EVERSION, "libzmq was built without CURVE");
    return SKY_OK;
}

sky_err sky__context_acquire(void **context, sky_error *e)
{
    sky_err err = check_library(e);
    if (err)
        return err;
    pthread_mutex_lock(&lock);
    if (!shared) {
        shared = zmq_ctx_new();
        if (!shared)
            err = sky_fail(e, SKY_ENOMEM, "cannot make a ZeroMQ context");
        else
            zmq_ctx_set(shared, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
    }
    if (!err) {
        users++;
        *context = shared;
    }
    pthread_mutex_unlock(&lock);
    return err;
}

void sky__context_release(void)
{
    void *context = NULL;
    sky__zap *zap = NULL;
    pthread_mutex_lock(&lock);
    assert(users > 0);
    if (--users == 0) {
        context = shared;
        zap = shared_zap;
        shared = NULL;
        shared_zap = NULL;
    }
    pthread_mutex_unlock(&lock);
    if (!context)
        return;
    while (zmq_ctx_term(context) && zmq_errno() == EINTR) { /* a signal: go on */
    }
    sky__zap_join(zap);
}

sky_err sky__context_start_zap(sky_error *e)
{
    pthread_mutex_lock(&lock);
    assert(users > 0);
    sky_err err = shared_zap ? SKY_OK : sky__zap_start(&shared_zap, shared, e);
    pthread_mutex_unlock(&lock);
    return err;
}
