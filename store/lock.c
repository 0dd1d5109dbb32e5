/* One writer a file: an flock() on a file beside the database.
 *
 * Not on the database itself: closing any descriptor of it would drop the POSIX locks that SQLite holds
 * in this process. The kernel releases an flock when its process dies, however it dies, so that a file
 * that is left behind means nothing; its text is for the message only. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/text.h"
#include "store/store_internal.h"

/* From linux/magic.h and the file systems' own sources; not all are in the header of Debian 12. */
static const struct {
    unsigned long type;
    const char *name;
} networks[] = {
    {0x6969, "NFS"},        {0xff534d42, "CIFS"},  {0xfe534d42, "SMB2"},   {0x517b, "SMB"},
    {0x0bd00bd0, "Lustre"}, {0x47504653, "GPFS"},  {0x19830326, "BeeGFS"}, {0x65735546, "FUSE"},
    {0x00c36400, "Ceph"},   {0x5346414f, "AFS"},   {0x6b414653, "kAFS"},   {0x73757245, "Coda"},
    {0x01021997, "9P"},     {0x7461636f, "OCFS2"}, {0x01161970, "GFS2"},   {0x20030528, "PVFS2"},
    {0xaad7aaea, "PanFS"},  {0x013111a8, "IBRIX"},
};

const char *sky__network_name(unsigned long type)
{
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
        if (networks[i].type == (type & 0xffffffff))
            return networks[i].name;
    }
    return NULL;
}

sky_err sky__lock_check_local(const char *db_path, sky_error *e)
{
    char *copy = sky_strdup(db_path);
    if (!copy)
        return sky_fail(e, SKY_ENOMEM, "%s: out of memory", db_path);
    struct statfs fs;
    int rc = statfs(db_path, &fs); /* of the file, or of the folder where it will be */
    if (rc != 0)
        rc = statfs(dirname(copy), &fs);
    int saved = errno;
    free(copy);
    if (rc != 0)
        return sky_fail_errno(e, saved, "%s: cannot look at its folder", db_path);
    const char *name = sky__network_name((unsigned long)fs.f_type);
    if (!name)
        return SKY_OK;
    return sky_fail(
        e, SKY_EINVAL,
        "%s is on a network file system (%s), where locks and shared memory cannot be "
        "trusted: put the file on a local disk, or give --exclusive if no other process "
        "on any machine opens it",
        db_path, name);
}

enum { HOLDER_MAX = 256 };

/* "process PID on HOST", as the holder wrote it; "" if it could not. */
static void read_holder(int fd, char who[HOLDER_MAX])
{
    ssize_t n = pread(fd, who, HOLDER_MAX - 1, 0);
    who[n > 0 ? n : 0] = 0;
    who[strcspn(who, "\n")] = 0;
}

/* Did the holder die on this machine? A child that it had just begun to start then holds the lock until its
 * exec(), a moment later. */
static bool holder_died(int fd)
{
    char who[HOLDER_MAX], host[128] = "", mine[128] = "?";
    long pid = 0;
    read_holder(fd, who);
    gethostname(mine, sizeof mine - 1);
    return sscanf(who, "process %ld on %127s", &pid, host) == 2 && pid > 0 &&
           strcmp(host, mine) == 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

/* By the text alone: to try the lock would make a writer that starts meanwhile fail. */
bool sky_store_has_writer(const char *path)
{
    sky_buf name = {0};
    sky_buf_printf(&name, "%s-lock", path);
    char *lock_path = sky_buf_detach(&name);
    const int fd = lock_path ? open(lock_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    free(lock_path);
    if (fd < 0)
        return false;
    const bool died = holder_died(fd);
    close(fd);
    return !died;
}

static sky_err held(const char *db_path, int fd, sky_error *e)
{
    char who[HOLDER_MAX];
    read_holder(fd, who);
    return sky_fail(e, SKY_EBUSY, "%s is in use by another writer%s%s", db_path, who[0] ? ": " : "",
                    who);
}

enum { LOCK_CHANGED = -1 }; /* somebody removed the file meanwhile: try again */

/* 0: locked. EWOULDBLOCK: held by another; *out is open, to read whose it is. Otherwise errno. */
static int lock_once(const char *path, bool exclusive, int *out)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0)
        return errno;
    struct stat mine, now;
    int err = 0;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        err = errno;
        if (err == EWOULDBLOCK) {
            *out = fd;
            return err;
        }
        if (exclusive && (err == ENOLCK || err == EOPNOTSUPP || err == EINVAL))
            err = 0; /* this file system has none; SQLite's exclusive mode must do */
    }
    /* The holder before us removes the file when it ends: is ours still the one with the name? */
    if (err == 0 && (fstat(fd, &mine) != 0 || stat(path, &now) != 0 || mine.st_ino != now.st_ino ||
                     mine.st_dev != now.st_dev))
        err = LOCK_CHANGED;
    if (err != 0) {
        close(fd);
        return err;
    }
    *out = fd;
    return 0;
}

static int take(const char *path, bool exclusive, int *out)
{
    enum { TRIES = 200, PAUSE_US = 10000 };
    int rc = LOCK_CHANGED;
    for (int tries = 0; tries < TRIES; tries++) {
        rc = lock_once(path, exclusive, out);
        if (rc == EWOULDBLOCK && holder_died(*out) && tries + 1 < TRIES) {
            close(*out);
            usleep(PAUSE_US);
        } else if (rc != LOCK_CHANGED) {
            break;
        }
    }
    return rc;
}

sky_err sky__lock_take(const char *db_path, bool exclusive, char **lock_path, int *fd, sky_error *e)
{
    sky_buf name = {0};
    sky_buf_printf(&name, "%s-lock", db_path);
    char *path = sky_buf_detach(&name);
    if (!path)
        return sky_fail(e, SKY_ENOMEM, "%s: out of memory", db_path);
    int got = -1, rc = take(path, exclusive, &got);
    sky_err err = SKY_OK;
    if (rc == EWOULDBLOCK) {
        err = held(db_path, got, e);
        close(got);
    } else if (rc == LOCK_CHANGED) {
        err = sky_fail(e, SKY_EBUSY, "%s: other writers come and go too fast", path);
    } else if (rc != 0) {
        err = sky_fail_errno(e, rc, "%s: cannot lock", path);
    }
    if (err != SKY_OK) {
        free(path);
        return err;
    }
    char host[128] = "?", who[HOLDER_MAX];
    gethostname(host, sizeof host - 1);
    int len = snprintf(who, sizeof who, "process %ld on %s\n", (long)getpid(), host);
    if (ftruncate(got, 0) != 0 || pwrite(got, who, (size_t)len, 0) != len)
        who[0] = 0; /* a full disk: the lock holds without its text */
    *lock_path = path;
    *fd = got;
    return SKY_OK;
}

void sky__lock_release(char *lock_path, int fd)
{
    if (fd >= 0) {
        unlink(
            lock_path); /* while it is held: whoever opened it before sees that the name is gone */
        close(fd);
    }
    free(lock_path);
}
