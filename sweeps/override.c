/* --set key=value: changes the tree of a sweep file before anybody looks at it, so that an
 * override is checked exactly as the file is. */
#include <string.h>

#include "sweeps/reader.h"

const char *const sky__file_keys[] = {
    "name",       "description", "tags",  "job",    "job_version", "plugin",      "command",
    "types",      "metrics",     "space", "where",  "derived",     "constraints", "search",
    "objectives", "repeats",     "seed",  "limits", "resources",   "priority",    NULL,
};

static bool is_file_key(const char *key)
{
    for (size_t i = 0; sky__file_keys[i]; i++)
        if (strcmp(sky__file_keys[i], key) == 0)
            return true;
    return false;
}

/* The map of a zip group in space that has the axis, NULL if none does. */
static sky__node *zip_with(const sky__node *space, const char *axis)
{
    sky__node *zip = sky__node_get(space, "zip");
    if (!zip)
        return NULL;
    if (zip->kind == SKY__MAP)
        return sky__node_get(zip, axis) ? zip : NULL;
    for (sky__node *group = zip->first; group; group = group->next)
        if (sky__node_get(group, axis))
            return group;
    return NULL;
}

/* Goes down a dotted path from map, making maps where there are none, and puts value there. */
static sky_err put_at_path(sky__reader *r, sky__node *map, char *path, sky__node *value)
{
    for (char *dot; (dot = strchr(path, '.')) != NULL; path = dot + 1) {
        *dot = '\0';
        sky__node *child = sky__node_get(map, path);
        if (child && child->kind == SKY__LIST)
            return sky__node_fail(value, r->e,
                                  "'%s' is a list in the file; allowed is to set it whole", path);
        if (!child || child->kind != SKY__MAP) {
            child = sky__node_new(r->tree, SKY__MAP, value->file, 1, 1);
            if (!child)
                return sky__no_memory(r->e);
            sky__node_put(map, path, child);
        }
        map = child;
    }
    if (path[0] == '\0')
        return sky__node_fail(value, r->e,
                              "found an empty key; allowed are an axis and a dotted path");
    sky__node_put(map, path, value);
    return SKY_OK;
}

static sky_err put_axis(sky__reader *r, char *key, sky__node *value)
{
    sky__node *space = sky__node_get(r->root, "space");
    if (space && space->kind == SKY__LIST)
        return sky__node_fail(value, r->e,
                              "the space is a list of points, of which '%s' cannot be set "
                              "alone; allowed is to set space whole",
                              key);
    if (!space) {
        space = sky__node_new(r->tree, SKY__MAP, value->file, 1, 1);
        if (!space)
            return sky__no_memory(r->e);
        sky__node_put(r->root, "space", space);
    }
    if (space->kind != SKY__MAP)
        return sky__want_map(space, "space", r->e);
    sky__node *zip = sky__node_get(space, key) ? NULL : zip_with(space, key);
    sky__node_put(zip ? zip : space, key, value);
    return SKY_OK;
}

static sky_err apply_one(sky__reader *r, const char *text)
{
    const char *equals = strchr(text, '=');
    const char *file = sky_arena_printf(r->tree, "--set %.60s", text);
    if (!file)
        return sky__no_memory(r->e);
    if (!equals || equals == text)
        return sky_fail(r->e, SKY_EFORMAT, "%s: found no key and value; allowed is key=value",
                        file);
    char *key = sky_arena_strndup(r->tree, text, (size_t)(equals - text));
    sky__node *value = NULL;
    if (!key)
        return sky__no_memory(r->e);
    sky_err err = sky__yaml_read(&value, equals + 1, strlen(equals + 1), file, r->tree, r->e);
    if (err != SKY_OK)
        return err;
    if (!value)
        return sky_fail(r->e, SKY_EFORMAT, "%s: found no value; allowed is key=value", file);
    char *first = sky_arena_strndup(r->tree, key, strcspn(key, "."));
    if (!first)
        return sky__no_memory(r->e);
    if (strcmp(key, "zip") == 0 || strcmp(key, "csv") == 0)
        return sky_fail(r->e, SKY_EFORMAT, "%s: '%s' is no axis; allowed is space.%s=...", file,
                        key, key);
    /* The keys of the file win over axes of the same name, which are reached as space.NAME. */
    if (is_file_key(first)) {
        if (strncmp(key, "space.", 6) == 0 && !strchr(key + 6, '.'))
            return put_axis(r, key + 6, value);
        return put_at_path(r, r->root, key, value);
    }
    if (strchr(key, '.'))
        return sky_fail(r->e, SKY_EFORMAT, "%s: unknown key '%.60s'%s", file, first,
                        sky__suggest(first, sky__file_keys, 20).text);
    return put_axis(r, key, value);
}

sky_err sky__override_apply(sky__reader *r, const char *const *set)
{
    sky_err err = SKY_OK;
    for (size_t i = 0; err == SKY_OK && set && set[i]; i++)
        err = apply_one(r, set[i]);
    return err;
}
