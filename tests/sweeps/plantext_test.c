/* The canonical text: load(text(p)) is p, for plans at random; malformed texts are refused. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/sweeps/sweeps_fixture.h"

/* ---- random plans ---- */

static void random_word(sky_buf *b, sky_rng *r)
{
    static const char *const pieces[] = {
        "a", "B", "0", "_", " ", "\\\"", "\\\\", "\\n", "\\t", "\xc3\xa4", "\xf0\x9f\x98\x80",
        "'", "{", "]", ":", "#"};
    sky_buf_putc(b, '"');
    for (uint64_t n = 1 + sky_rng_below(r, 8); n > 0; n--)
        sky_buf_puts(b, pieces[sky_rng_below(r, sizeof pieces / sizeof *pieces)]);
    sky_buf_printf(b, "%" PRIu32 "\"", sky_rng_u32(r)); /* keeps them apart */
}

static double random_real(sky_rng *r)
{
    uint64_t bits = sky_rng_u64(r);
    double x;
    memcpy(&x, &bits, sizeof x);
    return isfinite(x) ? x : 0.1 + (double)sky_rng_u32(r);
}

static void random_list(sky_buf *b, sky_rng *r, uint64_t n)
{
    uint64_t kind = sky_rng_below(r, 3);
    sky_buf_puts(b, "[");
    for (uint64_t i = 0; i < n; i++) {
        sky_buf_puts(b, i ? ", " : "");
        if (kind == 0)
            sky_buf_printf(b, "%" PRId64, (int64_t)sky_rng_u64(r));
        else if (kind == 1)
            sky_buf_f64(b, random_real(r));
        else
            random_word(b, r);
    }
    sky_buf_puts(b, "]");
}

static void random_range(sky_buf *b, sky_rng *r, bool sampled)
{
    int64_t from = (int64_t)sky_rng_below(r, 1000) - 500;
    switch (sky_rng_below(r, sampled ? 6 : 4)) {
    case 0:
        sky_buf_printf(b, "{from: %" PRId64 "e-2, to: %" PRId64 "e-2, step: 0.05}", from,
                       from + 50);
        break;
    case 1:
        sky_buf_printf(b, "{from: %" PRId64 ", to: %" PRId64 "}", from, from + 7);
        break;
    case 2:
        sky_buf_printf(b, "{from: %" PRId64 ".0, to: %" PRId64 ", count: 11}", from, from + 3);
        break;
    case 3:
        sky_buf_puts(b, "{from: 1e-4, to: 7.0, count: 9, scale: log}");
        break;
    case 4:
        sky_buf_printf(b, "{from: %" PRId64 ".5, to: 1000}", from);
        break;
    default:
        sky_buf_puts(b, "{from: 0.003, to: 1000, scale: log}");
    }
}

static void random_plan(sky_buf *b, sky_rng *r)
{
    static const char *const searches[] = {"grid", "{grid: {order: random}}",
                                           "{random: {points: 2}}", "{sobol: {points: 2}}",
                                           "{latin_hypercube: {points: 2}}"};
    uint64_t search = sky_rng_below(r, 5), n = 1 + sky_rng_below(r, 6);
    sky_buf_puts(b, "name: t\njob: command\ndescription: ");
    random_word(b, r);
    sky_buf_puts(b, "\ncommand: [x, ");
    random_word(b, r);
    sky_buf_puts(b, "]\nspace:\n  first: [0, 1]\n");
    for (uint64_t i = 0; i < n; i++) {
        sky_buf_printf(b, "  x%" PRIu64 ": ", i);
        if (sky_rng_below(r, 3) == 0) {
            random_range(b, r, search >= 2);
        } else if (sky_rng_below(r, 3) == 0) {
            sky_buf_puts(b, "{values: ");
            random_list(b, r, 1 + sky_rng_below(r, 5));
            sky_buf_puts(b, ", when: \"first = 1\"}");
        } else {
            random_list(b, r, 1 + sky_rng_below(r, 5));
        }
        sky_buf_puts(b, "\n");
    }
    if (sky_rng_below(r, 2)) {
        sky_buf_puts(b, "  zip: {p: [1, 2, 3], q: ");
        random_list(b, r, 3);
        sky_buf_puts(b, "}\n");
    }
    sky_buf_printf(b, "search: %s\nseed: %" PRIu64 "\nrepeats: %" PRIu64 "\n", searches[search],
                   sky_rng_u64(r), 1 + sky_rng_below(r, 9));
    sky_buf_puts(b,
                 "metrics: {m: {goal: min, unit: J}, n: }\nderived: {d: \"m * 2\"}\n"
                 "where: [\"first >= 0\"]\nobjectives: [{d: max}, m]\nlimits: {timeout: 1.5h}\n");
}

static void check_same(const sky_plan *p, const sky_plan *q, sky_rng *r)
{
    cr_assert(eq(u64, sky_plan_positions(p), sky_plan_positions(q)));
    for (int i = 0; i < 20; i++) {
        uint64_t k = sky_rng_below(r, sky_plan_positions(p));
        uint64_t trial = sky_plan_trial(p, k);
        cr_assert(eq(u64, trial, sky_plan_trial(q, k)));
        cr_assert(eq(u64, sky_plan_position(q, trial), k));
        cr_assert(eq(u64, sky_plan_trial_seed(p, trial), sky_plan_trial_seed(q, trial)));
        sky_value a[SKY_PARAMS_MAX], b[SKY_PARAMS_MAX];
        sky_plan_decode(p, trial, a);
        sky_plan_decode(q, trial, b);
        for (size_t j = 0; j < sky_plan_job(p)->n_params; j++)
            cr_assert(sky_value_equal(&a[j], &b[j]), "%s", sky_plan_text(p));
    }
}

Test(plantext, round_trips, .timeout = 120)
{
    sky_rng r;
    sky_rng_init(&r, test_seed("plantext"), 0);
    for (int round = 0; round < 500; round++) {
        sky_buf yaml = {0};
        random_plan(&yaml, &r);
        sky_plan *p = plan_of(sky_buf_str(&yaml));
        sky_plan *q = reloaded(p);
        check_same(p, q, &r);
        sky_buf none = {0};
        cr_assert(not(sky_plan_diff(p, q, &none)));
        sky_buf_free(&none);
        sky_buf_free(&yaml);
        sky_plan_free(p);
        sky_plan_free(q);
    }
}

Test(plantext, every_field_of_a_descriptor)
{
    sky_plan *p = plan_of("name: t\njob: model\nspace: {network: a, depth: 1}\n");
    sky_plan *q = reloaded(p);
    const sky_descriptor *a = sky_plan_job(p), *b = sky_plan_job(q);
    cr_assert(eq(sz, b->n_params, 6));
    cr_assert(eq(str, STR(b->source), "a paper"));
    for (size_t i = 0; i < a->n_params; i++) {
        cr_assert(eq(str, STR(a->params[i].name), STR(b->params[i].name)));
        cr_assert(eq(int, a->params[i].type, b->params[i].type));
        cr_assert(eq(dbl, a->params[i].max, b->params[i].max));
        cr_assert(sky_value_equal(&a->params[i].def, &b->params[i].def) ||
                  a->params[i].type == SKY_TEXT);
        cr_assert(eq(int, a->params[i].choices != NULL, b->params[i].choices != NULL));
    }
    for (size_t i = 0; i < a->n_metrics; i++) {
        cr_assert(eq(str, STR(a->metrics[i].name), STR(b->metrics[i].name)));
        cr_assert(eq(int, a->metrics[i].goal, b->metrics[i].goal));
        cr_assert(eq(int, a->metrics[i].cls, b->metrics[i].cls));
        cr_assert(eq(int, a->metrics[i].type, b->metrics[i].type));
    }
    sky_plan_free(p);
    sky_plan_free(q);
}

Test(plantext, has_a_line_for_each_key)
{
    sky_plan *p = plan_of_space("{a: [1, \"two\\nlines\"]}", "");
    const char *text = sky_plan_text(p);
    static const char head[] = "{\n\"skyline_plan\":1,\n\"name\":\"t\",\n\"workdir\":";
    cr_assert(eq(int, strncmp(text, head, strlen(head)), 0), "%s", text);
    cr_assert(
        strstr(
            text,
            "\n\"space\":[{\"axes\":[{\"param\":\"a\",\"values\":[\"1\",\"two\\nlines\"]}]}],\n") !=
            NULL,
        "%s", text);
    sky_plan_free(p);
}

/* ---- malformed texts ---- */

static char *replaced(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    cr_assert(at != NULL, "no %s in %s", from, text);
    sky_buf b = {0};
    sky_buf_add(&b, text, (size_t)(at - text));
    sky_buf_puts(&b, to);
    sky_buf_puts(&b, at + strlen(from));
    return sky_buf_detach(&b);
}

static const struct {
    const char *from, *to, *text;
    sky_err err;
} broken[] = {
    {"\"skyline_plan\":1", "\"skyline_plan\":2", "format 2; this program reads 1", SKY_EVERSION},
    {"\"skyline_plan\":1,", "", "found no plan", SKY_EFORMAT},
    {"\"priority\":0", "\"priority\":0,\"x\":1", "unknown key 'x'", SKY_EFORMAT},
    {"\"priority\":0", "\"priority\":0,\"name\":\"u\"", "given twice", SKY_EFORMAT},
    {"[10,5,3,1,2]", "[10,0,3,1,2]", "range", SKY_EFORMAT},
    {"[10,5,3,1,2]", "[10,5,0,1,2]", "range", SKY_EFORMAT},
    {"[10,5,3,1,2]", "[10,5,3,0,2]", "range", SKY_EFORMAT},
    {"[10,5,3,1,2]", "[10,5,3,1,99]", "range", SKY_EFORMAT},
    {"[10,5,3,1,2]", "[10,5,3,1]", "range", SKY_EFORMAT},
    {"[10,5,3,1,2]", "[10,9223372036854775807,9223372036854775807,1,2]", "range", SKY_EFORMAT},
    {"[10,5,3,1,2]", "[10,5,3,9007199254740993,2]", "range", SKY_EFORMAT},
    {"[10,5,3,1,2]", "[10,5,3,{},2]", "range", SKY_EFORMAT},
    {"\"values\":[1,2]", "\"values\":[]", "found no values", SKY_EFORMAT},
    {"\"values\":[1,2]", "\"values\":[1,\"2\"]", "allowed are whole numbers", SKY_EFORMAT},
    {"\"values\":[1,2]", "\"interval\":[0,1,0]", "interval", SKY_EFORMAT},
    {"\"param\":\"a\"", "\"param\":\"zz\"", "unknown parameter", SKY_EFORMAT},
    {"\"param\":\"a\"", "\"param\":\"b\"", "given twice", SKY_EFORMAT},
    {"\"type\":\"int\"", "\"type\":\"integer\"", "type", SKY_EFORMAT},
    {"\"when\":\"a = 2\"", "\"when\":\"a = 1\"", "come out differently here", SKY_ECONFLICT},
    {"\"when\":\"a = 2\"", "\"when\":\"c = 2\"", "stand before", SKY_EFORMAT},
    {"\"where\":[]", "\"where\":[\"load_extension('x')\"]", "not allowed", SKY_EFORMAT},
    {"\"command\":[\"true\"]", "\"command\":[]", "command", SKY_EFORMAT},
    {"\"workdir\":", "\"wd\":", "unknown key", SKY_EFORMAT},
    {"\"repeats\":1", "\"repeats\":0", "repeats", SKY_EFORMAT},
    {"\"grid\"", "\"gird\"", "unknown search", SKY_EFORMAT},
};

Test(plantext, refuses_what_it_did_not_write)
{
    sky_plan *p = plan_of_space("{a: [1, 2], b: {from: 0.1, to: 0.2, step: 0.05}, "
                                "c: {values: [7, 8], when: a = 2}}",
                                "");
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        char *text = replaced(sky_plan_text(p), broken[i].from, broken[i].to);
        sky_error e = {0};
        sky_plan *q = NULL;
        sky_err err = sky_plan_load(&q, text, strlen(text), &e);
        cr_assert(eq(int, err, broken[i].err), "%zu %s: %s", i, broken[i].to, e.text);
        cr_assert(strstr(e.text, broken[i].text) != NULL, "%s: %s", broken[i].to, e.text);
        cr_assert(eq(int, strncmp(e.text, "plan", 4), 0), "%s", e.text);
        free(text);
    }
    sky_plan_free(p);
}

Test(plantext, refuses_every_prefix)
{
    sky_plan *p = plan_of_space("{a: [1, x\xc3\xa4], b: {from: 0.1, to: 0.2, step: 0.05}}", "");
    const char *text = sky_plan_text(p);
    for (size_t len = 0; len + 2 < strlen(text); len++) {
        sky_plan *q = NULL;
        sky_error e = {0};
        char *copy = malloc(len + 1); /* its own block, so that a sanitizer sees the end */
        memcpy(copy, text, len);
        copy[len] = 0;
        cr_assert(ne(int, sky_plan_load(&q, copy, len, &e), SKY_OK), "%zu", len);
        free(copy);
    }
    sky_plan_free(p);
}

Test(plantext, refuses_what_is_no_json)
{
    static const char *const bad[] = {"",
                                      "null",
                                      "[]",
                                      "{",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":1,}",
                                      "{'a':1}",
                                      "{\"a\":\"\\x\"}",
                                      "{\"a\":\"\\u12\"}",
                                      "{\"a\":\"\\ud800\"}",
                                      "{\"a\":\"\\u0000\"}",
                                      "{\"a\":\"\\udc00\\ud800\"}",
                                      "{} {}",
                                      "{\"a\":\"\n\"}",
                                      "\"",
                                      "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sky_plan *q = NULL;
        cr_assert(ne(int, sky_plan_load(&q, bad[i], strlen(bad[i]), NULL), SKY_OK), "%s", bad[i]);
    }
}
