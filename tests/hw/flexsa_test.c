#include "hw/flexsa.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "array_sim.h"
#include "flexsa_ref.h"
#include "hw/constants.h"
#include "random_case.h"

static sky_flexsa_unit random_unit(sky_rng *rng, int32_t half_max)
{
    sky_flexsa_unit u = {.rows = 2 * (int32_t)test_between(rng, 1, half_max),
                         .cols = 2 * (int32_t)test_between(rng, 1, half_max),
                         .wide_load = test_between(rng, 0, 2) == 0};
    u.stream_max = u.rows * (int32_t)test_between(rng, 1, 3);
    u.cuts = test_between(rng, 0, 1) ? SKY_CUT_BOTH : (uint8_t)test_between(rng, 0, 3);
    if (!u.cuts) { /* a rigid array may have any size */
        u.rows -= (int32_t)test_between(rng, 0, 1);
        u.cols -= (int32_t)test_between(rng, 0, 1);
    }
    return u;
}

static sky_flexsa_tiling random_tiling(sky_rng *rng, const sky_flexsa_unit *u)
{
    return (sky_flexsa_tiling){.m = (int32_t)test_between(rng, 1, u->stream_max),
                               .n = (int32_t)test_between(rng, 1, u->cols),
                               .k = (int32_t)test_between(rng, 1, u->rows),
                               .cuts = u->cuts & (uint8_t)test_between(rng, 0, 3),
                               .m_outer = test_between(rng, 0, 1) != 0,
                               .swapped = test_between(rng, 0, 1) != 0};
}

/* As in the paper: 128 x 128 PEs in all, 256 streaming rows for an array of that size. */
static sky_flexsa_machine organised(const char *name)
{
    sky_flexsa_org org;
    cr_assert_eq(sky_flexsa_org_parse(name, &org), SKY_OK);
    const int32_t edge = sky_flexsa_core_edge(org, 128);
    return sky_flexsa_machine_of(org, (sky_array){edge, edge}, 2);
}

/* --- the simulator --- */

enum { EDGE_MAX = 20, WAVES_MAX = EDGE_MAX * EDGE_MAX * EDGE_MAX };

typedef struct product {
    sky_gemm g;
    int64_t a[EDGE_MAX * EDGE_MAX], b[EDGE_MAX * EDGE_MAX];
    int64_t c[EDGE_MAX * EDGE_MAX], want[EDGE_MAX * EDGE_MAX];
    sim_tile tiles[WAVES_MAX];
    int n_tiles;
    int seen[SKY_FLEXSA_MODES];
} product;

static void add_tile(void *arg, const ref_wave *w)
{
    product *p = arg;
    p->seen[w->mode]++;
    p->tiles[p->n_tiles++] = (sim_tile){.m = (int)w->m,
                                        .n = (int)w->n,
                                        .k = (int)w->k,
                                        .a = p->a + w->m0 * p->g.k + w->k0,
                                        .b = p->b + w->k0 * p->g.n + w->n0,
                                        .c = p->c + w->m0 * p->g.n + w->n0,
                                        .lda = (int)p->g.k,
                                        .ldb = (int)p->g.n,
                                        .ldc = (int)p->g.n,
                                        .cut_rows = w->mode == SKY_HSW || w->mode == SKY_ISW,
                                        .cut_cols = w->mode == SKY_VSW || w->mode == SKY_ISW};
}

static void random_product(product *p, sky_rng *rng)
{
    p->g = (sky_gemm){test_between(rng, 1, EDGE_MAX), test_between(rng, 1, EDGE_MAX),
                      test_between(rng, 1, EDGE_MAX)};
    test_fill(rng, p->a, (size_t)(p->g.m * p->g.k));
    test_fill(rng, p->b, (size_t)(p->g.k * p->g.n));
    memset(p->c, 0, sizeof p->c);
    memset(p->want, 0, sizeof p->want);
    for (int64_t i = 0; i < p->g.m; i++) {
        for (int64_t j = 0; j < p->g.n; j++) {
            for (int64_t q = 0; q < p->g.k; q++) {
                p->want[i * p->g.n + j] += p->a[i * p->g.k + q] * p->b[q * p->g.n + j];
            }
        }
    }
    p->n_tiles = 0;
}

static void swap_i64(int64_t *a, int64_t *b)
{
    int64_t t = *a;
    *a = *b;
    *b = t;
}

/* x (rows, cols) becomes its transpose. */
static void transpose(int64_t *x, int64_t rows, int64_t cols)
{
    int64_t t[EDGE_MAX * EDGE_MAX];
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < cols; j++)
            t[j * rows + i] = x[i * cols + j];
    }
    memcpy(x, t, (size_t)(rows * cols) * sizeof *x);
}

static void transpose_product(product *p)
{
    static int64_t a[EDGE_MAX * EDGE_MAX];
    transpose(p->a, p->g.m, p->g.k);
    transpose(p->b, p->g.k, p->g.n);
    transpose(p->want, p->g.m, p->g.n);
    memcpy(a, p->a, sizeof a);
    memcpy(p->a, p->b, sizeof a);
    memcpy(p->b, a, sizeof a);
    swap_i64(&p->g.m, &p->g.n);
}

static void expect_simulated(product *p, const sky_flexsa_unit *u, const sky_flexsa_tiling *t,
                             int i)
{
    const sky_flexsa_run run = t ? sky_flexsa_tiled_run(u, p->g, t) : sky_flexsa_unit_run(u, p->g);
    if (t && t->swapped)
        transpose_product(p);
    ref_tile(u, p->g, t, add_tile, p);
    sim_result got = sim_resting(u->rows, u->cols, p->tiles, p->n_tiles, u->wide_load);
    cr_assert_null(got.hazard, "case %d: %s", i, got.hazard);
    cr_assert_eq(memcmp(p->c, p->want, sizeof p->c), 0, "case %d: wrong product", i);
    cr_assert_eq(got.cycles, run.cycles,
                 "case %d, %" PRId64 "x%" PRId64 "x%" PRId64 " on %d x %d, cuts %d: simulator "
                 "%" PRId64 ", closed form %" PRId64,
                 i, p->g.m, p->g.n, p->g.k, u->rows, u->cols, u->cuts, got.cycles, run.cycles);
}

/* Products cut by the heuristic, so that modes follow one another as they do in use: the array really
 * computes the product, and takes the cycles of the closed form. */
Test(flexsa, products_equal_the_simulator, .timeout = 120)
{
    static product p;
    sky_rng rng = test_rng(20);
    for (int i = 0; i < 1500; i++) {
        sky_flexsa_unit u = random_unit(&rng, 4);
        random_product(&p, &rng);
        expect_simulated(&p, &u, NULL, i);
    }
    for (int mode = 0; mode < SKY_FLEXSA_MODES; mode++) {
        cr_assert_gt(p.seen[mode], 100, "mode %d was hardly tried", mode);
    }
}

/* Pieces of any size, either order, some cuts unused, the transposed product. */
Test(flexsa, any_tiling_equals_the_simulator, .timeout = 120)
{
    static product p;
    sky_rng rng = test_rng(25);
    for (int i = 0; i < 700; i++) {
        sky_flexsa_unit u = random_unit(&rng, 4);
        sky_flexsa_tiling t = random_tiling(&rng, &u);
        random_product(&p, &rng);
        expect_simulated(&p, &u, &t, i);
    }
    for (int mode = 0; mode < SKY_FLEXSA_MODES; mode++) {
        cr_assert_gt(p.seen[mode], 100, "mode %d was hardly tried", mode);
    }
}

/* Any mode after any other, with tiles of any size: no product gives all these sequences. */
Test(flexsa, any_sequence_of_modes_equals_the_simulator, .timeout = 120)
{
    enum { WAVES = 9, CELLS = 20 * 8 };
    static int64_t a[WAVES][CELLS], b[WAVES][CELLS], c[CELLS];
    sky_rng rng = test_rng(21);
    for (int i = 0; i < 1500; i++) {
        sky_flexsa_unit u = random_unit(&rng, 4);
        u.rows += u.rows % 2;
        u.cols += u.cols % 2;
        u.cuts = SKY_CUT_BOTH;
        sim_tile tiles[WAVES];
        sky_systolic_chain chain = {0};
        int n_tiles = (int)test_between(&rng, 1, WAVES);
        for (int j = 0; j < n_tiles; j++) {
            int64_t m = test_between(&rng, 1, 20), n = test_between(&rng, 1, u.cols);
            int64_t k = test_between(&rng, 1, u.rows);
            sky_flexsa_mode mode = sky_flexsa_mode_of(&u, n, k);
            test_fill(&rng, a[j], (size_t)(m * k));
            test_fill(&rng, b[j], (size_t)(k * n));
            tiles[j] = (sim_tile){.m = (int)m,
                                  .n = (int)n,
                                  .k = (int)k,
                                  .a = a[j],
                                  .b = b[j],
                                  .c = c,
                                  .lda = (int)k,
                                  .ldb = (int)n,
                                  .ldc = (int)n,
                                  .cut_rows = mode == SKY_HSW || mode == SKY_ISW,
                                  .cut_cols = mode == SKY_VSW || mode == SKY_ISW};
            sky_systolic_chain_add(&chain, sky_flexsa_wave(&u, m, n, k));
        }
        sim_result got = sim_resting(u.rows, u.cols, tiles, n_tiles, u.wide_load);
        cr_assert_null(got.hazard, "case %d: %s", i, got.hazard);
        cr_assert_eq(got.cycles, chain.end, "case %d: simulator %" PRId64 ", chain %" PRId64, i,
                     got.cycles, chain.end);
    }
}

/* --- the plain version --- */

static void expect_same(const sky_flexsa_run *got, const sky_flexsa_run *want, const char *what,
                        int i)
{
    cr_assert_eq(got->cycles, want->cycles, "%s, case %d: cycles %" PRId64 ", walked %" PRId64,
                 what, i, got->cycles, want->cycles);
    cr_assert_eq(memcmp(got->waves, want->waves, sizeof got->waves), 0, "%s, case %d: waves", what,
                 i);
    cr_assert_eq(got->stationary_bytes, want->stationary_bytes, "%s, case %d", what, i);
    cr_assert_eq(got->copied_bytes, want->copied_bytes, "%s, case %d", what, i);
    cr_assert_eq(got->moving_bytes, want->moving_bytes, "%s, case %d", what, i);
    cr_assert_eq(got->output_bytes, want->output_bytes, "%s, case %d", what, i);
    cr_assert_eq(got->sum_bytes, want->sum_bytes, "%s, case %d", what, i);
}

Test(flexsa, unit_equals_the_walk)
{
    sky_rng rng = test_rng(22);
    for (int i = 0; i < 20000; i++) {
        sky_flexsa_unit u = random_unit(&rng, 16);
        sky_gemm g = {test_between(&rng, 1, 300), test_between(&rng, 1, 100),
                      test_between(&rng, 1, 200)};
        sky_flexsa_run got = sky_flexsa_unit_run(&u, g), want = ref_unit_run(&u, g, NULL);
        expect_same(&got, &want, "unit", i);
        const sky_flexsa_tiling t = random_tiling(&rng, &u);
        got = sky_flexsa_tiled_run(&u, g, &t);
        want = ref_unit_run(&u, g, &t);
        expect_same(&got, &want, "unit, any tiling", i);
    }
}

static sky_conv_shape random_layer(sky_rng *rng)
{
    int32_t edge = (int32_t)test_between(rng, 1, 9), window = (int32_t)test_between(rng, 1, 3);
    int32_t out = (int32_t)test_between(rng, 1, edge);
    return (sky_conv_shape){.c = (int32_t)test_between(rng, 1, 90),
                            .h = edge,
                            .w = edge,
                            .k = (int32_t)test_between(rng, 1, 90),
                            .p = out,
                            .q = out,
                            .r = window,
                            .s = window,
                            .groups = (int32_t)test_between(rng, 1, 3),
                            .no_dgrad = test_between(rng, 0, 9) == 0,
                            .count = (int32_t)test_between(rng, 1, 4)};
}

static sky_flexsa_machine random_machine(sky_rng *rng)
{
    sky_flexsa_org org = {.groups = (int32_t)test_between(rng, 1, 5),
                          .units = (int32_t)test_between(rng, 1, 5),
                          .flexible = test_between(rng, 0, 1) != 0};
    sky_array core = {2 * test_between(rng, 1, 16), 2 * test_between(rng, 1, 16)};
    sky_flexsa_machine m = sky_flexsa_machine_of(org, core, (int32_t)test_between(rng, 1, 3));
    m.unit.wide_load = test_between(rng, 0, 3) == 0;
    return m;
}

Test(flexsa, layer_equals_the_walk)
{
    sky_rng rng = test_rng(23);
    for (int i = 0; i < 8000; i++) {
        sky_flexsa_machine m = random_machine(&rng);
        m.gbuf_bytes = test_between(&rng, 64, 4096);
        if (i % 2)
            m.dram_bytes_per_s = 1e9;
        sky_conv_shape layer = random_layer(&rng);
        int32_t batch = (int32_t)test_between(&rng, 1, 4);
        sky_phase phase = (sky_phase)test_between(&rng, 0, SKY_PHASES - 1);
        sky_flexsa_cost got = sky_flexsa_layer(&m, &layer, batch, phase);
        if (phase == SKY_DGRAD && layer.no_dgrad) {
            cr_assert_eq(got.macs, 0);
            cr_assert_eq(got.time_s, 0);
            continue;
        }
        int64_t times = layer.count * layer.groups;
        sky_flexsa_run want = ref_machine_run(&m, sky_flexsa_gemm(&layer, batch, phase), phase);
        want.cycles *= times;
        for (int k = 0; k < SKY_FLEXSA_MODES; k++)
            want.waves[k] *= times;
        want.stationary_bytes *= times;
        want.copied_bytes *= times;
        want.moving_bytes *= times;
        want.output_bytes *= times;
        want.sum_bytes *= times;
        sky_flexsa_run run = {.cycles = got.cycles,
                              .stationary_bytes = got.stationary_bytes,
                              .copied_bytes = got.copied_bytes,
                              .moving_bytes = got.moving_bytes,
                              .output_bytes = got.output_bytes,
                              .sum_bytes = got.sum_bytes};
        memcpy(run.waves, got.waves, sizeof run.waves);
        expect_same(&run, &want, "layer", i);
        cr_assert_eq(got.greedy_cycles, got.cycles);
        double computing = (double)got.cycles / m.clock_hz;
        double memory = (double)got.dram_bytes / m.dram_bytes_per_s;
        cr_assert_float_eq(got.time_s, fmax(computing, memory), 1e-12 * got.time_s);
        double u = sky_flexsa_utilization(&m, &got);
        cr_assert(u > 0 && u <= 1, "utilization %g", u);
    }
}

Test(flexsa, dram_equals_the_walk)
{
    sky_rng rng = test_rng(24);
    for (int i = 0; i < 5000; i++) {
        sky_flexsa_machine m = organised(i % 2 ? "1G1F" : "4G1F");
        m.gbuf_bytes = test_between(&rng, 8, 3000);
        sky_flexsa_tensors t = {.a_bytes = test_between(&rng, 1, 9000),
                                .b_bytes = test_between(&rng, 1, 9000),
                                .c_bytes = test_between(&rng, 1, 9000),
                                .split_depth = i % 3 == 0};
        t.c_wide_bytes = t.split_depth ? t.c_bytes : 2 * t.c_bytes;
        cr_assert_eq(sky_flexsa_dram_bytes(&m, &t), ref_dram_bytes(&m, &t), "case %d", i);
        /* Nothing is read less than once, and a large enough buffer reads it exactly once. */
        cr_assert_geq(sky_flexsa_dram_bytes(&m, &t), t.a_bytes + t.b_bytes + t.c_bytes);
        m.gbuf_bytes = 1 << 20;
        int64_t b_reads = t.split_depth ? 1 : m.groups;
        cr_assert_eq(sky_flexsa_dram_bytes(&m, &t), t.a_bytes + b_reads * t.b_bytes + t.c_bytes);
    }
}

/* --- what must hold --- */

static sky_flexsa_cost training_step(const sky_flexsa_machine *m, double width, int32_t batch)
{
    static int32_t channels[SKY_LAYERS_MAX];
    static sky_conv_shape convs[SKY_LAYERS_MAX];
    const sky_network *net = sky_network_find("resnet50");
    sky_network_scale(net, width, channels);
    int32_t n = sky_network_convs(net, channels, true, convs);
    sky_flexsa_cost sum = {0};
    for (int phase = 0; phase < SKY_PHASES; phase++) {
        for (int32_t i = 0; i < n; i++) {
            const sky_flexsa_product p =
                sky_flexsa_compute(m, &convs[i], batch, (sky_phase)phase, &sum);
            sky_flexsa_add_memory(m, &p, &sum);
        }
    }
    return sum;
}

Test(flexsa, a_training_step_counts_three_products_a_layer)
{
    sky_flexsa_machine m = organised("1G1F");
    const sky_network *net = sky_network_find("resnet50");
    int64_t forward = 32 * sky_network_count(net, NULL).macs;
    int64_t first = 32LL * 112 * 112 * 64 * 147;
    sky_flexsa_cost step = training_step(&m, 1, 32);
    /* A data gradient multiplies as often as its forward product where the stride is 1; where it is 2 the
     * inserted zeros count, four times as many. */
    int64_t strided = 0;
    static sky_conv_shape convs[SKY_LAYERS_MAX];
    int32_t n = sky_network_convs(net, NULL, false, convs);
    for (int32_t i = 1; i < n; i++) {
        const sky_conv_shape *s = &convs[i];
        int64_t zeros = (int64_t)s->h * s->w - (int64_t)s->p * s->q;
        strided += 32 * zeros * s->c * s->k * s->r * s->s;
    }
    cr_assert_eq(step.macs, 3 * forward - first + strided);
}

/* Flexibility never costs cycles or traffic against the rigid array of the same size, and never reads
 * more than the four small arrays. */
Test(flexsa, flexible_is_no_worse_than_rigid)
{
    for (int percent = 10; percent <= 100; percent += 5) {
        sky_flexsa_machine rigid = organised("1G1C");
        sky_flexsa_machine flexible = organised("1G1F");
        sky_flexsa_machine four = organised("1G4C");
        sky_flexsa_cost r = training_step(&rigid, percent / 100.0, 32);
        sky_flexsa_cost f = training_step(&flexible, percent / 100.0, 32);
        sky_flexsa_cost s = training_step(&four, percent / 100.0, 32);
        cr_assert_leq(f.cycles, r.cycles);
        cr_assert_eq(f.stationary_bytes, r.stationary_bytes);
        cr_assert_eq(f.moving_bytes, r.moving_bytes);
        cr_assert_lt(f.stationary_bytes + f.moving_bytes, s.stationary_bytes + s.moving_bytes);
        cr_assert_eq(f.macs, r.macs);
        cr_assert_eq(f.macs, s.macs);
    }
}

Test(flexsa, memory_only_slows_down)
{
    sky_flexsa_machine m = organised("1G1F");
    sky_flexsa_cost ideal = training_step(&m, 0.5, 32);
    cr_assert_float_eq(ideal.time_s, (double)ideal.cycles / m.clock_hz, 1e-9 * ideal.time_s);
    m.dram_bytes_per_s = 270e9;
    sky_flexsa_cost hbm = training_step(&m, 0.5, 32);
    cr_assert_gt(hbm.time_s, ideal.time_s);
    cr_assert_eq(hbm.cycles, ideal.cycles);
    cr_assert_eq(hbm.dram_bytes, ideal.dram_bytes);
    cr_assert_geq(hbm.time_s, (double)hbm.dram_bytes / 270e9);
}

Test(flexsa, constants_have_sources)
{
    const sky_constant_info *table = sky_constant_table();
    for (int i = 0; i < SKY_CONSTANTS; i++) {
        cr_assert(table[i].name && table[i].name[0] && table[i].value > 0);
        cr_assert(table[i].source && strlen(table[i].source) > 20, "%s", table[i].name);
    }
    cr_assert_float_eq(sky_sram_j_per_byte(32768), 20e-12 / 8, 1e-18);
    cr_assert_float_eq(sky_sram_j_per_byte(8192), 10e-12 / 8,
                       1e-18); /* Horowitz' table has 10 pJ */
    cr_assert_float_eq(sky_sram_j_per_byte(10 << 20), 100e-12 / 8, 1e-18);
}

Test(flexsa, organisations)
{
    sky_flexsa_org o;
    cr_assert_eq(sky_flexsa_org_parse("4G4C", &o), SKY_OK);
    cr_assert(o.groups == 4 && o.units == 4 && !o.flexible);
    cr_assert_eq(sky_flexsa_core_edge(o, 128), 32);
    cr_assert_eq(sky_flexsa_org_parse("256G12F", &o), SKY_OK);
    cr_assert(o.groups == 256 && o.units == 12 && o.flexible);
    cr_assert_eq(sky_flexsa_core_edge(o, 128), 0); /* no square number of arrays */
    cr_assert_eq(sky_flexsa_org_parse("1G9C", &o), SKY_OK);
    cr_assert_eq(sky_flexsa_core_edge(o, 126), 42);
    cr_assert_eq(sky_flexsa_core_edge(o, 128), 0);
    cr_assert_eq(sky_flexsa_org_parse("1G4F", &o), SKY_OK);
    cr_assert_eq(sky_flexsa_core_edge(o, 126), 0); /* 63 is odd */
    static const char *const bad[] = {"",     "G",    "1G",    "1G4",   "0G1C", "1G0C",
                                      "1g1c", "1G1X", "1G1CC", "-1G1C", "1G-1C"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(sky_flexsa_org_parse(bad[i], &o), SKY_EFORMAT, "%s", bad[i]);
    cr_assert_eq(sky_flexsa_org_parse("257G1C", &o), SKY_ELIMIT);
    cr_assert_eq(sky_flexsa_org_parse("1G99999999999999999999C", &o), SKY_ELIMIT);
}

/* --- the search --- */

typedef struct brute {
    const sky_flexsa_unit *u;
    sky_gemm g;
    int64_t cycles, bytes;
} brute;

static void brute_try(brute *b, const sky_flexsa_tiling *t)
{
    const sky_flexsa_run r = ref_unit_run(b->u, b->g, t);
    const int64_t bytes = r.stationary_bytes + r.moving_bytes;
    if (r.cycles < b->cycles || (r.cycles == b->cycles && bytes < b->bytes)) {
        b->cycles = r.cycles;
        b->bytes = bytes;
    }
}

/* Every tiling there is, walked wave by wave. */
static brute brute_force(const sky_flexsa_unit *u, sky_gemm g, bool may_swap)
{
    brute b = {.u = u, .g = g, .cycles = INT64_MAX, .bytes = INT64_MAX};
    for (int choice = 0; choice < 16; choice++) {
        sky_flexsa_tiling t = {.cuts = choice & 3, .m_outer = choice & 4, .swapped = choice & 8};
        if ((t.cuts & ~u->cuts) || (t.swapped && !may_swap))
            continue;
        for (t.m = 1; t.m <= u->stream_max; t.m++) {
            for (t.n = 1; t.n <= u->cols; t.n++) {
                for (t.k = 1; t.k <= u->rows; t.k++)
                    brute_try(&b, &t);
            }
        }
    }
    return b;
}

Test(flexsa, best_equals_brute_force, .timeout = 120)
{
    sky_rng rng = test_rng(26);
    int better = 0, swapped = 0;
    for (int i = 0; i < 150; i++) {
        sky_flexsa_unit u = random_unit(&rng, 3);
        sky_gemm g = {test_between(&rng, 1, 24), test_between(&rng, 1, 14),
                      test_between(&rng, 1, 14)};
        const bool may_swap = test_between(&rng, 0, 1) != 0;
        const sky_flexsa_tiling t = sky_flexsa_best(&u, g, may_swap);
        const sky_flexsa_run got = sky_flexsa_tiled_run(&u, g, &t);
        const brute want = brute_force(&u, g, may_swap);
        cr_assert_eq(got.cycles, want.cycles,
                     "case %d, %" PRId64 "x%" PRId64 "x%" PRId64 ": %" PRId64
                     ", brute force %" PRId64,
                     i, g.m, g.n, g.k, got.cycles, want.cycles);
        cr_assert_eq(got.stationary_bytes + got.moving_bytes, want.bytes, "case %d", i);
        better += got.cycles < sky_flexsa_unit_run(&u, g).cycles;
        swapped += t.swapped;
    }
    cr_assert(better > 20 && swapped > 10, "%d better, %d swapped", better, swapped);
}

/* On machines of any kind, and where no brute force reaches. */
Test(flexsa, greedy_never_beats_best, .timeout = 120)
{
    sky_rng rng = test_rng(27);
    for (int i = 0; i < 300; i++) {
        sky_flexsa_machine m = random_machine(&rng);
        sky_conv_shape layer = random_layer(&rng);
        sky_phase phase = (sky_phase)test_between(&rng, 0, SKY_PHASES - 1);
        if (phase == SKY_DGRAD && layer.no_dgrad)
            continue;
        const sky_flexsa_cost greedy = sky_flexsa_layer(&m, &layer, 2, phase);
        m.search = true;
        const sky_flexsa_cost still = sky_flexsa_layer(&m, &layer, 2, phase);
        m.swap_phases = 1 << SKY_FORWARD | 1 << SKY_DGRAD | 1 << SKY_WGRAD;
        const sky_flexsa_cost best = sky_flexsa_layer(&m, &layer, 2, phase);
        cr_assert_eq(still.greedy_cycles, greedy.cycles, "case %d", i);
        cr_assert_leq(still.cycles, greedy.cycles, "case %d", i);
        cr_assert_leq(best.cycles, still.cycles, "case %d", i);
        cr_assert_eq(best.macs, greedy.macs);
        const int64_t pes = (int64_t)m.unit.rows * m.unit.cols * m.units * m.groups;
        cr_assert_geq(best.cycles, best.macs / pes);
    }
}

/* Without the wait for loads a flexible array is never behind. */
Test(flexsa, wide_loads_only_help)
{
    sky_flexsa_machine m = organised("1G1F");
    const sky_flexsa_cost timed = training_step(&m, 0.5, 32);
    m.unit.wide_load = true;
    const sky_flexsa_cost wide = training_step(&m, 0.5, 32);
    cr_assert_lt(wide.cycles, timed.cycles);
    cr_assert_eq(wide.stationary_bytes, timed.stationary_bytes);
}

Test(flexsa, energies_can_be_given)
{
    sky_flexsa_machine m = organised("1G1F");
    const sky_flexsa_cost c = training_step(&m, 0.5, 32);
    const sky_flexsa_energy table = sky_flexsa_energy_of(&m, &c);
    m.energies = (sky_flexsa_energies){2.0, 0, 12.5, 3.92}; /* what the table says */
    const sky_flexsa_energy same = sky_flexsa_energy_of(&m, &c);
    cr_assert_float_eq(same.mac_j, table.mac_j, 1e-12 * table.mac_j);
    cr_assert_float_eq(same.gbuf_j, table.gbuf_j, 1e-12 * table.gbuf_j);
    cr_assert_float_eq(same.dram_j, table.dram_j, 1e-12 * table.dram_j);
    cr_assert_eq(same.lbuf_j, table.lbuf_j);
    m.energies.lbuf_pj_per_byte = 5;
    const sky_flexsa_energy dear = sky_flexsa_energy_of(&m, &c);
    double bytes = (double)(2 * (c.copied_bytes + c.moving_bytes) + c.sum_bytes);
    cr_assert_float_eq(dear.lbuf_j, bytes * 5e-12, 1e-12 * dear.lbuf_j);
    m.unit_lbufs = true;
    const sky_flexsa_energy one_set = sky_flexsa_energy_of(&m, &c);
    bytes = (double)(2 * (c.stationary_bytes + c.moving_bytes) + c.sum_bytes);
    cr_assert_float_eq(one_set.lbuf_j, bytes * 5e-12, 1e-12 * one_set.lbuf_j);
    m.energies.lbuf_pj_per_byte = 0; /* buffers four times as large cost twice as much a byte */
    const sky_flexsa_energy large = sky_flexsa_energy_of(&m, &c);
    cr_assert_gt(large.lbuf_j, table.lbuf_j);
}
