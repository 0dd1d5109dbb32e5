/* What the job says of a sweep's points before any of them runs: validate(), check_inputs(), bytes_needed(). */
#ifndef SKY_CLI_PRECHECK_H
#define SKY_CLI_PRECHECK_H

#include "cli/cli.h"
#include "sweeps/plan.h"

enum {
    /* All points of a sweep that has no more than these. Of a larger one, half of them from the
     * beginning and half at random: an axis that varies slowly is seen, too. */
    CLI_PRECHECK_MAX = 1000,
};

typedef struct cli_precheck {
    uint64_t checked, refused;
    uint64_t first;  /* the first trial refused */
    char place[512]; /* "file:line:column" of the value that the job names; "": none alone */
    char why[SKY_ERROR_TEXT_MAX];
    /* The largest bound of a point's memory, and that point's trial; 0: the job knows none. */
    uint64_t bytes_needed, bytes_trial;
} cli_precheck;

/* Asks the job; `where` leaves points out. The plan's job must be known here. */
sky_err cli_precheck_plan(const sky_plan *plan, cli_precheck *out, sky_error *e);
/* One line to standard error: what the job refuses. Returns CLI_USAGE. */
int cli_precheck_tell(const cli_args *a, const cli_precheck *c);
/* A warning where a point may take more memory than the sweep's limit, at which its executor would be ended. */
void cli_precheck_warn(const sky_plan *plan, const cli_precheck *c);
/* All of it, for `run` and `submit`: CLI_OK, or the exit code after an error was told. */
int cli_precheck_run(const cli_args *a, const sky_plan *plan);

#define CLI_OPT_UNCHECKED                                                                          \
    {                                                                                              \
        .name = "unchecked",                                                                       \
        .doc = "Begin even if the job refuses points or cannot read a file that they name; their " \
               "trials then fail."                                                                 \
    }

#endif
