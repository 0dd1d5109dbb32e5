/* How a long command shows itself: a bar that is redrawn in place on a terminal, or plain lines
 * now and then. Everything goes to standard error, so that standard output stays data. */
#ifndef SKY_CLI_PROGRESS_H
#define SKY_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum cli_progress_mode {
    CLI_PROGRESS_NONE,
    CLI_PROGRESS_PLAIN,
    CLI_PROGRESS_BAR
} cli_progress_mode;

typedef struct cli_progress {
    cli_progress_mode mode;
    bool colour, unicode;
    bool drawn; /* a bar stands on the last line of the terminal */
    int64_t started_ns, next_ns;
    char name[104]; /* of the sweep */
    char last[1024];
} cli_progress;

typedef struct cli_progress_state {
    uint64_t done, total; /* positions: recorded, holes and failures */
    uint64_t failed;
    double rate, eta_s; /* eta_s negative: unknown */
    int64_t front;      /* size; negative: no objectives, or not known */
    const char *note;   /* a reason to say, or "" */
} cli_progress_state;

/* mode: "bar", "plain", "none", or NULL to choose by what standard error is. Log lines go above
 * the bar from now on. One progress at a time. */
void cli_progress_start(cli_progress *p, const char *mode, const char *name);
/* Draws, or does nothing where it is too early for the next line. */
void cli_progress_update(cli_progress *p, const cli_progress_state *s, int64_t now_ns);
/* A line above the bar. */
void cli_progress_say(cli_progress *p, const char *line);
/* Removes the bar. */
void cli_progress_end(cli_progress *p);

#endif
