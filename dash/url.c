#include "dash/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

bool sky__path_split(sky__path *out, const char *path)
{
    const size_t len = strlen(path);
    out->n = 0;
    if (path[0] != '/' || len >= sizeof out->text)
        return false;
    memcpy(out->text, path, len + 1);
    for (char *at = out->text + 1; *at;) {
        char *end = at + strcspn(at, "/");
        const bool more = *end == '/';
        *end = 0;
        if (end == at || strcmp(at, ".") == 0 || strcmp(at, "..") == 0 ||
            out->n == SKY__PATH_PARTS_MAX)
            return false;
        out->parts[out->n++] = at;
        at = end + more;
    }
    return true;
}

const char *sky__arg(const sky_http_request *r, const char *name)
{
    for (size_t i = r->n_args; i-- > 0;) {
        if (strcmp(r->args[i].name, name) == 0)
            return r->args[i].value;
    }
    return NULL;
}

sky_err sky__arg_u64(const sky_http_request *r, const char *name, uint64_t def, uint64_t max,
                     uint64_t *out, sky_error *e)
{
    const char *text = sky__arg(r, name);
    uint64_t x = def;
    if (text && *text && (sky_parse_u64(text, &x) != SKY_OK || x > max))
        return sky_fail(e, SKY_EINVAL, "%s: found '%.40s', expected a whole number up to %llu",
                        name, text, (unsigned long long)max);
    *out = x;
    return SKY_OK;
}

sky_err sky__arg_f64(const sky_http_request *r, const char *name, double def, double *out,
                     sky_error *e)
{
    const char *text = sky__arg(r, name);
    double x = def;
    if (text && *text && sky_parse_f64(text, &x) != SKY_OK)
        return sky_fail(e, SKY_EINVAL, "%s: found '%.40s', expected a number", name, text);
    *out = x;
    return SKY_OK;
}

sky_err sky__arg_bool(const sky_http_request *r, const char *name, bool def, bool *out,
                      sky_error *e)
{
    const char *text = sky__arg(r, name);
    bool x = def;
    if (text && *text && sky_parse_bool(text, &x) != SKY_OK)
        return sky_fail(e, SKY_EINVAL, "%s: found '%.40s', expected true or false", name, text);
    *out = x;
    return SKY_OK;
}

bool sky__list_split(char *text, const char **parts, size_t max, size_t *n)
{
    *n = 0;
    if (!*text)
        return true;
    for (char *at = text; at;) {
        char *comma = strchr(at, ',');
        if (*n == max)
            return false;
        if (comma)
            *comma++ = 0;
        parts[(*n)++] = at;
        at = comma;
    }
    return true;
}

sky_err sky__listen_parse(sky__listen *out, const char *text, sky_error *e)
{
    const char *colon = strrchr(text, ':');
    const char *port = colon ? colon + 1 : text;
    const size_t len = colon ? (size_t)(colon - text) : 0;
    char host[64] = "127.0.0.1";
    uint64_t number = 0;
    struct in_addr a;
    if (len >= sizeof host || sky_parse_u64(port, &number) != SKY_OK || number > 65535)
        return sky_fail(e, SKY_EINVAL, "'%.80s': expected ADDRESS:PORT, such as 127.0.0.1:7744",
                        text);
    if (len > 0) {
        memcpy(host, text, len);
        host[len] = 0;
    }
    if (strcasecmp(host, "localhost") == 0)
        strcpy(host, "127.0.0.1");
    if (strcmp(host, "*") == 0)
        strcpy(host, "0.0.0.0");
    if (inet_pton(AF_INET, host, &a) != 1)
        return sky_fail(e, SKY_EINVAL, "'%.80s': expected an IPv4 address, '*' or 'localhost'",
                        text);
    strcpy(out->address, host);
    out->port = (uint16_t)number;
    out->loopback = (ntohl(a.s_addr) >> 24) == 127;
    return SKY_OK;
}

bool sky__host_allowed(const char *host, const sky__listen *listen, const char *machine)
{
    char name[256];
    const char *colon = strrchr(host, ':');
    const size_t len = colon ? (size_t)(colon - host) : strlen(host);
    uint64_t port = 80;
    struct in_addr a;
    if (len == 0 || len >= sizeof name)
        return false;
    memcpy(name, host, len);
    name[len] = 0;
    if (colon && sky_parse_u64(colon + 1, &port) != SKY_OK)
        return false;
    /* Through a forwarded port or a proxy the client names another port: no harm in that, since a
     * name that points here by deceit is still refused. */
    if (port > 65535)
        return false;
    if (strcasecmp(name, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, name, &a) == 1)
        return !listen->loopback || (ntohl(a.s_addr) >> 24) == 127;
    return !listen->loopback && machine[0] && strcasecmp(name, machine) == 0;
}

bool sky__origin_allowed(const char *origin, const char *host)
{
    if (!origin[0])
        return true;
    const char *at = strstr(origin, "://");
    return at && strcasecmp(at + 3, host) == 0;
}

/* Takes as long for a wrong first letter as for a wrong last one. */
static bool equal(const char *a, size_t a_len, const char *b)
{
    const size_t b_len = strlen(b);
    unsigned char difference = a_len != b_len;
    for (size_t i = 0; i < a_len; i++)
        difference |= (unsigned char)(a[i] ^ b[b_len ? i % b_len : 0]);
    return difference == 0;
}

bool sky__token_given(const sky_http_request *r, const char *token)
{
    static const char bearer[] = "Bearer ";
    if (!token || !token[0])
        return false;
    if (strncasecmp(r->authorization, bearer, sizeof bearer - 1) == 0) {
        const char *given = r->authorization + sizeof bearer - 1;
        return equal(given, strlen(given), token);
    }
    for (const char *at = r->cookie; at && *at;) {
        at += strspn(at, "; ");
        const size_t name = strlen(SKY__COOKIE);
        const size_t len = strcspn(at, ";");
        if (len > name && strncmp(at, SKY__COOKIE, name) == 0 && at[name] == '=')
            return equal(at + name + 1, len - name - 1, token);
        at += len;
    }
    return false;
}
