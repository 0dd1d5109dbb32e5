/* Every write, sync, truncation, creation and deletion of a small sweep fails once, in every way; then the
 * file is opened again by SQLite's own VFS. What was acknowledged must be there, and nothing by halves.
 * A plain main: one process, thousands of runs. */
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault_vfs.h"
#include "kit.h"
#include "workload.h"

static const struct {
    const char *name;
    fault_kind kind;
    cut_kind cut;
    uint64_t seeds;
} modes[] = {
    {"fails once", FAULT_ONCE, CUT_DROP, 1},
    {"fails forever", FAULT_FOREVER, CUT_DROP, 1},
    {"disk full", FAULT_FULL, CUT_DROP, 1},
    {"torn write", FAULT_TORN, CUT_DROP, 1},
    {"power cut, unsynced dropped", FAULT_POWER, CUT_DROP, 1},
    {"power cut, unsynced kept", FAULT_POWER, CUT_KEEP, 1},
    {"power cut, unsynced torn", FAULT_POWER, CUT_ANY, 5},
};

/* What a caller sees must be an error of the file, with a text that says so. */
static bool clear_error(const workload *w, fault_kind kind)
{
    if (w->first_error == SKY_OK)
        return true; /* it hit something that may fail: a checkpoint, a deletion at the end */
    if (w->text[0] && kind == FAULT_FULL)
        return w->first_error == SKY_EFULL && strstr(w->text, "disk is full") &&
               strstr(w->text, "iB");
    return w->text[0] && (w->first_error == SKY_EIO || w->first_error == SKY_ENOTFOUND ||
                          w->first_error == SKY_EPERM);
}

static bool one(size_t mode, uint64_t n, uint64_t seed, const char *path, bool *hit)
{
    workload w;
    const bool power = modes[mode].kind == FAULT_POWER;
    fault_vfs_reset(modes[mode].kind, n);
    workload_run(&w, path, fault_vfs_name, power);
    *hit = fault_vfs_hit();
    if (power)
        fault_vfs_cut(modes[mode].cut, seed);
    fault_vfs_heal();
    kit_remove(path);
    bool ok =
        clear_error(&w, modes[mode].kind) && fault_vfs_dump() && workload_check(&w, path, NULL);
    if (!ok)
        fprintf(stderr, "FAILED: %s, operation %llu, seed %llu; the error was %d: %s\n",
                modes[mode].name, (unsigned long long)n, (unsigned long long)seed, w.first_error,
                w.text);
    kit_remove(path);
    return ok;
}

int main(void)
{
    char folder[64] = "/dev/shm/sky-fault-XXXXXX"; /* syncs cost nothing there */
    char path[128];
    uint64_t runs = 0, failures = 0;
    if (!mkdtemp(folder)) {
        strcpy(folder, "/tmp/sky-fault-XXXXXX");
        if (!mkdtemp(folder))
            return 1;
    }
    snprintf(path, sizeof path, "%s/f.db", folder);
    fault_vfs_register();
    for (size_t mode = 0; mode < sizeof modes / sizeof *modes; mode++) {
        bool hit = true;
        uint64_t n = 1;
        for (; hit; n++) {
            for (uint64_t seed = 0; seed < modes[mode].seeds; seed++, runs++)
                failures += !one(mode, n, seed, path, &hit);
        }
        printf("%-30s %llu operations\n", modes[mode].name, (unsigned long long)n - 2);
        if (n < 50)
            failures++; /* the shim is not in use */
    }
    fault_vfs_reset(FAULT_NONE, 0);
    rmdir(folder);
    printf("%llu runs, %llu failed\n", (unsigned long long)runs, (unsigned long long)failures);
    return failures != 0;
}
