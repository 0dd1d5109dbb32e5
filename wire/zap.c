/* Who may connect: the handler of ZeroMQ's authentication protocol (ZAP, RFC 27). CURVE alone proves only
 * that a peer knows its own key; without this, anybody who knows the coordinator's public key gets in. */
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "wire/socket.h"

enum { FRAMES = 7, FRAME_BYTES_MAX = 255, KEY_BYTES = 32 };
/* The frames of a request: version, id, domain, address, routing id, mechanism, the client's key. */
enum { VERSION, REQUEST_ID, DOMAIN, ADDRESS, ROUTING_ID, MECHANISM, CREDENTIALS };

typedef struct frame {
    char bytes[FRAME_BYTES_MAX + 1];
    size_t len;
} frame;

struct sky__zap {
    void *socket;
    pthread_t thread;
};

typedef struct entry {
    uint8_t key[KEY_BYTES];
    char user_id[80]; /* roles, a space, the name */
} entry;

typedef struct domain {
    struct domain *next;
    char name[SKY__DOMAIN_BYTES];
    entry *entries;
    size_t n_entries;
} domain;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static domain *domains;
static unsigned domains_made;

static void free_domain(domain *d)
{
    if (d)
        free(d->entries);
    free(d);
}

sky_err sky__zap_add(char name[SKY__DOMAIN_BYTES], const sky_keyring *keys, sky_error *e)
{
    domain *d = calloc(1, sizeof *d);
    entry *entries = calloc(keys->n_authorized ? keys->n_authorized : 1, sizeof *entries);
    if (!d || !entries) {
        free(d);
        free(entries);
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    }
    d->entries = entries;
    for (size_t i = 0; i < keys->n_authorized; i++) {
        const sky_authorized *a = &keys->authorized[i];
        if (strlen(a->public_key) != SKY_KEY_TEXT - 1 ||
            !zmq_z85_decode(entries[d->n_entries].key, a->public_key)) {
            free_domain(d);
            return sky_fail(e, SKY_EFORMAT, "the authorized key '%s' is no key", a->name);
        }
        snprintf(entries[d->n_entries++].user_id, sizeof entries->user_id, "%d %s", (int)a->roles,
                 a->name);
    }
    pthread_mutex_lock(&lock);
    snprintf(d->name, sizeof d->name, "skyline.%u", domains_made++);
    memcpy(name, d->name, sizeof d->name);
    d->next = domains;
    domains = d;
    pthread_mutex_unlock(&lock);
    return SKY_OK;
}

void sky__zap_remove(const char *name)
{
    pthread_mutex_lock(&lock);
    for (domain **at = &domains; *at; at = &(*at)->next) {
        if (strcmp((*at)->name, name) != 0)
            continue;
        domain *gone = *at;
        *at = gone->next;
        free_domain(gone);
        break;
    }
    pthread_mutex_unlock(&lock);
}

sky_role sky__zap_role(const char *user_id)
{
    if (!user_id || user_id[0] < '0' || user_id[0] > '7' || user_id[1] != ' ')
        return SKY_ROLE_NONE;
    return (sky_role)(user_id[0] - '0');
}

static bool is_text(const frame *f, const char *text)
{
    return f->len == strlen(text) && memcmp(f->bytes, text, f->len) == 0;
}

static bool find_user(const frame *in, char *user_id, size_t len)
{
    bool found = false;
    pthread_mutex_lock(&lock);
    for (const domain *d = domains; d && !found; d = d->next) {
        for (size_t i = 0; is_text(&in[DOMAIN], d->name) && i < d->n_entries && !found; i++) {
            found = memcmp(d->entries[i].key, in[CREDENTIALS].bytes, KEY_BYTES) == 0;
            if (found)
                snprintf(user_id, len, "%s", d->entries[i].user_id);
        }
    }
    pthread_mutex_unlock(&lock);
    return found;
}

static void report_refusal(const frame *in)
{
    char key[SKY_KEY_TEXT] = "?";
    if (in[CREDENTIALS].len == KEY_BYTES)
        zmq_z85_encode(key, (const uint8_t *)in[CREDENTIALS].bytes, KEY_BYTES);
    sky_log(SKY_LOG_WARN, "wire", "refused key=%s from=%s: not in the folder authorized/", key,
            in[ADDRESS].bytes);
}

static bool answer(void *socket, const frame *in, size_t n)
{
    char user_id[sizeof((entry *)0)->user_id] = "";
    bool ok = n == FRAMES && is_text(&in[VERSION], "1.0") && is_text(&in[MECHANISM], "CURVE") &&
              in[CREDENTIALS].len == KEY_BYTES && find_user(in, user_id, sizeof user_id);
    if (!ok && n == FRAMES)
        report_refusal(in);
    const char *code = ok ? "200" : "400", *text = ok ? "" : "key not authorized";
    return zmq_send(socket, "1.0", 3, ZMQ_SNDMORE) >= 0 &&
           zmq_send(socket, in[REQUEST_ID].bytes, in[REQUEST_ID].len, ZMQ_SNDMORE) >= 0 &&
           zmq_send(socket, code, 3, ZMQ_SNDMORE) >= 0 &&
           zmq_send(socket, text, strlen(text), ZMQ_SNDMORE) >= 0 &&
           zmq_send(socket, user_id, strlen(user_id), ZMQ_SNDMORE) >= 0 &&
           zmq_send(socket, "", 0, 0) >= 0;
}

/* Reads a request of at most FRAMES frames (the rest is dropped); false when the context ended. */
static bool read_request(void *socket, frame *in, size_t *n_out)
{
    int more = 1;
    size_t n = 0;
    while (more) {
        frame ignored, *f = n < FRAMES ? &in[n] : &ignored;
        int len = zmq_recv(socket, f->bytes, FRAME_BYTES_MAX, 0);
        if (len < 0 && zmq_errno() == EINTR)
            continue;
        if (len < 0)
            return false;
        f->len = len < FRAME_BYTES_MAX ? (size_t)len : FRAME_BYTES_MAX;
        f->bytes[f->len] = 0;
        n++;
        size_t size = sizeof more;
        if (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size))
            return false;
    }
    *n_out = n;
    return true;
}

static void *serve(void *arg)
{
    sky__zap *zap = arg;
    for (;;) {
        frame in[FRAMES] = {0};
        size_t n;
        if (!read_request(zap->socket, in, &n) || !answer(zap->socket, in, n))
            break;
    }
    zmq_close(zap->socket);
    return NULL;
}

sky_err sky__zap_start(sky__zap **out, void *context, sky_error *e)
{
    sky_err err = SKY_OK;
    sky__zap *zap = calloc(1, sizeof *zap);
    if (!zap)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    int no_linger = 0;
    zap->socket = zmq_socket(context, ZMQ_REP);
    if (!zap->socket || zmq_setsockopt(zap->socket, ZMQ_LINGER, &no_linger, sizeof no_linger) ||
        zmq_bind(zap->socket, "inproc://zeromq.zap.01")) {
        err = sky__socket_fail(e, zmq_errno(), "cannot start the key check");
        goto done;
    }
    sigset_t all, before; /* signals belong to the event loop's thread */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&zap->thread, NULL, serve, zap);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        err = sky_fail_errno(e, failed, "cannot start the key check");
        goto done;
    }
    *out = zap;
    zap = NULL;
done:
    if (zap && zap->socket)
        zmq_close(zap->socket);
    free(zap);
    return err;
}

void sky__zap_join(sky__zap *zap)
{
    if (!zap)
        return;
    pthread_join(zap->thread, NULL);
    free(zap);
}
