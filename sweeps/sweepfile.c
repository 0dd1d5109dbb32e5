/* The sweep file from end to end: YAML to a tree, overrides, and each part in its turn. */
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "sweeps/reader.h"

sky_err sky__no_memory(sky_error *e)
{
    return sky_fail(e, SKY_ENOMEM, "out of memory");
}

/* The absolute folder of path: where relative files are looked up. "" for text that has no file. */
static const char *folder_of(sky_arena *arena, const char *path)
{
    char absolute[PATH_MAX];
    if (!path || !path[0] || strcmp(path, "-") == 0)
        return "";
    const char *slash = strrchr(path, '/');
    char *folder = !slash          ? sky_arena_strdup(arena, ".")
                   : slash == path ? sky_arena_strdup(arena, "/")
                                   : sky_arena_strndup(arena, path, (size_t)(slash - path));
    return folder && realpath(folder, absolute) ? sky_arena_strdup(arena, absolute) : "";
}

static sky_err read_parts(sky__reader *r)
{
    sky_err err = sky__override_apply(r, r->options->set);
    if (err == SKY_OK)
        err = sky__want_keys(r->root, "the sweep", sky__file_keys, r->e);
    if (err == SKY_OK)
        err = sky__job_read(r);
    const sky__node *space = sky__node_get(r->root, "space");
    r->at.space = space ? space : r->root;
    if (err == SKY_OK)
        err = sky__space_read(r, space);
    if (err == SKY_OK)
        err = sky__settings_read(r);
    if (err == SKY_OK)
        err = sky__names_check(r);
    for (const sky__node *n = r->types ? r->types->first : NULL; err == SKY_OK && n; n = n->next) {
        size_t i = 0;
        while (i < r->p->job.n_params && strcmp(r->p->job.params[i].name, n->key) != 0)
            i++;
        if (i == r->p->job.n_params)
            err = sky__key_fail(n, r->e,
                                "types: '%.60s' is no parameter of the space; allowed are "
                                "those that are",
                                n->key);
    }
    return err == SKY_OK ? sky__plan_finish(r->p, &r->at, r->e) : err;
}

sky_err sky_plan_parse(sky_plan **out, const char *text, size_t len, const char *path,
                       const sky_plan_options *options, sky_error *e)
{
    assert(out && text && options);
    sky_arena tree = {0};
    sky__reader r = {
        .p = sky__plan_new(),
        .options = options,
        .file = path && path[0] ? path : "sweep",
        .tree = &tree,
        .e = e,
    };
    sky_err err = r.p ? SKY_OK : sky__no_memory(e);
    if (err == SKY_OK && len > SKY_SWEEP_FILE_BYTES_MAX)
        err = sky_fail(e, SKY_ELIMIT, "%s: the file is longer than allowed (64 MiB)", r.file);
    if (err == SKY_OK && !(r.p->workdir = folder_of(&r.p->arena, path)))
        err = sky__no_memory(e);
    if (err == SKY_OK)
        err = sky__yaml_read(&r.root, text, len, r.file, &tree, e);
    if (err == SKY_OK && (!r.root || r.root->kind != SKY__MAP))
        err = sky_fail(e, SKY_EFORMAT,
                       "%s:1:1: found %s; allowed is a map of keys such as name, job and "
                       "space",
                       r.file, r.root ? sky__node_found(r.root).text : "an empty file");
    if (err == SKY_OK)
        err = read_parts(&r);
    if (err == SKY_OK) {
        *out = r.p;
        r.p = NULL;
    }
    sky_plan_free(r.p);
    sky_arena_free(&tree);
    return err;
}

sky_err sky_plan_read(sky_plan **out, const char *path, const sky_plan_options *options,
                      sky_error *e)
{
    char *text;
    size_t len;
    sky_err err = sky_read_file(path, SKY_SWEEP_FILE_BYTES_MAX, &text, &len, e);
    if (err != SKY_OK)
        return err;
    err = sky_plan_parse(out, text, len, path, options, e);
    free(text);
    return err;
}
