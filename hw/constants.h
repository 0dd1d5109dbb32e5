/* The physical constants of the hardware models, each with its source.
 *
 * On-chip energies are all of one table (45 nm), so that their ratios are consistent; a later process
 * scales them together. */
#ifndef SKY_HW_CONSTANTS_H
#define SKY_HW_CONSTANTS_H

#include <stddef.h>

typedef enum sky_constant {
    SKY_MULTIPLY_F16_PJ,
    SKY_ADD_F32_PJ,
    SKY_SRAM_32KIB_PJ_PER_64BIT,
    SKY_SRAM_1MIB_PJ_PER_64BIT,
    SKY_HBM2_PJ_PER_BIT,
    SKY_HBM2_GB_PER_S,
    SKY_FLEXSA_CLOCK_GHZ,
    SKY_FLEXSA_GBUF_MIB,
    SKY_FLEXSA_STREAM_RATIO,
    SKY_CONSTANTS,
} sky_constant;

typedef struct sky_constant_info {
    const char *name;
    double value;
    const char *unit;
    const char *source;
} sky_constant_info;

/* The table, in the order of the enumeration. */
const sky_constant_info *sky_constant_table(void);
double sky_constant_value(sky_constant c);

/* Energy of reading or writing one byte of an on-chip memory of that size. Grows with the square root of
 * the size through the 32 KiB value of the table, which also meets the table's 8 KiB value exactly and its
 * 1 MiB value within 13 %; larger memories consist of banks of 1 MiB. */
double sky_sram_j_per_byte(size_t bytes);

#endif
