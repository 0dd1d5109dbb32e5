#include "wire/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

enum { FILE_BYTES_MAX = 4096 };
static const char heading[] = "skyline-key 1";

static const struct {
    const char *name;
    sky_role role;
} role_names[] = {{"worker", SKY_ROLE_WORKER},
                  {"read", SKY_ROLE_READ},
                  {"admin", SKY_ROLE_ADMIN},
                  {"all", SKY_ROLE_ALL}};

void sky__keyfile_wipe(sky__keyfile *k)
{
    explicit_bzero(k, sizeof *k);
}

/* Z85: 40 characters of 85, 5 for 4 bytes. libzmq decodes unknown characters to anything, so look. */
static bool is_key(const char *text)
{
    static const char z85[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              ".-:+=^!/*?&<>()[]{}@%$#";
    uint8_t raw[32];
    bool ok = strlen(text) == SKY_KEY_TEXT - 1 && strspn(text, z85) == SKY_KEY_TEXT - 1 &&
              zmq_z85_decode(raw, text);
    explicit_bzero(raw, sizeof raw);
    return ok;
}

static sky_err parse_roles(sky_role *out, char *list, const char *path, sky_error *e)
{
    unsigned roles = 0;
    char *rest = NULL;
    for (char *word = strtok_r(list, ", \t", &rest); word; word = strtok_r(NULL, ", \t", &rest)) {
        sky_role role = SKY_ROLE_NONE;
        for (size_t i = 0; i < sizeof role_names / sizeof *role_names; i++)
            if (strcmp(word, role_names[i].name) == 0)
                role = role_names[i].role;
        if (!role)
            return sky_fail(e, SKY_EFORMAT,
                            "%s: unknown role '%s'; known: worker, read, admin, all", path, word);
        roles |= role;
    }
    if (!roles)
        return sky_fail(e, SKY_EFORMAT,
                        "%s: 'roles' needs at least one; to shut a key out, delete it", path);
    *out = (sky_role)roles;
    return SKY_OK;
}

static sky_err parse_line(sky__keyfile *k, char *line, const char *path, sky_error *e)
{
    char *value = line + strcspn(line, " \t");
    if (*value)
        *value++ = 0;
    value += strspn(value, " \t");
    char *key = strcmp(line, "public") == 0   ? k->public_key
                : strcmp(line, "secret") == 0 ? k->secret_key
                                              : NULL;
    if (key && !is_key(value)) /* the value may be most of a secret: not shown */
        return sky_fail(e, SKY_EFORMAT, "%s: '%s' is not followed by a key", path, line);
    if (key)
        memcpy(key, value, SKY_KEY_TEXT);
    else if (strcmp(line, "roles") == 0)
        return parse_roles(&k->roles, value, path, e);
    else
        return sky_fail(e, SKY_EFORMAT, "%s: expected public, secret or roles", path);
    return SKY_OK;
}

static sky_err parse(sky__keyfile *k, char *text, const char *path, sky_error *e)
{
    bool headed = false;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
        if (line[0] == '#')
            continue;
        if (!headed && strcmp(line, heading) != 0)
            return sky_fail(e, SKY_EFORMAT, "%s: not a key file: '%s' is missing", path, heading);
        if (headed) {
            sky_err err = parse_line(k, line, path, e);
            if (err)
                return err;
        }
        headed = true;
    }
    if (!k->public_key[0])
        return sky_fail(e, SKY_EFORMAT, "%s: no public key in it", path);
    return SKY_OK;
}

static sky_err check_pair(const sky__keyfile *k, bool secret, const char *path, sky_error *e)
{
    if (secret && !k->secret_key[0])
        return sky_fail(e, SKY_EFORMAT, "%s: no secret key in it", path);
    if (!secret && k->secret_key[0])
        return sky_fail(e, SKY_EPERM,
                        "%s: a secret key in a public file; it must be taken as known to others",
                        path);
    if (!secret)
        return SKY_OK;
    char derived[SKY_KEY_TEXT] = "";
    if (zmq_curve_public(derived, k->secret_key) || strcmp(derived, k->public_key) != 0)
        return sky_fail(e, SKY_EFORMAT, "%s: the public key is not the secret key's", path);
    return SKY_OK;
}

static sky_err check_file(int fd, bool secret, const char *path, sky_error *e)
{
    struct stat s;
    if (fstat(fd, &s))
        return sky_fail_errno(e, errno, "%s", path);
    if (!S_ISREG(s.st_mode) || s.st_size > FILE_BYTES_MAX)
        return sky_fail(e, SKY_EFORMAT, "%s: not a key file", path);
    if (s.st_uid != geteuid() && s.st_uid != 0)
        return sky_fail(e, SKY_EPERM, "%s: belongs to another user", path);
    if (s.st_mode & (secret ? 077 : 022))
        return sky_fail(e, SKY_EPERM, "%s: others may %s it (chmod %s)", path,
                        secret ? "read" : "change", secret ? "600" : "go-w");
    return SKY_OK;
}

sky_err sky__keyfile_read(sky__keyfile *out, const char *path, bool secret, sky_error *e)
{
    char text[FILE_BYTES_MAX + 1];
    sky__keyfile k = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block us */
    if (fd < 0)
        return sky_fail_errno(e, errno, "%s", path);
    sky_err err = check_file(fd, secret, path, e);
    if (err)
        goto done;
    ssize_t len = read(fd, text, FILE_BYTES_MAX);
    if (len < 0) {
        err = sky_fail_errno(e, errno, "%s", path);
        goto done;
    }
    text[len] = 0;
    err = parse(&k, text, path, e);
    if (!err)
        err = check_pair(&k, secret, path, e);
    if (!err)
        *out = k;
done:
    explicit_bzero(text, sizeof text);
    sky__keyfile_wipe(&k);
    close(fd);
    return err;
}

static int format(char *text, size_t len, const sky__keyfile *k)
{
    char roles[64] = "";
    for (size_t i = 0; i < 3 && k->roles; i++)
        if (k->roles & role_names[i].role)
            snprintf(roles + strlen(roles), sizeof roles - strlen(roles), "%s%s",
                     roles[0] ? "," : "roles ", role_names[i].name);
    return snprintf(text, len, "# %s\n%s\npublic %s\n%s%s%s%s%s",
                    k->secret_key[0] ? "A secret key of Skyline: keep it to yourself."
                                     : "A public key of Skyline.",
                    heading, k->public_key, k->secret_key[0] ? "secret " : "", k->secret_key,
                    k->secret_key[0] ? "\n" : "", roles, roles[0] ? "\n" : "");
}

static bool write_all(int fd, const char *text, size_t len)
{
    while (len) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        text += n;
        len -= (size_t)n;
    }
    return fsync(fd) == 0;
}

/* A link is made only if the name is free. File systems without links have a rename that does the same. */
static bool publish(const char *temporary, const char *path)
{
    if (link(temporary, path) == 0)
        return true;
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
        return false;
    return renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) == 0;
}

sky_err sky__keyfile_make(const char *path, const sky__keyfile *k, sky_error *e)
{
    sky_err err = SKY_OK;
    char temporary[4096], text[FILE_BYTES_MAX];
    if (!is_key(k->public_key)) /* it may come from a command line */
        return sky_fail(e, SKY_EINVAL, "'%s' is no public key: 40 characters of Z85",
                        k->public_key);
    int n = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    if (n < 0 || (size_t)n >= sizeof temporary)
        return sky_fail(e, SKY_ELIMIT, "%s: the path is too long", path);
    int fd = mkostemp(temporary, O_CLOEXEC); /* 0600 */
    if (fd < 0)
        return sky_fail_errno(e, errno, "%s", path);
    int len = format(text, sizeof text, k);
    if (!write_all(fd, text, (size_t)len) || (!k->secret_key[0] && fchmod(fd, 0644)))
        err = sky_fail_errno(e, errno, "%s", path);
    else if (!publish(temporary, path))
        err = errno == EEXIST ? SKY_EEXISTS : sky_fail_errno(e, errno, "%s", path);
    explicit_bzero(text, sizeof text);
    close(fd);
    unlink(temporary);
    return err == SKY_EEXISTS ? sky_fail(e, err, "%s: it exists", path) : err;
}
