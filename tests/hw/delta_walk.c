#include "delta_walk.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { WARP = 32, WORD_BYTES = 4, SECTOR_WORDS = 8, LINE_WORDS = 32, ALIGN_WORDS = 64 };

static void *must_alloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    cr_assert_not_null(p);
    return p;
}

static int64_t up(int64_t x, int64_t unit)
{
    return (x + unit - 1) / unit * unit;
}

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* --- addresses, in words: image, filters, outputs --- */

typedef struct space {
    const sky_delta_conv *c;
    const sky_delta_tile *t;
    int64_t m, n, k, rows, columns;
    int64_t filters, outputs, end; /* first word of each; the image begins at 0 */
} space;

static space space_of(const sky_delta_conv *c, const sky_delta_tile *t)
{
    space s = {.c = c, .t = t};
    s.m = c->batch * c->out_h * c->out_w;
    s.n = c->channels_out;
    s.k = c->channels_in * c->kernel_h * c->kernel_w;
    s.rows = (s.m + t->blk_m - 1) / t->blk_m;
    s.columns = (s.n + t->blk_n - 1) / t->blk_n;
    s.filters = up(c->batch * c->channels_in * c->height * c->width, ALIGN_WORDS);
    s.outputs = s.filters + up(s.n * s.k, ALIGN_WORDS);
    s.end = s.outputs + up(s.m * s.n, ALIGN_WORDS);
    return s;
}

/* The image word of output pixel m and depth k; -1 outside of the image. */
static int64_t image_word(const space *s, int64_t m, int64_t k)
{
    const sky_delta_conv *c = s->c;
    if (m >= s->m || k >= s->k)
        return -1;
    const int64_t pixels = c->out_h * c->out_w, taps = c->kernel_h * c->kernel_w;
    const int64_t image = m / pixels, y = m % pixels / c->out_w, x = m % c->out_w;
    const int64_t channel = k / taps, tap_y = k % taps / c->kernel_w, tap_x = k % c->kernel_w;
    const int64_t row = y * c->stride_h - c->pad_top + tap_y * c->dilation_h;
    const int64_t column = x * c->stride_w - c->pad_left + tap_x * c->dilation_w;
    if (row < 0 || row >= c->height || column < 0 || column >= c->width)
        return -1;
    return ((image * c->channels_in + channel) * c->height + row) * c->width + column;
}

static int64_t filter_word(const space *s, int64_t n, int64_t k)
{
    return n < s->n && k < s->k ? s->filters + n * s->k + k : -1;
}

/* --- counting what differs --- */

/* Which of the things numbered 0.. were seen since the last time that the mark changed. */
typedef struct marks {
    int64_t *seen;
    int64_t mark;
} marks;

static marks marks_of(int64_t n)
{
    return (marks){must_alloc((size_t)n, sizeof(int64_t)), 0};
}

static int is_new(marks *m, int64_t i)
{
    if (m->seen[i] == m->mark)
        return 0;
    m->seen[i] = m->mark;
    return 1;
}

typedef struct walker {
    space s;
    delta_walk_counts counts;
    marks request_sectors, request_lines, loop_words, cta_words, cta_sectors;
} walker;

/* One request of a warp: the words of its lanes, -1 for lanes that are off. */
static void request(walker *w, const int64_t words[WARP], int64_t *requests, int64_t *lines,
                    int64_t *sectors)
{
    w->request_sectors.mark++;
    w->request_lines.mark++;
    int any = 0;
    for (int lane = 0; lane < WARP; lane++) {
        if (words[lane] < 0)
            continue;
        any = 1;
        *sectors += is_new(&w->request_sectors, words[lane] / SECTOR_WORDS);
        *lines += is_new(&w->request_lines, words[lane] / LINE_WORDS);
    }
    *requests += any;
}

/* A warp gathers 32 pixels for one k. */
static void gather_image(walker *w, int64_t m0, int64_t k0)
{
    const sky_delta_tile *t = w->s.t;
    for (int64_t k = k0; k < k0 + t->blk_k; k++) {
        for (int64_t m = m0; m < m0 + t->blk_m; m += WARP) {
            int64_t words[WARP];
            for (int lane = 0; lane < WARP; lane++) {
                const int64_t word = words[lane] = image_word(&w->s, m + lane, k);
                if (word < 0)
                    continue;
                w->counts.loop_words += is_new(&w->loop_words, word);
                w->counts.cta_words += is_new(&w->cta_words, word);
                w->counts.cta_sectors += is_new(&w->cta_sectors, word / SECTOR_WORDS);
            }
            request(w, words, &w->counts.image_requests, &w->counts.image_lines,
                    &w->counts.image_sectors);
        }
    }
}

/* Lanes count along k first: blk_k words of each filter. */
static void gather_filters(walker *w, int64_t n0, int64_t k0)
{
    const sky_delta_tile *t = w->s.t;
    for (int64_t at = 0; at < (int64_t)t->blk_n * t->blk_k; at += WARP) {
        int64_t words[WARP];
        for (int lane = 0; lane < WARP; lane++) {
            const int64_t i = at + lane;
            words[lane] = i < (int64_t)t->blk_n * t->blk_k
                              ? filter_word(&w->s, n0 + i / t->blk_k, k0 + i % t->blk_k)
                              : -1;
        }
        request(w, words, &w->counts.filter_requests, &w->counts.filter_lines,
                &w->counts.filter_sectors);
    }
}

delta_walk_counts delta_walk(const sky_delta_conv *c, const sky_delta_tile *t)
{
    walker w = {.s = space_of(c, t)};
    w.request_sectors = marks_of(w.s.end / SECTOR_WORDS + 1);
    w.request_lines = marks_of(w.s.end / LINE_WORDS + 1);
    w.loop_words = marks_of(w.s.filters);
    w.cta_words = marks_of(w.s.filters);
    w.cta_sectors = marks_of(w.s.filters / SECTOR_WORDS + 1);
    w.counts.ctas = w.s.rows * w.s.columns;
    for (int64_t cta = 0; cta < w.counts.ctas; cta++) {
        const int64_t m0 = cta % w.s.rows * t->blk_m, n0 = cta / w.s.rows * t->blk_n;
        w.cta_words.mark++;
        w.cta_sectors.mark++;
        for (int64_t k0 = 0; k0 < w.s.k; k0 += t->blk_k) {
            w.loop_words.mark++;
            gather_image(&w, m0, k0);
            gather_filters(&w, n0, k0);
        }
    }
    free(w.request_sectors.seen);
    free(w.request_lines.seen);
    free(w.loop_words.seen);
    free(w.cta_words.seen);
    free(w.cta_sectors.seen);
    return w.counts;
}

/* --- caches --- */

/* LRU: a ring of units in the order of their use, by links; unit `n` is its head. */
typedef struct lru {
    int64_t *before, *after; /* before[i] < 0: not in the cache */
    int64_t n, held, room, unit_words, misses;
} lru;

static lru lru_of(int64_t words, delta_walk_cache cache)
{
    lru l = {.unit_words = cache.unit_bytes / WORD_BYTES};
    l.n = words / l.unit_words + 1;
    l.room = cache.bytes / cache.unit_bytes;
    l.before = must_alloc((size_t)l.n + 1, sizeof *l.before);
    l.after = must_alloc((size_t)l.n + 1, sizeof *l.after);
    for (int64_t i = 0; i < l.n; i++)
        l.before[i] = -1;
    l.before[l.n] = l.after[l.n] = l.n;
    return l;
}

static void lru_free(lru *l)
{
    free(l->before);
    free(l->after);
}

static void unlink_unit(lru *l, int64_t i)
{
    l->after[l->before[i]] = l->after[i];
    l->before[l->after[i]] = l->before[i];
    l->before[i] = -1;
    l->held--;
}

/* A use of a word. A write fills its unit without reading it. */
static void touch(lru *l, int64_t word, bool read)
{
    if (word < 0)
        return;
    const int64_t i = word / l->unit_words;
    if (l->before[i] >= 0)
        unlink_unit(l, i);
    else
        l->misses += read;
    l->after[i] = l->after[l->n];
    l->before[i] = l->n;
    l->before[l->after[l->n]] = i;
    l->after[l->n] = i;
    if (++l->held > l->room)
        unlink_unit(l, l->before[l->n]);
}

static void touch_loop(lru *l, const space *s, int64_t cta, int64_t k0)
{
    const sky_delta_tile *t = s->t;
    const int64_t m0 = cta % s->rows * t->blk_m, n0 = cta / s->rows * t->blk_n;
    for (int64_t k = k0; k < k0 + t->blk_k; k++) {
        for (int64_t m = m0; m < m0 + t->blk_m; m++)
            touch(l, image_word(s, m, k), true);
        for (int64_t n = n0; n < n0 + t->blk_n; n++)
            touch(l, filter_word(s, n, k), true);
    }
}

static void touch_outputs(lru *l, const space *s, int64_t cta)
{
    const int64_t pixels = s->c->out_h * s->c->out_w;
    const int64_t m0 = cta % s->rows * s->t->blk_m, n0 = cta / s->rows * s->t->blk_n;
    for (int64_t n = n0; n < at_most(n0 + s->t->blk_n, s->n); n++)
        for (int64_t m = m0; m < at_most(m0 + s->t->blk_m, s->m); m++)
            touch(l, s->outputs + (m / pixels * s->n + n) * pixels + m % pixels, false);
}

int64_t delta_walk_l1(const sky_delta_conv *c, const sky_delta_tile *t, delta_walk_cache l1)
{
    const space s = space_of(c, t);
    lru l = lru_of(s.end, l1);
    for (int64_t cta = 0; cta < s.rows * s.columns; cta++)
        for (int64_t k0 = 0; k0 < s.k; k0 += t->blk_k)
            touch_loop(&l, &s, cta, k0);
    lru_free(&l);
    return l.misses * l1.unit_bytes;
}

int64_t delta_walk_l2(const sky_delta_conv *c, const sky_delta_tile *t, int64_t at_once,
                      delta_walk_cache l2)
{
    const space s = space_of(c, t);
    const int64_t ctas = s.rows * s.columns;
    lru l = lru_of(s.end, l2);
    for (int64_t first = 0; first < ctas; first += at_once) {
        const int64_t end = at_most(first + at_once, ctas);
        for (int64_t k0 = 0; k0 < s.k; k0 += t->blk_k)
            for (int64_t cta = first; cta < end; cta++)
                touch_loop(&l, &s, cta, k0);
        for (int64_t cta = first; cta < end; cta++)
            touch_outputs(&l, &s, cta);
    }
    lru_free(&l);
    return l.misses * l2.unit_bytes;
}
