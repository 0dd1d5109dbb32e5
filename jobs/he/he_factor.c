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

/* P[p, q, d, tap]: the product's slot r is on its way to output slot r - giant, and holds input slot
 * r + baby. Programs that encode as they go spend much of their time here. */
static void term_values(const sky_he_conv_plan *plan, sky_he_term t, const double *weights,
                        double *slots)
{
    const sky_he_conv_shape *s = &plan->shape;
    const sky_window w = s->window;
    const int32_t mask = plan->slots - 1;
    const int32_t baby = sky_he_baby_step(plan, t.diagonal % plan->split, t.tap);
    const int32_t giant = sky_he_giant_step(plan, t.diagonal / plan->split);
    const int32_t o0 = t.row * plan->out.channels, i0 = t.in * plan->in.channels;
    const int32_t o_end = s->c_out - o0, i_end = s->c_in - i0;
    const bool any_tap = plan->n_taps == 1;
    for (int32_t r = 0; r < plan->slots; r++) {
        const sky_he_place out = plan->out_at[(r - giant) & mask];
        const sky_he_place in = plan->in_at[(r + baby) & mask];
        if (out.channel < 0 || in.channel < 0 || out.channel >= o_end || in.channel >= i_end)
            continue;
        const int32_t tap = tap_at(&w, in.y - out.y * w.stride_h + w.pad_top,
                                   in.x - out.x * w.stride_w + w.pad_left);
        if (tap < 0 || (tap != t.tap && !any_tap))
            continue; /* in a small image two taps may be the same rotation */
        slots[r] = weights[sky_he_conv_weight_at(s, o0 + out.channel, i0 + in.channel, tap)];
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
