/* A thread with a read-only connection that answers requests in turn. */
#ifndef SKY_DASH_READTHREAD_H
#define SKY_DASH_READTHREAD_H

#include <uv.h>

#include "dash/http.h"
#include "dash/source.h"
#include "dash/url.h"
#include "store/store.h"

enum { SKY__QUEUE_MAX = 128 }; /* requests that wait; more are told to come again */

typedef struct sky__reader sky__reader;

/* What handlers keep between requests; each module frees its own. */
typedef struct sky__reader_state {
    struct sky__resident *residents;   /* resident.c */
    struct sky__watch *watch;          /* watch.c */
    struct sky__selection *selections; /* selection.c */
    const sky_dash_source *source;     /* never NULL */
} sky__reader_state;

/* Answers r into *out, on the reader's thread. An error becomes the answer. */
typedef sky_err (*sky__handler)(sky__reader *t, const sky_http_request *r, const sky__path *p,
                                sky_http_response *out, sky_error *e);
/* Takes the answer, on the loop's thread. */
typedef void (*sky__answered)(void *arg, uint64_t id, sky_http_response *response);

typedef struct sky__reader_options {
    uv_loop_t *loop;
    const char *db;
    const sky_dash_source *source; /* borrowed for the reader's life */
    int nice;                      /* by how much the thread is nicer than the loop's */
    sky__answered answered;
    void *arg;
} sky__reader_options;

/* Opens the store before it returns. */
sky_err sky__reader_open(sky__reader **out, const sky__reader_options *o, sky_error *e);
/* Waits for the request that is being answered; NULL is fine; the loop must run. */
void sky__reader_close(sky__reader *t);
/* False: the queue is full. The request is copied. */
bool sky__reader_ask(sky__reader *t, const sky_http_request *r, sky__handler handler);

/* For handlers. */
sky_store *sky__reader_store(sky__reader *t);
sky__reader_state *sky__reader_kept(sky__reader *t);
bool sky__reader_stopping(sky__reader *t);

#endif
