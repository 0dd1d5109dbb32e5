/* A request to the dashboard, line by line: the path, the Host, the Origin, the cookie, the token that
 * the server knows, an address to listen on, then arguments "name=value". What they are parsed to must
 * hold what url.h promises, whatever was sent. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dash/api.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { LINES_MAX = 6 + SKY_HTTP_ARGS_MAX };

static void check_path(const sky_http_request *r)
{
    sky__path p;
    sky__lane lane;
    if (!sky__path_split(&p, r->path))
        return;
    assert(p.n <= SKY__PATH_PARTS_MAX);
    for (size_t i = 0; i < p.n; i++) {
        assert(p.parts[i] >= p.text && p.parts[i] < p.text + sizeof p.text);
        assert(*p.parts[i] && !strchr(p.parts[i], '/'));
        assert(strcmp(p.parts[i], ".") != 0 && strcmp(p.parts[i], "..") != 0);
    }
    if (sky__api_route(r, &p, &lane))
        assert(lane < SKY__LANES);
}

static void check_args(const sky_http_request *r)
{
    uint64_t n;
    double x, reference[SKY_OBJECTIVES_MAX];
    bool b;
    for (size_t i = 0; i < r->n_args; i++) {
        const char *name = r->args[i].name;
        assert(sky__arg(r, name));
        if (sky__arg_u64(r, name, 1, 1000, &n, NULL) == SKY_OK)
            assert(n <= 1000);
        sky__arg_f64(r, name, 0, &x, NULL);
        sky__arg_bool(r, name, false, &b, NULL);
        const char *parts[4];
        size_t n_parts = 0;
        sky_arena arena = {0};
        if (sky__arg_list(r, name, &arena, parts, 4, &n_parts, NULL) == SKY_OK)
            assert(n_parts <= 4);
        sky_arena_free(&arena);
    }
    if (sky__reference_arg(r, 2, reference, &b, NULL) == SKY_OK && b)
        assert(reference[0] == reference[0] && reference[1] == reference[1]);
}

static void check_access(const sky_http_request *r, const char *token, const char *listen)
{
    sky__listen l;
    if (sky__listen_parse(&l, listen, NULL) == SKY_OK) {
        assert(strlen(l.address) < sizeof l.address);
        assert(l.loopback == (strncmp(l.address, "127.", 4) == 0));
        if (sky__host_allowed(r->host, &l, "machine") && l.loopback)
            assert(strncasecmp(r->host, "localhost", 9) == 0 || strncmp(r->host, "127.", 4) == 0);
    }
    sky__origin_allowed(r->origin, r->host);
    if (sky__token_given(r, token))
        assert(token[0] && (strstr(r->cookie, token) || strstr(r->authorization, token)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1), *lines[LINES_MAX];
    sky_http_arg args[SKY_HTTP_ARGS_MAX];
    size_t n = 0;
    if (!text)
        return 0;
    memcpy(text, data, len);
    text[len] = 0;
    for (char *at = text; at && n < LINES_MAX; n++) {
        lines[n] = at;
        at = strchr(at, '\n');
        if (at)
            *at++ = 0;
    }
    while (n < 6)
        lines[n++] = text + len;
    sky_http_request r = {.path = lines[0],
                          .host = lines[1],
                          .origin = lines[2],
                          .cookie = lines[3],
                          .authorization = lines[3],
                          .args = args};
    for (size_t i = 6; i < n; i++) {
        char *value = strchr(lines[i], '=');
        if (value)
            *value++ = 0;
        args[r.n_args++] = (sky_http_arg){lines[i], value ? value : ""};
    }
    check_path(&r);
    check_args(&r);
    check_access(&r, lines[4], lines[5]);
    free(text);
    return 0;
}
