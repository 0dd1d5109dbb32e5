/* What the files of the message codec share. Only wire/msg*.c and its tests include this. */
#ifndef SKY_WIRE_MSG_INTERNAL_H
#define SKY_WIRE_MSG_INTERNAL_H

#include "wire/msg.h"
#include "wire/skyline.pb-c.h"

/* A body's field number in the envelope, so that the type and the body can be checked against each
 * other (docs/wire.md). */
enum { SKY__BODY_FIELD = 100 };

enum {
    SKY__METRICS_MAX = 512
}; /* base/describe.h: SKY_METRICS_MAX; msg.c asserts that they agree */
enum {
    SKY__FAILURE_KINDS = 5
}; /* sky_failure_kind of store/store.h, which wire/ may not include */

/* A message's body as protobuf-c's struct. Arrays live in the arena; numbers that already lie as the wire
 * wants them (columns of doubles) are borrowed. SKY_ENOMEM. */
sky_err sky__msg_fill(ProtobufCMessage **out, const sky_msg *m, sky_arena *arena);
/* Appends the envelope with that body. SKY_ENOMEM, SKY_ELIMIT. */
sky_err sky__msg_pack(sky_buf *out, sky_msg_type type, const ProtobufCMessage *body,
                      sky_arena *arena);
sky_err sky__fill_column(Sky__Pb__Column *out, const sky_column *c, size_t n_rows,
                         sky_arena *arena);

/* A list of distinct texts and a code per row. */
typedef struct sky__dictionary {
    const char **texts;
    size_t n_texts;
    uint32_t *codes;
    bool identity; /* every row has its own text: code i is i */
} sky__dictionary;

/* The text of a row comes through text_of, so that columns and curves share this. */
sky_err sky__dictionary_make(sky__dictionary *out, size_t n_rows,
                             const char *(*text_of)(const void *rows, size_t row), const void *rows,
                             sky_arena *arena);

/* What a decoder carries along. */
typedef struct sky__reader {
    sky_arena *arena;
    sky_error *e;
    const char *message; /* its name, for error texts */
} sky__reader;

/* protobuf-c's structs, unpacked into r->arena by sky__unpack(), to ours. */
sky_err sky__msg_read(sky_msg *out, const Sky__Pb__Envelope *in, sky__reader *r);
sky_err sky__read_column(sky_column *out, const Sky__Pb__Column *in, size_t n_rows, sky__reader *r);
sky_err sky__read_curve(sky_msg_result *out, const Sky__Pb__Curve *in, sky__reader *r);

/* Texts as sky__unpack() left them. Both fail for a NUL inside or a length above SKY_MSG_TEXT_MAX
 * (plan: no limit but the message's); a string must be UTF-8 too. */
sky_err sky__read_string(const char **out, const char *in, const char *field, sky__reader *r);
sky_err sky__read_long_string(const char **out, const char *in, const char *field, sky__reader *r);
sky_err sky__read_text(const char **out, const ProtobufCBinaryData *in, const char *field,
                       sky__reader *r);

/* Unpacks within a budget of memory. The blocks that it hands to protobuf-c have their size before
 * them and a zero byte after them, on which the functions above rely. */
sky_err sky__unpack(Sky__Pb__Envelope **out, const void *bytes, size_t len, sky__reader *r);

bool sky__utf8_valid(const char *text, size_t len);

#endif
