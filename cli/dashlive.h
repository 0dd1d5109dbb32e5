/* The dashboard inside a command: its options, and what it may know of a coordinator. */
#ifndef SKY_CLI_DASHLIVE_H
#define SKY_CLI_DASHLIVE_H

#include <uv.h>

#include "cli/cli.h"
#include "coordinator/coordinator.h"
#include "dash/dash.h"

#define CLI_OPT_TOKEN_FILE                                                                         \
    {                                                                                              \
        .name = "token-file", .type = CLI_FILE, .arg = "FILE", .env = "SKYLINE_TOKEN_FILE",        \
        .doc = "A file with the dashboard's token in its first line; made if there is none. Who "  \
               "has the token may pause, resume, cancel, retry and change priorities; an address " \
               "beyond this machine lets in nobody else, not even to read."                        \
    }
#define CLI_OPT_DASH                                                                               \
    {                                                                                              \
        .name = "dash", .type = CLI_TEXT, .arg = "ADDRESS",                                        \
        .doc = "Serve the dashboard too, such as 127.0.0.1:7744 (port 0: any free one)."           \
    }

/* Opens the dashboard of --dash and --token-file; without --dash *out stays NULL. The coordinator is
 * borrowed until the dashboard is closed. */
sky_err cli_dash_open(sky_dash **out, const cli_args *a, uv_loop_t *loop, const char *db,
                      sky_coordinator *coordinator, sky_error *e);

/* Reads the token of --token-file, making the file if it is not there. "" without that option. */
sky_err cli_dash_token(const cli_args *a, char *out, size_t len, sky_error *e);
/* `skyline eval ...` of a trial, for sky_dash_source. */
bool cli_dash_again(const char *plan, uint64_t trial, sky_buf *out);

#endif
