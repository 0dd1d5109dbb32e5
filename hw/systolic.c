#include "hw/systolic.h"

#include <assert.h>

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* An edge of length `all` cut into tiles of `full` and a rest. */
typedef struct cut {
    int64_t tiles; /* all of them */
    int64_t whole; /* those of length full */
    int64_t rest;  /* length of the last one if it is shorter, else 0 */
    int64_t first; /* length of the first */
} cut;

static cut cut_edge(int64_t all, int64_t full)
{
    cut c = {.whole = all / full, .rest = all % full};
    c.tiles = c.whole + (c.rest > 0);
    c.first = c.whole > 0 ? full : c.rest;
    return c;
}

void sky_systolic_chain_add(sky_systolic_chain *c, sky_systolic_tile t)
{
    c->start += c->begun ? max64(c->stream, t.load) : t.load;
    c->stream = t.stream;
    c->end = max64(c->end, c->start + t.stream + t.tail);
    c->begun = true;
}

static int64_t exposed(sky_gemm g, sky_array a, sky_dataflow flow)
{
    switch (flow) {
    case SKY_WS:
        return ceil_div(g.k, a.rows) * ceil_div(g.n, a.cols) * (g.m + 2 * a.rows + a.cols - 2) - 1;
    case SKY_IS:
        return ceil_div(g.k, a.rows) * ceil_div(g.m, a.cols) * (g.n + 2 * a.rows + a.cols - 2) - 1;
    case SKY_OS:
        return ceil_div(g.m, a.rows) * ceil_div(g.n, a.cols) * (g.k + a.rows + a.cols - 2) - 1;
    }
    assert(!"a dataflow");
    return 0;
}

/* Tiles of (k, n) rest, in the order n outside, k inside; every stream is m rows long. Sums the
 * chain: all steps of a column of tiles are alike, and the latest end is that of the last tile or
 * of the last tile that is as wide as the array. */
static int64_t overlapped_resting(sky_gemm g, sky_array a)
{
    cut k = cut_edge(g.k, a.rows), n = cut_edge(g.n, a.cols);
    int64_t column = k.whole * max64(g.m, a.rows) + (k.rest > 0 ? max64(g.m, k.rest) : 0);
    int64_t first = k.first - max64(g.m, k.first); /* the very first load hides behind nothing */
    int64_t end = 0;
    if (n.whole > 0) {
        end = first + n.whole * column + g.m + a.rows + a.cols - 2;
    }
    if (n.rest > 0) {
        end = max64(end, first + n.tiles * column + g.m + a.rows + n.rest - 2);
    }
    return end;
}

/* Tiles of (m, n) rest, in the order n outside, m inside; every stream is k long. With E_j the end
 * of tile j's stream, p_j its rows, all in the frame of the PE at the top left: E_1 = k,   E_{j+1}
 * = E_j + max(k, p_j),   its last result leaves at E_j + rows + p_j + n_j - 2. Results wait in a
 * second register until their column is complete, then shift down and out. */
static int64_t overlapped_output(sky_gemm g, sky_array a)
{
    cut m = cut_edge(g.m, a.rows), n = cut_edge(g.n, a.cols);
    int64_t whole_step = max64(g.k, a.rows);
    int64_t column = m.whole * whole_step + (m.rest > 0 ? max64(g.k, m.rest) : 0);
    int64_t end = 0;
    for (int wide = 0; wide < 2; wide++) { /* the last tile of each kind ends last of its kind */
        int64_t columns = wide ? n.whole : n.rest > 0 ? n.tiles : 0;
        int64_t width = wide ? a.cols : n.rest;
        if (columns == 0)
            continue;
        int64_t before = g.k + (columns - 1) * column;
        if (m.whole > 0) {
            int64_t last = before + (m.whole - 1) * whole_step;
            end = max64(end, last + a.rows + a.rows + width - 2);
        }
        if (m.rest > 0) {
            int64_t last = before + m.whole * whole_step;
            end = max64(end, last + a.rows + m.rest + width - 2);
        }
    }
    return end;
}

int64_t sky_systolic_cycles(sky_gemm g, sky_array a, sky_dataflow flow, sky_timing timing)
{
    assert(g.m > 0 && g.n > 0 && g.k > 0 && a.rows > 0 && a.cols > 0);
    assert(g.m <= SKY_GEMM_EDGE_MAX && g.n <= SKY_GEMM_EDGE_MAX && g.k <= SKY_GEMM_EDGE_MAX);
    assert(a.rows <= SKY_ARRAY_EDGE_MAX && a.cols <= SKY_ARRAY_EDGE_MAX);
    if (timing == SKY_EXPOSED)
        return exposed(g, a, flow);
    switch (flow) {
    case SKY_WS:
        return overlapped_resting(g, a);
    case SKY_IS: /* the transposed product: C' = B' A' */
        return overlapped_resting((sky_gemm){.m = g.n, .n = g.m, .k = g.k}, a);
    case SKY_OS:
        return overlapped_output(g, a);
    }
    assert(!"a dataflow");
    return 0;
}

double sky_systolic_utilization(sky_gemm g, sky_array a, int64_t cycles)
{
    assert(cycles >= 0);
    /* The exposed count of a single product is 0, the number of its only cycle. */
    double slots = (double)(a.rows * a.cols) * (double)max64(cycles, 1);
    return (double)(g.m * g.n * g.k) / slots;
}
