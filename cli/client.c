#include "cli/client.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "wire/link.h"

enum { KEYS_FOLDER_MAX = 4096 };

static sky_err load_keys(const cli_args *a, sky_keyring *keys, sky_error *e)
{
    char folder[KEYS_FOLDER_MAX];
    const sky_err err = sky_keys_folder(cli_text(a, "keys"), folder, sizeof folder, e);
    return err == SKY_OK ? sky_keys_load(keys, folder, false, true, e) : err;
}

sky_err cli_ask(const cli_args *a, const sky_msg_request *request, sky_arena *arena,
                sky_msg_reply *reply, sky_error *e)
{
    const char *endpoint = cli_text(a, "connect");
    const int64_t asked_ms = cli_duration_ns(a, "timeout") / SKY_NS_PER_MS;
    const int64_t timeout_ms = asked_ms < 1 ? 1 : asked_ms > INT_MAX ? INT_MAX : asked_ms;
    const bool tcp = strncmp(endpoint, "tcp://", 6) == 0;
    sky_msg m = {.type = SKY_MSG_REQUEST, .request = *request};
    sky_keyring keys = {0};
    sky_buf bytes = {0};
    void *answer = NULL;
    size_t answer_len = 0;
    sky_msg got;
    m.request.id = (uint64_t)sky_clock_ns();
    m.request.sweep = request->sweep ? request->sweep : "";
    m.request.text = request->text ? request->text : "";
    sky_err err = tcp ? load_keys(a, &keys, e) : SKY_OK;
    if (err != SKY_OK)
        goto done;
    err = sky_msg_encode(&m, &bytes);
    if (err != SKY_OK) {
        sky_fail(e, err, "the request is too long: %s", sky_strerror(err));
        goto done;
    }
    err = sky_link_ask(endpoint, tcp ? &keys : NULL, bytes.data, bytes.len, (int)timeout_ms,
                       &answer, &answer_len, e);
    if (err == SKY_OK)
        err = sky_msg_decode(&got, answer, answer_len, arena, e);
    if (err != SKY_OK)
        goto done;
    if (got.type != SKY_MSG_REPLY || got.reply.id != m.request.id) {
        err = sky_fail(e, SKY_EFORMAT, "%s does not answer as a coordinator does", endpoint);
        goto done;
    }
    *reply = got.reply;
    if (reply->code != SKY_OK)
        err = sky_fail(e, (sky_err)reply->code, "%s", reply->text);
done:
    sky_buf_free(&bytes);
    sky_keys_free(&keys);
    free(answer);
    return err;
}
