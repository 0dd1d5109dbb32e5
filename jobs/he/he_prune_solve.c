/* Choosing groups to prune: greedily, and exactly on small problems. See he_prune.h. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/he/he_prune.h"

/* Sums of a hundred thousand costs, such as 0.45, lose a little: a target is met to this part of it. */
#define SLACK 1e-9

static double common(const sky_he_prune_problem *p, int64_t first, int64_t second)
{
    return p->overlap[first * (p->n - p->n_first) + (second - p->n_first)];
}

/* The energy that pruning k adds to what is pruned already (k itself not counted). */
static double added_energy(const sky_he_prune_problem *p, const uint8_t *pruned, int64_t k)
{
    double energy = p->energy[k];
    if (!p->overlap)
        return energy;
    if (k < p->n_first) {
        for (int64_t d = p->n_first; d < p->n; d++)
            energy -= pruned[d] ? common(p, k, d) : 0;
    } else {
        for (int64_t g = 0; g < p->n_first; g++)
            energy -= pruned[g] ? common(p, g, k) : 0;
    }
    return energy > 0 ? energy : 0;
}

double sky_he_prune_energy(const sky_he_prune_problem *p, const uint8_t *pruned)
{
    double energy = 0;
    for (int64_t k = 0; k < p->n; k++)
        energy += pruned[k] ? p->energy[k] : 0;
    for (int64_t g = 0; p->overlap && g < p->n_first; g++) {
        for (int64_t d = p->n_first; pruned[g] && d < p->n; d++)
            energy -= pruned[d] ? common(p, g, d) : 0;
    }
    return energy;
}

double sky_he_prune_saved(const sky_he_prune_problem *p, const uint8_t *pruned)
{
    double saved = 0;
    for (int64_t k = 0; k < p->n; k++)
        saved += pruned[k] ? p->saved[k] : 0;
    return saved;
}

/* --- greedy --- */

typedef struct candidate {
    double ratio;
    int64_t group;
} candidate;

static int by_ratio(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->ratio != y->ratio)
        return x->ratio < y->ratio ? -1 : 1;
    return (x->group > y->group) - (x->group < y->group);
}

/* Groups that save something, by energy for each rotation. */
static int64_t list(const sky_he_prune_problem *p, candidate *out)
{
    int64_t n = 0;
    for (int64_t k = 0; k < p->n; k++) {
        if (p->saved[k] > 0)
            out[n++] = (candidate){p->energy[k] / p->saved[k], k};
    }
    qsort(out, (size_t)n, sizeof *out, by_ratio);
    return n;
}

/* Overlapping groups: what is pruned already makes others cheaper, so each turn looks again. */
static void pick_overlapping(const sky_he_prune_problem *p, candidate *c, int64_t n, double target,
                             uint8_t *pruned)
{
    double saved = 0;
    while (saved < target && n > 0) {
        int64_t best = 0;
        for (int64_t k = 1; k < n; k++) {
            if (by_ratio(&c[k], &c[best]) < 0)
                best = k;
        }
        const int64_t group = c[best].group;
        pruned[group] = 1;
        saved += p->saved[group];
        c[best] = c[--n];
        for (int64_t k = 0; k < n; k++) {
            const int64_t other = c[k].group;
            if ((other < p->n_first) == (group < p->n_first))
                continue;
            const double both =
                other < p->n_first ? common(p, other, group) : common(p, group, other);
            c[k].ratio -= both / p->saved[other];
        }
    }
}

/* The most expensive that are not needed to reach the target. */
static void put_back(const sky_he_prune_problem *p, double target, uint8_t *pruned)
{
    double spare = sky_he_prune_saved(p, pruned) - target;
    for (;;) {
        int64_t worst = -1;
        double most = 0;
        for (int64_t k = 0; k < p->n; k++) {
            if (!pruned[k] || p->saved[k] > spare)
                continue;
            pruned[k] = 0;
            const double energy = added_energy(p, pruned, k);
            pruned[k] = 1;
            if (energy > most) {
                most = energy;
                worst = k;
            }
        }
        if (worst < 0)
            return;
        pruned[worst] = 0;
        spare -= p->saved[worst];
    }
}

sky_err sky_he_prune_greedy(const sky_he_prune_problem *p, double target, uint8_t *pruned)
{
    assert(p && pruned);
    memset(pruned, 0, (size_t)p->n);
    candidate *c = malloc((size_t)(p->n + 1) * sizeof *c);
    if (!c)
        return SKY_ENOMEM;
    const int64_t n = list(p, c);
    target -= SLACK * target;
    if (p->overlap) {
        pick_overlapping(p, c, n, target, pruned);
    } else {
        double saved = 0;
        for (int64_t k = 0; k < n && saved < target; k++) {
            pruned[c[k].group] = 1;
            saved += p->saved[c[k].group];
        }
    }
    put_back(p, target, pruned);
    free(c);
    return SKY_OK;
}

/* --- exact --- */

typedef struct search {
    const sky_he_prune_problem *p;
    candidate c[SKY_HE_PRUNE_EXACT_MAX];
    int64_t n;
    double target;
    double left[SKY_HE_PRUNE_EXACT_MAX + 1]; /* what candidates k and later save together */
    double best;
    uint8_t *pruned, *best_pruned;
} search;

/* Depth first; a branch ends when it cannot reach the target or cannot beat the best. Without overlap the
 * rest costs at least what it would if groups could be cut to size, the cheapest first. */
static double bound(const search *s, int64_t k, double need)
{
    double energy = 0;
    for (; k < s->n && need > 0 && !s->p->overlap; k++) {
        const double saved = s->p->saved[s->c[k].group];
        const double part = need < saved ? need / saved : 1;
        energy += part * s->p->energy[s->c[k].group];
        need -= saved;
    }
    return energy;
}

static void descend(search *s, int64_t k, double saved, double energy)
{
    if (energy >= s->best)
        return;
    if (saved >= s->target) {
        s->best = energy;
        memcpy(s->best_pruned, s->pruned, (size_t)s->p->n);
        return;
    }
    if (saved + s->left[k] < s->target || energy + bound(s, k, s->target - saved) >= s->best)
        return;
    const int64_t group = s->c[k].group;
    const double more = added_energy(s->p, s->pruned, group);
    s->pruned[group] = 1;
    descend(s, k + 1, saved + s->p->saved[group], energy + more);
    s->pruned[group] = 0;
    descend(s, k + 1, saved, energy);
}

sky_err sky_he_prune_exact(const sky_he_prune_problem *p, double target, uint8_t *pruned,
                           sky_error *e)
{
    assert(p && pruned);
    int64_t n = 0;
    for (int64_t k = 0; k < p->n; k++)
        n += p->saved[k] > 0;
    if (n > SKY_HE_PRUNE_EXACT_MAX)
        return sky_fail(e, SKY_ELIMIT, "%lld groups are too many to try all; at most %d",
                        (long long)n, SKY_HE_PRUNE_EXACT_MAX);
    search s = {.p = p, .target = target - SLACK * target, .best = INFINITY, .best_pruned = pruned};
    s.n = list(p, s.c);
    for (int64_t k = s.n; k-- > 0;)
        s.left[k] = s.left[k + 1] + p->saved[s.c[k].group];
    s.pruned = calloc((size_t)p->n + 1, 1);
    if (!s.pruned)
        return sky_fail(e, SKY_ENOMEM, "he: out of memory");
    memset(pruned, 0, (size_t)p->n);
    descend(&s, 0, 0, 0);
    free(s.pruned);
    return SKY_OK;
}
