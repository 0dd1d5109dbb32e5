#include "hw/rows.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

void sky__rows_init(sky__rows *r, const char *path, const char *text, size_t len, char separator,
                    sky_error *e)
{
    static const char mark[] = "\xef\xbb\xbf"; /* spreadsheets put it before a CSV */
    *r = (sky__rows){.path = path, .at = text, .end = text + len, .separator = separator, .e = e};
    if (len >= 3 && memcmp(text, mark, 3) == 0)
        r->at += 3;
}

sky_err sky__rows_fail(sky__rows *r, size_t i, sky_err code, const char *fmt, ...)
{
    char text[SKY_ERROR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    int32_t column = 1;
    if (i < r->n_fields && i < SKY__ROW_FIELDS_MAX) {
        column = r->field[i].column;
    } else if (r->n_fields > 0) {
        size_t last = r->n_fields < SKY__ROW_FIELDS_MAX ? r->n_fields : SKY__ROW_FIELDS_MAX;
        const sky__field *f = &r->field[last - 1];
        column = f->column + (int32_t)f->len;
    }
    r->err = code;
    return sky_fail(r->e, code, "%s:%d:%d: %s", r->path, r->line > 0 ? r->line : 1, column, text);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void add_field(sky__rows *r, const char *line, const char *begin, const char *end)
{
    while (begin < end && is_blank(*begin))
        begin++;
    while (end > begin && is_blank(end[-1]))
        end--;
    if (r->n_fields < SKY__ROW_FIELDS_MAX) {
        r->field[r->n_fields] = (sky__field){
            .s = begin, .len = (size_t)(end - begin), .column = (int32_t)(begin - line) + 1};
    }
    r->n_fields++;
}

static void split(sky__rows *r, const char *line, const char *end)
{
    r->n_fields = 0;
    const char *begin = line;
    if (r->separator == ',') {
        const char *comma;
        while ((comma = memchr(begin, ',', (size_t)(end - begin)))) {
            add_field(r, line, begin, comma);
            begin = comma + 1;
        }
        const char *rest = begin;
        while (rest < end && is_blank(*rest))
            rest++;
        if (rest < end || r->n_fields == 0) /* SCALE-Sim's rows end with a comma */
            add_field(r, line, begin, end);
        return;
    }
    while (begin < end) {
        while (begin < end && is_blank(*begin))
            begin++;
        const char *stop = begin;
        while (stop < end && !is_blank(*stop))
            stop++;
        if (stop > begin)
            add_field(r, line, begin, stop);
        begin = stop;
    }
}

bool sky__rows_next(sky__rows *r)
{
    while (r->err == SKY_OK && r->at < r->end) {
        const char *line = r->at;
        const char *end = memchr(line, '\n', (size_t)(r->end - line));
        r->at = end ? end + 1 : r->end;
        if (!end)
            end = r->end;
        r->line++;
        r->n_fields = 0;
        if (end > line && end[-1] == '\r')
            end--;
        if (end - line > SKY__ROW_BYTES_MAX) {
            sky__rows_fail(r, 0, SKY_ELIMIT, "a line of more than %d bytes", SKY__ROW_BYTES_MAX);
            return false;
        }
        for (const char *s = line; s < end; s++) {
            if ((unsigned char)*s < ' ' && *s != '\t') {
                r->err = sky_fail(r->e, SKY_EFORMAT, "%s:%d:%d: a control character (%d)", r->path,
                                  r->line, (int)(s - line) + 1, *s);
                return false;
            }
        }
        const char *first = line;
        while (first < end && is_blank(*first))
            first++;
        if (first == end || *first == '#')
            continue;
        split(r, line, end);
        return true;
    }
    r->n_fields = 0; /* a message about what is missing points at the last line */
    return false;
}

bool sky__field_is(const sky__field *f, const char *text)
{
    return strlen(text) == f->len && memcmp(f->s, text, f->len) == 0;
}

int sky__field_shown(const sky__field *f)
{
    enum { SHOWN_MAX = 60 };
    return f->len < SHOWN_MAX ? (int)f->len : SHOWN_MAX;
}

sky_err sky__rows_int(sky__rows *r, size_t i, const char *what, int64_t least, int64_t most,
                      int64_t *out)
{
    assert(i < SKY__ROW_FIELDS_MAX);
    if (i >= r->n_fields)
        return sky__rows_fail(r, i, SKY_EFORMAT, "%s is missing", what);
    const sky__field *f = &r->field[i];
    char text[24]; /* longer than any int64_t */
    int64_t x = 0;
    sky_err err = SKY_EFORMAT;
    if (f->len < sizeof text) {
        memcpy(text, f->s, f->len);
        text[f->len] = 0;
        err = sky_parse_i64(text, &x);
    }
    if (err == SKY_EFORMAT)
        return sky__rows_fail(r, i, SKY_EFORMAT, "%s: an integer was expected, not '%.*s'", what,
                              sky__field_shown(f), f->s);
    if (err != SKY_OK || x < least || x > most)
        return sky__rows_fail(r, i, SKY_ELIMIT, "%s is %.*s, and must be from %lld to %lld", what,
                              sky__field_shown(f), f->s, (long long)least, (long long)most);
    *out = x;
    return SKY_OK;
}
