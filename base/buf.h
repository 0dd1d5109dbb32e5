/* A growable byte buffer that is always NUL-terminated, for building text and messages.
 *
 * An allocation failure is sticky: later appends do nothing, and sky_buf_ok() tells at the end, so
 * that a builder needs one check. Zero-initialise; free with sky_buf_free(). */
#ifndef SKY_BASE_BUF_H
#define SKY_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct sky_buf {
    char *data; /* NULL while empty; otherwise data[len] == 0 */
    size_t len;
    size_t cap;
    bool failed; /* an allocation failed; the content is incomplete */
} sky_buf;

void sky_buf_free(sky_buf *b);  /* frees the memory, leaves b zeroed */
void sky_buf_reset(sky_buf *b); /* empties, keeps the memory, clears failed */
bool sky_buf_ok(const sky_buf *b);
const char *sky_buf_str(const sky_buf *b); /* never NULL */
char *sky_buf_detach(sky_buf *b);          /* caller frees; NULL if failed; "" if empty */
/* Makes room for that many more; false if out of memory. */
bool sky_buf_reserve(sky_buf *b, size_t more_bytes);
void sky_buf_add(sky_buf *b, const void *bytes, size_t len);
void sky_buf_puts(sky_buf *b, const char *text);
void sky_buf_putc(sky_buf *b, char c);
void sky_buf_printf(sky_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sky_buf_vprintf(sky_buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* A JSON string with its quotes; invalid UTF-8 becomes U+FFFD, so that the output is always valid
 * JSON. */
void sky_buf_json_string(sky_buf *b, const char *text);
void sky_buf_json_string_n(sky_buf *b, const char *text, size_t len);
/* The shortest decimal that reads back as x. Infinities and NaN, which JSON lacks, become "inf",
 * "-inf" and "nan" in quotes. */
void sky_buf_json_f64(sky_buf *b, double x);
/* The same without quotes around inf and nan: for CSV and tables. */
void sky_buf_f64(sky_buf *b, double x);
/* One CSV field (RFC 4180), quoted where needed. */
void sky_buf_csv(sky_buf *b, const char *text);
/* A word quoted for SQL: "name" for identifiers (doubled quotes inside), 'text' for strings. */
void sky_buf_sql_name(sky_buf *b, const char *name);
void sky_buf_sql_text(sky_buf *b, const char *text);
/* A word for a POSIX shell, in single quotes where it needs them. */
void sky_buf_shell_word(sky_buf *b, const char *text);

#endif
