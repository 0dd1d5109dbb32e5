/* The reader of traces: any text is refused, or gives a trace that is the same once written and read again.
 * What it says of layers of ResNet-20 is applied to that. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hw/trace.h"
#include "network_check.h"

static void require(int holds)
{
    if (!holds)
        abort();
}

static void check_written(const sky_trace *t, sky_arena *arena)
{
    sky_buf first = {0}, second = {0};
    sky_trace again;
    sky_error e = {0};
    sky_trace_write(t, &first);
    const sky_err err = sky_trace_parse("again", sky_buf_str(&first), first.len, arena, &again, &e);
    require(err == SKY_OK && again.n_stages == t->n_stages && again.end_step == t->end_step);
    sky_trace_write(&again, &second);
    require(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    double sum = 0;
    for (int32_t i = 0; i < t->n_stages; i++)
        sum += sky_trace_weight(t, i);
    require(sum > 0.999999 && sum < 1.000001);
    sky_buf_free(&first);
    sky_buf_free(&second);
}

static void check_applied(const sky_trace *t, sky_arena *arena)
{
    const sky_network *net = sky_network_find("resnet20");
    sky_trace_map map;
    sky_error e = {0};
    const sky_err err = sky_trace_bind(t, net, arena, &map, &e);
    check_error(err, &e);
    if (err != SKY_OK)
        return;
    int32_t *channels = sky_new(arena, int32_t, (size_t)net->n_layers);
    sky_conv_shape *convs = sky_new(arena, sky_conv_shape, (size_t)net->n_layers);
    require(channels && convs);
    for (int32_t i = 0; i < t->n_stages && i < 8; i++) {
        sky_trace_channels(t, &map, i, net, channels);
        const int32_t n = sky_trace_convs(t, &map, i, net, channels, true, convs);
        for (int32_t k = 0; k < n; k++)
            require(convs[k].c > 0 && convs[k].k > 0 && convs[k].count > 0);
        for (int32_t k = 0; k < net->n_layers; k++)
            require(channels[k] > 0 && channels[k] <= net->layers[k].out.c);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    sky_arena arena = {0};
    sky_trace t;
    sky_error e = {0};
    const sky_err err = sky_trace_parse("fuzz.trace", (const char *)data, len, &arena, &t, &e);
    check_error(err, &e);
    if (err == SKY_OK) {
        check_written(&t, &arena);
        check_applied(&t, &arena);
    }
    sky_arena_free(&arena);
    return 0;
}
