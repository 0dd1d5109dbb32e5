/* Mini-batch serialization (MBS) and WaveCore: what a training step of a network moves between DRAM and
 * chip, how long it takes and what energy it needs, in closed form. Lym, Behroozi, Wen, Li, Kwon, Erez:
 * "Mini-batch Serialization: CNN Training with Inter-layer Data Reuse", SysML 2019 (arXiv 1810.00307).
 *
 * A core has a systolic array, a vector unit and a global buffer. Layers hand activations on to each other
 * through the buffer as far as it holds them. It holds few samples of a large layer; so MBS takes the
 * mini-batch in sub-batches, group of layers by group: fewer bytes of activations against more of weights,
 * which every iteration reads again. Norms must be over single samples (group norm).
 *
 * The parts: wavecore_graph.c (units), wavecore_live.c (footprints), wavecore_repeat.c (equal units),
 * wavecore_traffic.c (bytes), wavecore_group.c (sub-batches and groups), wavecore_time.c (cycles), wavecore.c
 * (a step). The oracle, tests/hw/wavecore_walk.c, plays a schedule tensor by tensor on a buffer of the given
 * size. What each count means, and the choices that are ours: docs/jobs/wavecore.md.
 *
 * Activations and their gradients have 2 bytes (FP16). No function allocates but sky_wavecore_prepare(). */
#ifndef SKY_HW_WAVECORE_H
#define SKY_HW_WAVECORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "hw/network.h"
#include "hw/systolic.h"

enum {
    SKY_WAVECORE_WORD_BYTES = 2, /* of an activation, a gradient of one, a weight */
    SKY_WAVECORE_BATCH_MAX = 4096,
    SKY_WAVECORE_EDGES_MAX =
        1 << 18, /* reads of one layer's output by another; ResNet-152 has 570 */
};

/* --- the network, as it is scheduled --- */

typedef enum sky_wavecore_kind {
    SKY_WAVECORE_CONV,   /* convolution, linear layer: a product with weights */
    SKY_WAVECORE_MATMUL, /* a product of two activations */
    SKY_WAVECORE_NORM,
    SKY_WAVECORE_ACTIVATION,
    SKY_WAVECORE_POOL,
    SKY_WAVECORE_ADD,
    SKY_WAVECORE_COPY, /* a slice, or an input of a concatenation that others read too */
} sky_wavecore_kind;

/* An operation, in the order of execution. Sizes are elements of one sample. */
typedef struct sky_wavecore_op {
    int32_t layer; /* of the network; a copy: the concatenation or slice */
    sky_wavecore_kind kind;
    int32_t unit;
    int32_t first_input, n_inputs; /* in sky_wavecore_net.inputs */
    int32_t conv;                  /* in sky_wavecore_net.convs, or -1 */
    int64_t in, out;
    int64_t params;     /* learned values: the same for every sample */
    int64_t mask;       /* signs that an activation keeps for the backward pass */
    int64_t index_bits; /* which input a pooling took, in bits of one sample */
    int64_t vector_fwd; /* elements through the vector unit; a norm's: of one pass */
    int64_t vector_bwd; /* likewise */
    int64_t footprint;  /* resident at once if only its neighbours are: in + out, or out in place */
    bool grad, input_grad; /* has a backward pass; hands a gradient on */
} sky_wavecore_op;

/* What one operation (of the same index) makes, or, beyond the operations, an input of the network. A
 * concatenation has none of its own: its inputs are parts of one tensor, made in place. */
typedef struct sky_wavecore_tensor {
    int64_t size;     /* elements of one sample */
    int32_t producer; /* operation; -1: an input of the network, which lies in DRAM */
    int32_t n_uses;
    int32_t first_use, last_use; /* operations; all of one unit; -1: none */
    bool stored;                 /* the backward pass needs it: written to DRAM */
    bool grad;                   /* somebody needs its gradient */
} sky_wavecore_tensor;

/* What is scheduled as one: a layer with the norms and activations that follow it, or all that lies between
 * two points through which every path leads (a residual or inception block). */
typedef struct sky_wavecore_unit {
    int32_t first_op, n_ops;
    int64_t footprint;            /* of the largest of its operations */
    int64_t live_footprint;       /* with everything that branches share held until its last use */
    int64_t params, input_params; /* all; of operations that hand a gradient on */
    bool repeats;                 /* equals the unit before it in all that counts */
} sky_wavecore_unit;

typedef struct sky_wavecore_net {
    const sky_network *network;
    sky_wavecore_op *ops;
    sky_wavecore_tensor *tensors;
    sky_wavecore_unit *units;
    int32_t *inputs; /* tensors */
    sky_conv_shape *convs;
    int32_t n_ops, n_tensors, n_units, n_inputs, n_convs;
    int64_t params,
        stored;   /* elements: of weights; of activations for the backward pass, one sample */
    int64_t macs; /* of one sample, forward */
    struct sky__wavecore_work *work;
} sky_wavecore_net;

/* Prepares a network. channels: of every layer, NULL for the network as designed. convs: as
 * sky_network_convs() or sky_trace_convs() list them, without merging; copied. fuse: activations are part
 * of the layer before, where nobody else reads that. Zero-initialise *w the first time; the same w may be
 * prepared again and uses its memory again. All memory comes from the arena. SKY_EINVAL naming a layer
 * that cannot be scheduled (an embedding), or when nothing has weights; SKY_ELIMIT; SKY_ENOMEM. */
sky_err sky_wavecore_prepare(sky_wavecore_net *w, const sky_network *net, const int32_t *channels,
                             const sky_conv_shape *convs, bool fuse, sky_arena *arena,
                             sky_error *e);

/* --- the machine --- */

typedef enum sky_wavecore_variant {
    SKY_WAVECORE_BASELINE, /* every layer reads its inputs from DRAM and writes its output there */
    SKY_WAVECORE_ARCHOPT,  /* and the array loads the next weights while it computes */
    SKY_WAVECORE_IL, /* and layers of which the whole mini-batch fits hand it on in the buffer */
    SKY_WAVECORE_MBS_FS, /* one sub-batch size, which all layers fit */
    SKY_WAVECORE_MBS1,   /* groups of layers, each with its own */
    SKY_WAVECORE_MBS2,   /* and branches share what they read and make */
    SKY_WAVECORE_VARIANTS,
} sky_wavecore_variant;

typedef struct sky_wavecore_memory {
    const char *name;
    double gib_per_s, gib, pj_per_bit;
    const char *source, *energy_source;
} sky_wavecore_memory;

/* NULL-terminated by a NULL name: HBM2, HBM2x2, GDDR5, LPDDR4. */
const sky_wavecore_memory *sky_wavecore_memories(void);

typedef struct sky_wavecore_machine {
    sky_wavecore_variant variant;
    bool optimal; /* groups by dynamic programming; else greedily, as the paper */
    bool
        overlap_step; /* array, vector unit and DRAM wait for each other once a step; else by layer */
    int32_t batch, cores;        /* samples of one core, at most SKY_WAVECORE_BATCH_MAX */
    int32_t array;               /* rows and columns */
    int32_t stream_max;          /* rows that stream past one resting tile */
    int32_t vector_lanes;        /* elements a cycle */
    int32_t norm_passes;         /* over a norm's operands that the buffer does not hold */
    int32_t mask_bits, dw_bytes; /* of an activation's sign; of a gradient of a weight */
    int32_t update_bytes;        /* a weight's update moves */
    int64_t buffer_bytes;        /* of one core */
    double clock_hz;
    double dram_bytes_per_s; /* of all cores together */
    double dram_j_per_byte, static_w;
} sky_wavecore_machine;

/* --- traffic --- */

typedef enum sky_wavecore_cause {
    SKY_WAVECORE_ACT_READ,     /* activations, forward pass */
    SKY_WAVECORE_ACT_WRITE,    /* likewise */
    SKY_WAVECORE_STORED_READ,  /* activations that the backward pass reads again */
    SKY_WAVECORE_GRAD_READ,    /* gradients of activations */
    SKY_WAVECORE_GRAD_WRITE,   /* likewise */
    SKY_WAVECORE_MASK_WRITE,   /* signs of activations, choices of poolings */
    SKY_WAVECORE_MASK_READ,    /* likewise */
    SKY_WAVECORE_WEIGHT_FWD,   /* weights, read */
    SKY_WAVECORE_WEIGHT_BWD,   /* likewise */
    SKY_WAVECORE_DW_READ,      /* gradients of weights, summed over iterations */
    SKY_WAVECORE_DW_WRITE,     /* likewise */
    SKY_WAVECORE_UPDATE_BYTES, /* the weights' update */
    SKY_WAVECORE_CAUSES,
} sky_wavecore_cause;
const char *sky_wavecore_cause_name(sky_wavecore_cause c); /* "activation_read_bytes", ... */

typedef struct sky_wavecore_bytes {
    int64_t of[SKY_WAVECORE_CAUSES];
} sky_wavecore_bytes;
int64_t sky_wavecore_total(const sky_wavecore_bytes *b);

/* --- a schedule --- */

typedef struct sky_wavecore_group {
    int32_t first_unit, n_units;
    int32_t sub_batch, iterations; /* the last iteration may have fewer samples */
} sky_wavecore_group;

typedef struct sky_wavecore_schedule {
    const sky_wavecore_group
        *groups;             /* this and the next two: in w's memory, until its next plan */
    const int32_t *group_of; /* of each unit */
    const bool *live;        /* of each unit: its branches share what they read and make */
    int32_t n_groups;
    int64_t greedy_bytes, optimal_bytes; /* one core; equal where a variant has no choice */
} sky_wavecore_schedule;

/* Of one core. A unit of which not even one sample fits has a sub-batch of 1, and the operations that do not
 * fit pass their operands through DRAM. */
sky_wavecore_schedule sky_wavecore_plan(const sky_wavecore_net *w, const sky_wavecore_machine *m);

/* --- time --- */

typedef struct sky_wavecore_run {
    int64_t cycles;
    int64_t stationary_bytes, moving_bytes; /* from the global buffer into the array */
    int64_t sum_bytes;                      /* read and written where sums build up, 4 a sum */
} sky_wavecore_run;

/* One product on the array, weights at rest: columns of n, then blocks of stream_max rows, then depths.
 * double_buffered: the chain of hw/systolic.h. Else a tile's weights are loaded after the last row of
 * the tile before has entered: k_1 + m_1 + k_2 + m_2 + ... */
sky_wavecore_run sky_wavecore_gemm(sky_gemm g, int64_t array, int64_t stream_max,
                                   bool double_buffered);

/* --- a step --- */

/* Of one core, but for time and energy. */
typedef struct sky_wavecore_cost {
    sky_wavecore_bytes bytes;
    int64_t norm_bytes; /* of activations and gradients: what norms move */
    int64_t forward_bytes;
    int64_t macs; /* of all three products; a strided data gradient counts its inserted zeros */
    int64_t conv_cycles, vector_cycles;
    int64_t stationary_bytes, moving_bytes, sum_bytes; /* of products, as in sky_wavecore_run */
    int64_t buffer_bytes; /* read and written in the global buffer, DRAM's side included */
    int64_t vector_ops;
    double conv_s, vector_s; /* if only that mattered */
    double dram_s;
    double time_s, forward_s;
} sky_wavecore_cost;

/* One operation: what sky_wavecore_step() adds up. time_s is that of sky_wavecore_machine.overlap_step
 * false. */
void sky_wavecore_op_cost(const sky_wavecore_net *w, const sky_wavecore_machine *m,
                          const sky_wavecore_schedule *s, int32_t op, sky_wavecore_cost *out);

void sky_wavecore_step(const sky_wavecore_net *w, const sky_wavecore_machine *m,
                       const sky_wavecore_schedule *s, sky_wavecore_cost *out);

/* Of the whole chip. */
typedef struct sky_wavecore_energy {
    double mac_j;    /* multiplying and adding in the arrays */
    double vector_j; /* in the vector units */
    double local_j;  /* buffers beside the arrays */
    double buffer_j; /* global buffers */
    double dram_j, static_j;
} sky_wavecore_energy;
sky_wavecore_energy sky_wavecore_energy_of(const sky_wavecore_machine *m,
                                           const sky_wavecore_cost *c);

#endif
