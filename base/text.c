#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

sky_err sky_parse_u64(const char *text, uint64_t *out)
{
    const char *s = text + (text[0] == '+');
    if (!*s)
        return SKY_EFORMAT;
    uint64_t x = 0;
    bool over = false;
    for (; *s; s++) {
        if (!is_digit(*s))
            return SKY_EFORMAT;
        over |= __builtin_mul_overflow(x, (uint64_t)10, &x);
        over |= __builtin_add_overflow(x, (uint64_t)(*s - '0'), &x);
    }
    if (over)
        return SKY_ELIMIT;
    *out = x;
    return SKY_OK;
}

sky_err sky_parse_i64(const char *text, int64_t *out)
{
    bool negative = text[0] == '-';
    if (negative && text[1] == '+')
        return SKY_EFORMAT;
    uint64_t x;
    sky_err err = sky_parse_u64(text + negative, &x);
    if (err != SKY_OK)
        return err;
    if (x > (uint64_t)INT64_MAX + negative)
        return SKY_ELIMIT;
    *out = negative ? (int64_t)-x : (int64_t)x;
    return SKY_OK;
}

/* The length of the decimal number at the start of text, 0 if there is none. Sign included. */
static size_t number_len(const char *text)
{
    const char *s = text + (text[0] == '+' || text[0] == '-');
    size_t digits = 0;
    for (; is_digit(*s); s++)
        digits++;
    if (*s == '.')
        for (s++; is_digit(*s); s++)
            digits++;
    if (digits == 0)
        return 0;
    if (*s == 'e' || *s == 'E') {
        const char *exponent = s + 1 + (s[1] == '+' || s[1] == '-');
        if (is_digit(*exponent)) {
            while (is_digit(*exponent))
                exponent++;
            s = exponent;
        }
    }
    return (size_t)(s - text);
}

sky_err sky_parse_f64(const char *text, double *out)
{
    bool negative = text[0] == '-';
    const char *word = text + (negative || text[0] == '+');
    if (strcasecmp(word, "inf") == 0 || strcasecmp(word, "infinity") == 0) {
        *out = negative ? -INFINITY : INFINITY;
        return SKY_OK;
    }
    size_t len = number_len(text);
    if (len == 0 || text[len])
        return SKY_EFORMAT;
    double x = strtod(text, NULL);
    if (isinf(x))
        return SKY_ELIMIT;
    *out = x;
    return SKY_OK;
}

sky_err sky_parse_bool(const char *text, bool *out)
{
    static const char *const words[2][4] = {{"false", "no", "off", "0"},
                                            {"true", "yes", "on", "1"}};
    for (int value = 0; value < 2; value++) {
        for (int i = 0; i < 4; i++) {
            if (strcasecmp(text, words[value][i]) == 0) {
                *out = value;
                return SKY_OK;
            }
        }
    }
    return SKY_EFORMAT;
}

/* Cuts "1.5 GiB" into a number and its unit ("" if none); at most one blank may stand between. */
static sky_err split_unit(const char *text, char number[64], const char **unit)
{
    size_t len = number_len(text);
    if (len == 0 || len >= 64)
        return SKY_EFORMAT;
    memcpy(number, text, len);
    number[len] = 0;
    *unit = text + len;
    if (**unit == ' ' && (*unit)[1])
        ++*unit;
    return SKY_OK;
}

/* number * scale, exact where number is whole; SKY_ELIMIT if it is negative or beyond max. */
static sky_err scaled(const char *number, uint64_t scale, uint64_t max, uint64_t *out)
{
    uint64_t whole;
    if (sky_parse_u64(number, &whole) == SKY_OK) {
        if (__builtin_mul_overflow(whole, scale, &whole) || whole > max)
            return SKY_ELIMIT;
        *out = whole;
        return SKY_OK;
    }
    double x;
    sky_err err = sky_parse_f64(number, &x);
    if (err != SKY_OK)
        return err;
    x = nearbyint(x * (double)scale);
    if (x < 0 || x >= 0x1p64 || (uint64_t)x > max)
        return SKY_ELIMIT;
    *out = (uint64_t)x;
    return SKY_OK;
}

sky_err sky_parse_bytes(const char *text, uint64_t *out)
{
    char number[64];
    const char *unit;
    sky_err err = split_unit(text, number, &unit);
    if (err != SKY_OK)
        return err;
    uint64_t scale = 1;
    if (*unit && strcasecmp(unit, "b") != 0) {
        static const char prefixes[] = "kmgtp";
        const char *prefix = strchr(prefixes, tolower((unsigned char)*unit));
        if (!prefix)
            return SKY_EFORMAT;
        const char *rest = unit + 1;
        bool binary = *rest == 'i' || *rest == 'I';
        rest += binary;
        if (*rest && strcasecmp(rest, "b") != 0)
            return SKY_EFORMAT;
        for (const char *p = prefixes; p <= prefix; p++)
            scale *= binary ? 1024 : 1000;
    }
    return scaled(number, scale, UINT64_MAX, out);
}

sky_err sky_parse_duration(const char *text, int64_t *ns_out)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {
        {"", 1000000000},
        {"s", 1000000000},
        {"ms", 1000000},
        {"us", 1000},
        {"ns", 1},
        {"m", 60000000000},
        {"min", 60000000000},
        {"h", 3600000000000},
        {"d", 86400000000000},
        {"sec", 1000000000},
    };
    char number[64];
    const char *unit;
    sky_err err = split_unit(text, number, &unit);
    if (err != SKY_OK)
        return err;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(unit, units[i].name) != 0)
            continue;
        uint64_t ns;
        err = scaled(number, units[i].ns, INT64_MAX, &ns);
        if (err == SKY_OK)
            *ns_out = (int64_t)ns;
        return err;
    }
    return SKY_EFORMAT;
}

char *sky_format_bytes(uint64_t bytes, char *buf, size_t len)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double x = (double)bytes;
    size_t i = 0;
    for (; x >= 1023.95 && i + 1 < sizeof units / sizeof *units; i++)
        x /= 1024;
    snprintf(buf, len, i == 0 ? "%.0f %s" : "%.1f %s", x, units[i]);
    return buf;
}

char *sky_format_duration(double seconds, char *buf, size_t len)
{
    if (isnan(seconds) || seconds < 0 || seconds > 1e12) {
        snprintf(buf, len, "?");
    } else if (seconds < 9.95) {
        if (seconds == 0)
            snprintf(buf, len, "0s");
        else if (seconds < 0.9995e-6)
            snprintf(buf, len, "%.3gns", seconds * 1e9);
        else if (seconds < 0.9995e-3)
            snprintf(buf, len, "%.3gus", seconds * 1e6);
        else if (seconds < 0.9995)
            snprintf(buf, len, "%.3gms", seconds * 1e3);
        else
            snprintf(buf, len, "%.1fs", seconds);
    } else {
        unsigned long long s = (unsigned long long)(seconds + 0.5);
        if (s < 60)
            snprintf(buf, len, "%llus", s);
        else if (s < 3600)
            snprintf(buf, len, "%llum %02llus", s / 60, s % 60);
        else if (s < 86400)
            snprintf(buf, len, "%lluh %02llum", s / 3600, s / 60 % 60);
        else
            snprintf(buf, len, "%llud %02lluh", s / 86400, s / 3600 % 24);
    }
    return buf;
}

char *sky_format_count(uint64_t n, char *buf, size_t len)
{
    char digits[24], text[32];
    int n_digits = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    size_t at = 0;
    for (int i = 0; i < n_digits; i++) {
        if (i > 0 && (n_digits - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = 0;
    snprintf(buf, len, "%s", text);
    return buf;
}

char *sky_format_si(double x, char *buf, size_t len)
{
    static const char *const prefixes[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
    int i = 3;
    double size = fabs(x);
    if (size == 0 || !isfinite(x) || size < 0.9995e-9 || size >= 999.5e18) {
        snprintf(buf, len, "%.3g", x);
        return buf;
    }
    for (; size >= 999.5; i++)
        size /= 1000;
    for (; size < 0.9995; i--)
        size *= 1000;
    int decimals = size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
    char number[32];
    snprintf(number, sizeof number, "%.*f", decimals, copysign(size, x));
    if (decimals) {
        char *end = number + strlen(number);
        while (end[-1] == '0')
            *--end = 0;
        if (end[-1] == '.')
            *--end = 0;
    }
    snprintf(buf, len, "%s%s", number, prefixes[i]);
    return buf;
}

enum { NEAREST_WORD_MAX = 63 };

/* Damerau-Levenshtein distance (optimal string alignment) without regard to case. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][NEAREST_WORD_MAX + 1]; /* this row and the two before it, by i % 3 */
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3], *above = rows[(i - 1) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            size_t best = above[j - 1] + (x != y);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]) && above2[j - 2] + 1 < best)
                best = above2[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[a_len % 3][b_len];
}

const char *sky_nearest(const char *word, const char *const *list, size_t n)
{
    size_t len = strlen(word);
    if (len == 0 || len > NEAREST_WORD_MAX)
        return NULL;
    size_t best = (len / 3 < 1 ? 1 : len / 3) + 1;
    const char *nearest = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t list_len = strlen(list[i]);
        if (list_len > NEAREST_WORD_MAX)
            continue;
        size_t d = distance(word, len, list[i], list_len);
        if (d < best) {
            best = d;
            nearest = list[i];
        }
    }
    return nearest;
}

bool sky_is_identifier(const char *text)
{
    if (!is_alpha(text[0]) && text[0] != '_')
        return false;
    size_t len = 1;
    for (; text[len]; len++)
        if (len >= 63 || (!is_alpha(text[len]) && !is_digit(text[len]) && text[len] != '_'))
            return false;
    return true;
}

bool sky_is_sweep_name(const char *text)
{
    if (!is_alpha(text[0]) && !is_digit(text[0]))
        return false;
    for (size_t len = 1; text[len]; len++)
        if (len >= 100 ||
            (!is_alpha(text[len]) && !is_digit(text[len]) && !strchr("._-", text[len])))
            return false;
    return strncasecmp(text, "sky_", 4) != 0 && strncasecmp(text, "sqlite_", 7) != 0;
}

char *sky_strdup(const char *text)
{
    return text ? strdup(text) : NULL;
}

/* Reads fd to its end, which a size of the file would not tell for pipes and /proc. */
static sky_err read_all(int fd, size_t len_max, char **out, size_t *len_out)
{
    sky_err err = SKY_OK;
    size_t cap = 4096, len = 0;
    char *data = malloc(cap);
    if (!data)
        return SKY_ENOMEM;
    for (;;) {
        if (len + 1 == cap) {
            char *more = realloc(data, cap *= 2);
            if (!more) {
                err = SKY_ENOMEM;
                goto done;
            }
            data = more;
        }
        ssize_t n = read(fd, data + len, cap - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err = SKY_EIO;
            goto done;
        }
        if (n == 0)
            break;
        len += (size_t)n;
        if (len > len_max) {
            err = SKY_ELIMIT;
            goto done;
        }
    }
    data[len] = 0;
    *out = data;
    data = NULL;
    if (len_out)
        *len_out = len;
done:
    free(data);
    return err;
}

sky_err sky_read_file(const char *path, size_t len_max, char **out, size_t *len_out, sky_error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return sky_fail_errno(e, errno, "cannot open '%s'", path);
    sky_err err = read_all(fd, len_max, out, len_out);
    if (err == SKY_EIO)
        err = sky_fail_errno(e, errno, "cannot read '%s'", path);
    else if (err == SKY_ELIMIT)
        sky_fail(e, err, "'%s' is longer than the limit of %zu bytes", path, len_max);
    else if (err != SKY_OK)
        sky_fail(e, err, "cannot read '%s': %s", path, sky_strerror(err));
    close(fd);
    return err;
}
