/* What a request says, taken apart: paths, arguments, hosts, tokens. Pure; fuzzed. */
#ifndef SKY_DASH_URL_H
#define SKY_DASH_URL_H

#include "dash/http.h"

enum { SKY__PATH_PARTS_MAX = 8, SKY__PATH_BYTES_MAX = 512, SKY__LIST_MAX = 256 };

/* "/api/v1/sweeps/x" -> "api", "v1", "sweeps", "x". False: too long, too many parts, an empty part or
 * a dot segment. A trailing slash is allowed. */
typedef struct sky__path {
    char text[SKY__PATH_BYTES_MAX];
    const char *parts[SKY__PATH_PARTS_MAX];
    size_t n;
} sky__path;
bool sky__path_split(sky__path *out, const char *path);

/* The last argument of that name, or NULL. */
const char *sky__arg(const sky_http_request *r, const char *name);
/* Parse an argument; absent or empty gives def. SKY_EINVAL with a message that names it. */
sky_err sky__arg_u64(const sky_http_request *r, const char *name, uint64_t def, uint64_t max,
                     uint64_t *out, sky_error *e);
sky_err sky__arg_f64(const sky_http_request *r, const char *name, double def, double *out,
                     sky_error *e);
sky_err sky__arg_bool(const sky_http_request *r, const char *name, bool def, bool *out,
                      sky_error *e);

/* Splits "a,b,c" in place; an empty text has no parts. False: more than max. */
bool sky__list_split(char *text, const char **parts, size_t max, size_t *n);

/* "127.0.0.1:8080", ":8080", "8080", "localhost:8080" -> an IPv4 address and a port. */
typedef struct sky__listen {
    char address[16];
    uint16_t port;
    bool loopback;
} sky__listen;
sky_err sky__listen_parse(sky__listen *out, const char *text, sky_error *e);

/* May a request with this Host header be answered? On loopback only names of this machine's loopback
 * are, which defeats a page elsewhere that lets its name point here; beyond it any address, and
 * `machine`, this machine's own name. */
bool sky__host_allowed(const char *host, const sky__listen *listen, const char *machine);
/* Is a page of that origin our own page? "" (no header) is. */
bool sky__origin_allowed(const char *origin, const char *host);
/* Does the request carry the token: "Bearer T", or the cookie? In constant time. */
bool sky__token_given(const sky_http_request *r, const char *token);
#define SKY__COOKIE "skyline_token"

#endif
