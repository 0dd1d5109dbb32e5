/* Networks from topology files of SCALE-Sim (github.com/scalesim-project/scale-sim-v2), in both forms:
 *
 *     Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
 *     Conv1, 224, 224, 11, 11, 3, 96, 4,
 *
 *     Layer, M, N, K,
 *     attention, 512, 768, 768,
 *
 * As in SCALE-Sim, the first line is a header and is skipped, a row may end with a comma, heights and
 * widths include the padding, a ninth column is the stride of columns, windows that stick out at the end
 * count (outputs are rounded up), and a name that contains DP is a depthwise convolution with that many
 * filters per channel. Blank lines and lines that begin with # are skipped too. The number of fields in
 * the first row decides the form.
 *
 * The file has no graph. So the first layer's input is the network's, every other layer gets an input of
 * its own, named NAME.in, that stands for what comes before it (sky_net_stand_in()), and the last layer's channels are
 * fixed. M of a product is the rows of one sample. Blanks inside a name become '_'. */
#ifndef SKY_HW_TOPOLOGY_H
#define SKY_HW_TOPOLOGY_H

#include "hw/network.h"

enum {
    SKY_TOPOLOGY_BYTES_MAX = 1 << 20
}; /* about 20,000 rows; SKY_LAYERS_MAX is reached earlier */

/* path is for messages ("path:line:column: ...") and gives the network its name. Everything is copied into
 * the arena. SKY_EFORMAT, SKY_ELIMIT, SKY_ENOMEM; *out is then untouched. */
sky_err sky_topology_parse(const char *path, const char *text, size_t len, sky_arena *arena,
                           sky_network *out, sky_error *e);

#endif
