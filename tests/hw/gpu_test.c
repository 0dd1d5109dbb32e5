#include "hw/gpu.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/text.h"

Test(gpu, catalogue)
{
    static const char *const names[] = {"TITAN Xp", "P100", "V100", "A100", "H100", "H200"};
    const sky_gpu *gpus;
    cr_assert_eq(sky_gpu_list(&gpus), 6);
    for (size_t i = 0; i < 6; i++) {
        cr_assert_str_eq(gpus[i].name, names[i]);
        cr_assert_eq(sky_gpu_find(names[i]), &gpus[i]);
    }
    cr_assert_eq(sky_gpu_find("titanxp"), &gpus[0]);
    cr_assert_eq(sky_gpu_find("h200"), &gpus[5]);
    cr_assert_null(sky_gpu_find("H2000"));
    cr_assert_null(sky_gpu_find(""));
}

/* SMs, units and clock give the FP32 rates of the data sheets, in TFLOPS. H100 and H200 run at a
 * higher clock than that of their sheets (67 at 1.98 GHz). */
Test(gpu, fp32_rates_are_the_published_ones)
{
    static const struct {
        const char *name;
        double tflops;
    } published[] = {{"TITAN Xp", 12.15}, {"P100", 10.6}, {"V100", 15.7},
                     {"A100", 19.5},      {"H100", 66.9}, {"H200", 66.9}};
    for (size_t i = 0; i < 6; i++) {
        const sky_gpu *g = sky_gpu_find(published[i].name);
        cr_assert_float_eq(2 * g->sms * g->fp32_macs_per_cycle * g->clock_ghz * 1e-3,
                           published[i].tflops, 0.06, "%s", g->name);
    }
}

/* A whole catalogue of one GPU, in which one line may be replaced or left out. */
static char *catalogue(const char *field, const char *line)
{
    sky_buf b = {0};
    sky_buf_puts(&b, "# mine\n\ngpu,field,value,source\n");
#define LINE(name, least, most)                                                                    \
    if (!field || strcmp(field, #name) != 0)                                                       \
        sky_buf_printf(&b, "Mine,%s,%g,assumed: a test, no more\n", #name, (double)(most));        \
    else if (line)                                                                                 \
        sky_buf_printf(&b, "%s\n", line);
    SKY_GPU_FIELD_MAP(LINE)
#undef LINE
    return sky_buf_detach(&b);
}

static void expect_error(char *text, sky_err code, const char *part1, const char *part2)
{
    sky_gpu *gpus = NULL;
    size_t n = 0;
    sky_error e = {0};
    cr_expect_eq(sky_gpu_parse("my.csv", text, &gpus, &n, &e), code, "%s", e.text);
    cr_expect(strstr(e.text, part1) && strstr(e.text, part2), "%s", e.text);
    cr_expect_null(gpus);
    free(text);
}

Test(gpu, a_file)
{
    char *text = catalogue(NULL, NULL);
    sky_gpu *gpus = NULL;
    size_t n = 0;
    sky_error e = {0};
    cr_assert_eq(sky_gpu_parse("my.csv", text, &gpus, &n, &e), SKY_OK, "%s", e.text);
    cr_assert_eq(n, 1);
    cr_assert_str_eq(gpus[0].name, "Mine");
    cr_assert_eq(gpus[0].sms, 100000);
    cr_assert_eq(gpus[0].dram_access_bytes, 4096);
    free(gpus);
    free(text);
}

Test(gpu, errors_name_line_and_field)
{
    expect_error(catalogue("sms", NULL), SKY_EFORMAT, "my.csv:", "sms");
    expect_error(catalogue("dram_gb_per_s", NULL), SKY_EFORMAT, "'Mine'", "dram_gb_per_s");
    expect_error(catalogue("sms", "Mine,sms,0,mine"), SKY_EFORMAT, "my.csv:4: sms", "from 1");
    expect_error(catalogue("sms", "Mine,sms,nan,mine"), SKY_EFORMAT, "my.csv:4: sms", "nan");
    expect_error(catalogue("sms", "Mine,sms,80x,mine"), SKY_EFORMAT, "my.csv:4: sms", "80x");
    expect_error(catalogue("sms", "Mine,sms,80,"), SKY_EFORMAT, "my.csv:4: sms", "source");
    expect_error(catalogue("sms", "Mine,sms,80"), SKY_EFORMAT, "my.csv:4", "gpu,field");
    expect_error(catalogue("sms", "Mine,smss,80,mine"), SKY_EFORMAT, "my.csv:4", "'sms'?");
    expect_error(catalogue("clock_ghz", "Mine,sms,80,mine"), SKY_EFORMAT, "my.csv:5", "twice");
    expect_error(catalogue("sms", ",sms,80,mine"), SKY_EFORMAT, "my.csv:4", "name");
    expect_error(catalogue("sms", "A name of far more than thirty bytes,sms,80,m"), SKY_EFORMAT,
                 "my.csv:4", "31");
    expect_error(sky_strdup("# nothing\n"), SKY_EFORMAT, "my.csv", "no GPU");
    char *twice = catalogue(NULL, NULL), *again = catalogue(NULL, NULL);
    sky_buf b = {0};
    sky_buf_printf(&b, "%s%s", twice, again);
    free(twice);
    free(again);
    expect_error(sky_buf_detach(&b), SKY_EFORMAT, "my.csv", "twice");
    sky_buf long_line = {0};
    for (int i = 0; i < 2000; i++)
        sky_buf_putc(&long_line, 'x');
    expect_error(sky_buf_detach(&long_line), SKY_ELIMIT, "my.csv:1", "1024");
}

Test(gpu, resolve)
{
    sky_gpu g;
    sky_error e = {0};
    cr_assert_eq(sky_gpu_resolve("a100", "", &g, &e), SKY_OK);
    cr_assert_eq(g.sms, 108);
    cr_assert_eq(sky_gpu_resolve("B200", "", &g, &e), SKY_ENOTFOUND);
    cr_assert(strstr(e.text, "B200") && strstr(e.text, "V100"), "%s", e.text);
    cr_assert_eq(sky_gpu_resolve("no.csv:X", HW_DATA_DIR, &g, &e), SKY_ENOTFOUND);
    cr_assert(strstr(e.text, "no.csv"), "%s", e.text);
    cr_assert_eq(sky_gpu_resolve("gpus.csv:P100", HW_DATA_DIR, &g, &e), SKY_OK, "%s", e.text);
    cr_assert_eq(g.sms, 56);
    cr_assert_eq(sky_gpu_resolve(HW_DATA_DIR "/gpus.csv", "elsewhere", &g, &e), SKY_OK);
    cr_assert_str_eq(g.name, "TITAN Xp");
    cr_assert_eq(sky_gpu_resolve("gpus.csv:K80", HW_DATA_DIR, &g, &e), SKY_ENOTFOUND);
    cr_assert(strstr(e.text, "K80"), "%s", e.text);
}

/* Damage anywhere is an error or another number, never a crash: run under the sanitizers. */
Test(gpu, damaged_files)
{
    char *text = catalogue(NULL, NULL);
    const size_t len = strlen(text);
    for (size_t at = 0; at < len; at++) {
        static const char damage[] = "\n,x\0#9";
        for (size_t k = 0; k < sizeof damage - 1; k++) {
            const char was = text[at];
            text[at] = damage[k];
            sky_gpu *gpus = NULL;
            size_t n = 0;
            if (sky_gpu_parse("my.csv", text, &gpus, &n, NULL) == SKY_OK)
                free(gpus);
            text[at] = was;
        }
    }
    free(text);
}
