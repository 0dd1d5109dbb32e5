#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sweeps/sweeps_fixture.h"

Test(points, a_list_of_points)
{
    sky_plan *p = plan_of_space("[{a: 1, b: x}, {b: y, a: 2}, {a: 1, b: y}]", "");
    cr_assert(eq(str, STR(all_values(p)), "1 x, 2 y, 1 y"));
    sky_plan_free(reloaded(p));
    sky_plan_free(p);
}

Test(points, missing_parameters_have_defaults)
{
    sky_plan *p = plan_of("name: t\njob: model\nspace:\n  - {network: a, depth: 1}\n"
                          "  - {network: a, depth: 1, array: 64}\n");
    cr_assert(eq(str, STR(all_values(p)), "a 128 split 1 false 1, a 64 split 1 false 1"));
    sky_plan_free(p);
    REFUSES("name: t\njob: model\nspace:\n  - {network: a, depth: 1}\n  - {network: b}\n",
            "t.yaml:5:5:", "does not give 'depth', which has no default");
}

Test(points, refuses_malformed_lists)
{
    REFUSES("name: t\njob: command\nspace: []\n", "t.yaml:3:8:", "found an empty list");
    REFUSES("name: t\njob: command\nspace: [5]\n", "t.yaml:3:9:", "allowed are maps");
    REFUSES("name: t\njob: command\nspace: [{}]\n", "t.yaml:3:9:", "found an empty map");
    REFUSES("name: t\njob: command\nspace:\n- {a: 1}\n- {a: 2}\n- {a: 1}\n",
            "t.yaml:6:3:", "the point 1 is the same as that of line 4");
    REFUSES("name: t\njob: model\nspace:\n- {network: a, dept: 1}\n",
            "t.yaml:4:16:", "did you mean 'depth'?");
    REFUSES("name: t\njob: command\nspace:\n- {a: 1, b: [2]}\n", "t.yaml:4:13:", "found a list");
}

/* ---- CSV ---- */

static char folder[64];

static void write_file(const char *name, const char *text, size_t len)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    cr_assert(f != NULL);
    fwrite(text, 1, len, f);
    fclose(f);
}

static sky_err read_csv(const char *csv, size_t len, const char *space, sky_plan **out,
                        sky_error *e)
{
    char yaml[300], path[128];
    strcpy(folder, "/tmp/sky-points-XXXXXX");
    cr_assert(mkdtemp(folder) != NULL);
    write_file("p.csv", csv, len);
    snprintf(yaml, sizeof yaml, "name: t\njob: command\nspace: %s\n", space);
    write_file("s.yaml", yaml, strlen(yaml));
    snprintf(path, sizeof path, "%s/s.yaml", folder);
    const sky_plan_options options = {.jobs = fixture_jobs};
    sky_err err = sky_plan_read(out, path, &options, e);
    unlink(path);
    snprintf(path, sizeof path, "%s/p.csv", folder);
    unlink(path);
    rmdir(folder);
    return err;
}

static void csv_gives(const char *csv, const char *space, const char *values)
{
    sky_plan *p = NULL;
    sky_error e = {0};
    cr_assert(eq(int, read_csv(csv, strlen(csv), space, &p, &e), SKY_OK), "%s\n%s", e.text, csv);
    cr_assert(eq(str, STR(all_values(p)), STR(values)), "%s", csv);
    cr_assert(strstr(sky_plan_workdir(p), "/sky-points-") != NULL);
    sky_plan *q = reloaded(p); /* the file is gone: its content is in the plan */
    cr_assert(eq(str, STR(all_values(q)), STR(values)), "%s", csv);
    sky_plan_free(p);
    sky_plan_free(q);
}

Test(points, csv_files)
{
    csv_gives("a,b\n1,x\n2,y\n", "{csv: p.csv}", "1 x, 2 y");
    csv_gives("\xef\xbb\xbf"
              "a,b\r\n1,\"x, y\"\r\n2,\"say \"\"hi\"\"\"\r\n",
              "{csv: p.csv}", "1 x, y, 2 say \"hi\"");
    csv_gives("a , b\n 1 , 2.5\n\n3,4", "{csv: p.csv}", "1 2.5, 3 4");
    csv_gives("a\n1\n2\n", "{csv: p.csv, b: [u, v]}", "1 u, 1 v, 2 u, 2 v");
    csv_gives("t\n\"two\nlines\"\n\"\"\n", "{csv: p.csv}", "two\nlines, ");
    csv_gives("a\n\"1\"\n\"2\"\n", "{csv: p.csv}", "1, 2");
}

static void csv_fails(const char *csv, const char *text)
{
    sky_plan *p = NULL;
    sky_error e = {0};
    cr_assert(ne(int, read_csv(csv, strlen(csv), "{csv: p.csv}", &p, &e), SKY_OK), "%s", csv);
    cr_assert(strstr(e.text, text) != NULL, "%s\n%s", e.text, csv);
}

Test(points, refuses_malformed_csv)
{
    csv_fails("", "p.csv:1:1: found an empty file");
    csv_fails("a,b\n", "p.csv:1:1: found a header alone");
    csv_fails("a,b\n1,2\n3\n", "p.csv:3:1: found 1 fields; allowed are 2");
    csv_fails("a,a\n1,2\n", "p.csv:1:3: the column 'a' stands twice");
    csv_fails("a,b\n1,\"2\n", "p.csv:2:3: the quote does not end");
    csv_fails("a,b\n1,\"2\"x\n", "p.csv:2:3: found text after the closing quote");
    csv_fails("a,b\n1,2\n1,2\n", "p.csv:3:1: the point (a: 1, b: 2) is the same as that of line 2");
    csv_fails("a,b\n1,\n", "p.csv:2:1: this point does not give 'b'");
    csv_fails("a,b c\n1,2\n", "p.csv:1:3: found the parameter name 'b c'");
    csv_fails("a\n\xff\n", "p.csv:2:1: found the byte 0xff");
    csv_fails("a\n1\x01\n", "p.csv:2:2: found the control character 0x01");
    REFUSES("name: t\njob: command\nspace: {csv: nowhere.csv}\n", "t.yaml:3:14:", "nowhere.csv");
    REFUSES("name: t\njob: command\nspace: {csv: [a]}\n", "t.yaml:3:14:", "csv: found a list");
}
