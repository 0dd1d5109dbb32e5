#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "store/store_internal.h"

const char *sky_store_path(const sky_store *s)
{
    return s->path;
}

const char *sky_store_uuid(const sky_store *s)
{
    return s->uuid;
}

struct sqlite3 *sky_store_sqlite(sky_store *s)
{
    return s->db;
}

/* Links are followed, so that one file has one lock and one log under all its names. A file that is not
 * there yet keeps the name given. */
static sky_err resolve(const char *path, char **out, sky_error *e)
{
    char real[PATH_MAX];
    *out = sky_strdup(realpath(path, real) ? real : path);
    return *out ? SKY_OK : sky_fail(e, SKY_ENOMEM, "%s: out of memory", path);
}

/* What SQLite would say less clearly: "unable to open database file". */
static sky_err check_file(const char *path, bool writer, sky_error *e)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        if (errno == ENOENT && writer)
            return SKY_OK;
        return sky_fail_errno(e, errno, "cannot open %s", path);
    }
    if (!S_ISREG(st.st_mode))
        return sky_fail(e, SKY_EINVAL, "%s is not a regular file", path);
    if (access(path, writer ? R_OK | W_OK : R_OK) != 0)
        return sky_fail_errno(e, errno, "cannot open %s for %s", path,
                              writer ? "writing" : "reading");
    return SKY_OK;
}

static sky_err connect(sky_store *s, const char *name, int flags, const char *vfs, sky_error *e)
{
    sqlite3_close(s->db);
    s->db = NULL;
    int rc = sqlite3_open_v2(name, &s->db, flags | SQLITE_OPEN_NOMUTEX, vfs);
    if (rc != SQLITE_OK)
        return sky__sql_fail(s, rc, e, "opening");
    sqlite3_extended_result_codes(s->db, 1);
    /* A file may come from anybody: its schema may not run functions with side effects, and nothing said
     * in SQL may damage it. A "word" that is no column is an error, not a text. */
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    return SKY_OK;
}

static sky_err settle_pragmas(sky_store *s, const sky_store_options *o, sky_error *e)
{
    char sql[256];
    if (!s->writer)
        return sky__exec(s, "PRAGMA query_only = 1", e, "opening");
    snprintf(
        sql, sizeof sql,
        "PRAGMA locking_mode = %s; PRAGMA synchronous = %s; PRAGMA cache_size = -%d;"
        "PRAGMA wal_autocheckpoint = %d; PRAGMA journal_size_limit = %d; PRAGMA temp_store = 2",
        o->exclusive ? "EXCLUSIVE" : "NORMAL", o->normal_sync ? "NORMAL" : "FULL", SKY__CACHE_KIB,
        SKY__CHECKPOINT_PAGES, 2 * SKY__CHECKPOINT_PAGES * SKY__PAGE_BYTES);
    return sky__exec(s, sql, e, "opening");
}

static sky_err open_writer(sky_store *s, const sky_store_options *o, sky_error *e)
{
    sky_err err = SKY_OK;
    if (!o->exclusive)
        err = sky__lock_check_local(s->path, e);
    if (err == SKY_OK)
        err = sky__lock_take(s->path, o->exclusive, &s->lock_path, &s->lock_fd, e);
    if (err == SKY_OK)
        err = connect(s, s->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, o->vfs, e);
    if (err == SKY_OK) {
        sqlite3_busy_timeout(s->db, o->busy_timeout_ms ? (int)o->busy_timeout_ms : 5000);
        err = settle_pragmas(s, o, e);
    }
    if (err == SKY_OK)
        err = sky__schema_open(s, e);
    if (err != SKY_OK)
        return err;
    err = sky__txn_begin(s, e);
    if (err == SKY_OK)
        err = sky__txn_end(s, sky__commits_compact(s, e), e);
    return err == SKY_OK ? sky_store_commit(s, NULL, e) : err;
}

static sky_err read_with(sky_store *s, const char *name, int flags, const sky_store_options *o,
                         sky_error *e)
{
    sky_err err = connect(s, name, flags, o->vfs, e);
    if (err == SKY_OK) {
        sqlite3_busy_timeout(s->db, o->busy_timeout_ms ? (int)o->busy_timeout_ms : 5000);
        err = settle_pragmas(s, o, e);
    }
    return err == SKY_OK ? sky__schema_open(s, e) : err;
}

/* file:... with what URIs treat specially escaped. NULL: out of memory. */
static char *immutable_uri(const char *path)
{
    sky_buf b = {0};
    sky_buf_puts(&b, "file:");
    for (const char *c = path; *c; c++) {
        if (strchr("?#% ", *c))
            sky_buf_printf(&b, "%%%02X", (unsigned char)*c);
        else
            sky_buf_putc(&b, *c);
    }
    sky_buf_puts(&b, "?immutable=1");
    return sky_buf_detach(&b);
}

/* A reader opens for writing where it may (it never writes), because only then does the last one to close
 * tidy the log away. In a folder that nobody may write, a file without a log is read as it lies. */
static sky_err open_reader(sky_store *s, const sky_store_options *o, sky_error *e)
{
    sky_err err = SKY_EPERM;
    if (access(s->path, W_OK) == 0)
        err = read_with(s, s->path, SQLITE_OPEN_READWRITE, o, e);
    if (err == SKY_EPERM)
        err = read_with(s, s->path, SQLITE_OPEN_READONLY, o, e);
    if (err != SKY_EPERM && err != SKY_EIO && err != SKY_ENOTFOUND)
        return err;
    char log[PATH_MAX + 8];
    struct stat st;
    snprintf(log, sizeof log, "%s-wal", s->path);
    if (stat(log, &st) == 0 && st.st_size > 0)
        return err; /* what is committed is partly in the log: the file alone would be old */
    char *uri = immutable_uri(s->path);
    if (!uri)
        return sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
    sky_error second = {0};
    if (read_with(s, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, o, &second) == SKY_OK)
        err = SKY_OK;
    free(uri);
    return err;
}

sky_err sky_store_open(sky_store **out, const sky_store_options *o, sky_error *e)
{
    assert(out && o && o->path);
    sky_error own = {0};
    if (!e)
        e = &own;
    sky_store *s = calloc(1, sizeof *s);
    if (!s)
        return sky_fail(e, SKY_ENOMEM, "%s: out of memory", o->path);
    s->lock_fd = -1;
    s->writer = o->writer;
    sky_err err = resolve(o->path, &s->path, e);
    if (err == SKY_OK)
        err = check_file(s->path, o->writer, e);
    if (err == SKY_OK) {
        s->batch = calloc(1, sizeof *s->batch);
        if (!s->batch)
            err = sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
    }
    if (err == SKY_OK)
        err = o->writer ? open_writer(s, o, e) : open_reader(s, o, e);
    if (err != SKY_OK) {
        sky_store_close(s);
        return err;
    }
    *out = s;
    return SKY_OK;
}

void sky_store_close(sky_store *s)
{
    if (!s)
        return;
    if (s->db)
        sky_store_rollback(s);
    sky__sweeps_free(s);
    sky__statements_free(s);
    sqlite3_close(s->db);
    sky__lock_release(s->lock_path, s->lock_fd); /* last: until here the file is ours */
    if (s->batch)
        free(s->batch->inserted);
    free(s->batch);
    free(s->env_json);
    free(s->path);
    free(s);
}

sky_err sky_store_next_epoch(sky_store *s, uint32_t *epoch, sky_error *e)
{
    sky_error own = {0};
    e = e ? e : &own;
    const bool alone = !s->in_transaction && !s->broken;
    sky_err err = sky__txn_begin(s, e);
    if (err != SKY_OK)
        return err;
    int64_t value = 0;
    err = sky__exec(s, "UPDATE sky_meta SET value = value + 1 WHERE key = 'epoch'", e,
                    "counting its coordinators");
    if (err == SKY_OK)
        err = sky__int(s, "SELECT value FROM sky_meta WHERE key = 'epoch'", &value, e);
    if (err == SKY_OK && (value <= 0 || value > UINT32_MAX))
        err = sky_fail(e, SKY_EFORMAT, "%s: sky_meta's 'epoch' is %lld", s->path, (long long)value);
    err = sky__txn_end(s, err, e);
    /* A lease that leaves with this number must not be given again by the next coordinator. */
    if (err == SKY_OK && alone)
        err = sky_store_commit(s, NULL, e);
    if (err == SKY_OK)
        *epoch = (uint32_t)value;
    else if (alone)
        sky_store_rollback(s);
    return err;
}
