/* The decoder of messages: any bytes are refused or give a message that encodes, and whose encoding
 * decodes to the same bytes again. Memory stays within the budget of docs/wire.md. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/msg.h"

static void require(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    sky_arena arena = {0};
    sky_buf first = {0}, second = {0};
    sky_msg m, again;
    sky_error error = {0};
    sky_err err = sky_msg_decode(&m, data, len, &arena, &error);
    /* Twice the budget: our own structs beside protobuf-c's. */
    require(arena.used_bytes <= 2 * ((1u << 16) + 64 * len));
    require(err == error.code && (!err || error.text[0]));
    if (!err) {
        require(sky_msg_encode(&m, &first) == SKY_OK);
        require(sky_msg_decode(&again, first.data, first.len, &arena, &error) == SKY_OK);
        require(sky_msg_encode(&again, &second) == SKY_OK);
        require(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    }
    sky_buf_free(&first);
    sky_buf_free(&second);
    sky_arena_free(&arena);
    return 0;
}
