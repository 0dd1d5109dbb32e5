#include <criterion/criterion.h>
#include <fcntl.h>
#include <grp.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit.h"
#include "store/store_internal.h"

static sky_error e;
#define OK(call) cr_assert_eq((call), SKY_OK, "%s", e.text)

static sky_err open_it(const char *path, bool writer, sky_store **s)
{
    const sky_store_options o = {.path = path, .writer = writer, .busy_timeout_ms = 200};
    return sky_store_open(s, &o, &e);
}

static void write_file(const char *path, const char *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");
    cr_assert(f && fwrite(bytes, 1, len, f) == len && fclose(f) == 0);
}

static void raw(const char *path, const char *sql)
{
    sqlite3 *db;
    char *message = NULL;
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, &message), SQLITE_OK, "%s", message);
    sqlite3_close(db);
}

Test(open, makes_a_file_and_opens_it_again)
{
    const char *path = kit_path("new.db");
    char uuid[33];
    sky_store *s;
    OK(open_it(path, true, &s));
    strcpy(uuid, sky_store_uuid(s));
    cr_assert_eq(strlen(uuid), 32);
    cr_assert_str_eq(sky_store_path(s), path);
    cr_assert_eq(kit_int(s, "PRAGMA application_id"), 0x534b594c);
    cr_assert_eq(kit_int(s, "PRAGMA user_version"), 1);
    cr_assert_eq(kit_int(s, "PRAGMA synchronous"), 2);
    uint32_t a = 0, b = 0;
    OK(sky_store_next_epoch(s, &a, &e));
    OK(sky_store_next_epoch(s, &b, &e));
    cr_assert(a == 1 && b == 2 && !sky_store_dirty(s));
    sky_store_close(s);
    OK(open_it(path, false, &s));
    cr_assert_str_eq(sky_store_uuid(s), uuid);
    cr_assert_eq(sky_store_next_epoch(s, &a, &e), SKY_EPERM);
    sky_store_close(s);
    OK(open_it(path, true, &s));
    OK(sky_store_next_epoch(s, &a, &e));
    cr_assert_eq(a, 3);
    sky_store_close(s);
    cr_assert_neq(access(kit_path("new.db-lock"), F_OK), 0, "the lock file is tidied away");
}

Test(open, second_writer_is_told_who_holds_it)
{
    const char *path = kit_path("busy.db");
    char link[256], pid[32];
    sky_store *s, *second;
    OK(open_it(path, true, &s));
    cr_assert_eq(open_it(path, true, &second), SKY_EBUSY);
    snprintf(pid, sizeof pid, "process %ld on ", (long)getpid());
    cr_assert(strstr(e.text, pid) && strstr(e.text, path), "%s", e.text);
    snprintf(link, sizeof link, "%s-link", path);
    cr_assert_eq(symlink(path, link), 0);
    cr_assert_eq(open_it(link, true, &second), SKY_EBUSY, "a link is the same file");
    OK(open_it(link, false, &second));
    cr_assert(sky_store_has_writer(sky_store_path(second)));
    sky_store_close(second);
    sky_store_close(s);
    cr_assert_not(sky_store_has_writer(path));
    OK(open_it(path, true, &s));
    sky_store_close(s);
}

Test(open, the_lock_of_a_killed_process_is_free)
{
    const char *path = kit_path("killed.db");
    int ready[2];
    cr_assert_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        sky_store *s;
        char ok = open_it(path, true, &s) == SKY_OK;
        if (write(ready[1], &ok, 1) == 1)
            pause();
        _exit(1);
    }
    char ok = 0;
    sky_store *s;
    cr_assert(read(ready[0], &ok, 1) == 1 && ok);
    cr_assert_eq(open_it(path, true, &s), SKY_EBUSY);
    cr_assert(sky_store_has_writer(path));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    cr_assert_not(sky_store_has_writer(path), "its lock file is still there");
    OK(open_it(path, true, &s));
    sky_store_close(s);
}

/* What a kill in the middle of starting a process leaves: a child, not yet past its exec(), with the lock. */
Test(open, the_lock_of_a_dying_child_is_waited_for)
{
    const char *path = kit_path("a.db");
    const sky_store_options o = {.path = path, .writer = true};
    sky_store *s = NULL;
    pid_t holder = fork();
    if (holder == 0) {
        if (sky_store_open(&s, &o, &e) != SKY_OK)
            _exit(1);
        if (fork() == 0)
            usleep(300000);
        _exit(0);
    }
    int status = 0;
    waitpid(holder, &status, 0);
    cr_assert_eq(status, 0);
    OK(sky_store_open(&s, &o, &e));
    sky_store_close(s);
}

Test(open, refuses_what_is_not_ours)
{
    sky_store *s = NULL;
    struct stat before, after;
    const char *text = kit_path("notes.txt"), *other = kit_path("other.db");
    char notes[3000];
    memset(notes, 'x', sizeof notes);
    write_file(text, notes, sizeof notes);
    cr_assert_eq(open_it(text, true, &s), SKY_EFORMAT, "%s", e.text);
    cr_assert_eq(open_it(text, false, &s), SKY_EFORMAT);
    write_file(text, "short", 5);
    cr_assert_eq(open_it(text, true, &s), SKY_EFORMAT, "%s", e.text);
    raw(other, "PRAGMA application_id = 77; CREATE TABLE t (a)");
    cr_assert_eq(stat(other, &before), 0);
    cr_assert_eq(open_it(other, true, &s), SKY_EFORMAT);
    cr_assert(strstr(e.text, "another program"), "%s", e.text);
    cr_assert_eq(stat(other, &after), 0);
    cr_assert(before.st_size == after.st_size && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec &&
                  before.st_mtim.tv_sec == after.st_mtim.tv_sec,
              "untouched");
    raw(kit_path("plain.db"), "CREATE TABLE t (a)");
    cr_assert_eq(open_it(kit_path("plain.db"), true, &s), SKY_EFORMAT);
    cr_assert_eq(open_it(kit_folder(), true, &s), SKY_EINVAL);
    cr_assert_eq(open_it(kit_path("absent.db"), false, &s), SKY_ENOTFOUND, "%s", e.text);
    cr_assert_eq(open_it(kit_path("no/such/folder.db"), true, &s), SKY_ENOTFOUND, "%s", e.text);
    cr_assert_eq(open_it("/dev/null", true, &s), SKY_EINVAL);
    cr_assert_null(s);
}

Test(open, newer_version_is_refused)
{
    sky_store *s = NULL;
    const char *path = kit_path("future.db");
    OK(open_it(path, true, &s));
    sky_store_close(s);
    raw(path, "PRAGMA user_version = 2");
    cr_assert_eq(open_it(path, true, &s), SKY_EVERSION);
    cr_assert(strstr(e.text, "newer Skyline") && strstr(e.text, "version 2"), "%s", e.text);
    cr_assert_eq(open_it(path, false, &s), SKY_EVERSION);
}

Test(open, an_empty_file_becomes_a_store_for_a_writer_only)
{
    sky_store *s;
    const char *path = kit_path("empty.db");
    write_file(path, "", 0);
    cr_assert_eq(open_it(path, false, &s), SKY_EFORMAT);
    cr_assert(strstr(e.text, "empty"), "%s", e.text);
    OK(open_it(path, true, &s));
    sky_store_close(s);
    OK(open_it(path, false, &s));
    sky_store_close(s);
}

Test(open, damage_in_the_middle_is_an_error_not_a_crash)
{
    const char *path = kit_path("damaged.db");
    sky_store *s;
    OK(open_it(path, true, &s));
    const sky_sweep_spec spec = kit_spec("noop", &kit_noop, 10000);
    int64_t id;
    OK(sky_store_sweep_create(s, &spec, &id, &e));
    OK(kit_record(s, id, 0, 5000, &e));
    OK(sky_store_commit(s, NULL, &e));
    sky_store_close(s);
    for (int page = 0; page < 30; page++) {
        const char *copy = kit_path("copy.db");
        char command[600], junk[4096];
        snprintf(command, sizeof command, "cp %s %s", path, copy);
        cr_assert_eq(system(command), 0);
        memset(junk, 0xa5, sizeof junk);
        int fd = open(copy, O_RDWR);
        cr_assert_eq(pwrite(fd, junk, sizeof junk, page * 4096L), (ssize_t)sizeof junk);
        close(fd);
        sky_sweep_info i;
        sky_ranges done = {0}, failed = {0};
        if (open_it(copy, true, &s) != SKY_OK)
            continue;
        if (sky_store_sweep_find(s, "noop", &i, &e) == SKY_OK)
            sky_sweep_info_free(&i);
        sky_store_settled(s, 1, &done, &failed, &e);
        kit_record(s, 1, 4000, 6000, &e);
        sky_store_commit(s, NULL, &e);
        sky_ranges_free(&done);
        sky_ranges_free(&failed);
        sky_store_close(s);
        kit_remove(copy);
    }
}

Test(open, network_file_systems_are_known)
{
    cr_assert_str_eq(sky__network_name(0x6969), "NFS");
    cr_assert_str_eq(sky__network_name(0xff534d42), "CIFS");
    cr_assert_str_eq(sky__network_name((unsigned long)(int)0xff534d42), "CIFS", "sign-extended");
    cr_assert_str_eq(sky__network_name(0x0bd00bd0), "Lustre");
    cr_assert_str_eq(sky__network_name(0x65735546), "FUSE");
    cr_assert_null(sky__network_name(0xef53));     /* ext4 */
    cr_assert_null(sky__network_name(0x01021994)); /* tmpfs */
    OK(sky__lock_check_local(kit_path("x.db"), &e));
}

Test(open, exclusive_mode_works_alone)
{
    sky_store *s, *reader;
    const sky_store_options o = {
        .path = kit_path("alone.db"), .writer = true, .exclusive = true, .normal_sync = true};
    OK(sky_store_open(&s, &o, &e));
    cr_assert_eq(kit_int(s, "PRAGMA synchronous"), 1);
    const sky_sweep_spec spec = kit_spec("noop", &kit_noop, 10);
    int64_t id;
    OK(sky_store_sweep_create(s, &spec, &id, &e));
    OK(kit_record(s, id, 0, 10, &e));
    OK(sky_store_commit(s, NULL, &e));
    cr_assert_eq(open_it(o.path, false, &reader), SKY_EBUSY, "%s", e.text);
    sky_store_close(s);
    OK(open_it(o.path, false, &reader));
    cr_assert_eq(kit_int(reader, "SELECT count(*) FROM noop"), 10);
    sky_store_close(reader);
}

/* As nobody, since root may write everywhere. */
static int read_only_folder(const char *folder, const char *path)
{
    sky_store *s;
    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0))
        return 77;
    (void)folder;
    if (open_it(path, true, &s) != SKY_EPERM || !strstr(e.text, path))
        return 1;
    if (open_it(path, false, &s) != SKY_OK) /* no log beside it: it may be read as it lies */
        return 2;
    if (kit_int(s, "SELECT count(*) FROM noop") != 10)
        return 3;
    sky_store_close(s);
    char other[300];
    snprintf(other, sizeof other, "%s/new.db", folder);
    return open_it(other, true, &s) == SKY_EPERM ? 0 : 4;
}

Test(open, read_only_folder)
{
    char folder[200], path[256];
    sky_store *s;
    snprintf(folder, sizeof folder, "%s/ro", kit_folder());
    snprintf(path, sizeof path, "%s/a.db", folder);
    chmod(kit_folder(), 0755);
    cr_assert_eq(mkdir(folder, 0755), 0);
    OK(open_it(path, true, &s));
    const sky_sweep_spec spec = kit_spec("noop", &kit_noop, 10);
    int64_t id;
    OK(sky_store_sweep_create(s, &spec, &id, &e));
    OK(kit_record(s, id, 0, 10, &e));
    OK(sky_store_commit(s, NULL, &e));
    sky_store_close(s);
    chmod(path, 0444);
    chmod(folder, 0555);
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(read_only_folder(folder, path));
    waitpid(child, &status, 0);
    chmod(folder, 0755);
    cr_assert(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        cr_skip_test("cannot become nobody");
    cr_assert_eq(WEXITSTATUS(status), 0, "step %d", WEXITSTATUS(status));
}

Test(open, reader_leaves_no_log_behind)
{
    const char *path = kit_path("tidy.db");
    sky_store *s;
    OK(open_it(path, true, &s));
    sky_store_close(s);
    OK(open_it(path, false, &s));
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM sky_sweeps"), 0);
    sky_store_close(s);
    char log[300];
    snprintf(log, sizeof log, "%s-wal", path);
    cr_assert_neq(access(log, F_OK), 0);
}
