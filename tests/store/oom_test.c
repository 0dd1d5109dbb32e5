/* Every allocation of a small sweep fails once, then every one and all after it: the store's own (through
 * the linker's --wrap) and SQLite's (through its allocator). No crash, no leak, an error that says so, and
 * what was acknowledged is there.
 *
 *     store_oom_test [STRIDE]    every STRIDE-th allocation; 1 by default
 *
 * A plain main: SQLite's allocator is set before anything else uses it. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault_vfs.h"
#include "kit.h"
#include "store/export.h"
#include "store/manage.h"
#include "workload.h"

/* ---- Allocators ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);
char *__wrap_strdup(const char *text);

static bool counting; /* while the store works; not in the file system in memory */
static bool forever;
static uint64_t fail_at, allocations;
static int64_t live;

static bool refuse(void)
{
    if (!counting || fault_vfs_busy())
        return false;
    allocations++;
    return forever ? allocations >= fail_at : allocations == fail_at;
}

void *__wrap_malloc(size_t size)
{
    void *p = refuse() ? NULL : __real_malloc(size);
    live += p != NULL && !fault_vfs_busy();
    return p;
}

void *__wrap_calloc(size_t n, size_t size)
{
    void *p = refuse() ? NULL : __real_calloc(n, size);
    live += p != NULL && !fault_vfs_busy();
    return p;
}

void *__wrap_realloc(void *p, size_t size)
{
    void *q = refuse() ? NULL : __real_realloc(p, size);
    live += !p && q && !fault_vfs_busy();
    return q;
}

void __wrap_free(void *p)
{
    live -= p != NULL && !fault_vfs_busy();
    __real_free(p);
}

char *__wrap_strdup(const char *text) /* libc's own would call libc's own malloc */
{
    const size_t size = strlen(text) + 1;
    char *copy = __wrap_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

static sqlite3_mem_methods sqlite_real;

static void *sqlite_malloc(int size)
{
    return refuse() ? NULL : sqlite_real.xMalloc(size);
}

static void *sqlite_realloc(void *p, int size)
{
    return refuse() ? NULL : sqlite_real.xRealloc(p, size);
}

static void wrap_sqlite(void)
{
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_real);
    sqlite3_mem_methods wrapped = sqlite_real;
    wrapped.xMalloc = sqlite_malloc;
    wrapped.xRealloc = sqlite_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &wrapped);
}

/* ---- What runs without memory ---- */

static sky_err swallow(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    (void)len;
    return SKY_OK;
}

static void print_problem(void *arg, const char *text)
{
    (void)arg;
    fprintf(stderr, "verify: %s\n", text);
}

/* The read side and the care, on what the workload left. Their errors are free to come; the first that is
 * no lack of memory is kept. */
static void look_around(const char *path, sky_err *odd)
{
    const sky_store_options o = {.path = path, .writer = true, .vfs = fault_vfs_name};
    const sky_objective objectives[] = {{"x", SKY_MAX}, {"twice", SKY_MIN}};
    const sky_fronts_options fo = {.objectives = objectives, .n_objectives = 2};
    sky_export_options eo = {.write = swallow, .where = "y >= 0", .order_by = "twice DESC"};
    sky_store *s = NULL;
    sky_fronts *f = NULL;
    sky_sweep_info *list = NULL;
    sky_ranges done = {0}, failed = {0};
    uint64_t problems = 0;
    size_t n = 0;
    enum { STEPS = 12 };
    sky_err errs[STEPS] = {0};
    static sky_error why[STEPS]; /* each step's own text */
    memset(why, 0, sizeof why);
    errs[0] = sky_store_open(&s, &o, &why[0]);
    if (errs[0] == SKY_OK) {
        errs[1] = sky_store_sweep_list(s, &list, &n, &why[1]);
        for (size_t i = 0; errs[1] == SKY_OK && i < n; i++)
            sky_sweep_info_free(&list[i]);
        free(errs[1] == SKY_OK ? list : NULL);
        for (int format = SKY_FORMAT_TABLE; format <= SKY_FORMAT_JSONL; format++) {
            eo.format = (sky_format)format;
            errs[2 + format] = sky_export_sweep(s, "noop", &eo, NULL, &why[2 + format]);
        }
        errs[6] = sky_fronts_open(&f, s, "noop", &fo, &why[6]);
        if (errs[6] == SKY_OK) {
            errs[7] = sky_fronts_refresh(f, NULL, &why[7]);
            errs[8] = sky_export_front(f, &eo, NULL, &why[8]);
            sky_fronts_close(f);
        }
        errs[9] = sky_store_settled(s, 1, &done, &failed, &why[9]);
        errs[10] = sky_store_verify(s, print_problem, NULL, &problems, &why[10]);
        errs[11] = sky_store_sweep_delete(s, "noop", &why[11]);
    }
    sky_ranges_free(&done);
    sky_ranges_free(&failed);
    sky_store_close(s);
    for (size_t i = 0; i < STEPS; i++) {
        if (errs[i] != SKY_OK && errs[i] != SKY_ENOMEM && *odd == SKY_OK) {
            *odd = errs[i];
            fprintf(stderr, "step %zu: %s\n", i, why[i].text);
        }
    }
    *odd = *odd == SKY_OK && problems > 0 ? SKY_EFORMAT : *odd;
}

/* ---- One run ---- */

static bool start(uint64_t n, bool all_after)
{
    fail_at = n;
    forever = all_after;
    allocations = 0;
    return counting = true;
}

static bool report(const char *what, uint64_t n, bool all_after, const char *why)
{
    fprintf(stderr, "FAILED: %s, allocation %llu%s: %s\n", what, (unsigned long long)n,
            all_after ? " and later" : "", why);
    return false;
}

static bool leaked(int64_t live_before, int64_t sqlite_before)
{
    return live != live_before || sqlite3_memory_used() != sqlite_before;
}

static bool write_run(uint64_t n, bool all_after, const char *path)
{
    workload w;
    fault_vfs_reset(FAULT_NONE, 0);
    const int64_t live_before = live, sqlite_before = sqlite3_memory_used();
    start(n, all_after);
    workload_run(&w, path, fault_vfs_name, false);
    counting = false;
    if (leaked(live_before, sqlite_before))
        return report("writing", n, all_after, "a leak");
    if (w.first_error != SKY_OK && w.first_error != SKY_ENOMEM)
        return report("writing", n, all_after, w.text);
    return workload_check(&w, path, fault_vfs_name) ||
           report("writing", n, all_after, "the file is wrong");
}

static bool read_run(uint64_t n, bool all_after, const char *path)
{
    workload w;
    sky_err odd = SKY_OK;
    fault_vfs_reset(FAULT_NONE, 0);
    workload_run(&w, path, fault_vfs_name, false);
    const int64_t live_before = live, sqlite_before = sqlite3_memory_used();
    start(n, all_after);
    look_around(path, &odd);
    counting = false;
    if (leaked(live_before, sqlite_before))
        return report("reading", n, all_after, "a leak");
    return odd == SKY_OK || report("reading", n, all_after, sky_strerror(odd));
}

static uint64_t all_runs(bool (*run)(uint64_t, bool, const char *), bool all_after, uint64_t stride,
                         const char *path, uint64_t *runs)
{
    uint64_t failures = 0, n = 1;
    do {
        failures += !run(n, all_after, path);
        n += stride;
        ++*runs;
    } while (allocations >= n - stride && failures < 20);
    return failures;
}

int main(int argc, char **argv)
{
    const uint64_t stride = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    char path[200];
    uint64_t runs = 0, failures = 0;
    wrap_sqlite();
    fault_vfs_register();
    snprintf(path, sizeof path, "%s/oom.db", kit_folder());
    write_run(UINT64_MAX, false, path); /* once with memory: what SQLite keeps for good is had */
    read_run(UINT64_MAX, false, path);
    for (int all_after = 0; all_after < 2; all_after++) {
        failures += all_runs(write_run, all_after, stride, path, &runs);
        failures += all_runs(read_run, all_after, stride, path, &runs);
    }
    fault_vfs_reset(FAULT_NONE, 0);
    printf("%llu runs, %llu failed\n", (unsigned long long)runs, (unsigned long long)failures);
    return failures != 0 || runs < 100;
}
