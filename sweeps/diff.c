/* What differs between the plan that a name is bound to and the one at hand, for a person to decide
 * between taking the change back and another name. */
#include <inttypes.h>
#include <string.h>

#include "sweeps/plan_internal.h"

typedef struct differ {
    const sky_plan *was, *now;
    sky_buf *b;
    size_t lines;
} differ;

enum { SHOWN_MAX = 60 }; /* bytes of a value in a line */

static void line(differ *d, const char *where, const char *now, const char *was)
{
    sky_buf_printf(d->b, "%s: %s, was %s\n", where, now, was);
    d->lines++;
}

/* ---- small pieces ---- */

static void add_cut(sky_buf *b, const char *text)
{
    size_t len = strnlen(text, SHOWN_MAX + 1);
    bool cut = len > SHOWN_MAX;
    len = cut ? SHOWN_MAX : len;
    while (cut && len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--; /* not inside a character */
    sky_buf_add(b, text, len);
    sky_buf_puts(b, cut ? "..." : "");
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static void diff_text(differ *d, const char *where, const char *was, const char *now)
{
    sky_buf a = {0}, b = {0};
    if (same_text(was, now))
        return;
    add_cut(&a, was && was[0] ? was : "nothing");
    add_cut(&b, now && now[0] ? now : "nothing");
    line(d, where, sky_buf_str(&b), sky_buf_str(&a));
    sky_buf_free(&a);
    sky_buf_free(&b);
}

static void diff_words(differ *d, const char *where, const char *const *was, const char *const *now)
{
    sky_buf a = {0}, b = {0};
    for (size_t i = 0; was && was[i]; i++)
        sky_buf_printf(&a, "%s%s", i ? " " : "", was[i]);
    for (size_t i = 0; now && now[i]; i++)
        sky_buf_printf(&b, "%s%s", i ? " " : "", now[i]);
    diff_text(d, where, sky_buf_str(&a), sky_buf_str(&b));
    sky_buf_free(&a);
    sky_buf_free(&b);
}

/* ---- axes ---- */

static int32_t find_param(const sky_plan *p, const char *name)
{
    for (size_t i = 0; i < p->job.n_params; i++)
        if (strcmp(p->job.params[i].name, name) == 0)
            return (int32_t)i;
    return -1;
}

/* The axis of a parameter, NULL if it has none; *factor is where it stands. */
static const sky__axis *find_axis(const sky_plan *p, const char *name, int32_t *factor)
{
    int32_t param = find_param(p, name);
    *factor = param < 0 ? -1 : p->sources[param].factor;
    return *factor < 0 ? NULL : &p->factors[*factor].axes[p->sources[param].axis];
}

static void add_value(sky_buf *b, const sky_value *v)
{
    sky_buf text = {0};
    sky_value_print(&text, v);
    add_cut(b, v->absent ? "nothing" : sky_buf_str(&text));
    sky_buf_free(&text);
}

/* "3 values", "0.3 to 1 in 15 values", "0.001 to 0.1 (continuous, log)". */
static void add_axis(sky_buf *b, const sky__axis *axis)
{
    if (axis->kind == SKY__AXIS_INTERVAL) {
        sky_buf_f64(b, axis->interval.from);
        sky_buf_puts(b, " to ");
        sky_buf_f64(b, axis->interval.to);
        sky_buf_printf(b, " (continuous%s)", axis->interval.log2_ratio != 0 ? ", log" : "");
        return;
    }
    sky_value first = sky__axis_value(axis, 0), last = sky__axis_value(axis, axis->count - 1);
    if (axis->count == 1) {
        add_value(b, &first);
        return;
    }
    if (axis->kind == SKY__AXIS_RANGE) {
        add_value(b, &first);
        sky_buf_puts(b, " to ");
        add_value(b, &last);
        sky_buf_puts(b, " in ");
    }
    sky_buf_printf(b, "%" PRIu64 " values", axis->count);
}

static bool values_differ(const sky__axis *a, const sky__axis *b, uint64_t *at)
{
    for (uint64_t k = 0; k < a->count && k < b->count && k < SKY__RANGE_TABLE_MAX; k++) {
        sky_value x = sky__axis_value(a, k), y = sky__axis_value(b, k);
        if (!sky_value_equal(&x, &y)) {
            *at = k;
            return true;
        }
    }
    return false;
}

static void diff_axis_values(differ *d, const char *where, const sky__axis *was,
                             const sky__axis *now)
{
    uint64_t at;
    sky_buf a = {0}, b = {0};
    add_axis(&a, was);
    add_axis(&b, now);
    if (strcmp(sky_buf_str(&a), sky_buf_str(&b)) == 0 && was->count > 0 &&
        values_differ(was, now, &at)) {
        sky_value x = sky__axis_value(was, at), y = sky__axis_value(now, at);
        sky_buf_reset(&a);
        sky_buf_reset(&b);
        sky_buf_printf(&b, "value %" PRIu64 " is ", at + 1);
        add_value(&b, &y);
        add_value(&a, &x);
    }
    line(d, where, sky_buf_str(&b), sky_buf_str(&a));
    sky_buf_free(&a);
    sky_buf_free(&b);
}

static bool same_axis(const differ *d, const sky__axis *was, const sky__axis *now)
{
    sky_buf a = {0}, b = {0};
    sky__axis_write(&a, d->was, was);
    sky__axis_write(&b, d->now, now);
    bool same = strcmp(sky_buf_str(&a), sky_buf_str(&b)) == 0;
    sky_buf_free(&a);
    sky_buf_free(&b);
    return same;
}

static void add_fixed(sky_buf *b, const sky_plan *p, const char *name)
{
    int32_t param = find_param(p, name);
    if (param < 0) {
        sky_buf_puts(b, "nothing");
        return;
    }
    add_value(b, &p->fixed[param]);
    sky_buf_puts(b, p->fixed[param].absent ? "" : " (the default)");
}

/* One parameter: an axis in either plan, in both or in none. */
static void diff_param(differ *d, const char *name)
{
    int32_t f_was, f_now;
    const sky__axis *was = find_axis(d->was, name, &f_was);
    const sky__axis *now = find_axis(d->now, name, &f_now);
    sky_buf where = {0}, a = {0}, b = {0};
    sky_buf_printf(&where, "space.%s", name);
    if (was && now) {
        if (!same_axis(d, was, now))
            diff_axis_values(d, sky_buf_str(&where), was, now);
        sky_buf_puts(&where, ".when");
        diff_text(d, sky_buf_str(&where), d->was->factors[f_was].when, d->now->factors[f_now].when);
    } else {
        if (was)
            add_axis(&a, was);
        else
            add_fixed(&a, d->was, name);
        if (now)
            add_axis(&b, now);
        else
            add_fixed(&b, d->now, name);
        if (strcmp(sky_buf_str(&a), sky_buf_str(&b)) != 0)
            line(d, sky_buf_str(&where), sky_buf_str(&b), sky_buf_str(&a));
    }
    sky_buf_free(&where);
    sky_buf_free(&a);
    sky_buf_free(&b);
}

static void diff_params(differ *d)
{
    for (size_t i = 0; i < d->now->job.n_params; i++)
        diff_param(d, d->now->job.params[i].name);
    for (size_t i = 0; i < d->was->job.n_params; i++)
        if (find_param(d->now, d->was->job.params[i].name) < 0)
            diff_param(d, d->was->job.params[i].name);
}

/* "(a b) c": the axes in their order, pairs together. */
static void add_order(sky_buf *b, const sky_plan *p)
{
    for (size_t i = 0; i < p->n_factors; i++) {
        const sky__factor *f = &p->factors[i];
        sky_buf_puts(b, i ? " " : "");
        sky_buf_puts(b, f->n_axes > 1 ? "(" : "");
        for (size_t k = 0; k < f->n_axes; k++)
            sky_buf_printf(b, "%s%s", k ? " " : "", p->job.params[f->axes[k].param].name);
        sky_buf_puts(b, f->n_axes > 1 ? ")" : "");
    }
}

static void diff_order(differ *d)
{
    sky_buf a = {0}, b = {0};
    add_order(&a, d->was);
    add_order(&b, d->now);
    if (strcmp(sky_buf_str(&a), sky_buf_str(&b)) != 0)
        line(d, "space, order of axes", sky_buf_str(&b), sky_buf_str(&a));
    sky_buf_free(&a);
    sky_buf_free(&b);
}

/* ---- the rest ---- */

static void diff_job(differ *d)
{
    diff_text(d, "job", d->was->job.name, d->now->job.name);
    diff_text(d, "job version", d->was->job.version, d->now->job.version);
    diff_words(d, "command", d->was->command, d->now->command);
    if (!d->now->job.open)
        return;
    sky_buf a = {0}, b = {0};
    for (size_t i = 0; i < d->was->job.n_metrics; i++)
        sky_buf_printf(&a, "%s%s %s", i ? ", " : "", d->was->job.metrics[i].name,
                       sky_type_name(d->was->job.metrics[i].type));
    for (size_t i = 0; i < d->now->job.n_metrics; i++)
        sky_buf_printf(&b, "%s%s %s", i ? ", " : "", d->now->job.metrics[i].name,
                       sky_type_name(d->now->job.metrics[i].type));
    diff_text(d, "metrics", sky_buf_str(&a), sky_buf_str(&b));
    sky_buf_free(&a);
    sky_buf_free(&b);
}

static void diff_search(differ *d)
{
    sky_buf a = {0}, b = {0};
    for (size_t i = 0; i < d->was->n_where; i++)
        sky_buf_printf(&a, "%s%s", i ? "; " : "", d->was->where[i].sql);
    for (size_t i = 0; i < d->now->n_where; i++)
        sky_buf_printf(&b, "%s%s", i ? "; " : "", d->now->where[i].sql);
    diff_text(d, "where", sky_buf_str(&a), sky_buf_str(&b));
    sky_buf_reset(&a);
    sky_buf_reset(&b);
    sky__search_write(&a, &d->was->search);
    sky__search_write(&b, &d->now->search);
    diff_text(d, "search", sky_buf_str(&a), sky_buf_str(&b));
    sky_buf_free(&a);
    sky_buf_free(&b);
    if (d->was->seed != d->now->seed) {
        sky_buf_printf(d->b, "seed: %" PRIu64 ", was %" PRIu64 "\n", d->now->seed, d->was->seed);
        d->lines++;
    }
}

bool sky_plan_diff(const sky_plan *stored, const sky_plan *now, sky_buf *b)
{
    if (strcmp(stored->identity, now->identity) == 0)
        return false;
    differ d = {.was = stored, .now = now, .b = b};
    diff_job(&d);
    diff_params(&d);
    diff_order(&d);
    diff_search(&d);
    if (d.lines == 0) /* a difference too fine for the lines above, such as where a text was cut */
        sky_buf_puts(b, "the plans differ in details of the job, the space or the search\n");
    return true;
}
