/* What the files of store/ and its tests share. Nobody else includes this.
 *
 * One transaction is open from the first writing call to sky_store_commit(). A writing call that fails
 * for an operating reason leaves nothing half done: the whole transaction is rolled back at once and the
 * store is *broken* until the owner has heard of it, from commit or rollback. */
#ifndef SKY_STORE_STORE_INTERNAL_H
#define SKY_STORE_STORE_INTERNAL_H

#include <sqlite3.h>

#include "store/store.h"

enum {
    SKY__APPLICATION_ID = 0x534b594c, /* "SKYL" */
    SKY__SCHEMA_VERSION = 1,
    SKY__PAGE_BYTES = 4096,    /* 8192 inserts 5 % faster, but a commit of one row writes twice */
    SKY__CACHE_KIB = 32 << 10, /* the pages that a sweep in random order keeps returning to */
    SKY__CHECKPOINT_PAGES = 4096, /* 16 MiB of log: the data file is synced once in 50 commits */
    SKY__COMPACT_AFTER = 1024,    /* commit records of one sweep that become one */
    SKY__REASON_BYTES_MAX = 2000, /* one line for a person */
    SKY__ENV_BYTES_MAX = 1 << 20,
    SKY__STATEMENTS_MAX = 64, /* distinct fixed statements in store/ */
};

/* A list of ranges in any order, overlapping or not, that becomes a set in one pass at the end.
 * sky_ranges would move half of itself for each number of a sweep in random order. */
typedef struct sky__spans {
    sky_range *r;
    size_t n, cap;
    bool sorted; /* false once a range began before the end of the one before it */
} sky__spans;

bool sky__spans_add(sky__spans *s, uint64_t begin,
                    uint64_t end); /* false: out of memory, unchanged */
bool sky__spans_add_set(sky__spans *s, const sky_ranges *set);
bool sky__spans_normalize(sky__spans *s);       /* sorts, unites; false: out of memory */
uint64_t sky__spans_count(const sky__spans *s); /* of a normalized one */
void sky__spans_clear(sky__spans *s);
void sky__spans_free(sky__spans *s);
/* Normalizes, then hands the memory over: *out is freed by the caller, s is left empty. */
bool sky__spans_detach(sky__spans *s, sky_ranges *out);
bool sky__spans_equal(const sky__spans *a, const sky__spans *b); /* of normalized ones */

/* The bytes of a normalized list in sky_commits: for each range the gap since the end of the one before
 * it, then its length less one, both as LEB128. docs/store.md. */
bool sky__spans_encode(const sky__spans *s, sky_buf *out);
sky_err sky__spans_decode(sky__spans *out, const void *blob, size_t len); /* adds; SKY_EFORMAT */

/* What the store keeps in memory of a sweep that it writes. */
typedef struct sky__sweep {
    struct sky__sweep *next;
    int64_t id;
    char *name;
    size_t n_params, n_metrics;
    sky_type *types;               /* of the parameters, then the metrics */
    uint8_t *exact;                /* of the metrics */
    sqlite3_stmt *insert, *select; /* prepared when first needed */
    uint64_t failed,
        attempted;          /* rows of sky_failures and sky_attempts, open transaction included */
    uint64_t log_bytes;     /* of sky_logs, open transaction included */
    uint32_t small_commits; /* commit records since the last compaction */
    /* Since the last commit: */
    bool touched;
    sky__spans positions, trials;
    uint64_t rows, holes;
    double busy_s;
} sky__sweep;

typedef struct sky__batch sky__batch; /* batch_table.c */

typedef struct sky__cached {
    const char *sql; /* a literal: found again by its address */
    sqlite3_stmt *stmt;
} sky__cached;

struct sky_store {
    sqlite3 *db;
    char *path;
    char uuid[33];
    bool writer, in_transaction, broken;
    bool guarded, denied, has_authorizer; /* guard.c */
    sky_error why_broken;
    uint64_t seq; /* newest commit record */
    uint64_t
        pending_bytes; /* about how much the open transaction adds: for the message of a full disk */
    char *lock_path;
    int lock_fd;
    sky__sweep *sweeps;
    sky__batch *batch;
    char *env_json; /* the last one asked for, and its id */
    int64_t env_id;
    sky__cached cached[SKY__STATEMENTS_MAX];
    size_t n_cached;
};

/* ---- sql.c ---- */

/* The error of a failed SQLite call on s, as text for a person; `what` says what was being done. */
sky_err sky__sql_fail(sky_store *s, int rc, sky_error *e, const char *what);
/* A cached statement, reset and without bindings. sql must be a literal. NULL: *err and e are set. */
sqlite3_stmt *sky__stmt(sky_store *s, const char *sql, sky_err *err, sky_error *e);
sky_err sky__prepare(sky_store *s, const char *sql, sqlite3_stmt **out, sky_error *e);
/* Runs a statement that gives no rows, and resets it. */
sky_err sky__run(sky_store *s, sqlite3_stmt *q, sky_error *e, const char *what);
/* One step: *row says whether there is a row. On error the statement is reset. */
sky_err sky__step(sky_store *s, sqlite3_stmt *q, bool *row, sky_error *e, const char *what);
/* Ends what transaction is open. Without memory SQLite cannot even compile ROLLBACK: the transaction then
 * stays open, and the next one to begin ends it. */
void sky__roll_back(sky_store *s);
/* Begins a read transaction, which sky__roll_back() ends. SKY_EBUSY inside a writing one. */
sky_err sky__read_begin(sky_store *s, sky_error *e, const char *what);
sky_err sky__exec(sky_store *s, const char *sql, sky_error *e, const char *what);
sky_err sky__exec_buf(sky_store *s, sky_buf *sql, sky_error *e, const char *what); /* frees sql */
/* A single number; 0 if there is no row or it is NULL. */
sky_err sky__int(sky_store *s, const char *sql, int64_t *out, sky_error *e);
char *sky__column_dup(sqlite3_stmt *q, int column,
                      sky_err *err); /* "" for NULL; sets *err: no memory */

/* ---- transaction.c ---- */

sky_err sky__txn_begin(sky_store *s, sky_error *e);
/* Ends a writing call: on error rolls everything back and marks the store broken. Returns err. */
sky_err sky__txn_end(sky_store *s, sky_err err, sky_error *e);
void sky__statements_free(sky_store *s);

/* ---- sweep_rows.c ---- */

/* The cached sweep; SKY_ENOTFOUND. */
sky_err sky__sweep_get(sky_store *s, int64_t id, sky__sweep **out, sky_error *e);
void sky__sweeps_free(sky_store *s);

/* ---- sweep_table.c ---- */

/* SKY_EINVAL for names that SQL or the store cannot take. */
sky_err sky__spec_check(const sky_sweep_spec *spec, sky_error *e);
sky_err sky__table_create(sky_store *s, const sky_sweep_spec *spec, sky_error *e);
/* Drops the derived columns that sky_columns_meta lists for the sweep and adds those of spec. */
sky_err sky__table_derive(sky_store *s, int64_t id, const sky_sweep_spec *spec, sky_error *e);
/* Fills sky_columns_meta (all roles, or all but params and metrics) and sky_objectives. */
sky_err sky__meta_write(sky_store *s, int64_t id, const sky_sweep_spec *spec, bool with_job,
                        sky_error *e);

/* ---- schema.c ---- */

/* Checks that the file is ours; a writer creates or migrates it. */
sky_err sky__schema_open(sky_store *s, sky_error *e);

/* ---- lock.c ---- */

sky_err sky__lock_take(const char *db_path, bool exclusive, char **lock_path, int *fd,
                       sky_error *e);
void sky__lock_release(char *lock_path, int fd); /* frees lock_path */
/* SKY_EINVAL if the file is (or would be) on a file system shared over a network. */
sky_err sky__lock_check_local(const char *db_path, sky_error *e);
const char *sky__network_name(unsigned long statfs_type); /* NULL: local */

/* ---- batch_table.c ---- */

typedef enum sky__batch_fate {
    SKY__BATCH_COPY,
    SKY__BATCH_NEW,
    SKY__BATCH_DIFFERS
} sky__batch_fate;

/* Rows of a record as a table that SQLite reads: one INSERT ... SELECT a batch. It keeps the table's cursor
 * at the end of the B-tree, where one INSERT a row searches from the root: 2.3 against 1.0 million rows/s. */
struct sky__batch {
    const sky_record *r;
    size_t n_params, n_metrics;
    size_t row;        /* the row that SQLite reads now */
    uint8_t *inserted; /* of each row, after it was stored: one of sky__batch_fate */
    size_t inserted_cap;
};
/* Makes table sky_batch_N of this connection, N being the number of columns. */
sky_err sky__batch_register(sky_store *s, size_t n_columns, sky_error *e);

/* ---- commits.c ---- */

sky_err sky__commits_flush(sky_store *s, sky_error *e);   /* pending things of all touched sweeps */
sky_err sky__commits_compact(sky_store *s, sky_error *e); /* at open; in the open transaction */
/* Adds what commit records of the sweep with seq > since hold. Either list may be NULL. */
sky_err sky__commits_read(sky_store *s, int64_t sweep, uint64_t since, sky__spans *positions,
                          sky__spans *trials, sky_error *e);

/* ---- failures.c ---- */

/* These positions are recorded now: no attempts, no failure of them is kept. */
sky_err sky__failures_settle(sky_store *s, sky__sweep *w, const sky_ranges *positions,
                             sky_error *e);

#endif
