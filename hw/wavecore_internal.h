/* What the hw/wavecore files share. */
#ifndef SKY_HW_WAVECORE_INTERNAL_H
#define SKY_HW_WAVECORE_INTERNAL_H

#include "hw/wavecore.h"

/* The three products of a convolution under one sub-batch size. */
typedef struct sky__wavecore_products {
    int64_t macs, cycles, stationary_bytes, moving_bytes, sum_bytes, out_bytes;
} sky__wavecore_products;

typedef struct sky__wavecore_memo {
    int32_t batch, sub_batch; /* that it is of; 0: of nothing */
    bool double_buffered;
    int32_t array, stream_max, dw_bytes;
    sky__wavecore_products forward, backward;
} sky__wavecore_memo;

/* Bytes of a unit that depend on the groups: on iterations, and on where groups begin. */
typedef struct sky__wavecore_unit_cost {
    int64_t bytes[2][2];   /* without weights; [a group begins here][a group ends here] */
    int64_t per_iteration; /* of weights */
    int64_t before,
        per_iteration_before; /* bytes[0][0], per_iteration: sums over the units before */
    int32_t iterations;       /* that it needs for itself */
} sky__wavecore_unit_cost;

/* One per unit: best way for all units before it, in dynamic programming. */
typedef struct sky__wavecore_best {
    int64_t bytes;
    int32_t from;
} sky__wavecore_best;

struct sky__wavecore_work {
    sky__wavecore_unit_cost *unit_cost;
    sky__wavecore_best *best; /* n_units + 1 */
    sky_wavecore_group *greedy, *optimal;
    bool *live;
    int32_t *group_of; /* of each unit, in the schedule */
    int32_t *shape;    /* of each of convs: the first of the same shape */
    sky__wavecore_memo *memo;
    /* graph only */
    int32_t *unit_of_layer, *op_of_layer, *users, *stack, *storage;
    int64_t *change;
    bool *done;
    int32_t layers_cap, edges_cap;
};

/* What decides an operation's traffic besides the network. */
typedef struct sky__wavecore_place {
    bool live, live_before, live_after; /* its unit, and the units before and after it */
    bool begins, ends;                  /* its unit is the first, the last of a group */
    bool none;                          /* nothing ever stays on chip */
    int64_t room;                       /* elements of one sample that the buffer holds */
    int32_t norm_passes;
} sky__wavecore_place;

/* Elements of one sample, in the order of sky_wavecore_cause, up to GRAD_WRITE. */
typedef struct sky__wavecore_counts {
    int64_t of[SKY_WAVECORE_GRAD_WRITE + 1];
} sky__wavecore_counts;

void sky__wavecore_count(const sky_wavecore_net *w, int32_t op, const sky__wavecore_place *p,
                         sky__wavecore_counts *out);
/* The place of a unit's operations, neither first nor last of its group; and under a schedule. */
sky__wavecore_place sky__wavecore_place_of(const sky_wavecore_net *w, const sky_wavecore_machine *m,
                                           const bool *live, int32_t unit);
sky__wavecore_place sky__wavecore_place_in(const sky_wavecore_net *w, const sky_wavecore_machine *m,
                                           const sky_wavecore_schedule *s, int32_t unit);
/* The bytes of one operation in one step on one core. */
void sky__wavecore_op_bytes(const sky_wavecore_net *w, const sky_wavecore_machine *m,
                            const sky__wavecore_place *p, int64_t iterations, int32_t op,
                            sky_wavecore_bytes *out);
/* Whether an operation's operands fit the buffer, so that each is read once. */
static inline bool sky__wavecore_fits(const sky_wavecore_op *op, const sky__wavecore_place *p)
{
    return p->live || (!p->none && op->footprint <= p->room);
}

/* holds: what enters and leaves the unit is there throughout. The units before it are done. */
int64_t sky__wavecore_live_footprint(sky_wavecore_net *w, const sky_wavecore_unit *u, bool holds);

/* Which convolutions have one shape, and which units repeat. */
void sky__wavecore_find_repeats(sky_wavecore_net *w);

static inline bool sky__wavecore_same_place(const sky__wavecore_place *a,
                                            const sky__wavecore_place *b)
{
    return a->live == b->live && a->live_before == b->live_before &&
           a->live_after == b->live_after && a->begins == b->begins && a->ends == b->ends &&
           a->none == b->none && a->room == b->room && a->norm_passes == b->norm_passes;
}

/* The products of a convolution, forward and backward; memoised in w, until asked for another batch. */
const sky__wavecore_memo *sky__wavecore_products_of(const sky_wavecore_net *w,
                                                    const sky_wavecore_machine *m, int32_t conv,
                                                    int32_t sub_batch);

/* a / b rounded up, a >= 0, b > 0. 32 bits, which nearly always suffice, divide much faster on many CPUs. */
static inline int64_t sky__ceil_div(int64_t a, int64_t b)
{
    const int64_t sum = a + b - 1;
    return sum <= UINT32_MAX ? (int64_t)((uint32_t)sum / (uint32_t)b) : sum / b;
}

#endif
