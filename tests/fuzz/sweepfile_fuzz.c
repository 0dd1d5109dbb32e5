/* Sweep files: any bytes give a plan that keeps its promises, or a message. A first line "#set
 * key=value" is an override. Bytes that speak of csv go to the reader of CSV files alone, so
 * that no input makes this program open files of the machine. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/tree.h"
#include "tests/fuzz/plan_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *const modes[] = {"one_large", "split", "flexsa", NULL};

static const sky_param params[] = {
    {"network", SKY_TEXT, "", "", {.type = SKY_TEXT, .s = "resnet50"}, 0, 0, NULL},
    {"array", SKY_INT, "", "", {.type = SKY_INT, .i = 128}, 1, 1024, NULL},
    {"mode", SKY_TEXT, "", "", {.type = SKY_TEXT, .absent = true}, 0, 0, modes},
    {"width", SKY_REAL, "", "", {.type = SKY_REAL, .f = 1}, 0, 1, NULL},
    {"fast", SKY_BOOL, "", "", {.type = SKY_BOOL, .i = 0}, 0, 0, NULL},
};

static const sky_metric metrics[] = {
    {"energy_j", SKY_REAL, "J", "", SKY_MIN, SKY_EXACT},
    {"time_s", SKY_REAL, "s", "", SKY_MIN, SKY_MEASURED},
};

static const sky_descriptor jobs[] = {
    {"model", "1", "a model", "", params, 5, metrics, 2, false},
    {"command", "1", "any program", "", NULL, 0, NULL, 0, true},
};

static const sky_descriptor *find(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "model") == 0 ? &jobs[0] : strcmp(name, "command") == 0 ? &jobs[1] : NULL;
}

static size_t names(void *arg, const char **list, size_t max)
{
    (void)arg;
    for (size_t i = 0; i < 2 && i < max; i++)
        list[i] = jobs[i].name;
    return 2;
}

static void read_csv(const char *text, size_t len)
{
    sky_arena arena = {0};
    sky_error e = {0};
    sky__node *rows = NULL;
    sky_err err = sky__csv_read(&rows, text, len, "x.csv", &arena, &e);
    require(err == SKY_OK ? rows != NULL : e.text[0] != '\0');
    sky_arena_free(&arena);
}

static void read_sweep(const char *text, size_t len)
{
    char *override = NULL;
    if (len > 5 && strncmp(text, "#set ", 5) == 0)
        override = strndup(text + 5, strcspn(text + 5, "\n"));
    const char *const set[] = {override, NULL};
    const sky_plan_options options = {.set = set, .jobs = {.find = find, .names = names}};
    sky_error e = {0};
    sky_plan *p = NULL;
    sky_err err = sky_plan_parse(&p, text, len, "x.yaml", &options, &e);
    require(err == e.code && (err == SKY_OK) == (p != NULL));
    require(err == SKY_OK || e.text[0]);
    if (p)
        check_plan(p);
    sky_plan_free(p);
    free(override);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1); /* texts end with a NUL, as sky_read_file() gives them */
    if (!text)
        return 0;
    memcpy(text, data, len);
    text[len] = '\0';
    if (memmem(text, len, "csv", 3))
        read_csv(text, len);
    else
        read_sweep(text, len);
    free(text);
    return 0;
}
