#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "tests/base/property.h"
#include "tests/base/str.h"

Test(text, integers)
{
    int64_t i = 5;
    uint64_t u = 5;
    cr_assert(eq(int, sky_parse_i64("-9223372036854775808", &i), SKY_OK));
    cr_assert(eq(i64, i, INT64_MIN));
    cr_assert(eq(int, sky_parse_i64("+9223372036854775807", &i), SKY_OK));
    cr_assert(eq(i64, i, INT64_MAX));
    cr_assert(eq(int, sky_parse_u64("18446744073709551615", &u), SKY_OK));
    cr_assert(eq(u64, u, UINT64_MAX));
    cr_assert(eq(int, sky_parse_i64("-0", &i), SKY_OK));
    cr_assert(eq(i64, i, 0));
    cr_assert(eq(int, sky_parse_i64("9223372036854775808", &i), SKY_ELIMIT));
    cr_assert(eq(int, sky_parse_i64("-9223372036854775809", &i), SKY_ELIMIT));
    cr_assert(eq(int, sky_parse_u64("18446744073709551616", &u), SKY_ELIMIT));
    cr_assert(eq(int, sky_parse_u64("99999999999999999999999", &u), SKY_ELIMIT));
    static const char *const bad[] = {
        "", "-", "+", " 1", "1 ", "1.0", "1e3", "0x10", "-+1", "--1", "99999999999999999999x"};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        cr_assert(eq(int, sky_parse_i64(bad[k], &i), SKY_EFORMAT), "'%s'", bad[k]);
        cr_assert(eq(int, sky_parse_u64(bad[k], &u), SKY_EFORMAT), "'%s'", bad[k]);
    }
    cr_assert(eq(int, sky_parse_u64("-1", &u), SKY_EFORMAT));
    cr_assert(eq(i64, i, 0), "untouched on error");
}

Test(text, reals)
{
    static const struct {
        const char *text;
        double x;
    } good[] = {{"1", 1},
                {"-.5", -0.5},
                {"5.", 5},
                {"1e3", 1000},
                {"+2E-2", 0.02},
                {"inf", INFINITY},
                {"-Infinity", -INFINITY},
                {"1e-400", 0}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double x = 7;
        cr_assert(eq(int, sky_parse_f64(good[i].text, &x), SKY_OK), "'%s'", good[i].text);
        cr_assert(eq(dbl, x, good[i].x));
    }
    static const char *const bad[] = {"",   ".",  "-",   "e5",  "1e",    "1e+",  "nan", "-nan",
                                      " 1", "1 ", "0x1", "1,5", "1.2.3", "infx", "--1", "1f"};
    double x = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(eq(int, sky_parse_f64(bad[i], &x), SKY_EFORMAT), "'%s'", bad[i]);
    cr_assert(eq(int, sky_parse_f64("1e400", &x), SKY_ELIMIT));
    cr_assert(eq(dbl, x, 7));
}

Test(text, truth)
{
    bool b = false;
    cr_assert(eq(int, sky_parse_bool("Yes", &b), SKY_OK));
    cr_assert(b);
    cr_assert(eq(int, sky_parse_bool("off", &b), SKY_OK));
    cr_assert(not(b));
    cr_assert(eq(int, sky_parse_bool("maybe", &b), SKY_EFORMAT));
    cr_assert(eq(int, sky_parse_bool("", &b), SKY_EFORMAT));
}

Test(text, bytes)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"4096", 4096},
                {"2GiB", 2147483648u},
                {"512 MiB", 536870912},
                {"1.5kB", 1500},
                {"1K", 1000},
                {"1Ki", 1024},
                {"7 b", 7},
                {"0.5TiB", 549755813888u},
                {"1PB", 1000000000000000u},
                {"18446744073709551615", UINT64_MAX}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint64_t bytes = 5;
        cr_assert(eq(int, sky_parse_bytes(good[i].text, &bytes), SKY_OK), "'%s'", good[i].text);
        cr_assert(eq(u64, bytes, good[i].bytes));
    }
    static const char *const bad[] = {"",      "MiB", "1 ",  "1  MiB", "1XiB",
                                      "1MiBx", "1iB", "inf", "1Mb/s"};
    uint64_t bytes = 5;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(eq(int, sky_parse_bytes(bad[i], &bytes), SKY_EFORMAT), "'%s'", bad[i]);
    cr_assert(eq(int, sky_parse_bytes("-1", &bytes), SKY_ELIMIT));
    cr_assert(eq(int, sky_parse_bytes("20000000PiB", &bytes), SKY_ELIMIT));
    cr_assert(eq(int, sky_parse_bytes("1e30", &bytes), SKY_ELIMIT));
    cr_assert(eq(u64, bytes, 5));
}

Test(text, durations)
{
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {{"60s", 60000000000},
                {"1.5h", 5400000000000},
                {"250ms", 250000000},
                {"2m", 120000000000},
                {"1d", 86400000000000},
                {"90", 90000000000},
                {"3 us", 3000},
                {"7ns", 7},
                {"0", 0},
                {"0.001", 1000000}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t ns = 5;
        cr_assert(eq(int, sky_parse_duration(good[i].text, &ns), SKY_OK), "'%s'", good[i].text);
        cr_assert(eq(i64, ns, good[i].ns));
    }
    static const char *const bad[] = {"", "s", "1x", "1 ", "1S", "1h30m", "inf"};
    int64_t ns = 5;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(eq(int, sky_parse_duration(bad[i], &ns), SKY_EFORMAT), "'%s'", bad[i]);
    cr_assert(eq(int, sky_parse_duration("-1s", &ns), SKY_ELIMIT));
    cr_assert(eq(int, sky_parse_duration("1e10d", &ns), SKY_ELIMIT));
    cr_assert(eq(int, sky_parse_duration("106752d", &ns), SKY_ELIMIT));
    cr_assert(eq(i64, ns, 5));
}

Test(text, for_people)
{
    char b[32];
    cr_assert(eq(str, sky_format_bytes(0, b, 32), "0 B"));
    cr_assert(eq(str, sky_format_bytes(1023, b, 32), "1023 B"));
    cr_assert(eq(str, sky_format_bytes(1610612736, b, 32), "1.5 GiB"));
    cr_assert(eq(str, sky_format_bytes(1048575, b, 32), "1.0 MiB"), "never 1024.0 KiB");
    cr_assert(eq(str, sky_format_bytes(UINT64_MAX, b, 32), "16.0 EiB"));
    cr_assert(eq(str, sky_format_duration(0, b, 32), "0s"));
    cr_assert(eq(str, sky_format_duration(0.0123, b, 32), "12.3ms"));
    cr_assert(eq(str, sky_format_duration(4.2e-6, b, 32), "4.2us"));
    cr_assert(eq(str, sky_format_duration(5e-9, b, 32), "5ns"));
    cr_assert(eq(str, sky_format_duration(0.9996, b, 32), "1.0s"));
    cr_assert(eq(str, sky_format_duration(3.14, b, 32), "3.1s"));
    cr_assert(eq(str, sky_format_duration(59.7, b, 32), "1m 00s"));
    cr_assert(eq(str, sky_format_duration(125, b, 32), "2m 05s"));
    cr_assert(eq(str, sky_format_duration(3720, b, 32), "1h 02m"));
    cr_assert(eq(str, sky_format_duration(90000, b, 32), "1d 01h"));
    cr_assert(eq(str, sky_format_duration(-1, b, 32), "?"));
    cr_assert(eq(str, sky_format_duration(NAN, b, 32), "?"));
    cr_assert(eq(str, sky_format_duration(INFINITY, b, 32), "?"));
    cr_assert(eq(str, sky_format_count(0, b, 32), "0"));
    cr_assert(eq(str, sky_format_count(999, b, 32), "999"));
    cr_assert(eq(str, sky_format_count(1234567, b, 32), "1,234,567"));
    cr_assert(eq(str, sky_format_count(UINT64_MAX, b, 32), "18,446,744,073,709,551,615"));
    cr_assert(eq(str, sky_format_count(1234567, b, 4), "1,2"), "cut, but terminated");
}

Test(text, si_prefixes)
{
    char b[32];
    cr_assert(eq(str, sky_format_si(12345, b, 32), "12.3k"));
    cr_assert(eq(str, sky_format_si(999.6, b, 32), "1k"));
    cr_assert(eq(str, sky_format_si(0.00125, b, 32), "1.25m"));
    cr_assert(eq(str, sky_format_si(-2.5e9, b, 32), "-2.5G"));
    cr_assert(eq(str, sky_format_si(100, b, 32), "100"));
    cr_assert(eq(str, sky_format_si(0, b, 32), "0"));
    cr_assert(eq(str, sky_format_si(3e-12, b, 32), "3e-12"));
    cr_assert(eq(str, sky_format_si(1e30, b, 32), "1e+30"));
    cr_assert(eq(str, sky_format_si(INFINITY, b, 32), "inf"));
}

Test(text, did_you_mean)
{
    static const char *const list[] = {"objectives", "search", "space", "limits"};
    cr_assert(eq(str, STR(sky_nearest("objectivs", list, 4)), "objectives"));
    cr_assert(eq(str, STR(sky_nearest("saerch", list, 4)), "search"), "a swap is one step");
    cr_assert(eq(str, STR(sky_nearest("LIMITS", list, 4)), "limits"));
    cr_assert(eq(str, STR(sky_nearest("spice", list, 4)), "space"));
    cr_assert(sky_nearest("repeats", list, 4) == NULL);
    cr_assert(sky_nearest("", list, 4) == NULL);
    cr_assert(sky_nearest("space", list, 0) == NULL);
    char longer[200];
    memset(longer, 's', 199);
    longer[199] = 0;
    cr_assert(sky_nearest(longer, list, 4) == NULL);
}

Test(text, names)
{
    char longest[102];
    memset(longest, 'a', 101);
    cr_assert(sky_is_identifier("_a9"));
    cr_assert(not(sky_is_identifier("")));
    cr_assert(not(sky_is_identifier("9a")));
    cr_assert(not(sky_is_identifier("a-b")));
    cr_assert(not(sky_is_identifier("\xc3\xa9")));
    longest[63] = 0;
    cr_assert(sky_is_identifier(longest));
    longest[63] = 'a';
    longest[64] = 0;
    cr_assert(not(sky_is_identifier(longest)));
    longest[64] = 'a';
    longest[100] = 0;
    cr_assert(sky_is_sweep_name(longest));
    longest[100] = 'a';
    longest[101] = 0;
    cr_assert(not(sky_is_sweep_name(longest)));
    cr_assert(sky_is_sweep_name("9flexsa-resnet50.v2_b"));
    static const char *const bad[] = {"",    ".a",    "-a",       "_a",  "a b",
                                      "a/b", "Sky_x", "SQLITE_x", "a\"b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(not(sky_is_sweep_name(bad[i])), "'%s'", bad[i]);
}

Test(text, whole_files)
{
    char path[] = "/tmp/text_test_XXXXXX";
    int fd = mkstemp(path);
    static char data[10000];
    memset(data, 'q', sizeof data);
    cr_assert(eq(sz, (size_t)write(fd, data, sizeof data), sizeof data));
    close(fd);
    char *out = NULL;
    size_t len = 0;
    sky_error e = {0};
    cr_assert(eq(int, sky_read_file(path, sizeof data, &out, &len, &e), SKY_OK));
    cr_assert(eq(sz, len, sizeof data));
    cr_assert(eq(sz, strlen(out), sizeof data));
    free(out);
    out = NULL;
    cr_assert(eq(int, sky_read_file(path, sizeof data - 1, &out, &len, &e), SKY_ELIMIT));
    cr_assert(strstr(e.text, "limit of 9999 bytes") != NULL);
    unlink(path);
    cr_assert(eq(int, sky_read_file(path, 100, &out, &len, &e), SKY_ENOTFOUND));
    cr_assert(eq(int, sky_read_file("/", 100, &out, &len, &e), SKY_EIO), "a folder");
    cr_assert(out == NULL);
    cr_assert(eq(int, sky_read_file("/dev/null", 0, &out, NULL, &e), SKY_OK));
    cr_assert(eq(str, out, ""));
    free(out);
    cr_assert(sky_strdup(NULL) == NULL);
}
