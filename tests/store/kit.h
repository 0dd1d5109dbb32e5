/* What the store's tests share: a scratch folder, the sweep `noop`, and rows with a known answer. */
#ifndef SKY_TESTS_STORE_KIT_H
#define SKY_TESTS_STORE_KIT_H

#include "store/store.h"

enum { KIT_ROWS_MAX = 20000 };

extern const sky_descriptor kit_noop;  /* x real -> y real, exact; equal to x */
extern const sky_descriptor kit_mixed; /* every type, every class */

const char *kit_folder(void);           /* a new folder for this process; removed at its end */
const char *kit_path(const char *name); /* in it; 64 results live at a time */
void kit_remove(const char *path);      /* with its log, shared memory and lock */

/* Options of a writer on path; the rest zero. */
sky_store_options kit_writer(const char *path);
/* A spec of the job with the default plan texts; repeats 1. */
sky_sweep_spec kit_spec(const char *name, const sky_descriptor *job, uint64_t points);

/* y of trial: what the test expects to read back. */
double kit_value(uint64_t trial);
/* Records trials [begin, end) of a sweep of kit_noop, whose positions are the same numbers. */
sky_err kit_record(sky_store *s, int64_t sweep, uint64_t begin, uint64_t end, sky_error *e);
/* The same of a list, with y shifted by `wrong`, and its counts. */
sky_err kit_record_list(sky_store *s, int64_t sweep, const uint64_t *trials, size_t n, double wrong,
                        uint64_t *duplicates, uint64_t *differing, sky_error *e);

/* One number by SQL on the store's connection; -1 and a message if it fails. */
int64_t kit_int(sky_store *s, const char *sql);

#endif
