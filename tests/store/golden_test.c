/* The file format: a file of every version opens, and docs/store.md says what a new one holds.
 *
 * SKY_GOLDEN_MAKE=FILE store_golden_test writes the file for tests/golden/store/ after a new migration. */
#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "kit.h"
#include "store/store_internal.h"
#include "workload.h"

static char *read_all(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    cr_assert(f, "%s", path);
    fseek(f, 0, SEEK_END);
    *len = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*len + 1);
    cr_assert_eq(fread(bytes, 1, *len, f), *len);
    bytes[*len] = 0;
    fclose(f);
    return bytes;
}

static void copy_file(const char *from, const char *to)
{
    size_t len;
    char *bytes = read_all(from, &len);
    FILE *f = fopen(to, "wb");
    cr_assert(f && fwrite(bytes, 1, len, f) == len && fclose(f) == 0);
    free(bytes);
}

Test(golden, a_file_of_version_1_is_whole)
{
    workload w = {.created = true};
    for (int i = 0; i < WORKLOAD_STEPS; i++)
        w.acked[i] = true;
    const char *path = kit_path("v1.db");
    copy_file(SKY_GOLDEN_DIR "/v1.sqlite", path);
    cr_assert(workload_check(&w, path, NULL));
}

Test(golden, make)
{
    const char *to = getenv("SKY_GOLDEN_MAKE");
    if (!to)
        return;
    workload w;
    workload_run(&w, to, NULL, true);
    cr_assert_eq(w.first_error, SKY_OK, "%s", w.text);
}

/* Each internal table of a new file, word for word, is in the document. */
Test(golden, the_document_has_every_table)
{
    size_t len;
    char *doc = read_all(SKY_DOCS_DIR "/store.md", &len);
    const sky_store_options o = kit_writer(kit_path("new.db"));
    sky_store *s = NULL;
    sky_error e = {0};
    cr_assert_eq(sky_store_open(&s, &o, &e), SKY_OK, "%s", e.text);
    sqlite3_stmt *q = NULL;
    cr_assert_eq(sqlite3_prepare_v2(sky_store_sqlite(s),
                                    "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
                                    " AND name LIKE 'sky_%'",
                                    -1, &q, NULL),
                 SQLITE_OK);
    int tables = 0;
    for (; sqlite3_step(q) == SQLITE_ROW; tables++)
        cr_assert(strstr(doc, (const char *)sqlite3_column_text(q, 1)),
                  "docs/store.md has no or another %s", (const char *)sqlite3_column_text(q, 0));
    cr_assert_geq(tables, 12);
    sqlite3_finalize(q);
    sky_store_close(s);
    free(doc);
}

/* The worked example of a commit record. */
Test(golden, the_document_s_ranges_decode)
{
    static const uint8_t bytes[] = {0x00, 0x09, 0x02, 0x00, 0x9f, 0x02, 0xff, 0x01};
    static const sky_range expected[] = {{0, 10}, {12, 13}, {300, 556}};
    sky__spans spans = {0};
    cr_assert_eq(sky__spans_decode(&spans, bytes, sizeof bytes), SKY_OK);
    cr_assert_eq(spans.n, 3);
    cr_assert_eq(memcmp(spans.r, expected, sizeof expected), 0);
    sky_buf again = {0};
    cr_assert(sky__spans_encode(&spans, &again));
    cr_assert(again.len == sizeof bytes && memcmp(again.data, bytes, sizeof bytes) == 0);
    sky_buf_free(&again);
    sky__spans_free(&spans);
}
