/* Loads jobs from .so files. A loaded plug-in is never unloaded: its descriptors are in use until
 * the program ends. A plug-in runs with the user's rights, as any program that he starts: it is
 * checked against mistakes, not against malice. */
#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/jobs_internal.h"

enum { PLUGINS_MAX = 64 }; /* files, each with any number of jobs */

static struct {
    void *handle[PLUGINS_MAX];
    size_t n;
} loaded;

static bool is_loaded(const void *handle)
{
    for (size_t i = 0; i < loaded.n; i++) {
        if (loaded.handle[i] == handle)
            return true;
    }
    return false;
}

/* Checks what the file exports and registers it. */
static sky_err add_jobs(void *handle, const char *path, sky_error *e)
{
    sky_plugin_fn entry = NULL;
    void *symbol = dlsym(handle, SKY_PLUGIN_SYMBOL);
    if (!symbol) {
        return sky_fail(e, SKY_EFORMAT,
                        "%s: no plug-in: it does not export '%s' (see "
                        "docs/own-job.md)",
                        path, SKY_PLUGIN_SYMBOL);
    }
    memcpy(&entry, &symbol,
           sizeof entry); /* ISO C has no cast from an object to a function pointer */

    const sky_job *const *jobs = entry();
    if (!jobs || !jobs[0]) {
        return sky_fail(e, SKY_EFORMAT, "%s: %s() gave no jobs", path, SKY_PLUGIN_SYMBOL);
    }
    size_t n = 0;
    for (; jobs[n]; n++) {
        if (n == SKY__JOBS_MAX) {
            return sky_fail(e, SKY_EFORMAT, "%s: more than %d jobs, or no NULL at the end", path,
                            SKY__JOBS_MAX);
        }
        sky_err err = sky__job_wellformed(jobs[n], e);
        if (err != SKY_OK) {
            sky_fail_prefix(e, "%s", path);
            return err;
        }
    }
    return sky__registry_add(jobs, n, path, e);
}

sky_err sky_plugin_load(const char *path, sky_error *e)
{
    assert(path);
    /* An absolute name, since dlopen() looks a bare one up in the system's library folders. */
    char absolute[PATH_MAX];
    if (!realpath(path, absolute)) {
        int saved_errno = errno;
        if (saved_errno == ENOENT || saved_errno == ENOTDIR) {
            return sky_fail(e, SKY_ENOTFOUND, "plug-in %s: no such file", path);
        }
        return sky_fail_errno(e, saved_errno, "plug-in %s", path);
    }
    void *handle = dlopen(absolute, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return sky_fail(e, SKY_EFORMAT, "no plug-in: %s", dlerror());
    if (is_loaded(handle)) {
        dlclose(handle); /* only takes back the reference of this dlopen() */
        return SKY_OK;
    }
    sky_err err = SKY_OK;
    if (loaded.n == PLUGINS_MAX) {
        err = sky_fail(e, SKY_ELIMIT, "%s: more than %d plug-ins", path, PLUGINS_MAX);
    }
    if (err == SKY_OK)
        err = add_jobs(handle, path, e);
    if (err != SKY_OK) {
        dlclose(handle);
        return err;
    }
    loaded.handle[loaded.n++] = handle;
    return SKY_OK;
}

sky_err sky_plugin_load_env(sky_error *e)
{
    const char *list = getenv("SKYLINE_PLUGINS");
    while (list && *list) {
        size_t len = strcspn(list, ":");
        char path[PATH_MAX];
        if (len >= sizeof path) {
            return sky_fail(e, SKY_ELIMIT, "SKYLINE_PLUGINS: a file name is longer than %d bytes",
                            PATH_MAX - 1);
        }
        memcpy(path, list, len);
        path[len] = '\0';
        if (len > 0) {
            sky_err err = sky_plugin_load(path, e);
            if (err != SKY_OK) {
                sky_fail_prefix(e, "SKYLINE_PLUGINS");
                return err;
            }
        }
        list += len;
        if (*list == ':')
            list++;
    }
    return SKY_OK;
}
