/* Care of a store as a whole: delete, merge, backup, tags, verify. */
#ifndef SKY_STORE_MANAGE_H
#define SKY_STORE_MANAGE_H

#include "store/store.h"

/* Deletes a sweep with all that belongs to it, in a transaction of its own (SKY_EBUSY if one is open). The
 * file does not shrink: its pages are used again. Its id is never used again. */
sky_err sky_store_sweep_delete(sky_store *s, const char *sweep, sky_error *e);

/* What sky_store_merge() did. */
typedef struct sky_merge_report {
    size_t copied;       /* sweeps that were not here */
    size_t united;       /* sweeps that were in both */
    uint64_t rows;       /* trials added */
    uint64_t duplicates; /* trials that were here already */
    uint64_t differing;  /* of those, with other exact metrics: what was here stays */
    uint64_t failures;   /* quarantined trials added */
} sky_merge_report;
/* Adds everything that the store at `path` holds (a reader's view of it: a coordinator may be writing it)
 * to s, in one transaction of its own. A sweep of the same name and identity is united trial by trial; one
 * of the same name and another identity is SKY_ECONFLICT, and nothing is changed. A sweep that runs there is
 * paused here; `on_difference` (may be NULL) hears of the first trials that differ, at most 100 a sweep. */
sky_err sky_store_merge(sky_store *s, const char *path,
                        void (*on_difference)(void *arg, const char *sweep, uint64_t trial),
                        void *arg, sky_merge_report *report, sky_error *e);

/* Zero-initialise. */
typedef struct sky_backup_options {
    const char *path; /* of the copy. Required */
    bool replace;     /* a file of that name may be there: it is replaced at the end, in one step */
    /* Told now and then; false stops with SKY_ECANCELLED. May be NULL. */
    bool (*progress)(void *arg, uint64_t bytes_done, uint64_t bytes_total);
    void *arg;
} sky_backup_options;
/* A copy of what is committed now, while others may write; durable when this returns. On error no copy is
 * left and an older one is untouched. */
sky_err sky_store_backup(sky_store *s, const sky_backup_options *o, sky_error *e);

/* A tag is 1 to 100 bytes of text without control characters. In the open transaction. Adding one that is
 * there is no error; removing one that is not is SKY_ENOTFOUND. */
sky_err sky_store_tag_add(sky_store *s, int64_t sweep, const char *tag, sky_error *e);
sky_err sky_store_tag_remove(sky_store *s, int64_t sweep, const char *tag, sky_error *e);
/* Sorted; the caller frees each and the array. */
sky_err sky_store_tag_list(sky_store *s, int64_t sweep, char ***out, size_t *n, sky_error *e);

/* Checks the file (SQLite's integrity_check) and what Skyline promises of it: each sweep has its table,
 * counters equal rows, every row is in a commit record and every committed row is there, no trial is both
 * recorded and quarantined, nothing belongs to a sweep that is gone. `problem` hears of each (at most 100 from
 * SQLite); *problems counts them. SKY_OK also with problems: the error is of the check itself. */
sky_err sky_store_verify(sky_store *s, void (*problem)(void *arg, const char *text), void *arg,
                         uint64_t *problems, sky_error *e);

#endif
