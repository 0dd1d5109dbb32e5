/* protobuf-c on a budget, and the reading of texts.
 *
 * A hostile message can ask for many times its length: two bytes make an empty submessage, which
 * protobuf-c turns into a struct of a hundred bytes. So everything that it allocates comes from the
 * caller's arena through a budget that grows with the message's length. Each block has its size
 * before it and a zero byte after it: protobuf-c drops the length of a string, and a NUL inside
 * would cut it silently; and a `bytes` field can then be used as a C string where it lies. */
#include <assert.h>
#include <string.h>

#include "wire/msg_internal.h"

/* Honest messages need at most about 12 bytes a byte in bulk (a column of small ints), and about 60
 * in short lists of small submessages. */
enum {
    BUDGET_PER_BYTE = 16,
    BUDGET_PER_EARLY_BYTE = 48, /* of the first EARLY_BYTES */
    EARLY_BYTES = 1 << 20,
    BUDGET_MIN = 1 << 16,
};

typedef struct heap {
    sky_arena *arena;
    size_t left_bytes;
    bool over, out_of_memory;
} heap;

enum { SIZE_BYTES = 8 };
_Static_assert(SIZE_BYTES >= sizeof(size_t), "the size fits before the block");

static void *heap_alloc(void *data, size_t size)
{
    heap *h = data;
    if (h->left_bytes < SIZE_BYTES + 1 || size > h->left_bytes - SIZE_BYTES - 1) {
        h->over = true;
        return NULL;
    }
    size_t whole = SIZE_BYTES + size + 1;
    unsigned char *block = sky_arena_alloc(h->arena, whole, 1, SIZE_BYTES);
    if (!block) {
        h->out_of_memory = true;
        return NULL;
    }
    h->left_bytes -= whole;
    memcpy(block, &size, sizeof size);
    return block + SIZE_BYTES;
}

static void heap_free(void *data, void *block)
{
    (void)data; /* the arena frees everything together */
    (void)block;
}

static size_t block_size(const char *block)
{
    size_t size;
    memcpy(&size, block - SIZE_BYTES, sizeof size);
    return size;
}

sky_err sky__unpack(Sky__Pb__Envelope **out, const void *bytes, size_t len, sky__reader *r)
{
    size_t early = len < EARLY_BYTES ? len : EARLY_BYTES;
    heap h = {
        .arena = r->arena,
        .left_bytes = BUDGET_MIN + len * BUDGET_PER_BYTE + early * BUDGET_PER_EARLY_BYTE,
    };
    ProtobufCAllocator allocator = {.alloc = heap_alloc, .free = heap_free, .allocator_data = &h};
    *out = sky__pb__envelope__unpack(&allocator, len, bytes);
    if (*out)
        return SKY_OK;
    if (h.out_of_memory)
        return sky_fail(r->e, SKY_ENOMEM, "out of memory for a message of %zu bytes", len);
    if (h.over)
        return sky_fail(r->e, SKY_ELIMIT, "a message of %zu bytes asks for too much memory", len);
    return sky_fail(r->e, SKY_EFORMAT, "%zu bytes that are no message", len);
}

bool sky__utf8_valid(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + len;
    while (p < end) {
        uint64_t eight;
        if (end - p >= 8 && (memcpy(&eight, p, 8), (eight & 0x8080808080808080u) == 0)) {
            p += 8;
            continue;
        }
        if (*p < 0x80) {
            p++;
            continue;
        }
        int more = *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : 1;
        if (*p < 0xc2 || *p > 0xf4 || end - p <= more)
            return false;
        /* The second byte rules out overlong forms, surrogates and what is above U+10FFFF. */
        unsigned low = *p == 0xe0 ? 0xa0 : *p == 0xf0 ? 0x90 : 0x80;
        unsigned high = *p == 0xed ? 0x9f : *p == 0xf4 ? 0x8f : 0xbf;
        if (p[1] < low || p[1] > high)
            return false;
        for (int i = 2; i <= more; i++)
            if (p[i] < 0x80 || p[i] > 0xbf)
                return false;
        p += more + 1;
    }
    return true;
}

sky_err sky__read_long_string(const char **out, const char *in, const char *field, sky__reader *r)
{
    if (in == protobuf_c_empty_string) { /* the default: no block of ours */
        *out = "";
        return SKY_OK;
    }
    size_t len = block_size(in) - 1;
    if (strlen(in) != len)
        return sky_fail(r->e, SKY_EFORMAT, "%s: a NUL in %s", r->message, field);
    if (!sky__utf8_valid(in, len))
        return sky_fail(r->e, SKY_EFORMAT, "%s: %s is not UTF-8", r->message, field);
    *out = in;
    return SKY_OK;
}

static sky_err too_long(sky__reader *r, const char *field, size_t len)
{
    return sky_fail(r->e, SKY_ELIMIT, "%s: %s of %zu bytes; the limit is %d", r->message, field,
                    len, SKY_MSG_TEXT_MAX);
}

sky_err sky__read_string(const char **out, const char *in, const char *field, sky__reader *r)
{
    sky_err err = sky__read_long_string(out, in, field, r);
    if (err)
        return err;
    size_t len = strlen(*out);
    return len > SKY_MSG_TEXT_MAX ? too_long(r, field, len) : SKY_OK;
}

sky_err sky__read_text(const char **out, const ProtobufCBinaryData *in, const char *field,
                       sky__reader *r)
{
    *out = "";
    if (!in->len)
        return SKY_OK;
    if (in->len > SKY_MSG_TEXT_MAX)
        return too_long(r, field, in->len);
    const char *text = (const char *)in->data;
    if (memchr(text, 0, in->len))
        return sky_fail(r->e, SKY_EFORMAT, "%s: a NUL in %s", r->message, field);
    assert(text[in->len] == 0);
    *out = text;
    return SKY_OK;
}
