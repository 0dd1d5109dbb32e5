#include "jobs/netfile.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/text.h"
#include "hw/onnx.h"
#include "hw/topology.h"

/* --- what was read --- */

/* One file. A trace is bound to a network, so the same file may be there once per network. */
typedef struct entry {
    const char *path;
    const sky_network *bound_to; /* of a trace; NULL: the entry is a network */
    sky_err err;                 /* of reading it; then why it failed is in text */
    const char *text;
    sky_network network;
    sky_job_bound_trace trace;
} entry;

enum { SLOTS = 2 * SKY_JOB_NETFILES_MAX };
_Static_assert((SLOTS & (SLOTS - 1)) == 0, "a power of two");

static struct {
    sky_arena arena;
    entry *slot[SLOTS]; /* a hash table */
    int n;
} files;

/* The entry's slot, or the free one where it belongs. At most half of the slots are taken. */
static entry **slot_of(const char *path, const sky_network *bound_to)
{
    size_t i = (size_t)sky_hash_bytes((uint64_t)(uintptr_t)bound_to, path, strlen(path));
    for (;; i++) {
        entry **at = &files.slot[i & (SLOTS - 1)];
        if (!*at || ((*at)->bound_to == bound_to && strcmp((*at)->path, path) == 0))
            return at;
    }
}

static bool ends_in(const char *text, const char *end)
{
    const size_t len = strlen(text), end_len = strlen(end);
    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

/* Where "model.onnx:sequence=128" has its sizes; NULL if it has none. */
static const char *sizes_of(const char *spec)
{
    const char *end = strstr(spec, ".onnx:");
    return end && end > spec ? end + strlen(".onnx:") : NULL;
}

static sky_err read_network(const char *path, entry *out, sky_error *e)
{
    const char *sizes = sizes_of(path);
    if (sizes) {
        path = sky_arena_strndup(&files.arena, path, (size_t)(sizes - 1 - path));
        if (!path)
            return sky_fail(e, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
    }
    if (sizes || ends_in(path, ".onnx"))
        return sky_onnx_load(path, sizes, &files.arena, &out->network, e);
    char *bytes = NULL;
    size_t len = 0;
    sky_err err = sky_read_file(path, SKY_TOPOLOGY_BYTES_MAX, &bytes, &len, e);
    if (err == SKY_OK)
        err = sky_topology_parse(path, bytes, len, &files.arena, &out->network, e);
    free(bytes);
    return err;
}

static sky_err read_trace(const char *path, entry *out, sky_error *e)
{
    char *text = NULL;
    size_t len = 0;
    sky_job_bound_trace *t = &out->trace;
    t->network = out->bound_to;
    sky_err err = sky_read_file(path, SKY_TRACE_BYTES_MAX, &text, &len, e);
    if (err == SKY_OK)
        err = sky_trace_parse(path, text, len, &files.arena, &t->trace, e);
    if (err == SKY_OK) {
        err = sky_trace_bind(&t->trace, t->network, &files.arena, &t->map, e);
        if (err != SKY_OK)
            sky_fail_prefix(e, "%s", path);
    }
    free(text);
    return err;
}

/* The file's entry, read when it is asked for first. */
static sky_err look_up(const char *what, const char *spec, const char *workdir,
                       const sky_network *bound_to, const entry **out, sky_error *e)
{
    char path[4096];
    const char *folder = workdir && spec[0] != '/' ? workdir : "";
    const int len = snprintf(path, sizeof path, "%s%s%s", folder, folder[0] ? "/" : "", spec);
    if (len < 0 || (size_t)len >= sizeof path)
        return sky_fail(e, SKY_ELIMIT, "%s: the path has more than %zu bytes", what,
                        sizeof path - 1);
    entry **slot = slot_of(path, bound_to);
    if (!*slot) {
        if (files.n == SKY_JOB_NETFILES_MAX)
            return sky_fail(e, SKY_ELIMIT, "%s: '%s': one process reads at most %d of these files",
                            what, spec, SKY_JOB_NETFILES_MAX);
        sky_error why = {0};
        entry *n = sky_new(&files.arena, entry, 1);
        if (!n || !(n->path = sky_arena_strdup(&files.arena, path)))
            return sky_fail(e, SKY_ENOMEM, "%s: %s", what, sky_strerror(SKY_ENOMEM));
        n->bound_to = bound_to;
        n->err = bound_to ? read_trace(n->path, n, &why) : read_network(n->path, n, &why);
        n->text = n->err == SKY_OK ? "" : sky_arena_strdup(&files.arena, why.text);
        if (n->err == SKY_ENOMEM || !n->text) /* may be otherwise next time */
            return sky_fail(e, SKY_ENOMEM, "%s: '%s': %s", what, spec, sky_strerror(SKY_ENOMEM));
        *slot = n;
        files.n++;
    }
    if ((*slot)->err != SKY_OK)
        return sky_fail(e, (*slot)->err, "%s: %s", what, (*slot)->text);
    *out = *slot;
    return SKY_OK;
}

/* --- what jobs call --- */

static sky_err unknown(const char *name, sky_error *e)
{
    const char *const *names = sky_network_names();
    sky_buf list = {0};
    size_t n = 0;
    for (; names[n]; n++)
        sky_buf_printf(&list, "%s%s", n ? ", " : "", names[n]);
    const char *meant = sky_nearest(name, names, n);
    sky_fail(e, SKY_EINVAL,
             "network: there is no '%.100s'%s%s%s; allowed are %s, or a file that ends in .onnx or "
             ".csv",
             name, meant ? " (did you mean '" : "", meant ? meant : "", meant ? "'?)" : "",
             sky_buf_str(&list));
    sky_buf_free(&list);
    return SKY_EINVAL;
}

static bool is_file(const char *spec)
{
    return ends_in(spec, ".onnx") || ends_in(spec, ".csv") || sizes_of(spec);
}

sky_err sky_job_network_check(const char *spec, const sky_network **out, sky_error *e)
{
    assert(spec);
    const sky_network *found = NULL;
    if (!is_file(spec)) {
        found = sky_network_find(spec);
        if (!found)
            return unknown(spec, e);
    }
    if (out)
        *out = found;
    return SKY_OK;
}

sky_err sky_job_network(const char *spec, const char *workdir, const sky_network **out,
                        sky_error *e)
{
    assert(spec && out);
    if (!is_file(spec))
        return sky_job_network_check(spec, out, e);
    const entry *found = NULL;
    const sky_err err = look_up("network", spec, workdir, NULL, &found, e);
    if (err == SKY_OK)
        *out = &found->network;
    return err;
}

sky_err sky_job_trace(const char *path, const char *workdir, const sky_network *net,
                      const sky_job_bound_trace **out, sky_error *e)
{
    assert(path && net && out);
    const entry *found = NULL;
    const sky_err err = look_up("trace", path, workdir, net, &found, e);
    if (err == SKY_OK)
        *out = &found->trace;
    return err;
}

sky_err sky_job_inputs(const char *network, const char *trace, const char *workdir,
                       const sky_network **out, sky_error *e)
{
    const sky_job_bound_trace *bound = NULL;
    const sky_err err = sky_job_network(network, workdir, out, e);
    if (err != SKY_OK || !trace || !trace[0])
        return err;
    return sky_job_trace(trace, workdir, *out, &bound, e);
}
