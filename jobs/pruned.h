/* A network as pruning leaves it: every layer at one width, or the stages of a trace, from a file or made up
 * from a ratio and a seed (docs/trace.md). For jobs that evaluate batches: what two neighbouring rows share
 * is kept. */
#ifndef SKY_JOBS_PRUNED_H
#define SKY_JOBS_PRUNED_H

#include "jobs/job.h"
#include "jobs/netfile.h"

typedef enum sky_pruned_when { SKY_PRUNED_MEAN, SKY_PRUNED_FIRST, SKY_PRUNED_LAST } sky_pruned_when;

/* What the parameters say. Texts are borrowed as long as the sky_pruned is used. */
typedef struct sky_pruned_spec {
    const char *network;
    double width;      /* of every layer, if there is no trace */
    const char *trace; /* a file; "": none */
    double
        ratio; /* of a synthetic trace: mean part of the channels that is gone at the end; 0: none */
    double spread; /* of a synthetic trace, see sky_trace_options */
    uint64_t seed;
    sky_pruned_when when; /* which stages of a trace count */
} sky_pruned_spec;

/* SKY_EINVAL for combinations that contradict each other. */
sky_err sky_pruned_check(const sky_pruned_spec *s, sky_error *e);

/* Zero-initialise. */
typedef struct sky_pruned {
    const sky_network *network;
    int32_t first_stage, n_stages; /* those that count; without a trace one, number 0 */
    sky_conv_shape *convs;         /* of the stage that was asked for last */
    int32_t n_convs;
    uint64_t version; /* grows whenever convs changes */
    uint64_t loads;   /* grows whenever sky_pruned_load() changes something */
    /* Private. */
    sky_pruned_spec spec;
    const sky_trace *trace;
    const sky_trace_map *map;
    sky_trace made;
    sky_trace_map made_map;
    sky_arena arena; /* of the synthetic trace */
    int32_t *channels;
    int32_t cap, stage; /* stage: of convs; -1: none */
    bool loaded, merged;
} sky_pruned;

/* Loads what spec says; nothing happens where it is what is there. Memory is from ctx's scratch. Errors as
 * those of sky_job_network() and sky_job_trace(); after one, the next call loads anew. */
sky_err sky_pruned_load(sky_pruned *p, sky_job_ctx *ctx, const sky_pruned_spec *spec, sky_error *e);

/* Lists the convolutions of a stage in p->convs; equal ones are merged if asked for. No allocation. */
void sky_pruned_stage(sky_pruned *p, int32_t stage, bool merge);

/* The stage's part of the training among those that count, and the epoch that it begins at. */
double sky_pruned_weight(const sky_pruned *p, int32_t stage);
int64_t sky_pruned_epoch(const sky_pruned *p, int32_t stage);

void sky_pruned_close(sky_pruned *p);

#endif
