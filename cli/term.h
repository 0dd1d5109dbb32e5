/* What the terminal can do: colour, width, Unicode. */
#ifndef SKY_CLI_TERM_H
#define SKY_CLI_TERM_H

#include <stdbool.h>
#include <stddef.h>

/* A terminal, TERM is not dumb, and NO_COLOR is not set. */
bool cli_colour(int fd);
bool cli_is_terminal(int fd);
int cli_width(int fd);  /* columns; 80 where unknown */
int cli_height(int fd); /* rows; 24 where unknown */
bool cli_unicode(void); /* does the locale say UTF-8? */

/* Escape sequences, "" without colour: cli_style(on, CLI_BOLD). */
#define CLI_RESET  "\033[0m"
#define CLI_BOLD   "\033[1m"
#define CLI_DIM    "\033[2m"
#define CLI_RED    "\033[31m"
#define CLI_GREEN  "\033[32m"
#define CLI_YELLOW "\033[33m"
#define CLI_BLUE   "\033[34m"
#define CLI_ORANGE "\033[38;5;208m"
static inline const char *cli_style(bool colour, const char *escape)
{
    return colour ? escape : "";
}

/* Columns that a UTF-8 text takes, and how many bytes of it fit in `columns` columns. */
size_t cli_text_columns(const char *text);
size_t cli_text_fit(const char *text, size_t columns);

#endif
