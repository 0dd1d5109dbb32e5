/* A small sweep as a coordinator writes it, and what must be true of its file whatever failed meanwhile. */
#ifndef SKY_TESTS_STORE_WORKLOAD_H
#define SKY_TESTS_STORE_WORKLOAD_H

#include "store/store.h"

enum { WORKLOAD_STEPS = 8, WORKLOAD_ROWS = 40 }; /* rows a step */

typedef struct workload {
    bool created;               /* the commit with the sweep succeeded */
    bool acked[WORKLOAD_STEPS]; /* that step's commit succeeded */
    bool tried
        [WORKLOAD_STEPS]; /* that step's commit was called and failed: it may be there, or not */
    bool tried_create;
    sky_err first_error; /* SKY_OK: nothing failed */
    char text[SKY_ERROR_TEXT_MAX];
} workload;

/* Opens, writes and closes. After a failed step goes on with the next, as often as a store can be opened.
 * With stop, ends at the first error (the machine is dead). */
void workload_run(workload *w, const char *path, const char *vfs, bool stop);
/* Opens the file and checks it against w; false, and a line on standard error, if it is wrong. */
bool workload_check(const workload *w, const char *path, const char *vfs);

#endif
