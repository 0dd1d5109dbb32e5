/* The event stream: what its clients have seen, and what they may have missed. On the loop's thread. */
#ifndef SKY_DASH_EVENTS_H
#define SKY_DASH_EVENTS_H

#include "dash/http.h"

typedef struct sky__events sky__events;

sky__events *sky__events_new(void); /* NULL: out of memory */
void sky__events_free(sky__events *v);
/* Makes a stream of the request. False: too many, nothing was answered. */
bool sky__events_begin(sky__events *v, sky_http *http, const sky_http_request *r);
void sky__events_gone(sky__events *v, uint64_t id);
size_t sky__events_clients(const sky__events *v);

/* An event that a client may ask for again, by its id. json is one line. */
void sky__events_push(sky__events *v, sky_http *http, const char *name, const char *json);
/* One of which only the newest matters: sent to all now, and to each newcomer. */
void sky__events_state(sky__events *v, sky_http *http, const char *name, const char *json);
void sky__events_ping(sky__events *v, sky_http *http);

#endif
