#include "base/buf.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sky_buf_free(sky_buf *b)
{
    free(b->data);
    *b = (sky_buf){0};
}

void sky_buf_reset(sky_buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = 0;
}

bool sky_buf_ok(const sky_buf *b)
{
    return !b->failed;
}

const char *sky_buf_str(const sky_buf *b)
{
    return b->data ? b->data : "";
}

char *sky_buf_detach(sky_buf *b)
{
    char *text = NULL;
    if (sky_buf_reserve(b, 0)) {
        text = b->data;
        b->data = NULL;
    }
    sky_buf_free(b);
    return text;
}

bool sky_buf_reserve(sky_buf *b, size_t more_bytes)
{
    if (b->failed)
        return false;
    if (b->data && more_bytes < b->cap - b->len)
        return true;
    enum { CAP_MIN = 64 };
    if (more_bytes >= SIZE_MAX / 2 - b->len)
        goto failed;
    size_t cap = b->cap < CAP_MIN ? CAP_MIN : b->cap;
    while (cap <= b->len + more_bytes)
        cap *= 2;
    char *data = realloc(b->data, cap);
    if (!data)
        goto failed;
    data[b->len] = 0;
    b->data = data;
    b->cap = cap;
    return true;
failed:
    b->failed = true;
    return false;
}

void sky_buf_add(sky_buf *b, const void *bytes, size_t len)
{
    if (len == 0 || !sky_buf_reserve(b, len))
        return;
    memcpy(b->data + b->len, bytes, len);
    b->len += len;
    b->data[b->len] = 0;
}

void sky_buf_puts(sky_buf *b, const char *text)
{
    sky_buf_add(b, text, strlen(text));
}

void sky_buf_putc(sky_buf *b, char c)
{
    sky_buf_add(b, &c, 1);
}

void sky_buf_printf(sky_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    sky_buf_vprintf(b, fmt, ap);
    va_end(ap);
}

void sky_buf_vprintf(sky_buf *b, const char *fmt, va_list ap)
{
    char small[256];
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(small, sizeof small, fmt, ap);
    if (len < 0) {
        b->failed = true;
    } else if ((size_t)len < sizeof small) {
        sky_buf_add(b, small, (size_t)len);
    } else if (sky_buf_reserve(b, (size_t)len)) {
        vsnprintf(b->data + b->len, (size_t)len + 1, fmt, again);
        b->len += (size_t)len;
    }
    va_end(again);
}

/* The length of the well-formed UTF-8 sequence at s (Unicode 15, table 3-7), 0 if there is none. */
static size_t utf8_len(const unsigned char *s, size_t len)
{
    unsigned char c = s[0];
    if (c < 0x80)
        return 1;
    size_t need = c >= 0xc2 && c <= 0xdf   ? 2
                  : (c & 0xf0) == 0xe0     ? 3
                  : c >= 0xf0 && c <= 0xf4 ? 4
                                           : 0;
    if (need == 0 || need > len)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f)) /* overlong; surrogates */
        return 0;
    if ((c == 0xf0 && s[1] < 0x90) || (c == 0xf4 && s[1] > 0x8f)) /* overlong; beyond U+10FFFF */
        return 0;
    return need;
}

static void json_char(sky_buf *b, unsigned char c)
{
    static const char named[] = "\"\\\b\f\n\r\t";
    static const char letter[] = "\"\\bfnrt";
    const char *at = c ? strchr(named, c) : NULL;
    if (at)
        sky_buf_add(b, (char[]){'\\', letter[at - named]}, 2);
    else if (c < 0x20 || c == 0x7f)
        sky_buf_printf(b, "\\u%04x", c);
    else
        sky_buf_putc(b, (char)c);
}

void sky_buf_json_string_n(sky_buf *b, const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    sky_buf_putc(b, '"');
    for (size_t i = 0; i < len;) {
        size_t run = i; /* plain characters are copied in one piece */
        while (run < len && s[run] >= 0x20 && s[run] < 0x7f && s[run] != '"' && s[run] != '\\')
            run++;
        sky_buf_add(b, s + i, run - i);
        i = run;
        if (i == len)
            break;
        size_t n = utf8_len(s + i, len - i);
        if (n == 1)
            json_char(b, s[i]);
        else if (n > 1)
            sky_buf_add(b, s + i, n);
        else
            sky_buf_puts(b, "\xef\xbf\xbd"); /* U+FFFD */
        i += n ? n : 1;
    }
    sky_buf_putc(b, '"');
}

void sky_buf_json_string(sky_buf *b, const char *text)
{
    sky_buf_json_string_n(b, text, strlen(text));
}

static void f64_finite(sky_buf *b, double x)
{
    char text[40];
    if (x == 0) {
        /* "-0" would come back as the integer 0, which has no sign. */
        sky_buf_puts(b, signbit(x) ? "-0.0" : "0");
        return;
    }
    if (fabs(x) < 1e15 && x == (double)(int64_t)x) {
        sky_buf_printf(b, "%lld", (long long)x);
        return;
    }
    /* 15 digits always survive the way there and back for normal numbers, and %g drops trailing
     * zeros; a subnormal holds fewer digits, so there the search begins at one. */
    int digits = fabs(x) < 2.2250738585072014e-308 ? 1 : 15;
    for (; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            break;
    }
    sky_buf_puts(b, text);
}

void sky_buf_f64(sky_buf *b, double x)
{
    if (isnan(x))
        sky_buf_puts(b, "nan");
    else if (isinf(x))
        sky_buf_puts(b, x < 0 ? "-inf" : "inf");
    else
        f64_finite(b, x);
}

void sky_buf_json_f64(sky_buf *b, double x)
{
    if (!isfinite(x))
        sky_buf_putc(b, '"');
    sky_buf_f64(b, x);
    if (!isfinite(x))
        sky_buf_putc(b, '"');
}

static void quoted(sky_buf *b, const char *text, char quote)
{
    sky_buf_putc(b, quote);
    for (const char *s = text; *s; s++) {
        if (*s == quote)
            sky_buf_putc(b, quote);
        sky_buf_putc(b, *s);
    }
    sky_buf_putc(b, quote);
}

void sky_buf_csv(sky_buf *b, const char *text)
{
    size_t len = strlen(text);
    /* Outer blanks are quoted too: some readers trim them. */
    bool blank_ends = len && (text[0] == ' ' || text[len - 1] == ' ');
    if (strpbrk(text, "\",\r\n") || blank_ends)
        quoted(b, text, '"');
    else
        sky_buf_puts(b, text);
}

void sky_buf_sql_name(sky_buf *b, const char *name)
{
    quoted(b, name, '"');
}

void sky_buf_sql_text(sky_buf *b, const char *text)
{
    quoted(b, text, '\'');
}

void sky_buf_shell_word(sky_buf *b, const char *text)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=.,:/+-@%";
    if (text[0] && strspn(text, plain) == strlen(text)) {
        sky_buf_puts(b, text);
        return;
    }
    sky_buf_putc(b, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            sky_buf_puts(b, "'\\''");
        else
            sky_buf_putc(b, *text);
    }
    sky_buf_putc(b, '\'');
}
