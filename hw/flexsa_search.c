/* The best tiling of a product on one unit, by branch and bound.
 *
 * Branches: the transposed product or not, then which cuts modes may use, then the size of the pieces of n,
 * of k, and of m; at a leaf both orders of blocks. Bounds, for P_m, P_n, P_k pieces, from the chain of waves
 *     S_1 = l_1,   S_{j+1} = S_j + max(m_j, l_{j+1}),   end >= S_J + m_J + tail_J:
 *   streams  l_1 + (sum of all m_j) + tail_J. A wave that shares its rows among p parts streams at least
 *            m / p rows over all blocks of m, whatever their size.
 *   loads    (sum of all l_j) + 1 + tail_J; the sum is P_m P_n k, or P_m P_n P_k where loads are wide.
 * Where no wave waits, the first is exact and the greedy tiling proves itself best at once.
 *
 * Two branches are cut off for more than their bounds. The very last wave ends at the same time in both
 * orders of blocks, so that a tiling whose last wave ends last needs no second order. And of sizes of n that
 * give as many pieces of each kind, smaller ones only make the last piece larger, hence later. */
#include <assert.h>

#include "hw/flexsa_internal.h"

typedef struct search {
    sky_flexsa_unit u; /* with the cuts of the branch */
    sky_gemm g;        /* transposed where the branch is */
    sky_flexsa_tiling best;
    int64_t cycles, bytes; /* of the best; bytes: stationary and moving */
} search;

/* The pieces of an edge that lies along an array's side which may be cut in half. */
typedef struct side {
    int64_t pieces;
    int64_t large, small; /* of the pieces: those that need the whole side, and the others */
    int64_t last;         /* size of the last piece */
    int64_t first;
} side;

static side side_of(int64_t all, int32_t size, int32_t edge, bool halves)
{
    const cut c = cut_edge(all, size);
    const bool whole_fits = halves && 2 * c.size <= edge, rest_fits = halves && 2 * c.rest <= edge;
    side s = {.pieces = c.pieces,
              .last = c.rest > 0 ? c.rest : c.size,
              .first = c.whole > 0 ? c.size : c.rest};
    s.small = (whole_fits ? c.whole : 0) + (c.rest > 0 && rest_fits ? 1 : 0);
    s.large = s.pieces - s.small;
    return s;
}

/* a * b, or the largest number: no product that takes so long can be the best. */
static int64_t times(int64_t a, int64_t b)
{
    int64_t r;
    return __builtin_mul_overflow(a, b, &r) ? INT64_MAX : r;
}

static int64_t plus(int64_t a, int64_t b)
{
    int64_t r;
    return __builtin_add_overflow(a, b, &r) ? INT64_MAX : r;
}

/* The rows that all waves stream, m of them going past each resting tile: whole, half, or a quarter. */
static int64_t all_streams(const int64_t m[3], const side *n, const side *k)
{
    const int64_t fw = times(n->large, k->large), isw = times(n->small, k->small);
    const int64_t half = plus(times(n->small, k->large), times(n->large, k->small));
    return plus(plus(times(fw, m[0]), times(half, m[1])), times(isw, m[2]));
}

static int64_t all_loads(const search *s, int64_t m_pieces, const side *n, const side *k)
{
    return times(times(m_pieces, n->pieces), s->u.wide_load ? k->pieces : s->g.k);
}

static int64_t all_bytes(const search *s, int64_t m_pieces, int64_t n_pieces)
{
    const int64_t stationary = times(m_pieces, s->g.n), moving = times(n_pieces, s->g.m);
    return times(OPERAND_BYTES * s->g.k, plus(stationary, moving));
}

/* Can nothing with these lower bounds be better than what is found? */
static bool hopeless(const search *s, int64_t cycles, int64_t bytes)
{
    return cycles > s->cycles || (cycles == s->cycles && bytes >= s->bytes);
}

/* One leaf, one order. Does the last wave end last? */
static bool try_tiling(search *s, const sky_flexsa_tiling *t, int64_t bytes)
{
    int64_t last_end;
    const int64_t cycles = sky__flexsa_span(&s->u, s->g, t, &last_end);
    if (!hopeless(s, cycles, bytes)) {
        s->best = *t;
        s->cycles = cycles;
        s->bytes = bytes;
    }
    return cycles == last_end;
}

/* All sizes of pieces of m, given those of n and k. Did the last wave end last in all that were tried? */
static bool branch_m(search *s, sky_flexsa_tiling t, const side *n, const side *k)
{
    bool orderly = true;
    const bool flat = (t.cuts & SKY_CUT_ROWS) && 2 * k->last <= s->u.rows;
    const int64_t tail_least = (flat ? s->u.rows / 2 : s->u.rows) + n->last - 2;
    const int64_t m[3] = {s->g.m, (s->g.m + 1) / 2, (s->g.m + 3) / 4};
    const int64_t streams = plus(s->u.wide_load ? 1 : k->first, all_streams(m, n, k));
    for (int64_t size = min64(s->u.stream_max, s->g.m); size > 0; size--) {
        const int64_t pieces = ceil_div(s->g.m, size), bytes = all_bytes(s, pieces, n->pieces);
        const int64_t loads = plus(all_loads(s, pieces, n, k), 1);
        const int64_t least = max64(loads, streams);
        if (plus(least, tail_least) > s->cycles)
            break; /* smaller pieces only load more often */
        const int64_t last = s->g.m - (pieces - 1) * size;
        const int64_t tail = sky_flexsa_wave(&s->u, last, n->last, k->last).tail;
        if (hopeless(s, plus(least, tail), bytes))
            continue;
        t.m = (int32_t)size;
        t.m_outer = false;
        if (try_tiling(s, &t, bytes))
            continue;
        orderly = false;
        t.m_outer = true;
        try_tiling(s, &t, bytes);
    }
    return orderly;
}

static bool same_pieces(const side *a, const side *b)
{
    return a->pieces == b->pieces && a->large == b->large && a->small == b->small;
}

static void branch_cuts(search *s, bool swapped)
{
    const sky_flexsa_unit *u = &s->u;
    const bool halve_cols = (u->cuts & SKY_CUT_COLS) != 0,
               halve_rows = (u->cuts & SKY_CUT_ROWS) != 0;
    sky_flexsa_tiling t = {.cuts = u->cuts, .swapped = swapped};
    const int64_t m_least = ceil_div(s->g.m, u->stream_max);
    /* No depths stream less than these: only halves, which cost half of what a whole piece does. */
    const side k_least = {.pieces = ceil_div(s->g.k, u->rows),
                          .small = halve_rows ? ceil_div(2 * s->g.k, u->rows) : 0,
                          .large = halve_rows ? 0 : ceil_div(s->g.k, u->rows)};
    const int64_t m_floor[3] = {s->g.m, s->g.m / 2, s->g.m / 4};
    side before = {0}; /* the larger size of n before; pieces 0: none that rules others out */
    for (int64_t n_size = min64(u->cols, s->g.n); n_size > 0; n_size--) {
        const side n = side_of(s->g.n, (int32_t)n_size, u->cols, halve_cols);
        const int64_t bound =
            max64(all_streams(m_floor, &n, &k_least), all_loads(s, m_least, &n, &k_least));
        if (bound > s->cycles || same_pieces(&n, &before))
            continue;
        bool orderly = true;
        t.n = (int32_t)n_size;
        for (int64_t k_size = min64(u->rows, s->g.k); k_size > 0; k_size--) {
            const side k = side_of(s->g.k, (int32_t)k_size, u->rows, halve_rows);
            t.k = (int32_t)k_size;
            orderly = branch_m(s, t, &n, &k) && orderly;
        }
        before = orderly ? n : (side){0};
    }
}

sky_flexsa_tiling sky_flexsa_best(const sky_flexsa_unit *u, sky_gemm g, bool may_swap)
{
    assert(u->rows > 0 && u->cols > 0 && u->stream_max > 0);
    search s = {.u = *u, .cycles = INT64_MAX, .bytes = INT64_MAX};
    const sky_gemm turned = {.m = g.n, .n = g.m, .k = g.k};
    for (int swapped = 0; swapped <= (int)may_swap;
         swapped++) { /* good ones first, to compare with */
        sky_flexsa_tiling greedy = sky_flexsa_greedy(u);
        greedy.swapped = swapped;
        s.g = swapped ? turned : g;
        try_tiling(&s, &greedy,
                   all_bytes(&s, ceil_div(s.g.m, greedy.m), ceil_div(s.g.n, greedy.n)));
    }
    for (int swapped = 0; swapped <= (int)may_swap; swapped++) {
        s.g = swapped ? turned : g;
        for (int cuts = u->cuts; cuts >= 0; cuts--) {
            s.u.cuts = (uint8_t)cuts;
            if ((cuts & ~u->cuts) == 0)
                branch_cuts(&s, swapped);
        }
    }
    return s.best;
}
