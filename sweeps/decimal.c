#include "sweeps/decimal.h"

#include <math.h>
#include <stddef.h>

enum { EXPONENT_MAX = 400, DIGITS_MAX = 18 }; /* 10^18 < 2^63 */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits with an optional point. Returns where they end, NULL if there is no digit. */
static const char *parse_digits(const char *s, sky__decimal *d, bool *over)
{
    bool point = false, any = false;
    for (;; s++) {
        if (*s == '.' && !point) {
            point = true;
            d->whole = false;
            continue;
        }
        if (!is_digit(*s))
            return any ? s : NULL;
        any = true;
        *over |= d->digits >= INT64_C(100000000000000000); /* another digit makes 19 */
        if (*over)
            continue;
        d->digits = d->digits * 10 + (*s - '0');
        d->exponent -= point;
    }
}

static const char *parse_exponent(const char *s, sky__decimal *d, bool *over)
{
    d->whole = false;
    bool negative = *s == '-';
    s += *s == '-' || *s == '+';
    if (!is_digit(*s))
        return NULL;
    int32_t x = 0;
    for (; is_digit(*s); s++)
        x = x > EXPONENT_MAX ? x : x * 10 + (*s - '0');
    *over |= x > EXPONENT_MAX;
    d->exponent += negative ? -x : x;
    return s;
}

sky_err sky__decimal_parse(const char *text, sky__decimal *out)
{
    sky__decimal d = {.whole = true};
    bool over = false;
    bool negative = text[0] == '-';
    const char *s = parse_digits(text + (text[0] == '-' || text[0] == '+'), &d, &over);
    if (s && (*s == 'e' || *s == 'E'))
        s = parse_exponent(s + 1, &d, &over);
    if (!s || *s)
        return SKY_EFORMAT;
    if (over)
        return SKY_ELIMIT;
    if (d.digits == 0)
        d.exponent = 0;
    while (d.digits != 0 && d.digits % 10 == 0) {
        d.digits /= 10;
        d.exponent++;
    }
    if (d.exponent > EXPONENT_MAX || d.exponent < -EXPONENT_MAX)
        return SKY_ELIMIT;
    d.digits = negative ? -d.digits : d.digits;
    *out = d;
    return SKY_OK;
}

bool sky__decimal_scale(sky__decimal d, int32_t to_exponent, int64_t *out)
{
    const int64_t limit = INT64_C(1000000000000000000);
    int64_t x = d.digits;
    int32_t up = d.exponent - to_exponent;
    if (x != 0 && up < 0)
        return false; /* digits has no trailing zero to give */
    for (; up > 0 && x != 0; up--)
        if (__builtin_mul_overflow(x, (int64_t)10, &x))
            return false;
    if (x >= limit || x <= -limit)
        return false;
    *out = x;
    return true;
}

long double sky__decimal_value(sky__decimal d)
{
    /* 10^27 is the largest power of ten that a 64-bit significand holds; one rounding each way. */
    long double x = (long double)d.digits;
    return d.exponent < 0 ? x / powl(10.0L, -d.exponent) : x * powl(10.0L, d.exponent);
}
