/* The state of reading a sweep file, shared by the files that each read a part of it. */
#ifndef SKY_SWEEPS_READER_H
#define SKY_SWEEPS_READER_H

#include "sweeps/expr.h"
#include "sweeps/plan_internal.h"
#include "sweeps/tree.h"

typedef struct sky__reader {
    sky_plan *p;
    const sky_plan_options *options;
    const char *file; /* as messages name it */
    sky_arena *tree;  /* nodes and what lives as long as the reading */
    sky_error *e;
    sky__node *root;
    const sky__node *types; /* open jobs: the file's `types`, or NULL */
    sky_param *params;      /* p->job.params, writable */
    bool loading;           /* the canonical text: the job's parameters are known, open or not */
    sky__expression_nodes at;
} sky__reader;

sky_err sky__no_memory(sky_error *e);

/* space.c: fills p->factors, and for an open job the parameters. space may be NULL: one point. */
sky_err sky__space_read(sky__reader *r, const sky__node *space);
/* The parameter of that name; an open job's is made, with the type of `types` or else that of
 * values. Each may be asked for once: a second axis of the same name is an error. */
sky_err sky__space_param(sky__reader *r, const sky__node *at, const char *name,
                         const sky__node *values, uint32_t *param);
sky_err sky__value_read(const sky__node *n, const sky_param *param, sky_value *out, sky_error *e);
/* An axis that lists the n values of nodes. */
sky_err sky__axis_list(sky__reader *r, const sky__node *const *nodes, size_t n, uint32_t param,
                       sky__axis *out);
/* Two equal rows of a factor all of whose axes are lists, i < j; false if there are none. */
typedef struct sky__pair {
    uint64_t first, second;
} sky__pair;
sky_err sky__find_duplicate(const sky__factor *f, bool *found, sky__pair *rows);
/* Prints digit's values, "3" or "(a: 3, b: x)". */
void sky__row_print(sky_buf *b, const sky_plan *p, const sky__factor *f, uint64_t digit);

/* range.c: {from, to, ...}. */
bool sky__is_range(const sky__node *axis);
sky_type sky__range_type(const sky__node *axis); /* for an open job: int if all numbers are whole */
sky_err sky__range_read(sky__reader *r, const sky__node *axis, uint32_t param, sky__axis *out);

/* points.c: a list of maps, or a CSV file, as one factor. */
sky_err sky__points_read(sky__reader *r, const sky__node *list, sky__factor *out);
sky_err sky__points_csv(sky__reader *r, const sky__node *path, sky__factor *out);
/* name relative to the plan's folder; in p->arena. */
const char *sky__path_beside(sky_plan *p, const char *name);

/* jobpart.c: job, job_version, plugin, command, types, metrics. */
sky_err sky__job_read(sky__reader *r);
sky_err sky__descriptor_copy(sky_plan *p, const sky_descriptor *d); /* SKY_ENOMEM */
sky_err sky__metrics_read(sky__reader *r, const sky__node *metrics);
/* Names that are unusable as SQL columns, or equal another's but for case. */
sky_err sky__names_check(sky__reader *r);

/* settings.c: everything that is neither job nor space. */
sky_err sky__settings_read(sky__reader *r);
sky_err sky__search_read(sky__reader *r, const sky__node *search);

/* override.c: --set. */
sky_err sky__override_apply(sky__reader *r, const char *const *set);
extern const char *const sky__file_keys[]; /* the keys of a sweep file, NULL-terminated */

#endif
