#include "jobs/pruned.h"

#include <assert.h>
#include <string.h>

sky_err sky_pruned_check(const sky_pruned_spec *s, sky_error *e)
{
    const bool file = s->trace[0] != '\0', made = s->ratio > 0;
    if (file && made)
        return sky_fail(e, SKY_EINVAL, "trace and pruned: give one of them, a file or a ratio");
    if ((file || made) && s->width < 1)
        return sky_fail(e, SKY_EINVAL,
                        "width_kept: a trace says the widths already; leave it at 1 with %s",
                        file ? "trace" : "pruned");
    return SKY_OK;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || strcmp(a, b) == 0;
}

static sky_err load_network(sky_pruned *p, sky_job_ctx *ctx, const char *spec, sky_error *e)
{
    sky_err err = sky_job_network(spec, ctx->workdir, &p->network, e);
    if (err != SKY_OK || p->network->n_layers <= p->cap)
        return err;
    p->cap = 0;
    p->channels = sky_new(ctx->scratch, int32_t, (size_t)p->network->n_layers);
    p->convs = sky_new(ctx->scratch, sky_conv_shape, (size_t)p->network->n_layers);
    if (!p->channels || !p->convs)
        return sky_fail(e, SKY_ENOMEM, "network: %s", sky_strerror(SKY_ENOMEM));
    p->cap = p->network->n_layers;
    return SKY_OK;
}

static sky_err load_trace(sky_pruned *p, sky_job_ctx *ctx, const sky_pruned_spec *s, sky_error *e)
{
    p->trace = NULL;
    p->map = NULL;
    if (s->trace[0]) {
        const sky_job_bound_trace *bound = NULL;
        const sky_err err = sky_job_trace(s->trace, ctx->workdir, p->network, &bound, e);
        if (err != SKY_OK)
            return err;
        p->trace = &bound->trace;
        p->map = &bound->map;
    } else if (s->ratio > 0) {
        const sky_trace_options o = {.pruned = s->ratio, .spread = s->spread, .seed = s->seed};
        sky_arena_reset(&p->arena);
        sky_err err = sky_trace_generate(p->network, &o, &p->arena, &p->made, e);
        if (err == SKY_OK)
            err = sky_trace_bind(&p->made, p->network, &p->arena, &p->made_map, e);
        if (err != SKY_OK)
            return err;
        p->trace = &p->made;
        p->map = &p->made_map;
    }
    return SKY_OK;
}

sky_err sky_pruned_load(sky_pruned *p, sky_job_ctx *ctx, const sky_pruned_spec *s, sky_error *e)
{
    const bool same_network = p->loaded && same_text(p->spec.network, s->network);
    const bool same_trace = same_network && same_text(p->spec.trace, s->trace) &&
                            p->spec.ratio == s->ratio && p->spec.spread == s->spread &&
                            p->spec.seed == s->seed;
    if (!same_trace) {
        p->loaded = false;
        sky_err err = same_network ? SKY_OK : load_network(p, ctx, s->network, e);
        if (err == SKY_OK)
            err = load_trace(p, ctx, s, e);
        if (err != SKY_OK)
            return err;
        p->loaded = true;
    }
    if (!same_trace || p->spec.width != s->width)
        p->stage = -1;
    p->loads += p->stage == -1 || p->spec.when != s->when;
    p->spec = *s;
    const int32_t all = p->trace ? p->trace->n_stages : 1;
    p->first_stage = s->when == SKY_PRUNED_LAST ? all - 1 : 0;
    p->n_stages = s->when == SKY_PRUNED_MEAN ? all : 1;
    return SKY_OK;
}

void sky_pruned_stage(sky_pruned *p, int32_t stage, bool merge)
{
    assert(p->loaded && stage >= p->first_stage && stage < p->first_stage + p->n_stages);
    if (p->stage == stage && p->merged == merge)
        return;
    if (p->trace) {
        sky_trace_channels(p->trace, p->map, stage, p->network, p->channels);
        p->n_convs =
            sky_trace_convs(p->trace, p->map, stage, p->network, p->channels, merge, p->convs);
    } else {
        sky_network_scale(p->network, p->spec.width, p->channels);
        p->n_convs = sky_network_convs(p->network, p->channels, merge, p->convs);
    }
    p->stage = stage;
    p->merged = merge;
    p->version++;
}

double sky_pruned_weight(const sky_pruned *p, int32_t stage)
{
    return p->n_stages > 1 ? sky_trace_weight(p->trace, stage) : 1;
}

int64_t sky_pruned_epoch(const sky_pruned *p, int32_t stage)
{
    return p->trace ? p->trace->stages[stage].epoch : 0;
}

void sky_pruned_close(sky_pruned *p)
{
    sky_arena_free(&p->arena);
    *p = (sky_pruned){0};
}
