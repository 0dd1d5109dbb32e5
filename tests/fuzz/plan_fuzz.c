/* The canonical text of a plan, as it arrives from a coordinator or out of a store. */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/plan_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    sky_error e = {0};
    sky_plan *p = NULL;
    char *text = malloc(len + 1);
    if (!text)
        return 0;
    memcpy(text, data, len);
    text[len] = '\0';
    sky_err err = sky_plan_load(&p, text, len, &e);
    require(err == e.code && (err == SKY_OK) == (p != NULL));
    require(err == SKY_OK || e.text[0]);
    if (p)
        check_plan(p);
    sky_plan_free(p);
    free(text);
    return 0;
}
