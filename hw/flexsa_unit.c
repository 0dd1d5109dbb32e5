/* One unit of FlexSA: modes, waves, and the closed form of a tiled product. */
#include <assert.h>

#include "hw/flexsa_internal.h"

/* Written once for all tilings, compiled once more for the greedy one, which sweeps evaluate by the million
 * (a fifth of the time). */
#define INLINED static inline __attribute__((always_inline))

/* --- waves --- */

INLINED sky_flexsa_mode mode_of(const sky_flexsa_unit *u, int64_t n, int64_t k)
{
    bool wide = !(u->cuts & SKY_CUT_COLS) || 2 * n > u->cols;
    bool tall = !(u->cuts & SKY_CUT_ROWS) || 2 * k > u->rows;
    return wide ? (tall ? SKY_FW : SKY_HSW) : (tall ? SKY_VSW : SKY_ISW);
}

static inline int64_t load_of(const sky_flexsa_unit *u, int64_t k)
{
    return u->wide_load ? 1 : k;
}

INLINED sky_systolic_tile wave_of(const sky_flexsa_unit *u, int64_t m, int64_t n, int64_t k)
{
    const int64_t rows = u->rows, low = rows / 2, right = u->cols / 2;
    sky_systolic_tile t = {.load = load_of(u, k)};
    int64_t end = 0; /* from S_j to the latest part's last sum, less n - 2 */
    switch (mode_of(u, n, k)) {
    case SKY_FW:
        t.stream = m;
        end = m + rows;
        break;
    case SKY_VSW: /* the right half lags by half the columns */
        t.stream = (m + 1) / 2;
        end = max64(t.stream + rows, m > 1 ? m / 2 + right + rows : 0);
        break;
    case SKY_HSW: /* the lower half lags by half the rows, and each has half of them */
        t.stream = (m + 1) / 2;
        end = max64(t.stream + low, m > 1 ? m / 2 + low + low : 0);
        break;
    case SKY_ISW: /* upper left, upper right, lower left, lower right */
        t.stream = (m + 3) / 4;
        end = max64(t.stream + low, m > 1 ? (m + 2) / 4 + right + low : 0);
        end = max64(end, m > 2 ? (m + 1) / 4 + low + low : 0);
        end = max64(end, m > 3 ? m / 4 + low + right + low : 0);
        break;
    case SKY_FLEXSA_MODES:
        break;
    }
    t.tail = end - t.stream + n - 2;
    return t;
}

sky_flexsa_mode sky_flexsa_mode_of(const sky_flexsa_unit *u, int64_t n, int64_t k)
{
    return mode_of(u, n, k);
}

sky_systolic_tile sky_flexsa_wave(const sky_flexsa_unit *u, int64_t m, int64_t n, int64_t k)
{
    return wave_of(u, m, n, k);
}

/* --- a product --- */

/* All waves of one (n, m) block, in order of depth. */
typedef struct block {
    int64_t step; /* from its first wave's start to the next block's */
    int64_t end;  /* from its first wave's start to its latest end */
    int64_t last; /* from its first wave's start to its last wave's end */
} block;

INLINED block block_of(const sky_flexsa_unit *u, int64_t m, int64_t n, const cut *k,
                       int64_t first_load, int64_t count, int64_t *waves)
{
    block b = {0};
    if (k->whole > 0) {
        sky_systolic_tile w = wave_of(u, m, n, k->size);
        int64_t last = (k->whole - 1) * max64(w.stream, w.load); /* the last whole wave's start */
        b.end = b.last = last + w.stream + w.tail;
        b.step = last + max64(w.stream, k->rest > 0 ? load_of(u, k->rest) : first_load);
        waves[mode_of(u, n, k->size)] += count * k->whole;
    }
    if (k->rest > 0) {
        sky_systolic_tile w = wave_of(u, m, n, k->rest);
        b.last = b.step + w.stream + w.tail;
        b.end = max64(b.end, b.last);
        b.step += max64(w.stream, first_load);
        waves[mode_of(u, n, k->rest)] += count;
    }
    return b;
}

/* The blocks, line by line. Of each kind of block, the last one ends last. *last_end: the end of the very
 * last wave, which is not always the latest one. */
INLINED int64_t add_blocks(const sky_flexsa_unit *u, const cut *m, const cut *n, const cut *k,
                           bool m_outer, int64_t times, int64_t *waves, int64_t *last_end)
{
    const cut *outer = m_outer ? m : n, *inner = m_outer ? n : m;
    const int64_t first_load = load_of(u, k->whole > 0 ? k->size : k->rest);
    int64_t start = first_load, cycles = 0; /* S of the first wave of a line of blocks */
    for (int last_line = 0; last_line < 2; last_line++) {
        const int64_t lines = last_line ? outer->rest > 0 : outer->whole;
        const int64_t width = last_line ? outer->rest : outer->size;
        if (lines == 0)
            continue;
        block whole = {0}, rest = {0};
        if (inner->whole > 0)
            whole = block_of(u, m_outer ? width : inner->size, m_outer ? inner->size : width, k,
                             first_load, times * lines * inner->whole, waves);
        if (inner->rest > 0)
            rest = block_of(u, m_outer ? width : inner->rest, m_outer ? inner->rest : width, k,
                            first_load, times * lines, waves);
        const int64_t line = inner->whole * whole.step + rest.step;
        const int64_t last = start + (lines - 1) * line;
        if (inner->whole > 0) {
            const int64_t begin = last + (inner->whole - 1) * whole.step;
            cycles = max64(cycles, begin + whole.end);
            *last_end = begin + whole.last;
        }
        if (inner->rest > 0) {
            const int64_t begin = last + inner->whole * whole.step;
            cycles = max64(cycles, begin + rest.end);
            *last_end = begin + rest.last;
        }
        start += lines * line;
    }
    return cycles;
}

/* An edge's length, with that of pieces that fit half of the side counted twice: halves hold them both. */
INLINED int64_t copied(int64_t all, const cut *c, int64_t side, bool halves)
{
    if (!halves)
        return all;
    return all + (2 * c->size <= side ? c->whole * c->size : 0) +
           (2 * c->rest <= side ? c->rest : 0);
}

INLINED void add_tiled(const sky_flexsa_unit *u, sky_gemm g, const sky_flexsa_tiling *t,
                       int64_t times, sky_flexsa_run *sum)
{
    if (t->swapped)
        g = (sky_gemm){.m = g.n, .n = g.m, .k = g.k};
    const cut m = cut_edge(g.m, t->m), n = cut_edge(g.n, t->n), k = cut_edge(g.k, t->k);
    int64_t last_end;
    const int64_t cycles = add_blocks(u, &m, &n, &k, t->m_outer, times, sum->waves, &last_end);
    const int64_t results = times * g.m * g.n, depth = times * g.k;
    sum->cycles = max64(sum->cycles, cycles);
    sum->stationary_bytes += OPERAND_BYTES * m.pieces * g.n * depth;
    sum->copied_bytes += OPERAND_BYTES * times * m.pieces *
                         copied(g.n, &n, u->cols, (u->cuts & SKY_CUT_COLS) != 0) *
                         copied(g.k, &k, u->rows, (u->cuts & SKY_CUT_ROWS) != 0);
    sum->moving_bytes += OPERAND_BYTES * n.pieces * g.m * depth;
    sum->output_bytes += SUM_BYTES * results;
    /* Each wave writes its sums and all but a block's first read them; leaving reads them once more. */
    sum->sum_bytes += 2 * SUM_BYTES * k.pieces * results;
}

sky_flexsa_tiling sky_flexsa_greedy(const sky_flexsa_unit *u)
{
    return (sky_flexsa_tiling){.m = u->stream_max, .n = u->cols, .k = u->rows, .cuts = u->cuts};
}

/* Greedy tiles on a rigid array, which sweeps evaluate most often. All waves are FW, so that each starts when
 * the one before has streamed its rows and its own tile has loaded, and ends after that one but where its tile
 * is narrower: the last wave ends last, or the last one of the full width does. */
static inline int64_t rigid_cycles(const sky_flexsa_unit *u, const cut *m, const cut *n,
                                   const cut *k)
{
    const int64_t whole_load = load_of(u, k->size), rest_load = load_of(u, k->rest);
    const int64_t first_load = k->whole > 0 ? whole_load : rest_load;
    const int64_t whole_block =
        k->whole * max64(m->size, whole_load) + (k->rest > 0) * max64(m->size, rest_load);
    const int64_t rest_block =
        k->whole * max64(m->rest, whole_load) + (k->rest > 0) * max64(m->rest, rest_load);
    const int64_t line = m->whole * whole_block + (m->rest > 0) * rest_block; /* all of a width */
    const int64_t last_rows = m->rest > 0 ? m->rest : m->size;
    const int64_t last_cols = n->rest > 0 ? n->rest : n->size;
    const int64_t wider = n->whole > 0 ? n->size - line : 0; /* the last one of full width */
    return first_load + n->pieces * line - max64(last_rows, first_load) + last_rows + u->rows - 2 +
           (n->rest > 0 ? max64(last_cols, wider) : last_cols);
}

void sky__flexsa_rigid_splits(const sky_flexsa_unit *u, sky_gemm g, int32_t parts,
                              int64_t cycles[AXES])
{
    assert(u->cuts == 0);
    const cut m = cut_edge(g.m, u->stream_max), n = cut_edge(g.n, u->cols),
              k = cut_edge(g.k, u->rows);
    /* The largest part takes longest. */
    const cut m_part = cut_edge(ceil_div(g.m, parts), u->stream_max);
    const cut n_part = cut_edge(ceil_div(g.n, parts), u->cols);
    const cut k_part = cut_edge(ceil_div(g.k, parts), u->rows);
    cycles[AXIS_M] = rigid_cycles(u, &m_part, &n, &k);
    cycles[AXIS_N] = rigid_cycles(u, &m, &n_part, &k);
    cycles[AXIS_K] = rigid_cycles(u, &m, &n, &k_part);
}

static void add_rigid(const sky_flexsa_unit *u, sky_gemm g, int64_t times, sky_flexsa_run *sum)
{
    const cut m = cut_edge(g.m, u->stream_max), n = cut_edge(g.n, u->cols),
              k = cut_edge(g.k, u->rows);
    const int64_t results = times * g.m * g.n, depth = times * g.k;
    const int64_t stationary = OPERAND_BYTES * m.pieces * g.n * depth;
    sum->cycles = max64(sum->cycles, rigid_cycles(u, &m, &n, &k));
    sum->waves[SKY_FW] += times * m.pieces * n.pieces * k.pieces;
    sum->stationary_bytes += stationary;
    sum->copied_bytes += stationary;
    sum->moving_bytes += OPERAND_BYTES * n.pieces * g.m * depth;
    sum->output_bytes += SUM_BYTES * results;
    sum->sum_bytes += 2 * SUM_BYTES * k.pieces * results;
}

void sky__flexsa_add_unit(const sky_flexsa_unit *u, sky_gemm g, int64_t times, sky_flexsa_run *sum)
{
    const sky_flexsa_tiling greedy = sky_flexsa_greedy(u);
    if (u->cuts == 0)
        add_rigid(u, g, times, sum);
    else
        add_tiled(u, g, &greedy, times, sum);
}

void sky__flexsa_add_tiled(const sky_flexsa_unit *u, sky_gemm g, const sky_flexsa_tiling *t,
                           int64_t times, sky_flexsa_run *sum)
{
    assert(t->m > 0 && t->n > 0 && t->k > 0);
    assert(t->m <= u->stream_max && t->n <= u->cols && t->k <= u->rows);
    sky_flexsa_unit used = *u;
    used.cuts &= t->cuts;
    add_tiled(&used, g, t, times, sum);
}

int64_t sky__flexsa_span(const sky_flexsa_unit *u, sky_gemm g, const sky_flexsa_tiling *t,
                         int64_t *last_end)
{
    const cut m = cut_edge(g.m, t->m), n = cut_edge(g.n, t->n), k = cut_edge(g.k, t->k);
    int64_t waves[SKY_FLEXSA_MODES] = {0};
    return add_blocks(u, &m, &n, &k, t->m_outer, 1, waves, last_end);
}

sky_flexsa_run sky_flexsa_unit_run(const sky_flexsa_unit *u, sky_gemm g)
{
    sky_flexsa_run run = {0};
    sky__flexsa_add_unit(u, g, 1, &run);
    return run;
}

sky_flexsa_run sky_flexsa_tiled_run(const sky_flexsa_unit *u, sky_gemm g,
                                    const sky_flexsa_tiling *t)
{
    sky_flexsa_run run = {0};
    sky__flexsa_add_tiled(u, g, t, 1, &run);
    return run;
}
