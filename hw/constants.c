#include "hw/constants.h"

#include <assert.h>
#include <math.h>

#define HOROWITZ "M. Horowitz, Computing's energy problem, ISSCC 2014, figure 1.1.9 (45 nm, 0.9 V)"
#define FLEXSA   "S. Lym, M. Erez, FlexSA, arXiv 2004.13027, configuration (recalled, not re-read)"

static const sky_constant_info table[SKY_CONSTANTS] = {
    [SKY_MULTIPLY_F16_PJ] = {"multiply, 16-bit floating point", 1.1, "pJ", HOROWITZ},
    [SKY_ADD_F32_PJ] = {"add, 32-bit floating point", 0.9, "pJ", HOROWITZ},
    [SKY_SRAM_32KIB_PJ_PER_64BIT] = {"access, 32 KiB on-chip memory", 20, "pJ per 64 bits",
                                     HOROWITZ},
    [SKY_SRAM_1MIB_PJ_PER_64BIT] = {"access, 1 MiB on-chip memory", 100, "pJ per 64 bits",
                                    HOROWITZ},
    [SKY_HBM2_PJ_PER_BIT] = {"access, HBM2", 3.92, "pJ/bit",
                             "M. O'Connor et al., Fine-Grained DRAM, MICRO 2017"},
    [SKY_HBM2_GB_PER_S] = {"bandwidth, one HBM2 stack", 270, "GB/s", FLEXSA},
    [SKY_FLEXSA_CLOCK_GHZ] = {"clock", 0.7, "GHz", FLEXSA},
    [SKY_FLEXSA_GBUF_MIB] = {"global buffer", 10, "MiB", FLEXSA},
    [SKY_FLEXSA_STREAM_RATIO] =
        {"rows that stream past one resting tile, over the array's edge (256 for 128)", 2, "",
         FLEXSA},
};

const sky_constant_info *sky_constant_table(void)
{
    return table;
}

double sky_constant_value(sky_constant c)
{
    assert((int)c >= 0 && c < SKY_CONSTANTS);
    return table[c].value;
}

double sky_sram_j_per_byte(size_t bytes)
{
    /* sqrt() is correctly rounded by IEEE 754, so that this is the same on every machine. */
    const double bytes_per_access = 8, pj = 1e-12;
    double access_pj = bytes > (1u << 20) ? table[SKY_SRAM_1MIB_PJ_PER_64BIT].value
                                          : table[SKY_SRAM_32KIB_PJ_PER_64BIT].value *
                                                sqrt((double)bytes / 32768.0);
    return access_pj * pj / bytes_per_access;
}
