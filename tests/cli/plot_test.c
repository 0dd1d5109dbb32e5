/* Scales and pictures. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/text.h"
#include "cli/plot.h"
#include "cli/term.h"
#include "front/front.h"

/* Ticks rise, lie on the axis, and read back as the values that they stand for. */
static void check_scale(double lo, double hi, size_t wanted)
{
    cli_scale s;
    cli_scale_fit(&s, (double[]){lo, NAN, hi, INFINITY}, 4, wanted);
    cr_expect(cli_scale_at(&s, lo) >= 0 && cli_scale_at(&s, hi) <= 1, "%g..%g is outside", lo, hi);
    cr_expect(cli_scale_at(&s, lo) <= 0.2 || lo == hi, "%g..%g: much room below", lo, hi);
    cr_expect_geq(s.n_ticks, 1, "%g..%g has no tick", lo, hi);
    for (size_t i = 0; i < s.n_ticks; i++) {
        double value;
        cr_assert_eq(sky_parse_f64(s.texts[i], &value), SKY_OK, "tick '%s'", s.texts[i]);
        cr_expect(i == 0 || s.ticks[i] > s.ticks[i - 1]);
        cr_expect(fabs(cli_scale_at(&s, value * pow(10, s.exponent)) - s.ticks[i]) < 1e-6,
                  "%g..%g: tick %s is at %g", lo, hi, s.texts[i], s.ticks[i]);
    }
}

Test(plot, scales_have_sensible_ticks)
{
    static const double ends[][2] = {{0, 1},           {0, 0},          {5, 5},     {-3, -3},
                                     {-1, 1},          {1e-9, 3e-9},    {1, 1e6},   {1e-12, 1e12},
                                     {0.3, 0.9},       {1e15, 1.1e15},  {-2e-5, 7}, {1e300, 1e301},
                                     {1e-300, 2e-300}, {99999, 100001}, {0, 1e-6}};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        for (size_t wanted = 2; wanted <= 8; wanted += 2)
            check_scale(ends[i][0], ends[i][1], wanted);
    }
    sky_rng r;
    sky_rng_init(&r, 1, 0);
    for (int i = 0; i < 2000; i++) {
        const double a = sky_rng_normal(&r) * pow(10, sky_rng_f64(&r) * 20 - 10);
        check_scale(a, a + fabs(a) * pow(10, sky_rng_f64(&r) * 6 - 3), 5);
    }
}

enum { N = 30000 };
static double columns[4][N];
static uint8_t on_front[N];
static const sky_goal goals[] = {SKY_MAX, SKY_MIN, SKY_MIN, SKY_MIN};
static const cli_axis axes[] = {{"use", "", SKY_MAX},
                                {"energy<&>", "J", SKY_MIN},
                                {"bytes", "B", SKY_MIN},
                                {"time", "s", SKY_MIN}};

static cli_plot make_plot(size_t k, size_t n)
{
    static const double *pointers[4];
    sky_rng r;
    sky_rng_init(&r, 7, 0);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < 4; j++)
            columns[j][i] = sky_rng_f64(&r) * pow(1000, (double)j) + 1;
    }
    if (n > 10)
        columns[1][3] = INFINITY;
    for (size_t j = 0; j < 4; j++)
        pointers[j] = columns[j];
    cr_assert_eq(sky_front_batch(pointers, n, k, goals, on_front, NULL, NULL), SKY_OK);
    return (cli_plot){.title = "a & b",
                      .what = "trial",
                      .k = k,
                      .n = n,
                      .axes = axes,
                      .columns = pointers,
                      .on_front = on_front};
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        n++;
    return n;
}

Test(plot, terminal_keeps_to_its_width)
{
    for (int width = 24; width <= 110; width += 43) {
        for (int mode = 0; mode < 4; mode++) {
            const cli_plot p = make_plot(2, 500);
            sky_buf b = {0};
            cli_plot_terminal(&p, &b, width, 12, mode & 1, mode & 2);
            cr_assert(sky_buf_ok(&b));
            cr_expect_eq(strchr(b.data, '\033') != NULL, mode & 1);
            if (!(mode & 2)) {
                for (size_t i = 0; i < b.len; i++)
                    cr_expect((unsigned char)b.data[i] < 0x80);
            }
            if (mode == 2)
                cr_expect_gt(count(b.data, "\u25cf"), 1);
            sky_buf_free(&b);
        }
    }
}

Test(plot, nothing_and_one_point)
{
    for (size_t n = 0; n <= 1; n++) {
        const cli_plot p = make_plot(2, n);
        sky_buf b = {0};
        cli_plot_terminal(&p, &b, 80, 20, false, true);
        cr_expect(sky_buf_ok(&b));
        sky_buf_free(&b);
    }
}

static char *draw(const cli_plot *p, const char *suffix, size_t *len)
{
    char path[64], *text = NULL;
    sky_error e = {0};
    snprintf(path, sizeof path, "/tmp/sky-plot-%d%s", (int)getpid(), suffix);
    cr_assert_eq(cli_plot_file(p, path, &e), SKY_OK, "%s", e.text);
    cr_assert_eq(sky_read_file(path, 64 << 20, &text, len, &e), SKY_OK, "%s", e.text);
    unlink(path);
    return text;
}

Test(plot, svg_is_whole_and_escaped)
{
    size_t len;
    const cli_plot p = make_plot(2, 500);
    char *svg = draw(&p, ".svg", &len);
    cr_expect(strncmp(svg, "<svg xmlns=\"http://www.w3.org/2000/svg\"", 39) == 0);
    cr_expect_eq(count(svg, "</svg>"), 1);
    cr_expect_eq(count(svg, "<text"), count(svg, "</text>"));
    cr_expect_neq(strstr(svg, "<title>a &amp; b</title>"), NULL);
    cr_expect_neq(strstr(svg, "energy&lt;&amp;&gt; (J)"), NULL);
    cr_expect_eq(strstr(svg, "nan"), NULL);
    cr_expect_eq(strstr(svg, "inf\""), NULL);
    free(svg);
}

Test(plot, a_large_cloud_is_thinned_and_says_so)
{
    size_t len;
    const cli_plot p = make_plot(2, N);
    char *svg = draw(&p, ".svg", &len);
    cr_expect_neq(strstr(svg, "at most one for each"), NULL);
    cr_expect_lt(len, 600000);
    free(svg);
}

Test(plot, more_objectives_are_a_matrix)
{
    size_t len;
    const cli_plot p = make_plot(4, 300);
    char *svg = draw(&p, ".svg", &len);
    cr_expect_neq(strstr(svg, "bytes"), NULL);
    cr_expect_geq(count(svg, "stroke-linecap"), 6 * 3); /* cloud, rim and front of six panels */
    free(svg);
}

Test(plot, png_has_its_signature_and_size)
{
    size_t len;
    double width, height;
    const cli_plot p = make_plot(2, 300);
    cli_figure_size(&p, &width, &height);
    char *png = draw(&p, ".png", &len);
    cr_assert_gt(len, 10000);
    cr_expect_arr_eq(png, "\x89PNG\r\n\x1a\n", 8);
    const unsigned char *at = (unsigned char *)png + 16;
    cr_expect_eq(at[2] * 256 + at[3], (int)(2 * width));
    cr_expect_eq(at[6] * 256 + at[7], (int)(2 * height));
    cr_expect_arr_eq(png + len - 8, "IEND", 4);
    free(png);
}

Test(plot, other_names_and_folders_are_refused)
{
    sky_error e = {0};
    const cli_plot p = make_plot(2, 50);
    cr_expect_eq(cli_plot_file(&p, "x.jpg", &e), SKY_EINVAL);
    cr_expect_eq(cli_plot_file(&p, "plot", &e), SKY_EINVAL);
    cr_expect_eq(cli_plot_file(&p, "/no/such/folder/x.svg", &e), SKY_EIO);
    cr_expect_eq(cli_plot_file(&p, "/no/such/folder/x.png", &e), SKY_EIO);
}
