#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"
#include "store/export.h"
#include "store/guard.h"

static sky_error e;
static sky_buf out;
#define OK(call) cr_assert_eq((call), SKY_OK, "%s", e.text)

static sky_err append(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    sky_buf_add(&out, bytes, len);
    return SKY_OK;
}

static sky_store *s;

/* Three trials of every type; the second has absent values. */
static void setup(void)
{
    const sky_store_options o = kit_writer(kit_path("e.db"));
    OK(sky_store_open(&s, &o, &e));
    const sky_expression derived[] = {{"edp", "energy_j * cycles"}};
    sky_sweep_spec spec = kit_spec("mixed", &kit_mixed, 3);
    spec.derived = derived;
    spec.n_derived = 1;
    int64_t id;
    OK(sky_store_sweep_create(s, &spec, &id, &e));
    uint64_t trials[] = {2, 0, 1}; /* any order: the export's is its own */
    int64_t n[] = {3, 1, 2}, fused[] = {1, 0, 1}, cycles[] = {30, 10, 0};
    double rate[] = {0.1, 1e300, 2.5}, energy[] = {INFINITY, 0.1, 0.2}, loss[] = {3, 1, 2};
    const char *mode[] = {"a,b", "=1+1", "say \"é\""}, *note[] = {"two\nlines", "x", NULL};
    uint8_t none[] = {0, 0, 1};
    const sky_column params[] = {{.type = SKY_INT, .i = n},
                                 {.type = SKY_REAL, .f = rate},
                                 {.type = SKY_TEXT, .s = mode},
                                 {.type = SKY_BOOL, .i = fused}};
    const sky_column metrics[] = {{.type = SKY_INT, .i = cycles, .absent = none},
                                  {.type = SKY_REAL, .f = energy},
                                  {.type = SKY_REAL, .f = loss},
                                  {.type = SKY_REAL, .f = loss},
                                  {.type = SKY_TEXT, .s = note, .absent = none}};
    const float wall[] = {0.5F, 0.25F, 1};
    const sky_record r = {.sweep = id,
                          .n = 3,
                          .trials = trials,
                          .params = params,
                          .metrics = metrics,
                          .wall_s = wall};
    OK(sky_store_record(s, &r, NULL, NULL, &e));
    OK(sky_store_commit(s, NULL, &e));
}

static void teardown(void)
{
    sky_store_close(s);
    sky_buf_free(&out);
}

TestSuite(export, .init = setup, .fini = teardown);

static const char *export(const sky_export_options *options, uint64_t expected)
{
    sky_export_options o = *options;
    uint64_t rows = 99;
    o.write = append;
    sky_buf_reset(&out);
    OK(sky_export_sweep(s, "mixed", &o, &rows, &e));
    cr_assert_eq(rows, expected);
    return sky_buf_str(&out);
}

static sky_err refused(const sky_export_options *options)
{
    sky_export_options o = *options;
    o.write = append;
    return sky_export_sweep(s, "mixed", &o, NULL, &e);
}

Test(export, csv)
{
    cr_assert_str_eq(export(&(sky_export_options){.format = SKY_FORMAT_CSV}, 3),
                     "trial,n,rate,mode,fused,cycles,energy_j,loss,took_s,note,edp\n"
                     "0,1,1e+300,=1+1,false,10,0.1,1,1,x,1\n"
                     "1,2,2.5,\"say \"\"é\"\"\",true,,0.2,2,2,,\n"
                     "2,3,0.1,\"a,b\",true,30,inf,3,3,\"two\nlines\",inf\n");
    cr_assert(
        strstr(export(&(sky_export_options){.format = SKY_FORMAT_CSV, .spreadsheet = true}, 3),
               ",'=1+1,"));
    cr_assert_str_eq(export(&(sky_export_options){.format = SKY_FORMAT_CSV,
                                                  .no_header = true,
                                                  .exact_only = true,
                                                  .order_by = "energy_j DESC",
                                                  .where = "n > 1",
                                                  .limit = 1},
                            1),
                     "2,3,0.1,\"a,b\",true,30,inf,\"two\nlines\"\n");
}

Test(export, json)
{
    const char *columns[] = {"trial", "MODE", "cycles", "energy_j", "fused", "sky_wall_s"};
    const sky_export_options o = {.format = SKY_FORMAT_JSON, .columns = columns, .n_columns = 6};
    const char *text = export(&o, 3);
    cr_assert(strstr(text,
                     "[\n{\"trial\": 0, \"mode\": \"=1+1\", \"cycles\": 10, \"energy_j\": 0.1, "
                     "\"fused\": false, \"sky_wall_s\": 0.25},\n"),
              "%s", text);
    cr_assert(strstr(text, "\"cycles\": null"), "%s", text);
    cr_assert(strstr(text, "\"energy_j\": \"inf\", \"fused\": true, \"sky_wall_s\": 0.5}\n]\n"),
              "%s", text);
    cr_assert_str_eq(export(&(sky_export_options){.format = SKY_FORMAT_JSON, .where = "n > 10"}, 0),
                     "[]\n");
    cr_assert_str_eq(export(&(sky_export_options){.format = SKY_FORMAT_JSONL,
                                                  .columns = columns,
                                                  .n_columns = 1,
                                                  .where = "fused"},
                            2),
                     "{\"trial\": 1}\n{\"trial\": 2}\n");
}

Test(export, table)
{
    const char *columns[] = {"trial", "mode", "rate", "note"};
    const sky_export_options o = {.columns = columns, .n_columns = 4};
    cr_assert_str_eq(export(&o, 3), "trial  mode       rate  note\n"
                                    "    0  =1+1     1e+300  x\n"
                                    "    1  say \"é\"     2.5\n"
                                    "    2  a,b         0.1  two lines\n");
    const sky_export_options narrow = {.columns = columns, .n_columns = 4, .width = 10};
    cr_assert_str_eq(export(&narrow, 3), "trial  mod\n    0  =1+\n    1  say\n    2  a,b\n");
}

/* What a parameter says of every row alike is said once. */
Test(export, brief_table)
{
    const sky_export_options o = {.brief = true, .where = "fused"};
    const char *text = export(&o, 2);
    const char *foot = strstr(text, "In all rows: fused=true\n");
    cr_assert(foot && foot[strlen("In all rows: fused=true\n")] == 0, "%s", text);
    cr_assert(strncmp(text, "trial  n  rate  mode", strlen("trial  n  rate  mode")) == 0, "%s",
              text);
    cr_assert_null(memmem(text, (size_t)(foot - text), "fused", 5), "%s", text);
    const sky_export_options one = {.brief = true, .where = "trial = 1"};
    cr_assert_null(strstr(export(&one, 1), "In all rows"));
}

Test(export, mistakes)
{
    const char *columns[] = {"enrgy_j"};
    cr_assert_eq(refused(&(sky_export_options){.columns = columns, .n_columns = 1}), SKY_EINVAL);
    cr_assert(strstr(e.text, "did you mean 'energy_j'"), "%s", e.text);
    cr_assert_eq(refused(&(sky_export_options){.where = "enrgy_j < 1"}), SKY_EINVAL);
    cr_assert(strstr(e.text, "did you mean 'energy_j'"), "%s", e.text);
    cr_assert_eq(refused(&(sky_export_options){.where = "mode = \"a\""}), SKY_EINVAL,
                 "double quotes are for names");
    static const char *const bad[] = {"",
                                      "1) UNION SELECT (1",
                                      "1; DROP TABLE mixed",
                                      "'open",
                                      "1 -- rest",
                                      "(1",
                                      "1 /* x */",
                                      "SELEC 1",
                                      "n = ?"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(refused(&(sky_export_options){.where = bad[i]}), SKY_EINVAL, "%s", bad[i]);
    cr_assert_eq(refused(&(sky_export_options){.order_by = "1) --"}), SKY_EINVAL);
    cr_assert_eq(refused(&(sky_export_options){.where = "load_extension('x')"}), SKY_EPERM);
    sky_export_options o = {.write = append};
    cr_assert_eq(sky_export_sweep(s, "mixd", &o, NULL, &e), SKY_ENOTFOUND);
    sky_format f;
    OK(sky_format_parse("jsonl", &f));
    cr_assert_eq(f, SKY_FORMAT_JSONL);
    cr_assert_eq(sky_format_parse("xml", &f), SKY_EFORMAT);
}

static sky_err full(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    (void)len;
    return SKY_EFULL;
}

Test(export, a_full_destination_ends_it)
{
    const sky_export_options o = {.write = full, .format = SKY_FORMAT_CSV};
    cr_assert_eq(sky_export_sweep(s, "mixed", &o, NULL, &e), SKY_EFULL);
}

static sky_err sql(const char *text, uint32_t limit_ms)
{
    const sky_export_options o = {
        .write = append, .format = SKY_FORMAT_CSV, .time_limit_ms = limit_ms};
    sky_buf_reset(&out);
    return sky_export_sql(s, text, &o, NULL, &e);
}

Test(export, sql_is_only_select)
{
    static const char *const denied[] = {
        "DROP TABLE mixed",
        "DELETE FROM mixed",
        "UPDATE mixed SET n = 1",
        "INSERT INTO mixed (trial) VALUES (9)",
        "CREATE TABLE x (a)",
        "CREATE TEMP TABLE x (a)",
        "ATTACH 'x.db' AS x",
        "DETACH main",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA writable_schema = 1",
        "PRAGMA application_id = 1",
        "SELECT * FROM pragma_journal_mode",
        "VACUUM",
        "VACUUM INTO '/tmp/sky-stolen'",
        "REINDEX",
        "ANALYZE",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT a",
        "SELECT load_extension('x')",
        "SELECT fts3_tokenizer('simple')",
        "CREATE TRIGGER t AFTER INSERT ON mixed BEGIN SELECT 1; END",
        "ALTER TABLE mixed ADD COLUMN z",
    };
    for (size_t i = 0; i < sizeof denied / sizeof *denied; i++)
        cr_assert_eq(sql(denied[i], 0), SKY_EPERM, "%s: %s", denied[i], e.text);
    cr_assert_eq(sql("", 0), SKY_EINVAL);
    cr_assert_eq(sql("SELECT 1; SELECT 2", 0), SKY_EINVAL);
    cr_assert_eq(sql("SELECT 1; DROP TABLE mixed", 0), SKY_EINVAL);
    cr_assert_eq(sql("SELEC 1", 0), SKY_EINVAL);
    cr_assert_eq(sql("SELECT ?", 0), SKY_EINVAL);
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM mixed"), 3);
    OK(sql("SELECT max(n) AS top, x'00ff' AS bytes FROM mixed; -- done", 0));
    cr_assert_str_eq(sky_buf_str(&out), "top,bytes\n3,x'00ff'\n");
    OK(sql("WITH a AS (SELECT 1 AS v) SELECT v, NULL FROM a", 0));
    cr_assert_str_eq(sky_buf_str(&out), "v,NULL\n1,\n");
    OK(sql("SELECT count(*) FROM pragma_table_xinfo('mixed')", 0));
    cr_assert_str_eq(sky_buf_str(&out), "count(*)\n14\n");
    OK(sql("SELECT name FROM sky_sweeps", 0));
    OK(sky_store_sweep_state(s, 1, SKY_SWEEP_PAUSED, "", &e)); /* the writer is as free as before */
}

Test(export, sql_ends_in_time)
{
    static const char forever[] =
        "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT max(x) FROM a";
    cr_assert_eq(sql(forever, 50), SKY_ETIMEOUT);
    OK(sql("SELECT 1", 50));
    cr_assert_eq(sql("SELECT length(zeroblob(900000000))", 0), SKY_ELIMIT, "%s", e.text);
}

static bool stop(void *arg)
{
    (void)arg;
    return true;
}

Test(export, sql_can_be_cancelled)
{
    const sky_query_options o = {.cancelled = stop};
    sky_query *q;
    bool row;
    OK(sky_query_open(&q, s,
                      "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT "
                      "max(x) FROM a",
                      &o, &e));
    cr_assert_eq(sky_query_columns(q), 1);
    cr_assert_eq(sky_query_step(q, &row, &e), SKY_ECANCELLED);
    sky_query_close(q);
}

Test(export, trials_in_their_order)
{
    static const char *const columns[] = {"trial", "mode", "fused"};
    const uint64_t trials[] = {2, 7, 0, 2};
    uint64_t rows;
    sky_export_options o = {
        .format = SKY_FORMAT_JSONL, .write = append, .columns = columns, .n_columns = 3};
    OK(sky_export_trials(s, "MIXED", trials, 4, &o, &rows, &e));
    cr_assert_eq(rows, 3, "one that is not recorded is passed over");
    cr_assert_str_eq(sky_buf_str(&out), "{\"trial\": 2, \"mode\": \"a,b\", \"fused\": true}\n"
                                        "{\"trial\": 0, \"mode\": \"=1+1\", \"fused\": false}\n"
                                        "{\"trial\": 2, \"mode\": \"a,b\", \"fused\": true}\n");
    o.columns = (const char *const[]){"nothing"};
    o.n_columns = 1;
    cr_assert_eq(sky_export_trials(s, "mixed", trials, 1, &o, &rows, &e), SKY_EINVAL);
    cr_assert_eq(sky_export_trials(s, "nobody", trials, 1, &o, &rows, &e), SKY_ENOTFOUND);
}
