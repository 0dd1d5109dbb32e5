/* Decimal literals as integers times a power of ten. Ranges are computed from the digits that
 * the user wrote, not from doubles near them: 0.3 + 14 x 0.05 is exactly 1. */
#ifndef SKY_SWEEPS_DECIMAL_H
#define SKY_SWEEPS_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

typedef struct sky__decimal {
    int64_t digits;
    int32_t
        exponent; /* value = digits * 10^exponent; no trailing zeros in digits, but 0 is 0 x 10^0 */
    bool whole;   /* written without point and exponent */
} sky__decimal;

/* SKY_EFORMAT: not a decimal number; SKY_ELIMIT: more than 18 digits, or an exponent beyond
 * +-400. */
sky_err sky__decimal_parse(const char *text, sky__decimal *out);
/* digits * 10^(exponent - to_exponent) if that is a whole number of at most 18 digits. */
bool sky__decimal_scale(sky__decimal d, int32_t to_exponent, int64_t *out);
/* The number as a long double; within an ulp of it. */
long double sky__decimal_value(sky__decimal d);

#endif
