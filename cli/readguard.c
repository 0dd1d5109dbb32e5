#include "cli/readguard.h"

#include <string.h>
#include <strings.h>

#include "base/clock.h"

enum { STEPS = 4000 }; /* virtual-machine steps between two looks at the clock: some 50 us */

static int authorize(void *arg, int action, const char *a, const char *b, const char *c,
                     const char *d)
{
    static const char *const functions[] = {"load_extension", "readfile", "writefile", "edit",
                                            "fts3_tokenizer"};
    (void)arg, (void)a, (void)c, (void)d;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_FUNCTION:
        for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
            if (b && strcasecmp(b, functions[i]) == 0)
                return SQLITE_DENY;
        }
        return SQLITE_OK;
    default:
        return SQLITE_DENY;
    }
}

static int out_of_time(void *arg)
{
    const cli_guard *g = arg;
    return sky_clock_ns() > g->deadline_ns;
}

/* The first use of a table-valued function declares its columns, which the authorizer would take for
 * CREATE TABLE: so use them once before. */
static void warm_up(sqlite3 *db)
{
    sqlite3_exec(db, "SELECT 1 FROM json_each('[]'), json_tree('[]')", NULL, NULL, NULL);
}

void cli_guard_set(cli_guard *g, sky_store *s, int64_t timeout_ns)
{
    g->db = sky_store_sqlite(s);
    g->deadline_ns = timeout_ns ? sky_clock_ns() + timeout_ns : 0;
    warm_up(g->db);
    sqlite3_set_authorizer(g->db, authorize, NULL);
    if (timeout_ns)
        sqlite3_progress_handler(g->db, STEPS, out_of_time, g);
}
