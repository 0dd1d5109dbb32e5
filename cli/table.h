/* Text tables for a terminal or a pipe: two blanks between columns, numbers to the right. */
#ifndef SKY_CLI_TABLE_H
#define SKY_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum { CLI_TABLE_COLUMNS_MAX = 1024 };

typedef struct cli_table {
    size_t n_columns, n_cells, cap;
    char **cells; /* row by row; the first n_columns are the heading */
    bool *right;  /* per column */
    bool failed;
} cli_table;

/* Cells are added row by row, the heading first. An allocation failure shows in
 * cli_table_print(). */
void cli_table_init(cli_table *t, size_t n_columns);
void cli_table_right(cli_table *t, size_t column); /* align to the right */
void cli_table_add(cli_table *t, const char *text);
void cli_table_addf(cli_table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The last column is cut to fit `width` columns where it is text; width 0: never. */
void cli_table_print(const cli_table *t, sky_buf *out, bool colour, int width);
void cli_table_free(cli_table *t);

#endif
