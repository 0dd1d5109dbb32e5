/* Catalogues of GPUs: any bytes give GPUs within their limits, on which a convolution takes a finite
 * time and moves at least what it must, or a message. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hw/delta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int is_true)
{
    if (!is_true)
        abort();
}

static void check(const sky_gpu *g)
{
    static const sky_delta_conv c = {.batch = 4,
                                     .groups = 1,
                                     .channels_in = 16,
                                     .height = 14,
                                     .width = 14,
                                     .channels_out = 40,
                                     .out_h = 14,
                                     .out_w = 14,
                                     .kernel_h = 3,
                                     .kernel_w = 3,
                                     .stride_h = 1,
                                     .stride_w = 1,
                                     .dilation_h = 1,
                                     .dilation_w = 1,
                                     .pad_top = 1,
                                     .pad_left = 1,
                                     .count = 1};
    must(g->name[0] && memchr(g->name, 0, sizeof g->name) != NULL);
#define WITHIN(field, least, most) must(g->field >= (least) && g->field <= (most));
    SKY_GPU_FIELD_MAP(WITHIN)
#undef WITHIN
    const sky_delta_tile t = sky_delta_tile_for(c.channels_out);
    for (int reuse = 0; reuse < 2; reuse++) {
        const sky_delta_options o = {.reuse = (sky_delta_reuse)reuse};
        sky_delta_geometry geometry;
        sky_delta_result r;
        sky_delta_geometry_of(&c, &t, o.reuse, NULL, &geometry);
        sky_delta_layer(&c, &t, &geometry, g, &o, &r);
        must(isfinite(r.time_s) && r.time_s > 0 && r.ctas_per_sm >= 1);
        must(isfinite(r.l2_bytes) && r.l2_bytes > 0 && r.l1_bytes > 0);
        must(r.dram_read_bytes >= 4.0 * (4 * 16 * 14 * 14 + 40 * 16 * 9));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1);
    if (!text)
        return 0;
    memcpy(text, data, len);
    text[len] = 0;
    sky_gpu *gpus = NULL;
    size_t n = 0;
    sky_error e = {0};
    if (sky_gpu_parse("fuzz.csv", text, &gpus, &n, &e) == SKY_OK) {
        must(n > 0 && n <= SKY_GPUS_MAX);
        for (size_t i = 0; i < n; i++)
            check(&gpus[i]);
        free(gpus);
    } else {
        must(e.text[0] != 0 && !gpus);
    }
    free(text);
    return 0;
}
