/* `skyline dash`: the dashboard of a store, without a coordinator. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "cli/commands.h"
#include "cli/dashlive.h"

typedef struct viewer {
    uv_loop_t loop;
    uv_signal_t interrupt, terminate;
    uv_process_t browser;
    sky_dash *dash;
} viewer;

static void on_signal(uv_signal_t *handle, int number)
{
    viewer *v = handle->data;
    (void)number;
    sky_dash_close(v->dash);
    v->dash = NULL;
    uv_close((uv_handle_t *)&v->interrupt, NULL);
    uv_close((uv_handle_t *)&v->terminate, NULL);
}

static void on_browser_end(uv_process_t *process, int64_t status, int number)
{
    (void)status;
    (void)number;
    uv_close((uv_handle_t *)process, NULL);
}

/* Without the token, which other users of this machine could read in a command line. */
static void open_browser(const cli_args *a, viewer *v)
{
    char *argv[] = {(char[]){"xdg-open"}, NULL, NULL};
    char url[128];
    snprintf(url, sizeof url, "%s", sky_dash_url(v->dash));
    argv[1] = url;
    const uv_process_options_t o = {
        .file = argv[0], .args = argv, .exit_cb = on_browser_end, .flags = UV_PROCESS_DETACHED};
    if (uv_spawn(&v->loop, &v->browser, &o) != 0) {
        uv_close((uv_handle_t *)&v->browser, NULL);
        cli_failf(a, "no browser can be started (xdg-open): open %s yourself", url);
    }
    uv_unref((uv_handle_t *)&v->browser);
}

static sky_err open_dash(const cli_args *a, viewer *v, sky_error *e)
{
    char token[256];
    const sky_dash_source source = {.again = cli_dash_again};
    sky_err err = cli_dash_token(a, token, sizeof token, e);
    const sky_dash_options o = {.loop = &v->loop,
                                .db = cli_text(a, "db"),
                                .listen = cli_text(a, "listen"),
                                .token = token[0] ? token : NULL,
                                .source = &source,
                                .preload_rows_max = UINT64_MAX};
    return err == SKY_OK ? sky_dash_open(&v->dash, &o, e) : err;
}

static int run_dash(const cli_args *a)
{
    static viewer v;
    sky_error e = {0};
    v = (viewer){0};
    uv_loop_init(&v.loop);
    const sky_err err = open_dash(a, &v, &e);
    if (err == SKY_OK) {
        printf("%s shows %s\n", sky_dash_url(v.dash), cli_text(a, "db"));
        fflush(stdout);
        uv_signal_init(&v.loop, &v.interrupt);
        uv_signal_init(&v.loop, &v.terminate);
        v.interrupt.data = v.terminate.data = &v;
        uv_signal_start(&v.interrupt, on_signal, SIGINT);
        uv_signal_start(&v.terminate, on_signal, SIGTERM);
        if (cli_flag(a, "open"))
            open_browser(a, &v);
    }
    uv_run(&v.loop, UV_RUN_DEFAULT);
    uv_loop_close(&v.loop);
    return err == SKY_OK ? CLI_OK : cli_fail(a, &e);
}

static const cli_opt opts[] = {
    CLI_OPT_DB,
    {.name = "listen",
     .type = CLI_TEXT,
     .arg = "ADDRESS",
     .def = SKY_DASH_LISTEN,
     .doc = "ADDRESS:PORT (port 0: any free one; the line on standard output says which). An "
            "address that other machines reach needs --token-file."},
    CLI_OPT_TOKEN_FILE,
    {.name = "open", .doc = "Show it in the browser (xdg-open)."},
    {0},
};

const cli_command cli_dash_command = {
    .name = "dash",
    .summary = "show a store in the browser",
    .operands = "",
    .about =
        "Serves a page with every sweep of the store: the Pareto front while it grows, parallel "
        "coordinates, tables, failures and machines. It only reads, and follows what another "
        "process writes. Ctrl-C ends it.\n\n"
        "It is reached from this machine only, unless --listen says otherwise; then every request "
        "needs the token of --token-file: open ADDRESS/?token=TOKEN once, and the browser keeps "
        "it. There is no TLS: beyond a network that you trust, put a proxy in front or forward "
        "the port with ssh. 'run' and 'coordinator' have --dash, whose page can also pause, "
        "resume and cancel.",
    .opts = opts,
    .examples = "skyline dash --db results.db --open # on this machine\n"
                "skyline dash --listen 0.0.0.0:7744 --token-file ~/.skyline-token # for others\n",
    .run = run_dash,
    .group = CLI_GROUP_LOOK,
};
