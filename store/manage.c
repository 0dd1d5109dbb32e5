#include "store/manage.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "store/store_internal.h"

enum { TAG_BYTES_MAX = 100 };

/* ---- Delete ---- */

static sky_err delete_rows(sky_store *s, int64_t id, sky_error *e)
{
    static const char *const statements[] = {
        "DELETE FROM sky_columns_meta WHERE sweep = ?",
        "DELETE FROM sky_objectives WHERE sweep = ?",
        "DELETE FROM sky_commits WHERE sweep = ?",
        "DELETE FROM sky_failures WHERE sweep = ?",
        "DELETE FROM sky_attempts WHERE sweep = ?",
        "DELETE FROM sky_logs WHERE sweep = ?",
        "DELETE FROM sky_curves WHERE sweep = ?",
        "DELETE FROM sky_artifacts WHERE sweep = ?",
        "DELETE FROM sky_tags WHERE sweep = ?",
        "DELETE FROM sky_sweeps WHERE id = ?",
    };
    sky_err err = SKY_OK;
    for (size_t i = 0; i < sizeof statements / sizeof *statements && err == SKY_OK; i++) {
        sqlite3_stmt *q = sky__stmt(s, statements[i], &err, e);
        if (err != SKY_OK)
            break;
        sqlite3_bind_int64(q, 1, id);
        err = sky__run(s, q, e, "deleting a sweep");
    }
    return err;
}

/* An empty commit record keeps the numbers growing, and tells readers. */
static sky_err leave_stone(sky_store *s, int64_t id, sky_error *e)
{
    sky_err err;
    sqlite3_stmt *q = sky__stmt(
        s, "INSERT INTO sky_commits (seq, sweep, rows, holes, at_ms) VALUES (?, ?, 0, 0, ?)", &err,
        e);
    if (err != SKY_OK)
        return err;
    sqlite3_bind_int64(q, 1, (int64_t)++s->seq);
    sqlite3_bind_int64(q, 2, id);
    sqlite3_bind_int64(q, 3, sky_wall_ms());
    return sky__run(s, q, e, "deleting a sweep");
}

sky_err sky_store_sweep_delete(sky_store *s, const char *sweep, sky_error *e)
{
    sky_error own = {0};
    e = e ? e : &own;
    sky_sweep_info info = {0};
    if (sky_store_dirty(s))
        return sky_fail(e, SKY_EBUSY, "%s: a transaction is open", s->path);
    sky_err err = sky__txn_begin(s, e);
    if (err == SKY_OK)
        err = sky_store_sweep_find(s, sweep, &info, e);
    if (err == SKY_OK) {
        sky__sweeps_free(s); /* a statement of the table in use would block DROP */
        sky_buf b = {0};
        sky_buf_puts(&b, "DROP TABLE ");
        sky_buf_sql_name(&b, info.name);
        err = sky__exec_buf(s, &b, e, "deleting a sweep");
        const uint64_t seq = s->seq;
        if (err == SKY_OK)
            err = delete_rows(s, info.id, e);
        if (err == SKY_OK)
            err = leave_stone(s, info.id, e);
        if (err == SKY_OK)
            err = sky_store_commit(s, NULL, e);
        if (err != SKY_OK)
            s->seq = seq;
    }
    sky_sweep_info_free(&info);
    if (err != SKY_OK)
        sky_store_rollback(s);
    return err;
}

/* ---- Tags ---- */

static sky_err check_tag(const char *tag, sky_error *e)
{
    const size_t len = strlen(tag);
    bool control = false;
    for (size_t i = 0; i < len; i++)
        control = control || (unsigned char)tag[i] < 0x20 || tag[i] == 0x7f;
    if (len > 0 && len <= TAG_BYTES_MAX && !control)
        return SKY_OK;
    return sky_fail(e, SKY_EINVAL, "a tag has 1 to %d bytes without control characters",
                    TAG_BYTES_MAX);
}

static sky_err tag_change(sky_store *s, sqlite3_stmt *q, int64_t sweep, const char *tag,
                          sky_error *e)
{
    sqlite3_bind_int64(q, 1, sweep);
    sqlite3_bind_text(q, 2, tag, -1, SQLITE_STATIC);
    sky_err err = sky__run(s, q, e, "tagging");
    sqlite3_clear_bindings(q);
    return err;
}

sky_err sky_store_tag_add(sky_store *s, int64_t sweep, const char *tag, sky_error *e)
{
    sky_error own = {0};
    e = e ? e : &own;
    sky__sweep *w = NULL;
    sky_err err = check_tag(tag, e);
    if (err == SKY_OK)
        err = sky__txn_begin(s, e);
    if (err == SKY_OK)
        err = sky__sweep_get(s, sweep, &w, e);
    if (err != SKY_OK)
        return err;
    sqlite3_stmt *q = sky__stmt(s, "INSERT OR IGNORE INTO sky_tags VALUES (?, ?)", &err, e);
    if (err == SKY_OK)
        err = tag_change(s, q, sweep, tag, e);
    return sky__txn_end(s, err, e);
}

sky_err sky_store_tag_remove(sky_store *s, int64_t sweep, const char *tag, sky_error *e)
{
    sky_error own = {0};
    e = e ? e : &own;
    sky_err err = sky__txn_begin(s, e);
    if (err != SKY_OK)
        return err;
    sqlite3_stmt *q = sky__stmt(s, "DELETE FROM sky_tags WHERE sweep = ? AND tag = ?", &err, e);
    if (err == SKY_OK)
        err = tag_change(s, q, sweep, tag, e);
    if (err == SKY_OK && sqlite3_changes(s->db) == 0)
        return sky_fail(e, SKY_ENOTFOUND, "there is no tag '%s'", tag);
    return sky__txn_end(s, err, e);
}

sky_err sky_store_tag_list(sky_store *s, int64_t sweep, char ***out, size_t *n, sky_error *e)
{
    sky_err err;
    bool row = false;
    char **list = NULL;
    size_t count = 0;
    sqlite3_stmt *q =
        sky__stmt(s, "SELECT tag FROM sky_tags WHERE sweep = ? ORDER BY tag", &err, e);
    if (err == SKY_OK)
        sqlite3_bind_int64(q, 1, sweep);
    while (err == SKY_OK) {
        err = sky__step(s, q, &row, e, "listing tags");
        if (err != SKY_OK || !row)
            break;
        char **grown = realloc(list, (count + 1) * sizeof *list);
        list = grown ? grown : list;
        char *tag = grown ? sky__column_dup(q, 0, &err) : NULL;
        if (tag)
            list[count++] = tag;
        else
            err = sky_fail(e, SKY_ENOMEM, "%s: out of memory", s->path);
    }
    if (q)
        sqlite3_reset(q);
    if (err == SKY_OK) {
        *out = list;
        *n = count;
        return SKY_OK;
    }
    while (count > 0)
        free(list[--count]);
    free(list);
    return err;
}

/* ---- Backup ---- */

/* The copy's name while it is made: beside the destination, so that renaming it is one step. */
static char *partial_name(const char *path)
{
    sky_buf b = {0};
    sky_buf_printf(&b, "%s.partial-%ld", path, (long)getpid());
    return sky_buf_detach(&b);
}

static void remove_partial(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        sky_buf b = {0};
        sky_buf_printf(&b, "%s%s", path, ends[i]);
        if (sky_buf_ok(&b))
            unlink(sky_buf_str(&b));
        sky_buf_free(&b);
    }
}

static sky_err copy_pages(sky_store *s, sqlite3 *to, const sky_backup_options *o, sky_error *e)
{
    enum { PAGES_A_STEP = 4096 };
    sqlite3_backup *b = sqlite3_backup_init(to, "main", s->db, "main");
    if (!b)
        return sky_fail(e, SKY_EIO, "%s: %s", o->path, sqlite3_errmsg(to));
    int rc = SQLITE_OK;
    bool go_on = true;
    while (rc == SQLITE_OK && go_on) {
        rc = sqlite3_backup_step(b, PAGES_A_STEP);
        const uint64_t total = (uint64_t)sqlite3_backup_pagecount(b) * SKY__PAGE_BYTES;
        const uint64_t left = (uint64_t)sqlite3_backup_remaining(b) * SKY__PAGE_BYTES;
        if (o->progress && (rc == SQLITE_OK || rc == SQLITE_DONE))
            go_on = o->progress(o->arg, total - left, total);
    }
    sqlite3_backup_finish(b);
    if (!go_on)
        return sky_fail(e, SKY_ECANCELLED, "%s: the backup was cancelled", o->path);
    if (rc == SQLITE_DONE)
        return SKY_OK;
    return sky_fail(e, (rc & 0xff) == SQLITE_FULL ? SKY_EFULL : SKY_EIO, "%s: copying: %s", o->path,
                    sqlite3_errstr(rc));
}

/* Both the file and its name on the disk. */
static sky_err make_durable(const char *path, sky_error *e)
{
    char *copy = sky_strdup(path);
    if (!copy)
        return sky_fail(e, SKY_ENOMEM, "%s: out of memory", path);
    int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sky_err err = SKY_OK;
    if (folder < 0 || fsync(folder) != 0)
        err = sky_fail_errno(e, errno, "%s: cannot sync its folder", path);
    if (folder >= 0)
        close(folder);
    free(copy);
    return err;
}

static sky_err sync_file(const char *path, sky_error *e)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    sky_err err = SKY_OK;
    if (fd < 0 || fsync(fd) != 0)
        err = sky_fail_errno(e, errno, "%s: cannot sync", path);
    if (fd >= 0)
        close(fd);
    return err;
}

static sky_err publish(const char *partial, const sky_backup_options *o, sky_error *e)
{
    sky_err err = sync_file(partial, e);
    if (err != SKY_OK)
        return err;
    /* link() fails where the name is taken, rename() replaces it */
    if ((o->replace ? rename(partial, o->path) : link(partial, o->path)) != 0)
        return sky_fail_errno(e, errno, "%s: cannot put the copy there", o->path);
    return make_durable(o->path, e);
}

sky_err sky_store_backup(sky_store *s, const sky_backup_options *o, sky_error *e)
{
    sqlite3 *to = NULL;
    if (sky_store_dirty(s))
        return sky_fail(e, SKY_EBUSY, "%s: a transaction is open", s->path);
    if (!o->replace && access(o->path, F_OK) == 0)
        return sky_fail(e, SKY_EEXISTS, "%s is there already", o->path);
    char *partial = partial_name(o->path);
    if (!partial)
        return sky_fail(e, SKY_ENOMEM, "%s: out of memory", o->path);
    remove_partial(partial);
    sky_err err = SKY_OK;
    int rc = sqlite3_open_v2(partial, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (rc != SQLITE_OK)
        err = sky_fail_errno(e, to ? sqlite3_system_errno(to) : ENOMEM, "%s: cannot make the copy",
                             o->path);
    /* One read transaction around all steps: else each commit of the writer would start the copy anew. */
    if (err == SKY_OK)
        err = sky__read_begin(s, e, "reading");
    if (err == SKY_OK) {
        int64_t ignored; /* the transaction begins with its first SELECT */
        err = sky__int(s, "SELECT count(*) FROM sky_meta", &ignored, e);
        if (err == SKY_OK)
            err = copy_pages(s, to, o, e);
        sky__roll_back(s);
    }
    sqlite3_close(to);
    if (err == SKY_OK)
        err = publish(partial, o, e);
    remove_partial(partial);
    free(partial);
    return err;
}
