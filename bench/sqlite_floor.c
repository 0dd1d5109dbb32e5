/* How fast SQLite alone takes the rows of a `noop` sweep: the floor that bench/end_to_end.py divides by.
 *
 *     sqlite_floor FILE ROWS ROWS_PER_TRANSACTION
 *
 * Same columns as Skyline's table for that sweep, same journal (WAL), synchronous=FULL, one prepared
 * INSERT, no other work. Prints rows per second. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

static void must(int rc, sqlite3 *db)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE) {
        fprintf(stderr, "sqlite_floor: %s\n", sqlite3_errmsg(db));
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: sqlite_floor FILE ROWS ROWS_PER_TRANSACTION\n");
        return 2;
    }
    const long rows = strtol(argv[2], NULL, 10);
    const long per_transaction = strtol(argv[3], NULL, 10);
    sqlite3 *db = NULL;
    must(sqlite3_open(argv[1], &db), db);
    must(sqlite3_exec(
             db,
             "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
             "CREATE TABLE noop (trial INTEGER PRIMARY KEY, x REAL, y REAL, sky_wall_s REAL,"
             " sky_env INTEGER)",
             NULL, NULL, NULL),
         db);
    sqlite3_stmt *insert = NULL;
    must(sqlite3_prepare_v2(db, "INSERT INTO noop VALUES (?, ?, ?, ?, ?)", -1, &insert, NULL), db);
    const int64_t start = sky_clock_ns();
    for (long i = 0; i < rows;) {
        must(sqlite3_exec(db, "BEGIN", NULL, NULL, NULL), db);
        for (long j = 0; j < per_transaction && i < rows; j++, i++) {
            sqlite3_bind_int64(insert, 1, i);
            sqlite3_bind_double(insert, 2, (double)i * 0.001);
            sqlite3_bind_double(insert, 3, (double)i * 0.001);
            sqlite3_bind_double(insert, 4, 1e-7);
            sqlite3_bind_int64(insert, 5, 1);
            must(sqlite3_step(insert), db);
            sqlite3_reset(insert);
        }
        must(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), db);
    }
    const double seconds = (double)(sky_clock_ns() - start) / 1e9;
    printf("%.0f\n", (double)rows / seconds);
    sqlite3_finalize(insert);
    sqlite3_close(db);
    return 0;
}
