#include "dash/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"

enum {
    STREAMS_MAX = 600,
    RING = 128,             /* events that can be sent again: half a minute of a busy sweep */
    EVENT_BYTES_MAX = 8192, /* a longer one becomes a reset: the client reads the list anew */
    RESUME_BYTES_MAX = SKY_HTTP_BACKLOG_BYTES_MAX / 2,
};

typedef struct kept_event {
    char *text;
    size_t len;
} kept_event;

struct sky__events {
    uint64_t streams[STREAMS_MAX];
    size_t n;
    char boot[17]; /* ids of another life of this program are told apart by it */
    uint64_t last; /* number of the newest event; the first is 1 */
    kept_event ring[RING];
    char *state, *state_name;
};

sky__events *sky__events_new(void)
{
    sky__events *v = calloc(1, sizeof *v);
    if (v)
        snprintf(v->boot, sizeof v->boot, "%016llx",
                 (unsigned long long)sky_hash_u64((uint64_t)sky_clock_ns(), (uint64_t)getpid()));
    return v;
}

void sky__events_free(sky__events *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < RING; i++)
        free(v->ring[i].text);
    free(v->state);
    free(v->state_name);
    free(v);
}

static void send_all(sky__events *v, sky_http *http, const char *bytes, size_t len)
{
    for (size_t i = 0; i < v->n; i++)
        sky_http_stream_send(http, v->streams[i], bytes, len);
}

static void put_event(const sky__events *v, sky_buf *b, const char *name, uint64_t id,
                      const char *json)
{
    if (id)
        sky_buf_printf(b, "id: %s-%llu\n", v->boot, (unsigned long long)id);
    sky_buf_printf(b, "event: %s\ndata: ", name);
    sky_buf_puts(b, json);
    sky_buf_puts(b, "\n\n");
}

void sky__events_push(sky__events *v, sky_http *http, const char *name, const char *json)
{
    sky_buf b = {0};
    const bool fits = strlen(json) <= EVENT_BYTES_MAX;
    put_event(v, &b, fits ? name : "reset", ++v->last, fits ? json : "{}");
    kept_event *slot = &v->ring[v->last % RING];
    send_all(v, http, sky_buf_str(&b), b.len);
    free(slot->text);
    slot->len = b.len;
    slot->text = sky_buf_detach(&b);
}

void sky__events_state(sky__events *v, sky_http *http, const char *name, const char *json)
{
    sky_buf b = {0};
    if (v->state && strcmp(v->state, json) == 0)
        return;
    free(v->state);
    free(v->state_name);
    v->state = sky_strdup(json);
    v->state_name = sky_strdup(name);
    put_event(v, &b, name, 0, json);
    send_all(v, http, sky_buf_str(&b), b.len);
    sky_buf_free(&b);
}

void sky__events_ping(sky__events *v, sky_http *http)
{
    static const char ping[] = ": still here\n\n";
    send_all(v, http, ping, sizeof ping - 1);
}

/* What came after the id, if all of it is still here and not too much. */
static bool resume(const sky__events *v, const char *id, sky_buf *b)
{
    uint64_t seen = 0;
    const size_t len = strlen(v->boot);
    size_t bytes = 0;
    if (strncmp(id, v->boot, len) != 0 || id[len] != '-' ||
        sky_parse_u64(id + len + 1, &seen) != SKY_OK || seen > v->last || v->last - seen >= RING)
        return false;
    for (uint64_t k = seen + 1; k <= v->last; k++) {
        if (!v->ring[k % RING].text)
            return false;
        bytes += v->ring[k % RING].len;
    }
    if (bytes > RESUME_BYTES_MAX)
        return false;
    for (uint64_t k = seen + 1; k <= v->last; k++)
        sky_buf_add(b, v->ring[k % RING].text, v->ring[k % RING].len);
    return true;
}

bool sky__events_begin(sky__events *v, sky_http *http, const sky_http_request *r)
{
    sky_buf b = {0};
    if (v->n == STREAMS_MAX)
        return false;
    if (!sky_http_stream(http, r->id))
        return true; /* the client has gone: nobody waits for an answer */
    v->streams[v->n++] = r->id;
    sky_buf_puts(&b, "retry: 2000\n\n");
    if (!resume(v, r->last_event_id, &b)) {
        sky_buf_printf(&b, "id: %s-%llu\nevent: reset\ndata: {}\n\n", v->boot,
                       (unsigned long long)v->last);
    }
    if (v->state && v->state_name)
        put_event(v, &b, v->state_name, 0, v->state);
    sky_http_stream_send(http, r->id, sky_buf_str(&b), b.len);
    sky_buf_free(&b);
    return true;
}

void sky__events_gone(sky__events *v, uint64_t id)
{
    for (size_t i = 0; i < v->n; i++) {
        if (v->streams[i] == id) {
            v->streams[i] = v->streams[--v->n];
            return;
        }
    }
}

size_t sky__events_clients(const sky__events *v)
{
    return v->n;
}
