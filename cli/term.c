#include "cli/term.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool cli_is_terminal(int fd)
{
    return isatty(fd) == 1;
}

bool cli_colour(int fd)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    if (no && no[0])
        return false;
    if (!term || !term[0] || strcmp(term, "dumb") == 0)
        return false;
    return cli_is_terminal(fd);
}

/* COLUMNS and LINES come first, so that tests and scripts can fix the size. */
static int size_from(const char *name)
{
    const char *text = getenv(name);
    const int n = text ? atoi(text) : 0;
    return n >= 20 && n <= 1000 ? n : 0;
}

int cli_width(int fd)
{
    const int fixed = size_from("COLUMNS");
    struct winsize w;
    if (fixed)
        return fixed;
    return ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col >= 20 ? w.ws_col : 80;
}

int cli_height(int fd)
{
    const int fixed = size_from("LINES");
    struct winsize w;
    if (fixed)
        return fixed;
    return ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_row >= 10 ? w.ws_row : 24;
}

/* The environment is read, not setlocale(): numbers must keep their point in every locale. */
bool cli_unicode(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (!value || !value[0])
            continue;
        const char *dot = strchr(value, '.');
        return dot &&
               (strncasecmp(dot + 1, "utf-8", 5) == 0 || strncasecmp(dot + 1, "utf8", 4) == 0);
    }
    return false;
}

/* Every code point counts as one column: names, numbers and units are all that is printed. */
size_t cli_text_columns(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

size_t cli_text_fit(const char *text, size_t columns)
{
    size_t n = 0, i = 0;
    for (; text[i]; i++) {
        if (((unsigned char)text[i] & 0xc0) == 0x80)
            continue;
        if (n++ == columns)
            break;
    }
    return i;
}
