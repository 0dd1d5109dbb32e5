/* A VFS whose files lie in memory, whose n-th operation fails, and whose power can be cut.
 *
 * It knows of each file what was synced and which writes came since. A cut leaves what was synced and, of the
 * later writes, none, all, or any sectors of any of them, in any combination: what a disk with a cache may do.
 * One connection at a time; locks are always had. */
#ifndef SKY_TESTS_STORE_FAULT_VFS_H
#define SKY_TESTS_STORE_FAULT_VFS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum fault_kind {
    FAULT_NONE,
    FAULT_ONCE,    /* operation n fails; later ones work */
    FAULT_FOREVER, /* operation n and all later ones fail */
    FAULT_FULL,    /* from operation n on, writes find the disk full */
    FAULT_TORN,    /* operation n, if a write, writes its first half and fails */
    FAULT_POWER,   /* operation n and later ones fail: then fault_vfs_cut() */
} fault_kind;

typedef enum cut_kind { CUT_DROP, CUT_KEEP, CUT_ANY } cut_kind; /* of what was not synced */

extern const char fault_vfs_name[];

void fault_vfs_register(void); /* once */
void fault_vfs_reset(fault_kind kind,
                     uint64_t n);    /* forgets all files; the first operation is number 1 */
uint64_t fault_vfs_operations(void); /* since the reset */
bool fault_vfs_hit(void);            /* did operation n come? */
void fault_vfs_heal(void);           /* no more faults */
/* The power comes back: files are what survived. */
void fault_vfs_cut(cut_kind kind, uint64_t seed);
/* Is it allocating for itself? A disk has no lack of memory. */
bool fault_vfs_busy(void);
/* Writes all files to the real file system, under their names. */
bool fault_vfs_dump(void);

#endif
