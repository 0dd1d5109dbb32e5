#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "dash/frame.h"

/* Every byte of a small frame, as docs/columns.md lays it out. */
Test(frame, bytes)
{
    const uint64_t trials[] = {3, 9};
    const double values[] = {0.5, NAN};
    const uint32_t counts[] = {7, 8};
    static const char *const texts[] = {"a\"b"};
    const sky__frame_column columns[] = {
        {.name = "trial", .dtype = SKY__F64, .ids = trials},
        {.name = "x", .dtype = SKY__F32, .doubles = values},
        {.name = "n", .dtype = SKY__U32, .counts = counts},
        {.name = "t",
         .dtype = SKY__F32,
         .doubles = values,
         .is_text = true,
         .texts = texts,
         .n_texts = 1},
    };
    static const char json[] =
        "{\"next\":2,\"columns\":[{\"name\":\"trial\",\"dtype\":\"f64\",\"offset\":0,\"base\":0},"
        "{\"name\":\"x\",\"dtype\":\"f32\",\"offset\":16,\"base\":0},"
        "{\"name\":\"n\",\"dtype\":\"u32\",\"offset\":24,\"base\":0},"
        "{\"name\":\"t\",\"dtype\":\"f32\",\"offset\":32,\"base\":0,\"texts\":[\"a\\\"b\"]}]}";
    const size_t len = sizeof json - 1, body = 24 + (len + 7) / 8 * 8;
    sky_buf b = {0};
    sky__frame_write(&b, "\"next\":2", columns, 4, 2);
    cr_assert(sky_buf_ok(&b));
    cr_assert(b.len == body + 40, "%zu", b.len);
    const unsigned char head[] = {'S',      'K', 'Y', 'C', 1, 0, 0, 0, (unsigned char)len,
                                  len >> 8, 0,   0,   4,   0, 0, 0, 2, 0,
                                  0,        0,   0,   0,   0, 0};
    cr_assert(memcmp(b.data, head, 24) == 0);
    cr_assert(memcmp(b.data + 24, json, len) == 0, "%.*s", (int)len, b.data + 24);
    double d[2];
    float f[2];
    memcpy(d, b.data + body, 16);
    memcpy(f, b.data + body + 16, 8);
    cr_assert(d[0] == 3 && d[1] == 9 && f[0] == 0.5f && isnan(f[1]));
    cr_assert(memcmp(b.data + body + 24, counts, 8) == 0);
    sky_buf_free(&b);
}

Test(frame, empty)
{
    sky_buf b = {0};
    const sky__frame_column column = {.name = "trial", .dtype = SKY__F64};
    sky__frame_write(&b, "", &column, 1, 0);
    cr_assert(sky_buf_ok(&b) && b.len % 8 == 0);
    sky_buf_free(&b);
}

/* A narrow range far from zero keeps its digits. */
Test(frame, base)
{
    double values[100];
    sky_buf b = {0};
    for (size_t i = 0; i < 100; i++)
        values[i] = 1e9 + (double)i * 1e-3;
    const sky__frame_column column = {.name = "x", .dtype = SKY__F32, .doubles = values};
    sky__frame_write(&b, "", &column, 1, 100);
    cr_assert(strstr(b.data + 24, "\"base\":1000000000"));
    for (size_t i = 0; i < 100; i++) {
        float f;
        memcpy(&f, b.data + b.len - 400 + 4 * i, 4);
        cr_assert(fabs(1e9 + (double)f - values[i]) < 1e-6, "%zu", i);
    }
    sky_buf_free(&b);
}
