/* JSON to a tree: what plantext.c writes, read back. A parser of its own rather than a
 * library's: a plan that lists a million points loads in a fraction of a second, into the nodes
 * that the rest reads. */
#include <string.h>

#include "sweeps/tree.h"

typedef struct reader {
    const char *at, *end;
    const char *begin;
    const char *file;
    sky_arena *arena;
    sky_error *e;
    uint32_t nodes;
} reader;

enum {
    JSON_NODES_MAX = SKY__NODES_MAX * 2
}; /* a plan adds its job's descriptor to the file's values */

static sky_err fail(reader *r, const char *message)
{
    return sky_fail(r->e, SKY_EFORMAT, "%s: byte %zu: %s", r->file, (size_t)(r->at - r->begin),
                    message);
}

static sky_err out_of_memory(reader *r)
{
    return sky_fail(r->e, SKY_ENOMEM, "%s: out of memory", r->file);
}

static void skip_blanks(reader *r)
{
    while (r->at < r->end && strchr(" \n\r\t", *r->at) && *r->at)
        r->at++;
}

static bool take(reader *r, char c)
{
    skip_blanks(r);
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static int hex4(const char *s)
{
    int x = 0;
    for (int i = 0; i < 4; i++) {
        char c = s[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        x = x << 4 | digit;
    }
    return x;
}

static char *put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *out++ = (char)(0xe0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    } else {
        *out++ = (char)(0xf0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3f));
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    }
    return out;
}

/* Reads \uXXXX (r->at stands on the u), a surrogate pair included. */
static sky_err read_unicode(reader *r, char **out)
{
    int high = r->end - r->at >= 5 ? hex4(r->at + 1) : -1;
    if (high <= 0)
        return fail(r, "a bad \\u escape");
    r->at += 5;
    uint32_t c = (uint32_t)high;
    if (high >= 0xd800 && high < 0xe000) {
        int low = high < 0xdc00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u'
                      ? hex4(r->at + 2)
                      : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return fail(r, "half of a surrogate pair");
        r->at += 6;
        c = 0x10000 + (((uint32_t)high - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
    }
    *out = put_utf8(*out, c);
    return SKY_OK;
}

static sky_err read_escape(reader *r, char **out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (r->at == r->end)
        return fail(r, "the string does not end");
    if (*r->at == 'u')
        return read_unicode(r, out);
    const char *found = *r->at ? strchr(from, *r->at) : NULL;
    if (!found)
        return fail(r, "an unknown escape");
    *(*out)++ = to[found - from];
    r->at++;
    return SKY_OK;
}

/* Reads a string whose opening quote is taken. No escape is shorter than what it stands for. */
static sky_err read_string(reader *r, const char **out)
{
    const char *close = r->at;
    while (close < r->end && *close != '"')
        close += *close == '\\' ? 2 : 1;
    if (close >= r->end)
        return fail(r, "the string does not end");
    char *text = sky_new(r->arena, char, (size_t)(close - r->at) + 1), *to = text;
    if (!text)
        return out_of_memory(r);
    while (r->at < close) {
        if ((unsigned char)*r->at < 0x20)
            return fail(r, "a control character in a string");
        if (*r->at != '\\') {
            *to++ = *r->at++;
            continue;
        }
        r->at++;
        sky_err err = read_escape(r, &to);
        if (err != SKY_OK)
            return err;
    }
    r->at++;
    *out = text;
    return SKY_OK;
}

static sky_err read_word(reader *r, const char **out)
{
    const char *begin = r->at;
    while (r->at < r->end && !strchr(",]} \n\r\t\":[{", *r->at) && *r->at)
        r->at++;
    size_t len = (size_t)(r->at - begin);
    if (len == 0 || len > 40)
        return fail(r, "expected a value");
    *out = sky_arena_strndup(r->arena, begin, len);
    return *out ? SKY_OK : out_of_memory(r);
}

static sky_err read_value(reader *r, int depth, sky__node **out);

static sky_err read_children(reader *r, sky__node *parent, int depth)
{
    const char close = parent->kind == SKY__MAP ? '}' : ']';
    if (take(r, close))
        return SKY_OK;
    do {
        sky_err err = SKY_OK;
        const char *key = NULL;
        if (parent->kind == SKY__MAP) {
            if (!take(r, '"'))
                return fail(r, "expected a key in quotes");
            err = read_string(r, &key);
            if (err != SKY_OK)
                return err;
            if (sky__node_get(parent, key) || parent->count >= SKY__MAP_KEYS_MAX)
                return fail(r, "a key is given twice, or there are too many");
            if (!take(r, ':'))
                return fail(r, "expected ':'");
        }
        sky__node *child;
        err = read_value(r, depth + 1, &child);
        if (err != SKY_OK)
            return err;
        child->key = key;
        sky__node_append(parent, child);
    } while (take(r, ','));
    return take(r, close) ? SKY_OK : fail(r, "expected ',' or the end of the list or map");
}

static sky_err read_value(reader *r, int depth, sky__node **out)
{
    if (depth > SKY__DEPTH_MAX)
        return fail(r, "nested too deeply");
    if (++r->nodes > JSON_NODES_MAX)
        return sky_fail(r->e, SKY_ELIMIT, "%s: too many values", r->file);
    bool map = take(r, '{');
    bool list = !map && take(r, '[');
    bool string = !map && !list && take(r, '"');
    sky__node *n = sky__node_new(r->arena,
                                 map    ? SKY__MAP
                                 : list ? SKY__LIST
                                        : SKY__SCALAR,
                                 r->file, 0, 0);
    if (!n)
        return out_of_memory(r);
    *out = n;
    if (map || list)
        return read_children(r, n, depth);
    n->quoted = string;
    return string ? read_string(r, &n->text) : read_word(r, &n->text);
}

sky_err sky__json_read(sky__node **out, const char *text, size_t len, const char *file,
                       sky_arena *arena, sky_error *e)
{
    sky_err err = sky__text_check(text, len, file, e);
    if (err != SKY_OK)
        return err;
    reader r = {.at = text, .begin = text, .end = text + len, .file = file, .arena = arena, .e = e};
    err = read_value(&r, 1, out);
    if (err != SKY_OK)
        return err;
    skip_blanks(&r);
    return r.at == r.end ? SKY_OK : fail(&r, "something follows the end");
}
