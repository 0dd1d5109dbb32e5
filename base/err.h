/* Error codes and error messages.
 *
 * A function that can fail for an operating reason (bad input, a full disk) returns sky_err and,
 * where a person will read the reason, takes a sky_error as its last argument. Programmer errors
 * are asserted. Layer 0: every module uses this. */
#ifndef SKY_BASE_ERR_H
#define SKY_BASE_ERR_H

#include <stdarg.h>

#define SKY_ERR_MAP(X)                                                                             \
    X(NOMEM, -2, "out of memory")                                                                  \
    X(INVAL, -3, "invalid argument")                                                               \
    X(FORMAT, -4, "malformed input")                                                               \
    X(VERSION, -5, "unsupported version")                                                          \
    X(BUSY, -6, "resource is in use")                                                              \
    X(LIMIT, -7, "a limit was exceeded")                                                           \
    X(IO, -8, "input or output failed")                                                            \
    X(NOTFOUND, -9, "not found")                                                                   \
    X(EXISTS, -10, "already exists")                                                               \
    X(FULL, -11, "no space left")                                                                  \
    X(PERM, -12, "permission denied")                                                              \
    X(CONFLICT, -13, "conflicts with what is stored")                                              \
    X(TIMEOUT, -14, "timed out")                                                                   \
    X(CLOSED, -15, "the other end is gone")                                                        \
    X(AGAIN, -16, "not now, try again")                                                            \
    X(CANCELLED, -17, "cancelled")                                                                 \
    X(FAILED, -18, "the evaluation failed")

typedef enum sky_err {
    SKY_OK = 0,
#define SKY_ERR_ENUM(name, code, text) SKY_E##name = (code),
    SKY_ERR_MAP(SKY_ERR_ENUM)
#undef SKY_ERR_ENUM
} sky_err;

/* The text of a code; never NULL. */
const char *sky_strerror(sky_err code);

enum { SKY_ERROR_TEXT_MAX = 1024 };

/* What went wrong, for a person: what, where, and what was expected. Zero-initialise. */
typedef struct sky_error {
    sky_err code;
    char text[SKY_ERROR_TEXT_MAX];
} sky_error;

/* Fills *e (which may be NULL) and returns code, so that callers write
 *     return sky_fail(e, SKY_EFORMAT, "%s:%d:%d: expected a number, found '%s'", ...);
 * A text longer than the buffer is cut. */
sky_err sky_fail(sky_error *e, sky_err code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same from errno: maps ENOSPC, EACCES, ENOENT, ... and appends strerror(saved_errno). */
sky_err sky_fail_errno(sky_error *e, int saved_errno, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the text that e already has; returns e's code. e may be NULL (SKY_OK
 * then). */
sky_err sky_fail_prefix(sky_error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
