#include "hw/gpu.h"

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

extern const char sky__gpus_csv[]; /* hw/data/gpus.csv, as hw/CMakeLists.txt embeds it */

typedef struct field {
    const char *name;
    size_t offset;
    double least, most;
} field;

static const field fields[] = {
#define FIELD(name, least, most) {#name, offsetof(sky_gpu, name), (least), (most)},
    SKY_GPU_FIELD_MAP(FIELD)
#undef FIELD
};
enum { N_FIELDS = sizeof fields / sizeof *fields, COLUMNS = 4, LINE_MAX_BYTES = 1024 };
_Static_assert(N_FIELDS <= 32, "a set of fields is a uint32_t");

static const field *find_field(const char *name)
{
    for (size_t i = 0; i < N_FIELDS; i++)
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

/* Equal but for the case of letters and for blanks. */
static bool same_name(const char *a, const char *b)
{
    for (;; a++, b++) {
        while (*a == ' ')
            a++;
        while (*b == ' ')
            b++;
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
        if (!*a)
            return true;
    }
}

/* --- parsing --- */

typedef struct reader {
    const char *path;
    int line;
    sky_gpu *gpus;
    size_t n;
    uint32_t seen; /* fields of the last GPU */
    sky_error *e;
} reader;

static char *trim(char *text)
{
    while (*text == ' ' || *text == '\t')
        text++;
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r", text[len - 1]))
        text[--len] = 0;
    return text;
}

/* The last GPU has all of its fields. */
static sky_err check_whole(const reader *r)
{
    if (r->n == 0)
        return SKY_OK;
    for (size_t i = 0; i < N_FIELDS; i++) {
        if (!(r->seen & (UINT32_C(1) << i)))
            return sky_fail(r->e, SKY_EFORMAT, "%s:%d: GPU '%s' lacks the field %s", r->path,
                            r->line, r->gpus[r->n - 1].name, fields[i].name);
    }
    return SKY_OK;
}

static sky_err begin_gpu(reader *r, const char *name)
{
    sky_err err = check_whole(r);
    if (err != SKY_OK)
        return err;
    const size_t len = strlen(name);
    if (len == 0 || len > SKY_GPU_NAME_MAX)
        return sky_fail(r->e, SKY_EFORMAT, "%s:%d: gpu: a name of 1 to %d bytes was expected",
                        r->path, r->line, SKY_GPU_NAME_MAX);
    for (size_t i = 0; i < r->n; i++) {
        if (same_name(r->gpus[i].name, name))
            return sky_fail(r->e, SKY_EFORMAT, "%s:%d: GPU '%s' is there twice", r->path, r->line,
                            name);
    }
    if (r->n == SKY_GPUS_MAX)
        return sky_fail(r->e, SKY_ELIMIT, "%s:%d: more than %d GPUs", r->path, r->line,
                        SKY_GPUS_MAX);
    sky_gpu *more = realloc(r->gpus, (r->n + 1) * sizeof *more);
    if (!more)
        return sky_fail(r->e, SKY_ENOMEM, "%s: %s", r->path, sky_strerror(SKY_ENOMEM));
    r->gpus = more;
    r->gpus[r->n] = (sky_gpu){0};
    memcpy(r->gpus[r->n].name, name, len + 1);
    r->n++;
    r->seen = 0;
    return SKY_OK;
}

static sky_err set_field(reader *r, const char *name, const char *value, const char *source)
{
    const field *f = find_field(name);
    if (!f) {
        const char *names[N_FIELDS];
        for (size_t i = 0; i < N_FIELDS; i++)
            names[i] = fields[i].name;
        const char *near = sky_nearest(name, names, N_FIELDS);
        return sky_fail(r->e, SKY_EFORMAT, "%s:%d: there is no field '%s'%s%s%s", r->path, r->line,
                        name, near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
    }
    const uint32_t bit = UINT32_C(1) << (f - fields);
    if (r->seen & bit)
        return sky_fail(r->e, SKY_EFORMAT, "%s:%d: %s is given twice", r->path, r->line, name);
    double number;
    if (sky_parse_f64(value, &number) != SKY_OK || !(f->least <= number && number <= f->most))
        return sky_fail(r->e, SKY_EFORMAT,
                        "%s:%d: %s: a number from %g to %g was expected, not '%s'", r->path,
                        r->line, name, f->least, f->most, value);
    if (!source[0])
        return sky_fail(r->e, SKY_EFORMAT, "%s:%d: %s: a source was expected (or 'assumed: ...')",
                        r->path, r->line, name);
    r->seen |= bit;
    memcpy((char *)&r->gpus[r->n - 1] + f->offset, &number, sizeof number);
    return SKY_OK;
}

static sky_err read_line(reader *r, char *line)
{
    char *text = trim(line);
    if (!text[0] || text[0] == '#')
        return SKY_OK;
    char *column[COLUMNS] = {text};
    for (int i = 1; i < COLUMNS; i++) { /* the source is the rest of the line, commas and all */
        char *comma = strchr(column[i - 1], ',');
        if (!comma)
            return sky_fail(r->e, SKY_EFORMAT, "%s:%d: expected gpu,field,value,source", r->path,
                            r->line);
        *comma = 0;
        column[i] = comma + 1;
    }
    for (int i = 0; i < COLUMNS; i++)
        column[i] = trim(column[i]);
    if (strcmp(column[0], "gpu") == 0 && strcmp(column[1], "field") == 0)
        return SKY_OK; /* the header; of each file, where several were put into one */
    if (r->n == 0 || strcmp(r->gpus[r->n - 1].name, column[0]) != 0) {
        sky_err err = begin_gpu(r, column[0]);
        if (err != SKY_OK)
            return err;
    }
    return set_field(r, column[1], column[2], column[3]);
}

sky_err sky_gpu_parse(const char *path, const char *text, sky_gpu **out, size_t *n, sky_error *e)
{
    assert(path && text && out && n);
    reader r = {.path = path, .e = e};
    sky_err err = SKY_OK;
    while (*text && err == SKY_OK) {
        const size_t len = strcspn(text, "\n");
        char line[LINE_MAX_BYTES + 1];
        r.line++;
        if (len > LINE_MAX_BYTES) {
            err = sky_fail(e, SKY_ELIMIT, "%s:%d: a line of more than %d bytes", path, r.line,
                           LINE_MAX_BYTES);
            break;
        }
        memcpy(line, text, len);
        line[len] = 0;
        err = read_line(&r, line);
        text += len + (text[len] == '\n');
    }
    if (err == SKY_OK)
        err = check_whole(&r);
    if (err == SKY_OK && r.n == 0)
        err = sky_fail(e, SKY_EFORMAT, "%s: no GPU in it", path);
    if (err != SKY_OK) {
        free(r.gpus);
        return err;
    }
    *out = r.gpus;
    *n = r.n;
    return SKY_OK;
}

/* --- the catalogue --- */

size_t sky_gpu_list(const sky_gpu **out)
{
    static sky_gpu *gpus; /* lives as long as the program */
    static size_t n;
    if (!gpus) {
        sky_error e = {0};
        const sky_err err = sky_gpu_parse("gpus.csv", sky__gpus_csv, &gpus, &n, &e);
        assert(err == SKY_OK || err == SKY_ENOMEM); /* a test reads the whole file */
        (void)err;
    }
    *out = gpus;
    return n;
}

static const sky_gpu *find_in(const sky_gpu *gpus, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (same_name(gpus[i].name, name))
            return &gpus[i];
    return NULL;
}

const sky_gpu *sky_gpu_find(const char *name)
{
    const sky_gpu *gpus;
    const size_t n = sky_gpu_list(&gpus);
    return find_in(gpus, n, name);
}

static sky_err unknown(const char *where, const sky_gpu *gpus, size_t n, const char *name,
                       sky_error *e)
{
    char list[512] = "";
    size_t len = 0;
    for (size_t i = 0; i < n && len < sizeof list - SKY_GPU_NAME_MAX - 3; i++)
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", i ? ", " : "", gpus[i].name);
    return sky_fail(e, SKY_ENOTFOUND, "gpu: there is no '%.100s' in %s (%s); a file ends in .csv",
                    name, where, list);
}

/* Where the ".csv" is that ends the name of a file; NULL if there is none. */
static const char *file_end(const char *spec)
{
    const char *csv = strstr(spec, ".csv");
    while (csv && csv[4] != 0 && csv[4] != ':')
        csv = strstr(csv + 1, ".csv");
    return csv;
}

bool sky_gpu_is_file(const char *spec)
{
    return file_end(spec) != NULL;
}

sky_err sky_gpu_resolve(const char *spec, const char *folder, sky_gpu *out, sky_error *e)
{
    const char *csv = file_end(spec);
    if (!csv) {
        const sky_gpu *gpus, *found = sky_gpu_find(spec);
        if (!found) {
            const size_t n = sky_gpu_list(&gpus);
            return unknown("the catalogue", gpus, n, spec, e);
        }
        *out = *found;
        return SKY_OK;
    }
    const char *name = csv[4] == ':' ? csv + 5 : "";
    const char *base = folder && folder[0] && spec[0] != '/' ? folder : "";
    char path[4096];
    const int len = snprintf(path, sizeof path, "%s%s%.*s", base, base[0] ? "/" : "",
                             (int)(csv + 4 - spec), spec);
    if (len < 0 || (size_t)len >= sizeof path)
        return sky_fail(e, SKY_ELIMIT, "gpu: the path is too long");
    char *text = NULL;
    size_t n = 0;
    sky_gpu *gpus = NULL;
    sky_err err = sky_read_file(path, SKY_GPU_FILE_BYTES_MAX, &text, NULL, e);
    if (err == SKY_OK)
        err = sky_gpu_parse(path, text, &gpus, &n, e);
    if (err == SKY_OK) {
        const sky_gpu *found = name[0] ? find_in(gpus, n, name) : gpus;
        if (found)
            *out = *found;
        else
            err = unknown(path, gpus, n, name, e);
    }
    free(gpus);
    free(text);
    return err;
}
