/* Cycles and on-chip traffic of products on a core's array. */
#include <assert.h>

#include "hw/wavecore_internal.h"

enum { SUM_BYTES = 4 };

static inline int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* An edge in pieces: `whole` of the full length, and a rest (0: none). */
typedef struct cut {
    int64_t whole, rest, pieces;
} cut;

static inline cut cut_edge(int64_t all, int64_t full)
{
    cut c;
    if (all <= UINT32_MAX) { /* much cheaper than 64 bits on many CPUs */
        c.whole = (uint32_t)all / (uint32_t)full;
        c.rest = (uint32_t)all - (uint32_t)c.whole * (uint32_t)full;
    } else {
        c.whole = all / full;
        c.rest = all % full;
    }
    c.pieces = c.whole + (c.rest > 0);
    return c;
}

/* From the start of a block of m rows to the start of the next: behind each of its tiles one load hides, of
 * the depths of a block in turn. */
static inline int64_t block_cycles(int64_t m, const cut *k, int64_t array)
{
    return k->whole * max64(m, array) + (k->rest > 0 ? max64(m, k->rest) : 0);
}

sky_wavecore_run sky_wavecore_gemm(sky_gemm g, int64_t array, int64_t stream_max,
                                   bool double_buffered)
{
    assert(g.m > 0 && g.n > 0 && g.k > 0 && array > 0 && array <= INT32_MAX);
    assert(stream_max > 0 && stream_max <= INT32_MAX);
    const cut m = cut_edge(g.m, stream_max), n = cut_edge(g.n, array), k = cut_edge(g.k, array);
    const int64_t first = k.whole > 0 ? array : k.rest;
    const int64_t last_rows = m.rest > 0 ? m.rest : stream_max;
    int64_t column, begin,
        less; /* of a column of blocks; before the first; not waited for at the end */
    if (double_buffered) {
        column = m.whole * block_cycles(stream_max, &k, array) +
                 (m.rest > 0 ? block_cycles(m.rest, &k, array) : 0);
        begin = first;
        less = max64(last_rows, first) - last_rows;
    } else {
        column = g.k * m.pieces + g.m * k.pieces;
        begin = less = 0;
    }
    /* Of the columns as wide as the array, the last ends last; a narrow one follows. */
    int64_t cycles = 0;
    if (n.whole > 0)
        cycles = begin + n.whole * column - less + 2 * array - 2;
    if (n.rest > 0)
        cycles = max64(cycles, begin + n.pieces * column - less + array + n.rest - 2);
    return (sky_wavecore_run){.cycles = cycles,
                              .stationary_bytes = g.k * g.n * m.pieces * SKY_WAVECORE_WORD_BYTES,
                              .moving_bytes = g.m * g.k * n.pieces * SKY_WAVECORE_WORD_BYTES,
                              .sum_bytes = 2 * g.m * g.n * k.pieces * SUM_BYTES};
}

typedef enum phase { FORWARD, DGRAD, WGRAD } phase;

static sky_gemm product_of(const sky_conv_shape *s, int64_t samples, phase p)
{
    const int64_t window = (int64_t)s->r * s->s;
    const int64_t in_pixels = samples * s->h * s->w, out_pixels = samples * s->p * s->q;
    switch (p) {
    case FORWARD:
        return (sky_gemm){.m = out_pixels, .n = s->k, .k = s->c * window};
    case DGRAD:
        return (sky_gemm){.m = in_pixels, .n = s->c, .k = s->k * window};
    case WGRAD:
        break;
    }
    return (sky_gemm){.m = s->c * window, .n = s->k, .k = out_pixels};
}

static void add_product(const sky_wavecore_machine *m, sky_gemm g, int64_t times, int64_t out_bytes,
                        sky__wavecore_products *sum)
{
    const sky_wavecore_run r =
        sky_wavecore_gemm(g, m->array, m->stream_max, m->variant != SKY_WAVECORE_BASELINE);
    sum->macs += times * g.m * g.n * g.k;
    sum->cycles += times * r.cycles;
    sum->stationary_bytes += times * r.stationary_bytes;
    sum->moving_bytes += times * r.moving_bytes;
    sum->sum_bytes += times * r.sum_bytes;
    sum->out_bytes += times * g.m * g.n * out_bytes;
}

/* `times` iterations of so many samples. */
static void add_iterations(const sky_wavecore_machine *m, const sky_conv_shape *s, int64_t samples,
                           int64_t times, sky__wavecore_memo *memo)
{
    if (s->per_sample) { /* each sample has a product of its own */
        times *= samples;
        samples = 1;
    }
    times *= s->groups;
    add_product(m, product_of(s, samples, FORWARD), times, SKY_WAVECORE_WORD_BYTES, &memo->forward);
    if (!s->no_dgrad)
        add_product(m, product_of(s, samples, DGRAD), times, SKY_WAVECORE_WORD_BYTES,
                    &memo->backward);
    add_product(m, product_of(s, samples, WGRAD), times,
                s->per_sample ? SKY_WAVECORE_WORD_BYTES : m->dw_bytes, &memo->backward);
}

const sky__wavecore_memo *sky__wavecore_products_of(const sky_wavecore_net *w,
                                                    const sky_wavecore_machine *m, int32_t conv,
                                                    int32_t sub_batch)
{
    const sky_conv_shape *s = &w->convs[w->work->shape[conv]];
    sky__wavecore_memo *memo = &w->work->memo[w->work->shape[conv]];
    const bool double_buffered = m->variant != SKY_WAVECORE_BASELINE;
    if (memo->batch == m->batch && memo->sub_batch == sub_batch &&
        memo->double_buffered == double_buffered && memo->array == m->array &&
        memo->stream_max == m->stream_max && memo->dw_bytes == m->dw_bytes)
        return memo;
    *memo = (sky__wavecore_memo){.batch = m->batch,
                                 .sub_batch = sub_batch,
                                 .double_buffered = double_buffered,
                                 .array = m->array,
                                 .stream_max = m->stream_max,
                                 .dw_bytes = m->dw_bytes};
    const int32_t whole = m->batch / sub_batch, rest = m->batch % sub_batch;
    add_iterations(m, s, sub_batch, whole, memo);
    if (rest > 0)
        add_iterations(m, s, rest, 1, memo);
    return memo;
}
