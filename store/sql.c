/* SQLite calls with our errors: every message names the file and says what was being done. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/text.h"
#include "store/store_internal.h"

static sky_err full(sky_store *s, sky_error *e, const char *what)
{
    char need[32], left[32] = "an unknown amount";
    struct statvfs fs;
    if (statvfs(s->path, &fs) == 0)
        sky_format_bytes((uint64_t)fs.f_bavail * fs.f_frsize, left, sizeof left);
    /* a commit rewrites whole pages: at least one of each table that it touches */
    sky_format_bytes(s->pending_bytes + 8 * SKY__PAGE_BYTES, need, sizeof need);
    return sky_fail(e, SKY_EFULL,
                    "%s: %s: the disk is full: this commit needs about %s, %s is free; nothing "
                    "since the last commit is kept",
                    s->path, what, need, left);
}

static sky_err code_of(sky_store *s, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        return SKY_ENOMEM;
    case SQLITE_FULL:
        return SKY_EFULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return SKY_EBUSY;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return SKY_EPERM;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
    case SQLITE_FORMAT:
        return SKY_EFORMAT;
    case SQLITE_INTERRUPT:
        return SKY_ETIMEOUT;
    case SQLITE_TOOBIG:
        return SKY_ELIMIT;
    case SQLITE_CONSTRAINT:
        return SKY_ECONFLICT;
    case SQLITE_ERROR:
        return SKY_EINVAL;
    case SQLITE_IOERR:
        if (rc == SQLITE_IOERR_NOMEM)
            return SKY_ENOMEM;
        break;
    default:
        break;
    }
    int os = s->db ? sqlite3_system_errno(s->db) : 0;
    if (os == ENOSPC || os == EDQUOT || os == EFBIG)
        return SKY_EFULL;
    if ((rc & 0xff) == SQLITE_CANTOPEN)
        return os == EACCES || os == EPERM || os == EROFS ? SKY_EPERM
               : os == ENOENT || os == ENOTDIR            ? SKY_ENOTFOUND
                                                          : SKY_EIO;
    return SKY_EIO;
}

sky_err sky__sql_fail(sky_store *s, int rc, sky_error *e, const char *what)
{
    sky_err code = code_of(s, rc);
    if (code == SKY_EFULL)
        return full(s, e, what);
    int os = s->db ? sqlite3_system_errno(s->db) : 0;
    const char *text = s->db && code != SKY_ENOMEM ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc);
    bool io = code == SKY_EIO || code == SKY_EPERM || code == SKY_ENOTFOUND;
    if (io && os)
        return sky_fail(e, code, "%s: %s: %s (%s)", s->path, what, text, strerror(os));
    return sky_fail(e, code, "%s: %s: %s", s->path, what, text);
}

sky_err sky__prepare(sky_store *s, const char *sql, sqlite3_stmt **out, sky_error *e)
{
    int rc = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
    return rc == SQLITE_OK ? SKY_OK : sky__sql_fail(s, rc, e, "compiling a statement");
}

sqlite3_stmt *sky__stmt(sky_store *s, const char *sql, sky_err *err, sky_error *e)
{
    *err = SKY_OK;
    for (size_t i = 0; i < s->n_cached; i++) {
        if (s->cached[i].sql != sql)
            continue;
        sqlite3_reset(s->cached[i].stmt);
        sqlite3_clear_bindings(s->cached[i].stmt);
        return s->cached[i].stmt;
    }
    assert(s->n_cached < SKY__STATEMENTS_MAX);
    sky__cached *c = &s->cached[s->n_cached];
    *err = sky__prepare(s, sql, &c->stmt, e);
    if (*err != SKY_OK)
        return NULL;
    c->sql = sql;
    s->n_cached++;
    return c->stmt;
}

void sky__statements_free(sky_store *s)
{
    for (size_t i = 0; i < s->n_cached; i++)
        sqlite3_finalize(s->cached[i].stmt);
    s->n_cached = 0;
}

sky_err sky__step(sky_store *s, sqlite3_stmt *q, bool *row, sky_error *e, const char *what)
{
    int rc = sqlite3_step(q);
    *row = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        return SKY_OK;
    sky_err err = sky__sql_fail(s, rc, e, what); /* before the reset, which forgets the reason */
    sqlite3_reset(q);
    return err;
}

sky_err sky__run(sky_store *s, sqlite3_stmt *q, sky_error *e, const char *what)
{
    bool row;
    sky_err err = sky__step(s, q, &row, e, what);
    sqlite3_reset(q);
    return err;
}

sky_err sky__exec(sky_store *s, const char *sql, sky_error *e, const char *what)
{
    int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? SKY_OK : sky__sql_fail(s, rc, e, what);
}

sky_err sky__exec_buf(sky_store *s, sky_buf *sql, sky_error *e, const char *what)
{
    sky_err err = sky_buf_ok(sql) ? sky__exec(s, sky_buf_str(sql), e, what)
                                  : sky_fail(e, SKY_ENOMEM, "%s: %s: out of memory", s->path, what);
    sky_buf_free(sql);
    return err;
}

sky_err sky__int(sky_store *s, const char *sql, int64_t *out, sky_error *e)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    sky_err err = sky__prepare(s, sql, &q, e);
    if (err == SKY_OK)
        err = sky__step(s, q, &row, e, "reading");
    if (err == SKY_OK)
        *out = row ? sqlite3_column_int64(q, 0) : 0;
    sqlite3_finalize(q);
    return err;
}

char *sky__column_dup(sqlite3_stmt *q, int column, sky_err *err)
{
    const char *text = (const char *)sqlite3_column_text(q, column);
    if (!text && sqlite3_column_type(q, column) != SQLITE_NULL) {
        *err = SKY_ENOMEM; /* the conversion failed */
        return NULL;
    }
    char *copy = sky_strdup(text ? text : "");
    if (!copy)
        *err = SKY_ENOMEM;
    return copy;
}
