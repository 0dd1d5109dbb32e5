/* Ranges: {from, to, step}, {from, to, count}, scale log and pow2, and continuous intervals.
 *
 * A linear range is kept as integers: value k = (start + step k) / (divisor x 10^exponent),
 * numerator and denominator exact in a double, so that the one division rounds correctly, on
 * every machine. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "sweeps/decimal.h"
#include "sweeps/reader.h"

/* The numbers of one range, read but not yet judged. */
typedef struct range {
    const sky__node *node, *from_node, *to_node, *step_node, *count_node;
    sky__decimal from, to, step;
    uint64_t count;
    const char *scale;
} range;

sky_err sky__range_check(sky__axis *axis)
{
    const __int128 limit = axis->type == SKY_INT ? INT64_MAX : SKY__EXACT_MAX;
    __int128 start = axis->range.start;
    __int128 last = start + (__int128)axis->range.step * (axis->count - 1);
    bool fits = axis->count > 0 && axis->count <= SKY_POINTS_MAX && axis->range.step != 0 &&
                start <= limit && -start <= limit && last <= limit && -last <= limit;
    if (!fits || axis->range.divisor == 0 || axis->range.divisor > SKY__EXACT_MAX ||
        axis->range.exponent > 22)
        return SKY_ELIMIT;
    unsigned __int128 denominator = axis->range.divisor; /* at most 2^53 x 10^22 < 2^127 */
    for (uint32_t i = 0; i < axis->range.exponent; i++)
        denominator *= 10;
    if ((unsigned __int128)(double)denominator != denominator)
        return SKY_ELIMIT;
    if (axis->type == SKY_INT && denominator != 1)
        return SKY_ELIMIT;
    axis->range.denominator = (double)denominator;
    return SKY_OK;
}

bool sky__is_range(const sky__node *axis)
{
    return axis->kind == SKY__MAP && !sky__node_get(axis, "values");
}

sky_type sky__range_type(const sky__node *axis)
{
    static const char *const numbers[] = {"from", "to", "step"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const sky__node *n = sky__node_get(axis, numbers[i]);
        sky__decimal d;
        if (n && n->text && (sky__decimal_parse(n->text, &d) != SKY_OK || !d.whole))
            return SKY_REAL;
    }
    return SKY_INT;
}

static sky_err read_number(const sky__node *map, const char *key, const sky__node **at,
                           sky__decimal *out, sky_error *e)
{
    const sky__node *n = *at = sky__node_get(map, key);
    if (!n)
        return SKY_OK;
    sky_err err = n->text && !n->quoted ? sky__decimal_parse(n->text, out) : SKY_EFORMAT;
    if (err == SKY_ELIMIT)
        return sky__node_fail(n, e, "%s: found %s; allowed are numbers of at most 18 digits", key,
                              sky__node_found(n).text);
    if (err != SKY_OK)
        return sky__node_fail(n, e, "%s: found %s; allowed is a number", key,
                              sky__node_found(n).text);
    return SKY_OK;
}

static sky_err read_parts(const sky__node *axis, range *out, sky_error *e)
{
    static const char *const keys[] = {"values", "from",  "to",   "step",
                                       "count",  "scale", "when", NULL};
    static const char *const scales[] = {"linear", "log", "pow2"};
    range r = {.node = axis, .scale = "linear"};
    sky_err err = sky__want_keys(axis, axis->key ? axis->key : "axis", keys, e);
    if (err == SKY_OK)
        err = read_number(axis, "from", &r.from_node, &r.from, e);
    if (err == SKY_OK)
        err = read_number(axis, "to", &r.to_node, &r.to, e);
    if (err == SKY_OK)
        err = read_number(axis, "step", &r.step_node, &r.step, e);
    if (err != SKY_OK)
        return err;
    if (!r.from_node || !r.to_node)
        return sky__node_fail(axis, e,
                              "found a map without %s; allowed are {values: [...]} and "
                              "{from: a, to: b} with step, count or scale",
                              r.from_node ? "'to'" : "'from'");
    r.count_node = sky__node_get(axis, "count");
    if (r.count_node)
        err = sky__want_count(r.count_node, "count", (sky__bounds){1, SKY_POINTS_MAX}, &r.count, e);
    const sky__node *scale = sky__node_get(axis, "scale");
    if (err == SKY_OK && scale) {
        err = sky__want_text(scale, "scale", &r.scale, e);
        size_t i = 0;
        while (err == SKY_OK && i < 3 && strcmp(r.scale, scales[i]) != 0)
            i++;
        if (i == 3)
            err =
                sky__node_fail(scale, e, "scale: found %s; allowed are linear, log and pow2%s",
                               sky__node_found(scale).text, sky__suggest(r.scale, scales, 3).text);
    }
    if (err == SKY_OK && r.step_node && r.count_node)
        err = sky__key_fail(r.count_node, e, "found both step and count; allowed is one of them");
    *out = r;
    return err;
}

static sky_err not_exact(const range *r, sky_error *e)
{
    return sky__node_fail(r->node, e,
                          "the range has more digits than a number can hold exactly; "
                          "allowed are about 15 in all, or a list of values");
}

static int32_t least_exponent(const range *r)
{
    int32_t x = r->from.exponent < r->to.exponent ? r->from.exponent : r->to.exponent;
    if (r->step_node && r->step.exponent < x)
        x = r->step.exponent;
    return x < 0 ? x : 0;
}

/* "0.95" for the value of a range, as an integer over a power of ten. */
static void print_scaled(sky_buf *b, int64_t x, int32_t exponent)
{
    sky_buf_f64(b, (double)((long double)x * powl(10.0L, exponent)));
}

static sky_err stepped(const range *r, sky__axis *out, sky_error *e)
{
    int32_t exponent = least_exponent(r);
    int64_t from, to, step = 1;
    if (!sky__decimal_scale(r->from, exponent, &from) ||
        !sky__decimal_scale(r->to, exponent, &to) ||
        (r->step_node && !sky__decimal_scale(r->step, exponent, &step)))
        return not_exact(r, e);
    if (step == 0)
        return sky__node_fail(r->step_node, e, "step: found 0; allowed are other numbers");
    const sky__node *at = r->step_node ? r->step_node : r->node;
    if ((to > from && step < 0) || (to < from && step > 0))
        return sky__node_fail(at, e,
                              "the range from %s to %s never ends with step %s; allowed is a "
                              "step of the other sign",
                              r->from_node->text, r->to_node->text,
                              r->step_node ? r->step_node->text : "1");
    if ((to - from) % step != 0) {
        int64_t last = to - (to - from) % step;
        sky_buf near = {0};
        print_scaled(&near, last, exponent);
        sky_buf_puts(&near, " and ");
        print_scaled(&near, last + step, exponent);
        sky_err err = sky__node_fail(r->to_node, e,
                                     "to: found %s, which steps of %s from %s do not "
                                     "meet; the nearest ends are %s",
                                     r->to_node->text, r->step_node ? r->step_node->text : "1",
                                     r->from_node->text, sky_buf_str(&near));
        sky_buf_free(&near);
        return err;
    }
    out->count = (uint64_t)((to - from) / step) + 1;
    out->range.start = from;
    out->range.step = step;
    out->range.divisor = 1;
    out->range.exponent = (uint32_t)-exponent;
    return SKY_OK;
}

/* count values from end to end: (from (count-1) + k (to - from)) / ((count-1) 10^exponent). */
static sky_err counted(const range *r, sky__axis *out, sky_error *e)
{
    int32_t exponent = least_exponent(r);
    int64_t from, to;
    if (!sky__decimal_scale(r->from, exponent, &from) || !sky__decimal_scale(r->to, exponent, &to))
        return not_exact(r, e);
    if (r->count == 1 ? from != to : from == to)
        return sky__node_fail(r->count_node, e,
                              "count: found %" PRIu64 " for a range from %s to %s; "
                              "allowed is 1 just where both ends are the same",
                              r->count, r->from_node->text, r->to_node->text);
    int64_t gaps = r->count > 1 ? (int64_t)(r->count - 1) : 1, start;
    int64_t step = r->count > 1 ? to - from : 1; /* of a single value: any */
    if (step % gaps == 0) { /* whole steps need no divisor, and integers can have none */
        step /= gaps;
        gaps = 1;
    }
    if (out->type == SKY_INT && gaps != 1)
        return sky__node_fail(r->count_node, e,
                              "count: %" PRIu64 " values from %s to %s are not whole "
                              "numbers; allowed are counts that divide evenly",
                              r->count, r->from_node->text, r->to_node->text);
    if (__builtin_mul_overflow(from, gaps, &start))
        return not_exact(r, e);
    out->count = r->count;
    out->range.start = start;
    out->range.step = step;
    out->range.divisor = (uint64_t)gaps;
    out->range.exponent = (uint32_t)-exponent;
    return SKY_OK;
}

static sky_err alloc_values(sky__reader *r, sky__axis *out, uint64_t count)
{
    out->kind = SKY__AXIS_LIST;
    out->count = count;
    if (out->type == SKY_REAL)
        out->f = sky_new(&r->p->arena, double, count);
    else
        out->i = sky_new(&r->p->arena, int64_t, count);
    return out->i ? SKY_OK : sky__no_memory(r->e);
}

/* Logarithmic values are tabulated, once, in extended precision and from the digits written:
 * 1e-4 to 0.1 in four values gives the doubles nearest to 0.001 and 0.01. */
static sky_err log_table(sky__reader *reader, const range *r, sky__axis *out)
{
    if (r->count < 2 || r->count > SKY__RANGE_TABLE_MAX)
        return sky__node_fail(r->count_node, reader->e,
                              "count: found %" PRIu64 "; a log range allows 2 to %d", r->count,
                              SKY__RANGE_TABLE_MAX);
    sky_err err = alloc_values(reader, out, r->count);
    long double from = sky__decimal_value(r->from), to = sky__decimal_value(r->to);
    for (uint64_t k = 0; err == SKY_OK && k < r->count; k++) {
        long double x = from * powl(to / from, (long double)k / (long double)(r->count - 1));
        x = k == 0 ? from : k == r->count - 1 ? to : x;
        if (out->type == SKY_REAL)
            out->f[k] = (double)x;
        else
            out->i[k] = (int64_t)llroundl(x);
    }
    return err;
}

static sky_err pow2_table(sky__reader *reader, const range *r, sky__axis *out)
{
    double from = (double)sky__decimal_value(r->from), to = (double)sky__decimal_value(r->to);
    int low, high;
    if (from <= 0 || frexp(from, &low) != 0.5)
        return sky__node_fail(r->from_node, reader->e, "from: found %s; allowed are powers of two",
                              r->from_node->text);
    if (to <= 0 || frexp(to, &high) != 0.5)
        return sky__node_fail(r->to_node, reader->e, "to: found %s; allowed are powers of two",
                              r->to_node->text);
    if (high < low)
        return sky__node_fail(r->to_node, reader->e,
                              "to: found %s, below from; allowed are powers of "
                              "two from %s on",
                              r->to_node->text, r->from_node->text);
    if (r->step_node || r->count_node)
        return sky__key_fail(r->step_node ? r->step_node : r->count_node, reader->e,
                             "found step or count with scale pow2, which doubles from one value to "
                             "the next; allowed are from and to");
    sky_err err = alloc_values(reader, out, (uint64_t)(high - low) + 1);
    for (int k = 0; err == SKY_OK && k <= high - low; k++) {
        if (out->type == SKY_REAL)
            out->f[k] = ldexp(from, k);
        else
            out->i[k] = (int64_t)ldexp(from, k);
    }
    return err;
}

static sky_err continuous(sky__reader *reader, const range *r, bool logarithmic, sky__axis *out)
{
    double from = (double)sky__decimal_value(r->from), to = (double)sky__decimal_value(r->to);
    if (!(to > from) || !isfinite(to - from))
        return sky__node_fail(r->to_node, reader->e,
                              "to: found %s, which is not above from (%s); "
                              "allowed are larger finite numbers",
                              r->to_node->text, r->from_node->text);
    if (out->type == SKY_INT && to > SKY__EXACT_MAX)
        return sky__node_fail(r->to_node, reader->e,
                              "to: found %s; a continuous log range of whole "
                              "numbers allows 2^53 at most",
                              r->to_node->text);
    out->kind = SKY__AXIS_INTERVAL;
    out->count = 0;
    out->interval.from = from;
    out->interval.to = to;
    out->interval.log2_ratio = 0;
    if (!logarithmic)
        return SKY_OK;
    /* Whole numbers: each is the floor of an interval as long as 1, hence the end is one
     * further. */
    double end = out->type == SKY_INT ? to + 1 : to;
    out->interval.log2_ratio = (double)log2l((long double)end / (long double)from);
    if (out->interval.log2_ratio > SKY__OCTAVES_MAX)
        return sky__node_fail(r->to_node, reader->e,
                              "to: found %s, too far from %s; allowed are ends "
                              "that differ by a factor of 2^%d at most",
                              r->to_node->text, r->from_node->text, SKY__OCTAVES_MAX);
    return SKY_OK;
}

static sky_err read_log(sky__reader *reader, const range *r, sky__axis *out)
{
    if (r->step_node)
        return sky__key_fail(r->step_node, reader->e,
                             "found step with scale log; allowed is count");
    if (r->from.digits <= 0)
        return sky__node_fail(r->from_node, reader->e,
                              "from: found %s with scale log; allowed are numbers above 0",
                              r->from_node->text);
    if (r->to.digits <= 0)
        return sky__node_fail(r->to_node, reader->e,
                              "to: found %s with scale log; allowed are numbers above 0",
                              r->to_node->text);
    return r->count_node ? log_table(reader, r, out) : continuous(reader, r, true, out);
}

static sky_err check_ends(const range *r, const sky_param *param, sky_error *e)
{
    sky_value ignored;
    sky_err err = sky__value_read(r->from_node, param, &ignored, e);
    if (err == SKY_OK)
        err = sky__value_read(r->to_node, param, &ignored, e);
    return err;
}

sky_err sky__range_read(sky__reader *reader, const sky__node *axis, uint32_t param, sky__axis *out)
{
    const sky_param *declared = &reader->params[param];
    range r;
    sky_err err = read_parts(axis, &r, reader->e);
    if (err != SKY_OK)
        return err;
    if (declared->type != SKY_INT && declared->type != SKY_REAL)
        return sky__node_fail(axis, reader->e,
                              "'%s': found a range; allowed is a list of %s values", declared->name,
                              sky_type_name(declared->type));
    err = check_ends(&r, declared, reader->e);
    if (err != SKY_OK)
        return err;
    *out = (sky__axis){.param = param, .type = declared->type, .kind = SKY__AXIS_RANGE};
    if (strcmp(r.scale, "log") == 0)
        return read_log(reader, &r, out);
    if (strcmp(r.scale, "pow2") == 0)
        return pow2_table(reader, &r, out);
    if (!r.step_node && !r.count_node && declared->type == SKY_REAL)
        return continuous(reader, &r, false, out);
    if (declared->type == SKY_INT && r.step_node && !sky__decimal_scale(r.step, 0, &(int64_t){0}))
        return sky__node_fail(r.step_node, reader->e, "step: found %s; '%s' allows whole numbers",
                              r.step_node->text, declared->name);
    err = r.count_node ? counted(&r, out, reader->e) : stepped(&r, out, reader->e);
    if (err == SKY_OK && sky__range_check(out) != SKY_OK)
        err = not_exact(&r, reader->e);
    return err;
}
