#include "cli/statusview.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/table.h"
#include "cli/term.h"

static uint64_t count_of(const json_t *o, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(o, key));
}

static double number_of(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static uint64_t settled(const json_t *s)
{
    return count_of(s, "recorded") + count_of(s, "holes") + count_of(s, "failed");
}

static double eta_of(const json_t *s)
{
    const json_t *eta = json_object_get(s, "eta_s");
    return json_is_number(eta) ? json_number_value(eta) : -1;
}

bool cli_status_parse(cli_status *out, const char *json, const char *sweep)
{
    json_t *root = json_loads(json, 0, NULL);
    const json_t *sweeps = json_object_get(root, "sweeps");
    bool found = false;
    for (size_t i = 0; i < json_array_size(sweeps); i++) {
        const json_t *s = json_array_get(sweeps, i);
        if (strcmp(text_of(s, "name"), sweep) != 0)
            continue;
        found = true;
        snprintf(out->state, sizeof out->state, "%s", text_of(s, "state"));
        snprintf(out->reason, sizeof out->reason, "%s", text_of(s, "reason"));
        out->progress = (cli_progress_state){
            .done = settled(s),
            .total = count_of(s, "positions"),
            .failed = count_of(s, "failed"),
            .rate = number_of(s, "rate"),
            .eta_s = eta_of(s),
            .front = -1,
            .note = out->reason,
        };
    }
    json_decref(root);
    return found;
}

static void heads(cli_table *t, const char *const *names, size_t n)
{
    cli_table_init(t, n);
    for (size_t i = 0; i < n; i++)
        cli_table_add(t, names[i]);
}

static void add_count(cli_table *t, uint64_t n)
{
    char text[32];
    cli_table_add(t, sky_format_count(n, text, sizeof text));
}

static void add_sweep(cli_table *t, const json_t *s)
{
    char text[64];
    const uint64_t positions = count_of(s, "positions"), done = settled(s);
    const double rate = number_of(s, "rate"), eta = eta_of(s);
    cli_table_add(t, text_of(s, "name"));
    cli_table_add(t, text_of(s, "state"));
    cli_table_addf(t, "%d%%", positions ? (int)((double)done * 100 / (double)positions) : 100);
    add_count(t, count_of(s, "recorded"));
    add_count(t, count_of(s, "holes"));
    add_count(t, count_of(s, "failed"));
    add_count(t, positions);
    cli_table_add(t, rate > 0 ? sky_format_si(rate, text, sizeof text) : "");
    cli_table_add(t,
                  eta >= 0 && done < positions ? sky_format_duration(eta, text, sizeof text) : "");
    cli_table_addf(t, "%" PRId64, (int64_t)count_of(s, "priority"));
    cli_table_add(t, text_of(s, "reason"));
}

static void add_worker(cli_table *t, const json_t *w)
{
    char text[64];
    cli_table_add(t, text_of(w, "host"));
    cli_table_addf(t, "%" PRIu64, count_of(w, "pid"));
    cli_table_add(t, json_is_true(json_object_get(w, "lost")) ? "lost" : "here");
    add_count(t, count_of(w, "cpus"));
    add_count(t, count_of(w, "gpus"));
    cli_table_add(t, sky_format_bytes(count_of(w, "memory_bytes"), text, sizeof text));
    add_count(t, count_of(w, "running"));
    add_count(t, count_of(w, "settled"));
    cli_table_addf(t, "%s ago",
                   sky_format_duration(number_of(w, "heard_ms_ago") / 1e3, text, sizeof text));
}

static void print_sweeps(const json_t *sweeps, sky_buf *out, bool colour)
{
    static const char *const names[] = {"sweep", "state", "done", "recorded", "holes", "failed",
                                        "of",    "per s", "left", "priority", ""};
    cli_table t;
    heads(&t, names, sizeof names / sizeof *names);
    for (size_t i = 2; i < 10; i++)
        cli_table_right(&t, i);
    for (size_t i = 0; i < json_array_size(sweeps); i++)
        add_sweep(&t, json_array_get(sweeps, i));
    cli_table_print(&t, out, colour, 0);
    cli_table_free(&t);
}

static void print_workers(const json_t *workers, sky_buf *out, bool colour)
{
    static const char *const names[] = {"worker", "pid",     "state",   "cpus", "gpus",
                                        "memory", "running", "settled", "heard"};
    cli_table t;
    heads(&t, names, sizeof names / sizeof *names);
    for (size_t i = 3; i < 9; i++)
        cli_table_right(&t, i);
    for (size_t i = 0; i < json_array_size(workers); i++)
        add_worker(&t, json_array_get(workers, i));
    cli_table_print(&t, out, colour, 0);
    cli_table_free(&t);
}

void cli_status_print(const char *json, sky_buf *out, bool colour)
{
    char up[32];
    json_t *root = json_loads(json, 0, NULL);
    const json_t *sweeps = json_object_get(root, "sweeps"),
                 *workers = json_object_get(root, "workers");
    if (!json_is_object(root)) {
        sky_buf_puts(out, "The coordinator's status is not understood.\n");
        return;
    }
    sky_buf_printf(out, "coordinator %s, store %s, up %s\n\n", text_of(root, "endpoint"),
                   text_of(root, "store"),
                   sky_format_duration(number_of(root, "uptime_s"), up, sizeof up));
    if (json_array_size(sweeps))
        print_sweeps(sweeps, out, colour);
    else
        sky_buf_puts(out, "no sweeps\n");
    sky_buf_putc(out, '\n');
    if (json_array_size(workers))
        print_workers(workers, out, colour);
    else
        sky_buf_puts(out, "no workers\n");
    json_decref(root);
}
