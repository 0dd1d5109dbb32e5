/* Asking a coordinator: one request, one reply. */
#ifndef SKY_CLI_CLIENT_H
#define SKY_CLI_CLIENT_H

#include "base/arena.h"
#include "cli/cli.h"
#include "wire/msg.h"

/* Sends the request to --connect with the keys of --keys. The reply lives in the arena. An error
 * of the coordinator is this call's error. */
sky_err cli_ask(const cli_args *a, const sky_msg_request *request, sky_arena *arena,
                sky_msg_reply *reply, sky_error *e);

#endif
