/* Traces: how many channels of each layer are left over a training run that prunes as it trains. The text
 * format is specified in docs/trace.md.
 *
 * A trace is a list of stages. Each holds from its step to the next stage's (the last: to the trace's end)
 * and gives, for each layer that the trace names, the output channels that are kept and, if known, the
 * input channels that the layer reads. Applied to a network, a stage gives the layers that remain. */
#ifndef SKY_HW_TRACE_H
#define SKY_HW_TRACE_H

#include "base/buf.h"
#include "hw/network.h"

enum {
    SKY_TRACE_VERSION = 1,
    SKY_TRACE_BYTES_MAX = 1 << 26,
    SKY_TRACE_STAGES_MAX = 1 << 16,
    SKY_TRACE_CELLS_MAX = 1 << 22, /* stages x layers; 8 bytes each in memory, so 32 MiB */
    SKY_TRACE_NAME_MAX = 255,
};
#define SKY_TRACE_STEP_MAX (INT64_C(1) << 53) /* exact as a double: averages weigh by steps */

typedef struct sky_trace_kept {
    int32_t out; /* 0: as designed */
    int32_t in;  /* 0: what the network's graph says */
} sky_trace_kept;

typedef struct sky_trace_stage {
    int64_t epoch, step;
    sky_trace_kept *kept; /* one per layer of the trace */
} sky_trace_stage;

typedef struct sky_trace {
    const char *network;       /* what was trained, for people; "" if not said */
    const char *const *layers; /* names, distinct */
    int32_t n_layers, n_stages;
    sky_trace_stage *stages; /* steps rise; the first is at step 0 */
    int64_t end_epoch, end_step;
} sky_trace;

/* Reads a trace into the arena. path is for messages, "path:line:column: ...". SKY_EFORMAT, SKY_EVERSION,
 * SKY_ELIMIT, SKY_ENOMEM; *out is then untouched. */
sky_err sky_trace_parse(const char *path, const char *text, size_t len, sky_arena *arena,
                        sky_trace *out, sky_error *e);

/* Appends a trace's text: of each stage, the layers that changed. Parsing gives the same trace, its
 * layers in the order of first listing; those that are always as designed go. */
void sky_trace_write(const sky_trace *t, sky_buf *out);

/* The part of the training's steps that the stage lasts; the stages' sum is 1. */
double sky_trace_weight(const sky_trace *t, int32_t stage);

/* --- on a network --- */

/* Which layer of a network each layer of a trace is. */
typedef struct sky_trace_map {
    int32_t *layer; /* the network's, of each of the trace's */
    int32_t *row;   /* the trace's, of each of the network's; -1: none */
} sky_trace_map;

/* Finds the trace's layers among the network's convolutions, linear layers and stand-ins, and checks each
 * stage against the design. The map lives in the arena. SKY_EINVAL naming the layer: one that the network
 * lacks or has twice, more channels than designed, channels of a depthwise convolution that are not its
 * input's. SKY_ENOMEM. */
sky_err sky_trace_bind(const sky_trace *t, const sky_network *net, sky_arena *arena,
                       sky_trace_map *out, sky_error *e);

/* The output channels of all layers of the network (sky_network_follow()) at a stage. channels has
 * net->n_layers places. */
void sky_trace_channels(const sky_trace *t, const sky_trace_map *map, int32_t stage,
                        const sky_network *net, int32_t *channels);

/* The convolutions and linear layers at a stage, as sky_network_convs() lists them; where the trace says
 * what a layer reads, that counts, else what its inputs keep. channels: of sky_trace_channels(). No
 * allocation. Returns how many. */
int32_t sky_trace_convs(const sky_trace *t, const sky_trace_map *map, int32_t stage,
                        const sky_network *net, const int32_t *channels, bool merge,
                        sky_conv_shape *out);

/* --- synthetic ones --- */

/* Zero-initialise; 0 is the default. */
typedef struct sky_trace_options {
    double pruned;          /* mean part of the channels that is gone at the end, in [0, 1) */
    double spread;          /* the layers' parts lie in pruned * [1 - spread, 1 + spread]; 0.5 */
    uint64_t seed;          /* the same options and network give the same trace on every machine */
    int32_t epochs;         /* 90 */
    int32_t epochs_a_stage; /* pruning happens this often; 10 */
    int64_t steps_an_epoch; /* 5005: ImageNet at a batch of 256 */
} sky_trace_options;

/* A made-up trace: nobody trained anything. Every layer but the fixed ones loses channels at its own pace,
 * most of them early, to a part of its own. The trace lives in the arena and borrows the network's names.
 * SKY_EINVAL for options out of range or a network with layers whose names do not identify them. */
sky_err sky_trace_generate(const sky_network *net, const sky_trace_options *options,
                           sky_arena *arena, sky_trace *out, sky_error *e);

#endif
