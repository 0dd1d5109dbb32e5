/* A job's breakdown (sky_job.details: CSV with a heading) as a table, as CSV or as JSON. */
#ifndef SKY_CLI_BREAKDOWN_H
#define SKY_CLI_BREAKDOWN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/export.h"

/* Rewrites csv and appends the result to out. In a table, columns of numbers stand to the right, and numbers
 * that are not whole have four digits; in JSON, a cell that is a number is one, an empty cell null.
 * width: of the terminal, 0: none. SKY_EFORMAT with the line for rows that do not fit the heading (a
 * plug-in's details may print anything), SKY_ENOMEM. */
sky_err cli_breakdown(const char *csv, size_t len, sky_format format, bool colour, int width,
                      sky_buf *out, sky_error *e);

#endif
