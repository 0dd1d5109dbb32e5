/* Text files of rows and fields, as topologies and traces are: blank lines and comments go, line ends may
 * be CRLF, and every message begins with file:line:column. Only for hw/'s own readers and their tests. */
#ifndef SKY_HW_ROWS_H
#define SKY_HW_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    SKY__ROW_BYTES_MAX = 1024, /* of a line; a layer's name and its numbers need far less */
    SKY__ROW_FIELDS_MAX = 16,  /* more are counted and not kept */
};

typedef struct sky__field {
    const char *s; /* borrowed from the text, not NUL-terminated, without blanks around */
    size_t len;
    int32_t column; /* from 1, in bytes */
} sky__field;

typedef struct sky__rows {
    const char *path; /* for messages */
    const char *at, *end;
    char separator; /* ',': an empty field after the last comma is dropped; ' ': blanks and tabs */
    int32_t line;   /* of the row below, from 1 */
    sky__field field[SKY__ROW_FIELDS_MAX];
    size_t n_fields;
    sky_err err; /* what ended the rows; SKY_OK: the file's end */
    sky_error *e;
} sky__rows;

/* path and text are borrowed. A byte order mark is skipped. */
void sky__rows_init(sky__rows *r, const char *path, const char *text, size_t len, char separator,
                    sky_error *e);
/* Goes to the next row; false at the end and after an error (r->err). */
bool sky__rows_next(sky__rows *r);
/* "path:line:column: " and the text, at field i of the row (beyond the last: where the row ends). */
sky_err sky__rows_fail(sky__rows *r, size_t i, sky_err code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Field i as an integer of a range; what names it in messages. */
sky_err sky__rows_int(sky__rows *r, size_t i, const char *what, int64_t least, int64_t most,
                      int64_t *out);
bool sky__field_is(const sky__field *f, const char *text);
/* A field's length for printf("%.*s"), cut so that a message stays readable. */
int sky__field_shown(const sky__field *f);

#endif
