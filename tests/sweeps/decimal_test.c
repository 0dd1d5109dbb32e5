#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "sweeps/decimal.h"

static sky__decimal parsed(const char *text)
{
    sky__decimal d = {0};
    cr_assert(eq(int, sky__decimal_parse(text, &d), SKY_OK), "%s", text);
    return d;
}

Test(decimal, reads_digits_exactly)
{
    static const struct {
        const char *text;
        int64_t digits;
        int32_t exponent;
        bool whole;
    } cases[] = {
        {"0", 0, 0, true},
        {"-0.0", 0, 0, false},
        {"7", 7, 0, true},
        {"+7", 7, 0, true},
        {"100", 1, 2, true},
        {"0.05", 5, -2, false},
        {"-1.50", -15, -1, false},
        {"1e-3", 1, -3, false},
        {"2.5E+2", 25, 1, false},
        {".5", 5, -1, false},
        {"5.", 5, 0, false},
        {"00012", 12, 0, true},
        {"123456789012345678", 123456789012345678, 0, true},
        {"1e400", 1, 400, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sky__decimal d = parsed(cases[i].text);
        cr_assert(eq(i64, d.digits, cases[i].digits), "%s", cases[i].text);
        cr_assert(eq(i32, d.exponent, cases[i].exponent), "%s", cases[i].text);
        cr_assert(eq(int, d.whole, cases[i].whole), "%s", cases[i].text);
    }
}

Test(decimal, refuses_what_is_none)
{
    static const char *const bad[] = {"",   "-",     ".",   "e5",   "1e",  "1e+", "1x",   " 1",
                                      "1 ", "1.2.3", "--1", "0x10", "nan", "inf", "1_000"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sky__decimal d;
        cr_assert(eq(int, sky__decimal_parse(bad[i], &d), SKY_EFORMAT), "%s", bad[i]);
    }
    sky__decimal d;
    cr_assert(eq(int, sky__decimal_parse("1234567890123456789", &d), SKY_ELIMIT));
    cr_assert(eq(int, sky__decimal_parse("1e401", &d), SKY_ELIMIT));
    cr_assert(eq(int, sky__decimal_parse("1e99999999999999999999", &d), SKY_ELIMIT));
}

Test(decimal, scales_to_a_power_of_ten)
{
    int64_t x = 0;
    cr_assert(sky__decimal_scale(parsed("1.25"), -4, &x));
    cr_assert(eq(i64, x, 12500));
    cr_assert(not(sky__decimal_scale(parsed("1.25"), -1, &x)));
    cr_assert(sky__decimal_scale(parsed("0"), 0, &x));
    cr_assert(eq(i64, x, 0));
    cr_assert(not(sky__decimal_scale(parsed("1e18"), 0, &x)));
    cr_assert(sky__decimal_scale(parsed("-1e17"), 0, &x));
    cr_assert(not(sky__decimal_scale(parsed("1e300"), -300, &x)));
}
