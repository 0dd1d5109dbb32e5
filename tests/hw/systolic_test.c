#include "hw/systolic.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "array_sim.h"
#include "random_case.h"

enum { EDGE_MAX = 24, ARRAY_MAX = 6, TILES_MAX = EDGE_MAX * EDGE_MAX };

typedef struct product {
    int m, n, k;
    int64_t a[EDGE_MAX * EDGE_MAX], b[EDGE_MAX * EDGE_MAX];
    int64_t c[EDGE_MAX * EDGE_MAX], want[EDGE_MAX * EDGE_MAX];
} product;

static void random_product(product *p, sky_rng *rng)
{
    p->m = (int)test_between(rng, 1, EDGE_MAX);
    p->n = (int)test_between(rng, 1, EDGE_MAX);
    p->k = (int)test_between(rng, 1, EDGE_MAX);
    test_fill(rng, p->a, (size_t)(p->m * p->k));
    test_fill(rng, p->b, (size_t)(p->k * p->n));
    memset(p->c, 0, sizeof p->c);
    memset(p->want, 0, sizeof p->want);
    for (int i = 0; i < p->m; i++) {
        for (int j = 0; j < p->n; j++) {
            for (int q = 0; q < p->k; q++) {
                p->want[i * p->n + j] += p->a[i * p->k + q] * p->b[q * p->n + j];
            }
        }
    }
}

static void transpose(int64_t *out, const int64_t *in, int rows, int cols)
{
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < cols; j++)
            out[j * rows + i] = in[i * cols + j];
    }
}

/* The product C' = B' A', which an input-stationary array computes as a weight-stationary one. */
static void transpose_product(product *t, const product *p)
{
    *t = (product){.m = p->n, .n = p->m, .k = p->k};
    transpose(t->a, p->b, p->k, p->n);
    transpose(t->b, p->a, p->m, p->k);
    transpose(t->want, p->want, p->m, p->n);
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Tiles of B in the order n outside, k inside. */
static int cut_resting(const sky_array *a, product *p, sim_tile *tiles)
{
    int n_tiles = 0, rows = (int)a->rows, cols = (int)a->cols;
    for (int n = 0; n < p->n; n += cols) {
        for (int k = 0; k < p->k; k += rows) {
            tiles[n_tiles++] = (sim_tile){.m = p->m,
                                          .n = least(cols, p->n - n),
                                          .k = least(rows, p->k - k),
                                          .a = p->a + k,
                                          .b = p->b + k * p->n + n,
                                          .c = p->c + n,
                                          .lda = p->k,
                                          .ldb = p->n,
                                          .ldc = p->n};
        }
    }
    return n_tiles;
}

/* Tiles of C in the order n outside, m inside. */
static int cut_output(const sky_array *a, product *p, sim_tile *tiles)
{
    int n_tiles = 0, rows = (int)a->rows, cols = (int)a->cols;
    for (int n = 0; n < p->n; n += cols) {
        for (int m = 0; m < p->m; m += rows) {
            tiles[n_tiles++] = (sim_tile){.m = least(rows, p->m - m),
                                          .n = least(cols, p->n - n),
                                          .k = p->k,
                                          .a = p->a + m * p->k,
                                          .b = p->b + n,
                                          .c = p->c + m * p->n + n,
                                          .lda = p->k,
                                          .ldb = p->n,
                                          .ldc = p->n};
        }
    }
    return n_tiles;
}

static void expect(const product *p, const sky_array *a, sim_result got, int64_t want,
                   const char *what)
{
    cr_assert_null(got.hazard, "%s %dx%dx%d on %" PRId64 "x%" PRId64 ": %s", what, p->m, p->n, p->k,
                   a->rows, a->cols, got.hazard);
    cr_assert_eq(memcmp(p->c, p->want, sizeof p->c), 0, "%s: wrong product", what);
    cr_assert_eq(got.cycles, want,
                 "%s %dx%dx%d on %" PRId64 "x%" PRId64 ": simulator %" PRId64 ", formula %" PRId64,
                 what, p->m, p->n, p->k, a->rows, a->cols, got.cycles, want);
}

static sky_array random_array(sky_rng *rng)
{
    return (sky_array){.rows = test_between(rng, 1, ARRAY_MAX),
                       .cols = test_between(rng, 1, ARRAY_MAX)};
}

static sky_gemm gemm_of(const product *p)
{
    return (sky_gemm){.m = p->m, .n = p->n, .k = p->k};
}

Test(systolic, overlapped_equals_the_simulator, .timeout = 120)
{
    static product p, t;
    static sim_tile tiles[TILES_MAX];
    sky_rng rng = test_rng(1);
    for (int i = 0; i < 2000; i++) {
        sky_array a = random_array(&rng);
        random_product(&p, &rng);
        transpose_product(&t, &p);
        sky_gemm g = gemm_of(&p);
        int rows = (int)a.rows, cols = (int)a.cols;

        int n = cut_resting(&a, &p, tiles);
        sim_result got = sim_resting(rows, cols, tiles, n, false);
        expect(&p, &a, got, sky_systolic_cycles(g, a, SKY_WS, SKY_OVERLAPPED), "ws");

        n = cut_resting(&a, &t, tiles);
        got = sim_resting(rows, cols, tiles, n, false);
        expect(&t, &a, got, sky_systolic_cycles(g, a, SKY_IS, SKY_OVERLAPPED), "is");

        memset(p.c, 0, sizeof p.c);
        n = cut_output(&a, &p, tiles);
        got = sim_output(rows, cols, tiles, n, false);
        expect(&p, &a, got, sky_systolic_cycles(g, a, SKY_OS, SKY_OVERLAPPED), "os");
    }
}

/* SCALE-Sim's counts are the number of the last cycle, counted from 0. */
Test(systolic, exposed_equals_the_simulator, .timeout = 120)
{
    static product p, t;
    static sim_tile tiles[TILES_MAX];
    sky_rng rng = test_rng(2);
    for (int i = 0; i < 1000; i++) {
        sky_array a = random_array(&rng);
        random_product(&p, &rng);
        transpose_product(&t, &p);
        sky_gemm g = gemm_of(&p);
        int rows = (int)a.rows, cols = (int)a.cols;

        int n = cut_resting(&a, &p, tiles);
        sim_result got = sim_resting_exposed(rows, cols, tiles, n);
        expect(&p, &a, got, sky_systolic_cycles(g, a, SKY_WS, SKY_EXPOSED) + 1, "ws");

        n = cut_resting(&a, &t, tiles);
        got = sim_resting_exposed(rows, cols, tiles, n);
        expect(&t, &a, got, sky_systolic_cycles(g, a, SKY_IS, SKY_EXPOSED) + 1, "is");

        memset(p.c, 0, sizeof p.c);
        n = cut_output(&a, &p, tiles);
        got = sim_output_exposed(rows, cols, tiles, n);
        expect(&p, &a, got, sky_systolic_cycles(g, a, SKY_OS, SKY_EXPOSED) + 1, "os");
    }
}

/* Chains of tiles of any sizes, which no single product gives. */
Test(systolic, chain_equals_the_simulator, .timeout = 120)
{
    enum { TILES = 8 };
    static int64_t a[TILES][EDGE_MAX * ARRAY_MAX], b[TILES][ARRAY_MAX * ARRAY_MAX];
    static int64_t c[EDGE_MAX * ARRAY_MAX];
    sky_rng rng = test_rng(3);
    for (int i = 0; i < 2000; i++) {
        sim_tile tiles[TILES];
        sky_array array = random_array(&rng);
        sky_systolic_chain chain = {0};
        int n_tiles = (int)test_between(&rng, 1, TILES);
        for (int j = 0; j < n_tiles; j++) {
            int m = (int)test_between(&rng, 1, 12), n = (int)test_between(&rng, 1, array.cols);
            int k = (int)test_between(&rng, 1, array.rows);
            test_fill(&rng, a[j], (size_t)(m * k));
            test_fill(&rng, b[j], (size_t)(k * n));
            tiles[j] = (sim_tile){
                .m = m, .n = n, .k = k, .a = a[j], .b = b[j], .c = c, .lda = k, .ldb = n, .ldc = n};
            sky_systolic_chain_add(
                &chain, (sky_systolic_tile){.load = k, .stream = m, .tail = array.rows + n - 2});
        }
        sim_result got = sim_resting((int)array.rows, (int)array.cols, tiles, n_tiles, false);
        cr_assert_null(got.hazard, "case %d: %s", i, got.hazard);
        cr_assert_eq(got.cycles, chain.end, "case %d: simulator %" PRId64 ", chain %" PRId64, i,
                     got.cycles, chain.end);
    }
}

/* The closed form of the overlapped product is its chain, for sizes that no simulator reaches. */
Test(systolic, overlapped_is_its_chain)
{
    sky_rng rng = test_rng(4);
    for (int i = 0; i < 2000; i++) {
        sky_array a = {.rows = test_between(&rng, 1, 64), .cols = test_between(&rng, 1, 64)};
        sky_gemm g = {.m = test_between(&rng, 1, 700),
                      .n = test_between(&rng, 1, 700),
                      .k = test_between(&rng, 1, 700)};
        sky_systolic_chain chain = {0};
        for (int64_t n = 0; n < g.n; n += a.cols) {
            int64_t width = g.n - n < a.cols ? g.n - n : a.cols;
            for (int64_t k = 0; k < g.k; k += a.rows) {
                int64_t load = g.k - k < a.rows ? g.k - k : a.rows;
                sky_systolic_chain_add(
                    &chain,
                    (sky_systolic_tile){.load = load, .stream = g.m, .tail = a.rows + width - 2});
            }
        }
        cr_assert_eq(sky_systolic_cycles(g, a, SKY_WS, SKY_OVERLAPPED), chain.end);
    }
}

/* One cycle less than the formula allows, and results collide: the formula is tight. */
Test(systolic, output_stationary_is_tight)
{
    static product p;
    static sim_tile tiles[TILES_MAX];
    sky_rng rng = test_rng(5);
    int hasty = 0;
    for (int i = 0; i < 300; i++) {
        sky_array a = random_array(&rng);
        random_product(&p, &rng);
        int n = cut_output(&a, &p, tiles);
        if (n < 2 || tiles[0].m <= p.k)
            continue; /* the streams set the pace */
        sim_result got = sim_output((int)a.rows, (int)a.cols, tiles, n, true);
        cr_assert_not_null(got.hazard);
        hasty++;
    }
    cr_assert_gt(hasty, 10);
}

/* From SCALE-Sim's own output, see docs/jobs/gemm.md: its ResNet-50 on 32 x 32, weight stationary.
 */
Test(systolic, known_counts)
{
    sky_array a = {.rows = 32, .cols = 32};
    sky_gemm conv1 = {.m = 112 * 112, .n = 64, .k = 147};
    int64_t cycles = sky_systolic_cycles(conv1, a, SKY_WS, SKY_EXPOSED);
    cr_assert_eq(cycles, 5 * 2 * (12544 + 94) - 1);
    cr_assert_float_eq(sky_systolic_utilization(conv1, a, cycles), 0.912, 0.001);
    sky_gemm one = {.m = 1, .n = 1, .k = 1};
    sky_array tiny = {.rows = 1, .cols = 1};
    cr_assert_eq(sky_systolic_cycles(one, tiny, SKY_WS, SKY_OVERLAPPED), 2);
    cr_assert_eq(sky_systolic_cycles(one, tiny, SKY_OS, SKY_EXPOSED), 0);
    cr_assert_eq(sky_systolic_utilization(one, tiny, 0), 1);
}

/* What SCALE-Sim itself reports. */
Test(systolic, exposed_equals_scale_sim)
{
    static const struct {
        int64_t m, n, k, rows, cols;
        sky_dataflow flow;
        int64_t cycles;
        double utilization_percent;
    } reported[] = {
#include "scale_sim.inc"
    };
    for (size_t i = 0; i < sizeof reported / sizeof *reported; i++) {
        sky_gemm g = {reported[i].m, reported[i].n, reported[i].k};
        sky_array a = {reported[i].rows, reported[i].cols};
        int64_t cycles = sky_systolic_cycles(g, a, reported[i].flow, SKY_EXPOSED);
        cr_assert_eq(cycles, reported[i].cycles, "row %zu: %" PRId64, i, cycles);
        cr_assert_float_eq(100 * sky_systolic_utilization(g, a, cycles),
                           reported[i].utilization_percent, 1e-9);
    }
}

Test(systolic, the_largest_sizes_do_not_overflow)
{
    sky_gemm g = {.m = SKY_GEMM_EDGE_MAX, .n = SKY_GEMM_EDGE_MAX, .k = SKY_GEMM_EDGE_MAX};
    const sky_array arrays[] = {
        {1, 1}, {SKY_ARRAY_EDGE_MAX, SKY_ARRAY_EDGE_MAX}, {1, SKY_ARRAY_EDGE_MAX}};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        for (int flow = 0; flow < 3; flow++) {
            for (int timing = 0; timing < 2; timing++) {
                int64_t cycles =
                    sky_systolic_cycles(g, arrays[i], (sky_dataflow)flow, (sky_timing)timing);
                cr_assert_gt(cycles, 0);
                double u = sky_systolic_utilization(g, arrays[i], cycles);
                cr_assert(u > 0 && u <= 1, "utilization %g", u);
            }
        }
    }
}
