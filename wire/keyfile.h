/* One key file: reading with checks, and writing so that it appears whole or not at all. Only keys.c and
 * its test include this. docs/wire.md describes the format. */
#ifndef SKY_WIRE_KEYFILE_H
#define SKY_WIRE_KEYFILE_H

#include "wire/keys.h"

typedef struct sky__keyfile {
    char public_key[SKY_KEY_TEXT];
    char secret_key[SKY_KEY_TEXT]; /* "": a public file */
    sky_role roles;                /* NONE: the file says nothing */
} sky__keyfile;

/* SKY_ENOTFOUND, SKY_EPERM (secret: others may read it), SKY_EFORMAT. secret: it must hold one. */
sky_err sky__keyfile_read(sky__keyfile *out, const char *path, bool secret, sky_error *e);
/* SKY_EEXISTS: somebody was faster; nothing was changed. The mode is 0600 with a secret, else 0644. */
sky_err sky__keyfile_make(const char *path, const sky__keyfile *k, sky_error *e);
void sky__keyfile_wipe(sky__keyfile *k);

#endif
