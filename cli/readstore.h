/* Reading commands: a store opened for reading, rows written to standard output. */
#ifndef SKY_CLI_READSTORE_H
#define SKY_CLI_READSTORE_H

#include "cli/cli.h"
#include "store/export.h"
#include "store/store.h"

extern const char *const cli_format_names[]; /* for CLI_CHOICE */

#define CLI_OPT_FORMAT                                                                             \
    {                                                                                              \
        .name = "format", .type = CLI_CHOICE, .arg = "FORMAT", .choices = cli_format_names,        \
        .def = "table", .doc = "table, csv, json (one list) or jsonl (one object a line)."         \
    }
#define CLI_OPT_JSON_FORMAT                                                                        \
    {                                                                                              \
        .name = "json", .doc = "The same as --format json."                                        \
    }

/* For tables that show so many rows unless asked for more; and for those that show all. */
#define CLI_OPT_LIMIT(rows)                                                                        \
    {                                                                                              \
        .name = "limit", .letter = 'n', .type = CLI_INT, .arg = "N", .min = 0, .max = INT64_MAX,   \
        .doc = "At most so many rows; 0: all. Default: " rows " in a table, all in other formats." \
    }
#define CLI_OPT_LIMIT_ALL                                                                          \
    {                                                                                              \
        .name = "limit", .letter = 'n', .type = CLI_INT, .arg = "N", .def = "0", .min = 0,         \
        .max = INT64_MAX, .doc = "At most so many rows; 0: all."                                   \
    }

/* --format, or json where --json was given. */
sky_format cli_format_of(const cli_args *a);

/* Opens --db for reading; a mistake is told and gives false. */
bool cli_store_read(const cli_args *a, sky_store **out);
/* The sweep's data; a mistake is told and gives false. */
bool cli_store_sweep(const cli_args *a, sky_store *s, const char *name, sky_sweep_info *out);

/* Options to write rows to standard output: the format, the terminal's width for a table, and at
 * most --limit rows (table_rows of a table where the command line does not say). */
sky_export_options cli_export_options(const cli_args *a, uint64_t table_rows);
/* The exit code of an export, with its error told: wrong SQL or names are wrong use; a reader
 * that has gone is no error. Says on standard error where a table stopped at its default number
 * of rows. */
int cli_export_end(const cli_args *a, const sky_export_options *o, sky_err err, uint64_t rows,
                   const sky_error *e);

#endif
