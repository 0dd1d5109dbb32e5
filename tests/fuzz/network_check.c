#include "network_check.h"

#include <stdlib.h>

static void require(int holds)
{
    if (!holds)
        abort();
}

void check_error(sky_err err, const sky_error *e)
{
    require(err == e->code && (!err || e->text[0]));
}

static void check_convs(const sky_network *net, const int32_t *channels, sky_conv_shape *convs)
{
    const sky_network_counts counts = sky_network_count(net, channels);
    int64_t macs = 0;
    const int32_t n = sky_network_convs(net, channels, true, convs);
    require(n <= net->n_layers);
    for (int32_t i = 0; i < n; i++) {
        const sky_conv_shape *s = &convs[i];
        require(s->c > 0 && s->k > 0 && s->h > 0 && s->w > 0 && s->p > 0 && s->q > 0 && s->r > 0 &&
                s->s > 0 && s->groups > 0 && s->count > 0);
        macs += (int64_t)s->groups * s->c * s->k * s->r * s->s * s->p * s->q * s->count;
    }
    require(macs == counts.macs && macs >= 0 && macs <= SKY_NETWORK_MACS_MAX);
    require(counts.parameters >= 0);
}

void check_network(const sky_network *net)
{
    require(net->n_layers > 0 && net->n_layers <= SKY_LAYERS_MAX && net->name && net->source);
    for (int32_t i = 0; i < net->n_layers; i++) {
        const sky_layer *l = &net->layers[i];
        require(l->out.c > 0 && l->out.h > 0 && l->out.w > 0);
        require((int64_t)l->out.c * l->out.h * l->out.w <= INT32_MAX);
        for (int32_t k = 0; k < l->n_inputs; k++)
            require(l->input[k] >= 0 && l->input[k] < i);
    }
    const size_t n = (size_t)net->n_layers;
    int32_t *channels = calloc(n, sizeof *channels);
    sky_conv_shape *convs = calloc(n, sizeof *convs);
    require(channels && convs);
    check_convs(net, NULL, convs);
    static const double widths[] = {1, 0.5, 0.01};
    for (int w = 0; w < 3; w++) {
        sky_network_scale(net, widths[w], channels);
        for (size_t i = 0; i < n; i++)
            require(channels[i] > 0 && (w > 0 || channels[i] == net->layers[i].out.c));
        check_convs(net, channels, convs);
    }
    free(channels);
    free(convs);
}
