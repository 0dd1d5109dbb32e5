/* Which part of an image CTAs and warps touch: windows of runs of output pixels in raster order,
 * in words and in 32-byte sectors. Means are over where runs can begin in an image. */
#include <assert.h>
#include <math.h>
#include <stdbool.h>

#include "hw/delta_internal.h"

enum { SAMPLES = 64 };

static int64_t gcd(int64_t a, int64_t b)
{
    while (b != 0) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

typedef struct span {
    int64_t lo, hi; /* [lo, hi); empty if hi <= lo */
} span;

static int64_t length(span s)
{
    return most(0, s.hi - s.lo);
}

/* Input rows (columns) that the windows of output rows (columns) [a, b] cover, holes included. */
static span rows_of(const sky_delta_conv *c, int64_t a, int64_t b)
{
    const int64_t reach = (c->kernel_h - 1) * c->dilation_h + 1;
    return (span){most(0, a * c->stride_h - c->pad_top),
                  least(c->height, b * c->stride_h - c->pad_top + reach)};
}

static span columns_of(const sky_delta_conv *c, int64_t a, int64_t b)
{
    const int64_t reach = (c->kernel_w - 1) * c->dilation_w + 1;
    return (span){most(0, a * c->stride_w - c->pad_left),
                  least(c->width, b * c->stride_w - c->pad_left + reach)};
}

/* Runs of words of one channel's plane, in the order of their addresses, and the sectors of
 * `unit` words that they touch, each counted once. Planes begin at multiples of `step` words:
 * the mean over where. */
typedef struct runs {
    int64_t unit, step;
    int64_t before; /* end of the last run; negative: none */
    sky_delta_patch sum;
} runs;

static runs runs_begin(const sky_delta_conv *c, int64_t unit)
{
    return (runs){.unit = unit, .step = gcd(unit, c->height * c->width), .before = -1};
}

/* Words [from, to), to > from, of which the kernel needs `words`. */
static void add_run(runs *r, int64_t from, int64_t to, double words)
{
    const int64_t unit = r->unit;
    r->sum.words += words;
    if (r->step == 1) {
        const int64_t gap = r->before < 0 ? unit : from - r->before;
        r->sum.sectors += (double)(to - from + unit - 1 - most(0, unit - 1 - gap)) / (double)unit;
    } else {
        int64_t sectors = 0;
        for (int64_t at = 0; at < unit; at += r->step) {
            const int64_t first = (from + at) / unit, last = (to - 1 + at) / unit;
            const bool joined = r->before >= 0 && (r->before - 1 + at) / unit == first;
            sectors += last - first + 1 - joined;
        }
        r->sum.sectors += (double)(sectors * r->step) / (double)unit;
    }
    r->before = to;
}

/* Rows [rows.lo, rows.hi) of the same columns, `each` words of every row. */
static void add_rows(runs *r, const sky_delta_conv *c, span rows, span columns, int64_t each)
{
    if (length(rows) == 0 || length(columns) == 0)
        return;
    const double words = (double)least(each, length(columns));
    if (length(columns) == c->width) { /* they follow each other without a gap */
        add_run(r, rows.lo * c->width, rows.hi * c->width, words * (double)length(rows));
        return;
    }
    for (int64_t row = rows.lo; row < rows.hi; row++)
        add_run(r, row * c->width + columns.lo, row * c->width + columns.hi, words);
}

/* Two cut rows of outputs and nothing between: the input rows that both need. */
static void add_both(runs *r, const sky_delta_conv *c, span rows, span left, span right)
{
    for (int64_t row = rows.lo; row < rows.hi; row++) {
        const int64_t at = row * c->width;
        if (left.hi >= right.lo) {
            add_run(r, at + left.lo, at + right.hi, (double)(right.hi - left.lo));
        } else {
            add_run(r, at + left.lo, at + left.hi, (double)length(left));
            add_run(r, at + right.lo, at + right.hi, (double)length(right));
        }
    }
}

/* The patch of outputs [from, to) of one image, in raster order. Input rows are of three kinds:
 * those that only the first, cut row of outputs needs, those that whole rows need, those that
 * only the last, cut row does. */
static sky_delta_patch piece(const sky_delta_conv *c, int64_t unit, int64_t from, int64_t to)
{
    const int64_t wo = c->out_w, taps = c->kernel_w;
    const int64_t y0 = from / wo, x0 = from % wo, y1 = (to - 1) / wo, x1 = (to - 1) % wo;
    const int64_t reach = (c->kernel_h - 1) * c->dilation_h + 1;
    const span all = columns_of(c, 0, wo - 1);
    runs r = runs_begin(c, unit);
    if (y0 == y1) {
        add_rows(&r, c, rows_of(c, y0, y0), columns_of(c, x0, x1), taps * (x1 - x0 + 1));
        return r.sum;
    }
    if (c->stride_h > reach) { /* windows of different rows are apart */
        for (int64_t y = y0; y <= y1; y++) {
            const int64_t a = y == y0 ? x0 : 0, b = y == y1 ? x1 : wo - 1;
            add_rows(&r, c, rows_of(c, y, y), columns_of(c, a, b), taps * (b - a + 1));
        }
        return r.sum;
    }
    const int64_t first = x0 == 0 ? y0 : y0 + 1, last = x1 == wo - 1 ? y1 : y1 - 1;
    const span left = columns_of(c, 0, x1), right = columns_of(c, x0, wo - 1);
    span full = {0, 0}, both = {0, 0};
    span head = first > y0 ? rows_of(c, y0, y0) : (span){0, 0};
    span tail = last < y1 ? rows_of(c, y1, y1) : (span){0, 0};
    if (first <= last) {
        full = rows_of(c, first, last);
        head.hi = least(head.hi, full.lo);
        tail.lo = most(tail.lo, full.hi);
    } else if (tail.lo < head.hi) {
        both = (span){tail.lo, head.hi};
        head.hi = both.lo;
        tail.lo = both.hi;
    }
    add_rows(&r, c, head, right, taps * (wo - x0));
    add_rows(&r, c, full, all, taps * wo);
    add_both(&r, c, both, left, right);
    add_rows(&r, c, tail, left, taps * (x1 + 1));
    return r.sum;
}

/* The run of `n` output pixels from pixel `at`: whole images, and pieces at its ends. */
static sky_delta_patch run_patch(const sky_delta_conv *c, int64_t at, int64_t n)
{
    const int64_t pixels = c->out_h * c->out_w;
    sky_delta_patch sum = {0};
    while (n > 0) {
        const int64_t from = at % pixels;
        int64_t images = 1, take = least(n, pixels - from);
        if (from == 0 && n >= pixels) {
            images = n / pixels;
            take = pixels;
        }
        const sky_delta_patch p = piece(c, SKY__SECTOR_WORDS, from, from + take);
        sum.words += (double)images * p.words;
        sum.sectors += (double)images * p.sectors;
        at += images * take;
        n -= images * take;
    }
    return sum;
}

/* Runs of n pixels begin at multiples of n. That gives `columns` different columns of an image,
 * all of which are looked at, each with one row: rows differ little, and are spread by the
 * golden ratio. */
typedef struct sampling {
    int64_t samples, step; /* sample i begins at pixel i * step */
} sampling;

static sampling sampling_of(const sky_delta_conv *c, int64_t n)
{
    const int64_t pixels = c->out_h * c->out_w;
    const int64_t places = pixels / gcd(pixels, n), columns = c->out_w / gcd(c->out_w, n);
    /* The step is 1 more than a multiple of columns, so that no column comes twice. */
    const int64_t turns = (int64_t)(0.6180339887498949 * (double)(places / columns));
    return (sampling){least(SAMPLES, columns), (turns * columns + 1) * n};
}

sky_delta_patch sky_delta_channel_patch(const sky_delta_conv *c, const sky_delta_tile *t)
{
    const int64_t n = least(t->blk_m, c->batch * c->out_h * c->out_w);
    sampling s = sampling_of(c, n);
    if (c->batch * c->out_h * c->out_w == n)
        s.samples = 1; /* the only CTA */
    sky_delta_patch sum = {0};
    for (int64_t i = 0; i < s.samples; i++) {
        const sky_delta_patch p = run_patch(c, i * s.step, n);
        sum.words += p.words;
        sum.sectors += p.sectors;
    }
    const double to_tile = (double)t->blk_m / (double)(n * s.samples);
    return (sky_delta_patch){sum.words * to_tile, sum.sectors * to_tile};
}

double sky__delta_image_words(const sky_delta_conv *c, double access_words)
{
    const double whole = (double)(c->height * c->width);
    if (c->stride_h <= (c->kernel_h - 1) * c->dilation_h + 1)
        return whole;
    const sky_delta_patch p = piece(c, (int64_t)access_words, 0, c->out_h * c->out_w);
    return sky__min(whole, p.sectors * access_words);
}

/* --- what the warps request --- */

/* The part of (output row, tap) pairs that lie inside the image, along one edge. */
static double inside(int64_t out, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad,
                     int64_t edge)
{
    int64_t n = 0;
    for (int64_t tap = 0; tap < kernel; tap++) {
        const int64_t shift = tap * dilation - pad; /* 0 <= y * stride + shift < edge */
        const int64_t first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
        const int64_t end = shift >= edge ? 0 : (edge - shift + stride - 1) / stride;
        n += most(0, least(end, out) - first);
    }
    return (double)n / (double)(out * kernel);
}

/* Sectors of one warp's gather of output pixels [at, at + 32) for one tap, as if all rows were
 * inside the image. */
static double gather(const sky_delta_conv *c, int64_t at, int64_t row, int64_t tap)
{
    const int64_t wo = c->out_w, s = c->stride_w, shift = tap * c->dilation_w - c->pad_left;
    const int64_t first_inside = shift >= 0 ? 0 : (-shift + s - 1) / s;
    const int64_t last_inside = shift >= c->width ? -1 : (c->width - 1 - shift) / s;
    double sectors = 0;
    runs r = runs_begin(c, SKY__SECTOR_WORDS);
    for (int64_t left = SKY__WARP; left > 0;) {
        const int64_t x = at % wo, y = at / wo % c->out_h, n = least(left, wo - x);
        const int64_t first = most(x, first_inside), last = least(x + n - 1, last_inside);
        if (first <= last && s > r.unit) {
            sectors += (double)(last - first + 1); /* each pixel in a sector of its own */
        } else if (first <= last) {
            const int64_t row_in = y * c->stride_h + row * c->dilation_h - c->pad_top;
            /* Rows above the image too: moved down by a whole number of sectors. */
            const int64_t from = (row_in + r.unit * c->pad_top) * c->width + shift;
            if (y == 0)
                r.before = -1; /* another image */
            add_run(&r, from + first * s, from + last * s + 1, 0);
        }
        left -= n;
        at += n;
    }
    return sectors + r.sum.sectors;
}

double sky_delta_l1_image_sectors(const sky_delta_conv *c, const sky_delta_tile *t,
                                  sky_delta_reuse reuse)
{
    const sky__gemm_view v = sky__delta_view(c, t);
    if (reuse == SKY_DELTA_LOOP) { /* the paper's inefficiency of a gather along a row */
        const double padded = (double)(c->width + 2 * c->pad_left);
        const double reach = (double)((c->kernel_w - 1) * c->dilation_w + 1);
        const double inefficiency = padded * (double)c->stride_w / (padded - reach + 1);
        return v.m * v.k * v.columns * inefficiency / SKY__SECTOR_WORDS;
    }
    const sampling s = sampling_of(c, SKY__WARP);
    double sum = 0;
    for (int64_t i = 0; i < s.samples; i++)
        for (int64_t tap = 0; tap < c->kernel_w; tap++)
            sum += gather(c, i * s.step, i % c->kernel_h, tap);
    const double rows_inside =
        inside(c->out_h, c->kernel_h, c->stride_h, c->dilation_h, c->pad_top, c->height);
    const double per_pixel =
        sum / (double)(s.samples * SKY__WARP) * (double)c->kernel_h * rows_inside;
    return v.m * per_pixel * (double)c->channels_in * v.columns;
}

double sky_delta_l1_filter_sectors(const sky_delta_conv *c, const sky_delta_tile *t)
{
    /* blk_k consecutive words of each filter, which begin at multiples of gcd(K, blk_k, 8). */
    const sky__gemm_view v = sky__delta_view(c, t);
    const int64_t step = gcd(SKY__SECTOR_WORDS, gcd((int64_t)v.k, t->blk_k));
    const double per_word =
        (double)(t->blk_k + SKY__SECTOR_WORDS - step) / (SKY__SECTOR_WORDS * (double)t->blk_k);
    return v.n * v.k * v.rows * per_word;
}
