/* Networks from ONNX files (github.com/onnx/onnx), as PyTorch and others export them. What is read and what is
 * not: docs/networks.md.
 *
 * Only shapes count: weights are skipped, whether they are in the file or beside it. The first axis of every
 * input of the graph is the batch, fixed or not; all other dimensions of inputs must be numbers, or be among
 * the sizes that are given. Shapes of everything else are inferred, and integers that exporters compute shapes with are computed.
 *
 * A convolution or matrix product is named after its weights ("layer1.0.conv1" for "layer1.0.conv1.weight", as
 * in the zoo), else after its node. What makes an output of the graph is fixed (sky_layer.fixed). */
#ifndef SKY_HW_ONNX_H
#define SKY_HW_ONNX_H

#include "hw/network.h"

enum {
    SKY_ONNX_SLIM_BYTES_MAX = 1 << 24, /* of what is left without weights; GPT-2 has under 1 MiB */
    SKY_ONNX_NODES_MAX = 1 << 16,
};
#define SKY_ONNX_BYTES_MAX (INT64_C(1) << 31) /* protobuf's own limit, and ONNX's */

/* path is for messages ("path: node 'x' (Conv): ...") and gives the network its name. sizes says what open
 * dimensions of inputs are, by name: "sequence=128,height=224"; NULL or "": none. The network lives in the arena. SKY_EFORMAT: not ONNX, or inconsistent; SKY_EINVAL: an operator, or a use of one, that is not
 * supported; SKY_ELIMIT; SKY_ENOMEM. *out is then untouched. */
sky_err sky_onnx_parse(const char *path, const void *bytes, size_t len, const char *sizes,
                       sky_arena *arena, sky_network *out, sky_error *e);

/* The same for a file, which is mapped, not read: gigabytes of weights cost no memory. SKY_ENOTFOUND,
 * SKY_EIO, ... if it cannot be opened. */
sky_err sky_onnx_load(const char *path, const char *sizes, sky_arena *arena, sky_network *out,
                      sky_error *e);

#endif
