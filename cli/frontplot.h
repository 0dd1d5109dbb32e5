/* A front's picture: all points of the sweep, as a cloud around it. */
#ifndef SKY_CLI_FRONTPLOT_H
#define SKY_CLI_FRONTPLOT_H

#include "cli/plot.h"
#include "store/fronts.h"
#include "sweeps/plan.h"

typedef struct cli_frontplot {
    cli_plot plot;
    cli_axis axes[SKY_OBJECTIVES_MAX];
    double *columns[SKY_OBJECTIVES_MAX];
    uint8_t *on_front;
} cli_frontplot;

/* Loads what is to be drawn: feasible trials, or (as the front) the means of points. infeasible:
 * also what violates a constraint. Free with cli_frontplot_free(), also after an error. */
sky_err cli_frontplot_load(cli_frontplot *f, sky_fronts *fronts, const sky_plan *plan,
                           bool infeasible, sky_error *e);
void cli_frontplot_free(cli_frontplot *f);

#endif
