/* Extent and choices of resident columns, kept up to date with their rows. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dash/resident.h"

static void add_choice(sky__column_summary *m, double x)
{
    size_t low = 0, high = m->n_choices;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (m->choices[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < m->n_choices && m->choices[low] == x)
        return;
    if (m->n_choices == SKY__CHOICES_MAX) {
        m->n_choices++;
        return;
    }
    memmove(m->choices + low + 1, m->choices + low, (m->n_choices - low) * sizeof *m->choices);
    m->choices[low] = x;
    m->n_choices++;
}

static void add_rows(sky__column_summary *m, const double *values, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        const double x = values[i];
        if (!isfinite(x))
            continue;
        m->n++;
        m->sum += x;
        m->min = x < m->min ? x : m->min;
        m->max = x > m->max ? x : m->max;
        if (x > 0 && x < m->above_zero)
            m->above_zero = x;
        if (m->n_choices <= SKY__CHOICES_MAX)
            add_choice(m, x);
    }
}

const sky__column_summary *sky__resident_summary(sky__resident *s, size_t column)
{
    const size_t rows = sky_columns_rows(s->columns);
    size_t n = 0;
    for (size_t i = 0; i < s->n_infos; i++)
        n += s->infos[i].resident >= 0;
    if (!s->summaries) {
        s->summaries = calloc(n + 1, sizeof *s->summaries);
        s->summarised = 0;
        for (size_t i = 0; s->summaries && i < n; i++)
            s->summaries[i] =
                (sky__column_summary){.min = INFINITY, .max = -INFINITY, .above_zero = INFINITY};
    }
    if (!s->summaries)
        return NULL;
    if (s->summarised < rows) {
        for (size_t i = 0; i < n; i++)
            add_rows(&s->summaries[i], sky_columns_values(s->columns, i), s->summarised, rows);
        s->summarised = rows;
    }
    return &s->summaries[column];
}
