/* Cycles of a matrix product C (m,n) = A (m,k) B (k,n) on a systolic array of rows x cols PEs.
 *
 * Dataflows: weight stationary (ws: tiles of B rest, A streams), input stationary (is: tiles of A
 * rest, B streams), output stationary (os: tiles of C rest, A and B stream).
 *
 * Two timings:
 *  overlapped  the resting operand is double-buffered, so that the next tile shifts in (ws, is), or
 * the last one out (os), while the present one computes. Without any limit on how long a stream may
 * be. Chain of tiles, see sky_systolic_chain; exact: tests/hw/systolic_test.c compares it with a
 * cycle-by-cycle simulator. exposed     SCALE-Sim's closed forms (Samajdar et al., ISPASS 2020; v2,
 * `CALC` mode): tiles follow one another without overlap, every tile takes as long as a full one.
 * The number is that of the last cycle when counting from 0, hence "- 1": ws  ceil(k/R) ceil(n/C)
 * (m + 2R + C - 2) - 1 is  ceil(k/R) ceil(m/C) (n + 2R + C - 2) - 1 os  ceil(m/R) ceil(n/C) (k +  R
 * + C - 2) - 1      (nothing is loaded beforehand)
 *
 * All numbers are exact integers. Pure functions. */
#ifndef SKY_HW_SYSTOLIC_H
#define SKY_HW_SYSTOLIC_H

#include <stdbool.h>
#include <stdint.h>

typedef enum sky_dataflow { SKY_WS, SKY_OS, SKY_IS } sky_dataflow;
typedef enum sky_timing { SKY_OVERLAPPED, SKY_EXPOSED } sky_timing;

enum {
    SKY_GEMM_EDGE_MAX = 1 << 20,  /* m, n, k: with it no count of cycles passes 2^62 */
    SKY_ARRAY_EDGE_MAX = 1 << 16, /* rows, cols */
};

typedef struct sky_gemm {
    int64_t m, n, k; /* each in [1, SKY_GEMM_EDGE_MAX] */
} sky_gemm;

typedef struct sky_array {
    int64_t rows, cols; /* each in [1, SKY_ARRAY_EDGE_MAX] */
} sky_array;

int64_t sky_systolic_cycles(sky_gemm g, sky_array a, sky_dataflow flow, sky_timing timing);

/* Multiplications over what the array could do in that time: m n k / (rows cols cycles). */
double sky_systolic_utilization(sky_gemm g, sky_array a, int64_t cycles);

/* The chain of a double-buffered, weight-stationary array, tile by tile.
 *
 * Tile j loads its k_j rows while tile j-1 computes, then streams m_j rows. In the frame of the PE
 * at the top left (every other PE lags by its row + column) tile j starts at S_1 = k_1,   S_{j+1} =
 * S_j + max(m_j, k_{j+1}) and its last sum leaves an array of `rows` rows, n_j columns of which are
 * used, at the end of cycle S_j + m_j + rows + n_j - 2. The chain's length is the maximum of these.
 * Zero-initialise, add the tiles in order. */
typedef struct sky_systolic_chain {
    int64_t start;  /* S_j of the last tile */
    int64_t stream; /* m_j of the last tile */
    int64_t end;    /* maximum so far */
    bool begun;
} sky_systolic_chain;

typedef struct sky_systolic_tile {
    int64_t load;   /* k_j: rows of the resting operand */
    int64_t stream; /* m_j: rows that stream through */
    int64_t tail;   /* rows + n_j - 2: from the last row's entry to the last sum's exit */
} sky_systolic_tile;

void sky_systolic_chain_add(sky_systolic_chain *c, sky_systolic_tile t);

#endif
