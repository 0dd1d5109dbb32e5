/* The committed bytes of each version of the protocol, malformed ones, and the dump in
 * docs/wire.md.
 *
 * SKY_GOLDEN_WRITE=1 writes files that are missing; one that exists is never changed: it is what an
 * older program sends. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "msg_samples.h"

#define GOLDEN SKY_SOURCE_DIR "/tests/golden/wire/"

static void write_missing(const char *path, const sky_buf *bytes)
{
    FILE *f = fopen(path, "wbx");
    if (f) {
        cr_assert_eq(fwrite(bytes->data, 1, bytes->len, f), bytes->len);
        cr_assert_eq(fclose(f), 0);
    }
}

Test(msg_golden, version_1)
{
    sky_buf bytes = {0};
    sky_arena arena = {0};
    sky_msg m, decoded;
    const char *name;
    unsigned types = 0;
    for (size_t i = 0; sample_fixed(i, &name, &m); i++) {
        types |= 1u << m.type;
        char path[512], *file = NULL;
        size_t len = 0;
        snprintf(path, sizeof path, GOLDEN "v1/%s.bin", name);
        sky_buf_reset(&bytes);
        cr_assert_eq(sky_msg_encode(&m, &bytes), SKY_OK);
        if (getenv("SKY_GOLDEN_WRITE"))
            write_missing(path, &bytes);
        sky_error error = {0};
        cr_assert_eq(sky_read_file(path, 1 << 20, &file, &len, &error), SKY_OK, "%s", error.text);
        cr_assert_eq(sky_msg_decode(&decoded, file, len, &arena, &error), SKY_OK, "%s: %s", name,
                     error.text);
        cr_assert(sample_equal(&m, &decoded), "%s holds something else", name);
        cr_assert(len == bytes.len && memcmp(file, bytes.data, len) == 0, "%s encodes differently",
                  name);
        free(file);
    }
    cr_assert_eq(types, (2u << SKY_MSG_REPLY) - 2, "a golden file for every type");
    sky_buf_free(&bytes);
    sky_arena_free(&arena);
}

/* A malformed file's name begins with the error that it must give. */
static sky_err expected(const char *name)
{
    return strncmp(name, "version_", 8) == 0 ? SKY_EVERSION
           : strncmp(name, "limit_", 6) == 0 ? SKY_ELIMIT
                                             : SKY_EFORMAT;
}

Test(msg_golden, malformed)
{
    DIR *dir = opendir(GOLDEN "malformed");
    cr_assert(dir);
    size_t n = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        char path[1024], *file = NULL;
        size_t len = 0;
        snprintf(path, sizeof path, GOLDEN "malformed/%s", entry->d_name);
        sky_error error = {0};
        sky_arena arena = {0};
        sky_msg m;
        cr_assert_eq(sky_read_file(path, 1 << 20, &file, &len, &error), SKY_OK, "%s", error.text);
        cr_assert_eq(sky_msg_decode(&m, file, len, &arena, &error), expected(entry->d_name),
                     "%s: %s", entry->d_name, error.text);
        sky_arena_free(&arena);
        free(file);
        n++;
    }
    closedir(dir);
    cr_assert_geq(n, 15);
}

/* Reads the hexadecimal column of the lines "0000  08 01 ...  text" after the heading. */
static size_t parse_dump(const char *at, uint8_t *out, size_t out_max)
{
    size_t n = 0;
    for (at = strstr(at, "\n0000  "); at && strspn(at + 1, "0123456789abcdef") == 4;
         at = strchr(at + 1, '\n')) {
        const char *p = at + 5;
        for (int column = 0; column < 16 && strncmp(p, "  ", 3) != 0; column++) {
            char *end;
            p += strspn(p, " ");
            unsigned long byte = strtoul(p, &end, 16);
            if (end != p + 2 || n == out_max)
                break;
            out[n++] = (uint8_t)byte;
            p = end;
            if (p[0] == ' ' && p[1] == ' ')
                break;
        }
    }
    return n;
}

Test(msg_golden, the_dump_in_the_specification)
{
    char *doc = NULL;
    size_t len = 0;
    cr_assert_eq(sky_read_file(SKY_SOURCE_DIR "/docs/wire.md", 1 << 20, &doc, &len, NULL), SKY_OK);
    const char *section = strstr(doc, "## A message, byte by byte");
    cr_assert(section);
    uint8_t bytes[256];
    size_t n = parse_dump(section, bytes, sizeof bytes);
    sky_arena arena = {0};
    sky_msg m;
    sky_error error = {0};
    cr_assert_eq(sky_msg_decode(&m, bytes, n, &arena, &error), SKY_OK, "%zu bytes: %s", n,
                 error.text);
    cr_assert_eq(m.type, SKY_MSG_LEASE);
    cr_assert_eq(m.lease.lease, (3ull << 32) | 9);
    cr_assert_eq(m.lease.sweep, 1);
    cr_assert_eq(m.lease.revision, 2);
    cr_assert(m.lease.isolate);
    cr_assert_eq(m.lease.positions.n, 3);
    cr_assert_eq(m.lease.positions.r[2].begin, 100000);
    cr_assert_eq(m.lease.positions.r[2].end, 100001);
    sky_buf again = {0};
    cr_assert_eq(sky_msg_encode(&m, &again), SKY_OK);
    cr_assert(again.len == n && memcmp(again.data, bytes, n) == 0);
    sky_buf_free(&again);
    sky_arena_free(&arena);
    free(doc);
}
