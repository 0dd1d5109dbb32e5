/* What goes out: replies from memory or a file in chunks, streams of events with a bounded backlog. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dash/http_lws.h"

/* ---- Replies ---- */

void sky__conn_end(sky__conn *c)
{
    if (c->state == SKY__CONN_STREAM)
        c->h->counts.streams--;
    if (c->body)
        c->h->counts.held_bytes -= c->len;
    free(c->body);
    free(c->type);
    if (c->fd >= 0)
        close(c->fd);
    sky_buf_free(&c->header);
    sky_buf_free(&c->pending);
    c->body = c->type = NULL;
    c->fixed_body = NULL;
    c->fd = -1;
    c->len = c->sent = 0;
    c->state = SKY__CONN_IDLE;
    c->id = 0;
}

static sky__conn *find(sky_http *h, uint64_t id)
{
    for (sky__conn *c = h->conns; c; c = c->next) {
        if (c->id == id)
            return c;
    }
    return NULL;
}

static void put_header(sky_buf *b, const char *name, const char *value)
{
    if (!value)
        return;
    sky_buf_add(b, name, strlen(name) + 1);
    sky_buf_add(b, value, strlen(value) + 1);
}

void sky_http_reply(sky_http *h, uint64_t id, sky_http_response *r)
{
    sky__conn *c = find(h, id);
    if (!c || c->state != SKY__CONN_ASKED) {
        free(r->body);
        if (r->has_fd)
            close(r->fd);
        return;
    }
    if (r->body && h->counts.held_bytes + r->len > h->o.held_bytes_max) {
        static const char busy[] = "{\"error\":\"too many large answers wait: try again\"}\n";
        free(r->body);
        *r = (sky_http_response){.status = 503,
                                 .type = "application/json",
                                 .fixed_body = busy,
                                 .len = sizeof busy - 1,
                                 .close = true};
    }
    if (r->body)
        h->counts.held_bytes += r->len;
    c->status = r->status;
    c->type = strdup(r->type ? r->type : "text/plain; charset=utf-8");
    c->body = r->body;
    c->fixed_body = r->fixed_body;
    c->fd = r->has_fd ? r->fd : -1;
    c->len = r->len;
    c->close = c->close || r->close;
    put_header(&c->header, "content-encoding:", r->encoding);
    put_header(&c->header, "etag:", r->etag);
    put_header(&c->header, "cache-control:", r->cache ? r->cache : "no-store");
    put_header(&c->header, "content-disposition:", r->disposition);
    put_header(&c->header, "location:", r->location);
    put_header(&c->header, "set-cookie:", r->set_cookie);
    c->state = SKY__CONN_ANSWERED;
    sky__lws.lws_callback_on_writable(c->wsi);
}

bool sky_http_stream(sky_http *h, uint64_t id)
{
    sky__conn *c = find(h, id);
    if (!c || c->state != SKY__CONN_ASKED)
        return false;
    c->status = 200;
    c->type = strdup("text/event-stream");
    put_header(&c->header, "cache-control:", "no-store");
    c->state = SKY__CONN_STREAM;
    c->sent = 0;
    h->counts.streams++;
    sky__lws.lws_callback_on_writable(c->wsi);
    return true;
}

void sky_http_stream_send(sky_http *h, uint64_t id, const char *bytes, size_t len)
{
    sky__conn *c = find(h, id);
    if (!c || c->state != SKY__CONN_STREAM)
        return;
    if (c->pending.len + len > SKY_HTTP_BACKLOG_BYTES_MAX) {
        h->counts.dropped++;
        sky__lws.lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
        return;
    }
    sky_buf_add(&c->pending, bytes, len);
    sky__lws.lws_callback_on_writable(c->wsi);
}

/* ---- Writing ---- */

static int add_header(struct lws *wsi, const char *name, const char *value, unsigned char **p,
                      unsigned char *end)
{
    return sky__lws.lws_add_http_header_by_name(
        wsi, (const unsigned char *)name, (const unsigned char *)value, (int)strlen(value), p, end);
}

static int write_headers(sky__conn *c, bool stream)
{
    unsigned char room[LWS_PRE + 4096], *start = room + LWS_PRE, *p = start;
    unsigned char *end = room + sizeof room - 1;
    if (!sky_buf_ok(&c->header) || !c->type)
        return -1;
    if (sky__lws.lws_add_http_common_headers(c->wsi, (unsigned)c->status, c->type,
                                             stream ? LWS_ILLEGAL_HTTP_CONTENT_LEN : c->len, &p,
                                             end))
        return -1;
    for (const char *const *h = c->h->o.headers; h && *h; h += 2) {
        if (add_header(c->wsi, h[0], h[1], &p, end))
            return -1;
    }
    for (const char *at = c->header.data; at && at < c->header.data + c->header.len;) {
        const char *value = at + strlen(at) + 1;
        if (add_header(c->wsi, at, value, &p, end))
            return -1;
        at = value + strlen(value) + 1;
    }
    return sky__lws.lws_finalize_write_http_header(c->wsi, start, &p, end);
}

static int finish(sky__conn *c)
{
    const bool close_it = c->close;
    sky__conn_end(c);
    if (sky__lws.lws_http_transaction_completed(c->wsi) || close_it)
        return -1;
    return 0;
}

/* 1: the body is at its end; negative: close. */
static int write_chunk(sky__conn *c)
{
    unsigned char *out = c->h->chunk + LWS_PRE;
    size_t n = c->len - c->sent < SKY__CHUNK_BYTES ? c->len - c->sent : SKY__CHUNK_BYTES;
    if (c->fd >= 0) {
        const ssize_t got = pread(c->fd, out, n, (off_t)c->sent);
        if (got <= 0)
            return -1; /* the length was promised: only closing tells that it cannot be kept */
        n = (size_t)got;
    } else {
        memcpy(out, (c->body ? c->body : (const char *)c->fixed_body) + c->sent, n);
    }
    const bool last = c->sent + n == c->len;
    if (sky__lws.lws_write(c->wsi, out, n, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < (int)n)
        return -1;
    c->sent += n;
    c->h->counts.bytes_sent += n;
    return last;
}

/* As much as the connection takes at once. */
static int write_body(sky__conn *c)
{
    enum { CHUNKS_A_TURN = 32 }; /* a busy coordinator has some 15 turns of its loop a second */
    int done = 0;
    for (int i = 0; i < CHUNKS_A_TURN && done == 0; i++) {
        done = write_chunk(c);
        if (done == 0 && sky__lws.lws_send_pipe_choked(c->wsi))
            break;
    }
    if (done < 0)
        return -1;
    if (done > 0)
        return finish(c);
    sky__lws.lws_set_timeout(c->wsi, PENDING_TIMEOUT_HTTP_CONTENT, (int)c->h->o.stall_s);
    sky__lws.lws_callback_on_writable(c->wsi);
    return 0;
}

static int write_stream(sky__conn *c)
{
    if (c->sent == 0) {
        if (write_headers(c, true))
            return -1;
        sky__lws.lws_set_timeout(c->wsi, NO_PENDING_TIMEOUT, 0);
        c->sent = 1;
        if (c->pending.len > 0)
            sky__lws.lws_callback_on_writable(c->wsi);
        return 0;
    }
    if (c->pending.len == 0)
        return 0;
    if (!sky_buf_ok(&c->pending))
        return -1;
    memcpy(c->h->chunk + LWS_PRE, c->pending.data, c->pending.len);
    const size_t n = c->pending.len;
    sky_buf_reset(&c->pending);
    c->h->counts.bytes_sent += n;
    return sky__lws.lws_write(c->wsi, c->h->chunk + LWS_PRE, n, LWS_WRITE_HTTP) < (int)n ? -1 : 0;
}
_Static_assert((int)SKY_HTTP_BACKLOG_BYTES_MAX <= (int)SKY__CHUNK_BYTES,
               "a backlog fits in the buffer");

int sky__conn_writable(sky__conn *c)
{
    switch (c->state) {
    case SKY__CONN_ANSWERED:
        c->state = SKY__CONN_SENDING;
        if (write_headers(c, false))
            return -1;
        if (c->len == 0 || c->head)
            return finish(c);
        sky__lws.lws_set_timeout(c->wsi, PENDING_TIMEOUT_HTTP_CONTENT, (int)c->h->o.stall_s);
        sky__lws.lws_callback_on_writable(c->wsi);
        return 0;
    case SKY__CONN_SENDING:
        return write_body(c);
    case SKY__CONN_STREAM:
        return write_stream(c);
    default:
        return 0;
    }
}
