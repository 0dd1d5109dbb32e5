/* Systolic arrays, register by register and cycle by cycle: the oracle of hw/systolic.c and
 * hw/flexsa.c.
 *
 * It knows no formula of theirs. A controller at the corner decides by what it sees (is the shadow
 * register of my first PE free, has the last row of the stream entered), its decisions travel
 * through the array with the data, and two values that meet in one register are a hazard. The
 * numbers are really multiplied, so that a wrong schedule also shows as a wrong product. */
#ifndef SKY_TESTS_HW_ARRAY_SIM_H
#define SKY_TESTS_HW_ARRAY_SIM_H

#include <stdbool.h>
#include <stdint.h>

/* One tile: C (m,n) += A (m,k) B (k,n), where B rests (sim_resting) or C rests (sim_output). */
typedef struct sim_tile {
    int m, n, k;
    const int64_t *a, *b;
    int64_t *c;
    int lda, ldb, ldc; /* elements from one row to the next */
    /* FlexSA's modes: cut the array between its upper and lower, its left and right half. Each part
     * gets the same B and its own share of A's rows, the first parts the larger shares. */
    bool cut_rows, cut_cols;
} sim_tile;

typedef struct sim_result {
    int64_t cycles;
    const char *hazard; /* NULL: none */
} sim_result;

/* B tiles rest, double-buffered: the next one loads while the present one computes. wide: a row of B has
 * a bus of its own, so that a tile loads in one cycle; else it shifts in, a row a cycle. */
sim_result sim_resting(int rows, int cols, const sim_tile *tiles, int n_tiles, bool wide);

/* The same array without double buffering: a tile's load begins when the last result of the tile
 * before has left, every load takes `rows` cycles, and a tile is over when a full-width tile would
 * be. */
sim_result sim_resting_exposed(int rows, int cols, const sim_tile *tiles, int n_tiles);

/* C tiles rest; results move to a second register and leave downwards while the next tile computes.
 * early: the controller is one cycle too hasty from the second tile on, which must be a hazard
 * wherever the results, not the streams, set the pace. */
sim_result sim_output(int rows, int cols, const sim_tile *tiles, int n_tiles, bool early);

/* The same without overlap, and without counting how results leave. */
sim_result sim_output_exposed(int rows, int cols, const sim_tile *tiles, int n_tiles);

#endif
