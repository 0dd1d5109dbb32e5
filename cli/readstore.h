/* Reading commands: a store opened for reading, rows printed in four formats. */
#ifndef SKY_CLI_READSTORE_H
#define SKY_CLI_READSTORE_H

#include <sqlite3.h>

#include "cli/cli.h"
#include "store/store.h"

typedef enum cli_format { CLI_TABLE, CLI_CSV, CLI_JSON, CLI_JSONL } cli_format;
extern const char *const cli_format_names[]; /* for CLI_CHOICE */

#define CLI_OPT_FORMAT                                                                             \
    {                                                                                              \
        .name = "format", .type = CLI_CHOICE, .arg = "FORMAT", .choices = cli_format_names,        \
        .def = "table",                                                                            \
        .doc = "table (numbers rounded to 6 digits), csv, json (one list) or jsonl (one object a " \
               "line)."                                                                            \
    }

/* --format, or json where --json was given. */
cli_format cli_format_of(const cli_args *a);

/* Opens --db for reading; a mistake is told and gives false. */
bool cli_store_read(const cli_args *a, sky_store **out);
/* The sweep's data; a mistake is told and gives false. */
bool cli_store_sweep(const cli_args *a, sky_store *s, const char *name, sky_sweep_info *out);

/* Prints all rows of a statement to standard output as they come (a table, whose widths need all rows, at
 * most rows_max of them; 0: all). *n (may be NULL) counts them; for a table also those not shown. */
sky_err cli_rows_print(sqlite3_stmt *q, cli_format format, uint64_t rows_max, uint64_t *n,
                       sky_error *e);

#endif
