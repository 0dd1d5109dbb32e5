/* GPUs as the DeLTA model sees them: a built-in catalogue, or a file of the user's.
 *
 * The catalogue is hw/data/gpus.csv, in the program since it was built; each number there names
 * its source. A user's file has the same form: lines "gpu,field,value,source", '#' comments, and
 * one GPU after the other with all fields of SKY_GPU_FIELD_MAP. */
#ifndef SKY_HW_GPU_H
#define SKY_HW_GPU_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* field, smallest, largest (limits far outside of what exists, so that a slip of units is found) */
#define SKY_GPU_FIELD_MAP(X)                                                                       \
    X(sms, 1, 100000)                   /* streaming multiprocessors */                            \
    X(clock_ghz, 0.01, 100)             /* the clock that bandwidths in cycles refer to */         \
    X(fp32_macs_per_cycle, 1, 1e5)      /* multiply-adds per SM and cycle */                       \
    X(registers_per_sm, 1, 1e8)         /* of 32 bits */                                           \
    X(threads_per_sm, 32, 1e5)          /* resident at once */                                     \
    X(smem_kib_per_sm, 1, 1e5)          /* shared memory that CTAs may use */                      \
    X(smem_reserved_kib_per_cta, 0, 64) /* what the system takes of it for each CTA */             \
    X(smem_bytes_per_cycle, 1, 1e5)     /* per SM */                                               \
    X(l1_kib_per_sm, 0, 1e5)            /* L1 data cache */                                        \
    X(l1_holds_smem, 0, 1)              /* 1: that size includes the shared memory in use */       \
    X(l1_bytes_per_cycle, 1, 1e5)       /* per SM */                                               \
    X(l1_latency_cycles, 0, 1e5)        /* of a hit */                                             \
    X(l2_mib, 0.01, 1e5)                                                                           \
    X(l2_partitions, 1, 64)      /* parts that may each hold a copy of a line */                   \
    X(l2_coalesced_sms, 1, 1024) /* SMs whose equal requests at one time reach L2 as one */        \
    X(l2_gb_per_s, 1, 1e7)       /* 10^9 bytes per second, as the next */                          \
    X(l2_latency_cycles, 0, 1e5) /* of an L1 miss that hits */                                     \
    X(dram_gb_per_s, 1, 1e7)                                                                       \
    X(dram_latency_cycles, 0, 1e5) /* of an L2 miss */                                             \
    X(dram_access_bytes, 32, 4096) /* the least that L2 fetches */

enum { SKY_GPU_NAME_MAX = 31, SKY_GPUS_MAX = 1024, SKY_GPU_FILE_BYTES_MAX = 4 << 20 };

typedef struct sky_gpu {
    char name[SKY_GPU_NAME_MAX + 1];
#define SKY_GPU_FIELD(field, least, most) double field;
    SKY_GPU_FIELD_MAP(SKY_GPU_FIELD)
#undef SKY_GPU_FIELD
} sky_gpu;

/* The built-in catalogue; NULL if there is no such name. Letters' case and blanks do not matter:
 * "titanxp" finds "TITAN Xp". Built on first use: not thread-safe. */
const sky_gpu *sky_gpu_find(const char *name);
size_t sky_gpu_list(const sky_gpu **out);

/* Whether sky_gpu_resolve() would read a file for that: it holds ".csv", at its end or before a colon. */
bool sky_gpu_is_file(const char *spec);

/* Reads a catalogue from text. On SKY_OK *out is malloc()ed, the caller frees it. Errors name
 * path:line and the field. */
sky_err sky_gpu_parse(const char *path, const char *text, sky_gpu **out, size_t *n, sky_error *e);

/* A name in the catalogue, `file.csv` (its only or first GPU), or `file.csv:NAME`. A file is
 * looked up from folder ("" or NULL: the working directory) unless its path is absolute. */
sky_err sky_gpu_resolve(const char *spec, const char *folder, sky_gpu *out, sky_error *e);

#endif
