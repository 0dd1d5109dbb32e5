#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *sky_strerror(sky_err code)
{
    switch (code) {
    case SKY_OK:
        return "success";
#define SKY_ERR_CASE(name, number, text)                                                           \
    case SKY_E##name:                                                                              \
        return text;
        SKY_ERR_MAP(SKY_ERR_CASE)
#undef SKY_ERR_CASE
    }
    return "unknown error";
}

/* Formats aside first: the arguments may point into e->text. */
__attribute__((format(printf, 2, 0))) static void set_text(sky_error *e, const char *fmt,
                                                           va_list ap)
{
    char text[SKY_ERROR_TEXT_MAX];
    if (vsnprintf(text, sizeof text, fmt, ap) < 0)
        text[0] = 0;
    memcpy(e->text, text, sizeof text);
}

sky_err sky_fail(sky_error *e, sky_err code, const char *fmt, ...)
{
    assert(code != SKY_OK);
    if (!e)
        return code;
    va_list ap;
    va_start(ap, fmt);
    set_text(e, fmt, ap);
    va_end(ap);
    e->code = code;
    return code;
}

static sky_err code_of_errno(int number)
{
    switch (number) {
    case ENOMEM:
        return SKY_ENOMEM;
    case EINVAL:
        return SKY_EINVAL;
    case ENOENT:
    case ENOTDIR:
    case ESRCH:
        return SKY_ENOTFOUND;
    case EEXIST:
        return SKY_EEXISTS;
    case ENOSPC:
    case EDQUOT:
        return SKY_EFULL;
    case EACCES:
    case EPERM:
    case EROFS:
        return SKY_EPERM;
    case EBUSY:
    case EADDRINUSE:
    case ETXTBSY:
        return SKY_EBUSY;
    case E2BIG:
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case ENAMETOOLONG:
        return SKY_ELIMIT;
    case ETIMEDOUT:
        return SKY_ETIMEOUT;
    case EPIPE:
    case ECONNRESET:
    case ECONNREFUSED:
        return SKY_ECLOSED;
    case EAGAIN:
    case EINTR:
        return SKY_EAGAIN;
    case ECANCELED:
        return SKY_ECANCELLED;
    default:
        return SKY_EIO;
    }
}

/* Appends to e->text, cutting at the end of the buffer. */
static void append_text(sky_error *e, const char *separator, const char *text)
{
    size_t len = strlen(e->text);
    snprintf(e->text + len, sizeof e->text - len, "%s%s", separator, text);
}

sky_err sky_fail_errno(sky_error *e, int saved_errno, const char *fmt, ...)
{
    sky_err code = code_of_errno(saved_errno);
    if (!e)
        return code;
    va_list ap;
    va_start(ap, fmt);
    set_text(e, fmt, ap);
    va_end(ap);
    char reason[256];
    append_text(e, ": ", strerror_r(saved_errno, reason, sizeof reason));
    e->code = code;
    return code;
}

sky_err sky_fail_prefix(sky_error *e, const char *fmt, ...)
{
    if (!e)
        return SKY_OK;
    char old[SKY_ERROR_TEXT_MAX];
    memcpy(old, e->text, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    set_text(e, fmt, ap);
    va_end(ap);
    append_text(e, ": ", old);
    return e->code;
}
