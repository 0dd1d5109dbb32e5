/* Columns and curves, the bulk of the bytes. Doubles lie on the wire as in memory, so packing and
 * unpacking them is a copy; texts are coded by a dictionary, since a metric such as "dataflow" has
 * few values. */
#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "wire/msg_internal.h"

sky_err sky__dictionary_make(sky__dictionary *out, size_t n_rows,
                             const char *(*text_of)(const void *rows, size_t row), const void *rows,
                             sky_arena *arena)
{
    assert(n_rows > 0 && n_rows <= SKY_MSG_ITEMS_MAX);
    size_t n_slots = 2;
    while (n_slots < 2 * n_rows)
        n_slots *= 2;
    uint32_t *slots = sky_new(arena, uint32_t, n_slots); /* code + 1, 0: free */
    uint32_t *codes = sky_new(arena, uint32_t, n_rows);
    const char **texts = sky_new(arena, const char *, n_rows);
    if (!slots || !codes || !texts)
        return SKY_ENOMEM;
    size_t n_texts = 0;
    const char *last = NULL;
    for (size_t row = 0; row < n_rows; row++) {
        const char *s = text_of(rows, row);
        s = s ? s : "";
        if (s == last) { /* the same pointer: no need to hash */
            codes[row] = codes[row - 1];
            continue;
        }
        last = s;
        size_t slot = (size_t)sky_hash_bytes(0, s, strlen(s)) & (n_slots - 1);
        while (slots[slot] && strcmp(texts[slots[slot] - 1], s) != 0)
            slot = (slot + 1) & (n_slots - 1);
        if (!slots[slot]) {
            texts[n_texts++] = s;
            slots[slot] = (uint32_t)n_texts;
        }
        codes[row] = slots[slot] - 1;
    }
    *out = (sky__dictionary){
        .texts = texts, .n_texts = n_texts, .codes = codes, .identity = n_texts == n_rows};
    return SKY_OK;
}

static const char *column_text(const void *rows, size_t row)
{
    const sky_column *c = rows;
    return c->absent && c->absent[row] ? "" : c->s[row];
}

static sky_err fill_texts(Sky__Pb__Column *out, const sky_column *c, size_t n_rows,
                          sky_arena *arena)
{
    sky__dictionary d;
    sky_err err = sky__dictionary_make(&d, n_rows, column_text, c, arena);
    if (err)
        return err;
    out->texts = sky_new(arena, ProtobufCBinaryData, d.n_texts);
    if (!out->texts)
        return SKY_ENOMEM;
    out->n_texts = d.n_texts;
    for (size_t i = 0; i < d.n_texts; i++) {
        union {
            const char *in;
            uint8_t *out;
        } u = {.in = d.texts[i]};
        out->texts[i] = (ProtobufCBinaryData){.len = strlen(d.texts[i]), .data = u.out};
    }
    if (!d.identity) {
        out->n_codes = n_rows;
        out->codes = d.codes;
    }
    return SKY_OK;
}

static sky_err fill_absent(Sky__Pb__Column *out, const uint8_t *absent, size_t n_rows,
                           sky_arena *arena)
{
    size_t len = (n_rows + 7) / 8;
    uint8_t *bits = sky_new(arena, uint8_t, len);
    if (!bits)
        return SKY_ENOMEM;
    uint8_t any = 0;
    for (size_t row = 0; row < n_rows; row++) {
        bits[row >> 3] |= (uint8_t)((absent[row] != 0) << (row & 7));
        any |= absent[row];
    }
    if (any)
        out->absent = (ProtobufCBinaryData){.len = len, .data = bits};
    return SKY_OK;
}

sky_err sky__fill_column(Sky__Pb__Column *out, const sky_column *c, size_t n_rows, sky_arena *arena)
{
    assert(n_rows <= SKY_LEASE_POSITIONS_MAX);
    out->type = (uint32_t)c->type;
    if (!n_rows)
        return SKY_OK;
    sky_err err = SKY_OK;
    switch (c->type) {
    case SKY_REAL:
        out->n_reals = n_rows;
        out->reals = c->f;
        break;
    case SKY_INT:
    case SKY_BOOL:
        out->n_ints = n_rows;
        out->ints = c->i;
        break;
    case SKY_TEXT:
        err = fill_texts(out, c, n_rows, arena);
        break;
    }
    if (!err && c->absent)
        err = fill_absent(out, c->absent, n_rows, arena);
    return err;
}

static sky_err wrong_rows(sky__reader *r, size_t found, size_t n_rows)
{
    return sky_fail(r->e, SKY_EFORMAT, "%s: a column of %zu rows where %zu are due", r->message,
                    found, n_rows);
}

static sky_err read_codes(const char **out, size_t n_rows, const char *const *texts, size_t n_texts,
                          const uint32_t *codes, sky__reader *r)
{
    for (size_t row = 0; row < n_rows; row++) {
        if (codes[row] >= n_texts)
            return sky_fail(r->e, SKY_EFORMAT, "%s: text code %u of %zu texts", r->message,
                            codes[row], n_texts);
        out[row] = texts[codes[row]];
    }
    return SKY_OK;
}

static sky_err read_texts(sky_column *out, const Sky__Pb__Column *in, size_t n_rows, sky__reader *r)
{
    bool identity = in->n_codes == 0;
    if (in->n_texts > n_rows || (identity ? in->n_texts : in->n_codes) != n_rows)
        return wrong_rows(r, identity ? in->n_texts : in->n_codes, n_rows);
    const char **texts = sky_new(r->arena, const char *, in->n_texts);
    if (!texts)
        return sky_fail(r->e, SKY_ENOMEM, "%s: out of memory", r->message);
    for (size_t i = 0; i < in->n_texts; i++) {
        sky_err err = sky__read_text(&texts[i], &in->texts[i], "texts", r);
        if (err)
            return err;
    }
    if (identity) {
        out->s = texts;
        return SKY_OK;
    }
    out->s = sky_new(r->arena, const char *, n_rows);
    if (!out->s)
        return sky_fail(r->e, SKY_ENOMEM, "%s: out of memory", r->message);
    return read_codes(out->s, n_rows, texts, in->n_texts, in->codes, r);
}

static sky_err read_absent(sky_column *out, const ProtobufCBinaryData *in, size_t n_rows,
                           sky__reader *r)
{
    if (in->len != (n_rows + 7) / 8)
        return sky_fail(r->e, SKY_EFORMAT, "%s: %zu bytes of absence bits for %zu rows", r->message,
                        in->len, n_rows);
    if (n_rows % 8 && in->data[in->len - 1] >> n_rows % 8)
        return sky_fail(r->e, SKY_EFORMAT, "%s: absence bits beyond the last row", r->message);
    out->absent = sky_new(r->arena, uint8_t, n_rows);
    if (!out->absent)
        return sky_fail(r->e, SKY_ENOMEM, "%s: out of memory", r->message);
    for (size_t row = 0; row < n_rows; row++)
        out->absent[row] = in->data[row >> 3] >> (row & 7) & 1;
    return SKY_OK;
}

static sky_err read_bools(const sky_column *c, size_t n_rows, sky__reader *r)
{
    for (size_t row = 0; row < n_rows; row++)
        if (c->i[row] != 0 && c->i[row] != 1)
            return sky_fail(r->e, SKY_EFORMAT, "%s: a bool that is neither 0 nor 1", r->message);
    return SKY_OK;
}

sky_err sky__read_column(sky_column *out, const Sky__Pb__Column *in, size_t n_rows, sky__reader *r)
{
    if (in->type > SKY_BOOL)
        return sky_fail(r->e, SKY_EFORMAT, "%s: a column of unknown type %u", r->message, in->type);
    *out = (sky_column){.type = (sky_type)in->type};
    size_t n_ints = 0, n_reals = 0;
    sky_err err = SKY_OK;
    switch (out->type) {
    case SKY_REAL:
        n_reals = n_rows;
        out->f = in->reals;
        break;
    case SKY_INT:
    case SKY_BOOL:
        n_ints = n_rows;
        out->i = in->ints;
        break;
    case SKY_TEXT:
        break;
    }
    if (in->n_ints != n_ints || in->n_reals != n_reals)
        return wrong_rows(r, in->n_ints + in->n_reals, n_rows);
    if (out->type != SKY_TEXT && (in->n_texts || in->n_codes))
        return wrong_rows(r, in->n_texts + in->n_codes, n_rows);
    if (out->type == SKY_TEXT && (n_rows || in->n_texts || in->n_codes))
        err = read_texts(out, in, n_rows, r);
    if (!err && in->absent.len)
        err = read_absent(out, &in->absent, n_rows, r);
    if (!err && out->type == SKY_BOOL)
        err = read_bools(out, n_rows, r);
    return err;
}

static sky_err read_curve_rows(sky_curve_step *steps, const Sky__Pb__Curve *in,
                               const char *const *names, sky__reader *r)
{
    uint64_t position = 0, step = 0;
    for (size_t i = 0; i < in->n_values; i++) {
        if (in->codes[i] >= in->n_names)
            return sky_fail(r->e, SKY_EFORMAT, "%s: name code %u of %zu names in a curve",
                            r->message, in->codes[i], in->n_names);
        position += (uint64_t)in->positions[i];
        step += (uint64_t)in->steps[i];
        steps[i] = (sky_curve_step){.position = position,
                                    .step = (int64_t)step,
                                    .name = names[in->codes[i]],
                                    .value = in->values[i]};
    }
    return SKY_OK;
}

sky_err sky__read_curve(sky_msg_result *out, const Sky__Pb__Curve *in, sky__reader *r)
{
    size_t n = in->n_values;
    if (n > SKY_MSG_ITEMS_MAX)
        return sky_fail(r->e, SKY_ELIMIT, "%s: a curve of %zu steps; the limit is %d", r->message,
                        n, SKY_MSG_ITEMS_MAX);
    if (in->n_positions != n || in->n_steps != n || in->n_codes != n || in->n_names > n)
        return sky_fail(r->e, SKY_EFORMAT, "%s: a curve whose columns differ in length",
                        r->message);
    if (!n)
        return SKY_OK;
    sky_curve_step *steps = sky_new(r->arena, sky_curve_step, n);
    const char **names = sky_new(r->arena, const char *, in->n_names);
    if (!steps || !names)
        return sky_fail(r->e, SKY_ENOMEM, "%s: out of memory", r->message);
    for (size_t i = 0; i < in->n_names; i++) {
        sky_err err = sky__read_string(&names[i], in->names[i], "curve.names", r);
        if (err)
            return err;
    }
    out->curve = steps;
    out->n_curve = n;
    return read_curve_rows(steps, in, names, r);
}
