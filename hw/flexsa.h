/* FlexSA: one large systolic array that can work as smaller ones (Lym, Erez, arXiv 2004.13027).
 *
 * A *unit* is a square, weight-stationary array with double-buffered weights. A flexible unit has a cut
 * between its halves in both directions and picks a mode for each *wave* (one resting tile of k x n and
 * the m rows that stream past it), by the tile's size:
 *     FW   n > E/2, k > E/2   the whole array
 *     VSW  n <= E/2, k > E/2  two upright halves, the tile in both, half of the rows each
 *     HSW  n > E/2, k <= E/2  two flat halves, likewise
 *     ISW  n <= E/2, k <= E/2 four quarters, a quarter of the rows each
 * A rigid unit always works as FW. A product is cut greedily (the paper's algorithm 1): columns of at most
 * E, rows of at most stream_max, then depths of at most E, depths innermost: sums of one (n, m) block stay
 * in the output buffer.
 *
 * Time. Every PE lags behind the corner by its row + column, in every mode, so that modes follow each other
 * without a gap. With m_j the longest share of wave j's rows, in the corner's frame
 *     S_1 = k_1,   S_{j+1} = S_j + max(m_j, k_{j+1}),
 * and a part of the array at (row0, col0) with h rows that got m' > 0 rows ends at
 *     S_j + row0 + col0 + m' + h + n_j - 2.
 * The unit is done at the latest end: exact, against a simulator (tests/hw/flexsa_test.c).
 *
 * Traffic. The global buffer gives each wave its resting tile once (2 bytes an element; parts share it by
 * broadcast) and its rows once (2 bytes), and takes each block's sums once (4 bytes).
 *
 * What is ours, since the paper's text leaves it open, is listed in docs/papers/flexsa.md. */
#ifndef SKY_HW_FLEXSA_H
#define SKY_HW_FLEXSA_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/network.h"
#include "hw/systolic.h"

typedef enum sky_flexsa_mode {
    SKY_FW,
    SKY_VSW,
    SKY_HSW,
    SKY_ISW,
    SKY_FLEXSA_MODES
} sky_flexsa_mode;

/* The three products of a training step. */
typedef enum sky_phase { SKY_FORWARD, SKY_DGRAD, SKY_WGRAD, SKY_PHASES } sky_phase;

typedef struct sky_flexsa_unit {
    int32_t edge;       /* rows and columns; even if flexible */
    int32_t stream_max; /* rows that stream past one resting tile */
    bool flexible;
} sky_flexsa_unit;

/* --- one unit --- */

/* The mode of a wave on this unit. */
sky_flexsa_mode sky_flexsa_mode_of(const sky_flexsa_unit *u, int64_t n, int64_t k);

/* The wave as a tile of a chain: how long it streams, and when its last sum leaves. */
sky_systolic_tile sky_flexsa_wave(const sky_flexsa_unit *u, int64_t m, int64_t n, int64_t k);

typedef struct sky_flexsa_run {
    int64_t cycles;
    int64_t waves[SKY_FLEXSA_MODES];
    int64_t stationary_bytes, moving_bytes, output_bytes; /* between global buffer and unit */
    int64_t sum_bytes; /* read and written in the output buffer while sums build up */
} sky_flexsa_run;

/* A whole product on one unit, in closed form. m, n, k in [1, 2^31). */
sky_flexsa_run sky_flexsa_unit_run(const sky_flexsa_unit *u, sky_gemm g);

/* --- the machine --- */

typedef struct sky_flexsa_machine {
    sky_flexsa_unit unit;
    int32_t groups;     /* each with an equal slice of the global buffer */
    int32_t units;      /* in a group */
    int64_t gbuf_bytes; /* all of it */
    double clock_hz;
    double dram_bytes_per_s; /* INFINITY: ideal memory */
} sky_flexsa_machine;

typedef enum sky_flexsa_org {           /* groups and cores of an array with a given total edge */
                              SKY_1G1C, /* one rigid array */
                              SKY_1G4C, /* one group of four rigid arrays of half the edge */
                              SKY_4G4C, /* four groups of four rigid arrays of a quarter of the edge */
                              SKY_1G1F, /* one flexible array */
                              SKY_4G1F, /* four groups of one flexible array of half the edge */
                              SKY_FLEXSA_ORGS,
} sky_flexsa_org;

const char *sky_flexsa_org_name(sky_flexsa_org org);

/* An organisation at a total edge (a multiple of 4), with ratio * edge streaming rows per unit; global
 * buffer, clock and memory as in hw/constants.h. */
sky_flexsa_machine sky_flexsa_machine_of(sky_flexsa_org org, int32_t edge, int32_t ratio);

typedef struct sky_flexsa_cost {
    int64_t macs;   /* useful multiplications */
    int64_t cycles; /* of the arrays, with ideal memory */
    int64_t waves[SKY_FLEXSA_MODES];
    int64_t stationary_bytes, moving_bytes, output_bytes; /* global buffer, by operand */
    int64_t sum_bytes;                                    /* output buffers */
    int64_t dram_bytes;
    double time_s; /* the larger of computing and memory, product by product */
} sky_flexsa_cost;

/* The product of one phase: its size, for one group of the convolution. */
sky_gemm sky_flexsa_gemm(const sky_conv_shape *layer, int32_t batch, sky_phase phase);

/* What one phase of all layers of one shape costs (layer->count times layer->groups products). */
sky_flexsa_cost sky_flexsa_layer(const sky_flexsa_machine *m, const sky_conv_shape *layer,
                                 int32_t batch, sky_phase phase);
void sky_flexsa_cost_add(sky_flexsa_cost *sum, const sky_flexsa_cost *c);

/* Bytes between DRAM and chip of one product whose operands are a and b and whose result is c bytes
 * (c_wide while it is summed up), on a machine. The best of three schedules: keep a, b or c in half of
 * the global buffer, piece by piece, while the others stream through the other half. Groups share the
 * larger dimension of a (split_depth: of a and b), and each reads what it needs for itself. */
typedef struct sky_flexsa_tensors {
    int64_t a_bytes, b_bytes, c_bytes, c_wide_bytes;
    bool split_depth;
} sky_flexsa_tensors;
int64_t sky_flexsa_dram_bytes(const sky_flexsa_machine *m, const sky_flexsa_tensors *t);

typedef struct sky_flexsa_energy {
    double mac_j, lbuf_j, gbuf_j, dram_j;
} sky_flexsa_energy;
sky_flexsa_energy sky_flexsa_energy_of(const sky_flexsa_machine *m, const sky_flexsa_cost *c);

/* Useful multiplications over what all PEs could do in the time taken. */
double sky_flexsa_utilization(const sky_flexsa_machine *m, const sky_flexsa_cost *c);

#endif
