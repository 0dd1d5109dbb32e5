/* A thread with a read-only connection that answers requests in turn. */
#ifndef SKY_DASH_READER_H
#define SKY_DASH_READER_H

#include <uv.h>

#include "dash/http.h"
#include "store/store.h"

enum { SKY__QUEUE_MAX = 128 }; /* requests that wait; more are told to come again */

typedef struct sky__reader sky__reader;
typedef struct sky__resident sky__resident;

/* Answers r into *out, on the reader's thread. */
typedef void (*sky__handler)(sky__reader *t, const sky_http_request *r, sky_http_response *out);
/* Takes the answer, on the loop's thread. */
typedef void (*sky__answered)(void *arg, uint64_t id, sky_http_response *response);

/* Opens the store before it returns. */
sky_err sky__reader_open(sky__reader **out, uv_loop_t *loop, const char *db, sky__answered answered,
                         void *arg, sky_error *e);
void sky__reader_close(sky__reader *t); /* NULL is fine; the loop must run */
/* False: the queue is full. The request is copied. */
bool sky__reader_ask(sky__reader *t, const sky_http_request *r, sky__handler handler);

/* For handlers. */
sky_store *sky__reader_store(sky__reader *t);
sky__resident **sky__reader_residents(sky__reader *t); /* a list that resident.c keeps */
bool sky__reader_stopping(sky__reader *t);

#endif
