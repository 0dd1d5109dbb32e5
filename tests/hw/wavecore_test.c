#include "hw/wavecore.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "random_case.h"
#include "wavecore_walk.h"

static const char *const variants[] = {"Baseline", "ArchOpt", "IL", "MBS-FS", "MBS1", "MBS2"};

static sky_wavecore_machine machine_of(sky_wavecore_variant variant, int32_t batch,
                                       int64_t buffer_bytes)
{
    return (sky_wavecore_machine){.variant = variant,
                                  .batch = batch,
                                  .cores = 2,
                                  .array = 128,
                                  .stream_max = 256,
                                  .vector_lanes = 128,
                                  .norm_passes = 2,
                                  .mask_bits = 1,
                                  .dw_bytes = 4,
                                  .buffer_bytes = buffer_bytes,
                                  .clock_hz = 0.7e9,
                                  .dram_bytes_per_s = 300.0 * (1 << 30),
                                  .dram_j_per_byte = 3.92 * 8e-12};
}

static void prepare(sky_wavecore_net *w, const sky_network *net, bool fuse, sky_arena *a)
{
    sky_conv_shape *convs = sky_new(a, sky_conv_shape, (size_t)net->n_layers);
    sky_network_convs(net, NULL, false, convs);
    sky_error e = {0};
    cr_assert_eq(sky_wavecore_prepare(w, net, NULL, convs, fuse, a, &e), SKY_OK, "%s", e.text);
}

/* --- random networks --- */

/* Any layer on any earlier ones, mostly late ones: branches, nested and crossing, several inputs and outputs.
 * All images are of one size, so that whatever has the same channels adds up. */
static int32_t pick(sky_rng *r, const sky_network_builder *b)
{
    int32_t back = 0;
    while (back < b->n - 1 && test_between(r, 0, 2) == 0)
        back++;
    return b->n - 1 - back;
}

static int32_t random_add(sky_rng *r, sky_network_builder *b)
{
    const int32_t x = pick(r, b);
    for (int tries = 0; tries < 8; tries++) {
        const int32_t y = (int32_t)test_between(r, 0, b->n - 1);
        if (b->layers[y].out.c == b->layers[x].out.c)
            return sky_net_add(b, "add", x, y);
    }
    return sky_net_relu(b, x);
}

static void random_layer(sky_rng *r, sky_network_builder *b)
{
    const int32_t x = pick(r, b), c = b->layers[x].out.c;
    const sky_conv_options window = {.kernel = 3, .pad = 1};
    switch (test_between(r, 0, 14)) {
    case 0:
    case 1:
    case 2:
        sky_net_conv(b, "conv", x,
                     (sky_conv_options){.out = 4 << test_between(r, 0, 2), .kernel = 3, .pad = 1});
        return;
    case 3:
    case 4:
        sky_net_norm(b, x);
        return;
    case 5:
    case 6:
        sky_net_relu(b, x);
        return;
    case 7:
        sky_net_pool(b, "pool", x, window);
        return;
    case 8:
    case 9:
        random_add(r, b);
        return;
    case 10:
    case 11: {
        int32_t in[4];
        const int32_t n = (int32_t)test_between(r, 2, 4);
        for (int32_t i = 0; i < n; i++)
            in[i] = pick(r, b);
        sky_net_concat(b, "concat", in, n);
        return;
    }
    case 12:
    case 13:
        if (test_between(r, 0, 3) == 0)
            sky_net_stand_in(b, "other", (sky_shape){4, 6, 6});
        else if (test_between(r, 0, 1))
            sky_net_layer(b, &(sky_layer){.name = "reshape",
                                          .kind = SKY_LAYER_RESHAPE,
                                          .n_inputs = 1,
                                          .input = {x},
                                          .out = b->layers[x].out});
        else if (c > 1)
            sky_net_slice(b, "slice", x, c / 2);
        return;
    default:
        if (test_between(r, 0, 1)) { /* squeeze and excite */
            const int32_t one = sky_net_conv(b, "gate", sky_net_global_pool(b, x),
                                             (sky_conv_options){.out = c, .kernel = 1});
            sky_net_add(b, "scale", x, one);
        } else {
            sky_net_layer(b, &(sky_layer){.name = "learned",
                                          .kind = SKY_LAYER_TENSOR,
                                          .out = {.c = c, .h = 6, .w = 6}});
            sky_net_add(b, "embed", x, b->n - 1);
        }
        return;
    }
}

static sky_network random_network(sky_rng *r, sky_arena *a)
{
    for (;;) {
        sky_network_builder b = {.arena = a};
        const int64_t image = test_between(r, 0, 1);
        if (image)
            sky_net_input(&b, (sky_shape){3, 6, 6});
        else
            sky_net_stand_in(&b, "before", (sky_shape){4, 6, 6});
        const int64_t n = test_between(r, 1, 30);
        sky_net_conv(&b, "first", 0, (sky_conv_options){.out = 8, .kernel = 3, .pad = 1});
        for (int64_t i = 0; i < n; i++) {
            random_layer(r, &b);
            /* Only whole images, so that everything can be joined. */
            if (b.layers[b.n - 1].out.h != 6)
                break;
        }
        sky_network net;
        if (sky_net_finish(&b, "random", "", &net, NULL) == SKY_OK)
            return net;
    }
}

/* The same block several times, as deep networks have it, then others: what repeats is counted once. */
static int32_t add_block(sky_network_builder *b, int32_t x, int64_t kind, int32_t c)
{
    const sky_conv_options conv = {.out = c, .kernel = 3, .pad = 1};
    if (kind == 0)
        return sky_net_relu(b, sky_net_norm(b, sky_net_conv(b, "conv", x, conv)));
    int32_t y = sky_net_relu(b, sky_net_norm(b, sky_net_conv(b, "main", x, conv)));
    y = sky_net_norm(b, sky_net_conv(b, "main", y, conv));
    if (kind == 1)
        return sky_net_relu(b, sky_net_add(b, "add", y, x));
    if (kind == 2)
        return sky_net_add(b, "add", y, sky_net_conv(b, "short", x, conv));
    const int32_t half =
        sky_net_conv(b, "branch", x, (sky_conv_options){.out = c / 2, .kernel = 1});
    const int32_t in[] = {
        half, sky_net_conv(b, "branch", y, (sky_conv_options){.out = c - c / 2, .kernel = 1})};
    return sky_net_concat(b, "concat", in, 2);
}

static sky_network random_tower(sky_rng *r, sky_arena *a)
{
    sky_network_builder b = {.arena = a};
    int32_t x = sky_net_input(&b, (sky_shape){3, 6, 6});
    const int64_t stages = test_between(r, 1, 4);
    for (int64_t i = 0; i < stages; i++) {
        const int32_t c = 4 << test_between(r, 0, 2);
        const int64_t kind = test_between(r, 0, 3), times = test_between(r, 1, 6);
        for (int64_t k = 0; k < times; k++)
            x = add_block(&b, x, b.layers[x].out.c == c ? kind : 0, c);
    }
    sky_network net;
    cr_assert_eq(sky_net_finish(&b, "random", "", &net, NULL), SKY_OK);
    return net;
}

/* --- closed forms and the walk --- */

/* Footprints are exact but for these, where they are at least what is needed: a slice's is its input, which it
 * streams where it is not on chip; a live unit's has what enters it from its beginning, though it may only
 * be read from DRAM later, and gradients of images, which nobody needs. */
static bool is_exact(const sky_wavecore_net *w, const sky_wavecore_unit *u, bool live, bool holds)
{
    if (strcmp(w->network->name, "random") != 0)
        return true;
    if (holds)
        return false;
    for (int32_t o = u->first_op; o < u->first_op + u->n_ops; o++) {
        const sky_wavecore_op *op = &w->ops[o];
        if (!live && op->kind == SKY_WAVECORE_COPY && op->in > op->out)
            return false;
        for (int32_t i = 0; i < op->n_inputs && live; i++) {
            const sky_wavecore_tensor *t = &w->tensors[w->inputs[op->first_input + i]];
            const bool enters = t->producer >= 0 && t->producer < u->first_op;
            if (!t->grad || (enters && t->first_use != u->first_op))
                return false;
        }
    }
    return true;
}

/* The buffer never overflows, and a footprint is what the unit really needs. */
static void check_peaks(const sky_wavecore_net *w, const sky_wavecore_machine *m,
                        const sky_wavecore_schedule *s, const wavecore_walk_result *r)
{
    const int64_t room = m->buffer_bytes / SKY_WAVECORE_WORD_BYTES;
    cr_assert_leq(r->peak_bytes, m->buffer_bytes);
    if (m->variant < SKY_WAVECORE_MBS_FS)
        return;
    for (int32_t u = 0; u < w->n_units; u++) {
        const sky_wavecore_unit *unit = &w->units[u];
        const int64_t expected = s->live[u] ? unit->live_footprint : unit->footprint;
        const bool exact = is_exact(w, unit, s->live[u], r->unit_holds[u]);
        if (expected <= room)
            cr_assert(exact ? r->unit_peak[u] == expected : r->unit_peak[u] <= expected,
                      "unit %d%s: holds %" PRId64 ", footprint %" PRId64, u,
                      s->live[u] ? " (live)" : "", r->unit_peak[u], expected);
    }
}

static void compare(const sky_wavecore_net *w, const sky_wavecore_machine *m)
{
    const sky_wavecore_schedule s = sky_wavecore_plan(w, m);
    sky_wavecore_cost c;
    sky_wavecore_step(w, m, &s, &c);
    wavecore_walk_result r = {.unit_peak = calloc((size_t)w->n_units, sizeof(int64_t)),
                              .unit_holds = calloc((size_t)w->n_units, sizeof(bool))};
    wavecore_walk(w, m, &s, &r);
    for (int i = 0; i < SKY_WAVECORE_CAUSES; i++)
        cr_assert_eq(c.bytes.of[i], r.bytes.of[i],
                     "%s: %s, batch %d, %" PRId64 " bytes: %s is %" PRId64 ", walked %" PRId64,
                     w->network->name, variants[m->variant], m->batch, m->buffer_bytes,
                     sky_wavecore_cause_name((sky_wavecore_cause)i), c.bytes.of[i], r.bytes.of[i]);
    cr_assert_eq(c.norm_bytes, r.norm_bytes);
    cr_assert_eq(sky_wavecore_total(&c.bytes), m->optimal ? s.optimal_bytes : s.greedy_bytes);
    check_peaks(w, m, &s, &r);
    free(r.unit_peak);
    free(r.unit_holds);
}

Test(wavecore, traffic_equals_the_walk)
{
    sky_rng rng = test_rng(1);
    int64_t units = 0, live = 0, groups = 0;
    for (int i = 0; i < 1500; i++) {
        sky_arena a = {0};
        const sky_network net = i % 4 == 0 ? random_tower(&rng, &a) : random_network(&rng, &a);
        sky_wavecore_net w = {0};
        prepare(&w, &net, test_between(&rng, 0, 3) == 0, &a);
        for (int variant = 0; variant < SKY_WAVECORE_VARIANTS; variant++) {
            sky_wavecore_machine m =
                machine_of((sky_wavecore_variant)variant, (int32_t)test_between(&rng, 1, 9),
                           2 * test_between(&rng, 100, 8000));
            m.optimal = test_between(&rng, 0, 1);
            m.norm_passes = (int32_t)test_between(&rng, 1, 3);
            m.mask_bits = (int32_t)test_between(&rng, 1, 16);
            m.dw_bytes = (int32_t)test_between(&rng, 2, 4);
            m.update_bytes = (int32_t)test_between(&rng, 0, 20);
            compare(&w, &m);
            const sky_wavecore_schedule s = sky_wavecore_plan(&w, &m);
            for (int32_t u = 0; u < w.n_units; u++)
                live += s.live[u];
            units += w.n_units;
            groups += s.n_groups;
        }
        sky_arena_free(&a);
    }
    cr_assert_gt(live, units / 20); /* the cases are of both kinds */
    cr_assert_gt(groups, 1500 * 6 + 500);
}

Test(wavecore, traffic_of_the_zoo_equals_the_walk, .timeout = 60)
{
    for (const char *const *name = sky_network_names(); *name; name++) {
        const sky_network *net = sky_network_find(*name);
        sky_arena a = {0};
        sky_wavecore_net w = {0};
        sky_conv_shape *convs = sky_new(&a, sky_conv_shape, (size_t)net->n_layers);
        sky_network_convs(net, NULL, false, convs);
        sky_error e = {0};
        if (sky_wavecore_prepare(&w, net, NULL, convs, false, &a, &e) != SKY_OK) {
            cr_assert(strstr(e.text, "no embeddings"), "%s", e.text);
            sky_arena_free(&a);
            continue;
        }
        for (int variant = 0; variant < SKY_WAVECORE_VARIANTS; variant++) {
            for (int64_t mib = 2; mib <= 50; mib *= 5) {
                const sky_wavecore_machine m =
                    machine_of((sky_wavecore_variant)variant, mib == 10 ? 32 : 9, mib << 20);
                compare(&w, &m);
            }
        }
        sky_arena_free(&a);
    }
}
