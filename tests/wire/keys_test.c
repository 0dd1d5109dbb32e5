/* The key folder: what is made, with which modes, and what is refused. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "base/text.h"
#include "wire/keyfile.h"
#include "wire/keys.h"

static char dir[128];
static sky_error error;

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *ftw)
{
    (void)s;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/sky-keys-XXXXXX");
    cr_assert(mkdtemp(dir));
    error = (sky_error){0};
}

static void teardown(void)
{
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(keys, .init = setup, .fini = teardown);

static const char *in(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static mode_t mode_of(const char *name)
{
    struct stat s;
    cr_assert_eq(stat(in(name), &s), 0, "%s", name);
    return s.st_mode & 07777;
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(in(name), "w");
    cr_assert(f);
    fputs(text, f);
    fclose(f);
}

static size_t count_files(const char *name)
{
    DIR *d = opendir(in(name));
    cr_assert(d);
    size_t n = 0;
    for (struct dirent *entry; (entry = readdir(d));)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(d);
    return n;
}

Test(keys, new_makes_everything_once)
{
    char sub[512];
    snprintf(sub, sizeof sub, "%s/a/b", dir);
    cr_assert_eq(sky_keys_new(sub, &error), SKY_OK, "%s", error.text);
    cr_assert_eq(mode_of("a"), 0700);
    cr_assert_eq(mode_of("a/b"), 0700);
    cr_assert_eq(mode_of("a/b/coordinator.key"), 0600);
    cr_assert_eq(mode_of("a/b/client.key"), 0600);
    cr_assert_eq(mode_of("a/b/coordinator.pub"), 0644);
    cr_assert_eq(mode_of("a/b/authorized"), 0700);
    cr_assert_eq(count_files("a/b"), 5, "no temporary file is left");
    cr_assert_eq(count_files("a/b/authorized"), 1);
    cr_assert_eq(sky_keys_new(sub, &error), SKY_EEXISTS);
    cr_assert(strstr(error.text, "already holds keys"));
}

Test(keys, both_sides_find_each_other)
{
    sky_keyring client, server;
    cr_assert_eq(sky_keys_load(&client, dir, false, true, &error), SKY_OK, "%s", error.text);
    cr_assert_eq(sky_keys_load(&server, dir, true, true, &error), SKY_OK, "%s", error.text);
    cr_assert_str_eq(client.server_public, server.server_public);
    cr_assert_str_empty(client.server_secret);
    cr_assert_str_not_empty(server.server_secret);
    cr_assert_eq(server.n_authorized, 1);
    cr_assert_str_eq(server.authorized[0].name, "client");
    cr_assert_str_eq(server.authorized[0].public_key, client.own_public);
    cr_assert_eq(server.authorized[0].roles, SKY_ROLE_ALL);
    sky_keys_free(&client);
    sky_keys_free(&server);
    for (size_t i = 0; i < sizeof client; i++)
        cr_assert_eq(((char *)&client)[i], 0);
}

Test(keys, without_make_nothing_appears)
{
    sky_keyring k;
    cr_assert_eq(sky_keys_load(&k, dir, true, false, &error), SKY_ENOTFOUND);
    cr_assert_eq(sky_keys_load(&k, dir, false, false, &error), SKY_ENOTFOUND);
    cr_assert(strstr(error.text, "copy it from the coordinator's folder"), "%s", error.text);
    cr_assert_eq(count_files("."), 0);
    cr_assert_eq(sky_keys_load(&k, in("none"), false, false, &error), SKY_ENOTFOUND);
}

/* A worker elsewhere: it got coordinator.pub, and makes only its own key. */
Test(keys, on_another_machine)
{
    char home[512];
    snprintf(home, sizeof home, "%s/home", dir);
    cr_assert_eq(sky_keys_new(home, &error), SKY_OK, "%s", error.text);
    char *text = NULL;
    size_t len;
    cr_assert_eq(sky_read_file(in("home/coordinator.pub"), 4096, &text, &len, &error), SKY_OK);
    put("coordinator.pub", text);
    free(text);
    sky_keyring k, server;
    cr_assert_eq(sky_keys_load(&k, dir, false, true, &error), SKY_OK, "%s", error.text);
    cr_assert_neq(access(in("coordinator.key"), F_OK), 0);
    cr_assert_neq(access(in("authorized"), F_OK), 0);
    cr_assert_eq(sky_keys_load(&server, dir, true, true, &error), SKY_ENOTFOUND);
    cr_assert(strstr(error.text, "coordinator elsewhere"), "%s", error.text);
    cr_assert_eq(sky_read_file(in("client.pub"), 4096, &text, &len, &error), SKY_OK);
    put("home/authorized/far.pub", text);
    free(text);
    cr_assert_eq(sky_keys_load(&server, home, true, false, &error), SKY_OK, "%s", error.text);
    cr_assert_str_eq(k.server_public, server.server_public);
    cr_assert_eq(server.n_authorized, 2);
    cr_assert_str_eq(server.authorized[1].name, "far");
    cr_assert_str_eq(server.authorized[1].public_key, k.own_public);
    cr_assert_eq(server.authorized[1].roles, SKY_ROLE_WORKER | SKY_ROLE_READ, "no admin unasked");
    sky_keys_free(&k);
    sky_keys_free(&server);
}

Test(keys, a_removed_key_stays_out)
{
    sky_keyring k;
    cr_assert_eq(sky_keys_new(dir, &error), SKY_OK);
    cr_assert_eq(unlink(in("authorized/client.pub")), 0);
    cr_assert_eq(sky_keys_load(&k, dir, true, true, &error), SKY_OK, "%s", error.text);
    cr_assert_eq(k.n_authorized, 0);
    sky_keys_free(&k);
}

Test(keys, many_processes_at_once, .timeout = 60)
{
    enum { ROUNDS = 10, PROCESSES = 8 };
    for (int round = 0; round < ROUNDS; round++) {
        char sub[512];
        snprintf(sub, sizeof sub, "%s/%d", dir, round);
        int gate[2], out[2];
        cr_assert_eq(pipe(gate) | pipe(out), 0);
        for (int i = 0; i < PROCESSES; i++) {
            if (fork() != 0)
                continue;
            char byte;
            close(gate[1]);
            while (read(gate[0], &byte, 1) > 0) { /* all begin when the gate closes */
            }
            sky_keyring k = {0};
            sky_err err = sky_keys_load(&k, sub, i % 2, true, &error);
            char line[128] = "";
            if (err)
                fprintf(stderr, "%s\n", error.text);
            else
                snprintf(line, sizeof line, "%s", k.server_public);
            _exit(write(out[1], line, 64) == 64 ? 0 : 1);
        }
        close(gate[0]);
        close(gate[1]);
        char first[64] = "", line[64];
        for (int i = 0; i < PROCESSES; i++) {
            cr_assert_eq(read(out[0], line, 64), 64);
            cr_assert_str_not_empty(line);
            if (i == 0)
                memcpy(first, line, sizeof first);
            cr_assert_str_eq(line, first);
        }
        close(out[0]);
        close(out[1]);
        while (wait(NULL) > 0) {
        }
        sky_keyring server, client;
        cr_assert_eq(sky_keys_load(&server, sub, true, false, &error), SKY_OK, "%s", error.text);
        cr_assert_eq(sky_keys_load(&client, sub, false, false, &error), SKY_OK, "%s", error.text);
        cr_assert_eq(server.n_authorized, 1);
        cr_assert_str_eq(server.authorized[0].public_key, client.own_public);
        sky_keys_free(&server);
        sky_keys_free(&client);
    }
}

static void refuse(bool as_server, sky_err err, const char *part)
{
    sky_keyring k;
    cr_expect_eq(sky_keys_load(&k, dir, as_server, false, &error), err, "%s", error.text);
    cr_expect(strstr(error.text, part), "'%s' lacks '%s'", error.text, part);
}

Test(keys, readable_secrets_are_refused)
{
    cr_assert_eq(sky_keys_new(dir, &error), SKY_OK);
    static const mode_t bad[] = {0640, 0604, 0620, 0601};
    for (size_t i = 0; i < 4; i++) {
        chmod(in("coordinator.key"), bad[i]);
        refuse(true, SKY_EPERM, "chmod 600");
        chmod(in("client.key"), bad[i]);
        refuse(false, SKY_EPERM, "chmod 600");
    }
    chmod(in("coordinator.key"), 0400);
    chmod(in("client.key"), 0600);
    sky_keyring k;
    cr_assert_eq(sky_keys_load(&k, dir, true, false, &error), SKY_OK, "%s", error.text);
    sky_keys_free(&k);
    chmod(in("authorized/client.pub"), 0664);
    refuse(true, SKY_EPERM, "others may change it");
    chmod(in("authorized/client.pub"), 0644);
    chmod(in("authorized"), 0770);
    refuse(true, SKY_EPERM, "others may write into it");
    chmod(in("authorized"), 0700);
    chmod(dir, 0777);
    refuse(false, SKY_EPERM, "others may write into it");
}

Test(keys, malformed_files_are_refused)
{
    cr_assert_eq(sky_keys_new(dir, &error), SKY_OK);
    static const struct {
        const char *text, *part;
        sky_err err;
    } bad[] = {
        {"", "no public key", SKY_EFORMAT},
        {"hello\n", "not a key file", SKY_EFORMAT},
        {"skyline-key 2\npublic x\n", "not a key file", SKY_EFORMAT},
        {"skyline-key 1\npublic short\n", "not followed by a key", SKY_EFORMAT},
        {"skyline-key 1\npublic 0123456789012345678901234567890123456~89\n",
         "not followed by a key", SKY_EFORMAT},
        {"skyline-key 1\nwhat\n", "expected public", SKY_EFORMAT},
        {"skyline-key 1\nroles king\n", "unknown role 'king'", SKY_EFORMAT},
        {"skyline-key 1\nroles\n", "needs at least one", SKY_EFORMAT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put("authorized/client.pub", bad[i].text);
        refuse(true, bad[i].err, bad[i].part);
    }
    sky__keyfile pair = {0}, other = {0};
    cr_assert_eq(zmq_curve_keypair(pair.public_key, pair.secret_key), 0);
    cr_assert_eq(zmq_curve_keypair(other.public_key, other.secret_key), 0);
    cr_assert_eq(sky__keyfile_make(in("authorized/oops.pub"), &pair, &error), SKY_OK);
    chmod(in("authorized/oops.pub"), 0600);
    unlink(in("authorized/client.pub"));
    refuse(true, SKY_EPERM, "a secret key in a public file");
    memcpy(pair.public_key, other.public_key, SKY_KEY_TEXT);
    unlink(in("client.key"));
    cr_assert_eq(sky__keyfile_make(in("client.key"), &pair, &error), SKY_OK);
    refuse(false, SKY_EFORMAT, "is not the secret key's");
    unlink(in("client.key"));
    cr_assert_eq(mkdir(in("client.key"), 0700), 0);
    refuse(false, SKY_EFORMAT, "not a key file");
}

Test(keys, a_foreign_public_file_is_noticed)
{
    cr_assert_eq(sky_keys_new(dir, &error), SKY_OK);
    unlink(in("coordinator.pub"));
    sky__keyfile other = {0};
    cr_assert_eq(zmq_curve_keypair(other.public_key, other.secret_key), 0);
    memset(other.secret_key, 0, sizeof other.secret_key);
    cr_assert_eq(sky__keyfile_make(in("coordinator.pub"), &other, &error), SKY_OK);
    sky_keyring k;
    cr_assert_eq(sky_keys_load(&k, dir, true, true, &error), SKY_ECONFLICT, "%s", error.text);
}

Test(keys, roles)
{
    cr_assert_eq(sky_keys_new(dir, &error), SKY_OK);
    char text[256];
    sky_keyring k;
    cr_assert_eq(sky_keys_load(&k, dir, false, false, &error), SKY_OK);
    snprintf(text, sizeof text, "# of Ann\nskyline-key 1\npublic %s\nroles read, admin\n",
             k.own_public);
    put("authorized/ann.pub", text);
    put("authorized/README", "ignored");
    put("authorized/.hidden.pub", "ignored");
    sky_keys_free(&k);
    cr_assert_eq(sky_keys_load(&k, dir, true, false, &error), SKY_OK, "%s", error.text);
    cr_assert_eq(k.n_authorized, 2);
    cr_assert_str_eq(k.authorized[0].name, "ann");
    cr_assert_eq(k.authorized[0].roles, SKY_ROLE_READ | SKY_ROLE_ADMIN);
    sky_keys_free(&k);
}

Test(keys, authorizing)
{
    cr_assert_eq(sky_keys_new(dir, &error), SKY_OK);
    sky__keyfile other = {0};
    cr_assert_eq(zmq_curve_keypair(other.public_key, other.secret_key), 0);
    sky_authorized who = {.name = "ann", .roles = SKY_ROLE_ADMIN};
    memcpy(who.public_key, other.public_key, SKY_KEY_TEXT);
    cr_assert_eq(sky_keys_authorize(dir, &who, &error), SKY_OK, "%s", error.text);
    cr_assert_eq(sky_keys_authorize(dir, &who, &error), SKY_EEXISTS);
    sky_keyring k;
    cr_assert_eq(sky_keys_load(&k, dir, true, false, &error), SKY_OK, "%s", error.text);
    cr_assert_eq(k.n_authorized, 2);
    cr_assert_eq(k.authorized[0].roles, SKY_ROLE_ADMIN);
    sky_keys_free(&k);
    static const char *const names[] = {"", "../up", "a/b", ".hidden"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(who.name, sizeof who.name, "%s", names[i]);
        cr_expect_eq(sky_keys_authorize(dir, &who, &error), SKY_EINVAL, "%s", names[i]);
    }
    snprintf(who.name, sizeof who.name, "bob");
    who.public_key[3] = '~';
    cr_assert_eq(sky_keys_authorize(dir, &who, &error), SKY_EINVAL);
    cr_assert(strstr(error.text, "no public key"), "%s", error.text);
}

Test(keys, the_folder)
{
    char buf[128];
    setenv("HOME", "/home/x", 1);
    unsetenv("SKYLINE_KEYS");
    unsetenv("XDG_CONFIG_HOME");
    cr_assert_eq(sky_keys_folder(NULL, buf, sizeof buf, &error), SKY_OK);
    cr_assert_str_eq(buf, "/home/x/.config/skyline/keys");
    setenv("XDG_CONFIG_HOME", "/conf", 1);
    cr_assert_eq(sky_keys_folder("", buf, sizeof buf, &error), SKY_OK);
    cr_assert_str_eq(buf, "/conf/skyline/keys");
    setenv("SKYLINE_KEYS", "/keys", 1);
    cr_assert_eq(sky_keys_folder(NULL, buf, sizeof buf, &error), SKY_OK);
    cr_assert_str_eq(buf, "/keys");
    cr_assert_eq(sky_keys_folder("mine", buf, sizeof buf, &error), SKY_OK);
    cr_assert_str_eq(buf, "mine");
    cr_assert_eq(sky_keys_folder("mine", buf, 4, &error), SKY_ELIMIT);
    unsetenv("SKYLINE_KEYS");
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("HOME");
    cr_assert_eq(sky_keys_folder(NULL, buf, sizeof buf, &error), SKY_ENOTFOUND);
}
