/* Parsing of numbers, sizes and durations, and small helps for clear messages. */
#ifndef SKY_BASE_TEXT_H
#define SKY_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Each parses the whole of text (no blanks around, nothing after it), and returns SKY_EFORMAT (not
 * a number) or SKY_ELIMIT (out of range) with *out untouched. Locale-independent. */
sky_err sky_parse_i64(const char *text, int64_t *out);
sky_err sky_parse_u64(const char *text, uint64_t *out);
sky_err sky_parse_f64(const char *text, double *out); /* also inf, -inf; never nan */
sky_err sky_parse_bool(const char *text, bool *out);  /* true, false, yes, no, on, off, 1, 0 */
/* "2GiB", "512 MiB", "1.5kB", "4096": bytes. Decimal (kB, MB, ...) and binary (KiB, ...) units. */
sky_err sky_parse_bytes(const char *text, uint64_t *out);
/* "60s", "1.5h", "250ms", "2m", "1d", "90": nanoseconds; a bare number is seconds. */
sky_err sky_parse_duration(const char *text, int64_t *ns_out);

/* Text for a person: "1.5 GiB", "2m 05s", "1,234,567", "12.3k". buf is filled and returned. */
char *sky_format_bytes(uint64_t bytes, char *buf, size_t len);
char *sky_format_duration(double seconds, char *buf, size_t len);
char *sky_format_count(uint64_t n, char *buf, size_t len);
/* 3 significant digits with a prefix: k, M, G, T, m, u, n, ... */
char *sky_format_si(double x, char *buf, size_t len);

/* The word of list nearest to word (Damerau-Levenshtein distance at most a third of its length, at
 * least 1), or NULL: for "did you mean". list has n words. */
const char *sky_nearest(const char *word, const char *const *list, size_t n);

/* True for [A-Za-z_][A-Za-z0-9_]*, at most 63 bytes: what a parameter or metric may be called. */
bool sky_is_identifier(const char *text);
/* True for a sweep's name: [A-Za-z0-9][A-Za-z0-9._-]*, at most 100 bytes, not beginning with sky_
 * or sqlite_ in any case. */
bool sky_is_sweep_name(const char *text);

char *sky_strdup(const char *text); /* NULL in gives NULL */
/* Whole file into *out (caller frees, NUL-terminated); SKY_ELIMIT if it is longer than len_max. */
sky_err sky_read_file(const char *path, size_t len_max, char **out, size_t *len_out, sky_error *e);

#endif
