/* The plaintext factors of a program, slot by slot: each weight where the formula of he_conv.h wants it,
 * zero wherever a rotation brings in what does not belong to the sum. */
#include <assert.h>
#include <string.h>

#include "jobs/he/he_conv_internal.h"

/* The tap through which an output pixel sees input row and column `at` from its window's corner; -1 if none. */
static int32_t tap_at(const sky_window *w, int32_t dy, int32_t dx)
{
    int32_t ky = dy, kx = dx;
    if (w->dilation_h > 1 || w->dilation_w > 1) {
        if (dy < 0 || dx < 0 || dy % w->dilation_h != 0 || dx % w->dilation_w != 0)
            return -1;
        ky = dy / w->dilation_h;
        kx = dx / w->dilation_w;
    }
    if (ky < 0 || kx < 0 || ky >= w->kernel_h || kx >= w->kernel_w)
        return -1;
    return ky * w->kernel_w + kx;
}

/* The tap that input pixel `in` is seen through from output pixel `out`; -1 if none. */
static int32_t tap_between(const sky_window *w, sky_he_place out, sky_he_place in)
{
    return tap_at(w, in.y - out.y * w->stride_h + w->pad_top,
                  in.x - out.x * w->stride_w + w->pad_left);
}

/* A stretch of slots that wraps around neither in the input nor in the output. */
typedef struct stretch {
    const sky_he_place *out, *in;
    double *slots;
    int32_t n;
} stretch;

/* The channels of a term's row and input, and the first of its weights. */
typedef struct term_block {
    const double *weights;
    uint32_t o_end, i_end;              /* channels from here on are not the layer's */
    int64_t out_stride, channel_stride; /* between weights */
} term_block;

static bool in_block(const term_block *b, sky_he_place out, sky_he_place in)
{
    /* -1, no pixel, is the largest of all. */
    return (uint32_t)out.channel < b->o_end && (uint32_t)in.channel < b->i_end;
}

static double weight_of(const term_block *b, sky_he_place out, sky_he_place in, int32_t tap)
{
    return b->weights[out.channel * b->out_stride + in.channel * b->channel_stride + tap];
}

/* Each rotation is one tap. In a small image two taps may be the same rotation, so the place decides. */
static void fill_one_tap(const sky_window *w, const term_block *b, int32_t tap, stretch t)
{
    const int32_t dy = tap / w->kernel_w * w->dilation_h - w->pad_top;
    const int32_t dx = tap % w->kernel_w * w->dilation_w - w->pad_left;
    const int32_t stride_h = w->stride_h, stride_w = w->stride_w;
    for (int32_t r = 0; r < t.n; r++) {
        const sky_he_place out = t.out[r], in = t.in[r];
        if (in.y - out.y * stride_h == dy && in.x - out.x * stride_w == dx && in_block(b, out, in))
            t.slots[r] = weight_of(b, out, in, tap);
    }
}

static void fill_any_tap(const sky_window *w, const term_block *b, stretch t)
{
    for (int32_t r = 0; r < t.n; r++) {
        if (!in_block(b, t.out[r], t.in[r]))
            continue;
        const int32_t tap = tap_between(w, t.out[r], t.in[r]);
        if (tap >= 0)
            t.slots[r] = weight_of(b, t.out[r], t.in[r], tap);
    }
}

/* P[p, q, d, tap]: the product's slot r is on its way to output slot r - giant, and holds input slot
 * r + baby. */
static void term_values(const sky_he_conv_plan *plan, sky_he_term t, const double *weights,
                        double *slots)
{
    const sky_he_conv_shape *s = &plan->shape;
    const int32_t n = plan->slots, mask = n - 1;
    const int32_t o0 = t.row * plan->out.channels, i0 = t.in * plan->in.channels;
    const term_block b = {.weights = weights + sky_he_conv_weight_at(s, o0, i0, 0),
                          .o_end = (uint32_t)(s->c_out - o0),
                          .i_end = (uint32_t)(s->c_in - i0),
                          .out_stride = sky_he_conv_weight_at(s, 1, 0, 0),
                          .channel_stride = sky_he_conv_weight_at(s, 0, 1, 0)};
    int32_t from = -sky_he_giant_step(plan, t.diagonal / plan->split) & mask;
    int32_t to = sky_he_baby_step(plan, t.diagonal % plan->split, t.tap) & mask;
    for (int32_t r = 0; r < n;) {
        const int32_t whole = n - (from > to ? from : to);
        const stretch part = {.out = plan->out_at + from,
                              .in = plan->in_at + to,
                              .slots = slots + r,
                              .n = whole < n - r ? whole : n - r};
        if (plan->n_taps == 1)
            fill_any_tap(&s->window, &b, part);
        else
            fill_one_tap(&s->window, &b, t.tap, part);
        r += part.n;
        from = (from + part.n) & mask;
        to = (to + part.n) & mask;
    }
}

/* multiplexed: copy a of the input is multiplied by the weights of output channel row * copies + a. */
static void copy_values(const sky_he_conv_plan *plan, sky_he_term t, const double *weights,
                        double *slots)
{
    const sky_he_conv_shape *s = &plan->shape;
    const sky_window *w = &s->window;
    int32_t dy, dx;
    sky__he_tap_offset(s, t.tap, &dy, &dx);
    const int32_t out_h = sky_he_conv_out_h(s), out_w = sky_he_conv_out_w(s);
    /* Not in_at: with padding beyond (kernel - 1) / 2 an output can lie where no input pixel is. */
    sky_he_layout grid = plan->in;
    grid.h = out_h * w->stride_h;
    grid.w = out_w * w->stride_w;
    for (int32_t r = 0; r < plan->slots; r++) {
        const sky_he_place at = sky_he_layout_at(&grid, r);
        const int32_t o = t.row * plan->copies + r / plan->copy_pitch;
        if (at.channel < 0 || at.channel >= s->c_in || o >= s->c_out)
            continue;
        if (at.y % w->stride_h != 0 || at.x % w->stride_w != 0)
            continue;
        const int32_t y = at.y + dy, x = at.x + dx;
        if (y < 0 || y >= s->h || x < 0 || x >= s->w)
            continue;
        slots[r] = weights[sky_he_conv_weight_at(s, o, at.channel, t.tap)];
    }
}

/* Ones where the sums of output channel `out` are. */
static void mask_values(const sky_he_conv_plan *plan, int32_t out, double *slots)
{
    const int32_t first = out % plan->copies * plan->copy_pitch;
    const int32_t pitch = plan->in.pitch_w * plan->out.gap_h;
    for (int32_t y = 0; y < plan->out.h; y++) {
        for (int32_t x = 0; x < plan->out.w; x++)
            slots[first + y * pitch + x * plan->out.gap_w] = 1;
    }
}

void sky_he_factor_values(const sky_he_factor *f, const double *weights, double *slots)
{
    assert(f && weights && slots);
    memset(slots, 0, (size_t)f->plan->slots * sizeof *slots);
    if (f->select)
        mask_values(f->plan, f->out, slots);
    else if (f->plan->selects)
        copy_values(f->plan, f->term, weights, slots);
    else
        term_values(f->plan, f->term, weights, slots);
}
