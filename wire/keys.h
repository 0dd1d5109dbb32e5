/* CurveZMQ keys and who may do what with them.
 *
 * A key folder ($SKYLINE_KEYS, else $XDG_CONFIG_HOME/skyline/keys, else ~/.config/skyline/keys) holds
 *   coordinator.key  secret and public key of the coordinator (0600)
 *   coordinator.pub  its public key, for workers and clients on other machines
 *   client.key       secret and public key that this user's workers and commands use (0600)
 *   client.pub       its public key, to be copied to a coordinator elsewhere
 *   authorized/NAME.pub  public keys that the coordinator lets in, each with its roles
 * Coordinator and worker that share a home find each other without a word from the user: what is missing
 * is made on first use. */
#ifndef SKY_WIRE_KEYS_H
#define SKY_WIRE_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

typedef enum sky_role {
    SKY_ROLE_NONE = 0,
    SKY_ROLE_WORKER = 1, /* may take leases */
    SKY_ROLE_READ = 2,   /* may ask for the status */
    SKY_ROLE_ADMIN = 4,  /* may submit, pause, cancel, ... */
    SKY_ROLE_ALL = 7,
} sky_role;

enum { SKY_KEY_TEXT = 41 }; /* Z85 text of a key with its NUL */

typedef struct sky_authorized {
    char name[64];
    char public_key[SKY_KEY_TEXT];
    sky_role roles;
} sky_authorized;

typedef struct sky_keyring {
    char server_public[SKY_KEY_TEXT];
    char server_secret[SKY_KEY_TEXT]; /* "" at a worker or client */
    char own_public[SKY_KEY_TEXT];
    char own_secret[SKY_KEY_TEXT];
    sky_authorized *authorized; /* the coordinator's list */
    size_t n_authorized;
} sky_keyring;

/* The folder in use, into buf. */
sky_err sky_keys_folder(const char *override, char *buf, size_t len, sky_error *e);
/* Makes a folder with fresh keys (`skyline keys new DIR`). SKY_EEXISTS: it already holds keys. */
sky_err sky_keys_new(const char *dir, sky_error *e);
/* Loads, for a coordinator (as_server) or a worker or client. With make, missing keys are made (atomic
 * against a second process that does the same). Refuses secret files that others may read (SKY_EPERM). */
sky_err sky_keys_load(sky_keyring *out, const char *dir, bool as_server, bool make, sky_error *e);
/* Lets a public key in: writes authorized/NAME.pub (name: letters, digits, . _ -). SKY_EEXISTS: the name
 * is there already. A coordinator reads the list when it starts. */
sky_err sky_keys_authorize(const char *dir, const sky_authorized *who, sky_error *e);
void sky_keys_free(sky_keyring *k); /* wipes the secrets */

#endif
