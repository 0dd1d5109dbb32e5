#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "tests/sweeps/sweeps_fixture.h"

/* The kept points of a plan as a string of 0 and 1. */
static const char *kept(const sky_plan *p)
{
    static char out[512];
    sky_filter *f = NULL;
    sky_error e = {0};
    size_t n = (size_t)sky_plan_points(p);
    cr_assert(lt(sz, n, sizeof out));
    cr_assert(eq(int, sky_filter_new(&f, p, &e), SKY_OK), "%s", e.text);
    uint64_t trials[sizeof out];
    uint8_t keep[sizeof out];
    batch b;
    batch_init(&b, p, n);
    for (size_t i = 0; i < n; i++)
        trials[i] = i;
    sky_plan_decode_columns(p, trials, n, b.columns);
    for (int again = 0; again < 2; again++) { /* a filter is used for many batches */
        cr_assert(eq(int, sky_filter_rows(f, b.columns, n, keep, &e), SKY_OK), "%s", e.text);
        for (size_t i = 0; i < n; i++)
            out[i] = (char)('0' + keep[i]);
    }
    out[n] = '\0';
    batch_free(&b);
    sky_filter_free(f);
    return out;
}

static void keeps(const char *space, const char *where, const char *expected)
{
    sky_buf rest = {0};
    sky_buf_printf(&rest, "where: %s", where);
    sky_plan *p = plan_of_space(space, sky_buf_str(&rest));
    cr_assert(eq(str, STR(kept(p)), STR(expected)), "%s", where);
    sky_plan_free(p);
    sky_buf_free(&rest);
}

Test(filter, keeps_where_the_expressions_are_true)
{
    keeps("{a: [1, 2, 3]}", "[a > 1]", "011");
    keeps("{a: [1, 2, 3]}", "a > 1", "011");
    keeps("{a: [1, 2, 3]}", "[a > 1, a < 3]", "010");
    keeps("{a: [1, 2, 3]}", "[a = 1 OR a = 2, a != 1 or a = 3]", "010");
    keeps("{a: [1, 2], b: [x, y]}", "[\"b = 'x' OR a * a >= 4\"]", "1011");
    keeps("{a: [0.5, 0.25]}", "[a]", "11");
    keeps("{a: [0, 1]}", "[a]", "01");
    keeps("{a: [-1, 0, 1]}", "['nullif(a, 0)']", "101");
    keeps("{a: [true, false]}", "[a]", "10");
    keeps("{a: [1, 2, 3]}", "[\"a IN (1, 3)\"]", "101");
    keeps("{a: [1, 2, 3]}", "[\"CASE WHEN a < 3 THEN 1 ELSE 0 END\"]", "110");
    keeps("{a: [1, 4, 9]}", "[\"sqrt(a) BETWEEN 2 AND 3\"]", "011");
    keeps("{b: [ab, cd]}", "[\"b LIKE 'A%'\"]", "10");
    keeps("{a: [1, 2]}", "[]", "11");
}

Test(filter, null_rejects)
{
    keeps("{m: [p, q], w: {values: [1, 2], when: \"m = 'q'\"}}", "[w < 2]", "010");
    keeps("{m: [p, q], w: {values: [1, 2], when: \"m = 'q'\"}}", "[\"w IS NULL OR w < 2\"]", "110");
}

Test(filter, compares_as_the_stores_columns_do)
{
    keeps("{a: ['1', '02']}", "[a = 1]", "10");  /* a text column compares as text */
    keeps("{a: [1, 2]}", "[\"a = '1'\"]", "10"); /* a number column as numbers */
}

Test(filter, is_trivial_without_where)
{
    sky_plan *p = plan_of_space("{a: [1, 2]}", "");
    sky_filter *f = NULL;
    cr_assert(eq(int, sky_filter_new(&f, p, NULL), SKY_OK));
    cr_assert(sky_filter_is_trivial(f));
    sky_filter_free(f);
    sky_filter_free(NULL);
    sky_plan_free(p);
}

Test(filter, fails_where_an_expression_does)
{
    sky_plan *p = plan_of_space("{a: [-9223372036854775807, 1]}", "where: [abs(a - 1) > 0]");
    sky_filter *f = NULL;
    sky_error e = {0};
    uint64_t trials[] = {0, 1};
    uint8_t keep[2];
    batch b;
    batch_init(&b, p, 2);
    sky_plan_decode_columns(p, trials, 2, b.columns);
    cr_assert(eq(int, sky_filter_new(&f, p, &e), SKY_OK));
    cr_assert(eq(int, sky_filter_rows(f, b.columns, 2, keep, &e), SKY_EFAILED));
    cr_assert(strstr(e.text, "integer overflow") != NULL, "%s", e.text);
    trials[0] = 1; /* and goes on after that */
    sky_plan_decode_columns(p, trials, 2, b.columns);
    cr_assert(eq(int, sky_filter_rows(f, b.columns, 2, keep, &e), SKY_OK));
    cr_assert(eq(int, keep[0] + keep[1], 0));
    batch_free(&b);
    sky_filter_free(f);
    sky_plan_free(p);
}

static const struct {
    const char *sql, *text;
} refused[] = {
    {"b > 1", "no such column: b"},
    {"arary > 1", "did you mean 'array'?"},
    {"array >", "syntax error"},
    {"", "found nothing"},
    {"energy_j < 1", "'energy_j' is a metric; allowed are parameters"},
    {"array = \\\"big\\\"", "single quotes"},
    {"random() > 0", "this function is not allowed: random"},
    {"randomblob(array)", "not allowed"},
    {"load_extension('x')", "not allowed: load_extension"},
    {"readfile('/etc/passwd')", "no such function: readfile"},
    {"sqlite_version()", "not allowed"},
    {"date('now')", "not allowed"},
    {"(SELECT 1)", "subqueries"},
    {"array IN (SELECT 1)", "subqueries"},
    {"EXISTS (SELECT * FROM sqlite_master)", "no such table: sqlite_master"},
    {"array IN sqlite_master", "no such table"},
    {"array IN pragma_table_list", "allowed is an expression"},
    {"count(*) > 1", "not allowed: count"},
    {"min(array) > 1", "misuse of aggregate"},
    {"sum(array) > 1", "not allowed"},
    {"row_number() OVER () > 1", "not allowed"},
    {"1) LIMIT (1", "')' without '('"},
    {"1) UNION SELECT (2", "')' without '('"},
    {"(1", "not closed"},
    {"1; DROP TABLE x", "found ';'"},
    {"1 -- x", "comment"},
    {"1 /* x", "comment"},
    {"'abc", "a quote does not end"},
    {"array > ?", "found ?"},
    {"array > :x", "found ?"},
    {"rowid > 1", "no such column: "},
    {"sqr(array) > 1", "did you mean 'sqrt'?"},
    {"array MATCH 'x'", "match"},
    {"ATTACH 'x' AS y", "syntax"},
    {"RAISE(IGNORE)", "RAISE"},
    {"network REGEXP 'x'", "REGEXP"},
    {"other.array > 1", "no such column"},
};

Test(filter, is_a_sandbox)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char yaml[400];
        snprintf(yaml, sizeof yaml,
                 "name: t\njob: model\nspace: {network: a, depth: 1}\n"
                 "where:\n  - \"%s\"\n",
                 refused[i].sql);
        REFUSES(yaml, "t.yaml:5:5:", refused[i].text);
    }
}

Test(filter, sees_a_row_at_a_time)
{
    REFUSES("name: t\njob: command\nspace: {a: [1, 2]}\nwhere: [a IN point]\n", "subqueries");
    REFUSES("name: t\njob: command\nspace: {a: [1, 2]}\nwhere: [\"a IN (SELECT a FROM point)\"]\n",
            "subqueries");
    REFUSES("name: t\njob: command\nspace: {a: [1, 2]}\nwhere: [\"a IN point(1)\"]\n",
            "t.yaml:4:9:");
}

Test(filter, names_that_are_words_of_sql)
{
    keeps("{order: [1, 2], group: [3]}", "['\"order\" > 1']", "01");
    REFUSES("name: t\njob: command\nspace: {order: [1, 2]}\nwhere: [order > 1]\n",
            "write \"order\", it is a word of SQL");
}

Test(filter, limits_what_an_expression_may_take)
{
    static char yaml[40000];
    int n = snprintf(yaml, sizeof yaml, "name: t\njob: command\nspace: {a: [1, 2]}\nwhere: [\"a");
    for (int i = 0; i < 8000; i++)
        n += snprintf(yaml + n, sizeof yaml - (size_t)n, "+1");
    snprintf(yaml + n, sizeof yaml - (size_t)n, "\"]\n");
    REFUSES(yaml, "t.yaml:4:9:", "depth");
    REFUSES("name: t\njob: command\nspace: {a: [1, 2]}\nwhere: "
            "[\"(((((((((((((((((((((((((((((((((((((((((("
            "(((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((("
            "((((((((((("
            "a\"]\n",
            "not closed");
    sky_plan *p =
        plan_of_space("{a: [1, 2]}", "where: [\"length(hex(hex(format('%500000d', a)))) > 0\"]");
    sky_filter *f = NULL;
    sky_error e = {0};
    cr_assert(eq(int, sky_filter_new(&f, p, &e), SKY_OK));
    uint64_t trials[] = {0};
    uint8_t keep[1];
    batch b;
    batch_init(&b, p, 1);
    sky_plan_decode_columns(p, trials, 1, b.columns);
    cr_assert(eq(int, sky_filter_rows(f, b.columns, 1, keep, &e), SKY_EFAILED));
    batch_free(&b);
    sky_filter_free(f);
    sky_plan_free(p);
}
