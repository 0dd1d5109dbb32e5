#include "cli/progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/term.h"

static const int64_t BAR_EVERY_NS = 100 * SKY_NS_PER_MS; /* 10 times a second at most */
static const int64_t PLAIN_FIRST_NS = 2 * SKY_NS_PER_S;  /* a short run prints no line at all */
static const int64_t PLAIN_EVERY_NS_MAX = 60 * SKY_NS_PER_S;
static const char CLEAR_LINE[] = "\r\033[K";

static void log_line(void *arg, sky_log_level level, const char *line)
{
    (void)level;
    cli_progress_say(arg, line);
}

void cli_progress_start(cli_progress *p, const char *mode, const char *name)
{
    *p = (cli_progress){
        .colour = cli_colour(STDERR_FILENO),
        .unicode = cli_unicode(),
        .started_ns = sky_clock_ns(),
    };
    snprintf(p->name, sizeof p->name, "%s", name);
    if (!mode)
        p->mode = cli_is_terminal(STDERR_FILENO) ? CLI_PROGRESS_BAR : CLI_PROGRESS_PLAIN;
    else if (strcmp(mode, "bar") == 0)
        p->mode = CLI_PROGRESS_BAR;
    else
        p->mode = strcmp(mode, "plain") == 0 ? CLI_PROGRESS_PLAIN : CLI_PROGRESS_NONE;
    p->next_ns = p->mode == CLI_PROGRESS_PLAIN ? p->started_ns + PLAIN_FIRST_NS : 0;
    sky_log_set_sink(log_line, p);
}

static void numbers(const cli_progress_state *s, sky_buf *b)
{
    char done[32], total[32], rate[32], left[32];
    sky_buf_printf(b, "%s/%s", sky_format_count(s->done, done, sizeof done),
                   sky_format_count(s->total, total, sizeof total));
    if (s->rate > 0)
        sky_buf_printf(b, "  %s/s", sky_format_si(s->rate, rate, sizeof rate));
    if (s->eta_s >= 0 && s->done < s->total)
        sky_buf_printf(b, "  %s left", sky_format_duration(ceil(s->eta_s), left, sizeof left));
    if (s->failed)
        sky_buf_printf(b, "  %" PRIu64 " failed", s->failed);
    if (s->front >= 0)
        sky_buf_printf(b, "  front %" PRId64, s->front);
    if (s->note && s->note[0])
        sky_buf_printf(b, "  (%s)", s->note);
}

static void draw_bar(const cli_progress *p, const cli_progress_state *s, sky_buf *out)
{
    const double part = s->total ? (double)s->done / (double)s->total : 1;
    sky_buf text = {0};
    numbers(s, &text);
    const int width =
        cli_width(STDERR_FILENO) - 1; /* the last column would wrap on some terminals */
    const int rest = width - 5 - 3 - (int)cli_text_columns(sky_buf_str(&text));
    const int bar = rest > 40 ? 40 : rest;
    sky_buf_printf(out, "%3d%% ", (int)(part * 100)); /* rounded down: 100% is done */
    if (bar >= 5) {
        const int full = (int)(part * bar);
        sky_buf_puts(out, cli_style(p->colour, s->failed ? CLI_YELLOW : CLI_GREEN));
        for (int i = 0; i < full; i++)
            sky_buf_puts(out, p->unicode ? "\u2501" : "#");
        sky_buf_puts(out, cli_style(p->colour, CLI_RESET CLI_DIM));
        for (int i = full; i < bar; i++)
            sky_buf_puts(out, p->unicode ? "\u2500" : "-");
        sky_buf_puts(out, cli_style(p->colour, CLI_RESET));
        sky_buf_puts(out, "  ");
    }
    const size_t fit =
        cli_text_fit(sky_buf_str(&text), (size_t)(width - 5 - (bar >= 5 ? bar + 2 : 0)));
    sky_buf_add(out, sky_buf_str(&text), fit);
    sky_buf_free(&text);
}

void cli_progress_update(cli_progress *p, const cli_progress_state *s, int64_t now_ns)
{
    if (p->mode == CLI_PROGRESS_NONE || now_ns < p->next_ns)
        return;
    sky_buf out = {0};
    if (p->mode == CLI_PROGRESS_BAR) {
        p->next_ns = now_ns + BAR_EVERY_NS;
        draw_bar(p, s, &out);
        if (sky_buf_ok(&out) && (!p->drawn || strcmp(p->last, sky_buf_str(&out)) != 0)) {
            fprintf(stderr, "%s%s", CLEAR_LINE, sky_buf_str(&out));
            fflush(stderr);
            snprintf(p->last, sizeof p->last, "%s", sky_buf_str(&out));
            p->drawn = true;
        }
    } else { /* lines come at ever longer distances: an hour's log stays short */
        const int64_t every = (now_ns - p->started_ns) / 4;
        p->next_ns = now_ns + (every < PLAIN_FIRST_NS       ? PLAIN_FIRST_NS
                               : every > PLAIN_EVERY_NS_MAX ? PLAIN_EVERY_NS_MAX
                                                            : every);
        numbers(s, &out);
        fprintf(stderr, "%s: %s\n", p->name, sky_buf_str(&out));
    }
    sky_buf_free(&out);
}

void cli_progress_say(cli_progress *p, const char *line)
{
    fprintf(stderr, "%s%s\n%s", p->drawn ? CLEAR_LINE : "", line, p->drawn ? p->last : "");
    fflush(stderr);
}

void cli_progress_end(cli_progress *p)
{
    if (p->drawn)
        fputs(CLEAR_LINE, stderr);
    fflush(stderr);
    p->drawn = false;
    p->mode = CLI_PROGRESS_NONE;
    sky_log_set_sink(NULL, NULL);
}
