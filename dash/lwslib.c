/* Loads libwebsockets, when a server is opened: it brings OpenSSL with it, and every other command starts at
 * once without. */
#include <dlfcn.h>
#include <string.h>

#include "base/log.h"
#include "dash/http_lws.h"

struct sky__lws sky__lws;

static void on_log(int level, const char *line)
{
    sky_log(level & LLL_ERR ? SKY_LOG_INFO : SKY_LOG_DEBUG, "dash", "%.*s",
            (int)strcspn(line, "\n"), line);
}

sky_err sky__lws_load(sky_error *e)
{
    if (sky__lws.lws_create_context)
        return SKY_OK;
    /* The plug-in for libuv, which the library loads by itself, looks for its symbols here. */
    void *handle = dlopen("libwebsockets.so.17", RTLD_NOW | RTLD_GLOBAL);
    if (!handle)
        return sky_fail(e, SKY_ENOTFOUND,
                        "the dashboard needs libwebsockets (packages libwebsockets17 and "
                        "libwebsockets-evlib-uv): %s",
                        dlerror());
#define X(name)                                                                                    \
    do {                                                                                           \
        void *symbol = dlsym(handle, #name);                                                       \
        if (!symbol)                                                                               \
            return sky_fail(e, SKY_EVERSION, "libwebsockets.so.17 lacks " #name);                  \
        memcpy(&sky__lws.name, &symbol, sizeof symbol);                                            \
    } while (0);
    LWS_FUNCTIONS(X)
#undef X
    sky__lws.lws_set_log_level(LLL_ERR | LLL_WARN, on_log);
    return SKY_OK;
}
