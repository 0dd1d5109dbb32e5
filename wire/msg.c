/* Messages: the envelope, and what is common to encoding and decoding. The bodies are in
 * msg_encode.c and msg_decode.c. */
#include "wire/msg.h"

#include <assert.h>
#include <string.h>

#include "base/describe.h"
#include "wire/msg_internal.h"

_Static_assert((int)SKY__METRICS_MAX == (int)SKY_METRICS_MAX, "one limit, two names");
_Static_assert(SKY_MSG_RANGES_MAX >= SKY_LEASE_POSITIONS_MAX, "a lease of single positions fits");

bool sky_session_equal(const sky_session *a, const sky_session *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

uint64_t sky_range_list_count(const sky_range_list *l)
{
    uint64_t count = 0;
    for (size_t i = 0; i < l->n; i++)
        count += l->r[i].end - l->r[i].begin;
    return count;
}

const char *sky_msg_type_name(sky_msg_type t)
{
    static const char *const names[] = {
        [SKY_MSG_HELLO] = "HELLO",
        [SKY_MSG_WELCOME] = "WELCOME",
        [SKY_MSG_WHO] = "WHO",
        [SKY_MSG_PLAN] = "PLAN",
        [SKY_MSG_LEASE] = "LEASE",
        [SKY_MSG_REVOKE] = "REVOKE",
        [SKY_MSG_RESULT] = "RESULT",
        [SKY_MSG_ACK] = "ACK",
        [SKY_MSG_HEARTBEAT] = "HEARTBEAT",
        [SKY_MSG_STOP] = "STOP",
        [SKY_MSG_BYE] = "BYE",
        [SKY_MSG_REQUEST] = "REQUEST",
        [SKY_MSG_REPLY] = "REPLY",
    };
    size_t i = (size_t)t;
    return i < sizeof names / sizeof *names && names[i] ? names[i] : "unknown";
}

#ifdef SKY_WIRE_CHECK_ENCODER
/* Pair assertion: what leaves must be what a decoder takes. It costs as much as decoding, so only debug
 * and sanitizer builds have it. */
static bool decodes(const void *bytes, size_t len)
{
    sky_arena arena = {0};
    sky_error error = {0};
    sky_msg m;
    sky_err err = sky_msg_decode(&m, bytes, len, &arena, &error);
    sky_arena_free(&arena);
    return !err || err == SKY_ENOMEM;
}
#endif

sky_err sky_msg_encode(const sky_msg *m, sky_buf *out)
{
    assert(m && out);
    sky_arena arena = {0};
    ProtobufCMessage *body = NULL;
#ifdef SKY_WIRE_CHECK_ENCODER
    size_t before = out->len;
#endif
    sky_err err = sky__msg_fill(&body, m, &arena);
    if (!err)
        err = sky__msg_pack(out, m->type, body, &arena);
#ifdef SKY_WIRE_CHECK_ENCODER
    assert(err || decodes(out->data + before, out->len - before));
#endif
    sky_arena_free(&arena);
    return err;
}

/* The version must be the first field, so that a reader of any version can tell that it cannot read
 * the rest. Returns 0 if it is not there. */
static uint64_t peek_version(const uint8_t *bytes, size_t len)
{
    enum { TAG_VERSION = 1 << 3 }; /* field 1, varint */
    if (len < 2 || bytes[0] != TAG_VERSION)
        return 0;
    uint64_t version = 0;
    for (size_t i = 0; i < 5 && i + 1 < len; i++) {
        version |= (uint64_t)(bytes[i + 1] & 0x7f) << (7 * i);
        if (!(bytes[i + 1] & 0x80))
            return version;
    }
    return 0;
}

sky_err sky_msg_decode(sky_msg *m, const void *bytes, size_t len, sky_arena *arena, sky_error *e)
{
    assert(m && arena && (bytes || !len));
    if (len > SKY_MSG_BYTES_MAX)
        return sky_fail(e, SKY_ELIMIT, "a message of %zu bytes; the limit is %d", len,
                        SKY_MSG_BYTES_MAX);
    uint64_t version = peek_version(bytes, len);
    if (version == 0)
        return sky_fail(e, SKY_EFORMAT, "not a message: it does not begin with a version");
    if (version != SKY_WIRE_VERSION)
        return sky_fail(e, SKY_EVERSION,
                        "a message of wire version %llu; this program speaks version %d",
                        (unsigned long long)version, SKY_WIRE_VERSION);
    sky__reader r = {.arena = arena, .e = e, .message = "message"};
    Sky__Pb__Envelope *envelope = NULL;
    sky_err err = sky__unpack(&envelope, bytes, len, &r);
    if (err)
        return err;
    if (envelope->version != SKY_WIRE_VERSION) /* a second version field would override the first */
        return sky_fail(e, SKY_EFORMAT, "a message with two versions");
    if (envelope->type < SKY_MSG_HELLO || envelope->type > SKY_MSG_REPLY)
        return sky_fail(e, SKY_EVERSION, "a message of type %u, which this program does not know",
                        envelope->type);
    r.message = sky_msg_type_name((sky_msg_type)envelope->type);
    if ((uint32_t)envelope->body_case != SKY__BODY_FIELD + envelope->type)
        return sky_fail(e, SKY_EFORMAT, "%s: the body is of another type", r.message);
    *m = (sky_msg){.type = (sky_msg_type)envelope->type};
    return sky__msg_read(m, envelope, &r);
}
