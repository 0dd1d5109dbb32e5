/* The outer bytes of a message.
 *
 * protobuf-c packs a submessage behind a length of one byte and then moves all of it when the length
 * needs more: a column was moved three times, so that packing took two to three times as long as now.
 * So the envelope and the columns of a result get their lengths here, and protobuf-c packs what is inside
 * them. The bytes are the same: a message is the concatenation of its fields. */
#include <assert.h>
#include <string.h>

#include "wire/msg_internal.h"

enum { VARINT = 0, LENGTH = 2 }; /* wire types */
enum { FIELD_VERSION = 1, FIELD_TYPE = 2, FIELD_METRICS = 10 };
enum { VARINT_BYTES_MAX = 10, HEAD_BYTES_MAX = 5 * VARINT_BYTES_MAX };

static size_t put_varint(uint8_t *out, uint64_t x)
{
    size_t n = 0;
    for (; x >= 0x80; x >>= 7)
        out[n++] = (uint8_t)(x | 0x80);
    out[n++] = (uint8_t)x;
    return n;
}

static size_t put_tag(uint8_t *out, uint32_t field, uint32_t wire_type)
{
    return put_varint(out, field << 3 | wire_type);
}

static size_t put_head(uint8_t *out, sky_msg_type type, size_t body_len)
{
    size_t n = put_tag(out, FIELD_VERSION, VARINT);
    n += put_varint(out + n, SKY_WIRE_VERSION);
    n += put_tag(out + n, FIELD_TYPE, VARINT);
    n += put_varint(out + n, (uint64_t)type);
    n += put_tag(out + n, SKY__BODY_FIELD + (uint32_t)type, LENGTH);
    return n + put_varint(out + n, body_len);
}

/* A body in the order of its fields: what comes before the columns, the columns, what comes after. */
typedef struct parts {
    const ProtobufCMessage *before, *after; /* after may be NULL */
    Sky__Pb__Column *const *columns;
    size_t n_columns;
    size_t *column_lens;
    Sky__Pb__Result split[2];
} parts;

static sky_err split_result(parts *p, const Sky__Pb__Result *r, sky_arena *arena)
{
    p->split[0] = *r;
    p->split[0].n_metrics = 0;
    p->split[0].n_wall_s = 0;
    p->split[0].busy_ns = 0;
    p->split[0].curve = NULL;
    p->split[0].n_artifacts = 0;
    p->split[0].last = 0;
    sky__pb__result__init(&p->split[1]);
    p->split[1].n_wall_s = r->n_wall_s;
    p->split[1].wall_s = r->wall_s;
    p->split[1].busy_ns = r->busy_ns;
    p->split[1].curve = r->curve;
    p->split[1].n_artifacts = r->n_artifacts;
    p->split[1].artifacts = r->artifacts;
    p->split[1].last = r->last;
    p->before = &p->split[0].base;
    p->after = &p->split[1].base;
    p->columns = r->metrics;
    p->n_columns = r->n_metrics;
    p->column_lens = sky_new(arena, size_t, r->n_metrics);
    return p->column_lens ? SKY_OK : SKY_ENOMEM;
}

/* Sets column_lens. */
static size_t body_size(parts *p)
{
    uint8_t scratch[2 * VARINT_BYTES_MAX];
    size_t len = protobuf_c_message_get_packed_size(p->before);
    for (size_t i = 0; i < p->n_columns; i++) {
        size_t column = sky__pb__column__get_packed_size(p->columns[i]);
        p->column_lens[i] = column;
        len += put_tag(scratch, FIELD_METRICS, LENGTH) + put_varint(scratch, column) + column;
    }
    return p->after ? len + protobuf_c_message_get_packed_size(p->after) : len;
}

static size_t pack_body(uint8_t *out, const parts *p)
{
    size_t n = protobuf_c_message_pack(p->before, out);
    for (size_t i = 0; i < p->n_columns; i++) {
        n += put_tag(out + n, FIELD_METRICS, LENGTH);
        n += put_varint(out + n, p->column_lens[i]);
        n += sky__pb__column__pack(p->columns[i], out + n);
    }
    return p->after ? n + protobuf_c_message_pack(p->after, out + n) : n;
}

sky_err sky__msg_pack(sky_buf *out, sky_msg_type type, const ProtobufCMessage *body,
                      sky_arena *arena)
{
    parts p = {.before = body};
    if (type == SKY_MSG_RESULT) {
        sky_err err = split_result(&p, (const Sky__Pb__Result *)body, arena);
        if (err)
            return err;
    }
    size_t body_len = body_size(&p);
    uint8_t head[HEAD_BYTES_MAX];
    size_t head_len = put_head(head, type, body_len), len = head_len + body_len;
    if (len > SKY_MSG_BYTES_MAX)
        return SKY_ELIMIT;
    if (!sky_buf_reserve(out, len))
        return SKY_ENOMEM;
    uint8_t *at = (uint8_t *)out->data + out->len;
    memcpy(at, head, head_len);
    size_t packed = pack_body(at + head_len, &p);
    assert(packed == body_len);
    out->len += head_len + packed;
    out->data[out->len] = 0;
    return SKY_OK;
}
