#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>

#include "base/value.h"
#include "tests/base/property.h"
#include "tests/base/str.h"

static void prints(sky_value v, const char *text, const char *json)
{
    sky_buf b = {0};
    sky_value_print(&b, &v);
    cr_assert(eq(str, STR(sky_buf_str(&b)), STR(text)));
    sky_buf_reset(&b);
    sky_value_json(&b, &v);
    cr_assert(eq(str, STR(sky_buf_str(&b)), STR(json)));
    sky_buf_free(&b);
}

Test(value, printing)
{
    prints(sky_int(-7), "-7", "-7");
    prints(sky_bool(true), "true", "true");
    prints(sky_bool(false), "false", "false");
    prints(sky_real(0.1), "0.1", "0.1");
    prints(sky_real(INFINITY), "inf", "\"inf\"");
    prints(sky_text("a \"b\""), "a \"b\"", "\"a \\\"b\\\"\"");
    prints(sky_absent(SKY_TEXT), "", "null");
}

Test(value, parsing)
{
    sky_value v = sky_int(5);
    cr_assert(eq(int, sky_value_parse(SKY_REAL, "2.5", &v), SKY_OK));
    cr_assert(eq(dbl, v.f, 2.5));
    cr_assert(eq(int, sky_value_parse(SKY_BOOL, "on", &v), SKY_OK));
    cr_assert(eq(i64, v.i, 1));
    cr_assert(eq(int, sky_value_parse(SKY_TEXT, "2.5", &v), SKY_OK));
    cr_assert(eq(str, STR(v.s), "2.5"));
    cr_assert(eq(int, sky_value_parse(SKY_INT, "12", &v), SKY_OK));
    cr_assert(eq(int, sky_value_parse(SKY_INT, "2.5", &v), SKY_EFORMAT));
    cr_assert(eq(int, sky_value_parse(SKY_BOOL, "2", &v), SKY_EFORMAT));
    cr_assert(eq(int, sky_value_parse(SKY_REAL, "nan", &v), SKY_EFORMAT));
    cr_assert(eq(int, sky_value_parse(SKY_INT, "99999999999999999999", &v), SKY_ELIMIT));
    cr_assert(eq(int, v.type, SKY_INT));
    cr_assert(eq(i64, v.i, 12), "untouched on error");
    sky_type type = SKY_BOOL;
    cr_assert(eq(int, sky_type_parse("real", &type), SKY_OK));
    cr_assert(eq(int, type, SKY_REAL));
    cr_assert(eq(int, sky_type_parse("Real", &type), SKY_EFORMAT));
    cr_assert(eq(str, STR(sky_type_name(type)), "real"));
}

Test(value, equality_is_of_type_and_bits)
{
    sky_value one = sky_int(1), one_real = sky_real(1), yes = sky_bool(true);
    sky_value zero = sky_real(0.0), minus_zero = sky_real(-0.0), hole = sky_real(NAN);
    sky_value none = sky_absent(SKY_INT), no_text = sky_absent(SKY_TEXT);
    sky_value a = sky_text("a"), also_a = sky_text((char[]){'a', 0}), b = sky_text("b");
    cr_assert(sky_value_equal(&one, &one));
    cr_assert(not(sky_value_equal(&one, &one_real)));
    cr_assert(not(sky_value_equal(&one, &yes)));
    cr_assert(not(sky_value_equal(&zero, &minus_zero)));
    cr_assert(sky_value_equal(&hole, &hole));
    cr_assert(sky_value_equal(&none, &none));
    cr_assert(not(sky_value_equal(&none, &no_text)));
    cr_assert(not(sky_value_equal(&none, &one)));
    cr_assert(sky_value_equal(&a, &also_a));
    cr_assert(not(sky_value_equal(&a, &b)));
    cr_assert(eq(dbl, sky_value_f64(&yes), 1));
    cr_assert(isnan(sky_value_f64(&a)));
    cr_assert(isnan(sky_value_f64(&none)));
}

Test(value, columns)
{
    int64_t ints[3] = {1, 2, 3};
    double reals[3] = {0.5, 1.5, 2.5};
    const char *texts[3] = {"x", "y", "z"};
    uint8_t absent[3] = {0, 1, 0};
    sky_column columns[] = {{.type = SKY_INT, .i = ints},
                            {.type = SKY_REAL, .f = reals, .absent = absent},
                            {.type = SKY_TEXT, .s = texts}};
    cr_assert(eq(i64, sky_column_get(&columns[0], 2).i, 3));
    cr_assert(sky_column_get(&columns[1], 1).absent);
    cr_assert(eq(str, STR(sky_column_get(&columns[2], 0).s), "x"));
    sky_value v = sky_real(9), none = sky_absent(SKY_REAL);
    sky_column_set(&columns[1], 1, &v);
    cr_assert(not(sky_column_get(&columns[1], 1).absent));
    cr_assert(eq(dbl, sky_column_get(&columns[1], 1).f, 9));
    sky_column_set(&columns[1], 0, &none);
    cr_assert(sky_column_get(&columns[1], 0).absent);
}

Test(value, the_hash_tells_values_apart)
{
    int64_t ints[2] = {1, 2};
    double reals[2] = {1, 2};
    const char *texts[2] = {"ab", "c"};
    uint8_t absent[2] = {0, 0};
    sky_column c[] = {{.type = SKY_INT, .i = ints},
                      {.type = SKY_REAL, .f = reals},
                      {.type = SKY_TEXT, .s = texts}};
    uint64_t h = sky_columns_hash(c, 3, 2);
    c[1].absent = absent;
    cr_assert(eq(u64, sky_columns_hash(c, 3, 2), h), "how absence is stored does not matter");
    absent[1] = 1;
    cr_assert(ne(u64, sky_columns_hash(c, 3, 2), h));
    absent[1] = 0;
    reals[1] = nextafter(2, 3);
    cr_assert(ne(u64, sky_columns_hash(c, 3, 2), h));
    reals[1] = 2;
    texts[0] = "a";
    texts[1] = "bc";
    cr_assert(ne(u64, sky_columns_hash(c, 3, 2), h), "texts do not run together");
    texts[0] = "ab";
    texts[1] = "c";
    cr_assert(ne(u64, sky_columns_hash(c, 3, 1), h));
    cr_assert(ne(u64, sky_columns_hash(c, 2, 2), h));
    ints[0] = 2;
    ints[1] = 1;
    cr_assert(ne(u64, sky_columns_hash(c, 3, 2), h));
    ints[0] = 1;
    ints[1] = 2;
    cr_assert(eq(u64, sky_columns_hash(c, 3, 2), h));
}
