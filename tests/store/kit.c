#include "kit.h"

#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const sky_param x_param[] = {{.name = "x", .type = SKY_REAL, .unit = "", .doc = "anything"}};
static const sky_metric y_metric[] = {
    {.name = "y", .type = SKY_REAL, .unit = "", .doc = "x", .goal = SKY_MIN, .cls = SKY_EXACT}};
const sky_descriptor kit_noop = {.name = "noop",
                                 .version = "1",
                                 .summary = "y = x",
                                 .source = "",
                                 .params = x_param,
                                 .n_params = 1,
                                 .metrics = y_metric,
                                 .n_metrics = 1};

static const sky_param mixed_params[] = {
    {.name = "n", .type = SKY_INT, .unit = "", .doc = "a number"},
    {.name = "rate", .type = SKY_REAL, .unit = "1/s", .doc = "a rate"},
    {.name = "mode", .type = SKY_TEXT, .unit = "", .doc = "a word"},
    {.name = "fused", .type = SKY_BOOL, .unit = "", .doc = "a choice"},
};
static const sky_metric mixed_metrics[] = {
    {.name = "cycles", .type = SKY_INT, .unit = "", .doc = "", .goal = SKY_MIN, .cls = SKY_EXACT},
    {.name = "energy_j",
     .type = SKY_REAL,
     .unit = "J",
     .doc = "",
     .goal = SKY_MIN,
     .cls = SKY_EXACT},
    {.name = "loss",
     .type = SKY_REAL,
     .unit = "",
     .doc = "",
     .goal = SKY_MIN,
     .cls = SKY_TOLERANCE},
    {.name = "took_s", .type = SKY_REAL, .unit = "s", .doc = "", .cls = SKY_MEASURED},
    {.name = "note", .type = SKY_TEXT, .unit = "", .doc = "", .cls = SKY_EXACT},
};
const sky_descriptor kit_mixed = {.name = "mixed",
                                  .version = "2",
                                  .summary = "everything",
                                  .source = "a test",
                                  .params = mixed_params,
                                  .n_params = 4,
                                  .metrics = mixed_metrics,
                                  .n_metrics = 5};

static char folder[64];

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void remove_folder(void)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *kit_folder(void)
{
    if (!folder[0]) {
        strcpy(folder, "/tmp/sky-store-XXXXXX");
        if (!mkdtemp(folder)) {
            perror("mkdtemp");
            exit(1);
        }
        atexit(remove_folder);
    }
    return folder;
}

const char *kit_path(const char *name)
{
    static char paths[64][256];
    static unsigned next;
    char *path = paths[next++ % 64];
    snprintf(path, sizeof paths[0], "%s/%s", kit_folder(), name);
    return path;
}

void kit_remove(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-lock", "-journal"};
    char name[512];
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
}

sky_store_options kit_writer(const char *path)
{
    return (sky_store_options){.path = path, .writer = true};
}

sky_sweep_spec kit_spec(const char *name, const sky_descriptor *job, uint64_t points)
{
    return (sky_sweep_spec){.name = name,
                            .plan = "plan text",
                            .identity = "identity text",
                            .job = job,
                            .points = points,
                            .positions = points};
}

double kit_value(uint64_t trial)
{
    return (double)trial * 0.001;
}

sky_err kit_record_list(sky_store *s, int64_t sweep, const uint64_t *trials, size_t n, double wrong,
                        uint64_t *duplicates, uint64_t *differing, sky_error *e)
{
    static double x[KIT_ROWS_MAX], y[KIT_ROWS_MAX];
    static float wall[KIT_ROWS_MAX];
    sky_ranges positions = {0};
    for (size_t i = 0; i < n; i++) {
        x[i] = kit_value(trials[i]);
        y[i] = x[i] + wrong;
        wall[i] = 0.5F;
        if (sky_ranges_add(&positions, trials[i], trials[i] + 1) == UINT64_MAX) {
            sky_ranges_free(&positions);
            return sky_fail(e, SKY_ENOMEM, "out of memory");
        }
    }
    const sky_column px = {.type = SKY_REAL, .f = x}, my = {.type = SKY_REAL, .f = y};
    const sky_record r = {.sweep = sweep,
                          .n = n,
                          .trials = trials,
                          .params = &px,
                          .metrics = &my,
                          .wall_s = wall,
                          .positions = &positions};
    sky_err err = sky_store_record(s, &r, duplicates, differing, e);
    sky_ranges_free(&positions);
    return err;
}

sky_err kit_record(sky_store *s, int64_t sweep, uint64_t begin, uint64_t end, sky_error *e)
{
    static uint64_t trials[KIT_ROWS_MAX];
    size_t n = 0;
    for (uint64_t t = begin; t < end; t++)
        trials[n++] = t;
    return kit_record_list(s, sweep, trials, n, 0, NULL, NULL, e);
}

int64_t kit_int(sky_store *s, const char *sql)
{
    sqlite3_stmt *q = NULL;
    int64_t out = -1;
    sqlite3 *db = sky_store_sqlite(s);
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
        out = sqlite3_column_int64(q, 0);
    else
        fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(db));
    sqlite3_finalize(q);
    return out;
}
