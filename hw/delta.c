/* Traffic. SKY_DELTA_LOOP is the paper's section IV. SKY_DELTA_CACHE replaces the paper's rules of
 * what caches keep by what their capacity allows:
 *  0. A sector survives D bytes of fills into an L1 of C bytes with probability exp(-(D/C)^3). An
 *     exponent of 1 is a random choice of what to replace, a large one is LRU; Jia et al. (arXiv
 *     1804.06826) found neither.
 *  1. Image, L1 to L2. Main loops come channel by channel, and all taps of a channel touch nearly
 *     the same sectors. Between two touches the SM's CTAs fill in what a channel needs while the
 *     taps move on by one stride. The traffic lies between one load of each sector of a channel and
 *     the paper's.
 *  2. Filters, L1 to L2. The next CTA of the SM reads the same filters again; meanwhile comes all
 *     that CTAs load. Where L1 keeps the filters they are loaded once per SM, not once per CTA.
 *  3. CTAs in step ask for the same filters at one time and get them with one request: those of one
 *     SM in its L1, those of l2_coalesced_sms SMs before L2. They start in step and drift apart.
 *  4. DRAM. CTAs that run at once read the image at once: a pass over it is a wave of CTAs. Between
 *     two passes the image and the outputs fill L2. Each of its partitions may hold a copy of a
 *     line, so that the capacity that counts lies between size / partitions and size: the part
 *     missed is linear between the two. Rows that a stride leaves out are saved only in units of
 *     dram_access_bytes.
 * Two constants are calibrated, on GoogLeNet's layers in hw/data/conv_traffic_h200.csv and on no
 * others: the exponent and step_loops. docs/papers/delta.md says what they change. */
#include "hw/delta.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "hw/delta_internal.h"
#include "hw/network_internal.h"

/* Main loops after which CTAs that started together are no longer in step. */
static const double step_loops = 1000;

static double ceil_div(double a, double b)
{
    return ceil(a / b);
}

sky_delta_tile sky_delta_tile_for(int64_t channels_out)
{
    if (channels_out <= 32)
        return (sky_delta_tile){128, 32, 4, 128, 72, 128, 8};
    if (channels_out <= 64)
        return (sky_delta_tile){128, 64, 4, 128, 128, 128, 16};
    return (sky_delta_tile){128, 128, 8, 256, 136, 128, 16};
}

const char *sky_delta_bound_name(sky_delta_bound b)
{
    static const char *const names[] = {"compute", "shared_memory", "l1", "l2", "dram", "latency"};
    assert(b < SKY_DELTA_BOUNDS);
    return names[b];
}

sky__gemm_view sky__delta_view(const sky_delta_conv *c, const sky_delta_tile *t)
{
    sky__gemm_view v;
    v.pixels = (double)(c->out_h * c->out_w);
    v.m = (double)c->batch * v.pixels;
    v.n = (double)c->channels_out;
    v.k = (double)(c->channels_in * c->kernel_h * c->kernel_w);
    v.columns = ceil_div(v.n, t->blk_n);
    v.rows = ceil_div(v.m, t->blk_m);
    v.loops = ceil_div(v.k, t->blk_k);
    return v;
}

/* --- L2 --- */

/* What of unified L1 and shared memory is left for L1. The driver hands out shared memory in
 * steps. */
static double l1_bytes_free(const sky_delta_tile *t, const sky_gpu *g, double ctas_per_sm)
{
    const double all = g->l1_kib_per_sm * 1024;
    if (g->l1_holds_smem == 0)
        return all;
    const double need =
        ctas_per_sm * (sky_delta_cta_smem_bytes(t) + g->smem_reserved_kib_per_cta * 1024);
    double step = 8 * 1024;
    while (step < need && step < 64 * 1024)
        step *= 2;
    if (step < need)
        step = ceil_div(need, 32 * 1024) * 32 * 1024;
    return sky__max(0, all - sky__min(step, g->smem_kib_per_sm * 1024));
}

/* Point 0: the part of re-reads that find their sector gone after `fills` bytes. */
static double lost(double fills, double capacity)
{
    if (capacity <= 0)
        return 1;
    const double x = fills / capacity;
    return 1 - exp(-x * x * x);
}

typedef struct l2_case {
    const sky_delta_conv *c;
    const sky_delta_tile *t;
    const sky_gpu *g;
    const sky_delta_geometry *geometry;
    const sky__gemm_view *v;
    double resident; /* CTAs of one SM at once */
    double capacity; /* L1, bytes */
} l2_case;

/* Point 1: bytes of the image that one CTA loads over all main loops. */
static double image_per_cta(const l2_case *x)
{
    const sky_delta_patch patch = x->geometry->patch;
    const double sector = SKY__SECTOR_WORDS * SKY__WORD_BYTES;
    const double channel = patch.sectors * sector;
    const double once = channel * (double)x->c->channels_in;
    const double taps = (double)(x->c->kernel_h * x->c->kernel_w);
    if (taps == 1)
        return once;
    const double swollen = patch.words > 0 ? channel / patch.words : SKY__WORD_BYTES;
    const double every_loop = sky__max(once, x->geometry->loop_words * x->v->loops * swollen);
    const double filters =
        sky__min(x->t->blk_n, x->v->n) * sky__max(taps, x->t->blk_k) * SKY__WORD_BYTES;
    /* An image row is touched again when the taps have moved on by the stride. */
    const double again = sky__min(1, (double)x->c->stride_h / (double)x->c->kernel_h);
    return once +
           (every_loop - once) * lost(again * x->resident * (channel + filters), x->capacity);
}

/* Points 2 and 3: the part of the CTAs' loads of `filters` filters each that reach L2. */
static double filter_part(const l2_case *x, double image_bytes, double filters)
{
    const double slab = filters * x->v->k * SKY__WORD_BYTES;
    const double ctas = x->v->rows * x->v->columns;
    const double waves = sky__max(1, ctas / (x->g->sms * x->resident));
    const double loops = waves * x->v->loops / step_loops;
    const double in_step = (1 - exp(-loops)) / loops; /* mean of exp(-loop / step_loops) */
    const double sharers = x->resident * x->g->l2_coalesced_sms;
    const double alone = in_step / sharers + (1 - in_step);
    const double rounds = sky__max(1, x->v->rows / (x->g->sms * x->resident)); /* in one column */
    double miss = 1;
    for (int i = 0; i < 4; i++) /* what is missed fills L1 too: a fixed point, near after four */
        miss = lost(x->resident * image_bytes + slab * miss, x->capacity);
    return alone * (1 / rounds + (1 - 1 / rounds) * miss);
}

static double l2_bytes(const l2_case *x, sky_delta_reuse reuse)
{
    const sky__gemm_view *v = x->v;
    const double filters =
        v->n * v->k * v->rows * SKY__WORD_BYTES; /* those that exist, for each CTA */
    const double tiles = v->columns * v->m / x->t->blk_m;
    if (reuse == SKY_DELTA_LOOP)
        return x->geometry->loop_words * v->loops * tiles * SKY__WORD_BYTES + filters;
    const double image = image_per_cta(x), whole = floor(v->n / x->t->blk_n) * x->t->blk_n;
    double part = 0; /* of whole columns of CTAs, and of the last one, which has fewer filters */
    if (whole > 0)
        part += whole / v->n * filter_part(x, image, x->t->blk_n);
    if (whole < v->n)
        part += (1 - whole / v->n) * filter_part(x, image, v->n - whole);
    return image * tiles + filters * part;
}

/* --- DRAM --- */

/* Section IV-D of the paper. */
static double dram_loop_bytes(const l2_case *x)
{
    const sky_delta_conv *c = x->c;
    double height = (double)c->height;
    if (c->kernel_h == 1 && c->stride_h > 1)
        height = (double)c->out_h; /* rows between the strides are never touched */
    const double image = (double)(c->batch * c->channels_in * c->width) * height * SKY__WORD_BYTES;
    const double at_once = sky__max(1, floor(x->resident * x->g->sms / x->v->rows));
    const bool fits = image <= x->g->l2_mib * 1048576;
    const double passes = fits ? 1 : ceil_div(x->v->columns, at_once);
    return image * passes + x->v->n * x->v->k * SKY__WORD_BYTES;
}

/* Point 4. */
static double dram_cache_bytes(const l2_case *x)
{
    const sky_delta_conv *c = x->c;
    const sky__gemm_view *v = x->v;
    int access = 0; /* the access size that the GPU's is nearest to, rounded down */
    while (access + 1 < SKY_DELTA_ACCESSES && x->g->dram_access_bytes >= 64 << access)
        access++;
    const double image =
        (double)(c->batch * c->channels_in) * x->geometry->image_words[access] * SKY__WORD_BYTES;
    const double outputs = v->m * v->n * SKY__WORD_BYTES;
    const double at_once = x->resident * x->g->sms; /* CTAs */
    double passes = v->columns;
    if (at_once >= v->rows) { /* several columns run at once; the last wave may need only a part */
        const double waves = v->rows * v->columns / at_once, whole = floor(waves);
        passes = sky__max(1, whole + sky__min(1, (waves - whole) * at_once / v->rows));
        passes = sky__min(passes, v->columns);
    }
    const double size = x->g->l2_mib * 1048576, least = size / x->g->l2_partitions;
    const double fills = image + outputs / passes;
    const double missed = fills <= least ? 0 : fills >= size ? 1 : (fills - least) / (size - least);
    return image * (1 + (passes - 1) * missed) + v->n * v->k * SKY__WORD_BYTES;
}

void sky_delta_layer(const sky_delta_conv *c, const sky_delta_tile *t,
                     const sky_delta_geometry *geometry, const sky_gpu *g,
                     const sky_delta_options *o, sky_delta_result *out)
{
    const sky__gemm_view v = sky__delta_view(c, t);
    const double groups = (double)c->groups;
    const double allowed = o->ctas_per_sm > 0 ? o->ctas_per_sm : sky_delta_occupancy(t, g);
    out->macs = groups * v.m * v.n * v.k;
    out->ctas = groups * v.rows * v.columns;
    out->ctas_per_sm = sky__max(1, sky__min(allowed, ceil_div(out->ctas, g->sms)));
    const l2_case x = {
        c, t, g, geometry, &v, out->ctas_per_sm, l1_bytes_free(t, g, out->ctas_per_sm)};
    out->l1_bytes = groups * SKY__SECTOR_WORDS * SKY__WORD_BYTES *
                    (v.m * v.columns * (double)c->channels_in * geometry->gathered_sectors +
                     v.n * v.k * v.rows * geometry->filter_sectors);
    out->l2_bytes = groups * l2_bytes(&x, o->reuse);
    out->dram_read_bytes =
        groups * (o->reuse == SKY_DELTA_LOOP ? dram_loop_bytes(&x) : dram_cache_bytes(&x));
    out->dram_write_bytes = groups * v.m * v.n * SKY__WORD_BYTES;
    sky__delta_times(&v, t, g, o, out);
}

/* --- networks --- */

void sky_delta_conv_batch(sky_delta_conv *c, int64_t batch)
{
    if (c->heads > 0)
        c->groups = c->heads * batch;
    else
        c->batch = batch;
}

/* But for the number of samples. */
static bool same_conv(const sky_delta_conv *a, const sky_delta_conv *b)
{
    return a->heads == b->heads && (a->heads > 0 || a->groups == b->groups) &&
           a->channels_in == b->channels_in && a->height == b->height && a->width == b->width &&
           a->channels_out == b->channels_out && a->out_h == b->out_h && a->out_w == b->out_w &&
           a->kernel_h == b->kernel_h && a->kernel_w == b->kernel_w && a->stride_h == b->stride_h &&
           a->stride_w == b->stride_w && a->dilation_h == b->dilation_h &&
           a->dilation_w == b->dilation_w && a->pad_top == b->pad_top && a->pad_left == b->pad_left;
}

static bool is_conv(sky_layer_kind kind, bool all)
{
    return kind == SKY_LAYER_CONV ||
           (all && (kind == SKY_LAYER_LINEAR || kind == SKY_LAYER_MATMUL));
}

/* Rows of one head: pixels of a 1 x 1 convolution. Where the second operand lies transposed in
 * memory, it is taken to be read as well as filters are. */
static sky_delta_conv product_of(const sky_network *net, int32_t index, int64_t batch)
{
    const sky_conv_shape s = sky__conv_shape(net, NULL, index);
    sky_delta_conv c = {.batch = 1,
                        .heads = s.groups,
                        .channels_in = s.c,
                        .height = s.h,
                        .width = s.w,
                        .channels_out = s.k,
                        .out_h = s.p,
                        .out_w = s.q,
                        .kernel_h = 1,
                        .kernel_w = 1,
                        .stride_h = 1,
                        .stride_w = 1,
                        .dilation_h = 1,
                        .dilation_w = 1,
                        .layer = index,
                        .count = 1};
    sky_delta_conv_batch(&c, batch);
    return c;
}

static sky_delta_conv conv_of(const sky_network *net, int32_t index, int64_t batch)
{
    const sky_layer *l = &net->layers[index];
    const sky_shape in = net->layers[l->input[0]].out;
    if (l->kind == SKY_LAYER_MATMUL)
        return product_of(net, index, batch);
    if (l->kind == SKY_LAYER_LINEAR)
        return (sky_delta_conv){.batch = batch,
                                .groups = 1,
                                .channels_in = (int64_t)in.c * in.h * in.w,
                                .height = 1,
                                .width = 1,
                                .channels_out = l->out.c,
                                .out_h = 1,
                                .out_w = 1,
                                .kernel_h = 1,
                                .kernel_w = 1,
                                .stride_h = 1,
                                .stride_w = 1,
                                .dilation_h = 1,
                                .dilation_w = 1,
                                .layer = index,
                                .count = 1};
    return (sky_delta_conv){.batch = batch,
                            .groups = l->groups,
                            .channels_in = in.c / l->groups,
                            .height = in.h,
                            .width = in.w,
                            .channels_out = l->out.c / l->groups,
                            .out_h = l->out.h,
                            .out_w = l->out.w,
                            .kernel_h = l->window.kernel_h,
                            .kernel_w = l->window.kernel_w,
                            .stride_h = l->window.stride_h,
                            .stride_w = l->window.stride_w,
                            .dilation_h = l->window.dilation_h,
                            .dilation_w = l->window.dilation_w,
                            .pad_top = l->window.pad_top,
                            .pad_left = l->window.pad_left,
                            .layer = index,
                            .count = 1};
}

size_t sky_delta_find(const sky_network *net, const char *layer, const sky_delta_conv *convs,
                      size_t n)
{
    int32_t i = 0;
    while (i < net->n_layers && (!net->layers[i].name || strcmp(net->layers[i].name, layer) != 0))
        i++;
    size_t k = n;
    if (i < net->n_layers && is_conv(net->layers[i].kind, true)) {
        const sky_delta_conv c = conv_of(net, i, 1);
        for (k = 0; k < n && !same_conv(&convs[k], &c);)
            k++;
    }
    return k;
}

size_t sky_delta_convs(const sky_network *net, bool all, int64_t batch, sky_delta_conv *out)
{
    size_t n = 0;
    for (int32_t i = 0; i < net->n_layers; i++) {
        if (!is_conv(net->layers[i].kind, all))
            continue;
        out[n] = conv_of(net, i, batch);
        size_t same = 0;
        while (same < n && !same_conv(&out[same], &out[n]))
            same++;
        if (same < n)
            out[same].count++;
        else
            n++;
    }
    return n;
}

void sky_delta_add(sky_delta_total *sum, const sky_delta_result *r, int64_t count)
{
    const double n = (double)count;
    sum->macs += n * r->macs;
    sum->l1_bytes += n * r->l1_bytes;
    sum->l2_bytes += n * r->l2_bytes;
    sum->dram_read_bytes += n * r->dram_read_bytes;
    sum->dram_write_bytes += n * r->dram_write_bytes;
    sum->time_s += n * r->time_s;
    sum->bound_time_s[r->bound] += n * r->time_s;
    for (int b = 0; b < SKY_DELTA_BOUNDS; b++)
        if (sum->bound_time_s[b] > sum->bound_time_s[sum->bound])
            sum->bound = (sky_delta_bound)b;
}
