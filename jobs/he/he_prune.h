/* Pruning for homomorphic convolutions: groups of weights whose loss makes operations disappear.
 *
 * Which groups those are depends on the packing (he_conv.h has the formula):
 *
 *   positional  (q, tap)         an input rotation goes, if b = 1
 *   diagonal    (p, d)           an output rotation goes, if b = 1; otherwise products alone
 *   giant       (p, d div b)     a giant step goes: the diagonal group of a baby-step giant-step packing
 *   baby        (q, d mod b, tap) a baby step goes: its positional group
 *
 * positional and diagonal are the two of Artemis (Jeon, Erez, Orshansky, arXiv 2310.01664) as we define
 * them; docs/papers/artemis.md. `both` takes them together: they overlap in weights. */
#ifndef SKY_JOBS_HE_PRUNE_H
#define SKY_JOBS_HE_PRUNE_H

#include "jobs/he/he_conv.h"

typedef enum sky_he_group {
    SKY_HE_GROUP_NONE,
    SKY_HE_GROUP_POSITIONAL,
    SKY_HE_GROUP_DIAGONAL,
    SKY_HE_GROUP_GIANT,
    SKY_HE_GROUP_BABY,
    SKY_HE_GROUP_BOTH, /* positional groups, then diagonal ones */
    SKY_HE_GROUPS,
} sky_he_group;

extern const char *const sky_he_group_names[SKY_HE_GROUPS + 1];

/* Groups that the exact solver takes: it tries subsets. */
enum { SKY_HE_PRUNE_EXACT_MAX = 28 };

/* What each group costs and saves: minimise the energy of what is pruned, save at least a target. */
typedef struct sky_he_prune_problem {
    int64_t n;      /* groups */
    double *energy; /* [n] sum of squares of its weights */
    double *
        saved; /* [n] rotations that go with it alone, a full one being 1; where no group of the kind
                       * saves any, the products that go. 0: the group is free, and never pruned. */
    int64_t n_first;  /* both: how many are positional; else n */
    double *overlap;  /* both: [n_first][n - n_first] energy of the common weights; else NULL */
    double saved_all; /* the sum of saved */
} sky_he_prune_problem;

/* SKY_EINVAL: the packing has no such groups. */
sky_err sky_he_prune_check(const sky_he_conv_plan *plan, sky_he_group kind, sky_error *e);

/* weights as in he_conv.h. hoisted_cost: of a hoisted rotation (0: 1). Errors as
 * above. Free with sky_he_prune_free(), which accepts a zeroed problem. */
sky_err sky_he_prune_groups(sky_he_prune_problem *out, const sky_he_conv_plan *plan,
                            sky_he_group kind, const double *weights, double hoisted_cost,
                            sky_error *e);
void sky_he_prune_free(sky_he_prune_problem *p);

/* The energy of the union of the chosen groups, and what they save. */
double sky_he_prune_energy(const sky_he_prune_problem *p, const uint8_t *pruned);
double sky_he_prune_saved(const sky_he_prune_problem *p, const uint8_t *pruned);

/* Chooses groups that save at least `target` (at most saved_all): the least energy for each rotation first,
 * then any that turned out not to be needed is put back. pruned[n]. SKY_ENOMEM. */
sky_err sky_he_prune_greedy(const sky_he_prune_problem *p, double target, uint8_t *pruned);
/* The least energy of all choices. SKY_ELIMIT: more than SKY_HE_PRUNE_EXACT_MAX groups that save. */
sky_err sky_he_prune_exact(const sky_he_prune_problem *p, double target, uint8_t *pruned,
                           sky_error *e);

/* keep[weights] = 0 for the weights of pruned groups, 1 for others. */
void sky_he_prune_mask(const sky_he_conv_plan *plan, sky_he_group kind, const uint8_t *pruned,
                       uint8_t *keep);

/* Seeded weights as a fresh network has them (He et al., ICCV 2015): normal, variance 2 over the inputs of
 * an output value. */
void sky_he_weights_he_normal(const sky_he_conv_shape *s, uint64_t seed, double *weights);

#endif
