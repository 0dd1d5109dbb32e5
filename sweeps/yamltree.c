/* YAML to a tree, by libyaml's event parser. Events, not libyaml's documents: they come one at a
 * time, so that every limit is checked before memory is spent. Anchors and aliases are refused:
 * a sweep does not need them, and ten lines of them can stand for gigabytes. */
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "sweeps/tree.h"

typedef struct reader {
    yaml_parser_t parser;
    const char *text;
    size_t len;
    const char *file;
    sky_arena *arena;
    sky_error *e;
    uint32_t nodes;
} reader;

typedef struct place {
    uint32_t line, column;
} place;

static place place_of(yaml_mark_t mark)
{
    return (place){(uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

static sky_err fail(reader *r, place at, const char *message)
{
    return sky_fail(r->e, SKY_EFORMAT, "%s:%u:%u: %s", r->file, at.line, at.column, message);
}

/* The length of the UTF-8 character at s, 0 if it is none. Rejects overlong forms and
 * surrogates. */
static size_t utf8_len(const unsigned char *s, size_t left)
{
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

sky_err sky__text_check(const char *text, size_t len, const char *file, sky_error *e)
{
    const unsigned char *s = (const unsigned char *)text;
    place at = {1, 1};
    for (size_t i = 0; i < len;) {
        size_t n = utf8_len(s + i, len - i);
        if (n == 0)
            return sky_fail(e, SKY_EFORMAT,
                            "%s:%u:%u: found the byte 0x%02x; allowed is UTF-8 text", file, at.line,
                            at.column, s[i]);
        bool control = (s[i] < 0x20 && s[i] != '\n' && s[i] != '\t' && s[i] != '\r');
        if (control)
            return sky_fail(e, SKY_EFORMAT,
                            "%s:%u:%u: found the control character 0x%02x; allowed is UTF-8 text",
                            file, at.line, at.column, s[i]);
        at.column++;
        if (s[i] == '\n')
            at = (place){at.line + 1, 1};
        i += n;
    }
    return SKY_OK;
}

static sky_err fail_parser(reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return sky_fail(r->e, SKY_ENOMEM, "%s: out of memory", r->file);
    place at = place_of(p->problem_mark);
    char message[300];
    snprintf(message, sizeof message, "not valid YAML: %s%s%s",
             p->problem ? p->problem : "unreadable", p->context ? " " : "",
             p->context ? p->context : "");
    return fail(r, at, message);
}

/* The next event, which the caller deletes on SKY_OK. */
static sky_err next_event(reader *r, yaml_event_t *event)
{
    if (!yaml_parser_parse(&r->parser, event))
        return fail_parser(r);
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    sky_err err = SKY_OK;
    place at = place_of(event->start_mark);
    if (anchor || event->type == YAML_ALIAS_EVENT)
        err = fail(r, at, "found an anchor or alias; allowed are plain values, written out");
    else if (tag)
        err = fail(r, at, "found a tag (!...); allowed are plain values without tags");
    if (err != SKY_OK)
        yaml_event_delete(event);
    return err;
}

static sky_err new_node(reader *r, sky__node_kind kind, place at, sky__node **out)
{
    if (++r->nodes > SKY__NODES_MAX) {
        fail(r, at, "more values than a sweep file may hold (4,194,304)");
        return r->e ? (r->e->code = SKY_ELIMIT) : SKY_ELIMIT;
    }
    *out = sky__node_new(r->arena, kind, r->file, at.line, at.column);
    return *out ? SKY_OK : sky_fail(r->e, SKY_ENOMEM, "%s: out of memory", r->file);
}

static sky_err read_scalar(reader *r, const yaml_event_t *event, sky__node **out)
{
    place at = place_of(event->start_mark);
    size_t len = event->data.scalar.length;
    const char *value = (const char *)event->data.scalar.value;
    if (memchr(value, '\0', len))
        return fail(r, at, "found a NUL character; allowed is text");
    sky_err err = new_node(r, SKY__SCALAR, at, out);
    if (err != SKY_OK)
        return err;
    (*out)->text = sky_arena_strndup(r->arena, value, len);
    (*out)->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return (*out)->text ? SKY_OK : sky_fail(r->e, SKY_ENOMEM, "%s: out of memory", r->file);
}

static sky_err read_value(reader *r, yaml_event_t *event, int depth, sky__node **out);

static sky_err read_list(reader *r, sky__node *list, int depth)
{
    for (;;) {
        yaml_event_t event;
        sky_err err = next_event(r, &event);
        if (err != SKY_OK)
            return err;
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return SKY_OK;
        }
        sky__node *child;
        err = read_value(r, &event, depth + 1, &child);
        if (err != SKY_OK)
            return err;
        sky__node_append(list, child);
    }
}

/* Checks and copies a key; event is one of the map's. */
static sky_err read_key(reader *r, const sky__node *map, const yaml_event_t *event,
                        const char **key)
{
    place at = place_of(event->start_mark);
    if (event->type != YAML_SCALAR_EVENT)
        return fail(r, at, "found a list or map as a key; allowed are words");
    const char *text = (const char *)event->data.scalar.value;
    char message[200];
    if (event->data.scalar.length == 0 || strlen(text) != event->data.scalar.length)
        return fail(r, at, "found an empty key; allowed are words");
    const sky__node *before = sky__node_get(map, text);
    if (before) {
        snprintf(message, sizeof message,
                 "the key '%.60s' is given twice, first in line %u; "
                 "allowed is once",
                 text, before->key_line);
        return fail(r, at, message);
    }
    if (map->count >= SKY__MAP_KEYS_MAX)
        return fail(r, at, "more keys in one map than allowed (1024)");
    *key = sky_arena_strdup(r->arena, text);
    return *key ? SKY_OK : sky_fail(r->e, SKY_ENOMEM, "%s: out of memory", r->file);
}

static sky_err read_map(reader *r, sky__node *map, int depth)
{
    for (;;) {
        yaml_event_t event;
        sky_err err = next_event(r, &event);
        if (err != SKY_OK)
            return err;
        bool end = event.type == YAML_MAPPING_END_EVENT;
        place at = place_of(event.start_mark);
        const char *key = NULL;
        if (!end)
            err = read_key(r, map, &event, &key);
        yaml_event_delete(&event);
        if (end || err != SKY_OK)
            return err;
        err = next_event(r, &event);
        sky__node *child;
        if (err == SKY_OK)
            err = read_value(r, &event, depth + 1, &child);
        if (err != SKY_OK)
            return err;
        child->key = key;
        child->key_line = at.line;
        child->key_column = at.column;
        sky__node_append(map, child);
    }
}

/* Reads the value that begins with event, and deletes event. */
static sky_err read_value(reader *r, yaml_event_t *event, int depth, sky__node **out)
{
    place at = place_of(event->start_mark);
    yaml_event_type_t type = event->type;
    sky_err err = SKY_OK;
    if (depth > SKY__DEPTH_MAX)
        err = fail(r, at, "lists and maps nested deeper than allowed (32)");
    else if (type == YAML_SCALAR_EVENT)
        err = read_scalar(r, event, out);
    yaml_event_delete(event);
    if (err != SKY_OK || type == YAML_SCALAR_EVENT)
        return err;
    bool is_list = type == YAML_SEQUENCE_START_EVENT;
    err = new_node(r, is_list ? SKY__LIST : SKY__MAP, at, out);
    if (err != SKY_OK)
        return err;
    return is_list ? read_list(r, *out, depth) : read_map(r, *out, depth);
}

static sky_err read_stream(reader *r, sky__node **out)
{
    sky__node *root = NULL;
    for (;;) {
        yaml_event_t event;
        sky_err err = next_event(r, &event);
        if (err != SKY_OK)
            return err;
        place at = place_of(event.start_mark);
        switch (event.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            yaml_event_delete(&event);
            break;
        case YAML_DOCUMENT_START_EVENT:
            yaml_event_delete(&event);
            if (root)
                return fail(r, at, "found a second document (---); allowed is one");
            break;
        case YAML_STREAM_END_EVENT:
            yaml_event_delete(&event);
            *out = root;
            return SKY_OK;
        default:
            err = read_value(r, &event, 1, &root);
            if (err != SKY_OK)
                return err;
        }
    }
}

sky_err sky__yaml_read(sky__node **out, const char *text, size_t len, const char *file,
                       sky_arena *arena, sky_error *e)
{
    sky_err err = sky__text_check(text, len, file, e);
    if (err != SKY_OK)
        return err;
    reader r = {.text = text, .len = len, .file = file, .arena = arena, .e = e};
    if (!yaml_parser_initialize(&r.parser))
        return sky_fail(e, SKY_ENOMEM, "%s: out of memory", file);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    err = read_stream(&r, out);
    yaml_parser_delete(&r.parser);
    return err;
}
