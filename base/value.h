/* A value of a parameter or a metric, and columns of them. */
#ifndef SKY_BASE_VALUE_H
#define SKY_BASE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

typedef enum sky_type {
    SKY_INT,  /* int64_t */
    SKY_REAL, /* double */
    SKY_TEXT, /* UTF-8, NUL-terminated */
    SKY_BOOL, /* int64_t, 0 or 1 */
} sky_type;

const char *sky_type_name(sky_type type); /* "int", "real", "text", "bool" */
sky_err sky_type_parse(const char *text, sky_type *out);

typedef struct sky_value {
    sky_type type;
    /* No value: a metric that a job did not give, a parameter whose condition is false. */
    bool absent;
    union {
        int64_t i;
        double f;
        const char *s; /* borrowed; who owns it is said where the value is handed over */
    };
} sky_value;

static inline sky_value sky_int(int64_t i)
{
    return (sky_value){.type = SKY_INT, .i = i};
}
static inline sky_value sky_real(double f)
{
    return (sky_value){.type = SKY_REAL, .f = f};
}
static inline sky_value sky_text(const char *s)
{
    return (sky_value){.type = SKY_TEXT, .s = s};
}
static inline sky_value sky_bool(bool b)
{
    return (sky_value){.type = SKY_BOOL, .i = b};
}
static inline sky_value sky_absent(sky_type t)
{
    return (sky_value){.type = t, .absent = true, .i = 0};
}

/* A number as double: int, real and bool; NaN for text or absent. */
double sky_value_f64(const sky_value *v);
/* Same type and bits; absent equals absent. */
bool sky_value_equal(const sky_value *a, const sky_value *b);
void sky_value_json(sky_buf *b, const sky_value *v);  /* null if absent */
void sky_value_print(sky_buf *b, const sky_value *v); /* bare text; empty if absent */
/* Reads text as the type; a text value borrows text. */
sky_err sky_value_parse(sky_type type, const char *text, sky_value *out);

/* One column of n values, the shape in which batches travel and are stored.
 * Exactly one of the arrays is used, by type (INT and BOOL: i; REAL: f; TEXT: s). */
typedef struct sky_column {
    sky_type type;
    union {
        int64_t *i;
        double *f;
        const char **s;
    };
    uint8_t *absent; /* NULL: none is absent; else absent[row] != 0 */
} sky_column;

sky_value sky_column_get(const sky_column *c, size_t row);
void sky_column_set(sky_column *c, size_t row, const sky_value *v); /* absent needs c->absent */

/* A hash of n rows of columns: results carry the hash of the values that they are of. */
uint64_t sky_columns_hash(const sky_column *columns, size_t n_columns, size_t n_rows);

#endif
