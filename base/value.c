#include "base/value.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"

static const char *const type_names[] = {
    [SKY_INT] = "int", [SKY_REAL] = "real", [SKY_TEXT] = "text", [SKY_BOOL] = "bool"};

const char *sky_type_name(sky_type type)
{
    assert(type >= SKY_INT && type <= SKY_BOOL);
    return type_names[type];
}

sky_err sky_type_parse(const char *text, sky_type *out)
{
    for (int type = SKY_INT; type <= SKY_BOOL; type++) {
        if (strcmp(text, type_names[type]) == 0) {
            *out = (sky_type)type;
            return SKY_OK;
        }
    }
    return SKY_EFORMAT;
}

double sky_value_f64(const sky_value *v)
{
    if (v->absent)
        return NAN;
    switch (v->type) {
    case SKY_INT:
    case SKY_BOOL:
        return (double)v->i;
    case SKY_REAL:
        return v->f;
    case SKY_TEXT:
        break;
    }
    return NAN;
}

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

bool sky_value_equal(const sky_value *a, const sky_value *b)
{
    if (a->type != b->type || a->absent != b->absent)
        return false;
    if (a->absent)
        return true;
    switch (a->type) {
    case SKY_INT:
    case SKY_BOOL:
        return a->i == b->i;
    case SKY_REAL:
        return bits_of(a->f) == bits_of(b->f);
    case SKY_TEXT:
        return strcmp(a->s, b->s) == 0;
    }
    return false;
}

void sky_value_json(sky_buf *b, const sky_value *v)
{
    if (v->absent)
        sky_buf_puts(b, "null");
    else if (v->type == SKY_TEXT)
        sky_buf_json_string(b, v->s);
    else if (v->type == SKY_REAL)
        sky_buf_json_f64(b, v->f);
    else
        sky_value_print(b, v);
}

void sky_value_print(sky_buf *b, const sky_value *v)
{
    if (v->absent)
        return;
    switch (v->type) {
    case SKY_INT:
        sky_buf_printf(b, "%lld", (long long)v->i);
        break;
    case SKY_BOOL:
        sky_buf_puts(b, v->i ? "true" : "false");
        break;
    case SKY_REAL:
        sky_buf_f64(b, v->f);
        break;
    case SKY_TEXT:
        sky_buf_puts(b, v->s);
        break;
    }
}

sky_err sky_value_parse(sky_type type, const char *text, sky_value *out)
{
    sky_value v = {.type = type};
    sky_err err = SKY_OK;
    bool flag = false;
    switch (type) {
    case SKY_INT:
        err = sky_parse_i64(text, &v.i);
        break;
    case SKY_REAL:
        err = sky_parse_f64(text, &v.f);
        break;
    case SKY_BOOL:
        err = sky_parse_bool(text, &flag);
        v.i = flag;
        break;
    case SKY_TEXT:
        v.s = text;
        break;
    }
    if (err == SKY_OK)
        *out = v;
    return err;
}

sky_value sky_column_get(const sky_column *c, size_t row)
{
    if (c->absent && c->absent[row])
        return sky_absent(c->type);
    sky_value v = {.type = c->type};
    switch (c->type) {
    case SKY_INT:
    case SKY_BOOL:
        v.i = c->i[row];
        break;
    case SKY_REAL:
        v.f = c->f[row];
        break;
    case SKY_TEXT:
        v.s = c->s[row];
        break;
    }
    return v;
}

void sky_column_set(sky_column *c, size_t row, const sky_value *v)
{
    assert(v->type == c->type);
    assert(c->absent || !v->absent);
    if (c->absent)
        c->absent[row] = v->absent;
    switch (c->type) {
    case SKY_INT:
    case SKY_BOOL:
        c->i[row] = v->absent ? 0 : v->i;
        break;
    case SKY_REAL:
        c->f[row] = v->absent ? NAN : v->f;
        break;
    case SKY_TEXT:
        c->s[row] = v->absent ? NULL : v->s;
        break;
    }
}

/* Walks values, not bytes: a column without an absent array hashes as one whose array is all zero.
 */
static uint64_t column_hash(uint64_t h, const sky_column *c, size_t n_rows)
{
    h = sky_hash_u64(h, (uint64_t)c->type);
    for (size_t row = 0; row < n_rows; row++) {
        if (c->absent && c->absent[row]) {
            h = sky_hash_u64(~h, 0);
            continue;
        }
        switch (c->type) {
        case SKY_INT:
        case SKY_BOOL:
            h = sky_hash_u64(h, (uint64_t)c->i[row]);
            break;
        case SKY_REAL:
            h = sky_hash_u64(h, bits_of(c->f[row]));
            break;
        case SKY_TEXT:
            h = sky_hash_bytes(h, c->s[row], strlen(c->s[row]));
            break;
        }
    }
    return h;
}

uint64_t sky_columns_hash(const sky_column *columns, size_t n_columns, size_t n_rows)
{
    uint64_t h = sky_hash_u64((uint64_t)n_columns, (uint64_t)n_rows);
    for (size_t i = 0; i < n_columns; i++)
        h = column_hash(h, &columns[i], n_rows);
    return h;
}
