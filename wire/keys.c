/* The key folder: what is made, by whom, and who is let in. */
#include "wire/keys.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "wire/keyfile.h"

enum { PATH_BYTES = 4000, AUTHORIZED_MAX = 4096 };

static sky_err join(char out[PATH_BYTES], const char *dir, const char *name, sky_error *e)
{
    int n = snprintf(out, PATH_BYTES, "%s/%s", dir, name);
    if (n < 0 || n >= PATH_BYTES)
        return sky_fail(e, SKY_ELIMIT, "%s: the path is too long", dir);
    return SKY_OK;
}

sky_err sky_keys_folder(const char *override, char *buf, size_t len, sky_error *e)
{
    const char *given = override && override[0] ? override : getenv("SKYLINE_KEYS");
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int n;
    if (given && given[0])
        n = snprintf(buf, len, "%s", given);
    else if (config && config[0] == '/') /* the XDG specification: relative paths are ignored */
        n = snprintf(buf, len, "%s/skyline/keys", config);
    else if (home && home[0])
        n = snprintf(buf, len, "%s/.config/skyline/keys", home);
    else
        return sky_fail(e, SKY_ENOTFOUND, "no folder for keys: SKYLINE_KEYS and HOME are not set");
    if (n < 0 || (size_t)n >= len)
        return sky_fail(e, SKY_ELIMIT, "the path of the key folder is too long");
    return SKY_OK;
}

/* mkdir -p; what is made is private. */
static sky_err make_folder(const char *dir, sky_error *e)
{
    char path[PATH_BYTES];
    int n = snprintf(path, sizeof path, "%s", dir);
    if (n < 0 || n >= PATH_BYTES)
        return sky_fail(e, SKY_ELIMIT, "%s: the path is too long", dir);
    for (char *at = path + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = 0;
        mkdir(path, 0700); /* an error shows at the end */
        *at = '/';
    }
    if (mkdir(path, 0700) && errno != EEXIST)
        return sky_fail_errno(e, errno, "%s", path);
    return SKY_OK;
}

/* Whoever may write into the folder could put in a key of his own. */
static sky_err check_folder(const char *dir, sky_error *e)
{
    struct stat s;
    if (stat(dir, &s))
        return sky_fail_errno(e, errno, "%s", dir);
    if (!S_ISDIR(s.st_mode))
        return sky_fail(e, SKY_EINVAL, "%s: not a folder", dir);
    if ((s.st_uid != geteuid() && s.st_uid != 0) || (s.st_mode & 022))
        return sky_fail(e, SKY_EPERM, "%s: others may write into it (chmod go-w)", dir);
    return SKY_OK;
}

static bool exists(const char *dir, const char *name)
{
    char path[PATH_BYTES];
    return join(path, dir, name, NULL) == SKY_OK && access(path, F_OK) == 0;
}

/* Reads a pair, or makes one; if another process makes one meanwhile, takes that. */
static sky_err load_pair(sky__keyfile *out, const char *dir, const char *name, bool make,
                         sky_error *e)
{
    char path[PATH_BYTES];
    sky_error attempt = {0};
    sky_err err = join(path, dir, name, e);
    if (err)
        return err;
    err = sky__keyfile_read(out, path, true, &attempt);
    if (err == SKY_ENOTFOUND && make) {
        sky__keyfile fresh = {0};
        if (zmq_curve_keypair(fresh.public_key, fresh.secret_key))
            return sky_fail(e, SKY_EVERSION, "libzmq was built without CURVE");
        err = sky__keyfile_make(path, &fresh, &attempt);
        sky__keyfile_wipe(&fresh);
        if (!err || err == SKY_EEXISTS)
            err = sky__keyfile_read(out, path, true, &attempt);
    }
    return err ? sky_fail(e, err, "%s", attempt.text) : SKY_OK;
}

/* Writes the public half as a file of its own, unless it is there; then it must be the same. */
static sky_err publish(const sky__keyfile *pair, const char *dir, const char *name, sky_role roles,
                       sky_error *e)
{
    char path[PATH_BYTES];
    sky__keyfile public = {.roles = roles}, found;
    memcpy(public.public_key, pair->public_key, SKY_KEY_TEXT);
    sky_err err = join(path, dir, name, e);
    if (err)
        return err;
    sky_error attempt = {0};
    err = sky__keyfile_make(path, &public, &attempt);
    if (err == SKY_EEXISTS) {
        err = sky__keyfile_read(&found, path, false, &attempt);
        if (!err && strcmp(found.public_key, public.public_key) != 0)
            err = sky_fail(&attempt, SKY_ECONFLICT,
                           "%s: not the public half of the key beside it; delete the wrong one",
                           path);
    }
    return err ? sky_fail(e, err, "%s", attempt.text) : SKY_OK;
}

/* The folder authorized/ appears with the own key in it, or not at all: a key that its owner took out
 * again must not come back. */
static sky_err make_authorized(const char *dir, const sky__keyfile *client, sky_error *e)
{
    char temporary[PATH_BYTES], final[PATH_BYTES], file[PATH_BYTES];
    sky_err err = join(final, dir, "authorized", e);
    if (!err)
        err = join(temporary, dir, "authorized.XXXXXX", e);
    if (err || access(final, F_OK) == 0)
        return err;
    if (!mkdtemp(temporary))
        return sky_fail_errno(e, errno, "%s", temporary);
    err = publish(client, temporary, "client.pub", SKY_ROLE_ALL, e);
    if (!err && rename(temporary, final) && errno != EEXIST && errno != ENOTEMPTY)
        err = sky_fail_errno(e, errno, "%s", final);
    if (join(file, temporary, "client.pub", NULL) == SKY_OK) { /* there only if the rename failed */
        unlink(file);
        rmdir(temporary);
    }
    return err;
}

/* A coordinator that shares the home of its workers makes what they need, and the other way round. */
static sky_err make_all(const char *dir, bool as_server, sky_error *e)
{
    sky__keyfile server = {0}, client = {0};
    bool elsewhere = !exists(dir, "coordinator.key") && exists(dir, "coordinator.pub");
    if (elsewhere && as_server)
        return sky_fail(
            e, SKY_ENOTFOUND,
            "%s holds coordinator.pub but not coordinator.key: it is for the workers of a "
            "coordinator elsewhere; give another folder",
            dir);
    sky_err err = load_pair(&client, dir, "client.key", true, e);
    if (!err)
        err = publish(&client, dir, "client.pub", SKY_ROLE_NONE, e);
    if (!err && !elsewhere)
        err = load_pair(&server, dir, "coordinator.key", true, e);
    if (!err && !elsewhere)
        err = publish(&server, dir, "coordinator.pub", SKY_ROLE_NONE, e);
    if (!err && !elsewhere)
        err = make_authorized(dir, &client, e);
    sky__keyfile_wipe(&server);
    sky__keyfile_wipe(&client);
    return err;
}

sky_err sky_keys_new(const char *dir, sky_error *e)
{
    assert(dir);
    static const char *const names[] = {"coordinator.key", "coordinator.pub", "client.key",
                                        "client.pub", "authorized"};
    sky_err err = make_folder(dir, e);
    if (!err)
        err = check_folder(dir, e);
    for (size_t i = 0; i < sizeof names / sizeof *names && !err; i++)
        if (exists(dir, names[i]))
            err = sky_fail(e, SKY_EEXISTS, "%s already holds keys (%s)", dir, names[i]);
    return err ? err : make_all(dir, true, e);
}

static bool is_file_name(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return name[0] && name[0] != '.' && name[strspn(name, letters)] == 0;
}

sky_err sky_keys_authorize(const char *dir, const sky_authorized *who, sky_error *e)
{
    assert(dir && who);
    char folder[PATH_BYTES], path[PATH_BYTES], name[sizeof who->name + 4];
    sky__keyfile key = {.roles = who->roles};
    if (!is_file_name(who->name))
        return sky_fail(e, SKY_EINVAL, "'%s' cannot name a key: letters, digits, . _ -", who->name);
    snprintf(name, sizeof name, "%s.pub", who->name);
    memcpy(key.public_key, who->public_key, SKY_KEY_TEXT);
    sky_err err = check_folder(dir, e);
    if (!err)
        err = join(folder, dir, "authorized", e);
    if (!err && mkdir(folder, 0700) && errno != EEXIST)
        err = sky_fail_errno(e, errno, "%s", folder);
    if (!err)
        err = join(path, folder, name, e);
    return err ? err : sky__keyfile_make(path, &key, e);
}

static sky_err read_authorized(sky_authorized *out, const char *dir, const char *name, sky_error *e)
{
    char path[PATH_BYTES];
    size_t len = strlen(name) - strlen(".pub");
    sky__keyfile k;
    if (len == 0 || len >= sizeof out->name)
        return sky_fail(e, SKY_EFORMAT, "%s/%s: a name of 1 to %zu bytes is needed", dir, name,
                        sizeof out->name - 1);
    sky_err err = join(path, dir, name, e);
    if (!err)
        err = sky__keyfile_read(&k, path, false, e);
    if (err)
        return err;
    memcpy(out->name, name, len);
    memcpy(out->public_key, k.public_key, SKY_KEY_TEXT);
    /* A public key says nothing of roles when it is copied here as its owner sent it. */
    out->roles = k.roles ? k.roles : (sky_role)(SKY_ROLE_WORKER | SKY_ROLE_READ);
    return SKY_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const sky_authorized *)a)->name, ((const sky_authorized *)b)->name);
}

static bool is_public_file(const char *name)
{
    const char *dot = strrchr(name, '.');
    return name[0] != '.' && dot && strcmp(dot, ".pub") == 0;
}

static sky_err load_authorized(sky_keyring *k, const char *dir, sky_error *e)
{
    char folder[PATH_BYTES];
    sky_err err = join(folder, dir, "authorized", e);
    if (err || access(folder, F_OK))
        return err; /* no folder: nobody is let in */
    err = check_folder(folder, e);
    if (err)
        return err;
    DIR *d = opendir(folder);
    if (!d)
        return sky_fail_errno(e, errno, "%s", folder);
    size_t cap = 0;
    for (struct dirent *entry; !err && (entry = readdir(d));) {
        if (!is_public_file(entry->d_name))
            continue;
        if (k->n_authorized == cap) {
            cap = cap ? 2 * cap : 16;
            void *grown = realloc(k->authorized, cap * sizeof *k->authorized);
            if (!grown || cap > AUTHORIZED_MAX) {
                err = sky_fail(e, grown ? SKY_ELIMIT : SKY_ENOMEM, "%s: too many keys", folder);
                k->authorized = grown ? grown : k->authorized;
                break;
            }
            k->authorized = grown;
        }
        sky_authorized *a = &k->authorized[k->n_authorized];
        *a = (sky_authorized){0};
        err = read_authorized(a, folder, entry->d_name, e);
        if (!err)
            k->n_authorized++;
    }
    closedir(d);
    if (!err && k->n_authorized)
        qsort(k->authorized, k->n_authorized, sizeof *k->authorized, by_name);
    return err;
}

static sky_err load_server(sky_keyring *k, const char *dir, sky_error *e)
{
    sky__keyfile pair = {0};
    sky_err err = load_pair(&pair, dir, "coordinator.key", false, e);
    if (err)
        return err;
    memcpy(k->server_public, pair.public_key, SKY_KEY_TEXT);
    memcpy(k->server_secret, pair.secret_key, SKY_KEY_TEXT);
    sky__keyfile_wipe(&pair);
    return load_authorized(k, dir, e);
}

static sky_err load_client(sky_keyring *k, const char *dir, sky_error *e)
{
    sky__keyfile server = {0}, own = {0};
    char path[PATH_BYTES];
    sky_err err = join(path, dir, "coordinator.pub", e);
    if (!err)
        err = sky__keyfile_read(&server, path, false, e);
    if (err == SKY_ENOTFOUND)
        sky_fail_prefix(e,
                        "no public key of the coordinator (copy it from the coordinator's folder)");
    if (!err)
        err = load_pair(&own, dir, "client.key", false, e);
    if (!err) {
        memcpy(k->server_public, server.public_key, SKY_KEY_TEXT);
        memcpy(k->own_public, own.public_key, SKY_KEY_TEXT);
        memcpy(k->own_secret, own.secret_key, SKY_KEY_TEXT);
    }
    sky__keyfile_wipe(&own);
    return err;
}

sky_err sky_keys_load(sky_keyring *out, const char *dir, bool as_server, bool make, sky_error *e)
{
    assert(out && dir);
    sky_keyring k = {0};
    sky_err err = make ? make_folder(dir, e) : SKY_OK;
    if (!err)
        err = check_folder(dir, e);
    if (!err && make)
        err = make_all(dir, as_server, e);
    if (!err)
        err = as_server ? load_server(&k, dir, e) : load_client(&k, dir, e);
    if (err) {
        sky_keys_free(&k);
        return err;
    }
    *out = k;
    explicit_bzero(&k, sizeof k);
    return SKY_OK;
}

void sky_keys_free(sky_keyring *k)
{
    if (!k)
        return;
    free(k->authorized);
    explicit_bzero(k, sizeof *k);
}
