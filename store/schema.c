/* The internal tables, as numbered migrations.
 *
 * A migration that was released is never edited: a change is a new one at the end, a new
 * SKY__SCHEMA_VERSION, a new golden file and a new section of docs/store.md, in one commit. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store/store_internal.h"

static const char migration_1[] =
    "CREATE TABLE sky_meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;\n"
    "CREATE TABLE sky_sweeps (\n"
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again, even when the sweep is deleted\n"
    "  name TEXT NOT NULL UNIQUE COLLATE NOCASE, -- of its table\n"
    "  plan TEXT NOT NULL, identity TEXT NOT NULL,\n"
    "  job TEXT NOT NULL, job_version TEXT NOT NULL, job_summary TEXT, job_source TEXT,\n"
    "  state TEXT NOT NULL CHECK (state IN ('running', 'paused', 'done', 'cancelled')),\n"
    "  reason TEXT NOT NULL DEFAULT '',\n"
    "  priority INTEGER NOT NULL DEFAULT 0,\n"
    "  points INTEGER NOT NULL, positions INTEGER NOT NULL,\n"
    "  recorded INTEGER NOT NULL DEFAULT 0, holes INTEGER NOT NULL DEFAULT 0,\n"
    "  failed INTEGER NOT NULL DEFAULT 0,\n"
    "  busy_s REAL NOT NULL DEFAULT 0,\n"
    "  log_bytes INTEGER NOT NULL DEFAULT 0,\n"
    "  generation INTEGER NOT NULL DEFAULT 1, -- grows when derived metrics or constraints change\n"
    "  created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL);\n"
    "CREATE TABLE sky_columns_meta (\n"
    "  sweep INTEGER NOT NULL,\n"
    "  role TEXT NOT NULL, -- param, metric, derived, constraint\n"
    "  ord INTEGER NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,\n"
    "  unit TEXT NOT NULL, doc TEXT NOT NULL, goal TEXT NOT NULL, class TEXT NOT NULL,\n"
    "  sql TEXT NOT NULL, -- of a derived metric or a constraint\n"
    "  PRIMARY KEY (sweep, role, ord)) WITHOUT ROWID;\n"
    "CREATE TABLE sky_objectives (\n"
    "  sweep INTEGER NOT NULL, ord INTEGER NOT NULL, name TEXT NOT NULL, goal TEXT NOT NULL,\n"
    "  PRIMARY KEY (sweep, ord)) WITHOUT ROWID;\n"
    "CREATE TABLE sky_commits (\n"
    "  seq INTEGER PRIMARY KEY,\n"
    "  sweep INTEGER NOT NULL,\n"
    "  positions BLOB, -- what it settled: ranges as gap and length - 1, LEB128\n"
    "  trials BLOB, -- the rows; NULL: the same numbers as positions\n"
    "  rows INTEGER NOT NULL, holes INTEGER NOT NULL,\n"
    "  merged INTEGER NOT NULL DEFAULT 1, -- how many commits this row stands for\n"
    "  at_ms INTEGER NOT NULL);\n"
    "CREATE TABLE sky_failures (\n"
    "  sweep INTEGER NOT NULL, position INTEGER NOT NULL, trial INTEGER NOT NULL,\n"
    "  attempts INTEGER NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL,\n"
    "  log INTEGER, env INTEGER, at_ms INTEGER NOT NULL,\n"
    "  PRIMARY KEY (sweep, position)) WITHOUT ROWID;\n"
    "CREATE TABLE sky_attempts (\n"
    "  sweep INTEGER NOT NULL, position INTEGER NOT NULL, trial INTEGER NOT NULL,\n"
    "  attempts INTEGER NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL,\n"
    "  log INTEGER, env INTEGER, at_ms INTEGER NOT NULL,\n"
    "  PRIMARY KEY (sweep, position)) WITHOUT ROWID;\n"
    "CREATE TABLE sky_logs (\n"
    "  id INTEGER PRIMARY KEY, sweep INTEGER NOT NULL, hash INTEGER NOT NULL,\n"
    "  text NOT NULL); -- TEXT; BLOB where it is not valid text\n"
    "CREATE INDEX sky_logs_by_hash ON sky_logs (sweep, hash);\n"
    "CREATE TABLE sky_curves (\n"
    "  sweep INTEGER NOT NULL, trial INTEGER NOT NULL, name TEXT NOT NULL, step INTEGER NOT NULL,\n"
    "  value REAL, PRIMARY KEY (sweep, trial, name, step)) WITHOUT ROWID;\n"
    "CREATE TABLE sky_artifacts (\n"
    "  id INTEGER PRIMARY KEY, sweep INTEGER NOT NULL, trial INTEGER NOT NULL,\n"
    "  name TEXT NOT NULL, bytes BLOB NOT NULL, UNIQUE (sweep, trial, name));\n"
    "CREATE TABLE sky_environments (\n"
    "  id INTEGER PRIMARY KEY, json TEXT NOT NULL UNIQUE);\n"
    "CREATE TABLE sky_tags (\n"
    "  sweep INTEGER NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (sweep, tag)) WITHOUT ROWID;\n"
    "INSERT INTO sky_meta (key, value) VALUES\n"
    "  ('uuid', lower(hex(randomblob(16)))), ('epoch', 0), ('made_by', 'skyline " SKY_VERSION
    "');\n";

/* migrations[v - 1] leads from version v - 1 to version v. */
static const char *const migrations[] = {migration_1};
_Static_assert(sizeof migrations / sizeof *migrations == SKY__SCHEMA_VERSION,
               "one migration for each version");

static sky_err migrate(sky_store *s, int64_t from, sky_error *e)
{
    sky_err err = sky__exec(s, "BEGIN IMMEDIATE", e, "creating the tables");
    if (err != SKY_OK)
        return err;
    for (int64_t v = from; v < SKY__SCHEMA_VERSION && err == SKY_OK; v++)
        err = sky__exec(s, migrations[v], e, "creating the tables");
    char sql[128];
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
             SKY__APPLICATION_ID, SKY__SCHEMA_VERSION);
    if (err == SKY_OK)
        err = sky__exec(s, sql, e, "creating the tables");
    if (err != SKY_OK && !sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

/* A file of another program is refused before anything is written: an empty one (no table, no ids) may
 * become ours, since that is what a crash right after creation leaves. */
static sky_err look(sky_store *s, int64_t *version, bool *empty, sky_error *e)
{
    int64_t application = 0, tables = 0;
    sky_err err = sky__int(s, "PRAGMA application_id", &application, e);
    if (err == SKY_OK)
        err = sky__int(s, "PRAGMA user_version", version, e);
    if (err == SKY_OK)
        err = sky__int(s, "SELECT count(*) FROM sqlite_schema", &tables, e);
    if (err != SKY_OK)
        return err;
    *empty = application == 0 && *version == 0 && tables == 0;
    if (*empty || (application == SKY__APPLICATION_ID && *version >= 1)) {
        if (*version <= SKY__SCHEMA_VERSION)
            return SKY_OK;
        return sky_fail(
            e, SKY_EVERSION,
            "%s was written by a newer Skyline (format version %lld; this program knows "
            "versions up to %d): use that one, or export the results with it",
            s->path, (long long)*version, SKY__SCHEMA_VERSION);
    }
    return sky_fail(
        e, SKY_EFORMAT,
        "%s is an SQLite database of another program (application id 0x%08llx, expected "
        "0x%08x): it is left as it is",
        s->path, (unsigned long long)(uint32_t)application, SKY__APPLICATION_ID);
}

static sky_err read_meta(sky_store *s, sky_error *e)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    int64_t seq = 0;
    sky_err err = sky__prepare(s, "SELECT value FROM sky_meta WHERE key = 'uuid'", &q, e);
    if (err == SKY_OK)
        err = sky__step(s, q, &row, e, "reading its identity");
    const char *uuid = row ? (const char *)sqlite3_column_text(q, 0) : NULL;
    if (err == SKY_OK && (!uuid || strlen(uuid) != 32))
        err = sky_fail(e, SKY_EFORMAT, "%s: sky_meta has no valid 'uuid'", s->path);
    if (err == SKY_OK)
        memcpy(s->uuid, uuid, sizeof s->uuid);
    sqlite3_finalize(q);
    if (err == SKY_OK)
        err = sky__int(s, "SELECT max(seq) FROM sky_commits", &seq, e);
    s->seq = (uint64_t)seq;
    return err;
}

sky_err sky__schema_open(sky_store *s, sky_error *e)
{
    int64_t version = 0;
    bool empty = false;
    sky_err err = look(s, &version, &empty, e);
    if (err != SKY_OK)
        return err;
    if (!s->writer && empty)
        return sky_fail(e, SKY_EFORMAT, "%s is empty: no sweep was ever recorded in it", s->path);
    if (!s->writer && version < SKY__SCHEMA_VERSION)
        return sky_fail(e, SKY_EVERSION,
                        "%s has the older format version %lld: `skyline run` or `skyline "
                        "coordinator` on it brings it up to date",
                        s->path, (long long)version);
    if (s->writer) {
        char sql[96];
        snprintf(sql, sizeof sql, "PRAGMA page_size = %d; PRAGMA journal_mode = WAL",
                 SKY__PAGE_BYTES);
        err = sky__exec(s, sql, e, "setting its journal");
        if (err == SKY_OK && version < SKY__SCHEMA_VERSION)
            err = migrate(s, version, e);
    }
    return err == SKY_OK ? read_meta(s, e) : err;
}
