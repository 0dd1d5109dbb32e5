#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "tests/base/property.h"
#include "tests/base/str.h"

static void check_json(const char *in, size_t len, const char *expected)
{
    sky_buf b = {0};
    sky_buf_json_string_n(&b, in, len);
    cr_assert(eq(str, STR(sky_buf_str(&b)), STR(expected)));
    sky_buf_free(&b);
}

Test(buf, grows_and_stays_terminated)
{
    sky_buf b = {0};
    cr_assert(eq(str, STR(sky_buf_str(&b)), ""));
    for (int i = 0; i < 10000; i++) {
        sky_buf_putc(&b, 'x');
        sky_buf_puts(&b, "yz");
        cr_assert(eq(sz, strlen(sky_buf_str(&b)), b.len));
    }
    cr_assert(eq(sz, b.len, 30000));
    sky_buf_reset(&b);
    cr_assert(eq(str, STR(sky_buf_str(&b)), ""));
    sky_buf_printf(&b, "%s|%1000d|", "long", 5);
    cr_assert(eq(sz, b.len, 1006));
    cr_assert(sky_buf_ok(&b));
    char *text = sky_buf_detach(&b);
    cr_assert(eq(int, text[1004], '5'));
    cr_assert(b.data == NULL);
    free(text);
    text = sky_buf_detach(&b);
    cr_assert(eq(str, text, ""));
    free(text);
}

Test(buf, running_out_of_memory_is_sticky)
{
    sky_buf b = {0};
    sky_buf_puts(&b, "kept");
    cr_assert(not(sky_buf_reserve(&b, SIZE_MAX - 2)));
    cr_assert(not(sky_buf_ok(&b)));
    sky_buf_puts(&b, " lost");
    cr_assert(eq(str, STR(sky_buf_str(&b)), "kept"));
    cr_assert(sky_buf_detach(&b) == NULL);
    cr_assert(sky_buf_ok(&b), "detach leaves an empty buffer");
}

Test(buf, json_strings)
{
    check_json("plain", 5, "\"plain\"");
    check_json("a\"b\\c/\b\f\n\r\t", 11, "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\"");
    check_json("\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\\u007f\"");
    check_json("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", 11,
               "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"");
}

#define BAD "\xef\xbf\xbd"

Test(buf, json_strings_are_valid_whatever_comes)
{
    check_json("\x80", 1, "\"" BAD "\"");
    check_json("\xc3", 1, "\"" BAD "\"");                         /* cut */
    check_json("\xc0\xaf", 2, "\"" BAD BAD "\"");                 /* overlong */
    check_json("\xe0\x80\xaf", 3, "\"" BAD BAD BAD "\"");         /* overlong */
    check_json("\xed\xa0\x80", 3, "\"" BAD BAD BAD "\"");         /* surrogate */
    check_json("\xf4\x90\x80\x80", 4, "\"" BAD BAD BAD BAD "\""); /* beyond U+10FFFF */
    check_json("\xff"
               "a\xc3(",
               4, "\"" BAD "a" BAD "(\"");
}

static char *shortest(double x, char *text, size_t len)
{
    sky_buf b = {0};
    sky_buf_f64(&b, x);
    snprintf(text, len, "%s", sky_buf_str(&b));
    sky_buf_free(&b);
    return text;
}

static void check_round_trip(double x)
{
    char text[64], shorter[64];
    shortest(x, text, sizeof text);
    double back = strtod(text, NULL);
    cr_assert(eq(int, memcmp(&back, &x, sizeof x), 0), "%s is not %a", text, x);
    int digits = 0;
    for (const char *s = text; *s && *s != 'e'; s++)
        digits += *s >= (digits ? '0' : '1') && *s <= '9'; /* leading zeros do not count */
    if (digits == 17) {                                    /* then 16 must not do */
        snprintf(shorter, sizeof shorter, "%.16g", x);
        cr_assert(ne(dbl, strtod(shorter, NULL), x));
    }
}

Test(buf, doubles_read_back_the_same)
{
    static const double values[] = {0.0,
                                    -0.0,
                                    1,
                                    -1,
                                    0.1,
                                    1.0 / 3,
                                    1e15,
                                    1e16,
                                    123456,
                                    1e300,
                                    DBL_MAX,
                                    DBL_MIN,
                                    5e-324,
                                    1e-310,
                                    -2.5e-7,
                                    9007199254740993.0,
                                    999999999999999.0,
                                    1e22,
                                    1e23};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        check_round_trip(values[i]);
    sky_rng r = test_rng("doubles");
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = sky_rng_u64(&r);
        double x;
        memcpy(&x, &bits, sizeof x);
        if (isfinite(x))
            check_round_trip(x);
        check_round_trip((double)sky_rng_below(&r, 100000) / 1000);
    }
}

Test(buf, doubles_are_short)
{
    char text[64];
    cr_assert(eq(str, shortest(0.1, text, 64), "0.1"));
    cr_assert(eq(str, shortest(1, text, 64), "1"));
    cr_assert(eq(str, shortest(-0.0, text, 64), "-0.0"));
    cr_assert(eq(str, shortest(5e-324, text, 64), "5e-324"));
    cr_assert(eq(str, shortest(1e22, text, 64), "1e+22"));
    cr_assert(eq(str, shortest(INFINITY, text, 64), "inf"));
    cr_assert(eq(str, shortest(-INFINITY, text, 64), "-inf"));
    cr_assert(eq(str, shortest(-NAN, text, 64), "nan"));
}

Test(buf, quoting)
{
    sky_buf b = {0};
    sky_buf_json_f64(&b, INFINITY);
    sky_buf_json_f64(&b, NAN);
    sky_buf_json_f64(&b, 2.5);
    cr_assert(eq(str, STR(sky_buf_str(&b)), "\"inf\"\"nan\"2.5"));
    sky_buf_reset(&b);
    sky_buf_csv(&b, "plain");
    sky_buf_csv(&b, "a,b");
    sky_buf_csv(&b, "say \"x\"\n");
    sky_buf_csv(&b, " edge");
    sky_buf_csv(&b, "");
    cr_assert(eq(str, STR(sky_buf_str(&b)), "plain\"a,b\"\"say \"\"x\"\"\n\"\" edge\""));
    sky_buf_reset(&b);
    sky_buf_sql_name(&b, "a\"b'c");
    sky_buf_sql_text(&b, "a\"b'c");
    cr_assert(eq(str, STR(sky_buf_str(&b)), "\"a\"\"b'c\"'a\"b''c'"));
    sky_buf_free(&b);
}

Test(buf, shell_words)
{
    static const char *const words[][2] = {
        {"a-b_1=/x.y", "a-b_1=/x.y"}, {"", "''"},     {"a b", "'a b'"},
        {"it's", "'it'\\''s'"},       {"$x", "'$x'"}, {"a\nb", "'a\nb'"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        sky_buf b = {0};
        sky_buf_shell_word(&b, words[i][0]);
        cr_assert(eq(str, STR(sky_buf_str(&b)), STR(words[i][1])));
        sky_buf_free(&b);
    }
}
