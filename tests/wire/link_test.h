/* Helps for the tests of sockets: a folder, keys, a loop that runs until something holds.
 *
 * A plain main and no Criterion: under ThreadSanitizer Criterion aborts at random. */
#ifndef SKY_TESTS_WIRE_LINK_TEST_H
#define SKY_TESTS_WIRE_LINK_TEST_H

#include <stdio.h>
#include <stdlib.h>

#include "wire/link.h"

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, __LINE__, __func__, #cond);       \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { TEXT_MAX = 256 };

/* What a hub or a link of a test saw. */
typedef struct seen {
    uv_loop_t *loop;
    sky_hub *hub;
    sky_link *link;
    bool echo;
    uint64_t messages, bytes, idles, out_of_order;
    uint64_t next; /* number expected in the next message of 8 bytes */
    sky_peer peer;
    sky_role role;
    int states;
    bool connected;
    char reason[TEXT_MAX];
} seen;

/* One test's world. */
typedef struct world {
    uv_loop_t loop;
    char folder[TEXT_MAX];
    char ipc[TEXT_MAX];
    sky_keyring server, client;
    seen hub, link;
} world;

void world_open(world *w);
void world_close(world *w);                     /* closes hub and link too */
void world_hub(world *w, const char *endpoint); /* keys if it is tcp */
void world_link(world *w, const char *endpoint, const sky_keyring *keys);
/* Runs the loop until the number is at least so large; false after the time. */
bool world_until(world *w, const uint64_t *number, uint64_t at_least, int timeout_ms);
void world_run(world *w, int ms);
void remove_folder(const char *folder);

#endif
