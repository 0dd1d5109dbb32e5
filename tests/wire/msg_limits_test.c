/* Messages that the encoder would not make: each is packed with protobuf-c directly. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "msg_samples.h"
#include "wire/msg_internal.h"

static sky_arena arena;
static sky_error error;
static sky_msg decoded;

static sky_err decode(const void *bytes, size_t len)
{
    sky_arena_free(&arena);
    error = (sky_error){0};
    return sky_msg_decode(&decoded, bytes, len, &arena, &error);
}

static sky_err decode_packed(const Sky__Pb__Envelope *envelope)
{
    size_t len = sky__pb__envelope__get_packed_size(envelope);
    uint8_t *bytes = malloc(len);
    sky__pb__envelope__pack(envelope, bytes);
    sky_err err = decode(bytes, len);
    free(bytes);
    return err;
}

static Sky__Pb__Envelope envelope_of(sky_msg_type type)
{
    Sky__Pb__Envelope e;
    sky__pb__envelope__init(&e);
    e.version = SKY_WIRE_VERSION;
    e.type = (uint32_t)type;
    e.body_case = (Sky__Pb__Envelope__BodyCase)(100 + (int)type);
    return e;
}

static void expect(const Sky__Pb__Envelope *envelope, sky_err err, const char *part)
{
    sky_err found = decode_packed(envelope);
    cr_assert_eq(found, err, "%s: %s", sky_strerror(found), error.text);
    if (err)
        cr_assert(strstr(error.text, part), "'%s' lacks '%s'", error.text, part);
    sky_arena_free(&arena);
}

Test(msg_limits, versions_and_types)
{
    Sky__Pb__Who who;
    sky__pb__who__init(&who);
    Sky__Pb__Envelope e = envelope_of(SKY_MSG_WHO);
    e.who = &who;
    expect(&e, SKY_OK, "");
    e.version = 2;
    expect(&e, SKY_EVERSION, "version 2");
    e.version = UINT32_MAX;
    expect(&e, SKY_EVERSION, "version 4294967295");
    e.version = 0;
    expect(&e, SKY_EFORMAT, "does not begin with a version");
    e = envelope_of(SKY_MSG_STOP);
    e.body_case = SKY__PB__ENVELOPE__BODY_WHO;
    e.who = &who;
    expect(&e, SKY_EFORMAT, "of another type");
    e.type = 77;
    expect(&e, SKY_EVERSION, "type 77");
    cr_assert_eq(decode("", 0), SKY_EFORMAT);
    cr_assert_eq(decode("\x08\x80\x80\x80\x80\x80\x80\x80", 8), SKY_EFORMAT);
    cr_assert_eq(decode("\x08\x02garbage", 9), SKY_EVERSION, "whatever follows the version");
    cr_assert_eq(decode("\x08\x01\x10\x03\x9a\x06\x00\x08\x02", 9), SKY_EFORMAT, "two versions");
}

Test(msg_limits, a_newer_minor_writer_may_add_fields)
{
    /* WHO with an unknown field in the body (1000: varint) and in the envelope (999: bytes). */
    const char bytes[] = "\x08\x01\x10\x03\xba\x06\x03\xc0\x3e\x05\xba\x3e\x02hi";
    cr_assert_eq(decode(bytes, sizeof bytes - 1), SKY_OK, "%s", error.text);
    cr_assert_eq(decoded.type, SKY_MSG_WHO);
    sky_arena_free(&arena);
}

static void expect_positions(uint64_t *positions, size_t n, sky_err err, const char *part)
{
    Sky__Pb__Lease lease;
    sky__pb__lease__init(&lease);
    lease.positions = positions;
    lease.n_positions = n;
    Sky__Pb__Envelope e = envelope_of(SKY_MSG_LEASE);
    e.lease = &lease;
    expect(&e, err, part);
}

Test(msg_limits, ranges)
{
    expect_positions((uint64_t[]){0, SKY_LEASE_POSITIONS_MAX}, 2, SKY_OK, "");
    expect_positions((uint64_t[]){UINT64_MAX - 1, 1}, 2, SKY_OK, "");
    expect_positions((uint64_t[]){0, SKY_LEASE_POSITIONS_MAX + 1}, 2, SKY_ELIMIT, "more positions");
    expect_positions((uint64_t[]){0, SKY_LEASE_POSITIONS_MAX, 0, 1}, 4, SKY_ELIMIT,
                     "more positions");
    expect_positions((uint64_t[]){0, 0}, 2, SKY_EFORMAT, "empty");
    expect_positions((uint64_t[]){0}, 1, SKY_EFORMAT, "within a range");
    expect_positions((uint64_t[]){UINT64_MAX, 1}, 2, SKY_EFORMAT, "too large");
    expect_positions((uint64_t[]){5, UINT64_MAX}, 2, SKY_EFORMAT, "too large");
    expect_positions((uint64_t[]){5, 5, UINT64_MAX, 1}, 4, SKY_EFORMAT, "too large");
}

static void expect_sweep(char *sweep, sky_err err, const char *part)
{
    Sky__Pb__Request request;
    sky__pb__request__init(&request);
    request.kind = SKY_REQUEST_STATUS;
    request.sweep = sweep;
    Sky__Pb__Envelope e = envelope_of(SKY_MSG_REQUEST);
    e.request = &request;
    expect(&e, err, part);
}

Test(msg_limits, texts)
{
    char good[] = "é 試 🙂", cut[] = "caf\xc3", overlong[] = "\xc0\xaf",
         surrogate[] = "\xed\xa0\x80";
    char above[] = "\xf4\x90\x80\x80", stray[] = "a\x80";
    expect_sweep(good, SKY_OK, "");
    expect_sweep(cut, SKY_EFORMAT, "UTF-8");
    expect_sweep(overlong, SKY_EFORMAT, "UTF-8");
    expect_sweep(surrogate, SKY_EFORMAT, "UTF-8");
    expect_sweep(above, SKY_EFORMAT, "UTF-8");
    expect_sweep(stray, SKY_EFORMAT, "UTF-8");
    char *big = malloc(SKY_MSG_TEXT_MAX + 2);
    memset(big, 'x', SKY_MSG_TEXT_MAX + 1);
    big[SKY_MSG_TEXT_MAX + 1] = 0;
    expect_sweep(big, SKY_ELIMIT, "limit");
    big[SKY_MSG_TEXT_MAX] = 0;
    expect_sweep(big, SKY_OK, "");
    free(big);
    /* REQUEST with kind 2 and the sweep "a\0b". */
    cr_assert_eq(decode("\x08\x01\x10\x0c\x82\x07\x07\x10\x02\x1a\x03"
                        "a\0b",
                        14),
                 SKY_EFORMAT);
    cr_assert(strstr(error.text, "NUL"), "%s", error.text);
    sky_arena_free(&arena);
}

Test(msg_limits, enums)
{
    Sky__Pb__Request request;
    sky__pb__request__init(&request);
    Sky__Pb__Envelope e = envelope_of(SKY_MSG_REQUEST);
    e.request = &request;
    expect(&e, SKY_EVERSION, "kind 0");
    request.kind = SKY_REQUEST_SHUTDOWN + 1;
    expect(&e, SKY_EVERSION, "kind 9");
    Sky__Pb__Reply reply;
    sky__pb__reply__init(&reply);
    reply.code = 1;
    e = envelope_of(SKY_MSG_REPLY);
    e.reply = &reply;
    expect(&e, SKY_EFORMAT, "above 0");
    Sky__Pb__Bye bye;
    sky__pb__bye__init(&bye);
    e = envelope_of(SKY_MSG_BYE);
    e.bye = &bye;
    expect(&e, SKY_EFORMAT, "session of 0 bytes");
}

static void expect_column(const Sky__Pb__Column *column, uint64_t n_rows, sky_err err,
                          const char *part)
{
    Sky__Pb__Column copy = *column, *columns[] = {&copy};
    Sky__Pb__Result result;
    sky__pb__result__init(&result);
    uint64_t ok[] = {0, n_rows};
    result.n_ok = n_rows ? 2 : 0;
    result.ok = ok;
    result.n_metrics = 1;
    result.metrics = columns;
    Sky__Pb__Envelope e = envelope_of(SKY_MSG_RESULT);
    e.result = &result;
    expect(&e, err, part);
}

Test(msg_limits, columns)
{
    Sky__Pb__Column c;
    sky__pb__column__init(&c);
    double reals[] = {1, 2, 3};
    int64_t ints[] = {0, 1, 2};
    uint32_t codes[] = {0, 1, 0};
    ProtobufCBinaryData texts[] = {{1, (uint8_t[]){'a'}}, {0, NULL}, {2, (uint8_t[]){'b', 0}}};
    c.type = SKY_REAL;
    c.n_reals = 3;
    c.reals = reals;
    expect_column(&c, 3, SKY_OK, "");
    expect_column(&c, 2, SKY_EFORMAT, "3 rows where 2");
    expect_column(&c, 0, SKY_EFORMAT, "rows");
    c.absent = (ProtobufCBinaryData){1, (uint8_t[]){0x05}};
    expect_column(&c, 3, SKY_OK, "");
    c.absent = (ProtobufCBinaryData){1, (uint8_t[]){0x08}};
    expect_column(&c, 3, SKY_EFORMAT, "beyond the last row");
    c.absent = (ProtobufCBinaryData){2, (uint8_t[]){0, 0}};
    expect_column(&c, 3, SKY_EFORMAT, "absence bits");
    sky__pb__column__init(&c);
    c.type = SKY_BOOL;
    c.n_ints = 3;
    c.ints = ints;
    expect_column(&c, 3, SKY_EFORMAT, "neither 0 nor 1");
    c.type = SKY_INT;
    expect_column(&c, 3, SKY_OK, "");
    c.type = SKY_BOOL + 1;
    expect_column(&c, 3, SKY_EFORMAT, "unknown type");
    sky__pb__column__init(&c);
    c.type = SKY_TEXT;
    c.n_texts = 2;
    c.texts = texts;
    c.n_codes = 3;
    c.codes = codes;
    expect_column(&c, 3, SKY_OK, "");
    codes[1] = 2;
    expect_column(&c, 3, SKY_EFORMAT, "text code 2");
    c.n_texts = 3;
    c.n_codes = 0;
    expect_column(&c, 3, SKY_EFORMAT, "NUL");
}

Test(msg_limits, results)
{
    Sky__Pb__Result result;
    sky__pb__result__init(&result);
    Sky__Pb__Envelope e = envelope_of(SKY_MSG_RESULT);
    e.result = &result;
    uint64_t full[] = {0, SKY_LEASE_POSITIONS_MAX}, one[] = {0, 1};
    result.n_ok = 2;
    result.ok = full;
    expect(&e, SKY_OK, "");
    result.n_holes = 2;
    result.holes = one;
    expect(&e, SKY_ELIMIT, "more positions");
    result.n_holes = 0;
    result.ok = one;
    float wall_s[] = {1.0f, -1.0f, 0.0f / 0.0f, 1.0f / 0.0f};
    result.n_wall_s = 1;
    result.wall_s = wall_s;
    expect(&e, SKY_OK, "");
    for (int i = 1; i < 4; i++) {
        result.wall_s = &wall_s[i];
        expect(&e, SKY_EFORMAT, "no time");
    }
    result.wall_s = wall_s;
    result.n_wall_s = 2;
    expect(&e, SKY_EFORMAT, "wall times");
    result.n_wall_s = 0;
    Sky__Pb__FailedAttempt failed, *fails[] = {&failed};
    sky__pb__failed_attempt__init(&failed);
    failed.kind = 5;
    result.n_failed = 1;
    result.failed = fails;
    expect(&e, SKY_EFORMAT, "unknown kind");
    result.n_failed = 0;
    Sky__Pb__Curve curve;
    sky__pb__curve__init(&curve);
    double value = 1;
    curve.n_values = 1;
    curve.values = &value;
    result.curve = &curve;
    expect(&e, SKY_EFORMAT, "differ in length");
}

/* 2 bytes a submessage that protobuf-c makes a struct of: memory stays within the budget. */
Test(msg_limits, memory_stays_bounded)
{
    enum { N = 1 << 20 };
    size_t len = 4 + 2 + 4 + 2 * N;
    uint8_t *bytes = malloc(len);
    uint8_t head[] = {0x08, 1, 0x10, 7, 0xda, 0x06, 0x80, 0x80, 0x80, 0x01}; /* RESULT of 2 MiB */
    memcpy(bytes, head, sizeof head);
    for (size_t i = 0; i < N; i++) {
        bytes[sizeof head + 2 * i] = 0x42; /* failed */
        bytes[sizeof head + 2 * i + 1] = 0;
    }
    cr_assert_eq(decode(bytes, len), SKY_ELIMIT, "%s", error.text);
    cr_assert_lt(arena.used_bytes, 100u << 20);
    free(bytes);
    sky_arena_free(&arena);
}

Test(msg_limits, too_long)
{
    char *text = malloc(SKY_MSG_BYTES_MAX + 1);
    memset(text, 'x', SKY_MSG_BYTES_MAX);
    text[SKY_MSG_BYTES_MAX] = 0;
    sky_msg m = {.type = SKY_MSG_PLAN, .plan = {.text = text}};
    sky_buf out = {0};
    cr_assert_eq(sky_msg_encode(&m, &out), SKY_ELIMIT);
    cr_assert_eq(out.len, 0);
    text[SKY_MSG_BYTES_MAX - 100] = 0;
    cr_assert_eq(sky_msg_encode(&m, &out), SKY_OK);
    cr_assert_eq(decode(out.data, out.len), SKY_OK, "%s", error.text);
    cr_assert_eq(strlen(decoded.plan.text), (size_t)SKY_MSG_BYTES_MAX - 100);
    cr_assert_eq(decode(text, (size_t)SKY_MSG_BYTES_MAX + 1), SKY_ELIMIT);
    free(text);
    sky_buf_free(&out);
    sky_arena_free(&arena);
}
