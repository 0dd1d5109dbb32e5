/* Round trips, truncations and corruptions of messages. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "msg_samples.h"

enum { ROUNDS = 300, CORRUPTIONS = 60000 };

static void encode(const sky_msg *m, sky_buf *out)
{
    sky_buf_reset(out);
    cr_assert_eq(sky_msg_encode(m, out), SKY_OK);
    cr_assert(sky_buf_ok(out));
}

static void round_trip(sky_msg_type type, uint64_t seed)
{
    sky_rng rng;
    sky_rng_init(&rng, seed, (uint64_t)type);
    sky_buf first = {0}, second = {0};
    sky_arena arena = {0}, decoded_arena = {0};
    for (int round = 0; round < ROUNDS; round++) {
        sky_arena_reset(&arena);
        sky_arena_reset(&decoded_arena);
        sky_msg m = sample_random(type, &rng, &arena), decoded;
        sky_error error = {0};
        encode(&m, &first);
        cr_assert_eq(sky_msg_decode(&decoded, first.data, first.len, &decoded_arena, &error),
                     SKY_OK, "%s round %d: %s", sky_msg_type_name(type), round, error.text);
        cr_assert(sample_equal(&m, &decoded), "%s round %d", sky_msg_type_name(type), round);
        encode(&decoded, &second);
        cr_assert_eq(first.len, second.len);
        cr_assert_eq(memcmp(first.data, second.data, first.len), 0);
    }
    sky_buf_free(&first);
    sky_buf_free(&second);
    sky_arena_free(&arena);
    sky_arena_free(&decoded_arena);
}

Test(msg, every_type_survives_a_round_trip, .timeout = 120)
{
    uint64_t seed = sample_seed();
    for (int type = SKY_MSG_HELLO; type <= SKY_MSG_REPLY; type++)
        round_trip((sky_msg_type)type, seed);
}

Test(msg, encoding_appends)
{
    sky_buf out = {0};
    sky_buf_puts(&out, "before");
    sky_msg m = {.type = SKY_MSG_WHO}, decoded;
    cr_assert_eq(sky_msg_encode(&m, &out), SKY_OK);
    cr_assert_eq(memcmp(out.data, "before", 6), 0);
    sky_arena arena = {0};
    cr_assert_eq(sky_msg_decode(&decoded, out.data + 6, out.len - 6, &arena, NULL), SKY_OK);
    cr_assert_eq(decoded.type, SKY_MSG_WHO);
    sky_arena_free(&arena);
    sky_buf_free(&out);
}

/* The decoder sees a copy of the exact length, so that AddressSanitizer sees a read past its end.
 */
static sky_err decode_copy(const void *bytes, size_t len, sky_arena *arena, sky_msg *m)
{
    void *copy = malloc(len ? len : 1);
    memcpy(copy, bytes, len);
    sky_error error = {0};
    sky_err err = sky_msg_decode(m, copy, len, arena, &error);
    free(copy);
    cr_assert_eq(err, error.code);
    cr_assert(err == SKY_OK || error.text[0]);
    return err;
}

Test(msg, every_truncation_is_refused, .timeout = 120)
{
    sky_buf bytes = {0};
    sky_arena arena = {0};
    sky_msg m, decoded;
    const char *name;
    for (size_t i = 0; sample_fixed(i, &name, &m); i++) {
        encode(&m, &bytes);
        for (size_t len = 0; len < bytes.len; len++) {
            sky_arena_reset(&arena);
            cr_assert_neq(decode_copy(bytes.data, len, &arena, &decoded), SKY_OK,
                          "%s cut to %zu of %zu bytes", name, len, bytes.len);
        }
    }
    sky_buf_free(&bytes);
    sky_arena_free(&arena);
}

/* Whatever a corrupted message decodes to must be encodable: it passed every check. */
static void corrupt(sky_buf *bytes, size_t at, uint8_t value, sky_arena *arena, sky_buf *again)
{
    char old = bytes->data[at];
    bytes->data[at] = (char)value;
    sky_arena_reset(arena);
    sky_msg decoded;
    if (decode_copy(bytes->data, bytes->len, arena, &decoded) == SKY_OK)
        encode(&decoded, again);
    bytes->data[at] = old;
}

Test(msg, no_corrupted_byte_harms, .timeout = 170)
{
    sky_buf bytes = {0}, again = {0};
    sky_arena arena = {0}, message_arena = {0};
    sky_msg m;
    const char *name;
    for (size_t i = 0; sample_fixed(i, &name, &m); i++) {
        encode(&m, &bytes);
        for (size_t at = 0; at < bytes.len; at++)
            for (int bit = 0; bit < 8; bit++)
                corrupt(&bytes, at, (uint8_t)bytes.data[at] ^ (uint8_t)(1 << bit), &arena, &again);
    }
    sky_rng rng;
    sky_rng_init(&rng, sample_seed(), 99);
    for (int i = 0; i < CORRUPTIONS; i++) {
        if (i % 20 == 0) {
            sky_arena_reset(&message_arena);
            m = sample_random((sky_msg_type)(1 + sky_rng_below(&rng, SKY_MSG_REPLY)), &rng,
                              &message_arena);
            encode(&m, &bytes);
        }
        corrupt(&bytes, (size_t)sky_rng_below(&rng, bytes.len), (uint8_t)sky_rng_u32(&rng), &arena,
                &again);
    }
    sky_buf_free(&bytes);
    sky_buf_free(&again);
    sky_arena_free(&arena);
    sky_arena_free(&message_arena);
}

Test(msg, a_full_lease_of_rows)
{
    enum { N = SKY_LEASE_POSITIONS_MAX };
    sky_arena arena = {0};
    sky_column column = {.type = SKY_REAL, .f = sky_new(&arena, double, N)};
    sky_range *ranges = sky_new(&arena, sky_range, N);
    for (size_t i = 0; i < N; i++) {
        column.f[i] = (double)i;
        ranges[i] = (sky_range){3 * i, 3 * i + 1};
    }
    sky_msg m = {.type = SKY_MSG_RESULT,
                 .result = {.ok = {ranges, N}, .metrics = &column, .n_metrics = 1}};
    sky_msg decoded;
    sky_buf bytes = {0};
    encode(&m, &bytes);
    cr_assert_eq(sky_msg_decode(&decoded, bytes.data, bytes.len, &arena, NULL), SKY_OK);
    cr_assert(sample_equal(&m, &decoded));
    sky_buf_free(&bytes);
    sky_arena_free(&arena);
}

Test(msg, names_and_small_helpers)
{
    cr_assert_str_eq(sky_msg_type_name(SKY_MSG_HELLO), "HELLO");
    cr_assert_str_eq(sky_msg_type_name(SKY_MSG_REPLY), "REPLY");
    cr_assert_str_eq(sky_msg_type_name((sky_msg_type)0), "unknown");
    cr_assert_str_eq(sky_msg_type_name((sky_msg_type)77), "unknown");
    sky_session a = {{1}}, b = {{1}};
    cr_assert(sky_session_equal(&a, &b));
    b.b[15] = 1;
    cr_assert_not(sky_session_equal(&a, &b));
    sky_range r[] = {{0, 3}, {5, 6}};
    cr_assert_eq(sky_range_list_count(&(sky_range_list){r, 2}), 4);
}
