#include "dash/api.h"

#include <stdlib.h>
#include <string.h>

typedef struct route {
    const char *tail; /* after /api/v1/sweeps/NAME/ */
    sky__handler handler;
    sky__lane lane;
} route;

static const route sweep_routes[] = {
    {"columns", sky__api_columns, SKY__QUICK}, {"summary", sky__api_summary, SKY__QUICK},
    {"front", sky__api_front, SKY__QUICK},     {"history", sky__api_history, SKY__QUICK},
    {"density", sky__api_density, SKY__QUICK}, {"importance", sky__api_importance, SKY__QUICK},
    {"slice", sky__api_slice, SKY__QUICK},     {"failures", sky__api_failures, SKY__QUICK},
    {"filter", sky__api_filter, SKY__ASKED},   {"rows", sky__api_rows, SKY__ASKED},
    {"export", sky__api_export, SKY__BULK},    {"environments", sky__api_environments, SKY__BULK},
};

static sky__handler sweep_route(const sky_http_request *r, const sky__path *p, sky__lane *lane)
{
    if (p->n <= 4)
        *lane = SKY__NEWS;
    if (p->n == 3)
        return sky__api_sweeps;
    if (p->n == 4)
        return sky__api_sweep;
    if (p->n >= 6 && strcmp(p->parts[4], "trials") == 0) {
        if (p->n == 6)
            return sky__api_trial;
        return p->n == 7 && strcmp(p->parts[6], "artifact") == 0 ? sky__api_artifact : NULL;
    }
    for (size_t i = 0; p->n == 5 && i < sizeof sweep_routes / sizeof *sweep_routes; i++) {
        if (strcmp(p->parts[4], sweep_routes[i].tail) != 0)
            continue;
        *lane = sweep_routes[i].lane;
        /* Trials by number are no question in SQL: a table need not wait for one. */
        if (sweep_routes[i].handler == sky__api_rows && sky__arg(r, "ids"))
            *lane = SKY__QUICK;
        return sweep_routes[i].handler;
    }
    return NULL;
}

sky__handler sky__api_route(const sky_http_request *r, const sky__path *p, sky__lane *lane)
{
    *lane = SKY__QUICK;
    if (r->method != SKY_HTTP_GET)
        return NULL;
    if (p->n == 1 && strcmp(p->parts[0], "metrics") == 0)
        return sky__api_metrics;
    if (p->n < 3 || strcmp(p->parts[0], "api") != 0 || strcmp(p->parts[1], "v1") != 0)
        return NULL;
    if (p->n == 3 && strcmp(p->parts[2], "compare") == 0)
        return sky__api_compare;
    return strcmp(p->parts[2], "sweeps") == 0 ? sweep_route(r, p, lane) : NULL;
}

static int status_of(sky_err code)
{
    switch (code) {
    case SKY_ENOTFOUND:
        return 404;
    case SKY_EINVAL:
    case SKY_EFORMAT:
    case SKY_EPERM: /* SQL that does more than read */
        return 400;
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
    *out = (sky_http_response){.status = status_of(e->code), .type = "application/json"};
    sky_buf_puts(&b, "{\"error\":");
    sky_buf_json_string(&b, e->text[0] ? e->text : sky_strerror(e->code));
    sky_buf_puts(&b, "}\n");
    out->len = b.len;
    out->body = sky_buf_detach(&b);
    if (!out->body)
        out->len = 0;
}

static sky_err answer(sky_http_response *out, sky_buf *b, const char *type)
{
    out->status = 200;
    out->type = type;
    out->len = b->len;
    out->body = sky_buf_detach(b);
    sky_buf_free(b);
    return out->body ? SKY_OK : SKY_ENOMEM;
}

sky_err sky__api_json(sky_http_response *out, sky_buf *b)
{
    return answer(out, b, "application/json");
}

sky_err sky__api_frame(sky_http_response *out, sky_buf *b)
{
    return answer(out, b, "application/octet-stream");
}

sky_err sky__api_no_memory(sky_error *e)
{
    return sky_fail(e, SKY_ENOMEM, "out of memory");
}

sky_err sky__arg_list(const sky_http_request *r, const char *name, sky_arena *arena,
                      const char **parts, size_t max, size_t *n, sky_error *e)
{
    const char *text = sky__arg(r, name);
    char *copy = sky_arena_strdup(arena, text ? text : "");
    if (!copy)
        return sky__api_no_memory(e);
    if (!sky__list_split(copy, parts, max, n))
        return sky_fail(e, SKY_ELIMIT, "%s: at most %zu", name, max);
    return SKY_OK;
}

void sky__json_member(sky_buf *b, const char *name, const char *text)
{
    sky_buf_printf(b, ",\"%s\":", name);
    sky_buf_json_string(b, text ? text : "");
}

void sky__json_numbers(sky_buf *b, const double *values, size_t n)
{
    sky_buf_putc(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            sky_buf_putc(b, ',');
        sky_buf_json_f64(b, values[i]);
    }
    sky_buf_putc(b, ']');
}

void sky__json_trials(sky_buf *b, const uint64_t *trials, size_t n)
{
    sky_buf_putc(b, '[');
    for (size_t i = 0; i < n; i++)
        sky_buf_printf(b, i ? ",%llu" : "%llu", (unsigned long long)trials[i]);
    sky_buf_putc(b, ']');
}

void sky__json_objectives(sky_buf *b, const sky_objective *list, size_t n)
{
    sky_buf_putc(b, '[');
    for (size_t j = 0; j < n; j++) {
        sky_buf_puts(b, j ? ",{\"name\":" : "{\"name\":");
        sky_buf_json_string(b, list[j].name);
        sky_buf_printf(b, ",\"goal\":\"%s\"}", sky_goal_name(list[j].goal));
    }
    sky_buf_putc(b, ']');
}
