/* The packings of convolutions: where channels and pixels go, and the steps between them.
 *
 * Every packing gives an image a footprint whose edges are powers of two, so that rotations by whole
 * periods wrap onto copies of the same data. Padding at the borders, and what a rotation brings in from a
 * neighbour, is zeros in the plaintext factors. */
#include <assert.h>
#include <stdlib.h>

#include "jobs/he/he_conv_internal.h"

int32_t sky__he_pow2_ceil(int32_t x)
{
    int32_t p = 1;
    while (p < x)
        p *= 2;
    return p;
}

int32_t sky__he_ceil_div(int32_t a, int32_t b)
{
    return (a + b - 1) / b;
}

static int32_t min32(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static int32_t max32(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

void sky__he_tap_offset(const sky_he_conv_shape *s, int32_t tap, int32_t *dy, int32_t *dx)
{
    const sky_window *w = &s->window;
    *dy = tap / w->kernel_w * w->dilation_h - w->pad_top;
    *dx = tap % w->kernel_w * w->dilation_w - w->pad_left;
}

void sky__he_tap_steps(sky_he_conv_plan *plan, int32_t gap)
{
    for (int32_t tap = 0; tap < plan->n_taps; tap++) {
        int32_t dy, dx;
        sky__he_tap_offset(&plan->shape, tap, &dy, &dx);
        plan->tap_step[tap] = (dy * plan->in.pitch_w + dx) * gap;
    }
}

sky_err sky__he_footprint(const sky_he_conv_plan *plan, int32_t gap, int32_t *pitch_h,
                          int32_t *pitch_w, sky_error *e)
{
    const sky_he_conv_shape *s = &plan->shape;
    const int64_t h = (int64_t)max32(s->h, sky_he_conv_out_h(s) * s->window.stride_h) * gap;
    const int64_t w = (int64_t)max32(s->w, sky_he_conv_out_w(s) * s->window.stride_w) * gap;
    if (h <= plan->slots && w <= plan->slots) {
        *pitch_h = sky__he_pow2_ceil((int32_t)h);
        *pitch_w = sky__he_pow2_ceil((int32_t)w);
        if ((int64_t)*pitch_h * *pitch_w <= plan->slots)
            return SKY_OK;
    }
    return sky_fail(
        e, SKY_EINVAL,
        "a %d x %d image with gap %d needs more slots than the %d of one ciphertext: take "
        "a larger log_n",
        s->h, s->w, gap, plan->slots);
}

static sky_he_layout layout_of(const sky_he_conv_plan *plan, int32_t pitch_h, int32_t pitch_w)
{
    return (sky_he_layout){
        .slots = plan->slots, .pitch_h = pitch_h, .pitch_w = pitch_w, .gap_h = 1, .gap_w = 1};
}

static void set_image(sky_he_layout *l, int32_t c, int32_t h, int32_t w)
{
    l->c = c;
    l->h = h;
    l->w = w;
    l->ciphertexts = sky__he_ceil_div(c, l->channels);
}

static void set_images(sky_he_conv_plan *plan)
{
    const sky_he_conv_shape *s = &plan->shape;
    set_image(&plan->in, s->c_in, s->h, s->w);
    set_image(&plan->out, s->c_out, sky_he_conv_out_h(s), sky_he_conv_out_w(s));
    plan->n_in = plan->in.ciphertexts;
}

/* siso, Gazelle's, hybrid: c_n channels side by side, copied until the ciphertext is full. */
sky_err sky__he_pack_channels(sky_he_conv_plan *plan, sky_error *e)
{
    const sky_he_conv_shape *s = &plan->shape;
    int32_t pitch_h, pitch_w;
    sky_err err = sky__he_footprint(plan, 1, &pitch_h, &pitch_w, e);
    if (err != SKY_OK)
        return err;
    const int32_t footprint = pitch_h * pitch_w;
    const int32_t channels = sky__he_pow2_ceil(max32(s->c_in, s->c_out));
    int32_t c_n = plan->slots / footprint;
    if (c_n > channels)
        c_n = channels;
    if (plan->packing == SKY_HE_SISO)
        c_n = 1;
    plan->in = layout_of(plan, pitch_h, pitch_w);
    plan->in.period = c_n * footprint;
    plan->in.channels = c_n;
    plan->out = plan->in;
    plan->out.gap_h = s->window.stride_h; /* outputs stay where their window's corner is */
    plan->out.gap_w = s->window.stride_w;
    set_images(plan);
    plan->n_rows = plan->out.ciphertexts;
    plan->n_diagonals = c_n;
    plan->n_taps = s->window.kernel_h * s->window.kernel_w;
    plan->unit = footprint;
    plan->rotates_blocks = plan->packing == SKY_HE_OUTPUT_ROTATION;
    return SKY_OK;
}

static sky_err check_square_stride(const sky_he_conv_plan *plan, sky_error *e)
{
    const sky_window *w = &plan->shape.window;
    if (w->stride_h != w->stride_w)
        return sky_fail(e, SKY_EINVAL, "packing %s needs equal strides, got %d x %d",
                        sky_he_packing_name(plan->packing), w->stride_h, w->stride_w);
    return SKY_OK;
}

/* Interleaved layouts of the same footprint, the output's gap larger by the stride. */
static sky_err interleave(sky_he_conv_plan *plan, int32_t gap, sky_error *e)
{
    int32_t pitch_h, pitch_w;
    sky_err err = check_square_stride(plan, e);
    if (err == SKY_OK)
        err = sky__he_footprint(plan, gap, &pitch_h, &pitch_w, e);
    if (err != SKY_OK)
        return err;
    plan->in = layout_of(plan, pitch_h, pitch_w);
    plan->in.interleaved = true;
    plan->out = plan->in;
    plan->in.gap_h = plan->in.gap_w = gap;
    plan->out.gap_h = plan->out.gap_w = gap * plan->shape.window.stride_h;
    return SKY_OK;
}

/* The matrix of slots by its diagonals. With fewer outputs than inputs it is cut into squares side by
 * side: as many diagonals as outputs, and a sum over the squares at the end. */
static void square_matrix(sky_he_conv_plan *plan)
{
    plan->n_rows = plan->out.ciphertexts;
    plan->n_diagonals = plan->out.period;
    plan->n_taps = 1;
    plan->unit = 1;
    if (plan->out.period < plan->in.period)
        plan->fold[plan->n_folds++] =
            (sky_he_fold){plan->out.period, plan->in.period / plan->out.period};
}

sky_err sky__he_pack_toeplitz(sky_he_conv_plan *plan, int32_t gap, sky_error *e)
{
    sky_err err = interleave(plan, gap, e);
    if (err != SKY_OK)
        return err;
    const int32_t in_gap = plan->in.gap_h * plan->in.gap_w;
    const int32_t out_gap = plan->out.gap_h * plan->out.gap_w;
    const int32_t footprint = plan->in.pitch_h * plan->in.pitch_w;
    int32_t inputs = sky__he_pow2_ceil(sky__he_ceil_div(plan->shape.c_in, in_gap));
    int32_t outputs = sky__he_pow2_ceil(sky__he_ceil_div(plan->shape.c_out, out_gap));
    inputs = min32(inputs, plan->slots / footprint);
    outputs = min32(outputs, plan->slots / footprint);
    plan->in.period = max32(inputs, outputs) * footprint;
    plan->in.channels = max32(inputs, outputs) * in_gap;
    plan->out.period = outputs * footprint;
    plan->out.channels = outputs * out_gap;
    set_images(plan);
    square_matrix(plan);
    return SKY_OK;
}

/* Halevi and Shoup's diagonals. */
sky_err sky__he_pack_dense(sky_he_conv_plan *plan, sky_error *e)
{
    const sky_he_conv_shape *s = &plan->shape;
    if (s->h != 1 || s->w != 1 || s->window.kernel_h != 1 || s->window.kernel_w != 1 ||
        sky_he_conv_out_h(s) != 1 || sky_he_conv_out_w(s) != 1)
        return sky_fail(
            e, SKY_EINVAL,
            "packing halevi_shoup is for fully connected layers: size and kernel must be 1 "
            "without padding, got a %d x %d image and a %d x %d kernel",
            s->h, s->w, s->window.kernel_h, s->window.kernel_w);
    const int32_t inputs = min32(sky__he_pow2_ceil(s->c_in), plan->slots);
    const int32_t outputs = min32(sky__he_pow2_ceil(s->c_out), plan->slots);
    plan->in = layout_of(plan, 1, 1);
    plan->out = plan->in;
    plan->in.period = plan->in.channels = max32(inputs, outputs);
    plan->out.period = plan->out.channels = outputs;
    set_images(plan);
    square_matrix(plan);
    return SKY_OK;
}

static sky_err check_room(const sky_he_conv_plan *plan, const sky_he_layout *l, int32_t blocks,
                          const char *what, sky_error *e)
{
    const int64_t need = (int64_t)blocks * l->pitch_h * l->pitch_w;
    if (need > plan->slots)
        return sky_fail(e, SKY_EINVAL,
                        "packing multiplexed keeps the whole %s in one ciphertext: that needs %lld "
                        "slots and there are %d: take a larger log_n or another packing",
                        what, (long long)need, plan->slots);
    return SKY_OK;
}

/* Copies of `blocks` blocks, at powers of two, as many as there is room for. */
static int32_t spread(sky_he_layout *l, int32_t blocks, int32_t gap)
{
    const int32_t need = blocks * l->pitch_h * l->pitch_w;
    int32_t copies = 1;
    while ((int64_t)copies * 2 * need <= l->slots)
        copies *= 2;
    l->period = l->slots / copies;
    l->channels = blocks * gap * gap;
    return copies;
}

sky_err sky__he_pack_multiplexed(sky_he_conv_plan *plan, int32_t gap, sky_error *e)
{
    const sky_he_conv_shape *s = &plan->shape;
    sky_err err = interleave(plan, gap, e);
    if (err != SKY_OK)
        return err;
    const int32_t gap_out = plan->out.gap_h;
    const int32_t blocks_in = sky__he_ceil_div(s->c_in, gap * gap);
    const int32_t blocks_out = sky__he_ceil_div(s->c_out, gap_out * gap_out);
    err = check_room(plan, &plan->in, blocks_in, "input", e);
    if (err == SKY_OK)
        err = check_room(plan, &plan->out, blocks_out, "output", e);
    if (err != SKY_OK)
        return err;
    plan->copies = spread(&plan->in, blocks_in, gap);
    plan->copy_pitch = plan->in.period;
    spread(&plan->out, blocks_out, gap_out);
    set_images(plan);
    assert(plan->n_in == 1 && plan->out.ciphertexts == 1);
    plan->n_rows = sky__he_ceil_div(s->c_out, plan->copies);
    plan->n_diagonals = 1;
    plan->n_taps = s->window.kernel_h * s->window.kernel_w;
    plan->unit = 1;
    plan->depth = 2;
    plan->selects = true;
    const sky_he_fold folds[] = {
        {1, gap}, {plan->in.pitch_w, gap}, {plan->in.pitch_h * plan->in.pitch_w, blocks_in}};
    for (size_t k = 0; k < sizeof folds / sizeof *folds; k++) {
        if (folds[k].count > 1)
            plan->fold[plan->n_folds++] = folds[k];
    }
    return SKY_OK;
}
