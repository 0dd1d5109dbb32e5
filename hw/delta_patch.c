/* Which part of an image CTAs and warps touch: windows of runs of output pixels in raster order,
 * in words and in 32-byte sectors. Means are over where runs can begin in an image. */
#include <assert.h>
#include <math.h>
#include <stdbool.h>

#include "hw/delta_internal.h"

enum { SAMPLES_MIN = 12, SAMPLES_MAX = 64, SECTOR_SHIFT = 3 };
_Static_assert(1 << SECTOR_SHIFT == SKY__SECTOR_WORDS, "sectors of 8 words");

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
    int shift; /* unit is 1 << shift words: no division in the innermost loops */
    int64_t unit, step;
    int64_t first;  /* beginning of the first run */
    int64_t before; /* end of the last run; negative: none */
    int64_t parts;  /* sectors, in words: whole ones if step is unit */
    double words;
} runs;

static runs runs_begin(const sky_delta_conv *c, int shift)
{
    const int64_t unit = INT64_C(1) << shift;
    return (runs){
        .shift = shift, .unit = unit, .step = gcd(unit, c->height * c->width), .before = -1};
}

static sky_delta_patch runs_end(const runs *r)
{
    return (sky_delta_patch){r->words, (double)r->parts / (double)r->unit};
}

/* Sectors, times unit, in which one run ends and the next, at `from`, begins. */
static inline int64_t joined_parts(const runs *r, int64_t from)
{
    if (r->before < 0)
        return 0;
    if (r->step == 1)
        return most(0, r->unit - 1 - (from - r->before));
    int64_t joined = 0;
    for (int64_t at = 0; at < r->unit; at += r->step)
        joined += (r->before - 1 + at) >> r->shift == (from + at) >> r->shift;
    return joined * r->step;
}

/* Words [from, to), to > from, of which the kernel needs `words`. */
static inline void add_run(runs *r, int64_t from, int64_t to, double words)
{
    int64_t parts = to - from + r->unit - 1;
    if (r->step > 1) {
        parts = 0;
        for (int64_t at = 0; at < r->unit; at += r->step)
            parts += r->step * (((to - 1 + at) >> r->shift) - ((from + at) >> r->shift) + 1);
    }
    r->parts += parts - joined_parts(r, from);
    r->words += words;
    if (r->before < 0)
        r->first = from;
    r->before = to;
}

/* The channels of an image follow each other, and one CTA goes through them all: a sector in
 * which one channel's patch ends may be that in which the next one's begins. */
static sky_delta_patch close_patch(runs *r, const sky_delta_conv *c)
{
    if (c->channels_in > 1)
        r->parts -= joined_parts(r, r->first + c->height * c->width);
    return runs_end(r);
}

/* Words of one input row that outputs [a, b] of a row need. */
static int64_t row_words(const sky_delta_conv *c, int64_t a, int64_t b)
{
    if (c->stride_w <= c->kernel_w)
        return length(columns_of(c, a, b));
    int64_t n = 0; /* windows are apart: 0 <= x * stride + shift < width */
    for (int64_t tap = 0; tap < c->kernel_w; tap++) {
        const int64_t s = c->stride_w, shift = tap - c->pad_left;
        const int64_t first = shift >= 0 ? 0 : (-shift + s - 1) / s;
        const int64_t end = shift >= c->width ? 0 : (c->width - shift + s - 1) / s;
        n += most(0, least(b + 1, end) - most(a, first));
    }
    return n;
}

/* Input rows [rows.lo, rows.hi), of each what outputs [a, b] of a row need. */
static void add_rows(runs *r, const sky_delta_conv *c, span rows, int64_t a, int64_t b)
{
    const span columns = columns_of(c, a, b);
    if (length(rows) == 0 || length(columns) == 0)
        return;
    const double words = (double)row_words(c, a, b);
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

/* Along one edge: whether a tap of one of the outputs [a, b] falls on `at`. */
typedef struct axis {
    int64_t taps, stride, dilation, pad;
} axis;

static bool touches(const axis *x, int64_t at, int64_t a, int64_t b)
{
    for (int64_t tap = 0; tap < x->taps; tap++) {
        const int64_t from = at + x->pad - tap * x->dilation;
        if (from >= a * x->stride && from <= b * x->stride && from % x->stride == 0)
            return true;
    }
    return false;
}

/* The patch of outputs [from, to) of windows with holes, word by word: slow, and dilation is rare. */
static sky_delta_patch dilated_piece(const sky_delta_conv *c, int shift, int64_t from, int64_t to)
{
    const int64_t wo = c->out_w;
    const int64_t y0 = from / wo, x0 = from % wo, y1 = (to - 1) / wo, x1 = (to - 1) % wo;
    const axis down = {c->kernel_h, c->stride_h, c->dilation_h, c->pad_top};
    const axis right = {c->kernel_w, c->stride_w, c->dilation_w, c->pad_left};
    const span rows = rows_of(c, y0, y1);
    runs r = runs_begin(c, shift);
    for (int64_t row = rows.lo; row < rows.hi; row++) {
        const bool head = touches(&down, row, y0, y0), tail = touches(&down, row, y1, y1);
        const bool whole = y1 - y0 > 1 && touches(&down, row, y0 + 1, y1 - 1);
        int64_t begin = -1; /* of a run */
        for (int64_t x = 0; x <= c->width; x++) {
            const bool is_in =
                x < c->width && ((whole && touches(&right, x, 0, wo - 1)) ||
                                 (head && touches(&right, x, x0, y0 == y1 ? x1 : wo - 1)) ||
                                 (tail && touches(&right, x, y0 == y1 ? x0 : 0, x1)));
            if (is_in && begin < 0)
                begin = x;
            if (!is_in && begin >= 0) {
                add_run(&r, row * c->width + begin, row * c->width + x, (double)(x - begin));
                begin = -1;
            }
        }
    }
    return close_patch(&r, c);
}

/* The patch of outputs [from, to) of one image, in raster order. Input rows are of three kinds:
 * those that only the first, cut row of outputs needs, those that whole rows need, those that
 * only the last, cut row does. */
static sky_delta_patch piece(const sky_delta_conv *c, int shift, int64_t from, int64_t to)
{
    const int64_t wo = c->out_w;
    const int64_t y0 = from / wo, x0 = from % wo, y1 = (to - 1) / wo, x1 = (to - 1) % wo;
    const int64_t reach = (c->kernel_h - 1) * c->dilation_h + 1;
    if (c->dilation_h > 1 || c->dilation_w > 1)
        return dilated_piece(c, shift, from, to);
    runs r = runs_begin(c, shift);
    if (y0 == y1) {
        add_rows(&r, c, rows_of(c, y0, y0), x0, x1);
        return close_patch(&r, c);
    }
    if (c->stride_h > reach) { /* windows of different rows are apart */
        for (int64_t y = y0; y <= y1; y++) {
            add_rows(&r, c, rows_of(c, y, y), y == y0 ? x0 : 0, y == y1 ? x1 : wo - 1);
        }
        return close_patch(&r, c);
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
    add_rows(&r, c, head, x0, wo - 1);
    add_rows(&r, c, full, 0, wo - 1);
    add_both(&r, c, both, left, right);
    add_rows(&r, c, tail, 0, x1);
    return close_patch(&r, c);
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
        const sky_delta_patch p = piece(c, SECTOR_SHIFT, from, from + take);
        sum.words += (double)images * p.words;
        sum.sectors += (double)images * p.sectors;
        at += images * take;
        n -= images * take;
    }
    return sum;
}

/* Runs of n pixels begin at multiples of n: at so many `places` of an image, `grain` pixels apart, in
 * `columns` different columns. A step that is prime to the places comes to all of them, and in turn to
 * all columns, before it comes to one again; steps of about the golden ratio of an image are spread
 * evenly however many there are. */
typedef struct sampling {
    int64_t samples, step; /* sample i begins at pixel i * step */
} sampling;

static sampling sampling_of(const sky_delta_conv *c, int64_t n)
{
    const int64_t pixels = c->out_h * c->out_w, grain = gcd(pixels, n);
    const int64_t places = pixels / grain, columns = c->out_w / gcd(c->out_w, n);
    int64_t step = most(1, (int64_t)(0.6180339887498949 * (double)places));
    while (gcd(step, places) > 1)
        step--;
    const int64_t samples = least(SAMPLES_MAX, most(SAMPLES_MIN, columns));
    return (sampling){least(samples, places), step * grain};
}

static sky_delta_patch channel_patch(const sky_delta_conv *c, const sky_delta_tile *t)
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

/* Words that one pass over a channel of an image brings from DRAM, in accesses of 1 << shift
 * words. */
static double image_words(const sky_delta_conv *c, int shift)
{
    const double whole = (double)(c->height * c->width);
    const bool skips_rows =
        c->stride_h > (c->kernel_h - 1) * c->dilation_h + 1 || gcd(c->stride_h, c->dilation_h) > 1;
    if (!skips_rows)
        return whole;
    const sky_delta_patch p = piece(c, shift, 0, c->out_h * c->out_w);
    return sky__min(whole, p.sectors * (double)(1 << shift));
}

/* --- the paper's main loop --- */

/* Words that taps [first, last) of one channel touch, for the pixels of a tile: `images` images,
 * in each `rows` output rows of `columns` outputs. */
static double taps_words(const sky_delta_conv *c, int64_t first, int64_t last, double images,
                         double rows, double columns)
{
    const int64_t first_row = first / c->kernel_w, last_row = (last - 1) / c->kernel_w;
    const double h = (double)(last_row - first_row + 1);
    const double w = h > 1 ? (double)c->kernel_w : (double)(last - first);
    const double down = (double)c->stride_h, right = (double)c->stride_w;
    const double tall = sky__min(sky__min(rows * h, down * (rows - 1) + h), (double)c->height);
    const double wide =
        sky__min(sky__min(w * columns, right * (columns - 1) + w), (double)c->width);
    return images * tall * wide;
}

static double loop_words(const sky_delta_conv *c, const sky_delta_tile *t)
{
    enum { BLOCKS_MAX = 1024 }; /* alignments looked at: more only with windows over 32 x 32 */
    const sky__gemm_view v = sky__delta_view(c, t);
    const double wo = (double)c->out_w;
    const double columns = sky__min(t->blk_m, wo);
    const double images = sky__max(1, t->blk_m / v.pixels);
    const double rows = sky__max(1, t->blk_m / wo) / images;
    const int64_t taps = c->kernel_h * c->kernel_w, k = (int64_t)v.k;
    /* The alignment of a k-block to the filter repeats after `taps` blocks at the latest. */
    const int64_t blocks = (int64_t)sky__min(v.loops, sky__min((double)taps, (double)BLOCKS_MAX));
    double sum = 0;
    for (int64_t block = 0; block < blocks; block++) {
        const int64_t stop = (block + 1) * t->blk_k, end = stop < k ? stop : k;
        for (int64_t at = block * t->blk_k; at < end;) {
            const int64_t first = at % taps;
            const int64_t last = first + (end - at) < taps ? first + (end - at) : taps;
            if (taps == 1) { /* whole channels: all alike */
                sum += (double)(end - at) * taps_words(c, 0, 1, images, rows, columns);
                break;
            }
            sum += taps_words(c, first, last, images, rows, columns);
            at += last - first;
        }
    }
    return sum / (double)blocks;
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

/* Sectors of one warp's gather of 32 output pixels from (x, y) on, for one tap, as if all rows were
 * inside the image. */
static double gather(const sky_delta_conv *c, int64_t x, int64_t y, int64_t row, int64_t tap)
{
    const int64_t wo = c->out_w, s = c->stride_w, shift = tap * c->dilation_w - c->pad_left;
    const int64_t first_inside = shift >= 0 ? 0 : (-shift + s - 1) / s;
    const int64_t last_inside = shift >= c->width ? -1 : (c->width - 1 - shift) / s;
    runs r = runs_begin(c, SECTOR_SHIFT);
    for (int64_t left = SKY__WARP; left > 0;) {
        const int64_t n = least(left, wo - x);
        const int64_t first = most(x, first_inside), last = least(x + n - 1, last_inside);
        if (first <= last && s > r.unit) {
            r.parts += r.unit * (last - first + 1); /* each pixel in a sector of its own */
        } else if (first <= last) {
            const int64_t row_in = y * c->stride_h + row * c->dilation_h - c->pad_top;
            /* Rows above the image too: moved down by a whole number of sectors. */
            const int64_t from = (row_in + r.unit * c->pad_top) * c->width + shift;
            add_run(&r, from + first * s, from + last * s + 1, 0);
        }
        left -= n;
        x = 0;
        if (++y == c->out_h) { /* another image */
            y = 0;
            r.before = -1;
        }
    }
    return runs_end(&r).sectors;
}

/* The same per output pixel, mean over where warps begin; all taps of one channel. */
static double gathered_sectors(const sky_delta_conv *c)
{
    sampling s = sampling_of(c, SKY__WARP);
    s.samples = most(s.samples, c->kernel_h); /* each row of the window, wherever warps begin */
    double sum = 0;
    for (int64_t i = 0; i < s.samples; i++) {
        const int64_t at = i * s.step % (c->out_h * c->out_w);
        for (int64_t tap = 0; tap < c->kernel_w; tap++)
            sum += gather(c, at % c->out_w, at / c->out_w, i % c->kernel_h, tap);
    }
    const double rows_inside =
        inside(c->out_h, c->kernel_h, c->stride_h, c->dilation_h, c->pad_top, c->height);
    return sum / (double)(s.samples * SKY__WARP) * (double)c->kernel_h * rows_inside;
}

/* Section IV-B of the paper: how much more than its words a gather along a padded row moves. */
static double gathered_sectors_loop(const sky_delta_conv *c)
{
    const double padded = (double)(c->width + 2 * c->pad_left);
    const double reach = (double)((c->kernel_w - 1) * c->dilation_w + 1);
    const double inefficiency = padded * (double)c->stride_w / (padded - reach + 1);
    return (double)(c->kernel_h * c->kernel_w) * inefficiency / SKY__SECTOR_WORDS;
}

/* Sectors per word of blk_k consecutive words of a filter: they begin at multiples of gcd(K,
 * blk_k, 8). */
static double filter_sectors(const sky_delta_conv *c, const sky_delta_tile *t)
{
    const int64_t k = c->channels_in * c->kernel_h * c->kernel_w;
    const int64_t step = gcd(SKY__SECTOR_WORDS, gcd(k, t->blk_k));
    return (double)(t->blk_k + SKY__SECTOR_WORDS - step) / (SKY__SECTOR_WORDS * (double)t->blk_k);
}

void sky_delta_geometry_of(const sky_delta_conv *c, const sky_delta_tile *t, sky_delta_reuse reuse,
                           const sky_delta_geometry *like, sky_delta_geometry *out)
{
    const bool cache = reuse == SKY_DELTA_CACHE;
    sky_delta_geometry g = like ? *like : (sky_delta_geometry){0};
    g.loop_words = loop_words(c, t);
    g.filter_sectors = filter_sectors(c, t);
    const bool is_general = c->batch * c->out_h * c->out_w > t->blk_m;
    if (cache && !(is_general && g.patch_blk_m == t->blk_m))
        g.patch = channel_patch(c, t);
    g.patch_blk_m = is_general ? t->blk_m : 0;
    if (!like) {
        g.gathered_sectors = cache ? gathered_sectors(c) : gathered_sectors_loop(c);
        for (int i = 0; cache && i < SKY_DELTA_ACCESSES; i++)
            g.image_words[i] = image_words(c, SECTOR_SHIFT + i);
    }
    *out = g;
}
