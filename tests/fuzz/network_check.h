/* What holds of every network that a decoder accepts. For the fuzz targets. */
#ifndef SKY_TESTS_NETWORK_CHECK_H
#define SKY_TESTS_NETWORK_CHECK_H

#include "hw/network.h"

/* Aborts where it does not hold. */
void check_network(const sky_network *net);
/* After a decoder: an error has a code and a text, and code is what it returned. */
void check_error(sky_err err, const sky_error *e);

#endif
