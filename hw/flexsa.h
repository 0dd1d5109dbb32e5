/* FlexSA: one large systolic array that can work as smaller ones (Lym, Erez, arXiv 2004.13027).
 *
 * A *unit* is a weight-stationary array of R x C PEs with double-buffered weights. A flexible unit has a cut
 * between its halves in both directions and picks a mode for each *wave* (one resting tile of k x n and
 * the m rows that stream past it), by the tile's size:
 *     FW   n > C/2, k > R/2   the whole array
 *     VSW  n <= C/2, k > R/2  two upright halves, the tile in both, half of the rows each
 *     HSW  n > C/2, k <= R/2  two flat halves, likewise
 *     ISW  n <= C/2, k <= R/2 four quarters, a quarter of the rows each
 * A rigid unit always works as FW. The paper's algorithm 1 cuts a product greedily: columns of at most C,
 * rows of at most stream_max, then depths of at most R, depths innermost: sums of one (n, m) block stay
 * in the output buffer. Other tilings: sky_flexsa_tiling.
 *
 * Time. Every PE lags behind the corner by its row + column, in every mode, so that modes follow each other
 * without a gap. With m_j the longest share of wave j's rows, l_j the cycles in which its tile loads (k_j: a
 * row a cycle; 1 with wide_load), in the corner's frame
 *     S_1 = l_1,   S_{j+1} = S_j + max(m_j, l_{j+1}),
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

#include "base/err.h"
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

/* Where an array can be cut in two. */
enum {
    SKY_CUT_COLS = 1, /* between its left and right half */
    SKY_CUT_ROWS = 2, /* between its upper and lower half */
    SKY_CUT_BOTH = 3, /* flexible; 0: rigid */
};

typedef struct sky_flexsa_unit {
    int32_t rows, cols; /* of PEs; even where the unit can be cut */
    int32_t stream_max; /* rows that stream past one resting tile */
    uint8_t cuts;
    bool
        wide_load; /* a resting tile loads in one cycle, not a row a cycle: no stream is too short */
} sky_flexsa_unit;

/* --- one unit --- */

/* The mode of a wave on this unit. */
sky_flexsa_mode sky_flexsa_mode_of(const sky_flexsa_unit *u, int64_t n, int64_t k);

/* The wave as a tile of a chain: how long it streams, and when its last sum leaves. */
sky_systolic_tile sky_flexsa_wave(const sky_flexsa_unit *u, int64_t m, int64_t n, int64_t k);

/* How a unit cuts a product. Edges are cut into pieces of the given size and a rest, which comes last. */
typedef struct sky_flexsa_tiling {
    int32_t m, n, k; /* sizes of pieces: at most the unit's stream_max, cols, rows; at least 1 */
    uint8_t cuts;    /* those of the unit's that its modes may use */
    bool m_outer;    /* blocks row after row; else column after column. Depths are innermost */
    bool swapped;    /* compute C' = B' A': m and n (of the product and above) change places */
} sky_flexsa_tiling;

/* The paper's algorithm 1. */
sky_flexsa_tiling sky_flexsa_greedy(const sky_flexsa_unit *u);

typedef struct sky_flexsa_run {
    int64_t cycles;
    int64_t waves[SKY_FLEXSA_MODES];
    int64_t stationary_bytes, moving_bytes, output_bytes; /* between global buffer and unit */
    int64_t copied_bytes; /* stationary ones, each as often as parts of the unit hold it */
    int64_t sum_bytes;    /* read and written in the output buffer while sums build up */
} sky_flexsa_run;

/* A whole product on one unit, in closed form. m, n, k in [1, 2^31). */
sky_flexsa_run sky_flexsa_unit_run(const sky_flexsa_unit *u, sky_gemm g); /* greedy */
sky_flexsa_run sky_flexsa_tiled_run(const sky_flexsa_unit *u, sky_gemm g,
                                    const sky_flexsa_tiling *t);

/* Of all tilings (every size of pieces, both orders, each subset of the unit's cuts, and with may_swap the
 * transposed product) the one of fewest cycles, of those with least stationary and moving bytes. By branch
 * and bound: exact, and mostly within microseconds (bench/flexsa_bench.c). */
sky_flexsa_tiling sky_flexsa_best(const sky_flexsa_unit *u, sky_gemm g, bool may_swap);

/* --- the machine --- */

/* Energies of the parts, in picojoule; 0: what hw/constants.h says (an on-chip memory by its size). */
typedef struct sky_flexsa_energies {
    double mac_pj, lbuf_pj_per_byte, gbuf_pj_per_byte, dram_pj_per_bit;
} sky_flexsa_energies;

typedef struct sky_flexsa_machine {
    sky_flexsa_unit unit;
    int32_t groups;     /* each with an equal slice of the global buffer */
    int32_t units;      /* in a group */
    int64_t gbuf_bytes; /* all of it */
    double clock_hz;
    double dram_bytes_per_s; /* INFINITY: ideal memory */
    sky_flexsa_energies energies;
    bool unit_lbufs; /* one set of local buffers for a flexible unit, instead of one per quarter */
    bool search;     /* sky_flexsa_best() for each unit's product, instead of the greedy tiling */
    uint8_t swap_phases; /* bit 1 << phase: the search may transpose that phase's products */
} sky_flexsa_machine;

enum { SKY_FLEXSA_GROUPS_MAX = 256, SKY_FLEXSA_UNITS_MAX = 256 };

/* Groups and arrays per group, in the paper's notation: 1G4C is one group of four rigid arrays ("cores"),
 * 4G1F four groups of one flexible array. */
typedef struct sky_flexsa_org {
    int32_t groups, units;
    bool flexible;
} sky_flexsa_org;

/* SKY_EFORMAT: not of the form <groups>G<units>C or ...F; SKY_ELIMIT: too many. */
sky_err sky_flexsa_org_parse(const char *text, sky_flexsa_org *out);

/* The edge of each array when all PEs together are a square of that edge: edge / sqrt(groups units). 0 if
 * that is not whole, or odd where it has to be even. */
int32_t sky_flexsa_core_edge(sky_flexsa_org org, int32_t edge);

/* An organisation of arrays of that size, with ratio * rows streaming rows each; greedy, global buffer and
 * clock as in hw/constants.h, memory ideal. rows and cols are even if flexible. */
sky_flexsa_machine sky_flexsa_machine_of(sky_flexsa_org org, sky_array core, int32_t ratio);

typedef struct sky_flexsa_cost {
    int64_t macs;          /* useful multiplications */
    int64_t cycles;        /* of the arrays, with ideal memory */
    int64_t greedy_cycles; /* what the paper's tiling takes; differs where machine.search is set */
    int64_t waves[SKY_FLEXSA_MODES];
    int64_t stationary_bytes, moving_bytes, output_bytes; /* global buffer, by operand */
    int64_t copied_bytes;                                 /* as in sky_flexsa_run */
    int64_t sum_bytes;                                    /* output buffers */
    int64_t dram_bytes;
    double time_s; /* the larger of computing and memory, product by product */
} sky_flexsa_cost;

/* The product of one phase: its size, for one group of the convolution. */
sky_gemm sky_flexsa_gemm(const sky_conv_shape *layer, int32_t batch, sky_phase phase);

/* What one phase of all layers of one shape costs (layer->count times layer->groups products). */
sky_flexsa_cost sky_flexsa_layer(const sky_flexsa_machine *m, const sky_conv_shape *layer,
                                 int32_t batch, sky_phase phase);

/* Bytes between DRAM and chip of one product whose operands are a and b and whose result is c bytes
 * (c_wide while it is summed up), on a machine. The best of three schedules: keep a, b or c in half of
 * the global buffer, piece by piece, while the others stream through the other half. Groups share the
 * larger dimension of a (split_depth: of a and b), and each reads what it needs for itself. */
typedef struct sky_flexsa_tensors {
    int64_t a_bytes, b_bytes, c_bytes, c_wide_bytes;
    bool split_depth;
} sky_flexsa_tensors;
int64_t sky_flexsa_dram_bytes(const sky_flexsa_machine *m, const sky_flexsa_tensors *t);

/* The same in two steps, for points that differ in memory alone. sky_flexsa_compute() adds what the arrays
 * decide to a sum (all but dram_bytes and time_s) and returns what sky_flexsa_add_memory() needs to add those
 * two, by gbuf_bytes, clock_hz and dram_bytes_per_s. */
typedef struct sky_flexsa_product {
    int64_t times;  /* how often the product is computed; 0: nobody needs it */
    int64_t cycles; /* of one */
    sky_flexsa_tensors tensors;
} sky_flexsa_product;
sky_flexsa_product sky_flexsa_compute(const sky_flexsa_machine *m, const sky_conv_shape *layer,
                                      int32_t batch, sky_phase phase, sky_flexsa_cost *sum);
void sky_flexsa_add_memory(const sky_flexsa_machine *m, const sky_flexsa_product *p,
                           sky_flexsa_cost *sum);

/* A weighted mean of costs, for a network that changes while it trains. Zero-initialise; the weights'
 * sum is 1. Whole numbers are rounded to nearest, halves up. */
typedef struct sky_flexsa_mean {
    double macs, cycles, greedy_cycles, waves[SKY_FLEXSA_MODES];
    double stationary_bytes, moving_bytes, output_bytes, copied_bytes, sum_bytes, dram_bytes;
    double time_s;
} sky_flexsa_mean;
void sky_flexsa_mean_add(sky_flexsa_mean *mean, const sky_flexsa_cost *c, double weight);
sky_flexsa_cost sky_flexsa_mean_cost(const sky_flexsa_mean *mean);

/* Local buffers. A byte that comes from the global buffer is written into a local one and read from it; sums
 * are read and written once a wave. A flexible unit is built of four cores with their buffers: each has a
 * quarter of the unit's, and a resting tile that several parts share lies in each one's. With unit_lbufs the
 * unit has one large set instead, and each byte lies there once. */
typedef struct sky_flexsa_energy {
    double mac_j, lbuf_j, gbuf_j, dram_j;
} sky_flexsa_energy;
sky_flexsa_energy sky_flexsa_energy_of(const sky_flexsa_machine *m, const sky_flexsa_cost *c);

/* Useful multiplications over what all PEs could do in the time taken. */
double sky_flexsa_utilization(const sky_flexsa_machine *m, const sky_flexsa_cost *c);

#endif
