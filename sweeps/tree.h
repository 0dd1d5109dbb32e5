/* A document as a tree of nodes that know where they stand, so that every complaint about a
 * sweep file can say file:line:column. YAML files, `--set` values, CSV files and the canonical
 * JSON of a plan all become such trees; only sweeps/ uses them. */
#ifndef SKY_SWEEPS_TREE_H
#define SKY_SWEEPS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

typedef enum sky__node_kind { SKY__SCALAR, SKY__LIST, SKY__MAP } sky__node_kind;

typedef struct sky__node sky__node;
struct sky__node {
    sky__node *first, *last; /* children of a list or a map */
    sky__node *next;         /* in the parent */
    const char *file;        /* for messages; lives as long as the arena */
    const char *key;         /* in a map; else NULL */
    const char *text;        /* of a scalar, NUL-terminated UTF-8; else NULL */
    uint32_t count;          /* children */
    uint32_t line, column;   /* from 1; line 0: the file is not made of lines (a plan's text) */
    uint32_t key_line, key_column;
    uint8_t kind;
    bool quoted; /* the scalar stood in quotes: it is text whatever it looks like */
};

enum {
    SKY__DEPTH_MAX = 32,      /* far deeper than any sweep; bounds recursion */
    SKY__NODES_MAX = 4 << 20, /* about 300 MB; a longer list of points belongs in several sweeps */
    SKY__MAP_KEYS_MAX = 1024, /* duplicate keys are found by looking at each */
};

/* Reads one YAML document. The tree lives in arena. Refused, with the place: bytes that are not
 * UTF-8, several documents, anchors and aliases, tags, duplicate keys, keys that are not
 * scalars, and more than the limits above. *out is NULL for an empty document. */
sky_err sky__yaml_read(sky__node **out, const char *text, size_t len, const char *file,
                       sky_arena *arena, sky_error *e);
/* Reads JSON as sky_plan_text() writes it: strict, with the same limits, a plan's text in mind. */
sky_err sky__json_read(sky__node **out, const char *text, size_t len, const char *file,
                       sky_arena *arena, sky_error *e);
/* Reads a CSV file (RFC 4180, with header): a list of rows, each a list of scalars. */
sky_err sky__csv_read(sky__node **out, const char *text, size_t len, const char *file,
                      sky_arena *arena, sky_error *e);

/* Looks for the first byte that is not UTF-8 or is a control character; fails with its place. */
sky_err sky__text_check(const char *text, size_t len, const char *file, sky_error *e);

sky__node *sky__node_new(sky_arena *arena, sky__node_kind kind, const char *file, uint32_t line,
                         uint32_t column); /* NULL: out of memory */
void sky__node_append(sky__node *parent, sky__node *child);
sky__node *sky__node_get(const sky__node *map, const char *key); /* NULL if absent, or not a map */
/* Replaces the child of that key, or appends; child->key is set to key (borrowed). */
void sky__node_put(sky__node *map, const char *key, sky__node *child);

/* "file:line:column: " and the message. */
sky_err sky__node_fail(const sky__node *at, sky_error *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* "file:line:column: what: " and why's text; running out of memory stays what it is. */
sky_err sky__node_fail_why(const sky__node *at, sky_error *e, const char *what,
                           const sky_error *why);
/* The same as sky__node_fail() at the node's key. */
sky_err sky__key_fail(const sky__node *at, sky_error *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* What was found, for messages: "'abc'", "a list", "a map", "nothing". Cut to buf. */
enum { SKY__FOUND_MAX = 80 };
typedef struct sky__found {
    char text[SKY__FOUND_MAX];
} sky__found;
sky__found sky__node_found(const sky__node *n);
/* ", did you mean 'x'?" or "": to end a message with. */
sky__found sky__suggest(const char *word, const char *const *list, size_t n);

bool sky__node_is_null(const sky__node *n); /* empty, ~ or null, not quoted */
sky_err sky__want_map(const sky__node *n, const char *what, sky_error *e);
sky_err sky__want_list(const sky__node *n, const char *what, sky_error *e);
sky_err sky__want_text(const sky__node *n, const char *what, const char **out, sky_error *e);
sky_err sky__want_bool(const sky__node *n, const char *what, bool *out, sky_error *e);
typedef struct sky__bounds {
    uint64_t min, max;
} sky__bounds;
sky_err sky__want_count(const sky__node *n, const char *what, sky__bounds bounds, uint64_t *out,
                        sky_error *e);
/* Fails at the first key of map that is not in allowed (NULL-terminated), naming them all. */
sky_err sky__want_keys(const sky__node *map, const char *what, const char *const *allowed,
                       sky_error *e);

#endif
