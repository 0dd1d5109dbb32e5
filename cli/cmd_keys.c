/* `skyline keys`: CurveZMQ keys. wire/keys.h says which file is what. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/term.h"
#include "wire/keys.h"

enum { FOLDER_MAX = 4096 };

static int keys_new(const cli_args *a)
{
    char folder[FOLDER_MAX];
    sky_error e = {0};
    if (sky_keys_folder(a->n_operands > 1 ? a->operands[1] : cli_text(a, "keys"), folder,
                        sizeof folder, &e) != SKY_OK ||
        sky_keys_new(folder, &e) != SKY_OK)
        return cli_fail(a, &e);
    printf(
        "Keys are in %s.\n"
        "A worker or client on another machine needs a copy of coordinator.pub in its key folder; "
        "it makes\nkeys of its own, which are let in here with:\n"
        "  skyline keys authorize NAME PUBLIC_KEY\n",
        folder);
    return CLI_OK;
}

static void role_names(sky_role roles, sky_buf *b)
{
    static const struct {
        sky_role role;
        const char *name;
    } names[] = {{SKY_ROLE_WORKER, "worker"}, {SKY_ROLE_READ, "read"}, {SKY_ROLE_ADMIN, "admin"}};
    bool first = true;
    for (size_t i = 0; i < 3; i++) {
        if (!(roles & names[i].role))
            continue;
        sky_buf_printf(b, "%s%s", first ? "" : ",", names[i].name);
        first = false;
    }
}

static void show_json(const char *folder, const sky_keyring *server, const sky_keyring *client,
                      sky_buf *out)
{
    sky_buf_puts(out, "{\"folder\":");
    sky_buf_json_string(out, folder);
    sky_buf_puts(out, ",\"coordinator\":");
    sky_buf_json_string(out,
                        client->server_public[0] ? client->server_public : server->server_public);
    sky_buf_puts(out, ",\"client\":");
    sky_buf_json_string(out, client->own_public);
    sky_buf_puts(out, ",\"authorized\":[");
    for (size_t i = 0; i < server->n_authorized; i++) {
        sky_buf roles = {0};
        role_names(server->authorized[i].roles, &roles);
        sky_buf_puts(out, i ? ",{\"name\":" : "{\"name\":");
        sky_buf_json_string(out, server->authorized[i].name);
        sky_buf_puts(out, ",\"key\":");
        sky_buf_json_string(out, server->authorized[i].public_key);
        sky_buf_puts(out, ",\"roles\":");
        sky_buf_json_string(out, sky_buf_str(&roles));
        sky_buf_putc(out, '}');
        sky_buf_free(&roles);
    }
    sky_buf_puts(out, "]}\n");
}

static int keys_show(const cli_args *a)
{
    char folder[FOLDER_MAX];
    sky_error e = {0}, none = {0};
    sky_keyring server = {0}, client = {0};
    if (sky_keys_folder(cli_text(a, "keys"), folder, sizeof folder, &e) != SKY_OK)
        return cli_fail(a, &e);
    const bool is_client = sky_keys_load(&client, folder, false, true, &e) == SKY_OK;
    const bool is_server = sky_keys_load(&server, folder, true, false, &none) == SKY_OK;
    if (!is_client && !is_server)
        return cli_fail(a, &e);
    sky_buf out = {0};
    if (cli_flag(a, "json")) {
        show_json(folder, &server, &client, &out);
    } else {
        sky_buf_printf(&out, "folder       %s\ncoordinator  %s\n", folder,
                       is_client ? client.server_public : server.server_public);
        if (is_client)
            sky_buf_printf(&out, "client       %s\n", client.own_public);
        for (size_t i = 0; i < server.n_authorized; i++) {
            sky_buf_printf(&out, "%s %s  ", i ? "           " : "authorized ",
                           server.authorized[i].public_key);
            role_names(server.authorized[i].roles, &out);
            sky_buf_printf(&out, "  %s\n", server.authorized[i].name);
        }
    }
    sky_keys_free(&server);
    sky_keys_free(&client);
    return cli_print(&out);
}

static bool is_public_key(const char *text)
{
    static const char z85[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              ".-:+=^!/*?&<>()[]{}@%$#";
    return strlen(text) == SKY_KEY_TEXT - 1 && strspn(text, z85) == SKY_KEY_TEXT - 1;
}

/* Accepts the key itself or the file that holds it. */
static bool read_public_key(const cli_args *a, const char *word, char key[SKY_KEY_TEXT])
{
    if (is_public_key(word)) {
        memcpy(key, word, SKY_KEY_TEXT);
        return true;
    }
    char *text = NULL;
    size_t len;
    if (sky_read_file(word, 4096, &text, &len, NULL) == SKY_OK) {
        bool found = false, secret = false;
        for (char *s = strtok(text, " \t\r\n"); s; s = strtok(NULL, " \t\r\n")) {
            secret |= strcmp(s, "secret") == 0;
            if (!found && is_public_key(s)) {
                memcpy(key, s, SKY_KEY_TEXT);
                found = true;
            }
        }
        free(text);
        if (secret)
            return cli_usage(a, "'%s' holds a secret key, which stays where it is: give the .pub",
                             word),
                   false;
        if (found)
            return true;
    }
    cli_usage(a, "'%s' is neither a public key (40 characters) nor a file that holds one", word);
    return false;
}

static bool parse_roles(const cli_args *a, const char *list, sky_role *out)
{
    char copy[64];
    unsigned roles = 0;
    snprintf(copy, sizeof copy, "%s", list);
    for (char *word = strtok(copy, ","); word; word = strtok(NULL, ",")) {
        if (strcmp(word, "worker") == 0)
            roles |= SKY_ROLE_WORKER;
        else if (strcmp(word, "read") == 0)
            roles |= SKY_ROLE_READ;
        else if (strcmp(word, "admin") == 0)
            roles |= SKY_ROLE_ADMIN;
        else if (strcmp(word, "all") == 0)
            roles |= SKY_ROLE_ALL;
        else
            return cli_usage(a, "--roles: '%s' is none of worker, read, admin, all", word), false;
    }
    *out = (sky_role)roles;
    return true;
}

static int keys_authorize(const cli_args *a)
{
    char folder[FOLDER_MAX];
    sky_error e = {0};
    sky_authorized who = {0};
    if (a->n_operands != 3)
        return cli_usage(a, "expected authorize NAME KEY");
    if (strlen(a->operands[1]) >= sizeof who.name)
        return cli_usage(a, "the name '%s' is too long", a->operands[1]);
    snprintf(who.name, sizeof who.name, "%s", a->operands[1]);
    if (!read_public_key(a, a->operands[2], who.public_key) ||
        !parse_roles(a, cli_text(a, "roles"), &who.roles))
        return CLI_USAGE;
    if (sky_keys_folder(cli_text(a, "keys"), folder, sizeof folder, &e) != SKY_OK ||
        sky_keys_authorize(folder, &who, &e) != SKY_OK)
        return cli_fail(a, &e);
    printf("%s may now connect as %s. A running coordinator reads the list when it starts.\n",
           a->operands[1], cli_text(a, "roles"));
    return CLI_OK;
}

static int run_keys(const cli_args *a)
{
    static const char *const actions[] = {"new", "show", "authorize"};
    const char *action = a->operands[0];
    if (strcmp(action, "new") == 0)
        return a->n_operands > 2 ? cli_usage(a, "unexpected '%s'", a->operands[2]) : keys_new(a);
    if (strcmp(action, "show") == 0)
        return a->n_operands > 1 ? cli_usage(a, "unexpected '%s'", a->operands[1]) : keys_show(a);
    if (strcmp(action, "authorize") == 0)
        return keys_authorize(a);
    return cli_usage(a, "'%s' is none of new, show, authorize%s", action,
                     cli_did_you_mean(action, actions, 3));
}

static const cli_opt opts[] = {
    CLI_OPT_KEYS,
    {.name = "roles",
     .type = CLI_TEXT,
     .arg = "LIST",
     .def = "worker,read",
     .doc = "Of authorize: what the key may do: worker (take trials), read (ask for the status), "
            "admin "
            "(submit, pause, cancel, ...), or all."},
    CLI_OPT_JSON,
    {0},
};

const cli_command cli_keys_command = {
    .name = "keys",
    .summary = "make, show and let in CurveZMQ keys",
    .operands = "new [DIR] | show | authorize NAME KEY",
    .n_min = 1,
    .n_max = 3,
    .about =
        "Nothing is needed where coordinator, workers and commands share a home: keys are made on "
        "first use. For other machines, 'keys new' makes a folder of keys there, 'keys show' "
        "prints "
        "the public ones, and 'keys authorize' on the coordinator's side lets one in (KEY is the "
        "public key or a file that holds it). docs/operations.md tells the whole story.",
    .opts = opts,
    .examples = "skyline keys show # the public keys and who may connect\n"
                "skyline keys authorize node7 node7.pub --roles worker # let a worker's key in\n",
    .run = run_keys,
    .group = CLI_GROUP_CLUSTER,
};
