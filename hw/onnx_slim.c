/* The pass before decoding: an ONNX file of gigabytes is nearly all weights, and protobuf-c copies whatever it
 * is given, known or not. So the fields that onnx.proto has are copied to a buffer, without the numbers of
 * large tensors, and only that is decoded. */
#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "hw/onnx_internal.h"

typedef enum kind {
    MODEL,
    OPERATOR_SET,
    GRAPH,
    NODE,
    ATTRIBUTE,
    TENSOR,
    VALUE_INFO,
    TYPE,
    TENSOR_TYPE,
    SHAPE,
    DIMENSION,
    SCALAR,  /* or a short text: copied */
    NUMBERS, /* of a tensor: copied if there are few */
} kind;

enum { NUMBERS_BYTES_MAX = 8 * SKY__ONNX_INTS_MAX, MESSAGES_MAX = 1 << 20 };

typedef struct rule {
    kind message;
    uint32_t field;
    kind is;
} rule;

static const rule rules[] = {
    {MODEL, 1, SCALAR},        {MODEL, 7, GRAPH},         {MODEL, 8, OPERATOR_SET},
    {OPERATOR_SET, 1, SCALAR}, {OPERATOR_SET, 2, SCALAR}, {GRAPH, 1, NODE},
    {GRAPH, 2, SCALAR},        {GRAPH, 5, TENSOR},        {GRAPH, 11, VALUE_INFO},
    {GRAPH, 12, VALUE_INFO},   {NODE, 1, SCALAR},         {NODE, 2, SCALAR},
    {NODE, 3, SCALAR},         {NODE, 4, SCALAR},         {NODE, 5, ATTRIBUTE},
    {NODE, 7, SCALAR},         {ATTRIBUTE, 1, SCALAR},    {ATTRIBUTE, 2, SCALAR},
    {ATTRIBUTE, 3, SCALAR},    {ATTRIBUTE, 4, SCALAR},    {ATTRIBUTE, 5, TENSOR},
    {ATTRIBUTE, 8, SCALAR},    {TENSOR, 1, SCALAR},       {TENSOR, 2, SCALAR},
    {TENSOR, 5, NUMBERS},      {TENSOR, 7, NUMBERS},      {TENSOR, 8, SCALAR},
    {TENSOR, 9, NUMBERS},      {VALUE_INFO, 1, SCALAR},   {VALUE_INFO, 2, TYPE},
    {TYPE, 1, TENSOR_TYPE},    {TENSOR_TYPE, 1, SCALAR},  {TENSOR_TYPE, 2, SHAPE},
    {SHAPE, 1, DIMENSION},     {DIMENSION, 1, SCALAR},    {DIMENSION, 2, SCALAR},
};

static const rule *find_rule(kind message, uint64_t field)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (rules[i].message == message && rules[i].field == field)
            return &rules[i];
    }
    return NULL;
}

typedef struct slim {
    sky_buf out;
    const uint8_t *begin; /* of the file, for offsets in messages */
    size_t messages;
    sky_error *e;
} slim;

static sky_err refuse(slim *s, const uint8_t *at, sky_err code, const char *why)
{
    return sky_fail(s->e, code, "byte %zu: %s", (size_t)(at - s->begin), why);
}

/* False if it is cut off or too long. */
static bool read_varint(const uint8_t **p, const uint8_t *end, uint64_t *out)
{
    uint64_t x = 0;
    for (int shift = 0; shift < 64 && *p < end; shift += 7) {
        const uint8_t byte = *(*p)++;
        x |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = x;
            return true;
        }
    }
    return false;
}

/* Where the field's value ends, NULL if it is cut off. body: where it begins, behind its length. */
static const uint8_t *end_of_field(unsigned wire, const uint8_t *p, const uint8_t *end,
                                   const uint8_t **body)
{
    uint64_t len = 0;
    *body = p;
    switch (wire) {
    case 0:
        return read_varint(&p, end, &len) ? p : NULL;
    case 1:
        len = 8;
        break;
    case 2:
        if (!read_varint(&p, end, &len))
            return NULL;
        *body = p;
        break;
    case 5:
        len = 4;
        break;
    default:
        return NULL;
    }
    return len <= (uint64_t)(end - p) ? p + len : NULL;
}

enum {
    LENGTH_BYTES = 4
}; /* a varint that is padded: the length is known when the message is copied */
_Static_assert(SKY_ONNX_SLIM_BYTES_MAX < 1 << 28, "a length fits");

static void put_length(char *at, size_t len)
{
    for (int i = 0; i < LENGTH_BYTES; i++)
        at[i] = (char)((len >> (7 * i) & 0x7f) | (i < LENGTH_BYTES - 1 ? 0x80 : 0));
}

static sky_err copy_message(slim *s, kind message, const uint8_t *p, const uint8_t *end);

static sky_err copy_child(slim *s, kind is, const uint8_t *key, size_t key_len, const uint8_t *body,
                          const uint8_t *next)
{
    if (++s->messages > MESSAGES_MAX)
        return refuse(s, key, SKY_ELIMIT, "too many nodes, tensors and attributes");
    sky_buf_add(&s->out, key, key_len);
    const size_t at = s->out.len;
    sky_buf_add(&s->out, "\0\0\0\0", LENGTH_BYTES);
    const sky_err err = copy_message(s, is, body, next);
    if (err == SKY_OK && sky_buf_ok(&s->out))
        put_length(s->out.data + at, s->out.len - at - LENGTH_BYTES);
    return err;
}

static sky_err copy_message(slim *s, kind message, const uint8_t *p, const uint8_t *end)
{
    while (p < end) {
        const uint8_t *key = p, *body = NULL;
        uint64_t tag = 0;
        if (!read_varint(&p, end, &tag))
            return refuse(s, key, SKY_EFORMAT, "not ONNX, or cut off");
        const size_t key_len = (size_t)(p - key);
        const unsigned wire = (unsigned)(tag & 7);
        const uint8_t *next = end_of_field(wire, p, end, &body);
        if (!next)
            return refuse(s, key, SKY_EFORMAT, "not ONNX, or cut off");
        p = next;
        const rule *r = find_rule(message, tag >> 3);
        if (!r || (r->is == NUMBERS && next - body > NUMBERS_BYTES_MAX))
            continue;
        if (r->is < SCALAR) {
            if (wire != 2)
                return refuse(s, key, SKY_EFORMAT, "not ONNX: a message was expected");
            const sky_err err = copy_child(s, r->is, key, key_len, body, next);
            if (err != SKY_OK)
                return err;
        } else {
            sky_buf_add(&s->out, key, (size_t)(next - key));
        }
        if (s->out.len > SKY_ONNX_SLIM_BYTES_MAX)
            return refuse(s, key, SKY_ELIMIT,
                          "more than 16 MiB without the numbers of large tensors");
    }
    return SKY_OK;
}

sky_err sky__onnx_slim(const uint8_t *bytes, size_t len, sky_arena *arena, uint8_t **out,
                       size_t *out_len, sky_error *e)
{
    slim s = {.begin = bytes, .e = e};
    sky_err err = copy_message(&s, MODEL, bytes, bytes + len);
    uint8_t *copy = NULL;
    if (err == SKY_OK && sky_buf_ok(&s.out))
        copy = sky_new(arena, uint8_t, s.out.len + 1);
    if (err == SKY_OK && !copy)
        err = sky_fail(e, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
    if (err == SKY_OK) {
        if (s.out.len > 0)
            memcpy(copy, s.out.data, s.out.len);
        *out = copy;
        *out_len = s.out.len;
    }
    sky_buf_free(&s.out);
    return err;
}
