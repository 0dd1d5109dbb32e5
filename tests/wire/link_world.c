#include <ftw.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "link_test.h"

static void count(seen *s, const void *bytes, size_t len)
{
    s->messages++;
    s->bytes += len;
    uint64_t number;
    if (len != sizeof number)
        return;
    memcpy(&number, bytes, sizeof number);
    s->out_of_order += number != s->next;
    s->next = number + 1;
}

static void on_hub_message(void *arg, const sky_peer *peer, sky_role role, const void *bytes,
                           size_t len)
{
    seen *s = arg;
    count(s, bytes, len);
    s->peer = *peer;
    s->role = role;
    if (s->echo)
        CHECK(sky_hub_send(s->hub, peer, bytes, len) == SKY_OK);
}

static void on_link_message(void *arg, const void *bytes, size_t len)
{
    count(arg, bytes, len);
}

static void on_idle(void *arg)
{
    ((seen *)arg)->idles++;
}

static void on_state(void *arg, bool connected, const char *reason)
{
    seen *s = arg;
    s->states++;
    s->connected = connected;
    snprintf(s->reason, sizeof s->reason, "%s", reason);
}

void world_open(world *w)
{
    memset(w, 0, sizeof *w);
    CHECK(uv_loop_init(&w->loop) == 0);
    const char *tmp = getenv("TMPDIR");
    snprintf(w->folder, sizeof w->folder, "%s/sky-link-XXXXXX", tmp ? tmp : "/tmp");
    CHECK(mkdtemp(w->folder));
    CHECK((size_t)snprintf(w->ipc, sizeof w->ipc, "ipc://%s/hub", w->folder) < sizeof w->ipc);
    sky_error error = {0};
    CHECK(sky_keys_load(&w->server, w->folder, true, true, &error) == SKY_OK);
    CHECK(sky_keys_load(&w->client, w->folder, false, false, &error) == SKY_OK);
}

void world_hub(world *w, const char *endpoint)
{
    sky_error error = {0};
    w->hub.loop = &w->loop;
    const sky_hub_options o = {.loop = &w->loop,
                               .endpoint = endpoint,
                               .keys = &w->server,
                               .on_message = on_hub_message,
                               .on_idle = on_idle,
                               .arg = &w->hub};
    if (sky_hub_open(&w->hub.hub, &o, &error)) {
        fprintf(stderr, "%s\n", error.text);
        CHECK(false);
    }
}

void world_link(world *w, const char *endpoint, const sky_keyring *keys)
{
    sky_error error = {0};
    w->link.loop = &w->loop;
    const sky_link_options o = {.loop = &w->loop,
                                .endpoint = endpoint,
                                .keys = keys,
                                .on_message = on_link_message,
                                .on_idle = on_idle,
                                .on_state = on_state,
                                .arg = &w->link};
    if (sky_link_open(&w->link.link, &o, &error)) {
        fprintf(stderr, "%s\n", error.text);
        CHECK(false);
    }
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer; /* only ends the loop's turn */
}

static void on_timer_closed(uv_handle_t *handle)
{
    *(bool *)handle->data = true;
}

bool world_until(world *w, const uint64_t *number, uint64_t at_least, int timeout_ms)
{
    int64_t deadline_ns = sky_clock_ns() + timeout_ms * SKY_NS_PER_MS;
    bool closed = false;
    uv_timer_t tick = {.data = &closed};
    uv_timer_init(&w->loop, &tick);
    uv_timer_start(&tick, on_tick, 1, 1);
    while (*number < at_least && sky_clock_ns() < deadline_ns)
        uv_run(&w->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&tick, on_timer_closed);
    while (!closed)
        uv_run(&w->loop, UV_RUN_NOWAIT);
    return *number >= at_least;
}

void world_run(world *w, int ms)
{
    const uint64_t never = 0;
    world_until(w, &never, 1, ms);
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *ftw)
{
    (void)s;
    (void)type;
    (void)ftw;
    return remove(path);
}

void remove_folder(const char *folder)
{
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void world_close(world *w)
{
    sky_link_close(w->link.link, 0);
    sky_hub_close(w->hub.hub, 0);
    CHECK(uv_run(&w->loop, UV_RUN_DEFAULT) == 0);
    CHECK(uv_loop_close(&w->loop) == 0);
    sky_keys_free(&w->server);
    sky_keys_free(&w->client);
    remove_folder(w->folder);
}
