#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "dash/url.h"

Test(path, parts)
{
    sky__path p;
    cr_assert(sky__path_split(&p, "/api/v1/sweeps/a b"));
    cr_assert(p.n == 4 && strcmp(p.parts[0], "api") == 0 && strcmp(p.parts[3], "a b") == 0);
    cr_assert(sky__path_split(&p, "/") && p.n == 0);
    cr_assert(sky__path_split(&p, "/x/") && p.n == 1);
}

Test(path, refused)
{
    sky__path p;
    static const char *const bad[] = {"",      "x",      "//",    "/a//b",
                                      "/../x", "/a/./b", "/a/..", "/1/2/3/4/5/6/7/8/9"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(!sky__path_split(&p, bad[i]), "%s", bad[i]);
    char endless[2 * SKY__PATH_BYTES_MAX];
    memset(endless, 'a', sizeof endless - 1);
    endless[0] = '/';
    endless[sizeof endless - 1] = 0;
    cr_assert(!sky__path_split(&p, endless));
}

Test(arguments, typed)
{
    const sky_http_arg args[] = {{"n", "12"}, {"x", "1.5"}, {"on", "true"}, {"n", "13"}, {"e", ""}};
    const sky_http_request r = {.args = args, .n_args = 5};
    uint64_t n;
    double x;
    bool on;
    sky_error e = {0};
    cr_assert(sky__arg_u64(&r, "n", 0, 20, &n, &e) == SKY_OK && n == 13, "the last one counts");
    cr_assert(sky__arg_u64(&r, "n", 0, 12, &n, &e) == SKY_EINVAL && strstr(e.text, "up to 12"));
    cr_assert(sky__arg_u64(&r, "e", 7, 20, &n, &e) == SKY_OK && n == 7, "empty is absent");
    cr_assert(sky__arg_u64(&r, "x", 0, 20, &n, &e) == SKY_EINVAL && strncmp(e.text, "x:", 2) == 0);
    cr_assert(sky__arg_f64(&r, "x", 0, &x, &e) == SKY_OK && x == 1.5);
    cr_assert(sky__arg_f64(&r, "none", NAN, &x, &e) == SKY_OK && isnan(x));
    cr_assert(sky__arg_f64(&r, "on", 0, &x, &e) == SKY_EINVAL);
    cr_assert(sky__arg_bool(&r, "on", false, &on, &e) == SKY_OK && on);
    cr_assert(sky__arg_bool(&r, "n", false, &on, &e) == SKY_EINVAL);
}

Test(lists, split)
{
    const char *parts[3];
    size_t n;
    char three[] = "a,,c", none[] = "", four[] = "a,b,c,d";
    cr_assert(sky__list_split(three, parts, 3, &n) && n == 3);
    cr_assert(strcmp(parts[0], "a") == 0 && !*parts[1] && strcmp(parts[2], "c") == 0);
    cr_assert(sky__list_split(none, parts, 3, &n) && n == 0);
    cr_assert(!sky__list_split(four, parts, 3, &n));
}

Test(listen, addresses)
{
    static const struct {
        const char *text, *address;
        uint16_t port;
        bool loopback;
    } good[] = {
        {"127.0.0.1:80", "127.0.0.1", 80, true}, {":8080", "127.0.0.1", 8080, true},
        {"8080", "127.0.0.1", 8080, true},       {"localhost:1", "127.0.0.1", 1, true},
        {"0.0.0.0:0", "0.0.0.0", 0, false},      {"*:7", "0.0.0.0", 7, false},
        {"127.9.9.9:7", "127.9.9.9", 7, true},   {"10.0.0.1:65535", "10.0.0.1", 65535, false}};
    static const char *const bad[] = {
        "",         "x",          "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
        "[::1]:80", "nowhere:80", "1.2.3:80",  ":-1"};
    sky__listen l;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cr_assert(sky__listen_parse(&l, good[i].text, NULL) == SKY_OK, "%s", good[i].text);
        cr_assert(strcmp(l.address, good[i].address) == 0 && l.port == good[i].port &&
                      l.loopback == good[i].loopback,
                  "%s", good[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(sky__listen_parse(&l, bad[i], NULL) == SKY_EINVAL, "%s", bad[i]);
}

Test(host, names)
{
    const sky__listen here = {"127.0.0.1", 7744, true}, all = {"0.0.0.0", 7744, false};
    static const char *const mine[] = {"localhost", "LOCALHOST:7744", "127.0.0.1:7744",
                                       "127.0.0.1:9"};
    static const char *const others[] = {"",         "evil.example",   "localhost.evil.example",
                                         "10.0.0.1", "localhost:port", "localhost:70000",
                                         "box",      "127.0.0.1.",     "[::1]:7744"};
    for (size_t i = 0; i < sizeof mine / sizeof *mine; i++) {
        cr_assert(sky__host_allowed(mine[i], &here, "box"), "%s", mine[i]);
        cr_assert(sky__host_allowed(mine[i], &all, "box"), "%s", mine[i]);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        cr_assert(!sky__host_allowed(others[i], &here, "box"), "%s", others[i]);
    cr_assert(sky__host_allowed("10.0.0.1:7744", &all, "box"));
    cr_assert(sky__host_allowed("box:7744", &all, "box"));
    cr_assert(!sky__host_allowed("evil.example", &all, "box"));
    cr_assert(!sky__host_allowed("", &all, ""));
}

Test(origin, same_site)
{
    cr_assert(sky__origin_allowed("", "localhost:1"));
    cr_assert(sky__origin_allowed("http://localhost:1", "localhost:1"));
    cr_assert(!sky__origin_allowed("http://localhost:2", "localhost:1"));
    cr_assert(!sky__origin_allowed("null", "localhost:1"));
}

static bool given(const char *authorization, const char *cookie, const char *token)
{
    const sky_http_request r = {.authorization = authorization, .cookie = cookie};
    return sky__token_given(&r, token);
}

Test(token, given)
{
    static const char token[] = "0123456789abcdef";
    cr_assert(given("Bearer 0123456789abcdef", "", token));
    cr_assert(given("bearer 0123456789abcdef", "", token));
    cr_assert(given("", "a=b; skyline_token=0123456789abcdef; c=d", token));
    cr_assert(!given("Bearer 0123456789abcdeg", "", token));
    cr_assert(!given("Bearer 0123456789abcde", "", token));
    cr_assert(!given("Bearer 0123456789abcdef0", "", token));
    cr_assert(!given("Bearer ", "", token));
    cr_assert(!given("Basic 0123456789abcdef", "", token));
    cr_assert(!given("", "xskyline_token=0123456789abcdef", token));
    cr_assert(!given("", "skyline_token=", token));
    cr_assert(!given("", "", ""));
    cr_assert(!given("Bearer ", "skyline_token=", NULL));
}
