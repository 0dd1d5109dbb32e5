/* FlexSA, wave by wave: the plain version of hw/flexsa.c that its closed forms must equal. */
#ifndef SKY_TESTS_HW_FLEXSA_REF_H
#define SKY_TESTS_HW_FLEXSA_REF_H

#include "hw/flexsa.h"

/* One wave of a tiling, in its order. */
typedef struct ref_wave {
    int64_t m0, n0, k0; /* where it lies in the product */
    int64_t m, n, k;
    sky_flexsa_mode mode;
} ref_wave;

/* Calls each for every wave of a product (already transposed, if the tiling says so) on a unit. t may be
 * NULL: the paper's algorithm 1. */
void ref_tile(const sky_flexsa_unit *u, sky_gemm g, const sky_flexsa_tiling *t,
              void (*each)(void *arg, const ref_wave *w), void *arg);

/* sky_flexsa_tiled_run(), summed over the waves; t may be NULL. */
sky_flexsa_run ref_unit_run(const sky_flexsa_unit *u, sky_gemm g, const sky_flexsa_tiling *t);

/* sky_flexsa_layer() for one product of a layer, with every split written out. */
sky_flexsa_run ref_machine_run(const sky_flexsa_machine *m, sky_gemm g, sky_phase phase);

/* sky_flexsa_dram_bytes(), piece by piece. */
int64_t ref_dram_bytes(const sky_flexsa_machine *m, const sky_flexsa_tensors *t);

#endif
