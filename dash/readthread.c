#include "dash/readthread.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/hash.h"
#include "dash/api.h"
#include "dash/resident.h"
#include "dash/selection.h"
#include "dash/watch.h"

typedef struct job {
    struct job *next;
    sky_arena arena;
    sky_http_request request;
    sky_http_response response;
    sky__handler handler;
    char etag[24];
} job;

struct sky__reader {
    sky_store *store;
    sky__reader_state kept;
    sky__answered answered;
    void *arg;
    int nice;
    uv_async_t async;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    job *queue, **queue_end; /* under the lock, as all below */
    size_t n_queue;
    job *done, **done_end;
    bool stop;
};

static void drop_job(job *j)
{
    free(j->response.body);
    if (j->response.has_fd)
        close(j->response.fd);
    sky_arena_free(&j->arena);
    free(j);
}

enum { ETAG_BYTES_MAX = 4 << 20 }; /* a longer answer changes anyway */

/* The same answer again costs no transfer. */
static void tag(job *j)
{
    sky_http_response *r = &j->response;
    if (r->status != 200 || !r->body || r->len > ETAG_BYTES_MAX)
        return;
    snprintf(j->etag, sizeof j->etag, "\"%016llx\"",
             (unsigned long long)sky_hash_bytes(0, r->body, r->len));
    r->etag = j->etag;
    r->cache = "no-cache";
    if (strcmp(j->request.if_none_match, j->etag) != 0)
        return;
    free(r->body);
    r->body = NULL;
    r->len = 0;
    r->status = 304;
}

static void answer(sky__reader *t, job *j)
{
    sky__path p;
    sky_error e = {0};
    sky_err err = sky__path_split(&p, j->request.path)
                      ? j->handler(t, &j->request, &p, &j->response, &e)
                      : sky_fail(&e, SKY_EINVAL, "the address is malformed");
    if (err != SKY_OK) {
        e.code = err;
        sky__api_error(&j->response, &e);
    }
    tag(j);
}

static void *run(void *arg)
{
    sky__reader *t = arg;
    if (t->nice)
        setpriority(PRIO_PROCESS, 0, t->nice); /* on Linux: of this thread alone */
    pthread_mutex_lock(&t->lock);
    for (;;) {
        while (!t->queue && !t->stop) {
            pthread_mutex_unlock(&t->lock);
            const bool more = sky__resident_read_on(t);
            pthread_mutex_lock(&t->lock);
            if (!more && !t->queue && !t->stop)
                pthread_cond_wait(&t->wake, &t->lock);
        }
        if (t->stop)
            break;
        job *j = t->queue;
        t->queue = j->next;
        if (!t->queue)
            t->queue_end = &t->queue;
        t->n_queue--;
        pthread_mutex_unlock(&t->lock);
        answer(t, j);
        j->next = NULL;
        pthread_mutex_lock(&t->lock);
        *t->done_end = j;
        t->done_end = &j->next;
        uv_async_send(&t->async);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

static void on_done(uv_async_t *async)
{
    sky__reader *t = async->data;
    pthread_mutex_lock(&t->lock);
    job *j = t->done;
    t->done = NULL;
    t->done_end = &t->done;
    pthread_mutex_unlock(&t->lock);
    while (j) {
        job *next = j->next;
        t->answered(t->arg, j->request.id, &j->response);
        j->response = (sky_http_response){0}; /* taken */
        drop_job(j);
        j = next;
    }
}

sky_err sky__reader_open(sky__reader **out, const sky__reader_options *o, sky_error *e)
{
    sky__reader *t = calloc(1, sizeof *t);
    if (!t)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    const sky_store_options so = {.path = o->db, .busy_timeout_ms = 1000};
    const sky_err err = sky_store_open(&t->store, &so, e);
    if (err != SKY_OK) {
        free(t);
        return err;
    }
    t->answered = o->answered;
    t->arg = o->arg;
    t->kept.source = o->source;
    t->nice = o->nice;
    t->queue_end = &t->queue;
    t->done_end = &t->done;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->wake, NULL);
    uv_async_init(o->loop, &t->async, on_done);
    t->async.data = t;
    if (pthread_create(&t->thread, NULL, run, t) != 0)
        abort(); /* no thread at the start of the program: nothing could be served */
    *out = t;
    return SKY_OK;
}

static void on_closed(uv_handle_t *handle)
{
    sky__reader *t = handle->data;
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->wake);
    free(t);
}

static void drop_jobs(job *j)
{
    while (j) {
        job *next = j->next;
        drop_job(j);
        j = next;
    }
}

void sky__reader_close(sky__reader *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    drop_jobs(t->queue);
    drop_jobs(t->done);
    sky__residents_free(t->kept.residents);
    sky__watch_free(t->kept.watch);
    sky__selections_free(t->kept.selections);
    sky_store_close(t->store);
    uv_close((uv_handle_t *)&t->async, on_closed);
}

static const char *copy(sky_arena *a, const char *text, bool *ok)
{
    char *dup = sky_arena_strdup(a, text ? text : "");
    *ok = *ok && dup;
    return dup;
}

bool sky__reader_ask(sky__reader *t, const sky_http_request *r, sky__handler handler)
{
    job *j = calloc(1, sizeof *j);
    if (!j)
        return false;
    bool ok = true;
    j->handler = handler;
    j->request = *r;
    j->request.path = copy(&j->arena, r->path, &ok);
    j->request.host = j->request.origin = j->request.authorization = j->request.cookie = "";
    j->request.last_event_id = copy(&j->arena, r->last_event_id, &ok);
    j->request.accept_encoding = copy(&j->arena, r->accept_encoding, &ok);
    j->request.if_none_match = copy(&j->arena, r->if_none_match, &ok);
    sky_http_arg *args = sky_new(&j->arena, sky_http_arg, r->n_args + 1);
    for (size_t i = 0; args && i < r->n_args; i++) {
        args[i].name = copy(&j->arena, r->args[i].name, &ok);
        args[i].value = copy(&j->arena, r->args[i].value, &ok);
    }
    j->request.args = args;
    pthread_mutex_lock(&t->lock);
    ok = ok && args && t->n_queue < SKY__QUEUE_MAX;
    if (ok) {
        *t->queue_end = j;
        t->queue_end = &j->next;
        t->n_queue++;
        pthread_cond_signal(&t->wake);
    }
    pthread_mutex_unlock(&t->lock);
    if (!ok)
        drop_job(j);
    return ok;
}

sky_store *sky__reader_store(sky__reader *t)
{
    return t->store;
}

sky__reader_state *sky__reader_kept(sky__reader *t)
{
    return &t->kept;
}

bool sky__reader_stopping(sky__reader *t)
{
    pthread_mutex_lock(&t->lock);
    const bool stop = t->stop;
    pthread_mutex_unlock(&t->lock);
    return stop;
}
