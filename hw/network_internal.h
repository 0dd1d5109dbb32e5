/* What only hw/'s own files on networks may use. */
#ifndef SKY_HW_NETWORK_INTERNAL_H
#define SKY_HW_NETWORK_INTERNAL_H

#include "hw/network.h"

/* A layer that sky_network_convs() lists: a convolution, a linear layer or a product of activations. */
bool sky__multiplies(const sky_layer *l);
/* What it lists of such a layer. channels may be NULL: as designed. */
sky_conv_shape sky__conv_shape(const sky_network *net, const int32_t *channels, int32_t index);
/* A convolution with a group of its own for each input channel. */
bool sky__is_depthwise(const sky_network *net, const sky_layer *l);

#endif
