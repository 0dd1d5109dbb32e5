#include "dash/api.h"

#include <stdlib.h>
#include <string.h>

typedef struct route {
    const char *tail; /* after /api/v1/sweeps/NAME/ */
    sky__handler handler;
    bool slow;
} route;

static const route sweep_routes[] = {
    {"columns", sky__api_columns, false},
    {"front", sky__api_front, false},
    {"density", sky__api_density, false},
    {"importance", sky__api_importance, false},
    {"failures", sky__api_failures, true},
    {"filter", sky__api_filter, true},
    {"rows", sky__api_rows, true},
    {"export", sky__api_export, true},
    {"environments", sky__api_environments, true},
};

sky__handler sky__api_route(const sky_http_request *r, const sky__path *p, bool *slow)
{
    *slow = false;
    if (r->method != SKY_HTTP_GET)
        return NULL;
    if (p->n == 1 && strcmp(p->parts[0], "metrics") == 0)
        return sky__api_metrics;
    if (p->n < 3 || strcmp(p->parts[0], "api") != 0 || strcmp(p->parts[1], "v1") != 0 ||
        strcmp(p->parts[2], "sweeps") != 0)
        return NULL;
    if (p->n == 3)
        return sky__api_sweeps;
    if (p->n == 4)
        return sky__api_sweep;
    if (p->n == 6 && strcmp(p->parts[4], "trials") == 0) {
        *slow = true;
        return sky__arg(r, "artifact") ? sky__api_artifact : sky__api_trial;
    }
    for (size_t i = 0; p->n == 5 && i < sizeof sweep_routes / sizeof *sweep_routes; i++) {
        if (strcmp(p->parts[4], sweep_routes[i].tail) == 0) {
            *slow = sweep_routes[i].slow;
            return sweep_routes[i].handler;
        }
    }
    return NULL;
}

static int status_of(sky_err code)
{
    switch (code) {
    case SKY_ENOTFOUND:
        return 404;
    case SKY_EINVAL:
    case SKY_EFORMAT:
        return 400;
    case SKY_EPERM:
        return 403;
    case SKY_ECONFLICT:
    case SKY_EEXISTS:
        return 409;
    case SKY_ELIMIT:
        return 413;
    case SKY_ETIMEOUT:
    case SKY_EBUSY:
    case SKY_EAGAIN:
    case SKY_ECANCELLED:
        return 503;
    default:
        return 500;
    }
}

void sky__api_error(sky_http_response *out, const sky_error *e)
{
    sky_buf b = {0};
    free(out->body);
    sky_buf_puts(&b, "{\"error\":");
    sky_buf_json_string(&b, e->text[0] ? e->text : sky_strerror(e->code));
    sky_buf_puts(&b, "}\n");
    out->status = status_of(e->code);
    out->type = "application/json";
    out->len = b.len;
    out->body = sky_buf_detach(&b);
    if (!out->body)
        out->len = 0;
}

static void answer(sky_http_response *out, sky_buf *b, const char *type)
{
    out->status = 200;
    out->type = type;
    out->len = b->len;
    out->body = sky_buf_detach(b);
    if (!out->body) {
        sky_error e = {.code = SKY_ENOMEM};
        sky__api_error(out, &e);
    }
    sky_buf_free(b);
}

void sky__api_json(sky_http_response *out, sky_buf *b)
{
    answer(out, b, "application/json");
}

void sky__api_frame(sky_http_response *out, sky_buf *b)
{
    answer(out, b, "application/octet-stream");
}

bool sky__api_name(const sky_http_request *r, sky__path *p, sky_http_response *out)
{
    if (sky__path_split(p, r->path) && p->n >= 4)
        return true;
    sky_error e = {.code = SKY_ENOTFOUND};
    sky__api_error(out, &e);
    return false;
}
