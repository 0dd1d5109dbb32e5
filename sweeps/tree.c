#include "sweeps/tree.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"

sky__node *sky__node_new(sky_arena *arena, sky__node_kind kind, const char *file, uint32_t line,
                         uint32_t column)
{
    sky__node *n = sky_new(arena, sky__node, 1);
    if (!n)
        return NULL;
    n->kind = (uint8_t)kind;
    n->file = file;
    n->line = n->key_line = line;
    n->column = n->key_column = column;
    return n;
}

void sky__node_append(sky__node *parent, sky__node *child)
{
    assert(parent->kind != SKY__SCALAR && !child->next);
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->count++;
}

sky__node *sky__node_get(const sky__node *map, const char *key)
{
    if (!map || map->kind != SKY__MAP)
        return NULL;
    for (sky__node *n = map->first; n; n = n->next)
        if (strcmp(n->key, key) == 0)
            return n;
    return NULL;
}

void sky__node_put(sky__node *map, const char *key, sky__node *child)
{
    assert(map->kind == SKY__MAP && !child->next);
    child->key = key;
    for (sky__node **link = &map->first, *prev = NULL; *link; prev = *link, link = &prev->next) {
        if (strcmp((*link)->key, key) != 0)
            continue;
        child->next = (*link)->next;
        if (map->last == *link)
            map->last = child;
        *link = child;
        return;
    }
    sky__node_append(map, child);
}

static sky_err fail_at(const char *file, uint32_t line, uint32_t column, sky_error *e,
                       const char *message)
{
    if (line == 0)
        return sky_fail(e, SKY_EFORMAT, "%s: %s", file, message);
    return sky_fail(e, SKY_EFORMAT, "%s:%" PRIu32 ":%" PRIu32 ": %s", file, line, column, message);
}

sky_err sky__node_fail(const sky__node *at, sky_error *e, const char *fmt, ...)
{
    char message[SKY_ERROR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    return fail_at(at->file, at->line, at->column, e, message);
}

sky_err sky__node_fail_why(const sky__node *at, sky_error *e, const char *what,
                           const sky_error *why)
{
    if (why->code == SKY_ENOMEM)
        return sky_fail(e, SKY_ENOMEM, "out of memory");
    return sky__node_fail(at, e, "%s: %s", what, why->text);
}

sky_err sky__key_fail(const sky__node *at, sky_error *e, const char *fmt, ...)
{
    char message[SKY_ERROR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    return fail_at(at->file, at->key_line, at->key_column, e, message);
}

/* Copies text in quotes, cut at a character's border. */
static void quote_cut(char *out, size_t size, const char *text)
{
    const size_t room = size - sizeof "''..."; /* quotes, dots, NUL */
    size_t len = strnlen(text, room + 1);
    bool cut = len > room;
    if (cut) {
        len = room;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    }
    snprintf(out, size, "'%.*s%s'", (int)len, text, cut ? "..." : "");
}

sky__found sky__node_found(const sky__node *n)
{
    sky__found f;
    if (n->kind == SKY__LIST)
        snprintf(f.text, sizeof f.text, n->count ? "a list" : "an empty list");
    else if (n->kind == SKY__MAP)
        snprintf(f.text, sizeof f.text, n->count ? "a map" : "an empty map");
    else if (n->text[0] == '\0' && !n->quoted)
        snprintf(f.text, sizeof f.text, "nothing");
    else
        quote_cut(f.text, sizeof f.text, n->text);
    return f;
}

sky__found sky__suggest(const char *word, const char *const *list, size_t n)
{
    sky__found f = {""};
    const char *near = strlen(word) < 100 ? sky_nearest(word, list, n) : NULL;
    if (near)
        snprintf(f.text, sizeof f.text, ", did you mean '%.60s'?", near);
    return f;
}

bool sky__node_is_null(const sky__node *n)
{
    return n->kind == SKY__SCALAR && !n->quoted &&
           (n->text[0] == '\0' || strcmp(n->text, "~") == 0 || strcmp(n->text, "null") == 0);
}

sky_err sky__want_map(const sky__node *n, const char *what, sky_error *e)
{
    if (n->kind == SKY__MAP)
        return SKY_OK;
    return sky__node_fail(n, e, "%s: found %s; allowed is a map", what, sky__node_found(n).text);
}

sky_err sky__want_list(const sky__node *n, const char *what, sky_error *e)
{
    if (n->kind == SKY__LIST)
        return SKY_OK;
    return sky__node_fail(n, e, "%s: found %s; allowed is a list", what, sky__node_found(n).text);
}

sky_err sky__want_text(const sky__node *n, const char *what, const char **out, sky_error *e)
{
    if (n->kind != SKY__SCALAR || sky__node_is_null(n))
        return sky__node_fail(n, e, "%s: found %s; allowed is a text", what,
                              sky__node_found(n).text);
    *out = n->text;
    return SKY_OK;
}

sky_err sky__want_bool(const sky__node *n, const char *what, bool *out, sky_error *e)
{
    if (n->kind == SKY__SCALAR && !n->quoted && sky_parse_bool(n->text, out) == SKY_OK)
        return SKY_OK;
    return sky__node_fail(n, e, "%s: found %s; allowed is true or false", what,
                          sky__node_found(n).text);
}

sky_err sky__want_count(const sky__node *n, const char *what, sky__bounds bounds, uint64_t *out,
                        sky_error *e)
{
    uint64_t x;
    if (n->kind == SKY__SCALAR && !n->quoted && sky_parse_u64(n->text, &x) == SKY_OK &&
        x >= bounds.min && x <= bounds.max) {
        *out = x;
        return SKY_OK;
    }
    return sky__node_fail(n, e,
                          "%s: found %s; allowed is a whole number from %" PRIu64 " to %" PRIu64,
                          what, sky__node_found(n).text, bounds.min, bounds.max);
}

sky_err sky__want_keys(const sky__node *map, const char *what, const char *const *allowed,
                       sky_error *e)
{
    sky_err err = sky__want_map(map, what, e);
    if (err != SKY_OK)
        return err;
    size_t n = 0;
    while (allowed[n])
        n++;
    for (const sky__node *child = map->first; child; child = child->next) {
        size_t i = 0;
        while (i < n && strcmp(child->key, allowed[i]) != 0)
            i++;
        if (i < n)
            continue;
        sky_buf list = {0};
        for (i = 0; i < n; i++)
            sky_buf_printf(&list, "%s%s", i ? ", " : "", allowed[i]);
        char key[SKY__FOUND_MAX];
        quote_cut(key, sizeof key, child->key);
        err = sky__key_fail(child, e, "%s: unknown key %s%s; allowed are %s", what, key,
                            sky__suggest(child->key, allowed, n).text, sky_buf_str(&list));
        sky_buf_free(&list);
        return err;
    }
    return SKY_OK;
}
