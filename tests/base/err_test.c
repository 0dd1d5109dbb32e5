#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "tests/base/str.h"

Test(err, every_code_has_a_text)
{
    cr_assert(eq(str, STR(sky_strerror(SKY_OK)), "success"));
    cr_assert(eq(str, STR(sky_strerror(SKY_EFORMAT)), "malformed input"));
    for (int code = -2; code >= -18; code--)
        cr_assert(ne(str, STR(sky_strerror((sky_err)code)), "unknown error"));
    cr_assert(eq(str, STR(sky_strerror((sky_err)-1)), "unknown error"));
    cr_assert(eq(str, STR(sky_strerror((sky_err)12345)), "unknown error"));
}

Test(err, fail_fills_and_returns)
{
    sky_error e = {0};
    cr_assert(eq(int, sky_fail(&e, SKY_EFORMAT, "line %d", 7), SKY_EFORMAT));
    cr_assert(eq(int, e.code, SKY_EFORMAT));
    cr_assert(eq(str, e.text, "line 7"));
    cr_assert(eq(int, sky_fail(&e, SKY_EIO, "again: %s", e.text), SKY_EIO), "may quote itself");
    cr_assert(eq(str, e.text, "again: line 7"));
    cr_assert(eq(int, sky_fail_prefix(&e, "file '%s'", "a.yaml"), SKY_EIO));
    cr_assert(eq(str, e.text, "file 'a.yaml': again: line 7"));
    cr_assert(eq(int, sky_fail(NULL, SKY_EIO, "x"), SKY_EIO));
    cr_assert(eq(int, sky_fail_prefix(NULL, "x"), SKY_OK));
}

Test(err, errno_is_mapped_and_told)
{
    static const struct {
        int number;
        sky_err code;
    } cases[] = {{ENOSPC, SKY_EFULL},   {EACCES, SKY_EPERM},         {ENOENT, SKY_ENOTFOUND},
                 {EEXIST, SKY_EEXISTS}, {ENOMEM, SKY_ENOMEM},        {ETIMEDOUT, SKY_ETIMEOUT},
                 {EPIPE, SKY_ECLOSED},  {EAGAIN, SKY_EAGAIN},        {EBADF, SKY_EIO},
                 {EINVAL, SKY_EINVAL},  {ECANCELED, SKY_ECANCELLED}, {EMFILE, SKY_ELIMIT}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sky_error e = {0};
        cr_assert(eq(int, sky_fail_errno(&e, cases[i].number, "open"), cases[i].code));
        cr_assert(eq(int, sky_fail_errno(NULL, cases[i].number, "open"), cases[i].code));
    }
    sky_error e = {0};
    sky_fail_errno(&e, ENOENT, "cannot open '%s'", "x");
    cr_assert(eq(str, e.text, "cannot open 'x': No such file or directory"));
}

Test(err, a_long_text_is_cut)
{
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    sky_error e = {0};
    sky_fail(&e, SKY_EIO, "%s", text);
    cr_assert(eq(sz, strlen(e.text), SKY_ERROR_TEXT_MAX - 1));
    sky_fail_prefix(&e, "%s", text);
    cr_assert(eq(sz, strlen(e.text), SKY_ERROR_TEXT_MAX - 1));
    sky_fail_errno(&e, ENOENT, "%s", text);
    cr_assert(eq(sz, strlen(e.text), SKY_ERROR_TEXT_MAX - 1));
}
