/* Axes: where a value lies, and ticks at numbers that a person would choose. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/plot.h"

static const double LOG_FROM_RATIO =
    1000; /* positive values that span more are shown by their logarithm */

/* The largest of 1, 2, 2.5, 5 times a power of ten that gives at least `wanted` steps, or
 * nearly. */
static double nice_step(double span, size_t wanted)
{
    const double raw = span / (double)wanted;
    const double power = pow(10, floor(log10(raw)));
    const double r = raw / power;
    const double nice = r < 1.5 ? 1 : r < 2.25 ? 2 : r < 3.5 ? 2.5 : r < 7.5 ? 5 : 10;
    return nice * power;
}

static int thousands(double largest)
{
    if (largest == 0 || !isfinite(largest))
        return 0;
    const int power = (int)floor(log10(largest) + 1e-9);
    if (power >= -2 && power < 5)
        return 0; /* 0.01 to 99,999 read well as they are */
    return (int)floor(power / 3.0) * 3;
}

static void add_tick(cli_scale *s, double value, double at, int decimals)
{
    if (s->n_ticks == CLI_TICKS_MAX || at < -1e-9 || at > 1 + 1e-9)
        return;
    s->ticks[s->n_ticks] = at;
    const double shown = value / pow(10, s->exponent);
    snprintf(s->texts[s->n_ticks], CLI_TICK_TEXT, "%.*f", decimals, shown == 0 ? 0.0 : shown);
    s->n_ticks++;
}

static void linear_ticks(cli_scale *s, size_t wanted)
{
    const double step = nice_step(s->hi - s->lo, wanted);
    s->exponent = thousands(fmax(fabs(s->lo), fabs(s->hi)));
    const double shown = step / pow(10, s->exponent);
    int decimals = 0;
    while (decimals < 9 &&
           fabs(shown * pow(10, decimals) - round(shown * pow(10, decimals))) > 1e-6)
        decimals++;
    for (double k = ceil(s->lo / step - 1e-9); k * step <= s->hi + step * 1e-9; k++)
        add_tick(s, k * step, (k * step - s->lo) / (s->hi - s->lo), decimals);
}

static void log_ticks(cli_scale *s, size_t wanted)
{
    const int first = (int)ceil(s->lo - 1e-9), last = (int)floor(s->hi + 1e-9);
    const int every = (last - first) / (int)wanted + 1;
    for (int p = first; p <= last && s->n_ticks < CLI_TICKS_MAX; p += every) {
        s->ticks[s->n_ticks] = (p - s->lo) / (s->hi - s->lo);
        if (p >= -3 && p <= 4)
            snprintf(s->texts[s->n_ticks], CLI_TICK_TEXT, "%g", pow(10, p));
        else
            snprintf(s->texts[s->n_ticks], CLI_TICK_TEXT, "1e%d", p);
        s->n_ticks++;
    }
}

void cli_scale_fit(cli_scale *s, const double *values, size_t n, size_t wanted)
{
    *s = (cli_scale){.lo = INFINITY, .hi = -INFINITY};
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i]))
            continue;
        s->lo = fmin(s->lo, values[i]);
        s->hi = fmax(s->hi, values[i]);
    }
    if (s->lo > s->hi)
        s->lo = 0, s->hi = 1;
    s->log = s->lo > 0 && s->hi / s->lo > LOG_FROM_RATIO;
    if (s->log)
        s->lo = log10(s->lo), s->hi = log10(s->hi);
    double span = s->hi - s->lo;
    if (span <= fmax(fabs(s->lo), fabs(s->hi)) * 1e-12) /* one value: give it room on both sides */
        span = s->lo == 0 ? 1 : fabs(s->lo) * 0.2;
    const bool from_zero = !s->log && s->lo >= 0 && s->lo < 0.04 * span;
    const double mid_lo = s->lo - span * 0.04, mid_hi = s->hi + span * 0.04;
    s->lo = from_zero ? fmin(0, s->lo) - span * 0.01 : mid_lo;
    s->hi = mid_hi;
    if (s->log)
        log_ticks(s, wanted);
    else
        linear_ticks(s, wanted);
}

double cli_scale_at(const cli_scale *s, double value)
{
    return ((s->log ? log10(value) : value) - s->lo) / (s->hi - s->lo);
}

static void superscript(sky_buf *b, int n)
{
    static const char *const digits[] = {"\u2070", "\u00b9", "\u00b2", "\u00b3", "\u2074",
                                         "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
    char text[16];
    snprintf(text, sizeof text, "%d", n);
    for (const char *c = text; *c; c++)
        sky_buf_puts(b, *c == '-' ? "\u207b" : digits[*c - '0']);
}

void cli_scale_title(const cli_scale *s, const cli_axis *a, bool unicode, sky_buf *b)
{
    sky_buf_puts(b, a->name);
    const bool unit = a->unit && a->unit[0];
    if (!unit && !s->exponent && !s->log)
        return;
    sky_buf_puts(b, " (");
    if (s->exponent) {
        if (unicode) {
            sky_buf_puts(b, "10");
            superscript(b, s->exponent);
        } else {
            sky_buf_printf(b, "1e%d", s->exponent);
        }
        sky_buf_puts(b, unit ? " " : "");
    }
    sky_buf_puts(b, unit ? a->unit : "");
    if (s->log)
        sky_buf_puts(b, unit ? ", log" : "log");
    sky_buf_putc(b, ')');
}

void cli_plot_counts(const cli_plot *p, size_t *front, size_t *dominated, size_t *left_out)
{
    *front = *dominated = *left_out = 0;
    for (size_t i = 0; i < p->n; i++) {
        bool finite = true;
        for (size_t j = 0; j < p->k; j++)
            finite = finite && isfinite(p->columns[j][i]);
        if (!finite)
            ++*left_out;
        else if (p->on_front[i])
            ++*front;
        else
            ++*dominated;
    }
}
