#include "dash/dash.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "dash/api.h"
#include "dash/events.h"
#include "dash/page.h"

enum {
    EVENT_MS = 200, /* five times a second is as often as a person can see */
    CROWD =
        100, /* clients of events for each tick more between them: hundreds see them once a second */
    COUNT_TICKS = 5, /* the coordinator's counts: every second */
    PING_TICKS = 75, /* every 15 s a comment, so that a dead client is found */
    /* Where processors are short, what is read for the page gives way: some tenth of them is left for it. */
    NICE_BESIDE_A_COORDINATOR = 10,
    TOKEN_MIN = 16,
    TOKEN_MAX = 200,
};

struct sky_dash {
    sky_dash_options o;
    sky_dash_source source;
    char *db, *token;
    sky__listen listen;
    char url[64], machine[128];
    sky_http *http;
    sky__reader *readers[SKY__LANES];
    sky__events *events;
    uv_timer_t timer;
    bool polling, closing;
    bool preloading; /* until somebody asks: then what they look at comes first */
    unsigned ticks;
};

/* Questions of our own to a reader; a client's are counted up from 1. */
#define OWN_POLL    UINT64_C(0)
#define OWN_PRELOAD UINT64_MAX

static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; worker-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

static const char *const page_headers[] = {"content-security-policy:",
                                           policy,
                                           "vary:",
                                           "Accept-Encoding",
                                           "x-content-type-options:",
                                           "nosniff",
                                           "x-frame-options:",
                                           "DENY",
                                           "referrer-policy:",
                                           "no-referrer",
                                           "cross-origin-resource-policy:",
                                           "same-origin",
                                           "cross-origin-opener-policy:",
                                           "same-origin",
                                           NULL};

/* ---- Answers ---- */

static void refuse(sky_dash *d, uint64_t id, int status, const char *text)
{
    sky_buf b = {0};
    sky_buf_puts(&b, "{\"error\":");
    sky_buf_json_string(&b, text);
    sky_buf_puts(&b, "}\n");
    sky_http_response r = {.status = status, .type = "application/json", .len = b.len};
    r.body = sky_buf_detach(&b);
    if (!r.body)
        r.len = 0;
    sky_http_reply(d->http, id, &r);
}

static void send_json(sky_dash *d, uint64_t id, sky_buf *b)
{
    sky_http_response r = {0};
    sky__api_json(&r, b);
    sky_http_reply(d->http, id, &r);
}

static void serve_asset(sky_dash *d, const sky_http_request *r)
{
    const sky__asset *a = sky__asset_find(r->path);
    if (!a) {
        refuse(d, r->id, 404, "there is nothing at this address");
        return;
    }
    const bool gzip = strstr(r->accept_encoding, "gzip");
    const unsigned char *data = gzip ? a->gzip : a->data, *end = gzip ? a->gzip_end : a->data_end;
    const bool hashed = strncmp(a->path, "/assets/", 8) == 0;
    char etag[32]; /* packed and plain are two representations */
    snprintf(etag, sizeof etag, "\"%s%s\"", a->hash, gzip ? "z" : "");
    sky_http_response out = {
        .status = 200,
        .type = a->type,
        .encoding = gzip ? "gzip" : NULL,
        .etag = etag,
        .cache = hashed ? "public, max-age=31536000, immutable" : "no-cache",
        .fixed_body = data,
        .len = (size_t)(end - data),
    };
    if (r->if_none_match[0] && strcmp(r->if_none_match, etag) == 0) {
        out.status = 304;
        out.fixed_body = NULL;
        out.len = 0;
    }
    sky_http_reply(d->http, r->id, &out);
}

/* ---- Events ---- */

static void on_gone(void *arg, uint64_t id)
{
    sky__events_gone(((sky_dash *)arg)->events, id);
}

static void tell_counts(sky_dash *d)
{
    sky_dash_counts n = {0};
    char json[256];
    d->source.counts(d->source.arg, &n);
    snprintf(json, sizeof json,
             "{\"workers\":%llu,\"lost\":%llu,\"cpus\":%llu,\"running\":%llu,\"leased\":%llu,"
             "\"uncommitted\":%llu}",
             (unsigned long long)n.workers, (unsigned long long)n.lost, (unsigned long long)n.cpus,
             (unsigned long long)n.running, (unsigned long long)n.leased,
             (unsigned long long)n.uncommitted);
    sky__events_state(d->events, d->http, "status", json);
}

static void on_timer(uv_timer_t *timer)
{
    sky_dash *d = timer->data;
    const size_t clients = sky__events_clients(d->events);
    if (clients == 0)
        return;
    d->ticks++;
    if (d->source.counts && d->ticks % COUNT_TICKS == 0)
        tell_counts(d);
    if (d->ticks % PING_TICKS == 0)
        sky__events_ping(d->events, d->http);
    const sky_http_request poll = {.id = OWN_POLL, .path = "/"};
    if (!d->polling && d->ticks % (1 + clients / CROWD) == 0)
        d->polling = sky__reader_ask(d->readers[SKY__NEWS], &poll, sky__api_poll);
}

static void preload(sky_dash *d)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)d->o.preload_rows_max);
    const sky_http_arg rows = {"rows", text};
    const sky_http_request ask = {.id = OWN_PRELOAD, .path = "/", .args = &rows, .n_args = 1};
    d->preloading = sky__reader_ask(d->readers[SKY__QUICK], &ask, sky__api_preload);
}

static void on_answered(void *arg, uint64_t id, sky_http_response *r)
{
    sky_dash *d = arg;
    if (id == OWN_PRELOAD) {
        if (r->status == 202 && d->preloading && !d->closing)
            preload(d);
        free(r->body);
    } else if (id == OWN_POLL) {
        d->polling = false;
        if (!d->closing && r->status == 200 && r->body)
            sky__events_push(d->events, d->http, "sweeps", r->body);
        free(r->body);
    } else if (d->closing) {
        free(r->body);
        if (r->has_fd)
            close(r->fd);
    } else {
        sky_http_reply(d->http, id, r);
    }
}

/* ---- Requests ---- */

static bool may_command(const sky_dash *d, const sky_http_request *r)
{
    return d->token && sky__token_given(r, d->token);
}

static void info_json(sky_dash *d, const sky_http_request *r)
{
    sky_buf b = {0};
    const char *slash = strrchr(d->db, '/');
    sky_buf_puts(&b, "{\"version\":\"" SKY_VERSION "\"");
    sky__json_member(&b, "store", slash ? slash + 1 : d->db);
    sky__json_member(&b, "listen", d->listen.address);
    sky_buf_printf(&b, ",\"live\":%s,\"commands\":%s,\"authorized\":%s}\n",
                   d->source.status ? "true" : "false",
                   d->source.command && d->token ? "true" : "false",
                   may_command(d, r) ? "true" : "false");
    send_json(d, r->id, &b);
}

static void live_json(sky_dash *d, uint64_t id)
{
    sky_buf b = {0};
    if (!d->source.status) {
        refuse(d, id, 404, "no coordinator runs in this program: the file alone is shown");
        return;
    }
    d->source.status(d->source.arg, &b);
    send_json(d, id, &b);
}

static void command(sky_dash *d, const sky_http_request *r, const sky__path *p)
{
    static const char *const names[] = {"pause", "resume", "cancel", "retry", "priority"};
    sky_error e = {0};
    double value = 0;
    sky_http_response out = {0};
    size_t i = 0;
    while (i < 5 && (p->n != 5 || strcmp(p->parts[4], names[i]) != 0))
        i++;
    if (i == 5 || strcmp(p->parts[2], "sweeps") != 0) {
        refuse(d, r->id, 405, "expected a GET here");
    } else if (!may_command(d, r)) {
        refuse(d, r->id, 403,
               d->token ? "the token is missing: open /?token=... or send it as a Bearer"
                        : "commands are off: the server was started without a token");
    } else if (!sky__origin_allowed(r->origin, r->host)) {
        refuse(d, r->id, 403, "the request comes from another site");
    } else if (!d->source.command) {
        refuse(d, r->id, 409, "no coordinator runs in this program");
    } else if (sky__arg_f64(r, "value", 0, &value, &e) != SKY_OK ||
               !(value >= -1000000 && value <= 1000000) ||
               d->source.command(d->source.arg, (sky_dash_command)i, p->parts[3], (int64_t)value,
                                 &e) != SKY_OK) {
        sky__api_error(&out, &e);
        sky_http_reply(d->http, r->id, &out);
    } else {
        sky_buf b = {0};
        sky_buf_puts(&b, "{\"ok\":true}\n");
        send_json(d, r->id, &b);
    }
}

/* Beyond loopback everything needs the token; /?token=T puts it into a cookie, so that the page works. */
static bool admitted(sky_dash *d, const sky_http_request *r)
{
    if (!sky__host_allowed(r->host, &d->listen, d->machine)) {
        refuse(d, r->id, 421, "the Host header names another machine");
        return false;
    }
    const char *given = sky__arg(r, "token");
    if (given && d->token && strcmp(r->path, "/") == 0) {
        char bearer[TOKEN_MAX + 32], cookie[TOKEN_MAX + 96];
        snprintf(bearer, sizeof bearer, "Bearer %.*s", TOKEN_MAX, given);
        const sky_http_request same = {.authorization = bearer, .cookie = ""};
        if (sky__token_given(&same, d->token)) {
            snprintf(cookie, sizeof cookie, SKY__COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict",
                     d->token);
            sky_http_response to = {.status = 303, .location = "/", .set_cookie = cookie};
            sky_http_reply(d->http, r->id, &to);
            return false;
        }
    }
    if (!d->listen.loopback && !sky__token_given(r, d->token)) {
        refuse(d, r->id, 401, "the token is missing: open /?token=... or send it as a Bearer");
        return false;
    }
    return true;
}

static void metric(sky_buf *b, const char *name, const char *type, const char *help, uint64_t value)
{
    sky_buf_printf(b,
                   "# HELP skyline_dash_%s %s\n# TYPE skyline_dash_%s %s\nskyline_dash_%s %llu\n",
                   name, help, name, type, name, (unsigned long long)value);
}

/* What this thread knows travels with the request; what the store knows is added by the reader. */
static void ask_metrics(sky_dash *d, const sky_http_request *r)
{
    sky_buf b = {0};
    const sky_http_counts n = sky_http_count(d->http);
    if (d->source.metrics)
        d->source.metrics(d->source.arg, &b);
    metric(&b, "requests_total", "counter", "Requests to the dashboard.", n.requests);
    metric(&b, "sent_bytes_total", "counter", "Bytes sent by the dashboard.", n.bytes_sent);
    metric(&b, "dropped_total", "counter", "Clients dropped for reading too slowly.", n.dropped);
    metric(&b, "connections", "gauge", "Open connections of the dashboard.", n.connections);
    metric(&b, "streams", "gauge", "Open event streams of the dashboard.", n.streams);
    const sky_http_arg live = {"live", sky_buf_str(&b)};
    sky_http_request with = *r;
    with.args = &live;
    with.n_args = 1;
    if (!sky__reader_ask(d->readers[SKY__NEWS], &with, sky__api_metrics))
        refuse(d, r->id, 503, "too many requests wait: try again");
    sky_buf_free(&b);
}

static void on_request(void *arg, const sky_http_request *r)
{
    sky_dash *d = arg;
    sky__path p;
    sky__lane lane;
    if (!admitted(d, r))
        return;
    if (!sky__path_split(&p, r->path)) {
        refuse(d, r->id, 400, "the address is malformed");
        return;
    }
    const bool api = p.n >= 2 && strcmp(p.parts[0], "api") == 0 && strcmp(p.parts[1], "v1") == 0;
    if (r->method == SKY_HTTP_POST && api && p.n >= 3) {
        command(d, r, &p);
        return;
    }
    if (r->method != SKY_HTTP_GET) {
        refuse(d, r->id, 405, "expected a GET");
        return;
    }
    const sky__handler handler = sky__api_route(r, &p, &lane);
    if (handler == sky__api_metrics) {
        ask_metrics(d, r);
    } else if (handler) {
        d->preloading = d->preloading && lane != SKY__QUICK;
        if (!sky__reader_ask(d->readers[lane], r, handler))
            refuse(d, r->id, 503, "too many requests wait: try again");
    } else if (api && p.n == 3 && strcmp(p.parts[2], "events") == 0) {
        if (r->head || !sky__events_begin(d->events, d->http, r))
            refuse(d, r->id, r->head ? 405 : 503,
                   r->head ? "expected a GET" : "too many event streams are open");
    } else if (api && p.n == 3 && strcmp(p.parts[2], "info") == 0) {
        info_json(d, r);
    } else if (api && p.n == 3 && strcmp(p.parts[2], "live") == 0) {
        live_json(d, r->id);
    } else {
        serve_asset(d, r);
    }
}

/* ---- Life ---- */

sky_err sky_dash_token_read(const char *path, char *out, size_t len, sky_error *e)
{
    char *text = NULL;
    size_t n = 0;
    const sky_err err = sky_read_file(path, 4096, &text, &n, e);
    if (err != SKY_OK)
        return err;
    text[strcspn(text, "\r\n")] = 0;
    n = strlen(text);
    bool ok = n >= TOKEN_MIN && n <= TOKEN_MAX && n < len;
    for (size_t i = 0; i < n; i++)
        ok = ok && isgraph((unsigned char)text[i]) && !strchr(";,\"\\", text[i]);
    if (ok)
        memcpy(out, text, n + 1);
    free(text);
    return ok ? SKY_OK
              : sky_fail(e, SKY_EINVAL,
                         "%s: expected a line of %d to %d printable characters without ; , \" \\",
                         path, TOKEN_MIN, TOKEN_MAX);
}

static sky_err open_parts(sky_dash *d, sky_error *e)
{
    const sky_http_options h = {
        .loop = d->o.loop,
        .address = strcmp(d->listen.address, "0.0.0.0") == 0 ? NULL : d->listen.address,
        .port = d->listen.port,
        .headers = page_headers,
        .on_request = on_request,
        .on_gone = on_gone,
        .arg = d};
    sky__reader_options o = {
        .loop = d->o.loop, .db = d->db, .source = &d->source, .answered = on_answered, .arg = d};
    sky_err err = SKY_OK;
    for (int i = 0; i < SKY__LANES && err == SKY_OK; i++) {
        o.nice = d->source.status && i != SKY__NEWS ? NICE_BESIDE_A_COORDINATOR : 0;
        err = sky__reader_open(&d->readers[i], &o, e);
    }
    if (err == SKY_OK)
        err = sky_http_open(&d->http, &h, e);
    return err;
}

sky_err sky_dash_open(sky_dash **out, const sky_dash_options *o, sky_error *e)
{
    sky_dash *d = calloc(1, sizeof *d);
    if (!d)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    d->o = *o;
    if (o->source)
        d->source = *o->source;
    sky_err err = sky__listen_parse(&d->listen, o->listen ? o->listen : SKY_DASH_LISTEN, e);
    if (err == SKY_OK && !d->listen.loopback && !o->token)
        err = sky_fail(e, SKY_EPERM,
                       "%s is reachable from other machines: a token is required (--token-file)",
                       o->listen);
    d->db = sky_strdup(o->db);
    d->token = sky_strdup(o->token);
    d->events = sky__events_new();
    if (err == SKY_OK && (!d->db || !d->events || (o->token && !d->token)))
        err = sky_fail(e, SKY_ENOMEM, "out of memory");
    if (gethostname(d->machine, sizeof d->machine - 1) != 0)
        d->machine[0] = 0;
    uv_timer_init(o->loop, &d->timer);
    d->timer.data = d;
    if (err == SKY_OK)
        err = open_parts(d, e);
    if (err != SKY_OK) {
        sky_dash_close(d);
        return err;
    }
    if (o->preload_rows_max > 0)
        preload(d);
    uv_timer_start(&d->timer, on_timer, 0, EVENT_MS);
    snprintf(d->url, sizeof d->url, "http://%s:%u/", d->listen.address, sky_http_port(d->http));
    *out = d;
    return SKY_OK;
}

const char *sky_dash_url(const sky_dash *d)
{
    return d->url;
}

static void on_timer_closed(uv_handle_t *handle)
{
    sky_dash *d = handle->data;
    free(d->db);
    free(d->token);
    sky__events_free(d->events);
    free(d);
}

void sky_dash_close(sky_dash *d)
{
    if (!d)
        return;
    d->closing = true;
    for (int i = 0; i < SKY__LANES; i++)
        sky__reader_close(d->readers[i]);
    sky_http_close(d->http);
    uv_close((uv_handle_t *)&d->timer, on_timer_closed);
}
