#include "cli/summary.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/livefront.h"
#include "cli/term.h"

typedef struct reason {
    const char *kind, *text;
    uint64_t n;
} reason;

enum {
    REASONS_MAX = 5,
    FRONT_ROWS_MAX = 1000000, /* some 0.3 s of work at the end of a run */
};

/* Calls say() for the commonest reasons of failed trials. */
static void each_reason(const cli_summary *s, sky_buf *out,
                        void (*say)(sky_buf *out, const reason *r, size_t index))
{
    sqlite3_stmt *q = NULL;
    size_t i = 0;
    static const char sql[] =
        "SELECT kind, count(*), min(reason) FROM sky_failures WHERE sweep = ?1 "
        "GROUP BY kind, reason ORDER BY 2 DESC LIMIT ?2";
    if (sqlite3_prepare_v2(sky_store_sqlite(s->store), sql, -1, &q, NULL) != SQLITE_OK)
        return;
    sqlite3_bind_int64(q, 1, s->sweep->id);
    sqlite3_bind_int(q, 2, REASONS_MAX);
    while (sqlite3_step(q) == SQLITE_ROW) {
        const reason r = {
            .kind = (const char *)sqlite3_column_text(q, 0),
            .n = (uint64_t)sqlite3_column_int64(q, 1),
            .text = (const char *)sqlite3_column_text(q, 2),
        };
        if (r.kind && r.text)
            say(out, &r, i++);
    }
    sqlite3_finalize(q);
}

static void say_text(sky_buf *out, const reason *r, size_t index)
{
    (void)index;
    sky_buf_printf(out, "             %" PRIu64 " %s: %.200s\n", r->n, r->kind, r->text);
}

static void say_json(sky_buf *out, const reason *r, size_t index)
{
    sky_buf_printf(out, "%s{\"kind\":", index ? "," : "");
    sky_buf_json_string(out, r->kind);
    sky_buf_printf(out, ",\"count\":%" PRIu64 ",\"reason\":", r->n);
    sky_buf_json_string(out, r->text);
    sky_buf_putc(out, '}');
}

static void print_json(const cli_summary *s, int64_t front, sky_buf *out)
{
    const sky_sweep_info *i = s->sweep;
    sky_buf_puts(out, "{\"sweep\":");
    sky_buf_json_string(out, i->name);
    sky_buf_puts(out, ",\"state\":");
    sky_buf_json_string(out, sky_sweep_state_name(i->state));
    sky_buf_puts(out, ",\"reason\":");
    sky_buf_json_string(out, i->reason ? i->reason : "");
    sky_buf_printf(out,
                   ",\"positions\":%" PRIu64 ",\"recorded\":%" PRIu64 ",\"recorded_now\":%" PRIu64
                   ",\"holes\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"front\":",
                   i->positions, i->recorded, i->recorded - s->recorded_before, i->holes,
                   i->failed);
    if (front >= 0)
        sky_buf_printf(out, "%" PRId64, front);
    else
        sky_buf_puts(out, "null");
    sky_buf_printf(out, ",\"interrupted\":%s,\"wall_s\":", s->interrupted ? "true" : "false");
    sky_buf_json_f64(out, s->wall_s);
    sky_buf_puts(out, ",\"db\":");
    sky_buf_json_string(out, s->db);
    sky_buf_puts(out, ",\"failures\":[");
    if (i->failed)
        each_reason(s, out, say_json);
    sky_buf_puts(out, "]}\n");
}

/* Commands to copy: the store is named only where it is not the default. */
static void print_next(const cli_summary *s, int64_t front, sky_buf *out)
{
    const sky_sweep_info *i = s->sweep;
    const bool plain = strcmp(s->db, "skyline.db") == 0;
    const char *option = plain ? "" : " --db ", *db = plain ? "" : s->db;
    sky_buf_puts(out, "Next:\n");
    if (front > 0)
        sky_buf_printf(out, "  skyline front %s%s%s --plot -\n", i->name, option, db);
    if (i->recorded)
        sky_buf_printf(out, "  skyline results %s%s%s --limit 10\n", i->name, option, db);
    if (i->failed)
        sky_buf_printf(out, "  skyline failures %s%s%s\n", i->name, option, db);
}

static void print_text(const cli_summary *s, int64_t front, sky_buf *out)
{
    const sky_sweep_info *i = s->sweep;
    const bool colour = cli_colour(STDOUT_FILENO);
    char n[32], m[32], took[32];
    const uint64_t now = i->recorded - s->recorded_before;
    /* Its state stays "running" for the next coordinator, but nobody runs it now. */
    const bool stopped = i->state == SKY_SWEEP_RUNNING;
    sky_buf_printf(out, "%s%s%s is %s%s%s (%s)\n", cli_style(colour, CLI_BOLD), i->name,
                   cli_style(colour, CLI_RESET),
                   stopped ? "stopped" : sky_sweep_state_name(i->state),
                   i->reason && i->reason[0] ? ": " : "", i->reason ? i->reason : "",
                   sky_format_duration(s->wall_s, took, sizeof took));
    const uint64_t wanted = i->positions - i->holes;
    sky_format_count(i->recorded, n, sizeof n);
    sky_format_count(wanted, m, sizeof m);
    if (i->recorded > wanted) /* of more repeats, earlier */
        sky_buf_printf(out, "  recorded   %s trials, of which this sweep now asks for %s", n, m);
    else
        sky_buf_printf(out, "  recorded   %s of %s trials", n, m);
    if (now != i->recorded)
        sky_buf_printf(out, ", %s of them now", sky_format_count(now, n, sizeof n));
    sky_buf_putc(out, '\n');
    if (i->holes)
        sky_buf_printf(out, "  holes      %s, rejected by `where`\n",
                       sky_format_count(i->holes, n, sizeof n));
    if (i->failed) {
        sky_buf_printf(out, "  %sfailed     %s%s\n", cli_style(colour, CLI_RED),
                       sky_format_count(i->failed, n, sizeof n), cli_style(colour, CLI_RESET));
        each_reason(s, out, say_text);
    }
    if (front >= 0)
        sky_buf_printf(out, "  front      %s\n", sky_format_count((uint64_t)front, n, sizeof n));
    sky_buf_printf(out, "  store      %s\n", s->db);
    if (i->recorded || i->failed)
        print_next(s, front, out);
}

void cli_summary_print(const cli_summary *s, sky_buf *out)
{
    const int64_t size =
        s->front_size >= 0 ? s->front_size : cli_front_size(s->store, s->sweep, FRONT_ROWS_MAX);
    if (s->json)
        print_json(s, size, out);
    else
        print_text(s, size, out);
}
